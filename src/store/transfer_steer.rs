//! What people decide about transfers by hand, each in one transaction with its record in the audit. How one is erased stands in
//! a file of its own.
//!
//! **Owns** nothing. **Fails** with data ([`TransferSteered`]); whatever is not done leaves nothing behind, not even the name of its
//! request. **Limits**: many at once are done in slices of [`SLICE`], each a transaction of its own with its record, so that
//! whoever is cut off asks again and goes on; a record tells which transfers those were, and no keys of persons.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::request_key::{Entered, RequestKey};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::transfer::{COLUMNS, Transfer, read, transfer_work_key};
use super::transfer_event::TransferNews;
use super::transfer_filter::FilterPage;
use super::transfer_list::TransferFilter;
use super::transfer_run::run_payload_by_hand;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::{TenantId, TransferId, WorkId};
use crate::domain::transfer::TransferState;
use crate::domain::work::{NewWork, kind};

/// Transfers that one transaction queues again.
pub const SLICE: i64 = 100;
/// The states of those that have ended.
const ENDED: [TransferState; 3] = [TransferState::Done, TransferState::Failed, TransferState::Skipped];

/// What every decision says.
#[derive(Debug, Clone)]
pub struct TransferDecision {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub transfer_id: TransferId,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// How transfers are analysed once more.
#[derive(Debug, Clone)]
pub struct Again {
    /// Whether the new end is told.
    pub tells_owners: bool,
    /// Attempts of the analysis at most.
    pub attempts_max: i64,
    /// Smaller goes first.
    pub priority: i64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferSteered {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    /// Its state does not allow it.
    NotNow(TransferState),
}

/// Many at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReprocessedMany {
    pub transfers: i64,
    /// Whether the filter finds more than the limit.
    pub more: bool,
}

/// By which a feed and a company are told to be a queue; nothing for a feed that nobody knows any more.
type QueueOf<'a> = &'a (dyn Fn(&str, Option<&str>) -> Option<String> + Sync);

/// A transfer that may be queued again, and where.
struct Candidate {
    id: TransferId,
    queue: String,
}

impl Store {
    /// Has a transfer that has ended analysed once more: a new run, in the queue that `queue_of` its feed and company is. One that
    /// should be under way and of which no work is left, because somebody has cancelled it, may be begun anew in the same way.
    pub async fn reprocess_transfer(
        &self,
        decision: &TransferDecision,
        again: &Again,
        queue_of: &(dyn Fn(&str, Option<&str>) -> Option<String> + Sync),
    ) -> Result<TransferSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.reprocess_in(&transaction, decision, again, queue_of).await?;
                Ok((transaction, steered))
            })
            .await?;
        if steered == TransferSteered::Done {
            crate::failpoint::reached("transfer.reprocess.before");
            self.commit(transaction).await?;
            crate::failpoint::reached("transfer.reprocess.after");
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(steered)
    }

    async fn reprocess_in(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
        again: &Again,
        queue_of: QueueOf<'_>,
    ) -> Result<TransferSteered, StoreError> {
        match self.enter_key(transaction, decision.request.as_ref(), decision.id, decision.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(TransferSteered::Before),
            Entered::OtherBody => return Ok(TransferSteered::OtherBody),
        }
        let ids = [decision.transfer_id];
        let mut locked = self.lock_transfers(transaction, decision, &ids).await?;
        let Some((before, has_work)) = locked.pop() else { return Ok(TransferSteered::NotFound) };
        let may_be = before.state.can_be_reprocessed() || before.state.is_open();
        let queue = queue_of(&before.feed, before.company_key.as_deref());
        let Some(queue) = queue.filter(|_| may_be && !has_work) else {
            return Ok(TransferSteered::NotNow(before.state));
        };
        let (state, version, run) = (before.state, before.version, before.run);
        if self.queue_again(transaction, decision, again, vec![(before, queue)]).await?.is_empty() {
            return Ok(TransferSteered::NotNow(state));
        }
        let told = |state: TransferState, version: i64| {
            serde_json::json!({"state": state.as_str(), "version": version, "run": run}).to_string()
        };
        let deed = Deed {
            id: decision.id,
            tenant_id: &decision.tenant_id,
            method: "ReprocessTransfer",
            subject_id: decision.transfer_id.0,
            reason: &decision.reason,
            before: told(state, version),
            after: told(TransferState::Queued, version + 1),
            traceparent: decision.traceparent.as_deref(),
            now: decision.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(TransferSteered::Done)
    }

    /// The same for all that a filter finds and that have ended, oldest first, `limit` at most; with `dry_run` they are counted
    /// and nothing is changed. Neither `decision.transfer_id` nor `decision.request` is looked at: what has been queued again has
    /// not ended, so that asking once more does nothing twice. A feed of which `queue_of` knows nothing is left alone.
    pub async fn reprocess_transfers(
        &self,
        decision: &TransferDecision,
        filter: &TransferFilter,
        again: &Again,
        queue_of: &(dyn Fn(&str, Option<&str>) -> Option<String> + Sync),
        limit: i64,
        dry_run: bool,
    ) -> Result<ReprocessedMany, StoreError> {
        let mut many = ReprocessedMany::default();
        let (mut after, mut slices) = (None, 0);
        loop {
            let (last, mut candidates) =
                self.find_ended(&decision.tenant_id, filter, after, queue_of).await?;
            let Some(last) = last else { return Ok(many) };
            after = Some(last);
            let room = usize::try_from(limit - many.transfers).unwrap_or_default();
            many.more = candidates.len() > room;
            candidates.truncate(room);
            if dry_run {
                many.transfers += i64::try_from(candidates.len()).unwrap_or(i64::MAX);
            } else if !candidates.is_empty() {
                // The first record has the decision's own name, and all of them have it for their subject.
                let id = if slices == 0 { decision.id } else { Uuid::now_v7() };
                many.transfers += self.reprocess_slice(decision, filter, again, id, candidates).await?;
                slices += 1;
            }
            if many.more {
                return Ok(many);
            }
        }
    }

    /// The next that the filter finds and that have ended, oldest first, and up to which the search has come.
    async fn find_ended(
        &self,
        tenant: &TenantId,
        filter: &TransferFilter,
        after: Option<TransferId>,
        queue_of: QueueOf<'_>,
    ) -> Result<(Option<TransferId>, Vec<Candidate>), StoreError> {
        let page = FilterPage { tenant, filter, states: &ENDED, after, newest_first: false, limit: SLICE };
        let (page, values) = page.sql();
        let find = format!(
            "with {page} select t.id, t.feed, t.company_key from transfer t where {} order by t.id",
            self.is_id_of("page", "t.id")
        );
        // By the writer: what a slice has just queued has not ended, and a replica may not know it yet.
        let statement = self.statement(&find, values);
        let found = self.within(async { all(&self.inner.writer, statement).await }).await?;
        let (mut last, mut candidates) = (None, Vec::new());
        for row in &found {
            let id = TransferId(row.try_get("", "id")?);
            let (feed, company): (String, Option<String>) =
                (row.try_get("", "feed")?, row.try_get("", "company_key")?);
            last = Some(id);
            candidates.extend(queue_of(&feed, company.as_deref()).map(|queue| Candidate { id, queue }));
        }
        Ok((last, candidates))
    }

    async fn reprocess_slice(
        &self,
        decision: &TransferDecision,
        filter: &TransferFilter,
        again: &Again,
        deed_id: Uuid,
        candidates: Vec<Candidate>,
    ) -> Result<i64, StoreError> {
        let (transaction, queued) = self
            .within(async {
                let transaction = self.begin().await?;
                let ids: Vec<TransferId> = candidates.iter().map(|candidate| candidate.id).collect();
                let locked = self.lock_transfers(&transaction, decision, &ids).await?;
                // What has moved on since it was found is left alone.
                let wanted = locked
                    .into_iter()
                    .filter(|(before, has_work)| before.state.can_be_reprocessed() && !has_work)
                    .filter_map(|(before, _)| {
                        let candidate = candidates.iter().find(|candidate| candidate.id == before.id)?;
                        Some((before, candidate.queue.clone()))
                    });
                let queued = self.queue_again(&transaction, decision, again, wanted.collect()).await?;
                if !queued.is_empty() {
                    self.write_many(&transaction, decision, filter, deed_id, &queued).await?;
                }
                Ok((transaction, queued))
            })
            .await?;
        crate::failpoint::reached("transfer.reprocess.before");
        self.commit(transaction).await?;
        crate::failpoint::reached("transfer.reprocess.after");
        Ok(i64::try_from(queued.len()).unwrap_or(i64::MAX))
    }

    /// These transfers of a tenant, locked, and whether each has live work. The work is not locked: whoever has it in hand may want
    /// the transfer next, and where there is none, none can come while the transfer is locked but a dead letter that is retried.
    async fn lock_transfers(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
        ids: &[TransferId],
    ) -> Result<Vec<(Transfer, bool)>, StoreError> {
        // One by one and in the order of their ids, and by these alone: with an order or a tenant to go by, PostgreSQL reads all
        // transfers of the tenant.
        let find = match self.kind() {
            StoreKind::PostgreSql => format!(
                " select w.* from r cross join lateral
                    (select {COLUMNS} from transfer where transfer.id = r.id for no key update) w where w.tenant_id = $1"
            ),
            StoreKind::Sqlite => {
                format!(" select {COLUMNS} from transfer where id in (select id from r) and tenant_id = $1")
            }
        };
        let mut in_order = ids.to_vec();
        in_order.sort_unstable();
        let rows = Rows::new().uuid("id", in_order.iter().map(|id| id.0));
        let values = vec![Value::from(decision.tenant_id.as_str())];
        let found = all(transaction, self.statement_over(rows, values, &find)).await?;
        let find = format!(
            " select unique_key from work where unique_key is not null and unique_key {}",
            self.is_one_of("unique_key")
        );
        let rows = Rows::new().text("unique_key", ids.iter().map(|id| transfer_work_key(*id)));
        let live = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        let live: HashSet<String> =
            live.iter().map(|row| row.try_get("", "unique_key")).collect::<Result<_, _>>()?;
        let locked = found.iter().map(|row| {
            let transfer = read(row)?;
            let has_work = live.contains(&transfer_work_key(transfer.id));
            Ok((transfer, has_work))
        });
        locked.collect()
    }

    /// Queues locked transfers again, each with its work for the next run. Returns those that were: a dead letter that came to life
    /// meanwhile is work too, and keeps the place.
    async fn queue_again(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
        again: &Again,
        wanted: Vec<(Transfer, String)>,
    ) -> Result<Vec<Transfer>, StoreError> {
        let mut work = Vec::with_capacity(wanted.len());
        for (before, queue) in &wanted {
            work.push(decision.work(again, before, queue)?);
        }
        let made = self.insert_work(transaction, &work).await?;
        let queued: Vec<Transfer> = wanted
            .into_iter()
            .zip(&work)
            .filter(|(_, work)| made.contains(&work.id))
            .map(|((before, _), _)| before)
            .collect();
        if queued.is_empty() {
            return Ok(queued);
        }
        let update = format!(
            " update transfer set state = 'queued', reason = null, tells_owners = $1, version = version + 1,
                updated_at_us = $2 where {}",
            self.is_of_slice("id")
        );
        let rows = Rows::new().uuid("id", queued.iter().map(|before| before.id.0));
        let values = vec![Value::from(i64::from(again.tells_owners)), Value::from(to_us(decision.now))];
        execute(transaction, self.statement_over(rows, values, &update)).await?;
        // Nobody needs them any more; one that was retried all the same would find itself out of date.
        let keys: Vec<String> = queued.iter().map(|before| transfer_work_key(before.id)).collect();
        let dead = self.dead_letters(transaction, &keys).await?;
        self.retire(transaction, &dead.into_iter().map(|(id, _)| id).collect::<Vec<Uuid>>()).await?;
        let news = queued.iter().map(|before| decision.news(before)).collect();
        self.note_transfers(transaction, news).await?;
        Ok(queued)
    }

    async fn write_many(
        &self,
        transaction: &DatabaseTransaction,
        decision: &TransferDecision,
        filter: &TransferFilter,
        id: Uuid,
        queued: &[Transfer],
    ) -> Result<(), StoreError> {
        let ids: Vec<String> = queued.iter().map(|before| before.id.to_string()).collect();
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
        // By which keys somebody was looked for is left out: what is erased must not live on here.
        let found_by = serde_json::json!({
            "feed": filter.feed,
            "state": filter.state.map(TransferState::as_str),
            "reason": filter.reason,
            "by_key": filter.alias_key.is_some() || filter.person_key.is_some() || filter.company_key.is_some(),
            "recorded_from": time(filter.recorded_from),
            "recorded_until": time(filter.recorded_until),
            "formula": filter.formula,
            "analyzer": filter.analyzer,
        });
        let deed = Deed {
            id,
            tenant_id: &decision.tenant_id,
            method: "ReprocessTransfers",
            subject_id: decision.id,
            reason: &decision.reason,
            before: serde_json::json!({ "filter": found_by }).to_string(),
            after: serde_json::json!({ "queued": ids }).to_string(),
            traceparent: decision.traceparent.as_deref(),
            now: decision.now,
        };
        self.record_deed(transaction, deed).await
    }

    /// Has a transfer's live row of work done now, ahead of others. False where nothing waits.
    pub async fn hasten_transfer(
        &self,
        tenant: &TenantId,
        id: TransferId,
        priority: i64,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let update = self.statement(
            "update work set state = 'available', run_at_us = case when run_at_us < $3 then run_at_us else $3 end,
               priority = case when priority < $4 then priority else $4 end
             where unique_key = $1 and tenant_id = $2 and state in ('scheduled', 'retryable', 'available')",
            [
                Value::from(transfer_work_key(id)),
                Value::from(tenant.as_str()),
                Value::from(to_us(now)),
                Value::from(priority),
            ],
        );
        self.within(async { Ok(execute(&self.inner.writer, update).await? > 0) }).await
    }
}

impl TransferDecision {
    fn work(&self, again: &Again, before: &Transfer, queue: &str) -> Result<NewWork, StoreError> {
        Ok(NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: self.tenant_id.clone(),
            kind: kind::TRANSFER_ANALYSE,
            queue: queue.to_owned(),
            priority: again.priority,
            run_at: self.now,
            attempts_max: again.attempts_max,
            unique_key: Some(transfer_work_key(before.id)),
            subject_id: before.id.0,
            payload: run_payload_by_hand(before.run + 1)?,
            traceparent: self.traceparent.clone(),
            claimed_by: None,
            sent_at: None,
            created_at: self.now,
        })
    }

    fn news(&self, before: &Transfer) -> TransferNews {
        TransferNews {
            tenant_id: self.tenant_id.clone(),
            transfer_id: before.id,
            version: before.version + 1,
            state: TransferState::Queued,
            reason: Some(self.reason.clone()),
            tells: false,
            endpoint_id: None,
            traceparent: self.traceparent.clone(),
            // Nobody is told, so that nothing is delivered.
            delivery_attempts_max: 0,
            now: self.now,
        }
    }
}
