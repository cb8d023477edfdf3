//! `ControlService`: what runs and what waits, and how both are steered.

use tonic::{Request, Response, Status};
use tracing::info;

use super::boleto_service::split_page;
use super::convert::{duration, tree as convert_tree, work as convert_work};
use super::gate::Gate;
use super::page_token;
use super::request;
use super::status::ApiError;
use crate::domain::ids::WorkId;
use crate::domain::violation::Violation;
use crate::domain::work::WorkState;
use crate::proto::control::v1 as proto;
use crate::proto::control::v1::control_service_server::ControlService;
use crate::store::work_steer::{WorkFilter, WorkView};
use crate::store::{SCHEMA_VERSION, StoreKind};

const REASON_CHARS_MAX: usize = 500;
/// Longer names are nobody's.
const FILTER_CHARS_MAX: usize = 255;

/// The service.
pub(super) struct Control {
    pub gate: Gate,
}

#[tonic::async_trait]
impl ControlService for Control {
    async fn get_tree(
        &self,
        _request: Request<proto::GetTreeRequest>,
    ) -> Result<Response<proto::GetTreeResponse>, Status> {
        let root = convert_tree::to_proto(&self.gate.tree()?.snapshot());
        Ok(Response::new(proto::GetTreeResponse { root: Some(root) }))
    }

    async fn restart_actor(
        &self,
        request: Request<proto::RestartActorRequest>,
    ) -> Result<Response<proto::RestartActorResponse>, Status> {
        let path = request.into_inner().path;
        self.gate.tree()?.restart(&path).await.map_err(ApiError::from)?;
        info!(actor = path, "restarted by an operator");
        Ok(Response::new(proto::RestartActorResponse { node: self.node(&path)? }))
    }

    async fn stop_actor(
        &self,
        request: Request<proto::StopActorRequest>,
    ) -> Result<Response<proto::StopActorResponse>, Status> {
        let path = request.into_inner().path;
        self.gate.tree()?.stop(&path).await.map_err(ApiError::from)?;
        info!(actor = path, "stopped by an operator");
        Ok(Response::new(proto::StopActorResponse { node: self.node(&path)? }))
    }

    async fn start_actor(
        &self,
        request: Request<proto::StartActorRequest>,
    ) -> Result<Response<proto::StartActorResponse>, Status> {
        let path = request.into_inner().path;
        self.gate.tree()?.start_child(&path).await.map_err(ApiError::from)?;
        info!(actor = path, "started by an operator");
        Ok(Response::new(proto::StartActorResponse { node: self.node(&path)? }))
    }

    async fn list_work(
        &self,
        request: Request<proto::ListWorkRequest>,
    ) -> Result<Response<proto::ListWorkResponse>, Status> {
        let request = request.into_inner();
        let size = self.gate.page_size(request.page_size)?;
        let filter = filter(&request)?;
        let before = page_token::read(&filter, &request.page_token)?.map(WorkId);
        let found =
            self.gate.house()?.store.list_work(&filter, before, size + 1).await.map_err(ApiError::from)?;
        let (page, next) = split_page(&found, size, |view| view.id.0, &filter);
        let work = page.iter().map(convert_work::to_proto).collect();
        Ok(Response::new(proto::ListWorkResponse { work, next_page_token: next }))
    }

    async fn get_work(
        &self,
        request: Request<proto::GetWorkRequest>,
    ) -> Result<Response<proto::GetWorkResponse>, Status> {
        let id = request::id("id", &request.into_inner().id)?;
        let work = self.work(id).await?;
        Ok(Response::new(proto::GetWorkResponse { work: Some(convert_work::to_proto(&work)) }))
    }

    async fn retry_work(
        &self,
        request: Request<proto::RetryWorkRequest>,
    ) -> Result<Response<proto::RetryWorkResponse>, Status> {
        let request = request.into_inner();
        let id = request::id("id", &request.id)?;
        let reason = reason(request.reason, "retried by an operator")?;
        let house = self.gate.house_for_change()?;
        let steered = house.store.retry_work(id, &reason, request::now()).await.map_err(ApiError::from)?;
        <()>::try_from(steered)?;
        let work = self.work(id).await?;
        house.hints.there_is_work(&work.queue);
        Ok(Response::new(proto::RetryWorkResponse { work: Some(convert_work::to_proto(&work)) }))
    }

    async fn cancel_work(
        &self,
        request: Request<proto::CancelWorkRequest>,
    ) -> Result<Response<proto::CancelWorkResponse>, Status> {
        let request = request.into_inner();
        let id = request::id("id", &request.id)?;
        let reason = reason(request.reason, "")?;
        let house = self.gate.house_for_change()?;
        let steered = house.store.cancel_work(id, &reason, request::now()).await.map_err(ApiError::from)?;
        <()>::try_from(steered)?;
        let work = self.work(id).await?;
        Ok(Response::new(proto::CancelWorkResponse { work: Some(convert_work::to_proto(&work)) }))
    }

    async fn drain(
        &self,
        _request: Request<proto::DrainRequest>,
    ) -> Result<Response<proto::DrainResponse>, Status> {
        info!("drain asked for");
        self.gate.readiness().wish_to_drain();
        Ok(Response::new(proto::DrainResponse {}))
    }

    async fn get_info(
        &self,
        _request: Request<proto::GetInfoRequest>,
    ) -> Result<Response<proto::GetInfoResponse>, Status> {
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

impl Control {
    fn node(&self, path: &str) -> Result<Option<proto::Node>, ApiError> {
        Ok(self.gate.tree()?.snapshot().find(path).map(convert_tree::to_proto))
    }

    async fn work(&self, id: WorkId) -> Result<WorkView, ApiError> {
        self.gate.house()?.store.work(id).await?.ok_or(ApiError::NotFound("WORK"))
    }
}

/// An operator's reason; an empty one becomes `otherwise`, or is a violation where that is empty too.
fn reason(given: String, otherwise: &str) -> Result<String, ApiError> {
    let mut violations = Vec::new();
    let given = request::optional_text("reason", given, REASON_CHARS_MAX, &mut violations);
    let reason = given.unwrap_or_else(|| otherwise.to_owned());
    if reason.is_empty() {
        violations.push(Violation::new("reason", "required"));
    }
    if violations.is_empty() { Ok(reason) } else { Err(ApiError::Invalid(violations)) }
}

fn filter(request: &proto::ListWorkRequest) -> Result<WorkFilter, ApiError> {
    let mut violations = Vec::new();
    let mut states = Vec::new();
    for (index, number) in request.states.iter().enumerate() {
        match convert_work::state_from_proto(*number) {
            Some(state) => states.push(state),
            None => violations.push(Violation::new(format!("states[{index}]"), "is no state")),
        }
    }
    if request.states.len() > WorkState::ALL.len() {
        violations.push(Violation::new("states", "each state once"));
    }
    let kind = request::optional_text("kind", request.kind.clone(), FILTER_CHARS_MAX, &mut violations);
    let queue = request::optional_text("queue", request.queue.clone(), FILTER_CHARS_MAX, &mut violations);
    let subject_id = request::optional_id("subject_id", &request.subject_id, &mut violations);
    let filter = WorkFilter { states, kind, queue, subject_id };
    if violations.is_empty() { Ok(filter) } else { Err(ApiError::Invalid(violations)) }
}
