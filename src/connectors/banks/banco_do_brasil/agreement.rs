//! Whether what the bank has is what we gave out.
//!
//! **Owns** nothing. **Fails** towards doubt: a registration whose codes are not exactly ours is no registration,
//! because the payer holds our codes and could not pay.

use crate::connectors::banks::values::{cents, given, text};
use crate::connectors::banks::{Agreement, BankError, LookUp, Registration, Title, TitleState, codes};
use crate::domain::boleto::{BankResponse, Boleto};

use super::wire::{RegisteredBody, TitleBody, TitleKey, date, tax_number};

const BANK_CODE: &str = "001";

/// Takes an answer for a registration, if line and barcode pass their check digits and are those of the boleto.
pub(super) fn registration(
    body: RegisteredBody,
    boleto: &Boleto,
    key: &TitleKey<'_>,
    status: u16,
) -> Result<Registration, BankError> {
    let unknown =
        |reason: &str| BankError::OutcomeUnknown { reason: format!("answer with status {status} {reason}") };
    let given_text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let barcode = given_text(body.barcode).ok_or_else(|| unknown("has no codigoBarraNumerico"))?;
    let line = given_text(body.linha_digitavel).ok_or_else(|| unknown("has no linhaDigitavel"))?;
    let read = codes::read(Some(&barcode), Some(&line));
    let theirs = read.map_err(|fault| unknown(&format!("has {fault}")))?;
    let theirs = theirs.ok_or_else(|| unknown("has no codes"))?;
    let differing = codes::differences(&theirs, boleto, BANK_CODE);
    if !differing.is_empty() {
        return Err(unknown(&format!("is for another boleto: {}", differing.join(", "))));
    }
    if let Some(number) = given(body.title_number)
        // As a JSON number it comes without its leading zeros.
        && number.trim_start_matches('0') != key.number.trim_start_matches('0')
    {
        return Err(unknown("is for another numeroTituloCliente"));
    }
    Ok(Registration {
        response: BankResponse { code: status.to_string(), message: String::new() },
        pix_emv: body.qr_code.and_then(|code| code.emv).filter(|emv| !emv.is_empty()),
        codes: None,
        bank_reference: None,
        url: None,
    })
}

/// Reads a title on file and compares it with the boleto.
pub(super) fn title(body: TitleBody, boleto: &Boleto) -> Result<LookUp, BankError> {
    let unreadable = |reason: &str| BankError::Unavailable { retry_after: None, reason: reason.to_owned() };
    let code = body.state.and_then(text).ok_or_else(|| unreadable("a title without a state"))?;
    let mut differing = Vec::new();

    let barcode = codes::read(body.barcode.as_deref(), body.linha_digitavel.as_deref());
    match &barcode {
        Ok(Some(theirs)) => differing.extend(codes::differences(theirs, boleto, BANK_CODE)),
        Ok(None) => {}
        Err(_) => differing.push("barcode"),
    }
    let amount = body.amount.as_deref().and_then(cents).filter(|amount| amount.0 != 0);
    let due_date = body.due_date.as_deref().and_then(date);
    if barcode == Ok(None) && (amount.is_none() || due_date.is_none()) {
        return Err(unreadable("a title without anything to compare"));
    }
    if amount.is_some_and(|amount| amount != boleto.amount) {
        differing.push("amount");
    }
    if due_date.is_some_and(|date| date != boleto.due_date) {
        differing.push("due_date");
    }
    // The bank keeps a number, in which leading zeros are lost; hence numbers are compared.
    let payer = given(body.payer_tax_id).and_then(|digits| digits.parse::<u64>().ok());
    if payer.is_some_and(|payer| Some(payer) != tax_number(&boleto.payer.tax_id)) {
        differing.push("payer_tax_id");
    }
    differing.sort_unstable();
    differing.dedup();
    Ok(LookUp::OnFile(Box::new(Title {
        state: state(&code),
        response: BankResponse { code, message: String::new() },
        agreement: if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) },
        barcode: barcode.ok().flatten(),
        nosso_numero: None,
        paid: body.paid.as_deref().and_then(cents).filter(|paid| paid.0 != 0),
        paid_on: body.paid_on.as_deref().and_then(date),
        pix_emv: None,
    })))
}

/// The bank's table of states (codigoEstadoTituloCobranca).
fn state(code: &str) -> TitleState {
    match code {
        "1" | "15" | "80" => TitleState::Open,
        "6" | "16" => TitleState::Settled,
        "7" => TitleState::Cancelled,
        "18" => TitleState::PartlyPaid,
        _ => TitleState::Other,
    }
}
