//! How payments, bundles and recurring payments stand.
//!
//! **Owns** nothing.
//! **Fails** with 400 for what is not on file: the standard has no 404.
//! **Limits**: of many at once, those that are unknown or asked for with a bad token are left out of the answer.

use super::envelope::{self, has_no, of_token};
use super::wire::{
    BundleAnswer, BundleRequest, PaymentAnswer, PaymentInfo, PaymentRequest, PaymentsAnswer, PaymentsRequest,
    RecurringAnswer, RecurringRequest, RequestHeader,
};
use super::{Ask, Bank, Note, Refusal, Told, header, play};
use crate::sandbox::aspsp::berlin::told_final;
use crate::sandbox::aspsp::payment::{AspspPayment, Filed, Named, Payments, word};

/// More in one call than any caller needs.
const PAYMENTS_MAX: usize = 1_000;

pub fn payment(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: PaymentRequest = envelope::read(bank, ask, note)?;
    let consent = sign_in(bank, &request.request_header, ask, note)?;
    let named = named(request.payment_id.as_deref(), request.tpp_transaction_id.as_deref())?;
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let filed = bank.payments.find(named).filter(|filed| filed.what.consent.as_ref() == Some(&consent));
    let filed = filed.ok_or_else(unknown)?;
    let told = Told::of(&PaymentAnswer { response_header: header(ask, note), payment: info(filed, ask) });
    Ok(Told { effects: told_final(bank.number, filed, ask), ..told })
}

pub fn payments(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: PaymentsRequest = envelope::read(bank, ask, note)?;
    has_no(&request.request_header, false, false)?;
    if request.request_header.token.is_some() {
        return Err(Refusal::complaint(422, "BODY", "each payment has its own token, and the head has none"));
    }
    if request.payments.is_empty() || request.payments.len() > PAYMENTS_MAX {
        return Err(Refusal::complaint(422, "BODY", "no payments, or too many"));
    }
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let (mut infos, mut effects) = (Vec::new(), Vec::new());
    for entry in &request.payments {
        let named = named(entry.payment_id.as_deref(), entry.tpp_transaction_id.as_deref())?;
        let Ok(consent) = of_token(bank, &entry.access_token, ask, note) else { continue };
        let Some(filed) = bank.payments.find(named) else { continue };
        if filed.what.consent.as_ref() == Some(&consent.about.id) {
            infos.push(info(filed, ask));
            effects.extend(told_final(bank.number, filed, ask));
        }
    }
    // The call is nobody's consent alone.
    note.consent = None;
    let told = Told::of(&PaymentsAnswer { response_header: header(ask, note), payments: infos });
    Ok(Told { effects, ..told })
}

pub fn bundle(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: BundleRequest = envelope::read(bank, ask, note)?;
    let consent = sign_in(bank, &request.request_header, ask, note)?;
    let named = named(request.bundle_id.as_deref(), request.tpp_bundle_id.as_deref())?;
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let bundle =
        bank.payments.bundle(named).filter(|bundle| bundle.consent == consent).ok_or_else(unknown)?;
    let find = |id: &String| bank.payments.find(Named { id: Some(id), tpp_id: None });
    let parts: Vec<_> = bundle.payments.iter().filter_map(find).collect();
    let codes: Vec<_> = parts.iter().map(|filed| filed.code(ask.now)).collect();
    let status = Payments::bundle_word(&codes);
    let told = Told::of(&BundleAnswer {
        response_header: header(ask, note),
        bundle_id: &bundle.id,
        tpp_bundle_id: &bundle.tpp_id,
        bundle_status: status,
        bundle_detailed_status: status,
        payments: request.transactions_included.then(|| parts.iter().map(|filed| info(filed, ask)).collect()),
    });
    let effects = parts.iter().filter(|_| request.transactions_included);
    let effects = effects.flat_map(|filed| told_final(bank.number, filed, ask)).collect();
    Ok(Told { effects, ..told })
}

pub fn recurring(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: RecurringRequest = envelope::read(bank, ask, note)?;
    let consent = sign_in(bank, &request.request_header, ask, note)?;
    let tpp_id = request.tpp_recurring_payment_id.as_deref();
    let named = named(request.recurring_payment_id.as_deref(), tpp_id)?;
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let filed = bank.payments.recurring(named).filter(|filed| filed.what.consent == consent);
    let filed = filed.ok_or_else(unknown)?;
    let status = filed.word(ask.now);
    Ok(Told::of(&RecurringAnswer {
        response_header: header(ask, note),
        recurring_payment_id: &filed.what.id,
        tpp_recurring_payment_id: &filed.what.tpp_id,
        recurring_payment_status: status,
        recurring_payment_detailed_status: status,
    }))
}

/// The id of the token's consent.
fn sign_in(bank: &Bank, head: &RequestHeader, ask: &Ask, note: &mut Note) -> Result<String, Refusal> {
    has_no(head, false, false)?;
    Ok(envelope::consent(bank, head, ask, note)?.about.id)
}

fn named<'a>(id: Option<&'a str>, tpp_id: Option<&'a str>) -> Result<Named<'a>, Refusal> {
    if id.or(tpp_id).is_none() {
        return Err(Refusal::complaint(422, "BODY", "neither of the two names"));
    }
    if [id, tpp_id].into_iter().flatten().any(|name| name.is_empty() || name.len() > 64) {
        return Err(Refusal::complaint(422, "BODY", "a name has 1 to 64 letters"));
    }
    Ok(Named { id, tpp_id })
}

fn info<'a>(filed: &'a Filed<AspspPayment>, ask: &Ask) -> PaymentInfo<'a> {
    let code = filed.code(ask.now);
    PaymentInfo {
        payment_id: &filed.what.id,
        tpp_transaction_id: &filed.what.tpp_id,
        general_status: word(code),
        detailed_status: code,
        execution_mode: if filed.what.future_dated { "FutureDated" } else { "Immediate" },
    }
}

fn unknown() -> Refusal {
    Refusal::new(400, "PAYMENT_UNKNOWN", "nothing of this name is on file")
}
