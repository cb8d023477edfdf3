//! Step 2: many processes on one database. What a process shows of itself, elected singletons, queues that are held
//! back, the attempts behind a row, and the store's own name.
//!
//! Expands only: a process of the step before goes on working beside one of this step.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_many_processes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[PROCESSES, QUEUES, REQUESTS, STORE].concat()).await
    }
}

const PROCESSES: &[&str] = &[
    // Shown to people only: by the process's own clock, and nothing is decided by it.
    "alter table runner add column seen_at_us bigint not null default 0",
    "alter table runner add column in_hand bigint not null default 0",
    "alter table runner add column places bigint not null default 0",
    // An office is held for as long as the process that took it lives: its lease is the process's own.
    "create table leader (
        name text primary key,
        term bigint not null,
        runner_id {uuid},
        taken_at_us bigint not null
    )",
];

const QUEUES: &[&str] = &[
    // A queue, or every queue whose name begins so where the name ends in a slash.
    "create table queue_pause (
        name text primary key,
        reason text not null,
        paused_at_us bigint not null
    )",
    // What became of the attempts before, one line of JSON each, newest last. Written when an attempt fails, so the happy
    // path does not touch it.
    "alter table work add column history text",
    "alter table work_archive add column history text",
];

const REQUESTS: &[&str] = &[
    // Retention. Rows come in the order of their time, so that a few words a page range find the oldest.
    "postgres: create index request_key_created on request_key using brin (created_at_us) with (autosummarize = on)",
];

const STORE: &[&str] = &[
    // Marks what refers to positions inside this one database, such as the cursors of watchers.
    "alter table schema_meta add column store_id text not null default ''",
    "sqlite: update schema_meta set store_id = lower(hex(randomblob(16)))",
    "postgres: update schema_meta set store_id = replace(gen_random_uuid()::text, '-', '')",
];
