//! A stream's body: what its listener is told, as server-sent events, in the form that its play asks for.
//!
//! **Owns** its listener, which ends with the body, whoever lets go of it.
//! **Fails** by cutting the connection: as its play says, or when it could not keep up.
//! **Limits**: those of its listener. An oversized event is made piece by piece, and costs no memory.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::{Instant, Interval, interval_at};

use super::auth::Credential;
use super::listener::{Opened, Told};
use super::play::{Oversized, StreamPlay};
use super::service::Service;

/// Google's client compares it unquoted, and so it is said.
pub const REVOKED: &str = "credential is no longer valid";
const BOM: &[u8] = "\u{feff}".as_bytes();
const FILLING: &[u8] = &[b'x'; 1_024];
/// Lines of an oversized event that go out at once.
const FILLING_PIECES: u64 = 64;

/// One stream.
pub struct Streaming {
    service: Arc<Service>,
    opened: Opened,
    play: StreamPlay,
    keep_alive: Interval,
    credential: Credential,
    ready: VecDeque<Bytes>,
    filling_left: u64,
    events: u64,
    ending: Option<Ending>,
}

/// How a stream ends once everything that is ready has left.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    Cut,
}

/// What happened to a stream that waits.
enum Next {
    Told(Option<Told>),
    KeepAlive,
    Expired,
}

impl Streaming {
    pub fn new(
        service: Arc<Service>,
        opened: Opened,
        play: StreamPlay,
        keep_alive: Duration,
        credential: Credential,
    ) -> Self {
        // An interval of nothing is none.
        let keep_alive = keep_alive.max(Duration::from_millis(1));
        let keep_alive = interval_at(Instant::now() + keep_alive, keep_alive);
        let mut streaming = Streaming {
            service,
            opened,
            play,
            keep_alive,
            credential,
            ready: VecDeque::new(),
            filling_left: 0,
            events: 0,
            ending: None,
        };
        if streaming.play.bom {
            streaming.send(BOM.to_vec());
        }
        streaming
    }

    pub fn body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut streaming| {
            let piece = streaming.piece().await?;
            Some((piece, streaming))
        }))
    }

    async fn piece(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.filling_left > 0 {
                self.fill();
                continue;
            }
            match self.ending {
                Some(Ending::Whole) => return None,
                Some(Ending::Cut) => {
                    self.ending = Some(Ending::Whole);
                    // What has been said so far must leave before the connection ends.
                    tokio::task::yield_now().await;
                    return Some(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                None => {}
            }
            match self.next().await {
                Next::Told(told) => self.take(told),
                Next::KeepAlive => self.say("keep-alive", b"null"),
                Next::Expired => {
                    self.say("auth_revoked", REVOKED.as_bytes());
                    self.ending = Some(Ending::Whole);
                }
            }
        }
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            told = self.opened.next() => Next::Told(told),
            () = self.credential.ended() => Next::Expired,
            _ = self.keep_alive.tick() => Next::KeepAlive,
        }
    }

    fn take(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Event(name, data)) => {
                let first = self.events == 0;
                self.say(name, &data);
                if matches!(name, "cancel" | "auth_revoked") {
                    self.ending.get_or_insert(Ending::Whole);
                }
                if first {
                    self.after_the_first();
                }
            }
            Some(Told::Raw(bytes)) => self.send(bytes),
            Some(Told::End) => self.ending = Some(Ending::Whole),
            None => self.ending = Some(Ending::Cut),
        }
    }

    fn after_the_first(&mut self) {
        if let Some(noise) = self.play.noise.take() {
            self.send(noise.into_bytes());
        }
        if let Some(Oversized { bytes, .. }) = self.play.oversized {
            let end = self.play.line_end.as_str();
            self.send(format!("event: put{end}data: ").into_bytes());
            self.filling_left = bytes.max(1);
        }
    }

    /// Says an event, unless the play has it otherwise.
    fn say(&mut self, name: &str, data: &[u8]) {
        if self.play.silent_after.is_some_and(|events| self.events >= events) {
            // Whoever is silent still listens, or the listener would be let go as too slow.
            return;
        }
        let end = self.play.line_end.as_str().as_bytes();
        let mut event = [b"event: ", name.as_bytes(), end, b"data: ", data, end, end].concat();
        if self.play.cut_in == Some(self.events) {
            event.truncate(event.len() / 2);
            self.ending = Some(Ending::Cut);
        }
        self.send(event);
        self.events += 1;
    }

    fn fill(&mut self) {
        let piece = FILLING.len() as u64;
        let (end, in_lines) =
            (self.play.line_end.as_str(), self.play.oversized.is_some_and(|oversized| oversized.in_lines));
        let mut bytes = Vec::new();
        for _ in 0..FILLING_PIECES {
            let now = self.filling_left.min(piece);
            bytes.extend_from_slice(&FILLING[..usize::try_from(now).unwrap_or_default()]);
            self.filling_left -= now;
            if self.filling_left == 0 {
                bytes.extend_from_slice(end.repeat(2).as_bytes());
                break;
            }
            if in_lines {
                bytes.extend_from_slice(format!("{end}data: ").as_bytes());
            }
        }
        self.send(bytes);
    }

    fn send(&mut self, bytes: Vec<u8>) {
        match self.play.piece_bytes {
            Some(most) => self.ready.extend(bytes.chunks(most.get()).map(Bytes::copy_from_slice)),
            None => self.ready.push_back(bytes.into()),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.service.hang_up(self.opened.id);
    }
}
