//! One call of the database: signed, sent on where that is allowed, and read.
//!
//! **Owns** connections and, by its tokens, what we are signed in with. **Fails** as the table in `error` says.
//! **Limits**: each call is made once, or twice where a token had lost its validity; redirects as `redirect` says, and each
//! call begins at the configured address again.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::config::FirebaseRtdbConfig;
use super::error::{self, Kind};
use super::redirect::{HOPS_MAX, RedirectError, Rules};
use super::token::{Pass, Token, Tokens};
use crate::connectors::http::{Answer, HttpClient, HttpError, HttpUrl, OpenAnswer, Request};
use crate::connectors::transfer_feeds::FeedError;

const ASK_FOR_ETAG: &str = "x-firebase-etag";
const IF_MATCH: &str = "if-match";
/// The version of what is not there.
pub(super) const NULL_ETAG: &str = "null_etag";
/// What is borne of an answer that is no success.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Client {
    config: Arc<FirebaseRtdbConfig>,
    database: HttpUrl,
    http: HttpClient,
    tokens: Tokens,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

/// A value with its version.
#[derive(Debug, PartialEq)]
pub(super) struct Versioned {
    pub(super) value: Value,
    pub(super) etag: Option<String>,
}

/// What became of a write under a condition.
#[derive(Debug, PartialEq)]
pub(super) enum Conditional {
    Written,
    /// Something else stands there: this.
    Other(Versioned),
}

/// A stream that has begun.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) answer: OpenAnswer,
    /// Under what it was opened.
    pub(super) pass: Pass,
}

impl Call {
    pub(super) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Bytes::from(body.to_string());
        self
    }

    fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn kind(&self) -> Kind {
        if self.method == Method::GET { Kind::Question } else { Kind::Write }
    }
}

impl Client {
    pub(super) fn new(config: Arc<FirebaseRtdbConfig>, database: HttpUrl, http: HttpClient) -> Self {
        let tokens = Tokens::new(Arc::clone(&config), http.clone());
        Self { config, database, http, tokens }
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What stands at a path; null if nothing does.
    pub(super) async fn read(&self, path: &str) -> Result<Value, FeedError> {
        let answer = self.call(&Call::get(path)).await?;
        value_of(&answer, "a read")
    }

    /// The same with its version.
    pub(super) async fn read_versioned(&self, path: &str) -> Result<Versioned, FeedError> {
        let call = Call::get(path).header(ASK_FOR_ETAG, HeaderValue::from_static("true"));
        let answer = self.call(&call).await?;
        Ok(Versioned { value: value_of(&answer, "a read")?, etag: etag_of(&answer) })
    }

    /// Writes a value, or deletes it if it is null, if what stands there has this version still.
    pub(super) async fn put_if(
        &self,
        path: &str,
        value: &Value,
        etag: &str,
    ) -> Result<Conditional, FeedError> {
        let etag = HeaderValue::from_str(etag).map_err(|_| error::unreadable("a question for a version"))?;
        let call = match value {
            Value::Null => Call::new(Method::DELETE, path),
            _ => Call::new(Method::PUT, path).json(value),
        };
        let answer = self.answered(&call.header(IF_MATCH, etag)).await?;
        match answer.status {
            StatusCode::PRECONDITION_FAILED => {
                let value = value_of(&answer, "a write under a condition")?;
                Ok(Conditional::Other(Versioned { value, etag: etag_of(&answer) }))
            }
            status if status.is_success() => Ok(Conditional::Written),
            _ => Err(error::of_answer(&answer, Kind::Write, &self.config.paths.transfers)),
        }
    }

    /// Replaces what stands at these paths, all or nothing.
    pub(super) async fn patch(&self, changes: &Value) -> Result<(), FeedError> {
        let call = Call::new(Method::PATCH, "").query("print", "silent").json(changes);
        self.call(&call).await.map(|_| ())
    }

    /// Makes a call of which only a success is an answer.
    pub(super) async fn call(&self, call: &Call) -> Result<Answer, FeedError> {
        let answer = self.answered(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(error::of_answer(&answer, call.kind(), &self.config.paths.transfers))
    }

    /// Makes a call and reads its answer, within the deadline of both.
    async fn answered(&self, call: &Call) -> Result<Answer, FeedError> {
        let begun = Instant::now();
        let whole = async {
            let opened = self.open(call).await?;
            let read = opened.answer.whole(self.config.answer_bytes_max).await;
            read.map_err(|lost| error::of_lost(&lost, call.kind()))
        };
        match tokio::time::timeout(self.config.timeout, whole).await {
            Ok(answer) => answer,
            Err(_) => {
                let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                Err(error::of_lost(&HttpError::Timeout { elapsed_ms }, call.kind()))
            }
        }
    }

    /// Opens a stream of events.
    pub(super) async fn stream(&self, call: Call) -> Result<Opened, FeedError> {
        let mut call = call;
        call.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        call.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let opened = self.open(&call).await?;
        if !opened.answer.status.is_success() {
            let answer =
                tokio::time::timeout(self.config.timeout, opened.answer.whole(REFUSAL_BYTES_MAX)).await;
            let answer = answer.map_err(|_| error::unreadable("a stream"))?;
            let answer = answer.map_err(|lost| error::of_lost(&lost, Kind::Question))?;
            return Err(error::of_answer(&answer, Kind::Question, &self.config.paths.transfers));
        }
        let kind =
            opened.answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/event-stream") {
            // A proxy's page of greeting comes with 200, too.
            let reason = "the answer is no stream of events".to_owned();
            return Err(FeedError::Unavailable { retry_after: None, reason });
        }
        Ok(opened)
    }

    /// Makes a call until the head of its answer is there; once more under a new token if the first is no longer taken.
    async fn open(&self, call: &Call) -> Result<Opened, FeedError> {
        let mut pass = self.tokens.pass().await?;
        let answer = self.follow(call, &pass).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.tokens.forget(&pass).await {
            return Ok(Opened { answer, pass });
        }
        pass = self.tokens.pass().await?;
        let answer = self.follow(call, &pass).await?;
        Ok(Opened { answer, pass })
    }

    async fn follow(&self, call: &Call, pass: &Pass) -> Result<OpenAnswer, FeedError> {
        let rules = Rules {
            database: self.database.url(),
            hosts: &self.config.redirect_hosts,
            allow_loopback: self.config.allow_loopback,
        };
        let refused = |error: RedirectError| FeedError::Refused { reason: error.to_string() };
        let mut url = self.address(call);
        for _ in 0..=HOPS_MAX {
            let request = self.signed(call, url.clone(), pass)?;
            let answer = self.http.open(request).await.map_err(|lost| error::of_lost(&lost, call.kind()))?;
            if !matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            url = rules.next(&url, location).map_err(refused)?;
        }
        Err(refused(RedirectError::TooMany))
    }

    fn signed(&self, call: &Call, mut url: Url, pass: &Pass) -> Result<Request, FeedError> {
        let mut headers = call.headers.clone();
        match pass {
            Pass::Bearer(token) => {
                headers.insert(AUTHORIZATION, bearer(token)?);
            }
            Pass::Query(secret) => {
                // An address that we were sent on to may hold it already.
                if !url.query_pairs().any(|(name, _)| name == "auth") {
                    url.query_pairs_mut().append_pair("auth", secret.expose_secret());
                }
            }
        }
        let mut request = Request::new(call.method.clone(), url);
        request.headers = headers;
        request.body = call.body.clone();
        request.timeout = Some(self.config.timeout);
        Ok(request)
    }

    fn address(&self, call: &Call) -> Url {
        let mut segments: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).collect();
        let last = format!("{}.json", segments.pop().unwrap_or_default());
        segments.push(&last);
        let mut url = self.database.join(&segments);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }
}

fn bearer(token: &Token) -> Result<HeaderValue, FeedError> {
    let text = format!("Bearer {}", token.secret.expose_secret());
    let mut value = HeaderValue::from_str(&text).map_err(|_| FeedError::SignedOut {
        reason: "the token that was granted cannot be sent".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn value_of(answer: &Answer, what: &str) -> Result<Value, FeedError> {
    serde_json::from_slice(&answer.body).map_err(|_| error::unreadable(what))
}

fn etag_of(answer: &Answer) -> Option<String> {
    answer.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
