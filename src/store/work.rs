//! The engine's rows: insert, claim, end, put back, promote.
//!
//! Every write about a claimed row names its runner and fence and returns the ids that it changed; only those drive
//! anything else. Claims skim the queues that have something due, each up to the places free for it, so that one full
//! queue hides no other, however long it is. Nothing is claimed from a queue that is paused: the claim itself asks.
//!
//! **Fails** as the store does. **Limits**: a claim returns at most what was asked for, a promotion 500 rows.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::ids::{RunnerId, TenantId, WorkId};
use crate::domain::work::{Claim, NewWork, WorkState};

/// Rows made available by one promotion at most, so that the transaction stays short.
const PROMOTION_MAX: i64 = 500;

/// What a process is ready to take.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    pub runner_id: RunnerId,
    /// The kind of work that is known how to do; a newer release may have put other kinds in the same queues.
    pub kind: &'static str,
    /// Queues from this name on …
    pub queue_from: String,
    /// … up to but not including this one.
    pub queue_until: String,
    /// Places in a queue that is not named in `busy`.
    pub free_per_queue: i64,
    /// Queues with fewer places free, none included.
    pub busy: Vec<(String, i64)>,
    /// Tenants of whom nothing more may be taken.
    pub tenants_full: Vec<TenantId>,
    /// Rows at most.
    pub limit: i64,
}

/// How a claimed row ends.
#[derive(Debug, Clone)]
pub struct Ending {
    pub id: WorkId,
    pub runner_id: RunnerId,
    pub fence: i64,
    pub state: WorkState,
    /// Why, for what was not completed.
    pub error: Option<String>,
}

/// How a claimed row goes back.
#[derive(Debug, Clone)]
pub struct PutBack {
    pub id: WorkId,
    pub runner_id: RunnerId,
    pub fence: i64,
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
        Self { id: claim.id, runner_id: claim.runner_id, fence: claim.fence, state, error }
    }
}

const CLAIMED_COLUMNS: &str = "work.id, work.tenant_id, work.kind, work.queue, work.attempt, work.attempts_max, work.fence, \
     work.subject_id, work.payload, work.sent_at_us, work.traceparent, work.last_error, work.created_at_us, work.runner_id";

/// The queues with something due, found by one index probe each, from `$1` up to but not including `$2`.
const DUE_QUEUES: &str = ",
    q(queue) as (
        select * from (select queue from work where state = 'available' and queue >= $1 and queue < $2
            order by queue limit 1) as first_queue
        union all
        select (select w.queue from work w where w.state = 'available' and w.queue > q.queue and w.queue < $2
            order by w.queue limit 1) from q where q.queue is not null
    ),";

const CLAIM_POSTGRES: &str = "
    alive as (select id from runner where id = $3 and state = 'alive' for key share),
    due as (
        select picked.id from q
        cross join lateral (
            select w.id from work w where w.state = 'available' and w.queue = q.queue and w.kind = $6 {tenants}
            order by w.priority, w.run_at_us, w.id
            limit coalesce((select r.free from r where r.queue = q.queue), $4)
            for update skip locked
        ) as picked
        where q.queue is not null and {not_paused} limit $5
    )
    update work set state = 'running', runner_id = alive.id, fence = work.fence + 1, attempt = work.attempt + 1
    from due, alive where work.id = due.id returning ";

/// SQLite takes no limit that depends on the queue, so the places free are counted off over the few rows at each head.
const CLAIM_SQLITE: &str = "
    alive as (select id from runner where id = $3 and state = 'alive'),
    heads as (
        select work.id, work.queue,
            row_number() over (partition by work.queue order by work.priority, work.run_at_us, work.id) as place
        from q join work on work.id in (
            select w.id from work w where w.state = 'available' and w.queue = q.queue and w.kind = $6 {tenants}
            order by w.priority, w.run_at_us, w.id limit $4
        )
        where q.queue is not null and {not_paused}
    ),
    due as (
        select heads.id from heads left join r on r.queue = heads.queue
        where heads.place <= coalesce(r.free, $4) limit $5
    )
    update work set state = 'running', runner_id = (select id from alive), fence = fence + 1, attempt = attempt + 1
    where id in (select id from due) and exists (select 1 from alive) returning ";

/// That no pause covers the queue: one of its own name, or of a prefix, which ends in a slash.
const NOT_PAUSED: &str = "not exists (select 1 from queue_pause p where p.name = q.queue
    or (p.name like '%/' and substr(q.queue, 1, length(p.name)) = p.name))";

/// That the tenant has places free. Asked only when one has none, for it costs something a row.
const TENANT_HAS_PLACES: &str = "and not exists (select 1 from r where r.queue = '{tenant}' || w.tenant_id)";
/// What marks a tenant among the busy queues; no queue's name begins so.
const TENANT_MARK: &str = "tenant:";

impl Store {
    /// Claims what is due, as far as there is room for it.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        let tenants = request.tenants_full.iter().map(|tenant| format!("{TENANT_MARK}{}", tenant.as_str()));
        let busy = Rows::new()
            .text("queue", request.busy.iter().map(|(queue, _)| queue.clone()).chain(tenants))
            .integer(
                "free",
                request.busy.iter().map(|(_, free)| *free).chain(request.tenants_full.iter().map(|_| 0)),
            );
        let parameters = vec![
            Value::from(request.queue_from.as_str()),
            Value::from(request.queue_until.as_str()),
            Value::from(request.runner_id.0),
            Value::from(request.free_per_queue),
            Value::from(request.limit),
            Value::from(request.kind),
        ];
        let claim = match self.kind() {
            StoreKind::PostgreSql => CLAIM_POSTGRES,
            StoreKind::Sqlite => CLAIM_SQLITE,
        };
        let tenants = match request.tenants_full.is_empty() {
            true => String::new(),
            false => TENANT_HAS_PLACES.replace("{tenant}", TENANT_MARK),
        };
        let claim = claim.replace("{tenants}", &tenants).replace("{not_paused}", NOT_PAUSED);
        let statement =
            self.statement_over(busy, parameters, &format!("{DUE_QUEUES}{claim}{CLAIMED_COLUMNS}"));
        let rows = self.within(async { all(&self.inner.writer, statement).await }).await?;
        // A row that cannot be read must not take its neighbours with it; nobody holds it, so it is found and put back.
        let read = |row| match read_claim(row) {
            Ok(claim) => Some(claim),
            Err(error) => {
                tracing::error!(%error, "claimed row cannot be read");
                None
            }
        };
        Ok(rows.iter().filter_map(read).collect())
    }

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
        let rows = held(claims.iter().map(|claim| (claim.id, claim.runner_id, claim.fence)));
        let statement = self.statement_over(
            rows,
            vec![Value::from(to_us(now))],
            &format!(" update work set sent_at_us = $1 where {HELD} returning id"),
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
        let lock = if self.kind() == StoreKind::PostgreSql { "for update skip locked" } else { "" };
        let statement = self.statement(
            &format!(
                "update work set state = 'available' where id in (
                    select id from work where state in ('scheduled', 'retryable') and run_at_us <= $1
                    order by run_at_us limit {PROMOTION_MAX} {lock}
                ) returning queue"
            ),
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

    /// Ends claimed rows: the first statement of a settling transaction. Only the ids returned may drive anything else.
    pub(super) async fn end_work(
        &self,
        transaction: &DatabaseTransaction,
        endings: &[Ending],
        now: DateTime<Utc>,
    ) -> Result<HashSet<WorkId>, StoreError> {
        let rows = || {
            held(endings.iter().map(|ending| (ending.id, ending.runner_id, ending.fence)))
                .text("end_state", endings.iter().map(|ending| ending.state.as_str().to_owned()))
                .optional_text("end_error", endings.iter().map(|ending| ending.error.clone()))
                .optional_text(
                    "entry",
                    endings
                        .iter()
                        .map(|ending| attempt_entry(now, ending.runner_id, ending.error.as_deref())),
                )
        };
        let from = ARCHIVED_FROM.replace("{history}", &self.history_with("entry"));
        let ended_at = Value::from(to_us(now));
        match self.kind() {
            StoreKind::PostgreSql => {
                let sql = format!(
                    ", ended as (delete from work using r where work.id = r.id and work.runner_id = r.runner_id
                         and work.fence = r.fence returning work.*, r.end_state, r.end_error, r.entry)
                     insert into work_archive ({ARCHIVED}) select {from}, $1 from ended returning id"
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
                let delete = format!(" delete from work where {HELD} returning id");
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
        let rows = held(items.iter().map(|item| (item.id, item.runner_id, item.fence)))
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .integer("run_at_us", items.iter().map(|item| to_us(item.run_at)))
            .integer("uncounted", items.iter().map(|item| i64::from(!item.attempt_counts)))
            .integer("unsent", items.iter().map(|item| i64::from(item.nothing_was_sent)))
            .optional_text("error", items.iter().map(|item| item.error.clone()))
            .optional_text(
                "entry",
                items.iter().map(|item| attempt_entry(now, item.runner_id, item.error.as_deref())),
            );
        let history = self.history_with("r.entry");
        let statement = self.statement_over(
            rows,
            vec![],
            &format!(" update work set state = r.state, run_at_us = r.run_at_us, runner_id = null,
                attempt = work.attempt - r.uncounted, history = {history},
                sent_at_us = case when r.unsent = 1 then null else work.sent_at_us end, last_error = coalesce(r.error, work.last_error)
              from r where work.id = r.id and work.runner_id = r.runner_id and work.fence = r.fence returning work.id"),
        );
        ids(all(transaction, statement).await?)
    }
}

/// A row's history is kept up to this length, the newest attempts of it.
const HISTORY_CHARS_MAX: u32 = 8_000;

const ARCHIVED: &str = "id, tenant_id, kind, queue, attempt, attempts_max, runner_id, fence, unique_key, subject_id, payload, \
     traceparent, created_at_us, state, last_error, history, ended_at_us";
const ARCHIVED_FROM: &str = "id, tenant_id, kind, queue, attempt, attempts_max, runner_id, fence, unique_key, subject_id, \
     payload, traceparent, created_at_us, end_state, coalesce(end_error, last_error), {history}";

/// That a row of `work` is one of `r` and still held as `r` says. The `in` leads both planners to the primary key.
const HELD: &str = "id in (select id from r) and exists (select 1 from r where r.id = work.id \
     and r.runner_id = work.runner_id and r.fence = work.fence)";

fn held(items: impl Iterator<Item = (WorkId, RunnerId, i64)> + Clone) -> Rows {
    Rows::new()
        .uuid("id", items.clone().map(|(id, _, _)| id.0))
        .uuid("runner_id", items.clone().map(|(_, runner, _)| runner.0))
        .integer("fence", items.map(|(_, _, fence)| fence))
}

/// An attempt that did not complete its work, without its number: that is the row's own. One line of JSON.
pub(super) fn attempt_entry(at: DateTime<Utc>, runner_id: RunnerId, error: Option<&str>) -> Option<String> {
    let error = serde_json::Value::from(error?);
    Some(format!(r#","at_us":{},"runner":"{runner_id}","error":{error}}}"#, to_us(at)))
}

/// The first text after every text that begins with `prefix`, which ends in an ASCII character below `~`.
pub fn end_of_prefix(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    match end.pop() {
        Some(last) => end.push(char::from_u32(u32::from(last) + 1).unwrap_or('\u{7f}')),
        None => end.push('\u{7f}'),
    }
    end
}

fn ids(rows: Vec<QueryResult>) -> Result<HashSet<WorkId>, StoreError> {
    rows.iter().map(|row| Ok(WorkId(row.try_get::<Uuid>("", "id")?))).collect()
}

fn read_claim(row: &QueryResult) -> Result<Claim, StoreError> {
    let tenant: String = row.try_get("", "tenant_id")?;
    let sent_at: Option<i64> = row.try_get("", "sent_at_us")?;
    Ok(Claim {
        id: WorkId(row.try_get("", "id")?),
        tenant_id: TenantId::parse(&tenant).map_err(|error| StoreError::unreadable("tenant", error))?,
        kind: row.try_get("", "kind")?,
        queue: row.try_get("", "queue")?,
        attempt: row.try_get("", "attempt")?,
        attempts_max: row.try_get("", "attempts_max")?,
        runner_id: RunnerId(row.try_get("", "runner_id")?),
        fence: row.try_get("", "fence")?,
        subject_id: row.try_get("", "subject_id")?,
        payload: row.try_get("", "payload")?,
        sent_at: sent_at.map(from_us).transpose()?,
        traceparent: row.try_get("", "traceparent")?,
        last_error: row.try_get("", "last_error")?,
        created_at: from_us(row.try_get("", "created_at_us")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::end_of_prefix;

    #[test]
    fn a_prefix_ends_before_its_neighbour() {
        assert_eq!(end_of_prefix("delivery/sqs/"), "delivery/sqs0");
        assert!("delivery/sqs/zzz" < end_of_prefix("delivery/sqs/").as_str());
        assert!("delivery/webhook/" > end_of_prefix("delivery/sqs/").as_str());
    }
}
