//! Inter (077), cobrança v3. Derived from public sources, not certified by the bank.
//!
//! **Owns** the connections under each account's certificate, and the tokens.
//! **Fails** as [`BankError`] says. The bank takes a request and says only later what came of it, under a reference of
//! its own; it enforces no key of ours, so that a request whose reference was lost is a person's to look into.
//! **Limits**: the bank chooses every number; amounts from R$ 2.50; fines and interest, but no discount, abatement,
//! guarantor or terms of late payment. It changes nothing on request, and lists no payments here: they are seen by
//! looking open boletos up.

mod agreement;
mod client;
pub mod config;
mod wire;

use std::sync::Arc;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::money::Cents;
use crate::domain::violation::Violation;

use super::expressible::Expressible;
use super::{
    Bank, BankError, CancelRequest, Capabilities, CodesFrom, LookUp, LookUpRequest, Proposal, ReconciledBy,
    RegisterAnswer, RegisterRequest, credentials, secured,
};
use client::Client;
use config::InterConfig;

/// The bank takes nothing smaller.
const AMOUNT_MIN: Cents = Cents(250);
/// Of percentages.
const DECIMALS: usize = 2;

/// The connector. Cheap to clone; clones share tokens and connections.
#[derive(Debug, Clone)]
pub struct Inter {
    client: Arc<Client>,
}

impl Inter {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls under the limits of `http`, which
    /// must be a client for configured addresses.
    pub fn new(config: InterConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { client: Arc::new(Client::new(config, secrets, http)) }
    }
}

impl Bank for Inter {
    fn capabilities(&self, _account: &BankAccount) -> Capabilities {
        Capabilities {
            alphanumeric_cnpj: self.client.config().alphanumeric_cnpj,
            repeatable: false,
            look_up: true,
            settle_after: self.client.config().settle_after,
            codes: CodesFrom::Bank,
            amend: &[],
            cancel: true,
            reconciled_by: ReconciledBy::LookUp,
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = account.issuer.violations();
        if !matches!(account.issuer, Issuer::Inter { .. }) {
            found.push(Violation::new("issuer", "must be an agreement with Inter"));
        }
        found.extend(credentials::check(account, "Inter", &secured::CREDENTIALS, &[]));
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let expressible = Expressible {
            bank: "Inter",
            alphanumeric_cnpj: self.client.config().alphanumeric_cnpj,
            fine_amount: true,
            interest_amount: true,
            abatement: false,
            decimals: DECIMALS,
        };
        let mut found = expressible.violations(proposal);
        if proposal.amount < AMOUNT_MIN {
            let rule = format!("Inter takes amounts from {} cents", AMOUNT_MIN.0);
            found.push(Violation::new("amount_cents", rule));
        }
        found
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        self.client.register(request).await
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        self.client.look_up(request).await
    }

    async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        self.client.cancel(request).await
    }
}

#[cfg(test)]
mod tests;
