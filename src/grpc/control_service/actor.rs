//! Steering actors: restarting, stopping and starting them, pausing them and having them go on.
//!
//! No transaction spans an actor's restart, so that each is written down before it is done, and is not done where that fails: an
//! operator whose database is away ends the process instead. **Fails** for what has no messages to leave lying, and for what may not: a foundation that is paused beats no lease, and
//! a minute later the process would be held for dead.

use serde_json::json;
use tracing::info;

use crate::grpc::convert::tree as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::supervision::{ControlError, Status};

/// What keeps the process alive in the eyes of others.
const FOUNDATION: &str = "house/foundation";
/// The branches that the foundation is part of, and the server, which hears of its own end by a message.
const NEVER_PAUSED: [&str; 4] = ["root", "api", "house", FOUNDATION];

/// Has the actor, or all actors of a branch, begin anew.
pub(super) async fn restart(
    gate: &Gate,
    request: proto::RestartActorRequest,
) -> Result<proto::RestartActorResponse, ApiError> {
    let (path, reason) = (request.path.as_str(), request::only_reason(request.reason)?);
    write_down(gate, "RestartActor", path, reason).await?;
    gate.tree()?.restart(path).await?;
    info!(actor = path, "restarted by an operator");
    Ok(proto::RestartActorResponse { node: node(gate, path)? })
}

/// Has it end, and not begin anew by itself.
pub(super) async fn stop(
    gate: &Gate,
    request: proto::StopActorRequest,
) -> Result<proto::StopActorResponse, ApiError> {
    let (path, reason) = (request.path.as_str(), request::only_reason(request.reason)?);
    write_down(gate, "StopActor", path, reason).await?;
    gate.tree()?.stop(path).await?;
    info!(actor = path, "stopped by an operator");
    Ok(proto::StopActorResponse { node: node(gate, path)? })
}

/// Has one that was stopped begin again.
pub(super) async fn start(
    gate: &Gate,
    request: proto::StartActorRequest,
) -> Result<proto::StartActorResponse, ApiError> {
    let (path, reason) = (request.path.as_str(), request::only_reason(request.reason)?);
    write_down(gate, "StartActor", path, reason).await?;
    gate.tree()?.start_child(path).await?;
    info!(actor = path, "started by an operator");
    Ok(proto::StartActorResponse { node: node(gate, path)? })
}

/// What is about to be done to an actor. One that there is not is the tree's to refuse.
async fn write_down(gate: &Gate, method: &'static str, path: &str, reason: String) -> Result<(), ApiError> {
    let snapshot = gate.tree()?.snapshot();
    let Some(before) = snapshot.find(path) else { return Ok(()) };
    let act = Act {
        method,
        subject: Subject::Named(path.to_owned()),
        reason,
        before: json!({ "status": before.status.as_str(), "restarts": before.restarts }),
        after: json!({ "asked": method }),
        now: request::now(),
    };
    Ok(gate.house()?.store.audit_act(act).await?)
}

/// Has the actor, or all actors of a branch, leave messages lying.
pub(super) async fn pause(
    gate: &Gate,
    request: proto::PauseActorRequest,
) -> Result<proto::PauseActorResponse, ApiError> {
    let (path, reason) = (request.path.as_str(), request::only_reason(request.reason)?);
    let tree = gate.tree()?;
    if let Some(node) = tree.snapshot().find(path)
        && node.status == Status::Disabled
    {
        let why = node.disabled_because.clone().unwrap_or_default();
        return Err(ControlError::Disabled(why).into());
    }
    let below = path.strip_prefix(FOUNDATION).is_some_and(|rest| rest.starts_with('/'));
    if NEVER_PAUSED.contains(&path) || (below && tree.snapshot().find(path).is_some()) {
        return Err(ApiError::NotPausable);
    }
    write_down(gate, "PauseActor", path, reason).await?;
    tree.pause(path)?;
    info!(actor = path, "paused by an operator");
    Ok(proto::PauseActorResponse { node: node(gate, path)? })
}

/// Has it take its messages up again.
pub(super) async fn resume(
    gate: &Gate,
    request: proto::ResumeActorRequest,
) -> Result<proto::ResumeActorResponse, ApiError> {
    let (path, reason) = (request.path.as_str(), request::only_reason(request.reason)?);
    write_down(gate, "ResumeActor", path, reason).await?;
    gate.tree()?.resume(path)?;
    info!(actor = path, "resumed by an operator");
    Ok(proto::ResumeActorResponse { node: node(gate, path)? })
}

/// The actor as it is now.
pub(super) fn node(gate: &Gate, path: &str) -> Result<Option<proto::Node>, ApiError> {
    Ok(gate.tree()?.snapshot().find(path).map(convert::to_proto))
}
