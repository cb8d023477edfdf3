//! Takes a boleto's persons away: its payer, on whose behalf it was collected, what was printed for the payer, and whatever free words
//! may name them. Numbers, sums, dates, states, payments and codes stay, and so does the audit.
//!
//! It happens to boletos that have ended, by hand or when nobody wants them kept any more, and nothing brings it back. A boleto is
//! erased when its payer is nobody ([`ERASED`]), so that a process of the step before reads it like any other; its version stays.
//!
//! **Fails** with data ([`BoletoErased`]); whatever is not done leaves nothing behind. **Limits**: what endpoints answered and the
//! words of ended work are forgotten by their own times; what an owner was sent is the owner's. One slice is one transaction.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit::Deed;
use super::audit_act::Act;
use super::audit_list::Subject;
use super::boleto::{from_json, to_json};
use super::request_key::{Entered, RequestKey};
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
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
}

/// Whose boletos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This tenant's.
    Tenant(String),
    /// Everybody's but these tenants'.
    AllBut(Vec<String>),
}

/// What hangs on a boleto and may name a person in free words.
const HANGING: [&str; 2] = [
    "update boleto_event set reason = null where boleto_id = $1 and reason is not null",
    "update boleto_order set reason = '', response_message = null where boleto_id = $1",
];

/// Those of which something is left; spelled as their index has it.
const AGING: &str = "status in ('paid', 'refused', 'cancelled') and payer <> ";

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
        self.empty_boleto(transaction, &row).await?;
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

    /// Takes away the persons of boletos that ended before a moment, oldest first, with one record of all of them. Returns how many.
    pub async fn erase_aged_boletos(
        &self,
        whose: &Whose,
        ended_before: DateTime<Utc>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let (transaction, erased) = self
            .within(async {
                let transaction = self.begin().await?;
                let erased = self.erase_aged_in(&transaction, whose, ended_before, limit, now).await?;
                Ok((transaction, erased))
            })
            .await?;
        if erased == 0 {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        } else {
            crate::failpoint::reached("boleto.erase.before");
            self.commit(transaction).await?;
        }
        Ok(erased)
    }

    async fn erase_aged_in(
        &self,
        transaction: &DatabaseTransaction,
        whose: &Whose,
        ended_before: DateTime<Utc>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update skip locked" } else { "" };
        let mut values = vec![Value::from(to_us(ended_before)), Value::from(limit)];
        let of_whom = match whose {
            Whose::Tenant(tenant) => {
                values.push(Value::from(tenant.as_str()));
                "and tenant_id = $3".to_owned()
            }
            Whose::AllBut(tenants) if tenants.is_empty() => String::new(),
            Whose::AllBut(tenants) => {
                let places: Vec<String> = (3..3 + tenants.len()).map(|place| format!("${place}")).collect();
                values.extend(tenants.iter().map(|tenant| Value::from(tenant.as_str())));
                format!("and tenant_id not in ({})", places.join(", "))
            }
        };
        let find = format!(
            "select id, tenant_id, terms from boleto where {AGING} '{ERASED}' and updated_at_us < $1 {of_whom}
             order by updated_at_us limit $2 {lock}"
        );
        let rows = all(transaction, self.statement(&find, values)).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        for row in &rows {
            self.empty_boleto(transaction, row).await?;
        }
        let whose = match whose {
            Whose::Tenant(tenant) => json!({ "tenant": tenant }),
            Whose::AllBut(tenants) => json!({ "all_but": tenants }),
        };
        let act = Act {
            method: "EraseBoletos",
            subject: Subject::Named("retention".to_owned()),
            reason: String::new(),
            before: json!({
                "whose": whose,
                "ended_before": ended_before.to_rfc3339_opts(SecondsFormat::Secs, true),
            }),
            after: json!({ "erased": rows.len() }),
            now,
        };
        self.record_act(transaction, act).await?;
        Ok(rows.len() as u64)
    }

    async fn empty_boleto(
        &self,
        transaction: &DatabaseTransaction,
        row: &QueryResult,
    ) -> Result<(), StoreError> {
        let id: Uuid = row.try_get("", "id")?;
        let terms: Option<String> = row.try_get("", "terms")?;
        let terms = terms.map(|text| without_guarantor(&text)).transpose()?;
        let update = self.statement(
            "update boleto set payer = $2, terms = $3, instructions = null, response_message = null, pix_emv = null, url = null
             where id = $1",
            [Value::from(id), Value::from(ERASED), Value::from(terms)],
        );
        execute(transaction, update).await?;
        let tenant: String = row.try_get("", "tenant_id")?;
        let unlink = "delete from document_link where tenant_id = $1 and boleto_id = $2";
        execute(transaction, self.statement(unlink, [Value::from(tenant), Value::from(id)])).await?;
        for hanging in HANGING {
            execute(transaction, self.statement(hanging, [Value::from(id)])).await?;
        }
        Ok(())
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
