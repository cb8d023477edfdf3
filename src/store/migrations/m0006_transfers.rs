//! Step 6: recorded questionings, their runs and answers, and everything that happened to them.
//!
//! Expands only. A process of the step before does not know these kinds of work and claims none of it.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0006_transfers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[TRANSFERS, RUNS, ANSWERS, EVENTS].concat()).await
    }
}

const TRANSFERS: &[&str] = &[
    "create table transfer (
        id {uuid} primary key,
        tenant_id text not null,
        feed text not null,
        transfer_key text not null,
        state text not null
            check (state in ('queued', 'analysing', 'writing_back', 'done', 'failed', 'skipped', 'erased')),
        reason text,
        recorded_at_us bigint,
        company_key text,
        survey_key text,
        person_key text,
        user_key text,
        alias_key text,
        -- Of the newest run; null until they have been counted.
        questions bigint,
        -- The newest run; 0 before the first.
        run bigint not null,
        -- Grows with every claim of it at the feed, so that what an earlier attempt still wants to write is not written.
        claims bigint not null,
        -- Whether the end of the newest run is told.
        tells_owners bigint not null,
        -- Who is told beside the subscriptions, such as the account's own address.
        endpoint_id {uuid},
        version bigint not null,
        traceparent text,
        created_at_us bigint not null,
        updated_at_us bigint not null
    )",
    // Seen twice is one. The key leads, for it alone tells most of them apart.
    "create unique index transfer_key on transfer (transfer_key, feed, tenant_id)",
    "create index transfer_newest on transfer (tenant_id, id)",
    "create index transfer_recorded on transfer (tenant_id, recorded_at_us, id)",
    "create index transfer_company on transfer (tenant_id, company_key, id) where company_key is not null",
    "create index transfer_person on transfer (tenant_id, person_key, id) where person_key is not null",
    "create index transfer_alias on transfer (tenant_id, alias_key, id) where alias_key is not null",
    // What waits or is worked on, and what somebody has to look at: few beside all that is done.
    "create index transfer_undone on transfer (tenant_id, state, id) where state <> 'done'",
    // What somebody may ask about by its reason: as few.
    "create index transfer_reason on transfer (tenant_id, id) where reason is not null",
    // What last went wrong with one of them.
    "create index work_archive_transfer on work_archive (unique_key, ended_at_us)
        where kind in ('transfer.analyse', 'transfer.write_back')",
];

const RUNS: &[&str] = &["create table transfer_run (
        transfer_id {uuid} not null,
        number bigint not null,
        tenant_id text not null,
        analyzer text not null,
        formula text,
        result text,
        has_fillers bigint not null,
        audio_key text,
        tells_owners bigint not null,
        write_back text check (write_back in ('written', 'gone')),
        started_at_us bigint not null,
        ended_at_us bigint,
        primary key (transfer_id, number)
    )"];

const ANSWERS: &[&str] = &[
    // One row an answer that has an outcome: what a crash must not cost.
    "create table recorded_answer (
        transfer_id {uuid} not null,
        run bigint not null,
        position bigint not null,
        tenant_id text not null,
        outcome text not null check (outcome in
            ('scored', 'measured', 'no_speech', 'audio_missing', 'vendor_refused', 'unreadable', 'gave_up')),
        vendor_risk bigint,
        segments bigint,
        reason text,
        vendor_id text,
        attempt bigint not null,
        raw_answer_id {uuid},
        ended_at_us bigint not null,
        primary key (transfer_id, run, position)
    )",
    // A vendor's own words, compressed, for as long as they are kept; one may be about several answers. Ids are in order of time.
    "create table raw_answer (
        id {uuid} primary key,
        tenant_id text not null,
        transfer_id {uuid} not null,
        body {bytes} not null,
        body_bytes bigint not null,
        created_at_us bigint not null
    )",
    "create index raw_answer_transfer on raw_answer (transfer_id)",
    "create index raw_answer_age on raw_answer (created_at_us)",
];

const EVENTS: &[&str] = &[
    "create table transfer_event (
        seq {sequence},
        transaction_id {transaction},
        id {uuid} not null,
        tenant_id text not null,
        transfer_id {uuid} not null,
        version bigint not null,
        event_type text not null,
        state text not null,
        reason text,
        occurred_at_us bigint not null
    )",
    // The timeline of one transfer.
    "create unique index transfer_event_version on transfer_event (transfer_id, version)",
    // Every change in the order of commits. On SQLite that is the sequence.
    "postgres: alter table transfer_event add primary key (transaction_id, seq)",
];
