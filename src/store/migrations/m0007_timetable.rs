//! Step 7: timetables, the slots that have come, and the runs of their jobs.
//!
//! A timetable is the house's own and no tenant's. Expands only: a process of the step before knows no job and claims no run.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0007_timetable"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, &[SCHEDULES, RUNS].concat()).await
    }
}

const SCHEDULES: &[&str] = &[
    "create table schedule (
        job text primary key,
        -- Every slot up to here was decided about.
        looked_until_us bigint not null,
        -- Whether the job ran by its timetable when it was last looked at.
        enabled bigint not null,
        paused_at_us bigint,
        pause_reason text
    )",
    "create table schedule_slot (
        job text not null,
        local_date date not null,
        place bigint not null,
        at_us bigint not null,
        outcome text not null check (outcome in ('run', 'missed', 'skipped_overlap', 'skipped_paused')),
        run_id {uuid},
        decided_at_us bigint not null,
        primary key (job, local_date, place)
    )",
    "create index schedule_slot_newest on schedule_slot (job, at_us)",
];

const RUNS: &[&str] = &[
    "create table job_run (
        -- The execution id, which is the trace id, and the id of its row of work.
        id {uuid} primary key,
        job text not null,
        cause text not null check (cause in ('timetable', 'catch_up', 'manual', 'backfill')),
        -- All three or none.
        slot_date date,
        slot_place bigint,
        slot_at_us bigint,
        state text not null check (state in
            ('waiting', 'queued', 'running', 'completed', 'failed', 'cancelled', 'rate_limited')),
        -- By which whatever is random in it can be had again.
        seed bigint not null,
        -- Of its work; 0 before the first.
        attempt bigint not null,
        done bigint not null,
        total bigint,
        counts text not null,
        note text,
        -- Where the next attempt goes on, in the job's own words.
        position text,
        error text,
        -- Why somebody began it by hand.
        reason text,
        -- What it is about, in the job's own words; null for all that the job is about.
        arguments text,
        -- The backfill that made it, if one did.
        backfill_id {uuid},
        cancel_asked_at_us bigint,
        cancel_reason text,
        traceparent text not null,
        version bigint not null,
        -- When it may begin.
        run_at_us bigint not null,
        created_at_us bigint not null,
        started_at_us bigint,
        ended_at_us bigint
    )",
    "create index job_run_newest on job_run (job, id)",
    // What lives: few beside all that has ended.
    "create index job_run_live on job_run (job, id) where ended_at_us is null",
    "create index job_run_backfill on job_run (backfill_id) where backfill_id is not null",
    // Retention.
    "create index job_run_ended on job_run (ended_at_us) where ended_at_us is not null",
];
