//! The token of a visit: opened, refreshed early or when the bank takes it no more, and never lost.
//!
//! A refresh is a task of its own: what a bank has given is kept even where the run that asked for it has been dropped meanwhile.
//!
//! **Owns** nothing beside the token in use. **Fails** with a [`Stop`] where there is no getting in; when every refresh token has been
//! refused the store has ended the consent, and its owner is asked to have it allowed again. **Limits**: one process at a time asks
//! for a consent's tokens, for `token_lease` at most; others wait for what it gets.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tracing::{Instrument as _, error, info};

use super::calls::Stop;
use super::visit::Visit;
use super::{AWAY_WAIT, NotKept, Run};
use crate::connectors::aspsps::{Aspsp as _, AspspError, Grant, GrantedConsent, Operation};
use crate::connectors::secret::sealed::{SealError, Sealed};
use crate::domain::ids::{ApiSessionId, ConsentId};
use crate::messages::aspsps::{AspspDesk, HeldBack};
use crate::store::StoreError;
use crate::store::openbanking::consent::{Consent, ConsentDraft};
use crate::store::openbanking::token::{AfterRefusal, KeptTokens, NewTokens, Refresh};

/// Between two looks at what another process gets.
const LOOK_WAIT: Duration = Duration::from_millis(100);
/// Refresh tokens that are tried one after the other, at most: more are not kept.
const TRIES_MAX: usize = 8;

/// A token in use.
pub(super) struct InUse {
    pub version: i64,
    pub access: SecretString,
    pub expires_at: Option<DateTime<Utc>>,
    /// It was given in this visit, and has not been of use yet.
    pub is_unproved: bool,
}

/// Whether the visit goes on where the bank gives no new token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    /// It does, as long as the one in use lasts.
    NotYet,
    /// The bank takes that one no more, or has not said what it is good for.
    Now,
}

/// What a refresh came to.
enum Refreshed {
    Given {
        version: i64,
        grant: Grant,
        expires_at: Option<DateTime<Utc>>,
    },
    /// Others are to be tried.
    Refused(KeptTokens),
    /// The consent has ended.
    Ended,
    HeldBack(HeldBack),
    /// Nothing has changed, but for what the bank said.
    Failed(AspspError),
    NotKept(NotKept),
    /// The keys do not fit.
    Unsealed(SealError),
}

impl Visit {
    /// Finds the token, and refreshes it where it is about to end.
    pub async fn be_let_in(&mut self) -> Result<(), Stop> {
        if self.consent.token_version == 0 {
            return Ok(());
        }
        let (store, id) = (&self.run.means.store, self.consent.id);
        let Some(kept) = self.run.patiently(|| store.consent_tokens(id)).await? else {
            return Err(Stop::Failed("consent_ended: there is no token any more".to_owned()));
        };
        let ahead = TimeDelta::from_std(self.run.means.config.get().sync.token_ahead).unwrap_or_default();
        let soon = self.run.now().checked_add_signed(ahead).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let ends_soon = kept.expires_at.is_some_and(|end| end <= soon);
        let is_refreshable = kept.refresh_sealed.is_some();
        let version = kept.version;
        self.use_token(&kept)?;
        if ends_soon && is_refreshable {
            self.refresh(version, Needed::NotYet).await?;
        }
        Ok(())
    }

    /// Has the token of this version refreshed, by whomever; true where another one is in use now.
    pub async fn refresh(&mut self, seen: i64, needed: Needed) -> Result<bool, Stop> {
        if !self.desk.connector().capabilities().refreshes_tokens {
            return Ok(false);
        }
        let mut seen = seen;
        for _ in 0..TRIES_MAX {
            let (fence, tokens) = match self.begin_refresh(seen).await? {
                Refresh::Begun { fence, tokens } => (fence, tokens),
                Refresh::Done(tokens) => {
                    self.use_token(&tokens)?;
                    return Ok(true);
                }
                Refresh::Impossible | Refresh::UnderWay { .. } => return Ok(false),
            };
            let asking = Asking {
                run: self.run.clone(),
                desk: self.desk.clone(),
                consent: self.consent.clone(),
                session_id: self.session_id,
                fence,
                tokens,
            };
            let asked = tokio::spawn(asking.ask().in_current_span()).await;
            self.added.calls += 1;
            match asked.map_err(|_| Stop::Failed("token: the refresh panicked".to_owned()))? {
                Refreshed::Given { version, grant, expires_at } => {
                    let Grant { access_token, consent, .. } = grant;
                    self.token = Some(InUse { version, access: access_token, expires_at, is_unproved: true });
                    if let Some(granted) = consent {
                        self.keep_last_day(&granted).await?;
                        self.granted = Some(granted);
                    }
                    return Ok(true);
                }
                Refreshed::Refused(left) => seen = left.version,
                Refreshed::Ended => {
                    self.run.there_is_news();
                    return Err(Stop::Failed(
                        "consent_revoked: the bank takes its tokens no more".to_owned(),
                    ));
                }
                Refreshed::HeldBack(held) => return Err(held.into()),
                Refreshed::NotKept(not_kept) => return Err(not_kept.into()),
                Refreshed::Unsealed(error) => return Err(Stop::Failed(format!("secrets: {error}"))),
                Refreshed::Failed(error) => return self.without_refresh(&error, needed).await,
            }
        }
        Ok(false)
    }

    /// What is left where the bank gave no new token: the one in use, for as long as it lasts.
    async fn without_refresh(&mut self, error: &AspspError, needed: Needed) -> Result<bool, Stop> {
        let can_go_on = needed == Needed::NotYet && self.has_live_token();
        match error {
            AspspError::ConsentEnded { how, .. } => return Err(self.end_consent(*how, error).await),
            AspspError::RateLimited { retry_after, .. }
            | AspspError::Unavailable { retry_after: retry_after @ Some(_), .. } => {
                let until = self.back_off_until(*retry_after, None).await?;
                self.leave_alone(Operation::TokenRefresh, until, error).await?;
                if !can_go_on {
                    return Err(Stop::RateLimited(format!("rate_limited: until {}", until.to_rfc3339())));
                }
            }
            _ if can_go_on => {}
            AspspError::Unavailable { .. } => {
                return Err(Stop::Failed(format!("aspsp_unavailable: {error}")));
            }
            _ => return Err(Stop::Failed(format!("token: {error}"))),
        }
        info!(%error, "token not refreshed; the one before goes on");
        Ok(false)
    }

    fn has_live_token(&self) -> bool {
        let ends = self.token.as_ref().and_then(|token| token.expires_at);
        self.token.is_some() && ends.is_none_or(|end| end > self.run.now())
    }

    /// Takes the lease, or waits for whoever has it.
    async fn begin_refresh(&self, seen: i64) -> Result<Refresh, Stop> {
        let (run, id) = (&self.run, self.consent.id);
        let (store, lease) = (&run.means.store, run.means.config.get().sync.token_lease);
        // Twice the lease: one that took over from a dead one is waited for as well.
        let patience =
            run.now() + TimeDelta::from_std(lease.saturating_mul(2)).unwrap_or(TimeDelta::minutes(2));
        loop {
            let begun = run.patiently(|| store.begin_token_refresh(id, seen, lease, run.now())).await?;
            let Refresh::UnderWay { .. } = begun else { return Ok(begun) };
            if run.now() > patience {
                return Ok(begun);
            }
            run.context.is_wanted().map_err(Stop::Wanted)?;
            tokio::time::sleep(LOOK_WAIT).await;
        }
    }

    fn use_token(&mut self, kept: &KeptTokens) -> Result<(), Stop> {
        let sealed = Sealed::from(kept.access_sealed.clone());
        let access = self.run.means.secrets.open(&purpose(self.consent.id), &sealed);
        let access = access.map_err(|error| Stop::Failed(format!("secrets: {error}")))?;
        let expires_at = kept.expires_at;
        self.token = Some(InUse { version: kept.version, access, expires_at, is_unproved: false });
        Ok(())
    }

    /// The bank has taken a token that is new: what was before it is of no use any more.
    pub async fn prove_token(&mut self) {
        let Some(token) = self.token.as_mut().filter(|token| token.is_unproved) else { return };
        token.is_unproved = false;
        let (version, id) = (token.version, self.consent.id);
        // What is not forgotten now is forgotten after the next one.
        if let Err(error) = self.run.means.store.tokens_proved(id, version).await {
            error!(%error, "tokens before the new one not forgotten");
        }
    }

    /// The bank may have set the consent another end than was asked for.
    async fn keep_last_day(&mut self, granted: &GrantedConsent) -> Result<(), Stop> {
        let Some(end) = granted.valid_until.filter(|end| Some(*end) != self.consent.valid_until) else {
            return Ok(());
        };
        let draft = ConsentDraft {
            id: self.consent.id,
            tenant_id: self.consent.tenant_id.clone(),
            user_id: self.consent.user_id,
            aspsp: self.consent.aspsp.clone(),
            external_id: self.consent.external_id.clone(),
            status: self.consent.status,
            valid_until: Some(end),
            frequency_per_day: self.consent.frequency_per_day,
            now: self.run.now(),
        };
        let store = &self.run.means.store;
        self.run
            .patiently(|| async {
                let mut put = store.put_consents(std::slice::from_ref(&draft)).await;
                put.pop().unwrap_or_else(|| Err(StoreError::Broken("no result for a consent".to_owned())))
            })
            .await?;
        self.consent.valid_until = Some(end);
        Ok(())
    }
}

/// One question for new tokens, under the lease.
struct Asking {
    run: Arc<Run>,
    desk: AspspDesk,
    consent: Consent,
    session_id: ApiSessionId,
    fence: i64,
    tokens: KeptTokens,
}

impl Asking {
    async fn ask(self) -> Refreshed {
        let keeper = &self.run.means.secrets;
        let sealed = Sealed::from(self.tokens.refresh_sealed.clone().unwrap_or_default());
        // A token that could not be kept must not be asked for: the one before may be gone by that.
        let opened = match keeper.has_key() {
            true => keeper.open(&purpose(self.consent.id), &sealed),
            false => Err(SealError::NoKey),
        };
        let refresh = match opened {
            Ok(refresh) => refresh,
            Err(error) => return self.leave(Refreshed::Unsealed(error)).await,
        };
        let turn = match self.desk.enter().await {
            Ok(turn) => turn,
            Err(held) => return self.leave(Refreshed::HeldBack(held)).await,
        };
        crate::failpoint::reached("sync.refresh.before");
        let told = self.desk.connector().refresh(&refresh).await;
        crate::failpoint::reached("sync.refresh.answered");
        turn.heard(&told);
        let row = self.run.call_row(
            &self.consent,
            Some(self.session_id),
            &told.call,
            None,
            told.outcome.as_ref().err(),
        );
        match told.outcome {
            Ok(grant) => {
                let kept = self.keep(grant).await;
                self.run.keep_call(row).await;
                kept
            }
            Err(error) => {
                self.run.keep_call(row).await;
                match error {
                    AspspError::Unauthorised { .. } => self.refused().await,
                    error => self.leave(Refreshed::Failed(error)).await,
                }
            }
        }
    }

    /// Keeps what the bank has given before anything else is done, however long the store is away.
    async fn keep(&self, grant: Grant) -> Refreshed {
        let store = &self.run.means.store;
        let lasts = grant.expires_in.and_then(|lasts| TimeDelta::from_std(lasts).ok());
        let expires_at = lasts.and_then(|lasts| self.run.now().checked_add_signed(lasts));
        let new = match self.seal(&grant) {
            Ok((access_sealed, refresh_sealed)) => NewTokens { access_sealed, refresh_sealed, expires_at },
            Err(error) => {
                error!(%error, consent_id = %self.consent.id, "the new tokens cannot be kept");
                return self.leave(Refreshed::Unsealed(error)).await;
            }
        };
        loop {
            match store.keep_tokens(self.consent.id, self.fence, &new, self.run.now()).await {
                Ok(Some(version)) => {
                    crate::failpoint::reached("sync.refresh.kept");
                    return Refreshed::Given { version, grant, expires_at };
                }
                Ok(None) => return Refreshed::Ended,
                Err(error) if error.is_transient() => {
                    error!(%error, consent_id = %self.consent.id, "the new tokens are not kept yet");
                    tokio::time::sleep(AWAY_WAIT).await;
                }
                Err(error) => return Refreshed::NotKept(NotKept::Broken(error)),
            }
        }
    }

    fn seal(&self, grant: &Grant) -> Result<(String, Option<String>), SealError> {
        let keeper = &self.run.means.secrets;
        let purpose = purpose(self.consent.id);
        let access = keeper.seal(&purpose, &grant.access_token)?;
        let refresh = grant.refresh_token.as_ref().map(|token| keeper.seal(&purpose, token)).transpose()?;
        Ok((access.as_str().to_owned(), refresh.map(|sealed| sealed.as_str().to_owned())))
    }

    async fn refused(&self) -> Refreshed {
        let (store, attempts) = (&self.run.means.store, self.run.means.delivery_attempts_max);
        let (id, version) = (self.consent.id, self.tokens.version);
        let after = self
            .run
            .patiently(|| store.token_refresh_refused(id, version, self.fence, attempts, self.run.now()))
            .await;
        match after {
            Ok(AfterRefusal::Try(left)) => Refreshed::Refused(left),
            Ok(AfterRefusal::Ended | AfterRefusal::Before) => Refreshed::Ended,
            Err(not_kept) => Refreshed::NotKept(not_kept),
        }
    }

    /// Gives the lease back.
    async fn leave(&self, outcome: Refreshed) -> Refreshed {
        if let Err(error) = self.run.means.store.leave_token_refresh(self.consent.id, self.fence).await {
            error!(%error, "the lease on a consent's tokens was not given back");
        }
        outcome
    }
}

/// For what a consent's tokens are sealed.
fn purpose(id: ConsentId) -> String {
    format!("consent:{id}")
}
