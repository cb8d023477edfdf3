//! One run: asks a bank for the movements of one account, page by page, and writes each page down before it asks on. What it
//! does at a bank that lists nothing stands in `look_ups`.
//!
//! **Owns** its claim, in a guard. **Fails** never: whatever the bank does becomes a [`RunChange`]; a panic or a cut leaves
//! the row to the guard, and the next attempt begins anew and repeats itself harmlessly.
//! **Limits**: `reconciliation.run_timeout`, and the lease; one page in memory, written down in slices.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::Means;
use crate::actors::bank_attempt::{self, to_microseconds};
use crate::connectors::banks::{
    Bank as _, BankError, Movement, MovementKind, MovementPage, MovementsRequest, ReconciledBy,
};
use crate::domain::bank_account::BankAccount;
use crate::domain::ids::EventId;
use crate::domain::reconciliation::{Fact, Happened};
use crate::domain::work::Claim;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::reconciler::{Position, reconciliation_work};
use crate::store::reconciliation::{Counts, RunChange, RunEnd, RunEnded};
use crate::store::reconciliation_apply::{Asked, Slice, Told};
use crate::store::{StoreError, StoreKind};
use crate::telemetry;
use crate::work::ClaimGuard;
use crate::work::breaker::Verdict;

/// Movements written down in one transaction; short enough to be in nobody's way.
const SLICE_MAX: usize = 500;
/// The same on SQLite, where a statement costs more the more values it names, and everybody else waits for the one writer.
const SLICE_MAX_SQLITE: usize = 64;

/// A run about to be made.
pub(super) struct Run {
    pub means: Arc<Means>,
    pub guard: ClaimGuard,
}

/// Why a run ended before the bank had told everything.
pub(super) enum Cut {
    Bank(BankError),
    Store(StoreError),
    /// The account had no place for a question in time.
    NoPlace,
    /// The bank's listing does not end.
    Endless,
    LostLease,
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Run {
    pub async fn run(mut self) {
        let claim = self.guard.claim().clone();
        self.guard.begin();
        let lease = self.means.claimer.lease.clone();
        let timeout = self.means.config.get().run_timeout;
        let found = tokio::select! {
            biased;
            () = lease.lost(claim.runner_id) => return debug!("run dropped: the row is not ours any more"),
            found = tokio::time::timeout(timeout, self.reconcile(&claim)) => found,
        };
        let change = found.unwrap_or_else(|_| {
            self.means.claimer.places.report(&claim.queue, Verdict::Failed);
            Some(self.later(&claim, None, "no end within the run's time".to_owned()))
        });
        if let Some(change) = change {
            self.settle(RunEnd { claim, change, now: to_microseconds(Utc::now()) }).await;
        }
    }

    /// Nothing where the row is no longer ours.
    async fn reconcile(&self, claim: &Claim) -> Option<RunChange> {
        match self.ask_everything(claim).await {
            Ok(change) => Some(change),
            Err(Cut::LostLease) => None,
            Err(Cut::Endless) => {
                Some(self.later(claim, None, "the bank gives the same page again and again".to_owned()))
            }
            Err(Cut::NoPlace) => {
                let error =
                    "the account has no place for a question: its calls are bounded, or its bank is away";
                Some(self.later(claim, None, error.to_owned()))
            }
            Err(Cut::Store(error)) => {
                warn!(work_id = %claim.id, %error, "run cut off");
                Some(self.later(claim, None, "the store was away".to_owned()))
            }
            Err(Cut::Bank(error)) => {
                let wait = match &error {
                    BankError::Unavailable { retry_after, .. } => *retry_after,
                    BankError::Misconfigured { .. } | BankError::Unsupported { .. } => {
                        warn!(bank_account = %claim.queue, %error, "bank connector misconfigured");
                        Some(self.means.config.get().retry_cap)
                    }
                    _ => None,
                };
                Some(self.later(claim, wait, error.to_string()))
            }
        }
    }

    async fn ask_everything(&self, claim: &Claim) -> Result<RunChange, Cut> {
        let id = crate::domain::ids::BankAccountId(claim.subject_id);
        let account = self.means.accounts.find(&claim.tenant_id, &AccountKey::Id(id)).await?;
        let Some(account) = account else { return Ok(RunChange::Moot) };
        match self.means.bank.capabilities(&account).reconciled_by {
            ReconciledBy::Listing => self.read_listing(claim, &account).await,
            ReconciledBy::LookUp => self.look_up_open(claim, &account).await,
            ReconciledBy::Nothing => Ok(RunChange::Moot),
        }
    }

    async fn read_listing(&self, claim: &Claim, account: &BankAccount) -> Result<RunChange, Cut> {
        let store = &self.means.claimer.store;
        let known = store.reconciliation(&claim.tenant_id, account.id).await?;
        let until = store.now().with_timezone(&Sao_Paulo).date_naive();
        let since = self.first_day(known.and_then(|known| known.asked_until), until);
        let mut counts = Counts::default();
        let mut cursor: Option<String> = None;
        loop {
            let request = MovementsRequest { account, since, until, cursor: cursor.as_deref() };
            let MovementPage { movements, next } = self.ask(claim, &request).await?;
            counts = counts.plus(self.write_down(claim, account, movements).await?);
            let Some(next) = next else { break };
            if cursor.as_ref() == Some(&next) {
                return Err(Cut::Endless);
            }
            cursor = Some(next);
        }
        let now = store.now();
        let next = Box::new(reconciliation_work(account, now + self.means.config.get().every, now));
        Ok(RunChange::Done { asked_until: Some(until), counts, next })
    }

    /// From when on the bank is asked.
    fn first_day(&self, asked_until: Option<NaiveDate>, until: NaiveDate) -> NaiveDate {
        let config = self.means.config.get();
        let earliest = before(until, config.history);
        asked_until
            .map_or(earliest, |asked_until| before(asked_until, config.lookback).clamp(earliest, until))
    }

    async fn ask(&self, claim: &Claim, request: &MovementsRequest<'_>) -> Result<MovementPage, Cut> {
        crate::failpoint::reached("bank.payments.before");
        let answer = self.means.bank.payments_since(request).await;
        crate::failpoint::reached("bank.payments.after");
        if let Some(verdict) = bank_attempt::verdict(answer.as_ref().err()) {
            self.means.claimer.places.report(&claim.queue, verdict);
        }
        answer.map_err(Cut::Bank)
    }

    /// Writes a page down, slice by slice.
    async fn write_down(
        &self,
        claim: &Claim,
        account: &BankAccount,
        movements: Vec<Movement>,
    ) -> Result<Counts, Cut> {
        let store = &self.means.claimer.store;
        let slice_max = match store.kind() {
            StoreKind::PostgreSql => SLICE_MAX,
            StoreKind::Sqlite => SLICE_MAX_SQLITE,
        };
        let mut counts = Counts::default();
        let mut facts = movements.into_iter().map(|movement| told(fact(movement), None)).peekable();
        while facts.peek().is_some() {
            let items = facts.by_ref().take(slice_max).collect();
            counts = counts.plus(self.apply(claim, account, items, None).await?);
        }
        Ok(counts)
    }

    /// Writes a slice down, with how far look-ups have come by it.
    pub(super) async fn apply(
        &self,
        claim: &Claim,
        account: &BankAccount,
        items: Vec<Told>,
        position: Option<Position>,
    ) -> Result<Counts, Cut> {
        let slice = Slice {
            claim: claim.clone(),
            range_key: account.issuer.range_key(),
            items,
            position: position.map(Position::payload),
            delivery_attempts_max: self.means.delivery_attempts_max,
            now: to_microseconds(Utc::now()),
        };
        let write = |_| {
            let (store, slice) = (&self.means.claimer.store, &slice);
            async move {
                crate::failpoint::reached("reconcile.apply.before");
                let applied = store.apply_movements(slice).await?;
                crate::failpoint::reached("reconcile.apply.after");
                Ok(applied)
            }
        };
        let applied = bank_attempt::write_down(&self.means.claimer, claim, write).await?;
        let came_to = applied.flatten().ok_or(Cut::LostLease)?;
        if came_to.payments + came_to.cancellations > 0 {
            self.means.hints.there_is_work("delivery/");
            self.means.changes.send_modify(|count| *count += 1);
        }
        Ok(came_to)
    }

    fn later(&self, claim: &Claim, wait: Option<Duration>, error: String) -> RunChange {
        let backoff = self.means.claimer.returns.policy().wait_after(claim.attempt, rand::random());
        let run_at = self.means.claimer.store.now() + wait.map_or(backoff, |wait| wait.max(backoff));
        RunChange::Later { run_at, error }
    }

    /// Writes the end down, however long the store is away, for as long as the lease holds.
    async fn settle(self, end: RunEnd) {
        let Self { means, guard } = self;
        let write = |may_be_committed: bool| {
            let (means, end) = (means.clone(), end.clone());
            async move {
                crate::failpoint::reached("reconcile.settle.before");
                let ended = means.claimer.store.end_reconciliation(&end).await?;
                crate::failpoint::reached("reconcile.settle.after");
                if may_be_committed && ended == RunEnded::LostLease {
                    let went_through = means.claimer.store.work_ended_by(&end.claim).await?;
                    return Ok(if went_through { RunEnded::Done } else { ended });
                }
                Ok(ended)
            }
        };
        match bank_attempt::write_down(&means.claimer, &end.claim, write).await {
            Ok(ended) => {
                let ended = ended.unwrap_or(RunEnded::LostLease);
                if ended == RunEnded::Done {
                    guard.settled();
                }
                report(&end, ended);
                means.changes.send_modify(|count| *count += 1);
            }
            // The guard puts the row back with its attempt counted.
            Err(error) => error!(work_id = %end.claim.id, %error, "end of a run cannot be written down"),
        }
    }
}

/// The day so long before another; parts of a day do not count.
fn before(day: NaiveDate, span: Duration) -> NaiveDate {
    day.checked_sub_days(Days::new(span.as_secs() / 86_400)).unwrap_or(day)
}

fn fact(movement: Movement) -> Fact {
    let happened = match movement.kind {
        MovementKind::Paid { amount, on } => Happened::Paid { total: amount, on },
        MovementKind::PartlyPaid { amount, on } => Happened::PartlyPaid { total: amount, on },
        MovementKind::Cancelled { on } => Happened::Cancelled { on: Some(on) },
    };
    Fact {
        nosso_numero: movement.nosso_numero,
        bank_reference: movement.bank_reference,
        happened,
        response_code: movement.response.code,
    }
}

/// A fact, with the ids of what may be made of it.
pub(super) fn told(fact: Fact, asked: Option<Asked>) -> Told {
    Told {
        fact,
        asked,
        payment_id: Uuid::now_v7(),
        event_id: EventId(Uuid::now_v7()),
        difference_id: Uuid::now_v7(),
    }
}

fn report(end: &RunEnd, ended: RunEnded) {
    let bank_account_id = end.claim.subject_id;
    match (ended, &end.change) {
        (RunEnded::LostLease, _) => warn!(%bank_account_id, "end of a run dropped: the row had moved on"),
        (_, RunChange::Done { counts, .. }) => {
            let Counts { movements, payments, cancellations, differences } = counts;
            info!(%bank_account_id, movements, payments, cancellations, differences, "account reconciled");
        }
        (_, RunChange::Later { run_at, error }) => {
            let run_at: &DateTime<Utc> = run_at;
            telemetry::note_failure("attempt_failed");
            warn!(%bank_account_id, %error, %run_at, "account not reconciled");
        }
        (_, RunChange::Moot) => debug!(%bank_account_id, "nothing to ask for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_day_do_not_count() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let hours = |hours: u64| before(day, Duration::from_secs(hours * 3_600)).to_string();
        assert_eq!(
            [hours(0), hours(23), hours(24), hours(72)],
            ["2026-03-01", "2026-03-01", "2026-02-28", "2026-02-26"]
        );
    }
}
