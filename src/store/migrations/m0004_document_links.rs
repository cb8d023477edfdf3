//! Step 4: links by which a boleto's document is seen without an account of ours.
//!
//! Expands only: a process of the step before neither makes links nor opens any.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0004_document_links"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, LINKS).await
    }
}

const LINKS: &[&str] = &[
    // The token itself is told once and kept nowhere; without a format the link shows all of them.
    "create table document_link (
        id {uuid} primary key,
        tenant_id text not null,
        boleto_id {uuid} not null,
        token_hash {bytes} not null,
        format text,
        created_at_us bigint not null,
        expires_at_us bigint not null,
        revoked_at_us bigint,
        revocation_id {uuid},
        last_used_at_us bigint,
        uses bigint not null
    )",
    "create unique index document_link_token on document_link (token_hash)",
    "create index document_link_boleto on document_link (tenant_id, boleto_id)",
    // What is long over is forgotten in this order.
    "create index document_link_expiry on document_link (expires_at_us)",
];
