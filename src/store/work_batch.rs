//! Steering work by a filter, a slice at a time: each slice is one transaction.
//!
//! A slice takes the oldest rows that match. Rows in hand are left as they are and counted, and so are dead letters whose
//! subject has live work again. Whoever wants them all calls again for as long as there is more.
//!
//! **Fails** as the store does; then nothing of the slice was changed. **Limits**: the caller's, for each slice.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::transaction::all;
use super::work_steer::WorkFilter;
use super::{Store, StoreError, StoreKind};
use crate::domain::work::WorkState;

/// What a slice did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub changed: u64,
    /// Rows that match but for being in hand: left as they are.
    pub in_hand: u64,
    /// Dead letters that match but for other work that lives for the same thing: left as they are.
    pub superseded: u64,
    /// Whether rows that could be changed were left for the next slice.
    pub more: bool,
    /// In which queues something may be claimed now.
    pub queues: Vec<String>,
}

/// The states of rows that nobody has in hand.
const WAITING: [WorkState; 3] = [WorkState::Scheduled, WorkState::Available, WorkState::Retryable];

/// A row of a slice.
struct Found {
    id: Uuid,
    queue: String,
}

/// What follows `where`, and its parameters.
struct Matching {
    sql: String,
    values: Vec<Value>,
}

impl Matching {
    /// Rows of `table` in one of these states, and else as the filter says. `$1` is the first parameter.
    fn new(table: &str, filter: &WorkFilter, states: &[WorkState]) -> Self {
        let names: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let mut this = Self { sql: format!("{table}.state in ({})", names.join(", ")), values: Vec::new() };
        let texts = [("kind", &filter.kind), ("queue", &filter.queue)];
        for (column, text) in texts {
            if let Some(text) = text {
                this.and_equal(table, column, Value::from(text.as_str()));
            }
        }
        if let Some(subject) = filter.subject_id {
            this.and_equal(table, "subject_id", Value::from(subject));
        }
        this
    }

    fn and_equal(&mut self, table: &str, column: &str, value: Value) {
        self.values.push(value);
        self.sql.push_str(&format!(" and {table}.{column} = ${}", self.values.len()));
    }
}

impl Store {
    /// Makes due now what waits in the states that are named, and revives dead letters where `discarded` is among them.
    pub async fn batch_retry_work(
        &self,
        filter: &WorkFilter,
        reason: &str,
        limit: u64,
        now: DateTime<Utc>,
    ) -> Result<Batch, StoreError> {
        // What is available is due already.
        let waiting = named(filter, &[WorkState::Scheduled, WorkState::Retryable]);
        let (transaction, batch) = self
            .within(async {
                let transaction = self.begin().await?;
                let mut batch = Batch::default();
                let mut left = limit;
                if !waiting.is_empty() {
                    let slice = self.slice(&transaction, "work", filter, &waiting, left, &mut batch).await?;
                    batch.changed += self.hasten(&transaction, &ids(&slice), reason, now).await?;
                    batch.in_hand = self.in_hand(&transaction, filter).await?;
                    left = left.saturating_sub(batch.changed);
                }
                if filter.states.contains(&WorkState::Discarded) {
                    let dead = [WorkState::Discarded];
                    let slice =
                        self.slice(&transaction, "work_archive", filter, &dead, left, &mut batch).await?;
                    batch.changed += self.revive(&transaction, &ids(&slice), reason, now).await?;
                    batch.superseded = self.superseded(&transaction, filter).await?;
                }
                self.record_batch(&transaction, "BatchRetryWork", filter, reason, &batch, now).await?;
                Ok((transaction, batch))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(batch.sorted())
    }

    /// Ends what waits in the states that are named, or all that waits where none is.
    pub async fn batch_cancel_work(
        &self,
        filter: &WorkFilter,
        reason: &str,
        limit: u64,
        now: DateTime<Utc>,
    ) -> Result<Batch, StoreError> {
        let waiting = if filter.states.is_empty() { WAITING.to_vec() } else { named(filter, &WAITING) };
        let (transaction, batch) = self
            .within(async {
                let transaction = self.begin().await?;
                let mut batch = Batch::default();
                if !waiting.is_empty() {
                    let slice = self.slice(&transaction, "work", filter, &waiting, limit, &mut batch).await?;
                    batch.changed = self.cancel(&transaction, &ids(&slice), reason, now).await?;
                }
                batch.in_hand = self.in_hand(&transaction, filter).await?;
                self.record_batch(&transaction, "BatchCancelWork", filter, reason, &batch, now).await?;
                Ok((transaction, batch))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(Batch { queues: Vec::new(), ..batch.sorted() })
    }

    /// By which filter how many rows were steered; a slice that found none has done nothing.
    async fn record_batch(
        &self,
        transaction: &DatabaseTransaction,
        method: &'static str,
        filter: &WorkFilter,
        reason: &str,
        batch: &Batch,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if batch.changed == 0 {
            return Ok(());
        }
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let before = json!({ "filter": {
            "states": states,
            "kind": filter.kind,
            "queue": filter.queue,
            "subject_id": filter.subject_id.map(|id| id.to_string()),
        }});
        let after = json!({
            "changed": batch.changed,
            "in_hand": batch.in_hand,
            "superseded": batch.superseded,
            "more": batch.more,
        });
        let subject = Subject::Named("work".to_owned());
        let act = Act { method, subject, reason: reason.to_owned(), before, after, now };
        self.record_act(transaction, act).await
    }

    /// The oldest rows that match, locked, and in `batch` where they stand and whether there are more.
    async fn slice(
        &self,
        transaction: &DatabaseTransaction,
        table: &str,
        filter: &WorkFilter,
        states: &[WorkState],
        limit: u64,
        batch: &mut Batch,
    ) -> Result<Vec<Found>, StoreError> {
        let Matching { sql, mut values } = Matching::new(table, filter, states);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        values.push(Value::from(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)));
        let place = values.len();
        let no_other = if table == "work_archive" { NO_OTHER_LIVES } else { "" };
        // What somebody is changing just now is as good as in hand.
        let lock = if self.kind() == StoreKind::PostgreSql { "for update skip locked" } else { "" };
        let statement = self.statement(
            &format!(
                "select id, queue from {table} where {sql} {no_other} order by id limit ${place} {lock}"
            ),
            values,
        );
        let mut found: Vec<Found> =
            all(transaction, statement).await?.iter().map(read_found).collect::<Result<_, _>>()?;
        batch.more |= found.len() > limit;
        found.truncate(limit);
        batch.queues.extend(found.iter().map(|row| row.queue.clone()));
        Ok(found)
    }

    async fn in_hand(
        &self,
        transaction: &DatabaseTransaction,
        filter: &WorkFilter,
    ) -> Result<u64, StoreError> {
        let Matching { sql, values } = Matching::new("work", filter, &[WorkState::Running]);
        count(transaction, self.statement(&format!("select count(*) as total from work where {sql}"), values))
            .await
    }

    async fn superseded(
        &self,
        transaction: &DatabaseTransaction,
        filter: &WorkFilter,
    ) -> Result<u64, StoreError> {
        let Matching { sql, values } = Matching::new("work_archive", filter, &[WorkState::Discarded]);
        let sql = format!(
            "select count(*) as total from work_archive
             join work on work.unique_key = work_archive.unique_key and work.unique_key is not null where {sql}"
        );
        count(transaction, self.statement(&sql, values)).await
    }
}

/// That no live row has the dead letter's key.
const NO_OTHER_LIVES: &str = "and not exists (select 1 from work where work.unique_key = work_archive.unique_key and work.unique_key is not null)";

impl Batch {
    /// Each queue once.
    fn sorted(mut self) -> Self {
        self.queues.sort();
        self.queues.dedup();
        self
    }
}

/// Those of `states` that the filter names.
fn named(filter: &WorkFilter, states: &[WorkState]) -> Vec<WorkState> {
    states.iter().copied().filter(|state| filter.states.contains(state)).collect()
}

async fn count(transaction: &DatabaseTransaction, statement: sea_orm::Statement) -> Result<u64, StoreError> {
    let rows = all(transaction, statement).await?;
    let row = rows.first().ok_or_else(|| StoreError::unreadable("count", "no row came back"))?;
    let total: i64 = row.try_get("", "total")?;
    Ok(u64::try_from(total).unwrap_or_default())
}

fn ids(slice: &[Found]) -> Vec<Uuid> {
    slice.iter().map(|row| row.id).collect()
}

fn read_found(row: &QueryResult) -> Result<Found, StoreError> {
    Ok(Found { id: row.try_get("", "id")?, queue: row.try_get("", "queue")? })
}
