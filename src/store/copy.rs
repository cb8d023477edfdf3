//! Moves everything from one store into another that is empty: the way from SQLite to PostgreSQL, and back.
//!
//! What there is to move is asked of the schema itself, so that no table can be forgotten. Ids, numbers, versions and
//! times arrive as they are. Three things do not survive a move, because they are positions inside one database or
//! belong to processes of the source: events are numbered anew in the source's order, below whatever the target commits
//! later; offices are vacant; and the target keeps a name of its own, by which cursors of the source are told apart.
//!
//! **Owns** both stores while it runs: the SQLite file is locked, PostgreSQL's tables let nobody else write. **Fails** as a
//! whole: rows arrive in one transaction, which ends only after each table was read back and found to be the same; what
//! may stay behind is an empty schema. **Limits**: a page of rows in memory at a time; each statement has the store's
//! deadline.

mod page;
mod plan;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use self::page::{Fingerprint, Pages, insert};
use self::plan::{Plan, Table};
use super::connect::{OpenError, is_postgres, sqlite_path};
use super::transaction::execute;
use super::{SCHEMA_VERSION, Store, StoreConfig, StoreError, StoreKind};

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// By name.
    pub tables: Vec<CopiedTable>,
    /// Processes that the source thought alive, and that the move declared dead.
    pub runners_buried: u64,
    /// Rows of work that those had in hand; they may be claimed again.
    pub work_returned: u64,
    /// The target's own name.
    pub store_id: String,
}

/// One table, as it was read at the source and again at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    pub name: String,
    pub rows: u64,
    /// Over every value of every row, in whatever order; hexadecimal.
    pub checksum: String,
}

/// One of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Why nothing was moved. No address is repeated: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// An address is neither.
    #[error("the address of the {0} must begin with `sqlite:` or `postgres://`")]
    UnknownUrl(Side),
    /// An SQLite file is copied as a file.
    #[error(
        "one of the two must be a PostgreSQL; an SQLite file that nobody serves from is copied as a file"
    )]
    TwoFiles,
    /// There is no such file.
    #[error("the source {0} does not exist")]
    NoSource(PathBuf),
    /// The source holds no schema of ours.
    #[error("the source is not a store: no bursar has opened it before")]
    NotAStore,
    /// Another release wrote it.
    #[error(
        "the {side} has schema version {found}, this bursar has {SCHEMA_VERSION}: open it once with the release that does the copying, or copy with the release that wrote it"
    )]
    VersionsDiffer { side: Side, found: i64 },
    /// Somebody serves from the source.
    #[error(
        "{0} processes live on the source: stop them first (one that died is missed after a few seconds)"
    )]
    InUse(usize),
    /// Rows would be mixed.
    #[error("the target is not empty: its table {0} holds rows")]
    NotEmpty(String),
    /// A table or column exists on one side only, or is of a type that cannot be moved.
    #[error("the schemas do not fit: {0}")]
    SchemasDiffer(String),
    /// What was read back is not what was sent.
    #[error(
        "table {table} did not arrive as it was sent: {sent} rows sent, {arrived} read back; nothing was kept"
    )]
    Altered { table: String, sent: u64, arrived: u64 },
    /// A store cannot be opened.
    #[error("cannot open the {side}: {error}")]
    Open { side: Side, error: OpenError },
    /// A store did not answer as it should.
    #[error("{doing}: {error}")]
    Store { doing: String, error: StoreError },
}

impl CopyError {
    fn while_doing(doing: impl Into<String>) -> impl FnOnce(StoreError) -> Self {
        let doing = doing.into();
        move |error| Self::Store { doing, error }
    }
}

/// Moves everything at `from` to `to`.
///
/// # Errors
/// [`CopyError`]; the target then holds no rows. Only after [`StoreError::CommitUnknown`] nobody knows: look, or copy again,
/// which is refused if the rows are there.
pub async fn copy(from: &StoreConfig, to: &StoreConfig, now: DateTime<Utc>) -> Result<Copied, CopyError> {
    for (side, config) in [(Side::Source, from), (Side::Target, to)] {
        if sqlite_path(&config.url).is_none() && !is_postgres(&config.url) {
            return Err(CopyError::UnknownUrl(side));
        }
    }
    if !is_postgres(&from.url) && !is_postgres(&to.url) {
        return Err(CopyError::TwoFiles);
    }
    let source = open_source(from).await?;
    let copied = match open_target(to).await {
        Ok(target) => {
            let copied = move_all(&source, &target, now).await;
            let closed = target.close().await;
            copied.and_then(|copied| {
                closed.map_err(CopyError::while_doing("closing the target"))?;
                Ok(copied)
            })
        }
        Err(error) => Err(error),
    };
    // What was read is not changed by how its connections end.
    let _ = source.close().await;
    copied
}

async fn open_source(config: &StoreConfig) -> Result<Store, CopyError> {
    if let Some(path) = sqlite_path(&config.url)
        && !path.exists()
    {
        return Err(CopyError::NoSource(path.to_owned()));
    }
    let side = Side::Source;
    let opened = Store::open_as_it_stands(config).await;
    match opened.map_err(|error| CopyError::Open { side, error })? {
        (source, Some(version)) if version == i64::from(SCHEMA_VERSION) => Ok(source),
        (_, Some(found)) => Err(CopyError::VersionsDiffer { side, found }),
        (_, None) => Err(CopyError::NotAStore),
    }
}

/// A target that is new gets its schema; one of another version is left as it is.
async fn open_target(config: &StoreConfig) -> Result<Store, CopyError> {
    let side = Side::Target;
    let failed = |error| CopyError::Open { side, error };
    let (target, version) = Store::open_as_it_stands(config).await.map_err(failed)?;
    target.close().await.map_err(|error| failed(error.into()))?;
    drop(target);
    match version {
        Some(found) if found != i64::from(SCHEMA_VERSION) => Err(CopyError::VersionsDiffer { side, found }),
        _ => Store::open(config).await.map_err(failed),
    }
}

async fn move_all(source: &Store, target: &Store, now: DateTime<Utc>) -> Result<Copied, CopyError> {
    let plan = Plan::of(source, target).await?;
    // Asked before anything is locked, for the target may be the source.
    plan.target_is_empty(target, target.reader()).await?;
    let (runners_buried, work_returned) = bury_the_dead(source, now).await?;
    let reading = snapshot(source).await?;
    let writing = target.begin().await.map_err(CopyError::while_doing("beginning at the target"))?;
    if target.kind() == StoreKind::PostgreSql {
        let names: Vec<&str> = plan.tables.iter().map(|table| table.name.as_str()).collect();
        let lock = format!("lock table {} in exclusive mode", names.join(", "));
        for text in ["set local idle_in_transaction_session_timeout = 0", &lock] {
            execute_text(target, &writing, text).await?;
        }
    }
    plan.target_is_empty(target, &writing).await?;
    let mut tables = Vec::new();
    for table in &plan.tables {
        let sent = move_table(table, (source, &reading), (target, &writing)).await?;
        let arrived = read_back(table, target, &writing).await?;
        if sent != arrived {
            let (sent, arrived) = (sent.rows, arrived.rows);
            return Err(CopyError::Altered { table: table.name.clone(), sent, arrived });
        }
        tables.push(CopiedTable { name: table.name.clone(), rows: sent.rows, checksum: sent.checksum() });
    }
    target.commit(writing).await.map_err(CopyError::while_doing("committing at the target"))?;
    Ok(Copied { tables, runners_buried, work_returned, store_id: target.store_id().to_owned() })
}

/// On SQLite the file's lock proves that no process of the source lives, so their rows are returned as the next process
/// would return them.
async fn bury_the_dead(source: &Store, now: DateTime<Utc>) -> Result<(u64, u64), CopyError> {
    let (mut buried, mut returned) = (0, 0);
    if source.kind() == StoreKind::Sqlite {
        let doing = "burying the source's processes";
        for runner in source.living_runners().await.map_err(CopyError::while_doing(doing))? {
            let burial = source.bury_runner(&runner, now).await.map_err(CopyError::while_doing(doing))?;
            buried += u64::from(burial.buried);
            returned += burial.rows_returned;
        }
    }
    Ok((buried, returned))
}

/// The source as it stands at one moment; on PostgreSQL no process can enter it before this ends, and none lives there.
async fn snapshot(source: &Store) -> Result<DatabaseTransaction, CopyError> {
    let doing = "beginning at the source";
    let begun = source.within(async { Ok(source.reader().begin().await?) }).await;
    let reading = begun.map_err(CopyError::while_doing(doing))?;
    if source.kind() == StoreKind::PostgreSql {
        // A lock takes no snapshot, so that the one of the first query is younger than the lock.
        for text in [
            "set transaction isolation level repeatable read",
            "set local idle_in_transaction_session_timeout = 0",
            "lock table runner in share mode",
        ] {
            execute_text(source, &reading, text).await?;
        }
        let living = source.living_runners().await.map_err(CopyError::while_doing(doing))?.len();
        if living > 0 {
            return Err(CopyError::InUse(living));
        }
    }
    Ok(reading)
}

/// Sends one table, page by page, and says what was sent.
async fn move_table(
    table: &Table,
    (source, reading): (&Store, &DatabaseTransaction),
    (target, writing): (&Store, &DatabaseTransaction),
) -> Result<Fingerprint, CopyError> {
    let doing = || CopyError::while_doing(format!("copying table {}", table.name));
    // What the migrations themselves have put there stands at the source too.
    execute_text(target, writing, &format!("delete from {}", table.name)).await?;
    let mut sent = Fingerprint::default();
    let mut pages = Pages::new(table, &table.key_at_source);
    while let Some(mut rows) = pages.next(source, reading).await.map_err(doing())? {
        for row in &mut rows {
            table.settle_in(row, sent.rows + 1);
            sent.add(row);
        }
        insert(table, target, writing, rows).await.map_err(doing())?;
    }
    let counted = page::count(table, source, reading).await.map_err(doing())?;
    if counted != sent.rows {
        return Err(CopyError::Altered { table: table.name.clone(), sent: counted, arrived: sent.rows });
    }
    if let Some(text) = table.next_number_after(target.kind(), sent.rows) {
        execute_text(target, writing, &text).await?;
    }
    Ok(sent)
}

async fn read_back(
    table: &Table,
    target: &Store,
    writing: &DatabaseTransaction,
) -> Result<Fingerprint, CopyError> {
    let doing = || CopyError::while_doing(format!("reading table {} back", table.name));
    let mut arrived = Fingerprint::default();
    let mut pages = Pages::new(table, &table.key_at_target);
    while let Some(rows) = pages.next(target, writing).await.map_err(doing())? {
        rows.iter().for_each(|row| arrived.add(row));
    }
    Ok(arrived)
}

async fn execute_text(store: &Store, connection: &impl ConnectionTrait, text: &str) -> Result<(), CopyError> {
    let statement = store.statement(text, []);
    let executed = store.within(async { execute(connection, statement).await }).await;
    executed.map_err(CopyError::while_doing("preparing the move")).map(|_| ())
}
