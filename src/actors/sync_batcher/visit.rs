//! One visit: what one consent lets us read at its bank, in one run.
//!
//! **Owns** what is known of the visit while it lasts; its row is opened first and closed last, and one that was open when its run
//! was cut off is made again, with the pages and accesses that it has. **Fails** into the row's state and reason, and each account
//! that was not refreshed says why. **Limits**: one call at a time.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::batch::Visited;
use super::before::Before;
use super::calls::{Stop, Trouble};
use super::tally::Added;
use super::tokens::InUse;
use super::{NotKept, Run};
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::{Access, Balance, GrantedConsent};
use crate::domain::ids::{AccountId, ApiSessionId};
use crate::messages::aspsps::AspspDesk;
use crate::messages::jobs::EndWanted;
use crate::store::openbanking::account::AllowedAccount;
use crate::store::openbanking::back_off::BackOff;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::session::{ApiSession, SOURCE_TIMETABLE, SessionEnd, VisitState};
use crate::telemetry;

/// Who is to be visited, as the store says when the slice begins.
pub(super) struct Visitor {
    pub consent: Consent,
    pub accounts: Vec<AllowedAccount>,
    pub back_offs: Vec<BackOff>,
}

/// A visit under way.
pub(super) struct Visit {
    pub run: Arc<Run>,
    pub desk: AspspDesk,
    pub standard: Standard,
    /// Of the bank's books.
    pub zone: Zone,
    /// Whether the bank counts each page of a set.
    pub counts_pages: bool,
    pub consent: Consent,
    pub session_id: ApiSessionId,
    /// What it was told before its run was cut off.
    pub before: Before,
    pub accounts: Vec<InHand>,
    pub back_offs: HashMap<String, BackOff>,
    pub token: Option<InUse>,
    /// What the last refresh of a token said of the consent.
    pub granted: Option<GrantedConsent>,
    pub added: Added,
    /// Something was left out for the quota's sake.
    pub is_held_back: bool,
    /// The first thing that went wrong and ended no visit.
    pub trouble: Option<String>,
    /// Records of calls that are being written down.
    pub records: Vec<JoinHandle<()>>,
}

/// An account, and how far its visit has come.
pub(super) struct InHand {
    pub allowed: AllowedAccount,
    /// Its transactions have come as a whole.
    pub is_synced: bool,
    /// Why they have not.
    pub reason: Option<String>,
    /// Balances that came along with something else.
    pub balances: Vec<Balance>,
    /// Its details have come in this visit.
    pub has_details: bool,
}

/// Makes a visit, or finds that it was made.
pub(super) async fn make(run: Arc<Run>, visitor: Visitor) -> Visited {
    let user_id = visitor.consent.user_id;
    let visited = |state, added| Visited { user_id, states: vec![state], added };
    if run.context.is_wanted().is_err() {
        return visited(VisitState::Open, Added::default());
    }
    let session = match open(&run, &visitor.consent).await {
        Ok(session) => session,
        Err(NotKept::Wanted(_)) => return visited(VisitState::Open, Added::default()),
        Err(NotKept::Broken(error)) => {
            error!(%error, "visit not opened");
            return visited(VisitState::Failed, Added::default());
        }
    };
    crate::failpoint::reached("sync.session.opened");
    if session.state != VisitState::Open {
        // It came to its end before the run was cut off.
        return visited(session.state, Added { new: session.news, ..Added::default() });
    }
    let name = visitor.consent.aspsp.clone();
    let config = run.means.config.get();
    let (Some(desk), Some(entry)) = (run.means.aspsps.find(&name), config.aspsps.get(&name)) else {
        let reason = "aspsp_unknown: no bank of that name is configured".to_owned();
        let ids: Vec<AccountId> = visitor.accounts.iter().map(|allowed| allowed.account.id).collect();
        run.say_stale(ids.into_iter().map(|id| (id, reason.clone())).collect()).await;
        let state = close(&run, session.id, VisitState::Failed, Some(reason), 0).await;
        return visited(state, Added::default());
    };
    let before = match Before::read(&run, desk, &visitor.consent, &session).await {
        Ok(before) => before,
        Err(NotKept::Wanted(_)) => return visited(VisitState::Open, Added::default()),
        Err(NotKept::Broken(error)) => {
            error!(%error, "visit not gone on with");
            return visited(VisitState::Failed, Added::default());
        }
    };
    let visit = Visit {
        before,
        desk: desk.clone(),
        standard: desk.standard(),
        zone: entry.connector.zone,
        counts_pages: desk.counts_pages(),
        consent: visitor.consent,
        session_id: session.id,
        accounts: visitor.accounts.into_iter().map(InHand::new).collect(),
        back_offs: visitor
            .back_offs
            .into_iter()
            .map(|back_off| (back_off.endpoint.clone(), back_off))
            .collect(),
        token: None,
        granted: None,
        added: Added::default(),
        is_held_back: false,
        trouble: None,
        records: Vec::new(),
        run,
    };
    let (state, added) = visit.course().await;
    visited(state, added)
}

/// Opens the visit of a consent in this run, or finds it.
pub(super) async fn open(run: &Run, consent: &Consent) -> Result<ApiSession, NotKept> {
    let draft = ApiSession {
        id: ApiSessionId(Uuid::now_v7()),
        tenant_id: consent.tenant_id.clone(),
        run_id: run.context.run.id.0,
        consent_id: consent.id,
        user_id: consent.user_id,
        aspsp: consent.aspsp.clone(),
        source: SOURCE_TIMETABLE,
        state: VisitState::Open,
        reason: None,
        news: 0,
        started_at: run.now(),
        ended_at: None,
    };
    run.patiently(|| run.lanes.sessions.run(draft.clone())).await
}

/// Closes a visit; it stays open where the store is away until the run is to end.
pub(super) async fn close(
    run: &Run,
    id: ApiSessionId,
    state: VisitState,
    reason: Option<String>,
    news: i64,
) -> VisitState {
    let end = SessionEnd {
        id,
        state,
        reason,
        news,
        traceparent: Some(run.traceparent.clone()),
        delivery_attempts_max: run.means.delivery_attempts_max,
        now: run.now(),
    };
    let closed = run.patiently(|| run.lanes.ends.run(end.clone())).await;
    crate::failpoint::reached("sync.session.closed");
    match closed {
        Ok(_) => {
            if state == VisitState::Failed {
                run.there_is_news();
            }
            state
        }
        Err(NotKept::Wanted(_)) => VisitState::Open,
        Err(NotKept::Broken(error)) => {
            error!(%error, "visit not closed");
            VisitState::Failed
        }
    }
}

impl Run {
    /// Says of accounts why they are not fresh. That it could not be said is no reason to stop.
    pub(super) async fn say_stale(&self, accounts: Vec<(AccountId, String)>) {
        for (id, reason) in accounts {
            let now = self.now();
            if let Err(NotKept::Broken(error)) =
                self.patiently(|| self.lanes.stale.run((id, reason.clone(), now))).await
            {
                error!(account_id = %id, %error, "account not marked as stale");
            }
        }
    }
}

impl InHand {
    pub fn new(allowed: AllowedAccount) -> Self {
        Self { allowed, is_synced: false, reason: None, balances: Vec::new(), has_details: false }
    }

    pub fn id(&self) -> AccountId {
        self.allowed.account.id
    }

    /// By what the bank is asked about it; none where that is not known yet.
    pub fn name_at(&self, standard: Standard) -> Option<&str> {
        match standard {
            Standard::BerlinGroup => self.allowed.resource_id.as_deref(),
            Standard::PolishApi => Some(&self.allowed.account.key.number),
        }
    }
}

impl Visit {
    async fn course(mut self) -> (VisitState, Added) {
        let ended = self.read().await;
        let (state, reason) = match ended {
            Err(Stop::Wanted(EndWanted::Cancelled)) => {
                (VisitState::Cancelled, Some("cancelled: the run was cancelled".to_owned()))
            }
            // The run goes on elsewhere, and this visit with it.
            Err(Stop::Wanted(_)) => (VisitState::Open, None),
            Err(Stop::RateLimited(reason)) => (VisitState::RateLimited, Some(reason)),
            Err(Stop::Paused(reason)) => (VisitState::Cancelled, Some(reason)),
            Err(Stop::Failed(reason)) => (VisitState::Failed, Some(reason)),
            Ok(()) => match (self.trouble.take(), self.is_held_back) {
                (Some(reason), _) => (VisitState::Failed, Some(reason)),
                (None, true) => (VisitState::RateLimited, Some("quota: used up for now".to_owned())),
                (None, false) => (VisitState::Ok, None),
            },
        };
        self.records_kept().await;
        if state == VisitState::Open {
            return (state, self.added);
        }
        self.say_which_are_stale(reason.as_deref()).await;
        let state = close(&self.run, self.session_id, state, reason.clone(), self.added.new).await;
        match (state, reason) {
            (VisitState::Ok, _) => tracing::debug!(new = self.added.new, "visit ended"),
            (VisitState::Failed, Some(reason)) => {
                telemetry::note_failure("attempt_failed");
                warn!(reason, "visit failed");
            }
            (state, reason) => info!(state = state.as_str(), reason, "visit ended"),
        }
        (state, self.added)
    }

    /// All that there is to read, the most precious first.
    async fn read(&mut self) -> Result<(), Stop> {
        self.be_let_in().await?;
        self.know_accounts().await?;
        for place in 0..self.accounts.len() {
            match self.read_transactions(place).await {
                Ok(()) => {}
                Err(trouble) => self.endure(trouble, Some(place), true)?,
            }
        }
        let has_read = self.accounts.iter().any(|account| account.is_synced);
        if !has_read && self.trouble.is_none() && !self.is_held_back {
            return Err(Stop::Failed("nothing_allowed: no account's transactions may be read".to_owned()));
        }
        for place in 0..self.accounts.len() {
            if self.accounts[place].reason.is_some() {
                continue;
            }
            match self.read_rest(place).await {
                Ok(()) => {}
                Err(trouble) => self.endure(trouble, Some(place), false)?,
            }
        }
        Ok(())
    }

    /// Goes on with the rest where that is possible. `is_needed`: without it the account is not fresh.
    pub fn endure(&mut self, trouble: Trouble, place: Option<usize>, is_needed: bool) -> Result<(), Stop> {
        let reason = match trouble {
            Trouble::Stop(stop) => return Err(stop),
            // What a bank does not have, or does not let us read, is not missing.
            Trouble::Unsupported(reason) => Some(reason).filter(|_| is_needed),
            Trouble::Held(reason) => {
                self.is_held_back |= is_needed;
                Some(reason).filter(|_| is_needed)
            }
            Trouble::Of(reason) => {
                self.trouble.get_or_insert(reason.clone());
                Some(reason)
            }
            Trouble::Gone => None,
        };
        if let (Some(place), true) = (place, is_needed) {
            self.accounts[place].reason = reason.or(Some("gone: there is no such account".to_owned()));
        }
        Ok(())
    }

    async fn say_which_are_stale(&self, reason: Option<&str>) {
        let stale = self.accounts.iter().filter(|account| !account.is_synced);
        let stale = stale.filter_map(|account| {
            let reason = account.reason.as_deref().or(reason)?;
            Some((account.id(), reason.to_owned()))
        });
        self.run.say_stale(stale.collect()).await;
    }

    /// Waits until the calls so far are written down.
    pub async fn records_kept(&mut self) {
        for record in std::mem::take(&mut self.records) {
            // A record that panicked was logged; the visit is what it is.
            let _ = record.await;
        }
    }

    /// Under what this visit asks.
    pub fn access(&self) -> Access<'_> {
        Access {
            consent_id: Some(&self.consent.external_id),
            token: self.token.as_ref().map(|token| &token.access),
        }
    }
}
