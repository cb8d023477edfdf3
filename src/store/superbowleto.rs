//! The database of the service that this one replaces, read and never written.
//!
//! **Owns** one connection, on which the server itself refuses every write. **Fails** when a table is not there, or the
//! database does not answer; nothing is retried, for whoever imports may begin again.
//! **Limits**: a page of rows at a time, each as one JSON text, so that a column which one installation has and another
//! lacks disturbs nobody; a deadline for each statement.

use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, SqlxPostgresConnector, Statement, Value};
use serde::Deserialize;

use super::StoreError;
use super::pool;

/// What its ORM may have called the tables, the likeliest first.
const BOLETOS: [&str; 3] = ["Boletos", "boletos", "Boleto"];
const CONFIGURATIONS: [&str; 3] = ["Configurations", "configurations", "Configuration"];

/// Which tables are read; what is not named is looked for.
#[derive(Debug, Clone, Default)]
pub struct TableNames {
    pub boletos: Option<String>,
    pub configurations: Option<String>,
}

/// Why the other database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// The address, which may hold a password and is not repeated.
    #[error("the address must begin with `postgres://` and be readable")]
    Url,
    /// There is no such table.
    #[error("there is no table of {what} ({tried}); name it by an option")]
    NoTable { what: &'static str, tried: String },
    /// The database did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for LegacyError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// The other database, open.
pub struct Superbowleto {
    connection: DatabaseConnection,
    boletos: String,
    configurations: String,
}

/// A row of its configurations.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LegacyConfiguration {
    pub external_id: String,
    pub issuer: String,
    pub issuer_account: String,
    pub issuer_agency: String,
    pub issuer_wallet: String,
}

/// Under which agreement boletos were issued there, how many, and under which numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LegacyAgreement {
    pub issuer: String,
    pub issuer_account: Option<String>,
    pub issuer_agency: Option<String>,
    pub issuer_wallet: Option<String>,
    /// The highest number.
    pub title_id_max: i64,
    pub boletos: u64,
}

/// A boleto there: its id, and the row as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyRow {
    pub id: String,
    pub json: String,
}

impl Superbowleto {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// [`LegacyError`].
    pub async fn open(url: &str, names: &TableNames, timeout: Duration) -> Result<Self, LegacyError> {
        if !super::connect::is_postgres(url) {
            return Err(LegacyError::Url);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| LegacyError::Url)?;
        let timeout_ms = timeout.as_millis().to_string();
        let options = options.options([
            ("default_transaction_read_only", "on"),
            ("timezone", "UTC"),
            ("statement_timeout", timeout_ms.as_str()),
        ]);
        let pool = pool::one_session().acquire_timeout(timeout);
        let pool = pool.connect_with(options).await.map_err(|error| {
            LegacyError::Store(StoreError::Unavailable(format!("the other database: {error}")))
        })?;
        let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let boletos = find_table(&connection, "boletos", names.boletos.as_deref(), &BOLETOS).await?;
        let named = names.configurations.as_deref();
        let configurations = find_table(&connection, "configurations", named, &CONFIGURATIONS).await?;
        Ok(Self { connection, boletos, configurations })
    }

    /// Its configurations, in the order of their external ids.
    pub async fn configurations(&self) -> Result<Vec<LegacyConfiguration>, LegacyError> {
        let table = &self.configurations;
        self.documents(&format!("select t from {table} t order by t.external_id")).await
    }

    /// Every agreement that boletos were issued under.
    pub async fn agreements(&self) -> Result<Vec<LegacyAgreement>, LegacyError> {
        let table = &self.boletos;
        self.documents(&format!(
            "select t from (
                select issuer, issuer_account, issuer_agency, issuer_wallet, max(title_id) as title_id_max,
                    count(*) as boletos
                from {table} group by 1, 2, 3, 4 order by 1, 2, 3, 4
             ) t"
        ))
        .await
    }

    /// A page of boletos in the order of their ids, after `after`.
    pub async fn boletos(&self, after: Option<&str>, limit: u64) -> Result<Vec<LegacyRow>, LegacyError> {
        let table = &self.boletos;
        let text = format!(
            "select t.id, row_to_json(t)::text as json from {table} t
             where $1::text is null or t.id > $1 order by t.id limit $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [Value::from(after.map(str::to_owned)), Value::from(limit)];
        let statement = Statement::from_sql_and_values(sea_orm::DbBackend::Postgres, text, values);
        let rows = self.connection.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| Ok(LegacyRow { id: row.try_get("", "id")?, json: row.try_get("", "json")? }))
            .collect()
    }

    /// Lets go of it.
    pub async fn close(self) -> Result<(), LegacyError> {
        Ok(self.connection.close().await?)
    }

    async fn documents<T: serde::de::DeserializeOwned>(&self, rows: &str) -> Result<Vec<T>, LegacyError> {
        let text = format!("select row_to_json(d.t)::text as json from ({rows}) d");
        let statement = Statement::from_string(sea_orm::DbBackend::Postgres, text);
        let rows = self.connection.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| {
                let json: String = row.try_get("", "json")?;
                let unreadable = |error| StoreError::unreadable("row of the other database", error);
                Ok(serde_json::from_str(&json).map_err(unreadable)?)
            })
            .collect()
    }
}

/// The quoted name of a table that is there.
async fn find_table(
    connection: &DatabaseConnection,
    what: &'static str,
    named: Option<&str>,
    likely: &[&str],
) -> Result<String, LegacyError> {
    let tried: Vec<&str> = named.map_or_else(|| likely.to_vec(), |name| vec![name]);
    for name in &tried {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let statement = Statement::from_sql_and_values(
            sea_orm::DbBackend::Postgres,
            "select to_regclass($1) is not null as there",
            [Value::from(quoted.as_str())],
        );
        if let Some(row) = connection.query_one_raw(statement).await?
            && row.try_get::<bool>("", "there")?
        {
            return Ok(quoted);
        }
    }
    Err(LegacyError::NoTable { what, tried: tried.join(", ") })
}
