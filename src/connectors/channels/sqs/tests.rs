//! Every class of answer that a queue service can give, against a server on loopback.

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::config::{AccessKeys, FifoGroup};
use super::*;
use crate::connectors::http::HttpUrl;
use crate::connectors::scripted::{Reply, Scripted, SecretFile, Seen, hanging_up, nobody, reply};
use crate::connectors::secret::SecretRef;
use crate::domain::ids::EventId;

const QUEUE: &str = "https://sqs.sa-east-1.amazonaws.com/123456789012/owners";

struct Owner {
    tenant: TenantId,
    _secrets: [SecretFile; 2],
    channel: Sqs,
}

impl Owner {
    fn calling(endpoint: &str) -> Self {
        Self::grouping(endpoint, FifoGroup::Owner)
    }

    fn grouping(endpoint: &str, fifo_group: FifoGroup) -> Self {
        let secrets = [SecretFile::new("AKIDEXAMPLE"), SecretFile::new("secret-key")];
        let reference = |file: &SecretFile| SecretRef::parse(&file.reference()).unwrap();
        let config = SqsConfig {
            endpoint: Some(HttpUrl::parse(endpoint).unwrap()),
            credentials: Some(AccessKeys {
                access_key_id: reference(&secrets[0]),
                secret_access_key: reference(&secrets[1]),
                session_token: None,
            }),
            fifo_group,
            ..SqsConfig::default()
        };
        let channel = Sqs::new(config, &HttpConfig::default()).unwrap();
        Self { tenant: TenantId::default(), _secrets: secrets, channel }
    }

    fn notice<'a>(&'a self, number: u128, body: &'a str) -> Notice<'a> {
        Notice {
            tenant: &self.tenant,
            event_id: EventId(Uuid::from_u128(number)),
            event_type: "boleto.registered",
            subject: "the-boleto",
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        }
    }

    async fn deliver(&self, queue: &str, notices: &[Notice<'_>]) -> Vec<Result<Receipt, ChannelError>> {
        let destination = Destination::Sqs { queue_url: queue.to_owned(), region: None };
        self.channel.deliver(&destination, notices).await
    }
}

/// Takes every entry, as SQS would.
fn taking_all(seen: &Seen) -> Reply {
    let body = seen.json();
    let answer = match body.get("Entries").and_then(Value::as_array) {
        None => json!({"MessageId": "m", "MD5OfMessageBody": "x"}),
        Some(entries) => {
            let taken: Vec<_> = entries
                .iter()
                .map(|entry| json!({"Id": entry["Id"], "MessageId": format!("m-{}", entry["Id"].as_str().unwrap())}))
                .collect();
            json!({"Successful": taken, "Failed": []})
        }
    };
    reply(200, answer.to_string())
}

#[tokio::test]
async fn one_notice_is_one_signed_send_message() {
    let server = Scripted::start(taking_all).await;
    let owner = Owner::calling(&server.url("/"));
    let outcomes = owner.deliver(QUEUE, &[owner.notice(1, "{}")]).await;
    assert_eq!(outcomes[0].as_ref().unwrap().provider_message_id.as_deref(), Some("m"));
    let seen = server.seen().remove(0);
    assert_eq!(seen.header("x-amz-target"), "AmazonSQS.SendMessage");
    assert_eq!(seen.header("content-type"), "application/x-amz-json-1.0");
    let expected = json!({
        "QueueUrl": QUEUE,
        "MessageBody": "{}",
        "MessageAttributes": {
            "event_id": {"DataType": "String", "StringValue": Uuid::from_u128(1).to_string()},
            "event_type": {"DataType": "String", "StringValue": "boleto.registered"},
            "traceparent": {
                "DataType": "String",
                "StringValue": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            },
            "version": {"DataType": "Number", "StringValue": "2"},
        },
    });
    assert_eq!(seen.json(), expected);
    let authorization = seen.header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/sa-east-1/sqs/aws4_request"), "{authorization}");
    assert!(authorization.contains("x-amz-content-sha256;x-amz-date;x-amz-target"), "{authorization}");
}

#[tokio::test]
async fn a_fifo_queue_gets_group_and_deduplication_id() {
    for (group, expected) in
        [(FifoGroup::Owner, ["default", "default"]), (FifoGroup::Subject, ["the-boleto", "another"])]
    {
        let server = Scripted::start(taking_all).await;
        let owner = Owner::grouping(&server.url("/"), group);
        let notices = [owner.notice(1, "{}"), Notice { subject: "another", ..owner.notice(2, "{}") }];
        assert!(owner.deliver(&format!("{QUEUE}.fifo"), &notices).await.iter().all(Result::is_ok));
        let body = server.seen().remove(0).json();
        assert_eq!([&body["Entries"][0]["MessageGroupId"], &body["Entries"][1]["MessageGroupId"]], expected);
        assert_eq!(body["Entries"][1]["MessageDeduplicationId"], Uuid::from_u128(2).to_string());
        assert_eq!(body["Entries"][1].get("QueueUrl"), None);
    }
}

/// What the messages of a call were about.
fn subjects_of(call: &Seen) -> Vec<String> {
    let body = call.json();
    let entries = body["Entries"].as_array().cloned().unwrap_or_else(|| vec![body]);
    entries.iter().map(|entry| entry["MessageGroupId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_follows_a_notice_that_a_fifo_queue_did_not_take_is_not_sent() {
    // The first entry of the first call fails, as single entries of a batch may.
    let script = |seen: &Seen| {
        let body = seen.json();
        if body["Entries"][0]["MessageBody"] != "1" {
            return taking_all(seen);
        }
        let failed = json!([{"Id": "0", "Code": "InternalError", "SenderFault": false}]);
        let taken = json!([{"Id": "1", "MessageId": "m"}]);
        reply(200, json!({"Successful": taken, "Failed": failed}).to_string())
    };
    let server = Scripted::start(script).await;
    let owner = Owner::grouping(&server.url("/"), FifoGroup::Subject);
    let about = |number, subject, body| Notice { subject, ..owner.notice(number, body) };
    let notices =
        [about(1, "a", "1"), about(2, "a", "2"), about(3, "b", "3"), about(4, "b", "4"), about(5, "a", "5")];
    let outcomes = owner.deliver(&format!("{QUEUE}.fifo"), &notices).await;
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [false, false, true, true, false]);
    assert!(outcomes[1..2].iter().chain(&outcomes[4..]).all(|held| kind(held) == Kind::Unavailable));
    let calls: Vec<Vec<String>> = server.seen().iter().map(subjects_of).collect();
    assert_eq!(calls, [vec!["a", "b"], vec!["b"]]);
}

#[tokio::test]
async fn groups_hold_ten_messages_and_256_kib() {
    let server = Scripted::start(taking_all).await;
    let owner = Owner::calling(&server.url("/"));
    let many: Vec<_> = (0..23).map(|number| owner.notice(number, "{}")).collect();
    let outcomes = owner.deliver(QUEUE, &many).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 23);
    let sizes: Vec<_> =
        server.seen().iter().map(|seen| seen.json()["Entries"].as_array().map_or(1, Vec::len)).collect();
    assert_eq!(sizes, [10, 10, 3]);

    let (large, too_large) = ("x".repeat(100 * 1024), "x".repeat(256 * 1024));
    let notices = [
        owner.notice(1, &large),
        owner.notice(2, &too_large),
        owner.notice(3, &large),
        owner.notice(4, &large),
    ];
    let outcomes = owner.deliver(QUEUE, &notices).await;
    let delivered: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(delivered, [true, false, true, true]);
    assert!(matches!(outcomes[1], Err(ChannelError::Refused { .. })));
    let targets: Vec<_> =
        server.seen()[3..].iter().map(|seen| seen.header("x-amz-target").to_owned()).collect();
    assert_eq!(targets, ["AmazonSQS.SendMessageBatch", "AmazonSQS.SendMessage"]);
}

#[tokio::test]
async fn each_entry_of_a_batch_has_its_own_outcome() {
    let answer = json!({
        "Successful": [{"Id": "0", "MessageId": "m"}, {"Id": "9", "MessageId": "stray"}],
        "Failed": [
            {"Id": "1", "Code": "InvalidMessageContents", "SenderFault": true, "Message": "x"},
            {"Id": "2", "Code": "InternalError", "SenderFault": false},
        ],
    });
    let server = Scripted::start(move |_| reply(200, answer.to_string())).await;
    let owner = Owner::calling(&server.url("/"));
    let notices: Vec<_> = (0..4).map(|number| owner.notice(number, "{}")).collect();
    let outcomes = owner.deliver(QUEUE, &notices).await;
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(ChannelError::Refused { .. })));
    assert!(matches!(outcomes[2], Err(ChannelError::Unavailable { .. })));
    assert!(matches!(outcomes[3], Err(ChannelError::OutcomeUnknown { .. })));
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Refused,
    Unavailable,
    Unknown,
    Misconfigured,
}

fn kind(outcome: &Result<Receipt, ChannelError>) -> Kind {
    match outcome.as_ref().unwrap_err() {
        ChannelError::Refused { .. } => Kind::Refused,
        ChannelError::Unavailable { .. } => Kind::Unavailable,
        ChannelError::OutcomeUnknown { .. } => Kind::Unknown,
        ChannelError::Misconfigured { .. } | ChannelError::Disabled => Kind::Misconfigured,
    }
}

#[tokio::test]
async fn every_error_has_its_class() {
    let typed = |status: u16, kind: &str| reply(status, json!({"__type": kind, "message": "x"}).to_string());
    let cases = [
        (typed(400, "com.amazonaws.sqs#QueueDoesNotExist"), Kind::Refused),
        (typed(400, "AWS.SimpleQueueService.NonExistentQueue"), Kind::Refused),
        (typed(404, "com.amazonaws.sqs#InvalidAddress"), Kind::Refused),
        (typed(400, "com.amazonaws.sqs#InvalidMessageContents"), Kind::Refused),
        (typed(403, "AccessDeniedException"), Kind::Misconfigured),
        (typed(400, "com.amazon.coral.service#UnrecognizedClientException"), Kind::Misconfigured),
        (typed(403, "SignatureDoesNotMatch"), Kind::Misconfigured),
        (typed(400, "com.amazonaws.sqs#RequestThrottled"), Kind::Unavailable),
        (typed(400, "ThrottlingException"), Kind::Unavailable),
        (typed(500, "InternalFailure"), Kind::Unavailable),
        (reply(503, "<html>"), Kind::Unavailable),
        (reply(302, ""), Kind::Unavailable),
        (reply(200, "<html>"), Kind::Unknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let server = Scripted::start(move |_| answer.clone()).await;
        let owner = Owner::calling(&server.url("/"));
        let outcomes = owner.deliver(QUEUE, &[owner.notice(1, "{}")]).await;
        assert_eq!(kind(&outcomes[0]), expected, "{shown}");
    }
}

#[tokio::test]
async fn a_lost_group_is_unknown_only_if_it_may_have_left() {
    for (address, expected) in [(hanging_up().await, Kind::Unknown), (nobody().await, Kind::Unavailable)] {
        let owner = Owner::calling(&format!("http://{address}/"));
        let notices = [owner.notice(1, "{}"), owner.notice(2, "{}")];
        let outcomes = owner.deliver(QUEUE, &notices).await;
        assert_eq!(outcomes.iter().map(kind).collect::<Vec<_>>(), [kind(&outcomes[0]), expected]);
    }
}

#[tokio::test]
async fn nothing_is_signed_for_a_host_that_is_not_on_the_list() {
    let server = Scripted::start(taking_all).await;
    let channel = Sqs::new(SqsConfig::default(), &HttpConfig::default()).unwrap();
    let owner = Owner::calling(&server.url("/"));
    let url = server.url("/123456789012/owners");
    let destination = Destination::Sqs { queue_url: url, region: Some("sa-east-1".into()) };
    assert_eq!(channel.check(&owner.tenant, &destination)[0].field, "queue_url");
    let outcomes = channel.deliver(&destination, &[owner.notice(1, "{}")]).await;
    assert_eq!(kind(&outcomes[0]), Kind::Misconfigured);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_missing_access_key_is_named_as_a_matter_of_configuration() {
    let keys = AccessKeys {
        access_key_id: SecretRef::parse("env:BURSAR_TEST_NO_SUCH_VARIABLE").unwrap(),
        secret_access_key: SecretRef::parse("env:BURSAR_TEST_NO_SUCH_VARIABLE").unwrap(),
        session_token: None,
    };
    let config = SqsConfig {
        credentials: Some(keys),
        endpoint: Some(HttpUrl::parse("http://127.0.0.1:1/").unwrap()),
        timeout: Duration::from_secs(1),
        ..SqsConfig::default()
    };
    let owner = Owner::calling("http://127.0.0.1:1/");
    let channel = Sqs::new(config, &HttpConfig::default()).unwrap();
    let destination = Destination::Sqs { queue_url: QUEUE.into(), region: None };
    let outcomes = channel.deliver(&destination, &[owner.notice(1, "{}")]).await;
    assert_eq!(kind(&outcomes[0]), Kind::Misconfigured);
}
