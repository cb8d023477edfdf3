//! What an attempt to carry an order out came to, written down in groups.
//!
//! The ack leads, as everywhere: only the work rows that were still held drive the order's end, the boleto's change, its
//! event and its owner's delivery, all in one transaction. What the bank did is the order's end even where somebody has
//! ended the boleto meanwhile: a boleto that was paid stays paid, and the order beside it says that the bank cancelled it.
//!
//! **Fails** per item with data ([`OrderSettled`]). After a commit of unknown fate, [`Store::work_ended_by`] tells whether
//! it went through. **Limits**: statements per item, for orders are few; boletos are locked in the order of their ids.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::boleto::to_json;
use super::boleto_order::{LockedBoleto, News};
use super::boleto_payment::NewPayment;
use super::transaction::execute;
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, to_us};
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::order::OrderState;
use crate::domain::boleto::payment::Payment;
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::ids::{BoletoId, EventId, OrderId, WorkId};
use crate::domain::work::{Claim, WorkState};

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct OrderSettlement {
    pub claim: Claim,
    pub order_id: OrderId,
    /// Why it was ordered; the boleto's event says so too.
    pub reason: String,
    pub event_id: EventId,
    pub change: OrderChange,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What the attempt came to.
#[derive(Debug, Clone)]
pub enum OrderChange {
    /// The bank decided, or there was nothing to be decided: the work ends.
    Ended { state: OrderState, response: Option<BankResponse>, effect: Effect },
    /// The order waits for its next attempt.
    Later { run_at: DateTime<Utc>, state: WorkState, error: String, attempt_counts: bool },
    /// Its attempts are spent: the work becomes a dead letter.
    GivenUp { error: String },
    /// It had ended before; so does the work.
    Moot,
}

/// What it does to the boleto.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Nothing. If the order is refused, the owner hears of it.
    None,
    /// The bank took it off file.
    Cancelled,
    /// The bank has none, and nobody is about to register one.
    CancelledUnfiled,
    /// It has these terms and codes from now on.
    Amended(Box<Boleto>),
    /// It turned out to be paid.
    Paid(Box<Payment>),
}

/// What a settlement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderSettled {
    /// It stands.
    Done,
    /// The row had moved on to another holder: nothing was changed.
    LostLease,
}

/// Why an order goes back whose boleto somebody has had registered again.
const OVERTAKEN: &str = "its registration lives again";

impl OrderSettlement {
    fn boleto_id(&self) -> BoletoId {
        BoletoId(self.claim.subject_id)
    }

    fn is_overtaken_by_a_registration(&self) -> bool {
        matches!(self.change, OrderChange::Ended { effect: Effect::CancelledUnfiled, .. })
    }

    fn fate(&self, overtaken: bool) -> Fate {
        let claim = &self.claim;
        let back = |state: WorkState, run_at, error: &str, attempt_counts| {
            Fate::Back(PutBack {
                id: claim.id,
                runner_id: claim.runner_id,
                fence: claim.fence,
                span: claim.span.clone(),
                state,
                run_at,
                error: Some(error.to_owned()),
                attempt_counts,
                nothing_was_sent: false,
            })
        };
        match &self.change {
            _ if overtaken => back(WorkState::Scheduled, self.now, OVERTAKEN, false),
            OrderChange::Ended { .. } | OrderChange::Moot => {
                Fate::End(Ending::of(claim, WorkState::Completed, None))
            }
            OrderChange::GivenUp { error } => {
                Fate::End(Ending::of(claim, WorkState::Discarded, Some(error.clone())))
            }
            OrderChange::Later { run_at, state, error, attempt_counts } => {
                back(*state, *run_at, error, *attempt_counts)
            }
        }
    }

    fn news(&self, event_type: EventType, status: Status) -> News<'_> {
        News {
            event_id: self.event_id,
            tenant_id: &self.claim.tenant_id,
            boleto_id: self.boleto_id(),
            event_type,
            status,
            reason: Some(self.reason.clone()),
            ended_by: Some((self.claim.id.0, self.claim.fence)),
            traceparent: self.claim.traceparent.clone(),
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        }
    }
}

impl Store {
    /// Writes down what attempts came to, all of them in one transaction.
    pub async fn settle_orders(&self, items: &[OrderSettlement]) -> Vec<Result<OrderSettled, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.settle_order_group(transaction, items))
        })
        .await
    }

    async fn settle_order_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[OrderSettlement],
    ) -> Result<Vec<OrderSettled>, StoreError> {
        let now = items.first().map_or_else(Utc::now, |item| item.now);
        let mut overtaken: HashSet<WorkId> = HashSet::new();
        for item in items.iter().filter(|item| item.is_overtaken_by_a_registration()) {
            if self.registration_lives_in(transaction, item.boleto_id()).await? {
                overtaken.insert(item.claim.id);
            }
        }
        let fates = items.iter().map(|item| item.fate(overtaken.contains(&item.claim.id)));
        let held = self.lead(transaction, fates, now).await?;
        let mut to_settle: Vec<&OrderSettlement> = items
            .iter()
            .filter(|item| held.contains(&item.claim.id) && !overtaken.contains(&item.claim.id))
            .collect();
        to_settle.sort_by_key(|item| item.claim.subject_id);
        for item in to_settle {
            match &item.change {
                OrderChange::Ended { state, response, effect } => {
                    self.end_order(transaction, item, *state, response.as_ref()).await?;
                    self.take_effect(transaction, item, *state, effect).await?;
                }
                OrderChange::GivenUp { .. } => {
                    self.end_order(transaction, item, OrderState::GivenUp, None).await?;
                }
                OrderChange::Later { .. } | OrderChange::Moot => {}
            }
        }
        let outcome = |item: &OrderSettlement| match held.contains(&item.claim.id) {
            true => OrderSettled::Done,
            false => OrderSettled::LostLease,
        };
        Ok(items.iter().map(outcome).collect())
    }

    async fn end_order(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        state: OrderState,
        response: Option<&BankResponse>,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update boleto_order set state = $2, response_code = $3, response_message = $4, ended_at_us = $5
             where id = $1 and state in ('pending', 'given_up')",
            [
                Value::from(item.order_id.0),
                Value::from(state.as_str()),
                Value::from(response.map(|response| response.code.clone())),
                Value::from(response.map(|response| response.message.clone())),
                Value::from(to_us(item.now)),
            ],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    async fn take_effect(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        state: OrderState,
        effect: &Effect,
    ) -> Result<(), StoreError> {
        let locked = self.lock_boleto(transaction, &item.claim.tenant_id, item.boleto_id()).await?;
        let Some(boleto) = locked else { return Ok(()) };
        match effect {
            Effect::Cancelled | Effect::CancelledUnfiled => {
                self.take_cancellation(transaction, item, &boleto).await
            }
            Effect::Amended(amended) => self.take_amendment(transaction, item, &boleto, amended).await,
            Effect::Paid(payment) => self.take_payment(transaction, item, payment).await,
            Effect::None if state == OrderState::Refused => {
                self.take_refusal(transaction, item, &boleto).await
            }
            Effect::None => Ok(()),
        }
    }

    async fn take_cancellation(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        boleto: &LockedBoleto,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update boleto set status = 'cancelled', open_status = null, version = version + 1, updated_at_us = $3
             where tenant_id = $1 and id = $2 and status in ('issued', 'pending_registration', 'registered')",
            [
                Value::from(item.claim.tenant_id.as_str()),
                Value::from(item.claim.subject_id),
                Value::from(to_us(item.now)),
            ],
        );
        if execute(transaction, update).await? == 0 {
            return Ok(());
        }
        let news = item.news(EventType::Became(Status::Cancelled), Status::Cancelled);
        self.tell(transaction, boleto, news).await
    }

    async fn take_amendment(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        boleto: &LockedBoleto,
        amended: &Boleto,
    ) -> Result<(), StoreError> {
        let terms = if amended.terms.is_none() { None } else { Some(to_json(&amended.terms)?) };
        let update = self.statement(
            "update boleto set amount_cents = $3, due_date = $4, terms = $5, barcode = $6, pix_emv = $7,
               version = version + 1, updated_at_us = $8
             where tenant_id = $1 and id = $2 and status = 'registered'",
            [
                Value::from(item.claim.tenant_id.as_str()),
                Value::from(item.claim.subject_id),
                Value::from(amended.amount.0),
                Value::from(amended.due_date),
                Value::from(terms),
                Value::from(amended.codes.barcode.map(|barcode| barcode.as_str().to_owned())),
                Value::from(amended.pix_emv.clone()),
                Value::from(to_us(item.now)),
            ],
        );
        if execute(transaction, update).await? == 0 {
            return Ok(());
        }
        self.tell(transaction, boleto, item.news(EventType::Amended, Status::Registered)).await
    }

    async fn take_payment(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        payment: &Payment,
    ) -> Result<(), StoreError> {
        let payment = NewPayment {
            tenant_id: item.claim.tenant_id.clone(),
            payment: payment.clone(),
            event_id: item.event_id,
            expected_version: 0,
            request: None,
            delivery_attempts_max: item.delivery_attempts_max,
            traceparent: item.claim.traceparent.clone(),
        };
        self.record_payment_group(transaction, &[payment]).await?;
        Ok(())
    }

    async fn take_refusal(
        &self,
        transaction: &DatabaseTransaction,
        item: &OrderSettlement,
        boleto: &LockedBoleto,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update boleto set version = version + 1, updated_at_us = $3 where tenant_id = $1 and id = $2",
            [
                Value::from(item.claim.tenant_id.as_str()),
                Value::from(item.claim.subject_id),
                Value::from(to_us(item.now)),
            ],
        );
        execute(transaction, update).await?;
        self.tell(transaction, boleto, item.news(EventType::OrderRefused, boleto.status)).await
    }

    /// Whether the row of `claim` was ended under its fence: what to ask after a commit whose answer was lost.
    pub async fn work_ended_by(&self, claim: &Claim) -> Result<bool, StoreError> {
        let statement = self.statement(
            "select 1 as one from work_archive where id = $1 and fence = $2",
            [Value::from(claim.id.0), Value::from(claim.fence)],
        );
        self.within(async { Ok(self.inner.writer.query_one_raw(statement).await?.is_some()) }).await
    }
}
