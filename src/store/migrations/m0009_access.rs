//! Step 9: who may ask, by which token.
//!
//! Expands only. A process of the step before knows none of it and answers everybody, as it did.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0009_access"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, TOKENS).await
    }
}

const TOKENS: &[&str] = &[
    "create table api_token (
        id {uuid} primary key,
        tenant_id text not null,
        -- The part of it that everybody may see.
        prefix text not null,
        -- The SHA-256 of the part that nobody sees twice.
        secret_hash {bytes} not null,
        name text not null,
        -- Names of scopes with single spaces between them.
        scopes text not null,
        created_at_us bigint not null,
        created_by text not null,
        expires_at_us bigint not null,
        revoked_at_us bigint,
        last_used_at_us bigint
    )",
    "create unique index api_token_prefix on api_token (prefix)",
    "create index api_token_newest on api_token (tenant_id, id)",
    // One row, made by the first revocation and counted on by each: whoever has seen tokens before sees by it that they may hold no
    // more. It is locked until its transaction ends, so that no revocation is passed over by one that was numbered later.
    "create table access_revision (
        id bigint primary key,
        revision bigint not null
    )",
];
