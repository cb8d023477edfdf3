//! The processes and their leases.
//!
//! A process is a row with a counter that it beats. Any process may bury one whose counter stood still, and dead is
//! final: a beat that changes no row ends that identity. Claims take the runner's row shared and need it alive, burying
//! takes it exclusively, so that nothing is claimed under an identity that is being buried.
//!
//! These verbs have connections of their own: a crowd of other calls, or a line of theirs gone silent, costs no lease.

use chrono::{DateTime, Utc};
use sea_orm::Value;

use super::transaction::{all, execute};
use super::work::attempt_entry;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::{RunnerId, WorkId};

/// What others see of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerBeat {
    pub id: RunnerId,
    pub beat: i64,
}

/// What a process shows of itself with each beat; nothing is decided by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunnerLoad {
    /// By its own clock.
    pub seen_at: DateTime<Utc>,
    /// Rows that it has in hand.
    pub in_hand: u64,
    /// Rows that it could have in hand at most.
    pub places: u64,
}

/// What burying one process returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burial {
    /// False when its counter had moved after all, or another process was faster.
    pub buried: bool,
    /// Rows of work that may be claimed again.
    pub rows_returned: u64,
}

/// What became of an attempt whose process was buried.
const BEREFT: &str = "the process that had it died";

impl Store {
    /// Enters a new process. On SQLite the file lock proves every earlier one dead, so they are buried first.
    pub async fn enter_runner(&self, id: RunnerId, name: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.kind() == StoreKind::Sqlite {
            for earlier in self.living_runners().await? {
                self.bury_runner(&earlier, now).await?;
            }
        }
        let statement = self.statement(
            "insert into runner (id, name, version, beat, state, started_at_us, seen_at_us)
             values ($1, $2, $3, 0, 'alive', $4, $4)",
            [
                Value::from(id.0),
                Value::from(name),
                Value::from(env!("CARGO_PKG_VERSION")),
                Value::from(to_us(now)),
            ],
        );
        let lease = &self.inner.lease;
        self.within_on(lease, async { execute(lease, statement).await }).await?;
        Ok(())
    }

    /// The rows that are running under this process, by its own word or not.
    pub async fn rows_running_under(&self, id: RunnerId) -> Result<Vec<(WorkId, i64)>, StoreError> {
        let statement = self.statement(
            "select id, fence from work where runner_id = $1 and state = 'running'",
            [Value::from(id.0)],
        );
        self.within(async {
            let rows = all(self.reader(), statement).await?;
            rows.iter().map(|row| Ok((WorkId(row.try_get("", "id")?), row.try_get("", "fence")?))).collect()
        })
        .await
    }

    /// Beats once, and shows how much there is to do. False: this identity is dead, for good.
    pub async fn beat_runner(&self, id: RunnerId, load: RunnerLoad) -> Result<bool, StoreError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let statement = self.statement(
            "update runner set beat = beat + 1, seen_at_us = $2, in_hand = $3, places = $4
             where id = $1 and state = 'alive'",
            [
                Value::from(id.0),
                Value::from(to_us(load.seen_at)),
                Value::from(count(load.in_hand)),
                Value::from(count(load.places)),
            ],
        );
        let lease = &self.inner.lease;
        self.within_on(lease, async { Ok(execute(lease, statement).await? == 1) }).await
    }

    /// Every process that has not been buried.
    pub async fn living_runners(&self) -> Result<Vec<RunnerBeat>, StoreError> {
        let statement = self.statement("select id, beat from runner where state = 'alive'", []);
        let lease = &self.inner.lease;
        self.within_on(lease, async {
            all(lease, statement)
                .await?
                .into_iter()
                .map(|row| {
                    Ok(RunnerBeat { id: RunnerId(row.try_get("", "id")?), beat: row.try_get("", "beat")? })
                })
                .collect()
        })
        .await
    }

    /// Declares a process dead if its counter still stands where it was seen, and returns its rows, in one transaction.
    pub async fn bury_runner(&self, seen: &RunnerBeat, now: DateTime<Utc>) -> Result<Burial, StoreError> {
        self.bury(seen.id, Some(seen.beat), now).await
    }

    /// Ends this process's own lease, so that others need not wait for it to be missed. Its counter does not matter: a beat
    /// that was given up here may have arrived there.
    pub async fn leave_runner(&self, id: RunnerId, now: DateTime<Utc>) -> Result<Burial, StoreError> {
        self.bury(id, None, now).await
    }

    async fn bury(&self, id: RunnerId, beat: Option<i64>, now: DateTime<Utc>) -> Result<Burial, StoreError> {
        let bury = self.statement(
            "update runner set state = 'dead', ended_at_us = $3
             where id = $1 and state = 'alive' and beat = coalesce($2, beat)",
            [Value::from(id.0), Value::from(beat), Value::from(to_us(now))],
        );
        let give_back = self.statement(
            &format!(
                "update work set state = 'available', run_at_us = $2, runner_id = null, last_error = '{BEREFT}',
                    history = {} where runner_id = $1 and state = 'running'",
                self.history_with("cast($3 as text)")
            ),
            [Value::from(id.0), Value::from(to_us(now)), Value::from(attempt_entry(now, id, Some(BEREFT), None))],
        );
        // The lock that claims take is shared; an update alone would not wait for it, and what is being claimed under this
        // identity would stay with the dead.
        let exclude = (self.kind() == StoreKind::PostgreSql)
            .then(|| self.statement("select id from runner where id = $1 for update", [Value::from(id.0)]));
        let lease = &self.inner.lease;
        let (transaction, burial) = self
            .within_on(lease, async {
                let transaction = lease.begin().await?;
                if let Some(exclude) = exclude {
                    execute(&transaction, exclude).await?;
                }
                let buried = execute(&transaction, bury).await? == 1;
                let rows_returned = if buried { execute(&transaction, give_back).await? } else { 0 };
                Ok((transaction, Burial { buried, rows_returned }))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(burial)
    }

    /// Forgets dead processes that ended before `until`, at most `limit`. One under which a row still runs stays.
    pub async fn forget_dead_runners(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(
            "delete from runner where id in (
                select id from runner where state = 'dead' and ended_at_us < $1 and not exists (
                    select 1 from work where work.runner_id = runner.id and work.state = 'running'
                ) limit $2
             )",
            [Value::from(to_us(until)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}
