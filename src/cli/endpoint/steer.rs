//! `bursar endpoint disable`, `enable` and `test`.
//!
//! **Fails** as the call does; a test also when the endpoint did not take what it was sent: with the code for a state that
//! must be changed where it never will, and for asking again later where it may.

use clap::Args;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::delivery;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::notification::v1::delivery_attempt::Outcome;
use crate::proto::notification::v1::{
    DisableEndpointRequest, EnableEndpointRequest, Endpoint, TestEndpointRequest,
};

#[derive(Args)]
pub(in crate::cli) struct SwitchArgs {
    id: String,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct TestArgs {
    id: String,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl SwitchArgs {
    fn request_id(&mut self) -> String {
        self.request_id.get_or_insert_with(|| Uuid::now_v7().to_string()).clone()
    }
}

pub(super) async fn disable(
    mut args: SwitchArgs,
    connection: &Connection,
) -> Result<Option<Endpoint>, Failure> {
    let request_id = args.request_id();
    let request = DisableEndpointRequest { id: args.id, reason: args.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.endpoints().disable_endpoint(request)).await;
    Ok(answer.map_err(|failure| failure.with_request_id(&request_id))?.endpoint)
}

pub(super) async fn enable(
    mut args: SwitchArgs,
    connection: &Connection,
) -> Result<Option<Endpoint>, Failure> {
    let request_id = args.request_id();
    let request = EnableEndpointRequest { id: args.id, reason: args.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.endpoints().enable_endpoint(request)).await;
    Ok(answer.map_err(|failure| failure.with_request_id(&request_id))?.endpoint)
}

pub(super) async fn test(
    args: TestArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = TestEndpointRequest { id: args.id, reason: args.reason };
    let answer = connection.call(connection.endpoints().test_endpoint(request)).await?;
    let attempt = answer.attempt.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "attempt": delivery::attempt(&attempt) });
    screen.show(&document, |document| table::detail(&delivery::ATTEMPT_DETAIL, &document["attempt"]))?;
    let code = match attempt.outcome() {
        Outcome::Accepted => return Ok(()),
        Outcome::Unavailable | Outcome::Unknown => Code::Unavailable,
        Outcome::Refused | Outcome::Gone | Outcome::Misconfigured | Outcome::Unspecified => {
            Code::FailedPrecondition
        }
    };
    let outcome = delivery::outcome(attempt.outcome);
    Err(Failure::found(code, format!("the endpoint did not take it: {outcome}")))
}
