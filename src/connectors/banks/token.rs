//! The tokens with which we are signed in, one sign-in at a time per client.
//!
//! **Owns** the tokens of this process; they are never stored.
//! **Fails** with the failure of the sign-in, shared by all who waited for it, so that fifty callers of a bank that
//! is down make one call and not fifty.
//! **Limits**: 1,024 clients; past that all tokens are forgotten and asked for anew.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::connectors::banks::BankError;

const CLIENTS_MAX: usize = 1_024;

/// Who signs in. Made of the id and the secret: who knows an id alone gets no token of somebody else's, and a
/// secret that was changed signs in anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClientKey([u8; 32]);

impl ClientKey {
    pub(super) fn of(client_id: &SecretString, client_secret: &SecretString) -> Self {
        let id = client_id.expose_secret();
        let length = u64::try_from(id.len()).unwrap_or(u64::MAX);
        let digest = Sha256::new()
            .chain_update(length.to_be_bytes())
            .chain_update(id)
            .chain_update(client_secret.expose_secret());
        Self(digest.finalize().into())
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(masked)")
    }
}

/// What the bank granted.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: SecretString,
    /// For how long the token may be used, leeway taken off.
    pub(super) usable_for: Duration,
}

/// A token in use. Clones share the secret.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: Arc<SecretString>,
    until: Instant,
}

/// All tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<ClientKey, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    // Held while signing in: this is what makes it one at a time. A caller that is dropped meanwhile releases it,
    // and the next in line signs in.
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failure: Option<(Instant, BankError)>,
}

impl Tokens {
    /// The token of a client, by `sign_in` where there is none that may be used.
    pub(super) async fn get(
        &self,
        key: &ClientKey,
        sign_in: impl Future<Output = Result<Grant, BankError>> + Send,
    ) -> Result<Token, BankError> {
        let asked = Instant::now();
        let slot = self.slot(key);
        let mut state = slot.state.lock().await;
        if let Some(token) = &state.token
            && Instant::now() < token.until
        {
            return Ok(token.clone());
        }
        // Somebody failed while we were waiting in line; the answer would hardly be another one now.
        if let Some((at, error)) = &state.failure
            && *at > asked
        {
            return Err(error.clone());
        }
        match sign_in.await {
            Ok(grant) => {
                let until = Instant::now() + grant.usable_for;
                let token = Token { secret: Arc::new(grant.token), until };
                *state = State { token: Some(token.clone()), failure: None };
                Ok(token)
            }
            Err(error) => {
                *state = State { token: None, failure: Some((Instant::now(), error.clone())) };
                Err(error)
            }
        }
    }

    /// Forgets a token that the bank no longer takes, unless another one has taken its place.
    pub(super) async fn forget(&self, key: &ClientKey, stale: &Token) {
        let slot = self.slot(key);
        let mut state = slot.state.lock().await;
        if state.token.as_ref().is_some_and(|current| Arc::ptr_eq(&current.secret, &stale.secret)) {
            state.token = None;
        }
    }

    fn slot(&self, key: &ClientKey) -> Arc<Slot> {
        // A map of pointers is whole even if a holder of the lock panicked.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return Arc::clone(slot);
        }
        if slots.len() >= CLIENTS_MAX {
            slots.clear();
        }
        Arc::clone(slots.entry(*key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn key(secret: &str) -> ClientKey {
        ClientKey::of(&"shop".into(), &secret.into())
    }

    fn grant(number: u32) -> Grant {
        Grant { token: format!("token-{number}").into(), usable_for: Duration::from_secs(60) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_until_its_time_and_replaced_once_dropped() {
        let tokens = Tokens::default();
        let calls = AtomicU32::new(0);
        let shop = key("s");
        let ask = || tokens.get(&shop, async { Ok(grant(calls.fetch_add(1, Ordering::SeqCst))) });
        let first = ask().await.unwrap();
        assert_eq!(ask().await.unwrap().secret.expose_secret(), "token-0");
        tokio::time::advance(Duration::from_secs(61)).await;
        let second = ask().await.unwrap();
        assert_eq!(second.secret.expose_secret(), "token-1");
        // News about an older token does not cost us the newer one.
        tokens.forget(&key("s"), &first).await;
        assert_eq!(ask().await.unwrap().secret.expose_secret(), "token-1");
        tokens.forget(&key("s"), &second).await;
        assert_eq!(ask().await.unwrap().secret.expose_secret(), "token-2");
    }

    #[tokio::test]
    async fn another_secret_gets_no_token_of_the_first() {
        let tokens = Tokens::default();
        tokens.get(&key("s"), async { Ok(grant(0)) }).await.unwrap();
        let other = tokens.get(&key("t"), async { Ok(grant(1)) }).await.unwrap();
        assert_eq!(other.secret.expose_secret(), "token-1");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_share_a_failure_and_later_callers_try_again() {
        let tokens = Arc::new(Tokens::default());
        let calls = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (tokens, calls) = (Arc::clone(&tokens), Arc::clone(&calls));
                tokio::spawn(async move {
                    let sign_in = async {
                        calls.fetch_add(1, Ordering::SeqCst);
                        // All others are in line before this one learns that the bank is down.
                        tokio::task::yield_now().await;
                        tokio::time::advance(Duration::from_millis(1)).await;
                        Err(BankError::Unavailable { retry_after: None, reason: "down".to_owned() })
                    };
                    tokens.get(&key("s"), sign_in).await.is_err()
                })
            })
            .collect();
        for caller in callers {
            assert!(caller.await.unwrap());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        tokens.get(&key("s"), async { Ok(grant(7)) }).await.unwrap();
    }
}
