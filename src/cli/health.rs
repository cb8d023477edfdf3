//! `bursar health`: whether the service is ready, or lives, as `grpc.health.v1` says; for probes, which need no token.
//!
//! **Owns** nothing. **Fails** as unavailable when it is not serving. **Limits**: one question.

use clap::Args;
use serde_json::json;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

use super::connection::Connection;
use super::failure::Failure;
use super::screen::Screen;

#[derive(Args)]
pub(super) struct HealthArgs {
    /// Whose health: `liveness` for the process, a full service name, or nothing for the whole house's readiness
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
}

pub(super) async fn run(
    args: HealthArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut client = connection.health();
    let request = HealthCheckRequest { service: args.service };
    let answer = connection.call(client.check(request)).await?;
    let status = answer.status();
    let document = json!({ "status": status.as_str_name() });
    screen.show(&document, |_| format!("{}\n", status.as_str_name()))?;
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(Failure::found(Code::Unavailable, "it is not serving")),
    }
}
