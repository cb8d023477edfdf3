//! A payment of which no bank has said how it ended is ended by a person, in one transaction with the record of it.
//!
//! **Owns** nothing. **Fails** with data ([`PaymentResolved`]); whatever is not done leaves nothing behind, not even the name of its
//! request. **Limits**: only what is unresolved, or in progress at a bank that cannot be asked; a bank's word is nobody's to change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::news::News;
use super::payment::Payment;
use crate::domain::ids::{PaymentId, TenantId};
use crate::domain::openbanking::payment::{PaymentKind, PaymentState};
use crate::store::audit::Deed;
use crate::store::request_key::{Entered, RequestKey};
use crate::store::transaction::execute;
use crate::store::{Store, StoreError, to_us};

/// A person's decision.
#[derive(Debug, Clone)]
pub struct PaymentDecision {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub payment_id: PaymentId,
    /// The version that the caller has read; 0 for whatever it is.
    pub version: i64,
    pub request: Option<RequestKey>,
    /// Done, rejected or cancelled; of a bundle also mixed.
    pub state: PaymentState,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentResolved {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    VersionChanged {
        version: i64,
    },
    /// It is not for a person to end.
    NotNow(PaymentState),
}

impl Store {
    /// Ends a payment by somebody's hand.
    pub async fn resolve_payment(&self, decision: &PaymentDecision) -> Result<PaymentResolved, StoreError> {
        let (transaction, resolved) = self
            .within(async {
                let transaction = self.begin().await?;
                let resolved = self.resolve_payment_in(&transaction, decision).await?;
                Ok((transaction, resolved))
            })
            .await?;
        if resolved == PaymentResolved::Done {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(resolved)
    }

    async fn resolve_payment_in(
        &self,
        transaction: &DatabaseTransaction,
        decision: &PaymentDecision,
    ) -> Result<PaymentResolved, StoreError> {
        match self.enter_key(transaction, decision.request.as_ref(), decision.id, decision.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(PaymentResolved::Before),
            Entered::OtherBody => return Ok(PaymentResolved::OtherBody),
        }
        let mut locked: HashMap<PaymentId, Payment> =
            self.lock_payments(transaction, [decision.payment_id.0]).await?;
        let before = locked.remove(&decision.payment_id);
        let Some(before) = before.filter(|payment| payment.tenant_id == decision.tenant_id) else {
            return Ok(PaymentResolved::NotFound);
        };
        if decision.version != 0 && decision.version != before.version {
            return Ok(PaymentResolved::VersionChanged { version: before.version });
        }
        let is_lost = before.state == PaymentState::InProgress && before.is_unverifiable;
        let fits = decision.state.is_final()
            && (decision.state != PaymentState::Mixed || before.kind == PaymentKind::Bundle);
        if !(before.state == PaymentState::Unresolved || is_lost) || !fits {
            return Ok(PaymentResolved::NotNow(before.state));
        }
        let update = self.statement(
            "update payment set state = $2, reason = $3, token_sealed = null, version = version + 1, updated_at_us = $4,
               ended_at_us = $4 where id = $1",
            [
                Value::from(before.id.0),
                Value::from(decision.state.as_str()),
                Value::from(decision.reason.as_str()),
                Value::from(to_us(decision.now)),
            ],
        );
        execute(transaction, update).await?;
        let (was, version) = ((before.state, before.version), before.version + 1);
        let after = Payment {
            state: decision.state,
            reason: Some(decision.reason.clone()),
            version,
            ended_at: Some(decision.now),
            ..before
        };
        let mut news = vec![News {
            subject: after,
            traceparent: decision.traceparent.clone(),
            delivery_attempts_max: decision.delivery_attempts_max,
            now: decision.now,
        }];
        // A bundle may have waited for this one.
        let parents = self.end_parents(transaction, &[], &news).await?;
        news.extend(parents);
        self.tell_owners(transaction, news).await?;
        let told = |state: PaymentState, version: i64| {
            serde_json::json!({"state": state.as_str(), "version": version}).to_string()
        };
        let deed = Deed {
            id: decision.id,
            tenant_id: &decision.tenant_id,
            method: "ResolvePayment",
            subject_id: decision.payment_id.0,
            reason: &decision.reason,
            before: told(was.0, was.1),
            after: told(decision.state, version),
            traceparent: decision.traceparent.as_deref(),
            now: decision.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(PaymentResolved::Done)
    }
}
