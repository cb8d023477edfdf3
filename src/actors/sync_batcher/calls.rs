//! One call of a visit: whether it may be made, and what its result means for what comes next.
//!
//! ```text
//! back-off? ──► access taken ──► a turn at the desk ──► the call ──► its record ──► said | refreshed, and again once | trouble
//! ```
//!
//! **Owns** nothing. **Fails** with a [`Trouble`], cut by how far it reaches. **Limits**: an access of which nothing was sent is given
//! back; one that waited long for its turn is taken anew, so that it counts from when it is made.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tracing::{Instrument as _, error};
use uuid::Uuid;

use super::tokens::Needed;
use super::visit::Visit;
use super::{NotKept, Run};
use crate::actors::aspsp_calls::{self, CallOf};
use crate::connectors::aspsps::{
    Aspsp as _, AspspError, CallRecord, ConsentEnd as HowEnded, ConsentStatus as ToldStatus, Operation, Told,
};
use crate::domain::ids::{AccountId, ApiSessionId};
use crate::domain::openbanking::consent::ConsentStatus;
use crate::domain::openbanking::quota::{Allowance, Quota};
use crate::messages::aspsps::{HeldBack, Turn};
use crate::messages::jobs::EndWanted;
use crate::store::openbanking::back_off::BackOff;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::notice::ConsentEnd;
use crate::store::openbanking::quota::{AccessWanted, QuotaKey};
use crate::store::openbanking::session::ApiCall;

/// A turn that was waited for longer than this has its access taken anew.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a bank is left alone that says neither how long nor of what it has had too much.
const BLIND_WAIT: TimeDelta = TimeDelta::hours(1);

/// Why a visit goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    Wanted(EndWanted),
    /// The bank wants to be left alone.
    RateLimited(String),
    /// An operator wants it left alone.
    Paused(String),
    Failed(String),
}

/// Why something was not told.
#[derive(Debug)]
pub(super) enum Trouble {
    /// And nothing else will be.
    Stop(Stop),
    /// It was not asked: the quota, or the bank's own word.
    Held(String),
    /// The bank has no such thing.
    Unsupported(String),
    /// It concerns this one thing.
    Of(String),
    /// The account is not there any more, here.
    Gone,
}

impl Trouble {
    pub fn of(reason: impl Into<String>) -> Self {
        Self::Of(reason.into())
    }

    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Stop(Stop::Failed(reason.into()))
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<NotKept> for Stop {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Wanted(why) => Self::Wanted(why),
            NotKept::Broken(error) => {
                error!(%error, "the visit cannot go on");
                Self::Failed("store: it does not hold what it should".to_owned())
            }
        }
    }
}

impl From<NotKept> for Trouble {
    fn from(not_kept: NotKept) -> Self {
        Self::Stop(not_kept.into())
    }
}

impl From<HeldBack> for Stop {
    fn from(held: HeldBack) -> Self {
        match held {
            HeldBack::Paused { reason } => Self::Paused(format!("paused: {reason}")),
            HeldBack::Unavailable { .. } => {
                Self::Failed("aspsp_unavailable: it did not answer lately".to_owned())
            }
        }
    }
}

/// A call that may be made.
pub(super) struct Admitted {
    turn: Turn,
    operation: Operation,
    account: Option<AccountId>,
    quota: Option<(QuotaKey, Quota)>,
    access: Option<Uuid>,
    is_again: bool,
}

/// What a call came to.
pub(super) enum Heard<T> {
    Said(T),
    /// By another token it may be made once more.
    Again(Box<Admitted>),
}

/// Makes a call, and once more by a fresh token where that is what it takes.
macro_rules! ask {
    ($visit:ident, $operation:expr, $account:expr, $goes_on:expr, $access:ident => $call:expr) => {{
        let mut admitted = $visit.admit($operation, $account, $goes_on).await?;
        loop {
            let told = {
                let $access = $visit.access();
                $call.await
            };
            match $visit.heard(admitted, told).await? {
                $crate::actors::sync_batcher::calls::Heard::Said(said) => break said,
                $crate::actors::sync_batcher::calls::Heard::Again(again) => admitted = *again,
            }
        }
    }};
}
pub(super) use ask;

impl Visit {
    /// Waits until a call may be made. `goes_on`: it asks for a further page of a set.
    pub async fn admit(
        &mut self,
        operation: Operation,
        account: Option<AccountId>,
        goes_on: bool,
    ) -> Result<Admitted, Trouble> {
        self.is_allowed()?;
        if let Some(back_off) = self.back_offs.get(operation.as_str())
            && back_off.blocked_until > self.run.now()
        {
            return Err(Trouble::Held(back_off.reason.clone()));
        }
        // Should we be cut off, it must be known that what came before this was of use. It was written down meanwhile.
        self.records_kept().await;
        let resource = account.map(|id| id.to_string()).unwrap_or_default();
        let counts = !goes_on || self.counts_pages;
        let quota = self.desk.quota(&self.consent, operation, &resource).filter(|_| counts);
        let mut access = self.take(quota.as_ref()).await?;
        crate::failpoint::reached("sync.access.taken");
        let asked = Instant::now();
        let turn = match self.turn().await {
            Ok(turn) => turn,
            Err(stop) => {
                self.run.give_back(access).await;
                return Err(stop.into());
            }
        };
        if asked.elapsed() > WAIT_MAX && access.is_some() {
            self.run.give_back(access).await;
            access = self.take(quota.as_ref()).await?;
        }
        crate::failpoint::reached("sync.call.before");
        Ok(Admitted { turn, operation, account, quota, access, is_again: false })
    }

    /// Whether the visit may go on at all.
    fn is_allowed(&self) -> Result<(), Stop> {
        self.run.context.is_wanted().map_err(Stop::Wanted)?;
        // One that has expired is never asked by, though nobody has said so yet.
        match self.consent.valid_until {
            Some(end) if end <= self.run.now() => {
                Err(Stop::Failed("consent_expired: it was valid until then".to_owned()))
            }
            _ => Ok(()),
        }
    }

    async fn take(&self, quota: Option<&(QuotaKey, Quota)>) -> Result<Option<Uuid>, Trouble> {
        let Some((key, quota)) = quota else { return Ok(None) };
        let wanted = || AccessWanted {
            // Another one for each try: one whose commit was lost may be there.
            id: Uuid::now_v7(),
            tenant_id: self.consent.tenant_id.clone(),
            aspsp: self.consent.aspsp.clone(),
            key: key.clone(),
            quota: *quota,
            now: self.run.now(),
        };
        let run = &self.run;
        let (id, allowance) = run
            .patiently(|| {
                let wanted = wanted();
                async move {
                    let id = wanted.id;
                    run.lanes.accesses.run(wanted).await.map(|allowance| (id, allowance))
                }
            })
            .await?;
        match allowance {
            Allowance::Left(_) => Ok(Some(id)),
            Allowance::Until(until) => {
                Err(Trouble::Held(format!("quota: used up until {}", until.to_rfc3339())))
            }
        }
    }

    async fn turn(&self) -> Result<Turn, Stop> {
        tokio::select! {
            biased;
            why = self.run.context.end_wanted() => Err(Stop::Wanted(why)),
            turn = self.desk.enter() => turn.map_err(Stop::from),
        }
    }

    /// Takes note of a call, and says what comes next.
    pub async fn heard<T: Send>(&mut self, admitted: Admitted, told: Told<T>) -> Result<Heard<T>, Trouble> {
        crate::failpoint::reached("sync.call.after");
        let Admitted { turn, operation, account, quota, access, is_again } = admitted;
        turn.heard(&told);
        self.record(&told, account);
        if !told.call.may_have_been_sent {
            self.run.give_back(access).await;
        }
        let error = match told.outcome {
            Ok(said) => {
                self.prove_token().await;
                return Ok(Heard::Said(said));
            }
            Err(error) => error,
        };
        match &error {
            AspspError::Unauthorised { .. } if !is_again => {
                let seen = self.token.as_ref().map(|token| token.version);
                if let Some(seen) = seen
                    && self.refresh(seen, Needed::Now).await?
                {
                    // The bank has refused the token and not the question: it is the same access.
                    let turn = self.turn().await?;
                    let again = Admitted { turn, operation, account, quota, access, is_again: true };
                    return Ok(Heard::Again(Box::new(again)));
                }
                Err(Trouble::failed(format!("unauthorised: {error}")))
            }
            AspspError::Unauthorised { .. } => Err(Trouble::failed(format!("unauthorised: {error}"))),
            // Whoever says when to come again is left alone until then, whichever code it says so with.
            AspspError::RateLimited { retry_after, .. }
            | AspspError::Unavailable { retry_after: retry_after @ Some(_), .. } => {
                let until = self.back_off_until(*retry_after, quota.as_ref()).await?;
                self.leave_alone(operation, until, &error).await?;
                Err(Stop::RateLimited(format!("rate_limited: until {}", until.to_rfc3339())).into())
            }
            AspspError::ConsentEnded { how, .. } => Err(self.end_consent(*how, &error).await.into()),
            AspspError::Unavailable { .. } => Err(Trouble::failed(format!("aspsp_unavailable: {error}"))),
            AspspError::Misconfigured { .. } => Err(Trouble::failed(format!("misconfigured: {error}"))),
            AspspError::Unsupported { .. } => Err(Trouble::Unsupported(format!("unsupported: {error}"))),
            AspspError::NotFound { .. }
            | AspspError::Refused { .. }
            | AspspError::Pending
            | AspspError::Unreadable { .. }
            | AspspError::TooLarge { .. } => Err(Trouble::of(format!("{}: {error}", error.kind()))),
        }
    }

    /// Writes a call down, while the visit goes on.
    fn record<T>(&mut self, told: &Told<T>, account: Option<AccountId>) {
        self.added.calls += 1;
        let row = self.run.call_row(
            &self.consent,
            Some(self.session_id),
            &told.call,
            account,
            told.outcome.as_ref().err(),
        );
        let run = self.run.clone();
        let writing = async move { run.keep_call(row).await };
        self.records.push(tokio::spawn(writing.in_current_span()));
    }

    /// When a bank may be asked again that has just said no.
    pub async fn back_off_until(
        &self,
        retry_after: Option<Duration>,
        quota: Option<&(QuotaKey, Quota)>,
    ) -> Result<DateTime<Utc>, Stop> {
        let now = self.run.now();
        if let Some(wait) = retry_after.and_then(|wait| TimeDelta::from_std(wait).ok()) {
            return Ok(now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC));
        }
        let Some((key, quota)) = quota else { return Ok(now + BLIND_WAIT) };
        let reach = TimeDelta::from_std(quota.window.reach()).unwrap_or(BLIND_WAIT);
        let since = now.checked_sub_signed(reach).unwrap_or(DateTime::UNIX_EPOCH);
        let store = &self.run.means.store;
        let made = self.run.patiently(|| store.accesses_of(key.holder_id, since)).await?;
        let made: Vec<DateTime<Utc>> =
            made.into_iter().filter(|(of, _)| of == key).map(|(_, at)| at).collect();
        Ok(free_again(&made, quota, now).unwrap_or(now + BLIND_WAIT))
    }

    /// Keeps that an endpoint is not to be asked by this consent before then.
    pub async fn leave_alone(
        &mut self,
        operation: Operation,
        until: DateTime<Utc>,
        error: &AspspError,
    ) -> Result<(), Stop> {
        let back_off = BackOff {
            consent_id: self.consent.id,
            tenant_id: self.consent.tenant_id.clone(),
            aspsp: self.consent.aspsp.clone(),
            endpoint: operation.as_str().to_owned(),
            blocked_until: until,
            reason: format!("rate_limited: {error}"),
            set_at: self.run.now(),
        };
        let store = &self.run.means.store;
        self.run.patiently(|| store.set_back_offs(std::slice::from_ref(&back_off))).await?;
        crate::failpoint::reached("sync.back_off.kept");
        self.back_offs.insert(back_off.endpoint.clone(), back_off);
        Ok(())
    }

    /// The bank says that the consent is of no use any more.
    pub async fn end_consent(&mut self, how: HowEnded, error: &AspspError) -> Stop {
        let status = match how {
            HowEnded::Expired => Some(ConsentStatus::Expired),
            HowEnded::Revoked => Some(ConsentStatus::Revoked),
            HowEnded::Unknown => match self.ask_about_consent().await {
                Ok(status) => status,
                Err(stop) => return stop,
            },
        };
        let Some(status) = status else {
            return Stop::Failed(format!("consent_refused: {error}"));
        };
        let reason = format!("ended_by_the_bank: {error}");
        let end = ConsentEnd {
            id: self.consent.id,
            tenant_id: self.consent.tenant_id.clone(),
            status,
            reason,
            traceparent: Some(self.run.traceparent.clone()),
            delivery_attempts_max: self.run.means.delivery_attempts_max,
            now: self.run.now(),
        };
        let run = &self.run;
        let ended = run
            .patiently(|| async {
                let mut ended = run.means.store.end_consents(std::slice::from_ref(&end)).await;
                ended.pop().unwrap_or(Ok(false))
            })
            .await;
        if let Err(not_kept) = ended {
            return not_kept.into();
        }
        crate::failpoint::reached("sync.consent.ended");
        run.there_is_news();
        Stop::Failed(format!("consent_{}: {error}", status.as_str()))
    }

    /// What the bank says of the consent itself; none where it is good, or nobody knows. Where the standard has no such question,
    /// it counts as revoked.
    async fn ask_about_consent(&mut self) -> Result<Option<ConsentStatus>, Stop> {
        let connector = self.desk.connector().clone();
        if !connector.capabilities().consent_status {
            return Ok(Some(ConsentStatus::Revoked));
        }
        let turn = self.turn().await?;
        let told = connector.consent_status(&self.access()).await;
        turn.heard(&told);
        self.record(&told, None);
        Ok(match told.outcome {
            Ok(told) => status_of(told.status),
            Err(AspspError::ConsentEnded { how: HowEnded::Expired, .. }) => Some(ConsentStatus::Expired),
            Err(AspspError::ConsentEnded { .. } | AspspError::NotFound { .. }) => {
                Some(ConsentStatus::Revoked)
            }
            // Nobody knows; the next run finds out.
            Err(_) => None,
        })
    }
}

impl Run {
    /// A call as a row.
    pub(super) fn call_row(
        &self,
        consent: &Consent,
        session_id: Option<ApiSessionId>,
        call: &CallRecord,
        account_id: Option<AccountId>,
        error: Option<&AspspError>,
    ) -> ApiCall {
        let of = CallOf {
            tenant_id: consent.tenant_id.clone(),
            session_id,
            run_id: Some(self.context.run.id.0),
            aspsp: consent.aspsp.clone(),
            account_id,
        };
        aspsp_calls::row(of, call, error)
    }

    /// Keeps the row of a call.
    pub(super) async fn keep_call(&self, row: ApiCall) {
        if let Err(not_kept) = self.patiently(|| self.lanes.calls.run(row.clone())).await {
            error!(?not_kept, "a call was not written down");
        }
    }

    /// Gives an access back of which nothing was sent. Where that fails it counts, which errs on the safe side.
    pub(super) async fn give_back(&self, access: Option<Uuid>) {
        if let Some(id) = access
            && let Err(error) = self.lanes.given_back.run(id).await
        {
            error!(%error, "an access was not given back");
        }
    }
}

/// When the first of these accesses counts no more.
fn free_again(made: &[DateTime<Utc>], quota: &Quota, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let counted = match (Quota { limit: u32::MAX, ..*quota }).allowance(made, now) {
        Allowance::Left(left) => u32::MAX - left,
        Allowance::Until(_) => return None,
    };
    match (Quota { limit: counted, ..*quota }).allowance(made, now) {
        Allowance::Until(until) if counted > 0 => Some(until),
        _ => None,
    }
}

/// None for one that may be used.
fn status_of(told: ToldStatus) -> Option<ConsentStatus> {
    match told {
        ToldStatus::Valid | ToldStatus::Pending | ToldStatus::Unknown => None,
        ToldStatus::Expired => Some(ConsentStatus::Expired),
        ToldStatus::Rejected | ToldStatus::Revoked | ToldStatus::Terminated => Some(ConsentStatus::Revoked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::openbanking::quota::Window;

    #[test]
    fn a_bank_that_says_no_is_left_alone_until_its_window_lets_one_go() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let quota = Quota { limit: 4, window: Window::Rolling(Duration::from_hours(24)) };
        let made = ["2026-11-22T04:00:00Z", "2026-11-22T12:00:00Z"].map(at);
        let now = at("2026-11-22T12:00:01Z");
        assert_eq!(free_again(&made, &quota, now), Some(at("2026-11-23T04:00:00.000001Z")));
        assert_eq!(free_again(&[], &quota, now), None);
        let day = Quota { window: Window::Day(chrono_tz::Europe::Warsaw), ..quota };
        assert_eq!(free_again(&made, &day, now), Some(at("2026-11-22T23:00:00Z")));
    }
}
