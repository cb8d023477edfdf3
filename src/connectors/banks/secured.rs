//! Calls to banks that know us by a certificate and a token (mTLS and OAuth2).
//!
//! **Owns** one pool of connections per certificate, and the tokens. Certificate and key are read anew at each call and
//! told apart by their content, so that a renewed file counts from the next call on, without a restart.
//! **Fails** as a misconfiguration where the certificate cannot be used: nothing was sent.
//! **Limits**: 256 certificates at a time; past that all pools are let go and made anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use secrecy::SecretString;
use serde::Serialize;

use super::oauth::{self, Door, Failure, Login};
use super::token::{ClientKey, Tokens};
use super::{BankError, credentials};
use crate::connectors::http::{Answer, HttpClient, Identity, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;

/// What an account needs beside what its bank alone asks for.
pub(super) const CREDENTIALS: [&str; 4] = ["client_id", "client_secret", "certificate", "private_key"];

const CLIENTS_MAX: usize = 256;

/// The way into one bank.
#[derive(Debug)]
pub(super) struct Secured {
    http: HttpClient,
    /// A file of authorities to be trusted besides the platform's; empty for none.
    ca_file: String,
    secrets: SecretPolicy,
    door: Door,
    tokens: Tokens,
    clients: Mutex<HashMap<ClientKey, HttpClient>>,
}

impl Secured {
    pub(super) fn new(http: HttpClient, ca_file: String, secrets: SecretPolicy, door: Door) -> Self {
        Self { http, ca_file, secrets, door, tokens: Tokens::default(), clients: Mutex::default() }
    }

    /// The secret that an account's credential refers to.
    pub(super) fn secret(&self, account: &BankAccount, key: &str) -> Result<SecretString, BankError> {
        credentials::secret(account, key, &self.secrets)
    }

    /// Makes a call under the account's certificate and token, and once more if the token had lost its validity.
    pub(super) async fn call(
        &self,
        account: &BankAccount,
        request: impl Fn() -> Request,
    ) -> Result<Answer, Failure> {
        let client = self.client(account).map_err(Failure::Bank)?;
        let login = Login::of(account, &self.secrets).map_err(Failure::Bank)?;
        oauth::call(&client, &self.tokens, &self.door, &login, request).await
    }

    fn client(&self, account: &BankAccount) -> Result<HttpClient, BankError> {
        let certificate = self.secret(account, "certificate")?;
        let private_key = self.secret(account, "private_key")?;
        let key = ClientKey::of(&certificate, &private_key);
        // A map of handles is whole even if a holder of the lock panicked. Making a client takes milliseconds, and fifty
        // callers that arrive together are to make one and not fifty, hence it is made under the lock.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let misconfigured = |reason: String| BankError::Misconfigured { reason };
        let extra_roots = match self.ca_file.as_str() {
            "" => None,
            path => Some(
                std::fs::read(path)
                    .map_err(|error| misconfigured(format!("ca_file {path}: {}", error.kind())))?,
            ),
        };
        let identity = Identity {
            certificate: &certificate,
            private_key: &private_key,
            extra_roots: extra_roots.as_deref(),
        };
        let client = self.http.identified(&identity).map_err(|error| misconfigured(error.to_string()))?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// A body in JSON.
pub(super) fn json(body: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("a structure of text and numbers can be written as JSON"))
}

#[cfg(test)]
pub(super) mod tests;
