//! The queue channel against a queue server written by others, read back by the usual client.

use bursar::connectors::channels::sqs::Sqs;
use bursar::connectors::channels::sqs::config::{AccessKeys, FifoGroup, SqsConfig};
use bursar::connectors::channels::{Channel as _, ChannelError, Destination, Notice, Receipt};
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::connectors::secret::SecretRef;
use bursar::domain::ids::{EventId, TenantId};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{ListWorkRequest, Work, WorkState};
use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use crate::peers::{Moto, PATIENCE};
use crate::small_house::{Folder, SmallHouse, a_boleto};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BODY: &str = "{\"reference_id\":\"São João <&> \\\"aspas\\\"\",\n\t\"emoji\":\"🧾\"}";

type Outcomes = Vec<Result<Receipt, ChannelError>>;

/// Somebody who sends through the channel.
struct Sender {
    tenant: TenantId,
    channel: Sqs,
    _folder: Folder,
}

impl Sender {
    fn to(endpoint: &str) -> Self {
        Self::grouping(endpoint, FifoGroup::Owner)
    }

    fn grouping(endpoint: &str, fifo_group: FifoGroup) -> Self {
        let folder = Folder::new();
        let key = SecretRef::parse(&folder.secret("key", "testing")).expect("a reference");
        let config = SqsConfig {
            endpoint: Some(HttpUrl::parse(endpoint).expect("an address")),
            region: Some("us-east-1".to_owned()),
            credentials: Some(AccessKeys {
                access_key_id: key.clone(),
                secret_access_key: key,
                session_token: None,
            }),
            fifo_group,
            ..SqsConfig::default()
        };
        let channel = Sqs::new(config, &HttpConfig::default()).expect("a channel");
        Self { tenant: TenantId::default(), channel, _folder: folder }
    }

    fn notice<'a>(&'a self, number: u128, subject: &'a str, body: &'a str) -> Notice<'a> {
        Notice {
            tenant: &self.tenant,
            event_id: EventId(Uuid::from_u128(number)),
            event_type: "boleto.registered",
            subject,
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body,
            traceparent: Some(TRACEPARENT),
        }
    }

    async fn send(&self, queue_url: &str, notices: &[Notice<'_>]) -> Outcomes {
        let destination = Destination::Sqs { queue_url: queue_url.to_owned(), region: None };
        assert_eq!(self.channel.check(&self.tenant, &destination), []);
        self.channel.deliver(&destination, notices).await
    }
}

/// The server's own ids of messages that were all taken.
#[track_caller]
fn taken(outcomes: Outcomes) -> Vec<Option<String>> {
    outcomes.into_iter().map(|outcome| outcome.expect("taken").provider_message_id).collect()
}

fn texts(received: &[Value], pointer: &str) -> Vec<Option<String>> {
    received.iter().map(|message| Some(message.pointer(pointer)?.as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_client_reads_what_the_channel_sent() {
    let moto = Moto::start().await;
    let sender = Sender::to(&moto.endpoint);
    one_notice_arrives_whole(&moto, &sender).await;
    twenty_five_notices_arrive_in_tens(&moto, &sender).await;
    for (group, queue) in [(FifoGroup::Owner, "by-owner.fifo"), (FifoGroup::Subject, "by-subject.fifo")] {
        a_fifo_queue_keeps_the_order_and_drops_what_it_had(&moto, group, queue).await;
    }
    a_queue_that_is_missing_refuses_each_of_its_notices(&moto, &sender).await;
    moto.stop().await;
}

async fn one_notice_arrives_whole(moto: &Moto, sender: &Sender) {
    let queue = moto.create_queue("one").await;
    let sent = taken(sender.send(&queue, &[sender.notice(7, "boleto", BODY)]).await);
    let received = moto.receive(&queue, 1).await;
    assert_eq!(texts(&received, "/message_id"), sent);
    assert_eq!(received[0]["body"], BODY);
    let expected = serde_json::json!({
        "event_id": Uuid::from_u128(7).to_string(),
        "event_type": "boleto.registered",
        "traceparent": TRACEPARENT,
        "version": "2",
    });
    assert_eq!(received[0]["message_attributes"], expected);
}

async fn twenty_five_notices_arrive_in_tens(moto: &Moto, sender: &Sender) {
    let queue = moto.create_queue("many").await;
    let bodies: Vec<String> = (0..25).map(|number| format!("{{\"number\":{number}}}")).collect();
    let notices: Vec<Notice<'_>> =
        (0..25).zip(&bodies).map(|(number, body)| sender.notice(number, "boleto", body)).collect();
    // The server refuses a batch of more than ten, so that any other cut would show here.
    let sent = taken(sender.send(&queue, &notices).await);
    let received = moto.receive(&queue, 25).await;
    assert_eq!(received.len(), 25);
    for (place, id) in sent.iter().enumerate() {
        let message = received.iter().find(|message| message["message_id"].as_str() == id.as_deref());
        let message = message.unwrap_or_else(|| panic!("the receipt of notice {place} names no message"));
        assert_eq!(message["body"], bodies[place]);
        assert_eq!(message["message_attributes"]["event_id"], notices[place].event_id.to_string());
    }
}

async fn a_fifo_queue_keeps_the_order_and_drops_what_it_had(moto: &Moto, group: FifoGroup, name: &str) {
    let sender = Sender::grouping(&moto.endpoint, group);
    let queue = moto.create_queue(name).await;
    let subject = |number: u128| if number.is_multiple_of(2) { "one-boleto" } else { "another" };
    let bodies: Vec<String> = (0..24).map(|number| number.to_string()).collect();
    let notices: Vec<Notice<'_>> =
        (0..24).zip(&bodies).map(|(number, body)| sender.notice(number, subject(number), body)).collect();
    taken(sender.send(&queue, &notices).await);
    // As after a crash between the server's acknowledgement and ours.
    taken(sender.send(&queue, &notices[3..5]).await);
    taken(sender.send(&queue, &notices[23..]).await);
    let received = moto.receive(&queue, 24).await;
    assert_eq!(received.len(), 24, "each once");
    for parity in [0, 1] {
        let own = |message: &&Value| number_of(message) % 2 == parity;
        let numbers: Vec<u128> = received.iter().filter(own).map(number_of).collect();
        assert!(numbers.is_sorted(), "{group:?}: the order of {} is {numbers:?}", subject(parity));
    }
    for message in &received {
        let notice = &notices[usize::try_from(number_of(message)).expect("a small number")];
        let expected = match group {
            FifoGroup::Owner => "default",
            FifoGroup::Subject => notice.subject,
        };
        assert_eq!(message["attributes"]["MessageGroupId"], expected);
        assert_eq!(message["attributes"]["MessageDeduplicationId"], notice.event_id.to_string());
    }
}

fn number_of(message: &Value) -> u128 {
    message["body"].as_str().and_then(|body| body.parse().ok()).expect("a number for a body")
}

async fn a_queue_that_is_missing_refuses_each_of_its_notices(moto: &Moto, sender: &Sender) {
    let missing = format!("{}/123456789012/nobody-made-it", moto.endpoint);
    for count in [1, 2] {
        let notices: Vec<Notice<'_>> =
            (0..count).map(|number| sender.notice(number, "boleto", "{}")).collect();
        for outcome in sender.send(&missing, &notices).await {
            assert!(matches!(outcome, Err(ChannelError::Refused { .. })), "{outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_has_taken_nothing() {
    let moto = Moto::start().await;
    let sender = Sender::to(&moto.endpoint);
    let queue = moto.create_queue("owners").await;
    moto.stop().await;
    for outcome in sender.send(&queue, &[sender.notice(1, "a", "{}"), sender.notice(2, "b", "{}")]).await {
        assert!(matches!(outcome, Err(ChannelError::Unavailable { .. })), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_tells_the_owner_of_a_queue_what_became_of_a_boleto() {
    let moto = Moto::start().await;
    let house = SmallHouse::furnished(&[("channels.sqs.endpoint", moto.endpoint.as_str())]).await;
    let queue_url = moto.create_queue("shop").await;
    let request = boleto::CreateBoletoRequest { queue_url: queue_url.clone(), ..a_boleto() };
    let made = house.creates(request).await;
    assert_eq!(made.status(), boleto::BoletoStatus::Registered);

    let received = moto.receive(&queue_url, 1).await;
    assert_eq!(received.len(), 1, "{received:?}");
    let body: Value = serde_json::from_str(received[0]["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["boleto_id"], made.id);
    assert_eq!(body["status"], "registered");
    assert_eq!(body["reference_id"], "pedido 7");
    assert_eq!(body["event_type"], "boleto.registered");
    assert_eq!(body["version"], made.version);
    let event_id: Uuid = body["event_id"].as_str().expect("text").parse().expect("a UUID");
    assert_eq!(received[0]["message_attributes"]["event_id"], event_id.to_string());
    assert_eq!(received[0]["message_attributes"]["event_type"], "boleto.registered");
    let occurred_at = body["occurred_at"].as_str().expect("text");
    DateTime::parse_from_rfc3339(occurred_at).expect("a time of RFC 3339");

    let missing = format!("{}/123456789012/nobody-made-it", moto.endpoint);
    let lost = house.creates(boleto::CreateBoletoRequest { queue_url: missing, ..a_boleto() }).await;
    assert_eq!(lost.status(), boleto::BoletoStatus::Registered);
    let letter = dead_letter(&house, &lost.id).await;
    assert!(letter.last_error.contains("QueueDoesNotExist"), "{letter:?}");
    house.close().await;
    moto.stop().await;
}

/// Waits for the delivery about `subject` to be given up.
async fn dead_letter(house: &SmallHouse, subject: &str) -> Work {
    let mut control = ControlServiceClient::new(house.channel.clone());
    let looking = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            pace.tick().await;
            let request =
                ListWorkRequest { states: vec![WorkState::Discarded.into()], ..ListWorkRequest::default() };
            let listed = control.list_work(request).await.expect("a list").into_inner().work;
            if let Some(letter) = listed.into_iter().find(|work| work.subject_id == subject) {
                return letter;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it is given up in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_reads_a_queue_that_the_usual_client_wrote_to() {
    let moto = Moto::start().await;
    let queue_url = moto.create_queue("boletos-to-register").await;
    let house = SmallHouse::furnished(&[
        ("channels.sqs.endpoint", moto.endpoint.as_str()),
        ("ingress.boletos_to_register.queue_url", &queue_url),
        ("ingress.boletos_to_register.region", "us-east-1"),
        // This server waits for messages in one of its few threads.
        ("ingress.boletos_to_register.wait", "1s"),
    ])
    .await;
    let held =
        boleto::CreateBoletoRequest { hold_registration: true, notification_opt_out: true, ..a_boleto() };
    let made = house.creates(held).await;
    assert_eq!(made.status(), boleto::BoletoStatus::Issued);
    moto.send(&queue_url, "São João: no JSON").await;
    moto.send(&queue_url, &format!("{{\"boleto_id\":\"{}\",\"issuer\":\"bradesco\"}}", made.id)).await;
    let mut boletos = BoletoServiceClient::new(house.channel.clone());
    let registered = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            pace.tick().await;
            let request = boleto::GetBoletoRequest { id: made.id.clone() };
            let found = boletos.get_boleto(request).await.expect("a boleto").into_inner().boleto;
            if found.expect("it").status() == boleto::BoletoStatus::Registered
                && moto.depth(&queue_url).await == 0
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.expect("registered, and both messages deleted");
    let mut control = ControlServiceClient::new(house.channel.clone());
    let request = ListWorkRequest { states: vec![WorkState::Discarded.into()], ..ListWorkRequest::default() };
    let letters = control.list_work(request).await.expect("a list").into_inner().work;
    let told: Vec<_> =
        letters.iter().map(|letter| (letter.kind.as_str(), letter.last_error.as_str())).collect();
    assert_eq!(told, [("ingress.boleto", "the body is no JSON")]);
    house.close().await;
    moto.stop().await;
}
