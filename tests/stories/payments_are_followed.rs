//! Payments that were given to a bank are asked about until they have ended. Each end is told its owner once; what nobody knows is never
//! guessed, and what no bank ever says is said to be unresolved, until a person ends it.

use std::time::Duration;

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::payment::{Kind, State};
use bursar::proto::openbanking::v1::{NewPayment, Payment, ResolvePaymentRequest};
use bursar::sandbox::{AspspConsent, AspspPayment, AspspStep, AspspTokens, Behaviour};
use chrono::{TimeDelta, Utc};
use tonic::Code;

use crate::support::database;
use crate::support::house::customers::{BERLIN, POLISH, timestamp};
use crate::support::house::{House, Opened, Refusal as _, Told};

const CONSENT: &str = "payments";
const BOTH: [&str; 2] = [BERLIN, POLISH];

/// The tokens by which payments are started at a bank.
fn tokens(house: &Opened, at: &str) -> AspspTokens {
    house.aspsp(at).put_consent(AspspConsent::of(CONSENT, &[], house.world().aspsp().now()))
}

/// A payment on file at a bank, with this status.
fn files(house: &Opened, at: &str, id: &str, status: &str) {
    let settling = AspspPayment::settling(id, &[(Duration::ZERO, status)]);
    house.aspsp(at).put_payment(AspspPayment { consent: Some(CONSENT.to_owned()), ..settling });
}

/// How its owner tells of it.
fn new(at: &str, id: &str, token: &str) -> NewPayment {
    let product = if at == BERLIN { "payments/sepa-credit-transfers" } else { "" };
    NewPayment {
        aspsp: at.to_owned(),
        kind: Kind::Single.into(),
        external_id: id.to_owned(),
        product: product.to_owned(),
        reference_id: format!("order of {id}"),
        access_token: token.to_owned(),
        ..NewPayment::default()
    }
}

fn types(heard: &[Told]) -> Vec<&str> {
    heard.iter().map(|told| told.text("event_type")).collect()
}

async fn all(house: &Opened, ids: &[String]) -> Vec<Payment> {
    let mut payments = Vec::new();
    for id in ids {
        payments.push(house.customers().payment(id).await);
    }
    payments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_followed_to_its_end_and_its_owner_is_told_once() {
    for (kind, at) in [(database::Kind::Sqlite, BERLIN), (database::Kind::PostgreSql, POLISH)] {
        let house = House::new().on(kind).with_aspsps().open().await;
        house.operator().subscribes_webhook(&["payment.*"]).await;
        let customers = house.customers();
        let token = tokens(&house, at).access;
        let names = ["settled", "refused", "taken-back", "slow"];
        names.iter().for_each(|name| files(&house, at, name, "ACTC"));
        let tracked = names.map(|name| new(at, name, &token)).to_vec();
        let ids = customers.tracks(tracked.clone()).await;
        assert_eq!(customers.tracks(tracked).await, ids, "told again, they are the same ones");

        customers.polls().await;
        let raw = if at == BERLIN { "ACTC" } else { "pending" };
        for payment in all(&house, &ids).await {
            assert_eq!(
                (payment.state(), payment.raw_status.as_str()),
                (State::InProgress, raw),
                "{payment:?}"
            );
        }
        assert!(house.owner().heard_of("").is_empty(), "nothing has ended");

        for (name, status) in [("settled", "ACSC"), ("refused", "RJCT"), ("taken-back", "CANC")] {
            house.aspsp(at).settle(name, status);
        }
        let run = customers.polls().await;
        assert_eq!(run.state(), JobRunState::Completed, "{run:?}");
        let states: Vec<State> = all(&house, &ids).await.iter().map(Payment::state).collect();
        assert_eq!(states, [State::Done, State::Rejected, State::Cancelled, State::InProgress]);
        for (id, event) in ids.iter().zip(["payment.done", "payment.rejected", "payment.cancelled"]) {
            let heard = house.owner().hears_of(id, 1).await;
            assert_eq!(types(&heard), [event]);
            assert!(heard[0].body["data"]["reference_id"].as_str().expect("a name").starts_with("order of"));
        }

        // What has ended is asked about no more, and nobody is told twice.
        let asked = |house: &Opened| house.world().aspsp().calls().len();
        let before = asked(&house);
        customers.polls().await;
        assert_eq!(asked(&house), before + 1, "only the slow one is asked about");
        house.aspsp(at).settle("slow", "ACCC");
        customers.polls().await;
        house.owner().hears_of(&ids[3], 1).await;
        assert_eq!(house.owner().heard_of("").len(), 4);
        assert_eq!(house.world().aspsp().complaints(), [""; 0]);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_nobody_knows_a_bank_that_lets_nobody_in_and_a_payment_that_it_does_not_know_end_nothing()
{
    for at in BOTH {
        let house = House::new().with_aspsps().open().await;
        house.operator().subscribes_webhook(&["payment.*"]).await;
        let customers = house.customers();
        let token = tokens(&house, at).access;
        files(&house, at, "odd", "QQQQ");
        files(&house, at, "locked", "RJCT");
        let ids = customers
            .tracks(vec![
                new(at, "odd", &token),
                new(at, "locked", "no-token-of-theirs"),
                new(at, "unheard-of", &token),
            ])
            .await;
        for _ in 0..2 {
            customers.polls().await;
        }
        let payments = all(&house, &ids).await;
        assert!(payments.iter().all(|payment| payment.state() == State::InProgress), "{payments:?}");
        let [odd, locked, unknown] = payments.as_slice() else { panic!("three payments") };
        assert!(odd.is_unknown && odd.raw_status == "QQQQ" && !odd.is_unverifiable, "{odd:?}");
        assert!(locked.is_unverifiable && !locked.reason.is_empty(), "{locked:?}");
        assert!(unknown.is_unverifiable || !unknown.reason.is_empty(), "{unknown:?}");
        assert!(house.owner().heard_of("").is_empty());

        // A word that is known ends it, whatever came before.
        house.aspsp(at).settle("odd", "ACSC");
        customers.polls().await;
        let odd = customers.payment(&ids[0]).await;
        assert_eq!((odd.state(), odd.is_unknown), (State::Done, false));
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_ones_are_asked_a_last_time_are_unresolved_then_and_a_person_ends_them() {
    for (kind, at) in [(database::Kind::PostgreSql, BERLIN), (database::Kind::Sqlite, POLISH)] {
        let house = House::new().on(kind).with_aspsps().open().await;
        house.operator().subscribes_webhook(&["payment.*"]).await;
        let customers = house.customers();
        let token = tokens(&house, at).access;
        let days = |days: i64| timestamp(Utc::now() - TimeDelta::days(days));
        let mut tracked = Vec::new();
        for (name, age, status) in [("young", 3, "ACSP"), ("old", 40, "ACSP"), ("old-and-done", 40, "ACSC")] {
            files(&house, at, name, status);
            tracked.push(NewPayment { made_time: days(age), ..new(at, name, &token) });
        }
        let ids = customers.tracks(tracked).await;
        customers.polls().await;
        let states: Vec<State> = all(&house, &ids).await.iter().map(Payment::state).collect();
        assert_eq!(states, [State::InProgress, State::Unresolved, State::Done], "never rejected by a guess");
        let heard = house.owner().hears_of(&ids[1], 1).await;
        assert_eq!(types(&heard), ["payment.unresolved"]);
        let old = customers.payment(&ids[1]).await;
        assert!(!old.reason.is_empty(), "{old:?}");
        let asks = old.asks;
        customers.polls().await;
        assert_eq!(customers.payment(&ids[1]).await.asks, asks, "nobody asks any more");

        let request = ResolvePaymentRequest {
            request_id: "by-hand".to_owned(),
            id: ids[1].clone(),
            version: old.version,
            state: State::Rejected.into(),
            reason: "the bank said so by letter".to_owned(),
        };
        let stale =
            ResolvePaymentRequest { request_id: String::new(), version: old.version - 1, ..request.clone() };
        let refused =
            customers.payments.clone().resolve_payment(stale).await.expect_err("somebody has read too early");
        assert!(matches!(refused.code(), Code::Aborted | Code::FailedPrecondition), "{}", refused.reason());
        let unsaid =
            ResolvePaymentRequest { request_id: String::new(), reason: String::new(), ..request.clone() };
        let refused = customers.payments.clone().resolve_payment(unsaid).await.expect_err("without a reason");
        assert_eq!(refused.code(), Code::InvalidArgument);
        for _ in 0..2 {
            let answer = customers.payments.clone().resolve_payment(request.clone()).await.expect("an end");
            let payment = answer.into_inner().payment.expect("a payment");
            assert_eq!(
                (payment.state(), payment.reason.as_str()),
                (State::Rejected, request.reason.as_str())
            );
        }
        let heard = house.owner().hears_of(&ids[1], 2).await;
        assert_eq!(types(&heard), ["payment.unresolved", "payment.rejected"]);
        assert_eq!(house.owner().heard_of("").len(), 3);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_wants_to_be_left_alone_or_is_gone_keeps_its_payments_in_progress_and_delays_no_other() {
    let mut house = House::new().with_aspsps().open().await;
    house.operator().subscribes_webhook(&["payment.*"]).await;
    let mut ids = Vec::new();
    for at in BOTH {
        let token = tokens(&house, at).access;
        files(&house, at, "paid", "ACSC");
        ids.extend(house.customers().tracks(vec![new(at, "paid", &token)]).await);
    }
    // PolishAPI's bank is asked for one payment by either of these.
    for step in [AspspStep::Payment, AspspStep::Payments] {
        house.aspsp(POLISH).always(step, Behaviour::status_retry_after(429, 600));
    }
    house.customers().polls().await;
    let states: Vec<State> = all(&house, &ids).await.iter().map(Payment::state).collect();
    assert_eq!(states, [State::Done, State::InProgress]);
    house.owner().hears_of(&ids[0], 1).await;

    // It would answer now, but has said when to come again, which another process heeds as well.
    for step in [AspspStep::Payment, AspspStep::Payments] {
        house.aspsp(POLISH).always(step, Behaviour::Normal);
    }
    house = house.leave().await.open().await;
    let asked =
        house.aspsp(POLISH).asked(AspspStep::Payment) + house.aspsp(POLISH).asked(AspspStep::Payments);
    house.customers().polls().await;
    let since =
        house.aspsp(POLISH).asked(AspspStep::Payment) + house.aspsp(POLISH).asked(AspspStep::Payments);
    assert_eq!((since, house.customers().payment(&ids[1]).await.state()), (asked, State::InProgress));
    assert_eq!(house.owner().heard_of("").len(), 1);
    house.close().await;
}
