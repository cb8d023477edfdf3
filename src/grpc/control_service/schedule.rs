//! Schedules: shown with their next slots, paused, taken up again, and run by hand.
//!
//! **Fails** with not found for a job that the configuration does not have. **Limits**: 100 slots a job; a backfill of
//! as many slots as one decision takes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::info;
use uuid::Uuid;

use super::{checked, reason};
use crate::domain::ids::JobRunId;
use crate::domain::job::{self, Cause, NewRun, Overlap, PlannedSlot};
use crate::domain::timetable::Fire;
use crate::domain::violation::Violation;
use crate::grpc::convert::{job as convert, moment};
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::messages::jobs::JobEntry;
use crate::proto::control::v1 as proto;
use crate::store::job_run_wish::{Backfill, Backfilled, Trigger, Triggered};
use crate::store::schedule_decide::{SLOTS_MAX, SlotDecision};

/// Slots shown where nobody says how many.
const NEXT_DEFAULT: usize = 5;
const NEXT_MAX: i32 = 100;
/// Runs that live, of which the newest of each job is shown.
const LIVE_MAX: u64 = 1_000;

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListSchedulesRequest,
) -> Result<proto::ListSchedulesResponse, ApiError> {
    let (house, slots) = (gate.house()?, next_max(request.next_max)?);
    let mut schedules = Vec::new();
    for entry in house.jobs.all() {
        schedules.push(describe(house, &entry, slots, 0).await?);
    }
    Ok(proto::ListSchedulesResponse { schedules })
}

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetScheduleRequest,
) -> Result<proto::GetScheduleResponse, ApiError> {
    let (house, slots) = (gate.house()?, next_max(request.next_max)?);
    let entry = find(house, &request.job)?;
    let schedule = describe(house, &entry, slots, slots as u64).await?;
    Ok(proto::GetScheduleResponse { schedule: Some(schedule) })
}

async fn describe(
    house: &House,
    entry: &JobEntry,
    slots: usize,
    past_max: u64,
) -> Result<proto::Schedule, ApiError> {
    let store = &house.store;
    let known = store.schedule(&entry.name).await?;
    let next: Vec<Fire> = entry.timetable.fires_after(store.now()).take(slots).collect();
    let past = if past_max == 0 { vec![] } else { store.decided_slots(&entry.name, past_max).await? };
    let live = store.live_job_runs(LIVE_MAX).await?;
    let live = live.iter().rfind(|run| run.job == entry.name);
    Ok(convert::schedule_to_proto(entry, known.as_ref(), &next, &past, live))
}

pub(super) async fn pause(
    gate: &Gate,
    request: proto::PauseScheduleRequest,
) -> Result<proto::PauseScheduleResponse, ApiError> {
    let mut violations = Vec::new();
    let reason = reason(request.reason, "", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let entry = find(house, &request.job)?;
    let pause = house.store.pause_schedule(&entry.name, &reason, house.store.now()).await?;
    info!(job = entry.name, "schedule paused by an operator");
    Ok(proto::PauseScheduleResponse { pause: Some(convert::pause_to_proto(&pause)) })
}

pub(super) async fn resume(
    gate: &Gate,
    request: proto::ResumeScheduleRequest,
) -> Result<proto::ResumeScheduleResponse, ApiError> {
    let reason = request::only_reason(request.reason)?;
    let house = gate.house_for_change()?;
    let entry = find(house, &request.job)?;
    let was_paused = house.store.resume_schedule(&entry.name, &reason, house.store.now()).await?;
    if was_paused {
        info!(job = entry.name, "schedule resumed by an operator");
        house.hints.there_is_work("timetable");
    }
    Ok(proto::ResumeScheduleResponse { was_paused })
}

pub(super) async fn trigger(
    gate: &Gate,
    mut request: proto::TriggerJobRequest,
) -> Result<proto::TriggerJobResponse, ApiError> {
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "TriggerJob", &request_id, &request, &mut violations);
    let reason = reason(request.reason, "begun by an operator", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let entry = find_done(house, &request.job)?;
    let overlap = if request.allow_overlap { Overlap::Allow } else { entry.overlap };
    let now = house.store.now();
    let run = new_run(Cause::Manual, now);
    let job = entry.name.as_str();
    let trigger = Trigger { job, run: &run, overlap, reason: &reason, request: key.as_ref(), now };
    let id = match house.store.trigger_job(&trigger).await? {
        Triggered::Begun => {
            info!(job, run_id = %run.id, "begun by an operator");
            began(house, job);
            run.id
        }
        Triggered::Before(id) => id,
        Triggered::OtherBody => return Err(ApiError::RequestIdReused),
        Triggered::Overlaps(other) => return Err(ApiError::JobRuns(other)),
    };
    let made = house.store.job_run(id).await?.ok_or(ApiError::NotFound("JOB_RUN"))?;
    Ok(proto::TriggerJobResponse { run: Some(convert::run_to_proto(&made, Some(entry.timetable.zone()))) })
}

pub(super) async fn backfill(
    gate: &Gate,
    mut request: proto::BackfillJobRequest,
) -> Result<proto::BackfillJobResponse, ApiError> {
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "BackfillJob", &request_id, &request, &mut violations);
    let reason = reason(request.reason, "backfilled by an operator", &mut violations);
    let house = if request.dry_run { gate.house()? } else { gate.house_for_change()? };
    let (entry, now) = (find_done(house, &request.job)?, house.store.now());
    let mut read = |field: &str, given: Option<prost_types::Timestamp>| {
        let at = given.as_ref().and_then(moment);
        if at.is_none() {
            violations.push(Violation::new(field, "required"));
        }
        at.unwrap_or(now)
    };
    let (after, until) = (read("after", request.after), read("until", request.until));
    if until > now {
        violations.push(Violation::new("until", "must not lie in the future: those slots are still to come"));
    }
    let fires: Vec<Fire> = entry.timetable.between(after, until).take(SLOTS_MAX + 1).collect();
    if fires.len() > SLOTS_MAX {
        violations.push(Violation::new("until", format!("at most {SLOTS_MAX} slots at a time")));
    }
    checked(violations)?;
    let run_before = run_before(house, &entry, &fires, after).await?;
    let small = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let mut answer = proto::BackfillJobResponse {
        slots: small(fires.len()),
        run_before: small(run_before),
        runs: small(fires.len().saturating_sub(run_before)),
        run_ids: vec![],
    };
    if request.dry_run {
        return Ok(answer);
    }
    let plan = |fire: Fire| PlannedSlot { fire, run: Some(new_run(Cause::Backfill, now)) };
    let id = Uuid::now_v7();
    let decision = SlotDecision {
        job: entry.name.clone(),
        looked_until: None,
        slots: fires.into_iter().map(plan).collect(),
        overlap: entry.overlap,
        now,
    };
    let ids = match house.store.backfill_job(&Backfill { id, decision, reason, request: key }).await? {
        Backfilled::Done(ids) => {
            info!(job = entry.name, runs = ids.len(), "backfilled by an operator");
            began(house, &entry.name);
            ids
        }
        Backfilled::Before(ids) => ids,
        Backfilled::OtherBody => return Err(ApiError::RequestIdReused),
    };
    answer.run_ids = ids.iter().map(JobRunId::to_string).collect();
    answer.runs = small(answer.run_ids.len());
    answer.run_before = answer.slots - answer.runs;
    Ok(answer)
}

/// How many of these slots were run.
async fn run_before(
    house: &House,
    entry: &JobEntry,
    fires: &[Fire],
    after: DateTime<Utc>,
) -> Result<usize, ApiError> {
    let decided = house.store.slots_run_since(&entry.name, after).await?;
    Ok(fires.iter().filter(|fire| decided.contains(&fire.slot)).count())
}

fn began(house: &House, job: &str) {
    house.hints.there_is_work(&job::queue(job));
    house.jobs.changes.send_modify(|count| *count += 1);
}

fn new_run(cause: Cause, now: DateTime<Utc>) -> NewRun {
    NewRun {
        id: JobRunId(Uuid::now_v7()),
        seed: i64::from(rand::random::<u32>()),
        run_at: now,
        cause,
        arguments: None,
    }
}

fn find(house: &House, job: &str) -> Result<Arc<JobEntry>, ApiError> {
    if job.is_empty() {
        return Err(ApiError::field("job", "required"));
    }
    house.jobs.find(job).ok_or(ApiError::NotFound("JOB"))
}

/// A job that somebody does.
fn find_done(house: &House, job: &str) -> Result<Arc<JobEntry>, ApiError> {
    let entry = find(house, job)?;
    if entry.job.is_none() {
        return Err(ApiError::JobNotBuilt);
    }
    Ok(entry)
}

fn next_max(asked: i32) -> Result<usize, ApiError> {
    match asked {
        0 => Ok(NEXT_DEFAULT),
        1..=NEXT_MAX => Ok(usize::try_from(asked).unwrap_or(NEXT_DEFAULT)),
        _ => Err(ApiError::field("next_max", "must be from 1 to 100, or 0 for 5")),
    }
}
