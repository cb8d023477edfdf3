//! `bursar endpoint rotate-secret`: a new secret for a webhook, shown once.
//!
//! **Owns** nothing. **Fails** as the call does; whether a call that broke off has rotated, `endpoint get` tells: it shows when
//! each kept secret was made.

use std::time::Duration;

use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::notification::v1::RotateEndpointSecretRequest;

#[derive(Args)]
pub(in crate::cli) struct RotateArgs {
    id: String,
    /// How long the secret before goes on signing beside the new one, such as 2h; 24h when absent
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn rotate(
    args: RotateArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // A longer one than a message can hold is longer than any that is taken, too.
    let longest = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
    let overlap = args.overlap.map(|span| prost_types::Duration::try_from(span).unwrap_or(longest));
    let request = RotateEndpointSecretRequest { id: args.id, overlap, reason: args.reason };
    let answer = connection.call(connection.endpoints().rotate_endpoint_secret(request)).await?;
    super::show(answer.endpoint, &answer.secret, screen)
}
