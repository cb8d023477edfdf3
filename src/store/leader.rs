//! Offices: what one process does for all that share a store, and who holds it in which term.
//!
//! An office is held for as long as the process that took it lives: the process's lease is the office's, so there is no
//! second clock. Who finds the holder gone takes the office in a new term. Nothing is safe because of an office: two
//! holders for a moment may only cost work done twice, never work done wrong.
//!
//! **Owns** the rows of offices, made when somebody first stands for them. **Fails** as the store does. Taking needs the
//! taker alive in the same transaction, under the lock that burial excludes, so that the dead take nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::RunnerId;

/// Offices by name, with the term and the living holder, if there is one.
type Standing = BTreeMap<String, (i64, Option<RunnerId>)>;

const MAKE: &str = " insert into leader (name, term, runner_id, taken_at_us)
    select name, 0, null, 0 from r where true on conflict (name) do nothing";

/// Whoever stands for a vacant office at the same moment waits here, and sees with its next statement that it is taken.
const LOCK: &str = " select name from leader where name in (select name from r) order by name for update";

const TAKE: &str = ", alive as (select id from runner where id = $1 and state = 'alive' {lock})
    update leader set term = leader.term + 1, runner_id = alive.id, taken_at_us = $2 from r, alive
    where leader.name = r.name and not exists (
        select 1 from runner holder where holder.id = leader.runner_id and holder.state = 'alive')";

impl Store {
    /// Takes those of the offices that nobody living holds, and returns all of them that `runner` then holds, with their
    /// terms. As long as there is no vacancy this reads one row an office and writes nothing.
    pub async fn stand_for_offices(
        &self,
        names: &[String],
        runner: RunnerId,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, i64>, StoreError> {
        let standing = self.within(self.offices_in(self.reader())).await?;
        let is_vacant = |name: &String| standing.get(name).is_none_or(|(_, holder)| holder.is_none());
        let vacant: Vec<String> = names.iter().filter(|name| is_vacant(name)).cloned().collect();
        if vacant.is_empty() {
            return Ok(held_by(standing, runner));
        }
        let (transaction, standing) = self
            .within(async {
                let transaction = self.begin().await?;
                self.take(&transaction, &vacant, runner, now).await?;
                let standing = self.offices_in(&transaction).await?;
                Ok((transaction, standing))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(held_by(standing, runner))
    }

    async fn take(
        &self,
        transaction: &DatabaseTransaction,
        names: &[String],
        runner: RunnerId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let over = |values, sql: &str| {
            self.statement_over(Rows::new().text("name", names.iter().cloned()), values, sql)
        };
        execute(transaction, over(vec![], MAKE)).await?;
        let is_postgres = self.kind() == StoreKind::PostgreSql;
        if is_postgres {
            all(transaction, over(vec![], LOCK)).await?;
        }
        let take = TAKE.replace("{lock}", if is_postgres { "for key share" } else { "" });
        execute(transaction, over(vec![Value::from(runner.0), Value::from(to_us(now))], &take)).await?;
        Ok(())
    }

    async fn offices_in(&self, connection: &impl ConnectionTrait) -> Result<Standing, StoreError> {
        let statement = self.statement(
            "select leader.name, leader.term, runner.id as holder from leader
             left join runner on runner.id = leader.runner_id and runner.state = 'alive'",
            [],
        );
        let rows = connection.query_all_raw(statement).await?;
        let read = |row: &sea_orm::QueryResult| {
            let holder: Option<Uuid> = row.try_get("", "holder")?;
            Ok((row.try_get("", "name")?, (row.try_get("", "term")?, holder.map(RunnerId))))
        };
        rows.iter().map(read).collect()
    }
}

fn held_by(standing: Standing, runner: RunnerId) -> BTreeMap<String, i64> {
    let mine = |(name, (term, holder))| (holder == Some(runner)).then_some((name, term));
    standing.into_iter().filter_map(mine).collect()
}
