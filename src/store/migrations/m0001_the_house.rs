//! Step 1: tenants, processes, the work engine, bank accounts, boletos, owners' destinations.
//!
//! No foreign keys on the hot tables: each costs a row lock and a look-up per insert, and the verbs write parent and
//! child in one transaction anyway. Few indexes, for the same reason; each says below whom it serves.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_the_house"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[META, ENGINE, ISSUING, BOLETOS, OWNERS].concat()).await
    }
}

const META: &[&str] = &[
    "create table schema_meta (
        id bigint primary key check (id = 1),
        version bigint not null,
        min_binary bigint not null
    )",
    "insert into schema_meta (id, version, min_binary) values (1, 1, 1)",
    "create table tenant (
        id text primary key,
        created_at_us bigint not null
    )",
    "insert into tenant (id, created_at_us) values ('default', 0)",
    "create table request_key (
        tenant_id text not null,
        method text not null,
        request_id text not null,
        body_hash {bytes} not null,
        resource_id {uuid} not null,
        created_at_us bigint not null,
        primary key (tenant_id, method, request_id)
    )",
];

const ENGINE: &[&str] = &[
    "create table runner (
        id {uuid} primary key,
        name text not null,
        version text not null,
        beat bigint not null,
        state text not null check (state in ('alive', 'dead')),
        started_at_us bigint not null,
        ended_at_us bigint
    )",
    "create table work (
        id {uuid} primary key,
        tenant_id text not null,
        kind text not null,
        queue text not null,
        priority bigint not null,
        run_at_us bigint not null,
        state text not null check (state in ('scheduled', 'available', 'running', 'retryable')),
        attempt bigint not null,
        attempts_max bigint not null,
        runner_id {uuid},
        fence bigint not null,
        unique_key text,
        subject_id {uuid} not null,
        payload text not null,
        sent_at_us bigint,
        traceparent text,
        last_error text,
        created_at_us bigint not null
    ) {hot}",
    // At most one live row a key.
    "create unique index work_unique_key on work (unique_key) where unique_key is not null",
    // Claims: what is due, and only that; rows for the future stay out.
    "create index work_available on work (queue, priority, run_at_us, id) where state = 'available'",
    // Promotion of what has become due, and the next time at which something will.
    "create index work_waiting on work (run_at_us) where state in ('scheduled', 'retryable')",
    // Returning the rows of a process that died.
    "create index work_running on work (runner_id) where state = 'running'",
    "create table work_archive (
        id {uuid} primary key,
        tenant_id text not null,
        kind text not null,
        queue text not null,
        state text not null check (state in ('completed', 'cancelled', 'discarded')),
        attempt bigint not null,
        attempts_max bigint not null,
        runner_id {uuid},
        fence bigint not null,
        unique_key text,
        subject_id {uuid} not null,
        payload text not null,
        traceparent text,
        last_error text,
        created_at_us bigint not null,
        ended_at_us bigint not null
    )",
    // Retention.
    "create index work_archive_ended on work_archive (ended_at_us)",
    // Dead letters, newest first; they are few among what has ended.
    "create index work_archive_dead on work_archive (id) where state = 'discarded'",
];

const ISSUING: &[&str] = &[
    "create table bank_account (
        id {uuid} primary key,
        tenant_id text not null,
        external_id text,
        display_name text not null,
        beneficiary text not null,
        issuer text not null,
        range_key text not null,
        provider text not null,
        credentials text not null,
        is_default bigint not null,
        version bigint not null,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    "create unique index bank_account_external_id on bank_account (tenant_id, external_id) where external_id is not null",
    "create unique index bank_account_default on bank_account (tenant_id) where is_default = 1",
    // Keyed by bank, agreement and carteira, not by account or tenant: the bank knows no tenants.
    "create table nosso_numero_range (
        range_key text primary key,
        next_sequence bigint not null
    )",
];

const BOLETOS: &[&str] = &[
    // Ids sort by age, so the primary key also serves a tenant's list from the newest on.
    "create table boleto (
        tenant_id text not null,
        id {uuid} not null,
        bank_account_id {uuid} not null,
        status text not null,
        open_status text,
        version bigint not null,
        amount_cents bigint not null,
        due_date date not null,
        nosso_numero text not null,
        nosso_numero_dv text,
        barcode text not null,
        payer text not null,
        instructions text,
        reference_id text,
        token text,
        endpoint_id {uuid},
        notify text not null check (notify in ('owner', 'nobody')),
        response_code text,
        response_message text,
        pix_emv text,
        traceparent text,
        created_at_us bigint not null,
        updated_at_us bigint not null,
        primary key (tenant_id, id)
    ) {hot}",
    // One nosso número once per account, and the filter by it.
    "create unique index boleto_nosso_numero on boleto (nosso_numero, bank_account_id)",
    "create index boleto_reference on boleto (tenant_id, reference_id) where reference_id is not null",
    "create index boleto_token on boleto (tenant_id, token) where token is not null",
    // The few that somebody may have to look after. `open_status` repeats the status of those and is null for all others,
    // so that the happy path changes no indexed column: PostgreSQL then updates the row in place (HOT), which was measured
    // at a seventh of the cost.
    "create index boleto_open on boleto (tenant_id, open_status, id) where open_status is not null",
    "create table boleto_event (
        seq {sequence},
        transaction_id {transaction},
        id {uuid} not null,
        tenant_id text not null,
        boleto_id {uuid} not null,
        version bigint not null,
        event_type text not null,
        status text not null,
        reference_id text,
        occurred_at_us bigint not null,
        work_id {uuid},
        fence bigint
    )",
    // The timeline of one boleto.
    "create unique index boleto_event_version on boleto_event (boleto_id, version)",
    // Every change in the order of commits.
    "sqlite: create index boleto_event_commit on boleto_event (transaction_id, seq)",
    "postgres: alter table boleto_event add primary key (transaction_id, seq)",
];

const OWNERS: &[&str] = &[
    "create table endpoint (
        id {uuid} primary key,
        tenant_id text not null,
        channel text not null,
        destination text not null,
        target text not null,
        event_types text not null,
        disabled bigint not null,
        disabled_reason text,
        created_at_us bigint not null
    )",
    // One row per destination and purpose: a queue may be both a subscription and named by boletos.
    "create unique index endpoint_target on endpoint (tenant_id, channel, target, event_types)",
    // The subscriptions of a tenant.
    "create index endpoint_subscription on endpoint (tenant_id) where event_types <> ''",
    "create table delivery (
        tenant_id text not null,
        endpoint_id {uuid} not null,
        subject_id {uuid} not null,
        wanted_version bigint not null,
        sent_version bigint not null,
        state text not null check (state in ('pending', 'delivered', 'given_up')),
        attempts bigint not null,
        last_answer text,
        updated_at_us bigint not null,
        primary key (endpoint_id, subject_id)
    ) {hot}",
];
