//! What a database says about itself and about what waits in it, without opening a store on it: nothing is migrated, locked
//! or written, so that it may be asked beside a house that is open.
//!
//! **Owns** one connection while it asks. **Fails** as opening a store does. **Limits**: `store.timeout` for the whole; a
//! queue's depth is one pass over the live rows; the first [`BANK_ACCOUNTS_MAX`] bank accounts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use super::connect::{OpenError, is_postgres, postgres_options, schema_versions, sqlite_path};
use super::migrations::SCHEMA_VERSION;
use super::pool;
use super::{StoreConfig, StoreError, from_us, to_us};

/// The schema that this program writes.
pub const OUR_SCHEMA: i32 = SCHEMA_VERSION;

/// More bank accounts are not looked at.
const BANK_ACCOUNTS_MAX: i64 = 10_000;

/// What a database has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Its kind and version.
    pub server: String,
    /// The version of its schema and the oldest that may open it; nothing for a database that is new.
    pub schema: Option<(i64, i64)>,
    /// By how much its clock is ahead of this machine's, in milliseconds; nothing where it has none of its own.
    pub clock_ahead_ms: Option<i64>,
    /// The first setting under which it forgets what it has confirmed, with its value.
    pub forgets: Option<(String, String)>,
    /// Whether it takes no changes: a standby, or one that was made read-only.
    pub is_read_only: bool,
    /// Its connections, and how many there may be.
    pub connections: Option<(i64, i64)>,
    /// What is due and has not been claimed, by queue, longest first.
    pub due: Vec<DueQueue>,
    /// Work that was given up and waits for somebody.
    pub dead_letters: i64,
    /// What bank accounts are known by at their banks, as far as it is a certificate.
    pub bank_certificates: Vec<BankCertificate>,
}

/// A certificate that a bank account refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankCertificate {
    /// The account's own name, or its id where it has none, behind that of its tenant.
    pub account: String,
    /// Where the certificate is kept.
    pub reference: String,
}

/// A queue in which something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQueue {
    pub name: String,
    pub rows: i64,
    pub oldest_due_at: DateTime<Utc>,
    /// Whether it is held back, by its own name or by that of all whose names begin so.
    pub is_paused: bool,
}

/// Asks a database. Nothing if it is a file that is not there.
///
/// # Errors
/// [`OpenError`], as for a store.
pub async fn examine(config: &StoreConfig, now: DateTime<Utc>) -> Result<Option<Examined>, OpenError> {
    let asked = async {
        let Some(connection) = connect(config).await? else { return Ok(None) };
        let examined = ask(&connection, now).await;
        // What was asked is known; a connection that does not close in good order ends with us.
        let _ = connection.close().await;
        examined.map(Some)
    };
    let patience = config.timeout.max(Duration::from_secs(1));
    let silent = || StoreError::Unavailable(format!("no answer within {} ms", patience.as_millis()));
    tokio::time::timeout(patience, asked).await.map_err(|_| silent())?
}

async fn connect(config: &StoreConfig) -> Result<Option<DatabaseConnection>, OpenError> {
    if let Some(path) = sqlite_path(&config.url) {
        if !path.exists() {
            return Ok(None);
        }
        let mut options = ConnectOptions::new(format!("sqlite:{}?mode=ro", path.display()));
        options.max_connections(1).acquire_timeout(config.timeout).sqlx_logging(false);
        return Ok(Some(pool::connect(options).await?));
    }
    if !is_postgres(&config.url) {
        return Err(OpenError::UnknownUrl(config.url.split(':').next().unwrap_or_default().to_owned()));
    }
    super::connect::check_url(&config.url)?;
    Ok(Some(pool::connect(postgres_options(config, 1)).await?))
}

async fn ask(connection: &DatabaseConnection, now: DateTime<Utc>) -> Result<Examined, OpenError> {
    let backend = connection.get_database_backend();
    let mut examined = Examined {
        server: String::new(),
        schema: schema_versions(connection).await?,
        clock_ahead_ms: None,
        forgets: None,
        is_read_only: false,
        connections: None,
        due: Vec::new(),
        dead_letters: 0,
        bank_certificates: Vec::new(),
    };
    match backend {
        DbBackend::Postgres => ask_server(connection, &mut examined).await?,
        _ => {
            let version = one(connection, "select sqlite_version() as version", []).await?;
            examined.server = format!("SQLite {}", version.try_get::<String>("", "version")?);
        }
    }
    // Older schemas have these tables too, since the first of them.
    if examined.schema.is_some() {
        let counted = "select count(*) as dead from work_archive where state = 'discarded'";
        examined.dead_letters = one(connection, counted, []).await?.try_get("", "dead")?;
        examined.due = due(connection, now).await?;
        examined.bank_certificates = bank_certificates(connection).await?;
    }
    Ok(examined)
}

async fn ask_server(connection: &DatabaseConnection, examined: &mut Examined) -> Result<(), OpenError> {
    let before = Utc::now();
    let row = one(
        connection,
        "select current_setting('server_version') as version,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us,
            pg_is_in_recovery() or current_setting('transaction_read_only')::bool as read_only,
            (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
            current_setting('max_connections')::bigint as most",
        [],
    )
    .await?;
    let after = Utc::now();
    examined.server = format!("PostgreSQL {}", row.try_get::<String>("", "version")?);
    // It looked at its clock somewhere between our two looks at ours; half way is wrong by half the wait at most.
    let there: DateTime<Utc> = from_us(row.try_get("", "now_us")?)?;
    examined.clock_ahead_ms = Some((there - (before + (after - before) / 2)).num_milliseconds());
    examined.is_read_only = row.try_get("", "read_only")?;
    examined.connections = Some((row.try_get("", "used")?, row.try_get("", "most")?));
    examined.forgets = forgets(connection).await?;
    Ok(())
}

async fn due(connection: &DatabaseConnection, now: DateTime<Utc>) -> Result<Vec<DueQueue>, OpenError> {
    let backend = connection.get_database_backend();
    let pauses = Statement::from_string(backend, "select name from queue_pause");
    let pauses = connection.query_all_raw(pauses).await?;
    let pauses: Vec<String> =
        pauses.iter().map(|row| row.try_get("", "name")).collect::<Result<_, sea_orm::DbErr>>()?;
    let sql = "select queue, count(*) as due, min(run_at_us) as oldest_us from work
         where state in ('available', 'scheduled', 'retryable') and run_at_us <= $1
         group by queue order by oldest_us";
    let rows = connection
        .query_all_raw(Statement::from_sql_and_values(backend, sql, [Value::from(to_us(now))]))
        .await?;
    let read = |row: &sea_orm::QueryResult| {
        let name: String = row.try_get("", "queue")?;
        let is_paused = pauses
            .iter()
            .any(|pause| *pause == name || (pause.ends_with('/') && name.starts_with(pause.as_str())));
        let oldest_due_at = from_us(row.try_get("", "oldest_us")?)?;
        Ok(DueQueue { name, rows: row.try_get("", "due")?, oldest_due_at, is_paused })
    };
    rows.iter().map(read).collect()
}

async fn bank_certificates(connection: &DatabaseConnection) -> Result<Vec<BankCertificate>, OpenError> {
    let backend = connection.get_database_backend();
    let sql = "select id, tenant_id, external_id, credentials from bank_account order by id limit $1";
    let most = [Value::from(BANK_ACCOUNTS_MAX)];
    let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, sql, most)).await?;
    let mut found = Vec::new();
    for row in &rows {
        let (tenant, name): (String, Option<String>) =
            (row.try_get("", "tenant_id")?, row.try_get("", "external_id")?);
        let id: uuid::Uuid = row.try_get("", "id")?;
        // What cannot be read has no certificate that could be looked at; the store says so when it reads the account.
        let credentials: BTreeMap<String, String> =
            serde_json::from_str(&row.try_get::<String>("", "credentials")?).unwrap_or_default();
        if let Some(reference) = credentials.get("certificate") {
            let account = format!("{tenant}/{}", name.unwrap_or_else(|| id.to_string()));
            found.push(BankCertificate { account, reference: reference.clone() });
        }
    }
    Ok(found)
}

/// The first setting of a server under which it may forget a transaction that it has confirmed. What a payment office was
/// told must still be so after the power came back, so no store is opened on such a server.
///
/// # Errors
/// As any other question.
pub(super) async fn forgets(connection: &DatabaseConnection) -> Result<Option<(String, String)>, OpenError> {
    let sql = "select name, setting from pg_settings
         where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off' order by name";
    let found = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let read = |row: sea_orm::QueryResult| Ok((row.try_get("", "name")?, row.try_get("", "setting")?));
    found.map(read).transpose()
}

async fn one(
    connection: &DatabaseConnection,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<sea_orm::QueryResult, OpenError> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let row = connection.query_one_raw(statement).await?;
    Ok(row.ok_or_else(|| StoreError::Broken("the database did not answer".to_owned()))?)
}
