//! What is said to the bank and what it answers, in its own names.
//!
//! **Owns** nothing. Unknown fields of an answer are ignored; a field of another type than expected makes the answer
//! unreadable. **Limits**: amounts never pass through a floating-point number, in either direction.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::banks::{RegisterRequest, values};
use crate::domain::boleto::issuer::{Issuer, banco_do_brasil_title_number};
use crate::domain::money::Cents;
use crate::domain::payer::{Address, Payer};
use crate::domain::tax_id::{TaxId, TaxIdKind};

/// DD.MM.AAAA
pub(super) const DATE: &str = "%d.%m.%Y";
/// The title type for a trade bill (duplicata mercantil).
const DUPLICATA_MERCANTIL: u8 = 2;
/// The street line that the bank keeps.
const STREET_CHARS_MAX: usize = 60;

/// `POST /boletos`
#[derive(Serialize)]
pub(super) struct RegisterBody<'a> {
    #[serde(rename = "numeroConvenio")]
    convenio: u64,
    #[serde(rename = "numeroCarteira")]
    carteira: u32,
    #[serde(rename = "numeroVariacaoCarteira")]
    variacao: u32,
    #[serde(rename = "codigoModalidade")]
    modality: u8,
    #[serde(rename = "dataEmissao")]
    issue_date: String,
    #[serde(rename = "dataVencimento")]
    due_date: String,
    #[serde(rename = "valorOriginal")]
    amount: Box<RawValue>,
    #[serde(rename = "codigoAceite")]
    acceptance: &'static str,
    #[serde(rename = "codigoTipoTitulo")]
    title_type: u8,
    #[serde(rename = "descricaoTipoTitulo")]
    title_type_name: &'static str,
    #[serde(rename = "indicadorPermissaoRecebimentoParcial")]
    partial_payment: &'static str,
    #[serde(rename = "numeroTituloBeneficiario")]
    beneficiary_number: String,
    #[serde(rename = "numeroTituloCliente")]
    title_number: String,
    #[serde(rename = "mensagemBloquetoOcorrencia", skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(rename = "pagador")]
    payer: PayerBody<'a>,
    #[serde(rename = "indicadorPix")]
    pix: &'static str,
}

#[derive(Serialize)]
struct PayerBody<'a> {
    #[serde(rename = "tipoInscricao")]
    kind: u8,
    #[serde(rename = "numeroInscricao")]
    tax_id: u64,
    #[serde(rename = "nome")]
    name: &'a str,
    #[serde(rename = "endereco")]
    street: String,
    #[serde(rename = "cep")]
    postal_code: u32,
    #[serde(rename = "cidade")]
    city: &'a str,
    #[serde(rename = "bairro")]
    district: &'a str,
    #[serde(rename = "uf")]
    state: &'a str,
}

/// The agreement and the number by which the bank knows a title.
pub(super) struct TitleKey<'a> {
    pub(super) convenio: &'a str,
    /// Twenty digits.
    pub(super) number: String,
}

impl<'a> TitleKey<'a> {
    pub(super) fn of(issuer: &'a Issuer, nosso_numero: Option<&str>) -> Result<Self, &'static str> {
        let Issuer::BancoDoBrasil { convenio, .. } = issuer else {
            return Err("the account's agreement is with another bank");
        };
        let number = nosso_numero.and_then(banco_do_brasil_title_number).filter(|_| convenio.len() == 7);
        let number = number.ok_or("registration by API needs a convênio of 7 digits")?;
        Ok(Self { convenio, number })
    }
}

impl<'a> RegisterBody<'a> {
    /// # Errors
    /// What the API has no room for.
    pub(super) fn of(request: &RegisterRequest<'a>, pix: bool) -> Result<Self, &'static str> {
        let boleto = request.boleto;
        let key = TitleKey::of(&request.account.issuer, boleto.codes.nosso_numero.as_deref())?;
        let Issuer::BancoDoBrasil { carteira, variacao, .. } = &request.account.issuer else {
            return Err("the account's agreement is with another bank");
        };
        Ok(Self {
            convenio: key.convenio.parse().map_err(|_| "the convênio is not a number")?,
            carteira: carteira.parse().map_err(|_| "the carteira is not a number")?,
            variacao: variacao.parse().map_err(|_| "the variação is not a number")?,
            modality: 1,
            issue_date: request.issue_date.format(DATE).to_string(),
            due_date: boleto.due_date.format(DATE).to_string(),
            amount: values::number(boleto.amount),
            acceptance: "N",
            title_type: DUPLICATA_MERCANTIL,
            title_type_name: "DM",
            partial_payment: "N",
            // At most fifteen characters; the end of the number is the part that differs.
            beneficiary_number: key.number[key.number.len() - 15..].to_owned(),
            title_number: key.number,
            instructions: boleto.instructions.as_deref().filter(|text| !text.is_empty()),
            payer: PayerBody::of(&boleto.payer)?,
            pix: if pix { "S" } else { "N" },
        })
    }
}

impl<'a> PayerBody<'a> {
    fn of(payer: &'a Payer) -> Result<Self, &'static str> {
        let address = &payer.address;
        Ok(Self {
            kind: match payer.tax_id.kind() {
                TaxIdKind::Cpf => 1,
                TaxIdKind::Cnpj => 2,
            },
            tax_id: tax_number(&payer.tax_id).ok_or("the API takes a CNPJ of digits alone")?,
            name: &payer.name,
            street: street(address),
            postal_code: address.postal_code.parse().map_err(|_| "the postal code is not a number")?,
            city: &address.city,
            district: &address.district,
            state: &address.state,
        })
    }
}

/// `POST /boletos/{id}/baixar`
#[derive(Serialize)]
pub(super) struct WriteOffBody {
    #[serde(rename = "numeroConvenio")]
    convenio: u64,
}

impl WriteOffBody {
    /// # Errors
    /// What the API has no room for.
    pub(super) fn of(key: &TitleKey<'_>) -> Result<Self, &'static str> {
        Ok(Self { convenio: key.convenio.parse().map_err(|_| "the convênio is not a number")? })
    }
}

/// The answer to a write-off.
#[derive(Deserialize)]
pub(super) struct WrittenOffBody {
    #[serde(rename = "dataBaixa")]
    pub(super) on: Option<String>,
}

/// `PATCH /boletos/{id}`: the convênio, one indicator, and what belongs to it.
#[derive(Serialize)]
pub(super) struct AmendBody {
    #[serde(rename = "numeroConvenio")]
    convenio: u64,
    #[serde(rename = "indicadorNovaDataVencimento", skip_serializing_if = "Option::is_none")]
    with_due_date: Option<&'static str>,
    #[serde(rename = "alteracaoData", skip_serializing_if = "Option::is_none")]
    due_date: Option<NewDueDate>,
    #[serde(rename = "indicadorIncluirAbatimento", skip_serializing_if = "Option::is_none")]
    with_abatement: Option<&'static str>,
    #[serde(rename = "abatimento", skip_serializing_if = "Option::is_none")]
    abatement: Option<NewAbatement>,
}

#[derive(Serialize)]
struct NewDueDate {
    #[serde(rename = "novaDataVencimento")]
    due_date: String,
}

#[derive(Serialize)]
struct NewAbatement {
    #[serde(rename = "valorAbatimento")]
    amount: Box<RawValue>,
}

impl AmendBody {
    /// # Errors
    /// What the API has no room for.
    pub(super) fn of(key: &TitleKey<'_>, change: Amended) -> Result<Self, &'static str> {
        let convenio = key.convenio.parse().map_err(|_| "the convênio is not a number")?;
        let nothing =
            Self { convenio, with_due_date: None, due_date: None, with_abatement: None, abatement: None };
        Ok(match change {
            Amended::DueDate(date) => {
                let due_date = Some(NewDueDate { due_date: date.format(DATE).to_string() });
                Self { with_due_date: Some("S"), due_date, ..nothing }
            }
            Amended::Abatement(amount) => {
                let abatement = Some(NewAbatement { amount: values::number(amount) });
                Self { with_abatement: Some("S"), abatement, ..nothing }
            }
        })
    }
}

/// The one thing that a change changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amended {
    DueDate(NaiveDate),
    Abatement(Cents),
}

/// A tax id as the number that the bank makes of it; `None` for one with letters.
pub(super) fn tax_number(tax_id: &TaxId) -> Option<u64> {
    tax_id.as_str().parse().ok()
}

/// Street, number and complement on one line. What is cut first is what a postman misses least.
fn street(address: &Address) -> String {
    let tail = format!(", {}", address.number);
    let room = STREET_CHARS_MAX.saturating_sub(tail.chars().count());
    let head: String = address.street.chars().take(room).collect();
    let mut line = head + &tail;
    if !address.complement.is_empty() {
        let room = STREET_CHARS_MAX.saturating_sub(line.chars().count() + 1);
        let complement: String = address.complement.chars().take(room).collect();
        if !complement.is_empty() {
            line = line + " " + &complement;
        }
    }
    line
}

/// The answer to a registration.
#[derive(Deserialize)]
pub(super) struct RegisteredBody {
    #[serde(rename = "numero")]
    pub(super) title_number: Option<Value>,
    #[serde(rename = "linhaDigitavel")]
    pub(super) linha_digitavel: Option<String>,
    #[serde(rename = "codigoBarraNumerico")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "qrCode")]
    pub(super) qr_code: Option<QrCodeBody>,
}

#[derive(Deserialize)]
pub(super) struct QrCodeBody {
    pub(super) emv: Option<String>,
}

/// The answer to `GET /boletos/{id}`.
#[derive(Deserialize)]
pub(super) struct TitleBody {
    #[serde(rename = "codigoEstadoTituloCobranca")]
    pub(super) state: Option<Value>,
    #[serde(rename = "codigoLinhaDigitavel")]
    pub(super) linha_digitavel: Option<String>,
    #[serde(rename = "textoCodigoBarrasTituloCobranca")]
    pub(super) barcode: Option<String>,
    #[serde(rename = "valorOriginalTituloCobranca")]
    pub(super) amount: Option<Box<RawValue>>,
    #[serde(rename = "dataVencimentoTituloCobranca")]
    pub(super) due_date: Option<String>,
    #[serde(rename = "numeroInscricaoSacadoCobranca")]
    pub(super) payer_tax_id: Option<Value>,
    #[serde(rename = "valorPagoSacado")]
    pub(super) paid: Option<Box<RawValue>>,
    #[serde(rename = "dataRecebimentoTitulo")]
    pub(super) paid_on: Option<String>,
}

/// A date of the bank's; blank and zero dates are none.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text.trim(), DATE).ok()
}
