//! The queue service's errors, by the names that AWS documents.
//!
//! **Owns** the table of names and statuses.
//! **Fails** never.
//! **Limits**: the errors of eight actions.

use axum::http::StatusCode;
use serde_json::json;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqsFault {
    MissingAuthenticationToken,
    IncompleteSignature,
    AccessDenied,
    UnknownOperation,
    Malformed,
    QueueDoesNotExist,
    QueueNameExists,
    InvalidAddress,
    InvalidParameter(&'static str),
    MissingParameter(&'static str),
    InvalidMessageContents,
    ReceiptHandleIsInvalid,
    EmptyBatch,
    TooManyEntries,
    EntryIdsNotDistinct,
    InvalidEntryId,
    BatchTooLong,
    /// Ours: the ledger is broken.
    NotRecorded,
}

impl SqsFault {
    pub fn status(self) -> StatusCode {
        match self {
            SqsFault::MissingAuthenticationToken | SqsFault::AccessDenied => StatusCode::FORBIDDEN,
            SqsFault::NotRecorded => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The shape's name, with the namespace that AWS puts before it, and the name of the older protocol.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            SqsFault::MissingAuthenticationToken => {
                ("com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken")
            }
            SqsFault::IncompleteSignature => {
                ("com.amazon.coral.service#IncompleteSignatureException", "IncompleteSignature")
            }
            SqsFault::AccessDenied => ("com.amazon.coral.service#AccessDeniedException", "AccessDenied"),
            SqsFault::UnknownOperation => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
            SqsFault::Malformed => ("com.amazon.coral.service#SerializationException", "MalformedInput"),
            SqsFault::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            SqsFault::QueueNameExists => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            SqsFault::InvalidAddress => ("com.amazonaws.sqs#InvalidAddress", "InvalidAddress"),
            SqsFault::InvalidParameter(_) => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            SqsFault::MissingParameter(_) => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            SqsFault::InvalidMessageContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            SqsFault::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            SqsFault::EmptyBatch => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            SqsFault::TooManyEntries => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            SqsFault::EntryIdsNotDistinct => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            SqsFault::InvalidEntryId => {
                ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId")
            }
            SqsFault::BatchTooLong => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            SqsFault::NotRecorded => {
                ("com.amazon.coral.service#ServiceUnavailableException", "ServiceUnavailable")
            }
        }
    }

    pub fn query_code(self) -> &'static str {
        self.names().1
    }

    /// What it is about, without repeating what was sent.
    pub fn message(self) -> String {
        match self {
            SqsFault::InvalidParameter(name) => format!("Value for parameter {name} is invalid."),
            SqsFault::MissingParameter(name) => format!("The request must contain the parameter {name}."),
            other => other.query_code().rsplit('.').next().unwrap_or_default().to_owned(),
        }
    }

    pub fn json(self) -> Vec<u8> {
        json!({"__type": self.names().0, "message": self.message()}).to_string().into_bytes()
    }
}
