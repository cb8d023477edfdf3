//! How a feed is told, as its holder writes it down. Owners are told in the transaction in which it is known that the feed has the
//! result: nothing is sent before the write-back is durable.
//!
//! **Owns** nothing. **Fails** as the store does; a row that had moved on to another holder changes nothing. **Limits**: groups of the caller's lanes.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::transfer::Transfer;
use super::transfer_analysis::TransferSettled;
use super::transfer_settle::{Ended, WAS_WRITING_BACK, later};
use super::work::{Ending, Fate};
use super::{Store, StoreError};
use crate::domain::ids::TransferId;
use crate::domain::transfer::TransferState;
use crate::domain::transfer::judgement::Reason;
use crate::domain::work::{Claim, WorkState};

/// What a transfer says of which the feed no longer had the record when it was to be told.
const GONE: &str = "the record was gone when its feed was to be told";

/// What the feed is to be told.
#[derive(Debug, Clone)]
pub struct WriteBackBegun {
    /// Its `claims` is the number for this attempt's claim at the feed.
    pub transfer: Transfer,
    pub result: String,
    pub analyzer: String,
}

/// What an attempt came to.
#[derive(Debug, Clone)]
pub struct WriteBackSettlement {
    pub claim: Claim,
    pub change: WriteBackChange,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteBackChange {
    /// The feed holds the result.
    Written,
    /// The record was deleted meanwhile; nothing was left there.
    Gone,
    Later {
        run_at: DateTime<Utc>,
        error: String,
        attempt_counts: bool,
    },
    /// No attempts are left, or none would help. The run keeps its result.
    Failed {
        reason: String,
    },
}

impl Store {
    /// What is to be written back; the claim number has grown. Nothing where the row had moved on, or is of no use: the transfer is
    /// gone or erased, or the row is for another run than its newest. Such a row is the caller's to end, as gone.
    pub async fn begin_write_back(
        &self,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<WriteBackBegun>, StoreError> {
        self.begin_write_backs(&[(claim.clone(), now)]).await.pop().unwrap_or(Ok(None))
    }

    /// The same for many, in one transaction.
    pub async fn begin_write_backs(
        &self,
        items: &[(Claim, DateTime<Utc>)],
    ) -> Vec<Result<Option<WriteBackBegun>, StoreError>> {
        let begun = self
            .in_group(items, |store, transaction, items| {
                Box::pin(store.begin_write_back_group(transaction, items))
            })
            .await;
        crate::failpoint::reached("write_back.begin.after");
        begun
    }

    async fn begin_write_back_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[(Claim, DateTime<Utc>)],
    ) -> Result<Vec<Option<WriteBackBegun>>, StoreError> {
        let mut begun = Vec::with_capacity(items.len());
        for (claim, now) in items {
            begun.push(self.begin_write_back_in(transaction, claim, *now).await?);
        }
        crate::failpoint::reached("write_back.begin.before");
        Ok(begun)
    }

    async fn begin_write_back_in(
        &self,
        transaction: &DatabaseTransaction,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<WriteBackBegun>, StoreError> {
        let Some(named) = self.run_of_held(transaction, claim).await? else { return Ok(None) };
        let id = TransferId(claim.subject_id);
        let Some(before) = self.lock_transfer(transaction, &claim.tenant_id, id).await? else {
            return Ok(None);
        };
        // What has failed goes on: somebody has had its dead letter retried.
        let goes_on = matches!(before.state, TransferState::WritingBack | TransferState::Failed);
        if !goes_on || named != before.run {
            return Ok(None);
        }
        let find = self.statement(
            "select result, analyzer from transfer_run
             where transfer_id = $1 and number = $2 and result is not null and write_back is null",
            [Value::from(id.0), Value::from(i64::from(named))],
        );
        let Some(run) = transaction.query_one_raw(find).await? else { return Ok(None) };
        let changes = before.state != TransferState::WritingBack;
        let transfer = Transfer {
            state: TransferState::WritingBack,
            reason: None,
            claims: before.claims + 1,
            version: before.version + i64::from(changes),
            updated_at: now,
            ..before
        };
        self.write_begin(transaction, &transfer).await?;
        if changes {
            self.reopen_run(transaction, &transfer).await?;
            self.note_transfers(transaction, vec![transfer.news(claim, now)]).await?;
        }
        let (result, analyzer) = (run.try_get("", "result")?, run.try_get("", "analyzer")?);
        Ok(Some(WriteBackBegun { transfer, result, analyzer }))
    }

    /// Writes the ends of attempts down, with events and the owners' deliveries.
    pub async fn settle_write_backs(
        &self,
        items: &[WriteBackSettlement],
    ) -> Vec<Result<TransferSettled, StoreError>> {
        let settled = self
            .in_group(items, |store, transaction, items| {
                Box::pin(store.settle_write_back_group(transaction, items))
            })
            .await;
        crate::failpoint::reached("write_back.settle.after");
        settled
    }

    async fn settle_write_back_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[WriteBackSettlement],
    ) -> Result<Vec<TransferSettled>, StoreError> {
        let now = items.first().map_or_else(Utc::now, |item| item.now);
        let held = self.lead(transaction, items.iter().map(WriteBackSettlement::fate), now).await?;
        let held_items = items.iter().filter(|item| held.contains(&item.claim.id));
        let ended: Vec<Ended<'_>> = held_items.filter_map(WriteBackSettlement::ended).collect();
        self.end_attempts(transaction, &ended, WAS_WRITING_BACK).await?;
        crate::failpoint::reached("write_back.settle.before");
        Ok(items.iter().map(|item| TransferSettled::of(held.contains(&item.claim.id))).collect())
    }
}

impl WriteBackSettlement {
    fn fate(&self) -> Fate {
        match &self.change {
            WriteBackChange::Written | WriteBackChange::Gone => {
                Fate::End(Ending::of(&self.claim, WorkState::Completed, None))
            }
            WriteBackChange::Failed { reason } => {
                Fate::End(Ending::of(&self.claim, WorkState::Discarded, Some(not_written_back(reason))))
            }
            WriteBackChange::Later { run_at, error, attempt_counts } => {
                later(&self.claim, *run_at, error, *attempt_counts)
            }
        }
    }

    /// Nothing where the transfer stays as it is.
    fn ended(&self) -> Option<Ended<'_>> {
        let (state, reason, write_back) = match &self.change {
            WriteBackChange::Written => (TransferState::Done, None, Some("written")),
            WriteBackChange::Gone => (TransferState::Done, Some(Reason::Deleted.with(GONE)), Some("gone")),
            WriteBackChange::Failed { reason } => {
                (TransferState::Failed, Some(not_written_back(reason)), None)
            }
            WriteBackChange::Later { .. } => return None,
        };
        Some(Ended {
            claim: &self.claim,
            state,
            reason,
            result: None,
            endpoint_id: None,
            write_back,
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        })
    }
}

/// The reason with the name under which it is looked for.
fn not_written_back(reason: &str) -> String {
    match reason.starts_with(Reason::NotWrittenBack.as_str()) {
        true => reason.to_owned(),
        false => Reason::NotWrittenBack.with(reason),
    }
}
