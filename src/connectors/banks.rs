//! Banks: what we ask of them, whichever bank it is.
//!
//! **Owns** nothing; each bank's folder says what it keeps.
//! **Fails** with a [`BankError`], cut by what the caller does next. Silence is never an answer: whatever does not
//! plainly say yes or no leaves the outcome unknown.
//! What a bank cannot do is said beforehand by its [`Capabilities`], and again by [`BankError::Unsupported`].
//! **Limits**: one call is about one boleto; each bank has a deadline of its own.

pub mod banco_do_brasil;
mod basic;
pub mod boleto_api;
mod bradesco;
pub mod bradesco_apiregistro;
pub mod bradesco_shopfacil;
mod codes;
mod complaints;
mod credentials;
pub mod development;
mod expressible;
mod faults;
pub mod inter;
pub mod itau;
mod oauth;
mod pix;
mod said;
pub mod santander;
mod secured;
#[cfg(test)]
mod shop;
mod text;
mod token;
mod values;

use std::future::Future;

use serde::{Deserialize, Serialize};

pub use said::*;

use super::http::HttpClient;
use super::secret::policy::SecretPolicy;
use crate::domain::bank_account::{BankAccount, Provider};
use crate::domain::boleto::amendment::{AmendPart, Amendment};
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::violation::Violation;
use banco_do_brasil::BancoDoBrasil;
use banco_do_brasil::config::BancoDoBrasilConfig;
use boleto_api::BoletoApi;
use boleto_api::config::BoletoApiConfig;
use bradesco_apiregistro::BradescoApiregistro;
use bradesco_apiregistro::config::BradescoApiregistroConfig;
use bradesco_shopfacil::BradescoShopfacil;
use bradesco_shopfacil::config::BradescoShopfacilConfig;
use development::{Development, DevelopmentConfig};
use inter::Inter;
use inter::config::InterConfig;
use itau::Itau;
use itau::config::ItauConfig;
use santander::Santander;
use santander::config::SantanderConfig;

/// A bank that registers boletos.
pub trait Bank {
    /// What this bank can do for an account, known without asking it.
    fn capabilities(&self, account: &BankAccount) -> Capabilities;

    /// Everything in which an account falls short of what this bank needs, by field path.
    fn check(&self, account: &BankAccount) -> Vec<Violation>;

    /// Everything in a boleto to be that the bank cannot take at all, known without asking it, by field path.
    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation>;

    /// Why the bank cannot amend a boleto so, known without asking it; nothing where it can.
    fn cannot_amend(&self, account: &BankAccount, boleto: &Boleto, amendment: &Amendment) -> Option<String> {
        let able = self.capabilities(account).amend;
        let parts = amendment.parts(boleto).into_iter().filter(|part| !able.contains(part));
        let parts: Vec<&str> = parts.map(AmendPart::as_str).collect();
        (!parts.is_empty()).then(|| format!("this bank's connector cannot change {}", parts.join(", ")))
    }

    /// Asks the bank to put a boleto on file.
    ///
    /// # Errors
    /// See [`BankError`].
    fn register(
        &self,
        request: &RegisterRequest<'_>,
    ) -> impl Future<Output = Result<RegisterAnswer, BankError>> + Send;

    /// Asks what the bank has on file under a boleto's number. Changes nothing at the bank, so that only
    /// `Unavailable`, `Misconfigured` and `Unsupported` come back as errors.
    ///
    /// # Errors
    /// See [`BankError`].
    fn look_up(&self, request: &LookUpRequest<'_>) -> impl Future<Output = Result<LookUp, BankError>> + Send;

    /// Asks the bank to change what it has on file.
    ///
    /// # Errors
    /// See [`BankError`]; `AlreadyOnFile` is none of them.
    fn amend(
        &self,
        _request: &AmendRequest<'_>,
    ) -> impl Future<Output = Result<BankResponse, BankError>> + Send {
        async { Err(unsupported("this bank's connector changes nothing that is on file")) }
    }

    /// Asks the bank to take a boleto off file (baixa). One that the bank has ended already is refused; a look-up tells
    /// how it ended.
    ///
    /// # Errors
    /// See [`BankError`]; `AlreadyOnFile` is none of them.
    fn cancel(
        &self,
        _request: &CancelRequest<'_>,
    ) -> impl Future<Output = Result<BankResponse, BankError>> + Send {
        async { Err(unsupported("this bank's connector takes nothing off file")) }
    }

    /// Asks which boletos of an account were paid or taken off file within some days, page by page.
    ///
    /// # Errors
    /// `Unavailable`, `Misconfigured` and `Unsupported`.
    fn payments_since(
        &self,
        _request: &MovementsRequest<'_>,
    ) -> impl Future<Output = Result<MovementPage, BankError>> + Send {
        async { Err(unsupported("this bank's connector cannot be asked for payments")) }
    }
}

fn unsupported(reason: &str) -> BankError {
    BankError::Unsupported { reason: reason.to_owned() }
}

/// Settings of every bank.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BanksConfig {
    pub banco_do_brasil: BancoDoBrasilConfig,
    pub boleto_api: BoletoApiConfig,
    pub bradesco_apiregistro: BradescoApiregistroConfig,
    pub bradesco_shopfacil: BradescoShopfacilConfig,
    pub development: DevelopmentConfig,
    pub inter: InterConfig,
    pub itau: ItauConfig,
    pub santander: SantanderConfig,
}

/// Every bank there is. Cheap to clone; clones share sign-ins and connections.
#[derive(Debug, Clone)]
pub enum BankConnector {
    BancoDoBrasil(BancoDoBrasil),
    BoletoApi(BoletoApi),
    BradescoApiregistro(BradescoApiregistro),
    BradescoShopfacil(BradescoShopfacil),
    Development(Development),
    Inter(Inter),
    Itau(Itau),
    Santander(Santander),
}

/// Has whichever bank it is do something.
macro_rules! whichever {
    ($connector:expr, $bank:ident => $call:expr) => {
        match $connector {
            BankConnector::BancoDoBrasil($bank) => $call,
            BankConnector::BoletoApi($bank) => $call,
            BankConnector::BradescoApiregistro($bank) => $call,
            BankConnector::BradescoShopfacil($bank) => $call,
            BankConnector::Development($bank) => $call,
            BankConnector::Inter($bank) => $call,
            BankConnector::Itau($bank) => $call,
            BankConnector::Santander($bank) => $call,
        }
    };
}

impl BankConnector {
    /// The connector of a provider. One per provider and process, so that sign-ins are shared.
    pub fn for_provider(
        provider: Provider,
        config: &BanksConfig,
        secrets: &SecretPolicy,
        http: &HttpClient,
    ) -> Self {
        let http = http.named(provider.as_str());
        match provider {
            Provider::BancoDoBrasil => Self::BancoDoBrasil(BancoDoBrasil::new(
                config.banco_do_brasil.clone(),
                secrets.clone(),
                http.clone(),
            )),
            Provider::BoletoApi => {
                Self::BoletoApi(BoletoApi::new(config.boleto_api.clone(), secrets.clone(), http.clone()))
            }
            Provider::BradescoApiregistro => Self::BradescoApiregistro(BradescoApiregistro::new(
                config.bradesco_apiregistro.clone(),
                secrets.clone(),
                http.clone(),
            )),
            Provider::BradescoShopfacil => Self::BradescoShopfacil(BradescoShopfacil::new(
                config.bradesco_shopfacil.clone(),
                secrets.clone(),
                http.clone(),
            )),
            Provider::Development => Self::Development(Development::new(config.development.clone())),
            Provider::Inter => Self::Inter(Inter::new(config.inter.clone(), secrets.clone(), http.clone())),
            Provider::Itau => Self::Itau(Itau::new(config.itau.clone(), secrets.clone(), http.clone())),
            Provider::Santander => {
                Self::Santander(Santander::new(config.santander.clone(), secrets.clone(), http.clone()))
            }
        }
    }

    /// Whose connector it is.
    pub fn provider(&self) -> Provider {
        match self {
            Self::BancoDoBrasil(_) => Provider::BancoDoBrasil,
            Self::BoletoApi(_) => Provider::BoletoApi,
            Self::BradescoApiregistro(_) => Provider::BradescoApiregistro,
            Self::BradescoShopfacil(_) => Provider::BradescoShopfacil,
            Self::Development(_) => Provider::Development,
            Self::Inter(_) => Provider::Inter,
            Self::Itau(_) => Provider::Itau,
            Self::Santander(_) => Provider::Santander,
        }
    }
}

impl Bank for BankConnector {
    fn capabilities(&self, account: &BankAccount) -> Capabilities {
        whichever!(self, bank => bank.capabilities(account))
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        whichever!(self, bank => bank.check(account))
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        whichever!(self, bank => bank.supports(proposal))
    }

    fn cannot_amend(&self, account: &BankAccount, boleto: &Boleto, amendment: &Amendment) -> Option<String> {
        whichever!(self, bank => bank.cannot_amend(account, boleto, amendment))
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        whichever!(self, bank => bank.register(request).await)
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        whichever!(self, bank => bank.look_up(request).await)
    }

    async fn amend(&self, request: &AmendRequest<'_>) -> Result<BankResponse, BankError> {
        whichever!(self, bank => bank.amend(request).await)
    }

    async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        whichever!(self, bank => bank.cancel(request).await)
    }

    async fn payments_since(&self, request: &MovementsRequest<'_>) -> Result<MovementPage, BankError> {
        whichever!(self, bank => bank.payments_since(request).await)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
