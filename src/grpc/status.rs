//! The one table from errors to gRPC codes. Every error carries `google.rpc.ErrorInfo`: domain `bursar`, one of the
//! reasons below, and for our own faults the trace id under which the logs tell more.
//!
//! | reason | code | what the caller does |
//! |---|---|---|
//! | `INVALID_FIELDS` | INVALID_ARGUMENT | correct every field of `BadRequest` |
//! | `BOLETO_NOT_FOUND`, `BANK_ACCOUNT_NOT_FOUND`, `ENDPOINT_NOT_FOUND`, `DELIVERY_NOT_FOUND`, `EVENT_NOT_FOUND`, `DIFFERENCE_NOT_FOUND`, `TRANSFER_NOT_FOUND`, `RUN_NOT_FOUND`, `FEED_NOT_FOUND`, `JOB_NOT_FOUND`, `JOB_RUN_NOT_FOUND`, `USER_NOT_FOUND`, `CONSENT_NOT_FOUND`, `ACCOUNT_NOT_FOUND`, `PAYMENT_NOT_FOUND`, `WORK_NOT_FOUND`, `ACTOR_NOT_FOUND`, `TOKEN_NOT_FOUND` | NOT_FOUND | look for another |
//! | `REQUEST_ID_REUSED` | ALREADY_EXISTS | take another `request_id`, or send the first body |
//! | `PAYMENT_ID_REUSED` | ALREADY_EXISTS | take another `payment_id`: under this one another payment is written down |
//! | `EXTERNAL_ID_TAKEN` | ALREADY_EXISTS | take another name |
//! | `ENDPOINT_TAKEN` | ALREADY_EXISTS | use the endpoint that is this destination for these events already |
//! | `VERSION_CHANGED` | ABORTED | read again, then update |
//! | `NUMBERS_EXHAUSTED` | FAILED_PRECONDITION | give the account another agreement |
//! | `REGISTRATION_NOT_OPEN` | FAILED_PRECONDITION | nothing: the bank has decided |
//! | `CANCEL_NOT_OPEN`, `AMEND_NOT_OPEN` | FAILED_PRECONDITION | look at the boleto: its status does not allow it |
//! | `ORDER_PENDING` | FAILED_PRECONDITION | wait for the end of the boleto's pending order |
//! | `NOT_SUPPORTED_BY_BANK` | FAILED_PRECONDITION | do it otherwise; the words say what the bank cannot do |
//! | `NOT_IN_REVIEW`, `NO_CODES` | FAILED_PRECONDITION | look at the boleto: this is no decision that it waits for |
//! | `BANK_COUNTS` | FAILED_PRECONDITION | nothing: the account's bank chooses the numbers |
//! | `RECONCILIATION_DISABLED` | FAILED_PRECONDITION | have the operator set `reconciliation.enabled` |
//! | `DOCUMENT_LINKS_DISABLED` | FAILED_PRECONDITION | have the operator set `documents.links.enabled` |
//! | `SECRETS_NOT_KEPT` | FAILED_PRECONDITION | have the operator set `secrets.key` |
//! | `ENDPOINT_DISABLED` | FAILED_PRECONDITION | enable the endpoint first |
//! | `NOTHING_TO_SEND` | FAILED_PRECONDITION | nothing: all was taken; name an event to send it once more |
//! | `DIFFERENCE_SETTLED` | FAILED_PRECONDITION | look at it: somebody was faster |
//! | `TRANSFER_UNDER_WAY` | FAILED_PRECONDITION | follow it, or wait for its end |
//! | `TRANSFER_ENDED` | FAILED_PRECONDITION | have it analysed once more by `ReprocessTransfer`, or follow it to see its end |
//! | `TRANSFER_ERASED` | FAILED_PRECONDITION | nothing: nothing of it is left |
//! | `BOLETO_ERASED` | FAILED_PRECONDITION | nothing: nothing of its payer is left |
//! | `BOLETO_STILL_OPEN` | FAILED_PRECONDITION | cancel it first, or wait for its end |
//! | `KEPT_BY_LAW` | FAILED_PRECONDITION | ask again after the day that the words name, or have the operator look at `retention` |
//! | `FEED_REFUSED` | FAILED_PRECONDITION | have the operator look at the feed's key, rules and settings, as the words say |
//! | `CONSENT_ENDED` | FAILED_PRECONDITION | nothing: it has ended; another consent takes its place |
//! | `PAYMENT_NOT_OPEN` | FAILED_PRECONDITION | look at it: it has ended, or its bank can still be asked |
//! | `NOTHING_TO_SYNC` | FAILED_PRECONDITION | have the customer allow it; the words say what is missing |
//! | `WORK_RUNNING`, `WORK_ENDED`, `WORK_SUPERSEDED` | FAILED_PRECONDITION | look at the work first |
//! | `JOB_RUNS` | FAILED_PRECONDITION | wait for the end of the run that lives, or allow an overlap |
//! | `JOB_RUN_ENDED` | FAILED_PRECONDITION | nothing: the run has ended |
//! | `JOB_NOT_BUILT` | FAILED_PRECONDITION | nothing: nobody does this job as it is configured, or in this release |
//! | `CURSOR_OF_ANOTHER_STORE` | FAILED_PRECONDITION | watch from `0` or from now on; the changes were moved to another store |
//! | `ACTOR_NOT_CONTROLLABLE` | FAILED_PRECONDITION | look at the tree first |
//! | `NOT_AUTHENTICATED` | UNAUTHENTICATED | show a token that holds, as `authorization: Bearer …`; what was wrong with this one is not told |
//! | `SCOPE_MISSING` | PERMISSION_DENIED | ask for a token with the scope that is named |
//! | `HOUSE_ONLY` | PERMISSION_DENIED | nothing: this is for callers of the tenant `default` |
//! | `METHOD_CLOSED` | PERMISSION_DENIED | nothing: the method is open to nobody; our bug |
//! | `TOO_MANY_FAILURES` | RESOURCE_EXHAUSTED | correct the token, then wait as `RetryInfo` says |
//! | `TOO_MANY_REQUESTS`, `TOO_MANY_STREAMS`, `BACKLOG_FULL` | RESOURCE_EXHAUSTED | wait as `RetryInfo` says |
//! | `NOT_READY`, `DRAINING`, `STORE_UNAVAILABLE`, `FEED_UNAVAILABLE` | UNAVAILABLE | wait as `RetryInfo` says, then try again |
//! | `INTERNAL` | INTERNAL | report the trace id; our bug |
//! | `PROTOCOL` | as the transport said | correct the call itself (unknown method, message too long) |

use std::collections::HashMap;
use std::time::Duration;

use chrono::NaiveDate;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tracing::error;

use crate::access::Refusal;
use crate::connectors::transfer_feeds::FeedError;
use crate::domain::access::Scope;
use crate::domain::boleto::issuer::IssueError;
use crate::domain::boleto::status::Status as BoletoStatus;
use crate::domain::ids::JobRunId;
use crate::domain::job::RunState;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::domain::openbanking::payment::PaymentState;
use crate::domain::transfer::TransferState;
use crate::domain::violation::Violation;
use crate::domain::work::WorkState;
use crate::store::StoreError;
use crate::store::work_steer::Steered;
use crate::supervision::ControlError;

/// Under whose reasons these are.
pub const DOMAIN: &str = "bursar";
/// What a caller is told to wait when a limit is met or the store is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After what time wrong tokens are forgotten.
const FAILURES_FORGOTTEN: Duration = Duration::from_secs(60);

/// Why a call failed, cut by what the caller does next.
#[derive(Debug)]
pub enum ApiError {
    Invalid(Vec<Violation>),
    NotFound(&'static str),
    RequestIdReused,
    PaymentIdReused,
    ExternalIdTaken,
    EndpointTaken,
    VersionChanged {
        version: i64,
    },
    NotIssued(IssueError),
    RegistrationNotOpen(BoletoStatus),
    CancelNotOpen(BoletoStatus),
    AmendNotOpen(BoletoStatus),
    OrderPending,
    NotSupportedByBank(String),
    NotInReview(BoletoStatus),
    NoCodes,
    BankCounts,
    ReconciliationDisabled,
    EndpointDisabled,
    SecretsNotKept,
    NothingToSend,
    DifferenceSettled,
    DocumentLinksDisabled,
    CursorOfAnotherStore,
    TransferUnderWay(TransferState),
    TransferEnded(TransferState),
    TransferErased,
    BoletoErased,
    /// It has not ended, and may still be paid.
    BoletoStillOpen(BoletoStatus),
    /// The last day on which a law may want it.
    KeptUntil(NaiveDate),
    Feed(FeedError),
    /// Another run of the job lives.
    JobRuns(JobRunId),
    JobRunEnded(RunState),
    JobNotBuilt,
    ConsentEnded(ConsentStatus),
    PaymentNotOpen(PaymentState),
    NothingToSync(&'static str),
    WorkRunning,
    WorkEnded(WorkState),
    WorkSuperseded,
    Control(ControlError),
    NotPausable,
    NotAuthenticated,
    ScopeMissing(Scope),
    /// It is about the whole house, and the caller is of another tenant than the one whose it is.
    HouseOnly,
    /// The protocol declares no scope for the method.
    MethodClosed,
    TooManyFailures,
    TooManyRequests,
    /// As much waits for this bank account as may.
    BacklogFull,
    TooManyStreams,
    NotReady(String),
    Draining,
    Store(StoreError),
    Internal(String),
}

impl ApiError {
    /// One field that breaks a rule.
    pub fn field(field: &str, description: &str) -> Self {
        Self::Invalid(vec![Violation::new(field, description)])
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        Self::Feed(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAuthenticated => Self::NotAuthenticated,
            Refusal::TooManyFailures => Self::TooManyFailures,
            Refusal::Store(error) => Self::Store(error),
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl TryFrom<Steered> for () {
    type Error = ApiError;

    fn try_from(steered: Steered) -> Result<(), ApiError> {
        match steered {
            Steered::Done => Ok(()),
            Steered::NotFound => Err(ApiError::NotFound("WORK")),
            Steered::Running => Err(ApiError::WorkRunning),
            Steered::Ended(state) => Err(ApiError::WorkEnded(state)),
            Steered::Superseded => Err(ApiError::WorkSuperseded),
        }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Invalid(violations) => invalid(violations),
            ApiError::NotFound(what) => {
                let words = format!("{} not found", what.to_lowercase().replace('_', " "));
                status(Code::NotFound, &format!("{what}_NOT_FOUND"), words)
            }
            ApiError::RequestIdReused => {
                let words = "this request_id was used for another request body";
                status(Code::AlreadyExists, "REQUEST_ID_REUSED", words)
            }
            ApiError::PaymentIdReused => {
                let words = "another payment of this boleto is written down under this payment_id";
                status(Code::AlreadyExists, "PAYMENT_ID_REUSED", words)
            }
            ApiError::ExternalIdTaken => {
                status(Code::AlreadyExists, "EXTERNAL_ID_TAKEN", "another bank account has this external_id")
            }
            ApiError::EndpointTaken => {
                let words = "another endpoint is this destination for the same events and filters";
                status(Code::AlreadyExists, "ENDPOINT_TAKEN", words)
            }
            ApiError::VersionChanged { version } => {
                let words = format!("it changed since it was read; its version is {version} now");
                status(Code::Aborted, "VERSION_CHANGED", words)
            }
            ApiError::NotIssued(IssueError::Sequence { .. }) => {
                let words = "the bank account's agreement has no number left";
                status(Code::FailedPrecondition, "NUMBERS_EXHAUSTED", words)
            }
            ApiError::NotIssued(error) => internal(&error.to_string()),
            ApiError::RegistrationNotOpen(known) => {
                let words = format!("the boleto is {}; its registration is not open", known.as_str());
                status(Code::FailedPrecondition, "REGISTRATION_NOT_OPEN", words)
            }
            ApiError::CancelNotOpen(known) => {
                let words = format!("a boleto that is {} cannot be cancelled", known.as_str());
                status(Code::FailedPrecondition, "CANCEL_NOT_OPEN", words)
            }
            ApiError::AmendNotOpen(known) => {
                let words = format!("a boleto that is {} cannot be amended", known.as_str());
                status(Code::FailedPrecondition, "AMEND_NOT_OPEN", words)
            }
            ApiError::OrderPending => {
                let words = "the bank has not carried out an earlier order about this boleto";
                status(Code::FailedPrecondition, "ORDER_PENDING", words)
            }
            ApiError::NotSupportedByBank(why) => {
                status(Code::FailedPrecondition, "NOT_SUPPORTED_BY_BANK", why)
            }
            ApiError::NotInReview(known) => {
                let words = format!("the boleto is {} and needs no review", known.as_str());
                status(Code::FailedPrecondition, "NOT_IN_REVIEW", words)
            }
            ApiError::NoCodes => {
                let words = "the boleto has no codes, so nobody could pay it as registered";
                status(Code::FailedPrecondition, "NO_CODES", words)
            }
            ApiError::BankCounts => {
                let words = "the bank chooses the numbers of this account";
                status(Code::FailedPrecondition, "BANK_COUNTS", words)
            }
            ApiError::ReconciliationDisabled => {
                let words = "reconciliation.enabled is false: no bank is asked what was paid";
                status(Code::FailedPrecondition, "RECONCILIATION_DISABLED", words)
            }
            ApiError::DocumentLinksDisabled => {
                let words = "documents.links.enabled is false: no links to documents are made";
                status(Code::FailedPrecondition, "DOCUMENT_LINKS_DISABLED", words)
            }
            ApiError::SecretsNotKept => {
                let words = "secrets.key is not set: the service keeps no secrets";
                status(Code::FailedPrecondition, "SECRETS_NOT_KEPT", words)
            }
            ApiError::EndpointDisabled => {
                let words = "this endpoint is disabled: nothing is sent to it";
                status(Code::FailedPrecondition, "ENDPOINT_DISABLED", words)
            }
            ApiError::NothingToSend => {
                let words = "nothing of this delivery is left to be sent";
                status(Code::FailedPrecondition, "NOTHING_TO_SEND", words)
            }
            ApiError::DifferenceSettled => {
                let words = "this difference was settled before, with another reason";
                status(Code::FailedPrecondition, "DIFFERENCE_SETTLED", words)
            }
            ApiError::CursorOfAnotherStore => {
                let words = "this cursor was made over another store; its place means nothing here";
                status(Code::FailedPrecondition, "CURSOR_OF_ANOTHER_STORE", words)
            }
            ApiError::TransferUnderWay(known) => {
                let words = format!("the transfer is {}; work on it is under way", known.as_str());
                status(Code::FailedPrecondition, "TRANSFER_UNDER_WAY", words)
            }
            ApiError::TransferEnded(known) => {
                let words = format!("the transfer is {}; nothing of it is left to be done", known.as_str());
                status(Code::FailedPrecondition, "TRANSFER_ENDED", words)
            }
            ApiError::TransferErased => {
                status(Code::FailedPrecondition, "TRANSFER_ERASED", "the transfer was erased")
            }
            ApiError::BoletoErased => {
                status(Code::FailedPrecondition, "BOLETO_ERASED", "the boleto's payer was erased")
            }
            ApiError::BoletoStillOpen(from) => {
                let words = format!("the boleto is {}, and is erased once it has ended", from.as_str());
                status(Code::FailedPrecondition, "BOLETO_STILL_OPEN", words)
            }
            ApiError::KeptUntil(until) => {
                let words = format!(
                    "the boleto is kept until {until}, as the law wants accounts kept (retention.tenants)"
                );
                status(Code::FailedPrecondition, "KEPT_BY_LAW", words)
            }
            ApiError::Feed(error @ (FeedError::Unavailable { .. } | FeedError::OutcomeUnknown { .. })) => {
                wait(Code::Unavailable, "FEED_UNAVAILABLE", error.to_string())
            }
            ApiError::Feed(error) => status(Code::FailedPrecondition, "FEED_REFUSED", error.to_string()),
            ApiError::JobRuns(other) => {
                let words =
                    format!("run {other} of the job has not ended; allow an overlap to begin another");
                status(Code::FailedPrecondition, "JOB_RUNS", words)
            }
            ApiError::JobRunEnded(state) => {
                let words = format!("the run has ended: {}", state.as_str());
                status(Code::FailedPrecondition, "JOB_RUN_ENDED", words)
            }
            ApiError::JobNotBuilt => {
                status(Code::FailedPrecondition, "JOB_NOT_BUILT", "nobody does this job in this release")
            }
            ApiError::ConsentEnded(known) => {
                let words = format!("the consent is {}", known.as_str());
                status(Code::FailedPrecondition, "CONSENT_ENDED", words)
            }
            ApiError::PaymentNotOpen(known) => {
                let words = format!("the payment is {}, and not for a person to end", known.as_str());
                status(Code::FailedPrecondition, "PAYMENT_NOT_OPEN", words)
            }
            ApiError::NothingToSync(why) => status(Code::FailedPrecondition, "NOTHING_TO_SYNC", why),
            ApiError::WorkRunning => {
                status(Code::FailedPrecondition, "WORK_RUNNING", "somebody has this work in hand")
            }
            ApiError::WorkEnded(state) => {
                let words = format!("this work has ended: {}", state.as_str());
                status(Code::FailedPrecondition, "WORK_ENDED", words)
            }
            ApiError::WorkSuperseded => status(
                Code::FailedPrecondition,
                "WORK_SUPERSEDED",
                "other work for the same subject lives already",
            ),
            ApiError::Control(ControlError::NotFound(path)) => {
                status(Code::NotFound, "ACTOR_NOT_FOUND", format!("no actor at {path}"))
            }
            ApiError::Control(error) => {
                status(Code::FailedPrecondition, "ACTOR_NOT_CONTROLLABLE", error.to_string())
            }
            ApiError::NotPausable => status(
                Code::FailedPrecondition,
                "ACTOR_NOT_CONTROLLABLE",
                "the process lives by this actor or branch; it cannot be paused",
            ),
            ApiError::NotAuthenticated => {
                let words = "a token that holds is needed, as `authorization: Bearer bursar_…`";
                status(Code::Unauthenticated, "NOT_AUTHENTICATED", words)
            }
            ApiError::ScopeMissing(scope) => {
                let words = format!("this needs the scope {}", scope.as_str());
                let mut details = ErrorDetails::new();
                let named = HashMap::from([("scope".to_owned(), scope.as_str().to_owned())]);
                details.set_error_info("SCOPE_MISSING", DOMAIN, named);
                Status::with_error_details(Code::PermissionDenied, words, details)
            }
            ApiError::HouseOnly => {
                let words = "this is about the whole house, and open to callers of the tenant default only";
                status(Code::PermissionDenied, "HOUSE_ONLY", words)
            }
            ApiError::MethodClosed => {
                status(Code::PermissionDenied, "METHOD_CLOSED", "this method is open to nobody")
            }
            ApiError::TooManyFailures => {
                let words = "too many wrong tokens from this address";
                wait_for(FAILURES_FORGOTTEN, Code::ResourceExhausted, "TOO_MANY_FAILURES", words)
            }
            ApiError::TooManyRequests => {
                wait(Code::ResourceExhausted, "TOO_MANY_REQUESTS", "too many requests in flight")
            }
            ApiError::BacklogFull => {
                wait(Code::ResourceExhausted, "BACKLOG_FULL", "too much waits for this bank account")
            }
            ApiError::TooManyStreams => {
                wait(Code::ResourceExhausted, "TOO_MANY_STREAMS", "too many open streams")
            }
            ApiError::NotReady(why) => wait(Code::Unavailable, "NOT_READY", format!("not ready: {why}")),
            ApiError::Draining => wait(Code::Unavailable, "DRAINING", "this process is about to end"),
            ApiError::Store(error) if error.is_transient() => {
                // What the database said may tell more than a caller should know; the logs have it.
                tracing::warn!(%error, "call failed: store away");
                wait(Code::Unavailable, "STORE_UNAVAILABLE", "the store does not answer")
            }
            ApiError::Store(error) => internal(&error.to_string()),
            ApiError::Internal(why) => internal(&why),
        }
    }
}

fn details(reason: &str) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, HashMap::<String, String>::new());
    details
}

fn status(code: Code, reason: &str, words: impl Into<String>) -> Status {
    Status::with_error_details(code, words, details(reason))
}

fn wait(code: Code, reason: &str, words: impl Into<String>) -> Status {
    wait_for(RETRY_AFTER, code, reason, words)
}

fn wait_for(span: Duration, code: Code, reason: &str, words: impl Into<String>) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(span));
    Status::with_error_details(code, words, details)
}

fn invalid(violations: Vec<Violation>) -> Status {
    let mut details = details("INVALID_FIELDS");
    let words: Vec<String> = violations.iter().map(Violation::to_string).collect();
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, words.join("; "), details)
}

fn internal(why: &str) -> Status {
    error!(error = %why, "call failed: our fault");
    let mut metadata = HashMap::new();
    if let Some(traceparent) = crate::telemetry::traceparent() {
        metadata.insert("traceparent".to_owned(), traceparent);
    }
    let mut details = ErrorDetails::new();
    details.set_error_info("INTERNAL", DOMAIN, metadata);
    Status::with_error_details(Code::Internal, "internal error; the trace id leads to the logs", details)
}

/// The details of an error that the transport itself made.
pub(super) fn protocol_details(code: Code, message: &str) -> Status {
    status(code, "PROTOCOL", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_named_at_once() {
        let violations =
            vec![Violation::new("amount_cents", "too small"), Violation::new("payer.name", "empty")];
        let status = Status::from(ApiError::Invalid(violations));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let fields: Vec<&str> = details
            .bad_request()
            .expect("a bad request")
            .field_violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["amount_cents", "payer.name"]);
        assert_eq!(details.error_info().expect("info").reason, "INVALID_FIELDS");
    }

    #[test]
    fn trouble_with_the_store_says_when_to_come_back_and_nothing_of_the_store() {
        let status = Status::from(ApiError::Store(StoreError::Unavailable("host db-7 refused".to_owned())));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.message().contains("db-7"));
        let details = status.get_error_details();
        assert_eq!(details.retry_info().expect("a time").retry_delay, Some(RETRY_AFTER));
    }
}
