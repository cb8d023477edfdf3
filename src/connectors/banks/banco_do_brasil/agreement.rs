//! Whether what the bank has is what we gave out.
//!
//! **Owns** nothing. **Fails** towards doubt: a registration whose codes are not exactly ours is no registration,
//! because the payer holds our codes and could not pay.

use crate::connectors::banks::{Agreement, BankError, LookUp, Registration, Title, TitleState};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::linha_digitavel::LinhaDigitavel;
use crate::domain::boleto::{BankResponse, Boleto};

use super::error::text;
use super::wire::{RegisteredBody, TitleBody, TitleKey, cents, date, given, tax_number};

/// Takes an answer for a registration, if line and barcode pass their check digits and are those of the boleto.
pub(super) fn registration(
    body: RegisteredBody,
    boleto: &Boleto,
    key: &TitleKey<'_>,
    status: u16,
) -> Result<Registration, BankError> {
    let unknown =
        |reason: &str| BankError::OutcomeUnknown { reason: format!("answer with status {status} {reason}") };
    let line = body.linha_digitavel.ok_or_else(|| unknown("has no linhaDigitavel"))?;
    let line =
        LinhaDigitavel::parse(&line).map_err(|_| unknown("has a linhaDigitavel that fails its check"))?;
    let barcode = body.barcode.ok_or_else(|| unknown("has no codigoBarraNumerico"))?;
    let barcode =
        Barcode::parse(&barcode).map_err(|_| unknown("has a codigoBarraNumerico that fails its check"))?;
    if line.to_barcode() != barcode {
        return Err(unknown("has a line and a barcode that contradict each other"));
    }
    let differing = differences(&barcode, &boleto.codes.barcode);
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
        contract: given(body.contract),
    })
}

/// Reads a title on file and compares it with the boleto.
pub(super) fn title(body: TitleBody, boleto: &Boleto) -> Result<LookUp, BankError> {
    let unreadable = |reason: &str| BankError::Unavailable { retry_after: None, reason: reason.to_owned() };
    let code = body.state.and_then(text).ok_or_else(|| unreadable("a title without a state"))?;
    let ours = &boleto.codes.barcode;
    let mut differing = Vec::new();

    let barcode = read_barcode(body.barcode.as_deref(), body.linha_digitavel.as_deref());
    match &barcode {
        Some(Ok(theirs)) => differing.extend(differences(theirs, ours)),
        Some(Err(())) => differing.push("barcode"),
        None => {}
    }
    let amount = body.amount.as_deref().and_then(cents).filter(|amount| amount.0 != 0);
    let due_date = body.due_date.as_deref().and_then(date);
    if barcode.is_none() && (amount.is_none() || due_date.is_none()) {
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
        barcode: barcode.and_then(Result::ok),
        paid: body.paid.as_deref().and_then(cents).filter(|paid| paid.0 != 0),
        paid_on: body.paid_on.as_deref().and_then(date),
        pix_emv: None,
    })))
}

fn read_barcode(barcode: Option<&str>, line: Option<&str>) -> Option<Result<Barcode, ()>> {
    let filled = |text: &&str| !text.trim().is_empty();
    match (barcode.filter(filled), line.filter(filled)) {
        (Some(text), _) => Some(Barcode::parse(text.trim()).map_err(drop)),
        (None, Some(text)) => {
            Some(LinhaDigitavel::parse(text.trim()).map(|line| line.to_barcode()).map_err(drop))
        }
        (None, None) => None,
    }
}

fn differences(theirs: &Barcode, ours: &Barcode) -> Vec<&'static str> {
    let parts = [
        ("bank_code", theirs.bank_code() == ours.bank_code()),
        ("amount", theirs.amount() == ours.amount()),
        ("due_date", theirs.factor() == ours.factor()),
        ("nosso_numero", theirs.campo_livre() == ours.campo_livre()),
    ];
    parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

/// The bank's table of states (codigoEstadoTituloCobranca).
fn state(code: &str) -> TitleState {
    match code {
        "1" | "15" | "80" => TitleState::Open,
        "6" | "16" => TitleState::Settled,
        "7" => TitleState::Cancelled,
        _ => TitleState::Other,
    }
}
