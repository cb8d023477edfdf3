//! The agreement under which a bank lets a company issue boletos, and the codes that follow from it.
//!
//! **Owns** nothing; the sequence that makes a number new is allocated by the store and passed in.
//! **Fails** with every broken rule of a configuration at once, or with the one reason why a code cannot be made.
//! **Limits**: Banco do Brasil with convênios of 4, 6 and 7 digits, Bradesco, Itaú, Santander, Caixa; Inter, whose codes
//! the bank alone makes. The layouts are in `campo_livre`.

mod campo_livre;
mod itau;
mod print;
mod rules;

use std::fmt::Write as _;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use self::campo_livre::{Layout, Numbers};
use self::rules::is_digits;
use super::Codes;
use super::barcode::{Barcode, BarcodeParts, BarcodePartsError};
use super::due_date_factor::{DueDateFactor, NoDueDateFactor};
use crate::domain::money::Cents;

/// An agreement with one bank, as the bank knows it. All numbers are text, because leading zeros matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bank", rename_all = "snake_case", deny_unknown_fields)]
pub enum Issuer {
    /// Bank 001.
    BancoDoBrasil {
        /// 4, 6 or 7 digits.
        convenio: String,
        /// Two digits.
        carteira: String,
        /// One to three digits, as the bank's API wants it.
        variacao: String,
        /// Four digits, without check digit; part of the codes of convênios of 4 and 6 digits only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agency: Option<String>,
        /// At most eight digits, without check digit; part of the codes of convênios of 4 and 6 digits only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Bank 237.
    Bradesco {
        /// Four digits, without check digit.
        agency: String,
        /// At most seven digits, without check digit.
        account: String,
        /// Two digits.
        carteira: String,
    },
    /// Bank 341.
    Itau {
        /// Four digits; the bank gives agencies no check digit.
        agency: String,
        /// Five digits, without check digit.
        account: String,
        /// The check digit (DAC) of agency and account.
        account_dac: String,
        /// Three digits; those about whose rules the sources disagree are refused.
        carteira: String,
    },
    /// Bank 033.
    Santander {
        /// The beneficiary's code, seven digits.
        beneficiary: String,
        /// 101 (registered), 102 (unregistered) or 201 (pledge).
        carteira: String,
        /// 0; 7 or 9 for insurers.
        #[serde(default = "no_ios", skip_serializing_if = "is_no_ios")]
        ios: String,
        /// Four digits, without check digit; printed and no part of the codes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agency: Option<String>,
        /// At most twelve digits; no part of the codes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Under which workspace of the bank's API titles are kept: letters, digits, hyphens, at most 64. No secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace_id: Option<String>,
    },
    /// Bank 104: registered titles that the beneficiary issues, the only kind whose numbers begin with 14.
    Caixa {
        /// The beneficiary's code, six digits without check digit, or seven, which have none.
        beneficiary: String,
        /// Four digits, without check digit; printed and no part of the codes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agency: Option<String>,
    },
    /// Bank 077, which chooses every number and makes every code itself.
    Inter {
        /// At most twelve digits.
        account: String,
        /// Four digits; printed only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agency: Option<String>,
    },
}

/// Who chooses the nosso números of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// A sequence of ours; the codes follow from it.
    Ours,
    /// The bank, in its answer to a registration; there are no codes before.
    TheBanks,
}

/// Why the codes of a boleto cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The agreement has no such number; when it is used up, the bank must give another agreement.
    #[error("the sequence must be from 1 to {max}")]
    Sequence {
        /// The last number that the agreement has.
        max: i64,
    },
    /// The amount does not fit a barcode.
    #[error("the amount must be from 1 to 9999999999 cents")]
    Amount,
    /// The due date lies before factors begin.
    #[error(transparent)]
    DueDate(#[from] NoDueDateFactor),
    /// The configuration breaks a rule that [`Issuer::violations`] names.
    #[error("the issuer's {field} does not fit its layout")]
    Issuer {
        /// Its name in the configuration.
        field: &'static str,
    },
    /// There is nothing to make: see [`Issuer::numbering`].
    #[error("the bank chooses the numbers of this agreement")]
    TheBanksNumber,
}

impl Issuer {
    /// The bank's three digits.
    pub fn bank_code(&self) -> &'static str {
        match self {
            Self::BancoDoBrasil { .. } => "001",
            Self::Bradesco { .. } => "237",
            Self::Itau { .. } => "341",
            Self::Santander { .. } => "033",
            Self::Caixa { .. } => "104",
            Self::Inter { .. } => "077",
        }
    }

    /// Whether the numbers are ours to choose.
    pub fn numbering(&self) -> Numbering {
        match self {
            Self::Inter { .. } => Numbering::TheBanks,
            _ => Numbering::Ours,
        }
    }

    /// The last number of the agreement; the first is 1. Zero where the configuration fits no layout, and where the
    /// numbers are the bank's.
    pub fn sequence_max(&self) -> i64 {
        self.layout().map_or(0, Layout::sequence_max)
    }

    /// Within what a nosso número must be unique. Two issuers with one key share one counter.
    ///
    /// At Banco do Brasil, Santander and Caixa the number is the agreement's own, so that the carteira does not make
    /// another number of it; at Bradesco and Itaú each account counts by carteira.
    pub fn range_key(&self) -> String {
        match self {
            Self::BancoDoBrasil { convenio, .. } => format!("001/{convenio}"),
            Self::Bradesco { agency, account, carteira } => format!("237/{agency}/{account:0>7}/{carteira}"),
            Self::Itau { agency, account, carteira, .. } => format!("341/{agency}/{account}/{carteira}"),
            Self::Santander { beneficiary, .. } => format!("033/{beneficiary}"),
            Self::Caixa { beneficiary, .. } => format!("104/{beneficiary}"),
            Self::Inter { account, .. } => format!("077/{account:0>12}"),
        }
    }

    /// The full nosso número and its check digit, for a bank that makes the barcode although the number is ours.
    ///
    /// # Errors
    /// A sequence out of bounds, a configuration that fits no layout, or numbers that are the bank's to choose.
    pub fn number(&self, sequence: i64) -> Result<(String, Option<String>), IssueError> {
        self.layout()?.number(&self.numbers(sequence))
    }

    /// Makes all the codes of one boleto.
    ///
    /// # Errors
    /// A sequence, an amount or a date out of bounds, a configuration that fits no layout, or numbers that are the
    /// bank's to choose.
    pub fn compose(&self, sequence: i64, amount: Cents, due_date: NaiveDate) -> Result<Codes, IssueError> {
        let layout = self.layout()?;
        let numbers = self.numbers(sequence);
        let campo_livre = layout.write(&numbers)?;
        let barcode = Barcode::compose(&BarcodeParts {
            bank_code: self.bank_code(),
            factor: DueDateFactor::of(due_date)?,
            amount,
            campo_livre: &campo_livre,
        })
        .map_err(|error| match error {
            BarcodePartsError::Amount => IssueError::Amount,
            BarcodePartsError::BankCode => unreachable!("the bank codes above are three digits"),
        })?;
        let (nosso_numero, nosso_numero_dv) = layout.number(&numbers)?;
        Ok(Codes { nosso_numero: Some(nosso_numero), nosso_numero_dv, barcode: Some(barcode) })
    }

    /// The sequence that a barcode was made of; nothing where it is not of this agreement.
    pub fn sequence_of(&self, barcode: &Barcode) -> Option<i64> {
        if barcode.bank_code() != self.bank_code() {
            return None;
        }
        self.layout().ok()?.read(barcode.campo_livre(), &self.numbers(0))
    }

    fn layout(&self) -> Result<Layout, IssueError> {
        let (layout, field) = match self {
            Self::BancoDoBrasil { convenio, .. } => (Layout::of_convenio(convenio), "convenio"),
            Self::Bradesco { .. } => (Some(Layout::Bradesco), "carteira"),
            Self::Itau { carteira, .. } => (itau::layout(carteira).ok(), "carteira"),
            Self::Santander { .. } => (Some(Layout::Santander), "beneficiary"),
            Self::Caixa { beneficiary, .. } => (Layout::of_caixa_beneficiary(beneficiary), "beneficiary"),
            Self::Inter { .. } => return Err(IssueError::TheBanksNumber),
        };
        layout.ok_or(IssueError::Issuer { field })
    }

    fn numbers(&self, sequence: i64) -> Numbers<'_> {
        let none = Numbers { sequence, ..Numbers::default() };
        match self {
            Self::BancoDoBrasil { convenio, carteira, agency, account, .. } => Numbers {
                agency: agency.as_deref().unwrap_or_default(),
                account: account.as_deref().unwrap_or_default(),
                carteira,
                convenio,
                ..none
            },
            Self::Bradesco { agency, account, carteira } | Self::Itau { agency, account, carteira, .. } => {
                Numbers { agency, account, carteira, ..none }
            }
            Self::Santander { beneficiary, carteira, ios, .. } => {
                Numbers { beneficiary, carteira, ios, ..none }
            }
            Self::Caixa { beneficiary, .. } => Numbers { beneficiary, ..none },
            Self::Inter { .. } => none,
        }
    }
}

/// The `numeroTituloCliente` of Banco do Brasil's Cobranças v2: three zeros and the 17 digits of a convênio of seven.
/// Nothing for numbers of other lengths, which that API does not take.
pub fn banco_do_brasil_title_number(nosso_numero: &str) -> Option<String> {
    if nosso_numero.len() != 17 || !is_digits(nosso_numero) {
        return None;
    }
    let mut number = String::with_capacity(20);
    write!(number, "000{nosso_numero}").expect("a string takes whatever is written");
    Some(number)
}

fn no_ios() -> String {
    "0".to_owned()
}

fn is_no_ios(ios: &str) -> bool {
    ios == "0"
}

#[cfg(test)]
mod tests;
