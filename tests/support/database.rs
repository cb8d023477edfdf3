//! A database of its own for each test: an SQLite file in a folder of its own, or a PostgreSQL database of its own.
//!
//! The PostgreSQL server is the one of `BURSAR_TEST_POSTGRES_URL`; the README's test command starts it. Without it the
//! tests fail: nothing is skipped in silence.
//!
//! What a test leaves behind on that server is dropped, some databases at a time because each drop is a checkpoint; those of the
//! last few tests go with the server.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use bursar::store::pool;
use bursar::store::{Store, StoreConfig};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The two that every store test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    PostgreSql,
}

/// Databases that are dropped together.
const DROPPED_TOGETHER: usize = 32;

/// Who drops the databases of tests that have ended.
static JANITOR: LazyLock<Sender<String>> = LazyLock::new(|| {
    let (names, ended) = mpsc::channel();
    thread::spawn(move || drop_databases(&ended));
    names
});

/// The file of a database that is one.
const FILE: &str = "bursar.db";

/// What furnished databases are copies of, on the server and as a file.
static FURNISHED: OnceCell<TestDatabase> = OnceCell::const_new();
static FURNISHED_FILE: OnceCell<Vec<u8>> = OnceCell::const_new();

/// A database that belongs to one test.
pub struct TestDatabase {
    pub url: String,
    folder: Option<PathBuf>,
}

impl TestDatabase {
    /// A new, empty database.
    pub async fn create(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::in_a_folder(None),
            Kind::PostgreSql => Self::on_the_server("").await,
        }
    }

    /// A new database with the schema in it and nothing else. It is a copy of one that was made once, which is done much sooner, so
    /// that all of them are the same store by name: a test about two stores makes them from nothing.
    pub async fn furnished(kind: Kind) -> Self {
        let made = async || {
            let database = Self::create(kind).await;
            database.open().await.close().await.expect("closed");
            database
        };
        match kind {
            Kind::Sqlite => {
                let read = async || {
                    let database = made().await;
                    let folder = database.folder.as_ref().expect("a folder of its own");
                    std::fs::read(folder.join(FILE)).expect("the whole database in one file")
                };
                Self::in_a_folder(Some(FURNISHED_FILE.get_or_init(read).await))
            }
            Kind::PostgreSql => {
                let template = FURNISHED.get_or_init(made).await;
                Self::on_the_server(&format!(" template {}", template.name())).await
            }
        }
    }

    fn in_a_folder(content: Option<&Vec<u8>>) -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-test-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder for the database");
        let file = folder.join(FILE);
        if let Some(content) = content {
            std::fs::write(&file, content).expect("a database's file");
        }
        Self { url: format!("sqlite:{}", file.display()), folder: Some(folder) }
    }

    async fn on_the_server(template: &str) -> Self {
        let server = server_url();
        let name = format!("bursar_test_{}", Uuid::now_v7().simple());
        let connection = pool::connect(&server).await.expect("the PostgreSQL server of the tests");
        connection
            .execute_unprepared(&format!("create database {name}{template}"))
            .await
            .expect("a database for the test");
        connection.close().await.expect("the server lets go");
        let (head, _) = server.rsplit_once('/').expect("a URL that names a database");
        Self { url: format!("{head}/{name}"), folder: None }
    }

    fn name(&self) -> &str {
        self.url.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// How the store is told of it.
    pub fn config(&self) -> StoreConfig {
        StoreConfig { url: self.url.clone(), connections_max: 4, timeout: Duration::from_secs(20) }
    }

    /// The store on it.
    pub async fn open(&self) -> Store {
        Store::open(&self.config()).await.expect("a store on an empty database")
    }

    /// The column `text` of what a statement finds, read past the store.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let beside = self.beside().await;
        let found = texts(&beside, sql).await;
        beside.close().await.expect("the database lets go");
        found
    }

    async fn beside(&self) -> DatabaseConnection {
        pool::connect(&self.url).await.expect("a second connection")
    }

    /// Every row of every table, as text.
    pub async fn everything(&self) -> Vec<String> {
        let of_one = if self.url.starts_with("postgres") {
            "select 'select ''' || table_name || ' '' || row_to_json(t)::text as text from ' || table_name || ' t' as text
             from information_schema.tables where table_schema = 'public' order by 1"
        } else {
            "select 'select ''' || m.name || ' '' || ' || (select group_concat('''' || c.name || ':'' || quote(' || c.name
               || ')', ' || '' '' || ') from pragma_table_info(m.name) c) || ' as text from ' || m.name as text
             from sqlite_master m where m.type = 'table' and m.name not like 'sqlite_%' order by 1"
        };
        let beside = self.beside().await;
        let mut rows = Vec::new();
        for find in texts(&beside, of_one).await {
            rows.extend(texts(&beside, &find).await);
        }
        beside.close().await.expect("the database lets go");
        rows.sort_unstable();
        assert!(rows.len() > 3, "tables were read");
        rows
    }
}

async fn texts(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let find = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(find).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    rows.iter().map(|row| row.try_get("", "text").expect("a text")).collect()
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        } else {
            let _ = JANITOR.send(self.name().to_owned());
        }
    }
}

/// Drops databases for as long as tests end. Whoever still has a line to one of them is cut off, for its test has ended.
fn drop_databases(ended: &Receiver<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    loop {
        let Ok(names) = (0..DROPPED_TOGETHER).map(|_| ended.recv()).collect::<Result<Vec<_>, _>>() else {
            return;
        };
        runtime.block_on(async {
            let connection = pool::connect(server_url()).await.expect("the PostgreSQL server of the tests");
            for name in names {
                let drop = format!("drop database if exists {name} with (force)");
                connection.execute_unprepared(&drop).await.expect("a database that nobody needs");
            }
            connection.close().await.expect("the server lets go");
        });
    }
}

/// The server that the PostgreSQL tests use.
pub fn server_url() -> String {
    std::env::var("BURSAR_TEST_POSTGRES_URL")
        .expect("BURSAR_TEST_POSTGRES_URL names a PostgreSQL server; the README's test command starts one")
}
