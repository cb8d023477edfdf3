//! What operators see of the work, and how they steer it.
//!
//! Live rows and ended ones stand in two tables and are shown as one list. Steering never touches a row that somebody
//! has in hand: it answers that it is running.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};
use serde_json::json;
use uuid::Uuid;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::boleto::HELD_BACK;
use super::boleto_order::order_key;
use super::entities::{work, work_archive};
use super::transaction::execute;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BoletoId, EventId, RunnerId, WorkId};
use crate::domain::work::{NewWork, WorkState};

/// A row of work, live or ended, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkView {
    pub id: WorkId,
    pub tenant_id: String,
    pub kind: String,
    pub queue: String,
    pub state: WorkState,
    pub attempt: i64,
    pub attempts_max: i64,
    /// While it lives.
    pub run_at: Option<DateTime<Utc>>,
    pub subject_id: Uuid,
    pub last_error: Option<String>,
    pub runner_id: Option<RunnerId>,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// The attempts that did not complete it, newest last; of a long life the latest.
    pub attempts: Vec<PastAttempt>,
}

/// An attempt that did not complete its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    pub attempt: i64,
    pub ended_at: DateTime<Utc>,
    pub runner_id: RunnerId,
    pub error: String,
    /// Its span as a `traceparent`; none where it is not known, as of one that ended with its process.
    pub span: Option<String>,
}

/// Which rows; what is `None` or empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkFilter {
    /// Any of these; empty for all that lives.
    pub states: Vec<WorkState>,
    pub kind: Option<String>,
    pub queue: Option<String>,
    pub subject_id: Option<Uuid>,
}

/// What became of an operator's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steered {
    Done,
    NotFound,
    /// Somebody has it in hand.
    Running,
    /// It ended otherwise, and there is nothing to be done about it.
    Ended(WorkState),
    /// Other work for the same thing lives already.
    Superseded,
}

/// What became of the wish to have a boleto registered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterAgain {
    /// It will be attempted at once, or is being attempted now.
    Asked,
    /// There is no such boleto.
    NotFound,
    /// The bank's decision is not open.
    NotOpen(Status),
    /// It is about to be cancelled.
    OrderPending,
}

impl Store {
    /// A page of work of every tenant, newest first.
    pub async fn list_work(
        &self,
        filter: &WorkFilter,
        before: Option<WorkId>,
        limit: u64,
    ) -> Result<Vec<WorkView>, StoreError> {
        let live: Vec<WorkState> = filter.states.iter().copied().filter(|state| !state.has_ended()).collect();
        let ended: Vec<WorkState> = filter.states.iter().copied().filter(|state| state.has_ended()).collect();
        let mut found = Vec::new();
        if filter.states.is_empty() || !live.is_empty() {
            found = self.list_live(filter, &live, before, limit).await?;
        }
        if !ended.is_empty() {
            found.extend(self.list_ended(filter, &ended, before, limit).await?);
            found.sort_by_key(|view| std::cmp::Reverse(view.id));
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(found)
    }

    async fn list_live(
        &self,
        filter: &WorkFilter,
        states: &[WorkState],
        before: Option<WorkId>,
        limit: u64,
    ) -> Result<Vec<WorkView>, StoreError> {
        use work::Column;
        let mut all = Condition::all();
        if !states.is_empty() {
            all = all.add(Column::State.is_in(states.iter().map(|state| state.as_str())));
        }
        if let Some(kind) = &filter.kind {
            all = all.add(Column::Kind.eq(kind.as_str()));
        }
        if let Some(queue) = &filter.queue {
            all = all.add(Column::Queue.eq(queue.as_str()));
        }
        if let Some(subject) = filter.subject_id {
            all = all.add(Column::SubjectId.eq(subject));
        }
        if let Some(WorkId(before)) = before {
            all = all.add(Column::Id.lt(before));
        }
        let query = work::Entity::find().filter(all).order_by_desc(Column::Id).limit(limit);
        self.within(async { query.all(self.reader()).await?.into_iter().map(read_live).collect() }).await
    }

    async fn list_ended(
        &self,
        filter: &WorkFilter,
        states: &[WorkState],
        before: Option<WorkId>,
        limit: u64,
    ) -> Result<Vec<WorkView>, StoreError> {
        use work_archive::Column;
        let mut all = Condition::all();
        all = match states {
            // Spelled out, so that the planner sees that the index of dead letters has them all.
            [WorkState::Discarded] => all.add(Expr::cust("state = 'discarded'")),
            states => all.add(Column::State.is_in(states.iter().map(|state| state.as_str()))),
        };
        if let Some(kind) = &filter.kind {
            all = all.add(Column::Kind.eq(kind.as_str()));
        }
        if let Some(queue) = &filter.queue {
            all = all.add(Column::Queue.eq(queue.as_str()));
        }
        if let Some(subject) = filter.subject_id {
            all = all.add(Column::SubjectId.eq(subject));
        }
        if let Some(WorkId(before)) = before {
            all = all.add(Column::Id.lt(before));
        }
        let query = work_archive::Entity::find().filter(all).order_by_desc(Column::Id).limit(limit);
        self.within(async { query.all(self.reader()).await?.into_iter().map(read_ended).collect() }).await
    }

    /// One row of work, wherever it stands.
    pub async fn work(&self, id: WorkId) -> Result<Option<WorkView>, StoreError> {
        self.within(async {
            if let Some(row) = work::Entity::find_by_id(id.0).one(self.reader()).await? {
                return read_live(row).map(Some);
            }
            work_archive::Entity::find_by_id(id.0).one(self.reader()).await?.map(read_ended).transpose()
        })
        .await
    }

    /// Makes waiting work due now, and a dead letter live again with its attempts restored.
    pub async fn retry_work(
        &self,
        id: WorkId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Steered, StoreError> {
        let (transaction, changed) = self
            .within(async {
                let transaction = self.begin().await?;
                let before = self.state_in(&transaction, id).await?;
                let mut changed = self.hasten(&transaction, &[id.0], reason, now).await?;
                if changed == 0 {
                    changed = self.revive(&transaction, &[id.0], reason, now).await?;
                }
                if changed > 0 {
                    let act = act("RetryWork", id, reason, before, WorkState::Available, now);
                    self.record_act(&transaction, act).await?;
                }
                Ok((transaction, changed))
            })
            .await?;
        self.commit(transaction).await?;
        if changed > 0 {
            return Ok(Steered::Done);
        }
        Ok(match self.work(id).await? {
            None => Steered::NotFound,
            Some(view) if view.state == WorkState::Discarded => Steered::Superseded,
            Some(view) if view.state.has_ended() => Steered::Ended(view.state),
            Some(_) => Steered::Running,
        })
    }

    /// Ends waiting work.
    pub async fn cancel_work(
        &self,
        id: WorkId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Steered, StoreError> {
        let lock = match self.kind() {
            super::StoreKind::PostgreSql => "select id from work where id = $1 for update",
            super::StoreKind::Sqlite => "select id from work where id = $1",
        };
        let lock = self.statement(lock, [Value::from(id.0)]);
        let (transaction, changed) = self
            .within(async {
                let transaction = self.begin().await?;
                transaction.query_one_raw(lock).await?;
                let before = self.state_in(&transaction, id).await?;
                let changed = self.cancel(&transaction, &[id.0], reason, now).await?;
                if changed > 0 {
                    let act = act("CancelWork", id, reason, before, WorkState::Cancelled, now);
                    self.record_act(&transaction, act).await?;
                }
                Ok((transaction, changed))
            })
            .await?;
        self.commit(transaction).await?;
        if changed > 0 {
            return Ok(Steered::Done);
        }
        Ok(match self.work(id).await? {
            None => Steered::NotFound,
            Some(view) if view.state.has_ended() => Steered::Ended(view.state),
            Some(_) => Steered::Running,
        })
    }

    async fn state_in(
        &self,
        transaction: &DatabaseTransaction,
        id: WorkId,
    ) -> Result<Option<String>, StoreError> {
        let find = self.statement(
            "select state from work where id = $1 union all select state from work_archive where id = $1",
            [Value::from(id.0)],
        );
        let row = transaction.query_one_raw(find).await?;
        Ok(row.map(|row| row.try_get("", "state")).transpose()?)
    }

    /// Has a boleto that awaits its registration attempted now: hastens its work, or makes it anew where it had ended.
    ///
    /// `work` must say that bytes may have left, for work that has ended may have sent some. One that was held back never
    /// had any: it is pending from now on, and its work may ask without looking first.
    pub async fn register_again(&self, work: &NewWork) -> Result<RegisterAgain, StoreError> {
        self.ask_for_registration(work, true).await
    }

    /// The same, but that work which waits for its time goes on waiting: for those who ask again and again by themselves.
    pub async fn register_unless_waiting(&self, work: &NewWork) -> Result<RegisterAgain, StoreError> {
        self.ask_for_registration(work, false).await
    }

    async fn ask_for_registration(
        &self,
        work: &NewWork,
        may_hasten: bool,
    ) -> Result<RegisterAgain, StoreError> {
        // Not locked: a settlement holds the work row and then wants the boleto's. Work that is made for a boleto which was
        // decided meanwhile ends as moot.
        let find = self.statement(
            "select b.status, (
                select e.reason from boleto_event e where e.boleto_id = b.id and e.version = 1
             ) as first_reason from boleto b where b.tenant_id = $1 and b.id = $2",
            [Value::from(work.tenant_id.as_str()), Value::from(work.subject_id)],
        );
        let ordered = self.statement(
            "select 1 as one from work where unique_key = $1",
            [Value::from(order_key(BoletoId(work.subject_id)))],
        );
        let hasten = self.statement(
            "update work set state = 'available', run_at_us = $2 where unique_key = $1
               and state in ('scheduled', 'retryable')",
            [Value::from(work.unique_key.clone()), Value::from(to_us(work.run_at))],
        );
        let (transaction, outcome) = self
            .within(async {
                let transaction = self.begin().await?;
                let Some(row) = transaction.query_one_raw(find).await? else {
                    return Ok((transaction, RegisterAgain::NotFound));
                };
                let name: String = row.try_get("", "status")?;
                let status = Status::parse(&name).ok_or_else(|| StoreError::unreadable("status", &name))?;
                if !status.awaits_registration() {
                    return Ok((transaction, RegisterAgain::NotOpen(status)));
                }
                if transaction.query_one_raw(ordered).await?.is_some() {
                    return Ok((transaction, RegisterAgain::OrderPending));
                }
                let reason: Option<String> = row.try_get("", "first_reason")?;
                let (id, event_id) = (BoletoId(work.subject_id), EventId(Uuid::now_v7()));
                if status == Status::Issued
                    && reason.as_deref() == Some(HELD_BACK)
                    && self
                        .mark_pending_in(&transaction, &work.tenant_id, id, event_id, work.created_at)
                        .await?
                {
                    let first = NewWork { sent_at: None, ..work.clone() };
                    self.insert_work(&transaction, &[first]).await?;
                } else if !may_hasten || execute(&transaction, hasten).await? == 0 {
                    self.insert_work(&transaction, std::slice::from_ref(work)).await?;
                }
                Ok((transaction, RegisterAgain::Asked))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(outcome)
    }

    /// Forgets completed and cancelled work that ended before `until`, at most `limit` rows. Dead letters stay.
    pub async fn forget_ended_work(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(
            "delete from work_archive where id in (
                select id from work_archive where ended_at_us < $1 and state <> 'discarded' order by ended_at_us limit $2
             )",
            [Value::from(to_us(until)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}

fn act(
    method: &'static str,
    id: WorkId,
    reason: &str,
    before: Option<String>,
    after: WorkState,
    now: DateTime<Utc>,
) -> Act {
    Act {
        method,
        subject: Subject::Id(id.0),
        reason: reason.to_owned(),
        before: json!({ "state": before }),
        after: json!({ "state": after.as_str() }),
        now,
    }
}

fn state(name: &str) -> Result<WorkState, StoreError> {
    WorkState::from_name(name).ok_or_else(|| StoreError::unreadable("state", name))
}

/// The attempts of a history, one line of JSON each. The oldest line may have been cut off in its middle to keep the whole
/// within its limit; what cannot be read is left out, so that it hides nothing else of the row.
fn past_attempts(history: Option<&str>) -> Vec<PastAttempt> {
    history.unwrap_or_default().lines().filter_map(PastAttempt::read).collect()
}

/// The span of the newest attempt of a history that has one.
pub(super) fn last_span(history: &str) -> Option<String> {
    history.lines().rev().filter_map(PastAttempt::read).find_map(|attempt| attempt.span)
}

impl PastAttempt {
    fn read(line: &str) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Line {
            attempt: i64,
            at_us: i64,
            runner: Uuid,
            error: String,
            span: Option<String>,
        }
        let Line { attempt, at_us, runner, error, span } = serde_json::from_str(line).ok()?;
        let ended_at = from_us(at_us).ok()?;
        Some(Self { attempt, ended_at, runner_id: RunnerId(runner), error, span })
    }
}

fn read_live(row: work::Model) -> Result<WorkView, StoreError> {
    Ok(WorkView {
        id: WorkId(row.id),
        tenant_id: row.tenant_id,
        kind: row.kind,
        queue: row.queue,
        state: state(&row.state)?,
        attempt: row.attempt,
        attempts_max: row.attempts_max,
        run_at: Some(from_us(row.run_at_us)?),
        subject_id: row.subject_id,
        last_error: row.last_error,
        runner_id: row.runner_id.map(RunnerId),
        traceparent: row.traceparent,
        created_at: from_us(row.created_at_us)?,
        ended_at: None,
        attempts: past_attempts(row.history.as_deref()),
    })
}

fn read_ended(row: work_archive::Model) -> Result<WorkView, StoreError> {
    Ok(WorkView {
        id: WorkId(row.id),
        tenant_id: row.tenant_id,
        kind: row.kind,
        queue: row.queue,
        state: state(&row.state)?,
        attempt: row.attempt,
        attempts_max: row.attempts_max,
        run_at: None,
        subject_id: row.subject_id,
        last_error: row.last_error,
        runner_id: row.runner_id.map(RunnerId),
        traceparent: row.traceparent,
        created_at: from_us(row.created_at_us)?,
        ended_at: Some(from_us(row.ended_at_us)?),
        attempts: past_attempts(row.history.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::work::attempt_entry;

    #[test]
    fn a_history_is_read_as_far_as_it_is_whole() {
        let runner = Uuid::from_u128(7);
        let line = |attempt: i64| serde_json::json!({"attempt": attempt, "at_us": 1_000_000, "runner": runner, "error": "away\n"});
        let history = format!("us\":5,\"error\":\"cut\"}}\n{}\n{}", line(2), line(3));
        let attempts = past_attempts(Some(&history));
        let numbers: Vec<i64> = attempts.iter().map(|attempt| attempt.attempt).collect();
        assert_eq!(numbers, [2, 3]);
        assert_eq!((attempts[1].runner_id, attempts[1].error.as_str()), (RunnerId(runner), "away\n"));
        assert_eq!(attempts[1].ended_at.timestamp(), 1);
        assert!(past_attempts(None).is_empty());
    }

    #[test]
    fn the_span_of_an_attempt_is_found_behind_one_that_ended_with_its_process() {
        let runner = RunnerId(Uuid::from_u128(7));
        let line = |attempt: i64, error: &str, span: Option<&str>| {
            let entry = attempt_entry(Utc::now(), runner, Some(error), span).unwrap();
            format!("{{\"attempt\":{attempt}{entry}")
        };
        let history =
            [line(1, "a", Some("one")), line(2, "b", Some("two")), line(3, "gone", None)].join("\n");
        assert_eq!(last_span(&history).as_deref(), Some("two"));
        let spans: Vec<_> = past_attempts(Some(&history)).into_iter().map(|attempt| attempt.span).collect();
        assert_eq!(spans, [Some("one".to_owned()), Some("two".to_owned()), None]);
        assert_eq!(last_span(&line(1, "gone", None)), None);
    }
}
