//! What both databases must do about how often banks are asked: never once too often, whoever asks, and written down.

use std::time::Duration;

use bursar::domain::ids::{ConsentId, TenantId};
use bursar::domain::openbanking::payment::PaymentKind;
use bursar::domain::openbanking::quota::{Allowance, Quota, Window};
use bursar::store::openbanking::back_off::BackOff;
use bursar::store::openbanking::forget::Aged;
use bursar::store::openbanking::payment::PaymentDraft;
use bursar::store::openbanking::quota::{AccessWanted, QuotaKey};
use bursar::store::openbanking::session::{ApiCall, SessionEnd, VisitState};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::bank_scene::{ATTEMPTS, BANK, BankScene, later, payment, visit};
use crate::on_both_databases;
use crate::store_openbanking_payments::answer;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    a_quota_is_taken_up_and_no_more,
    a_quota_is_taken_up_after_a_restart_as_before,
    many_at_one_quota_take_what_there_is,
    what_was_not_sent_is_given_back,
    a_back_off_outlives_everything_but_its_time,
    a_run_visits_once_however_often_it_is_begun,
    an_owner_hears_of_the_first_failure_of_a_row,
    failures_that_come_at_once_are_told_once,
    what_was_told_goes_with_what_it_was_about,
    requests_are_written_down_once_and_forgotten_in_time,
);

const DAY: Quota = Quota { limit: 4, window: Window::Rolling(Duration::from_hours(24)) };

fn wanted(holder: Uuid, endpoint: &str, at: DateTime<Utc>) -> AccessWanted {
    AccessWanted {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        aspsp: BANK.to_owned(),
        key: QuotaKey { holder_id: holder, endpoint: endpoint.to_owned(), resource: String::new() },
        quota: DAY,
        now: at,
    }
}

async fn take(scene: &BankScene, items: &[AccessWanted]) -> Vec<Allowance> {
    scene.store.take_accesses(items).await.into_iter().map(|one| one.expect("a store")).collect()
}

async fn a_quota_is_taken_up_and_no_more(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (holder, at) = (Uuid::now_v7(), now());
    let items: Vec<AccessWanted> =
        (0..6).map(|place| wanted(holder, "transactions", later(at, place))).collect();
    let other = wanted(holder, "balances", at);
    let mut all = items.clone();
    all.push(other);
    let until = later(at, 24 * 3_600) + chrono::TimeDelta::microseconds(1);
    let left = [4, 3, 2, 1].map(Allowance::Left);
    let expected =
        [&left[..], &[Allowance::Until(until), Allowance::Until(until), Allowance::Left(4)]].concat();
    assert_eq!(take(&scene, &all).await, expected);
    assert_eq!(take(&scene, &[wanted(holder, "transactions", later(until, 0))]).await, [Allowance::Left(1)]);
    let made = scene.store.accesses_of(holder, at).await.expect("a list");
    assert_eq!(made.len(), 6);
    assert_eq!(take(&scene, &[wanted(Uuid::now_v7(), "transactions", at)]).await, [Allowance::Left(4)]);
}

async fn a_quota_is_taken_up_after_a_restart_as_before(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (holder, at) = (Uuid::now_v7(), now());
    let items: Vec<AccessWanted> = (0..3).map(|_| wanted(holder, "transactions", at)).collect();
    take(&scene, &items).await;
    let BankScene { database, store, runner } = scene;
    store.close().await.expect("closed");
    drop(store);
    let scene = BankScene { store: database.open().await, database, runner };
    let two = [wanted(holder, "transactions", at), wanted(holder, "transactions", at)];
    let allowed = take(&scene, &two).await;
    assert_eq!(allowed[0], Allowance::Left(1));
    assert!(matches!(allowed[1], Allowance::Until(_)));
}

async fn many_at_one_quota_take_what_there_is(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (one, another, at) = (Uuid::now_v7(), Uuid::now_v7(), now());
    // On PostgreSQL a second process; each asks for both, in its own order.
    let second = if kind == Kind::PostgreSql { scene.database.open().await } else { scene.store.clone() };
    let tries: Vec<_> = (0..10)
        .map(|number| {
            let store = if number % 2 == 0 { scene.store.clone() } else { second.clone() };
            let mut items = vec![wanted(one, "transactions", at), wanted(another, "transactions", at)];
            if number % 2 == 0 {
                items.reverse();
            }
            tokio::spawn(async move { store.take_accesses(&items).await })
        })
        .collect();
    let mut taken = 0;
    for one in tries {
        for allowance in one.await.expect("no panic") {
            taken += usize::from(matches!(allowance.expect("a store"), Allowance::Left(_)));
        }
    }
    assert_eq!(taken, 8);
    assert_eq!(scene.texts("select count(*) || '' as text from quota_access").await, ["8"]);
}

async fn what_was_not_sent_is_given_back(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (holder, at) = (Uuid::now_v7(), now());
    let items: Vec<AccessWanted> = (0..4).map(|_| wanted(holder, "transactions", at)).collect();
    take(&scene, &items).await;
    assert!(matches!(take(&scene, &[wanted(holder, "transactions", at)]).await[0], Allowance::Until(_)));
    assert_eq!(scene.store.give_accesses_back(&[items[0].id]).await.expect("given back"), 1);
    assert_eq!(scene.store.give_accesses_back(&[items[0].id]).await.expect("not twice"), 0);
    assert_eq!(take(&scene, &[wanted(holder, "transactions", at)]).await, [Allowance::Left(1)]);
}

async fn a_back_off_outlives_everything_but_its_time(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (consent, at) = (ConsentId(Uuid::now_v7()), now());
    let back_off = |until: i64| BackOff {
        consent_id: consent,
        tenant_id: TenantId::default(),
        aspsp: BANK.to_owned(),
        endpoint: "transactions".to_owned(),
        blocked_until: later(at, until),
        reason: "access_exceeded".to_owned(),
        set_at: at,
    };
    assert_eq!(scene.store.set_back_offs(&[back_off(600)]).await.expect("set"), 1);
    assert_eq!(scene.store.set_back_offs(&[back_off(60)]).await.expect("the later counts"), 0);
    let BankScene { database, store, .. } = scene;
    store.close().await.expect("closed");
    drop(store);
    let store = database.open().await;
    assert_eq!(store.back_offs(&[consent], at).await.expect("a list"), [back_off(600)]);
    assert!(store.back_offs(&[consent], later(at, 600)).await.expect("a list").is_empty());
    let cleared = [(consent, "balances".to_owned())];
    assert_eq!(store.clear_back_offs(&cleared).await.expect("none there"), 0);
    let cleared = [(consent, "transactions".to_owned())];
    assert_eq!(store.clear_back_offs(&cleared).await.expect("cleared"), 1);
    assert!(store.back_offs(&[consent], at).await.expect("a list").is_empty());
}

async fn a_run_visits_once_however_often_it_is_begun(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let run = Uuid::now_v7();
    let mut visits = Vec::new();
    // Five customers with two consents each are ten visits.
    for number in 0..5 {
        let user = scene.user(&format!("customer {number}")).await;
        for bank in ["a", "b"] {
            let consent = scene.consent(user, &format!("{number} at {bank}")).await;
            visits.push(visit(user, consent, run));
        }
    }
    let opened = scene.store.open_api_sessions(&visits).await;
    for (visit, opened) in visits.iter().zip(opened) {
        assert_eq!(opened.expect("open"), *visit);
    }
    let again: Vec<_> = visits.iter().map(|one| visit(one.user_id, one.consent_id, run)).collect();
    for (visit, opened) in visits.iter().zip(scene.store.open_api_sessions(&again).await) {
        assert_eq!(opened.expect("open").id, visit.id, "the one that there was");
    }
    assert_eq!(scene.store.visits_of_run(run).await.expect("counts"), [("open".to_owned(), 10)]);
    let page = scene.store.api_sessions_of_run(run, None, 100).await.expect("a page");
    assert_eq!(page.len(), 10);
    assert!(page.iter().all(|visit| visit.source == 3));
}

fn end(visit: &bursar::store::openbanking::session::ApiSession, state: VisitState) -> SessionEnd {
    SessionEnd {
        id: visit.id,
        state,
        reason: (state != VisitState::Ok).then(|| "unavailable: no answer".to_owned()),
        news: 3,
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    }
}

async fn an_owner_hears_of_the_first_failure_of_a_row(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    use VisitState::{Failed, Ok, RateLimited};
    for (state, expected) in [(Failed, 1), (RateLimited, 1), (Failed, 1), (Ok, 1), (Ok, 1), (Failed, 2)] {
        let visit = visit(user, consent, Uuid::now_v7());
        scene.store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
        let ends = [end(&visit, state), end(&visit, Failed)];
        assert!(scene.store.close_api_sessions(&ends[..1]).await.remove(0).expect("a store"));
        assert!(!scene.store.close_api_sessions(&ends[1..]).await.remove(0).expect("it had ended"));
        assert_eq!(scene.news().await, vec!["sync.failed"; expected], "{state:?}");
    }
    let page =
        scene.store.api_sessions(&TenantId::default(), Some(consent), None, 100).await.expect("a page");
    assert_eq!((page.len(), page[0].state, page[0].news), (6, Failed, 3));
}

async fn failures_that_come_at_once_are_told_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    let visits: Vec<_> = (0..3).map(|_| visit(user, consent, Uuid::now_v7())).collect();
    for opened in scene.store.open_api_sessions(&visits).await {
        opened.expect("open");
    }
    let mut ends: Vec<SessionEnd> = visits.iter().map(|one| end(one, VisitState::Failed)).collect();
    ends.push(ends[0].clone());
    let closed = scene.store.close_api_sessions(&ends).await;
    let closed: Vec<bool> = closed.into_iter().map(|one| one.expect("a store")).collect();
    assert_eq!(closed, [true, true, true, false]);
    assert_eq!(scene.news().await, ["sync.failed"]);
}

/// What an owner was told names the customer: it does not outlive by what it would be found.
async fn what_was_told_goes_with_what_it_was_about(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    let visit = visit(user, consent, Uuid::now_v7());
    scene.store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
    scene.store.close_api_sessions(&[end(&visit, VisitState::Failed)]).await.remove(0).expect("closed");
    let bundle = scene.tracks(PaymentDraft { kind: PaymentKind::Bundle, ..payment("bundle") }).await;
    let of_anna = PaymentDraft { user_id: Some(user), parent_id: Some(bundle), ..payment("one") };
    let one = scene.tracks(of_anna).await;
    for word in [answer(one, "ACSC"), answer(bundle, "ACSP")] {
        scene.store.settle_payments(&[word]).await.remove(0).expect("a store");
    }
    let soon = later(now(), 1);
    let forgets = async |what| scene.store.forget_aged(what, soon, 10).await.expect("a store");
    assert_eq!(
        forgets(Aged::Sessions).await + forgets(Aged::Payments).await,
        0,
        "its owner is still to be told"
    );
    assert_eq!(scene.delivers().await, 2);
    assert_eq!(forgets(Aged::Payments).await, 0, "its bundle goes on");
    assert_eq!(forgets(Aged::Sessions).await, 1);
    let left = scene
        .texts("select subject_kind as text from subject_event union all select subject_kind from delivery")
        .await;
    assert_eq!(left, ["payment", "payment"]);
    scene.store.settle_payments(&[answer(bundle, "RJCT")]).await.remove(0).expect("a store");
    assert_eq!(forgets(Aged::Payments).await, 1, "of the bundle its owner is still to be told");
    let left = scene.texts("select event_type as text from subject_event").await;
    assert_eq!(left, ["payment.rejected"]);
    assert_eq!((scene.count("delivery").await, scene.count("payment").await), (1, 1));
}

async fn requests_are_written_down_once_and_forgotten_in_time(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    let visit = visit(user, consent, Uuid::now_v7());
    scene.store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
    let call = |status: Option<u16>, in_visit: bool| ApiCall {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        session_id: in_visit.then_some(visit.id),
        run_id: Some(visit.run_id),
        aspsp: BANK.to_owned(),
        endpoint: "transactions".to_owned(),
        account_id: None,
        request_id: Some(Uuid::now_v7()),
        status,
        duration_us: 12_345,
        limits: status.map(|_| "{\"x-ratelimit-remaining\":\"3\"}".to_owned()),
        error: status.is_none().then(|| "no answer".to_owned()),
        sent_at: now(),
    };
    let calls = vec![call(Some(200), true), call(None, true), call(Some(429), false)];
    for _ in 0..2 {
        scene.store.record_api_calls(&calls).await.expect("written down");
    }
    let tenant = TenantId::default();
    assert_eq!(scene.store.api_calls(&tenant, visit.id, 10).await.expect("a page"), calls[..2]);
    assert_eq!(scene.store.api_calls_of_run(&tenant, visit.run_id, 10).await.expect("a page"), calls);
    for what in Aged::ALL {
        assert_eq!(
            scene.store.forget_aged(what, visit.started_at, 10).await.expect("a store"),
            0,
            "{what:?}"
        );
    }
    let soon = later(now(), 1);
    assert_eq!(scene.store.forget_aged(Aged::Calls, soon, 2).await.expect("a store"), 2, "a slice");
    assert_eq!(scene.store.forget_aged(Aged::Calls, soon, 2).await.expect("a store"), 1);
    assert_eq!(scene.store.forget_aged(Aged::Sessions, soon, 2).await.expect("a store"), 1);
}
