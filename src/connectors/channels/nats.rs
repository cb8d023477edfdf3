//! Subjects of NATS JetStream, on servers of the operator's: an event goes to the owner's subject with the event's type
//! behind it, under the event's id as `Nats-Msg-Id`.
//!
//! **Owns** one connection, made when there is first something to tell. A house whose NATS is away starts and waits.
//! **Fails** per notice, as the table in [`error`] says. A notice is delivered when a stream has acknowledged it; what a
//! stream had already, within its own window of duplicates, counts as delivered and says so. A resend within that window
//! is therefore taken for what it is, and stored no second time.
//! **Limits**: the notices of a call are all sent before the first acknowledgement is waited for. They leave in their order
//! over one connection and a stream stores them in it; if one of them is not stored, later ones of its subject may be, and
//! it follows behind them when it is sent again: `Bursar-Version`, as `version` in the body, tells the true order.

pub mod config;
mod connection;
mod error;
mod subject;

use std::sync::Arc;

use async_nats::header::{HeaderMap, HeaderValue};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;

use super::sending::sending;
use super::{Channel, ChannelError, Destination, Notice, Receipt};
use config::NatsConfig;
use connection::{Connection, Line};

/// The connector. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Nats {
    config: Arc<NatsConfig>,
    line: Arc<Line>,
}

/// A message on its way: where to, and who will know whether it arrived.
struct Sent {
    subject: String,
    ack: PublishAckFuture,
}

impl Nats {
    /// A connector that reaches what its configuration lets it. Nothing is connected to yet.
    pub fn new(config: NatsConfig) -> Self {
        let config = Arc::new(config);
        Self { line: Arc::new(Line::new(config.clone())), config }
    }

    /// Why no message can be sent to this destination by anybody.
    fn subject_of<'a>(&self, destination: &'a Destination) -> Result<&'a str, String> {
        match destination {
            Destination::Nats { .. } if self.config.servers.is_empty() => {
                Err("no NATS server is configured".to_owned())
            }
            Destination::Nats { subject } => Ok(subject),
            _ => Err("the destination is not a subject of NATS".to_owned()),
        }
    }

    /// Hands a message to the connection.
    async fn send(
        &self,
        connection: &Connection,
        subject: &str,
        notice: &Notice<'_>,
    ) -> Result<Sent, ChannelError> {
        subject::check(&self.config, notice.tenant, subject).map_err(error::misconfigured)?;
        let subject = subject::of_event(subject, notice.event_type).map_err(error::misconfigured)?;
        if notice.body.len() > self.config.message_max_bytes {
            let reason = "the message is longer than channels.nats.message_max_bytes".to_owned();
            return Err(ChannelError::Refused { reason });
        }
        let body = Bytes::copy_from_slice(notice.body.as_bytes());
        let published = connection.context.publish_with_headers(subject.clone(), headers(notice), body).await;
        let ack = published.map_err(|error| error::of_publish(&error))?;
        Ok(Sent { subject, ack })
    }

    async fn deliver_all(&self, subject: &str, notices: &[Notice<'_>]) -> Vec<Result<Receipt, ChannelError>> {
        let connection = match self.line.connection().await {
            Ok(connection) => connection,
            Err(error) => return vec![Err(error); notices.len()],
        };
        let mut sent = Vec::with_capacity(notices.len());
        let mut stuck = None;
        for notice in notices {
            let outcome = match &stuck {
                Some(error) => Err(ChannelError::clone(error)),
                None => self.send(&connection, subject, notice).await,
            };
            if let Err(error @ ChannelError::Unavailable { .. }) = &outcome {
                // A connection that takes no message takes the next one no better, and each would wait for it.
                stuck = Some(error.clone());
            }
            sent.push(outcome);
        }
        join_all(sent.into_iter().map(async |sent| acknowledged(&connection, sent?).await)).await
    }
}

/// Waits for the stream's word, or for what keeps it from ever coming.
async fn acknowledged(connection: &Connection, sent: Sent) -> Result<Receipt, ChannelError> {
    tokio::select! {
        biased;
        ack = sent.ack.into_future() => ack.map(|ack| receipt(&ack)).map_err(|error| error::of_ack(&error)),
        error = connection.trouble_of(&sent.subject) => Err(error),
    }
}

fn receipt(ack: &PublishAck) -> Receipt {
    Receipt {
        status: None,
        provider_message_id: Some(format!("{}/{}", ack.stream, ack.sequence)),
        answer: ack.duplicate.then(|| "the stream had it already: a duplicate".to_owned()),
    }
}

fn headers(notice: &Notice<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        // What is put here is ids, digits or a trace context; text that is no header is left out.
        if let Ok(value) = value.parse::<HeaderValue>() {
            headers.insert(name, value);
        }
    };
    put("Nats-Msg-Id", &notice.event_id.to_string());
    put("Bursar-Event-Type", notice.event_type);
    put("Bursar-Version", &notice.version.to_string());
    if let Some(traceparent) = notice.traceparent {
        put("traceparent", traceparent);
    }
    headers
}

impl Channel for Nats {
    fn check(&self, tenant: &TenantId, destination: &Destination) -> Vec<Violation> {
        let subject = match self.subject_of(destination) {
            Ok(subject) => subject,
            Err(reason) => return vec![Violation::new("channel", reason)],
        };
        match subject::check(&self.config, tenant, subject) {
            Ok(()) => Vec::new(),
            Err(reason) => vec![Violation::new("subject", reason)],
        }
    }

    async fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let subject = match self.subject_of(destination) {
            Ok(subject) => subject,
            Err(reason) => return vec![Err(error::misconfigured(reason)); notices.len()],
        };
        sending("nats", Some(subject), notices.len(), self.deliver_all(subject, notices)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use uuid::Uuid;

    use super::config::NatsUrl;
    use super::*;
    use crate::domain::ids::EventId;

    fn destination(subject: &str) -> Destination {
        Destination::Nats { subject: subject.to_owned() }
    }

    fn configured() -> NatsConfig {
        let servers = vec![NatsUrl::parse("nats://127.0.0.1:1").unwrap()];
        NatsConfig {
            servers,
            require_tls: false,
            connect_timeout: Duration::from_secs(2),
            ..NatsConfig::default()
        }
    }

    fn notice(tenant: &TenantId) -> Notice<'_> {
        Notice {
            tenant,
            event_id: EventId(Uuid::from_u128(7)),
            event_type: "boleto.registered",
            subject: "boleto",
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body: "{}",
            traceparent: Some("not a trace\r\ncontext"),
        }
    }

    #[test]
    fn a_destination_is_a_subject_and_a_server_is_there() {
        let tenant = TenantId::default();
        let none = Nats::new(NatsConfig::default());
        assert_eq!(none.check(&tenant, &destination("owners"))[0].field, "channel");
        let nats = Nats::new(configured());
        assert_eq!(nats.check(&tenant, &destination("owners")), []);
        assert_eq!(nats.check(&tenant, &destination("owners.>"))[0].field, "subject");
        let mail = Destination::Mail { address: "a@b.example".to_owned(), language: None };
        assert_eq!(nats.check(&tenant, &mail)[0].field, "channel");
    }

    #[test]
    fn headers_name_the_event_and_nothing_is_smuggled_in() {
        let tenant = TenantId::default();
        let headers = headers(&notice(&tenant));
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), Uuid::from_u128(7).to_string());
        assert_eq!(headers.get("Bursar-Event-Type").unwrap().as_str(), "boleto.registered");
        assert_eq!(headers.get("Bursar-Version").unwrap().as_str(), "2");
        assert!(headers.get("traceparent").is_none());
    }

    #[tokio::test]
    async fn a_server_that_is_away_has_taken_nothing_and_is_left_alone_for_a_while() {
        let tenant = TenantId::default();
        let config = NatsConfig {
            reconnect_base: Duration::from_secs(60),
            reconnect_cap: Duration::from_secs(60),
            ..configured()
        };
        let nats = Nats::new(config);
        for _ in 0..2 {
            let outcomes = nats.deliver(&destination("owners"), &[notice(&tenant), notice(&tenant)]).await;
            assert_eq!(outcomes.len(), 2);
            for outcome in outcomes {
                let Err(ChannelError::Unavailable { retry_after: Some(wait), .. }) = outcome else {
                    panic!("{outcome:?}")
                };
                // Chance takes at most a fifth off the wait.
                assert!(wait > Duration::from_secs(40), "{wait:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_is_for_a_person() {
        let tenant = TenantId::default();
        let mut config = configured();
        config.credentials.token = Some("env:BURSAR_TEST_NO_SUCH_VARIABLE".to_owned().try_into().unwrap());
        let outcomes = Nats::new(config).deliver(&destination("owners"), &[notice(&tenant)]).await;
        assert!(matches!(outcomes[0], Err(ChannelError::Misconfigured { .. })), "{outcomes:?}");
    }
}
