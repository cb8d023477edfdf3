//! The connections to one database, replaced as a whole when they cannot be trusted any more.
//!
//! A connection may go silent without being cut: a firewall forgets it, a cable is pulled, the server is frozen. The pool
//! beneath waits for such a one without a limit when it takes it back, and hands out its idle siblings, each of which costs
//! a caller the whole deadline. So one call without an answer, or one dead connection, is taken as news about all of them:
//! new calls get a new pool, calls under way end on the old one, and what of it still lives is closed.
//!
//! **Owns** the pool of the moment. **Fails** as the database does; only `begin`, which has done nothing when it fails, is
//! asked again on the new pool. **Limits**: while a replaced pool empties itself, the server may see twice as many
//! connections; a silent one is let go when the operating system gives it up. SQLite has nothing to replace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, ExecResult, QueryResult, RuntimeErr, Statement, TransactionTrait as _,
};
use tokio::time::Instant;
use tracing::warn;

use super::pool;

/// A handle on the connections; clones are the same connections.
#[derive(Clone)]
pub(super) struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    current: RwLock<Current>,
    opened: Instant,
    /// When the last call was answered, in milliseconds after `opened`.
    heard_ms: AtomicU64,
    /// How a new pool is made; nothing where there is no line that could go silent.
    renewal: Option<ConnectOptions>,
    /// The longest that a call may take; an old pool gets as long to empty itself.
    timeout: Duration,
}

struct Current {
    pool: DatabaseConnection,
    made: Instant,
}

impl Connections {
    /// Connections that stay as they are.
    pub fn lasting(pool: DatabaseConnection, timeout: Duration) -> Self {
        Self::with(pool, None, timeout)
    }

    /// Connections that are made again with these options when they have gone silent.
    pub fn renewable(pool: DatabaseConnection, options: ConnectOptions, timeout: Duration) -> Self {
        Self::with(pool, Some(options), timeout)
    }

    fn with(pool: DatabaseConnection, renewal: Option<ConnectOptions>, timeout: Duration) -> Self {
        let now = Instant::now();
        let current = RwLock::new(Current { pool, made: now });
        let shared = Shared { current, opened: now, heard_ms: AtomicU64::new(0), renewal, timeout };
        Self { shared: Arc::new(shared) }
    }

    /// The pool of the moment.
    pub fn current(&self) -> DatabaseConnection {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).pool.clone()
    }

    /// Notes that a call was answered.
    pub fn answered(&self) {
        self.shared.heard_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// Notes that a call that began at `began` got no answer at all: whatever line it was on is not trusted any more.
    pub fn unanswered(&self, began: Instant) {
        self.renew(began, "no answer");
    }

    /// Begins a transaction, on a new pool if the old one turns out to be dead.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let began = Instant::now();
        match self.current().begin().await {
            Err(error) if self.is_another_now(&error, began) => self.current().begin().await,
            begun => begun,
        }
    }

    /// Asks for the least that the database can do.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let began = Instant::now();
        self.current().ping().await.inspect_err(|error| {
            self.is_another_now(error, began);
        })
    }

    /// Closes the pool of the moment; calls under way end first.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.current().close().await
    }

    /// Reads an error for what it says about the line. True when calls go to another pool than the failed one.
    fn is_another_now(&self, error: &DbErr, began: Instant) -> bool {
        match error {
            // Another call has had this pool replaced while this one waited for its turn.
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => self.shared.renewal.is_some(),
            // All are taken. As long as others get answers, that is load; otherwise they are taken by calls that hang.
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
                let silence_ms =
                    self.elapsed_ms().saturating_sub(self.shared.heard_ms.load(Ordering::Relaxed));
                if u128::from(silence_ms) >= self.shared.timeout.as_millis() {
                    self.renew(began, "no connection free and none answers");
                }
                // Who has waited for so long has no time for a second try.
                false
            }
            DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error))
            | DbErr::Conn(RuntimeErr::SqlxError(error))
                if is_cut(error) =>
            {
                self.renew(began, "a connection was cut");
                self.shared.renewal.is_some()
            }
            _ => false,
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.shared.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Replaces the pool that a call which began at `began` was on.
    fn renew(&self, began: Instant, reason: &str) {
        let Some(options) = &self.shared.renewal else { return };
        let old = {
            let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
            // A call that began on an older pool says nothing about this one.
            if current.made > began {
                return;
            }
            // Nobody may wait here.
            let Some(pool) = pool::connect_later(options.clone()) else { return };
            std::mem::replace(&mut *current, Current { pool, made: Instant::now() }).pool
        };
        warn!(reason, "connections to the database replaced");
        let timeout = self.shared.timeout;
        // Closing waits for calls under way. What hangs for longer is closed by its own return, whenever that is.
        tokio::spawn(async move { tokio::time::timeout(timeout, old.close()).await });
    }

    fn read<T>(&self, result: Result<T, DbErr>, began: Instant) -> Result<T, DbErr> {
        result.inspect_err(|error| {
            self.is_another_now(error, began);
        })
    }
}

/// Whether the connection has ended under its statement, by the network or by the server's own word.
fn is_cut(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            // 25P03: the server ends a session whose transaction has stood still.
            database.code().is_some_and(|code| ["57P", "08", "25P03"].iter().any(|cut| code.starts_with(cut)))
        }
        _ => false,
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let began = Instant::now();
        self.read(self.current().execute_raw(statement).await, began)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let began = Instant::now();
        self.read(self.current().execute_unprepared(sql).await, began)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let began = Instant::now();
        self.read(self.current().query_one_raw(statement).await, began)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let began = Instant::now();
        self.read(self.current().query_all_raw(statement).await, began)
    }
}
