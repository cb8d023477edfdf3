//! A stored boleto and its account as a document: what stands in each box of the form.
//!
//! **Owns** nothing. **Fails** never: a text that the form cannot hold is found when it is drawn. A boleto that nobody may
//! pay has no codes on it, by construction, and says why in the payer's words.
//! **Limits**: the bank's Pix text is drawn only where its check sum is right, it is the bank's own charge, and its amount is the
//! boleto's or left open; else the document goes without. Accounts hold no address of the beneficiary, so none is shown.

mod instructions;

use chrono::NaiveDate;
use chrono_tz::America::Sao_Paulo;

use self::instructions::{instructions, payment_place};
use super::document::{Bank, BoletoDocument, Party, Standing};
use super::limits::PIX_EMV_BYTES_MAX;
use super::words::{date, postal_address};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::pix::BrCode;
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Guarantor;

/// What stands in the form's box for the owner's own number at most; a longer name of the owner's is none that is printed.
const DOCUMENT_NUMBER_CHARS_MAX: usize = 40;
/// Duplicata mercantil, the kind that is meant when nobody says another.
const DOCUMENT_KIND: &str = "DM";
const NOT_ACCEPTED: &str = "N";

/// The document of a boleto, as it stands now.
pub fn of_boleto(boleto: &Boleto, account: &BankAccount) -> BoletoDocument {
    let issuer = &account.issuer;
    let issued_on = boleto.created_at.with_timezone(&Sao_Paulo).date_naive();
    let nosso_numero = boleto.codes.nosso_numero.as_deref().map_or_else(String::new, |number| {
        issuer.printed_nosso_numero(number, boleto.codes.nosso_numero_dv.as_deref())
    });
    BoletoDocument {
        bank: Bank {
            name: bank_name(issuer).to_owned(),
            code: format!("{}-{}", issuer.bank_code(), issuer.bank_code_dv()),
        },
        standing: standing(boleto),
        beneficiary: Party {
            name: account.beneficiary.name.clone(),
            tax_id: Some(account.beneficiary.tax_id),
            address: None,
        },
        agency_and_code: issuer.agency_and_beneficiary(),
        payer: Party::from(&boleto.payer),
        guarantor: boleto.terms.guarantor.as_ref().map(guarantor),
        document_number: document_number(boleto).unwrap_or_else(|| nosso_numero.clone()),
        nosso_numero,
        document_kind: DOCUMENT_KIND.to_owned(),
        acceptance: NOT_ACCEPTED.to_owned(),
        issue_date: issued_on,
        processing_date: issued_on,
        due_date: boleto.due_date,
        amount: boleto.amount,
        carteira: issuer.carteira().unwrap_or_default().to_owned(),
        payment_place: payment_place(&boleto.terms),
        instructions: instructions(boleto),
    }
}

fn bank_name(issuer: &Issuer) -> &'static str {
    match issuer {
        Issuer::BancoDoBrasil { .. } => "Banco do Brasil",
        Issuer::Bradesco { .. } => "Bradesco",
        Issuer::Itau { .. } => "Itaú",
        Issuer::Santander { .. } => "Santander",
        Issuer::Caixa { .. } => "Caixa",
        Issuer::Inter { .. } => "Inter",
    }
}

/// The owner's own name for the boleto, where the form has room for it.
fn document_number(boleto: &Boleto) -> Option<String> {
    let name = boleto.reference_id.as_ref()?;
    (name.chars().count() <= DOCUMENT_NUMBER_CHARS_MAX).then(|| name.clone())
}

fn guarantor(guarantor: &Guarantor) -> Party {
    Party {
        name: guarantor.name.clone(),
        tax_id: Some(guarantor.tax_id),
        address: guarantor.address.as_ref().map(postal_address),
    }
}

fn standing(boleto: &Boleto) -> Standing {
    match boleto.codes.barcode.filter(|_| boleto.payable()) {
        Some(barcode) => Standing::Payable { barcode, pix_emv: pix(boleto) },
        None => Standing::NotPayable { reason: why_not(boleto.status, boleto.paid_on) },
    }
}

fn why_not(status: Status, paid_on: Option<NaiveDate>) -> String {
    match (status, paid_on) {
        (Status::Issued, _) => "registro ainda não pedido ao banco".to_owned(),
        (Status::PendingRegistration, _) => "aguardando o registro no banco".to_owned(),
        // Paid in full, before its registration perhaps, so that nothing is left to pay.
        (Status::Registered, Some(day)) => format!("pago em {}", date(day)),
        // Registered without a barcode: the bank has not given it yet.
        (Status::Registered, None) => "aguardando o código de barras do banco".to_owned(),
        (Status::Refused, _) => "registro recusado pelo banco".to_owned(),
        (Status::NeedsReview, _) => "registro em análise".to_owned(),
        (Status::Cancelled, _) => "cancelado".to_owned(),
        (Status::Paid, Some(day)) => format!("pago em {}", date(day)),
        (Status::Paid, None) => "pago".to_owned(),
    }
}

/// The bank's Pix text, where paying it is paying this boleto.
fn pix(boleto: &Boleto) -> Option<String> {
    let text = boleto.pix_emv.as_ref().filter(|text| text.len() <= PIX_EMV_BYTES_MAX)?;
    let code = BrCode::parse(text).ok()?;
    let agrees = code.is_dynamic() && code.amount().is_none_or(|amount| amount == boleto.amount);
    agrees.then(|| text.clone())
}
