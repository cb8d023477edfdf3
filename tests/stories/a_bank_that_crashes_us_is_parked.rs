//! A connector has a bug and panics on what a bank answers. One such boleto becomes a dead letter while its neighbours are
//! registered; when every answer is such, the bank's registrar is parked, and everything else goes on.

use bursar::proto::boleto::v1::{BoletoStatus, ListBoletosRequest};
use bursar::proto::control::v1::{NodeStatus, WorkState};
use tonic::Code;

use crate::support::house::{House, Refusal as _, a_boleto, eventually};

const REGISTRAR: &str = "house/workers/registrars/banco_do_brasil";
/// The name on whose answers a build for fault tests panics.
const POISON: &str = "panic";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_boleto_is_a_dead_letter_and_its_neighbours_are_registered() {
    needs_failpoints();
    let house = House::new().with("registration.attempts_max", "3").open().await;
    let shop = house.shop();
    let poison = shop.creates(a_boleto().called(POISON)).await;
    assert_eq!(poison.status(), BoletoStatus::PendingRegistration);
    let mut neighbours = Vec::new();
    for _ in 0..20 {
        neighbours.push(shop.creates(a_boleto()).await);
    }
    let letters = eventually("a dead letter", async || {
        let letters = house.operator().finds_work(&poison.id, &[WorkState::Discarded]).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!((letters[0].attempt, letters[0].attempts_max), (3, 3));
    assert!(!letters[0].last_error.is_empty(), "a dead letter says why");
    for neighbour in &neighbours {
        let registered = shop.sees(&neighbour.id, BoletoStatus::Registered).await;
        house.bank().keeps_one(&registered);
        house.owner().hears(&neighbour.id, 1).await;
    }
    assert_eq!(shop.gets(&poison.id).await.status(), BoletoStatus::PendingRegistration, "never refused");
    house.bank().keeps_one(&poison);
    let registrar = house.operator().sees(REGISTRAR, NodeStatus::Running).await;
    assert_eq!(registrar.restarts, 3);
    let exit = registrar.last_exit.expect("an exit");
    assert!(exit.reason.contains("an answer that the connector cannot bear"), "{exit:?}");
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_crashes_us_every_time_is_parked_and_everything_else_serves() {
    needs_failpoints();
    let house = House::new()
        .with("supervision.restarts_max", "3")
        .with("supervision.park_retry_base", "1h")
        .with("supervision.park_retry_cap", "1h")
        .open()
        .await;
    let (shop, operator) = (house.shop(), house.operator());
    operator.subscribes_webhook(&["*"]).await;
    let before = shop.creates(a_boleto()).await;
    let poison = shop.creates(a_boleto().called(POISON)).await;
    let parked = operator.sees(REGISTRAR, NodeStatus::Melted).await;
    assert_eq!(parked.restarts, 3, "one more was too many");

    // Everything that is not this bank goes on, and boletos are taken in.
    house.owner().hears(&before.id, 2).await;
    assert_eq!(shop.gets(&before.id).await.status(), BoletoStatus::Registered);
    let meanwhile = shop.creates(a_boleto()).await;
    assert_eq!(meanwhile.status(), BoletoStatus::PendingRegistration);
    let (all, _) = shop.lists(ListBoletosRequest::default()).await.expect("a list");
    assert_eq!(all.len(), 3);
    for other in ["house", "house/workers", "house/workers/registrars", "house/workers/notifiers/sqs", "api"]
    {
        assert_eq!(operator.actor(other).await.status(), NodeStatus::Running, "{other}");
    }
    assert!(operator.info().await.ready, "the house itself is ready");

    // The operator takes the cause away and has the bank served again.
    let work = operator.finds_work(&poison.id, &[]).await;
    operator.cancels(&work[0].id, "the connector cannot bear it").await.expect("cancelled work");
    assert_eq!(operator.starts(REGISTRAR).await.expect("a started actor").status(), NodeStatus::Running);
    let registered = shop.sees(&meanwhile.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&registered);
    house.owner().hears(&meanwhile.id, 2).await;
    let gone = operator.cancels(&work[0].id, "again").await.expect_err("it has ended");
    assert_eq!((gone.code(), gone.reason().as_str()), (Code::FailedPrecondition, "WORK_ENDED"));
    operator.sees_all_work_done().await;
    house.close().await;
}

/// Without it nothing would panic, and the stories would wait in vain.
fn needs_failpoints() {
    let compiled_in = cfg!(feature = "failpoints");
    assert!(compiled_in, "these stories need `--features failpoints`, as .ci/test has it");
}
