//! Step 12: whoever takes a person away finds what hangs on them, and no step of a boleto pays for it.
//!
//! The index of the step before named a boleto's status and the time of its last change, so that PostgreSQL wrote every index anew at
//! each of its steps. Boletos are looked through by their primary key instead. A process of the step before finds the same ones without
//! that index, by reading the table. The rest are indexes over rows that are few, or never change.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0012_erasure"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, ERASURE).await
    }
}

const ERASURE: &[&str] = &[
    "drop index boleto_aging",
    // What attempts had to say, by the key of their work: of what went well at once there is nothing.
    "create index work_archive_words on work_archive (unique_key) where last_error is not null or history is not null",
    // What a person said about a difference, by the boleto.
    "create index reconciliation_difference_boleto on reconciliation_difference (boleto_id) where settled_at_us is not null",
    // Who names an endpoint.
    "create index transfer_endpoint on transfer (endpoint_id) where endpoint_id is not null",
    "create index psu_user_endpoint on psu_user (endpoint_id) where endpoint_id is not null",
    "create index payment_endpoint on payment (endpoint_id) where endpoint_id is not null",
];
