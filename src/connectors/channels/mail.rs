//! Mail, by SMTP through the operator's own server: one address an endpoint, one message a notice.
//!
//! **Owns** the pooled connections to the server. **Fails** per notice: 4xx is tried again, 5xx is for good where it is about
//! the address or the message, and for somebody to correct where it is about us. A connection that breaks after the content
//! was begun leaves the fate unknown: the message is sent again under the same Message-ID.
//! **Limits**: no caller names a server; an address is vetted when it is stored and again at each use; the notices of one
//! attempt go one after another, and behind a failed one of a subject none is sent. What does not fit into
//! `channels.mail.timeout` waits for the next attempt.

mod address;
mod answer;
pub mod config;
mod connection;
mod message;
mod pool;
mod template;
mod wire;
mod words;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use lettre::Address;
use tokio::time::{Instant, timeout_at};

use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;

use super::sending::sending;
use super::{Channel, ChannelError, Destination, Notice, Receipt};
use config::{Language, MailConfig};
use connection::Sent;
use pool::{Pool, Taken};
use template::Templates;

const UNCONFIGURED: &str = "no mail server is configured (channels.mail.server)";

/// The connector. Cheap to clone; clones share connections and templates.
#[derive(Debug, Clone)]
pub struct Mail {
    config: Arc<MailConfig>,
    pool: Arc<Pool>,
    /// The first fault instead, if the folder changed after the configuration was checked.
    templates: Arc<Result<Templates, String>>,
}

/// Why a notice was not delivered, and whether that says something about the server and not about the notice.
struct Failure {
    error: ChannelError,
    is_of_server: bool,
}

/// One attempt: what is to be sent, over what, until when.
struct Attempt<'a> {
    from: &'a Address,
    taken: Option<Taken>,
    deadline: Instant,
}

impl Mail {
    /// A connector that sends through what its configuration names, or says that it names none.
    pub fn new(config: MailConfig) -> Self {
        let config = Arc::new(config);
        let templates = Templates::load(&config.templates, config.time_zone.0);
        let templates = templates.map_err(|faults| faults.into_iter().next().unwrap_or_default());
        Self { pool: Pool::new(config.clone()), templates: Arc::new(templates), config }
    }

    /// Sends notices to one address, over one connection for as long as that holds.
    async fn send_all(
        &self,
        address: &str,
        language: Language,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let (templates, from) = match self.means() {
            Ok(means) => means,
            Err(error) => return vec![Err(error); notices.len()],
        };
        let mut attempt = Attempt { from, taken: None, deadline: Instant::now() + self.config.timeout };
        let mut failed = HashSet::new();
        let mut of_server: Option<ChannelError> = None;
        let mut outcomes = Vec::with_capacity(notices.len());
        for notice in notices {
            let outcome = if failed.contains(notice.subject) {
                Err(answer::unavailable("an earlier notice of the subject was not delivered".to_owned()))
            } else if let Some(error) = &of_server {
                Err(error.clone())
            } else {
                let sent = self.send_one(&mut attempt, templates, address, language, notice).await;
                sent.map_err(|failure| {
                    if failure.is_of_server {
                        of_server = Some(failure.error.clone());
                    }
                    failure.error
                })
            };
            if outcome.is_err() {
                failed.insert(notice.subject);
            }
            outcomes.push(outcome);
        }
        if let Some(taken) = attempt.taken {
            self.pool.give_back(taken);
        }
        outcomes
    }

    fn means(&self) -> Result<(&Templates, &Address), ChannelError> {
        let misconfigured = |reason: &str| ChannelError::Misconfigured { reason: reason.to_owned() };
        if self.config.server.is_none() {
            return Err(misconfigured(UNCONFIGURED));
        }
        let templates = self.templates.as_ref().as_ref();
        let templates = templates.map_err(|fault| misconfigured(&format!("template {fault}")))?;
        let from = self.config.from.as_ref().ok_or_else(|| misconfigured("channels.mail.from is not set"))?;
        Ok((templates, &from.0.email))
    }

    async fn send_one(
        &self,
        attempt: &mut Attempt<'_>,
        templates: &Templates,
        address: &str,
        language: Language,
        notice: &Notice<'_>,
    ) -> Result<Receipt, Failure> {
        let of_notice = |error| Failure { error, is_of_server: false };
        let of_server = |error| Failure { error, is_of_server: true };
        let to = address::vet(&self.config, notice.tenant, address).map_err(|rule| {
            of_notice(ChannelError::Misconfigured { reason: format!("the address {rule}") })
        })?;
        let now = SystemTime::now();
        let message =
            message::compose(&self.config, templates, language, &to, notice, now).map_err(of_notice)?;
        let deadline = attempt.deadline.min(Instant::now() + self.config.message_timeout);
        let late = || answer::unavailable("no time was left in this attempt".to_owned());
        let taken = timeout_at(deadline, self.taken(attempt.taken.take())).await;
        let mut taken = taken.unwrap_or_else(|_| Err(late())).map_err(of_server)?;
        let sent = loop {
            let sending = taken.connection.send(attempt.from, &to, &message);
            match timeout_at(deadline, sending).await {
                // Servers close what has been idle for long, which is found out only by talking.
                Ok(Sent::Dead(_)) if !taken.is_new => {
                    let replaced = timeout_at(deadline, self.pool.replace(taken)).await;
                    taken = replaced.unwrap_or_else(|_| Err(late())).map_err(of_server)?;
                }
                Ok(Sent::Dead(reason)) => break Err(of_server(answer::unavailable(reason))),
                Ok(Sent::Done(outcome)) => break outcome.map_err(of_notice),
                Err(_) if taken.connection.content_begun => {
                    let reason = "no word about the message in time".to_owned();
                    break Err(of_notice(ChannelError::OutcomeUnknown { reason }));
                }
                Err(_) => break Err(of_server(late())),
            }
        };
        if taken.connection.is_usable {
            attempt.taken = Some(taken);
        }
        sent
    }

    /// The connection in hand, as long as more may go over it, or another.
    async fn taken(&self, in_hand: Option<Taken>) -> Result<Taken, ChannelError> {
        match in_hand {
            Some(taken) if taken.connection.messages < self.config.messages_per_connection_max => Ok(taken),
            Some(taken) => {
                self.pool.give_back(taken);
                self.pool.take().await
            }
            None => self.pool.take().await,
        }
    }
}

impl Channel for Mail {
    fn check(&self, tenant: &TenantId, destination: &Destination) -> Vec<Violation> {
        let Destination::Mail { address, language } = destination else {
            return vec![Violation::new("channel", "must be a mailbox")];
        };
        if self.config.server.is_none() {
            return vec![Violation::new("address", UNCONFIGURED)];
        }
        let mut found = Vec::new();
        if let Err(rule) = address::vet(&self.config, tenant, address) {
            found.push(Violation::new("address", rule));
        }
        if language.as_deref().is_some_and(|tag| Language::from_tag(tag).is_none()) {
            let known = Language::ALL.map(Language::tag).join(", ");
            found.push(Violation::new("language", format!("must be one of {known}")));
        }
        found
    }

    async fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let Destination::Mail { address, language } = destination else {
            let reason = "the destination is not a mailbox".to_owned();
            return vec![Err(ChannelError::Misconfigured { reason }); notices.len()];
        };
        let asked = language.as_deref().and_then(Language::from_tag);
        let language = asked.unwrap_or(self.config.language);
        sending("smtp", None, notices.len(), self.send_all(address, language, notices)).await
    }
}

#[cfg(test)]
mod tests;
