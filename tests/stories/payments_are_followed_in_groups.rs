//! A bank that answers for many payments at once is asked for many at once. A bundle has ended when the bank or all of its payments say
//! so, and a payment that is made again and again when it is closed.

use std::time::Duration;

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::payment::{Kind, State};
use bursar::proto::openbanking::v1::{ListPaymentsRequest, NewPayment, Payment};
use bursar::sandbox::{AspspBundle, AspspConsent, AspspPayment, AspspPaymentStep, AspspRecurring, AspspStep};

use crate::support::database;
use crate::support::house::customers::{BERLIN, POLISH};
use crate::support::house::{House, Opened};

const CONSENT: &str = "payments";

fn token(house: &Opened, at: &str) -> String {
    house.aspsp(at).put_consent(AspspConsent::of(CONSENT, &[], house.world().aspsp().now())).access
}

fn files(house: &Opened, at: &str, id: &str, service: &str, status: &str) {
    let settling = AspspPayment::settling(id, &[(Duration::ZERO, status)]);
    let (consent, service) = (Some(CONSENT.to_owned()), service.to_owned());
    house.aspsp(at).put_payment(AspspPayment { consent, service, ..settling });
}

fn new(at: &str, kind: Kind, id: &str, token: &str) -> NewPayment {
    let service = match kind {
        Kind::Bundle => "bulk-payments",
        Kind::Recurring => "periodic-payments",
        _ => "payments",
    };
    let product = if at == BERLIN { format!("{service}/sepa-credit-transfers") } else { String::new() };
    NewPayment {
        aspsp: at.to_owned(),
        kind: kind.into(),
        external_id: id.to_owned(),
        product,
        access_token: token.to_owned(),
        ..NewPayment::default()
    }
}

async fn states(house: &Opened, ids: &[String]) -> Vec<State> {
    let mut states = Vec::new();
    for id in ids {
        states.push(house.customers().payment(id).await.state());
    }
    states
}

async fn children(house: &Opened, parent: &str) -> Vec<Payment> {
    let request = ListPaymentsRequest { parent_id: parent.to_owned(), ..ListPaymentsRequest::default() };
    house.customers().payments.clone().list_payments(request).await.expect("payments").into_inner().payments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_payments_are_asked_about_in_a_few_calls() {
    for kind in [database::Kind::Sqlite, database::Kind::PostgreSql] {
        let house = House::new().on(kind).with_aspsps().open().await;
        house.operator().subscribes_webhook(&["payment.*"]).await;
        let token = token(&house, POLISH);
        let mut tracked = Vec::new();
        for number in 0..100 {
            let id = format!("payment-{number}");
            files(&house, POLISH, &id, "payments", if number % 2 == 0 { "ACSC" } else { "RJCT" });
            tracked.push(new(POLISH, Kind::Single, &id, &token));
        }
        // One of them is not known there, and spoils nobody else's answer.
        tracked.push(new(POLISH, Kind::Single, "unheard-of", &token));
        let ids = house.customers().tracks(tracked).await;
        let run = house.customers().polls().await;
        assert_eq!(run.state(), JobRunState::Completed, "{run:?}");
        let found = states(&house, &ids).await;
        for (number, state) in found.iter().enumerate().take(100) {
            assert_eq!(*state, if number % 2 == 0 { State::Done } else { State::Rejected }, "{number}");
        }
        assert_eq!(found[100], State::InProgress);
        let (many, one) =
            (house.aspsp(POLISH).asked(AspspStep::Payments), house.aspsp(POLISH).asked(AspspStep::Payment));
        assert!((1..=3).contains(&many) && one <= 1, "{many} calls for many, {one} for one");
        house.owner().hears_of("", 100).await;
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_ends_with_the_last_of_its_payments_and_says_that_they_ended_differently() {
    let house = House::new().with_aspsps().open().await;
    house.operator().subscribes_webhook(&["payment.*"]).await;
    let customers = house.customers();
    let token = token(&house, POLISH);
    for id in ["first", "second"] {
        files(&house, POLISH, id, "payments", "ACTC");
    }
    let payments = ["first", "second"].map(str::to_owned).to_vec();
    let (id, tpp_id) = ("bundle-1".to_owned(), "ours-1".to_owned());
    house.aspsp(POLISH).put_bundle(AspspBundle { id, tpp_id, consent: CONSENT.to_owned(), payments });
    let child = |id| NewPayment {
        parent_external_id: "bundle-1".to_owned(),
        ..new(POLISH, Kind::Single, id, &token)
    };
    let ids = customers
        .tracks(vec![new(POLISH, Kind::Bundle, "bundle-1", &token), child("first"), child("second")])
        .await;
    customers.polls().await;
    assert_eq!(states(&house, &ids).await, [State::InProgress; 3]);
    assert_eq!(children(&house, &ids[0]).await.len(), 2);

    house.aspsp(POLISH).settle("first", "ACSC");
    customers.polls().await;
    assert_eq!(states(&house, &ids).await, [State::InProgress, State::Done, State::InProgress]);
    house.aspsp(POLISH).settle("second", "RJCT");
    customers.polls().await;
    assert_eq!(states(&house, &ids).await, [State::Mixed, State::Done, State::Rejected]);
    for (id, event) in ids.iter().zip(["payment.mixed", "payment.done", "payment.rejected"]) {
        let heard = house.owner().hears_of(id, 1).await;
        assert_eq!((heard.len(), heard[0].text("event_type")), (1, event));
    }
    customers.polls().await;
    assert_eq!(house.owner().heard_of("").len(), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_again_and_again_is_followed_until_it_is_closed() {
    let house = House::new().with_aspsps().open().await;
    house.operator().subscribes_webhook(&["payment.*"]).await;
    let customers = house.customers();
    let token = token(&house, POLISH);
    let step = |after_s: u64, status: &str| AspspPaymentStep {
        after_ms: after_s * 1_000,
        status: status.to_owned(),
    };
    let steps = vec![step(0, "inProgress"), step(600, "close")];
    let (id, tpp_id) = ("rent".to_owned(), "our-rent".to_owned());
    house.aspsp(POLISH).put_recurring(AspspRecurring { id, tpp_id, consent: CONSENT.to_owned(), steps });
    // The bank gave no name to this one, so that it is asked for by ours.
    let rent = NewPayment { is_our_name: true, ..new(POLISH, Kind::Recurring, "our-rent", &token) };
    let ids = customers.tracks(vec![rent]).await;
    customers.polls().await;
    let payment = customers.payment(&ids[0]).await;
    assert_eq!((payment.state(), payment.raw_status.as_str()), (State::InProgress, "inProgress"));
    house.world().aspsp().move_on(Duration::from_secs(601));
    customers.polls().await;
    let payment = customers.payment(&ids[0]).await;
    assert_eq!((payment.state(), payment.raw_status.as_str()), (State::Done, "close"), "{payment:?}");
    house.owner().hears_of(&ids[0], 1).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_berlin_groups_bulk_and_periodic_payments_are_asked_for_where_they_are_kept() {
    let house = House::new().with_aspsps().open().await;
    let customers = house.customers();
    let token = token(&house, BERLIN);
    for (id, service) in [("bulk", "bulk-payments"), ("rent", "periodic-payments")] {
        files(&house, BERLIN, id, service, "ACSC");
    }
    let ids = customers
        .tracks(vec![new(BERLIN, Kind::Bundle, "bulk", &token), new(BERLIN, Kind::Recurring, "rent", &token)])
        .await;
    customers.polls().await;
    assert_eq!(states(&house, &ids).await, [State::Done, State::Done]);
    assert_eq!(house.world().aspsp().complaints(), [""; 0]);
    house.close().await;
}
