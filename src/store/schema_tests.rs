//! Schema and entities agree: the same columns under the same names, on both databases, with what may be absent.
//!
//! PostgreSQL is the server of `BURSAR_TEST_POSTGRES_URL`; without it these tests fail, nothing is skipped in silence.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbBackend, EntityTrait, Iterable as _, QuerySelect as _,
    QueryTrait as _, Statement,
};
use uuid::Uuid;

use super::pool;
use super::{Store, StoreConfig, entities};

/// Columns by name, and whether each may be null.
type Columns = BTreeMap<String, bool>;

fn columns_of<E: EntityTrait>() -> (String, Columns) {
    let named = |column: E::Column| {
        let definition = column.def();
        (sea_orm::IdenStatic::as_str(&column).to_owned(), definition.is_null())
    };
    (E::default().table_name().to_owned(), E::Column::iter().map(named).collect())
}

fn of_entities() -> BTreeMap<String, Columns> {
    BTreeMap::from([
        columns_of::<entities::bank_account::Entity>(),
        columns_of::<entities::boleto::Entity>(),
        columns_of::<entities::document_link::Entity>(),
        columns_of::<entities::endpoint::Entity>(),
        columns_of::<entities::work::Entity>(),
        columns_of::<entities::work_archive::Entity>(),
    ])
}

async fn in_database(store: &Store, table: &str) -> Columns {
    let text = match store.backend() {
        DbBackend::Postgres => format!(
            "select column_name as name, (is_nullable = 'YES')::int::bigint as nullable
             from information_schema.columns where table_schema = current_schema() and table_name = '{table}'"
        ),
        _ => {
            format!("select name, 1 - (\"notnull\" or pk > 0) as nullable from pragma_table_info('{table}')")
        }
    };
    let rows = store.reader().query_all_raw(Statement::from_string(store.backend(), text)).await.unwrap();
    let read = |row: sea_orm::QueryResult| {
        let nullable: i64 = row.try_get("", "nullable").unwrap();
        (row.try_get("", "name").unwrap(), nullable != 0)
    };
    rows.into_iter().map(read).collect()
}

/// Reads no row, but makes the database look every column up.
async fn select_all<E: EntityTrait>(store: &Store) {
    let statement = E::find().limit(0).build(store.backend());
    store.reader().query_all_raw(statement).await.unwrap();
}

async fn agree(store: &Store) {
    for (table, columns) in of_entities() {
        assert_eq!(in_database(store, &table).await, columns, "{table} on {:?}", store.kind());
    }
    select_all::<entities::bank_account::Entity>(store).await;
    select_all::<entities::boleto::Entity>(store).await;
    select_all::<entities::document_link::Entity>(store).await;
    select_all::<entities::endpoint::Entity>(store).await;
    select_all::<entities::work::Entity>(store).await;
    select_all::<entities::work_archive::Entity>(store).await;
}

async fn open(url: String) -> Store {
    let config = StoreConfig { url, connections_max: 2, timeout: Duration::from_secs(20) };
    Store::open(&config).await.unwrap()
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn schema_and_entities_agree_on_sqlite() {
    let folder = Folder(std::env::temp_dir().join(format!("bursar-test-{}", Uuid::now_v7())));
    let store = open(format!("sqlite:{}", folder.0.join("bursar.db").display())).await;
    agree(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn schema_and_entities_agree_on_postgresql() {
    let server = std::env::var("BURSAR_TEST_POSTGRES_URL")
        .expect("BURSAR_TEST_POSTGRES_URL names a PostgreSQL server; the README's test command starts one");
    let name = format!("bursar_test_{}", Uuid::now_v7().simple());
    let connection = pool::connect(&server).await.unwrap();
    connection.execute_unprepared(&format!("create database {name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    let store = open(format!("{head}/{name}")).await;
    agree(&store).await;
    store.close().await.unwrap();
    connection.execute_unprepared(&format!("drop database {name} with (force)")).await.unwrap();
    connection.close().await.unwrap();
}
