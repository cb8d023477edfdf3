//! `ListProcesses`: who shares the store.

use chrono::TimeDelta;

use crate::grpc::convert::process as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;

/// For how long the dead are shown: whoever looks into last night's trouble still sees them.
const SHOWN_DEAD_FOR: TimeDelta = TimeDelta::days(1);

pub(super) async fn list(gate: &Gate) -> Result<proto::ListProcessesResponse, ApiError> {
    let house = gate.house()?;
    let found = house.store.processes(request::now() - SHOWN_DEAD_FOR).await?;
    let answering = house.lease.holder();
    let processes = found.iter().map(|process| convert::to_proto(process, answering)).collect();
    Ok(proto::ListProcessesResponse { processes })
}
