//! Plays one request's part: takes the next behaviour and does, delays or withholds the work.
//!
//! **Owns** the request while it is held.
//! **Fails** as scripted, through the request's line.
//! **Limits**: a held request waits until the release or the end of the world.

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Behaviour, Gate, Party, Script};
use crate::sandbox::line::Line;

const PAGE: &str = "<!DOCTYPE html><html><head><title>Erro</title></head>\
                    <body><h1>Sistema temporariamente indispon\u{ed}vel</h1></body></html>";

/// How a request should be worked on.
pub(in crate::sandbox) struct Orders {
    /// The business reason to refuse it for.
    pub refuse: Option<String>,
}

impl Script {
    /// Counts the request, and answers it as the script says. `work` runs at most once, and always to its
    /// end once it was delayed: a late bank still does what it was asked by a caller that has gone.
    pub(in crate::sandbox) async fn perform<W, F>(&self, party: Party, line: &Line, work: W) -> Response
    where
        W: FnOnce(Orders) -> F + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let behaviour = self.part(party, super::Part::next);
        self.0.news.spread();
        match behaviour {
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
    async fn delay(&self, behaviour: &Behaviour) -> bool {
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

fn status(code: u16, body: Option<String>, retry_after_s: Option<u64>) -> Response {
    let mut response = Response::new(body.map_or_else(Body::empty, Body::from));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
