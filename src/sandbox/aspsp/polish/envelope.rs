//! What every request has around what it asks: the headers, word for word, and the body's own head.
//!
//! **Owns** nothing.
//! **Fails** with a complaint: 406 and 415 for what is spoken, 401 for signatures and tokens, 422 for the rest.
//! **Limits**: every call here is unattended, so one that says that its holder is there is false.

use axum::http::Method;
use serde::de::DeserializeOwned;
use uuid::{Uuid, Variant};

use super::wire::{Headed, RequestHeader};
use super::{Ask, Asked, Bank, Note, Refusal};
use crate::sandbox::aspsp::consent::Consent;

/// Checks the headers of any call.
pub fn check_headers(asked: Asked, ask: &Ask, note: &mut Note) -> Result<(), Refusal> {
    let fault = |status, code: &str, text: &str| Err(Refusal::complaint(status, code, text));
    if ask.method != Method::POST {
        return fault(405, "METHOD", "all is asked for by POST");
    }
    note.request_id = ask.header("x-request-id").map(str::to_owned);
    if ask.query.is_some() {
        return fault(400, "QUERY", "no parameters in the address");
    }
    let kind = ask.header("content-type").unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return fault(415, "CONTENT_TYPE", "a body is application/json");
    }
    if !matches!(ask.header("accept-encoding"), Some("gzip" | "deflate")) {
        return fault(406, "ACCEPT_ENCODING", "Accept-Encoding is gzip or deflate, and nothing else");
    }
    if ask.header("accept-charset") != Some("utf-8") {
        return fault(406, "ACCEPT_CHARSET", "Accept-Charset is utf-8, and nothing else");
    }
    if ask.header("accept-language").is_none_or(str::is_empty) {
        return fault(406, "ACCEPT_LANGUAGE", "Accept-Language is missing");
    }
    if note.request_id.as_deref().and_then(read_uuid).is_none() {
        return fault(422, "X_REQUEST_ID", "X-REQUEST-ID is no UUID of version 1, or is missing");
    }
    let Some(signature) = ask.header("x-jws-signature") else {
        return fault(422, "X_JWS_SIGNATURE", "X-JWS-SIGNATURE is missing");
    };
    if let Err(why) = ask.keys.check_jws(signature, ask.body) {
        return fault(401, "X_JWS_SIGNATURE", why);
    }
    match (asked.has_bearer(), ask.header("authorization")) {
        (true, None) => fault(401, "TOKEN_MISSING", "Authorization is missing"),
        (false, Some(_)) => fault(400, "AUTHORIZATION", "no Authorization is declared for this"),
        _ => Ok(()),
    }
}

/// Reads a body and checks its head.
pub fn read<T: DeserializeOwned + Headed>(bank: &mut Bank, ask: &Ask, note: &Note) -> Result<T, Refusal> {
    let fault = |text: String| Refusal::complaint(422, "BODY", text);
    let request: T = serde_json::from_slice(ask.body).map_err(|error| {
        let text = error.to_string();
        let is_ours =
            ["unknown field", "missing field", "duplicate field"].iter().any(|start| text.starts_with(start));
        // The parser's other words could repeat a value.
        fault(if is_ours { text } else { format!("wrong at column {}", error.column()) })
    })?;
    let header = request.header();
    if note.request_id.as_deref() != Some(header.request_id.as_str()) {
        return Err(fault("requestHeader.requestId is not X-REQUEST-ID".to_owned()));
    }
    if header.is_direct_psu == Some(true) || header.ip_address.is_some() {
        return Err(fault("a holder who is not there".to_owned()));
    }
    if header.send_date.as_ref().is_some_and(|date| chrono::DateTime::parse_from_rfc3339(date).is_err()) {
        return Err(fault("requestHeader.sendDate is no date-time".to_owned()));
    }
    let request_id = Uuid::try_parse(&header.request_id).unwrap_or_default();
    if !bank.is_new(request_id.as_u128()) {
        return Err(fault("X-REQUEST-ID came before".to_owned()));
    }
    Ok(request)
}

/// The fields of a head that only some operations have must be missing in all others.
pub fn has_no(header: &RequestHeader, callback: bool, direct: bool) -> Result<(), Refusal> {
    let calls_back = header.callback_url.is_some() || header.api_key.is_some();
    if (calls_back && !callback) || (header.is_direct_psu.is_some() && !direct) {
        return Err(Refusal::complaint(
            422,
            "BODY",
            "the head has a field that this operation does not know",
        ));
    }
    Ok(())
}

/// The consent of the token in both places, as long as both are good.
pub fn consent(bank: &Bank, header: &RequestHeader, ask: &Ask, note: &mut Note) -> Result<Consent, Refusal> {
    let Some(token) = header.token.as_deref() else {
        return Err(Refusal::complaint(422, "BODY", "requestHeader.token is missing"));
    };
    if ask.bearer() != Some(token) {
        return Err(Refusal::complaint(401, "TOKEN_DIFFERS", "Authorization and requestHeader.token differ"));
    }
    of_token(bank, token, ask, note)
}

/// The consent of a token, as long as both are good.
pub fn of_token(bank: &Bank, token: &str, ask: &Ask, note: &mut Note) -> Result<Consent, Refusal> {
    let ended = || Refusal::new(401, "TOKEN_INVALID", "the token is unknown or has ended");
    let id = bank.consent_of_token(token, ask.now, ask.epoch).ok_or_else(ended)?;
    note.consent = Some(id.clone());
    bank.open_consent(&id, ask.now)
}

/// Of version 1, in the form with hyphens.
fn read_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    (uuid.get_version_num() == 1 && uuid.get_variant() == Variant::RFC4122).then_some(uuid)
}
