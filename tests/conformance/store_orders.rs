//! What both databases must do with orders and decisions about boletos: every status allows what the drawing draws and no
//! more, what is refused leaves nothing behind, and what an attempt came to is written down once, under its fence.

use bursar::domain::boleto::BankResponse;
use bursar::domain::boleto::amendment::Amendment;
use bursar::domain::boleto::order::{OrderState, Wish};
use bursar::domain::boleto::payment::{Payment, PaymentSource};
use bursar::domain::boleto::status::{Resolution, Status};
use bursar::domain::ids::{BoletoId, EventId, OrderId, RunnerId, TenantId, WorkId};
use bursar::domain::money::Cents;
use bursar::domain::work::{Claim, NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::audit::{ResolveDraft, Resolved};
use bursar::store::boleto::BoletoDraft;
use bursar::store::boleto_order::{OrderDraft, OrderPayload, Placed, order_key};
use bursar::store::boleto_order_settle::{Effect, OrderChange, OrderSettled, OrderSettlement};
use bursar::store::boleto_payment::NewPayment;
use bursar::store::boleto_settle::{Change, Settlement};
use bursar::store::request_key::RequestKey;
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::store::work_steer::RegisterAgain;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

on_both_databases!(
    every_status_allows_what_is_drawn_and_no_more,
    an_order_never_ends_a_boleto_that_has_ended,
    what_is_refused_leaves_nothing_behind,
    the_same_order_is_placed_once_by_twenty_at_once,
    an_outcome_is_written_down_once_under_its_fence,
    a_registration_that_lives_again_comes_before_a_cancellation,
    an_order_whose_work_is_gone_is_given_up,
    an_amendment_changes_terms_and_codes,
);

struct Bench {
    _database: TestDatabase,
    store: Store,
    runner: RunnerId,
    account: bursar::domain::bank_account::BankAccount,
}

impl Bench {
    async fn open(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let account = bank_account("3128557");
        store.create_bank_account(&account, 1, None).await.expect("an account");
        let runner = runner(&store).await;
        Self { _database: database, store, runner, account }
    }

    /// A boleto that has come so far, by the ways that lead there.
    async fn boleto(&self, status: Status) -> BoletoDraft {
        let made = draft(&self.account);
        let created = self.store.create_boletos(std::slice::from_ref(&made)).await.remove(0);
        created.expect("made");
        let decided = match status {
            Status::Issued => return made,
            Status::PendingRegistration => {
                let event = EventId(Uuid::now_v7());
                let changed = self.store.mark_pending(&made.tenant_id, made.id, event, now()).await;
                assert!(changed.expect("a store"));
                return made;
            }
            Status::Cancelled => {
                let placed = self.store.place_order(&order(&made, Wish::Cancel)).await.expect("a store");
                assert_eq!(placed, Placed::CancelledAtOnce);
                return made;
            }
            Status::Paid => Status::Registered,
            other => other,
        };
        let claim = self.claim("registration/", kind::BOLETO_REGISTER).await;
        assert_eq!(claim.subject_id, made.id.0);
        let settlement = Settlement {
            claim,
            event_id: EventId(Uuid::now_v7()),
            change: Change::Decided { status: decided, response: None, given: Box::default() },
            delivery_attempts_max: 5,
            now: now(),
        };
        self.store.settle_registrations(&[settlement]).await.remove(0).expect("settled");
        if status == Status::Paid {
            self.store.record_payments(&[payment(made.id)]).await.remove(0).expect("recorded");
        }
        made
    }

    async fn claim(&self, prefix: &str, kind: &'static str) -> Claim {
        let request = ClaimRequest {
            runner_id: self.runner,
            queue_from: prefix.to_owned(),
            queue_until: end_of_prefix(prefix),
            free_per_queue: 1,
            busy: vec![],
            tenants_full: vec![],
            kind,
            limit: 1,
        };
        self.store.claim(&request).await.expect("claims").pop().expect("something due")
    }

    async fn status(&self, id: BoletoId) -> (Status, i64) {
        let stored = self.store.boleto(&self.account.tenant_id, id).await.expect("a store");
        let boleto = stored.expect("a boleto").boleto;
        (boleto.status, boleto.version)
    }

    /// The events of a boleto, whose versions must count up to its own.
    async fn events(&self, id: BoletoId) -> Vec<String> {
        let changes = self.store.changes_of(&self.account.tenant_id, id).await.expect("changes");
        let versions: Vec<i64> = changes.iter().map(|change| change.version).collect();
        assert_eq!(versions, (1..=self.status(id).await.1).collect::<Vec<_>>());
        changes.into_iter().map(|change| change.event_type).collect()
    }

    async fn order_state(&self, id: BoletoId) -> OrderState {
        let orders = self.store.orders(&self.account.tenant_id, id).await.expect("orders");
        orders.last().expect("an order").state
    }
}

fn order(boleto: &BoletoDraft, wish: Wish) -> OrderDraft {
    let (id, now) = (OrderId(Uuid::now_v7()), now());
    OrderDraft {
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: boleto.tenant_id.clone(),
        boleto_id: boleto.id,
        version: 0,
        request: None,
        wish,
        reason: "sold twice".to_owned(),
        bank_cannot: None,
        work: NewWork {
            id: WorkId(Uuid::now_v7()),
            kind: kind::BOLETO_ORDER,
            queue: format!("order/banco_do_brasil/{}", boleto.bank_account_id),
            unique_key: Some(order_key(boleto.id)),
            payload: serde_json::to_string(&OrderPayload { order_id: id }).expect("JSON"),
            run_at: now,
            created_at: now,
            ..boleto.work.clone()
        },
        delivery_attempts_max: 5,
        now,
    }
}

fn amendment(boleto: &BoletoDraft) -> Wish {
    let due_date = boleto.due_date + chrono::Days::new(3);
    Wish::Amend(Box::new(Amendment { amount: boleto.amount, due_date, charges: Default::default() }))
}

fn payment(boleto_id: BoletoId) -> NewPayment {
    NewPayment {
        tenant_id: TenantId::default(),
        payment: a_payment(boleto_id),
        event_id: EventId(Uuid::now_v7()),
        expected_version: 0,
        request: None,
        delivery_attempts_max: 5,
        traceparent: None,
    }
}

fn a_payment(boleto_id: BoletoId) -> Payment {
    Payment {
        id: Uuid::now_v7(),
        boleto_id,
        amount: Cents(12_590),
        paid_on: chrono::NaiveDate::from_ymd_opt(2031, 5, 19).expect("a date"),
        is_partial: false,
        source: PaymentSource::Bank,
        external_id: "paid:2031-05-19".to_owned(),
        response_code: None,
        created_at: now(),
    }
}

fn settlement(claim: &Claim, order_id: OrderId, change: OrderChange) -> OrderSettlement {
    OrderSettlement {
        claim: claim.clone(),
        order_id,
        reason: "sold twice".to_owned(),
        event_id: EventId(Uuid::now_v7()),
        change,
        delivery_attempts_max: 5,
        now: now(),
    }
}

fn ended(state: OrderState, effect: Effect) -> OrderChange {
    let response = Some(BankResponse { code: "7".to_owned(), message: "baixado".to_owned() });
    OrderChange::Ended { state, response, effect }
}

fn resolve(boleto: &BoletoDraft, resolution: Resolution) -> ResolveDraft {
    ResolveDraft {
        id: Uuid::now_v7(),
        event_id: EventId(Uuid::now_v7()),
        tenant_id: boleto.tenant_id.clone(),
        boleto_id: boleto.id,
        version: 0,
        request: None,
        resolution,
        reason: "the desk says so".to_owned(),
        traceparent: None,
        delivery_attempts_max: 5,
        now: now(),
    }
}

async fn every_status_allows_what_is_drawn_and_no_more(kind: Kind) {
    let bench = Bench::open(kind).await;
    for status in Status::ALL {
        let boleto = bench.boleto(status).await;
        let before = bench.status(boleto.id).await;
        assert_eq!(before.0, status);

        let amended = bench.store.place_order(&order(&boleto, amendment(&boleto))).await.expect("a store");
        let may_be_amended = status == Status::Registered;
        let expected = if may_be_amended { Placed::Ordered } else { Placed::NotOpen(status) };
        assert_eq!(amended, expected, "{status:?}");
        if may_be_amended {
            let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
            let order = bench.store.orders(&boleto.tenant_id, boleto.id).await.expect("orders").remove(0);
            let refused = settlement(&claim, order.id, ended(OrderState::Refused, Effect::None));
            bench.store.settle_orders(&[refused]).await.remove(0).expect("settled");
        }

        for resolution in [Resolution::Registered, Resolution::Refused, Resolution::Cancelled] {
            if status != Status::NeedsReview {
                let answer = bench.store.resolve_boleto(&resolve(&boleto, resolution)).await;
                assert_eq!(answer.expect("a store"), Resolved::NotInReview(status), "{status:?}");
                continue;
            }
            let fresh = bench.boleto(status).await;
            let answer = bench.store.resolve_boleto(&resolve(&fresh, resolution)).await;
            assert_eq!(answer.expect("a store"), Resolved::Done, "{resolution:?}");
            let led_to = status.resolve(resolution).expect("it may be resolved");
            assert_eq!(bench.status(fresh.id).await.0, led_to);
            assert_eq!(bench.events(fresh.id).await.last(), Some(&format!("boleto.{}", led_to.as_str())));
        }

        let cancelled = bench.store.place_order(&order(&boleto, Wish::Cancel)).await.expect("a store");
        let expected = match status {
            Status::Issued | Status::PendingRegistration => Placed::CancelledAtOnce,
            Status::Registered => Placed::Ordered,
            other => Placed::NotOpen(other),
        };
        assert_eq!(cancelled, expected, "{status:?}");
        if expected == Placed::Ordered {
            bench.claim("order/", kind::BOLETO_ORDER).await;
        }
        bench.events(boleto.id).await;
    }
}

async fn an_order_never_ends_a_boleto_that_has_ended(kind: Kind) {
    let bench = Bench::open(kind).await;
    let effects = |boleto: &bursar::domain::boleto::Boleto| {
        [Effect::Cancelled, Effect::CancelledUnfiled, Effect::Amended(Box::new(boleto.clone()))]
    };
    for index in 0..3 {
        let boleto = bench.boleto(Status::Registered).await;
        let placed = order(&boleto, Wish::Cancel);
        assert_eq!(bench.store.place_order(&placed).await.expect("a store"), Placed::Ordered);
        let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
        bench.store.record_payments(&[payment(boleto.id)]).await.remove(0).expect("recorded");
        let (status, version) = bench.status(boleto.id).await;
        assert_eq!(status, Status::Paid);
        let stored = bench.store.boleto(&boleto.tenant_id, boleto.id).await.expect("a store");
        let effect = effects(&stored.expect("a boleto").boleto)[index].clone();
        let done = settlement(&claim, placed.id, ended(OrderState::Done, effect));
        let settled = bench.store.settle_orders(&[done]).await.remove(0).expect("settled");
        assert_eq!(settled, OrderSettled::Done);
        assert_eq!(bench.status(boleto.id).await, (Status::Paid, version), "what was paid stays so");
        assert_eq!(bench.order_state(boleto.id).await, OrderState::Done, "the bank did it all the same");
        bench.events(boleto.id).await;
    }
}

async fn what_is_refused_leaves_nothing_behind(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::Registered).await;
    let key = RequestKey {
        tenant_id: boleto.tenant_id.clone(),
        method: "CancelBoleto",
        request_id: "once".to_owned(),
        body_hash: b"body".to_vec(),
    };
    let keyed = || OrderDraft { request: Some(key.clone()), ..order(&boleto, Wish::Cancel) };
    let stale = OrderDraft { version: 1, ..keyed() };
    let answer = bench.store.place_order(&stale).await.expect("a store");
    assert_eq!(answer, Placed::VersionChanged { version: 2 });
    let unable = OrderDraft { bank_cannot: Some("not this bank".to_owned()), ..keyed() };
    let answer = bench.store.place_order(&unable).await.expect("a store");
    assert_eq!(answer, Placed::NotSupported("not this bank".to_owned()));
    let unknown = OrderDraft { boleto_id: BoletoId(Uuid::now_v7()), ..keyed() };
    assert_eq!(bench.store.place_order(&unknown).await.expect("a store"), Placed::NotFound);
    let foreign = OrderDraft { tenant_id: TenantId::parse("another").expect("a tenant"), ..keyed() };
    assert_eq!(bench.store.place_order(&foreign).await.expect("a store"), Placed::NotFound);
    assert!(bench.store.find_request(&key).await.expect("a store").is_none());
    assert!(bench.store.orders(&boleto.tenant_id, boleto.id).await.expect("orders").is_empty());

    let first = keyed();
    assert_eq!(bench.store.place_order(&first).await.expect("a store"), Placed::Ordered);
    assert_eq!(bench.store.place_order(&keyed()).await.expect("a store"), Placed::Before(first.id));
    let other =
        OrderDraft { request: Some(RequestKey { body_hash: b"x".to_vec(), ..key.clone() }), ..keyed() };
    assert_eq!(bench.store.place_order(&other).await.expect("a store"), Placed::OtherBody);
    let second = order(&boleto, amendment(&boleto));
    assert_eq!(bench.store.place_order(&second).await.expect("a store"), Placed::OrderPending);
    assert_eq!(bench.store.orders(&boleto.tenant_id, boleto.id).await.expect("orders").len(), 1);
}

async fn the_same_order_is_placed_once_by_twenty_at_once(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::Registered).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, wanted) = (bench.store.clone(), order(&boleto, Wish::Cancel));
        callers.spawn(async move { store.place_order(&wanted).await.expect("a store") });
    }
    let answers = callers.join_all().await;
    let placed = answers.iter().filter(|answer| **answer == Placed::Ordered).count();
    let pending = answers.iter().filter(|answer| **answer == Placed::OrderPending).count();
    assert_eq!((placed, pending), (1, 19), "{answers:?}");
}

async fn an_outcome_is_written_down_once_under_its_fence(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::Registered).await;
    let placed = order(&boleto, Wish::Cancel);
    bench.store.place_order(&placed).await.expect("a store");
    let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
    let stale = Claim { fence: claim.fence - 1, ..claim.clone() };
    let change = || ended(OrderState::Done, Effect::Cancelled);
    let later = OrderChange::Later {
        run_at: now(),
        state: WorkState::Retryable,
        error: "away".to_owned(),
        attempt_counts: true,
    };
    let lost = bench.store.settle_orders(&[settlement(&stale, placed.id, change())]).await.remove(0);
    assert_eq!(lost.expect("an answer"), OrderSettled::LostLease);
    assert_eq!(bench.status(boleto.id).await.0, Status::Registered);
    let back = bench.store.settle_orders(&[settlement(&claim, placed.id, later)]).await.remove(0);
    assert_eq!(back.expect("an answer"), OrderSettled::Done);
    assert_eq!(bench.order_state(boleto.id).await, OrderState::Pending);
    bench.store.promote_due(now() + chrono::Duration::seconds(1)).await.expect("promoted");

    let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
    assert!(!bench.store.work_ended_by(&claim).await.expect("a store"));
    let item = settlement(&claim, placed.id, change());
    for expected in [OrderSettled::Done, OrderSettled::LostLease] {
        let settled = bench.store.settle_orders(std::slice::from_ref(&item)).await.remove(0);
        assert_eq!(settled.expect("an answer"), expected);
    }
    assert!(bench.store.work_ended_by(&claim).await.expect("a store"), "what is asked after a lost commit");
    assert_eq!(bench.status(boleto.id).await, (Status::Cancelled, 3));
    let wanted = ["boleto.issued", "boleto.registered", "boleto.cancelled"];
    assert_eq!(bench.events(boleto.id).await, wanted);
    let order = bench.store.order(&boleto.tenant_id, boleto.id, placed.id).await.expect("a store");
    let order = order.expect("an order");
    assert_eq!((order.state, order.response.expect("an answer").code), (OrderState::Done, "7".to_owned()));
}

async fn a_registration_that_lives_again_comes_before_a_cancellation(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::PendingRegistration).await;
    let claim = bench.claim("registration/", kind::BOLETO_REGISTER).await;
    let given_up = Settlement {
        claim: claim.clone(),
        event_id: EventId(Uuid::now_v7()),
        change: Change::GivenUp { error: "spent".to_owned() },
        delivery_attempts_max: 5,
        now: now(),
    };
    bench.store.settle_registrations(&[given_up]).await.remove(0).expect("settled");
    let placed = order(&boleto, Wish::Cancel);
    assert_eq!(bench.store.place_order(&placed).await.expect("a store"), Placed::Ordered);
    let again = NewWork { id: WorkId(Uuid::now_v7()), ..boleto.work.clone() };
    let answer = bench.store.register_again(&again).await.expect("a store");
    assert_eq!(answer, RegisterAgain::OrderPending, "it is about to be cancelled");
    let order_claim = bench.claim("order/", kind::BOLETO_ORDER).await;
    // An operator revives the dead letter while the bank is looked up.
    bench.store.retry_work(claim.id, "the bank is back", now()).await.expect("revived");
    let unfiled = settlement(&order_claim, placed.id, ended(OrderState::Done, Effect::CancelledUnfiled));
    let settled = bench.store.settle_orders(&[unfiled]).await.remove(0).expect("an answer");
    assert_eq!(settled, OrderSettled::Done);
    assert_eq!(bench.status(boleto.id).await.0, Status::PendingRegistration, "it may be registered yet");
    assert_eq!(bench.order_state(boleto.id).await, OrderState::Pending);
}

async fn an_order_whose_work_is_gone_is_given_up(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::Registered).await;
    let first = order(&boleto, Wish::Cancel);
    bench.store.place_order(&first).await.expect("a store");
    bench.store.cancel_work(first.work.id, "not now", now()).await.expect("cancelled");
    assert_eq!(bench.order_state(boleto.id).await, OrderState::GivenUp);
    let pending = bench.store.pending_order(&boleto.tenant_id, boleto.id).await.expect("a store");
    assert!(pending.is_none());
    let second = order(&boleto, Wish::Cancel);
    assert_eq!(bench.store.place_order(&second).await.expect("a store"), Placed::Ordered);
    let orders = bench.store.orders(&boleto.tenant_id, boleto.id).await.expect("orders");
    let states: Vec<OrderState> = orders.iter().map(|order| order.state).collect();
    assert_eq!(states, [OrderState::GivenUp, OrderState::Pending]);
    let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
    let spent = OrderChange::GivenUp { error: "spent".to_owned() };
    bench.store.settle_orders(&[settlement(&claim, second.id, spent)]).await.remove(0).expect("settled");
    assert_eq!(bench.order_state(boleto.id).await, OrderState::GivenUp);
}

async fn an_amendment_changes_terms_and_codes(kind: Kind) {
    let bench = Bench::open(kind).await;
    let boleto = bench.boleto(Status::Registered).await;
    let placed = order(&boleto, amendment(&boleto));
    bench.store.place_order(&placed).await.expect("a store");
    let Wish::Amend(amendment) = &placed.wish else { panic!("an amendment") };
    let read = || async {
        let stored = bench.store.boleto(&boleto.tenant_id, boleto.id).await.expect("a store");
        stored.expect("a boleto").boleto
    };
    let before = read().await;
    let kept = bench.store.order(&boleto.tenant_id, boleto.id, placed.id).await.expect("a store");
    assert_eq!(kept.expect("an order").wish, placed.wish);
    let amended = amendment.apply(&before).expect("an amended boleto");
    let claim = bench.claim("order/", kind::BOLETO_ORDER).await;
    let done = ended(OrderState::Done, Effect::Amended(Box::new(amended.clone())));
    bench.store.settle_orders(&[settlement(&claim, placed.id, done)]).await.remove(0).expect("settled");
    let after = read().await;
    assert_eq!((after.due_date, &after.codes), (amendment.due_date, &amended.codes));
    assert_ne!(after.codes, before.codes);
    assert_eq!((after.status, after.version), (Status::Registered, before.version + 1));
    assert_eq!(bench.events(boleto.id).await.last().map(String::as_str), Some("boleto.amended"));
}
