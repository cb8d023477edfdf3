//! The processes that share the store, as operators see them, with the offices that they hold.
//!
//! **Fails** as the store does. **Limits**: the newest 1,000 processes of those that live or died lately.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::transaction::all;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::ids::RunnerId;

/// More than anybody runs side by side; a process in a crash loop fills the rest with its dead.
const PROCESSES_MAX: i64 = 1_000;

/// One life of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    pub id: RunnerId,
    /// Host and process number.
    pub name: String,
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// By its own clock; absent before the first.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// When it left or was held for dead.
    pub ended_at: Option<DateTime<Utc>>,
    pub in_hand: i64,
    pub places: i64,
    /// None for the dead: an office is held for as long as its holder lives.
    pub offices: Vec<OfficeView>,
}

/// What one process does for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficeView {
    pub name: String,
    pub term: i64,
    pub taken_at: DateTime<Utc>,
}

impl Store {
    /// Every process that lives, and those that ended at `since` or later; the living first, then the newest first.
    pub async fn processes(&self, since: DateTime<Utc>) -> Result<Vec<ProcessView>, StoreError> {
        let find = self.statement(
            "select id, name, version, started_at_us, seen_at_us, ended_at_us, state, in_hand, places from runner
             where state = 'alive' or ended_at_us >= $1
             order by case when state = 'alive' then 0 else 1 end, started_at_us desc, id limit $2",
            [Value::from(to_us(since)), Value::from(PROCESSES_MAX)],
        );
        let offices = self.statement(
            "select leader.name, leader.term, leader.taken_at_us, leader.runner_id from leader
             join runner on runner.id = leader.runner_id and runner.state = 'alive' order by leader.name",
            [],
        );
        let (rows, offices) = self
            .within(async { Ok((all(self.reader(), find).await?, all(self.reader(), offices).await?)) })
            .await?;
        let mut held: HashMap<RunnerId, Vec<OfficeView>> = HashMap::new();
        for row in &offices {
            let holder: Uuid = row.try_get("", "runner_id")?;
            held.entry(RunnerId(holder)).or_default().push(read_office(row)?);
        }
        let read = |row| {
            let mut process = read_process(row)?;
            process.offices = held.remove(&process.id).unwrap_or_default();
            Ok(process)
        };
        rows.iter().map(read).collect()
    }
}

fn read_process(row: &QueryResult) -> Result<ProcessView, StoreError> {
    let (seen_at_us, ended_at_us): (i64, Option<i64>) =
        (row.try_get("", "seen_at_us")?, row.try_get("", "ended_at_us")?);
    Ok(ProcessView {
        id: RunnerId(row.try_get("", "id")?),
        name: row.try_get("", "name")?,
        version: row.try_get("", "version")?,
        started_at: from_us(row.try_get("", "started_at_us")?)?,
        heartbeat_at: Some(seen_at_us).filter(|seen| *seen > 0).map(from_us).transpose()?,
        ended_at: ended_at_us.map(from_us).transpose()?,
        in_hand: row.try_get("", "in_hand")?,
        places: row.try_get("", "places")?,
        offices: Vec::new(),
    })
}

fn read_office(row: &QueryResult) -> Result<OfficeView, StoreError> {
    Ok(OfficeView {
        name: row.try_get("", "name")?,
        term: row.try_get("", "term")?,
        taken_at: from_us(row.try_get("", "taken_at_us")?)?,
    })
}
