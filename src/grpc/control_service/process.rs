//! `ListProcesses`: who shares the store; and the record of the wish that one of them ends.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tracing::warn;

use crate::grpc::convert::process as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;

/// For how long a drain waits for its own record.
const NOTE_MAX: Duration = Duration::from_secs(2);
/// For how long the dead are shown: whoever looks into last night's trouble still sees them.
const SHOWN_DEAD_FOR: TimeDelta = TimeDelta::days(1);

pub(super) async fn list(gate: &Gate) -> Result<proto::ListProcessesResponse, ApiError> {
    let house = gate.house()?;
    let found = house.store.processes(request::now() - SHOWN_DEAD_FOR).await?;
    let answering = house.lease.holder();
    let processes = found.iter().map(|process| convert::to_proto(process, answering)).collect();
    Ok(proto::ListProcessesResponse { processes })
}

/// Writes down that this process was asked to end. It ends even where that fails or takes too long: a signal would end it as well.
pub(super) async fn note_drain(gate: &Gate, reason: String) {
    let Ok(house) = gate.house() else { return };
    let act = Act {
        method: "Drain",
        subject: Subject::Named("process".to_owned()),
        reason,
        before: json!({ "draining": gate.readiness().is_draining() }),
        after: json!({ "draining": true, "runner_id": house.lease.holder().map(|id| id.to_string()) }),
        now: request::now(),
    };
    match tokio::time::timeout(NOTE_MAX, house.store.audit_act(act)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "drain is not in the audit"),
        Err(_) => warn!("drain is not in the audit: the store did not answer in time"),
    }
}
