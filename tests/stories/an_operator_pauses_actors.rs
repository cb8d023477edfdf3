//! An operator has an actor leave its messages lying, looks into something, and has it go on. Nothing is lost meanwhile.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::{Node, PauseActorRequest, ResumeActorRequest};
use tonic::{Code, Status};

use crate::support::house::{House, Operator, Refusal as _, a_boleto};

const REGISTRAR: &str = "house/workers/registrars/banco_do_brasil";

async fn pauses(operator: &Operator, path: &str) -> Result<Node, Status> {
    let request = PauseActorRequest { path: path.to_owned(), ..Default::default() };
    let answer = operator.control.clone().pause_actor(request).await?.into_inner();
    Ok(answer.node.expect("a node in the answer"))
}

async fn resumes(operator: &Operator, path: &str) -> Result<Node, Status> {
    let request = ResumeActorRequest { path: path.to_owned(), ..Default::default() };
    let answer = operator.control.clone().resume_actor(request).await?.into_inner();
    Ok(answer.node.expect("a node in the answer"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_registrar_asks_nobody_until_it_goes_on() {
    let house = House::new().with("registration.inline_deadline", "10ms").open().await;
    let (shop, operator) = (house.shop(), house.operator());
    assert_eq!(pauses(&operator, REGISTRAR).await.expect("a paused actor").note, "paused");
    pauses(&operator, REGISTRAR).await.expect("paused as it was");
    let boletos = [shop.creates(a_boleto()).await, shop.creates(a_boleto()).await];
    for boleto in &boletos {
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    }
    assert_eq!(house.bank().asked(), 0);
    assert!(operator.actor(REGISTRAR).await.mailbox_depth > 0, "messages lie");

    assert_eq!(resumes(&operator, REGISTRAR).await.expect("an actor that goes on").note, "");
    for boleto in &boletos {
        shop.sees(&boleto.id, BoletoStatus::Registered).await;
    }
    assert_eq!(house.bank().asked(), 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_is_paused_as_a_whole_and_closes_all_the_same() {
    let house = House::new().open().await;
    let operator = house.operator();
    pauses(&operator, "house/workers").await.expect("a paused branch");
    for path in ["house/workers/notifiers/sqs", "house/workers/notifiers/webhook", REGISTRAR] {
        assert_eq!(operator.actor(path).await.note, "paused", "{path}");
    }
    resumes(&operator, REGISTRAR).await.expect("one of them goes on");
    assert_eq!(operator.actor("house/workers/notifiers/sqs").await.note, "paused");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_process_lives_by_is_not_paused() {
    let house = House::new().open().await;
    let operator = house.operator();
    for path in
        ["root", "api", "house", "house/foundation", "house/foundation/runner", "house/workers/analysis"]
    {
        let refused = pauses(&operator, path).await.expect_err("not to be paused");
        let expected = (Code::FailedPrecondition, "ACTOR_NOT_CONTROLLABLE".to_owned());
        assert_eq!((refused.code(), refused.reason()), expected, "{path}");
    }
    for refused in
        [pauses(&operator, "house/nobody").await, resumes(&operator, "house/foundation/nobody").await]
    {
        assert_eq!(refused.expect_err("nobody there").reason(), "ACTOR_NOT_FOUND");
    }
    assert!(operator.tree().await.iter().all(|node| node.note != "paused"));
    house.close().await;
}
