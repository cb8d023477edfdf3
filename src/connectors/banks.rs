//! Banks: what we ask of them, whichever bank it is.
//!
//! **Owns** nothing; each bank's folder says what it keeps.
//! **Fails** with a [`BankError`], cut by what the caller does next. Silence is never an answer: whatever does not
//! plainly say yes or no leaves the outcome unknown.
//! **Limits**: one call registers one boleto; each bank has a deadline of its own.

pub mod banco_do_brasil;

use std::future::Future;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::domain::bank_account::{BankAccount, Provider};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::violation::Violation;

use super::http::HttpClient;
use super::secret::policy::SecretPolicy;
use banco_do_brasil::BancoDoBrasil;
use banco_do_brasil::config::BancoDoBrasilConfig;

/// A bank that registers boletos.
pub trait Bank {
    /// What this bank can do, known without asking it.
    fn capabilities(&self) -> Capabilities;

    /// Everything in which an account falls short of what this bank needs, by field path.
    fn check(&self, account: &BankAccount) -> Vec<Violation>;

    /// Whether the bank can take this payer at all, known without asking it.
    ///
    /// # Errors
    /// The field that the bank cannot take.
    fn supports(&self, payer: &Payer) -> Result<(), Violation>;

    /// Asks the bank to put a boleto on file.
    ///
    /// # Errors
    /// See [`BankError`].
    fn register(
        &self,
        request: &RegisterRequest<'_>,
    ) -> impl Future<Output = Result<Registration, BankError>> + Send;

    /// Asks what the bank has on file under a boleto's number. Changes nothing at the bank, so that only
    /// `Unavailable`, `Misconfigured` and `Unsupported` come back as errors.
    ///
    /// # Errors
    /// See [`BankError`].
    fn look_up(&self, request: &LookUpRequest<'_>) -> impl Future<Output = Result<LookUp, BankError>> + Send;
}

/// What differs from bank to bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The bank takes a CNPJ with letters.
    pub alphanumeric_cnpj: bool,
    /// The bank itself refuses a second request under our attempt's key.
    pub enforces_our_key: bool,
    /// The bank can be asked what it has on file.
    pub look_up: bool,
    /// How long after a send "not found" may still turn into "on file".
    pub settle_after: Duration,
}

/// What is to be registered.
#[derive(Debug, Clone, Copy)]
pub struct RegisterRequest<'a> {
    pub account: &'a BankAccount,
    pub boleto: &'a Boleto,
    /// The key under which this attempt was recorded before any byte left.
    pub attempt_key: &'a str,
    /// The civil date of issue in America/Sao_Paulo.
    pub issue_date: NaiveDate,
}

/// What is to be looked up.
#[derive(Debug, Clone, Copy)]
pub struct LookUpRequest<'a> {
    pub account: &'a BankAccount,
    pub boleto: &'a Boleto,
}

/// The bank has the boleto on file, under exactly the codes that we gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub response: BankResponse,
    /// The Pix text, where the bank made one.
    pub pix_emv: Option<String>,
    /// The bank's own reference of the agreement, where it names one.
    pub contract: Option<String>,
}

/// What the bank has on file under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// There is a title; whether it is ours is said by [`Title::agreement`].
    OnFile(Box<Title>),
    /// The bank says that there is none.
    NotFound,
}

/// A title as the bank describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    pub response: BankResponse,
    pub state: TitleState,
    pub agreement: Agreement,
    pub barcode: Option<Barcode>,
    /// What was paid so far, where the bank says so.
    pub paid: Option<Cents>,
    /// The day on which it was paid, where the bank says so.
    pub paid_on: Option<NaiveDate>,
    /// The Pix text, where the look-up brings it.
    pub pix_emv: Option<String>,
}

/// How a title stands at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TitleState {
    /// On file and payable, or on its way there.
    Open,
    /// Paid in full.
    Settled,
    /// Taken off file (baixado).
    Cancelled,
    /// On file in a way that is none of the above (notary, partly paid, a code that we do not know).
    Other,
}

/// Whether a title on file is the boleto that we hold, by everything that the bank lets us compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// All that can be compared agrees, the amount and the due date among it.
    Agrees,
    /// These parts differ.
    Differs(Vec<&'static str>),
}

/// Why a bank call failed, sorted by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// The bank said no; asking again gives the same answer.
    #[error("bank refused the boleto: {}", response.code)]
    Refused { response: BankResponse },
    /// The bank has a title under this number already; look it up and compare.
    #[error("a title is already on file under this number: {}", response.code)]
    AlreadyOnFile { response: BankResponse },
    /// Nobody knows whether the bank kept it; look before registering again.
    #[error("outcome unknown: {reason}")]
    OutcomeUnknown { reason: String },
    /// The bank kept nothing of this call; wait, then ask again.
    #[error("bank unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// The bank kept nothing, and will not until an operator corrects something.
    #[error("bank connector misconfigured: {reason}")]
    Misconfigured { reason: String },
    /// This bank cannot take such a boleto. Decided before any byte left.
    #[error("not supported by this bank: {reason}")]
    Unsupported { reason: String },
}

/// Settings of every bank.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BanksConfig {
    pub banco_do_brasil: BancoDoBrasilConfig,
}

/// Every bank there is. Cheap to clone; clones share sign-ins and connections.
#[derive(Debug, Clone)]
pub enum BankConnector {
    BancoDoBrasil(BancoDoBrasil),
}

impl BankConnector {
    /// The connector of a provider. One per provider and process, so that sign-ins are shared.
    pub fn for_provider(
        provider: Provider,
        config: &BanksConfig,
        secrets: &SecretPolicy,
        http: &HttpClient,
    ) -> Self {
        match provider {
            Provider::BancoDoBrasil => Self::BancoDoBrasil(BancoDoBrasil::new(
                config.banco_do_brasil.clone(),
                secrets.clone(),
                http.clone(),
            )),
        }
    }

    /// Whose connector it is.
    pub fn provider(&self) -> Provider {
        match self {
            Self::BancoDoBrasil(_) => Provider::BancoDoBrasil,
        }
    }
}

impl Bank for BankConnector {
    fn capabilities(&self) -> Capabilities {
        match self {
            Self::BancoDoBrasil(bank) => bank.capabilities(),
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        match self {
            Self::BancoDoBrasil(bank) => bank.check(account),
        }
    }

    fn supports(&self, payer: &Payer) -> Result<(), Violation> {
        match self {
            Self::BancoDoBrasil(bank) => bank.supports(payer),
        }
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        match self {
            Self::BancoDoBrasil(bank) => bank.register(request).await,
        }
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        match self {
            Self::BancoDoBrasil(bank) => bank.look_up(request).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_names_and_no_other() {
        let config: BanksConfig =
            serde_json::from_str(r#"{"banco_do_brasil":{"timeout":"1500ms","pix":true}}"#).unwrap();
        assert_eq!(config.banco_do_brasil.timeout, Duration::from_millis(1_500));
        assert_eq!(config.banco_do_brasil.app_key_parameter, "gw-dev-app-key");
        for bad in [
            r#"{"bradesco":{}}"#,
            r#"{"banco_do_brasil":{"api":"x"}}"#,
            r#"{"banco_do_brasil":{"api_url":"x"}}"#,
        ] {
            assert!(serde_json::from_str::<BanksConfig>(bad).is_err(), "{bad}");
        }
    }
}
