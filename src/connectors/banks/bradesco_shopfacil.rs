//! Bradesco (237) by ShopFacil's own API. Derived from public sources, not certified by the bank.
//!
//! **Known** are the sign-in, the means of payment `300`, amounts in cents, dates as `YYYY-MM-DD`, the carteiras 25 and
//! 26, the table of codes, and of the answer `status.codigo`, `status.mensagem`, `boleto.linha_digitavel` and
//! `boleto.url_acesso`. **Assumed** is the shape of the request: it is that of the same bank's `apiregistro`, without
//! charges and guarantor. No source that we may rely on gives the address, hence all of it is configuration. Try it with
//! the bank before anything is issued by it.
//!
//! **Owns** nothing: it signs each call with the account's pair, and number, barcode and line are ours.
//! **Fails** as [`BankError`] says. A line in the answer that is not ours is shown to nobody: a person decides.
//! **Limits**: registration alone. Charges, a guarantor, and a late payment other than the carteira's cannot be said.
//! Instructions have no field either: they are printed by us.

pub mod config;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::connectors::http::{Answer, HttpClient};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::violation::Violation;

use super::bradesco::answer::IssuedBody;
use super::bradesco::codes::Table;
use super::bradesco::wire::BoletoBody;
use super::bradesco::{self, BANK_CODE, answer};
use super::{
    Bank, BankError, Capabilities, LookUp, LookUpRequest, Proposal, RegisterAnswer, RegisterRequest,
    Registration, basic, codes, credentials, unsupported, values,
};
use config::BradescoShopfacilConfig;

/// The pair that an account signs in with, each a reference to a secret; the bank calls the second one its chave.
const MERCHANT_ID: &str = "merchant_id";
const API_KEY: &str = "api_key";
/// A registered boleto.
const MEIO_PAGAMENTO: &str = "300";

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct BradescoShopfacil {
    config: BradescoShopfacilConfig,
    secrets: SecretPolicy,
    http: HttpClient,
}

#[derive(Serialize)]
struct RegisterBody<'a> {
    merchant_id: &'a str,
    meio_pagamento: &'static str,
    boleto: BoletoBody<'a>,
}

impl BradescoShopfacil {
    /// A connector that reads the secrets that `secrets` lets callers name, and calls through `http`, which must be a
    /// client for configured addresses.
    pub fn new(config: BradescoShopfacilConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { config, secrets, http }
    }
}

impl Bank for BradescoShopfacil {
    fn capabilities(&self, _account: &BankAccount) -> Capabilities {
        bradesco::capabilities()
    }

    fn check(&self, account: &BankAccount) -> Vec<Violation> {
        let mut found = bradesco::check_issuer(account);
        found.extend(bradesco::check_shopfacil_carteira(account));
        if self.config.api_url.is_none() {
            found.push(Violation::new("provider", "needs banks.bradesco_shopfacil.api_url"));
        }
        found.extend(credentials::check(account, "Bradesco ShopFacil", &[MERCHANT_ID, API_KEY], &[]));
        found
    }

    fn supports(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let mut found = bradesco::letters_in(proposal.payer, proposal.terms);
        found.extend(bradesco::charges_without_field(proposal.terms, false));
        found.extend(bradesco::late_payment_of_another_carteira(proposal.account, proposal.terms));
        if proposal.terms.guarantor.is_some() {
            found.push(Violation::new("guarantor", "ShopFacil has no field for it"));
        }
        found
    }

    async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        if let Some(found) = self.supports(&request.proposal()).first() {
            return Err(unsupported(&found.to_string()));
        }
        let Some(api_url) = &self.config.api_url else {
            let reason = "banks.bradesco_shopfacil.api_url is not set".to_owned();
            return Err(BankError::Misconfigured { reason });
        };
        let boleto = BoletoBody::of(request).map_err(unsupported)?;
        let authorization = basic::authorization(request.account, MERCHANT_ID, API_KEY, &self.secrets)?;
        let merchant_id: SecretString = credentials::secret(request.account, MERCHANT_ID, &self.secrets)?;
        let merchant_id = merchant_id.expose_secret();
        let body = RegisterBody { merchant_id, meio_pagamento: MEIO_PAGAMENTO, boleto };
        let url = api_url.url().clone();
        let answer = basic::change(&self.http, url, self.config.timeout, authorization, &body).await?;
        let (response, issued) = answer::registered(&answer, Table::ShopFacil)?;
        registration(&answer, response, &issued, request.boleto).map(RegisterAnswer::Registered)
    }

    async fn look_up(&self, _request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        Err(unsupported("ShopFacil cannot be asked what is on file"))
    }
}

/// Takes a yes for a registration, if its status is one that the bank gives and its line is ours.
fn registration(
    answer: &Answer,
    response: BankResponse,
    issued: &IssuedBody,
    boleto: &Boleto,
) -> Result<Registration, BankError> {
    if !matches!(answer.status.as_u16(), 200 | 201) {
        return Err(basic::unknown(answer, "a yes"));
    }
    let parts = match codes::read(None, issued.linha_digitavel.as_deref()) {
        Ok(None) => return Err(basic::unknown(answer, "a yes without linha_digitavel")),
        Ok(Some(theirs)) => codes::differences(&theirs, boleto, BANK_CODE),
        Err(_) => vec!["linha_digitavel"],
    };
    if !parts.is_empty() {
        return Err(BankError::Disagrees { response, parts });
    }
    Ok(Registration {
        response,
        codes: None,
        pix_emv: None,
        bank_reference: None,
        url: issued.url_acesso.as_deref().and_then(values::page),
    })
}

#[cfg(test)]
mod tests;
