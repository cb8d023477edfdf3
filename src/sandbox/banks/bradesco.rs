//! Bradesco's two older doors, `apiregistro` and ShopFacil, which are apart but speak alike: Basic sign-in, one JSON POST,
//! and a `status` with a code and a text.
//!
//! **Owns** the titles of both, each door's apart.
//! **Fails** with status 200 and the bank's code; without a sign-in with 401 and `{}`.
//! **Limits**: one merchant, whose agency and account only ShopFacil's answer needs. Neither door tells what is on file,
//! changes it or takes it off. A scripted code that means "registered" or "in progress" keeps the title.

mod apiregistro;
mod shopfacil;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::boleto_api::KEPT_CODES;
use super::desk::{AtDesk, Desk, Filing, REFUSED_CENTS, unusable};
use super::file::{Paper, Till, same_number};
use super::schema::NumberOrText;
use crate::sandbox::BankOptions;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::BankName;

/// The number is taken.
pub const ALREADY_ON_FILE: &str = "9300574";
/// What breaks the schema or a rule.
pub const INVALID: &str = "930052";
/// The refusal that the magic amount asks for.
pub const MAGIC_REFUSAL: &str = "930054";

/// Where the merchant's money goes: the agency and account of the replaced service's own settings.
pub const AGENCY: u64 = 3_381;
pub const ACCOUNT: u64 = 9_721;

/// A title on file.
#[derive(Clone)]
pub struct Slip {
    key: String,
    wallet: u64,
    number: u64,
    cents: u64,
    due: NaiveDate,
}

impl Paper for Slip {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn answers_to(&self, text: &str) -> bool {
        if self.key == text || same_number(&self.number.to_string(), text) {
            return true;
        }
        // The house computes the codes itself, with an agency and an account that this bank is never told. What the bank
        // does know of them is enough: wallet, number and amount.
        let (free_field, cents) = match text.len() {
            44 if text.is_ascii() => (text[19..].to_owned(), &text[9..19]),
            47 if text.is_ascii() => ([&text[4..9], &text[10..20], &text[21..31]].concat(), &text[37..]),
            _ => return false,
        };
        let own = format!("{:02}{:011}", self.wallet, self.number);
        text.starts_with("2379") && free_field[4..17] == own && cents == format!("{:010}", self.cents)
    }
}

/// One of the two doors.
struct Door {
    desk: Desk<Slip>,
    merchant: String,
    key: String,
}

impl AtDesk for Door {
    type Paper = Slip;

    fn desk(&self) -> &Desk<Slip> {
        &self.desk
    }
}

/// Both doors on one socket, and the counters at which their titles are paid.
pub fn open(outside: &Arc<Outside>, options: &BankOptions) -> (Router, [Arc<dyn Till>; 2]) {
    let door = |name| {
        Arc::new(Door {
            desk: Desk::new(name, outside.clone()),
            merchant: options.client_id.clone(),
            key: options.client_secret.clone(),
        })
    };
    let (registry, shop) = (door(BankName::BradescoApiregistro), door(BankName::BradescoShopfacil));
    let tills = [registry.desk.till(), shop.desk.till()];
    let registry = Router::new().route("/apiregistro/api", post(apiregistro::register)).with_state(registry);
    let shop = Router::new().route("/shopfacil/{*any}", post(shopfacil::register)).with_state(shop);
    let nothing = async || (StatusCode::NOT_FOUND, Json(json!({})));
    (registry.merge(shop).fallback(nothing), tills)
}

impl Door {
    fn slip(&self, wallet: u64, number: u64, cents: u64, due: NaiveDate) -> Slip {
        let key = self.desk.key(&self.merchant, &number.to_string());
        Slip { key, wallet, number, cents, due }
    }

    /// Files a title that broke no rule, or not, as the script says; `more` goes beside the status of a success.
    async fn decide(&self, slip: Slip, refuse: Option<String>, more: Value) -> Response {
        let (cents, due, number) = (slip.cents, slip.due, slip.number.to_string());
        if let Some(code) = &refuse
            && !KEPT_CODES.contains(&code.as_str())
        {
            return self.refuse(slip.key, Some(cents), code, "registro recusado").await;
        }
        if cents == REFUSED_CENTS {
            return self.refuse(slip.key, Some(cents), MAGIC_REFUSAL, "recusado pelo valor magico").await;
        }
        match (self.desk.file_title(number, slip, cents, due).await, refuse) {
            (Filing::NotRecorded, _) => not_recorded(),
            (Filing::Unanswerable, _) => unusable(),
            (_, Some(code)) => status(&code, "situacao do registro", json!({})),
            (Filing::Fresh, None) => status("0", "REGISTRO EFETUADO COM SUCESSO", more),
            (Filing::AlreadyOnFile, None) => status(ALREADY_ON_FILE, "TITULO JA CADASTRADO", json!({})),
        }
    }

    async fn refuse(&self, key: String, cents: Option<u64>, code: &str, text: &str) -> Response {
        match self.desk.refused(key, cents, &[code]).await {
            Ok(()) => status(code, text, json!({})),
            Err(_) => not_recorded(),
        }
    }
}

/// The bank's answer; its code is a number where it can be one.
fn status(code: &str, text: &str, mut more: Value) -> Response {
    let code = code.parse::<i64>().map_or_else(|_| json!(code), Value::from);
    more["status"] = json!({"codigo": code, "mensagem": text});
    Json(more).into_response()
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({}))).into_response()
}

fn not_recorded() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({}))).into_response()
}

/// A nosso número of up to eleven digits.
fn our_number(number: &NumberOrText) -> Option<u64> {
    number.digits().filter(|number| (1..=99_999_999_999).contains(number))
}
