//! One attempt to have one boleto registered: look first when bytes may have left before, then ask, then write down.
//!
//! **Owns** its claim, in a guard. **Fails** never: whatever the bank does becomes a [`Change`]; a panic or a cut leaves
//! the row to the guard. **Limits**: `registration.attempt_timeout`, and the lease: a process that may have been buried
//! asks nobody anything.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::America::Sao_Paulo;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{FreshBoleto, Means};
use crate::connectors::banks::{
    Agreement, Bank as _, BankError, LookUp, LookUpRequest, RegisterRequest, Registration, Title, TitleState,
};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::ids::{BankAccountId, BoletoId, EventId};
use crate::domain::work::{Claim, WorkState};
use crate::messages::bank_accounts::AccountKey;
use crate::store::StoreError;
use crate::store::boleto_settle::{Change, Settled, Settlement};
use crate::work::ClaimGuard;
use crate::work::breaker::Verdict;

/// Between two tries to write an outcome down while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);
/// The bank's words are kept up to this length.
const MESSAGE_CHARS_MAX: usize = 500;

/// An attempt about to be made.
pub(super) struct Attempt {
    pub means: Arc<Means>,
    pub guard: ClaimGuard,
    pub fresh: Option<FreshBoleto>,
}

/// What the attempt found out.
enum Found {
    Change(Change),
    /// The row is no longer ours, or the store is away before anything was done: nothing to write down.
    Nothing,
}

impl Attempt {
    pub async fn run(mut self) {
        let claim = self.guard.claim().clone();
        let lease = self.means.claimer.lease.clone();
        let fresh = self.fresh.take();
        let is_fresh = fresh.is_some();
        let (mut boleto, reply) = match fresh {
            Some(FreshBoleto { boleto, reply }) => (Some(boleto), Some(reply)),
            None => (None, None),
        };
        // Of one that was just made, bytes count as sent since its making; the attempt ends as long after that as any.
        let now = self.means.claimer.store.now();
        let since_sent = now - claim.sent_at.filter(|_| is_fresh).unwrap_or(now);
        let timeout =
            self.means.config.attempt_timeout.saturating_sub(since_sent.to_std().unwrap_or_default());
        let found = tokio::select! {
            biased;
            () = lease.lost(claim.runner_id) => Some(Found::Nothing),
            found = tokio::time::timeout(timeout, self.ask(&claim, is_fresh, &mut boleto)) => found.ok(),
        };
        let found = found.unwrap_or_else(|| {
            self.means.claimer.places.report(&claim.queue, Verdict::Failed);
            let error = "no end within the attempt's time".to_owned();
            Found::Change(self.later(&claim, None, true, error))
        });
        let Found::Change(change) = found else {
            debug!("attempt dropped: the row is not ours any more");
            return;
        };
        let now = to_microseconds(Utc::now());
        let settled = self.settle(claim, change.clone(), now).await;
        if let (Some(reply), Some(boleto), Some(Settled::Done { version: Some(version) })) =
            (reply, boleto, settled)
        {
            // The caller may have hung up; that changes nothing.
            let _ = reply.send(after(boleto, &change, version, now));
        }
    }

    async fn ask(&mut self, claim: &Claim, is_fresh: bool, boleto: &mut Option<Boleto>) -> Found {
        if boleto.is_none() {
            *boleto = match self.read(claim).await {
                Ok(Some(boleto)) => Some(boleto),
                Ok(None) => {
                    let error = "the boleto of this work is gone".to_owned();
                    return Found::Change(Change::GivenUp { error });
                }
                Err(error) => return self.store_trouble(claim, &error),
            };
        }
        let Some(boleto) = boleto.as_ref() else { return Found::Nothing };
        if !boleto.status.awaits_registration() {
            return Found::Change(Change::Moot);
        }
        let account = match self.account(claim, boleto.bank_account_id).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                let error = "the bank account of this boleto is gone".to_owned();
                return Found::Change(Change::GivenUp { error });
            }
            Err(error) => return self.store_trouble(claim, &error),
        };
        // From here on a crash may be this boleto's own doing, and counts.
        self.guard.begin();
        if !is_fresh {
            if let Some(sent_at) = claim.sent_at
                && let Some(change) = self.look_first(claim, &account, boleto, sent_at).await
            {
                return Found::Change(change);
            }
            match self.means.claimer.store.mark_sent(&[claim], self.means.claimer.store.now()).await {
                Ok(held) if held.contains(&claim.id) => {}
                Ok(_) => return Found::Nothing,
                Err(error) => return self.store_trouble(claim, &error),
            }
        }
        Found::Change(self.register(claim, &account, boleto).await)
    }

    async fn read(&self, claim: &Claim) -> Result<Option<Boleto>, StoreError> {
        let stored = self.means.claimer.store.boleto(&claim.tenant_id, BoletoId(claim.subject_id)).await?;
        Ok(stored.map(|stored| stored.boleto))
    }

    async fn account(
        &self,
        claim: &Claim,
        id: BankAccountId,
    ) -> Result<Option<Arc<BankAccount>>, StoreError> {
        self.means.accounts.find(&claim.tenant_id, &AccountKey::Id(id)).await
    }

    /// Bytes left before, and nobody knows what came of it. Nothing: the bank has none on file, so it may be asked.
    async fn look_first(
        &self,
        claim: &Claim,
        account: &BankAccount,
        boleto: &Boleto,
        sent_at: DateTime<Utc>,
    ) -> Option<Change> {
        let settle_after = self.means.bank.capabilities().settle_after;
        match self.look_up(claim, account, boleto).await {
            Ok(LookUp::OnFile(title)) => Some(on_file(*title)),
            Ok(LookUp::NotFound) => {
                let counts_from = sent_at + settle_after;
                if self.means.claimer.store.now() >= counts_from {
                    return None;
                }
                // What was sent may still arrive; "not found" proves nothing yet.
                let error = "not on file yet; what was sent may still arrive".to_owned();
                Some(Change::Open {
                    run_at: counts_from,
                    state: WorkState::Scheduled,
                    error,
                    attempt_counts: false,
                })
            }
            Err(error) => Some(self.trouble(claim, error)),
        }
    }

    async fn look_up(
        &self,
        claim: &Claim,
        account: &BankAccount,
        boleto: &Boleto,
    ) -> Result<LookUp, BankError> {
        crate::failpoint::reached("bank.look_up.before");
        let answer = self.means.bank.look_up(&LookUpRequest { account, boleto }).await;
        crate::failpoint::poison(boleto.reference_id.as_deref());
        crate::failpoint::reached("bank.look_up.after");
        // A bank that finds nothing may still be unable to register: that says nothing yet.
        if !matches!(answer, Ok(LookUp::NotFound)) {
            self.hear(claim, answer.as_ref().err());
        }
        answer
    }

    /// Tells the queue's breaker what an answer says about the bank. A no is an answer.
    fn hear(&self, claim: &Claim, error: Option<&BankError>) {
        let verdict = match error {
            None | Some(BankError::Refused { .. } | BankError::AlreadyOnFile { .. }) => Verdict::Answered,
            Some(
                BankError::OutcomeUnknown { .. }
                | BankError::Unavailable { .. }
                | BankError::Misconfigured { .. },
            ) => Verdict::Failed,
            // The bank was not asked.
            Some(BankError::Unsupported { .. }) => return,
        };
        self.means.claimer.places.report(&claim.queue, verdict);
    }

    async fn register(&self, claim: &Claim, account: &BankAccount, boleto: &Boleto) -> Change {
        let attempt_key = format!("{}:{}", claim.id, claim.fence);
        let request = RegisterRequest {
            account,
            boleto,
            attempt_key: &attempt_key,
            issue_date: boleto.created_at.with_timezone(&Sao_Paulo).date_naive(),
        };
        crate::failpoint::reached("bank.register.before");
        let answer = self.means.bank.register(&request).await;
        crate::failpoint::poison(boleto.reference_id.as_deref());
        crate::failpoint::reached("bank.register.after");
        self.hear(claim, answer.as_ref().err());
        match answer {
            Ok(Registration { response, pix_emv, .. }) => {
                Change::Decided { status: Status::Registered, response: Some(cut(response)), pix_emv }
            }
            Err(BankError::AlreadyOnFile { response }) => match self.look_up(claim, account, boleto).await {
                Ok(LookUp::OnFile(title)) => on_file(*title),
                Ok(LookUp::NotFound) => {
                    let error = format!("on file by {} and not found", response.code);
                    self.later(claim, None, true, error)
                }
                Err(error) => self.trouble(claim, error),
            },
            Err(error) => self.trouble(claim, error),
        }
    }

    /// What an error of the bank's means for the work.
    fn trouble(&self, claim: &Claim, error: BankError) -> Change {
        let words = error.to_string();
        match error {
            BankError::Refused { response } => {
                Change::Decided { status: Status::Refused, response: Some(cut(response)), pix_emv: None }
            }
            BankError::Unsupported { reason } => Change::Decided {
                status: Status::Refused,
                response: Some(cut(BankResponse { code: "unsupported".to_owned(), message: reason })),
                pix_emv: None,
            },
            BankError::OutcomeUnknown { .. } | BankError::AlreadyOnFile { .. } => {
                self.later(claim, None, true, words)
            }
            // The bank was away, which is no fault of this boleto: it costs no attempt.
            BankError::Unavailable { retry_after, .. } => self.later(claim, retry_after, false, words),
            BankError::Misconfigured { .. } => {
                warn!(bank_account = %claim.queue, error = %words, "bank connector misconfigured");
                self.later(claim, Some(self.means.config.retry_cap), false, words)
            }
        }
    }

    fn later(&self, claim: &Claim, wait: Option<Duration>, attempt_counts: bool, error: String) -> Change {
        if attempt_counts && !claim.has_attempts_left() {
            return Change::GivenUp { error };
        }
        // What costs no attempt backs off by its age, or a bank that is away would be asked at the pace of a first retry.
        let policy = self.means.claimer.returns.policy();
        let age = (Utc::now() - claim.created_at).to_std().unwrap_or_default();
        let by_age = 1 + (age.as_secs_f64() / policy.base.as_secs_f64().max(0.001)).max(1.0).log2() as i64;
        let backoff = policy.wait_after(claim.attempt.max(by_age), rand::random());
        let run_at = self.means.claimer.store.now() + wait.map_or(backoff, |wait| wait.max(backoff));
        Change::Open { run_at, state: WorkState::Retryable, error, attempt_counts }
    }

    /// The store is away before anything was asked: the guard gives the row back when it can. What the store cannot read
    /// counts as an attempt, so that it becomes a dead letter and is not tried for ever.
    fn store_trouble(&self, claim: &Claim, error: &StoreError) -> Found {
        warn!(work_id = %claim.id, %error, "attempt not made");
        if error.is_transient() {
            Found::Nothing
        } else {
            Found::Change(self.later(claim, None, true, error.to_string()))
        }
    }

    /// Writes the outcome down, however long the store is away, for as long as the lease holds.
    async fn settle(self, claim: Claim, change: Change, now: DateTime<Utc>) -> Option<Settled> {
        let Self { means, guard, .. } = self;
        let settlement = Settlement {
            claim: claim.clone(),
            event_id: EventId(Uuid::now_v7()),
            change,
            delivery_attempts_max: means.delivery_attempts_max,
            now,
        };
        let mut may_be_committed = false;
        let outcome = tokio::select! {
            biased;
            outcome = async {
                loop {
                    match means.settlements.run(settlement.clone()).await {
                        Err(error) if error.is_transient() => {
                            warn!(%error, "outcome not written down yet");
                            may_be_committed = true;
                            tokio::time::sleep(AWAY_WAIT).await;
                        }
                        Ok(Settled::LostLease) if may_be_committed => {
                            match means.claimer.store.registration_ended_by(&claim).await {
                                Ok(true) => break Ok(Settled::Done { version: None }),
                                Ok(false) => break Ok(Settled::LostLease),
                                Err(_) => tokio::time::sleep(AWAY_WAIT).await,
                            }
                        }
                        outcome => break outcome,
                    }
                }
            } => outcome,
            () = means.claimer.lease.lost(claim.runner_id) => Ok(Settled::LostLease),
        };
        match outcome {
            Ok(settled) => {
                // A lease that was lost may be held again once the store is back; then the row is still ours to give back.
                if matches!(settled, Settled::Done { .. }) {
                    guard.settled();
                }
                report(&settlement, settled);
                if matches!(settlement.change, Change::Decided { .. }) {
                    means.hints.there_is_work("delivery/");
                }
                means.changes.send_modify(|count| *count += 1);
                Some(settled)
            }
            Err(error) => {
                // Poison: the guard puts the row back with its attempt counted, until it is a dead letter.
                tracing::error!(work_id = %claim.id, %error, "outcome cannot be written down");
                None
            }
        }
    }
}

fn report(settlement: &Settlement, settled: Settled) {
    let boleto_id = settlement.claim.subject_id;
    match (settled, &settlement.change) {
        (Settled::LostLease, _) => warn!(%boleto_id, "outcome dropped: the row had moved on"),
        (_, Change::Decided { status, .. }) => info!(%boleto_id, status = status.as_str(), "boleto decided"),
        (_, Change::Open { error, .. }) => warn!(%boleto_id, %error, "boleto left pending"),
        (_, Change::GivenUp { error }) => warn!(%boleto_id, %error, "registration given up: a dead letter"),
        (_, Change::Moot) => debug!(%boleto_id, "nothing left to register"),
    }
}

/// What the bank has on file under our number decides; whether it is ours is said by what can be compared.
///
/// One that the bank has taken off file, or holds in a way that we do not know, is nobody's to pay: a person decides.
fn on_file(title: Title) -> Change {
    let status = match title.agreement {
        Agreement::Agrees if matches!(title.state, TitleState::Open | TitleState::Settled) => {
            Status::Registered
        }
        Agreement::Agrees => {
            warn!(state = ?title.state, "the bank has our title in a state that is not payable");
            Status::NeedsReview
        }
        Agreement::Differs(ref parts) => {
            warn!(?parts, "the bank has another title under our number");
            Status::NeedsReview
        }
    };
    Change::Decided { status, response: Some(cut(title.response)), pix_emv: title.pix_emv }
}

fn cut(mut response: BankResponse) -> BankResponse {
    if let Some((end, _)) = response.message.char_indices().nth(MESSAGE_CHARS_MAX) {
        response.message.truncate(end);
    }
    response
}

/// The boleto as the store has it now, without reading it again.
fn after(mut boleto: Boleto, change: &Change, version: i64, now: DateTime<Utc>) -> Boleto {
    boleto.version = version;
    boleto.updated_at = now;
    match change {
        Change::Decided { status, response, pix_emv } => {
            boleto.status = *status;
            boleto.bank_response = response.clone();
            boleto.pix_emv = pix_emv.clone();
        }
        Change::Open { .. } | Change::GivenUp { .. } => boleto.status = Status::PendingRegistration,
        Change::Moot => {}
    }
    boleto
}

/// A moment as the store keeps it, so that what is answered now is what is read later.
fn to_microseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}
