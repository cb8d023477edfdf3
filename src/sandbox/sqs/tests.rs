//! The queue service as its callers see it, over a real socket.
//!
//! **Owns** a world for each test.
//! **Fails** when an answer is not what the API reference says.
//! **Limits**: signatures are of the right form and otherwise made up.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sandbox::client::{Answer, Client, TempDir};
use crate::sandbox::{Behaviour, EffectKind, Party, World, WorldOptions};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/sqs/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
                      Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

async fn call_with(world: &World, authorization: Option<&str>, action: &str, body: &Value) -> Answer {
    let mut headers = vec![
        ("content-type", "application/x-amz-json-1.0".to_owned()),
        ("x-amz-target", format!("AmazonSQS.{action}")),
        ("x-amz-date", "20261122T120000Z".to_owned()),
    ];
    headers.extend(authorization.map(|text| ("authorization", text.to_owned())));
    Client::new().post(&world.addresses().sqs_url, headers, &body.to_string()).await.unwrap()
}

async fn call(world: &World, action: &str, body: Value) -> Answer {
    call_with(world, Some(SIGNED), action, &body).await
}

async fn a_world(dir: &TempDir) -> World {
    World::open(WorldOptions::in_dir(dir.path())).await.unwrap()
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let url = world.addresses().queue_url.clone();
    let body = json!({"boleto_id": "b1", "event_id": "e1", "status": "registered", "version": 2}).to_string();
    let sent = call(&world, "SendMessage", json!({"QueueUrl": url, "MessageBody": body})).await;
    assert_eq!((sent.status, &sent.json()["MD5OfMessageBody"]), (200, &json!(super::digest::of_body(&body))));
    assert!(sent.json().get("MD5OfMessageAttributes").is_none());
    let effect = &world.effects()[0];
    assert_eq!((effect.kind, effect.key.as_str()), (EffectKind::OwnerSqs, "b1+e1"));

    let received = call(&world, "ReceiveMessage", json!({"QueueUrl": url})).await.json();
    let message = &received["Messages"][0];
    assert_eq!((&message["Body"], &message["MessageId"]), (&json!(body), &sent.json()["MessageId"]));
    let names = json!(["ApproximateNumberOfMessagesNotVisible"]);
    let asked = json!({"QueueUrl": url, "AttributeNames": names});
    let depth = call(&world, "GetQueueAttributes", asked).await.json();
    assert_eq!(depth, json!({"Attributes": {"ApproximateNumberOfMessagesNotVisible": "1"}}));
    let deletion = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
    assert_eq!(call(&world, "DeleteMessage", deletion).await.body, "{}");
    assert_eq!(call(&world, "ReceiveMessage", json!({"QueueUrl": url})).await.body, "{}");
    world.close().await;
}

#[tokio::test]
async fn a_batch_answers_for_each_entry() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let url = world.addresses().queue_url.clone();
    let attributes = json!({"event_id": {"DataType": "String", "StringValue": "e1"}});
    let entries = json!([
        {"Id": "1", "MessageBody": "{\"boleto_id\":\"b1\"}", "MessageAttributes": attributes},
        {"Id": "2", "MessageBody": "\u{1}"},
        {"Id": "3", "MessageBody": "three"},
    ]);
    let answer = call(&world, "SendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await.json();
    let ids =
        |list: &Value| list.as_array().unwrap().iter().map(|entry| entry["Id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&answer["Successful"]), ["1", "3"]);
    assert_eq!(ids(&answer["Failed"]), ["2"]);
    assert_eq!(answer["Failed"][0]["Code"], "InvalidMessageContents");
    assert_eq!(world.effects()[0].key, "b1+e1");
    assert_eq!(world.messages().len(), 2);

    let eleven: Vec<_> = (0..11).map(|id| json!({"Id": id.to_string(), "MessageBody": "x"})).collect();
    let twice = json!([{"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "x"}]);
    let long = "x".repeat(140_000);
    let too_long = json!([{"Id": "a", "MessageBody": long}, {"Id": "b", "MessageBody": long}]);
    let bad = [
        (json!([]), "com.amazonaws.sqs#EmptyBatchRequest"),
        (json!(eleven), "com.amazonaws.sqs#TooManyEntriesInBatchRequest"),
        (twice, "com.amazonaws.sqs#BatchEntryIdsNotDistinct"),
        (too_long, "com.amazonaws.sqs#BatchRequestTooLong"),
    ];
    for (entries, name) in bad {
        let refused = call(&world, "SendMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await;
        assert_eq!((refused.status, &refused.json()["__type"]), (400, &json!(name)));
    }
    assert_eq!(world.effects().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn queues_are_created_found_and_missed() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let creation = json!({"QueueName": "orders.fifo", "Attributes": {"FifoQueue": "true"}});
    let url = call(&world, "CreateQueue", creation.clone()).await.json()["QueueUrl"].clone();
    assert_eq!(url, format!("{}/000000000000/orders.fifo", world.addresses().sqs_url));
    assert_eq!(call(&world, "CreateQueue", creation).await.json()["QueueUrl"], url);
    assert_eq!(
        call(&world, "GetQueueUrl", json!({"QueueName": "orders.fifo"})).await.json()["QueueUrl"],
        url
    );

    let message = json!({
        "QueueUrl": url, "MessageBody": "{}", "MessageGroupId": "b1", "MessageDeduplicationId": "e1",
    });
    let first = call(&world, "SendMessage", message.clone()).await.json();
    let again = call(&world, "SendMessage", message).await.json();
    assert_eq!(
        (&first["MessageId"], &first["SequenceNumber"]),
        (&again["MessageId"], &again["SequenceNumber"])
    );
    assert_eq!(world.effects().len(), 1);

    let nowhere = format!("{}/000000000000/nowhere", world.addresses().sqs_url);
    let missed = call(&world, "SendMessage", json!({"QueueUrl": nowhere, "MessageBody": "x"})).await;
    assert_eq!(missed.json()["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    let code = missed.headers["x-amzn-query-error"].to_str().unwrap();
    assert_eq!(code, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    world.close().await;
}

#[tokio::test]
async fn unsigned_unknown_and_open_requests_are_refused() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let message = json!({"QueueUrl": world.addresses().queue_url, "MessageBody": "x"});
    let unsigned = call_with(&world, None, "SendMessage", &message).await;
    assert_eq!(unsigned.status, 403);
    for broken in
        [SIGNED.replace("Signature=01", "Signature="), SIGNED.replace("/sqs/", "/s3/"), "Basic x".into()]
    {
        let refused = call_with(&world, Some(&broken), "SendMessage", &message).await;
        assert_eq!(refused.json()["__type"], "com.amazon.coral.service#IncompleteSignatureException");
    }
    assert_eq!(call(&world, "PurgeQueue", json!({})).await.status, 400);
    let open = json!({"QueueUrl": world.addresses().queue_url, "MessageBody": "x", "Priority": 1});
    let refused = call(&world, "SendMessage", open).await.json();
    assert_eq!(refused["__type"], "com.amazon.coral.service#SerializationException");
    assert_eq!(world.effects(), []);
    world.close().await;
}

#[tokio::test]
async fn a_long_poll_ends_with_the_message_and_a_script_fails_a_call() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let url = world.addresses().queue_url.clone();
    let sending = async {
        world.wait_for_asked(Party::Sqs, 1, Duration::from_secs(5)).await.unwrap();
        call(&world, "SendMessage", json!({"QueueUrl": url, "MessageBody": "late"})).await
    };
    let polling = call(&world, "ReceiveMessage", json!({"QueueUrl": url, "WaitTimeSeconds": 20}));
    let (polled, _) = tokio::join!(polling, sending);
    assert_eq!(polled.json()["Messages"][0]["Body"], "late");

    world.script().sqs(Behaviour::status(503));
    let failed = call(&world, "SendMessage", json!({"QueueUrl": url, "MessageBody": "x"})).await;
    assert_eq!((failed.status, world.effects().len()), (503, 1));
    world.close().await;
}

#[tokio::test]
async fn a_batch_of_deletions_answers_for_each_entry() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let url = world.addresses().queue_url.clone();
    for body in ["{}", "[]"] {
        call(&world, "SendMessage", json!({"QueueUrl": url, "MessageBody": body})).await;
    }
    let asked = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
    let received = call(&world, "ReceiveMessage", asked).await.json();
    let receipt = |at: usize| received["Messages"][at]["ReceiptHandle"].clone();
    let entries = json!([
        {"Id": "a", "ReceiptHandle": receipt(0)},
        {"Id": "b", "ReceiptHandle": "made up"},
        {"Id": "c", "ReceiptHandle": receipt(1)},
    ]);
    let deletion = json!({"QueueUrl": url, "Entries": entries});
    let answer = call(&world, "DeleteMessageBatch", deletion).await.json();
    assert_eq!(answer["Successful"], json!([{"Id": "a"}, {"Id": "c"}]));
    assert_eq!(
        (&answer["Failed"][0]["Id"], &answer["Failed"][0]["SenderFault"]),
        (&json!("b"), &json!(true))
    );
    let twice = json!({"QueueUrl": url, "Entries": [entries[0], entries[0]]});
    let refused = call(&world, "DeleteMessageBatch", twice).await;
    assert_eq!(
        (refused.status, &refused.json()["__type"]),
        (400, &json!("com.amazonaws.sqs#BatchEntryIdsNotDistinct"))
    );
    let empty = call(&world, "DeleteMessageBatch", json!({"QueueUrl": url, "Entries": []})).await;
    assert_eq!(empty.json()["__type"], "com.amazonaws.sqs#EmptyBatchRequest");
    world.close().await;
}
