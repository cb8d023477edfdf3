//! What both databases must do about payments: ask about what is due, end what has ended once, and tell who wants to know.

use std::time::Duration;

use bursar::domain::event::OF_OPEN_BANKING;
use bursar::domain::ids::{PaymentId, TenantId};
use bursar::domain::openbanking::payment::{
    AgeLadder, Meaning, PaymentKind, PaymentState, Vocabulary, meaning,
};
use bursar::store::openbanking::forget::Aged;
use bursar::store::openbanking::list::PaymentFilter;
use bursar::store::openbanking::notice::ConsentEnd;
use bursar::store::openbanking::outcome::{Answer, Answered, PaymentAnswer};
use bursar::store::openbanking::payment::{PaymentDraft, Tracked};
use bursar::store::openbanking::resolve::{PaymentDecision, PaymentResolved};
use bursar::store::openbanking::session::{SessionEnd, VisitState};
use bursar::store::request_key::RequestKey;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::bank_scene::{ATTEMPTS, BANK, BankScene, consent, later, payment, visit};
use crate::on_both_databases;
use crate::peers::judge;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    a_payment_is_followed_once,
    a_run_asks_about_what_is_due_bank_by_bank,
    an_end_is_an_end_whoever_comes_second,
    a_word_that_nobody_knows_ends_nothing,
    a_bundle_ends_with_its_last_child,
    children_that_end_at_once_end_their_bundle_once,
    bundles_and_their_children_are_never_waited_for_crosswise,
    two_answers_in_one_group_end_a_payment_once,
    a_name_that_another_payment_has_is_not_taken_over,
    what_nobody_knows_is_ended_by_hand,
    every_event_is_as_its_schema_says,
);

const DAY: Duration = Duration::from_hours(24);
const LADDER: AgeLadder = AgeLadder {
    young_until: Duration::from_hours(7 * 24),
    then_every: DAY,
    given_up_after: Duration::from_hours(30 * 24),
};

pub fn answer(id: PaymentId, word: &str) -> PaymentAnswer {
    let meaning = meaning(Vocabulary::Iso20022, word);
    with(id, Answer::Status { raw: word.to_owned(), meaning })
}

fn with(id: PaymentId, answer: Answer) -> PaymentAnswer {
    PaymentAnswer {
        id,
        tenant_id: TenantId::default(),
        answer,
        external_id: None,
        next_ask_at: now(),
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    }
}

async fn settle(scene: &BankScene, items: &[PaymentAnswer]) -> Vec<Answered> {
    scene.store.settle_payments(items).await.into_iter().map(|one| one.expect("a store")).collect()
}

async fn a_payment_is_followed_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let first = payment("one");
    let over =
        PaymentDraft { state: PaymentState::Done, raw_status: Some("ACSC".to_owned()), ..payment("two") };
    let tracked = scene.store.track_payments(&[first.clone(), over.clone()]).await;
    let tracked: Vec<Tracked> = tracked.into_iter().map(|one| one.expect("a store")).collect();
    assert_eq!(tracked, [Tracked::New(first.id), Tracked::New(over.id)]);
    let again = [payment("one"), payment("three"), payment("two")];
    let tracked = scene.store.track_payments(&again).await;
    let tracked: Vec<Tracked> = tracked.into_iter().map(|one| one.expect("a store")).collect();
    let known = |draft: &PaymentDraft| Tracked::Known(draft.id, draft.state);
    assert_eq!(tracked, [known(&first), Tracked::New(again[1].id), known(&over)]);
    assert!(scene.news().await.is_empty(), "of what ended elsewhere nobody is told");
    let filter =
        PaymentFilter { state: Some(PaymentState::InProgress), aspsp: Some(BANK.to_owned()), user_id: None };
    let page = scene.store.tracked_payments(&TenantId::default(), &filter, None, 10).await.expect("a page");
    assert_eq!(page.iter().map(|one| one.id).collect::<Vec<_>>(), [again[1].id, first.id]);
}

async fn due(scene: &BankScene, aspsp: &str, run_began: DateTime<Utc>) -> Vec<PaymentId> {
    let page = scene.store.payments_due(aspsp, run_began, None, 100).await.expect("a page");
    page.into_iter().map(|one| one.id).collect()
}

async fn a_run_asks_about_what_is_due_bank_by_bank(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let at = now();
    let made = |name: &str, aspsp: &str, days: i64| {
        let made_at = at - TimeDelta::days(days);
        PaymentDraft { aspsp: aspsp.to_owned(), made_at, now: made_at, ..payment(name) }
    };
    let young = scene.tracks(made("young", "a", 1)).await;
    let old = scene.tracks(made("old", "a", 10)).await;
    let others = scene.tracks(made("others", "c", 2)).await;
    let ended = scene.tracks(made("ended", "b", 1)).await;
    settle(&scene, &[answer(ended, "ACSC")]).await;
    assert_eq!(scene.store.aspsps_with_payments_due(at).await.expect("banks"), ["a", "c"]);
    assert_eq!(due(&scene, "a", at).await, [old, young], "longest waiting first");
    assert_eq!(due(&scene, "c", at).await, [others]);
    let asked = |id, days| {
        let next_ask_at = LADDER.next_ask(at - TimeDelta::days(days), at);
        PaymentAnswer { next_ask_at, now: at, ..answer(id, "ACSP") }
    };
    assert_eq!(settle(&scene, &[asked(young, 1), asked(old, 10)]).await, [Answered::InProgress; 2]);
    assert!(due(&scene, "a", at).await.is_empty(), "nobody is asked twice in one run");
    assert_eq!(scene.store.aspsps_with_payments_due(at).await.expect("banks"), ["c"]);
    assert_eq!(due(&scene, "a", later(at, 6 * 3_600)).await, [young]);
    assert_eq!(due(&scene, "a", later(at, 25 * 3_600)).await, [young, old]);
    let run = later(at, 25 * 3_600);
    let first = scene.store.payments_due("a", run, None, 1).await.expect("a page").remove(0);
    let behind = Some((first.next_ask_at, first.id));
    let second = scene.store.payments_due("a", run, behind, 1).await.expect("a page").remove(0);
    assert_eq!((first.id, second.id), (young, old), "who could not be asked stays behind the cursor");
    assert_eq!((second.asks, second.raw_status.as_deref()), (1, Some("ACSP")));
}

async fn an_end_is_an_end_whoever_comes_second(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let id = scene.tracks(payment("one")).await;
    let tries: Vec<_> = ["RJCT", "ACSC", "CANC", "ACSP", "RJCT", "ACCC"]
        .map(|word| {
            let store = scene.store.clone();
            tokio::spawn(async move {
                store.settle_payments(&[answer(id, word)]).await.remove(0).expect("a store")
            })
        })
        .into();
    let mut ends = Vec::new();
    for one in tries {
        if let Answered::Ended(state) = one.await.expect("no panic") {
            ends.push(state);
        }
    }
    assert_eq!(ends.len(), 1);
    let seen = scene.payment(id).await;
    assert_eq!((seen.state, seen.token_sealed.clone()), (ends[0], None), "nobody needs its token any more");
    assert_eq!(scene.news().await, [format!("payment.{}", ends[0].as_str())]);
    for word in ["ACSP", "RJCT", "ACSC"] {
        assert_eq!(settle(&scene, &[answer(id, word)]).await, [Answered::Before(ends[0])]);
    }
    assert_eq!(scene.payment(id).await, seen, "an end is not touched");
    let nobody = PaymentId(Uuid::now_v7());
    assert_eq!(settle(&scene, &[answer(nobody, "ACSC")]).await, [Answered::NotFound]);
    let soon = later(now(), 1);
    assert_eq!(scene.delivers().await, 1);
    assert_eq!(scene.store.forget_aged(Aged::Payments, soon, 10).await.expect("a store"), 1);
}

async fn a_word_that_nobody_knows_ends_nothing(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let id = scene.tracks(payment("one")).await;
    assert_eq!(settle(&scene, &[answer(id, "DONE?")]).await, [Answered::InProgress]);
    let seen = scene.payment(id).await;
    assert_eq!((seen.is_unknown, seen.raw_status.as_deref()), (true, Some("DONE?")));
    let lost = Answer::Unverifiable { reason: "token_refused: 401".to_owned() };
    settle(&scene, &[PaymentAnswer { external_id: Some("its-own-name".to_owned()), ..with(id, lost) }]).await;
    let seen = scene.payment(id).await;
    assert!(seen.is_unverifiable && seen.raw_status.as_deref() == Some("DONE?"));
    assert_eq!(seen.external_id, "its-own-name");
    settle(&scene, &[with(id, Answer::Nothing { reason: "unavailable: no answer".to_owned() })]).await;
    assert!(scene.payment(id).await.is_unverifiable, "silence says nothing");
    settle(&scene, &[answer(id, "ACSP")]).await;
    let seen = scene.payment(id).await;
    assert_eq!((seen.is_unknown, seen.is_unverifiable, seen.reason), (false, false, None));
    assert_eq!(seen.asks, 4);
}

/// A bundle whose children are to be asked, and so many of them.
async fn a_bundle(scene: &BankScene, children: usize) -> (PaymentId, Vec<PaymentId>) {
    let bundle = PaymentDraft { kind: PaymentKind::Bundle, ..payment("bundle") };
    let id = scene.tracks(bundle).await;
    let mut of_it = Vec::new();
    for number in 0..children {
        of_it.push(
            scene.tracks(PaymentDraft { parent_id: Some(id), ..payment(&format!("child {number}")) }).await,
        );
    }
    let ask = Answer::Status { raw: "PART".to_owned(), meaning: Meaning::AskChildren };
    assert_eq!(settle(scene, &[with(id, ask)]).await, [Answered::InProgress]);
    (id, of_it)
}

async fn a_bundle_ends_with_its_last_child(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (bundle, children) = a_bundle(&scene, 3).await;
    settle(&scene, &[answer(children[0], "ACSC"), answer(children[1], "ACSP")]).await;
    assert_eq!(scene.payment(bundle).await.state, PaymentState::InProgress);
    settle(&scene, &[answer(children[1], "ACCC"), answer(children[2], "RJCT")]).await;
    let seen = scene.payment(bundle).await;
    assert_eq!((seen.state, seen.raw_status.as_deref()), (PaymentState::Mixed, Some("PART")));
    let mut news = scene.news().await;
    news.sort_unstable();
    assert_eq!(news, ["payment.done", "payment.done", "payment.mixed", "payment.rejected"]);
    let page = scene.store.payment_children(&TenantId::default(), bundle, None, 10).await.expect("a page");
    assert_eq!(page.iter().map(|one| one.id).collect::<Vec<_>>(), children);
    // One that is asked about after all its children have ended ends at once.
    let late = scene.tracks(PaymentDraft { kind: PaymentKind::Bundle, ..payment("late") }).await;
    let child = scene.tracks(PaymentDraft { parent_id: Some(late), ..payment("its child") }).await;
    settle(&scene, &[answer(child, "CANC")]).await;
    assert_eq!(scene.payment(late).await.state, PaymentState::InProgress, "its bank has not said so");
    assert_eq!(settle(&scene, &[answer(late, "PART")]).await, [Answered::Ended(PaymentState::Cancelled)]);
}

async fn children_that_end_at_once_end_their_bundle_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (bundle, children) = a_bundle(&scene, 8).await;
    let tries: Vec<_> = children
        .into_iter()
        .map(|child| {
            let store = scene.store.clone();
            tokio::spawn(async move { store.settle_payments(&[answer(child, "ACSC")]).await.remove(0) })
        })
        .collect();
    for one in tries {
        assert_eq!(one.await.expect("no panic").expect("a store"), Answered::Ended(PaymentState::Done));
    }
    assert_eq!(scene.payment(bundle).await.state, PaymentState::Done);
    assert_eq!(scene.news().await, vec!["payment.done"; 9]);
}

/// Two groups name a bundle and a child of the other one each: whoever took what it names first, and the bundle of its child
/// behind that, would wait for the other for ever.
async fn bundles_and_their_children_are_never_waited_for_crosswise(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let mut bundles = Vec::new();
    for name in ["left", "right"] {
        let bundle = PaymentDraft { kind: PaymentKind::Bundle, ..payment(name) };
        let id = scene.tracks(bundle).await;
        let mut of_it = Vec::new();
        for number in 0..20 {
            let child = PaymentDraft { parent_id: Some(id), ..payment(&format!("{name} {number}")) };
            of_it.push(scene.tracks(child).await);
        }
        bundles.push((id, of_it));
    }
    for number in 0..20 {
        let settles = |child: PaymentId, bundle: PaymentId| {
            let store = scene.store.clone();
            let items = [answer(child, "ACSC"), answer(bundle, "PART")];
            tokio::spawn(async move { store.settle_payments(&items).await })
        };
        let (left, right) = (&bundles[0], &bundles[1]);
        for group in [settles(left.1[number], right.0), settles(right.1[number], left.0)] {
            for one in group.await.expect("no panic") {
                one.expect("nobody was sacrificed");
            }
        }
    }
    for (bundle, _) in bundles {
        assert_eq!(scene.payment(bundle).await.state, PaymentState::Done);
    }
    assert_eq!(scene.news().await, vec!["payment.done"; 42]);
}

async fn two_answers_in_one_group_end_a_payment_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (one, other) = (scene.tracks(payment("one")).await, scene.tracks(payment("other")).await);
    let group = [answer(one, "ACSP"), answer(other, "RJCT"), answer(one, "ACSC"), answer(one, "RJCT")];
    let ended = [
        Answered::InProgress,
        Answered::Ended(PaymentState::Rejected),
        Answered::Ended(PaymentState::Done),
        Answered::Before(PaymentState::Done),
    ];
    assert_eq!(settle(&scene, &group).await, ended);
    assert_eq!(scene.payment(one).await.asks, 2);
    let mut news = scene.news().await;
    news.sort_unstable();
    assert_eq!(news, ["payment.done", "payment.rejected"]);
}

async fn a_name_that_another_payment_has_is_not_taken_over(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let known = scene.tracks(payment("the bank's")).await;
    let ours = scene.tracks(PaymentDraft { is_our_name: true, ..payment("ours") }).await;
    let named = |name: &str| PaymentAnswer { external_id: Some(name.to_owned()), ..answer(ours, "ACSP") };
    assert_eq!(settle(&scene, &[named("the bank's")]).await, [Answered::InProgress]);
    let seen = scene.payment(ours).await;
    assert_eq!((seen.external_id.as_str(), seen.is_our_name), ("ours", true));
    assert_eq!(seen.raw_status.as_deref(), Some("ACSP"), "what was answered is kept");
    settle(&scene, &[named("its own")]).await;
    let seen = scene.payment(ours).await;
    assert_eq!((seen.external_id.as_str(), seen.is_our_name), ("its own", false));
    assert_eq!(scene.payment(known).await.external_id, "the bank's");
}

fn decision(id: PaymentId) -> PaymentDecision {
    PaymentDecision {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        payment_id: id,
        version: 0,
        request: None,
        state: PaymentState::Rejected,
        reason: "the payer has shown a statement".to_owned(),
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    }
}

async fn what_nobody_knows_is_ended_by_hand(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (bundle, children) = a_bundle(&scene, 2).await;
    let resolve =
        async |decision: PaymentDecision| scene.store.resolve_payment(&decision).await.expect("a store");
    let id = children[0];
    assert_eq!(resolve(decision(id)).await, PaymentResolved::NotNow(PaymentState::InProgress));
    settle(&scene, &[answer(children[1], "RJCT")]).await;
    let given_up = Answer::GivenUp { reason: "too_old: no bank has said how it ended".to_owned() };
    let answered = settle(&scene, &[with(id, given_up)]).await;
    assert_eq!(answered, [Answered::Ended(PaymentState::Unresolved)]);
    assert_eq!(scene.payment(bundle).await.state, PaymentState::InProgress, "it waits for somebody");
    let version = scene.payment(id).await.version;
    let stale = PaymentDecision { version: version - 1, ..decision(id) };
    assert_eq!(resolve(stale).await, PaymentResolved::VersionChanged { version });
    let request = |body: &[u8]| {
        Some(RequestKey {
            tenant_id: TenantId::default(),
            method: "ResolvePayment",
            request_id: "once".to_owned(),
            body_hash: body.to_vec(),
        })
    };
    let asked = PaymentDecision { version, request: request(b"a"), ..decision(id) };
    assert_eq!(resolve(asked.clone()).await, PaymentResolved::Done);
    let again = || PaymentDecision { id: Uuid::now_v7(), ..asked.clone() };
    assert_eq!(resolve(again()).await, PaymentResolved::Before);
    let other = PaymentDecision { request: request(b"b"), ..again() };
    assert_eq!(resolve(other).await, PaymentResolved::OtherBody);
    assert_eq!(resolve(decision(id)).await, PaymentResolved::NotNow(PaymentState::Rejected));
    assert_eq!(scene.payment(bundle).await.state, PaymentState::Rejected, "that was its last child");
    let audited = scene.texts("select method || ': ' || reason as text from audit").await;
    assert_eq!(audited, ["ResolvePayment: the payer has shown a statement"]);
    assert_eq!(resolve(decision(PaymentId(Uuid::now_v7()))).await, PaymentResolved::NotFound);
}

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/bursar/notification/v1/events");

async fn every_event_is_as_its_schema_says(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    for (word, name) in [("ACSC", "done"), ("RJCT", "rejected"), ("CANC", "cancelled")] {
        let id = scene.tracks(PaymentDraft { user_id: Some(user), ..payment(name) }).await;
        settle(&scene, &[answer(id, word)]).await;
    }
    let (_, children) = a_bundle(&scene, 2).await;
    settle(&scene, &[answer(children[0], "ACSC"), answer(children[1], "RJCT")]).await;
    let lost = scene.tracks(PaymentDraft { reference_id: None, ..payment("lost") }).await;
    let given_up = Answer::GivenUp { reason: "too_old: no bank has said how it ended".to_owned() };
    settle(&scene, &[with(lost, given_up)]).await;
    for (name, end) in [("expiring", TimeDelta::days(6)), ("expired", TimeDelta::zero())] {
        let mut draft = consent(user, name);
        draft.valid_until = Some(now() + end);
        scene.puts_consent(draft).await;
    }
    scene.store.notice_consents(now(), 100, ATTEMPTS).await.expect("a look");
    let revoked = scene.consent(user, "revoked").await;
    let end = ConsentEnd {
        id: revoked,
        tenant_id: TenantId::default(),
        status: bursar::domain::openbanking::consent::ConsentStatus::Revoked,
        reason: "withdrawn: by the customer".to_owned(),
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    };
    assert!(scene.store.end_consents(&[end]).await.remove(0).expect("a store"));
    let visit = visit(user, scene.consent(user, "failing").await, Uuid::now_v7());
    scene.store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
    let end = SessionEnd {
        id: visit.id,
        state: VisitState::Failed,
        reason: Some("unavailable: no answer".to_owned()),
        news: 0,
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    };
    assert!(scene.store.close_api_sessions(&[end]).await.remove(0).expect("a store"));

    let bodies: Vec<Value> = scene.bodies().await.into_iter().map(|(_, body)| body).collect();
    let mut types: Vec<&str> =
        bodies.iter().map(|body| body["event_type"].as_str().expect("a type")).collect();
    types.sort_unstable();
    types.dedup();
    let mut all = OF_OPEN_BANKING.to_vec();
    all.sort_unstable();
    assert_eq!(types, all);
    let texts: Vec<String> = bodies.iter().map(Value::to_string).collect();
    let faults = judge("event_schema.py", &[SCHEMAS], &texts.join("\n")).await.approved();
    for (body, fault) in texts.iter().zip(faults.as_array().expect("a list")) {
        assert_eq!(*fault, Value::Null, "{body}");
    }
}
