//! Step 11: boletos that have ended are found by when they did, for as long as something of their payers is kept.
//!
//! An index and nothing else: a process of the step before reads and writes as it did. It cost every step of a boleto too much, and
//! the next step takes it away.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0011_retention"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, RETENTION).await
    }
}

const RETENTION: &[&str] = &[
    // The text is that of `domain::payer::ERASED` when this step was made.
    "create index boleto_aging on boleto (updated_at_us) where status in ('paid', 'refused', 'cancelled')
       and payer <> '{\"name\":\"erased\",\"tax_id\":\"00000000191\",\"address\":{\"street\":\"erased\",\"number\":\"0\",\"district\":\"erased\",\"city\":\"erased\",\"state\":\"DF\",\"postal_code\":\"70000000\"}}'",
];
