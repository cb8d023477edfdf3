//! A shop asks for a boleto and goes away while the bank still thinks. The boleto is registered all the same, and its
//! owner is told; the shop finds it under the same request when it comes back.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::sandbox::Behaviour;

use crate::support::house::{House, a_boleto, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_changes_nothing() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::Hold);
    let shop = house.shop();
    let asking = tokio::spawn({
        let shop = shop.clone();
        async move { shop.tries(a_boleto().asked_as("order-9")).await }
    });
    house.bank().holds(1).await;
    asking.abort();
    assert!(asking.await.expect_err("hung up").is_cancelled());
    house.script().release();
    house.bank().keeps(1).await;

    let boleto = house.shop().creates(a_boleto().asked_as("order-9")).await;
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    let told = house.owner().hears(&boleto.id, 1).await;
    assert_eq!(told[0].text("status"), "registered");
    house.operator().sees_all_work_done().await;
    house.bank().keeps_one(&boleto);
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_changes_nothing() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::accept_then_hold());
    let asking = tokio::spawn({
        let mut theirs = house.shop();
        theirs.boletos = BoletoServiceClient::new(house.another_connection().await);
        async move { theirs.tries(a_boleto().called("order-10")).await }
    });
    house.bank().holds(1).await;
    asking.abort();
    assert!(asking.await.expect_err("hung up").is_cancelled());
    house.script().release();

    let messages = eventually("the owner is told", async || {
        let messages = house.world().messages();
        (!messages.is_empty()).then_some(messages)
    })
    .await;
    assert!(messages[0].body.contains("order-10"), "{}", messages[0].body);
    house.operator().sees_all_work_done().await;
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}
