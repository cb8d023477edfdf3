//! What comes in by queues about boletos that are there already: finding them by whatever they are called, asking for their
//! registration, and keeping what nobody can act on.
//!
//! A boleto of the service that this one replaced keeps its old id beside its new one (`legacy_id`).
//!
//! **Fails** as the store does. Everything here may be done again after a commit of unknown fate: a registration is one
//! live row a boleto, and a message is kept once.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::transaction::execute;
use super::{Store, StoreError, to_us};
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BankAccountId, BoletoId, TenantId, WorkId};
use crate::domain::work::kind;

/// A boleto that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBoleto {
    pub id: BoletoId,
    pub bank_account_id: BankAccountId,
    pub status: Status,
}

/// A message that nobody can act on, as a dead letter.
#[derive(Debug, Clone)]
pub struct ParkedMessage {
    pub id: WorkId,
    pub tenant_id: TenantId,
    pub queue: &'static str,
    /// The message's own identity: it is kept once, however often it comes.
    pub message_id: Uuid,
    pub payload: String,
    pub reason: String,
    /// Attempts, should an operator have it tried again.
    pub attempts_max: i64,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

impl Store {
    /// A tenant's boleto by its id, or by the id that it had in the service before this one.
    pub async fn boleto_named(
        &self,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<NamedBoleto>, StoreError> {
        let tenant = Value::from(tenant.as_str());
        let statement = match Uuid::try_parse(name) {
            Ok(id) => self.statement(
                "select id, bank_account_id, status from boleto where tenant_id = $1 and id = $2",
                [tenant, Value::from(id)],
            ),
            Err(_) => self.statement(
                "select b.id, b.bank_account_id, b.status from legacy_id l
                 join boleto b on b.tenant_id = l.tenant_id and b.id = l.boleto_id
                 where l.tenant_id = $1 and l.legacy_id = $2",
                [tenant, Value::from(name)],
            ),
        };
        self.within(async {
            let Some(row) = self.reader().query_one_raw(statement).await? else { return Ok(None) };
            let status: String = row.try_get("", "status")?;
            Ok(Some(NamedBoleto {
                id: BoletoId(row.try_get("", "id")?),
                bank_account_id: BankAccountId(row.try_get("", "bank_account_id")?),
                status: Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?,
            }))
        })
        .await
    }

    /// Keeps a message as a dead letter, once.
    pub async fn park_message(&self, parked: &ParkedMessage) -> Result<(), StoreError> {
        // A message id is the queue's, and looked for among the dead letters, which are few.
        let insert = self.statement(
            "insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, subject_id, payload,
                traceparent, last_error, created_at_us, ended_at_us)
             select $1, $2, $3, $4, 'discarded', 1, $5, 0, $6, $7, $8, $9, $10, $10
             where not exists (select 1 from work_archive
                where state = 'discarded' and kind = $3 and subject_id = $6)",
            [
                Value::from(parked.id.0),
                Value::from(parked.tenant_id.as_str()),
                Value::from(kind::INGRESS_BOLETO),
                Value::from(parked.queue),
                Value::from(parked.attempts_max),
                Value::from(parked.message_id),
                Value::from(parked.payload.as_str()),
                Value::from(parked.traceparent.clone()),
                Value::from(parked.reason.as_str()),
                Value::from(to_us(parked.now)),
            ],
        );
        self.within(async { execute(&self.inner.writer, insert).await }).await.map(|_| ())
    }
}
