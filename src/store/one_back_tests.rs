//! Each step of the schema leaves what the release before it stands on: its tables, columns and indexes, and rows that it can write.
//!
//! Two releases run side by side while one takes the other's place, so a process of the release before reads and writes a schema that
//! has grown already. What it does not know must not be in its way.
//!
//! PostgreSQL is the server of `BURSAR_TEST_POSTGRES_URL`; without it these tests fail, nothing is skipped in silence.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait as _;
use uuid::Uuid;

use super::migrations::Migrator;
use super::pool;

/// Columns that a step let be absent where they were there always, as it says why: a process of the step before works on no row that
/// lacks them.
const LOOSENED: [(&str, &str, &str); 2] =
    [("m0003_boletos", "boleto", "nosso_numero"), ("m0003_boletos", "boleto", "barcode")];

/// Indexes that a step took away, as it says why: a process of the step before finds the same rows without them.
const DROPPED: [(&str, &str); 1] = [("m0012_erasure", "boleto_aging")];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    kind: String,
    nullable: bool,
    /// Whether a row may be written without it.
    may_be_left_out: bool,
}

#[derive(Debug, Clone, Default)]
struct Shape {
    /// By table and name.
    columns: BTreeMap<(String, String), Column>,
    /// By name: the table, whether it keeps rows out, and its columns.
    indexes: BTreeMap<String, (String, bool, BTreeSet<String>)>,
}

impl Shape {
    fn has_table(&self, table: &str) -> bool {
        self.columns.keys().any(|(known, _)| known == table)
    }
}

async fn shape(connection: &DatabaseConnection) -> Shape {
    let (columns, indexes) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            "select table_name::text as owner, column_name::text as name, data_type::text as kind,
               (is_nullable = 'YES')::int::bigint as nullable,
               (is_nullable = 'YES' or column_default is not null or is_identity = 'YES')::int::bigint as spare
             from information_schema.columns where table_schema = current_schema()",
            "select t.relname::text as owner, i.relname::text as name, x.indisunique::int::bigint as is_unique,
               coalesce(a.attname, '')::text as member
             from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
               join pg_namespace n on n.oid = t.relnamespace and n.nspname = current_schema()
               left join pg_attribute a on a.attrelid = t.oid and a.attnum = any (x.indkey)",
        ),
        _ => (
            "select m.name as owner, c.name as name, c.type as kind, 1 - c.\"notnull\" as nullable,
               (c.\"notnull\" = 0 or c.dflt_value is not null) as spare
             from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'",
            "select m.name as owner, i.name as name, i.\"unique\" as is_unique, coalesce(c.name, '') as member
             from sqlite_master m join pragma_index_list(m.name) i join pragma_index_info(i.name) c
             where m.type = 'table' and i.name not like 'sqlite_%'",
        ),
    };
    let find = async |text: &str| {
        let statement = Statement::from_string(connection.get_database_backend(), text);
        connection.query_all_raw(statement).await.unwrap()
    };
    let mut shape = Shape::default();
    for row in find(columns).await {
        let flag = |name: &str| row.try_get::<i64>("", name).unwrap() != 0;
        let column = Column {
            kind: row.try_get("", "kind").unwrap(),
            nullable: flag("nullable"),
            may_be_left_out: flag("spare"),
        };
        shape.columns.insert((row.try_get("", "owner").unwrap(), row.try_get("", "name").unwrap()), column);
    }
    for row in find(indexes).await {
        let owner: String = row.try_get("", "owner").unwrap();
        let is_unique = row.try_get::<i64>("", "is_unique").unwrap() != 0;
        let entry = shape.indexes.entry(row.try_get("", "name").unwrap());
        let (_, _, members) = entry.or_insert_with(|| (owner, is_unique, BTreeSet::new()));
        members.insert(row.try_get("", "member").unwrap());
    }
    shape
}

/// What a step has put in the way of the release before it.
fn in_the_way(step: &str, before: &Shape, after: &Shape) -> Vec<String> {
    let mut found = Vec::new();
    for ((table, name), column) in &before.columns {
        let is_loosened = LOOSENED.contains(&(step, table, name));
        match after.columns.get(&(table.clone(), name.clone())) {
            None => found.push(format!("{table}.{name} is gone")),
            Some(now) if now.kind != column.kind => {
                found.push(format!("{table}.{name} was {} and is {}", column.kind, now.kind));
            }
            Some(now) if now.nullable && !column.nullable && !is_loosened => {
                found.push(format!("{table}.{name} may be absent now, which its reader does not expect"));
            }
            Some(now) if column.may_be_left_out && !now.may_be_left_out => {
                found.push(format!("{table}.{name} could be left out and no longer can"));
            }
            Some(_) => {}
        }
    }
    let added = |table: &str, name: &str| !before.columns.contains_key(&(table.to_owned(), name.to_owned()));
    for ((table, name), column) in &after.columns {
        if before.has_table(table) && added(table, name) && !column.may_be_left_out {
            found.push(format!("{table}.{name} is new and must be written, which its writer does not know"));
        }
    }
    let is_missed = |name: &str| !after.indexes.contains_key(name) && !DROPPED.contains(&(step, name));
    for name in before.indexes.keys().filter(|name| is_missed(name)) {
        found.push(format!("the index {name} is gone"));
    }
    for (name, (table, is_unique, members)) in &after.indexes {
        let is_new = !before.indexes.contains_key(name) && before.has_table(table);
        // One over a new column keeps no row out that leaves the column out.
        if is_new && *is_unique && !members.iter().any(|member| added(table, member)) {
            found.push(format!("the index {name} may refuse rows that could be written before"));
        }
    }
    found
}

async fn every_step_leaves_room(connection: &DatabaseConnection) {
    let mut before = Shape::default();
    for migration in Migrator::migrations() {
        Migrator::up(connection, Some(1)).await.unwrap();
        let after = shape(connection).await;
        assert!(after.columns.len() >= before.columns.len() && !after.indexes.is_empty(), "{after:?}");
        let found = in_the_way(migration.name(), &before, &after);
        assert!(
            found.is_empty(),
            "{} on {:?}: {found:#?}",
            migration.name(),
            connection.get_database_backend()
        );
        before = after;
    }
}

#[tokio::test]
async fn a_release_before_finds_what_it_stands_on_in_sqlite() {
    let connection = pool::connect("sqlite::memory:").await.unwrap();
    every_step_leaves_room(&connection).await;
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_release_before_finds_what_it_stands_on_in_postgresql() {
    let server = std::env::var("BURSAR_TEST_POSTGRES_URL")
        .expect("BURSAR_TEST_POSTGRES_URL names a PostgreSQL server; the README's test command starts one");
    let name = format!("bursar_test_{}", Uuid::now_v7().simple());
    let of_server = pool::connect(&server).await.unwrap();
    of_server.execute_unprepared(&format!("create database {name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    let connection = pool::connect(format!("{head}/{name}")).await.unwrap();
    every_step_leaves_room(&connection).await;
    connection.close().await.unwrap();
    of_server.execute_unprepared(&format!("drop database {name} with (force)")).await.unwrap();
    of_server.close().await.unwrap();
}

#[test]
fn what_is_in_the_way_is_found() {
    let column = |kind: &str, nullable: bool, may_be_left_out: bool| Column {
        kind: kind.to_owned(),
        nullable,
        may_be_left_out,
    };
    let key = |name: &str| ("work".to_owned(), name.to_owned());
    let before = Shape {
        columns: [(key("id"), column("uuid", false, false)), (key("state"), column("text", false, false))]
            .into(),
        indexes: [("work_state".to_owned(), ("work".to_owned(), false, ["state".to_owned()].into()))].into(),
    };
    let after = Shape {
        columns: [(key("id"), column("text", false, false)), (key("fence"), column("bigint", false, false))]
            .into(),
        indexes: [("work_id".to_owned(), ("work".to_owned(), true, ["id".to_owned()].into()))].into(),
    };
    assert_eq!(in_the_way("m0000", &before, &after).len(), 5, "{:?}", in_the_way("m0000", &before, &after));
    assert!(in_the_way("m0000", &before, &before.clone()).is_empty());
}
