//! More calls come than the house takes at once. Those past the limit are told so quickly, and when to come back; health
//! and operators are answered whatever the load.

use std::time::Duration;

use bursar::proto::boleto::v1::{BoletoStatus, GetBoletoRequest};
use bursar::sandbox::{Behaviour, Party};
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::house::{House, Refusal as _, a_boleto, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_at_once_are_told_to_wait() {
    let house = House::new().with("api.requests_in_flight_max", "2").open().await;
    house.script().always(Party::BankRegister, Behaviour::Hold);
    let mut asking = JoinSet::new();
    for _ in 0..2 {
        let shop = house.shop();
        asking.spawn(async move { shop.creates(a_boleto()).await });
    }
    house.bank().holds(2).await;

    let status = house.shop().tries(a_boleto()).await.expect_err("one too many");
    assert_eq!((status.code(), status.reason().as_str()), (Code::ResourceExhausted, "TOO_MANY_REQUESTS"));
    assert!(status.retry_after().is_some_and(|wait| wait > Duration::ZERO));
    let read =
        house.shop().boletos.get_boleto(GetBoletoRequest::default()).await.expect_err("reads count too");
    assert_eq!(read.reason(), "TOO_MANY_REQUESTS");
    HealthClient::new(house.channel())
        .check(HealthCheckRequest::default())
        .await
        .expect("health is answered");
    let operator = house.operator();
    assert!(operator.info().await.ready, "operators are answered");
    assert_eq!(operator.work(&[]).await.len(), 2, "and see what is in hand");
    assert_eq!(house.script().asked(Party::BankRegister), 2, "nothing was done for who was told to wait");

    house.script().clear(Party::BankRegister);
    house.script().release();
    for boleto in asking.join_all().await {
        assert_eq!(boleto.status(), BoletoStatus::Registered);
    }
    let after = eventually("places are free again", async || house.shop().tries(a_boleto()).await.ok()).await;
    assert_eq!(after.boleto.expect("a boleto").status(), BoletoStatus::Registered);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_only_grows_is_closed_and_what_was_asked_before_is_still_answered() {
    let house = House::new()
        .with("registration.in_flight_max", "1")
        .with("registration.backlog_max", "2")
        .with("registration.inline_deadline", "20ms")
        .open()
        .await;
    house.script().always(Party::BankRegister, Behaviour::Hold);
    let mut taken = vec![house.shop().creates(a_boleto()).await];
    house.bank().holds(1).await;
    for request_id in ["order-1", "order-2"] {
        taken.push(house.shop().creates(a_boleto().asked_as(request_id)).await);
    }
    let full = house.shop().tries(a_boleto()).await.expect_err("two wait already");
    assert_eq!((full.code(), full.reason().as_str()), (Code::ResourceExhausted, "BACKLOG_FULL"));
    assert!(full.retry_after().is_some_and(|wait| wait > Duration::ZERO));
    let again = house.shop().creates(a_boleto().asked_as("order-1")).await;
    assert_eq!(again.id, taken[1].id, "what was asked before has its answer");

    house.script().clear(Party::BankRegister);
    house.script().release();
    for boleto in &taken {
        house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    }
    let after = eventually("there is room again", async || house.shop().tries(a_boleto()).await.ok()).await;
    house.shop().sees(&after.boleto.expect("a boleto").id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_is_refused_with_details() {
    let house = House::new().with("api.message_bytes_max", "4096").open().await;
    let long = a_boleto().with(|request| request.instructions = "x".repeat(8192));
    let status = house.shop().tries(long).await.expect_err("too long");
    assert_eq!((status.code(), status.reason().as_str()), (Code::OutOfRange, "PROTOCOL"));
    assert!(house.shop().creates(a_boleto()).await.payable, "the connection is as good as before");
    house.close().await;
}
