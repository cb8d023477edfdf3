//! What is said to the bank and what it answers, in its own names.
//!
//! **Owns** nothing. Unknown fields of an answer are ignored; a field of another type than expected makes the answer
//! unreadable. **Limits**: amounts are digits, cents or hundred-thousandths of a per cent, and never pass through a
//! floating-point number. The public manual names the parts of a change and not what stands in them: they are written
//! as the registration has them.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connectors::banks::complaints::{Complaints, complaint};
use crate::connectors::banks::{RegisterRequest, text, values};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue, Percent};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::tax_id::TaxIdKind;

use super::config::{ItauConfig, Stage};

/// By what the bank knows a title.
#[derive(Debug)]
pub(super) struct TitleKey<'a> {
    /// Agency, account in seven digits, and their check digit.
    pub(super) beneficiary: String,
    pub(super) carteira: &'a str,
    pub(super) nosso_numero: &'a str,
}

impl<'a> TitleKey<'a> {
    /// # Errors
    /// What is missing, in words for whoever configures the account.
    pub(super) fn of(issuer: &'a Issuer, boleto: &'a Boleto) -> Result<Self, &'static str> {
        let Issuer::Itau { agency, account, account_dac, carteira } = issuer else {
            return Err("the account's agreement is with another bank");
        };
        let nosso_numero = boleto.codes.nosso_numero.as_deref().ok_or("the boleto has no number")?;
        let beneficiary = format!("{agency:0>4}{account:0>7}{account_dac}");
        Ok(Self { beneficiary, carteira, nosso_numero })
    }

    /// The title in the path of a change.
    pub(super) fn id(&self) -> String {
        format!("{}{}{}", self.beneficiary, self.carteira, self.nosso_numero)
    }
}

/// An amount in 17 digits, cents.
fn digits(amount: Cents) -> String {
    format!("{:017}", amount.0)
}

/// A percentage in 12 digits, of which five are decimals.
fn rate(percent: Percent) -> String {
    format!("{:012}", percent.units())
}

/// `POST /boletos`
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RegisterBody<'a> {
    Plain(Title<'a>),
    InData { data: Title<'a> },
}

#[derive(Serialize)]
pub(super) struct Title<'a> {
    #[serde(rename = "etapa_processo_boleto")]
    stage: Stage,
    #[serde(rename = "codigo_canal_operacao", skip_serializing_if = "str::is_empty")]
    channel: &'a str,
    #[serde(rename = "beneficiario")]
    beneficiary: BeneficiaryBody<'a>,
    #[serde(rename = "dado_boleto")]
    data: DataBody<'a>,
}

#[derive(Serialize)]
struct BeneficiaryBody<'a> {
    #[serde(rename = "id_beneficiario")]
    id: &'a str,
}

#[derive(Serialize)]
struct DataBody<'a> {
    #[serde(rename = "descricao_instrumento_cobranca")]
    instrument: &'static str,
    #[serde(rename = "tipo_boleto")]
    kind: &'static str,
    #[serde(rename = "codigo_carteira")]
    carteira: &'a str,
    #[serde(rename = "codigo_especie")]
    document_kind: &'a str,
    #[serde(rename = "data_emissao")]
    issue_date: NaiveDate,
    #[serde(rename = "valor_total_titulo")]
    amount: String,
    #[serde(rename = "pagador")]
    payer: PayerBody<'a>,
    #[serde(rename = "dados_individuais_boleto")]
    each: [EachBody<'a>; 1],
    #[serde(rename = "juros", skip_serializing_if = "Option::is_none")]
    interest: Option<InterestBody<'a>>,
    #[serde(rename = "multa", skip_serializing_if = "Option::is_none")]
    fine: Option<FineBody<'a>>,
}

#[derive(Serialize)]
struct PayerBody<'a> {
    #[serde(rename = "pessoa")]
    person: PersonBody<'a>,
    #[serde(rename = "endereco")]
    address: AddressBody<'a>,
}

#[derive(Serialize)]
struct PersonBody<'a> {
    #[serde(rename = "nome_pessoa")]
    name: String,
    #[serde(rename = "tipo_pessoa")]
    kind: KindBody<'a>,
}

#[derive(Serialize)]
struct KindBody<'a> {
    #[serde(rename = "codigo_tipo_pessoa")]
    code: &'static str,
    #[serde(rename = "numero_cadastro_pessoa_fisica", skip_serializing_if = "Option::is_none")]
    cpf: Option<&'a str>,
    #[serde(rename = "numero_cadastro_nacional_pessoa_juridica", skip_serializing_if = "Option::is_none")]
    cnpj: Option<&'a str>,
}

#[derive(Serialize)]
struct AddressBody<'a> {
    #[serde(rename = "nome_logradouro")]
    street: String,
    #[serde(rename = "nome_bairro")]
    district: String,
    #[serde(rename = "nome_cidade")]
    city: String,
    #[serde(rename = "sigla_UF")]
    state: &'a str,
    #[serde(rename = "numero_CEP")]
    postal_code: &'a str,
}

#[derive(Serialize)]
struct EachBody<'a> {
    #[serde(rename = "numero_nosso_numero")]
    nosso_numero: &'a str,
    #[serde(rename = "data_vencimento")]
    due_date: NaiveDate,
    #[serde(rename = "valor_titulo")]
    amount: String,
    #[serde(rename = "texto_seu_numero")]
    own_number: &'a str,
}

#[derive(Serialize)]
struct InterestBody<'a> {
    #[serde(rename = "codigo_tipo_juros")]
    code: &'a str,
    #[serde(rename = "percentual_juros")]
    rate: String,
}

#[derive(Serialize)]
pub(super) struct FineBody<'a> {
    #[serde(rename = "codigo_tipo_multa")]
    code: &'a str,
    #[serde(rename = "percentual_multa", skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
}

impl<'a> RegisterBody<'a> {
    /// # Errors
    /// What the API has no room for.
    pub(super) fn of(
        request: &RegisterRequest<'a>,
        key: &'a TitleKey<'_>,
        config: &'a ItauConfig,
    ) -> Result<Self, &'static str> {
        let title = Title {
            stage: config.stage,
            channel: &config.channel,
            beneficiary: BeneficiaryBody { id: &key.beneficiary },
            data: DataBody::of(request, key, config)?,
        };
        Ok(if config.request_in_data { Self::InData { data: title } } else { Self::Plain(title) })
    }
}

impl<'a> DataBody<'a> {
    fn of(
        request: &RegisterRequest<'a>,
        key: &'a TitleKey<'_>,
        config: &'a ItauConfig,
    ) -> Result<Self, &'static str> {
        let boleto = request.boleto;
        let charges = &boleto.terms.charges;
        let interest = match charges.interest {
            None => None,
            Some(Interest { value: InterestValue::PercentagePerMonth(percent), .. }) => {
                Some(InterestBody { code: &config.interest_percentage_code, rate: rate(percent) })
            }
            Some(_) => return Err("the API takes interest in per cent alone"),
        };
        Ok(Self {
            instrument: "boleto",
            kind: "a vista",
            carteira: key.carteira,
            document_kind: &config.document_kind,
            issue_date: request.issue_date,
            amount: digits(boleto.amount),
            payer: PayerBody::of(&boleto.payer, config),
            each: [EachBody {
                nosso_numero: key.nosso_numero,
                due_date: boleto.due_date,
                amount: digits(boleto.amount),
                own_number: key.nosso_numero,
            }],
            interest,
            fine: charges.fine.map(|fine| FineBody::of(Some(fine), config)).transpose()?,
        })
    }
}

impl<'a> PayerBody<'a> {
    fn of(payer: &'a Payer, config: &ItauConfig) -> Self {
        let (address, tax_id) = (&payer.address, payer.tax_id.as_str());
        let kind = match payer.tax_id.kind() {
            TaxIdKind::Cpf => KindBody { code: "F", cpf: Some(tax_id), cnpj: None },
            TaxIdKind::Cnpj => KindBody { code: "J", cpf: None, cnpj: Some(tax_id) },
        };
        Self {
            person: PersonBody { name: text::plain(&payer.name, config.name_chars_max), kind },
            address: AddressBody {
                street: text::street(address, config.street_chars_max),
                district: text::plain(&address.district, config.district_chars_max),
                city: text::plain(&address.city, config.city_chars_max),
                state: &address.state,
                postal_code: &address.postal_code,
            },
        }
    }
}

impl<'a> FineBody<'a> {
    fn of(fine: Option<Fine>, config: &'a ItauConfig) -> Result<Self, &'static str> {
        match fine.map(|fine| fine.value) {
            None => Ok(Self { code: &config.fine_none_code, rate: None }),
            Some(FineValue::Percentage(percent)) => {
                Ok(Self { code: &config.fine_percentage_code, rate: Some(rate(percent)) })
            }
            Some(FineValue::Amount(_)) => Err("the API takes a fine in per cent alone"),
        }
    }
}

/// `PATCH /boletos/{title}/{part}`
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ChangeBody<'a> {
    DueDate {
        data_vencimento: NaiveDate,
    },
    Abatement {
        valor_abatimento: String,
    },
    Fine {
        multa: FineBody<'a>,
    },
    /// Baixa: the path says it all.
    WriteOff {},
}

impl<'a> ChangeBody<'a> {
    /// The abatement as it is to be; nothing is an abatement of nothing.
    pub(super) fn abatement(abatement: Option<Cents>) -> Self {
        Self::Abatement { valor_abatimento: digits(abatement.unwrap_or(Cents::ZERO)) }
    }

    /// The fine as it is to be.
    ///
    /// # Errors
    /// What the API has no room for.
    pub(super) fn fine(fine: Option<Fine>, config: &'a ItauConfig) -> Result<Self, &'static str> {
        FineBody::of(fine, config).map(|multa| Self::Fine { multa })
    }

    /// Behind the title in the path.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::DueDate { .. } => "data_vencimento",
            Self::Abatement { .. } => "abatimento",
            Self::Fine { .. } => "multa",
            Self::WriteOff {} => "baixa",
        }
    }
}

/// The answer to a registration.
#[derive(Deserialize)]
pub(super) struct RegisteredBody {
    pub(super) data: TitleSaid,
}

/// The answer to a look-up: one title, or several.
#[derive(Deserialize)]
pub(super) struct FoundBody {
    pub(super) data: Several,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Several {
    List(Vec<TitleSaid>),
    One(Box<TitleSaid>),
}

#[derive(Deserialize)]
pub(super) struct TitleSaid {
    #[serde(rename = "dado_boleto")]
    pub(super) data: DataSaid,
}

#[derive(Deserialize)]
pub(super) struct DataSaid {
    #[serde(rename = "dados_individuais_boleto", default)]
    pub(super) each: Vec<EachSaid>,
    #[serde(rename = "pagamentos_cobranca")]
    pub(super) payments: Option<Vec<PaymentSaid>>,
}

#[derive(Deserialize)]
pub(super) struct EachSaid {
    #[serde(rename = "numero_nosso_numero")]
    pub(super) nosso_numero: Option<Value>,
    #[serde(rename = "codigo_barras")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "numero_linha_digitavel")]
    pub(super) linha_digitavel: Option<String>,
    #[serde(rename = "situacao_geral_boleto")]
    pub(super) state: Option<String>,
    #[serde(rename = "data_vencimento")]
    pub(super) due_date: Option<String>,
    #[serde(rename = "valor_titulo")]
    pub(super) amount: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct PaymentSaid {
    #[serde(rename = "valor_pago_total_cobranca")]
    pub(super) amount: Option<Value>,
    #[serde(rename = "data_inclusao_pagamento")]
    pub(super) on: Option<String>,
}

/// An amount as the bank writes it in text: 17 digits of cents, as it takes them, or with a point.
pub(super) fn amount(value: Value) -> Option<Cents> {
    let Value::String(text) = value else { return None };
    if text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Cents);
    }
    text.contains('.').then(|| values::cents_of(&text)).flatten()
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "codigo")]
    code: Option<Value>,
    #[serde(rename = "mensagem")]
    message: Option<Value>,
    #[serde(rename = "codigo_erro")]
    other_code: Option<Value>,
    #[serde(rename = "mensagem_erro")]
    other_message: Option<Value>,
    #[serde(rename = "campos")]
    parts: Option<Vec<ErrorPart>>,
}

#[derive(Deserialize)]
struct ErrorPart {
    #[serde(rename = "mensagem")]
    message: Option<Value>,
}

/// What the bank complains of: one code, with the words of all parts behind its own.
pub(super) fn complaints(body: &[u8]) -> Complaints {
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return Complaints::new() };
    let whole = body.message.or(body.other_message).and_then(values::text);
    let parts = body.parts.into_iter().flatten().filter_map(|part| values::text(part.message?));
    let words: Vec<String> = whole.into_iter().chain(parts).collect();
    complaint(body.code.or(body.other_code), Some(Value::String(words.join(" / ")))).into_iter().collect()
}
