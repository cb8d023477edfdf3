//! How a payment stands.
//!
//! **Owns** nothing.
//! **Fails** with 404 for what is not on file under this service and product.
//! **Limits**: a payment that belongs to a consent wants its token. A periodic payment tells its status alone, because the standard's own schema takes no other answer for one
//! and the same; of a bulk payment its parts are told without statuses.

use serde_json::json;

use super::wire::{Amount, Payment, PaymentStatus, Reference};
use super::{Ask, Bank, Refusal, Told};
use crate::sandbox::aspsp::payment::{AspspPayment, Filed, Named, is_final};
use crate::sandbox::ledger::{Effect, EffectKind};

const SERVICES: [&str; 3] = ["payments", "bulk-payments", "periodic-payments"];
const PRODUCTS: [&str; 4] = [
    "sepa-credit-transfers",
    "instant-sepa-credit-transfers",
    "target-2-payments",
    "cross-border-credit-transfers",
];

/// Where a payment is.
pub struct Place<'a> {
    pub service: &'a str,
    pub product: &'a str,
    pub id: &'a str,
}

pub fn status(bank: &Bank, place: &Place, ask: &Ask) -> Result<Told, Refusal> {
    let filed = find(bank, place, ask)?;
    let code = filed.code(ask.now);
    let funds_available = (code == "ACFC").then_some(true);
    let told = Told::of(&PaymentStatus { transaction_status: code, funds_available });
    Ok(Told { effects: told_final(bank.number, filed, ask), ..told })
}

pub fn information(bank: &Bank, place: &Place, ask: &Ask) -> Result<Told, Refusal> {
    let filed = find(bank, place, ask)?;
    let code = filed.code(ask.now);
    let effects = told_final(bank.number, filed, ask);
    if place.service == "periodic-payments" {
        return Err(Refusal::new(405, "SERVICE_INVALID", "only the status is told"));
    }
    let debtor = Reference { iban: DEBTOR, currency: None };
    let told = if place.service == "bulk-payments" {
        let part = json!({"instructedAmount": {"currency": "EUR", "amount": "1.00"},
            "creditorAccount": {"iban": CREDITOR}, "creditorName": "Sandbox shop"});
        Told::of(
            &json!({"debtorAccount": debtor, "payments": [part.clone(), part], "transactionStatus": code}),
        )
    } else {
        Told::of(&Payment {
            end_to_end_identification: &filed.what.tpp_id,
            debtor_account: debtor,
            instructed_amount: Amount { currency: "EUR", amount: "1.00".to_owned() },
            creditor_account: Reference { iban: CREDITOR, currency: None },
            creditor_name: "Sandbox shop",
            transaction_status: code,
        })
    };
    Ok(Told { effects, ..told })
}

/// Numbers of nobody's accounts, with check digits that are right.
const DEBTOR: &str = "PL35999000000000000000000000";
const CREDITOR: &str = "PL08999000000000000000000001";

fn find<'a>(bank: &'a Bank, place: &Place, ask: &Ask) -> Result<&'a Filed<AspspPayment>, Refusal> {
    let product = place.product.strip_prefix("pain.001-").unwrap_or(place.product);
    if !SERVICES.contains(&place.service) || !PRODUCTS.contains(&product) {
        return Err(Refusal::complaint(404, "PRODUCT_UNKNOWN", "no such service or product"));
    }
    if ask.query.is_some() {
        return Err(Refusal::complaint(
            400,
            "PARAMETER_NOT_SUPPORTED",
            "a payment is asked for without parameters",
        ));
    }
    let filed = bank.payments.find(Named { id: Some(place.id), tpp_id: None });
    let is_there = |filed: &&Filed<AspspPayment>| {
        filed.what.service == place.service && filed.what.product == place.product
    };
    let filed =
        filed.filter(is_there).ok_or_else(|| Refusal::new(404, "RESOURCE_UNKNOWN", "no such payment"))?;
    if let Some(consent) = &filed.what.consent {
        let of = ask.bearer().and_then(|access| bank.consent_of_token(access, ask.now, ask.epoch));
        if of.as_ref() != Some(consent) {
            return Err(Refusal::new(401, "TOKEN_INVALID", "the token is missing, unknown or has ended"));
        }
    }
    Ok(filed)
}

/// A line in the ledger when the end was told.
pub fn told_final(bank: u8, filed: &Filed<AspspPayment>, ask: &Ask) -> Vec<Effect> {
    let code = filed.code(ask.now);
    if !is_final(code) {
        return Vec::new();
    }
    let key = format!("{bank}:{}", filed.what.id);
    vec![Effect::now(EffectKind::AspspPaymentTold, key, json!({"status": code}))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::aspsp::bulk::iban;

    #[test]
    fn nobodys_numbers_check() {
        assert_eq!((DEBTOR, CREDITOR), (iban(0, 0, 0, 0).as_str(), iban(0, 0, 0, 1).as_str()));
    }
}
