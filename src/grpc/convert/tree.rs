//! The supervision tree.

use chrono::{DateTime, Utc};

use super::{duration, timestamp};
use crate::proto::control::v1 as proto;
use crate::supervision::{Kind, Node, Status};

pub fn to_proto(node: &Node) -> proto::Node {
    let kind = match node.kind {
        Kind::Worker => proto::NodeKind::Worker,
        Kind::Supervisor => proto::NodeKind::Supervisor,
    };
    let last_exit = node.last_exit.as_ref().map(|exit| proto::Exit {
        kind: exit.class.as_str().to_owned(),
        reason: exit.reason.clone(),
        location: exit.location.clone().unwrap_or_default(),
        time: Some(timestamp(DateTime::<Utc>::from(exit.at))),
    });
    let mut notes = Vec::new();
    notes.extend(node.disabled_because.clone());
    if node.paused {
        notes.push("paused".to_owned());
    }
    if node.stuck {
        notes.push("stuck".to_owned());
    }
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    proto::Node {
        path: node.path.as_str().to_owned(),
        kind: kind.into(),
        status: status(node.status).into(),
        restarts: i64::from(node.restarts),
        last_exit,
        mailbox_depth: node.mailbox.map_or(0, |mailbox| count(mailbox.depth)),
        mailbox_depth_max: node.mailbox.map_or(0, |mailbox| count(mailbox.high_water)),
        uptime: node.uptime.map(duration),
        in_flight: node.in_flight_for.map(duration),
        note: notes.join("; "),
        children: node.children.iter().map(to_proto).collect(),
        mailbox_capacity: node.mailbox.and_then(|mailbox| mailbox.capacity).map_or(0, count),
    }
}

fn status(status: Status) -> proto::NodeStatus {
    match status {
        Status::Starting => proto::NodeStatus::Starting,
        Status::Running => proto::NodeStatus::Running,
        Status::BackingOff => proto::NodeStatus::BackingOff,
        Status::Stopping => proto::NodeStatus::Stopping,
        Status::Stopped => proto::NodeStatus::Stopped,
        Status::Melted => proto::NodeStatus::Melted,
        Status::Disabled => proto::NodeStatus::Disabled,
    }
}
