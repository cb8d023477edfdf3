//! Queues of Amazon SQS, and of servers that speak like it (AWS JSON protocol): owners' queues are written to, and a
//! queue of the operator's may be read ([`source`]).
//!
//! **Owns** the AWS credentials of this process, refreshed before they end; they are never stored.
//! **Fails** per notice; a group that was sent without an answer is of unknown fate as a whole.
//! **Limits**: ten messages and 256 KiB a call; a request is signed for a host on the allow-list or for the
//! configured endpoint, and for no other. A queue orders a subject's notices only if it is FIFO; the version in the
//! body tells their order everywhere.

mod client;
pub mod config;
mod credentials;
mod error;
mod queue;
pub mod source;
mod wire;

use std::sync::Arc;

use crate::connectors::http::{HttpClientError, HttpConfig};
use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;

use super::{Channel, ChannelError, Destination, Notice, Receipt};
use client::Client;
use config::SqsConfig;
use queue::Queue;
use source::{Source, SourceOptions};

/// The connector. Cheap to clone; clones share credentials and connections.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: Arc<Client>,
}

impl Sqs {
    /// A connector that reaches what its configuration lets it.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(config: SqsConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        Ok(Self { client: Arc::new(Client::new(config, http)?) })
    }

    /// A queue of the operator's to be read, by the same credentials and connections.
    pub fn source(&self, options: SourceOptions) -> Source {
        Source::new(self.client.clone(), options)
    }
}

impl Channel for Sqs {
    fn check(&self, tenant: &TenantId, destination: &Destination) -> Vec<Violation> {
        let Destination::Sqs { queue_url, region } = destination else {
            return vec![Violation::new("channel", "must be a queue of SQS")];
        };
        match Queue::open(self.client.config(), self.client.policy(), tenant, queue_url, region.as_deref()) {
            Ok(_) => Vec::new(),
            Err(reason) => vec![Violation::new("queue_url", reason)],
        }
    }

    async fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let Destination::Sqs { queue_url, region } = destination else {
            let reason = "the destination is not a queue of SQS".to_owned();
            return vec![Err(ChannelError::Misconfigured { reason }); notices.len()];
        };
        // The allow-lists are per tenant, and a slice may hold notices of several.
        let mut outcomes = Vec::with_capacity(notices.len());
        for group in notices.chunk_by(|one, other| one.tenant == other.tenant) {
            let opened = Queue::open(
                self.client.config(),
                self.client.policy(),
                group[0].tenant,
                queue_url,
                region.as_deref(),
            );
            match opened {
                Ok(queue) => outcomes.extend(self.client.send(&queue, group).await),
                Err(reason) => {
                    let error = ChannelError::Misconfigured { reason };
                    outcomes.extend(vec![Err(error); group.len()]);
                }
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests;
