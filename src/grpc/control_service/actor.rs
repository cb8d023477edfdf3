//! Pausing actors and having them go on.
//!
//! **Fails** for what has no messages to leave lying, and for what may not: a foundation that is paused beats no lease, and
//! a minute later the process would be held for dead.

use tracing::info;

use crate::grpc::convert::tree as convert;
use crate::grpc::gate::Gate;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::supervision::{ControlError, Status};

/// What keeps the process alive in the eyes of others.
const FOUNDATION: &str = "house/foundation";
/// The branches that the foundation is part of, and the server, which hears of its own end by a message.
const NEVER_PAUSED: [&str; 4] = ["root", "api", "house", FOUNDATION];

/// Has the actor, or all actors of a branch, leave messages lying.
pub(super) fn pause(gate: &Gate, path: &str) -> Result<Option<proto::Node>, ApiError> {
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
    tree.pause(path)?;
    info!(actor = path, "paused by an operator");
    node(gate, path)
}

/// Has it take its messages up again.
pub(super) fn resume(gate: &Gate, path: &str) -> Result<Option<proto::Node>, ApiError> {
    gate.tree()?.resume(path)?;
    info!(actor = path, "resumed by an operator");
    node(gate, path)
}

/// The actor as it is now.
pub(super) fn node(gate: &Gate, path: &str) -> Result<Option<proto::Node>, ApiError> {
    Ok(gate.tree()?.snapshot().find(path).map(convert::to_proto))
}
