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
use crate::actors::bank_attempt::{self, cut, next_attempt, to_microseconds};
use crate::connectors::banks::{
    Agreement, Bank as _, BankError, LookUp, LookUpRequest, RegisterAnswer, RegisterRequest, Registration,
    Title, TitleState,
};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::ids::{BankAccountId, BoletoId, EventId};
use crate::domain::work::{Claim, WorkState};
use crate::messages::bank_accounts::AccountKey;
use crate::store::StoreError;
use crate::store::boleto_settle::{Change, Given, Settled, Settlement};
use crate::telemetry;
use crate::work::ClaimGuard;
use crate::work::breaker::Verdict;

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
        let sent_before = claim.sent_at.is_some() && !is_fresh;
        Found::Change(self.register(claim, &account, boleto, sent_before).await)
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
        let settle_after = self.means.bank.capabilities(account).settle_after;
        match self.look_up(claim, account, boleto).await {
            Ok(LookUp::OnFile(title)) => Some(on_file(*title, boleto)),
            Ok(LookUp::Refused(response)) => Some(decided(Status::Refused, response)),
            Ok(LookUp::InProgress) => Some(self.not_decided_yet(None)),
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
                    nothing_was_sent: false,
                    bank_reference: None,
                })
            }
            Err(BankError::Unsupported { .. }) => self.cannot_look(account, boleto),
            Err(error) => Some(self.trouble(claim, error)),
        }
    }

    /// The bank cannot be asked what it has. Asking it to register again is right only where that makes no second title.
    fn cannot_look(&self, account: &BankAccount, boleto: &Boleto) -> Option<Change> {
        if self.means.bank.capabilities(account).repeatable {
            return None;
        }
        warn!(boleto_id = %boleto.id, "outcome unknown at a bank that can be neither asked nor told twice");
        let message = "the outcome of a registration is unknown, and this bank cannot be asked about it";
        let response = BankResponse { code: "unknown".to_owned(), message: message.to_owned() };
        Some(decided(Status::NeedsReview, response))
    }

    /// The bank has taken it and says later what came of it.
    fn not_decided_yet(&self, bank_reference: Option<String>) -> Change {
        let wait = self.means.config.ask_again_after;
        Change::Open {
            run_at: self.means.claimer.store.now() + wait,
            state: WorkState::Scheduled,
            error: "taken by the bank, not decided yet".to_owned(),
            attempt_counts: false,
            nothing_was_sent: false,
            bank_reference,
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

    /// Tells the queue's breaker what an answer says about the bank.
    fn hear(&self, claim: &Claim, error: Option<&BankError>) {
        if let Some(verdict) = bank_attempt::verdict(error) {
            self.means.claimer.places.report(&claim.queue, verdict);
        }
    }

    /// `sent_before`: bytes may have left for it before this attempt, by us or by the service that it was imported from.
    async fn register(
        &self,
        claim: &Claim,
        account: &BankAccount,
        boleto: &Boleto,
        sent_before: bool,
    ) -> Change {
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
            Ok(RegisterAnswer::Registered(registration)) => registered(registration, account, boleto),
            Ok(RegisterAnswer::Accepted { bank_reference }) => self.not_decided_yet(Some(bank_reference)),
            Err(BankError::AlreadyOnFile { response }) => {
                self.already_on_file(claim, account, boleto, response, sent_before).await
            }
            Err(error) => {
                // What the bank kept nothing of leaves no doubt behind, unless an attempt before has left one.
                let kept_nothing =
                    matches!(error, BankError::Unavailable { .. } | BankError::Misconfigured { .. });
                let mut change = self.trouble(claim, error);
                if let Change::Open { nothing_was_sent, .. } = &mut change {
                    *nothing_was_sent = kept_nothing && !sent_before;
                }
                change
            }
        }
    }

    /// The number is taken. What the bank has under it decides; a bank that cannot be asked is believed where our own
    /// attempt may have put it there, and else a person decides.
    async fn already_on_file(
        &self,
        claim: &Claim,
        account: &BankAccount,
        boleto: &Boleto,
        response: BankResponse,
        sent_before: bool,
    ) -> Change {
        match self.look_up(claim, account, boleto).await {
            Ok(LookUp::OnFile(title)) => on_file(*title, boleto),
            Ok(LookUp::Refused(response)) => decided(Status::Refused, response),
            Ok(LookUp::InProgress) => self.not_decided_yet(None),
            Ok(LookUp::NotFound) => {
                let error = format!("on file by {} and not found", response.code);
                self.later(claim, None, true, error)
            }
            Err(BankError::Unsupported { .. }) if sent_before && boleto.codes.barcode.is_some() => {
                decided(Status::Registered, response)
            }
            Err(BankError::Unsupported { .. }) => decided(Status::NeedsReview, response),
            Err(error) => self.trouble(claim, error),
        }
    }

    /// What an error of the bank's means for the work.
    fn trouble(&self, claim: &Claim, error: BankError) -> Change {
        let words = error.to_string();
        match error {
            BankError::Refused { response } => decided(Status::Refused, response),
            BankError::Disagrees { response, parts } => {
                warn!(boleto_id = %claim.subject_id, ?parts, "the bank's answer disagrees with what was asked");
                decided(Status::NeedsReview, response)
            }
            BankError::Unsupported { reason } => {
                decided(Status::Refused, BankResponse { code: "unsupported".to_owned(), message: reason })
            }
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
        let run_at = next_attempt(&self.means.claimer, claim, wait);
        let (state, nothing_was_sent) = (WorkState::Retryable, false);
        Change::Open { run_at, state, error, attempt_counts, nothing_was_sent, bank_reference: None }
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
        let write = |may_be_committed: bool| {
            let (means, settlement) = (means.clone(), settlement.clone());
            async move {
                let claim = settlement.claim.clone();
                let settled = means.settlements.run(settlement).await?;
                if may_be_committed && settled == Settled::LostLease {
                    let went_through = means.claimer.store.registration_ended_by(&claim).await?;
                    return Ok(if went_through { Settled::Done { version: None } } else { settled });
                }
                Ok(settled)
            }
        };
        let outcome = bank_attempt::write_down(&means.claimer, &claim, write).await;
        match outcome.map(|settled| settled.unwrap_or(Settled::LostLease)) {
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
        (_, Change::Open { error, .. }) => {
            telemetry::note_failure("attempt_failed");
            warn!(%boleto_id, %error, "boleto left pending");
        }
        (_, Change::GivenUp { error }) => {
            telemetry::note_failure("given_up");
            warn!(%boleto_id, %error, "registration given up: a dead letter");
        }
        (_, Change::Moot) => debug!(%boleto_id, "nothing left to register"),
    }
}

/// What the bank has on file under our number decides; whether it is ours is said by what can be compared.
///
/// One that the bank has taken off file, or holds in a way that we do not know, is nobody's to pay: a person decides.
fn on_file(title: Title, boleto: &Boleto) -> Change {
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
    if status != Status::Registered {
        return decided(status, title.response);
    }
    let given = Box::new(Given {
        nosso_numero: title.nosso_numero,
        // What we made ourselves has been compared, and stays.
        barcode: title.barcode.filter(|_| boleto.codes.barcode.is_none()),
        pix_emv: title.pix_emv,
        ..Given::default()
    });
    if given.barcode.is_none() && boleto.codes.barcode.is_none() {
        warn!(boleto_id = %boleto.id, "the bank has our title and gives no codes for it");
        return decided(Status::NeedsReview, title.response);
    }
    Change::Decided { status, response: Some(cut(title.response)), given }
}

/// The bank has it. What it gave is kept; without any codes nobody could pay, and a person decides.
fn registered(registration: Registration, account: &BankAccount, boleto: &Boleto) -> Change {
    let Registration { response, codes, pix_emv, bank_reference, url } = registration;
    if codes.is_none() && boleto.codes.barcode.is_none() {
        warn!(boleto_id = %boleto.id, bank = account.provider.as_str(), "registered without any codes");
        return decided(Status::NeedsReview, response);
    }
    let (nosso_numero, barcode) = match codes {
        Some(codes) => (codes.nosso_numero, Some(codes.barcode)),
        None => (None, None),
    };
    let given =
        Box::new(Given { nosso_numero, nosso_numero_dv: None, barcode, pix_emv, bank_reference, url });
    Change::Decided { status: Status::Registered, response: Some(cut(response)), given }
}

fn decided(status: Status, response: BankResponse) -> Change {
    Change::Decided { status, response: Some(cut(response)), given: Box::default() }
}

/// The boleto as the store has it now, without reading it again.
fn after(mut boleto: Boleto, change: &Change, version: i64, now: DateTime<Utc>) -> Boleto {
    boleto.version = version;
    boleto.updated_at = now;
    match change {
        Change::Decided { status, response, given } => {
            boleto.status = *status;
            boleto.bank_response = response.clone();
            keep(&mut boleto.codes.nosso_numero, &given.nosso_numero);
            keep(&mut boleto.codes.nosso_numero_dv, &given.nosso_numero_dv);
            keep(&mut boleto.codes.barcode, &given.barcode);
            keep(&mut boleto.pix_emv, &given.pix_emv);
            keep(&mut boleto.bank_reference, &given.bank_reference);
            keep(&mut boleto.url, &given.url);
        }
        Change::Open { bank_reference, .. } => {
            boleto.status = Status::PendingRegistration;
            keep(&mut boleto.bank_reference, bank_reference);
        }
        Change::GivenUp { .. } => boleto.status = Status::PendingRegistration,
        Change::Moot => {}
    }
    boleto
}

/// Takes over what is new; what is absent takes nothing away.
fn keep<T: Clone>(kept: &mut Option<T>, given: &Option<T>) {
    if given.is_some() {
        kept.clone_from(given);
    }
}
