//! What is asked of a queue that is read, and what its answers mean, against a server on loopback.

use serde_json::{Value, json};

use super::*;
use crate::connectors::channels::sqs::Sqs;
use crate::connectors::channels::sqs::config::{AccessKeys, SqsConfig};
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Scripted, SecretFile, reply};
use crate::connectors::secret::SecretRef;

const QUEUE: &str = "https://sqs.sa-east-1.amazonaws.com/123456789012/boletos-to-register";

struct Reader {
    source: Source,
    _secrets: SecretFile,
}

fn reader(endpoint: &str, body_max_bytes: usize) -> Reader {
    let secret = SecretFile::new("key");
    let reference = SecretRef::parse(&secret.reference()).unwrap();
    let keys =
        AccessKeys { access_key_id: reference.clone(), secret_access_key: reference, session_token: None };
    let config = SqsConfig {
        endpoint: Some(HttpUrl::parse(endpoint).unwrap()),
        credentials: Some(keys),
        ..SqsConfig::default()
    };
    let sqs = Sqs::new(config, &HttpConfig { body_max_bytes, ..HttpConfig::default() }).unwrap();
    let options = SourceOptions {
        queue_url: QUEUE.to_owned(),
        region: None,
        wait: Duration::from_secs(20),
        visibility: Duration::from_secs(120),
    };
    Reader { source: sqs.source(options), _secrets: secret }
}

#[tokio::test]
async fn messages_are_asked_for_and_read() {
    let answer = json!({"Messages": [
        {"MessageId": "m-1", "ReceiptHandle": "r-1", "Body": "{}", "MD5OfBody": "x",
         "MessageAttributes": {"traceparent": {"DataType": "String", "StringValue": "00-a-b-01"}}},
        {"MessageId": "m-2", "ReceiptHandle": "r-2", "Body": "[]", "MD5OfBody": "x"},
    ]});
    let server = Scripted::start(move |_| reply(200, answer.to_string())).await;
    let reader = reader(&server.url("/"), 1024 * 1024);
    let messages = reader.source.receive(7).await.unwrap();
    let told: Vec<_> =
        messages.iter().map(|m| (m.id.as_str(), m.receipt.as_str(), m.body.as_str())).collect();
    assert_eq!(told, [("m-1", "r-1", "{}"), ("m-2", "r-2", "[]")]);
    assert_eq!(messages[0].traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(messages[1].traceparent, None);
    let seen = server.seen().remove(0);
    assert_eq!(seen.header("x-amz-target"), "AmazonSQS.ReceiveMessage");
    let expected = json!({
        "QueueUrl": QUEUE, "MaxNumberOfMessages": 7, "WaitTimeSeconds": 20, "VisibilityTimeout": 120,
        "MessageAttributeNames": ["traceparent"],
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn an_empty_queue_has_no_messages_and_no_more_than_ten_are_asked_for() {
    let server = Scripted::start(|_| reply(200, "{}")).await;
    let reader = reader(&server.url("/"), 1024 * 1024);
    assert_eq!(reader.source.receive(1_000).await.unwrap(), []);
    assert_eq!(server.seen().remove(0).json()["MaxNumberOfMessages"], 10);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_asked_for_in_smaller_parts() {
    let server = Scripted::start(|seen| {
        let count = seen.json()["MaxNumberOfMessages"].as_u64().unwrap();
        let message = |number| {
            json!({"MessageId": format!("m-{number}"), "ReceiptHandle": "r", "Body": "x".repeat(600)})
        };
        reply(200, json!({"Messages": (0..count).map(message).collect::<Vec<Value>>()}).to_string())
    })
    .await;
    let reader = reader(&server.url("/"), 1024);
    for _ in 0..3 {
        assert!(matches!(reader.source.receive(10).await, Err(ChannelError::OutcomeUnknown { .. })));
    }
    assert_eq!(reader.source.receive(10).await.unwrap().len(), 1);
    let asked: Vec<_> =
        server.seen().iter().map(|seen| seen.json()["MaxNumberOfMessages"].as_u64().unwrap()).collect();
    assert_eq!(asked, [10, 5, 2, 1]);
}

#[tokio::test]
async fn each_deletion_has_its_own_outcome() {
    let server = Scripted::start(|seen| {
        let entries = seen.json()["Entries"].as_array().unwrap().len();
        let answer = match entries {
            10 => json!({"Successful": (0..10).map(|id| json!({"Id": id.to_string()})).collect::<Vec<_>>()}),
            _ => json!({
                "Successful": [{"Id": "0"}],
                "Failed": [{"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": true}],
            }),
        };
        reply(200, answer.to_string())
    })
    .await;
    let reader = reader(&server.url("/"), 1024 * 1024);
    let receipts: Vec<String> = (0..13).map(|number| format!("r-{number}")).collect();
    let outcomes = reader.source.delete(&receipts).await;
    assert_eq!(outcomes.len(), 13);
    assert!(outcomes[..11].iter().all(Result::is_ok));
    assert!(matches!(outcomes[11], Err(ChannelError::Refused { .. })));
    assert!(matches!(outcomes[12], Err(ChannelError::OutcomeUnknown { .. })));
    let seen = server.seen().remove(0);
    assert_eq!(seen.header("x-amz-target"), "AmazonSQS.DeleteMessageBatch");
    assert_eq!(seen.json()["Entries"][3], json!({"Id": "3", "ReceiptHandle": "r-3"}));
}

#[tokio::test]
async fn a_refusal_of_the_queue_is_one_of_every_call() {
    let refusal = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}).to_string();
    let server = Scripted::start(move |_| reply(400, refusal.clone())).await;
    let reader = reader(&server.url("/"), 1024 * 1024);
    assert!(matches!(reader.source.receive(1).await, Err(ChannelError::Refused { .. })));
    let outcomes = reader.source.delete(&["r".to_owned(), "s".to_owned()]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(ChannelError::Refused { .. }))));
}
