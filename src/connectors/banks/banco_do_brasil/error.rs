//! From the bank's answers to what the caller does next.
//!
//! **Owns** nothing. The bank speaks of errors in three shapes; only one that carries a business code is the bank's
//! own word. **Fails** towards the unknown: what is in no shape, or in one without a code, decides nothing.

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::banks::BankError;
use crate::connectors::banks::faults::unavailable;
use crate::connectors::banks::values::text;
use crate::connectors::http::Answer;
use crate::domain::boleto::BankResponse;

use super::config::BancoDoBrasilConfig;

const MESSAGE_CHARS_MAX: usize = 500;

/// Who spoke, and what they said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The bank itself, with the codes of all that it complains of; never empty.
    Business(Vec<BankResponse>),
    /// The gateway before it, which lets nothing through that it complains of.
    Gateway,
    /// Nobody can say.
    Unreadable,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    erros: Vec<BusinessError>,
    #[serde(default)]
    errors: Vec<BusinessError>,
    #[serde(rename = "statusCode")]
    status_code: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct BusinessError {
    #[serde(alias = "codigoMensagem", alias = "code")]
    codigo: Option<Value>,
    #[serde(alias = "textoMensagem", alias = "message")]
    mensagem: Option<Value>,
}

impl Complaint {
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return Self::Unreadable };
        let said: Vec<_> = body
            .erros
            .into_iter()
            .chain(body.errors)
            .filter_map(|error| {
                let code = text(error.codigo?)?;
                let message = error.mensagem.and_then(text).unwrap_or_default();
                Some(BankResponse { code, message: message.chars().take(MESSAGE_CHARS_MAX).collect() })
            })
            .collect();
        if !said.is_empty() {
            Self::Business(said)
        } else if body.status_code.is_some() && body.error.is_some() {
            Self::Gateway
        } else {
            Self::Unreadable
        }
    }
}

/// What an answer to a registration means that is neither a success nor 401.
pub(super) fn of_registration(answer: &Answer, config: &BancoDoBrasilConfig) -> BankError {
    let status = answer.status.as_u16();
    let unknown = |what: &str| BankError::OutcomeUnknown { reason: format!("{what} with status {status}") };
    let misconfigured =
        |what: &str| BankError::Misconfigured { reason: format!("{what} with status {status}") };
    match status {
        403 => return misconfigured("access denied"),
        429 => return unavailable(answer, "too many requests"),
        400..=499 if status != 408 => {}
        _ => return unknown("no decision"),
    }
    match Complaint::read(&answer.body) {
        Complaint::Business(said) => {
            let among = |codes: &[String]| said.iter().find(|one| codes.contains(&one.code)).cloned();
            if let Some(response) = among(&config.already_on_file_codes) {
                return BankError::AlreadyOnFile { response };
            }
            if let Some(response) = among(&config.unknown_codes) {
                return unknown(&format!("code {}", response.code));
            }
            let response = said.into_iter().next().expect("a business complaint holds at least one code");
            match status {
                400 | 422 => BankError::Refused { response },
                409 => BankError::AlreadyOnFile { response },
                _ => misconfigured(&format!("code {}", response.code)),
            }
        }
        _ if status == 409 => BankError::AlreadyOnFile {
            response: BankResponse { code: "409".to_owned(), message: String::new() },
        },
        Complaint::Gateway => misconfigured("the gateway refused the request"),
        Complaint::Unreadable => unknown("unreadable error"),
    }
}

/// What an answer to a change of a title on file means that is neither a success nor 401. The bank's own no says nothing
/// about why: the title may have ended, or may have been changed before.
pub(super) fn of_change(answer: &Answer, config: &BancoDoBrasilConfig) -> BankError {
    let status = answer.status.as_u16();
    let unknown = |what: &str| BankError::OutcomeUnknown { reason: format!("{what} with status {status}") };
    match status {
        403 => BankError::Misconfigured { reason: "access denied with status 403".to_owned() },
        429 => unavailable(answer, "too many requests"),
        400..=499 if status != 408 => match Complaint::read(&answer.body) {
            Complaint::Business(said) if said.iter().any(|one| config.unknown_codes.contains(&one.code)) => {
                unknown("a code that decides nothing")
            }
            Complaint::Business(said) => {
                let response = said.into_iter().next().expect("a business complaint holds at least one code");
                BankError::Refused { response }
            }
            Complaint::Gateway => {
                let reason = format!("the gateway refused the request with status {status}");
                BankError::Misconfigured { reason }
            }
            Complaint::Unreadable => unknown("unreadable error"),
        },
        _ => unknown("no decision"),
    }
}

/// What an answer to a look-up means that is neither a success nor 401. `None` means that there is no such title.
pub(super) fn of_look_up(answer: &Answer, config: &BancoDoBrasilConfig) -> Option<BankError> {
    let status = answer.status.as_u16();
    let misconfigured =
        |what: &str| Some(BankError::Misconfigured { reason: format!("{what} with status {status}") });
    match status {
        403 => return misconfigured("access denied"),
        400..=499 if !matches!(status, 408 | 429) => {}
        _ => return Some(unavailable(answer, "no answer to a look-up")),
    }
    match Complaint::read(&answer.body) {
        // A path that a gateway does not know is answered with 404 too, which says nothing about the title.
        Complaint::Business(_) if status == 404 => None,
        Complaint::Business(said) if said.iter().any(|one| config.not_found_codes.contains(&one.code)) => {
            None
        }
        Complaint::Business(said) => misconfigured(&format!("look-up refused by code {}", said[0].code)),
        Complaint::Gateway => misconfigured("the gateway refused the look-up"),
        Complaint::Unreadable => Some(unavailable(answer, "unreadable error")),
    }
}
