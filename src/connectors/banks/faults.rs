//! What calls without a usable answer mean, the same for every bank.
//!
//! **Owns** nothing. **Fails** towards the unknown: bytes that may have left leave the outcome open.

use chrono::Utc;

use super::BankError;
use crate::connectors::http::{Answer, HttpError};

/// A call that changes something at the bank, without an answer.
pub(super) fn of_lost_change(error: &HttpError) -> BankError {
    if error.may_have_been_sent() {
        BankError::OutcomeUnknown { reason: error.to_string() }
    } else {
        of_lost_question(error)
    }
}

/// A question (sign-in, look-up) without an answer.
pub(super) fn of_lost_question(error: &HttpError) -> BankError {
    match error {
        HttpError::Forbidden(_) => BankError::Misconfigured { reason: error.to_string() },
        _ => BankError::Unavailable { retry_after: None, reason: error.to_string() },
    }
}

/// What an answer of the token endpoint means that grants nothing. No boleto was sent, hence nothing is unknown.
pub(super) fn of_sign_in(answer: &Answer) -> BankError {
    match answer.status.as_u16() {
        status @ (400 | 401 | 403 | 404) => {
            BankError::Misconfigured { reason: format!("sign-in refused with status {status}") }
        }
        _ => unavailable(answer, "sign-in failed"),
    }
}

/// The bank kept nothing of it; it says itself when to ask again, or does not.
pub(super) fn unavailable(answer: &Answer, what: &str) -> BankError {
    BankError::Unavailable {
        retry_after: answer.retry_after(Utc::now()),
        reason: format!("{what}: status {}", answer.status.as_u16()),
    }
}
