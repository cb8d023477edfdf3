//! What is said to the bank and what it answers, in its own names.
//!
//! **Owns** nothing. Unknown fields of an answer are ignored; a field of another type than expected makes the answer
//! unreadable. **Limits**: amounts never pass through a floating-point number, in either direction. The public manual
//! cuts the payer's address and the interest short: their names are those of public implementations.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::banks::complaints::{Complaints, complaint};
use crate::connectors::banks::expressible::percentage;
use crate::connectors::banks::{RegisterRequest, text, values};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::charges::{FineValue, InterestValue, Percent};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::tax_id::TaxIdKind;

use super::DECIMALS;
use super::config::InterConfig;

/// The longest number of the caller's that the bank keeps.
const OWN_NUMBER_CHARS_MAX: usize = 15;
const LINES_MAX: usize = 5;

/// `POST /cobrancas`
#[derive(Serialize)]
pub(super) struct ChargeBody<'a> {
    #[serde(rename = "seuNumero")]
    own_number: String,
    #[serde(rename = "valorNominal")]
    amount: Box<RawValue>,
    #[serde(rename = "dataVencimento")]
    due_date: NaiveDate,
    #[serde(rename = "numDiasAgenda")]
    open_days: u16,
    #[serde(rename = "pagador")]
    payer: PayerBody<'a>,
    #[serde(rename = "multa", skip_serializing_if = "Option::is_none")]
    fine: Option<Extra<'a>>,
    #[serde(rename = "mora", skip_serializing_if = "Option::is_none")]
    interest: Option<Extra<'a>>,
    #[serde(rename = "mensagem", skip_serializing_if = "Option::is_none")]
    message: Option<MessageBody>,
}

#[derive(Serialize)]
struct PayerBody<'a> {
    #[serde(rename = "cpfCnpj")]
    tax_id: &'a str,
    #[serde(rename = "tipoPessoa")]
    kind: &'static str,
    #[serde(rename = "nome")]
    name: String,
    #[serde(rename = "endereco")]
    street: String,
    #[serde(rename = "numero")]
    number: String,
    #[serde(rename = "complemento", skip_serializing_if = "String::is_empty")]
    complement: String,
    #[serde(rename = "bairro")]
    district: String,
    #[serde(rename = "cidade")]
    city: String,
    #[serde(rename = "uf")]
    state: &'a str,
    #[serde(rename = "cep")]
    postal_code: &'a str,
}

/// What a late payment costs: a rate or an amount.
#[derive(Serialize)]
struct Extra<'a> {
    #[serde(rename = "codigo")]
    code: &'a str,
    #[serde(rename = "taxa", skip_serializing_if = "Option::is_none")]
    rate: Option<Box<RawValue>>,
    #[serde(rename = "valor", skip_serializing_if = "Option::is_none")]
    amount: Option<Box<RawValue>>,
}

#[derive(Serialize, Default)]
struct MessageBody {
    #[serde(rename = "linha1", skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(rename = "linha2", skip_serializing_if = "Option::is_none")]
    second: Option<String>,
    #[serde(rename = "linha3", skip_serializing_if = "Option::is_none")]
    third: Option<String>,
    #[serde(rename = "linha4", skip_serializing_if = "Option::is_none")]
    fourth: Option<String>,
    #[serde(rename = "linha5", skip_serializing_if = "Option::is_none")]
    fifth: Option<String>,
}

impl<'a> ChargeBody<'a> {
    pub(super) fn of(request: &RegisterRequest<'a>, config: &'a InterConfig) -> Self {
        let boleto = request.boleto;
        let charges = &boleto.terms.charges;
        let fine = charges.fine.map(|fine| match fine.value {
            FineValue::Percentage(percent) => Extra::rate(&config.fine_percentage_code, percent),
            FineValue::Amount(amount) => Extra::amount(&config.fine_amount_code, amount),
        });
        let interest = charges.interest.map(|interest| match interest.value {
            InterestValue::PercentagePerMonth(percent) => {
                Extra::rate(&config.interest_percentage_code, percent)
            }
            InterestValue::AmountPerDay(amount) => Extra::amount(&config.interest_amount_code, amount),
        });
        Self {
            own_number: own_number(boleto),
            amount: values::number(boleto.amount),
            due_date: boleto.due_date,
            open_days: config.open_days,
            payer: PayerBody::of(&boleto.payer),
            fine,
            interest,
            message: boleto.instructions.as_deref().and_then(|text| MessageBody::of(text, config)),
        }
    }
}

/// The caller's number: the end of the boleto's id, which is chance for the most part, and the same at every attempt.
pub(super) fn own_number(boleto: &Boleto) -> String {
    let id = boleto.id.0.simple().to_string();
    id[id.len() - OWN_NUMBER_CHARS_MAX..].to_owned()
}

impl<'a> PayerBody<'a> {
    fn of(payer: &'a Payer) -> Self {
        let address = &payer.address;
        Self {
            tax_id: payer.tax_id.as_str(),
            kind: match payer.tax_id.kind() {
                TaxIdKind::Cpf => "FISICA",
                TaxIdKind::Cnpj => "JURIDICA",
            },
            name: text::ascii(&payer.name),
            street: text::ascii(&address.street),
            number: text::ascii(&address.number),
            complement: text::ascii(&address.complement),
            district: text::ascii(&address.district),
            city: text::ascii(&address.city),
            state: &address.state,
            postal_code: &address.postal_code,
        }
    }
}

impl<'a> Extra<'a> {
    fn rate(code: &'a str, percent: Percent) -> Self {
        let rate = RawValue::from_string(percentage(percent, DECIMALS));
        let rate = rate.expect("digits, a point and digits are a number in JSON");
        Self { code, rate: Some(rate), amount: None }
    }

    fn amount(code: &'a str, amount: Cents) -> Self {
        Self { code, rate: None, amount: Some(values::number(amount)) }
    }
}

impl MessageBody {
    /// As many lines as the bank keeps; with the longest instructions and the shortest lines that may be set, all of them.
    fn of(instructions: &str, config: &InterConfig) -> Option<Self> {
        let mut lines = text::lines(instructions, config.message_chars_max).into_iter().take(LINES_MAX);
        let first = Some(lines.next()?);
        let mut next = || lines.next();
        Some(Self { first, second: next(), third: next(), fourth: next(), fifth: next() })
    }
}

/// `POST /cobrancas/{codigoSolicitacao}/cancelar`
#[derive(Serialize)]
pub(super) struct CancelBody {
    #[serde(rename = "motivoCancelamento")]
    pub(super) reason: String,
}

/// The answer to a registration.
#[derive(Deserialize)]
pub(super) struct AcceptedBody {
    #[serde(rename = "codigoSolicitacao")]
    pub(super) reference: Option<String>,
}

/// The answer to `GET /cobrancas/{codigoSolicitacao}`
#[derive(Deserialize)]
pub(super) struct AnswerBody {
    #[serde(rename = "cobranca")]
    pub(super) charge: Option<ChargeSaid>,
    #[serde(rename = "boleto")]
    pub(super) title: Option<TitleSaid>,
    pub(super) pix: Option<PixSaid>,
}

#[derive(Deserialize)]
pub(super) struct ChargeSaid {
    #[serde(rename = "situacao")]
    pub(super) state: Option<String>,
    #[serde(rename = "valorNominal")]
    pub(super) amount: Option<Box<RawValue>>,
    #[serde(rename = "dataVencimento")]
    pub(super) due_date: Option<String>,
    #[serde(rename = "seuNumero")]
    pub(super) own_number: Option<Value>,
    #[serde(rename = "valorTotalRecebido")]
    pub(super) paid: Option<Box<RawValue>>,
    #[serde(rename = "dataSituacao")]
    pub(super) state_date: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct TitleSaid {
    #[serde(rename = "nossoNumero")]
    pub(super) nosso_numero: Option<Value>,
    #[serde(rename = "codigoBarras")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "linhaDigitavel")]
    pub(super) linha_digitavel: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PixSaid {
    #[serde(rename = "pixCopiaECola")]
    pub(super) emv: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    codigo: Option<Value>,
    mensagem: Option<Value>,
    title: Option<Value>,
    detail: Option<Value>,
    #[serde(rename = "violacoes")]
    parts: Option<Vec<ErrorPart>>,
}

#[derive(Deserialize)]
struct ErrorPart {
    codigo: Option<Value>,
    #[serde(rename = "propriedade")]
    field: Option<Value>,
    #[serde(rename = "razao")]
    reason: Option<Value>,
}

/// All that the bank complains of: the parts first, because they say what is wrong. The public manual gives no shape of
/// errors; these are those that public implementations read.
pub(super) fn complaints(body: &[u8]) -> Complaints {
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return Complaints::new() };
    let parts = body.parts.into_iter().flatten();
    let parts = parts.filter_map(|part| complaint(part.codigo.or(part.field), part.reason));
    let whole = complaint(body.codigo.or(body.title), body.mensagem.or(body.detail));
    parts.chain(whole).collect()
}
