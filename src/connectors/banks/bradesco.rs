//! What the ways to Bradesco (237) have in common: tables of response codes, names on the wire, what cannot be said.
//! Derived from public sources, not certified by the bank.
//!
//! **Owns** nothing. **Fails** towards the unknown: a code in no table decides nothing.
//! **Limits**: numbers of ours, codes of ours; a CPF or CNPJ of digits alone, because the bank takes numbers apart.

pub(super) mod answer;
pub(super) mod codes;
pub(super) mod wire;

use std::time::Duration;

use super::{Capabilities, CodesFrom, ReconciledBy};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::{LatePayment, Terms};
use crate::domain::payer::Payer;
use crate::domain::violation::Violation;

pub(super) const BANK_CODE: &str = "237";
/// The carteira under which no payment is taken late (strict), and the one under which one is (no strict).
pub(super) const STRICT: &str = "25";
pub(super) const NO_STRICT: &str = "26";
/// How late a payment may be where the replaced service says no strict.
const NO_STRICT_DAYS: u16 = 60;

/// What Bradesco can do, whichever way it is asked: it refuses a number the second time, and cannot be asked about one.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        alphanumeric_cnpj: false,
        repeatable: true,
        look_up: false,
        settle_after: Duration::ZERO,
        codes: CodesFrom::Us,
        amend: &[],
        cancel: false,
        reconciled_by: ReconciledBy::Nothing,
    }
}

/// In what an account's agreement is none that this bank can register under.
pub(super) fn check_issuer(account: &BankAccount) -> Vec<Violation> {
    let mut found = account.issuer.violations();
    if !matches!(account.issuer, Issuer::Bradesco { .. }) {
        found.push(Violation::new("issuer", "must be an agreement with Bradesco"));
    }
    found
}

/// ShopFacil knows two carteiras alone.
pub(super) fn check_shopfacil_carteira(account: &BankAccount) -> Option<Violation> {
    match &account.issuer {
        Issuer::Bradesco { carteira, .. } if ![STRICT, NO_STRICT].contains(&carteira.as_str()) => {
            Some(Violation::new("issuer.carteira", "ShopFacil takes 25 and 26"))
        }
        _ => None,
    }
}

/// Tax ids with letters, which no way to this bank takes.
pub(super) fn letters_in(payer: &Payer, terms: &Terms) -> Vec<Violation> {
    let mut found = Vec::new();
    if payer.tax_id.is_alphanumeric() {
        found.push(Violation::new("payer.tax_id", "this bank takes a CNPJ of digits alone"));
    }
    if terms.guarantor.as_ref().is_some_and(|guarantor| guarantor.tax_id.is_alphanumeric()) {
        found.push(Violation::new("guarantor.tax_id", "this bank takes a CNPJ of digits alone"));
    }
    found
}

/// Charges for which an API has no field; it has some for a fine and for interest where `late` says so.
pub(super) fn charges_without_field(terms: &Terms, late: bool) -> Vec<Violation> {
    let charges = &terms.charges;
    let parts = [
        ("charges.fine", !late && charges.fine.is_some()),
        ("charges.interest", !late && charges.interest.is_some()),
        ("charges.discounts", !charges.discounts.is_empty()),
        ("charges.abatement", charges.abatement.is_some()),
    ];
    let broken = parts.into_iter().filter(|(_, broken)| *broken);
    broken.map(|(field, _)| Violation::new(field, "this bank's API has no field for it")).collect()
}

/// No API of this bank says what becomes of a late payment; the carteira does. Hence only what it says can be agreed.
pub(super) fn late_payment_of_another_carteira(account: &BankAccount, terms: &Terms) -> Option<Violation> {
    let Issuer::Bradesco { carteira, .. } = &account.issuer else { return None };
    let said = match carteira.as_str() {
        STRICT => Some(LatePayment::Refused),
        NO_STRICT => Some(LatePayment::Accepted { days: NO_STRICT_DAYS }),
        _ => None,
    };
    if terms.late_payment.is_none() || terms.late_payment == said {
        return None;
    }
    let rule = "the carteira decides at this bank: 25 refuses a late payment, 26 accepts one for 60 days";
    Some(Violation::new("late_payment", rule))
}
