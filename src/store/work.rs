//! The engine's rows: insert, end, put back, promote. Claims have a file of their own beside this one.
//!
//! Every write about a claimed row names its runner and fence and returns the ids that it changed; only those drive
//! anything else.
//!
//! **Fails** as the store does. **Limits**: a promotion takes 500 rows at most.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
pub use super::work_claim::{ClaimRequest, Lane, Skimmed, end_of_prefix};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::ids::{RunnerId, WorkId};
use crate::domain::work::{Claim, NewWork, WorkState};

/// Rows made available by one promotion at most, so that the transaction stays short.
const PROMOTION_MAX: i64 = 500;

/// How a claimed row ends.
#[derive(Debug, Clone)]
pub struct Ending {
    pub id: WorkId,
    pub runner_id: RunnerId,
    pub fence: i64,
    pub state: WorkState,
    /// Why, for what was not completed.
    pub error: Option<String>,
    /// The attempt's span, as a `traceparent`: beside the error it goes into the row's history.
    pub span: Option<String>,
}

/// How a claimed row goes back.
#[derive(Debug, Clone)]
pub struct PutBack {
    pub id: WorkId,
    pub runner_id: RunnerId,
    pub fence: i64,
    /// The attempt's span, as a `traceparent`: beside an error it goes into the row's history, from which the next is linked with it.
    pub span: Option<String>,
    /// `Available`, `Scheduled` (snoozed) or `Retryable`.
    pub state: WorkState,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    /// False when the attempt never began, or must not be held against the row.
    pub attempt_counts: bool,
    /// That bytes were about to leave was written down, and none did.
    pub nothing_was_sent: bool,
}

/// What becomes of a claimed row.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    End(Ending),
    Back(PutBack),
}

impl Ending {
    /// The end of `claim`.
    pub fn of(claim: &Claim, state: WorkState, error: Option<String>) -> Self {
        let span = claim.span.clone();
        Self { id: claim.id, runner_id: claim.runner_id, fence: claim.fence, state, error, span }
    }
}

impl Store {
    /// Inserts work about which nothing else changes. Returns the ids that are new: work whose unique key is taken by a
    /// live row is left out.
    pub async fn insert_work_alone(&self, items: &[NewWork]) -> Result<HashSet<WorkId>, StoreError> {
        let (transaction, inserted) = self
            .within(async {
                let transaction = self.begin().await?;
                let inserted = self.insert_work(&transaction, items).await?;
                Ok((transaction, inserted))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(inserted)
    }

    /// Writes down that bytes are about to leave. Returns the ids of the rows that are still held; no others may be sent.
    pub async fn mark_sent(
        &self,
        claims: &[&Claim],
        now: DateTime<Utc>,
    ) -> Result<HashSet<WorkId>, StoreError> {
        let (find, held) = self.still_held();
        let rows = held_rows(claims.iter().map(|claim| (claim.id, claim.runner_id, claim.fence)));
        let statement = self.statement_over(
            rows,
            vec![Value::from(to_us(now))],
            &format!("{find} update work set sent_at_us = $1 where {held} returning id"),
        );
        let marked = self.within(async { ids(all(&self.inner.writer, statement).await?) }).await;
        crate::failpoint::reached("mark_sent.after");
        marked
    }

    /// Ends rows about which nothing else changes. Returns the ids that were still held.
    pub async fn end_alone(
        &self,
        endings: &[Ending],
        now: DateTime<Utc>,
    ) -> Result<HashSet<WorkId>, StoreError> {
        let (transaction, ended) = self
            .within(async {
                let transaction = self.begin().await?;
                let ended = self.end_work(&transaction, endings, now).await?;
                Ok((transaction, ended))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(ended)
    }

    /// Puts rows back about which nothing else changes. Returns the ids that were still held.
    pub async fn put_back_alone(&self, items: &[PutBack]) -> Result<HashSet<WorkId>, StoreError> {
        let (transaction, returned) = self
            .within(async {
                let transaction = self.begin().await?;
                let returned = self.put_back(&transaction, items).await?;
                Ok((transaction, returned))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(returned)
    }

    /// Makes due what has become due. Returns the queues that have something new, once each.
    pub async fn promote_due(&self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let due = format!(
            "select id from work where state in ('scheduled', 'retryable') and run_at_us <= $1
             order by run_at_us limit {PROMOTION_MAX}"
        );
        let is_due = match self.kind() {
            StoreKind::PostgreSql => format!("id = any(array({due} for update skip locked))"),
            StoreKind::Sqlite => format!("id in ({due})"),
        };
        let statement = self.statement(
            &format!("update work set state = 'available' where {is_due} returning queue"),
            [Value::from(to_us(now))],
        );
        let rows = self.within(async { all(&self.inner.writer, statement).await }).await?;
        let queues: Result<HashSet<String>, sea_orm::DbErr> =
            rows.iter().map(|row| row.try_get("", "queue")).collect();
        Ok(queues?.into_iter().collect())
    }

    /// When the next waiting row becomes due.
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let statement = self.statement(
            "select min(run_at_us) as run_at_us from work where state in ('scheduled', 'retryable')",
            [],
        );
        self.within(async {
            let Some(row) = self.reader().query_one_raw(statement).await? else { return Ok(None) };
            row.try_get::<Option<i64>>("", "run_at_us")?.map(from_us).transpose()
        })
        .await
    }

    /// Whether these rows may be inserted as running, one answer each: the process lives, and cannot be buried before the
    /// transaction ends, and the queue is not paused. All rows of a group are of one process.
    pub(super) async fn may_be_taken_at_once(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewWork],
    ) -> Result<Vec<bool>, StoreError> {
        let nobody = || items.iter().map(|_| false).collect();
        let Some(runner) = items.iter().find_map(|item| item.claimed_by) else { return Ok(nobody()) };
        let (lock, names) = match self.kind() {
            StoreKind::PostgreSql => ("for key share of runner", "string_agg(name, chr(10))"),
            StoreKind::Sqlite => ("", "group_concat(name, char(10))"),
        };
        let statement = self.statement(
            &format!(
                "select (select {names} from queue_pause) as paused from runner
                 where id = $1 and state = 'alive' {lock}"
            ),
            [Value::from(runner.0)],
        );
        let Some(row) = transaction.query_one_raw(statement).await? else { return Ok(nobody()) };
        let paused: Option<String> = row.try_get("", "paused")?;
        let is_paused = |queue: &str| {
            let covers = |name: &str| name == queue || (name.ends_with('/') && queue.starts_with(name));
            paused.as_deref().is_some_and(|names| names.lines().any(covers))
        };
        Ok(items.iter().map(|item| item.claimed_by.is_some() && !is_paused(&item.queue)).collect())
    }

    /// Inserts work in a verb's own transaction, and returns the ids that are new. A live row with the same unique key
    /// stays, and the new one is left out; the update that never happens locks the row that stays, so that who ends it waits for this transaction's end.
    pub(super) async fn insert_work(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewWork],
    ) -> Result<HashSet<WorkId>, StoreError> {
        if items.is_empty() {
            return Ok(HashSet::new());
        }
        // Of two with one key the first stays: PostgreSQL fails a statement that meets a row of its own.
        let mut keys = HashSet::new();
        let items: Vec<&NewWork> = items
            .iter()
            .filter(|item| item.unique_key.as_deref().is_none_or(|key| keys.insert(key)))
            .collect();
        let state = |item: &NewWork| match item.claimed_by {
            Some(_) => "running",
            None if item.run_at <= item.created_at => "available",
            None => "scheduled",
        };
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("kind", items.iter().map(|item| item.kind.to_owned()))
            .text("queue", items.iter().map(|item| item.queue.clone()))
            .integer("priority", items.iter().map(|item| item.priority))
            .integer("run_at_us", items.iter().map(|item| to_us(item.run_at)))
            .text("state", items.iter().map(|item| state(item).to_owned()))
            .integer("attempt", items.iter().map(|item| i64::from(item.claimed_by.is_some())))
            .integer("attempts_max", items.iter().map(|item| item.attempts_max))
            .optional_uuid("runner_id", items.iter().map(|item| item.claimed_by.map(|runner| runner.0)))
            .optional_text("unique_key", items.iter().map(|item| item.unique_key.clone()))
            .uuid("subject_id", items.iter().map(|item| item.subject_id))
            .text("payload", items.iter().map(|item| item.payload.clone()))
            .optional_integer("sent_at_us", items.iter().map(|item| item.sent_at.map(to_us)))
            .optional_text("traceparent", items.iter().map(|item| item.traceparent.clone()))
            .integer("created_at_us", items.iter().map(|item| to_us(item.created_at)));
        let statement = self.statement_over(
            rows,
            vec![],
            " insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, runner_id,
                fence, unique_key, subject_id, payload, sent_at_us, traceparent, created_at_us)
              select id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, runner_id,
                attempt, unique_key, subject_id, payload, sent_at_us, traceparent, created_at_us from r where true
              on conflict (unique_key) where unique_key is not null
              do update set priority = work.priority where false
              returning id",
        );
        ids(all(transaction, statement).await?)
    }

    /// The expression for a row's history with one more attempt, whose entry (see [`attempt_entry`]) `entry` names.
    pub(super) fn history_with(&self, entry: &str) -> String {
        let (line_end, newest) = match self.kind() {
            StoreKind::PostgreSql => ("chr(10)", format!("right({{}}, {HISTORY_CHARS_MAX})")),
            StoreKind::Sqlite => ("char(10)", format!("substr({{}}, -{HISTORY_CHARS_MAX})")),
        };
        let longer = format!("coalesce(history || {line_end}, '') || '{{\"attempt\":' || attempt || {entry}");
        format!("case when {entry} is null then history else {} end", newest.replace("{}", &longer))
    }

    /// The ack that leads: ends or puts back claimed rows before anything else of the transaction. Only the ids returned,
    /// which were still held, may drive the rest of it.
    pub(super) async fn lead(
        &self,
        transaction: &DatabaseTransaction,
        fates: impl Iterator<Item = Fate>,
        now: DateTime<Utc>,
    ) -> Result<HashSet<WorkId>, StoreError> {
        let (mut endings, mut returning) = (Vec::new(), Vec::new());
        for fate in fates {
            match fate {
                Fate::End(ending) => endings.push(ending),
                Fate::Back(put_back) => returning.push(put_back),
            }
        }
        let mut held = HashSet::new();
        if !endings.is_empty() {
            held = self.end_work(transaction, &endings, now).await?;
        }
        if !returning.is_empty() {
            held.extend(self.put_back(transaction, &returning).await?);
        }
        Ok(held)
    }

    /// What goes before a statement about the rows of `r`, and the condition by which it finds those that are still held as
    /// `r` says: through the primary key, whatever the planner believes of the table.
    fn still_held(&self) -> (String, &'static str) {
        match self.kind() {
            StoreKind::PostgreSql => (
                format!(", held as materialized (select w.id from {LOCKED})"),
                "work.id = any(array(select id from held))",
            ),
            StoreKind::Sqlite => (
                String::new(),
                "work.id in (select id from r) and exists (select 1 from r where r.id = work.id \
                 and r.runner_id = work.runner_id and r.fence = work.fence)",
            ),
        }
    }

    /// Which of these claims still hold their rows, which stay as they are until the transaction ends.
    pub(super) async fn held(
        &self,
        transaction: &DatabaseTransaction,
        claims: &[&Claim],
    ) -> Result<HashSet<WorkId>, StoreError> {
        let rows = held_rows(claims.iter().map(|claim| (claim.id, claim.runner_id, claim.fence)));
        let find = match self.kind() {
            StoreKind::PostgreSql => format!(" select w.id from {LOCKED}"),
            StoreKind::Sqlite => " select work.id from r join work on work.id = r.id \
                 and work.runner_id = r.runner_id and work.fence = r.fence"
                .to_owned(),
        };
        ids(all(transaction, self.statement_over(rows, vec![], &find)).await?)
    }

    /// Ends claimed rows: the first statement of a settling transaction. Only the ids returned may drive anything else.
    pub(super) async fn end_work(
        &self,
        transaction: &DatabaseTransaction,
        endings: &[Ending],
        now: DateTime<Utc>,
    ) -> Result<HashSet<WorkId>, StoreError> {
        let rows = || {
            held_rows(endings.iter().map(|ending| (ending.id, ending.runner_id, ending.fence)))
                .text("end_state", endings.iter().map(|ending| ending.state.as_str().to_owned()))
                .optional_text("end_error", endings.iter().map(|ending| ending.error.clone()))
                .optional_text(
                    "entry",
                    endings
                        .iter()
                        .map(|it| attempt_entry(now, it.runner_id, it.error.as_deref(), it.span.as_deref())),
                )
        };
        let from = ARCHIVED_FROM.replace("{history}", &self.history_with("entry"));
        let ended_at = Value::from(to_us(now));
        match self.kind() {
            StoreKind::PostgreSql => {
                let sql = format!(
                    ", held as materialized (select w.*, r.end_state, r.end_error, r.entry from {LOCKED}),
                     gone as (delete from work where id = any(array(select id from held)))
                     insert into work_archive ({ARCHIVED}) select {from}, $1 from held returning id"
                );
                ids(all(transaction, self.statement_over(rows(), vec![ended_at], &sql)).await?)
            }
            StoreKind::Sqlite => {
                let keep = format!(
                    " insert into work_archive ({ARCHIVED}) select {from}, $1 from (
                         select work.*, r.end_state, r.end_error, r.entry from r join work on work.id = r.id
                         and work.runner_id = r.runner_id and work.fence = r.fence) where true"
                );
                execute(transaction, self.statement_over(rows(), vec![ended_at], &keep)).await?;
                let (_, held) = self.still_held();
                let delete = format!(" delete from work where {held} returning id");
                ids(all(transaction, self.statement_over(rows(), vec![], &delete)).await?)
            }
        }
    }

    /// Puts claimed rows back: the first statement of the transaction of an attempt that did not end its work.
    pub(super) async fn put_back(
        &self,
        transaction: &DatabaseTransaction,
        items: &[PutBack],
    ) -> Result<HashSet<WorkId>, StoreError> {
        let now = Utc::now();
        let (find, held) = self.still_held();
        let rows = held_rows(items.iter().map(|item| (item.id, item.runner_id, item.fence)))
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .integer("run_at_us", items.iter().map(|item| to_us(item.run_at)))
            .integer("uncounted", items.iter().map(|item| i64::from(!item.attempt_counts)))
            .integer("unsent", items.iter().map(|item| i64::from(item.nothing_was_sent)))
            .optional_text("error", items.iter().map(|item| item.error.clone()))
            .optional_text(
                "entry",
                items
                    .iter()
                    .map(|it| attempt_entry(now, it.runner_id, it.error.as_deref(), it.span.as_deref())),
            );
        let history = self.history_with("r.entry");
        let statement = self.statement_over(
            rows,
            vec![],
            &format!("{find} update work set state = r.state, run_at_us = r.run_at_us, runner_id = null,
                attempt = work.attempt - r.uncounted, history = {history},
                sent_at_us = case when r.unsent = 1 then null else work.sent_at_us end, last_error = coalesce(r.error, work.last_error)
              from r where work.id = r.id and {held} returning work.id"),
        );
        ids(all(transaction, statement).await?)
    }
}

/// A row's history is kept up to this length, the newest attempts of it: 40 with errors of 130 characters.
const HISTORY_CHARS_MAX: u32 = 12_000;

const ARCHIVED: &str = "id, tenant_id, kind, queue, attempt, attempts_max, runner_id, fence, unique_key, subject_id, payload, \
     traceparent, created_at_us, state, last_error, history, ended_at_us";
const ARCHIVED_FROM: &str = "id, tenant_id, kind, queue, attempt, attempts_max, runner_id, fence, unique_key, subject_id, \
     payload, traceparent, created_at_us, end_state, coalesce(end_error, last_error), {history}";

/// The rows of `r` that are still held as `r` says, found one by one and locked, as `w` beside `r`. A lock is what keeps
/// PostgreSQL from joining otherwise: a plan made while the table was empty read the whole primary key for each slice
/// (measured: 11 ms a row at 50,000 rows instead of 16 µs).
const LOCKED: &str = "r cross join lateral (select * from work where work.id = r.id and work.runner_id = r.runner_id \
     and work.fence = r.fence for update) w";

fn held_rows(items: impl Iterator<Item = (WorkId, RunnerId, i64)> + Clone) -> Rows {
    Rows::new()
        .uuid("id", items.clone().map(|(id, _, _)| id.0))
        .uuid("runner_id", items.clone().map(|(_, runner, _)| runner.0))
        .integer("fence", items.map(|(_, _, fence)| fence))
}

/// An attempt that did not complete its work, without its number: that is the row's own. One line of JSON.
pub(super) fn attempt_entry(
    at: DateTime<Utc>,
    runner_id: RunnerId,
    error: Option<&str>,
    span: Option<&str>,
) -> Option<String> {
    let error = serde_json::Value::from(error?);
    let span = span.map_or_else(String::new, |span| format!(r#","span":{}"#, serde_json::Value::from(span)));
    Some(format!(r#","at_us":{},"runner":"{runner_id}","error":{error}{span}}}"#, to_us(at)))
}

fn ids(rows: Vec<QueryResult>) -> Result<HashSet<WorkId>, StoreError> {
    rows.iter().map(|row| Ok(WorkId(row.try_get::<Uuid>("", "id")?))).collect()
}
