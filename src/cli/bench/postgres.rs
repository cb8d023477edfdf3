//! The PostgreSQL server that is measured on: databases of our own in it, and who runs it.
//!
//! **Owns** the databases that it made, and drops them at the end. **Fails** when the server does not let it.
//! **Limits**: the password comes from `PGPASSWORD`, never from the URL, which other processes could read.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::process::postmaster_of;
use crate::store::pool;

/// A server that may be filled with what a benchmark makes.
pub(super) struct Postgres {
    server: DatabaseConnection,
    url: String,
    made: Mutex<Vec<String>>,
    /// The parent of its processes, if they run on this machine.
    pub postmaster: Option<u32>,
    /// What a reader of the figures must know of it.
    pub settings: Value,
}

impl Postgres {
    /// Connects and asks how the server is set.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        refuse_password(url)?;
        let server = pool::connect(url).await.context("cannot reach the PostgreSQL server")?;
        let ask = "select pg_backend_pid() as pid, current_setting('server_version') as version,
            current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit";
        let row = server
            .query_one_raw(Statement::from_string(DbBackend::Postgres, ask))
            .await?
            .context("the PostgreSQL server did not answer")?;
        let text = |name: &str| row.try_get::<String>("", name);
        let settings = json!({
            "version": text("version")?,
            "fsync": text("fsync")?,
            "synchronous_commit": text("synchronous_commit")?,
        });
        let pid: i32 = row.try_get("", "pid")?;
        let postmaster = u32::try_from(pid).ok().and_then(postmaster_of);
        Ok(Self { server, url: url.to_owned(), made: Mutex::default(), postmaster, settings })
    }

    /// Makes a new, empty database and returns its URL.
    pub async fn database(&self) -> anyhow::Result<String> {
        let name = format!("bursar_bench_{}", Uuid::now_v7().simple());
        self.server
            .execute_unprepared(&format!("create database {name}"))
            .await
            .context("cannot make a database")?;
        if let Ok(mut made) = self.made.lock() {
            made.push(name.clone());
        }
        with_database(&self.url, &name)
    }

    /// Drops the databases that it made, whoever still uses them.
    pub async fn close(self) -> anyhow::Result<()> {
        for name in self.made.into_inner().unwrap_or_default() {
            self.server
                .execute_unprepared(&format!("drop database if exists {name} with (force)"))
                .await
                .with_context(|| format!("cannot drop the database {name}"))?;
        }
        self.server.close().await.context("cannot close the connection to the PostgreSQL server")
    }
}

fn refuse_password(url: &str) -> anyhow::Result<()> {
    let (_, rest) = url.split_once("://").context("the PostgreSQL URL must begin with postgres://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            bail!("the PostgreSQL URL holds a password; leave it out and set PGPASSWORD")
        }
        _ => Ok(()),
    }
}

/// The same server's URL with another database.
fn with_database(url: &str, name: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("the PostgreSQL URL must begin with postgres://")?;
    let (address, query) =
        rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    let authority = address.split('/').next().unwrap_or_default();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Ok(format!("{scheme}://{authority}/{name}{query}"))
}

/// Where `pgbench` is: as named, in the search path, or where Debian puts it, version 15 before others.
pub(super) fn find_pgbench(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = vec![PathBuf::from("/usr/lib/postgresql/15/bin")];
    folders.extend(std::env::split_paths(&in_path));
    if let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    folders.into_iter().map(|folder| folder.join("pgbench")).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        let cases = [
            ("postgres://u@h:5432/postgres", "postgres://u@h:5432/b"),
            ("postgresql://h", "postgresql://h/b"),
            ("postgres://h/a?sslmode=disable", "postgres://h/b?sslmode=disable"),
        ];
        for (url, expected) in cases {
            assert_eq!(with_database(url, "b").expect("a URL"), expected);
        }
        assert!(with_database("h/a", "b").is_err());
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        assert!(refuse_password("postgres://user@host:5432/db").is_ok());
        let refused = refuse_password("postgres://user:opensesame@host/db").expect_err("a password");
        assert!(!refused.to_string().contains("opensesame"));
    }
}
