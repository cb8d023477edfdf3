//! Turns at a desk, in their order, and what ends the wait for one.

use std::sync::Mutex as StdMutex;

use futures_util::FutureExt as _;
use uuid::Uuid;

use super::*;
use crate::connectors::aspsps::CallRecord;
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::http::HttpConfig;
use crate::domain::ids::{ConsentId, PsuUserId, TenantId};
use crate::domain::openbanking::consent::ConsentStatus;
use crate::domain::openbanking::quota::Window;
use crate::store::StoreError;
use crate::store::queue::QueuePause;
use crate::work::Limits;
use crate::work::breaker::BreakerConfig;
use crate::work::tenants::Tenants;

const SECOND: Duration = Duration::from_secs(1);

/// Pauses as a store would tell them; none where it is away.
type Board = Arc<StdMutex<Option<Vec<QueuePause>>>>;

fn pauses(board: &Board) -> Pauses {
    let board = board.clone();
    let read = move || {
        let known = board.lock().unwrap().clone();
        async move { known.ok_or_else(|| StoreError::Broken("away".to_owned())) }.boxed()
    };
    Pauses::read_by(Box::new(read), SECOND)
}

fn counting() -> Counting {
    Counting {
        limit: 0,
        window: Window::Rolling(24 * 3_600 * SECOND),
        per_user: false,
        per_endpoint: true,
        per_resource: true,
        per_list: true,
        per_page: false,
        endpoints: EndpointLimits::default(),
    }
}

fn desk_of(limit: QueueLimit, board: &Board) -> AspspDesk {
    let freed = Arc::new(Notify::new());
    let breaker = BreakerConfig { failures_max: 2, wait_base: 10 * SECOND, wait_cap: 60 * SECOND };
    let limits = Limits::uniform(limit, limit.in_flight_max as usize, breaker);
    AspspDesk::new(DeskParts {
        name: "bank".to_owned(),
        standard: Standard::BerlinGroup,
        connector: AspspConnector::of(&AspspConfig::default(), &HttpConfig::default()).unwrap(),
        places: Places::new(limits, Tenants::default(), freed.clone()),
        freed,
        counting: counting(),
        pauses: pauses(board),
        poll_interval: SECOND,
    })
}

fn desk(in_flight_max: u32, rate_per_minute: u32) -> AspspDesk {
    let board = Board::new(StdMutex::new(Some(Vec::new())));
    desk_of(QueueLimit { in_flight_max, rate_per_minute }, &board)
}

fn pause(name: &str) -> QueuePause {
    QueuePause { name: name.to_owned(), reason: "night shift".to_owned(), paused_at: Utc::now() }
}

fn told(outcome: Result<(), AspspError>, may_have_been_sent: bool) -> Told<()> {
    let call = CallRecord {
        operation: Operation::Accounts,
        method: "GET /accounts",
        begun_at: Utc::now(),
        duration: SECOND,
        may_have_been_sent,
        status: None,
        request_id: Uuid::nil(),
        answer_request_id: None,
        rate_limits: Vec::new(),
        retry_after: None,
        answer_bytes: 0,
    };
    Told { call, outcome }
}

fn silence() -> Told<()> {
    told(Err(AspspError::Unavailable { retry_after: None, reason: "timeout".to_owned() }), true)
}

#[tokio::test(start_paused = true)]
async fn turns_are_given_in_the_order_in_which_they_were_asked_for() {
    let desk = desk(1, 0);
    let first = desk.enter().await.unwrap();
    let order = Arc::new(StdMutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..5 {
        let (desk, order) = (desk.clone(), order.clone());
        let mut entering = Box::pin(async move {
            let turn = desk.enter().await.unwrap();
            order.lock().unwrap().push(number);
            turn.heard(&told(Ok(()), true));
        });
        // Asked for in this order, whatever the executor does with them later.
        assert!(entering.as_mut().now_or_never().is_none());
        waiting.push(tokio::spawn(entering));
    }
    assert_eq!(desk.standing().in_hand, 1);
    first.heard(&told(Ok(()), true));
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(desk.standing().in_hand, 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_holds_nobody_back() {
    let desk = desk(1, 0);
    let first = desk.enter().await.unwrap();
    let (mut gone, mut next) = (Box::pin(desk.enter()), Box::pin(desk.enter()));
    assert!(gone.as_mut().now_or_never().is_none());
    assert!(next.as_mut().now_or_never().is_none());
    drop(first);
    drop(gone);
    let turn = next.await.unwrap();
    assert!(desk.enter().now_or_never().is_none());
    drop(turn);
    assert!(desk.enter().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rate_lets_so_many_begin() {
    // A second's worth at once, which is two here; then one each half second.
    let desk = desk(100, 120);
    let begin = Instant::now();
    for _ in 0..6 {
        desk.enter().await.unwrap().heard(&told(Ok(()), true));
    }
    let took = begin.elapsed();
    assert!((2 * SECOND..=2 * SECOND + SECOND / 10).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_ends_the_wait_of_everybody() {
    let desk = desk(2, 0);
    let (one, other) = (desk.enter().await.unwrap(), desk.enter().await.unwrap());
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let desk = desk.clone();
            Box::pin(async move { desk.enter().await.err() })
        })
        .collect();
    for entering in &mut waiting {
        assert!(entering.as_mut().now_or_never().is_none());
    }
    one.heard(&silence());
    // One failure is not two in a row: a place has become free, and somebody has it.
    let Some(None) = waiting[0].as_mut().now_or_never() else { panic!("it was its turn") };
    other.heard(&silence());
    for entering in waiting.drain(1..) {
        let Some(HeldBack::Unavailable { until: Some(until) }) = entering.await else { panic!("it is open") };
        assert!(until > Utc::now());
    }
    let begin = Instant::now();
    assert!(matches!(desk.enter().await, Err(HeldBack::Unavailable { .. })));
    assert_eq!(begin.elapsed(), Duration::ZERO, "nobody waits for a bank that does not answer");
    tokio::time::advance(11 * SECOND).await;
    let probe = desk.enter().await.unwrap();
    assert_eq!(desk.enter().await.err(), Some(HeldBack::Unavailable { until: None }), "one probe at a time");
    probe.heard(&told(Err(AspspError::NotFound { code: "x".to_owned() }), true));
    assert!(desk.enter().await.is_ok(), "a no is an answer");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_it_back_and_ends_the_wait_of_who_is_there() {
    let board = Board::new(StdMutex::new(Some(Vec::new())));
    let desk = desk_of(QueueLimit { in_flight_max: 1, rate_per_minute: 0 }, &board);
    let turn = desk.enter().await.unwrap();
    let begin = Instant::now();
    *board.lock().unwrap() = Some(vec![pause("aspsp/"), pause("aspsp/other")]);
    let held = HeldBack::Paused { reason: "night shift".to_owned() };
    assert_eq!(desk.enter().await.err(), Some(held.clone()));
    assert!(begin.elapsed() <= SECOND, "{:?}", begin.elapsed());
    drop(turn);
    *board.lock().unwrap() = Some(vec![pause("aspsp/bank2"), pause("aspsp/ban")]);
    assert_eq!(desk.enter().await.err(), Some(held), "it has not been looked up since");
    Aspsps { desks: Arc::new(BTreeMap::from([("bank".to_owned(), desk.clone())])) }.look_at_pauses().await;
    assert!(desk.enter().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_known_last_holds_while_the_store_is_away() {
    let board = Board::new(StdMutex::new(None));
    let desk = desk_of(QueueLimit { in_flight_max: 1, rate_per_minute: 0 }, &board);
    assert!(matches!(desk.enter().await, Err(HeldBack::Paused { .. })), "nobody knows");
    *board.lock().unwrap() = Some(vec![pause("aspsp/bank")]);
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(desk.paused().await.as_deref(), Some("night shift"));
    *board.lock().unwrap() = None;
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(desk.paused().await.as_deref(), Some("night shift"));
}

#[test]
fn a_verdict_is_about_the_bank_and_not_about_the_consent() {
    let code = || "X".to_owned();
    let unsent = |error| verdict(&told(Err(error), false));
    let sent = |error| verdict(&told(Err(error), true));
    let answers = [
        AspspError::RateLimited { retry_after: None, code: code() },
        AspspError::Unauthorised { code: code() },
        AspspError::Refused { code: code() },
        AspspError::NotFound { code: code() },
        AspspError::Pending,
        AspspError::TooLarge { limit_bytes: 1 },
        AspspError::Unsupported { reason: code() },
    ];
    for error in answers {
        assert_eq!(sent(error.clone()), Some(Verdict::Answered), "{error}");
    }
    for error in [AspspError::Misconfigured { reason: code() }, AspspError::Unreadable { reason: code() }] {
        assert_eq!(sent(error.clone()), Some(Verdict::Failed), "{error}");
    }
    assert_eq!(unsent(AspspError::Misconfigured { reason: code() }), None);
    assert_eq!(unsent(AspspError::Unsupported { reason: code() }), None);
    let refused = AspspError::Unavailable { retry_after: None, reason: "refused".to_owned() };
    assert_eq!(unsent(refused), Some(Verdict::Failed), "nobody took the connection");
    assert_eq!(verdict(&told(Ok(()), true)), Some(Verdict::Answered));
}

fn consent() -> Consent {
    Consent {
        id: ConsentId(Uuid::from_u128(1)),
        tenant_id: TenantId::default(),
        user_id: PsuUserId(Uuid::from_u128(2)),
        aspsp: "bank".to_owned(),
        external_id: "c".to_owned(),
        status: ConsentStatus::Valid,
        reason: None,
        valid_until: None,
        frequency_per_day: 4,
        token_version: 1,
        failing_since: None,
        version: 1,
        created_at: Utc::now(),
        updated_at: Utc::now(),
    }
}

#[test]
fn accesses_are_counted_as_the_bank_counts_them() {
    let consent = consent();
    let of = |counting: &Counting, standard, operation| {
        let (key, quota) = counting.of("bank", standard, &consent, operation, "account")?;
        Some((key.holder_id.as_u128(), key.endpoint, key.resource, quota.limit))
    };
    let counted = |counting: &Counting, operation| of(counting, Standard::BerlinGroup, operation);
    let some = |holder, endpoint: &str, resource: &str, limit| {
        Some((holder, endpoint.to_owned(), resource.to_owned(), limit))
    };
    let usual = counting();
    assert_eq!(counted(&usual, Operation::Accounts), some(1, "accounts", "", 4));
    assert_eq!(counted(&usual, Operation::Transactions), some(1, "transactions", "account", 4));
    assert_eq!(
        counted(&usual, Operation::TransactionsPending),
        some(1, "transactions_pending", "account", 4)
    );
    assert_eq!(counted(&usual, Operation::Balances), some(1, "balances", "account", 4));
    let balances = of(&usual, Standard::PolishApi, Operation::Balances);
    assert_eq!(balances, some(1, "account_details", "account", 4), "it is the same call");
    for free in [Operation::ConsentStatus, Operation::TokenRefresh, Operation::Payment, Operation::Payments] {
        assert_eq!(counted(&usual, free), None, "{free:?}");
    }
    let together = Counting { per_endpoint: false, per_resource: false, limit: 6, ..counting() };
    for operation in [Operation::Accounts, Operation::Balances, Operation::Transactions] {
        assert_eq!(counted(&together, operation), some(1, "", "", 6));
    }
    let lists = Counting { per_list: false, per_user: true, ..counting() };
    assert_eq!(counted(&lists, Operation::TransactionsPending), some(2, "bank:transactions", "account", 4));
    let brazil = EndpointLimits { balances: 420, ..EndpointLimits::default() };
    let brazil = Counting {
        limit: 4,
        window: Window::Month(chrono_tz::America::Sao_Paulo),
        endpoints: brazil,
        ..counting()
    };
    assert_eq!(counted(&brazil, Operation::Balances), some(1, "balances", "account", 420));
    assert_eq!(counted(&brazil, Operation::AccountDetails), some(1, "account_details", "account", 4));
}
