//! OAuth's token endpoint, where a refresh token is turned into another access token (RFC 6749 §6).
//!
//! **Owns** nothing; the bank has the tokens.
//! **Fails** with OAuth's errors.
//! **Limits**: refresh tokens alone; a caller is known by a Basic header, or by its id in the form.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::{Ask, Bank, Refusal, Told};
use crate::sandbox::aspsp::tokens::Unrefreshed;
use crate::sandbox::ledger::{Effect, EffectKind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    grant_type: String,
    refresh_token: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

pub fn answer(bank: &mut Bank, ask: &Ask, refuse: Option<&str>) -> Result<Told, Refusal> {
    if ask.method != Method::POST {
        return Err(Refusal::complaint(405, "invalid_request", "tokens are asked for by POST"));
    }
    let Some(form) = read_form(ask) else {
        return Err(Refusal::complaint(400, "invalid_request", "the form is not OAuth's"));
    };
    if !is_client(ask, &form) {
        return Err(Refusal::complaint(401, "invalid_client", "nobody knows this caller"));
    }
    if form.grant_type != "refresh_token" {
        return Err(Refusal::complaint(400, "unsupported_grant_type", "only refresh_token"));
    }
    if let Some(code) = refuse {
        return Err(Refusal::scripted(code));
    }
    let ttl_s = bank.rules.access_ttl_s;
    match bank.tokens.refresh(&form.refresh_token, bank.rules.rotation) {
        Ok(consent) => {
            let fresh = bank.tokens.issue(&consent, ask.now, ttl_s, ask.epoch);
            let mut answer =
                json!({"access_token": fresh.access, "token_type": "Bearer", "expires_in": ttl_s});
            if bank.rules.rotation {
                answer["refresh_token"] = json!(fresh.refresh);
            }
            if let Some(scope) = form.scope {
                answer["scope"] = json!(scope);
            }
            Ok(Told { effects: vec![refreshed(bank, &consent)], ..Told::of(&answer) })
        }
        Err(unrefreshed) => Err(invalid(bank, 400, "invalid_grant", unrefreshed)),
    }
}

/// Somebody has other tokens from now on.
pub fn refreshed(bank: &Bank, consent: &str) -> Effect {
    let key = format!("{}:{consent}", bank.number);
    Effect::now(EffectKind::AspspTokenRefreshed, key, json!({"rotation": bank.rules.rotation}))
}

/// A refresh token that gives nothing; one that came a second time is worth a line in the ledger.
pub fn invalid(bank: &Bank, status: u16, code: &str, unrefreshed: Unrefreshed) -> Refusal {
    let mut refusal = Refusal::new(status, code, "the refresh token is not good, or not any more");
    if let Unrefreshed::Spent(consent) = unrefreshed {
        let key = format!("{}:{consent}", bank.number);
        refusal.effects.push(Effect::now(EffectKind::AspspTokenReused, key, json!({})));
    }
    refusal
}

fn is_client(ask: &Ask, form: &Request) -> bool {
    let basic = STANDARD.encode(format!("{}:{}", ask.client_id, ask.client_secret));
    let by_header = ask.header("authorization") == Some(format!("Basic {basic}").as_str());
    let secret = form.client_secret.as_deref();
    let by_form = form.client_id.as_deref() == Some(ask.client_id)
        && secret.is_none_or(|secret| secret == ask.client_secret);
    // Two ways at once are one too many, by the same section.
    by_form != by_header
}

fn read_form(ask: &Ask) -> Option<Request> {
    let kind = ask.header("content-type")?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    // The query extractor reads the same encoding, and an address is the way to hand it text.
    let uri = format!("/?{}", std::str::from_utf8(ask.body).ok()?).parse().ok()?;
    axum::extract::Query::try_from_uri(&uri).ok().map(|query| query.0)
}
