//! Santander (033), collection_bill_management v2. Derived from public sources, not certified by the bank.
//!
//! **Owns** the connections under each account's certificate, and the tokens.
//! **Fails** as [`BankError`] says; a title that was paid by Pix, which the bank shows as written off, counts as paid.
//! **Limits**: the convênio is the beneficiary's code; fines and interest in per cent with two decimals; no discounts, no
//! guarantor and no terms of late payment, whose fields the public sources do not give in full. The bank lists no
//! payments here: they are seen by looking open boletos up, once somebody has turned that on, for no manual says in which
//! fields the sum and the day stand. `nsuCode`, `nsuDate` and `covenantCode` are the same at every attempt, so that a
//! second one makes no second title.

mod agreement;
mod client;
pub mod config;
mod wire;

use std::sync::Arc;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::amendment::AmendPart;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::violation::Violation;

use super::expressible::Expressible;
use super::{
    AmendRequest, Bank, BankError, CancelRequest, Capabilities, CodesFrom, LookUp, LookUpRequest, Proposal,
    ReconciledBy, RegisterAnswer, RegisterRequest, credentials, secured,
};
use client::Client;
use config::SantanderConfig;

/// What the bank changes, one part a call.
const AMENDS: &[AmendPart] = &[AmendPart::DueDate, AmendPart::Abatement];
/// The credential beside those of every bank that knows us by a certificate.
const APP_KEY: &str = "app_key";
/// Of percentages.
const DECIMALS: usize = 2;

/// The connector. Cheap to clone; clones share tokens and connections.
#[derive(Debug, Clone)]
pub struct Santander {
    client: Arc<Client>,
}

impl Santander {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls under the limits of `http`, which
    /// must be a client for configured addresses.
    pub fn new(config: SantanderConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { client: Arc::new(Client::new(config, secrets, http)) }
    }

    fn expressible(&self) -> Expressible {
        Expressible {
            bank: "Santander",
            alphanumeric_cnpj: self.client.config().alphanumeric_cnpj,
            fine_amount: false,
            interest_amount: false,
            abatement: true,
            decimals: DECIMALS,
        }
    }
}

impl Bank for Santander {
    fn capabilities(&self, _account: &BankAccount) -> Capabilities {
        Capabilities {
            alphanumeric_cnpj: self.client.config().alphanumeric_cnpj,
            repeatable: true,
            look_up: true,
            settle_after: self.client.config().settle_after,
            codes: CodesFrom::Us,
            amend: AMENDS,
            cancel: true,
            reconciled_by: ReconciledBy::look_up_if(self.client.config().reconcile_by_look_up),
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = account.issuer.violations();
        match &account.issuer {
            Issuer::Santander { workspace_id: Some(_), .. } => {}
            Issuer::Santander { workspace_id: None, .. } => {
                found.push(Violation::new("issuer.workspace_id", "is needed by Santander"));
            }
            _ => found.push(Violation::new("issuer", "must be an agreement with Santander")),
        }
        let [id, secret, certificate, private_key] = secured::CREDENTIALS;
        let needed = [id, secret, certificate, private_key, APP_KEY];
        found.extend(credentials::check(account, "Santander", &needed, &[]));
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        self.expressible().violations(proposal)
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        self.client.register(request).await.map(RegisterAnswer::Registered)
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        self.client.look_up(request).await
    }

    async fn amend(&self, request: &AmendRequest<'_>) -> Result<BankResponse, BankError> {
        self.client.amend(request).await
    }

    async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        self.client.cancel(request).await
    }
}

#[cfg(test)]
mod tests;
