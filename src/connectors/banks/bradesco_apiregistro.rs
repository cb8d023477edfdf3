//! Bradesco (237) by the registration API `apiregistro`, as the replaced service used it. Derived from public sources,
//! not certified by the bank.
//!
//! **Owns** nothing: it signs each call with the account's pair, and number, barcode and line are ours.
//! **Fails** as [`BankError`] says; the table of codes is complete, and a code that is not in it decides nothing.
//! **Limits**: registration alone: nothing can be looked up, changed or taken off file. A second registration of one
//! number is refused as "already on file". A fine and interest have fields, discounts and an abatement have none; what
//! becomes of a late payment follows from the carteira. Instructions have no field either: they are printed by us.

pub mod config;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::violation::Violation;

use super::bradesco::codes::Table;
use super::bradesco::wire::BoletoBody;
use super::bradesco::{self, answer};
use super::{
    Bank, BankError, Capabilities, LookUp, LookUpRequest, Proposal, RegisterAnswer, RegisterRequest,
    Registration, basic, credentials, unsupported,
};
use config::BradescoApiregistroConfig;

/// The pair that an account signs in with, each a reference to a secret.
const MERCHANT_ID: &str = "merchant_id";
const API_KEY: &str = "api_key";

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct BradescoApiregistro {
    config: BradescoApiregistroConfig,
    secrets: SecretPolicy,
    http: HttpClient,
}

/// `POST /apiregistro/api`
#[derive(Serialize)]
struct RegisterBody<'a> {
    merchant_id: &'a str,
    boleto: BoletoBody<'a>,
}

impl BradescoApiregistro {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls through `http`, which must be a
    /// client for configured addresses.
    pub fn new(config: BradescoApiregistroConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { config, secrets, http }
    }
}

impl Bank for BradescoApiregistro {
    fn capabilities(&self, _account: &BankAccount) -> Capabilities {
        bradesco::capabilities()
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = bradesco::check_issuer(account);
        if self.config.api_url.is_none() {
            found.push(Violation::new("provider", "needs banks.bradesco_apiregistro.api_url"));
        }
        found.extend(credentials::check(account, "Bradesco", &[MERCHANT_ID, API_KEY], &[]));
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let mut found = bradesco::letters_in(proposal.payer, proposal.terms);
        found.extend(bradesco::charges_without_field(proposal.terms, true));
        found.extend(bradesco::late_payment_of_another_carteira(proposal.account, proposal.terms));
        found
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        if let Some(found) = self.supports(&request.proposal()).first() {
            return Err(unsupported(&found.to_string()));
        }
        let Some(api_url) = &self.config.api_url else {
            let reason = "banks.bradesco_apiregistro.api_url is not set".to_owned();
            return Err(BankError::Misconfigured { reason });
        };
        let boleto = BoletoBody::of(request).map_err(unsupported)?;
        let authorization = basic::authorization(request.account, MERCHANT_ID, API_KEY, &self.secrets)?;
        let merchant_id: SecretString = credentials::secret(request.account, MERCHANT_ID, &self.secrets)?;
        let body = RegisterBody { merchant_id: merchant_id.expose_secret(), boleto };
        let url = api_url.join(&["apiregistro", "api"]);
        let answer = basic::change(&self.http, url, self.config.timeout, authorization, &body).await?;
        let (response, _) = answer::registered(&answer, Table::ApiRegistro)?;
        Ok(RegisterAnswer::Registered(Registration {
            response,
            codes: None,
            pix_emv: None,
            bank_reference: None,
            url: None,
        }))
    }

    async fn look_up(&self, _request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        Err(unsupported("this API of Bradesco cannot be asked what is on file"))
    }
}

#[cfg(test)]
mod tests;
