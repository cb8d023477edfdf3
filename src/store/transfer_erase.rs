//! Takes away everything of a transfer but that it was there: its key, so that it is not analysed again, its state and its times.
//!
//! Locks are taken as everywhere: the transfer's work, the transfer, endpoints, the work of its deliveries, the deliveries.
//!
//! **Owns** nothing. **Fails** with data ([`TransferSteered`]); whatever is not done leaves nothing behind. **Limits**: what an
//! owner has been sent is the owner's, and a sending to an owner that is under way is let end; one to the transfer's own user has it
//! refused until that has ended. The archive of ended work keeps, for as long as
//! it keeps anything, that there was work for a company's transfer, and the audit who decided what and why in their own words.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::request_key::Entered;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::transfer::{Transfer, transfer_work_key};
use super::transfer_event::TransferNews;
use super::transfer_steer::{TransferDecision, TransferSteered};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::transfer::TransferState;

/// What ends its work and its deliveries.
const ERASED: &str = "the transfer was erased";

/// What hangs on a transfer. What owners were told keeps its place in their order, empty.
const HANGING: [&str; 5] = [
    "delete from recorded_answer where transfer_id = $1",
    "delete from raw_answer where transfer_id = $1",
    "delete from transfer_run where transfer_id = $1",
    "update transfer_event set reason = null where transfer_id = $1 and reason is not null",
    "update subject_event set data = '{}' where subject_id = $1",
];

impl Store {
    /// Takes away everything of a transfer but that it was there: keys of others, runs, answers, the vendor's words, what owners
    /// were told of it. One that waits is taken out of its queue; one that is being worked on is refused.
    pub async fn erase_transfer(&self, decision: &TransferDecision) -> Result<TransferSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.erase_in(&transaction, decision).await?;
                Ok((transaction, steered))
            })
            .await?;
        if steered == TransferSteered::Done {
            crate::failpoint::reached("transfer.erase.before");
            self.commit(transaction).await?;
            crate::failpoint::reached("transfer.erase.after");
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(steered)
    }

    async fn erase_in(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
    ) -> Result<TransferSteered, StoreError> {
        match self.enter_key(transaction, decision.request.as_ref(), decision.id, decision.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(TransferSteered::Before),
            Entered::OtherBody => return Ok(TransferSteered::OtherBody),
        }
        let key = transfer_work_key(decision.transfer_id);
        let live = self.lock_work_of(transaction, std::slice::from_ref(&key)).await?;
        let (tenant, id) = (&decision.tenant_id, decision.transfer_id);
        let Some(before) = self.lock_transfer(transaction, tenant, id).await? else {
            return Ok(TransferSteered::NotFound);
        };
        if before.state == TransferState::Erased {
            return Ok(TransferSteered::NotNow(before.state));
        }
        // Whoever held the transfer meanwhile may have ended that row and made another, which is not locked.
        let known: HashSet<Uuid> = live.iter().map(|work| work.id).collect();
        let live = self.live_work_of(transaction, std::slice::from_ref(&key), "").await?;
        if live.iter().any(|work| work.is_running || !known.contains(&work.id)) {
            return Ok(TransferSteered::NotNow(before.state));
        }
        let mailboxes = self.lock_mailboxes_of(transaction, id).await?;
        self.end_work_of(transaction, std::slice::from_ref(&key), ERASED, decision.now).await?;
        self.stop_deliveries_of(transaction, id.0, ERASED, decision.now).await?;
        if self.is_sent_to(transaction, id, &mailboxes).await? {
            return Ok(TransferSteered::NotNow(before.state));
        }
        for hanging in HANGING {
            execute(transaction, self.statement(hanging, [Value::from(id.0)])).await?;
        }
        self.forget_answers_of(transaction, id.0).await?;
        self.empty_transfer(transaction, decision).await?;
        self.forget_mailboxes(transaction, id, &mailboxes).await?;
        let news = TransferNews {
            tenant_id: tenant.clone(),
            transfer_id: id,
            version: before.version + 1,
            state: TransferState::Erased,
            reason: None,
            tells: false,
            endpoint_id: None,
            traceparent: decision.traceparent.clone(),
            // Nobody is told, so that nothing is delivered.
            delivery_attempts_max: 0,
            now: decision.now,
        };
        self.note_transfers(transaction, vec![news]).await?;
        self.write_erasure(transaction, decision, &before).await?;
        Ok(TransferSteered::Done)
    }

    /// Ends the waiting rows and the dead letters with these keys, without what attempts at any work with them had to say.
    async fn end_work_of(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[String],
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let live = self.lock_work_of(transaction, keys).await?;
        self.forget_words_of(transaction, keys).await?;
        let waiting: Vec<Uuid> = live.iter().filter(|work| !work.is_running).map(|work| work.id).collect();
        self.cancel(transaction, &waiting, why, now).await?;
        let dead: Vec<Uuid> =
            self.dead_letters(transaction, keys).await?.into_iter().map(|(id, _)| id).collect();
        self.retire(transaction, &dead).await
    }

    /// What owners have not been told yet, they are not told any more.
    pub(super) async fn stop_deliveries_of(
        &self,
        transaction: &DatabaseTransaction,
        subject: Uuid,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let keys = self.delivery_keys_of(transaction, subject).await?;
        if keys.is_empty() {
            return Ok(());
        }
        self.end_work_of(transaction, &keys, why, now).await?;
        let update = self.statement(
            "update delivery set stopped_at_us = case when state in ('pending', 'given_up') then $2 else stopped_at_us end,
               state = case when state in ('pending', 'given_up') then 'cancelled' else state end,
               last_answer = null, updated_at_us = $2 where subject_id = $1",
            [Value::from(subject), Value::from(to_us(now))],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    async fn empty_transfer(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update transfer set state = 'erased', reason = null, recorded_at_us = null, company_key = null,
               survey_key = null, person_key = null, user_key = null, alias_key = null, questions = null, run = 0, claims = 0,
               tells_owners = 0, endpoint_id = null, traceparent = null, version = version + 1, updated_at_us = $2
             where id = $1",
            [Value::from(decision.transfer_id.0), Value::from(to_us(decision.now))],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    async fn write_erasure(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
        before: &Transfer,
    ) -> Result<(), StoreError> {
        let (state, version, run) = (before.state.as_str(), before.version, before.run);
        let deed = Deed {
            id: decision.id,
            tenant_id: &decision.tenant_id,
            method: "EraseTransfer",
            subject_id: decision.transfer_id.0,
            reason: &decision.reason,
            before: serde_json::json!({"state": state, "version": version, "run": run}).to_string(),
            after: serde_json::json!({"state": TransferState::Erased.as_str(), "version": version + 1})
                .to_string(),
            traceparent: decision.traceparent.as_deref(),
            now: decision.now,
        };
        self.record_deed(transaction, deed).await
    }

    /// The live rows of work with these keys, locked until the transaction's end: the first lock of whoever decides by hand.
    pub(super) async fn lock_work_of(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<Vec<LiveWork>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        self.live_work_of(transaction, keys, lock).await
    }

    pub(super) async fn live_work_of(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[String],
        lock: &str,
    ) -> Result<Vec<LiveWork>, StoreError> {
        let find = format!(
            " select id, state from work where unique_key is not null and unique_key {} order by id {lock}",
            self.is_one_of("unique_key")
        );
        let rows = Rows::new().text("unique_key", keys.iter().cloned());
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        let read = |row: &QueryResult| {
            let state: String = row.try_get("", "state")?;
            Ok(LiveWork { id: row.try_get("", "id")?, is_running: state == "running" })
        };
        found.iter().map(read).collect()
    }
}

/// A live row of work.
pub(super) struct LiveWork {
    id: Uuid,
    /// Somebody has it in hand.
    pub is_running: bool,
}
