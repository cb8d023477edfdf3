//! One span a send, by OpenTelemetry's conventions for messaging (semantic conventions 1.45, where they are not stable yet).
//!
//! **Owns** nothing. **Fails** never. **Limits**: a queue and a subject are named, for an operator or an owner's programmer named them; a
//! mailbox is a person's and is not.

use tracing::Instrument as _;

use super::{ChannelError, Receipt};
use crate::telemetry;

/// Sends within a span of its own, which fails with the first notice that was not taken.
pub(super) async fn sending(
    system: &'static str,
    destination: Option<&str>,
    notices: usize,
    send: impl Future<Output = Vec<Result<Receipt, ChannelError>>>,
) -> Vec<Result<Receipt, ChannelError>> {
    let name = destination.map_or_else(|| "send".to_owned(), |destination| format!("send {destination}"));
    let span = tracing::info_span!(
        "send",
        otel.name = name,
        otel.kind = "producer",
        messaging.system = system,
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = destination,
        messaging.batch.message_count = notices,
    );
    let told = async {
        let results = send.await;
        if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
            telemetry::note_failure(error.kind());
        }
        results
    };
    told.instrument(span).await
}
