//! What a bank's complaint means, for banks that complain with a status and codes of their own.
//!
//! **Owns** nothing; each bank's folder reads its own shapes. **Fails** towards the unknown: only a complaint with a
//! code is the bank's own word, and only with a status that means a decision is it a no.

use serde_json::Value;

use super::faults::unavailable;
use super::{BankError, values};
use crate::connectors::http::Answer;
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::amendment::AmendPart;

const MESSAGE_CHARS_MAX: usize = 500;

/// All that the bank complains of; none where nothing can be read, or nothing has a code.
pub(super) type Complaints = Vec<BankResponse>;

/// Codes that do not mean a no, by configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// There is a title under this number, or this key.
    pub on_file: &'a [String],
    /// There is none.
    pub not_found: &'a [String],
    /// Nobody has decided anything.
    pub unknown: &'a [String],
}

/// Code and words of one complaint, where it has a code.
pub(super) fn complaint(code: Option<Value>, message: Option<Value>) -> Option<BankResponse> {
    let code = values::text(code?)?;
    let message = message.and_then(values::text).unwrap_or_default();
    Some(BankResponse { code, message: message.chars().take(MESSAGE_CHARS_MAX).collect() })
}

/// What an answer to a registration means that is neither a success nor 401.
pub(super) fn of_registration(answer: &Answer, said: &Complaints, known: Known<'_>) -> BankError {
    match decision(answer, said, known) {
        Ok(response) if answer.status == 409 || known.on_file.contains(&response.code) => {
            BankError::AlreadyOnFile { response }
        }
        Ok(response) if matches!(answer.status.as_u16(), 400 | 422) => BankError::Refused { response },
        Ok(response) => misconfigured(answer, &format!("code {}", response.code)),
        Err(_) if answer.status == 409 => BankError::AlreadyOnFile {
            response: BankResponse { code: "409".to_owned(), message: String::new() },
        },
        Err(error) => error,
    }
}

/// What an answer to a change of a title means that is neither a success nor 401: that there is no such title, or that
/// its state forbids it, is a no.
pub(super) fn of_change(answer: &Answer, said: &Complaints, known: Known<'_>) -> BankError {
    match decision(answer, said, known) {
        Ok(response) if matches!(answer.status.as_u16(), 400 | 404 | 409 | 422) => {
            BankError::Refused { response }
        }
        Ok(response) => misconfigured(answer, &format!("code {}", response.code)),
        Err(error) => error,
    }
}

/// What a success means that answers a change. No public source says what a bank says with it, but a page for people or
/// half an answer is none of its words: what became of it is to be looked at.
///
/// # Errors
/// `OutcomeUnknown` where it could be anybody's.
pub(super) fn done(answer: &Answer) -> Result<BankResponse, BankError> {
    let status = answer.status.as_u16();
    let said_nothing = answer.body.trim_ascii().is_empty();
    let is_said = if said_nothing {
        matches!(status, 202 | 204)
    } else {
        serde_json::from_slice::<serde_json::Map<String, Value>>(&answer.body).is_ok()
    };
    if !is_said {
        return Err(BankError::OutcomeUnknown { reason: format!("unreadable answer with status {status}") });
    }
    Ok(BankResponse { code: status.to_string(), message: String::new() })
}

/// What an answer to a look-up means that is neither a success nor 401. `None`: there is no such title.
pub(super) fn of_question(answer: &Answer, said: &Complaints, known: Known<'_>) -> Option<BankError> {
    match answer.status.as_u16() {
        403 => return Some(misconfigured(answer, "access denied")),
        400..=499 if !matches!(answer.status.as_u16(), 408 | 429) => {}
        _ => return Some(unavailable(answer, "no answer to a look-up")),
    }
    match said.first() {
        // A path that a gateway does not know is answered with 404 too, which says nothing about the title.
        None => Some(unavailable(answer, "unreadable error")),
        Some(_) if answer.status == 404 || among(said, known.not_found).is_some() => None,
        Some(response) => Some(misconfigured(answer, &format!("look-up refused by code {}", response.code))),
    }
}

/// One part of a change has been made, the next was not.
pub(super) fn after_a_part(error: BankError, part: AmendPart) -> BankError {
    match error {
        BankError::Refused { response } => BankError::Disagrees { response, parts: vec![part.as_str()] },
        other => {
            let reason = format!("changed in part, then {}: {other}", part.as_str());
            BankError::OutcomeUnknown { reason }
        }
    }
}

/// The bank's own word, where there is one, and else what its silence means.
fn decision(answer: &Answer, said: &Complaints, known: Known<'_>) -> Result<BankResponse, BankError> {
    let status = answer.status.as_u16();
    let unknown = |what: &str| BankError::OutcomeUnknown { reason: format!("{what} with status {status}") };
    match status {
        403 => return Err(misconfigured(answer, "access denied")),
        429 => return Err(unavailable(answer, "too many requests")),
        400..=499 if status != 408 => {}
        _ => return Err(unknown("no decision")),
    }
    if let Some(response) = among(said, known.on_file) {
        return Ok(response.clone());
    }
    if let Some(response) = among(said, known.unknown) {
        return Err(unknown(&format!("code {}", response.code)));
    }
    said.first().cloned().ok_or_else(|| unknown("unreadable error"))
}

fn among<'a>(said: &'a Complaints, codes: &[String]) -> Option<&'a BankResponse> {
    said.iter().find(|one| codes.contains(&one.code))
}

fn misconfigured(answer: &Answer, what: &str) -> BankError {
    BankError::Misconfigured { reason: format!("{what} with status {}", answer.status.as_u16()) }
}
