//! What is said to SQS and what it answers, in its own names (AWS JSON protocol 1.0).
//!
//! **Owns** nothing. **Limits**: ten entries a batch.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::connectors::channels::Notice;

use super::config::FifoGroup;
use super::queue::Queue;

/// One notice, as a call of its own or as an entry of a batch.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "QueueUrl", skip_serializing_if = "Option::is_none")]
    queue_url: Option<&'a str>,
    #[serde(rename = "MessageBody")]
    body: &'a str,
    #[serde(rename = "MessageAttributes")]
    attributes: Attributes<'a>,
    #[serde(rename = "MessageGroupId", skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(rename = "MessageDeduplicationId", skip_serializing_if = "Option::is_none")]
    deduplication: Option<String>,
}

/// What a reader may decide by without opening the body; the same as there, but for the trace context.
#[derive(Serialize)]
struct Attributes<'a> {
    /// For doing nothing twice.
    event_id: Attribute<String>,
    /// For subscriptions and routing.
    event_type: Attribute<&'a str>,
    /// For leaving alone what is not above the last one seen of the subject; a number.
    version: Attribute<String>,
    /// For the reader's own spans; left out where the change was not traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<Attribute<&'a str>>,
}

#[derive(Serialize)]
struct Attribute<T> {
    #[serde(rename = "DataType")]
    data_type: &'static str,
    #[serde(rename = "StringValue")]
    value: T,
}

/// `SendMessageBatch`
#[derive(Serialize)]
pub(super) struct Batch<'a> {
    #[serde(rename = "QueueUrl")]
    queue_url: &'a str,
    #[serde(rename = "Entries")]
    entries: Vec<Message<'a>>,
}

impl<'a> Message<'a> {
    /// `SendMessage`
    pub(super) fn alone(queue: &'a Queue, notice: &Notice<'a>) -> Self {
        Self { id: None, queue_url: Some(&queue.url), ..Self::of(queue, notice) }
    }

    fn of(queue: &Queue, notice: &Notice<'a>) -> Self {
        let event_id = notice.event_id.to_string();
        Self {
            id: None,
            queue_url: None,
            body: notice.body,
            group: queue.fifo.map(|group| match group {
                FifoGroup::Owner => notice.tenant.as_str(),
                FifoGroup::Subject => notice.subject,
            }),
            deduplication: queue.fifo.map(|_| event_id.clone()),
            attributes: Attributes {
                event_id: attribute(event_id),
                event_type: attribute(notice.event_type),
                version: Attribute { data_type: "Number", value: notice.version.to_string() },
                traceparent: notice.traceparent.filter(|text| !text.is_empty()).map(attribute),
            },
        }
    }
}

impl<'a> Batch<'a> {
    /// Entries are known by their place.
    pub(super) fn of(queue: &'a Queue, notices: &[&Notice<'a>]) -> Self {
        let entry = |(place, notice): (usize, &&Notice<'a>)| Message {
            id: Some(place.to_string()),
            ..Message::of(queue, notice)
        };
        Self { queue_url: &queue.url, entries: notices.iter().enumerate().map(entry).collect() }
    }
}

fn attribute<T>(value: T) -> Attribute<T> {
    Attribute { data_type: "String", value }
}

/// What a message counts for: its body, and the names, types and values of its attributes.
pub(super) fn size_bytes(notice: &Notice<'_>) -> usize {
    // `Number` is as long a word as `String`.
    let attribute = |name: &str, value: usize| name.len() + "String".len() + value;
    let traceparent = notice.traceparent.map_or(0, |text| attribute("traceparent", text.len()));
    // A UUID is written in 36 characters.
    notice.body.len()
        + attribute("event_id", 36)
        + attribute("event_type", notice.event_type.len())
        + attribute("version", notice.version.to_string().len())
        + traceparent
}

/// The answer to `SendMessage`.
#[derive(Deserialize)]
pub(super) struct SentBody {
    #[serde(rename = "MessageId")]
    pub(super) message_id: String,
}

/// The answer to `SendMessageBatch`.
#[derive(Deserialize)]
pub(super) struct BatchBody {
    #[serde(rename = "Successful", default)]
    pub(super) successful: Vec<SentEntry>,
    #[serde(rename = "Failed", default)]
    pub(super) failed: Vec<FailedEntry>,
}

#[derive(Deserialize)]
pub(super) struct SentEntry {
    #[serde(rename = "Id")]
    pub(super) id: String,
    #[serde(rename = "MessageId")]
    pub(super) message_id: String,
}

#[derive(Deserialize)]
pub(super) struct FailedEntry {
    #[serde(rename = "Id")]
    pub(super) id: String,
    #[serde(rename = "Code")]
    pub(super) code: String,
    #[serde(rename = "SenderFault", default)]
    pub(super) sender_fault: bool,
}

/// The body of an error.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    #[serde(rename = "__type")]
    pub(super) kind: Option<String>,
}

/// `ReceiveMessage`
#[derive(Serialize)]
pub(super) struct Receive<'a> {
    #[serde(rename = "QueueUrl")]
    pub(super) queue_url: &'a str,
    #[serde(rename = "MaxNumberOfMessages")]
    pub(super) messages_max: usize,
    #[serde(rename = "WaitTimeSeconds")]
    pub(super) wait_s: u64,
    #[serde(rename = "VisibilityTimeout")]
    pub(super) visibility_s: u64,
    #[serde(rename = "MessageAttributeNames")]
    pub(super) attributes: [&'static str; 1],
}

/// The answer to `ReceiveMessage`; an empty queue leaves the list out.
#[derive(Deserialize)]
pub(super) struct ReceivedBody {
    #[serde(rename = "Messages", default)]
    pub(super) messages: Vec<ReceivedEntry>,
}

#[derive(Deserialize)]
pub(super) struct ReceivedEntry {
    #[serde(rename = "MessageId")]
    pub(super) message_id: String,
    #[serde(rename = "ReceiptHandle")]
    pub(super) receipt_handle: String,
    #[serde(rename = "Body")]
    pub(super) body: String,
    #[serde(rename = "MessageAttributes", default)]
    pub(super) attributes: HashMap<String, ReceivedAttribute>,
}

#[derive(Deserialize)]
pub(super) struct ReceivedAttribute {
    #[serde(rename = "StringValue")]
    pub(super) value: Option<String>,
}

/// `DeleteMessageBatch`
#[derive(Serialize)]
pub(super) struct DeleteBatch<'a> {
    #[serde(rename = "QueueUrl")]
    queue_url: &'a str,
    #[serde(rename = "Entries")]
    entries: Vec<Deletion<'a>>,
}

#[derive(Serialize)]
struct Deletion<'a> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "ReceiptHandle")]
    receipt_handle: &'a str,
}

impl<'a> DeleteBatch<'a> {
    /// Entries are known by their place.
    pub(super) fn of(queue: &'a Queue, receipts: &'a [String]) -> Self {
        let entry = |(place, receipt): (usize, &'a String)| Deletion {
            id: place.to_string(),
            receipt_handle: receipt,
        };
        Self { queue_url: &queue.url, entries: receipts.iter().enumerate().map(entry).collect() }
    }
}

/// The answer to `DeleteMessageBatch`.
#[derive(Deserialize)]
pub(super) struct DeletedBody {
    #[serde(rename = "Successful", default)]
    pub(super) successful: Vec<DeletedEntry>,
    #[serde(rename = "Failed", default)]
    pub(super) failed: Vec<FailedEntry>,
}

#[derive(Deserialize)]
pub(super) struct DeletedEntry {
    #[serde(rename = "Id")]
    pub(super) id: String,
}
