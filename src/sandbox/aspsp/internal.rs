//! The replaced scheduler's own route: a service between it and the banks, asked once for each user.
//!
//! **Owns** nothing; it stands at each bank's door, so that it can misbehave like one.
//! **Fails** with 400 when it is asked otherwise.
//! **Limits**: no page says how it is told whose accounts are meant; here it is the parameter `userId`. It reads nothing at
//! any bank, and its answer is the sandbox's own.

use axum::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::ask::{Ask, Note, Refusal, Told};

pub const PATH: &str = "/bankaccount";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(rename = "RefreshActiveAccounts")]
    refresh_active_accounts: bool,
    #[serde(rename = "userId")]
    user_id: String,
}

pub fn answer(ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let fault = |text| Err(Refusal::complaint(400, "bad_request", text));
    note.request_id = ask.header("x-request-id").map(str::to_owned);
    if ask.method != Method::GET || !ask.body.is_empty() {
        return fault("asked for by GET, without a body");
    }
    let query = format!("/?{}", ask.query.unwrap_or_default()).parse().ok();
    let wanted = query.and_then(|uri| axum::extract::Query::<Wanted>::try_from_uri(&uri).ok());
    let Some(axum::extract::Query(wanted)) = wanted else {
        return fault("the parameters are RefreshActiveAccounts and userId");
    };
    if !wanted.refresh_active_accounts || wanted.user_id.is_empty() {
        return fault("nobody's accounts are to be refreshed");
    }
    note.consent = Some(wanted.user_id);
    match refuse {
        Some(code) => Err(Refusal::scripted(code)),
        None => Ok(Told::of(&json!({"refreshed": true}))),
    }
}
