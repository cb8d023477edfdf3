//! Queues as operators see them, and the pauses that hold them back.
//!
//! A pause is a row whose name is a queue's, or a prefix of queues that ends in a slash; every claim asks for it in its own
//! statement. Once [`Store::pause_queue`] has returned, nothing more is claimed from there, by any process: it waits until
//! the claims that began before the row was there have ended. What is in hand is finished.
//!
//! **Fails** as the store does; a pause that could not wait for the claims before it stands, and may be asked for again.
//! **Limits**: a page of queues; one pass over the live rows for each.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use serde_json::json;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::transaction::all;
use super::{Store, StoreError, StoreKind, from_us, to_us};

/// How often it is looked whether the claims that began before a pause have ended; they take milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Whose transactions may still claim by what they read before a pause. The lock on a table is taken before a statement's
/// snapshot, so whoever does not hold it now will see the pause. Other programs' readers, such as a backup, are not waited
/// for: they claim nothing.
const READERS_OF_PAUSES: &str = "select l.virtualtransaction as holder
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'relation' and l.relation = 'queue_pause'::regclass and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and l.pid <> pg_backend_pid() and a.application_name = current_setting('application_name')";

/// Why nothing is claimed from a queue, or from any whose name begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePause {
    /// A queue, or a prefix that ends in a slash.
    pub name: String,
    pub reason: String,
    pub paused_at: DateTime<Utc>,
}

impl QueuePause {
    /// Whether the queue is held back by it.
    pub fn covers(&self, queue: &str) -> bool {
        self.name == queue || (self.name.ends_with('/') && queue.starts_with(&self.name))
    }
}

/// A queue with what lives in it, or a prefix that is paused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueView {
    pub name: String,
    /// Its own, or that of the longest prefix that is paused.
    pub pause: Option<QueuePause>,
    pub available: i64,
    pub scheduled: i64,
    pub retryable: i64,
    pub running: i64,
    /// Since when the row that has waited longest could have been claimed.
    pub oldest_due_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Pauses a queue, or all whose names begin so. Paused already, it takes the new reason and keeps its time.
    pub async fn pause_queue(
        &self,
        name: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<QueuePause, StoreError> {
        let statement = self.statement(
            "insert into queue_pause (name, reason, paused_at_us) values ($1, $2, $3)
             on conflict (name) do update set reason = excluded.reason returning name, reason, paused_at_us",
            [Value::from(name), Value::from(reason), Value::from(to_us(now))],
        );
        let before = self.statement("select reason from queue_pause where name = $1", [Value::from(name)]);
        let (transaction, pause) = self
            .within(async {
                let transaction = self.begin().await?;
                let before = all(&transaction, before).await?;
                let before = before.first().map(|row| row.try_get::<String>("", "reason")).transpose()?;
                let rows = all(&transaction, statement).await?;
                let row = rows.first().ok_or_else(|| StoreError::unreadable("pause", "no row came back"))?;
                let pause = read_pause(row)?;
                let before = json!({ "paused": before.is_some(), "reason": before });
                let after = json!({ "paused": true, "reason": reason });
                self.record_act(&transaction, act("PauseQueue", name, reason, (before, after), now)).await?;
                Ok((transaction, pause))
            })
            .await?;
        self.commit(transaction).await?;
        if self.kind() == StoreKind::PostgreSql {
            // On SQLite every claim passes through the one writer, and has ended.
            self.within(self.claims_before_now_have_ended()).await?;
        }
        Ok(pause)
    }

    async fn claims_before_now_have_ended(&self) -> Result<(), StoreError> {
        let mut waited_for = self.readers_of_pauses().await?;
        while !waited_for.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            let there = self.readers_of_pauses().await?;
            waited_for.retain(|holder| there.contains(holder));
        }
        Ok(())
    }

    async fn readers_of_pauses(&self) -> Result<HashSet<String>, StoreError> {
        let rows = all(self.reader(), self.statement(READERS_OF_PAUSES, [])).await?;
        rows.iter().map(|row| Ok(row.try_get("", "holder")?)).collect()
    }

    /// Lets a queue be claimed from again. False: it was not paused under this name.
    pub async fn resume_queue(&self, name: &str, reason: &str) -> Result<bool, StoreError> {
        let statement =
            self.statement("delete from queue_pause where name = $1 returning reason", [Value::from(name)]);
        let (transaction, was_paused) = self
            .within(async {
                let transaction = self.begin().await?;
                let rows = all(&transaction, statement).await?;
                if let Some(row) = rows.first() {
                    let paused_for: String = row.try_get("", "reason")?;
                    let before = json!({ "paused": true, "reason": paused_for });
                    let told = (before, json!({ "paused": false }));
                    self.record_act(&transaction, act("ResumeQueue", name, reason, told, self.now())).await?;
                }
                Ok((transaction, !rows.is_empty()))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(was_paused)
    }

    /// Every pause, by name.
    pub async fn queue_pauses(&self) -> Result<Vec<QueuePause>, StoreError> {
        let statement = self.statement("select name, reason, paused_at_us from queue_pause", []);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        let mut pauses: Vec<QueuePause> = rows.iter().map(read_pause).collect::<Result<_, _>>()?;
        pauses.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pauses)
    }

    /// The queues in which something lives and the names that are paused, in the order of their names, after `after`.
    pub async fn queues(
        &self,
        limit: u64,
        after: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Vec<QueueView>, StoreError> {
        // The same order as ours, whatever the database's own.
        let bytewise = if self.kind() == StoreKind::PostgreSql { r#"collate "C""# } else { "" };
        let statement = self.statement(
            &format!(
                "select queue {bytewise} as name,
                    count(case when state = 'available' then 1 end) as available,
                    count(case when state = 'scheduled' then 1 end) as scheduled,
                    count(case when state = 'retryable' then 1 end) as retryable,
                    count(case when state = 'running' then 1 end) as running,
                    min(case when state <> 'running' and run_at_us <= $3 then run_at_us end) as oldest_due_us
                 from work where queue {bytewise} > $1 group by 1 order by 1 limit $2"
            ),
            [
                Value::from(after.unwrap_or_default()),
                Value::from(i64::try_from(limit).unwrap_or(i64::MAX)),
                Value::from(to_us(now)),
            ],
        );
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        let mut views = BTreeMap::new();
        for row in &rows {
            let view = read_view(row)?;
            views.insert(view.name.clone(), view);
        }
        let pauses = self.queue_pauses().await?;
        for pause in pauses.iter().filter(|pause| after.is_none_or(|after| pause.name.as_str() > after)) {
            let empty = || QueueView { name: pause.name.clone(), ..QueueView::default() };
            views.entry(pause.name.clone()).or_insert_with(empty);
        }
        let paused = |mut view: QueueView| {
            let covering = pauses.iter().filter(|pause| pause.covers(&view.name));
            view.pause = covering.max_by_key(|pause| pause.name.len()).cloned();
            view
        };
        Ok(views.into_values().map(paused).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }
}

fn act(
    method: &'static str,
    name: &str,
    reason: &str,
    (before, after): (serde_json::Value, serde_json::Value),
    now: DateTime<Utc>,
) -> Act {
    let subject = Subject::Named(name.to_owned());
    Act { method, subject, reason: reason.to_owned(), before, after, now }
}

fn read_pause(row: &QueryResult) -> Result<QueuePause, StoreError> {
    Ok(QueuePause {
        name: row.try_get("", "name")?,
        reason: row.try_get("", "reason")?,
        paused_at: from_us(row.try_get("", "paused_at_us")?)?,
    })
}

fn read_view(row: &QueryResult) -> Result<QueueView, StoreError> {
    let oldest_due_us: Option<i64> = row.try_get("", "oldest_due_us")?;
    Ok(QueueView {
        name: row.try_get("", "name")?,
        pause: None,
        available: row.try_get("", "available")?,
        scheduled: row.try_get("", "scheduled")?,
        retryable: row.try_get("", "retryable")?,
        running: row.try_get("", "running")?,
        oldest_due_at: oldest_due_us.map(from_us).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_covers_its_queue_and_a_prefix_all_below_it() {
        let pause = |name: &str| QueuePause {
            name: name.to_owned(),
            reason: "maintenance".to_owned(),
            paused_at: DateTime::UNIX_EPOCH,
        };
        assert!(pause("delivery/sqs/1").covers("delivery/sqs/1"));
        assert!(!pause("delivery/sqs/1").covers("delivery/sqs/12"));
        assert!(pause("delivery/").covers("delivery/sqs/12"));
        assert!(!pause("delivery/sqs").covers("delivery/sqs/12"), "only a slash makes a prefix");
    }
}
