//! An operator sees what an owner was told and what was answered, has one event sent once more, has sent what was given up,
//! and has no more sent of what nobody wants any more.

use bursar::proto::boleto::v1::{Boleto, RecordPaymentRequest};
use bursar::proto::notification::v1::delivery::State;
use bursar::proto::notification::v1::delivery_attempt::Outcome;
use bursar::proto::notification::v1::{
    CancelDeliveryRequest, Delivery, DeliveryAttempt, DisableEndpointRequest, ListDeliveriesRequest,
    ListDeliveryAttemptsRequest, RecoverDeliveriesRequest, ResendDeliveryRequest,
};
use bursar::sandbox::{Behaviour, Party};
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto, eventually};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

async fn about(house: &Opened, boleto: &Boleto) -> Delivery {
    let request = ListDeliveriesRequest { subject_id: boleto.id.clone(), ..ListDeliveriesRequest::default() };
    let answer = house.operator().endpoints.list_deliveries(request).await.expect("deliveries").into_inner();
    assert_eq!((answer.deliveries.len(), answer.next_page_token.as_str()), (1, ""), "{answer:?}");
    answer.deliveries.into_iter().next().expect("one")
}

async fn becomes(house: &Opened, boleto: &Boleto, state: State) -> Delivery {
    eventually(&format!("delivery {state:?}"), async || {
        let delivery = about(house, boleto).await;
        (delivery.state() == state).then_some(delivery)
    })
    .await
}

async fn attempts(house: &Opened, delivery: &Delivery) -> Vec<DeliveryAttempt> {
    let request = ListDeliveryAttemptsRequest {
        endpoint_id: delivery.endpoint_id.clone(),
        subject_id: delivery.subject_id.clone(),
        ..ListDeliveryAttemptsRequest::default()
    };
    house.operator().endpoints.list_delivery_attempts(request).await.expect("attempts").into_inner().attempts
}

async fn resends(house: &Opened, delivery: &Delivery, event_id: &str) -> Result<Delivery, Status> {
    let request = ResendDeliveryRequest {
        endpoint_id: delivery.endpoint_id.clone(),
        subject_id: delivery.subject_id.clone(),
        event_id: event_id.to_owned(),
        reason: "the owner lost it".to_owned(),
        ..ResendDeliveryRequest::default()
    };
    let answer = house.operator().endpoints.resend_delivery(request).await?;
    Ok(answer.into_inner().delivery.expect("a delivery in the answer"))
}

async fn recovers(house: &Opened, endpoint_id: &str, request_id: &str) -> Result<i64, Status> {
    let request = RecoverDeliveriesRequest {
        endpoint_id: endpoint_id.to_owned(),
        since: Some(prost_types::Timestamp::default()),
        reason: "the owner is back".to_owned(),
        request_id: request_id.to_owned(),
    };
    Ok(house.operator().endpoints.recover_deliveries(request).await?.into_inner().recovered)
}

async fn cancels(house: &Opened, delivery: &Delivery) -> Result<Delivery, Status> {
    let request = CancelDeliveryRequest {
        endpoint_id: delivery.endpoint_id.clone(),
        subject_id: delivery.subject_id.clone(),
        reason: "sold twice".to_owned(),
        ..CancelDeliveryRequest::default()
    };
    let answer = house.operator().endpoints.cancel_delivery(request).await?;
    Ok(answer.into_inner().delivery.expect("a delivery in the answer"))
}

async fn is_paid(house: &Opened, boleto: &Boleto) {
    let request = RecordPaymentRequest {
        id: boleto.id.clone(),
        payment_id: "p-1".to_owned(),
        paid_amount_cents: 12_590,
        ..RecordPaymentRequest::default()
    };
    house.shop().boletos.record_payment(request).await.expect("a payment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_is_sent_once_more_under_the_same_id() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let told = house.owner().hears(&boleto.id, 1).await;
    let delivery = becomes(&house, &boleto, State::Delivered).await;
    assert_eq!((delivery.channel.as_str(), delivery.subject_kind.as_str()), ("sqs", "boleto"));
    assert_eq!((delivery.sent_version, delivery.wanted_version, delivery.attempts), (2, 2, 1));
    assert!(delivery.next_attempt_time.is_none() && !delivery.last_answer.is_empty());

    let event_id = told[0].text("event_id").to_owned();
    let after = resends(&house, &delivery, &event_id).await.expect("sent again");
    assert_eq!((after.state(), after.sent_version), (State::Delivered, 2));
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(told[0].body, told[1].body);
    house.operator().sees_all_work_done().await;
    let tried = attempts(&house, &delivery).await;
    let seen: Vec<_> = tried.iter().map(|one| (one.event_id.as_str(), one.outcome(), one.resend)).collect();
    assert_eq!(
        seen,
        [(event_id.as_str(), Outcome::Accepted, true), (event_id.as_str(), Outcome::Accepted, false)]
    );
    assert!(tried.iter().all(|one| one.version == 2 && !one.provider_message_id.is_empty()));

    let status = resends(&house, &delivery, "").await.expect_err("all was taken");
    assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "NOTHING_TO_SEND"));
    let status = resends(&house, &delivery, NOBODY).await.expect_err("no event of this boleto");
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_recovered_in_order_on_the_embedded_store() {
    what_was_given_up_is_recovered_in_order(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_recovered_in_order_on_postgresql() {
    what_was_given_up_is_recovered_in_order(Kind::PostgreSql).await;
}

async fn what_was_given_up_is_recovered_in_order(kind: Kind) {
    let house = House::new().on(kind).with("notification.attempts_max", "2").open().await;
    house.script().always(Party::Sqs, Behaviour::status(500));
    let (one, other) = (house.shop().creates(a_boleto()).await, house.shop().creates(a_boleto()).await);
    for boleto in [&one, &other] {
        becomes(&house, boleto, State::GivenUp).await;
    }
    is_paid(&house, &one).await;
    eventually("given up again", async || {
        let delivery = about(&house, &one).await;
        (delivery.state() == State::GivenUp && delivery.wanted_version == 3).then_some(())
    })
    .await;
    let delivery = about(&house, &one).await;
    let tried = attempts(&house, &delivery).await;
    assert!(tried.len() >= 4 && tried.iter().all(|one| one.outcome() != Outcome::Accepted), "{tried:?}");

    house.script().clear(Party::Sqs);
    let endpoint = &delivery.endpoint_id;
    assert_eq!(recovers(&house, endpoint, "r-1").await.expect("recovered"), 2);
    let told = house.owner().hears(&one.id, 2).await;
    let versions: Vec<_> =
        told.iter().map(|told| (told.text("event_type"), told.body["version"].clone())).collect();
    assert_eq!(versions, [("boleto.registered", 2.into()), ("boleto.paid", 3.into())]);
    house.owner().hears(&other.id, 1).await;
    house.operator().sees_all_work_done().await;
    let letters = house.operator().work(&[bursar::proto::control::v1::WorkState::Discarded]).await;
    assert!(letters.is_empty(), "{letters:?}");
    assert_eq!(recovers(&house, endpoint, "r-1").await.expect("the same answer"), 2);
    assert_eq!(recovers(&house, endpoint, "r-2").await.expect("nothing is left"), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cancelled_is_not_sent_and_later_news_come_without_it() {
    let house = House::new()
        .with("notification.retry_base", "1h")
        .with("notification.retry_cap", "1h")
        .with("breaker.failures_max", "1000")
        .open()
        .await;
    house.script().always(Party::Sqs, Behaviour::status(500));
    let (unwanted, wanted) = (house.shop().creates(a_boleto()).await, house.shop().creates(a_boleto()).await);
    let mut waiting = Vec::new();
    for boleto in [&unwanted, &wanted] {
        waiting.push(
            eventually("the delivery waits", async || {
                let delivery = about(&house, boleto).await;
                (delivery.attempts == 1).then_some(delivery)
            })
            .await,
        );
    }
    assert!(
        waiting
            .iter()
            .all(|delivery| delivery.state() == State::Pending && delivery.next_attempt_time.is_some())
    );
    let cancelled = cancels(&house, &waiting[0]).await.expect("cancelled");
    assert_eq!((cancelled.state(), cancelled.sent_version), (State::Cancelled, 0));
    assert_eq!(cancels(&house, &waiting[0]).await.expect("it is so already"), cancelled);

    house.script().clear(Party::Sqs);
    let hastened = resends(&house, &waiting[1], "").await.expect("sent now");
    assert_eq!(hastened.endpoint_id, waiting[1].endpoint_id);
    house.owner().hears(&wanted.id, 1).await;
    is_paid(&house, &unwanted).await;
    let told = house.owner().hears(&unwanted.id, 1).await;
    house.operator().sees_all_work_done().await;
    let types: Vec<&str> = told.iter().map(|told| told.text("event_type")).collect();
    assert_eq!(types, ["boleto.paid"], "the news, without what was cancelled");
    assert_eq!(becomes(&house, &unwanted, State::Delivered).await.sent_version, 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_said_is_refused() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    house.owner().hears(&boleto.id, 1).await;
    let delivery = becomes(&house, &boleto, State::Delivered).await;
    let operator = house.operator();

    let empty = operator.endpoints.clone().list_deliveries(ListDeliveriesRequest::default()).await;
    assert_eq!(empty.expect_err("of whom?").fields(), ["endpoint_id"]);
    let wrong = ListDeliveriesRequest {
        endpoint_id: "7".to_owned(),
        subject_id: "8".to_owned(),
        state: 77,
        ..ListDeliveriesRequest::default()
    };
    let wrong = operator.endpoints.clone().list_deliveries(wrong).await.expect_err("no ids");
    assert_eq!(wrong.fields(), ["endpoint_id", "state", "subject_id"]);
    let nobodys =
        ListDeliveriesRequest { endpoint_id: NOBODY.to_owned(), ..ListDeliveriesRequest::default() };
    let nobodys = operator.endpoints.clone().list_deliveries(nobodys).await.expect_err("no such endpoint");
    assert_eq!(nobodys.reason(), "ENDPOINT_NOT_FOUND");
    let silent = ResendDeliveryRequest { reason: " ".to_owned(), ..ResendDeliveryRequest::default() };
    let silent = operator.endpoints.clone().resend_delivery(silent).await.expect_err("nothing said");
    assert_eq!(silent.fields(), ["endpoint_id", "reason", "subject_id"]);
    let timeless = RecoverDeliveriesRequest {
        endpoint_id: delivery.endpoint_id.clone(),
        reason: "r".to_owned(),
        ..RecoverDeliveriesRequest::default()
    };
    let timeless = operator.endpoints.clone().recover_deliveries(timeless).await.expect_err("since when?");
    assert_eq!(timeless.fields(), ["since"]);
    let elsewhere = Delivery { subject_id: NOBODY.to_owned(), ..delivery.clone() };
    for status in [
        resends(&house, &elsewhere, "").await.expect_err("never owed"),
        cancels(&house, &elsewhere).await.expect_err("never owed"),
    ] {
        assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "DELIVERY_NOT_FOUND"));
    }
    let disable = DisableEndpointRequest {
        id: delivery.endpoint_id.clone(),
        reason: "gone".to_owned(),
        ..DisableEndpointRequest::default()
    };
    operator.endpoints.clone().disable_endpoint(disable).await.expect("disabled");
    for status in [
        resends(&house, &delivery, NOBODY).await.expect_err("nothing is sent there"),
        recovers(&house, &delivery.endpoint_id, "").await.expect_err("nothing is sent there"),
    ] {
        assert_eq!(
            (status.code(), status.reason().as_str()),
            (Code::FailedPrecondition, "ENDPOINT_DISABLED")
        );
    }
    house.close().await;
}
