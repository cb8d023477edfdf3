//! A shop does not know whether its request got through, and asks again under the same name. It gets the same boleto,
//! also when the request would not be allowed any more; another request under that name is refused.

use std::collections::BTreeSet;

use bursar::proto::boleto::v1::{BankAccountResolution, BoletoStatus, ListBoletosRequest};
use bursar::sandbox::Behaviour;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::{House, Refusal as _, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_twice_it_is_made_once() {
    let house = House::new().open().await;
    let shop = house.shop();
    let first = shop.creates(a_boleto().asked_as("order-1")).await;
    let second = shop.creates(a_boleto().asked_as("order-1")).await;
    assert_eq!(first, second);
    assert_eq!(house.bank().asked(), 1);

    let other_body = shop.tries(a_boleto().of_cents(1).asked_as("order-1")).await.expect_err("another body");
    assert_eq!((other_body.code(), other_body.reason().as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let wrong_body = shop.tries(a_boleto().of_cents(0).asked_as("order-1")).await.expect_err("another body");
    assert_eq!(
        wrong_body.reason(),
        "REQUEST_ID_REUSED",
        "what was asked before comes before what is wrong now"
    );

    let unnamed = shop.creates(a_boleto()).await;
    assert_ne!(unnamed.id, shop.creates(a_boleto()).await.id, "without a name every call is a new request");
    let (all, _) = shop.lists(ListBoletosRequest::default()).await.expect("a list");
    assert_eq!(all.len(), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_refused_can_be_corrected_under_its_name() {
    let house = House::new().open().await;
    let refused = house.shop().tries(a_boleto().of_cents(0).asked_as("order-2")).await;
    assert_eq!(refused.expect_err("no amount").code(), Code::InvalidArgument);
    let made = house.shop().creates(a_boleto().asked_as("order-2")).await;
    assert_eq!(made.status(), BoletoStatus::Registered);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_on_the_embedded_store() {
    fifty_at_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_on_postgresql() {
    fifty_at_once(Kind::PostgreSql).await;
}

async fn fifty_at_once(kind: Kind) {
    let house = House::new().on(kind).open().await;
    // The bank takes its time, so that all fifty are there before it has decided.
    house.script().bank_register(Behaviour::Hold);
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let shop = house.shop();
        asking.spawn(async move { shop.creates(a_boleto().asked_as("order-3")).await });
    }
    house.bank().holds(1).await;
    house.script().release();
    let answers = asking.join_all().await;
    let ids: BTreeSet<&str> = answers.iter().map(|boleto| boleto.id.as_str()).collect();
    assert_eq!(ids.len(), 1);
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(answers[0].status(), BoletoStatus::Registered);
    assert_eq!(house.bank().asked(), 1);
    let (all, _) = house.shop().lists(ListBoletosRequest::default()).await.expect("a list");
    assert_eq!(all.len(), 1);
    house.operator().sees_all_work_done().await;
    assert_eq!(house.owner().heard(&answers[0].id).len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stays_the_same_when_the_request_would_not_be_allowed_any_more() {
    let house = House::new().open().await;
    let made = house.shop().creates(a_boleto().asked_as("order-4")).await;
    house.operator().sees_all_work_done().await;

    let surroundings = house.leave().await;
    let house = surroundings.with("channels.sqs.egress.hosts", r#"["queues.example"]"#).open().await;
    let new = house.shop().tries(a_boleto().asked_as("order-5")).await.expect_err("a forbidden queue");
    assert_eq!(new.fields(), ["queue_url"]);
    let again = house.shop().tries(a_boleto().asked_as("order-4")).await.expect("the same boleto");
    assert_eq!(again.bank_account_resolution(), BankAccountResolution::Unspecified);
    assert_eq!(again.boleto, Some(made));
    let other =
        house.shop().tries(a_boleto().of_cents(7).asked_as("order-4")).await.expect_err("another body");
    assert_eq!(other.reason(), "REQUEST_ID_REUSED");
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}
