//! One queue: order, visibility, FIFO groups and deduplication.
//!
//! **Owns** its messages. Time is passed in.
//! **Fails** a receipt handle that it did not give out.
//! **Limits**: keeps the newest 100,000 messages; remembers deduplication ids for five minutes; no dead letters.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::digest;
use super::fault::SqsFault;
use super::wire::{AttributeValue, Entry, Sent};

const KEPT_MAX: usize = 100_000;
const DEDUPLICATION: Duration = Duration::from_secs(300);

/// A message on the queue.
#[derive(Clone)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub body_digest: String,
    pub attributes: BTreeMap<String, AttributeValue>,
    pub attributes_digest: Option<String>,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
    pub sequence: Option<String>,
    pub sent_at: DateTime<Utc>,
    pub received: u32,
    /// Given out with the last receive; void once another is.
    pub receipt: String,
    visible_at: Instant,
}

/// One queue.
pub struct Queue {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    messages: VecDeque<Message>,
    seen: HashMap<String, (Instant, Sent)>,
    sequence: u64,
}

impl Queue {
    pub fn new(name: &str, attributes: BTreeMap<String, String>) -> Self {
        let (messages, seen) = (VecDeque::new(), HashMap::new());
        Queue { name: name.into(), attributes, messages, seen, sequence: 0 }
    }

    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    fn deduplicates_by_content(&self) -> bool {
        self.attributes.get("ContentBasedDeduplication").is_some_and(|value| value == "true")
    }

    /// Whether the entry says what this kind of queue needs.
    pub fn check(&self, entry: &Entry) -> Result<(), SqsFault> {
        if !self.is_fifo() {
            let misplaced = entry.message_deduplication_id.is_some();
            return if misplaced {
                Err(SqsFault::InvalidParameter("MessageDeduplicationId"))
            } else {
                Ok(())
            };
        }
        if entry.message_group_id.is_none() {
            return Err(SqsFault::MissingParameter("MessageGroupId"));
        }
        if entry.message_deduplication_id.is_none() && !self.deduplicates_by_content() {
            return Err(SqsFault::InvalidParameter("MessageDeduplicationId"));
        }
        if entry.delay_seconds > 0 {
            return Err(SqsFault::InvalidParameter("DelaySeconds"));
        }
        Ok(())
    }

    /// Takes a checked message. The second answer is false when it was the repetition of an earlier one,
    /// which is answered as that was and not taken again.
    pub fn send(&mut self, entry: &Entry, body: &str, now: Instant) -> (Sent, bool) {
        let body_digest = digest::of_body(body);
        let once =
            self.is_fifo().then(|| entry.message_deduplication_id.clone().unwrap_or(body_digest.clone()));
        self.seen.retain(|_, (at, _)| now.duration_since(*at) < DEDUPLICATION);
        if let Some((_, sent)) = once.as_ref().and_then(|once| self.seen.get(once)) {
            return (Sent { id: entry.id.clone(), ..sent.clone() }, false);
        }
        self.sequence += 1;
        let sent = Sent {
            id: entry.id.clone(),
            message_id: uuid::Uuid::now_v7().to_string(),
            body_digest: body_digest.clone(),
            attributes_digest: digest::of_attributes(&entry.message_attributes),
            sequence_number: self.is_fifo().then(|| format!("{:020}", self.sequence)),
        };
        if let Some(once) = &once {
            self.seen.insert(once.clone(), (now, sent.clone()));
        }
        if self.messages.len() == KEPT_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(Message {
            id: sent.message_id.clone(),
            body: body.to_owned(),
            body_digest,
            attributes: entry.message_attributes.clone(),
            attributes_digest: sent.attributes_digest.clone(),
            group: entry.message_group_id.clone(),
            deduplication_id: once,
            sequence: sent.sequence_number.clone(),
            sent_at: Utc::now(),
            received: 0,
            receipt: String::new(),
            visible_at: now + Duration::from_secs(entry.delay_seconds),
        });
        (sent, true)
    }

    /// Up to `count` visible messages, hidden from now on. A FIFO group waits while one of it is hidden.
    pub fn receive(&mut self, count: usize, hidden_for: Duration, now: Instant) -> Vec<Message> {
        let mut busy = HashSet::new();
        if self.is_fifo() {
            let hidden = self.messages.iter().filter(|message| message.visible_at > now);
            busy.extend(hidden.filter_map(|message| message.group.clone()));
        }
        let visible = self.messages.iter_mut().filter(|message| {
            let waits = message.group.as_ref().is_some_and(|group| busy.contains(group));
            message.visible_at <= now && !waits
        });
        visible
            .take(count)
            .map(|message| {
                message.received += 1;
                message.receipt = format!("{:032x}", rand::random::<u128>());
                message.visible_at = now + hidden_for;
                message.clone()
            })
            .collect()
    }

    /// Removes the message that was given out with this handle; one that is gone already is fine.
    pub fn delete(&mut self, receipt: &str) -> Result<(), SqsFault> {
        let handle = receipt.len() == 32 && receipt.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !handle {
            return Err(SqsFault::ReceiptHandleIsInvalid);
        }
        if let Some(at) = self.messages.iter().position(|message| message.receipt == receipt) {
            self.messages.remove(at);
        }
        Ok(())
    }

    /// How long a received message is hidden unless the request says otherwise.
    pub fn hidden_for(&self) -> Duration {
        let configured = self.attributes.get("VisibilityTimeout").and_then(|value| value.parse().ok());
        Duration::from_secs(configured.unwrap_or(30))
    }

    /// Visible and hidden messages.
    pub fn depth(&self, now: Instant) -> (usize, usize) {
        let hidden = self.messages.iter().filter(|message| message.visible_at > now).count();
        (self.messages.len() - hidden, hidden)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(group: &str, once: &str) -> Entry {
        serde_json::from_value(json!({"MessageGroupId": group, "MessageDeduplicationId": once})).unwrap()
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.body.as_str()).collect()
    }

    #[test]
    fn a_hidden_message_returns_and_a_deleted_one_does_not() {
        let mut queue = Queue::new("q", BTreeMap::new());
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let plain: Entry = serde_json::from_value(json!({})).unwrap();
        queue.send(&plain, "a", now);
        queue.send(&plain, "b", now);
        assert_eq!(bodies(&queue.receive(10, second, now)), ["a", "b"]);
        assert_eq!(queue.depth(now), (0, 2));
        assert!(queue.receive(10, second, now).is_empty());
        let again = queue.receive(1, second, now + second);
        assert_eq!((again[0].body.as_str(), again[0].received), ("a", 2));
        queue.delete(&again[0].receipt).unwrap();
        assert_eq!(bodies(&queue.receive(10, second, now + second * 2)), ["b"]);
        assert_eq!(queue.delete("nonsense"), Err(SqsFault::ReceiptHandleIsInvalid));
    }

    #[test]
    fn a_fifo_queue_keeps_order_in_a_group_and_takes_each_message_once() {
        let mut queue = Queue::new("q.fifo", BTreeMap::new());
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let (first, taken) = queue.send(&entry("g", "1"), "a", now);
        let (repeated, again) = queue.send(&entry("g", "1"), "a", now);
        assert_eq!((taken, again, first.message_id), (true, false, repeated.message_id));
        queue.send(&entry("g", "2"), "b", now);
        queue.send(&entry("h", "3"), "c", now);
        assert_eq!(bodies(&queue.receive(1, second, now)), ["a"]);
        assert_eq!(bodies(&queue.receive(10, second, now)), ["c"]);
        assert!(queue.send(&entry("g", "1"), "a", now + DEDUPLICATION).1);
    }

    #[test]
    fn what_a_queue_needs_is_asked_for() {
        let (plain, fifo) = (Queue::new("q", BTreeMap::new()), Queue::new("q.fifo", BTreeMap::new()));
        let without: Entry = serde_json::from_value(json!({})).unwrap();
        assert_eq!(fifo.check(&without), Err(SqsFault::MissingParameter("MessageGroupId")));
        assert_eq!(plain.check(&entry("g", "1")), Err(SqsFault::InvalidParameter("MessageDeduplicationId")));
        assert_eq!((plain.check(&without), fifo.check(&entry("g", "1"))), (Ok(()), Ok(())));
    }
}
