//! Whether what the bank has is what we gave out, and how it stands.
//!
//! **Owns** nothing. **Fails** towards doubt: a registration whose codes are not exactly ours is no registration,
//! because the payer holds our codes and could not pay.

use crate::connectors::banks::values::{cents, day, given, text};
use crate::connectors::banks::{Agreement, BankError, Registration, Title, TitleState, codes, pix};
use crate::domain::boleto::{BankResponse, Boleto};

use super::wire::{RegisteredBody, TitleBody, TitleKey};

const BANK_CODE: &str = "033";

/// Takes an answer for a registration, if line and barcode pass their check digits and are those of the boleto.
pub(super) fn registration(
    body: RegisteredBody,
    boleto: &Boleto,
    key: &TitleKey<'_>,
    status: u16,
) -> Result<Registration, BankError> {
    let unknown =
        |reason: &str| BankError::OutcomeUnknown { reason: format!("answer with status {status} {reason}") };
    let read = codes::read_both(body.barcode.as_deref(), body.linha_digitavel.as_deref());
    let theirs = read.map_err(|fault| unknown(&format!("has {fault}")))?;
    let differing = codes::differences(&theirs, boleto, BANK_CODE);
    if !differing.is_empty() {
        return Err(unknown(&format!("is for another boleto: {}", differing.join(", "))));
    }
    if given(body.bank_number).is_some_and(|number| !key.is(&number, boleto)) {
        return Err(unknown("is for another bankNumber"));
    }
    Ok(Registration {
        response: BankResponse { code: status.to_string(), message: String::new() },
        codes: None,
        pix_emv: pix::believed(body.pix_emv, boleto),
        bank_reference: None,
        url: None,
    })
}

/// Reads a title on file and compares it with the boleto. `by_pix`: the answer says that it was paid by Pix.
pub(super) fn title(
    mut body: TitleBody,
    boleto: &Boleto,
    key: &TitleKey<'_>,
    by_pix: bool,
) -> Result<Title, BankError> {
    let unreadable = |reason: &str| BankError::Unavailable { retry_after: None, reason: reason.to_owned() };
    let code = body.status.take().filter(|status| !status.trim().is_empty());
    let code = code.ok_or_else(|| unreadable("a title without a status"))?.trim().to_uppercase();
    let mut differing = Vec::new();

    let slip = body.slip.take().unwrap_or_default();
    let barcode = body.barcode.take().or(slip.barcode);
    let line = body.linha_digitavel.take().or(slip.linha_digitavel);
    let barcode = codes::read(barcode.as_deref(), line.as_deref());
    match &barcode {
        Ok(Some(theirs)) => differing.extend(codes::differences(theirs, boleto, BANK_CODE)),
        Ok(None) => {}
        Err(_) => differing.push("barcode"),
    }
    let amount = body.amount.as_deref().and_then(cents).filter(|amount| amount.0 != 0);
    let due_date = body.due_date.as_deref().and_then(day);
    if barcode == Ok(None) && (amount.is_none() || due_date.is_none()) {
        return Err(unreadable("a title without anything to compare"));
    }
    let payer = body.payer.take().and_then(|payer| payer.tax_id).and_then(text);
    let parts = [
        ("amount", amount.is_some_and(|amount| amount != boleto.amount)),
        ("due_date", due_date.is_some_and(|date| date != boleto.due_date)),
        ("nosso_numero", given(body.bank_number.take()).is_some_and(|number| !key.is(&number, boleto))),
        ("payer_tax_id", payer.is_some_and(|payer| !is_same(&payer, boleto.payer.tax_id.as_str()))),
    ];
    differing.extend(parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part));
    differing.sort_unstable();
    differing.dedup();
    Ok(Title {
        state: state(&code, by_pix),
        response: BankResponse { code, message: String::new() },
        agreement: if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) },
        barcode: barcode.ok().flatten(),
        nosso_numero: None,
        paid: body.paid(),
        paid_on: body.paid_on(),
        pix_emv: pix::believed(body.pix_emv, boleto),
    })
}

/// Written as the bank likes: with dots, or as a number that lost its leading zeros.
fn is_same(theirs: &str, ours: &str) -> bool {
    let signs: String = theirs.chars().filter(char::is_ascii_alphanumeric).collect();
    signs.is_empty() || signs.trim_start_matches('0').eq_ignore_ascii_case(ours.trim_start_matches('0'))
}

fn state(code: &str, by_pix: bool) -> TitleState {
    match code {
        "ATIVO" => TitleState::Open,
        "LIQUIDADO" => TitleState::Settled,
        "BAIXADO" if by_pix => TitleState::Settled,
        "BAIXADO" => TitleState::Cancelled,
        _ => TitleState::Other,
    }
}
