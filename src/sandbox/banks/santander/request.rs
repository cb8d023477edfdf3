//! The bodies of Santander's calls, against closed schemas, and their rules.
//!
//! **Owns** nothing.
//! **Fails** with every broken rule at once.
//! **Limits**: `protestType`, `paymentType` and the kinds of a Pix key are looked at for their length alone.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answers::Fault;
use crate::sandbox::banks::codes::free_field::modulo_11;
use crate::sandbox::banks::rules::{Rules, cents};
use crate::sandbox::banks::schema::NumberOrText;

const KINDS: [&str; 5] = ["DUPLICATA_MERCANTIL", "DUPLICATA_SERVICO", "NOTA_PROMISSORIA", "RECIBO", "OUTROS"];

/// Body of `POST /workspaces`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkspaceRequest {
    #[serde(rename = "type")]
    kind: String,
    covenants: Vec<Covenant>,
    description: String,
    #[serde(rename = "bankSlipBillingWebhookActive")]
    _bank_slip_billing_webhook_active: Option<bool>,
    #[serde(rename = "pixBillingWebhookActive")]
    _pix_billing_webhook_active: Option<bool>,
    #[serde(rename = "webhookURL")]
    _webhook_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Covenant {
    code: NumberOrText,
}

impl WorkspaceRequest {
    /// Its covenants, unless something is wrong with it.
    pub fn covenants(&self) -> Option<Vec<u64>> {
        let fits =
            self.kind == "BILLING" && !self.description.trim().is_empty() && !self.covenants.is_empty();
        let codes =
            self.covenants.iter().map(|covenant| covenant.code.digits().filter(|code| *code <= 9_999_999));
        if fits { codes.collect() } else { None }
    }
}

/// Body of `POST /workspaces/{id}/bank_slips`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registration {
    pub environment: String,
    pub nsu_code: String,
    pub nsu_date: String,
    pub covenant_code: NumberOrText,
    pub bank_number: NumberOrText,
    pub client_number: Option<String>,
    pub due_date: String,
    pub issue_date: String,
    pub nominal_value: String,
    pub payer: Payer,
    pub document_kind: String,
    discount: Option<Discount>,
    fine_percentage: Option<NumberOrText>,
    fine_quantity_days: Option<NumberOrText>,
    interest_percentage: Option<NumberOrText>,
    deduction_value: Option<NumberOrText>,
    protest_type: Option<String>,
    write_off_quantity_days: Option<NumberOrText>,
    payment_type: Option<String>,
    key: Option<PixKey>,
    tx_id: Option<String>,
    messages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Payer {
    name: String,
    document_type: String,
    document_number: String,
    address: String,
    neighborhood: String,
    city: String,
    state: String,
    zip_code: String,
}

/// The sheet says no more than that it has a type.
#[derive(Deserialize)]
pub struct Discount {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PixKey {
    #[serde(rename = "type")]
    kind: String,
    dict_key: String,
}

/// Body of `PATCH /workspaces/{id}/bank_slips`: the title, and what is to change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChangeRequest {
    pub covenant_code: NumberOrText,
    pub bank_number: NumberOrText,
    pub due_date: Option<String>,
    pub operation: Option<String>,
    pub deduction_value: Option<NumberOrText>,
    pub discount: Option<Discount>,
    pub fine_percentage: Option<NumberOrText>,
    pub fine_quantity_days: Option<NumberOrText>,
    pub interest_percentage: Option<NumberOrText>,
    pub write_off_quantity_days: Option<NumberOrText>,
}

/// What is kept of a request that follows the rules, as later changes have left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub covenant: u64,
    /// Without its check digit.
    pub title: u64,
    /// As it was sent.
    pub bank_number: String,
    pub nsu: String,
    pub due: NaiveDate,
    pub issued: NaiveDate,
    pub cents: u64,
    pub deduction_cents: u64,
    pub payer_document: String,
    pub hybrid: bool,
}

impl Checked {
    /// The key of the title in the bank's file.
    pub fn id(&self) -> String {
        format!("{}.{}", self.covenant, self.title)
    }

    /// Whether a second registration says the same as this one. Later changes do not count against it.
    pub fn same_as(&self, other: &Checked) -> bool {
        self.id() == other.id() && self.cents == other.cents && self.payer_document == other.payer_document
    }
}

/// The number without its check digit. Of thirteen digits the last one is it, and it must be right.
pub fn bare_number(number: &NumberOrText) -> Option<u64> {
    let text = number.text();
    let (bare, check) = match text.len() {
        1..=12 => (text.as_str(), None),
        13 => text.split_at_checked(12).map(|(bare, check)| (bare, Some(check)))?,
        _ => return None,
    };
    let digits = bare.bytes().all(|byte| byte.is_ascii_digit());
    let right = digits && check.is_none_or(|check| modulo_11(bare).to_string() == check);
    right.then(|| bare.parse().ok())?
}

/// Looks at every rule.
pub fn check(request: &Registration) -> Result<Checked, Vec<Fault>> {
    let mut rules = Rules::default();
    rules.one_of("environment", &request.environment, &["PRODUCAO", "TESTE"]);
    rules.text("nsuCode", &request.nsu_code, 20);
    rules.date("nsuDate", &request.nsu_date);
    let covenant = request.covenant_code.digits().filter(|code| (1..=9_999_999).contains(code));
    rules.require(covenant.is_some(), "covenantCode", "not up to 7 digits");
    let title = bare_number(&request.bank_number);
    rules.require(title.is_some(), "bankNumber", "not up to 12 digits, nor those and their check digit");
    rules.optional("clientNumber", request.client_number.as_deref(), 15);
    let issued = rules.date("issueDate", &request.issue_date);
    let due = rules.date("dueDate", &request.due_date);
    rules.require(issued.zip(due).is_none_or(|(issued, due)| issued <= due), "dueDate", "before issueDate");
    let two_places = request.nominal_value.split_once('.').is_some_and(|(_, part)| part.len() == 2);
    rules.require(two_places, "nominalValue", "not an amount such as 150.00");
    let amount = rules.cents("nominalValue", cents(&request.nominal_value), 1);
    rules.one_of("documentKind", &request.document_kind, &KINDS);
    payer(&mut rules, &request.payer);
    let deduction_cents = terms(&mut rules, request);
    rules.require(
        deduction_cents == 0 || deduction_cents < amount,
        "deductionValue",
        "not below nominalValue",
    );
    match (covenant, title, issued, due, rules.0.is_empty()) {
        (Some(covenant), Some(title), Some(issued), Some(due), true) => Ok(Checked {
            covenant,
            title,
            bank_number: request.bank_number.text(),
            nsu: format!("{}/{}/{}/{covenant}", request.environment, request.nsu_code, request.nsu_date),
            due,
            issued,
            cents: amount,
            deduction_cents,
            payer_document: request.payer.document_number.clone(),
            hybrid: request.key.is_some(),
        }),
        _ => Err(faults(rules)),
    }
}

/// Returns the deduction.
fn terms(rules: &mut Rules, request: &Registration) -> u64 {
    let rates = [
        ("finePercentage", &request.fine_percentage),
        ("interestPercentage", &request.interest_percentage),
        ("deductionValue", &request.deduction_value),
    ];
    for (field, value) in rates {
        let fits = value.as_ref().is_none_or(|value| cents(&value.text()).is_some());
        rules.require(fits, field, "not an amount with up to 2 places");
    }
    let counts = [
        ("fineQuantityDays", &request.fine_quantity_days),
        ("writeOffQuantityDays", &request.write_off_quantity_days),
    ];
    for (field, value) in counts {
        let fits = value.as_ref().is_none_or(|value| value.digits().is_some_and(|days| days <= 999));
        rules.require(fits, field, "not a number of days");
    }
    for (field, value) in [("protestType", &request.protest_type), ("paymentType", &request.payment_type)] {
        rules.optional(field, value.as_deref(), 30);
    }
    if let Some(discount) = &request.discount {
        rules.text("discount.type", &discount.kind, 40);
    }
    if let Some(key) = &request.key {
        rules.text("key.type", &key.kind, 20);
        rules.text("key.dictKey", &key.dict_key, 77);
    }
    rules.optional("txId", request.tx_id.as_deref(), 35);
    let messages = request.messages.iter().flatten();
    rules.require(messages.clone().all(|text| text.chars().count() <= 100), "messages", "too long");
    request.deduction_value.as_ref().and_then(|value| cents(&value.text())).unwrap_or(0)
}

fn payer(rules: &mut Rules, payer: &Payer) {
    rules.text("payer.name", &payer.name, 40);
    rules.text("payer.address", &payer.address, 40);
    rules.text("payer.neighborhood", &payer.neighborhood, 30);
    rules.text("payer.city", &payer.city, 20);
    rules.state("payer.state", &payer.state);
    let (zip, bytes) = (&payer.zip_code, payer.zip_code.as_bytes());
    let fits = bytes.len() == 9
        && bytes[5] == b'-'
        && zip.replace('-', "").bytes().all(|byte| byte.is_ascii_digit());
    rules.require(fits && zip.matches('-').count() == 1, "payer.zipCode", "not 99999-999");
    match payer.document_type.as_str() {
        "CPF" => rules.document("payer.documentNumber", false, &payer.document_number),
        "CNPJ" => rules.document("payer.documentNumber", true, &payer.document_number),
        _ => rules.require(false, "payer.documentType", "neither CPF nor CNPJ"),
    }
}

/// The bank's list of faults, each field once.
fn faults(rules: Rules) -> Vec<Fault> {
    let by_field: BTreeMap<_, _> = rules.0.into_iter().map(|broken| (broken.field, broken.text)).collect();
    by_field.into_iter().map(|(field, text)| Fault::new("0422", &field, text)).collect()
}
