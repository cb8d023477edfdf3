//! An answer whose body is read as it comes, for streams that have no end of their own.
//!
//! **Owns** the connection until it is dropped. **Fails** as the client does.
//! **Limits**: the request's deadline counts until the head of the answer is there; how long a silence may last behind it is
//! for the reader to say. A body that is read whole has a limit again.

use std::fmt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tracing::Instrument;

use super::{Answer, HttpClient, HttpError, Request, classify, trace};
use crate::metrics::calls::HttpCall;

/// An answer of which the head is known.
pub struct OpenAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: reqwest::Response,
    begun: Instant,
}

impl HttpClient {
    /// Sends a request and reads the head of its answer, whatever its status.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn open(&self, request: Request) -> Result<OpenAnswer, HttpError> {
        let span = trace::span(&request);
        let mut measured = HttpCall::begin(&self.connector, &request.method);
        let outcome = trace::told(self.head(request), |answer| answer.status).instrument(span).await;
        measured.end(outcome.as_ref().map(|answer| answer.status).map_err(HttpError::kind));
        outcome
    }

    async fn head(&self, mut request: Request) -> Result<OpenAnswer, HttpError> {
        if let Some(policy) = &self.policy {
            policy.vet_url(&request.url)?;
        }
        trace::inject(&mut request.headers);
        let begun = Instant::now();
        let asked =
            self.inner.request(request.method, request.url).headers(request.headers).body(request.body);
        // The client's own deadline would end the stream, so that this one is kept here.
        let timeout = request.timeout.unwrap_or(self.config.timeout);
        let mut body = tokio::time::timeout(timeout, asked.send())
            .await
            .map_err(|_| HttpError::Timeout { elapsed_ms: elapsed_ms(begun) })?
            .map_err(|error| classify(&error, begun))?;
        let headers = std::mem::take(body.headers_mut());
        Ok(OpenAnswer { status: body.status(), headers, body, begun })
    }
}

impl OpenAnswer {
    /// The next piece of the body, or nothing at its end.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.body.chunk().await.map_err(|error| classify(&error, self.begun))
    }

    /// The whole body, of so many bytes at most.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn whole(mut self, limit_bytes: usize) -> Result<Answer, HttpError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit_bytes {
                return Err(HttpError::BodyTooLarge { status: self.status.as_u16(), limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: body.freeze() })
    }
}

impl fmt::Debug for OpenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::{Method, Url};

    use super::*;
    use crate::connectors::http::HttpConfig;
    use crate::connectors::scripted::{Reply, Scripted, nobody, reply};

    async fn open(url: &str) -> Result<OpenAnswer, HttpError> {
        let mut request = Request::new(Method::GET, Url::parse(url).unwrap());
        request.timeout = Some(Duration::from_millis(500));
        HttpClient::trusted(&HttpConfig::default()).unwrap().open(request).await
    }

    #[tokio::test]
    async fn the_head_has_a_deadline_and_the_body_a_limit() {
        let server = Scripted::start(|seen| match seen.path.as_str() {
            "/silent" => Reply::Hang,
            _ => reply(503, "x".repeat(65)),
        })
        .await;
        let silent = open(&server.url("/silent")).await.unwrap_err();
        assert!(matches!(silent, HttpError::Timeout { .. }) && silent.may_have_been_sent(), "{silent}");
        let away = open(&format!("http://{}/", nobody().await)).await.unwrap_err();
        assert!(!away.may_have_been_sent(), "{away}");

        let long = open(&server.url("/")).await.unwrap().whole(64).await.err();
        assert!(matches!(long, Some(HttpError::BodyTooLarge { status: 503, limit_bytes: 64 })));
        let whole = open(&server.url("/")).await.unwrap().whole(65).await.unwrap();
        assert_eq!((whole.status.as_u16(), whole.body.len()), (503, 65));
        let mut pieces = open(&server.url("/")).await.unwrap();
        let mut read = 0;
        while let Some(piece) = pieces.chunk().await.unwrap() {
            read += piece.len();
        }
        assert_eq!(read, 65);
    }
}
