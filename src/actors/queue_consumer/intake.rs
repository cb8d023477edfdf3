//! What one message comes to: work that is committed, nothing to be done, or a dead letter.
//!
//! **Owns** nothing. **Fails** by leaving the message where it is: it comes again. **Limits**: while the store is away a
//! message is held for half of its visibility, so that it is not held beside the one that comes again; a dead letter keeps
//! 64 KiB of its body.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::Means;
use crate::connectors::channels::sqs::source::Message;
use crate::domain::ids::WorkId;
use crate::domain::work::WorkState;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::boleto_registrar::registration_work;
use crate::messages::queue_consumer::PARKED_QUEUE;
use crate::store::StoreError;
use crate::store::ingress::ParkedMessage;
use crate::store::work::Ending;
use crate::store::work_steer::RegisterAgain;
use crate::telemetry;
use crate::work::ClaimGuard;

/// Between two tries while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// No id of anybody's is longer.
const NAME_CHARS_MAX: usize = 255;

/// What a message came to.
enum Outcome {
    /// Its work is committed, or there is nothing to be done.
    Done,
    /// Nobody can act on it.
    Poison(String),
}

/// Takes a message in, and says whether it may be deleted.
pub(super) async fn take_in(means: &Means, message: &Message, mut closing: watch::Receiver<bool>) -> bool {
    let give_up_at = Instant::now() + means.config.visibility / 2;
    loop {
        let error = match once(means, message).await {
            Ok(()) => return true,
            Err(error) => error,
        };
        if !error.is_transient() || Instant::now() + AWAY_WAIT >= give_up_at {
            telemetry::note_failure("attempt_failed");
            warn!(%error, "message left on its queue");
            return false;
        }
        if timeout(AWAY_WAIT, closing.wait_for(|closing| *closing)).await.is_ok() {
            return false;
        }
    }
}

async fn once(means: &Means, message: &Message) -> Result<(), StoreError> {
    match act_on(means, &message.body).await? {
        Outcome::Done => Ok(()),
        Outcome::Poison(reason) => {
            park(means, message, &reason).await?;
            telemetry::note_failure("given_up");
            warn!(reason, "message parked as a dead letter");
            Ok(())
        }
    }
}

/// Tries a dead letter again that an operator brought back to life.
pub(super) async fn try_again(means: &Means, mut guard: ClaimGuard) {
    guard.begin();
    let claim = guard.claim().clone();
    let trying = async {
        let (state, reason) = match act_on(means, &claim.payload).await? {
            Outcome::Done => (WorkState::Completed, None),
            Outcome::Poison(reason) => (WorkState::Discarded, Some(reason)),
        };
        let ending = Ending::of(&claim, state, reason);
        means.claimer.store.end_alone(&[ending], means.claimer.store.now()).await
    };
    let ended = tokio::select! {
        biased;
        () = means.claimer.lease.lost(claim.runner_id) => return debug!("dropped: the row is not ours any more"),
        ended = trying => ended,
    };
    match ended {
        Ok(ended) if ended.contains(&claim.id) => drop(guard.settled()),
        Ok(_) => warn!("not written down: the row had moved on"),
        // The guard gives the row back, and what was done may be done again.
        Err(error) if error.is_transient() => warn!(%error, "not written down yet"),
        Err(error) => error!(%error, "a parked message cannot be tried again"),
    }
}

async fn act_on(means: &Means, body: &str) -> Result<Outcome, StoreError> {
    let name = match boleto_named_in(body) {
        Ok(name) => name,
        Err(reason) => return Ok(Outcome::Poison(reason.to_owned())),
    };
    let store = &means.claimer.store;
    let Some(boleto) = store.boleto_named(&means.config.tenant, &name).await? else {
        return Ok(Outcome::Poison("there is no such boleto".to_owned()));
    };
    let boleto_id = boleto.id;
    if !boleto.status.awaits_registration() {
        debug!(%boleto_id, status = boleto.status.as_str(), "nothing to register");
        return Ok(Outcome::Done);
    }
    let key = AccountKey::Id(boleto.bank_account_id);
    let Some(account) = means.accounts.find(&means.config.tenant, &key).await? else {
        return Ok(Outcome::Poison("its bank account cannot be used".to_owned()));
    };
    let now = store.now();
    let mut work = registration_work(&account, boleto.id, means.registration_attempts_max, now);
    // Whoever sent the message may have asked the bank before, so that this work looks before it asks.
    work.sent_at = Some(now);
    match store.register_unless_waiting(&work).await? {
        RegisterAgain::Asked => {
            info!(%boleto_id, "registration asked for by a queue");
            means.hints.there_is_work(&work.queue);
            Ok(Outcome::Done)
        }
        RegisterAgain::NotOpen(_) | RegisterAgain::OrderPending => Ok(Outcome::Done),
        RegisterAgain::NotFound => Ok(Outcome::Poison("there is no such boleto".to_owned())),
    }
}

/// Which boleto a body is about: `boleto_id`, or `id` as some senders have it. What else it says is the sender's own view.
fn boleto_named_in(body: &str) -> Result<String, &'static str> {
    let body: Value = serde_json::from_str(body).map_err(|_| "the body is no JSON")?;
    let body = body.as_object().ok_or("the body is no JSON object")?;
    let name = body.get("boleto_id").or_else(|| body.get("id")).ok_or("the body names no boleto")?;
    let name = name.as_str().ok_or("the boleto's id is no text")?;
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err("the boleto's id is no id");
    }
    Ok(name.to_owned())
}

async fn park(means: &Means, message: &Message, reason: &str) -> Result<(), StoreError> {
    let parked = ParkedMessage {
        id: WorkId(Uuid::now_v7()),
        tenant_id: means.config.tenant.clone(),
        queue: PARKED_QUEUE,
        message_id: identity(&message.id),
        payload: kept(&message.body),
        reason: reason.to_owned(),
        attempts_max: means.registration_attempts_max,
        traceparent: crate::telemetry::traceparent(),
        now: means.claimer.store.now(),
    };
    means.claimer.store.park_message(&parked).await
}

/// SQS names its messages by UUIDs; another server's name becomes one.
fn identity(message_id: &str) -> Uuid {
    Uuid::try_parse(message_id).unwrap_or_else(|_| {
        let digest = Sha256::digest(message_id.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Uuid::from_bytes(bytes)
    })
}

/// As much of a body as a dead letter keeps. No database takes a zero character in a text.
fn kept(body: &str) -> String {
    let mut end = body.len().min(BODY_BYTES_MAX);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body[..end].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bodies_name_a_boleto() {
        for body in [
            r#"{"boleto_id":"bol_1"}"#,
            r#"{"boleto_id":"bol_1","issuer":"bradesco"}"#,
            r#"{"id":"bol_1","issuer":"bradesco"}"#,
            r#"{"boleto_id":"bol_1","id":"bol_2"}"#,
        ] {
            assert_eq!(boleto_named_in(body).as_deref(), Ok("bol_1"), "{body}");
        }
    }

    #[test]
    fn everything_else_is_poison_with_its_reason() {
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(256));
        for (body, reason) in [
            ("", "the body is no JSON"),
            ("bol_1", "the body is no JSON"),
            ("[]", "the body is no JSON object"),
            (r#""bol_1""#, "the body is no JSON object"),
            ("{}", "the body names no boleto"),
            (r#"{"issuer":"bradesco"}"#, "the body names no boleto"),
            (r#"{"boleto_id":null}"#, "the boleto's id is no text"),
            (r#"{"boleto_id":7}"#, "the boleto's id is no text"),
            (r#"{"boleto_id":""}"#, "the boleto's id is no id"),
            (r#"{"boleto_id":"a\u0000b"}"#, "the boleto's id is no id"),
            (long.as_str(), "the boleto's id is no id"),
        ] {
            assert_eq!(boleto_named_in(body), Err(reason), "{body}");
        }
    }

    #[test]
    fn a_dead_letter_keeps_the_beginning_of_a_long_body_in_whole_characters() {
        let body = "ç".repeat(BODY_BYTES_MAX);
        let kept = kept(&format!("a{body}"));
        assert_eq!(kept.len(), BODY_BYTES_MAX - 1);
        assert_eq!(super::kept("a\0b"), "a\u{fffd}b");
    }

    #[test]
    fn a_message_has_one_identity() {
        let id = Uuid::from_u128(7);
        assert_eq!(identity(&id.to_string()), id);
        assert_eq!(identity("m-1"), identity("m-1"));
        assert_ne!(identity("m-1"), identity("m-2"));
    }
}
