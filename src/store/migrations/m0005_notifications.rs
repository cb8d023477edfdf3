//! Step 5: owners are told of whatever happens to anything of theirs, and what they answered is kept.
//!
//! Expands only. A process of the step before goes on announcing and delivering what is about boletos; it does not know
//! the new kinds of channels and claims nothing from their queues.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0005_notifications"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[ENDPOINTS, EVENTS, DELIVERIES, ATTEMPTS].concat()).await
    }
}

const ENDPOINTS: &[&str] = &[
    // Grows with every change, for those who change what they have read.
    "alter table endpoint add column version bigint not null default 1",
    "alter table endpoint add column updated_at_us bigint not null default 0",
    // Which subjects, as one JSON text; null for all.
    "alter table endpoint add column filters text",
    // Since when every delivery has failed; null while they succeed.
    "alter table endpoint add column failing_since_us bigint",
    "update endpoint set updated_at_us = created_at_us",
    // One row per destination and purpose: who wants to hear of other subjects is another endpoint.
    "drop index endpoint_target",
    "create unique index endpoint_target on endpoint (tenant_id, channel, target, event_types, coalesce(filters, ''))",
];

const EVENTS: &[&str] = &[
    // What happened to anything but boletos, whose events have a table of their own.
    "create table subject_event (
        id {uuid} primary key,
        tenant_id text not null,
        subject_kind text not null,
        subject_id {uuid} not null,
        version bigint not null,
        event_type text not null,
        data text not null,
        occurred_at_us bigint not null
    )",
    "create unique index subject_event_version on subject_event (subject_id, version)",
];

const DELIVERIES: &[&str] = &[
    "postgres: alter table delivery add column subject_kind text not null default 'boleto'",
    // When it was given up or cancelled; null while it is neither.
    "postgres: alter table delivery add column stopped_at_us bigint",
    "postgres: update delivery set stopped_at_us = updated_at_us where state = 'given_up'",
    "postgres: alter table delivery drop constraint delivery_state_check",
    "postgres: alter table delivery add constraint delivery_state_check
        check (state in ('pending', 'delivered', 'given_up', 'cancelled'))",
    // SQLite cannot change a rule of a table, so that the table is made anew.
    "sqlite: create table delivery_anew (
        tenant_id text not null,
        endpoint_id blob not null,
        subject_id blob not null,
        wanted_version bigint not null,
        sent_version bigint not null,
        state text not null check (state in ('pending', 'delivered', 'given_up', 'cancelled')),
        attempts bigint not null,
        last_answer text,
        updated_at_us bigint not null,
        subject_kind text not null default 'boleto',
        stopped_at_us bigint,
        primary key (endpoint_id, subject_id)
    )",
    "sqlite: insert into delivery_anew select tenant_id, endpoint_id, subject_id, wanted_version, sent_version, state,
        attempts, last_answer, updated_at_us, 'boleto', case when state = 'given_up' then updated_at_us end
        from delivery",
    "sqlite: drop table delivery",
    "sqlite: alter table delivery_anew rename to delivery",
    // Who was told what about a subject.
    "create index delivery_subject on delivery (subject_id)",
    // What may have to be sent again, in the order in which it was given up, and by its subject. Not by the state nor by the
    // time of the last change: PostgreSQL writes every index anew for a row of which a column that any of them names has
    // changed, be it in the index or not. These the happy path leaves alone.
    "create index delivery_stopped on delivery (endpoint_id, stopped_at_us) where stopped_at_us is not null",
    "create index delivery_stopped_subject on delivery (endpoint_id, subject_id) where stopped_at_us is not null",
    // The dead letters of a delivery that is sent again.
    "create index work_archive_dead_key on work_archive (unique_key) where state = 'discarded'",
];

const ATTEMPTS: &[&str] = &[
    // Every try to have an event taken, for as long as it is kept. Ids are in order of time.
    "create table delivery_attempt (
        id {uuid} primary key,
        tenant_id text not null,
        endpoint_id {uuid} not null,
        subject_id {uuid} not null,
        event_id {uuid} not null,
        event_type text not null,
        version bigint not null,
        started_at_us bigint not null,
        ended_at_us bigint not null,
        outcome text not null
            check (outcome in ('accepted', 'refused', 'unavailable', 'unknown', 'gone', 'misconfigured')),
        status bigint,
        answer text,
        provider_message_id text,
        is_resend bigint not null
    )",
    "create index delivery_attempt_delivery on delivery_attempt (endpoint_id, subject_id, id)",
];
