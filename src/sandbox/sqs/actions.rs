//! The eight actions.
//!
//! **Owns** the queues, and wakes those who wait for a message.
//! **Fails** with an [`SqsFault`]; in a batch each entry fails for itself.
//! **Limits**: a long poll of twenty seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::ACCOUNT;
use super::fault::SqsFault;
use super::queue::{Message, Queue};
use super::wire::{CreateQueue, DeleteMessage, DeleteMessageBatch, Entry, GetQueueAttributes, GetQueueUrl};
use super::wire::{ReceiveMessage, SendMessageBatch, Sent};
use crate::sandbox::inbox::{Notice, ReceivedMessage};
use crate::sandbox::ledger::EffectKind;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::Script;

const BATCH_MAX: usize = 10;
const BYTES_MAX: usize = 262_144;
const DELAY_MAX_S: u64 = 900;

/// The service.
pub struct Service {
    outside: Arc<Outside>,
    base: String,
    queues: Mutex<HashMap<String, Queue>>,
    arrived: Notify,
}

impl Service {
    pub fn new(outside: Arc<Outside>, base: String, first: &str) -> Self {
        let queues = HashMap::from([(first.to_owned(), Queue::new(first, BTreeMap::new()))]);
        Service { outside, base, queues: Mutex::new(queues), arrived: Notify::new() }
    }

    pub fn script(&self) -> &Script {
        &self.outside.script
    }

    pub async fn act(&self, action: &str, body: &[u8]) -> Result<Vec<u8>, SqsFault> {
        let answer = match action {
            "SendMessage" => self.send(read(body)?).await?,
            "SendMessageBatch" => self.send_batch(read(body)?).await?,
            "CreateQueue" => self.create(read(body)?)?,
            "GetQueueUrl" => self.url(&read(body)?)?,
            "ReceiveMessage" => self.receive(&read(body)?).await?,
            "DeleteMessage" => self.delete(&read(body)?)?,
            "DeleteMessageBatch" => self.delete_batch(&read(body)?)?,
            "GetQueueAttributes" => self.attributes(&read(body)?)?,
            _ => return Err(SqsFault::UnknownOperation),
        };
        Ok(answer.to_string().into_bytes())
    }

    async fn send(&self, entry: Entry) -> Result<Value, SqsFault> {
        let url = entry.queue_url.clone().ok_or(SqsFault::MissingParameter("QueueUrl"))?;
        if entry.id.is_some() {
            return Err(SqsFault::Malformed);
        }
        check_entry(&entry)?;
        let sent = self.take(&url, &[&entry]).await?.remove(0)?;
        Ok(json!(sent))
    }

    async fn send_batch(&self, batch: SendMessageBatch) -> Result<Value, SqsFault> {
        check_batch(&batch)?;
        let entries: Vec<_> = batch.entries.iter().collect();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (entry, sent) in entries.iter().zip(self.take(&batch.queue_url, &entries).await?) {
            match sent {
                Ok(sent) => successful.push(json!(sent)),
                Err(fault) => failed.push(json!({
                    "Id": entry.id, "SenderFault": true, "Code": fault.query_code(), "Message": fault.message(),
                })),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    /// Puts the entries on the queue and their effects into the ledger, in one group.
    async fn take(&self, url: &str, entries: &[&Entry]) -> Result<Vec<Result<Sent, SqsFault>>, SqsFault> {
        let (mut effects, mut lines, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut queues = self.lock();
            let queue = find(&mut queues, url)?;
            for entry in entries {
                if let Err(fault) = check_entry(entry).and_then(|()| queue.check(entry)) {
                    answers.push(Err(fault));
                    continue;
                }
                let body = entry.message_body.as_deref().unwrap_or_default();
                let (sent, fresh) = queue.send(entry, body, Instant::now());
                answers.push(Ok(sent));
                if fresh {
                    let received = received(&queue.name, entry, body);
                    let attribute = |name: &str| received.attributes.get(name).cloned();
                    let notice = Notice::read(body, attribute);
                    effects.push(notice.effect(EffectKind::OwnerSqs, &queue.name));
                    lines.push(notice.line());
                    self.outside.inbox.keep(received);
                }
            }
        }
        self.arrived.notify_waiters();
        if !effects.is_empty() {
            self.outside.ledger.record(effects).await.map_err(|_| SqsFault::NotRecorded)?;
        }
        for line in lines {
            self.outside.screen.say("owner", format_args!("sqs 200      {line}"));
        }
        Ok(answers)
    }

    fn create(&self, request: CreateQueue) -> Result<Value, SqsFault> {
        let stem = request.name.strip_suffix(".fifo").unwrap_or(&request.name);
        let plain = stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let fifo = request.attributes.get("FifoQueue").is_some_and(|value| value == "true");
        if stem.is_empty() || request.name.len() > 80 || !plain || fifo != request.name.ends_with(".fifo") {
            return Err(SqsFault::InvalidParameter("QueueName"));
        }
        let mut queues = self.lock();
        if let Some(queue) = queues.get(&request.name)
            && queue.attributes != request.attributes
        {
            return Err(SqsFault::QueueNameExists);
        }
        let answer = json!({"QueueUrl": super::queue_url(&self.base, &request.name)});
        let queue = Queue::new(&request.name, request.attributes);
        queues.entry(request.name).or_insert(queue);
        Ok(answer)
    }

    fn url(&self, request: &GetQueueUrl) -> Result<Value, SqsFault> {
        let ours = request.owner.as_deref().is_none_or(|owner| owner == ACCOUNT);
        if ours && self.lock().contains_key(&request.queue_name) {
            return Ok(json!({"QueueUrl": super::queue_url(&self.base, &request.queue_name)}));
        }
        Err(SqsFault::QueueDoesNotExist)
    }

    async fn receive(&self, request: &ReceiveMessage) -> Result<Value, SqsFault> {
        if !(1..=10).contains(&request.max_number_of_messages) {
            return Err(SqsFault::InvalidParameter("MaxNumberOfMessages"));
        }
        if request.wait_time_seconds > 20 {
            return Err(SqsFault::InvalidParameter("WaitTimeSeconds"));
        }
        let polling = async {
            loop {
                // Enabled before looking, so that a message which arrives in between is not missed.
                let mut arrival = std::pin::pin!(self.arrived.notified());
                arrival.as_mut().enable();
                let messages = self.receive_now(request)?;
                if !messages.is_empty() {
                    return Ok(messages);
                }
                arrival.await;
            }
        };
        let wait = Duration::from_secs(request.wait_time_seconds);
        let messages = match tokio::time::timeout(wait, polling).await {
            Ok(received) => received?,
            // Nothing came; messages whose hiding ended meanwhile are still worth a look.
            Err(_) => self.receive_now(request)?,
        };
        if messages.is_empty() { Ok(json!({})) } else { Ok(json!({"Messages": messages})) }
    }

    fn receive_now(&self, request: &ReceiveMessage) -> Result<Vec<Value>, SqsFault> {
        let mut queues = self.lock();
        let queue = find(&mut queues, &request.queue_url)?;
        let hidden_for = request.visibility_timeout.map_or_else(|| queue.hidden_for(), Duration::from_secs);
        let messages = queue.receive(request.max_number_of_messages, hidden_for, Instant::now());
        Ok(messages.iter().map(message_json).collect())
    }

    fn delete(&self, request: &DeleteMessage) -> Result<Value, SqsFault> {
        find(&mut self.lock(), &request.queue_url)?.delete(&request.receipt_handle)?;
        Ok(json!({}))
    }

    fn delete_batch(&self, request: &DeleteMessageBatch) -> Result<Value, SqsFault> {
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let mut queues = self.lock();
        let queue = find(&mut queues, &request.queue_url)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in &request.entries {
            match queue.delete(&entry.receipt_handle) {
                Ok(()) => successful.push(json!({"Id": entry.id})),
                Err(fault) => failed.push(json!({
                    "Id": entry.id, "SenderFault": true, "Code": fault.query_code(), "Message": fault.message(),
                })),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn attributes(&self, request: &GetQueueAttributes) -> Result<Value, SqsFault> {
        let mut queues = self.lock();
        let queue = find(&mut queues, &request.queue_url)?;
        let (visible, hidden) = queue.depth(Instant::now());
        let mut attributes = queue.attributes.clone();
        attributes.insert("QueueArn".into(), format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{}", queue.name));
        attributes.insert("ApproximateNumberOfMessages".into(), visible.to_string());
        attributes.insert("ApproximateNumberOfMessagesNotVisible".into(), hidden.to_string());
        attributes.insert("VisibilityTimeout".into(), queue.hidden_for().as_secs().to_string());
        let wanted = &request.attribute_names;
        attributes.retain(|name, _| wanted.iter().any(|wanted| wanted == "All" || wanted == name));
        Ok(json!({"Attributes": attributes}))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        // Holders change one queue at a time, and a panic among them would be a fault of the sandbox itself.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsFault> {
    serde_json::from_slice(body).map_err(|_| SqsFault::Malformed)
}

/// Finds a queue by the end of its URL; the host may be another name of ours.
fn find<'a>(queues: &'a mut HashMap<String, Queue>, url: &str) -> Result<&'a mut Queue, SqsFault> {
    let mut parts = url.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(ACCOUNT)) => queues.get_mut(name).ok_or(SqsFault::QueueDoesNotExist),
        _ => Err(SqsFault::InvalidAddress),
    }
}

fn check_batch(batch: &SendMessageBatch) -> Result<(), SqsFault> {
    let ids = batch.entries.iter().map(|entry| entry.id.as_deref().ok_or(SqsFault::MissingParameter("Id")));
    check_ids(ids.collect::<Result<Vec<_>, _>>()?.into_iter())?;
    if batch.entries.iter().any(|entry| entry.queue_url.is_some()) {
        return Err(SqsFault::Malformed);
    }
    if batch.entries.iter().map(size).sum::<usize>() > BYTES_MAX {
        return Err(SqsFault::BatchTooLong);
    }
    Ok(())
}

/// A batch has one to ten entries, each with a plain id of its own.
fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), SqsFault> {
    if ids.len() == 0 {
        return Err(SqsFault::EmptyBatch);
    }
    if ids.len() > BATCH_MAX {
        return Err(SqsFault::TooManyEntries);
    }
    let mut seen = HashSet::new();
    for id in ids {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !(1..=80).contains(&id.len()) || !plain {
            return Err(SqsFault::InvalidEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsFault::EntryIdsNotDistinct);
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), SqsFault> {
    let body = entry.message_body.as_deref().filter(|body| !body.is_empty());
    let body = body.ok_or(SqsFault::MissingParameter("MessageBody"))?;
    // The characters of XML 1.0, which is what the service was first made of.
    let allowed = |letter: char| matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(allowed) {
        return Err(SqsFault::InvalidMessageContents);
    }
    if size(entry) > BYTES_MAX {
        return Err(SqsFault::InvalidParameter("MessageBody"));
    }
    if entry.delay_seconds > DELAY_MAX_S {
        return Err(SqsFault::InvalidParameter("DelaySeconds"));
    }
    if entry.message_attributes.len() > 10 {
        return Err(SqsFault::InvalidParameter("MessageAttributes"));
    }
    for id in [&entry.message_group_id, &entry.message_deduplication_id].into_iter().flatten() {
        if !(1..=128).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SqsFault::InvalidParameter("MessageGroupId"));
        }
    }
    entry.message_attributes.values().try_for_each(super::wire::AttributeValue::check)
}

/// Body and attributes count together.
fn size(entry: &Entry) -> usize {
    let attributes = entry.message_attributes.iter();
    let attributes =
        attributes.map(|(name, value)| name.len() + value.data_type.len() + value.encoded().1.len());
    entry.message_body.as_ref().map_or(0, String::len) + attributes.sum::<usize>()
}

fn received(queue: &str, entry: &Entry, body: &str) -> ReceivedMessage {
    let texts = entry.message_attributes.iter();
    let mut attributes: BTreeMap<_, _> =
        texts.filter_map(|(name, value)| Some((name.clone(), value.string_value.clone()?))).collect();
    let fifo = [
        ("MessageGroupId", &entry.message_group_id),
        ("MessageDeduplicationId", &entry.message_deduplication_id),
    ];
    attributes.extend(fifo.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
    ReceivedMessage {
        at: Utc::now(),
        channel: "sqs".into(),
        destination: queue.into(),
        attributes,
        body: body.into(),
    }
}

fn message_json(message: &Message) -> Value {
    let mut system = json!({
        "ApproximateReceiveCount": message.received.to_string(),
        "SentTimestamp": message.sent_at.timestamp_millis().to_string(),
    });
    let optional = [
        ("MessageGroupId", &message.group),
        ("MessageDeduplicationId", &message.deduplication_id),
        ("SequenceNumber", &message.sequence),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            system[name] = json!(value);
        }
    }
    let mut answer = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": message.body_digest,
        "Attributes": system,
    });
    if let Some(digest) = &message.attributes_digest {
        answer["MessageAttributes"] = json!(message.attributes);
        answer["MD5OfMessageAttributes"] = json!(digest);
    }
    answer
}
