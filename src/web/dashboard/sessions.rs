//! Who is signed in.
//!
//! A session is 256 random bits in a cookie; what is kept is their hash, and the token that the person has signed in with, which is
//! shown to the API with every call. So a token that is revoked ends its session at the next call.
//!
//! **Owns** the sessions, in memory only: whoever was signed in signs in again after a restart. **Fails** where the system gives no
//! random bits. **Limits**: `dashboard.sessions_max`, where the one that was used longest ago makes room; `session_idle` without a
//! visit, by which a page that asks anew by itself is not meant; `session_lifetime` at most.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::config::DashboardConfig;

type Hash = [u8; 32];

/// The sessions.
pub struct Sessions {
    idle: Duration,
    lifetime: Duration,
    sessions_max: usize,
    open: Mutex<HashMap<Hash, Entry>>,
}

struct Entry {
    session: Session,
    opened: Instant,
    used: Instant,
}

/// Somebody signed in.
#[derive(Clone)]
pub struct Session {
    pub token: SecretString,
    /// Stands in every form that this session is shown; a form that comes back without it is not theirs.
    pub form_key: String,
}

impl Sessions {
    pub fn new(config: &DashboardConfig) -> Self {
        Self {
            idle: config.session_idle,
            lifetime: config.session_lifetime,
            sessions_max: config.sessions_max as usize,
            open: Mutex::default(),
        }
    }

    /// Opens a session. Returns what the cookie is to hold.
    ///
    /// # Errors
    /// Why there are no random bits.
    pub fn open(&self, token: SecretString, now: Instant) -> Result<String, String> {
        let (id, form_key) = (random()?, random()?);
        let session = Session { token, form_key };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, entry| self.holds(entry, now));
        if open.len() >= self.sessions_max {
            let oldest = open.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        open.insert(hash(&id), Entry { session, opened: now, used: now });
        Ok(id)
    }

    /// The session of a cookie. A visit by the person keeps it from being idle.
    pub fn find(&self, id: &str, is_visit: bool, now: Instant) -> Option<Session> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = hash(id);
        let entry = open.get_mut(&key)?;
        if !self.holds(entry, now) {
            open.remove(&key);
            return None;
        }
        if is_visit {
            entry.used = now;
        }
        Some(entry.session.clone())
    }

    pub fn close(&self, id: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(id));
    }

    fn holds(&self, entry: &Entry, now: Instant) -> bool {
        now.duration_since(entry.used) < self.idle && now.duration_since(entry.opened) < self.lifetime
    }
}

/// 256 bits that nobody guesses, as text.
///
/// # Errors
/// Why the system gives none.
pub fn random() -> Result<String, String> {
    let mut bits = [0; 32];
    SysRng.try_fill_bytes(&mut bits).map_err(|error| format!("the system gives no random bits: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

fn hash(id: &str) -> Hash {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::Config;

    const IDLE: Duration = Duration::from_mins(10);
    const LIFETIME: Duration = Duration::from_mins(25);

    fn sessions(sessions_max: u32) -> Sessions {
        let config = Config::default().dashboard;
        Sessions::new(&DashboardConfig {
            session_idle: IDLE,
            session_lifetime: LIFETIME,
            sessions_max,
            ..config
        })
    }

    #[test]
    fn whoever_does_nothing_is_signed_out_and_so_is_everybody_in_the_end() {
        let (sessions, start) = (sessions(9), Instant::now());
        let id = sessions.open("a token".into(), start).unwrap();
        let almost = IDLE - Duration::from_secs(1);
        let session = sessions.find(&id, true, start + almost).expect("signed in");
        assert_eq!(session.token.expose_secret(), "a token");
        assert!(sessions.find(&id, false, start + almost * 2).is_some(), "the visit has counted");
        assert!(sessions.find(&id, false, start + almost + IDLE).is_none(), "an open page is no visit");

        let id = sessions.open("a token".into(), start).unwrap();
        let mut now = start;
        while now + almost < start + LIFETIME {
            now += almost;
            assert!(sessions.find(&id, true, now).is_some());
        }
        assert!(sessions.find(&id, true, start + LIFETIME).is_none());
    }

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let (sessions, start) = (sessions(2), Instant::now());
        let second = Duration::from_secs(1);
        let one = sessions.open("1".into(), start).unwrap();
        let other = sessions.open("2".into(), start + second).unwrap();
        sessions.find(&one, true, start + second * 2).expect("signed in");
        let third = sessions.open("3".into(), start + second * 3).unwrap();
        assert!(sessions.find(&other, true, start + second * 3).is_none());
        assert!(sessions.find(&one, true, start + second * 3).is_some());
        sessions.close(&third);
        assert!(sessions.find(&third, true, start + second * 3).is_none());
        assert!(sessions.find("made up", true, start).is_none());
    }
}
