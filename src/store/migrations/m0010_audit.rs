//! Step 10: the audit tells who, also of what has a name and no id, and its records become a chain.
//!
//! Records from before this step keep what they tell and get no place in the chain: nobody could say any more that they are what
//! was written. The same goes for what a process of the step before writes while both run. Expands only.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0010_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHAIN).await
    }
}

const CHAIN: &[&str] = &[
    "alter table audit add column actor text",
    // An actor, a queue, a job; then `subject_id` is nil.
    "alter table audit add column subject text",
    // From 1 on without a gap; null for a record that is no part of the chain.
    "alter table audit add column sequence bigint",
    "alter table audit add column previous_hash text",
    "alter table audit add column hash text",
    "create unique index audit_sequence on audit (sequence)",
    "create index audit_named on audit (subject, id) where subject is not null",
    "create index audit_tenant on audit (tenant_id, id)",
    // The last record of the chain. Its row is made by the first record, and is what records wait for each other at.
    "create table audit_head (
        id bigint primary key,
        sequence bigint not null,
        hash text not null
    )",
];
