//! An agreement as the printed form and answers show it.
//!
//! **Owns** nothing. **Fails** never: what the configuration leaves out is left out. The check digits of agencies and
//! accounts are computed where the bank's rule is known, because configurations do not hold them.

use super::Issuer;
use crate::domain::boleto::check_digit::{above_nine_is_zero, banco_do_brasil, bradesco};

impl Issuer {
    /// The check digit that stands behind the bank's code on the form, as in `237-2`.
    pub fn bank_code_dv(&self) -> char {
        char::from(above_nine_is_zero(self.bank_code().as_bytes()))
    }

    /// The carteira; nothing at banks whose agreement here has none. At Caixa it is 1 (registered), always.
    pub fn carteira(&self) -> Option<&str> {
        match self {
            Self::BancoDoBrasil { carteira, .. }
            | Self::Bradesco { carteira, .. }
            | Self::Itau { carteira, .. }
            | Self::Santander { carteira, .. } => Some(carteira),
            Self::Caixa { .. } => Some("1"),
            Self::Inter { .. } => None,
        }
    }

    /// The agency, without check digit, where the configuration has it.
    pub fn agency(&self) -> Option<&str> {
        match self {
            Self::Bradesco { agency, .. } | Self::Itau { agency, .. } => Some(agency),
            Self::BancoDoBrasil { agency, .. }
            | Self::Santander { agency, .. }
            | Self::Caixa { agency, .. }
            | Self::Inter { agency, .. } => agency.as_deref(),
        }
    }

    /// The account, without check digit, where the configuration has it.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Bradesco { account, .. } | Self::Itau { account, .. } | Self::Inter { account, .. } => {
                Some(account)
            }
            Self::BancoDoBrasil { account, .. } | Self::Santander { account, .. } => account.as_deref(),
            Self::Caixa { .. } => None,
        }
    }

    /// The form's field "agência / código do beneficiário".
    pub fn agency_and_beneficiary(&self) -> String {
        let (agency, beneficiary) = match self {
            Self::BancoDoBrasil { convenio, agency, account, .. } => (
                agency.as_deref().map(|agency| with_check_digit(agency, banco_do_brasil)),
                account
                    .as_deref()
                    .map_or_else(|| convenio.clone(), |account| with_check_digit(account, banco_do_brasil)),
            ),
            Self::Bradesco { agency, account, .. } => (
                Some(with_check_digit(agency, bradesco)),
                with_check_digit(&format!("{account:0>7}"), bradesco),
            ),
            Self::Itau { agency, account, account_dac, .. } => {
                (Some(agency.clone()), format!("{account}-{account_dac}"))
            }
            Self::Santander { beneficiary, agency, .. } => (agency.clone(), beneficiary.clone()),
            // A code of seven digits has no check digit.
            Self::Caixa { beneficiary, agency } if beneficiary.len() == 6 => {
                (agency.clone(), with_check_digit(beneficiary, above_nine_is_zero))
            }
            Self::Caixa { beneficiary, agency } => (agency.clone(), beneficiary.clone()),
            Self::Inter { account, agency } => (agency.clone(), account.clone()),
        };
        agency.map_or_else(|| beneficiary.clone(), |agency| format!("{agency} / {beneficiary}"))
    }

    /// The nosso número as the bank prints it: with its check digit, and at Bradesco and Itaú behind its carteira.
    pub fn printed_nosso_numero(&self, nosso_numero: &str, check_digit: Option<&str>) -> String {
        let number = check_digit
            .map_or_else(|| nosso_numero.to_owned(), |check_digit| format!("{nosso_numero}-{check_digit}"));
        match self {
            Self::Bradesco { carteira, .. } | Self::Itau { carteira, .. } => format!("{carteira}/{number}"),
            _ => number,
        }
    }
}

fn with_check_digit(number: &str, rule: fn(&[u8]) -> u8) -> String {
    format!("{number}-{}", char::from(rule(number.as_bytes())))
}
