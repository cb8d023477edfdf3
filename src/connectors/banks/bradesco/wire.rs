//! What goes to Bradesco's own APIs, in the bank's own names.
//!
//! **Owns** nothing. **Limits**: amounts in cents, percentages in eight digits of hundred-thousandths of one per cent,
//! neither ever through a floating-point number; text in Latin-1. The sources give no lengths of fields; the longest
//! that we hold are 60 characters of a name or a street, 40 of a district, a city or a complement, 10 of a number.

use chrono::NaiveDate;
use serde::Serialize;

use crate::connectors::banks::RegisterRequest;
use crate::connectors::banks::text::latin1;
use crate::domain::boleto::charges::{Charges, FineValue, InterestValue, Percent};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::{Guarantor, Terms};
use crate::domain::payer::Address;
use crate::domain::tax_id::{TaxId, TaxIdKind};

/// A title with its payer.
#[derive(Serialize)]
pub(in crate::connectors::banks) struct BoletoBody<'a> {
    carteira: &'a str,
    nosso_numero: u64,
    numero_documento: u64,
    data_emissao: NaiveDate,
    data_vencimento: NaiveDate,
    valor_titulo: i64,
    pagador: PartyBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    informacoes_opcionais: Option<OptionalBody<'a>>,
}

#[derive(Serialize)]
struct PartyBody<'a> {
    nome: String,
    documento: &'a str,
    tipo_documento: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endereco: Option<AddressBody<'a>>,
}

#[derive(Serialize)]
struct AddressBody<'a> {
    cep: &'a str,
    logradouro: String,
    numero: String,
    complemento: String,
    bairro: String,
    cidade: String,
    uf: &'a str,
}

#[derive(Serialize, Default)]
struct OptionalBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    perc_juros: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valor_juros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qtde_dias_juros: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    perc_multa_atraso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valor_multa_atraso: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qtde_dias_multa_atraso: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sacador_avalista: Option<PartyBody<'a>>,
}

impl<'a> BoletoBody<'a> {
    /// # Errors
    /// What there is no number or no agreement for.
    pub(in crate::connectors::banks) fn of(request: &RegisterRequest<'a>) -> Result<Self, &'static str> {
        let boleto = request.boleto;
        let Issuer::Bradesco { carteira, .. } = &request.account.issuer else {
            return Err("the account's agreement is with another bank");
        };
        let number = boleto.codes.nosso_numero.as_deref().and_then(|digits| digits.parse().ok());
        let number: u64 = number.ok_or("the boleto has no number of ours")?;
        let payer = &boleto.payer;
        Ok(Self {
            carteira,
            nosso_numero: number,
            numero_documento: number,
            data_emissao: request.issue_date,
            data_vencimento: boleto.due_date,
            valor_titulo: boleto.amount.0,
            pagador: PartyBody::of(&payer.name, &payer.tax_id, Some(&payer.address)),
            informacoes_opcionais: OptionalBody::of(&boleto.terms),
        })
    }
}

impl<'a> PartyBody<'a> {
    fn of(name: &str, tax_id: &'a TaxId, address: Option<&'a Address>) -> Self {
        Self {
            nome: latin1(name),
            documento: tax_id.as_str(),
            tipo_documento: match tax_id.kind() {
                TaxIdKind::Cpf => "1",
                TaxIdKind::Cnpj => "2",
            },
            endereco: address.map(AddressBody::of),
        }
    }

    fn of_guarantor(guarantor: &'a Guarantor) -> Self {
        Self::of(&guarantor.name, &guarantor.tax_id, guarantor.address.as_ref())
    }
}

impl<'a> AddressBody<'a> {
    fn of(address: &'a Address) -> Self {
        Self {
            cep: &address.postal_code,
            logradouro: latin1(&address.street),
            numero: latin1(&address.number),
            complemento: latin1(&address.complement),
            bairro: latin1(&address.district),
            cidade: latin1(&address.city),
            uf: &address.state,
        }
    }
}

impl<'a> OptionalBody<'a> {
    /// What was agreed for a late payment and on whose behalf; nothing where nothing was.
    fn of(terms: &'a Terms) -> Option<Self> {
        let Charges { fine, interest, .. } = &terms.charges;
        if fine.is_none() && interest.is_none() && terms.guarantor.is_none() {
            return None;
        }
        let mut body = Self {
            sacador_avalista: terms.guarantor.as_ref().map(PartyBody::of_guarantor),
            qtde_dias_juros: interest.map(|interest| interest.after_days),
            qtde_dias_multa_atraso: fine.map(|fine| fine.after_days),
            ..Self::default()
        };
        match interest.map(|interest| interest.value) {
            Some(InterestValue::AmountPerDay(amount)) => body.valor_juros = Some(amount.0),
            Some(InterestValue::PercentagePerMonth(percent)) => body.perc_juros = Some(eight_digits(percent)),
            None => {}
        }
        match fine.map(|fine| fine.value) {
            Some(FineValue::Amount(amount)) => body.valor_multa_atraso = Some(amount.0),
            Some(FineValue::Percentage(percent)) => body.perc_multa_atraso = Some(eight_digits(percent)),
            None => {}
        }
        Some(body)
    }
}

/// 1 % as `00100000`. The digits are those that a percentage is kept in, so that nothing is calculated.
fn eight_digits(percent: Percent) -> String {
    format!("{:08}", percent.units())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_written_digit_by_digit() {
        for (percent, written) in [
            ("1", "00100000"),
            ("0.07", "00007000"),
            ("0.29", "00029000"),
            ("2.5", "00250000"),
            ("0.00001", "00000001"),
            ("99.99999", "09999999"),
            ("100", "10000000"),
        ] {
            assert_eq!(eight_digits(percent.parse().unwrap()), written);
        }
    }
}
