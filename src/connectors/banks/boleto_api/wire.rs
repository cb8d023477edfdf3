//! What goes to the gateway and comes back, in its own names, whichever bank is behind it.
//!
//! **Owns** nothing. Unknown fields of an answer are ignored; a field of another type than expected makes the answer
//! unreadable. **Limits**: amounts in cents, percentages digit by digit as they were agreed; text in Latin-1. The sources
//! give no lengths of fields; the longest that we hold are 60 characters of a name or a street.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::banks::text::latin1;
use crate::domain::payer::Address;
use crate::domain::tax_id::{TaxId, TaxIdKind};

/// `POST /v1/boleto/register`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegisterBody<'a> {
    pub bank_number: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<AuthenticationBody<'a>>,
    pub agreement: AgreementBody<'a>,
    pub title: TitleBody,
    pub recipient: PartyBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee_guarantor: Option<PartyBody<'a>>,
    pub buyer: PartyBody<'a>,
    pub request_key: &'a str,
}

#[derive(Serialize)]
pub(super) struct AuthenticationBody<'a> {
    pub username: &'a str,
    pub password: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgreementBody<'a> {
    pub agreement_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<u8>,
    pub agency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TitleBody {
    pub expire_date: NaiveDate,
    pub amount_in_cents: i64,
    pub our_number: u64,
    pub instructions: String,
    pub document_number: String,
    /// What only Caixa has; its parts may be null, the bank's way of saying that nothing was agreed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<ConditionsBody>,
}

#[derive(Serialize)]
pub(super) struct ConditionsBody {
    pub rules: Option<RulesBody>,
    pub fees: Option<FeesBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RulesBody {
    pub accept_divergent_amount: bool,
    pub max_days_to_pay_past_due: u16,
}

#[derive(Serialize)]
pub(super) struct FeesBody {
    pub fine: Option<FineBody>,
    pub interest: Option<InterestBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FineBody {
    pub days_after_expiration_date: u16,
    pub amount_in_cents: i64,
    pub percentage_on_total: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InterestBody {
    pub days_after_expiration_date: u16,
    pub amount_per_day_in_cents: i64,
    pub percentage_per_month: Box<RawValue>,
}

#[derive(Serialize)]
pub(super) struct PartyBody<'a> {
    pub name: String,
    pub document: DocumentBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressBody<'a>>,
}

#[derive(Serialize)]
pub(super) struct DocumentBody<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub number: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddressBody<'a> {
    street: String,
    number: String,
    complement: String,
    zip_code: &'a str,
    district: String,
    city: String,
    state_code: &'a str,
}

impl<'a> PartyBody<'a> {
    pub(super) fn of(name: &str, tax_id: &'a TaxId, address: Option<&'a Address>) -> Self {
        let kind = match tax_id.kind() {
            TaxIdKind::Cpf => "CPF",
            TaxIdKind::Cnpj => "CNPJ",
        };
        Self {
            name: latin1(name),
            document: DocumentBody { kind, number: tax_id.as_str() },
            address: address.map(AddressBody::of),
        }
    }
}

impl<'a> AddressBody<'a> {
    fn of(address: &'a Address) -> Self {
        Self {
            street: latin1(&address.street),
            number: latin1(&address.number),
            complement: latin1(&address.complement),
            zip_code: &address.postal_code,
            district: latin1(&address.district),
            city: latin1(&address.city),
            state_code: &address.state,
        }
    }
}

/// What the gateway answers, be it a yes or a no.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerBody {
    pub digitable_line: Option<String>,
    pub bar_code_number: Option<String>,
    #[serde(default)]
    pub links: Option<Vec<LinkBody>>,
    #[serde(default)]
    pub errors: Option<Vec<ErrorBody>>,
}

#[derive(Deserialize)]
pub(super) struct LinkBody {
    pub rel: Option<String>,
    pub href: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub code: Option<Value>,
    pub message: Option<Value>,
}
