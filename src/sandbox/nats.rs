//! A receiver that speaks enough of NATS and JetStream for an owner's stream to be published to, written from the public
//! documentation of the protocol.
//!
//! There is one stream, `OWNERS`, which listens to every subject that is not the server's own. It keeps a message once for
//! each `Nats-Msg-Id`, for as long as the world lives.
//!
//! **Owns** the ids that it has seen, in memory. **Fails** a connection that breaks the protocol with `-ERR` and its end.
//! **Limits**: no sign-in, no TLS; nothing is ever delivered but answers; messages of a connection are taken one after
//! another, those that a script makes late beside them.
//!
//! A script's behaviours are told in the protocol's own way: `refuse` is an acknowledgement with that `err_code`, `status`
//! one with that code (503 without a body: nobody listens), `html` an acknowledgement that cannot be read, `empty` and its
//! kin are silence, `reset` and `hang` end the connection, `garbage` fills it with noise.

mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use axum::serve::Listener as _;
use chrono::Utc;
use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::inbox::{Notice, ReceivedMessage};
use super::ledger::EffectKind;
use super::line::{Door, Line, Wire};
use super::outside::Outside;
use super::script::{Behaviour, Party};
use wire::{Publish, Said, WireError};

/// The stream's name.
const STREAM: &str = "OWNERS";
/// By which a stream knows a message again.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// JetStream's code for a message that its store did not take.
const STORE_FAILED: u64 = 10_077;
/// What a script's own status is numbered, when it names no code.
const UNAVAILABLE: u16 = 503;

/// Serves whoever comes in by this door, until the world closes.
pub(super) fn serve(mut door: Door, outside: Arc<Outside>, closing: &watch::Sender<bool>) -> JoinHandle<()> {
    let mut closed = closing.subscribe();
    let stream = Arc::new(Stream { outside, kept: Mutex::default() });
    tokio::spawn(async move {
        // Dropped with this task, and every connection with it.
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                (wire, line) = door.accept() => {
                    clients.spawn(Client::serve(wire, line, stream.clone()));
                }
                Some(_) = clients.join_next() => {}
                closed = async { closed.wait_for(|closed| *closed).await.is_ok() } => {
                    if closed {
                        return;
                    }
                    // A world that was dropped without being closed keeps serving until its runtime ends.
                    std::future::pending::<()>().await;
                }
            }
        }
    })
}

/// What the stream holds.
struct Stream {
    outside: Arc<Outside>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    by_id: HashMap<String, u64>,
}

impl Stream {
    /// Keeps a message unless it is known, and says so as JetStream does.
    async fn store(&self, message: &Publish) -> Value {
        let mut kept = self.kept.lock().await;
        let id = message.headers.get(MESSAGE_ID);
        let text = String::from_utf8_lossy(&message.body).into_owned();
        let notice = Notice::read(&text, |name| match name {
            "event_id" => id.cloned(),
            "event_type" => message.headers.get("Bursar-Event-Type").cloned(),
            _ => None,
        });
        let known = id.and_then(|id| kept.by_id.get(id).copied());
        let kind = if known.is_some() { EffectKind::OwnerNatsDuplicate } else { EffectKind::OwnerNats };
        if self.outside.ledger.record(vec![notice.effect(kind, &message.subject)]).await.is_err() {
            return wire::refusal(503, STORE_FAILED, "not recorded");
        }
        if let Some(sequence) = known {
            self.outside.screen.say("owner", format_args!("nats    dup  {}", notice.line()));
            return wire::ack(STREAM, sequence, true);
        }
        kept.last += 1;
        if let Some(id) = id {
            let last = kept.last;
            kept.by_id.insert(id.clone(), last);
        }
        self.outside.inbox.keep(ReceivedMessage {
            at: Utc::now(),
            channel: "nats".into(),
            destination: message.subject.clone(),
            attributes: message.headers.clone(),
            body: text,
        });
        self.outside.news.spread();
        self.outside.screen.say("owner", format_args!("nats    ack  {}", notice.line()));
        wire::ack(STREAM, kept.last, false)
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    GoesOn,
    Ends,
}

/// Somebody who is connected; clones are the same one.
#[derive(Clone)]
struct Client {
    line: Line,
    stream: Arc<Stream>,
    to: Arc<Mutex<WriteHalf<Wire>>>,
    /// Subjects by the subscription's id.
    subscriptions: Arc<Mutex<HashMap<String, String>>>,
}

impl Client {
    async fn serve(wire: Wire, line: Line, stream: Arc<Stream>) {
        let (from, to) = tokio::io::split(wire);
        let client = Client { line, stream, to: Arc::new(Mutex::new(to)), subscriptions: Arc::default() };
        match client.listen(BufReader::new(from)).await {
            Err(WireError::Protocol(words)) => client.say(&wire::error(words)).await,
            // Whoever hung up was heard for as long as there was something to hear.
            Err(WireError::Io(_)) | Ok(()) => {}
        }
    }

    async fn listen(&self, mut from: BufReader<ReadHalf<Wire>>) -> Result<(), WireError> {
        let mut late = JoinSet::new();
        let mut is_verbose = false;
        self.say(&wire::info()).await;
        loop {
            let said = tokio::select! {
                said = wire::read(&mut from) => said?,
                // A late one may have ended the connection.
                Some(ended) = late.join_next() => match ended {
                    Ok(Fate::Ends) => return Ok(()),
                    _ => continue,
                },
            };
            match said {
                None => return Ok(()),
                Some(Said::Connect(connect)) => is_verbose = connect.verbose,
                Some(Said::Ping) => {
                    self.say(b"PONG\r\n").await;
                    continue;
                }
                Some(Said::Pong) => continue,
                Some(Said::Subscribe { subject, sid }) => {
                    self.subscriptions.lock().await.insert(sid, subject);
                }
                Some(Said::Unsubscribe { sid }) => {
                    self.subscriptions.lock().await.remove(&sid);
                }
                Some(Said::Publish(message)) => {
                    if self.take(message, &mut late).await == Fate::Ends {
                        return Ok(());
                    }
                }
            }
            if is_verbose {
                self.say(b"+OK\r\n").await;
            }
        }
    }

    /// Takes a message as the script says.
    async fn take(&self, message: Publish, late: &mut JoinSet<Fate>) -> Fate {
        let script = &self.stream.outside.script;
        match script.next(Party::Nats) {
            None | Some(Behaviour::Normal | Behaviour::ExpireTokens) => {
                let ack = self.stream.store(&message).await;
                self.answer(&message, &ack).await;
                Fate::GoesOn
            }
            Some(behaviour @ (Behaviour::Latency { .. } | Behaviour::Hold | Behaviour::Hang)) => {
                let client = self.clone();
                late.spawn(async move { client.take_late(&behaviour, &message).await });
                Fate::GoesOn
            }
            Some(Behaviour::AcceptThen(then)) => {
                let ack = self.stream.store(&message).await;
                match *then {
                    behaviour @ (Behaviour::Latency { .. } | Behaviour::Hold | Behaviour::Hang) => {
                        let client = self.clone();
                        late.spawn(async move { client.answer_late(&behaviour, &message, &ack).await });
                        Fate::GoesOn
                    }
                    Behaviour::Normal => {
                        self.answer(&message, &ack).await;
                        Fate::GoesOn
                    }
                    behaviour => self.misbehave(&behaviour, &message).await,
                }
            }
            Some(behaviour) => self.misbehave(&behaviour, &message).await,
        }
    }

    async fn take_late(&self, behaviour: &Behaviour, message: &Publish) -> Fate {
        let is_open = self.stream.outside.script.delay(behaviour).await;
        if !is_open || *behaviour == Behaviour::Hang {
            return self.cut().await;
        }
        let ack = self.stream.store(message).await;
        self.answer(message, &ack).await;
        Fate::GoesOn
    }

    async fn answer_late(&self, behaviour: &Behaviour, message: &Publish, ack: &Value) -> Fate {
        let is_open = self.stream.outside.script.delay(behaviour).await;
        if !is_open || *behaviour == Behaviour::Hang {
            return self.cut().await;
        }
        self.answer(message, ack).await;
        Fate::GoesOn
    }

    /// Does something else than to answer as one should.
    async fn misbehave(&self, behaviour: &Behaviour, message: &Publish) -> Fate {
        match behaviour {
            Behaviour::Reset => return self.cut().await,
            Behaviour::Garbage => {
                self.line.garble();
                self.say(b"+OK\r\n").await;
                return Fate::Ends;
            }
            Behaviour::Html => self.reply(message, |reply, sid| wire::message(reply, sid, b"<html>")).await,
            Behaviour::Status { code: UNAVAILABLE, body: None, .. } => {
                self.reply(message, wire::no_responders).await;
            }
            Behaviour::Status { code, body, .. } => {
                let said = body.as_deref().unwrap_or("as the script says");
                self.answer(message, &wire::refusal(u64::from(*code), STORE_FAILED, said)).await;
            }
            Behaviour::Refuse { code } => {
                let err_code = code.parse().unwrap_or(STORE_FAILED);
                self.answer(message, &wire::refusal(400, err_code, "as the script says")).await;
            }
            // Silence, in one way or another.
            _ => {}
        }
        Fate::GoesOn
    }

    /// Acknowledges a message, if that was asked for.
    async fn answer(&self, message: &Publish, ack: &Value) {
        let ack = ack.to_string();
        self.reply(message, |reply, sid| wire::message(reply, sid, ack.as_bytes())).await;
    }

    async fn reply(&self, message: &Publish, frame: impl Fn(&str, &str) -> Vec<u8>) {
        let Some(reply) = &message.reply else { return };
        let subscriptions = self.subscriptions.lock().await;
        let found = subscriptions.iter().find(|(_, pattern)| wire::matches(pattern, reply));
        if let Some((sid, _)) = found {
            self.say(&frame(reply, sid)).await;
        }
    }

    async fn cut(&self) -> Fate {
        self.line.cut();
        self.say(b"+OK\r\n").await;
        Fate::Ends
    }

    async fn say(&self, bytes: &[u8]) {
        let mut to = self.to.lock().await;
        // Whoever has gone is noticed where it is read.
        if to.write_all(bytes).await.is_ok() {
            let _ = to.flush().await;
        }
    }
}

#[cfg(test)]
mod tests;
