//! The errors of PolishAPI: a code of the ASPSP's own, and a sentence.
//!
//! **Owns** nothing. **Fails** never: a body that is no error leaves the decision to the status.
//! **Limits**: the standard declares no 404. Where one comes all the same, our path or version is wrong, unless the settings know
//! its code; an unknown payment comes back under some other code that the settings have to name.

use serde::Deserialize;

use super::wire::ResponseHeader;
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::error::{self, Complaint, Meaning};
use crate::connectors::aspsps::text::{object_or_none, word};
use crate::connectors::aspsps::{AspspError, CallRecord};
use crate::connectors::http::Answer;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    #[serde(rename = "responseHeader", deserialize_with = "object_or_none")]
    header: Option<ResponseHeader>,
    #[serde(deserialize_with = "word")]
    code: Option<String>,
    #[serde(deserialize_with = "word")]
    message: Option<String>,
    /// Of a refusal to grant a token (RFC 6749, section 5.2).
    #[serde(deserialize_with = "word")]
    error: Option<String>,
}

/// What an answer without success means.
pub(super) fn of_answer(answer: &Answer, config: &AspspConfig, call: &mut CallRecord) -> AspspError {
    let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    call.keep_answer_id(body.header.as_ref().and_then(|header| header.request_id.as_deref()));
    let codes = body.code.into_iter().chain(body.error).collect();
    let complaint = Complaint { codes, text: body.message.unwrap_or_default() };
    let settings = |code: &str| config.codes.meaning(code);
    let of_status = |status| error::of_status(status, Meaning::Misconfigured);
    error::of_answer(answer, &complaint, settings, of_code, of_status)
}

/// The codes that are no ASPSP's own: those of OAuth2.
fn of_code(_status: u16, code: &str) -> Option<Meaning> {
    match code {
        "invalid_grant" => Some(Meaning::Unauthorised),
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" => Some(Meaning::Misconfigured),
        _ => None,
    }
}
