//! An owner listens to a stream. News arrive there under the event's id, as often as the stream must be told and kept once;
//! a stream in trouble is told again, and what it never takes is a dead letter. A sandbox shows everything that came in one
//! list, whichever way it came.

use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, EffectKind, Listed, Party, ReceivedMessage};

use crate::support::house::{House, Opened, a_boleto, eventually};

/// A house whose stream gets this long to acknowledge.
fn a_house() -> House {
    House::new().with("channels.nats.ack_timeout", "300ms")
}

fn count(house: &Opened, kind: EffectKind) -> usize {
    house.world().effects().iter().filter(|effect| effect.kind == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_told_beside_a_queue_and_a_webhook_and_all_is_in_one_list() {
    let house = a_house().open().await;
    house.operator().subscribes_webhook(&["*"]).await;
    house.operator().subscribes_nats("owners.acme", &["*"]).await;
    let boleto = house.shop().creates(a_boleto()).await;
    let told = house.owner().hears(&boleto.id, 3).await;
    let by_nats = told.iter().find(|told| told.channel == "nats").expect("news by the stream");
    let header = |name: &str| by_nats.attributes[name].as_str();
    assert_eq!(by_nats.text("status"), "registered");
    assert_eq!(header("Nats-Msg-Id"), by_nats.text("event_id"));
    assert_eq!((header("Bursar-Event-Type"), header("Bursar-Version")), ("boleto.registered", "2"));

    let listed: Vec<Listed> = house.world().messages().iter().map(ReceivedMessage::listed).collect();
    let mut channels: Vec<&str> = listed.iter().map(|line| line.channel.as_str()).collect();
    channels.sort_unstable();
    assert_eq!(channels, ["nats", "sqs", "webhook"]);
    for line in &listed {
        assert_eq!((&line.subject, &line.event_id), (&boleto.id, &listed[0].event_id));
        assert_eq!((line.event_type.as_str(), line.version), ("boleto.registered", Some(2)));
    }
    let subjects: Vec<&str> =
        listed.iter().filter(|line| line.channel == "nats").map(|line| line.destination.as_str()).collect();
    assert_eq!(subjects, ["owners.acme.boleto.registered"]);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_in_trouble_is_told_again_until_it_has_the_news_once() {
    let house = a_house().open().await;
    house.operator().subscribes_nats("owners.acme", &["*"]).await;
    let troubles = [
        // The connection ends, before and after the stream had the message.
        Behaviour::Reset,
        Behaviour::accept_then_drop(),
        // No acknowledgement comes, in both ways.
        Behaviour::Empty,
        Behaviour::AcceptThen(Box::new(Behaviour::Empty)),
        // One comes that is no good.
        Behaviour::saying(503, "maximum messages exceeded"),
        Behaviour::Html,
        Behaviour::Garbage,
    ];
    let attempts = troubles.len() as u64 + 1;
    troubles.into_iter().for_each(|trouble| house.script().once(Party::Nats, trouble));
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::Nats), attempts);
    assert_eq!(house.owner().heard(&boleto.id).len(), 1, "kept once");
    // It was taken twice more: where the first acknowledgement did not come, and at last.
    assert_eq!((count(&house, EffectKind::OwnerNats), count(&house, EffectKind::OwnerNatsDuplicate)), (1, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_acknowledgement_counts_and_holds_up_nobody_else() {
    let house = House::new().open().await;
    house.operator().subscribes_nats("owners.acme", &["*"]).await;
    house.script().once(Party::Nats, Behaviour::accept_then_hold());
    let held = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.world().wait_for_held(1, crate::support::house::PATIENCE).await.expect("a held acknowledgement");
    let other = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.owner().hears(&other.id, 1).await;
    house.operator().finds_work_in(&held.id, WorkState::Running).await;
    house.script().release();
    house.operator().sees_all_work_done().await;
    assert_eq!((count(&house, EffectKind::OwnerNats), count(&house, EffectKind::OwnerNatsDuplicate)), (2, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_never_takes_is_a_dead_letter() {
    let house = a_house().with("notification.attempts_max", "3").open().await;
    house.operator().subscribes_nats("owners.acme", &["*"]).await;
    // Longer than the stream's messages may be: asking again gives the same answer.
    house.script().once(Party::Nats, Behaviour::refuse("10054"));
    let refused = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let letter = house.operator().finds_work_in(&refused.id, WorkState::Discarded).await;
    assert!(letter.last_error.contains("10054"), "{}", letter.last_error);
    assert_eq!(house.script().asked(Party::Nats), 1);

    // Nobody listens to the subject: somebody may put that right, for as long as there are attempts.
    house.script().always(Party::Nats, Behaviour::status(503));
    let unheard = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let letter = house.operator().finds_work_in(&unheard.id, WorkState::Discarded).await;
    assert!(letter.last_error.contains("no stream"), "{}", letter.last_error);
    assert_eq!((letter.attempt, house.script().asked(Party::Nats)), (3, 4));

    house.script().clear(Party::Nats);
    house.operator().retries(&letter.id, "").await.expect("a revived letter");
    house.owner().hears(&unheard.id, 1).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_is_none_is_refused_when_it_is_named() {
    let house = a_house().with("channels.nats.subjects.prefixes", r#"["owners"]"#).open().await;
    for subject in
        ["owners.>", "owners.*", "owners..acme", "$JS.API.INFO", "_INBOX.a", "others", "ownership", ""]
    {
        let refused = house.operator().tries_to_subscribe_nats(subject, &["*"]).await;
        let status = refused.expect_err("no such subject");
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{subject:?}: {status}");
    }
    let endpoint = house.operator().subscribes_nats("owners.acme", &["*"]).await;
    let read = eventually("the endpoint", async || Some(house.operator().endpoint(&endpoint.id).await)).await;
    assert_eq!(read.destination, endpoint.destination);
    house.close().await;
}
