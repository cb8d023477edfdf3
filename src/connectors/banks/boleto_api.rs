//! A gateway in the manner of boleto-api, with Bradesco ShopFacil or Caixa behind it, whichever the account's agreement
//! is with. Derived from public sources, not certified by the gateway or by either bank.
//!
//! **Owns** nothing: it signs each call with the account's pairs.
//! **Fails** as [`BankError`] says; the rules are in `answer`. Registered is only what comes with codes that hold.
//! **Limits**: registration alone. Behind it ShopFacil takes carteiras 25 and 26, and neither charges nor rules; its
//! codes are ours. Caixa takes a fine, interest and a late payment; its barcode is known once the bank has given it, so
//! that there is nothing to pay before. Discounts and an abatement have no field with either.

mod answer;
mod caixa;
mod client;
pub mod config;
mod shopfacil;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::violation::Violation;

use super::{
    Bank, BankError, Capabilities, CodesFrom, LookUp, LookUpRequest, Proposal, ReconciledBy, RegisterAnswer,
    RegisterRequest, bradesco, credentials, unsupported,
};
use client::Client;
use config::BoletoApiConfig;

/// The pair for the gateway, the pair for the bank behind it, and the bank's number of the agreement; each a reference
/// to a secret.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const BANK_USERNAME: &str = "bank_username";
const BANK_PASSWORD: &str = "bank_password";
const AGREEMENT_NUMBER: &str = "agreement_number";

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct BoletoApi {
    client: Arc<Client>,
}

impl BoletoApi {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls through `http`, which must be a
    /// client for configured addresses.
    pub fn new(config: BoletoApiConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { client: Arc::new(Client { config, secrets, http }) }
    }

    fn check_bradesco(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found: Vec<_> = bradesco::check_shopfacil_carteira(account).into_iter().collect();
        let required = [USERNAME, PASSWORD, BANK_USERNAME, BANK_PASSWORD];
        found.extend(credentials::check(account, "boleto_api", &required, &[AGREEMENT_NUMBER]));
        let named = account.credentials.contains_key(AGREEMENT_NUMBER);
        if !named && self.client.config.bradesco_agreement_number.is_empty() {
            let rule = "is needed by boleto_api, as env:NAME or file:path, unless \
                        banks.boleto_api.bradesco_agreement_number is set";
            found.push(Violation::new(format!("credentials[{AGREEMENT_NUMBER}]"), rule));
        }
        found
    }
}

impl Bank for BoletoApi {
    fn capabilities(&self, account: &BankAccount) -> Capabilities {
        if !matches!(account.issuer, Issuer::Caixa { .. }) {
            return bradesco::capabilities();
        }
        Capabilities {
            alphanumeric_cnpj: false,
            // Caixa refuses a number the second time; by which code, no source says. Unless an operator has said so, the
            // refusal would look like any other, and a title that can be paid would be called refused.
            repeatable: !self.client.config.caixa_already_on_file_codes.is_empty(),
            look_up: false,
            settle_after: Duration::ZERO,
            codes: CodesFrom::BankUnderOurNumber,
            amend: &[],
            cancel: false,
            reconciled_by: ReconciledBy::Nothing,
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = account.issuer.violations();
        if self.client.config.api_url.is_none() {
            found.push(Violation::new("provider", "needs banks.boleto_api.api_url"));
        }
        if account.beneficiary.tax_id.is_alphanumeric() {
            found.push(Violation::new("beneficiary.tax_id", "boleto_api takes a CNPJ of digits alone"));
        }
        match &account.issuer {
            Issuer::Bradesco { .. } => found.extend(self.check_bradesco(account)),
            Issuer::Caixa { agency, .. } => {
                if agency.is_none() {
                    found.push(Violation::new("issuer.agency", "needed by boleto_api"));
                }
                let optional = [BANK_USERNAME, BANK_PASSWORD];
                found.extend(credentials::check(account, "boleto_api", &[USERNAME, PASSWORD], &optional));
            }
            _ => found.push(Violation::new("issuer", "must be an agreement with Bradesco or Caixa")),
        }
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let is_caixa = matches!(proposal.account.issuer, Issuer::Caixa { .. });
        let mut found = bradesco::letters_in(proposal.payer, proposal.terms);
        found.extend(bradesco::charges_without_field(proposal.terms, is_caixa));
        found.extend(bradesco::late_payment_of_another_carteira(proposal.account, proposal.terms));
        found
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        if let Some(found) = self.supports(&request.proposal()).first() {
            return Err(unsupported(&found.to_string()));
        }
        self.client.register(request).await.map(RegisterAnswer::Registered)
    }

    async fn look_up(&self, _request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        Err(unsupported("the gateway cannot be asked what is on file"))
    }
}

#[cfg(test)]
mod tests;
