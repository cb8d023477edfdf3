//! Scripted answers about actors, processes, queues and work.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Answer, Scripted, jobs, unasked};
use crate::proto::control::v1::control_service_server::ControlService;
use crate::proto::control::v1::*;

#[tonic::async_trait]
impl ControlService for Scripted {
    type WatchTreeStream = Pin<Box<dyn Stream<Item = Result<WatchTreeResponse, Status>> + Send>>;

    /// The same picture twice, then the end.
    async fn watch_tree(&self, _: Request<WatchTreeRequest>) -> Answer<Self::WatchTreeStream> {
        let picture = || Ok(WatchTreeResponse { root: Some(crate::cli::render::node::tests::house()) });
        Ok(Response::new(Box::pin(tokio_stream::iter([picture(), picture()]))))
    }

    /// One that lives, answers and holds an office, and one that died.
    async fn list_processes(&self, _: Request<ListProcessesRequest>) -> Answer<ListProcessesResponse> {
        let office = Office { name: "archiver".to_owned(), term: 3, time: None };
        let alive = Process {
            name: "host:1".to_owned(),
            state: ProcessState::Alive.into(),
            in_hand: 5,
            places: 64,
            offices: vec![office],
            answering: true,
            ..Process::default()
        };
        let dead =
            Process { name: "host:2".to_owned(), state: ProcessState::Dead.into(), ..Process::default() };
        Ok(Response::new(ListProcessesResponse { processes: vec![alive, dead] }))
    }

    /// One queue, held back by a prefix, whose party does not answer.
    async fn list_queues(&self, _: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        let queue = Queue {
            name: "registration/banco_do_brasil/1".to_owned(),
            pause: Some(QueuePause {
                name: "registration/".to_owned(),
                reason: "maintenance".to_owned(),
                time: None,
            }),
            available: 7,
            oldest_due_age: Some(prost_types::Duration { seconds: 61, nanos: 500_000_000 }),
            breaker: Some(Breaker { state: BreakerState::Open.into(), failures: 5, probe_time: None }),
            ..Queue::default()
        };
        Ok(Response::new(ListQueuesResponse { queues: vec![queue], next_page_token: String::new() }))
    }

    /// Gives back what was asked for.
    async fn pause_queue(&self, request: Request<PauseQueueRequest>) -> Answer<PauseQueueResponse> {
        let PauseQueueRequest { name, reason } = request.into_inner();
        Ok(Response::new(PauseQueueResponse { pause: Some(QueuePause { name, reason, time: None }) }))
    }

    async fn resume_queue(&self, _: Request<ResumeQueueRequest>) -> Answer<ResumeQueueResponse> {
        Ok(Response::new(ResumeQueueResponse { was_paused: true }))
    }

    async fn pause_actor(&self, request: Request<PauseActorRequest>) -> Answer<PauseActorResponse> {
        let node = Node { path: request.into_inner().path, note: "paused".to_owned(), ..Node::default() };
        Ok(Response::new(PauseActorResponse { node: Some(node) }))
    }

    async fn resume_actor(&self, _: Request<ResumeActorRequest>) -> Answer<ResumeActorResponse> {
        unasked()
    }

    async fn reload_config(&self, _: Request<ReloadConfigRequest>) -> Answer<ReloadConfigResponse> {
        let taken = SettingChange {
            key: "breaker.failures_max".to_owned(),
            before: "10".to_owned(),
            after: "3".to_owned(),
        };
        let waiting = vec!["api.listen".to_owned()];
        Ok(Response::new(ReloadConfigResponse { taken: vec![taken], waiting }))
    }

    /// A pool of 16 that has 20 things in hand.
    async fn resize_pool(&self, request: Request<ResizePoolRequest>) -> Answer<ResizePoolResponse> {
        let slots = request.into_inner().slots;
        Ok(Response::new(ResizePoolResponse { slots_before: 16, slots, in_hand: 20 }))
    }

    /// A full slice for the queue `full`, and there the service goes away; one row for others.
    async fn batch_retry_work(
        &self,
        request: Request<BatchRetryWorkRequest>,
    ) -> Answer<BatchRetryWorkResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let asked = self.slices.fetch_add(1, Ordering::SeqCst);
        match (filter.queue.as_str(), asked) {
            ("full", 0 | 1) => Ok(Response::new(BatchRetryWorkResponse {
                retried: 1_000,
                more: true,
                ..BatchRetryWorkResponse::default()
            })),
            ("full", _) => Err(Status::unavailable("gone")),
            (_, asked) => Ok(Response::new(BatchRetryWorkResponse {
                retried: 10,
                in_hand: 2,
                superseded: 1,
                more: asked < 2,
            })),
        }
    }

    async fn batch_cancel_work(&self, _: Request<BatchCancelWorkRequest>) -> Answer<BatchCancelWorkResponse> {
        Ok(Response::new(BatchCancelWorkResponse { cancelled: 4, in_hand: 1, more: false }))
    }

    async fn get_tree(&self, _: Request<GetTreeRequest>) -> Answer<GetTreeResponse> {
        let root = Some(crate::cli::render::node::tests::house());
        let breaker = Breaker { state: BreakerState::HalfOpen.into(), failures: 9, probe_time: None };
        let open = OpenBreaker { queue: "delivery/sqs/1".to_owned(), breaker: Some(breaker) };
        Ok(Response::new(GetTreeResponse { root, open_breakers: vec![open] }))
    }

    /// Knows one actor.
    async fn restart_actor(&self, request: Request<RestartActorRequest>) -> Answer<RestartActorResponse> {
        match request.into_inner().path.as_str() {
            path @ "house/notifiers" => {
                let node = Node { path: path.to_owned(), restarts: 1, ..Node::default() };
                Ok(Response::new(RestartActorResponse { node: Some(node) }))
            }
            _ => Err(Status::not_found("no such actor")),
        }
    }

    async fn stop_actor(&self, _: Request<StopActorRequest>) -> Answer<StopActorResponse> {
        unasked()
    }

    async fn start_actor(&self, _: Request<StartActorRequest>) -> Answer<StartActorResponse> {
        unasked()
    }

    async fn list_work(&self, _: Request<ListWorkRequest>) -> Answer<ListWorkResponse> {
        unasked()
    }

    /// One that failed once.
    async fn get_work(&self, request: Request<GetWorkRequest>) -> Answer<GetWorkResponse> {
        let attempt = Attempt { attempt: 1, error: "status 500".to_owned(), ..Attempt::default() };
        let work = Work { id: request.into_inner().id, attempts: vec![attempt], ..Work::default() };
        Ok(Response::new(GetWorkResponse { work: Some(work) }))
    }

    async fn retry_work(&self, _: Request<RetryWorkRequest>) -> Answer<RetryWorkResponse> {
        unasked()
    }

    async fn cancel_work(&self, _: Request<CancelWorkRequest>) -> Answer<CancelWorkResponse> {
        unasked()
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Answer<DrainResponse> {
        unasked()
    }

    /// Never answers.
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<GetInfoResponse> {
        std::future::pending().await
    }

    async fn list_schedules(&self, request: Request<ListSchedulesRequest>) -> Answer<ListSchedulesResponse> {
        jobs::schedules(request.into_inner())
    }

    async fn get_schedule(&self, request: Request<GetScheduleRequest>) -> Answer<GetScheduleResponse> {
        jobs::schedule(request.into_inner())
    }

    async fn pause_schedule(&self, request: Request<PauseScheduleRequest>) -> Answer<PauseScheduleResponse> {
        jobs::paused(request.into_inner())
    }

    async fn resume_schedule(&self, _: Request<ResumeScheduleRequest>) -> Answer<ResumeScheduleResponse> {
        Ok(Response::new(ResumeScheduleResponse { was_paused: false }))
    }

    async fn trigger_job(&self, request: Request<TriggerJobRequest>) -> Answer<TriggerJobResponse> {
        jobs::triggered(request.into_inner())
    }

    async fn backfill_job(&self, request: Request<BackfillJobRequest>) -> Answer<BackfillJobResponse> {
        jobs::backfilled(request.into_inner())
    }

    async fn list_job_runs(&self, request: Request<ListJobRunsRequest>) -> Answer<ListJobRunsResponse> {
        jobs::runs(request.into_inner())
    }

    async fn get_job_run(&self, request: Request<GetJobRunRequest>) -> Answer<GetJobRunResponse> {
        jobs::run(request.into_inner())
    }

    type WatchJobRunsStream = jobs::Runs;

    async fn watch_job_runs(
        &self,
        request: Request<WatchJobRunsRequest>,
    ) -> Answer<Self::WatchJobRunsStream> {
        Ok(Response::new(jobs::watched(request.into_inner())))
    }

    async fn cancel_job_run(&self, request: Request<CancelJobRunRequest>) -> Answer<CancelJobRunResponse> {
        jobs::cancelled(request.into_inner())
    }
}
