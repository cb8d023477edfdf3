//! What became of a request, and whether it is what was asked for.
//!
//! **Owns** nothing. **Fails** towards doubt: codes that break a check digit, or are for another amount, date or bank,
//! are never taken over.

use crate::connectors::banks::values::{cents, day, given};
use crate::connectors::banks::{Agreement, BankError, LookUp, Title, TitleState, codes, pix};
use crate::domain::boleto::{BankResponse, Boleto};

use super::wire::{AnswerBody, ChargeSaid, TitleSaid, own_number};

const BANK_CODE: &str = "077";

/// Reads what the bank says about a request of ours.
pub(super) fn title(body: AnswerBody, boleto: &Boleto) -> Result<LookUp, BankError> {
    let unreadable = |reason: &str| BankError::Unavailable { retry_after: None, reason: reason.to_owned() };
    let charge = body.charge.ok_or_else(|| unreadable("an answer without cobranca"))?;
    let code = charge.state.as_deref().map(str::trim).filter(|state| !state.is_empty());
    let code = code.ok_or_else(|| unreadable("a charge without situacao"))?.to_owned();
    let response = BankResponse { code: code.clone(), message: String::new() };
    let state = match code.as_str() {
        "EM_PROCESSAMENTO" => return Ok(LookUp::InProgress),
        "FALHA_EMISSAO" => return Ok(LookUp::Refused(response)),
        "A_RECEBER" | "ATRASADO" => TitleState::Open,
        "RECEBIDO" | "MARCADO_RECEBIDO" => TitleState::Settled,
        // One that has expired is on file no more, and nobody can pay it.
        "CANCELADO" | "EXPIRADO" => TitleState::Cancelled,
        _ => TitleState::Other,
    };
    let said = body.title.filter(has_codes);
    if said.is_none() && state == TitleState::Open {
        // The codes come a moment after the state.
        return Ok(LookUp::InProgress);
    }
    let (barcode, line, nosso_numero) = match said {
        Some(said) => (said.barcode, said.linha_digitavel, given(said.nosso_numero)),
        None => (None, None, None),
    };
    let barcode = codes::read(barcode.as_deref(), line.as_deref());
    let mut differing = differences(&charge, boleto);
    match &barcode {
        Ok(Some(theirs)) => differing.extend(codes::differences(theirs, boleto, BANK_CODE)),
        Ok(None) => {}
        Err(_) => differing.push("barcode"),
    }
    differing.sort_unstable();
    differing.dedup();
    let is_paid = state == TitleState::Settled;
    Ok(LookUp::OnFile(Box::new(Title {
        response,
        state,
        agreement: if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) },
        barcode: barcode.ok().flatten(),
        nosso_numero,
        paid: charge.paid.as_deref().and_then(cents).filter(|paid| paid.0 != 0),
        paid_on: charge.state_date.as_deref().and_then(day).filter(|_| is_paid),
        pix_emv: pix::believed(body.pix.and_then(|pix| pix.emv), boleto),
    })))
}

fn has_codes(said: &TitleSaid) -> bool {
    let filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    filled(&said.barcode) || filled(&said.linha_digitavel)
}

/// In what the request that the bank holds differs from ours, as far as it repeats it.
fn differences(charge: &ChargeSaid, boleto: &Boleto) -> Vec<&'static str> {
    let amount = charge.amount.as_deref().and_then(cents);
    let due_date = charge.due_date.as_deref().and_then(day);
    let number = given(charge.own_number.clone());
    let parts = [
        ("amount", amount.is_some_and(|amount| amount != boleto.amount)),
        ("due_date", due_date.is_some_and(|date| date != boleto.due_date)),
        ("own_number", number.is_some_and(|number| number != own_number(boleto))),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}
