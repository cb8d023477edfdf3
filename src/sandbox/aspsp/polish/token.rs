//! The token endpoint, where a refresh token is turned into another access token.
//!
//! **Owns** nothing; the bank has the tokens.
//! **Fails** with 401 for a refresh token that is not good, or not any more.
//! **Limits**: refresh tokens alone; every account of a consent has the same privileges.

use serde_json::{Value, json};

use super::envelope::{self, has_no};
use super::wire::TokenRequest;
use super::{Ask, Bank, Note, Refusal, Told, header, moment, play};
use crate::sandbox::aspsp::berlin::{invalid, refreshed};
use crate::sandbox::aspsp::consent::Consent;

pub fn answer(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: TokenRequest = envelope::read(bank, ask, note)?;
    has_no(&request.request_header, false, false)?;
    let fault = |text| Err(Refusal::complaint(422, "BODY", text));
    if request.request_header.token.is_some() {
        return fault("the head has no token here");
    }
    if request.grant_type != "refresh_token" {
        return Err(Refusal::complaint(400, "GRANT_TYPE", "only refresh_token"));
    }
    if request.is_user_session == Some(true) || request.user_ip.is_some() {
        return fault("a holder who is not there");
    }
    if request.client_id.as_deref() != Some(ask.client_id) {
        return Err(Refusal::complaint(401, "CLIENT_UNKNOWN", "nobody knows this caller"));
    }
    let Some(refresh) = &request.refresh_token else { return fault("refresh_token is missing") };
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let renewed = bank.tokens.refresh(refresh, bank.rules.rotation);
    let id = renewed.map_err(|unrefreshed| invalid(bank, 401, "REFRESH_TOKEN_INVALID", unrefreshed))?;
    note.consent = Some(id.clone());
    let consent = bank.open_consent(&id, ask.now)?;
    let ttl_s = bank.rules.access_ttl_s;
    let fresh = bank.tokens.issue(&id, ask.now, ttl_s, ask.epoch);
    let mut answer = json!({
        "responseHeader": header(ask, note),
        "access_token": fresh.access,
        "token_type": "Bearer",
        // A text, by the standard.
        "expires_in": ttl_s.to_string(),
        "scope": "ais",
        "scope_details": scope(bank, &consent),
    });
    if bank.rules.rotation {
        answer["refresh_token"] = json!(fresh.refresh);
    }
    Ok(Told { effects: vec![refreshed(bank, &id)], ..Told::of(&answer) })
}

fn scope(bank: &Bank, consent: &Consent) -> Value {
    let limit = if consent.about.single { "single" } else { "multiple" };
    let simple = json!({"scopeUsageLimit": limit});
    let list = json!({"scopeUsageLimit": limit, "maxAllowedHistoryLong": bank.rules.history_days});
    let privileges = |number: &String| {
        json!({
            "accountNumber": number,
            "ais-accounts:getAccounts": simple,
            "ais:getAccount": simple,
            "ais:getHolds": list,
            "ais:getTransactionsDone": list,
            "ais:getTransactionsPending": list,
        })
    };
    let privileges: Vec<_> = consent.about.accounts.iter().map(privileges).collect();
    let last =
        consent.about.valid_until.and_time(chrono::NaiveTime::MIN).and_utc() + chrono::Duration::days(1);
    json!({
        "privilegeList": privileges,
        "consentId": consent.about.id,
        "scopeTimeLimit": moment(last, bank.rules.zoneless),
        "throttlingPolicy": "psd2Regulatory",
    })
}
