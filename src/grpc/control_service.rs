//! `ControlService`: what runs and what waits, and how both are steered.
//!
//! **Owns** nothing. **Fails** as the status table says. **Limits**: calls have seats of their own, so that they are
//! answered whatever the load; a watch holds a stream's seat; a batch takes 1,000 rows at a time.

mod actor;
mod batch;
mod job_run;
mod pool;
mod process;
mod queue;
mod reload;
mod schedule;
mod watch_tree;
mod work;

use tonic::{Request, Response, Status};
use tracing::info;

use super::convert::{duration, tree as convert_tree};
use super::gate::Gate;
use super::request;
use super::seats::ApiSeats;
use super::status::ApiError;
use crate::domain::violation::Violation;
use crate::proto::control::v1 as proto;
use crate::proto::control::v1::control_service_server::ControlService;
use crate::store::{SCHEMA_VERSION, StoreKind};

const REASON_CHARS_MAX: usize = 500;

/// The service.
pub(super) struct Control {
    pub gate: Gate,
    pub seats: ApiSeats,
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(result: Result<T, ApiError>) -> Answer<T> {
    result.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl ControlService for Control {
    type WatchJobRunsStream = job_run::Runs;
    type WatchTreeStream = watch_tree::Snapshots;

    async fn resize_pool(
        &self,
        request: Request<proto::ResizePoolRequest>,
    ) -> Answer<proto::ResizePoolResponse> {
        answer(pool::resize(&self.gate, request.into_inner()).await)
    }

    async fn get_tree(&self, _request: Request<proto::GetTreeRequest>) -> Answer<proto::GetTreeResponse> {
        let root = convert_tree::to_proto(&self.gate.tree()?.snapshot());
        // Before the house is there, nobody has been asked.
        let open_breakers = self.gate.house().map(|house| queue::open_breakers(house)).unwrap_or_default();
        Ok(Response::new(proto::GetTreeResponse { root: Some(root), open_breakers }))
    }

    async fn watch_tree(&self, request: Request<proto::WatchTreeRequest>) -> Answer<Self::WatchTreeStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        answer(watch_tree::watch(&self.gate, seat))
    }

    async fn restart_actor(
        &self,
        request: Request<proto::RestartActorRequest>,
    ) -> Answer<proto::RestartActorResponse> {
        answer(actor::restart(&self.gate, request.into_inner()).await)
    }

    async fn stop_actor(
        &self,
        request: Request<proto::StopActorRequest>,
    ) -> Answer<proto::StopActorResponse> {
        answer(actor::stop(&self.gate, request.into_inner()).await)
    }

    async fn start_actor(
        &self,
        request: Request<proto::StartActorRequest>,
    ) -> Answer<proto::StartActorResponse> {
        answer(actor::start(&self.gate, request.into_inner()).await)
    }

    async fn pause_actor(
        &self,
        request: Request<proto::PauseActorRequest>,
    ) -> Answer<proto::PauseActorResponse> {
        answer(actor::pause(&self.gate, request.into_inner()).await)
    }

    async fn resume_actor(
        &self,
        request: Request<proto::ResumeActorRequest>,
    ) -> Answer<proto::ResumeActorResponse> {
        answer(actor::resume(&self.gate, request.into_inner()).await)
    }

    async fn list_processes(
        &self,
        _request: Request<proto::ListProcessesRequest>,
    ) -> Answer<proto::ListProcessesResponse> {
        answer(process::list(&self.gate).await)
    }

    async fn list_queues(
        &self,
        request: Request<proto::ListQueuesRequest>,
    ) -> Answer<proto::ListQueuesResponse> {
        answer(queue::list(&self.gate, request.into_inner()).await)
    }

    async fn pause_queue(
        &self,
        request: Request<proto::PauseQueueRequest>,
    ) -> Answer<proto::PauseQueueResponse> {
        answer(queue::pause(&self.gate, request.into_inner()).await)
    }

    async fn resume_queue(
        &self,
        request: Request<proto::ResumeQueueRequest>,
    ) -> Answer<proto::ResumeQueueResponse> {
        answer(queue::resume(&self.gate, request.into_inner()).await)
    }

    async fn list_work(&self, request: Request<proto::ListWorkRequest>) -> Answer<proto::ListWorkResponse> {
        answer(work::list(&self.gate, request.into_inner()).await)
    }

    async fn get_work(&self, request: Request<proto::GetWorkRequest>) -> Answer<proto::GetWorkResponse> {
        answer(work::get(&self.gate, request.into_inner()).await)
    }

    async fn retry_work(
        &self,
        request: Request<proto::RetryWorkRequest>,
    ) -> Answer<proto::RetryWorkResponse> {
        answer(work::retry(&self.gate, request.into_inner()).await)
    }

    async fn cancel_work(
        &self,
        request: Request<proto::CancelWorkRequest>,
    ) -> Answer<proto::CancelWorkResponse> {
        answer(work::cancel(&self.gate, request.into_inner()).await)
    }

    async fn batch_retry_work(
        &self,
        request: Request<proto::BatchRetryWorkRequest>,
    ) -> Answer<proto::BatchRetryWorkResponse> {
        answer(batch::retry(&self.gate, request.into_inner()).await)
    }

    async fn batch_cancel_work(
        &self,
        request: Request<proto::BatchCancelWorkRequest>,
    ) -> Answer<proto::BatchCancelWorkResponse> {
        answer(batch::cancel(&self.gate, request.into_inner()).await)
    }

    async fn list_schedules(
        &self,
        request: Request<proto::ListSchedulesRequest>,
    ) -> Answer<proto::ListSchedulesResponse> {
        answer(schedule::list(&self.gate, request.into_inner()).await)
    }

    async fn get_schedule(
        &self,
        request: Request<proto::GetScheduleRequest>,
    ) -> Answer<proto::GetScheduleResponse> {
        answer(schedule::get(&self.gate, request.into_inner()).await)
    }

    async fn pause_schedule(
        &self,
        request: Request<proto::PauseScheduleRequest>,
    ) -> Answer<proto::PauseScheduleResponse> {
        answer(schedule::pause(&self.gate, request.into_inner()).await)
    }

    async fn resume_schedule(
        &self,
        request: Request<proto::ResumeScheduleRequest>,
    ) -> Answer<proto::ResumeScheduleResponse> {
        answer(schedule::resume(&self.gate, request.into_inner()).await)
    }

    async fn trigger_job(
        &self,
        request: Request<proto::TriggerJobRequest>,
    ) -> Answer<proto::TriggerJobResponse> {
        answer(schedule::trigger(&self.gate, request.into_inner()).await)
    }

    async fn backfill_job(
        &self,
        request: Request<proto::BackfillJobRequest>,
    ) -> Answer<proto::BackfillJobResponse> {
        answer(schedule::backfill(&self.gate, request.into_inner()).await)
    }

    async fn list_job_runs(
        &self,
        request: Request<proto::ListJobRunsRequest>,
    ) -> Answer<proto::ListJobRunsResponse> {
        answer(job_run::list(&self.gate, request.into_inner()).await)
    }

    async fn get_job_run(
        &self,
        request: Request<proto::GetJobRunRequest>,
    ) -> Answer<proto::GetJobRunResponse> {
        answer(job_run::get(&self.gate, request.into_inner()).await)
    }

    async fn cancel_job_run(
        &self,
        request: Request<proto::CancelJobRunRequest>,
    ) -> Answer<proto::CancelJobRunResponse> {
        answer(job_run::cancel(&self.gate, request.into_inner()).await)
    }

    async fn watch_job_runs(
        &self,
        request: Request<proto::WatchJobRunsRequest>,
    ) -> Answer<Self::WatchJobRunsStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        answer(job_run::watch(&self.gate, request.into_inner(), seat).await)
    }

    async fn reload_config(
        &self,
        request: Request<proto::ReloadConfigRequest>,
    ) -> Answer<proto::ReloadConfigResponse> {
        answer(reload::reload(&self.gate, request.into_inner()).await)
    }

    async fn drain(&self, request: Request<proto::DrainRequest>) -> Answer<proto::DrainResponse> {
        let reason = request::only_reason(request.into_inner().reason)?;
        info!("drain asked for");
        process::note_drain(&self.gate, reason).await;
        self.gate.readiness().wish_to_drain();
        Ok(Response::new(proto::DrainResponse {}))
    }

    async fn get_info(&self, _request: Request<proto::GetInfoRequest>) -> Answer<proto::GetInfoResponse> {
        let ready = self.gate.ready();
        let mut info = proto::GetInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: Some(duration(self.gate.uptime())),
            ready: ready.is_ok(),
            not_ready_reason: ready.err().unwrap_or_default(),
            schema_version: SCHEMA_VERSION,
            draining: self.gate.readiness().is_draining(),
            ..proto::GetInfoResponse::default()
        };
        if let Ok(house) = self.gate.house() {
            info.store = match house.store.kind() {
                StoreKind::Sqlite => "sqlite".to_owned(),
                StoreKind::PostgreSql => "postgresql".to_owned(),
            };
            info.runner_id = house.lease.holder().map(|id| id.to_string()).unwrap_or_default();
        }
        Ok(Response::new(info))
    }
}

/// An operator's reason; an empty one becomes `otherwise`, or is a violation where that is empty too.
fn reason(given: String, otherwise: &str, violations: &mut Vec<Violation>) -> String {
    let given = request::optional_text("reason", given, REASON_CHARS_MAX, violations);
    let reason = given.unwrap_or_else(|| otherwise.to_owned());
    if reason.is_empty() {
        violations.push(Violation::new("reason", "required"));
    }
    reason
}

fn checked(violations: Vec<Violation>) -> Result<(), ApiError> {
    if violations.is_empty() { Ok(()) } else { Err(ApiError::Invalid(violations)) }
}
