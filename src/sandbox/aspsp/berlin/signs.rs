//! A call's name, signature and manners: the headers that a bank insists on, and those that it will not have.
//!
//! **Owns** nothing.
//! **Fails** with a complaint in the standard's codes.
//! **Limits**: every call here is unattended, so a header about a holder's device is a false claim.

use axum::http::Method;
use uuid::Uuid;

use super::{Ask, Bank, Note, Refusal};

/// Checks the headers of any call but OAuth's.
pub fn check_headers(bank: &mut Bank, ask: &Ask, note: &mut Note) -> Result<(), Refusal> {
    let format = |text: &str| Err(Refusal::complaint(400, "FORMAT_ERROR", text));
    if ask.method != Method::GET {
        return Err(Refusal::complaint(405, "SERVICE_INVALID", "this place is only read here"));
    }
    note.request_id = ask.header("x-request-id").map(str::to_owned);
    let Some(request_id) = note.request_id.as_deref().and_then(read_uuid) else {
        return format("X-Request-ID is no UUID, or is missing");
    };
    if !bank.is_new(request_id.as_u128()) {
        return format("X-Request-ID came before");
    }
    if ask.headers.keys().any(|name| name.as_str().starts_with("psu-")) {
        return format("a header about a holder who is not there");
    }
    if !ask.body.is_empty() {
        return format("a read has no body");
    }
    let accept = ask.header("accept").unwrap_or("*/*");
    let takes_json = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        matches!(kind, "application/json" | "application/*" | "*/*")
    };
    if !accept.split(',').any(takes_json) {
        return Err(Refusal::complaint(406, "REQUESTED_FORMATS_INVALID", "this bank speaks JSON"));
    }
    let is_signed = ["signature", "digest", "tpp-signature-certificate"]
        .iter()
        .any(|name| ask.headers.contains_key(*name));
    if !is_signed && bank.rules.signatures {
        return Err(Refusal::complaint(401, "SIGNATURE_MISSING", "this bank wants signed requests"));
    }
    if is_signed && let Err(why) = ask.keys.check_message(ask) {
        return Err(Refusal::complaint(401, "SIGNATURE_INVALID", why));
    }
    Ok(())
}

/// A UUID in the form with hyphens, which is the one that the standard has.
fn read_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}
