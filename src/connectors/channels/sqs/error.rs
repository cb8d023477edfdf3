//! From SQS's errors to what the caller does next.
//!
//! **Owns** nothing. **Fails** towards trying again: what is not known to be final is not final.

use std::time::Duration;

use chrono::Utc;

use crate::connectors::channels::ChannelError;
use crate::connectors::http::{Answer, HttpError};

use super::wire::ErrorBody;

/// What an answer other than 2xx means for everything in the call.
pub(super) fn of_answer(answer: &Answer) -> ChannelError {
    let status = answer.status.as_u16();
    let kind = serde_json::from_slice::<ErrorBody>(&answer.body).ok().and_then(|body| body.kind);
    let retry_after = answer.retry_after(Utc::now());
    match kind {
        Some(kind) if status < 500 => of_code(&kind, status == 400, retry_after),
        _ => ChannelError::Unavailable { retry_after, reason: format!("status {status}") },
    }
}

/// What a code means, of a whole call or of one entry. Codes come bare, behind `namespace#` or behind
/// `AWS.SimpleQueueService.`.
pub(super) fn of_code(code: &str, sender_fault: bool, retry_after: Option<Duration>) -> ChannelError {
    let bare = code.rsplit(['#', '.']).next().unwrap_or(code);
    let reason: String = format!("SQS answered {bare}").chars().take(200).collect();
    match bare {
        "QueueDoesNotExist" | "NonExistentQueue" | "QueueDeletedRecently" | "InvalidAddress" => {
            ChannelError::Refused { reason }
        }
        "InvalidMessageContents"
        | "InvalidParameterValue"
        | "InvalidParameterValueException"
        | "MissingParameter"
        | "BatchRequestTooLong"
        | "InvalidAttributeValue"
        | "UnsupportedOperation"
        | "InvalidBatchEntryId" => ChannelError::Refused { reason },
        "AccessDenied"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "OptInRequired"
        | "KmsAccessDenied"
        | "KmsDisabled"
        | "KmsNotFound"
        | "KmsInvalidState"
        | "KmsInvalidKeyUsage"
        | "KmsOptInRequired" => ChannelError::Misconfigured { reason },
        "RequestThrottled"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "KmsThrottled"
        | "OverLimit"
        | "ServiceUnavailable"
        | "InternalError"
        | "InternalFailure"
        | "RequestExpired"
        | "RequestTimeout" => ChannelError::Unavailable { retry_after, reason },
        _ if sender_fault => ChannelError::Refused { reason },
        _ => ChannelError::Unavailable { retry_after, reason },
    }
}

/// A call without an answer.
pub(super) fn of_lost(error: &HttpError) -> ChannelError {
    let reason = error.to_string();
    match error {
        HttpError::Forbidden(_) => ChannelError::Misconfigured { reason },
        _ if error.may_have_been_sent() => ChannelError::OutcomeUnknown { reason },
        _ => ChannelError::Unavailable { retry_after: None, reason },
    }
}

/// A call that could not be signed, so that nothing was sent. The signer's own text may quote what it read.
pub(super) fn of_signing(error: &reqsign_core::Error) -> ChannelError {
    let reason = format!("AWS credentials cannot be used: {:?}", error.kind());
    if error.is_retryable() {
        ChannelError::Unavailable { retry_after: None, reason }
    } else {
        ChannelError::Misconfigured { reason }
    }
}
