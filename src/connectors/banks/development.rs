//! No bank at all: it answers by the amount, without a call, so that a shop can try its own side.
//!
//! **Owns** nothing and keeps nothing: it cannot be asked what is on file.
//! **Fails** by the amount: 5000003 cents stay pending, 5000004 are refused, all others are registered at once. The
//! amounts are those of the service that this one replaces.
//! **Limits**: off unless `banks.development.enabled` says otherwise, because nobody can pay what it registers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Bank, BankError, Capabilities, CodesFrom, LookUp, LookUpRequest, Proposal, ReconciledBy, RegisterAnswer,
    RegisterRequest, Registration, credentials, unsupported,
};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::issuer::Numbering;
use crate::domain::money::Cents;
use crate::domain::violation::Violation;

/// Stays pending, however often it is asked.
const PENDING: Cents = Cents(5_000_003);
/// Is refused.
const REFUSED: Cents = Cents(5_000_004);

/// Settings of the connector that stands for a bank in trials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DevelopmentConfig {
    /// Whether accounts may be registered by it.
    pub enabled: bool,
}

/// The connector.
#[derive(Debug, Clone)]
pub struct Development {
    config: DevelopmentConfig,
}

impl Development {
    /// A connector that answers by the amount.
    pub fn new(config: DevelopmentConfig) -> Self {
        Self { config }
    }
}

impl Bank for Development {
    fn capabilities(&self, _account: &BankAccount) -> Capabilities {
        Capabilities {
            alphanumeric_cnpj: true,
            repeatable: true,
            look_up: false,
            settle_after: Duration::ZERO,
            codes: CodesFrom::Us,
            amend: &[],
            cancel: false,
            reconciled_by: ReconciledBy::Nothing,
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = account.issuer.violations();
        if !self.config.enabled {
            found.push(Violation::new("provider", "needs banks.development.enabled, and is for trials only"));
        }
        if account.issuer.numbering() == Numbering::TheBanks {
            found.push(Violation::new("issuer", "must be an agreement whose numbers are ours to choose"));
        }
        found.extend(credentials::check(account, "the development connector", &[], &[]));
        found
    }

    fn supports(&self, _proposal: &Proposal<'_>) -> Vec<Violation> {
        Vec::new()
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        if !self.config.enabled {
            let reason = "banks.development.enabled is false".to_owned();
            return Err(BankError::Misconfigured { reason });
        }
        let said = |code: &str| BankResponse { code: code.to_owned(), message: "development".to_owned() };
        match request.boleto.amount {
            PENDING => Err(BankError::OutcomeUnknown { reason: "development: stays pending".to_owned() }),
            REFUSED => Err(BankError::Refused { response: said("refused") }),
            _ => Ok(RegisterAnswer::Registered(Registration {
                response: said("registered"),
                codes: None,
                pix_emv: None,
                bank_reference: None,
                url: None,
            })),
        }
    }

    async fn look_up(&self, _request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        Err(unsupported("nothing is on file in development"))
    }
}
