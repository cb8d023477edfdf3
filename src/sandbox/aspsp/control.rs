//! Steers the banks from another process, over HTTP and JSON, beside the rest of the sandbox's control.
//!
//! **Owns** nothing.
//! **Fails** with 400 or 422 when a request is not understood; a bank that is not there is nobody's loss.
//! **Limits**: loopback, like the rest; whoever reaches it may do everything.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::NaiveDate;
use serde::Deserialize;

use super::{
    AspspAccount, AspspBulk, AspspBundle, AspspCall, AspspConsent, AspspEntry, AspspIds, AspspPayment,
    AspspRecurring, AspspRules, AspspTokens, Aspsps, PageTrap,
};

pub fn router(banks: Aspsps) -> Router {
    Router::new()
        .route("/aspsps/calls", get(calls))
        .route("/aspsps/move-on", post(move_on))
        .route("/aspsps/{bank}/bulk", post(bulk))
        .route("/aspsps/{bank}/consent", post(consent))
        .route("/aspsps/{bank}/do", post(act))
        .with_state(banks)
}

/// What is done to a bank.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Deed {
    Rules(AspspRules),
    Account(AspspAccount),
    Close { iban: String },
    Block { iban: String, blocked: bool },
    Entry { iban: String, entry: AspspEntry },
    TakeEntry { iban: String, id: String },
    Ids { iban: String, ids: AspspIds },
    Trap { iban: String, trap: Option<PageTrap> },
    ConsentStatus { id: String, status: Option<String> },
    ValidUntil { id: String, day: NaiveDate },
    EndAccess { consent: String },
    EndTokens { consent: String },
    Payment(AspspPayment),
    Bundle(AspspBundle),
    Recurring(AspspRecurring),
    Settle { payment: String, status: String },
}

async fn act(State(banks): State<Aspsps>, Path(bank): Path<u8>, Json(deed): Json<Deed>) -> StatusCode {
    let bank = banks.bank(bank);
    match deed {
        Deed::Rules(rules) => bank.set_rules(rules),
        Deed::Account(account) => bank.put_account(account),
        Deed::Close { iban } => bank.close_account(&iban),
        Deed::Block { iban, blocked } => bank.block_account(&iban, blocked),
        Deed::Entry { iban, entry } => bank.put_entry(&iban, entry),
        Deed::TakeEntry { iban, id } => bank.take_entry(&iban, &id),
        Deed::Ids { iban, ids } => bank.set_ids(&iban, ids),
        Deed::Trap { iban, trap } => bank.set_trap(&iban, trap),
        Deed::ConsentStatus { id, status } => bank.set_consent_status(&id, status.as_deref()),
        Deed::ValidUntil { id, day } => bank.set_valid_until(&id, day),
        Deed::EndAccess { consent } => bank.end_access(&consent),
        Deed::EndTokens { consent } => bank.end_tokens(&consent),
        Deed::Payment(payment) => bank.put_payment(payment),
        Deed::Bundle(bundle) => bank.put_bundle(bundle),
        Deed::Recurring(recurring) => bank.put_recurring(recurring),
        Deed::Settle { payment, status } => bank.settle(&payment, &status),
    }
    StatusCode::NO_CONTENT
}

async fn bulk(State(banks): State<Aspsps>, Path(bank): Path<u8>, Json(bulk): Json<AspspBulk>) -> StatusCode {
    banks.bank(bank).put_bulk(bulk);
    StatusCode::NO_CONTENT
}

/// Answers the consent's tokens.
async fn consent(
    State(banks): State<Aspsps>,
    Path(bank): Path<u8>,
    Json(consent): Json<AspspConsent>,
) -> Json<AspspTokens> {
    Json(banks.bank(bank).put_consent(consent))
}

async fn calls(State(banks): State<Aspsps>) -> Json<Vec<AspspCall>> {
    Json(banks.calls())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct By {
    seconds: u64,
}

async fn move_on(State(banks): State<Aspsps>, Json(by): Json<By>) -> StatusCode {
    banks.move_on(Duration::from_secs(by.seconds));
    StatusCode::NO_CONTENT
}
