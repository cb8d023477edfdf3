//! Step 8: customers of banks, what they have allowed, what stands on their accounts, their payments, and how often each bank was
//! asked.
//!
//! Expands only. A process of the step before knows none of it.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0008_openbanking"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let steps = [USERS, CONSENTS, ACCOUNTS, TRANSACTIONS, PAYMENTS, VISITS, QUOTAS];
        super::run(manager, &steps.concat()).await
    }
}

const USERS: &[&str] = &[
    "create table psu_user (
        id {uuid} primary key,
        tenant_id text not null,
        external_id text not null,
        -- Exactly true counts; whoever imports decides what true is.
        update_offline bigint not null,
        active bigint not null,
        -- 0 for never.
        last_synced_at_us bigint not null,
        -- By which a seeded order goes: 1 up to 2^31 - 2, drawn once.
        shuffle_key bigint not null,
        -- Who is told beside the subscriptions.
        endpoint_id {uuid},
        erased_at_us bigint,
        version bigint not null,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    "create unique index psu_user_external on psu_user (external_id, tenant_id)",
    "create index psu_user_newest on psu_user (tenant_id, id)",
    // Least recently synced first, of those that a run may touch.
    "create index psu_user_due on psu_user (last_synced_at_us, id) where update_offline = 1 and active = 1",
];

const CONSENTS: &[&str] = &[
    "create table consent (
        id {uuid} primary key,
        tenant_id text not null,
        user_id {uuid} not null,
        aspsp text not null,
        external_id text not null,
        status text not null check (status in ('received', 'valid', 'expired', 'revoked')),
        reason text,
        valid_until_us bigint,
        frequency_per_day bigint not null,
        -- When its owner is to hear something next, the end itself included; null where there is no end, and after it.
        notice_at_us bigint,
        -- The newest tokens; 0 for none.
        token_version bigint not null,
        -- Grows with every refresh begun; who holds the newest one refreshes, until the lease ends.
        refresh_fence bigint not null,
        refreshing_until_us bigint,
        -- Since when no visit by it has come to a good end; its owner has been told.
        failing_since_us bigint,
        version bigint not null,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    "create unique index consent_external on consent (external_id, aspsp, tenant_id)",
    "create index consent_user on consent (user_id, id)",
    "create index consent_newest on consent (tenant_id, id)",
    // Those with something to tell; the ended ones have nothing more.
    "create index consent_notice on consent (notice_at_us, id) where notice_at_us is not null",
    // Tokens are added and never changed: what a bank has given is not forgotten before what came after it has been of use.
    "create table consent_token (
        consent_id {uuid} not null,
        version bigint not null,
        tenant_id text not null,
        access_sealed text not null,
        refresh_sealed text,
        expires_at_us bigint,
        -- Its refresh token was refused.
        refused bigint not null,
        created_at_us bigint not null,
        primary key (consent_id, version)
    )",
    "create table consent_account (
        consent_id {uuid} not null,
        account_id {uuid} not null,
        tenant_id text not null,
        -- The bank's own name for the account under this consent.
        resource_id text,
        -- A JSON list of words.
        privileges text not null,
        history_days bigint,
        primary key (consent_id, account_id)
    )",
    "create index consent_account_account on consent_account (account_id)",
];

const ACCOUNTS: &[&str] = &[
    "create table account (
        id {uuid} primary key,
        tenant_id text not null,
        user_id {uuid} not null,
        aspsp text not null,
        number text not null,
        currency text not null,
        name text,
        enabled bigint not null,
        -- The bank has it no more, or its owner does not want it: it is not asked about.
        gone_at_us bigint,
        -- The last time that a whole set of pages was taken over, and up to which day it reached.
        synced_at_us bigint,
        synced_through date,
        -- Where an unfinished set of pages goes on, and which days it is about.
        page_cursor text,
        page_from date,
        page_until date,
        stale_reason text,
        stale_since_us bigint,
        -- Of the pending ones as they were told last.
        pending_digest text,
        details text,
        details_at_us bigint,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    "create unique index account_key on account (user_id, number, currency, aspsp)",
    "create index account_newest on account (tenant_id, id)",
    "create table balance (
        account_id {uuid} not null,
        kind text not null,
        tenant_id text not null,
        -- Thousandths of the currency's unit, signed.
        amount bigint not null,
        currency text not null,
        as_of_us bigint,
        updated_at_us bigint not null,
        primary key (account_id, kind)
    )",
    // The pages of an unfinished set, which are not read by half.
    "create table account_page (
        account_id {uuid} not null,
        number bigint not null,
        tenant_id text not null,
        body text not null,
        created_at_us bigint not null,
        primary key (account_id, number)
    )",
];

const TRANSACTIONS: &[&str] = &[
    "create table account_transaction (
        id {uuid} primary key,
        tenant_id text not null,
        account_id {uuid} not null,
        booked_on date not null,
        value_on date,
        amount bigint not null,
        currency text not null,
        -- A JSON list: the bank's ids, strongest first.
        bank_ids text not null,
        counterparty text not null,
        remittance text not null,
        balance_after bigint,
        -- A JSON object: what else the bank tells.
        details text not null,
        -- Since when whole answers about its day have come without it.
        missing_since_us bigint,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    "create index account_transaction_day on account_transaction (account_id, booked_on, id)",
    // What is not booked yet: replaced as a whole.
    "create table pending_transaction (
        account_id {uuid} not null,
        place bigint not null,
        tenant_id text not null,
        entered_on date,
        amount bigint not null,
        currency text not null,
        counterparty text not null,
        remittance text not null,
        details text not null,
        primary key (account_id, place)
    )",
];

const PAYMENTS: &[&str] = &[
    "create table payment (
        id {uuid} primary key,
        tenant_id text not null,
        user_id {uuid},
        aspsp text not null,
        kind text not null check (kind in ('single', 'bundle', 'recurring')),
        vocabulary text not null,
        -- Where the bank keeps it, such as `payments/sepa-credit-transfers`.
        product text not null,
        -- The bank's name for it, or ours where the bank gave none.
        external_id text not null,
        is_our_name bigint not null,
        parent_id {uuid},
        reference_id text,
        state text not null
            check (state in ('in_progress', 'done', 'rejected', 'cancelled', 'mixed', 'unresolved')),
        -- The bank's own word.
        raw_status text,
        -- Nobody knows that word.
        is_unknown bigint not null,
        -- Its token is not taken: the bank cannot be asked.
        is_unverifiable bigint not null,
        -- How it ended is for its children to say.
        asks_children bigint not null,
        reason text,
        asked_at_us bigint,
        asks bigint not null,
        -- Due in every run that begins behind it.
        next_ask_at_us bigint not null,
        token_sealed text,
        endpoint_id {uuid},
        traceparent text,
        version bigint not null,
        -- By the bank's clock or ours: from when its age counts.
        made_at_us bigint not null,
        created_at_us bigint not null,
        updated_at_us bigint not null,
        ended_at_us bigint
    )",
    "create unique index payment_external on payment (external_id, aspsp, tenant_id)",
    "create index payment_newest on payment (tenant_id, id)",
    "create index payment_state on payment (tenant_id, state, id) where state <> 'done'",
    // What a run asks about, bank by bank: what has ended is not in it, however much that is.
    "create index payment_due on payment (aspsp, next_ask_at_us, id) where state = 'in_progress'",
    "create index payment_parent on payment (parent_id) where parent_id is not null",
    "create index payment_user on payment (user_id, id) where user_id is not null",
    "create index payment_ended on payment (ended_at_us, id) where ended_at_us is not null",
];

const VISITS: &[&str] = &[
    "create table api_session (
        id {uuid} primary key,
        tenant_id text not null,
        run_id {uuid} not null,
        consent_id {uuid} not null,
        user_id {uuid} not null,
        aspsp text not null,
        -- 3: a timetable asks, and nobody is present.
        source bigint not null,
        state text not null check (state in ('open', 'ok', 'failed', 'rate_limited', 'cancelled')),
        reason text,
        -- Booked transactions that were new.
        news bigint not null,
        started_at_us bigint not null,
        ended_at_us bigint
    )",
    // A run that goes on after a crash makes no second one.
    "create unique index api_session_visit on api_session (run_id, consent_id)",
    "create index api_session_newest on api_session (tenant_id, id)",
    "create index api_session_consent on api_session (consent_id, id)",
    "create index api_session_age on api_session (started_at_us)",
    "create table api_call (
        id {uuid} primary key,
        tenant_id text not null,
        -- None where a payment was asked about.
        session_id {uuid},
        run_id {uuid},
        aspsp text not null,
        endpoint text not null,
        account_id {uuid},
        request_id {uuid},
        -- The HTTP status; null where there was no answer.
        status bigint,
        duration_us bigint not null,
        -- A JSON object of the headers that speak of limits.
        limits text,
        error text,
        sent_at_us bigint not null
    )",
    "create index api_call_session on api_call (session_id, id) where session_id is not null",
    "create index api_call_run on api_call (run_id, id) where run_id is not null",
    "create index api_call_age on api_call (sent_at_us)",
];

const QUOTAS: &[&str] = &[
    // One row a thing that is counted: whoever counts holds it.
    "create table quota (
        holder_id {uuid} not null,
        endpoint text not null,
        resource text not null,
        tenant_id text not null,
        aspsp text not null,
        primary key (holder_id, endpoint, resource)
    )",
    "create table quota_access (
        id {uuid} primary key,
        holder_id {uuid} not null,
        endpoint text not null,
        resource text not null,
        at_us bigint not null
    )",
    "create index quota_access_of on quota_access (holder_id, endpoint, resource, at_us)",
    "create index quota_access_age on quota_access (at_us)",
    // Outlives runs and restarts.
    "create table back_off (
        consent_id {uuid} not null,
        endpoint text not null,
        tenant_id text not null,
        aspsp text not null,
        blocked_until_us bigint not null,
        reason text not null,
        set_at_us bigint not null,
        primary key (consent_id, endpoint)
    )",
];
