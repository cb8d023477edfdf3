//! The two bodies of a registration, ShopFacil's and Caixa's, against closed schemas, and their rules.
//!
//! **Owns** nothing.
//! **Fails** with every broken rule at once; a body that breaks its schema has one fault.
//! **Limits**: a nosso número is a number or digits, for the sheet does not say which. Caixa's may be the 17 digits that
//! begin with 14, or what follows them. Caixa's body may carry the inner sign-in or leave it out.

use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sandbox::banks::rules::Rules;
use crate::sandbox::banks::schema::NumberOrText;

/// The bank behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    ShopFacil,
    Caixa,
}

/// What is kept of a request that follows the rules.
#[derive(Clone)]
pub struct Checked {
    pub bank: Bank,
    pub agreement: u64,
    pub wallet: u64,
    pub agency: u64,
    pub account: u64,
    /// As the bank keeps it: 17 digits at Caixa, as sent at ShopFacil.
    pub number: String,
    pub cents: u64,
    pub due: NaiveDate,
}

/// A request, as far as it could be read.
pub struct CheckedRequest {
    pub agreement: String,
    pub number: String,
    pub outcome: Result<Checked, Vec<(&'static str, String)>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ShopFacil {
    #[serde(rename = "bankNumber")]
    _bank_number: u16,
    authentication: Authentication,
    agreement: ShopFacilAgreement,
    title: ShopFacilTitle,
    recipient: Party,
    buyer: Party,
    #[serde(rename = "requestKey")]
    _request_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Caixa {
    #[serde(rename = "bankNumber")]
    _bank_number: u16,
    authentication: Option<Authentication>,
    agreement: CaixaAgreement,
    title: CaixaTitle,
    recipient: Party,
    payee_guarantor: Option<Party>,
    buyer: Party,
    #[serde(rename = "requestKey")]
    _request_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authentication {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ShopFacilAgreement {
    agreement_number: u64,
    wallet: u64,
    agency: String,
    account: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CaixaAgreement {
    agreement_number: u64,
    agency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ShopFacilTitle {
    expire_date: String,
    amount_in_cents: u64,
    our_number: NumberOrText,
    instructions: Option<String>,
    document_number: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CaixaTitle {
    expire_date: String,
    amount_in_cents: u64,
    our_number: NumberOrText,
    instructions: Option<String>,
    document_number: String,
    #[serde(rename = "rules")]
    _rules: Option<TitleRules>,
    fees: Option<Fees>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TitleRules {
    #[serde(rename = "acceptDivergentAmount")]
    _accept_divergent_amount: bool,
    #[serde(rename = "maxDaysToPayPastDue")]
    _max_days_to_pay_past_due: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fees {
    fine: Option<Fine>,
    interest: Option<Interest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fine {
    #[serde(rename = "daysAfterExpirationDate")]
    _days_after_expiration_date: u16,
    amount_in_cents: u64,
    percentage_on_total: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Interest {
    #[serde(rename = "daysAfterExpirationDate")]
    _days_after_expiration_date: u16,
    amount_per_day_in_cents: u64,
    percentage_per_month: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Party {
    name: String,
    document: Document,
    address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    number: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Address {
    street: String,
    number: String,
    complement: Option<String>,
    zip_code: String,
    district: String,
    city: String,
    state_code: String,
}

/// Reads a body by the bank that it names.
pub fn read(body: &Value, user: &str, password: &str) -> CheckedRequest {
    let text = |pointer: &str| match body.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let outcome = match body["bankNumber"].as_u64() {
        Some(237) => parse::<ShopFacil>(body).and_then(|request| shop_facil(&request, user, password)),
        Some(104) => parse::<Caixa>(body).and_then(|request| caixa(&request, user, password)),
        _ => Err(vec![("MPBankNumber", "bankNumber: not supported".to_owned())]),
    };
    CheckedRequest {
        agreement: text("/agreement/agreementNumber"),
        number: text("/title/ourNumber"),
        outcome,
    }
}

type Faults = Vec<(&'static str, String)>;

fn parse<T: DeserializeOwned>(body: &Value) -> Result<T, Faults> {
    T::deserialize(body).map_err(|error| {
        let text = error.to_string();
        // Any other fault's words could repeat a value.
        let names_a_field = text.starts_with("unknown field") || text.starts_with("missing field");
        vec![("MP400", if names_a_field { text } else { "invalid type".to_owned() })]
    })
}

fn shop_facil(request: &ShopFacil, user: &str, password: &str) -> Result<Checked, Faults> {
    let mut rules = Rules::default();
    let known = request.authentication.username == user && request.authentication.password == password;
    rules.require(known, "authentication", "invalid credentials");
    rules.require(matches!(request.agreement.wallet, 25 | 26), "agreement.wallet", "neither 25 nor 26");
    let agency = number(&mut rules, "agreement.agency", &request.agreement.agency, 4);
    let account = number(&mut rules, "agreement.account", &request.agreement.account, 7);
    let title = &request.title;
    let our_number = title.our_number.digits().filter(|number| *number <= 99_999_999_999);
    rules.require(our_number.is_some(), "title.ourNumber", "not up to 11 digits");
    common(&mut rules, &title.instructions, &title.document_number);
    party(&mut rules, "recipient", &request.recipient, false);
    party(&mut rules, "buyer", &request.buyer, true);
    let due = rules.date("title.expireDate", &title.expire_date);
    let cents = rules.cents("title.amountInCents", Some(title.amount_in_cents), 1);
    let (Some(due), Some(our_number), true) = (due, our_number, rules.0.is_empty()) else {
        return Err(faults(rules));
    };
    Ok(Checked {
        bank: Bank::ShopFacil,
        agreement: request.agreement.agreement_number,
        wallet: request.agreement.wallet,
        agency,
        account,
        number: our_number.to_string(),
        cents,
        due,
    })
}

fn caixa(request: &Caixa, user: &str, password: &str) -> Result<Checked, Faults> {
    let mut rules = Rules::default();
    let known = request
        .authentication
        .as_ref()
        .is_none_or(|inner| inner.username == user && inner.password == password);
    rules.require(known, "authentication", "invalid credentials");
    let agreement = request.agreement.agreement_number;
    rules.require((1..=9_999_999).contains(&agreement), "agreement.agreementNumber", "not up to 7 digits");
    let agency = number(&mut rules, "agreement.agency", &request.agreement.agency, 4);
    let title = &request.title;
    let our_number = title.our_number.digits().and_then(nn17);
    rules.require(our_number.is_some(), "title.ourNumber", "neither 14 and 15 digits nor 15 digits");
    common(&mut rules, &title.instructions, &title.document_number);
    if let Some(fees) = &title.fees {
        let fine = fees.fine.as_ref().is_none_or(|fine| one(fine.amount_in_cents, fine.percentage_on_total));
        rules.require(fine, "title.fees.fine", "an amount or a percentage");
        let interest = fees.interest.as_ref();
        let interest =
            interest.is_none_or(|part| one(part.amount_per_day_in_cents, part.percentage_per_month));
        rules.require(interest, "title.fees.interest", "an amount or a percentage");
    }
    party(&mut rules, "recipient", &request.recipient, false);
    if let Some(guarantor) = &request.payee_guarantor {
        // A service that collects for itself names nobody here.
        if !guarantor.document.number.is_empty() {
            party(&mut rules, "payeeGuarantor", guarantor, false);
        }
    }
    party(&mut rules, "buyer", &request.buyer, false);
    let due = rules.date("title.expireDate", &title.expire_date);
    let cents = rules.cents("title.amountInCents", Some(title.amount_in_cents), 1);
    let (Some(due), Some(number), true) = (due, our_number, rules.0.is_empty()) else {
        return Err(faults(rules));
    };
    Ok(Checked { bank: Bank::Caixa, agreement, wallet: 14, agency, account: 0, number, cents, due })
}

/// Registered, issued by the beneficiary, and fifteen digits.
fn nn17(number: u64) -> Option<String> {
    match number {
        0..=999_999_999_999_999 => Some(format!("14{number:015}")),
        14_000_000_000_000_000..=14_999_999_999_999_999 => Some(number.to_string()),
        _ => None,
    }
}

/// Either of the two, not both: the other one is zero.
fn one(cents: u64, percentage: f64) -> bool {
    (cents == 0) != (percentage == 0.0) && percentage >= 0.0
}

fn common(rules: &mut Rules, instructions: &Option<String>, document_number: &str) {
    rules.optional("title.instructions", instructions.as_deref(), 1_000);
    rules.text("title.documentNumber", document_number, 20);
}

/// `lower` is for the document's type, which ShopFacil's buyer has in small letters.
fn party(rules: &mut Rules, field: &str, party: &Party, lower: bool) {
    rules.text(&format!("{field}.name"), &party.name, 100);
    let company = match (party.document.kind.as_str(), lower) {
        ("CPF", false) | ("cpf", true) => false,
        ("CNPJ", false) | ("cnpj", true) => true,
        _ => return rules.require(false, &format!("{field}.document.type"), "neither CPF nor CNPJ"),
    };
    rules.document(&format!("{field}.document.number"), company, &party.document.number);
    if let Some(address) = &party.address {
        rules.text(&format!("{field}.address.street"), &address.street, 100);
        rules.text(&format!("{field}.address.number"), &address.number, 20);
        rules.optional(&format!("{field}.address.complement"), address.complement.as_deref(), 100);
        rules.digits(&format!("{field}.address.zipCode"), &address.zip_code, 8);
        rules.text(&format!("{field}.address.district"), &address.district, 60);
        rules.text(&format!("{field}.address.city"), &address.city, 60);
        rules.state(&format!("{field}.address.stateCode"), &address.state_code);
    }
}

fn number(rules: &mut Rules, field: &str, text: &str, length_max: usize) -> u64 {
    let fits = (1..=length_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    rules.require(fits, field, "not digits, or too many");
    text.parse().unwrap_or(0)
}

fn faults(rules: Rules) -> Faults {
    rules
        .0
        .into_iter()
        .map(|broken| ("MPFieldInvalid", format!("{}: {}", broken.field, broken.text)))
        .collect()
}
