//! The other end of a queue: messages are taken off it, and deleted once somebody else has them safe.
//!
//! **Owns** nothing: a message that is not deleted comes back when its visibility ends. **Fails** as the channel does; a
//! deletion fails for each message by itself.
//! **Limits**: ten messages a call, and fewer while an answer was longer than the HTTP client reads: ten messages can be
//! longer together than what it takes, and one by one they are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::connectors::channels::ChannelError;
use crate::connectors::http::HttpError;

use super::client::{BATCH_MAX, Client};
use super::error;
use super::queue::Queue;
use super::wire::{DeleteBatch, DeletedBody, Receive, ReceivedBody};

/// Which queue is read, and how.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    pub queue_url: String,
    /// Where the queue lives, if neither its URL nor the channel's configuration says.
    pub region: Option<String>,
    /// How long an empty queue is waited at: up to 20 s, in whole seconds.
    pub wait: Duration,
    /// How long a message that was received is hidden from everybody else, in whole seconds.
    pub visibility: Duration,
}

/// A queue that is read. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Source {
    client: Arc<Client>,
    options: SourceOptions,
    /// Messages a call, while longer answers cannot be read.
    batch_max: Arc<AtomicUsize>,
}

/// A message, until it is deleted or its visibility ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The queue's own name for it, the same at every receipt.
    pub id: String,
    /// By which it is deleted; void once the message was received again.
    pub receipt: String,
    pub body: String,
    /// The W3C trace context that came with it.
    pub traceparent: Option<String>,
}

impl std::fmt::Debug for Message {
    /// The body may hold anything.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(client: Arc<Client>, options: SourceOptions) -> Self {
        Self { client, options, batch_max: Arc::new(AtomicUsize::new(BATCH_MAX)) }
    }

    /// Waits for messages, and takes at most `messages_max` of them in hand (ten are the most there are). None came where
    /// there are none.
    ///
    /// # Errors
    /// In the channel's terms; nothing is known to have been received then.
    pub async fn receive(&self, messages_max: usize) -> Result<Vec<Message>, ChannelError> {
        let queue = self.queue()?;
        let batch = messages_max.clamp(1, self.batch_max.load(Ordering::Relaxed));
        let body = Receive {
            queue_url: &queue.url,
            messages_max: batch,
            wait_s: self.options.wait.as_secs(),
            visibility_s: self.options.visibility.as_secs(),
            attributes: ["traceparent"],
        };
        let body = serde_json::to_vec(&body).expect("a structure of text can be written as JSON");
        let target = "AmazonSQS.ReceiveMessage";
        let request = self.client.request(&queue, target, Bytes::from(body), self.options.wait).await?;
        let answer = match self.client.exchange(request).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(answer) => return Err(error::of_answer(&answer)),
            Err(lost) => {
                if matches!(lost, HttpError::BodyTooLarge { .. }) {
                    self.batch_max.store((batch / 2).max(1), Ordering::Relaxed);
                }
                return Err(error::of_lost(&lost));
            }
        };
        let unreadable = |_| ChannelError::OutcomeUnknown { reason: "unreadable answer".to_owned() };
        let received: ReceivedBody = serde_json::from_slice(&answer.body).map_err(unreadable)?;
        if batch == self.batch_max.load(Ordering::Relaxed) {
            self.batch_max.store((batch + 1).min(BATCH_MAX), Ordering::Relaxed);
        }
        let message = |mut entry: super::wire::ReceivedEntry| Message {
            traceparent: entry.attributes.remove("traceparent").and_then(|attribute| attribute.value),
            id: entry.message_id,
            receipt: entry.receipt_handle,
            body: entry.body,
        };
        Ok(received.messages.into_iter().map(message).collect())
    }

    /// Deletes messages by their receipts, and returns one result each. A message that is not deleted comes again.
    pub async fn delete(&self, receipts: &[String]) -> Vec<Result<(), ChannelError>> {
        let mut outcomes = Vec::with_capacity(receipts.len());
        for group in receipts.chunks(BATCH_MAX) {
            outcomes.extend(self.delete_group(group).await);
        }
        outcomes
    }

    async fn delete_group(&self, receipts: &[String]) -> Vec<Result<(), ChannelError>> {
        let all = |error: ChannelError| vec![Err(error); receipts.len()];
        let queue = match self.queue() {
            Ok(queue) => queue,
            Err(error) => return all(error),
        };
        let body = serde_json::to_vec(&DeleteBatch::of(&queue, receipts));
        let body = Bytes::from(body.expect("a structure of text can be written as JSON"));
        let target = "AmazonSQS.DeleteMessageBatch";
        let request = match self.client.request(&queue, target, body, Duration::ZERO).await {
            Ok(request) => request,
            Err(error) => return all(error),
        };
        let answer = match self.client.exchange(request).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(answer) => return all(error::of_answer(&answer)),
            Err(lost) => return all(error::of_lost(&lost)),
        };
        let unknown = || ChannelError::OutcomeUnknown { reason: "the answer does not say".to_owned() };
        let Ok(deleted) = serde_json::from_slice::<DeletedBody>(&answer.body) else { return all(unknown()) };
        let mut outcomes = all(unknown());
        let place = |id: &str| id.parse::<usize>().ok().filter(|place| *place < receipts.len());
        for place in deleted.successful.iter().filter_map(|entry| place(&entry.id)) {
            outcomes[place] = Ok(());
        }
        for entry in deleted.failed {
            if let Some(place) = place(&entry.id) {
                outcomes[place] = Err(error::of_code(&entry.code, entry.sender_fault, None));
            }
        }
        outcomes
    }

    fn queue(&self) -> Result<Queue, ChannelError> {
        let (config, policy) = (self.client.config(), self.client.policy());
        let region = self.options.region.as_deref();
        Queue::of_operator(config, policy, &self.options.queue_url, region)
            .map_err(|reason| ChannelError::Misconfigured { reason })
    }
}

#[cfg(test)]
mod tests;
