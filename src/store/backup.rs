//! A copy of the embedded store as it stood at one moment, made beside a house that is open.
//!
//! **Owns** the new file until it is whole: it is written under another name and renamed last, so that a file of the right name is
//! one that can be restored. **Fails** leaving no such file; one that is there already is never written over.
//! **Limits**: SQLite. A PostgreSQL is copied by its own tools, which know of its replicas and its log.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use super::connect::{OpenError, schema_versions, sqlite_path};
use super::pool;
use super::{StoreConfig, StoreError};

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    pub file: PathBuf,
    pub bytes: u64,
    /// The version of its schema.
    pub schema: i64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store is a server's.
    #[error(
        "a PostgreSQL is backed up by its own tools, such as pg_dump --format=custom, or moved into a file by `bursar store copy`"
    )]
    NotEmbedded,
    /// There is no such file.
    #[error("there is no store at {0}")]
    NoStore(PathBuf),
    /// The file is a database without a store in it.
    #[error("{0} is no store of ours")]
    NotAStore(PathBuf),
    /// Somebody has put a file there.
    #[error("{0} is there already and is not written over")]
    Taken(PathBuf),
    /// The copy was read back, and is not whole.
    #[error("the copy is not whole: {0}")]
    Damaged(String),
    /// The folder cannot be written to.
    #[error("cannot write {path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The database did not answer as it should.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<sea_orm::DbErr> for BackupError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Open(OpenError::Store(StoreError::from(error)))
    }
}

/// Copies the store of `config` into a folder, as `bursar-YYYYMMDDTHHMMSSZ.db`, and reads the copy back.
///
/// # Errors
/// [`BackupError`]; what was half written is removed.
pub async fn backup(
    config: &StoreConfig,
    folder: &Path,
    now: DateTime<Utc>,
) -> Result<BackedUp, BackupError> {
    let source = sqlite_path(&config.url).ok_or(BackupError::NotEmbedded)?;
    if !source.exists() {
        return Err(BackupError::NoStore(source.to_owned()));
    }
    let file = folder.join(format!("bursar-{}.db", now.format("%Y%m%dT%H%M%SZ")));
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
    if file.exists() {
        return Err(BackupError::Taken(file));
    }
    let partial = file.with_extension("partial");
    // One that was left behind by a copy that was cut off is no use to anybody.
    let _ = std::fs::remove_file(&partial);
    let copied = copy(source, &partial, config).await;
    let schema = match copied {
        Ok(schema) => schema,
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    let written = File::open(&partial).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    let bytes = written.map_err(unwritable(&partial))?.len();
    // The copy's own name last, and the folder that holds it, so that a power cut leaves a whole one or none.
    std::fs::rename(&partial, &file).map_err(unwritable(&file))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable(folder))?;
    Ok(BackedUp { file, bytes, schema })
}

async fn copy(source: &Path, target: &Path, config: &StoreConfig) -> Result<i64, BackupError> {
    let from = open(source, config).await?;
    let copied = async {
        if schema_versions(&from).await?.is_none() {
            return Err(BackupError::NotAStore(source.to_owned()));
        }
        // One reading transaction from the first page to the last: writers go on and are not in it.
        let target = Value::from(target.to_string_lossy().into_owned());
        from.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, "vacuum into $1", [target]))
            .await?;
        Ok(())
    };
    let copied = copied.await;
    let _ = from.close().await;
    copied?;
    let copy = open(target, config).await?;
    let read = read_back(&copy).await;
    let _ = copy.close().await;
    read
}

async fn open(path: &Path, config: &StoreConfig) -> Result<DatabaseConnection, BackupError> {
    let mut options = ConnectOptions::new(format!("sqlite:{}?mode=ro", path.display()));
    options.max_connections(1).acquire_timeout(config.timeout).sqlx_logging(false);
    Ok(pool::connect(options).await?)
}

async fn read_back(copy: &DatabaseConnection) -> Result<i64, BackupError> {
    let check = Statement::from_string(DbBackend::Sqlite, "pragma integrity_check");
    let said = copy.query_one_raw(check).await?;
    let said = said.map(|row| row.try_get_by_index::<String>(0)).transpose()?.unwrap_or_default();
    if said != "ok" {
        return Err(BackupError::Damaged(said));
    }
    let schema = schema_versions(copy).await?;
    schema.map(|(version, _)| version).ok_or_else(|| BackupError::Damaged("it has no schema".to_owned()))
}
