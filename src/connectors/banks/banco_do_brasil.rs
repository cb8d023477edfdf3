//! Banco do Brasil (001), Cobranças v2. Derived from public sources, not certified by the bank.
//!
//! **Owns** a cache of OAuth2 tokens, one sign-in at a time per client.
//! **Fails** as [`BankError`] says; the tables from answers to errors are in `error`.
//! **Limits**: convênios of seven digits, for which the number is ours to choose; a CPF or CNPJ of digits alone,
//! because the API takes a number; one deadline per call.

mod agreement;
mod client;
pub mod config;
mod error;
mod token;
mod wire;

use std::sync::Arc;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::payer::Payer;
use crate::domain::violation::Violation;

use super::{Bank, BankError, Capabilities, LookUp, LookUpRequest, RegisterRequest, Registration};
use client::Client;
use config::BancoDoBrasilConfig;

/// The credentials that an account of this bank needs, each a reference to a secret.
const CREDENTIALS: [&str; 3] = ["client_id", "client_secret", "app_key"];

/// The connector. Cheap to clone; clones share tokens and connections.
#[derive(Debug, Clone)]
pub struct BancoDoBrasil {
    client: Arc<Client>,
}

impl BancoDoBrasil {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls through `http`, which must be a
    /// client for configured addresses.
    pub fn new(config: BancoDoBrasilConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { client: Arc::new(Client::new(config, secrets, http)) }
    }
}

impl Bank for BancoDoBrasil {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            alphanumeric_cnpj: false,
            enforces_our_key: false,
            look_up: true,
            settle_after: self.client.config().settle_after,
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = check_issuer(&account.issuer);
        for key in CREDENTIALS {
            let described = match account.credentials.get(key).map(|text| SecretRef::parse(text)) {
                Some(Ok(_)) => continue,
                Some(Err(error)) => error.to_string(),
                None => "is needed by Banco do Brasil, as env:NAME or file:path".to_owned(),
            };
            found.push(Violation::new(format!("credentials[{key}]"), described));
        }
        for key in account.credentials.keys().filter(|key| !CREDENTIALS.contains(&key.as_str())) {
            // A key is the caller's text and may be a secret in the wrong place, hence it is cut.
            let key: String = key.chars().take(40).collect();
            found.push(Violation::new(format!("credentials[{key}]"), "is not known to Banco do Brasil"));
        }
        found
    }

    fn supports(&self, payer: &Payer) -> Result<(), Violation> {
        if payer.tax_id.is_alphanumeric() {
            return Err(Violation::new("payer.tax_id", "Banco do Brasil takes a CNPJ of digits alone"));
        }
        Ok(())
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        self.client.register(request).await
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        self.client.look_up(request).await
    }
}

fn check_issuer(issuer: &Issuer) -> Vec<Violation> {
    let mut found = issuer.violations();
    match issuer {
        Issuer::BancoDoBrasil { convenio, .. } => {
            if convenio.len() != 7 && !found.iter().any(|known| known.field == "issuer.convenio") {
                found.push(Violation::new(
                    "issuer.convenio",
                    "registration by API needs a convênio of 7 digits",
                ));
            }
        }
        Issuer::Bradesco { .. } => {
            found.push(Violation::new("issuer", "must be an agreement with Banco do Brasil"));
        }
    }
    found
}

#[cfg(test)]
mod tests;
