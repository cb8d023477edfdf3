//! The memory of the house: all SQL stands in this room, the engine's too.
//!
//! Two databases, one set of verbs: SQLite in a data directory by default, PostgreSQL when one machine is not enough.
//! A hot verb takes a slice and returns one result per item; see [`rows`] for how one statement serves both databases.
//!
//! **Owns** the connections: on SQLite one writer and several readers over a file that this process has locked, on
//! PostgreSQL one pool. **Fails** with [`StoreError`], cut by what the caller does next; a database that is away is a
//! state, not a crash. **Limits**: every call has a deadline (`store.timeout`), every answer a page size.

mod announce;
pub mod api_token;
pub mod audit;
pub mod audit_act;
pub mod audit_chain;
pub mod audit_list;
pub mod backup;
pub mod bank_account;
pub mod boleto;
pub mod boleto_erase;
pub mod boleto_erase_aged;
pub mod boleto_list;
pub mod boleto_order;
pub mod boleto_order_settle;
pub mod boleto_payment;
pub mod boleto_settle;
pub mod boleto_watch;
mod clock;
pub mod config;
pub mod connect;
mod connections;
pub mod copy;
pub mod delivery;
pub mod delivery_attempt;
pub mod delivery_list;
pub mod delivery_recover;
pub mod delivery_steer;
pub mod difference;
pub mod document_link;
pub mod endpoint;
pub mod endpoint_secret;
pub mod endpoint_steer;
mod entities;
mod erased_words;
mod error;
pub mod examine;
pub mod gauges;
pub mod import;
pub mod ingress;
pub mod job_run;
pub mod job_run_end;
pub mod job_run_forget;
pub mod job_run_wish;
pub mod leader;
mod migrations;
pub mod notify;
pub mod number_range;
pub mod openbanking;
pub mod pool;
pub mod process;
pub mod queue;
pub mod raw_answer;
pub mod reconciliation;
pub mod reconciliation_apply;
pub mod reconciliation_open;
mod recorded_answer;
pub mod request_key;
mod rows;
pub mod runner;
pub mod schedule;
pub mod schedule_decide;
pub mod superbowleto;
mod transaction;
pub mod transfer;
pub mod transfer_aged;
pub mod transfer_analysis;
mod transfer_erase;
mod transfer_erase_mailbox;
mod transfer_event;
mod transfer_filter;
pub mod transfer_list;
pub mod transfer_offer;
mod transfer_run;
mod transfer_settle;
pub mod transfer_steer;
pub mod transfer_watch;
pub mod transfer_write_back;
pub mod work;
pub mod work_batch;
mod work_claim;
mod work_moves;
pub mod work_steer;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{DbBackend, Statement, Value};
use tokio::time::Instant;
use tracing::Instrument as _;

use self::clock::Clock;
pub use self::config::StoreConfig;
use self::connections::Connections;
pub use self::error::StoreError;
pub use self::migrations::SCHEMA_VERSION;
use self::rows::Rows;
use crate::metrics::calls;
use crate::telemetry;

/// A handle on the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    store_id: Arc<str>,
}

struct Inner {
    backend: DbBackend,
    writer: Connections,
    reader: Connections,
    /// For the process's own lease, so that a crowd at the others cannot cost it; on SQLite the one writer.
    lease: Connections,
    /// How to listen for what other processes say, where the database carries that.
    listening: Option<PgConnectOptions>,
    timeout: Duration,
    clock: Clock,
    /// Held for as long as the store is open; on SQLite it proves that no other process writes the file.
    _file_lock: Option<std::fs::File>,
}

/// Which database the store stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Sqlite,
    PostgreSql,
}

impl StoreKind {
    /// The database's name, as OpenTelemetry calls it (`db.system.name`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::PostgreSql => "postgresql",
        }
    }
}

impl Store {
    /// Which database this is.
    pub fn kind(&self) -> StoreKind {
        match self.inner.backend {
            DbBackend::Postgres => StoreKind::PostgreSql,
            _ => StoreKind::Sqlite,
        }
    }

    /// The store's own name, made with its schema: what refers to positions inside this one database carries it.
    pub fn store_id(&self) -> &str {
        &self.store_id
    }

    fn backend(&self) -> DbBackend {
        self.inner.backend
    }

    fn reader(&self) -> &Connections {
        &self.inner.reader
    }

    /// A statement whose `r` is the slice; `sql` goes on after it. Its own parameters come first, as `$1`, `$2` …
    fn statement_over(&self, rows: Rows, mut values: Vec<Value>, sql: &str) -> Statement {
        let r = rows.into_expression(self.backend(), &mut values);
        Statement::from_sql_and_values(self.backend(), format!("with recursive {r}{sql}"), values)
    }

    fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.backend(), sql, values)
    }

    /// Ends `call` at the store's deadline.
    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.within_on(&self.inner.writer, call).await
    }

    /// Ends `call`, which uses these connections, at the store's deadline; they learn from it whether they live.
    async fn within_on<T>(
        &self,
        connections: &Connections,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let system = self.kind().as_str();
        // Below info, so that they are in traces only where somebody asks for them: a boleto makes a dozen, which would cost more than
        // they tell. The groups of `work::lane` tell which verb it was.
        let span =
            tracing::debug_span!("store", otel.name = system, otel.kind = "client", db.system.name = system);
        let outcome = self.timed(connections, call).instrument(span.clone()).await;
        if let Err(error) = &outcome
            && !span.is_disabled()
        {
            span.in_scope(|| telemetry::note_failure(error.kind()));
        }
        outcome
    }

    async fn timed<T>(
        &self,
        connections: &Connections,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let called = |outcome| calls::store_called(self.kind().as_str(), began.elapsed(), outcome);
        match tokio::time::timeout(self.inner.timeout, call).await {
            Ok(result) => {
                if result.is_ok() {
                    connections.answered();
                }
                called(result.as_ref().map_or_else(StoreError::kind, |_| "done"));
                result
            }
            Err(_) => {
                connections.unanswered(began);
                called("unavailable");
                Err(StoreError::Unavailable(format!("no answer within {:?}", self.inner.timeout)))
            }
        }
    }

    /// Asks the database for the least that it can do.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.within(async {
            self.inner.writer.ping().await?;
            Ok(())
        })
        .await
    }

    /// Closes every connection; calls under way end first, within the store's deadline.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.within(async {
            self.inner.reader.close().await?;
            self.inner.writer.close().await?;
            self.inner.lease.close().await?;
            Ok(())
        })
        .await
    }
}

fn to_us(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

fn from_us(us: i64) -> Result<DateTime<Utc>, StoreError> {
    Utc.timestamp_micros(us).single().ok_or_else(|| StoreError::unreadable("time", us))
}

#[cfg(test)]
mod one_back_tests;
#[cfg(test)]
mod schema_tests;
