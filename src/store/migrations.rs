//! The schema, grown step by step: expand first, contract a release later.
//!
//! **Owns** the list of steps. A step is text with a few words that the two databases spell differently; everything
//! else is the same SQL. **Fails** when a step cannot be applied, and then nothing of it is.
//! Times are whole microseconds since 1970 UTC in columns named `_us`, so that both databases agree to the digit.

mod m0001_the_house;
mod m0002_many_processes;
mod m0003_boletos;
mod m0004_document_links;
mod m0005_notifications;
mod m0006_transfers;
mod m0007_timetable;
mod m0008_openbanking;
mod m0009_access;
mod m0010_audit;
mod m0011_retention;
mod m0012_erasure;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::prelude::*;

/// The schema version that this binary writes.
pub const SCHEMA_VERSION: i32 = 12;
/// The oldest binary (by the schema version it was built for) that may run against this schema.
pub const MIN_BINARY: i32 = 1;

/// Applies the steps in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_the_house::Migration),
            Box::new(m0002_many_processes::Migration),
            Box::new(m0003_boletos::Migration),
            Box::new(m0004_document_links::Migration),
            Box::new(m0005_notifications::Migration),
            Box::new(m0006_transfers::Migration),
            Box::new(m0007_timetable::Migration),
            Box::new(m0008_openbanking::Migration),
            Box::new(m0009_access::Migration),
            Box::new(m0010_audit::Migration),
            Box::new(m0011_retention::Migration),
            Box::new(m0012_erasure::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "schema_step".into_iden()
    }
}

/// Runs a step's statements, one after the other, in the database's own words.
async fn run(manager: &SchemaManager<'_>, statements: &[&'static str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let backend = connection.get_database_backend();
    for statement in statements {
        if let Some(statement) = for_backend(statement, backend) {
            connection.execute_unprepared(&spelled(statement, backend)).await?;
        }
    }
    Ok(())
}

/// A statement that one database alone needs says so in front.
fn for_backend(statement: &'static str, backend: DbBackend) -> Option<&'static str> {
    let is_postgres = backend == DbBackend::Postgres;
    match (statement.strip_prefix("sqlite: "), statement.strip_prefix("postgres: ")) {
        (Some(statement), _) => (!is_postgres).then_some(statement),
        (_, Some(statement)) => is_postgres.then_some(statement),
        (None, None) => Some(statement),
    }
}

fn spelled(statement: &str, backend: DbBackend) -> String {
    let words: [(&str, &str); 5] = match backend {
        DbBackend::Postgres => [
            ("{uuid}", "uuid"),
            ("{bytes}", "bytea"),
            ("{sequence}", "bigint generated always as identity"),
            ("{transaction}", "bigint not null default (pg_current_xact_id()::text::bigint)"),
            (
                "{hot}",
                "with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)",
            ),
        ],
        _ => [
            ("{uuid}", "blob"),
            ("{bytes}", "blob"),
            ("{sequence}", "integer primary key autoincrement"),
            ("{transaction}", "bigint not null default 0"),
            ("{hot}", ""),
        ],
    };
    words.iter().fold(statement.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}
