//! Opens the store: finds the database by its URL, sets it up, and brings its schema up to date.
//!
//! **Owns** how a connection is set up. SQLite: WAL, `synchronous=FULL`, one writer, readers apart, and a lock on a file
//! beside the database that tells a second process to go away. PostgreSQL: one pool for all work and a small one for the
//! lease, and on the server too a deadline for every statement, every pause in a transaction, and every silent line, so
//! that a process that has dropped off the network does not keep its locks. Migrations run one process at a time; a schema newer than this binary is accepted down to its `min_binary`.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend};
use sea_orm_migration::MigratorTrait;

use super::clock::Clock;
use super::connections::Connections;
use super::examine::forgets;
use super::migrations::{MIN_BINARY, Migrator, SCHEMA_VERSION};
use super::pool;
use super::{Inner, Store, StoreConfig, StoreError, notify};

/// Any number that no other program takes for its own advisory locks; spells "bursar" on a telephone's keys.
const MIGRATION_LOCK: i64 = 287_727;
/// Prepared statements kept per connection: seven sizes of some forty verbs.
const STATEMENTS_KEPT: usize = 512;

/// Past it a migration is given up and tried again: a line that fell silent must not keep a process from starting.
const MIGRATION_MAX: Duration = Duration::from_secs(600);
/// Two connections for the lease: one for this process's own beat, one for looking at the others and burying them, which
/// may have to wait for a lock of the dead.
const LEASE_CONNECTIONS: u32 = 2;

/// No session with a server is used for longer.
const SESSION_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// Every join here is a slice of at most 64 rows against a table by its key, and every list goes along an index. The
/// planner knows neither the slice's size nor, while a table is young, the table's: it now and then hashed a whole table
/// for each slice (measured: 1,180 µs a delivery instead of 30), or kept the plan that suited an empty one.
///
/// A scan that cannot be avoided costs 10¹⁰ on that paper, at which the server compiles the statement to machine code first
/// (measured: 117 ms of processor time for reading three rows of `runner`, every few seconds), so it is told not to.
const PLANNER: [(&str, &str); 5] = [
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `store.url` is neither.
    #[error("store.url must begin with `sqlite:` or `postgres://`, not {0:?}")]
    UnknownUrl(String),
    /// `store.url` is a PostgreSQL's and cannot be read. It may hold a password, so it is not said back.
    #[error("store.url cannot be read: {0}")]
    UnreadableUrl(String),
    /// Another process has the file.
    #[error(
        "{0} is in use by another process; one process at a time may open an embedded store, several share a PostgreSQL"
    )]
    InUse(PathBuf),
    /// The file or its lock cannot be made.
    #[error("cannot open {path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The schema was written by a newer release that no longer lets this one in.
    #[error(
        "the schema (version {found}) needs a newer bursar: this one knows version {ours}, at least {needed} is needed"
    )]
    SchemaTooNew { found: i64, ours: i32, needed: i64 },
    /// The server may forget what it has confirmed.
    #[error(
        "the database has {setting} = {value}: after a power cut it may have forgotten what callers were told; set it to on"
    )]
    Forgetful { setting: String, value: String },
    /// The database did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for OpenError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// Where the default store lies inside a data directory.
pub fn default_url(data_dir: &Path) -> String {
    format!("sqlite:{}", data_dir.join("bursar.db").display())
}

impl Store {
    /// Opens the database of `config.url` and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is left locked or open.
    pub async fn open(config: &StoreConfig) -> Result<Self, OpenError> {
        let inner = connect(config).await?;
        check_durability(&inner).await?;
        migrate(&inner).await?;
        let name = "select store_id from schema_meta where id = 1";
        let name = inner.writer.query_one_raw(sea_orm::Statement::from_string(inner.backend, name)).await?;
        let store_id: String = match name {
            Some(row) => row.try_get("", "store_id")?,
            None => return Err(StoreError::Broken("the schema does not say what it is".to_owned()).into()),
        };
        let store = Self { inner: Arc::new(inner), store_id: store_id.into() };
        store.ask_the_time().await?;
        Ok(store)
    }

    /// Opens the database of `config.url` and leaves its schema as it stands, which has this version; none for a database
    /// that is new. What is opened so has no name ([`Store::store_id`] is empty).
    ///
    /// # Errors
    /// [`OpenError`]; nothing is left locked or open.
    pub(super) async fn open_as_it_stands(config: &StoreConfig) -> Result<(Self, Option<i64>), OpenError> {
        let inner = connect(config).await?;
        let version = schema_versions(&inner.writer).await?.map(|(version, _)| version);
        Ok((Self { inner: Arc::new(inner), store_id: Arc::default() }, version))
    }
}

/// The file that a URL names; none for a database that is no file.
pub(super) fn sqlite_path(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite:").map(|path| Path::new(path.trim_start_matches("//")))
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

async fn connect(config: &StoreConfig) -> Result<Inner, OpenError> {
    if let Some(path) = sqlite_path(&config.url) {
        open_sqlite(path, config).await
    } else if is_postgres(&config.url) {
        check_url(&config.url)?;
        open_postgres(config).await
    } else {
        // A URL may hold a password; its scheme alone is said back.
        Err(OpenError::UnknownUrl(config.url.split(':').next().unwrap_or_default().to_owned()))
    }
}

/// Reads a PostgreSQL's URL first, for the layer below repeats what it cannot read in its error, and time would not mend it.
pub(super) fn check_url(url: &str) -> Result<(), OpenError> {
    let read = url.parse::<PgConnectOptions>();
    read.map(drop).map_err(|error| OpenError::UnreadableUrl(error.to_string()))
}

async fn open_sqlite(path: &Path, config: &StoreConfig) -> Result<Inner, OpenError> {
    let file_lock = lock_beside(path)?;
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let writer = pool::connect(sqlite_options(&url, 1, config.timeout)).await?;
    let reader = pool::connect(sqlite_options(&url, config.connections_max, config.timeout)).await?;
    let writer = Connections::lasting(writer, config.timeout);
    Ok(Inner {
        backend: DbBackend::Sqlite,
        lease: writer.clone(),
        writer,
        reader: Connections::lasting(reader, config.timeout),
        timeout: config.timeout,
        clock: Clock::by_the_machine(),
        listening: None,
        _file_lock: Some(file_lock),
    })
}

fn lock_beside(path: &Path) -> Result<File, OpenError> {
    let file_error = |source| OpenError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file_error)?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let file = File::options().create(true).append(true).open(lock_path).map_err(file_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(file_error(source)),
    }
}

fn sqlite_options(url: &str, connections: u32, timeout: Duration) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        // When the disk is full SQLite may roll a transaction back by itself, and sqlx goes on counting it as open: what
        // came after on that connection would look done and never be committed. So it is not used again.
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            let is_at_rest = !connection.is_in_transaction();
            Box::pin(std::future::ready(Ok(is_at_rest)))
        })
        .map_sqlx_sqlite_opts(move |options| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(timeout)
                .statement_cache_capacity(STATEMENTS_KEPT)
                .pragma("cache_size", "-16000")
                .pragma("temp_store", "memory")
                // What is erased is overwritten, in pages that stay and in those that are freed, and not only forgotten. It costs the
                // zeroing, and of a page that is freed its writing; the waiting for the disk, which is most of a commit, stays the same.
                .pragma("secure_delete", "on")
        });
    options
}

async fn open_postgres(config: &StoreConfig) -> Result<Inner, OpenError> {
    let timeout = config.timeout;
    let renewable = async |connections| {
        let options = postgres_options(config, connections);
        let first = pool::connect(options.clone()).await?;
        Ok::<_, OpenError>(Connections::renewable(first, options, timeout))
    };
    let writer = renewable(config.connections_max).await?;
    let lease = renewable(LEASE_CONNECTIONS).await?;
    let listening = notify::listening_options(&config.url, on_a_silent_line(timeout))?;
    Ok(Inner {
        backend: DbBackend::Postgres,
        reader: writer.clone(),
        writer,
        lease,
        timeout,
        clock: Clock::by_the_machine(),
        listening: Some(listening),
        _file_lock: None,
    })
}

pub(super) fn postgres_options(config: &StoreConfig, connections: u32) -> ConnectOptions {
    let timeout = config.timeout;
    // The server gives a statement up before we do, so that a slow one is told from a silent line.
    let statement_timeout = timeout.mul_f64(0.8);
    let session = on_a_silent_line(timeout);
    let mut options = ConnectOptions::new(&config.url);
    options
        .max_connections(connections)
        // None is kept open for its own sake: who kept one would wait for it on a silent line, with a place of the pool.
        .min_connections(0)
        // Whoever waits for a connection still has time to use it, and what hangs while connecting is tried again soon.
        .acquire_timeout(timeout / 2)
        .statement_timeout(statement_timeout)
        .set_application_name("bursar")
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // A connection that died shows itself at the first statement, and then all of them are replaced.
        .test_before_acquire(false)
        // A session keeps what it knows of tables and plans, and stays with the server that a name once meant.
        .map_sqlx_postgres_before_acquire(|_, connection| {
            Box::pin(std::future::ready(Ok(connection.age < SESSION_AGE_MAX)))
        })
        .map_sqlx_postgres_opts(move |options| {
            options.statement_cache_capacity(STATEMENTS_KEPT).options(PLANNER).options(session.clone())
        });
    options
}

/// What makes the server end a session of ours that it hears nothing from any more, and so give its locks back.
fn on_a_silent_line(timeout: Duration) -> [(&'static str, String); 5] {
    // The server counts keepalives in whole seconds: idle, then three questions.
    let seconds = (timeout.as_secs() / 4).max(1).to_string();
    [
        ("idle_in_transaction_session_timeout", timeout.as_millis().max(1).to_string()),
        ("tcp_user_timeout", timeout.as_millis().max(1).to_string()),
        ("tcp_keepalives_idle", seconds.clone()),
        ("tcp_keepalives_interval", seconds),
        ("tcp_keepalives_count", "3".to_owned()),
    ]
}

/// Keeps a store from being opened where what was committed may be gone after a power cut.
async fn check_durability(inner: &Inner) -> Result<(), OpenError> {
    if inner.backend != DbBackend::Postgres {
        return Ok(());
    }
    let silent =
        |_| StoreError::Unavailable("no answer while the server's settings were looked at".to_owned());
    let writer = inner.writer.current();
    match tokio::time::timeout(inner.timeout, forgets(&writer)).await.map_err(silent)?? {
        Some((setting, value)) => Err(OpenError::Forgetful { setting, value }),
        None => Ok(()),
    }
}

async fn migrate(inner: &Inner) -> Result<(), OpenError> {
    let writer = inner.writer.current();
    let silent = || StoreError::Unavailable("no answer while the schema was looked at".to_owned());
    let versions =
        tokio::time::timeout(inner.timeout, schema_versions(&writer)).await.map_err(|_| silent())??;
    let mut limit = MIGRATION_MAX;
    if let Some((found, needed)) = versions {
        if needed > i64::from(SCHEMA_VERSION) {
            return Err(OpenError::SchemaTooNew { found, ours: SCHEMA_VERSION, needed });
        }
        if found > i64::from(SCHEMA_VERSION) {
            // Written by a newer release that still lets this one in: nothing here may touch it.
            return Ok(());
        }
        if found == i64::from(SCHEMA_VERSION) {
            // There is nothing to be done but to see that, in a few short statements.
            limit = inner.timeout * 4;
        }
    }
    let migrated = async {
        if inner.backend == DbBackend::Postgres { migrate_alone(&writer).await } else { apply(&writer).await }
    };
    tokio::time::timeout(limit, migrated).await.map_err(|_| silent())?
}

/// One process at a time: the lock is a transaction's, so that it ends with the connection and passes through poolers.
async fn migrate_alone(writer: &DatabaseConnection) -> Result<(), OpenError> {
    use sea_orm::TransactionTrait;
    let guard = writer.begin().await?;
    // It stands still for as long as the migrations take, which is not to end it.
    guard.execute_unprepared("set local idle_in_transaction_session_timeout = 0").await?;
    guard.execute_unprepared(&format!("select pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    let applied = apply(writer).await;
    guard.rollback().await?;
    applied
}

async fn apply(writer: &DatabaseConnection) -> Result<(), OpenError> {
    Migrator::up(writer, None).await?;
    writer
        .execute_unprepared(&format!(
            "update schema_meta set version = {SCHEMA_VERSION}, min_binary = {MIN_BINARY} where version < {SCHEMA_VERSION}"
        ))
        .await?;
    Ok(())
}

/// The schema's version and the oldest binary it lets in; nothing for a database that is new.
pub(super) async fn schema_versions(
    connection: &impl ConnectionTrait,
) -> Result<Option<(i64, i64)>, OpenError> {
    let backend = connection.get_database_backend();
    let there = match backend {
        DbBackend::Postgres => "select to_regclass('schema_meta')::text as name",
        _ => "select name from sqlite_master where type = 'table' and name = 'schema_meta'",
    };
    let found = connection.query_one_raw(sea_orm::Statement::from_string(backend, there)).await?;
    let name: Option<String> = match found {
        Some(row) => row.try_get("", "name")?,
        None => None,
    };
    if name.is_none() {
        return Ok(None);
    }
    let versions = "select version, min_binary from schema_meta where id = 1";
    let row = connection.query_one_raw(sea_orm::Statement::from_string(backend, versions)).await?;
    match row {
        Some(row) => Ok(Some((row.try_get("", "version")?, row.try_get("", "min_binary")?))),
        None => Ok(None),
    }
}
