//! One attempt to carry one order out: look first where bytes may have left before, then ask, then write down.
//!
//! Both orders bear being given twice: a cancelled title is refused the second time and then looked up, an amendment sets
//! what it says. So an unknown outcome is looked at first, and where the look tells nothing the bank is asked again. A no
//! is looked at too, for it may mean that the title was paid, or that our own lost call had been heard.
//!
//! **Owns** its claim, in a guard. **Fails** never: whatever the bank does becomes an [`OrderChange`]; a panic or a cut
//! leaves the row to the guard. **Limits**: `registration.attempt_timeout`, and the lease.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::Means;
use super::answers::{Next, ended, ended_at_the_bank, next, ours, refused, shows, with_codes};
use crate::actors::bank_attempt::{self, next_attempt, to_microseconds};
use crate::connectors::banks::{
    Agreement, AmendRequest, Bank as _, BankError, CancelRequest, CodesFrom, LookUp, LookUpRequest,
};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::amendment::Amendment;
use crate::domain::boleto::order::{Order, OrderState, Wish};
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::ids::{BoletoId, EventId, OrderId};
use crate::domain::work::{Claim, WorkState};
use crate::messages::bank_accounts::AccountKey;
use crate::store::StoreError;
use crate::store::boleto_order::OrderPayload;
use crate::store::boleto_order_settle::{Effect, OrderChange, OrderSettled, OrderSettlement};
use crate::telemetry;
use crate::work::ClaimGuard;
use crate::work::breaker::Verdict;

/// An attempt about to be made.
pub(super) struct Attempt {
    pub means: Arc<Means>,
    pub guard: ClaimGuard,
}

/// What the order is about.
struct Case {
    order: Order,
    boleto: Boleto,
    account: Arc<BankAccount>,
    registration_lives: bool,
}

/// What was found out about the case.
enum Read {
    Case(Box<Case>),
    /// A row that the order needs is gone, which no attempt mends.
    Gone(&'static str),
}

impl Attempt {
    pub async fn run(mut self) {
        let claim = self.guard.claim().clone();
        let Ok(OrderPayload { order_id }) = serde_json::from_str(&claim.payload) else {
            // The guard gives the row back with its attempt counted, until it is a dead letter.
            error!(work_id = %claim.id, "order without a name");
            self.guard.begin();
            return;
        };
        let mut reason = String::new();
        let lease = self.means.claimer.lease.clone();
        let timeout = self.means.config.attempt_timeout;
        let found = tokio::select! {
            biased;
            () = lease.lost(claim.runner_id) => return debug!("attempt dropped: the row is not ours any more"),
            found = tokio::time::timeout(timeout, self.carry_out(&claim, order_id, &mut reason)) => found,
        };
        let change = found.unwrap_or_else(|_| {
            self.means.claimer.places.report(&claim.queue, Verdict::Failed);
            Some(self.later(&claim, None, true, "no end within the attempt's time".to_owned()))
        });
        let Some(change) = change else { return };
        let settlement = OrderSettlement {
            order_id,
            reason,
            event_id: EventId(Uuid::now_v7()),
            change,
            delivery_attempts_max: self.means.delivery_attempts_max,
            now: to_microseconds(Utc::now()),
            claim,
        };
        self.settle(settlement).await;
    }

    /// Nothing where the row is no longer ours, or the store is away before anything was done.
    async fn carry_out(&mut self, claim: &Claim, id: OrderId, reason: &mut String) -> Option<OrderChange> {
        let case = match self.read(claim, id).await {
            Ok(Read::Case(case)) => case,
            Ok(Read::Gone(what)) => return Some(OrderChange::GivenUp { error: what.to_owned() }),
            Err(error) => return self.store_trouble(claim, &error),
        };
        reason.clone_from(&case.order.reason);
        if !case.order.state.may_be_tried() {
            return Some(OrderChange::Moot);
        }
        match next(&case.order, &case.boleto, case.registration_lives) {
            Next::End(change) => Some(change),
            Next::Wait => {
                Some(self.snooze(next_attempt(&self.means.claimer, claim, None), "not decided yet"))
            }
            Next::Look => {
                self.guard.begin();
                self.look_for_none(claim, &case).await
            }
            Next::Ask => {
                self.guard.begin();
                if claim.sent_at.is_some()
                    && let Some(change) = self.look_first(claim, &case).await
                {
                    return Some(change);
                }
                self.ask(claim, &case).await
            }
        }
    }

    async fn read(&self, claim: &Claim, id: OrderId) -> Result<Read, StoreError> {
        let (store, boleto_id) = (&self.means.claimer.store, BoletoId(claim.subject_id));
        // In this order: a registration that has ended before the boleto is read has left its outcome there.
        let registration_lives = store.registration_lives(boleto_id).await?;
        let Some(stored) = store.boleto(&claim.tenant_id, boleto_id).await? else {
            return Ok(Read::Gone("the boleto of this order is gone"));
        };
        let boleto = stored.boleto;
        let Some(order) = store.order(&claim.tenant_id, boleto_id, id).await? else {
            return Ok(Read::Gone("the order of this work is gone"));
        };
        let key = AccountKey::Id(boleto.bank_account_id);
        let Some(account) = self.means.accounts.find(&claim.tenant_id, &key).await? else {
            return Ok(Read::Gone("the bank account of this boleto is gone"));
        };
        Ok(Read::Case(Box::new(Case { order, boleto, account, registration_lives })))
    }

    /// Its registration has ended without an outcome. Where the bank has none, nothing is left to cancel there; "not
    /// found" counts only so long after the look began that whatever was sent has arrived.
    async fn look_for_none(&self, claim: &Claim, case: &Case) -> Option<OrderChange> {
        let now = self.means.claimer.store.now();
        let began = match claim.sent_at {
            Some(began) => began,
            None if self.mark_sent(claim).await? => now,
            None => return None,
        };
        let counts_from = began + self.means.bank.capabilities(&case.account).settle_after;
        Some(match self.look_up(claim, case, &case.boleto).await {
            Ok(LookUp::OnFile(title)) => {
                if let Agreement::Differs(parts) = &title.agreement {
                    warn!(?parts, "the bank has another title under our number");
                    return Some(refused(ours(
                        "another_title",
                        "the bank has another title under this number",
                    )));
                }
                match ended_at_the_bank(&case.order, &case.boleto, &title, Utc::now()) {
                    Some(change) => change,
                    None => return self.ask(claim, case).await,
                }
            }
            Ok(LookUp::NotFound) if now < counts_from => {
                self.snooze(counts_from, "what was sent may still arrive")
            }
            Ok(LookUp::NotFound) => ended(OrderState::Done, None, Effect::CancelledUnfiled),
            Ok(LookUp::Refused(response)) => {
                ended(OrderState::Done, Some(response), Effect::CancelledUnfiled)
            }
            Ok(LookUp::InProgress) => self.taken_and_undecided(),
            // It cannot be asked what it has; it may still do as it is told.
            Err(BankError::Unsupported { .. }) => return self.ask(claim, case).await,
            Err(error) => self.trouble(claim, error),
        })
    }

    /// Bytes left before, and nobody knows what came of it. Nothing: the bank may be asked again.
    async fn look_first(&self, claim: &Claim, case: &Case) -> Option<OrderChange> {
        match self.look(claim, case).await {
            Ok(change) => change,
            Err(BankError::Unsupported { .. }) => None,
            Err(error) => Some(self.trouble(claim, error)),
        }
    }

    /// What a look says about the order: it has ended, or nothing that would end it.
    async fn look(&self, claim: &Claim, case: &Case) -> Result<Option<OrderChange>, BankError> {
        let Case { order, boleto, .. } = case;
        let Wish::Amend(amendment) = &order.wish else {
            let LookUp::OnFile(title) = self.look_up(claim, case, boleto).await? else { return Ok(None) };
            return Ok(ended_at_the_bank(order, boleto, &title, Utc::now()));
        };
        let Some(amended) = self.amended(case, amendment) else { return Ok(None) };
        let LookUp::OnFile(title) = self.look_up(claim, case, &amended).await? else { return Ok(None) };
        if let Some(change) = ended_at_the_bank(order, boleto, &title, Utc::now()) {
            return Ok(Some(change));
        }
        if !shows(amendment, boleto) || title.agreement != Agreement::Agrees {
            return Ok(None);
        }
        let response = title.response.clone();
        Ok(Some(match with_codes(amended, &title) {
            Some(amended) => ended(OrderState::Done, Some(response), Effect::Amended(Box::new(amended))),
            None => self.codes_to_come(claim),
        }))
    }

    /// The boleto as it is to be. Codes that the bank makes are left to the bank where the amendment changes them.
    fn amended(&self, case: &Case, amendment: &Amendment) -> Option<Boleto> {
        let mut amended = amendment.apply(&case.boleto)?;
        let ours = self.means.bank.capabilities(&case.account).codes == CodesFrom::Us;
        if !ours && shows(amendment, &case.boleto) {
            amended.codes.barcode = None;
        }
        Some(amended)
    }

    async fn ask(&self, claim: &Claim, case: &Case) -> Option<OrderChange> {
        if !self.mark_sent(claim).await? {
            return None;
        }
        Some(match self.call(claim, case).await {
            Ok(response) => self.done(claim, case, response).await,
            Err(BankError::Refused { response }) => self.after_a_no(claim, case, response).await,
            Err(BankError::Unsupported { reason }) => refused(ours("unsupported", &reason)),
            Err(error) => self.trouble(claim, error),
        })
    }

    async fn call(&self, claim: &Claim, case: &Case) -> Result<BankResponse, BankError> {
        let Case { order, boleto, account, .. } = case;
        let attempt_key = &format!("{}:{}", claim.id, claim.fence);
        let answer = match &order.wish {
            Wish::Cancel => {
                let request = CancelRequest { account, boleto, reason: &order.reason, attempt_key };
                crate::failpoint::reached("bank.cancel.before");
                let answer = self.means.bank.cancel(&request).await;
                crate::failpoint::reached("bank.cancel.after");
                answer
            }
            Wish::Amend(amendment) => {
                let request = AmendRequest { account, boleto, amendment, attempt_key };
                crate::failpoint::reached("bank.amend.before");
                let answer = self.means.bank.amend(&request).await;
                crate::failpoint::reached("bank.amend.after");
                answer
            }
        };
        crate::failpoint::poison(boleto.reference_id.as_deref());
        self.hear(claim, answer.as_ref().err());
        answer
    }

    /// The bank did it. Where it makes the codes, they are asked for before anybody is told.
    async fn done(&self, claim: &Claim, case: &Case, response: BankResponse) -> OrderChange {
        let Wish::Amend(amendment) = &case.order.wish else {
            return ended(OrderState::Done, Some(response), Effect::Cancelled);
        };
        let Some(amended) = self.amended(case, amendment) else {
            return OrderChange::GivenUp { error: "amended to what no code can carry".to_owned() };
        };
        if amended.codes.barcode.is_some() || case.boleto.codes.barcode.is_none() {
            return ended(OrderState::Done, Some(response), Effect::Amended(Box::new(amended)));
        }
        match self.look_up(claim, case, &amended).await {
            Ok(LookUp::OnFile(title)) => match with_codes(amended, &title) {
                Some(amended) => ended(OrderState::Done, Some(response), Effect::Amended(Box::new(amended))),
                None => self.codes_to_come(claim),
            },
            Ok(_) => self.codes_to_come(claim),
            Err(error) => self.trouble(claim, error),
        }
    }

    /// The bank said no. It may have done so because the title has ended, or because it had heard us before.
    async fn after_a_no(&self, claim: &Claim, case: &Case, response: BankResponse) -> OrderChange {
        match self.look(claim, case).await {
            Ok(Some(change)) => change,
            Ok(None) | Err(BankError::Unsupported { .. }) if self.may_be_amended_already(claim, case) => {
                let error = format!("refused by {} after a call whose outcome is unknown", response.code);
                OrderChange::GivenUp { error }
            }
            Ok(None) | Err(BankError::Unsupported { .. }) => refused(response),
            Err(error) => self.trouble(claim, error),
        }
    }

    /// Whether an earlier call may have amended the title without any look being able to tell: a person must.
    fn may_be_amended_already(&self, claim: &Claim, case: &Case) -> bool {
        match &case.order.wish {
            Wish::Amend(amendment) => claim.sent_at.is_some() && !shows(amendment, &case.boleto),
            Wish::Cancel => false,
        }
    }

    async fn look_up(&self, claim: &Claim, case: &Case, boleto: &Boleto) -> Result<LookUp, BankError> {
        crate::failpoint::reached("bank.look_up.before");
        let answer = self.means.bank.look_up(&LookUpRequest { account: &case.account, boleto }).await;
        crate::failpoint::poison(boleto.reference_id.as_deref());
        crate::failpoint::reached("bank.look_up.after");
        self.hear(claim, answer.as_ref().err());
        answer
    }

    /// Tells the queue's breaker what an answer says about the bank.
    fn hear(&self, claim: &Claim, error: Option<&BankError>) {
        if let Some(verdict) = bank_attempt::verdict(error) {
            self.means.claimer.places.report(&claim.queue, verdict);
        }
    }

    /// Writes down that bytes are about to leave. False when the row has moved on; nothing when the store is away.
    async fn mark_sent(&self, claim: &Claim) -> Option<bool> {
        let store = &self.means.claimer.store;
        match store.mark_sent(&[claim], store.now()).await {
            Ok(held) => Some(held.contains(&claim.id)),
            Err(error) => {
                warn!(work_id = %claim.id, %error, "attempt not made");
                None
            }
        }
    }

    fn codes_to_come(&self, claim: &Claim) -> OrderChange {
        let wait = Some(self.means.config.ask_again_after);
        self.later(claim, wait, true, "amended; the bank has not given the new codes yet".to_owned())
    }

    fn taken_and_undecided(&self) -> OrderChange {
        let run_at = self.means.claimer.store.now() + self.means.config.ask_again_after;
        self.snooze(run_at, "taken by the bank, not decided yet")
    }

    fn snooze(&self, run_at: DateTime<Utc>, why: &str) -> OrderChange {
        let state = WorkState::Scheduled;
        OrderChange::Later { run_at, state, error: why.to_owned(), attempt_counts: false }
    }

    /// What an error of the bank's means for the order, a plain no apart.
    fn trouble(&self, claim: &Claim, error: BankError) -> OrderChange {
        let words = error.to_string();
        match error {
            // A look that is refused or impossible decides nothing about the order.
            BankError::OutcomeUnknown { .. }
            | BankError::AlreadyOnFile { .. }
            | BankError::Disagrees { .. }
            | BankError::Refused { .. }
            | BankError::Unsupported { .. } => self.later(claim, None, true, words),
            BankError::Unavailable { retry_after, .. } => self.later(claim, retry_after, false, words),
            BankError::Misconfigured { .. } => {
                warn!(bank_account = %claim.queue, error = %words, "bank connector misconfigured");
                self.later(claim, Some(self.means.config.retry_cap), false, words)
            }
        }
    }

    fn later(
        &self,
        claim: &Claim,
        wait: Option<Duration>,
        attempt_counts: bool,
        error: String,
    ) -> OrderChange {
        if attempt_counts && !claim.has_attempts_left() {
            return OrderChange::GivenUp { error };
        }
        let run_at = next_attempt(&self.means.claimer, claim, wait);
        OrderChange::Later { run_at, state: WorkState::Retryable, error, attempt_counts }
    }

    /// The store is away before anything was asked: the guard gives the row back when it can. What the store cannot read
    /// counts as an attempt, so that it becomes a dead letter and is not tried for ever.
    fn store_trouble(&self, claim: &Claim, error: &StoreError) -> Option<OrderChange> {
        warn!(work_id = %claim.id, %error, "attempt not made");
        (!error.is_transient()).then(|| self.later(claim, None, true, error.to_string()))
    }

    /// Writes the outcome down, however long the store is away, for as long as the lease holds.
    async fn settle(self, settlement: OrderSettlement) {
        let Self { means, guard } = self;
        let claim = settlement.claim.clone();
        let write = |may_be_committed: bool| {
            let (means, settlement) = (means.clone(), settlement.clone());
            async move {
                let claim = settlement.claim.clone();
                crate::failpoint::reached("order.settle.before");
                let settled = means.settlements.run(settlement).await?;
                crate::failpoint::reached("order.settle.after");
                if may_be_committed && settled == OrderSettled::LostLease {
                    let went_through = means.claimer.store.work_ended_by(&claim).await?;
                    return Ok(if went_through { OrderSettled::Done } else { settled });
                }
                Ok(settled)
            }
        };
        let settled = bank_attempt::write_down(&means.claimer, &claim, write).await;
        match settled {
            Ok(settled) => {
                let settled = settled.unwrap_or(OrderSettled::LostLease);
                if settled == OrderSettled::Done {
                    guard.settled();
                }
                report(&settlement, settled);
                if matches!(settlement.change, OrderChange::Ended { .. }) {
                    means.hints.there_is_work("delivery/");
                }
                means.changes.send_modify(|count| *count += 1);
            }
            // Poison: the guard puts the row back with its attempt counted, until it is a dead letter.
            Err(error) => error!(work_id = %claim.id, %error, "outcome cannot be written down"),
        }
    }
}

fn report(settlement: &OrderSettlement, settled: OrderSettled) {
    let (boleto_id, order_id) = (settlement.claim.subject_id, settlement.order_id);
    match (settled, &settlement.change) {
        (OrderSettled::LostLease, _) => warn!(%boleto_id, %order_id, "outcome dropped: the row had moved on"),
        (_, OrderChange::Ended { state, .. }) => {
            info!(%boleto_id, %order_id, state = state.as_str(), "order ended");
        }
        (_, OrderChange::Later { state: WorkState::Scheduled, error, .. }) => {
            debug!(%boleto_id, %order_id, %error, "order waits");
        }
        (_, OrderChange::Later { error, .. }) => {
            telemetry::note_failure("attempt_failed");
            warn!(%boleto_id, %order_id, %error, "order left pending");
        }
        (_, OrderChange::GivenUp { error }) => {
            telemetry::note_failure("given_up");
            warn!(%boleto_id, %order_id, %error, "order given up: a dead letter");
        }
        (_, OrderChange::Moot) => debug!(%boleto_id, %order_id, "nothing left to do"),
    }
}
