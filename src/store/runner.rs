//! The processes and their leases.
//!
//! A process is a row with a counter that it beats. Any process may bury one whose counter stood still, and dead is
//! final: a beat that changes no row ends that identity. Claims take the runner's row shared and need it alive, burying
//! takes it exclusively, so that nothing is claimed under an identity that is being buried.

use chrono::{DateTime, Utc};
use sea_orm::Value;

use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::{RunnerId, WorkId};

/// What others see of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerBeat {
    pub id: RunnerId,
    pub beat: i64,
}

/// What burying one process returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burial {
    /// False when its counter had moved after all, or another process was faster.
    pub buried: bool,
    /// Rows of work that may be claimed again.
    pub rows_returned: u64,
}

impl Store {
    /// Enters a new process. On SQLite the file lock proves every earlier one dead, so they are buried first.
    pub async fn enter_runner(&self, id: RunnerId, name: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.kind() == StoreKind::Sqlite {
            for earlier in self.living_runners().await? {
                self.bury_runner(&earlier, now).await?;
            }
        }
        let statement = self.statement(
            "insert into runner (id, name, version, beat, state, started_at_us) values ($1, $2, $3, 0, 'alive', $4)",
            [
                Value::from(id.0),
                Value::from(name),
                Value::from(env!("CARGO_PKG_VERSION")),
                Value::from(to_us(now)),
            ],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await?;
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

    /// Beats once. False: this identity is dead, for good.
    pub async fn beat_runner(&self, id: RunnerId) -> Result<bool, StoreError> {
        let statement = self.statement(
            "update runner set beat = beat + 1 where id = $1 and state = 'alive'",
            [Value::from(id.0)],
        );
        self.within(async { Ok(execute(&self.inner.writer, statement).await? == 1) }).await
    }

    /// Every process that has not been buried.
    pub async fn living_runners(&self) -> Result<Vec<RunnerBeat>, StoreError> {
        let statement = self.statement("select id, beat from runner where state = 'alive'", []);
        self.within(async {
            all(self.reader(), statement)
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
            "update work set state = 'available', run_at_us = $2, runner_id = null, last_error = 'the process that had it died'
             where runner_id = $1 and state = 'running'",
            [Value::from(id.0), Value::from(to_us(now))],
        );
        // The lock that claims take is shared; an update alone would not wait for it, and what is being claimed under this
        // identity would stay with the dead.
        let exclude = (self.kind() == StoreKind::PostgreSql)
            .then(|| self.statement("select id from runner where id = $1 for update", [Value::from(id.0)]));
        let (transaction, burial) = self
            .within(async {
                let transaction = self.begin().await?;
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
}
