//! Channels: how owners are told, whichever way they asked for.
//!
//! **Owns** nothing; the row that a notice comes from is the queue.
//! **Fails** per notice, with a [`ChannelError`] cut by what the caller does next. A notice counts as delivered on
//! the other side's own acknowledgement alone, so that one may arrive twice, under the same event id.
//! **Limits**: a destination is vetted when it is stored and again at each use.

pub mod mail;
pub mod nats;
mod sending;
pub mod sqs;
pub mod webhook;

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{EndpointId, EventId, TenantId};
use crate::domain::violation::Violation;
use crate::metrics::calls;

use super::http::{HttpClientError, HttpConfig};
use super::secret::policy::SecretPolicy;
use mail::Mail;
use mail::config::MailConfig;
use nats::Nats;
use nats::config::NatsConfig;
use sqs::Sqs;
use sqs::config::SqsConfig;
use webhook::Webhook;
use webhook::config::WebhookConfig;
use webhook::secret::WebhookSecret;

/// A way to reach an owner.
pub trait Channel {
    /// What keeps a destination from being used by this tenant, by field path; asked before it is stored.
    fn check(&self, tenant: &TenantId, destination: &Destination) -> Vec<Violation>;

    /// Delivers notices to one destination, in their order, and returns one result per notice. A notice whose
    /// forerunner of the same subject could not be delivered is not sent before it where the channel can hold
    /// it back (webhooks); elsewhere its version says the order (queues).
    fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> impl Future<Output = Vec<Result<Receipt, ChannelError>>> + Send;

    /// The waits between attempts where the channel's field has a custom; empty for the notifier's own. One attempt more than
    /// there are waits is made.
    fn waits(&self) -> &[Duration] {
        &[]
    }
}

/// Something that an owner is to be told.
#[derive(Clone, Copy)]
pub struct Notice<'a> {
    pub tenant: &'a TenantId,
    /// Never changes, however often the notice is sent.
    pub event_id: EventId,
    /// For example `boleto.registered`.
    pub event_type: &'a str,
    /// What it is about, for example a boleto's id.
    pub subject: &'a str,
    /// Grows with each change of the subject.
    pub version: i64,
    pub occurred_at: DateTime<Utc>,
    /// The JSON text to be sent.
    pub body: &'a str,
    /// The W3C trace context of the change.
    pub traceparent: Option<&'a str>,
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("event_id", &self.event_id)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}

/// Where an owner wants to be told. `Debug` shows the kind alone: an address may carry a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A queue of Amazon SQS, or of a server that speaks like it.
    Sqs {
        queue_url: String,
        /// Where the queue lives, if its URL does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
    /// A webhook; two secrets while one is being rotated.
    Webhook { url: String, secrets: Vec<WebhookSecret> },
    /// One mailbox.
    Mail {
        address: String,
        /// Of the message's text; nothing for the configured one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    /// A subject of NATS JetStream, behind which the event's type is put.
    Nats { subject: String },
}

impl Destination {
    /// Reads what the row of an endpoint says. What is sealed in it can be opened as that row's only.
    ///
    /// # Errors
    /// Text that is no destination.
    pub fn read(endpoint_id: EndpointId, text: &str) -> Result<Self, serde_json::Error> {
        let mut destination = serde_json::from_str(text)?;
        if let Self::Webhook { secrets, .. } = &mut destination {
            secrets.iter_mut().for_each(|secret| secret.set_found_in(endpoint_id));
        }
        Ok(destination)
    }

    /// Through which channel it is reached.
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Sqs { .. } => ChannelKind::Sqs,
            Self::Webhook { .. } => ChannelKind::Webhook,
            Self::Mail { .. } => ChannelKind::Mail,
            Self::Nats { .. } => ChannelKind::Nats,
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.kind().as_str())
    }
}

/// The kinds of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Sqs,
    Webhook,
    Mail,
    Nats,
}

impl ChannelKind {
    /// Every kind there is.
    pub const ALL: [Self; 4] = [Self::Sqs, Self::Webhook, Self::Mail, Self::Nats];

    /// The kind's name in the store, in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
            Self::Nats => "nats",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The other side has taken a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The HTTP status, where there is one per notice.
    pub status: Option<u16>,
    /// The other side's own id of the message.
    pub provider_message_id: Option<String>,
    /// What it said beside: cut, and without personal data.
    pub answer: Option<String>,
}

/// Why a notice was not delivered, sorted by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// This notice will never be taken by this destination.
    #[error("destination refused the notice: {reason}")]
    Refused { reason: String },
    /// Not taken now; wait, then send again.
    #[error("destination unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// Perhaps taken; send again under the same event id.
    #[error("delivery unknown: {reason}")]
    OutcomeUnknown { reason: String },
    /// The destination wants no notices any more.
    #[error("destination is gone")]
    Disabled,
    /// Nothing will be taken until somebody corrects something.
    #[error("channel misconfigured: {reason}")]
    Misconfigured { reason: String },
}

impl ChannelError {
    /// What kind of error it is, in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::OutcomeUnknown { .. } => "unknown",
            Self::Disabled => "disabled",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }
}

/// Settings of every channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelsConfig {
    pub sqs: SqsConfig,
    pub webhook: WebhookConfig,
    pub mail: MailConfig,
    pub nats: NatsConfig,
}

/// Every channel there is. Cheap to clone; clones share connections and sign-ins.
#[derive(Debug, Clone)]
pub enum ChannelConnector {
    Sqs(Sqs),
    Webhook(Webhook),
    Mail(Mail),
    Nats(Nats),
}

/// Does the same with whichever channel it is.
macro_rules! whichever {
    ($connector:expr, $channel:ident => $call:expr) => {
        match $connector {
            ChannelConnector::Sqs($channel) => $call,
            ChannelConnector::Webhook($channel) => $call,
            ChannelConnector::Mail($channel) => $call,
            ChannelConnector::Nats($channel) => $call,
        }
    };
}

impl ChannelConnector {
    /// The connector of a kind.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn for_kind(
        kind: ChannelKind,
        config: &ChannelsConfig,
        secrets: &SecretPolicy,
        http: &HttpConfig,
    ) -> Result<Self, HttpClientError> {
        match kind {
            ChannelKind::Sqs => Ok(Self::Sqs(Sqs::new(config.sqs.clone(), http)?)),
            ChannelKind::Webhook => {
                Ok(Self::Webhook(Webhook::new(config.webhook.clone(), secrets.clone(), http)?))
            }
            ChannelKind::Mail => Ok(Self::Mail(Mail::new(config.mail.clone()))),
            ChannelKind::Nats => Ok(Self::Nats(Nats::new(config.nats.clone()))),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Sqs(_) => ChannelKind::Sqs,
            Self::Webhook(_) => ChannelKind::Webhook,
            Self::Mail(_) => ChannelKind::Mail,
            Self::Nats(_) => ChannelKind::Nats,
        }
    }
}

impl Channel for ChannelConnector {
    fn check(&self, tenant: &TenantId, destination: &Destination) -> Vec<Violation> {
        whichever!(self, channel => channel.check(tenant, destination))
    }

    async fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let begun = Instant::now();
        let results = whichever!(self, channel => channel.deliver(destination, notices).await);
        let outcomes =
            results.iter().map(|result| result.as_ref().map_or_else(ChannelError::kind, |_| "delivered"));
        calls::delivered(self.kind().as_str(), begun.elapsed(), outcomes);
        results
    }

    fn waits(&self) -> &[Duration] {
        whichever!(self, channel => channel.waits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_names_and_no_other() {
        let text = r#"{"webhook":{"timeout":"5s"},"sqs":{"region":"sa-east-1","credentials":
            {"access_key_id":"env:A","secret_access_key":"file:b"}}}"#;
        let config: ChannelsConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.webhook.timeout, Duration::from_secs(5));
        assert_eq!(config.sqs.egress.hosts, ["sqs.*.amazonaws.com"]);
        for bad in [r#"{"sns":{}}"#, r#"{"webhook":{"time_out":"5s"}}"#, r#"{"sqs":{"endpoint":"here"}}"#] {
            assert!(serde_json::from_str::<ChannelsConfig>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_destination_reads_back_and_keeps_its_address_to_itself() {
        let text =
            r#"{"channel":"webhook","url":"https://example.com/?token=s3cret","secrets":["env:HOOK"]}"#;
        let destination: Destination = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&destination).unwrap(), text);
        assert_eq!(format!("{destination:?}"), "Destination(webhook)");
        assert_eq!(ChannelKind::from_name("webhook"), Some(destination.kind()));
    }
}
