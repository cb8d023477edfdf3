//! Step 3: boletos as the field knows them. Terms, payments, orders to the bank, what a reconciliation found, an audit,
//! and the names of the service before this one.
//!
//! Expands only. A boleto may be without a number or a barcode until its bank has given one: a process of the step before
//! does not know the banks that do so, and claims no work of theirs.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_boletos"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[BOLETOS, ACCOUNTS, ORDERS, PAYMENTS, RECONCILIATION, AUDIT, LEGACY].concat())
            .await
    }
}

const BOLETOS: &[&str] = &[
    "postgres: alter table boleto alter column nosso_numero drop not null, alter column barcode drop not null",
    // SQLite cannot take a rule off a column, so that the table is made anew.
    "sqlite: create table boleto_anew (
        tenant_id text not null,
        id blob not null,
        bank_account_id blob not null,
        status text not null,
        open_status text,
        version bigint not null,
        amount_cents bigint not null,
        due_date date not null,
        nosso_numero text,
        nosso_numero_dv text,
        barcode text,
        payer text not null,
        instructions text,
        reference_id text,
        token text,
        endpoint_id blob,
        notify text not null check (notify in ('owner', 'nobody')),
        response_code text,
        response_message text,
        pix_emv text,
        traceparent text,
        created_at_us bigint not null,
        updated_at_us bigint not null,
        primary key (tenant_id, id)
    )",
    "sqlite: insert into boleto_anew select tenant_id, id, bank_account_id, status, open_status, version, amount_cents,
        due_date, nosso_numero, nosso_numero_dv, barcode, payer, instructions, reference_id, token, endpoint_id, notify,
        response_code, response_message, pix_emv, traceparent, created_at_us, updated_at_us from boleto",
    "sqlite: drop table boleto",
    "sqlite: alter table boleto_anew rename to boleto",
    "sqlite: create unique index boleto_nosso_numero on boleto (nosso_numero, bank_account_id)",
    "sqlite: create index boleto_reference on boleto (tenant_id, reference_id) where reference_id is not null",
    "sqlite: create index boleto_token on boleto (tenant_id, token) where token is not null",
    "sqlite: create index boleto_open on boleto (tenant_id, open_status, id) where open_status is not null",
    // What was agreed, as one JSON text; null for nothing.
    "alter table boleto add column terms text",
    "alter table boleto add column bank_reference text",
    "alter table boleto add column url text",
    "alter table boleto add column paid_cents bigint not null default 0",
    "alter table boleto add column paid_on date",
    // A bank that names boletos itself speaks of them by that name.
    "create index boleto_bank_reference on boleto (bank_account_id, bank_reference) where bank_reference is not null",
    // Why a change was made, in the words of whoever made it, and by which request.
    "alter table boleto_event add column reason text",
];

const ACCOUNTS: &[&str] = &[
    // What becomes of a fraction of a cent.
    "alter table bank_account add column rounding text not null default 'truncate'",
    // How a request leads to another account than it names, as one JSON text; null for never.
    "alter table bank_account add column rules text",
];

const ORDERS: &[&str] = &[
    // What the bank was asked to do with a boleto after its registration. Each has a row of work for as long as it is
    // pending; at most one is at a time, by the work's unique key.
    "create table boleto_order (
        id {uuid} primary key,
        tenant_id text not null,
        boleto_id {uuid} not null,
        kind text not null check (kind in ('amend', 'cancel')),
        state text not null check (state in ('pending', 'done', 'refused', 'given_up')),
        amendment text,
        reason text not null,
        response_code text,
        response_message text,
        created_at_us bigint not null,
        ended_at_us bigint
    )",
    "create index boleto_order_boleto on boleto_order (boleto_id, id)",
];

const PAYMENTS: &[&str] = &[
    // Every payment that anybody told us of, once: by its source and that source's own name for it.
    "create table boleto_payment (
        id {uuid} primary key,
        tenant_id text not null,
        boleto_id {uuid} not null,
        amount_cents bigint not null,
        paid_on date not null,
        is_partial bigint not null,
        source text not null check (source in ('owner', 'bank')),
        external_id text not null,
        response_code text,
        created_at_us bigint not null
    )",
    "create unique index boleto_payment_once on boleto_payment (boleto_id, source, external_id)",
];

const RECONCILIATION: &[&str] = &[
    // How far each account has been asked for payments, how its last attempt ended, and what its last whole run found.
    "create table reconciliation (
        bank_account_id {uuid} primary key,
        tenant_id text not null,
        asked_until date,
        last_run_at_us bigint not null,
        last_error text,
        runs bigint not null,
        movements bigint not null,
        payments bigint not null,
        cancellations bigint not null,
        differences bigint not null
    )",
    // What the bank says and we do not, until a person has looked at it.
    "create table reconciliation_difference (
        id {uuid} primary key,
        tenant_id text not null,
        bank_account_id {uuid} not null,
        boleto_id {uuid},
        subject text not null,
        kind text not null,
        detail text not null,
        found_at_us bigint not null,
        settled_at_us bigint,
        settled_reason text
    )",
    // The same difference is found again at every run and kept once.
    "create unique index reconciliation_difference_once
        on reconciliation_difference (bank_account_id, subject, kind) where settled_at_us is null",
    "create index reconciliation_difference_open on reconciliation_difference (tenant_id, id)",
    // What a person has settled is looked up too, so that the same finding does not come back.
    "create index reconciliation_difference_subject on reconciliation_difference (bank_account_id, subject)",
];

const AUDIT: &[&str] = &[
    // What people did by hand, written in the transaction of the deed.
    "create table audit (
        id {uuid} primary key,
        tenant_id text not null,
        at_us bigint not null,
        method text not null,
        subject_id {uuid} not null,
        reason text not null,
        before text,
        after text,
        traceparent text
    )",
    "create index audit_subject on audit (subject_id, id)",
];

const LEGACY: &[&str] = &[
    // What a boleto was called in the service that this one replaced: its messages go on naming it so.
    "create table legacy_id (
        tenant_id text not null,
        legacy_id text not null,
        boleto_id {uuid} not null,
        primary key (tenant_id, legacy_id)
    )",
    // By which name its owner knows a boleto.
    "create index legacy_id_boleto on legacy_id (boleto_id)",
];
