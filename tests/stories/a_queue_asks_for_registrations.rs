//! A company moves over with systems that go on putting boletos on the queue of the service before. Each message becomes
//! one registration, what was decided is not asked about again, and what nobody understands is kept for somebody to look at.

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::proto::control::v1::{
    GetTreeRequest, NodeStatus, PauseQueueRequest, ResumeQueueRequest, Work, WorkState,
};
use bursar::sandbox::{Behaviour, Party};
use serde_json::json;
use uuid::Uuid;

use crate::support::database::Kind;
use crate::support::house::{House, Opened, a_boleto, eventually};
use crate::support::sender::Sender;

const CONSUMER: &str = "house/ingress/boletos_to_register";
const MESSAGES: &str = "ingress/boletos_to_register/messages";

/// A house that reads a queue, and whoever writes to it.
async fn open(house: House) -> (Opened, Sender) {
    let surroundings = house.prepare().await;
    let sender = Sender::with_queue(&surroundings.world).await;
    let surroundings = surroundings
        .with("ingress.boletos_to_register.queue_url", &sender.queue_url)
        .with("ingress.boletos_to_register.visibility", "2s");
    (surroundings.open().await, sender)
}

async fn emptied(sender: &Sender) {
    eventually("an empty queue", async || (sender.depth().await == (0, 0)).then_some(())).await;
}

async fn held_back(house: &Opened) -> Boleto {
    house.shop().creates(a_boleto().with(|request| request.hold_registration = true)).await
}

async fn dead_letters(house: &Opened, count: usize) -> Vec<Work> {
    eventually("dead letters", async || {
        let found = house.operator().work(&[WorkState::Discarded]).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

async fn each_message_becomes_one_registration(kind: Kind) {
    let (house, sender) = open(House::new().on(kind)).await;
    let (one, two, three) = (held_back(&house).await, held_back(&house).await, held_back(&house).await);
    assert_eq!(house.bank().asked(), 0);
    sender.sends(&json!({"boleto_id": one.id}).to_string()).await;
    sender.sends(&json!({"boleto_id": two.id, "issuer": "bradesco"}).to_string()).await;
    sender.sends(&json!({"id": three.id, "issuer": "development"}).to_string()).await;
    // Twice, as a queue may deliver it.
    sender.sends(&json!({"boleto_id": one.id}).to_string()).await;
    for boleto in [&one, &two, &three] {
        let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        house.bank().keeps_one(&registered);
    }
    emptied(&sender).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.bank().asked(), 3);
    // What was put on the queue names the boleto as well; the owner's news have an event.
    let mut told = house.owner().heard(&one.id);
    told.retain(|told| told.body.get("event_id").is_some());
    assert_eq!(told.len(), 1, "the owner is told once: {told:?}");
    assert!(house.operator().work(&[WorkState::Discarded]).await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_becomes_one_registration_on_the_embedded_store() {
    each_message_becomes_one_registration(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_becomes_one_registration_on_postgresql() {
    each_message_becomes_one_registration(Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bank_has_decided_is_not_asked_about_again() {
    let (house, sender) = open(House::new()).await;
    let registered = house.shop().creates(a_boleto()).await;
    assert_eq!(registered.status(), BoletoStatus::Registered);
    house.script().bank_register(Behaviour::refuse("48"));
    let refused = house.shop().creates(a_boleto()).await;
    assert_eq!(refused.status(), BoletoStatus::Refused);
    let asked = house.bank().asked();
    for id in [&registered.id, &refused.id] {
        sender.sends(&json!({"boleto_id": id}).to_string()).await;
    }
    emptied(&sender).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.bank().asked(), asked, "a bank was asked about what it had decided");
    assert_eq!(house.shop().gets(&registered.id).await, registered);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_next_attempt_goes_on_waiting() {
    let house = House::new().with("registration.retry_base", "1h").with("registration.retry_cap", "1h");
    let (house, sender) = open(house).await;
    house.script().bank_register(Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    sender.sends(&json!({"boleto_id": boleto.id}).to_string()).await;
    emptied(&sender).await;
    let work = house.operator().finds_work(&boleto.id, &[]).await;
    assert_eq!(work.len(), 1, "one live registration a boleto");
    assert_eq!(
        (work[0].attempt, house.bank().asked()),
        (1, 1),
        "a message is no reason to hurry a bank that is down"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_becomes_a_dead_letter_and_blocks_nobody() {
    let (house, sender) = open(House::new()).await;
    let boleto = held_back(&house).await;
    let unknown = Uuid::now_v7();
    sender.sends("this is no JSON").await;
    sender.sends(r#"{"issuer":"bradesco"}"#).await;
    sender.sends(&json!({"boleto_id": unknown}).to_string()).await;
    sender.sends(r#"{"boleto_id":"bol_cjunknown"}"#).await;
    sender.sends(&json!({"boleto_id": boleto.id}).to_string()).await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    emptied(&sender).await;
    let letters = dead_letters(&house, 4).await;
    let mut reasons: Vec<&str> = letters.iter().map(|letter| letter.last_error.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "the body is no JSON",
            "the body names no boleto",
            "there is no such boleto",
            "there is no such boleto"
        ]
    );
    assert!(letters.iter().all(|letter| letter.kind == "ingress.boleto" && letter.subject_id != boleto.id));

    // An operator has one tried again; it is as unreadable as before, and a dead letter again.
    let poison =
        letters.iter().find(|letter| letter.last_error == "the body is no JSON").expect("the letter");
    house.operator().retries(&poison.id, "perhaps now").await.expect("it lives again");
    eventually("a dead letter again", async || {
        let work = house.operator().gets_work(&poison.id).await.ok()?;
        (work.state() == WorkState::Discarded && work.last_error == "the body is no JSON").then_some(())
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_away_is_probed_and_seen_to_be_away() {
    let house = House::new()
        .with("breaker.failures_max", "2")
        .with("breaker.wait_base", "50ms")
        .with("breaker.wait_cap", "100ms")
        .with("ingress.boletos_to_register.wait", "0s");
    let (house, sender) = open(house).await;
    let boleto = held_back(&house).await;
    house.script().always(Party::Sqs, Behaviour::status(503));
    let open = eventually("an open breaker", async || {
        let info = house.operator().control.clone().get_tree(GetTreeRequest {}).await.ok()?.into_inner();
        info.open_breakers.into_iter().find(|open| open.queue == MESSAGES)
    })
    .await;
    assert!(open.breaker.is_some());
    assert_eq!(
        house.operator().actor(CONSUMER).await.status(),
        NodeStatus::Running,
        "away is a state, not a crash"
    );
    house.script().clear(Party::Sqs);
    sender.sends(&json!({"boleto_id": boleto.id}).to_string()).await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_holds_the_queue_back() {
    let (house, sender) = open(House::new().with("ingress.boletos_to_register.wait", "0s")).await;
    let boleto = held_back(&house).await;
    let mut control = house.operator().control.clone();
    house.operator().stops(CONSUMER).await.expect("stopped");
    let name = MESSAGES.to_owned();
    let pause = PauseQueueRequest { name: name.clone(), reason: "moving over".to_owned() };
    control.pause_queue(pause).await.expect("held back");
    sender.sends(&json!({"boleto_id": boleto.id}).to_string()).await;
    house.operator().starts(CONSUMER).await.expect("started");
    // Another boleto goes all its way meanwhile.
    let other = house.shop().creates(a_boleto()).await;
    house.owner().hears(&other.id, 1).await;
    assert_eq!(sender.depth().await, (1, 0), "nobody receives from a queue that is held back");
    control.resume_queue(ResumeQueueRequest { name, ..Default::default() }).await.expect("let go on");
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    emptied(&sender).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_without_a_queue_says_so() {
    let house = House::new().open().await;
    let node = house.operator().actor(CONSUMER).await;
    assert_eq!(node.status(), NodeStatus::Disabled);
    assert!(node.note.contains("queue_url is empty"), "{}", node.note);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_leaves_what_was_not_taken_in_on_the_queue() {
    let (house, sender) = open(House::new()).await;
    let boleto = held_back(&house).await;
    house.operator().stops(CONSUMER).await.expect("stopped while it waits at an empty queue");
    sender.sends(&json!({"boleto_id": boleto.id}).to_string()).await;
    let surroundings = house.leave().await;
    let (visible, hidden) = sender.depth().await;
    assert_eq!(visible + hidden, 1, "nobody took it in, and nobody deleted it");
    let house = surroundings.open().await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    emptied(&sender).await;
    house.close().await;
}

/// The queue names a boleto as the service before did, and nobody has taken it over yet. Once it is there, the dead letter
/// is tried again, and so is understood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_came_too_early_is_understood_once_its_boleto_has_its_old_name() {
    let (house, sender) = open(House::new().on(Kind::PostgreSql)).await;
    let boleto = held_back(&house).await;
    sender.sends(r#"{"boleto_id":"bol_cj0","issuer":"bradesco"}"#).await;
    let letter = dead_letters(&house, 1).await.remove(0);
    assert_eq!(letter.last_error, "there is no such boleto");
    emptied(&sender).await;

    house.names_as_before("bol_cj0", &boleto.id).await;
    assert_eq!(house.shop().gets("bol_cj0").await.id, boleto.id, "whoever knows its old name finds it");
    house.operator().retries(&letter.id, "it was taken over").await.expect("it lives again");
    let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&registered);
    house.operator().sees_all_work_done().await;
    assert!(house.operator().work(&[WorkState::Discarded]).await.is_empty());
    // Its owner knows it by no other name.
    eventually("the owner is told", async || {
        let told = house.owner().heard("bol_cj0");
        told.iter().any(|told| told.body["status"] == "registered").then_some(())
    })
    .await;
    // From here on its messages are understood at once.
    sender.sends(r#"{"id":"bol_cj0"}"#).await;
    emptied(&sender).await;
    assert!(house.operator().work(&[WorkState::Discarded]).await.is_empty());
    house.close().await;
}
