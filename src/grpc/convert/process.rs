//! Processes and the offices that they hold.

use super::timestamp;
use crate::domain::ids::RunnerId;
use crate::proto::control::v1 as proto;
use crate::store::process::{OfficeView, ProcessView};

/// The process; `answering` is the one that says so.
pub fn to_proto(process: &ProcessView, answering: Option<RunnerId>) -> proto::Process {
    let state = match process.ended_at {
        None => proto::ProcessState::Alive,
        Some(_) => proto::ProcessState::Dead,
    };
    proto::Process {
        runner_id: process.id.to_string(),
        name: process.name.clone(),
        version: process.version.clone(),
        state: state.into(),
        start_time: Some(timestamp(process.started_at)),
        heartbeat_time: process.heartbeat_at.map(timestamp),
        end_time: process.ended_at.map(timestamp),
        in_hand: process.in_hand,
        places: process.places,
        offices: process.offices.iter().map(office).collect(),
        answering: answering == Some(process.id),
    }
}

fn office(office: &OfficeView) -> proto::Office {
    proto::Office { name: office.name.clone(), term: office.term, time: Some(timestamp(office.taken_at)) }
}
