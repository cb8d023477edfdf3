//! What people decide by hand, and that they did: the deed and its record are one transaction.
//!
//! **Fails** with data ([`Resolved`]); whatever is not done leaves nothing behind, not even the name of its request.
//! **Limits**: a record tells who did it, the boleto's status and version before and after, why in their own words, and under which
//! trace.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::boleto_order::{LockedBoleto, News, order_key, registration_key};
use super::request_key::{Entered, RequestKey};
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::caller;
use crate::domain::audit::Record;
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::status::{Resolution, Status};
use crate::domain::ids::{BoletoId, EventId, TenantId};

/// A person's decision about a boleto that needs review.
#[derive(Debug, Clone)]
pub struct ResolveDraft {
    /// Of the record, and what the request made.
    pub id: Uuid,
    pub event_id: EventId,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    /// The version that the caller has read; 0 for whatever it is.
    pub version: i64,
    pub request: Option<RequestKey>,
    pub resolution: Resolution,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    VersionChanged {
        version: i64,
    },
    /// It needs no review.
    NotInReview(Status),
    /// Without codes nobody could pay it, so it cannot be registered.
    NoCodes,
}

impl Store {
    /// Ends a boleto's review.
    pub async fn resolve_boleto(&self, draft: &ResolveDraft) -> Result<Resolved, StoreError> {
        let (transaction, resolved) = self
            .within(async {
                let transaction = self.begin().await?;
                let resolved = self.resolve_in(&transaction, draft).await?;
                Ok((transaction, resolved))
            })
            .await?;
        if resolved == Resolved::Done {
            crate::failpoint::reached("review.resolve.before");
            self.commit(transaction).await?;
            crate::failpoint::reached("review.resolve.after");
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(resolved)
    }

    async fn resolve_in(
        &self,
        transaction: &DatabaseTransaction,
        draft: &ResolveDraft,
    ) -> Result<Resolved, StoreError> {
        match self.enter_key(transaction, draft.request.as_ref(), draft.id, draft.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(Resolved::Before),
            Entered::OtherBody => return Ok(Resolved::OtherBody),
        }
        let waiting = self.lock_waiting_work(transaction, draft.boleto_id).await?;
        let Some(boleto) = self.lock_boleto(transaction, &draft.tenant_id, draft.boleto_id).await? else {
            return Ok(Resolved::NotFound);
        };
        if draft.version != 0 && draft.version != boleto.version {
            return Ok(Resolved::VersionChanged { version: boleto.version });
        }
        let Ok(status) = boleto.status.resolve(draft.resolution) else {
            return Ok(Resolved::NotInReview(boleto.status));
        };
        if status == Status::Registered && !boleto.has_barcode {
            return Ok(Resolved::NoCodes);
        }
        self.cancel(transaction, &waiting, &draft.reason, draft.now).await?;
        self.write_resolution(transaction, draft, status).await?;
        let news = News {
            event_id: draft.event_id,
            tenant_id: &draft.tenant_id,
            boleto_id: draft.boleto_id,
            event_type: EventType::Became(status),
            status,
            reason: Some(draft.reason.clone()),
            ended_by: None,
            traceparent: draft.traceparent.clone(),
            delivery_attempts_max: draft.delivery_attempts_max,
            now: draft.now,
        };
        self.tell(transaction, &boleto, news).await?;
        self.write_record(transaction, draft, &boleto, status).await?;
        Ok(Resolved::Done)
    }

    /// The rows of work that are about the boleto and its bank, locked. What somebody has in hand ends by itself: it finds
    /// nothing left to do.
    async fn lock_waiting_work(
        &self,
        transaction: &DatabaseTransaction,
        id: BoletoId,
    ) -> Result<Vec<Uuid>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!("select id from work where unique_key in ($1, $2) order by unique_key desc {lock}"),
            [Value::from(registration_key(id)), Value::from(order_key(id))],
        );
        all(transaction, find).await?.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
    }

    async fn write_resolution(
        &self,
        transaction: &DatabaseTransaction,
        draft: &ResolveDraft,
        status: Status,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update boleto set status = $3, open_status = case when $3 = 'refused' then 'refused' end,
               version = version + 1, updated_at_us = $4
             where tenant_id = $1 and id = $2 and status = 'needs_review'",
            [
                Value::from(draft.tenant_id.as_str()),
                Value::from(draft.boleto_id.0),
                Value::from(status.as_str()),
                Value::from(to_us(draft.now)),
            ],
        );
        if execute(transaction, update).await? == 0 {
            return Err(StoreError::Broken("a boleto that was locked changed all the same".to_owned()));
        }
        Ok(())
    }

    async fn write_record(
        &self,
        transaction: &DatabaseTransaction,
        draft: &ResolveDraft,
        before: &LockedBoleto,
        status: Status,
    ) -> Result<(), StoreError> {
        let told = |status: Status, version: i64| {
            serde_json::json!({"status": status.as_str(), "version": version}).to_string()
        };
        let deed = Deed {
            id: draft.id,
            tenant_id: &draft.tenant_id,
            method: "ResolveBoleto",
            subject_id: draft.boleto_id.0,
            reason: &draft.reason,
            before: told(before.status, before.version),
            after: told(status, before.version + 1),
            traceparent: draft.traceparent.as_deref(),
            now: draft.now,
        };
        self.record_deed(transaction, deed).await
    }

    /// Writes down what a person did, in the transaction of the deed and as its last statement: see [`super::audit_chain`] for why.
    /// Who did it is whoever asked for what runs here, so that it is called where the call itself runs and in no other task.
    pub(super) async fn record_deed(
        &self,
        transaction: &DatabaseTransaction,
        deed: Deed<'_>,
    ) -> Result<(), StoreError> {
        let record = Record {
            sequence: None,
            id: deed.id,
            tenant_id: deed.tenant_id.as_str().to_owned(),
            at_us: to_us(deed.now),
            actor: Some(caller::name()),
            method: deed.method.to_owned(),
            subject_id: deed.subject_id,
            subject: None,
            reason: deed.reason.to_owned(),
            before: Some(deed.before),
            after: Some(deed.after),
            traceparent: deed.traceparent.map(str::to_owned),
        };
        self.append_record(transaction, record).await
    }
}

/// Something that a person did, before and after as JSON.
pub(super) struct Deed<'a> {
    pub id: Uuid,
    pub tenant_id: &'a TenantId,
    pub method: &'a str,
    pub subject_id: Uuid,
    pub reason: &'a str,
    pub before: String,
    pub after: String,
    pub traceparent: Option<&'a str>,
    pub now: DateTime<Utc>,
}
