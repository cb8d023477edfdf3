//! Whether what the bank has is what we gave out.
//!
//! **Owns** nothing. **Fails** towards doubt: a registration whose codes are not exactly ours is no registration,
//! because the payer holds our codes and could not pay.

use crate::connectors::banks::values::{day, given};
use crate::connectors::banks::{Agreement, BankError, Registration, Title, TitleState, codes};
use crate::domain::boleto::{BankResponse, Boleto};

use super::wire::{DataSaid, EachSaid, PaymentSaid, TitleKey, amount};

const BANK_CODE: &str = "341";

/// Takes an answer for a registration, if line and barcode pass their check digits and are those of the boleto.
pub(super) fn registration(said: DataSaid, boleto: &Boleto, status: u16) -> Result<Registration, BankError> {
    let unknown =
        |reason: &str| BankError::OutcomeUnknown { reason: format!("answer with status {status} {reason}") };
    let each = said.each.into_iter().next().ok_or_else(|| unknown("has no title"))?;
    let read = codes::read_both(each.barcode.as_deref(), each.linha_digitavel.as_deref());
    let theirs = read.map_err(|fault| unknown(&format!("has {fault}")))?;
    let differing = codes::differences(&theirs, boleto, BANK_CODE);
    if !differing.is_empty() {
        return Err(unknown(&format!("is for another boleto: {}", differing.join(", "))));
    }
    Ok(Registration {
        response: BankResponse { code: status.to_string(), message: String::new() },
        codes: None,
        pix_emv: None,
        bank_reference: None,
        url: None,
    })
}

/// Reads a title on file and compares it with the boleto.
pub(super) fn title(
    each: EachSaid,
    payments: Vec<PaymentSaid>,
    boleto: &Boleto,
    key: &TitleKey<'_>,
) -> Result<Title, BankError> {
    let unreadable = |reason: &str| BankError::Unavailable { retry_after: None, reason: reason.to_owned() };
    let code = each.state.filter(|state| !state.trim().is_empty());
    let code = code.ok_or_else(|| unreadable("a title without situacao_geral_boleto"))?.trim().to_owned();
    let mut differing = Vec::new();
    let barcode = codes::read(each.barcode.as_deref(), each.linha_digitavel.as_deref());
    match &barcode {
        Ok(Some(theirs)) => differing.extend(codes::differences(theirs, boleto, BANK_CODE)),
        Ok(None) => {}
        Err(_) => differing.push("barcode"),
    }
    let nominal = each.amount.and_then(amount).filter(|nominal| nominal.0 != 0);
    let due_date = each.due_date.as_deref().and_then(day);
    if barcode == Ok(None) && (nominal.is_none() || due_date.is_none()) {
        return Err(unreadable("a title without anything to compare"));
    }
    let parts = [
        ("amount", nominal.is_some_and(|nominal| nominal != boleto.amount)),
        ("due_date", due_date.is_some_and(|date| date != boleto.due_date)),
        ("nosso_numero", given(each.nosso_numero).is_some_and(|number| !is_same(&number, key))),
    ];
    differing.extend(parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part));
    differing.sort_unstable();
    differing.dedup();
    let last = payments.into_iter().next_back();
    let (paid, paid_on) = match last {
        Some(payment) => (payment.amount.and_then(amount), payment.on.as_deref().and_then(day)),
        None => (None, None),
    };
    Ok(Title {
        state: state(&code),
        response: BankResponse { code, message: String::new() },
        agreement: if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) },
        barcode: barcode.ok().flatten(),
        nosso_numero: None,
        paid: paid.filter(|paid| paid.0 != 0),
        paid_on,
        pix_emv: None,
    })
}

/// As a number it comes without its leading zeros.
pub(super) fn is_same(theirs: &str, key: &TitleKey<'_>) -> bool {
    theirs.trim_start_matches('0') == key.nosso_numero.trim_start_matches('0')
}

fn state(code: &str) -> TitleState {
    match code.to_lowercase().as_str() {
        "em aberto" | "aguardando pagamento" => TitleState::Open,
        "paga" => TitleState::Settled,
        "baixada" => TitleState::Cancelled,
        _ => TitleState::Other,
    }
}
