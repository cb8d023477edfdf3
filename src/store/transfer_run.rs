//! A transfer and its newest run, as whoever has its row of work in hand reads and changes them.
//!
//! Locks are taken work first, transfer second, whatever comes of it last. A row of work names the run that it is for: what somebody
//! retries after another run has begun finds itself out of date.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: one transfer at a time.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use serde::{Deserialize, Serialize};

use super::transaction::execute;
use super::transfer::{COLUMNS, Transfer, read};
use super::transfer_analysis::AnalysisBegin;
use super::transfer_event::TransferNews;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::{TenantId, TransferId};
use crate::domain::work::Claim;

/// Which run a row of work is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct RunPayload {
    run: u32,
    /// Asked for by a person, who knows how old the record is, so that nobody judges that again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_hand: bool,
}

/// The payload of work that is about this run of a transfer.
pub(super) fn run_payload(run: u32) -> Result<String, StoreError> {
    super::boleto::to_json(&RunPayload { run, by_hand: false })
}

/// The same, of a run that a person has asked for.
pub(super) fn run_payload_by_hand(run: u32) -> Result<String, StoreError> {
    super::boleto::to_json(&RunPayload { run, by_hand: true })
}

/// The run that a payload names. One that names none is a feed's own offer, which is for the first.
pub(super) fn run_named(payload: &str) -> u32 {
    serde_json::from_str(payload).map_or(1, |RunPayload { run, .. }| run)
}

impl Store {
    /// The run that the work of this claim is for, if it still holds its row, which stays as it is until the transaction ends.
    pub(super) async fn run_of_held(
        &self,
        transaction: &DatabaseTransaction,
        claim: &Claim,
    ) -> Result<Option<u32>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!("select payload from work where id = $1 and runner_id = $2 and fence = $3 {lock}"),
            [Value::from(claim.id.0), Value::from(claim.runner_id.0), Value::from(claim.fence)],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(None) };
        let payload: String = row.try_get("", "payload")?;
        Ok(Some(run_named(&payload)))
    }

    /// A tenant's transfer, locked until the transaction's end: after its work, before anything else.
    pub(super) async fn lock_transfer(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        id: TransferId,
    ) -> Result<Option<Transfer>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for no key update" } else { "" };
        let find = self.statement(
            &format!("select {COLUMNS} from transfer where id = $1 and tenant_id = $2 {lock}"),
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        transaction.query_one_raw(find).await?.as_ref().map(read).transpose()
    }

    /// Writes down that an attempt at a transfer, or at its write-back, has begun.
    pub(super) async fn write_begin(
        &self,
        transaction: &DatabaseTransaction,
        after: &Transfer,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update transfer set state = $2, reason = null, questions = $3, run = $4, claims = $5, version = $6,
               updated_at_us = $7 where id = $1",
            [
                Value::from(after.id.0),
                Value::from(after.state.as_str()),
                Value::from(after.questions.map(i64::from)),
                Value::from(i64::from(after.run)),
                Value::from(i64::from(after.claims)),
                Value::from(after.version),
                Value::from(to_us(after.updated_at)),
            ],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    /// A run that had ended as failed has not ended after all.
    pub(super) async fn reopen_run(
        &self,
        transaction: &DatabaseTransaction,
        transfer: &Transfer,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update transfer_run set ended_at_us = null
             where transfer_id = $1 and number = $2 and ended_at_us is not null",
            [Value::from(transfer.id.0), Value::from(i64::from(transfer.run))],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    /// Whether the run is by this analyzer and formula, which its answers are to have in common.
    pub(super) async fn is_run_of(
        &self,
        transaction: &DatabaseTransaction,
        begin: &AnalysisBegin,
        number: u32,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            "select analyzer, formula from transfer_run where transfer_id = $1 and number = $2",
            [Value::from(begin.claim.subject_id), Value::from(i64::from(number))],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(false) };
        let (analyzer, formula): (String, Option<String>) =
            (row.try_get("", "analyzer")?, row.try_get("", "formula")?);
        Ok(analyzer == begin.analyzer && formula.as_deref() == begin.formula)
    }

    pub(super) async fn insert_run(
        &self,
        transaction: &DatabaseTransaction,
        begin: &AnalysisBegin,
        transfer: &Transfer,
    ) -> Result<(), StoreError> {
        // What another analyzer had begun is over, without a result.
        let end = self.statement(
            "update transfer_run set ended_at_us = $2 where transfer_id = $1 and ended_at_us is null",
            [Value::from(transfer.id.0), Value::from(to_us(begin.now))],
        );
        execute(transaction, end).await?;
        let insert = self.statement(
            "insert into transfer_run (transfer_id, number, tenant_id, analyzer, formula, has_fillers, tells_owners,
               started_at_us) values ($1, $2, $3, $4, $5, 0, $6, $7)",
            [
                Value::from(transfer.id.0),
                Value::from(i64::from(transfer.run)),
                Value::from(transfer.tenant_id.as_str()),
                Value::from(begin.analyzer),
                Value::from(begin.formula),
                Value::from(i64::from(transfer.tells_owners)),
                Value::from(to_us(begin.now)),
            ],
        );
        execute(transaction, insert).await?;
        Ok(())
    }

    /// Writes the run of a transfer into its row of work, which is held.
    pub(super) async fn rename_run(
        &self,
        transaction: &DatabaseTransaction,
        claim: &Claim,
        run: u32,
    ) -> Result<(), StoreError> {
        let by_hand = serde_json::from_str(&claim.payload).is_ok_and(|RunPayload { by_hand, .. }| by_hand);
        let update = self.statement(
            "update work set payload = $1 where id = $2",
            [Value::from(super::boleto::to_json(&RunPayload { run, by_hand })?), Value::from(claim.id.0)],
        );
        execute(transaction, update).await?;
        Ok(())
    }
}

impl Transfer {
    /// As it is now, for those who watch it while it is worked on.
    pub(super) fn news(&self, claim: &Claim, now: DateTime<Utc>) -> TransferNews {
        TransferNews {
            tenant_id: self.tenant_id.clone(),
            transfer_id: self.id,
            version: self.version,
            state: self.state,
            reason: None,
            tells: false,
            endpoint_id: None,
            traceparent: claim.traceparent.clone(),
            // Nobody is told, so that nothing is delivered.
            delivery_attempts_max: 0,
            now,
        }
    }
}
