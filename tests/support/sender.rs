//! Somebody who puts messages on a queue of the outside world: the service before this one, or a tool of its operators.
//!
//! **Owns** one queue, made for it. **Fails** a test when the queue service refuses. **Limits**: the signature is of the
//! right form and otherwise made up, which is all that the world looks at.

use bursar::sandbox::World;
use serde_json::{Value, json};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/sqs/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
                      Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A queue and the right to write to it.
pub struct Sender {
    pub queue_url: String,
    service: String,
    client: reqwest::Client,
}

impl Sender {
    /// Makes the queue of boletos that are to be registered.
    pub async fn with_queue(world: &World) -> Self {
        bursar::connectors::http::install_crypto_provider();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut sender =
            Self { queue_url: String::new(), service: world.addresses().sqs_url.clone(), client };
        let made = sender.call("CreateQueue", json!({"QueueName": "boletos-to-register"})).await;
        sender.queue_url = made["QueueUrl"].as_str().expect("a queue's address").to_owned();
        sender
    }

    /// Puts one message on the queue.
    pub async fn sends(&self, body: &str) {
        self.call("SendMessage", json!({"QueueUrl": self.queue_url, "MessageBody": body})).await;
    }

    /// Messages that anybody may receive, and those that somebody has in hand.
    pub async fn depth(&self) -> (u64, u64) {
        let answer = self
            .call("GetQueueAttributes", json!({"QueueUrl": self.queue_url, "AttributeNames": ["All"]}))
            .await;
        let count = |name: &str| answer["Attributes"][name].as_str().and_then(|text| text.parse().ok());
        let (visible, hidden) =
            (count("ApproximateNumberOfMessages"), count("ApproximateNumberOfMessagesNotVisible"));
        (visible.expect("a number"), hidden.expect("a number"))
    }

    async fn call(&self, action: &str, body: Value) -> Value {
        let request = self
            .client
            .post(&self.service)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header("x-amz-date", "20261122T120000Z")
            .header("authorization", SIGNED)
            .body(body.to_string());
        let answer = request.send().await.expect("the queue service answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{action}: {status} {text}");
        serde_json::from_str(&text).expect("an answer in JSON")
    }
}
