//! `bursar audit verify`: at the service, or in a store that nobody else has open.
//!
//! **Owns** the open store while it works. **Fails** where the chain does not hold, after showing up to where it does.
//! **Limits**: [`RECORDS_MAX`] records of a store at a time.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tonic::Code;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::audit;
use crate::cli::screen::Screen;
use crate::cli::store::opening;
use crate::cli::table;
use crate::domain::audit::{Chain, ChainHash};
use crate::proto::access::v1::VerifyAuditRequest;
use crate::store::audit_chain::Verification;
use crate::store::{Store, StoreConfig};

const RECORDS_MAX: i64 = 10_000;
/// One that writes, one that reads.
const CONNECTIONS: u32 = 2;

#[derive(Args)]
pub(in crate::cli) struct VerifyArgs {
    /// The hash that an earlier verification has shown, and that was kept elsewhere
    #[arg(long = "expect", value_name = "HASH", requires = "at", value_parser = str::parse::<ChainHash>)]
    expected: Option<ChainHash>,
    /// The place of the record that it was the hash of
    #[arg(long, value_name = "SEQUENCE", requires = "expected", value_parser = clap::value_parser!(i64).range(1..))]
    at: Option<i64>,
    /// Open this store and verify it there, without a service: sqlite:PATH (nobody else may have it open) or postgres://…; an older
    /// schema is brought up to date
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

impl VerifyArgs {
    fn expected(&self) -> Option<Chain> {
        Some(Chain { sequence: self.at?, hash: self.expected? })
    }
}

/// How far the chain was followed.
struct Progress {
    records: i64,
    sequence: i64,
    hash: String,
    /// As a document.
    broken: Option<Value>,
    outside: i64,
}

pub(super) async fn at_service(
    args: VerifyArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let expected = args.expected();
    let mut request = VerifyAuditRequest {
        expected_sequence: expected.map_or(0, |it| it.sequence),
        expected_hash: expected.map(|it| it.hash.to_string()).unwrap_or_default(),
        ..VerifyAuditRequest::default()
    };
    let mut records = 0;
    loop {
        let answer = connection.call(connection.audit().verify_audit(request.clone())).await?;
        records += answer.records;
        if answer.complete || answer.r#break.is_some() {
            let broken = answer.r#break.as_ref().map(audit::broken);
            let (sequence, hash, outside) = (answer.sequence, answer.hash, answer.records_outside);
            return conclude(Progress { records, sequence, hash, broken, outside }, screen);
        }
        if answer.sequence <= request.after_sequence {
            return Err(Failure::found(
                Code::Internal,
                "the service verified nothing and says that there is more",
            ));
        }
        (request.after_sequence, request.after_hash) = (answer.sequence, answer.hash);
        if request.expected_sequence <= request.after_sequence {
            // It was found as it was kept.
            (request.expected_sequence, request.expected_hash) = (0, String::new());
        }
    }
}

pub(super) async fn in_store(
    args: VerifyArgs,
    timeout: Duration,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut expected = args.expected();
    let config = StoreConfig { url: args.store.unwrap_or_default(), connections_max: CONNECTIONS, timeout };
    let store = Store::open(&config).await.map_err(|error| opening(&error))?;
    let mut after = Chain::START;
    let outcome = loop {
        let verification = Verification { after, expected, records_max: RECORDS_MAX };
        match store.verify_audit(&verification).await {
            Ok(verified) if verified.is_complete || verified.broken.is_some() => break Ok(verified),
            Ok(verified) => {
                after = verified.until;
                // It was found as it was kept.
                expected = expected.filter(|it| it.sequence > after.sequence);
            }
            Err(error) => break Err(Failure::found(Code::Unavailable, error.to_string())),
        }
    };
    // What was read is known, however the store takes its end.
    let _ = store.close().await;
    let verified = outcome?;
    let progress = Progress {
        records: verified.until.sequence,
        sequence: verified.until.sequence,
        hash: verified.until.hash.to_string(),
        broken: verified.broken.as_ref().map(audit::broken_in_store),
        outside: verified.outside,
    };
    conclude(progress, screen)
}

/// Shows how far the chain holds, and fails where it does not hold to its end.
fn conclude(progress: Progress, screen: &mut Screen) -> Result<(), Failure> {
    let Progress { records, sequence, hash, broken, outside } = progress;
    let document = json!({
        "records": records,
        "sequence": sequence,
        "hash": hash,
        "break": broken,
        "records_outside": outside,
    });
    screen.show(&document, |document| table::detail(&audit::VERIFIED, document))?;
    let Some(broken) = broken else { return Ok(()) };
    let message = format!("the chain does not hold at {}: {}", broken["sequence"], audit::words(&broken));
    Err(Failure::found(Code::DataLoss, message))
}
