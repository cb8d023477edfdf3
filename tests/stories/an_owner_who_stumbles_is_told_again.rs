//! An owner's receiver is away or in trouble. The news waits and goes out again under the same event id, until it is taken
//! once; a receiver that says it is gone for good is left in peace.

use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, EffectKind, Party};

use crate::support::house::{House, PATIENCE, Refusal as _, a_boleto, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_in_trouble_is_told_again() {
    let house = House::new().with("channels.webhook.timeout", "300ms").open().await;
    house.operator().subscribes_webhook(&["*"]).await;
    let troubles = [
        Behaviour::status(500),
        Behaviour::status(404),
        Behaviour::status(302),
        Behaviour::Reset,
        Behaviour::Hang,
        Behaviour::Garbage,
    ];
    let attempts = troubles.len() as u64 + 1;
    troubles.into_iter().for_each(|trouble| house.script().webhook(trouble));
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let told = house.owner().hears(&boleto.id, 1).await;
    assert_eq!(told[0].text("status"), "registered");
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::Webhook), attempts);
    assert_eq!(house.owner().heard(&boleto.id).len(), 1, "one effect");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_may_have_arrived_comes_again_under_the_same_event_id() {
    let house = House::new().open().await;
    house.operator().subscribes_webhook(&["*"]).await;
    house.script().webhook(Behaviour::accept_then_drop());
    house.script().sqs(Behaviour::accept_then_drop());
    let boleto = house.shop().creates(a_boleto()).await;
    let told = house.owner().hears(&boleto.id, 4).await;
    for channel in ["sqs", "webhook"] {
        let of_channel: Vec<_> = told.iter().filter(|told| told.channel == channel).collect();
        assert_eq!(of_channel.len(), 2, "{channel}");
        assert_eq!(of_channel[0].body, of_channel[1].body, "{channel}");
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_away_is_told_when_it_is_back() {
    let house = House::new().open().await;
    house.script().always(Party::Sqs, Behaviour::status(503));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(house.shop().creates(a_boleto()).await);
    }
    let asked = house.script().asked(Party::Sqs);
    house.world().wait_for_asked(Party::Sqs, asked + 2, PATIENCE).await.expect("another try");
    let waiting = house.operator().work(&[]).await;
    assert_eq!(waiting.len(), 3, "{waiting:?}");
    assert!(waiting.iter().all(|work| work.kind == "notification.deliver"));

    house.script().clear(Party::Sqs);
    for boleto in &made {
        house.owner().hears(&boleto.id, 1).await;
    }
    house.operator().sees_all_work_done().await;
    let effects = house.world().effects();
    assert_eq!(effects.iter().filter(|effect| effect.kind == EffectKind::OwnerSqs).count(), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_gone_is_left_in_peace() {
    let house = House::new().open().await;
    let endpoint = house.operator().subscribes_webhook(&["*"]).await;
    house.script().webhook(Behaviour::status(410));
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let gone = eventually("the endpoint is disabled", async || {
        let endpoint = house.operator().endpoint(&endpoint.id).await;
        endpoint.disabled.then_some(endpoint)
    })
    .await;
    assert!(!gone.disabled_reason.is_empty());
    let letters = eventually("the delivery is a dead letter", async || {
        let letters = house.operator().finds_work(&boleto.id, &[WorkState::Discarded]).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters[0].kind, "notification.deliver");
    assert!(!letters[0].last_error.is_empty());

    let nobody_left = house.shop().tries(a_boleto().told_to_subscribers()).await.expect_err("nobody to tell");
    assert_eq!(nobody_left.fields(), ["queue_url"]);
    let boleto = house.shop().creates(a_boleto()).await;
    house.owner().hears(&boleto.id, 1).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::Webhook), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_does_not_exist_is_a_dead_letter_and_harms_no_other() {
    let house = House::new().open().await;
    let nowhere = house.world().addresses().queue_url.replace("sandbox-owner", "nowhere");
    let lost = house.shop().creates(a_boleto().told_to_queue(&nowhere)).await;
    let heard = house.shop().creates(a_boleto()).await;
    house.owner().hears(&heard.id, 1).await;
    let letters = eventually("the delivery is a dead letter", async || {
        let letters = house.operator().finds_work(&lost.id, &[WorkState::Discarded]).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert!(letters[0].last_error.contains("QueueDoesNotExist"), "{}", letters[0].last_error);
    assert!(lost.payable, "the boleto itself is as good as any");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_always_fails_ends_as_a_dead_letter_that_can_be_revived() {
    let house = House::new().with("notification.attempts_max", "3").open().await;
    house.script().always(Party::Sqs, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    let letters = eventually("the delivery is a dead letter", async || {
        let letters = house.operator().finds_work(&boleto.id, &[WorkState::Discarded]).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!((letters[0].attempt, letters[0].attempts_max), (3, 3));
    assert_eq!(house.script().asked(Party::Sqs), 3);

    house.script().clear(Party::Sqs);
    house.operator().retries(&letters[0].id, "").await.expect("a revived letter");
    house.owner().hears(&boleto.id, 1).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}
