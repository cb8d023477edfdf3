//! Plays one request's part: takes the next behaviour and does, delays or withholds the work.
//!
//! **Owns** the request while it is held.
//! **Fails** as scripted, through the request's line.
//! **Limits**: a held request waits until the release or the end of the world.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};

use super::{Behaviour, Gate, Party, Script};
use crate::sandbox::line::Line;

const PAGE: &str = "<!DOCTYPE html><html><head><title>Erro</title></head>\
                    <body><h1>Sistema temporariamente indispon\u{ed}vel</h1></body></html>";
/// What is broken off where there is no answer to break off.
const HALF_SAID: &str = r#"{"status":{"codigo":"0","mensagem":"titulo registrado"}}"#;
/// The longest answer that is broken off.
const ANSWER_MAX: usize = 1024 * 1024;
/// What an endless body repeats, and how often: 256 MiB of digits.
const MORE: &[u8] = &[b'7'; 16 * 1024];
const MORE_TIMES: usize = 16 * 1024;

/// How a request should be worked on.
pub(in crate::sandbox) struct Orders {
    /// The business reason to refuse it for.
    pub refuse: Option<String>,
}

impl Script {
    /// Counts a request of a party that speaks no HTTP, and says how it is to behave.
    pub(in crate::sandbox) fn next(&self, party: Party) -> Option<Behaviour> {
        let behaviour = self.part(party, super::Part::next);
        self.0.news.spread();
        behaviour
    }

    /// Counts the request, and answers it as the script says. `work` runs at most once, and always to its
    /// end once it was delayed: a late bank still does what it was asked by a caller that has gone.
    pub(in crate::sandbox) async fn perform<W, F>(&self, party: Party, line: &Line, work: W) -> Response
    where
        W: FnOnce(Orders) -> F + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        match self.next(party) {
            None | Some(Behaviour::Normal) => work(Orders { refuse: None }).await,
            Some(Behaviour::Refuse { code }) => work(Orders { refuse: Some(code) }).await,
            Some(Behaviour::ExpireTokens) => {
                self.expire_tokens();
                work(Orders { refuse: None }).await
            }
            Some(Behaviour::AcceptThen(then)) => {
                let answer = work(Orders { refuse: None }).await;
                self.answer(*then, line, answer).await
            }
            Some(late @ (Behaviour::Latency { .. } | Behaviour::Hold)) => {
                self.perform_late(late, line, work).await
            }
            Some(other) => self.answer(other, line, Response::default()).await,
        }
    }

    async fn perform_late<W, F>(&self, late: Behaviour, line: &Line, work: W) -> Response
    where
        W: FnOnce(Orders) -> F + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let (script, line) = (self.clone(), line.clone());
        let working = tokio::spawn(async move {
            if !script.delay(&late).await {
                return gone(&line);
            }
            work(Orders { refuse: None }).await
        });
        // The work itself does not panic; if it did, a server would answer just so.
        working.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }

    /// Puts the behaviour in the place of the answer, which it may let through.
    async fn answer(&self, behaviour: Behaviour, line: &Line, answer: Response) -> Response {
        match behaviour {
            Behaviour::Latency { .. } | Behaviour::Hold => {
                if self.delay(&behaviour).await {
                    answer
                } else {
                    gone(line)
                }
            }
            Behaviour::Hang => {
                self.delay(&behaviour).await;
                gone(line)
            }
            Behaviour::Reset => gone(line),
            Behaviour::Garbage => {
                line.garble();
                Response::default()
            }
            Behaviour::Html => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response(),
            Behaviour::Empty => Response::default(),
            Behaviour::Truncated => truncated(answer).await,
            Behaviour::Endless => endless(),
            Behaviour::Redirect { code, to } => redirect(code, &to),
            Behaviour::Status { code, body, retry_after_s } => status(code, body, retry_after_s),
            Behaviour::ExpireTokens => {
                self.expire_tokens();
                answer
            }
            // These say how to work, and the work is already done.
            Behaviour::Normal | Behaviour::Refuse { .. } | Behaviour::AcceptThen(_) => answer,
        }
    }

    /// Waits as told; false when the world closed meanwhile.
    pub(in crate::sandbox) async fn delay(&self, behaviour: &Behaviour) -> bool {
        if let Behaviour::Latency { ms } = behaviour {
            let closed = self.until(|gate| gate.closed);
            return tokio::time::timeout(Duration::from_millis(*ms), closed).await.is_err();
        }
        // Read before we count as held: whoever sees us held and releases must not be missed.
        let releases = self.0.gate.borrow().releases;
        let _held = Held::enter(self);
        self.until(|gate| gate.closed || gate.releases > releases).await;
        !self.0.gate.borrow().closed
    }

    async fn until(&self, holds: impl Fn(&Gate) -> bool) {
        let mut gate = self.0.gate.subscribe();
        // The sender is ours, so it cannot be gone while we wait.
        let _ = gate.wait_for(|gate| holds(gate)).await;
    }
}

/// Counts a request as held for as long as it lives, also when its caller hangs up.
struct Held<'a>(&'a Script);

impl<'a> Held<'a> {
    fn enter(script: &'a Script) -> Self {
        script.0.gate.send_modify(|gate| gate.held += 1);
        script.0.news.spread();
        Held(script)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.gate.send_modify(|gate| gate.held -= 1);
        self.0.0.news.spread();
    }
}

fn gone(line: &Line) -> Response {
    line.cut();
    Response::default()
}

/// The first half of the answer, under its own headers; the connection ends where the rest was due.
async fn truncated(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let said = to_bytes(body, ANSWER_MAX).await.unwrap_or_default();
    let said = if said.is_empty() { Bytes::from_static(HALF_SAID.as_bytes()) } else { said };
    parts.headers.insert(header::CONTENT_LENGTH, said.len().into());
    parts.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let half = said.slice(..said.len() / 2);
    let broken = stream::once(async {
        // What has been said so far must leave before the connection ends.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(parts, Body::from_stream(stream::once(async { Ok(half) }).chain(broken)))
}

fn endless() -> Response {
    let more = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(MORE))).take(MORE_TIMES);
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(more)).into_response()
}

fn redirect(code: u16, to: &str) -> Response {
    let mut response = status(code, None, None);
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn status(code: u16, body: Option<String>, retry_after_s: Option<u64>) -> Response {
    let mut response = Response::new(body.map_or_else(Body::empty, Body::from));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
