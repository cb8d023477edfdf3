//! The tokens of holders' consents: good for a while, given anew for a refresh token, which may be good once.
//!
//! **Owns** the tokens on issue.
//! **Fails** by not knowing a token, or knowing that it has ended.
//! **Limits**: those that were spent are remembered, so that a second use is told from an unknown one.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::consent::AspspTokens;

struct Access {
    consent: String,
    ends_at: DateTime<Utc>,
    epoch: u64,
}

struct Refresh {
    consent: String,
    spent: bool,
}

/// Why a refresh token gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrefreshed {
    Unknown,
    /// It was good once, and that was for this consent.
    Spent(String),
}

/// The tokens of one bank.
#[derive(Default)]
pub struct Tokens {
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

impl Tokens {
    pub fn issue(&mut self, consent: &str, now: DateTime<Utc>, ttl_s: u32, epoch: u64) -> AspspTokens {
        // Whoever finds one where no token may be, knows what it is.
        let random = || format!("sandbox-token-{:032x}", rand::random::<u128>());
        let tokens = AspspTokens { access: random(), refresh: random() };
        let access =
            Access { consent: consent.to_owned(), ends_at: now + Duration::seconds(ttl_s.into()), epoch };
        self.access.insert(tokens.access.clone(), access);
        let refresh = Refresh { consent: consent.to_owned(), spent: false };
        self.refresh.insert(tokens.refresh.clone(), refresh);
        tokens
    }

    /// The consent that an access token is of.
    pub fn consent_of(&self, access: &str, now: DateTime<Utc>, epoch: u64) -> Option<&str> {
        let found = self.access.get(access).filter(|access| access.ends_at > now && access.epoch == epoch)?;
        Some(&found.consent)
    }

    /// The consent that new tokens are for; with rotation the old refresh token is spent by it.
    pub fn refresh(&mut self, refresh: &str, rotation: bool) -> Result<String, Unrefreshed> {
        let found = self.refresh.get_mut(refresh).ok_or(Unrefreshed::Unknown)?;
        if found.spent {
            return Err(Unrefreshed::Spent(found.consent.clone()));
        }
        found.spent = rotation;
        Ok(found.consent.clone())
    }

    /// A consent's access tokens are good no more.
    pub fn end_access(&mut self, consent: &str) {
        self.access.retain(|_, access| access.consent != consent);
    }

    /// A consent's tokens are good no more, of either kind.
    pub fn end_all(&mut self, consent: &str) {
        self.end_access(consent);
        self.refresh.retain(|_, refresh| refresh.consent != consent);
    }
}
