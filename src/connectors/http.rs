//! The one HTTP client through which everything leaves the house.
//!
//! **Owns** a pool of connections.
//! **Fails** saying the one thing that decides what the caller does next: whether the request may have reached the
//! other side. Only a failure to connect, or a refusal by our own policy, means that nothing was sent.
//! **Limits**: every call has a deadline and a body limit; no redirect, no proxy, no cookie; HTTP/1.1.

mod config;
mod identity;
mod stream;
mod trace;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use tracing::Instrument;

pub use config::{HttpConfig, HttpUrl, InvalidHttpUrl};
pub use identity::Identity;
pub use stream::OpenAnswer;

use super::egress::{EgressError, EgressPolicy, VettingResolver};
use crate::metrics::OTHER;
use crate::metrics::calls::HttpCall;

/// No `Retry-After` keeps us waiting for longer than this.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Chooses the process's cryptography for TLS. Cheap, and idempotent: the first choice stands.
pub fn install_crypto_provider() {
    // The error says that a provider is installed already, which is all that is asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client, cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    /// Whose client it is, in metrics.
    connector: Arc<str>,
    policy: Option<EgressPolicy>,
    config: Arc<HttpConfig>,
}

/// One request.
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The deadline of the whole call; the client's own where absent.
    pub timeout: Option<Duration>,
    pub body_limit: BodyLimit,
}

/// What becomes of an answer's body that is larger than we care for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// The whole body matters: longer than the client's limit is an error.
    Client,
    /// The status is the answer: what cannot be read within so many bytes, or in time, is left out.
    Cut(usize),
}

/// An answer, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Our own policy refuses the address. Nothing was sent.
    #[error("egress refused: {0}")]
    Forbidden(#[from] EgressError),
    /// No connection came about (name, TCP, TLS). Nothing was sent.
    #[error("no connection: {reason}")]
    Connect { reason: String },
    /// The deadline passed after we had begun.
    #[error("no answer within {elapsed_ms} ms")]
    Timeout { elapsed_ms: u64 },
    /// The connection broke, or what came over it was not HTTP.
    #[error("connection broke: {reason}")]
    Reset { reason: String },
    /// An answer came, and it was longer than the limit.
    #[error("answer with status {status} is longer than {limit_bytes} bytes")]
    BodyTooLarge { status: u16, limit_bytes: usize },
}

impl HttpError {
    /// What kind of error it is, in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "egress_refused",
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Reset { .. } => "reset",
            Self::BodyTooLarge { .. } => "body_too_large",
        }
    }

    /// Whether the other side may have received the request.
    pub fn may_have_been_sent(&self) -> bool {
        !matches!(self, Self::Forbidden(_) | Self::Connect { .. })
    }
}

/// A client cannot be made: the platform's trusted certificates cannot be loaded, or a setting is unusable.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made: {reason}")]
pub struct HttpClientError {
    /// The platform's own words.
    pub reason: String,
}

impl HttpClient {
    /// A client for addresses that an operator configured.
    ///
    /// # Errors
    /// See [`HttpClientError`].
    pub fn trusted(config: &HttpConfig) -> Result<Self, HttpClientError> {
        Self::build(config, None)
    }

    /// A client for addresses that a caller supplied: vetted before use, and again when they are resolved.
    ///
    /// # Errors
    /// See [`HttpClientError`].
    pub fn vetted(config: &HttpConfig, policy: EgressPolicy) -> Result<Self, HttpClientError> {
        Self::build(config, Some(policy))
    }

    fn build(config: &HttpConfig, policy: Option<EgressPolicy>) -> Result<Self, HttpClientError> {
        let builder = Self::builder(config, policy.as_ref());
        Ok(Self { inner: made(builder)?, connector: OTHER.into(), policy, config: Arc::new(config.clone()) })
    }

    /// The same client, whose requests are measured under a connector's name: one of the program's or its configuration's.
    #[must_use]
    pub fn named(&self, connector: &str) -> Self {
        Self { connector: connector.into(), ..self.clone() }
    }

    /// A client under this one's limits and policy, with connections of its own.
    fn with(&self, builder: reqwest::ClientBuilder) -> Result<Self, HttpClientError> {
        Ok(Self { inner: made(builder)?, ..self.clone() })
    }

    fn builder(config: &HttpConfig, policy: Option<&EgressPolicy>) -> reqwest::ClientBuilder {
        install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would connect on our behalf to an address that we have not vetted.
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.pool_idle_max)
            .user_agent(&config.user_agent);
        if let Some(policy) = policy {
            builder = builder.dns_resolver(VettingResolver::new(policy.clone()));
        }
        builder
    }

    /// Sends a request and reads the answer, whatever its status. The trace context of the current span goes along,
    /// unless the request carries one of its own.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let span = trace::span(&request);
        let mut measured = HttpCall::begin(&self.connector, &request.method);
        let outcome = trace::told(self.attempt(request), |answer| answer.status).instrument(span).await;
        measured.end(outcome.as_ref().map(|answer| answer.status).map_err(HttpError::kind));
        outcome
    }

    async fn attempt(&self, mut request: Request) -> Result<Answer, HttpError> {
        if let Some(policy) = &self.policy {
            policy.vet_url(&request.url)?;
        }
        trace::inject(&mut request.headers);
        let begun = Instant::now();
        let mut response = self
            .inner
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(request.timeout.unwrap_or(self.config.timeout))
            .send()
            .await
            .map_err(|error| classify(&error, begun))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = self.read(response, request.body_limit, begun).await?;
        Ok(Answer { status, headers, body })
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        limit: BodyLimit,
        begun: Instant,
    ) -> Result<Bytes, HttpError> {
        let (limit_bytes, cut) = match limit {
            BodyLimit::Client => (self.config.body_max_bytes, false),
            BodyLimit::Cut(bytes) => (bytes, true),
        };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(body.freeze()),
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit_bytes => body.extend_from_slice(&chunk),
                Ok(Some(chunk)) if cut => {
                    body.extend_from_slice(&chunk[..limit_bytes - body.len()]);
                    return Ok(body.freeze());
                }
                Ok(Some(_)) => {
                    return Err(HttpError::BodyTooLarge { status: response.status().as_u16(), limit_bytes });
                }
                Err(_) if cut => return Ok(body.freeze()),
                Err(error) => return Err(classify(&error, begun)),
            }
        }
    }
}

impl Request {
    /// A request without headers and body, under the client's own limits.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            body_limit: BodyLimit::Client,
        }
    }
}

impl Answer {
    /// How long the other side asks us to wait, in seconds or until an HTTP date; at most a day.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            // A date in the past asks for no wait at all.
            Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().unwrap_or_default(),
        };
        Some(wait.min(RETRY_AFTER_MAX))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys travel in the query and in headers, personal data in the body.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

fn made(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpClientError> {
    builder.build().map_err(|error| HttpClientError { reason: root_cause(&error) })
}

/// A body of `application/x-www-form-urlencoded`.
pub fn form(pairs: &[(&str, &str)]) -> Bytes {
    let mut url = Url::parse("form:").expect("a scheme and a colon are a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    Bytes::from(url.query().unwrap_or_default().to_owned())
}

fn classify(error: &reqwest::Error, begun: Instant) -> HttpError {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<EgressError>() {
            return HttpError::Forbidden(refusal.clone());
        }
        cause = inner.source();
    }
    // A connect timeout is both; that nothing was sent is what counts.
    if error.is_connect() || error.is_builder() {
        HttpError::Connect { reason: root_cause(error) }
    } else if error.is_timeout() {
        HttpError::Timeout { elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX) }
    } else {
        HttpError::Reset { reason: root_cause(error) }
    }
}

/// The innermost cause. The outer ones repeat the URL, which may carry keys in its query.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    text.unwrap_or_else(|| "unusable request".to_owned())
}

#[cfg(test)]
mod tests;
