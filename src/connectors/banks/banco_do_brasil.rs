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
mod movements;
mod wire;

use std::sync::Arc;

use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::amendment::{AmendPart, Amendment};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::violation::Violation;

use super::{
    AmendRequest, Bank, BankError, CancelRequest, Capabilities, CodesFrom, LookUp, LookUpRequest,
    MovementPage, MovementsRequest, Proposal, ReconciledBy, RegisterAnswer, RegisterRequest, credentials,
    unsupported,
};
use client::Client;
use config::BancoDoBrasilConfig;
use movements::Holder;
use wire::Amended;

/// The credentials that an account of this bank needs, each a reference to a secret.
const CREDENTIALS: [&str; 3] = ["client_id", "client_secret", "app_key"];

/// What the published calls change; the other indicators of `PATCH` are not described.
const AMENDED: [AmendPart; 2] = [AmendPart::DueDate, AmendPart::Abatement];

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
    fn capabilities(&self, account: &BankAccount) -> Capabilities {
        Capabilities {
            alphanumeric_cnpj: false,
            repeatable: true,
            look_up: true,
            settle_after: self.client.config().settle_after,
            codes: CodesFrom::Us,
            amend: &AMENDED,
            cancel: true,
            // The bank lists by agency and account; without them it is asked title by title.
            reconciled_by: match Holder::of(&account.issuer) {
                Some(_) => ReconciledBy::Listing,
                None => ReconciledBy::LookUp,
            },
        }
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = check_issuer(&account.issuer);
        found.extend(credentials::check(account, "Banco do Brasil", &CREDENTIALS, &[]));
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let mut found = Vec::new();
        if proposal.payer.tax_id.is_alphanumeric() {
            found.push(Violation::new("payer.tax_id", "Banco do Brasil takes a CNPJ of digits alone"));
        }
        found
    }

    fn cannot_amend(&self, account: &BankAccount, boleto: &Boleto, amendment: &Amendment) -> Option<String> {
        let able = self.capabilities(account).amend;
        let (known, others): (Vec<_>, Vec<_>) =
            amendment.parts(boleto).into_iter().partition(|part| able.contains(part));
        if let Some(other) = others.first() {
            return Some(format!("Banco do Brasil's connector cannot change {}", other.as_str()));
        }
        if known.len() > 1 {
            return Some(
                "Banco do Brasil changes one part at a time: due_date or charges.abatement".to_owned(),
            );
        }
        (known == [AmendPart::Abatement] && change(boleto, amendment).is_none()).then(|| {
            "Banco do Brasil's connector only gives charges.abatement to a boleto without one".to_owned()
        })
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        self.client.register(request).await.map(RegisterAnswer::Registered)
    }

    async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        self.client.look_up(request).await
    }

    async fn amend(&self, request: &AmendRequest<'_>) -> Result<BankResponse, BankError> {
        let AmendRequest { account, boleto, amendment, .. } = request;
        if let Some(reason) = self.cannot_amend(account, boleto, amendment) {
            return Err(BankError::Unsupported { reason });
        }
        match change(boleto, amendment) {
            Some(change) => self.client.amend(request, change).await,
            None => Err(unsupported("nothing changes")),
        }
    }

    async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        self.client.cancel(request).await
    }

    async fn payments_since(&self, request: &MovementsRequest<'_>) -> Result<MovementPage, BankError> {
        self.client.payments_since(request).await
    }
}

/// What an amendment changes of what the bank's published calls can change.
fn change(boleto: &Boleto, amendment: &Amendment) -> Option<Amended> {
    if amendment.due_date != boleto.due_date {
        return Some(Amended::DueDate(amendment.due_date));
    }
    match (boleto.terms.charges.abatement, amendment.charges.abatement) {
        (None, Some(amount)) => Some(Amended::Abatement(amount)),
        _ => None,
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
        _ => {
            found.push(Violation::new("issuer", "must be an agreement with Banco do Brasil"));
        }
    }
    found
}

#[cfg(test)]
mod tests;
