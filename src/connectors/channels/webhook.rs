//! Webhooks, signed as Standard Webhooks says (<https://www.standardwebhooks.com>).
//!
//! **Owns** nothing. **Fails** per notice: any answer but 2xx is a failure to be tried again, 410 ends the endpoint,
//! a redirect is a failure and is not followed.
//! **Limits**: `in_flight_max` subjects at a time per destination; the notices of one subject go one after another,
//! and behind a failed one none is sent. Of an answer's body the first words are kept, without anybody's data.

pub mod config;
pub mod secret;
mod signature;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures_util::stream::{self, StreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use tracing::warn;

use crate::connectors::answer;
use crate::connectors::egress::EgressPolicy;
use crate::connectors::http::{
    Answer, BodyLimit, HttpClient, HttpClientError, HttpConfig, HttpError, Request,
};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;

use super::{Channel, ChannelError, Destination, Notice, Receipt};
use config::WebhookConfig;
use secret::{SECRETS_MAX, WebhookSecret};
use signature::SigningKey;

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Webhook {
    config: WebhookConfig,
    policy: EgressPolicy,
    secrets: SecretPolicy,
    http: HttpClient,
}

impl Webhook {
    /// A connector that reaches what its configuration lets it.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(
        config: WebhookConfig,
        secrets: SecretPolicy,
        http: &HttpConfig,
    ) -> Result<Self, HttpClientError> {
        let policy = EgressPolicy::new(config.egress.clone());
        let http = HttpClient::vetted(http, policy.clone())?.named("webhook");
        Ok(Self { config, policy, secrets, http })
    }

    fn open(&self, destination: &Destination) -> Result<(Url, Vec<SigningKey>), ChannelError> {
        let misconfigured = |reason: String| ChannelError::Misconfigured { reason };
        let Destination::Webhook { url, secrets } = destination else {
            return Err(misconfigured("the destination is not a webhook".to_owned()));
        };
        let url = self.policy.vet(url).map_err(|error| misconfigured(error.to_string()))?;
        let now = Utc::now();
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets.iter().filter(|secret| secret.signs_at(now)) {
            match SigningKey::read(secret, &self.secrets) {
                Ok(key) => keys.push(key),
                // One that goes anyway, and whose file may be gone already, does not keep the owner from being told.
                Err(reason) if secret.expires_at().is_some() => {
                    warn!(reason, "a secret that is being rotated out does not sign");
                }
                Err(reason) => return Err(misconfigured(reason)),
            }
        }
        if keys.is_empty() {
            return Err(misconfigured("the webhook has no secret".to_owned()));
        }
        Ok((url, keys))
    }

    async fn post(
        &self,
        url: &Url,
        keys: &[SigningKey],
        notice: &Notice<'_>,
    ) -> Result<Receipt, ChannelError> {
        let request = self.request(url, keys, notice, Utc::now().timestamp());
        match self.http.send(request).await {
            Ok(answer) => {
                let own: Vec<&str> = keys.iter().map(SigningKey::text).collect();
                of_answer(&answer, answer::scrub(&answer.body, self.config.body_read_bytes, &own))
            }
            Err(error) => Err(of_lost(&error)),
        }
    }

    fn request(&self, url: &Url, keys: &[SigningKey], notice: &Notice<'_>, timestamp: i64) -> Request {
        let id = notice.event_id.to_string();
        let signatures: Vec<_> = keys.iter().map(|key| key.sign(&id, timestamp, notice.body)).collect();
        let mut request = Request::new(Method::POST, url.clone());
        request.timeout = Some(self.config.timeout);
        request.body_limit = BodyLimit::Cut(self.config.body_read_bytes);
        request.body = Bytes::copy_from_slice(notice.body.as_bytes());
        let mut put = |name: &'static str, value: &str| {
            // What is put here is digits, base64 or a trace context; text that is no header is left out.
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("webhook-id", &id);
        put("webhook-timestamp", &timestamp.to_string());
        put("webhook-signature", &signatures.join(" "));
        if let Some(traceparent) = notice.traceparent {
            put("traceparent", traceparent);
        }
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// Sends the notices of one subject in their order, up to the first failure.
    async fn post_all(
        &self,
        url: &Url,
        keys: &[SigningKey],
        notices: &[Notice<'_>],
        subject: Vec<usize>,
    ) -> Vec<(usize, Result<Receipt, ChannelError>)> {
        let mut outcomes = Vec::with_capacity(subject.len());
        let mut held_back = false;
        for index in subject {
            let outcome = if held_back {
                let reason = "an earlier notice of the subject was not delivered".to_owned();
                Err(ChannelError::Unavailable { retry_after: None, reason })
            } else {
                self.post(url, keys, &notices[index]).await
            };
            held_back = outcome.is_err();
            outcomes.push((index, outcome));
        }
        outcomes
    }
}

impl Channel for Webhook {
    fn check(&self, _tenant: &TenantId, destination: &Destination) -> Vec<Violation> {
        let Destination::Webhook { url, secrets } = destination else {
            return vec![Violation::new("channel", "must be a webhook")];
        };
        let mut found = Vec::new();
        if let Err(error) = self.policy.vet(url) {
            found.push(Violation::new("url", error.to_string()));
        }
        if secrets.len() > SECRETS_MAX {
            found.push(Violation::new("secrets", format!("at most {SECRETS_MAX}")));
        }
        found
    }

    async fn deliver(
        &self,
        destination: &Destination,
        notices: &[Notice<'_>],
    ) -> Vec<Result<Receipt, ChannelError>> {
        let (url, keys) = match self.open(destination) {
            Ok(opened) => opened,
            Err(error) => return vec![Err(error); notices.len()],
        };
        let (url, keys) = (&url, keys.as_slice());
        let sends: Vec<_> = by_subject(notices)
            .into_iter()
            .map(|subject| self.post_all(url, keys, notices, subject))
            .collect();
        let mut outcomes: Vec<_> = stream::iter(sends)
            .buffer_unordered(self.config.in_flight_max.max(1))
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .flatten()
            .collect();
        outcomes.sort_unstable_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn waits(&self) -> &[Duration] {
        &self.config.retry_waits
    }
}

/// The places of each subject's notices, subjects in order of their first notice.
fn by_subject(notices: &[Notice<'_>]) -> Vec<Vec<usize>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, notice) in notices.iter().enumerate() {
        let place = *places.entry(notice.subject).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

fn of_answer(answer: &Answer, said: Option<String>) -> Result<Receipt, ChannelError> {
    let status = answer.status.as_u16();
    match status {
        200..=299 => Ok(Receipt { status: Some(status), provider_message_id: None, answer: said }),
        410 => Err(ChannelError::Disabled),
        _ => Err(ChannelError::Unavailable {
            retry_after: answer.retry_after(Utc::now()),
            reason: said
                .map_or_else(|| format!("status {status}"), |said| format!("status {status}: {said}")),
        }),
    }
}

fn of_lost(error: &HttpError) -> ChannelError {
    let reason = error.to_string();
    match error {
        HttpError::Forbidden(_) => ChannelError::Misconfigured { reason },
        _ if error.may_have_been_sent() => ChannelError::OutcomeUnknown { reason },
        _ => ChannelError::Unavailable { retry_after: None, reason },
    }
}

impl SigningKey {
    fn read(secret: &WebhookSecret, policy: &SecretPolicy) -> Result<Self, String> {
        let unusable = || match secret.reference() {
            Some(reference) => format!("secret {reference} is no whsec_ secret"),
            None => "the kept secret is no whsec_ secret".to_owned(),
        };
        Self::parse(&secret.open(policy)?).ok_or_else(unusable)
    }
}

#[cfg(test)]
mod tests;
