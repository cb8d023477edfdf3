//! Takes a boleto's persons away: its payer, on whose behalf it was collected, what was printed for the payer, and whatever free words
//! may name them: staff's, the bank's, and what owners answered. Numbers, sums, dates, states, payments and codes stay, and so does
//! the audit.
//!
//! It happens to boletos that have ended, by hand or when nobody wants them kept any more, and nothing brings it back. A boleto is
//! erased when its payer is nobody ([`ERASED`]), so that a process of the step before reads it like any other; its version stays.
//!
//! Locks are taken as everywhere: the boleto, the work of its deliveries, the deliveries. **Owns** nothing. **Fails** with data
//! ([`BoletoErased`]); whatever is not done leaves nothing behind. **Limits**: what an owner was sent is the owner's. A message that
//! was parked because nobody could make a boleto of it belongs to none, and keeps its text until somebody discards it and ended work
//! is forgotten.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit::Deed;
use super::boleto::{from_json, to_json};
use super::boleto_order::{order_key, registration_key};
use super::request_key::{Entered, RequestKey};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Terms;
use crate::domain::ids::{BoletoId, TenantId};
use crate::domain::payer::ERASED;
use crate::domain::retention::kept_until;

/// Somebody's wish that nothing of a boleto's payer be left.
#[derive(Debug, Clone)]
pub struct BoletoErasure {
    /// Of the record, and what the request made.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    /// So many years behind the one in which it ended it is kept.
    pub kept_years: u32,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoletoErased {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    /// Nothing of its payer was left.
    Already,
    /// It has not ended.
    StillOpen(Status),
    /// Until that day the law wants it kept.
    KeptUntil(NaiveDate),
    /// Work with its bank is under way, and would write behind it.
    UnderWay,
}

/// What hangs on a boleto and may name a person in free words. A difference that a person settled stays one that a person settled.
const HANGING: [&str; 4] = [
    "update boleto_event set reason = null where boleto_id = $1 and reason is not null",
    "update boleto_order set reason = '', response_message = null where boleto_id = $1",
    "update reconciliation_difference set settled_reason = '' where boleto_id = $1 and settled_at_us is not null",
    "update delivery set last_answer = null where subject_id = $1 and last_answer is not null",
];

impl Store {
    /// Takes the persons of one boleto away.
    pub async fn erase_boleto(&self, erasure: &BoletoErasure) -> Result<BoletoErased, StoreError> {
        let (transaction, erased) = self
            .within(async {
                let transaction = self.begin().await?;
                let erased = self.erase_boleto_in(&transaction, erasure).await?;
                Ok((transaction, erased))
            })
            .await?;
        if erased == BoletoErased::Done {
            crate::failpoint::reached("boleto.erase.before");
            self.commit(transaction).await?;
            crate::failpoint::reached("boleto.erase.after");
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(erased)
    }

    async fn erase_boleto_in(
        &self,
        transaction: &DatabaseTransaction,
        erasure: &BoletoErasure,
    ) -> Result<BoletoErased, StoreError> {
        match self.enter_key(transaction, erasure.request.as_ref(), erasure.id, erasure.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(BoletoErased::Before),
            Entered::OtherBody => return Ok(BoletoErased::OtherBody),
        }
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!(
                "select id, tenant_id, status, version, payer, terms, updated_at_us from boleto
                 where tenant_id = $1 and id = $2 {lock}"
            ),
            [Value::from(erasure.tenant_id.as_str()), Value::from(erasure.boleto_id.0)],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(BoletoErased::NotFound) };
        let status: String = row.try_get("", "status")?;
        let status = Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?;
        let payer: String = row.try_get("", "payer")?;
        if payer == ERASED {
            return Ok(BoletoErased::Already);
        }
        if !status.is_final() {
            return Ok(BoletoErased::StillOpen(status));
        }
        let until = kept_until(from_us(row.try_get("", "updated_at_us")?)?, erasure.kept_years);
        if is_kept(until, erasure.now) {
            return Ok(BoletoErased::KeptUntil(until));
        }
        if !self.boletos_at_work(transaction, &[erasure.boleto_id]).await?.is_empty() {
            return Ok(BoletoErased::UnderWay);
        }
        self.empty_boleto(transaction, &row, erasure.now).await?;
        let version: i64 = row.try_get("", "version")?;
        let deed = Deed {
            id: erasure.id,
            tenant_id: &erasure.tenant_id,
            method: "EraseBoleto",
            subject_id: erasure.boleto_id.0,
            reason: &erasure.reason,
            before: json!({"status": status.as_str(), "version": version}).to_string(),
            after: json!({"status": status.as_str(), "version": version, "erased": true}).to_string(),
            traceparent: erasure.traceparent.as_deref(),
            now: erasure.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(BoletoErased::Done)
    }

    /// Those of these boletos, which the caller has locked, that have work with their bank. None gets any once it has ended.
    pub(super) async fn boletos_at_work(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[BoletoId],
    ) -> Result<HashSet<BoletoId>, StoreError> {
        let keys = ids.iter().flat_map(|id| [registration_key(*id), order_key(*id)]);
        let find = format!(
            " select distinct subject_id from work where unique_key is not null and unique_key {}",
            self.is_one_of("unique_key")
        );
        let rows = Rows::new().text("unique_key", keys);
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| Ok(BoletoId(row.try_get("", "subject_id")?))).collect()
    }

    /// Empties a locked boleto: its `id`, `tenant_id` and `terms` are read of the row.
    pub(super) async fn empty_boleto(
        &self,
        transaction: &DatabaseTransaction,
        row: &QueryResult,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (id, tenant): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "tenant_id")?);
        let terms: Option<String> = row.try_get("", "terms")?;
        let terms = terms.map(|text| without_guarantor(&text)).transpose()?;
        let update = self.statement(
            "update boleto set payer = $3, terms = $4, instructions = null, response_message = null, pix_emv = null, url = null
             where tenant_id = $1 and id = $2",
            [Value::from(tenant.as_str()), Value::from(id), Value::from(ERASED), Value::from(terms)],
        );
        execute(transaction, update).await?;
        self.close_links_of(transaction, &tenant, BoletoId(id), now).await?;
        let mut keys = vec![registration_key(BoletoId(id)), order_key(BoletoId(id))];
        keys.extend(self.delivery_keys_of(transaction, id).await?);
        // Whoever settles a sending that is under way comes second from here on, and finds the boleto erased.
        self.lock_work_of(transaction, &keys).await?;
        self.forget_words_of(transaction, &keys).await?;
        for hanging in HANGING {
            execute(transaction, self.statement(hanging, [Value::from(id)])).await?;
        }
        self.forget_answers_of(transaction, id).await
    }
}

fn without_guarantor(terms: &str) -> Result<String, StoreError> {
    let mut terms: Terms = from_json("terms", terms)?;
    terms.guarantor = None;
    to_json(&terms)
}

/// Whether that day is not over yet, by the civil time of Brasilia.
fn is_kept(until: NaiveDate, now: DateTime<Utc>) -> bool {
    now.with_timezone(&chrono_tz::America::Sao_Paulo).date_naive() <= until
}
