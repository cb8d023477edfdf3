//! What is said to the bank and what it answers, in its own names.
//!
//! **Owns** nothing. Unknown fields of an answer are ignored; a field of another type than expected makes the answer
//! unreadable. **Limits**: amounts never pass through a floating-point number, in either direction. Of a look-up the
//! public manual gives the states alone; the other names are those of the registration, and of public implementations.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::banks::complaints::{Complaints, complaint};
use crate::connectors::banks::expressible::percentage;
use crate::connectors::banks::{RegisterRequest, text, values};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::tax_id::TaxIdKind;

use super::DECIMALS;
use super::config::{DocumentKind, Environment, SantanderConfig};

const NAME_CHARS_MAX: usize = 40;
const STREET_CHARS_MAX: usize = 40;
const DISTRICT_CHARS_MAX: usize = 30;
const CITY_CHARS_MAX: usize = 20;

/// By what the bank knows a title.
#[derive(Debug)]
pub(super) struct TitleKey<'a> {
    pub(super) workspace: &'a str,
    pub(super) covenant: &'a str,
    pub(super) bank_number: String,
    /// Our own number, without its check digit.
    pub(super) nosso_numero: &'a str,
}

impl<'a> TitleKey<'a> {
    /// # Errors
    /// What is missing, in words for whoever configures the account.
    pub(super) fn of(
        issuer: &'a Issuer,
        boleto: &'a Boleto,
        config: &SantanderConfig,
    ) -> Result<Self, &'static str> {
        let Issuer::Santander { beneficiary, workspace_id, .. } = issuer else {
            return Err("the account's agreement is with another bank");
        };
        let workspace = workspace_id.as_deref().ok_or("the agreement has no workspace_id")?;
        let nosso_numero = boleto.codes.nosso_numero.as_deref().ok_or("the boleto has no number")?;
        let dv = boleto.codes.nosso_numero_dv.as_deref().unwrap_or_default();
        let bank_number = match config.bank_number_with_check_digit {
            true => format!("{nosso_numero}{dv}"),
            false => nosso_numero.to_owned(),
        };
        Ok(Self { workspace, covenant: beneficiary, bank_number, nosso_numero })
    }

    /// Whether a number of the bank's is this one, with or without leading zeros and check digit.
    pub(super) fn is(&self, theirs: &str, boleto: &Boleto) -> bool {
        let dv = boleto.codes.nosso_numero_dv.as_deref().unwrap_or_default();
        let same = |ours: &str| ours.trim_start_matches('0') == theirs.trim_start_matches('0');
        same(self.nosso_numero) || same(&format!("{}{dv}", self.nosso_numero))
    }
}

/// `POST /workspaces/{id}/bank_slips`
#[derive(Serialize)]
pub(super) struct SlipBody<'a> {
    environment: Environment,
    #[serde(rename = "nsuCode")]
    nsu_code: &'a str,
    #[serde(rename = "nsuDate")]
    nsu_date: NaiveDate,
    #[serde(rename = "covenantCode")]
    covenant: &'a str,
    #[serde(rename = "bankNumber")]
    bank_number: &'a str,
    #[serde(rename = "clientNumber")]
    client_number: &'a str,
    #[serde(rename = "dueDate")]
    due_date: NaiveDate,
    #[serde(rename = "issueDate")]
    issue_date: NaiveDate,
    #[serde(rename = "nominalValue")]
    amount: String,
    payer: PayerBody<'a>,
    #[serde(rename = "documentKind")]
    document_kind: DocumentKind,
    #[serde(rename = "finePercentage", skip_serializing_if = "Option::is_none")]
    fine: Option<String>,
    #[serde(rename = "interestPercentage", skip_serializing_if = "Option::is_none")]
    interest: Option<String>,
    #[serde(rename = "deductionValue", skip_serializing_if = "Option::is_none")]
    abatement: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
}

#[derive(Serialize)]
struct PayerBody<'a> {
    name: String,
    #[serde(rename = "documentType")]
    document_type: &'static str,
    #[serde(rename = "documentNumber")]
    tax_id: &'a str,
    #[serde(rename = "address")]
    street: String,
    #[serde(rename = "neighborhood")]
    district: String,
    city: String,
    state: &'a str,
    #[serde(rename = "zipCode")]
    postal_code: String,
}

impl<'a> SlipBody<'a> {
    /// # Errors
    /// What the API has no room for.
    pub(super) fn of(
        request: &RegisterRequest<'a>,
        key: &'a TitleKey<'_>,
        config: &SantanderConfig,
    ) -> Result<Self, &'static str> {
        let boleto = request.boleto;
        let charges = &boleto.terms.charges;
        let fine = match charges.fine {
            None => None,
            Some(Fine { value: FineValue::Percentage(percent), .. }) => Some(percentage(percent, DECIMALS)),
            Some(_) => return Err("the API takes a fine in per cent alone"),
        };
        let interest = match charges.interest {
            None => None,
            Some(Interest { value: InterestValue::PercentagePerMonth(percent), .. }) => {
                Some(percentage(percent, DECIMALS))
            }
            Some(_) => return Err("the API takes interest in per cent alone"),
        };
        let instructions = boleto.instructions.as_deref().unwrap_or_default();
        Ok(Self {
            environment: config.environment,
            nsu_code: key.nosso_numero,
            nsu_date: request.issue_date,
            covenant: key.covenant,
            bank_number: &key.bank_number,
            client_number: key.nosso_numero,
            due_date: boleto.due_date,
            issue_date: request.issue_date,
            amount: values::decimal(boleto.amount),
            payer: PayerBody::of(&boleto.payer),
            document_kind: config.document_kind,
            fine,
            interest,
            abatement: charges.abatement.map(values::decimal),
            messages: text::lines(instructions, config.message_chars_max),
        })
    }
}

impl<'a> PayerBody<'a> {
    fn of(payer: &'a Payer) -> Self {
        let address = &payer.address;
        let (area, street) =
            address.postal_code.split_at_checked(5).unwrap_or((address.postal_code.as_str(), ""));
        Self {
            name: text::plain(&payer.name, NAME_CHARS_MAX),
            document_type: match payer.tax_id.kind() {
                TaxIdKind::Cpf => "CPF",
                TaxIdKind::Cnpj => "CNPJ",
            },
            tax_id: payer.tax_id.as_str(),
            street: text::street(address, STREET_CHARS_MAX),
            district: text::plain(&address.district, DISTRICT_CHARS_MAX),
            city: text::plain(&address.city, CITY_CHARS_MAX),
            state: &address.state,
            postal_code: format!("{area}-{street}"),
        }
    }
}

/// `PATCH /workspaces/{id}/bank_slips`: one change a call.
#[derive(Serialize)]
pub(super) struct ChangeBody<'a> {
    #[serde(rename = "covenantCode")]
    pub(super) covenant: &'a str,
    #[serde(rename = "bankNumber")]
    pub(super) bank_number: &'a str,
    #[serde(flatten)]
    pub(super) change: Change,
}

/// What is changed.
#[derive(Serialize)]
pub(super) enum Change {
    #[serde(rename = "dueDate")]
    DueDate(NaiveDate),
    #[serde(rename = "deductionValue")]
    Abatement(String),
    #[serde(rename = "operation")]
    Operation(&'static str),
}

impl Change {
    /// The abatement as it is to be; nothing is an abatement of nothing.
    pub(super) fn abatement(abatement: Option<Cents>) -> Self {
        Self::Abatement(values::decimal(abatement.unwrap_or(Cents::ZERO)))
    }
}

/// The answer to a registration.
#[derive(Deserialize)]
pub(super) struct RegisteredBody {
    #[serde(rename = "barCode")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "digitableLine")]
    pub(super) linha_digitavel: Option<String>,
    #[serde(rename = "bankNumber")]
    pub(super) bank_number: Option<Value>,
    #[serde(rename = "qrCodePix")]
    pub(super) pix_emv: Option<String>,
}

/// The answer to `GET /bills/{covenant}.{number}`, or one of several.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TitleBody {
    pub(super) status: Option<String>,
    #[serde(rename = "bankNumber")]
    pub(super) bank_number: Option<Value>,
    #[serde(rename = "dueDate")]
    pub(super) due_date: Option<String>,
    #[serde(rename = "nominalValue")]
    pub(super) amount: Option<Box<RawValue>>,
    #[serde(rename = "barCode")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "digitableLine")]
    pub(super) linha_digitavel: Option<String>,
    #[serde(rename = "qrCodePix")]
    pub(super) pix_emv: Option<String>,
    #[serde(rename = "paidValue")]
    pub(super) paid: Option<Box<RawValue>>,
    pub(super) payer: Option<PayerSaid>,
    #[serde(rename = "bankSlipData")]
    pub(super) slip: Option<SlipSaid>,
    #[serde(rename = "settlementData")]
    pub(super) settlements: Option<Vec<SettlementSaid>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PayerSaid {
    #[serde(rename = "documentNumber")]
    pub(super) tax_id: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SlipSaid {
    #[serde(rename = "barCode")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "digitableLine")]
    pub(super) linha_digitavel: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SettlementSaid {
    #[serde(rename = "settlementDate")]
    pub(super) on: Option<String>,
}

#[derive(Deserialize)]
struct Several {
    #[serde(rename = "_content")]
    content: Vec<TitleBody>,
}

impl TitleBody {
    /// The day on which it was paid, where the answer says so.
    pub(super) fn paid_on(&self) -> Option<NaiveDate> {
        self.settlements
            .iter()
            .flatten()
            .find_map(|settlement| settlement.on.as_deref().and_then(values::day))
    }

    /// What was paid so far, where the answer says so.
    pub(super) fn paid(&self) -> Option<Cents> {
        self.paid.as_deref().and_then(values::cents).filter(|paid| *paid != Cents::ZERO)
    }

    /// The titles of an answer: one, a list, or a page of them.
    pub(super) fn read(body: &[u8]) -> Option<Vec<Self>> {
        if let Ok(several) = serde_json::from_slice::<Several>(body) {
            return Some(several.content);
        }
        serde_json::from_slice::<Vec<Self>>(body)
            .or_else(|_| serde_json::from_slice::<Self>(body).map(|one| vec![one]))
            .ok()
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "_errorCode")]
    code: Option<Value>,
    #[serde(rename = "_message")]
    message: Option<Value>,
    #[serde(rename = "_errors", default)]
    errors: Vec<ErrorPart>,
}

#[derive(Deserialize)]
struct ErrorPart {
    #[serde(rename = "_code")]
    code: Option<Value>,
    #[serde(rename = "_message")]
    message: Option<Value>,
}

/// All that the bank complains of: the parts first, because they say what is wrong.
pub(super) fn complaints(body: &[u8]) -> Complaints {
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return Complaints::new() };
    let parts = body.errors.into_iter().filter_map(|part| complaint(part.code, part.message));
    parts.chain(complaint(body.code, body.message)).collect()
}
