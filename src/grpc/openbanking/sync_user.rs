//! `SyncUser`: a run about one customer, now.
//!
//! **Owns** nothing. **Fails** with every violation at once; with `NOTHING_TO_SYNC` where a run would find nothing to do, and with
//! `JOB_NOT_BUILT` where nobody does the job. **Limits**: the banks' quotas are the run's, whoever wants it; it lives beside every other
//! run, and a slot is not passed over for it.

use tracing::info;
use uuid::Uuid;

use super::freshness::SYNC_JOB;
use super::{checked, name, user};
use crate::domain::ids::JobRunId;
use crate::domain::job::{Cause, NewRun, Overlap, queue};
use crate::domain::openbanking::sync::SyncArguments;
use crate::grpc::convert::job as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::job_run_wish::{Trigger, Triggered};

pub(super) async fn sync(
    gate: &Gate,
    mut request: proto::SyncUserRequest,
) -> Result<proto::SyncUserResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "SyncUser", &request_id, &request, &mut violations);
    let external_id = name("external_id", request.external_id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    checked(violations)?;
    let entry = house.jobs.find(SYNC_JOB).ok_or(ApiError::NotFound("JOB"))?;
    if entry.job.is_none() {
        return Err(ApiError::JobNotBuilt);
    }
    let now = house.store.now();
    let user = user(gate, &external_id).await?;
    if !user.update_offline || !user.active {
        let words = "the customer is not active, or lets no account be read while away";
        return Err(ApiError::NothingToSync(words));
    }
    if house.store.valid_consents(&[user.id], now).await?.is_empty() {
        return Err(ApiError::NothingToSync("the customer has no consent that is valid now"));
    }
    let run = NewRun {
        id: JobRunId(Uuid::now_v7()),
        seed: i64::from(rand::random::<u32>()),
        run_at: now,
        cause: Cause::Manual,
        arguments: Some(SyncArguments { users: vec![user.id] }.to_text()),
    };
    let trigger = Trigger {
        job: SYNC_JOB,
        run: &run,
        overlap: Overlap::Allow,
        reason: &reason,
        request: key.as_ref(),
        now,
    };
    let id = match house.store.trigger_job(&trigger).await? {
        Triggered::Begun => {
            info!(user_id = %user.id, run_id = %run.id, "a customer's sync begun by hand");
            house.hints.there_is_work(&queue(SYNC_JOB));
            house.jobs.changes.send_modify(|count| *count += 1);
            run.id
        }
        Triggered::Before(id) => id,
        Triggered::OtherBody => return Err(ApiError::RequestIdReused),
        Triggered::Overlaps(other) => return Err(ApiError::JobRuns(other)),
    };
    let made = house.store.job_run(id).await?.ok_or(ApiError::NotFound("JOB_RUN"))?;
    Ok(proto::SyncUserResponse { run: Some(convert::run_to_proto(&made, Some(entry.timetable.zone()))) })
}
