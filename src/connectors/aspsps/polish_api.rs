//! PolishAPI 2.1.x, and later versions as far as they differ by their prefix alone.
//!
//! **Owns** connections. **Fails** as [`AspspError`] says; codes are the ASPSP's own, so that the status decides unless the
//! settings know the code. **Limits**: reads and the refreshing of tokens. Nothing is ever asked to be told by a callback; an answer
//! that is to come so all the same is [`AspspError::Pending`]. The standard has no status of a consent: a token that is no longer
//! taken, and what its grant told, are all there is.

mod asked;
mod client;
pub mod config;
mod error;
mod jws;
mod wire;

use std::sync::Arc;

use secrecy::SecretString;

use super::config::AspspConfig;
use super::{
    Access, AccountDetails, AccountPage, Aspsp, AspspCapabilities, AspspError, Balance, ConsentTold, Cursor,
    Grant, PaymentKey, PaymentTold, Told, TransactionList, TransactionPage, TransactionsRequest,
};
use crate::connectors::http::{HttpClientError, HttpConfig};
use client::Client;

/// The connector of one ASPSP. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct PolishApi {
    client: Arc<Client>,
}

impl PolishApi {
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(config: AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        Ok(Self { client: Arc::new(Client::new(config, http)?) })
    }
}

impl Aspsp for PolishApi {
    fn capabilities(&self) -> AspspCapabilities {
        let config = self.client.config();
        AspspCapabilities {
            consent_status: false,
            lists: config.polish_api.lists(),
            holds: config.polish_api.holds,
            payments_max: config.polish_api.payments_max.max(1),
            refreshes_tokens: true,
            history_days_max: config.history_days_max,
        }
    }

    async fn consent_status(&self, _access: &Access<'_>) -> Told<ConsentTold> {
        self.client.no_consent_status()
    }

    async fn accounts(&self, access: &Access<'_>, cursor: Option<&Cursor>) -> Told<AccountPage> {
        self.client.accounts(access, cursor).await
    }

    async fn account(&self, access: &Access<'_>, account: &str) -> Told<AccountDetails> {
        self.client.account(access, account).await
    }

    async fn balances(&self, access: &Access<'_>, account: &str) -> Told<Vec<Balance>> {
        self.client.account(access, account).await.read(|details, _| Ok(details.balances))
    }

    async fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        self.client.transactions(access, list, request).await
    }

    async fn holds(&self, access: &Access<'_>, request: &TransactionsRequest<'_>) -> Told<TransactionPage> {
        self.client.holds(access, request).await
    }

    async fn payment(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        self.client.payment(key).await
    }

    async fn payments(&self, keys: &[PaymentKey<'_>]) -> Told<Vec<Result<PaymentTold, AspspError>>> {
        self.client.payments(keys).await
    }

    async fn bundle(&self, key: &PaymentKey<'_>, with_children: bool) -> Told<PaymentTold> {
        self.client.bundle(key, with_children).await
    }

    async fn recurring(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        self.client.recurring(key).await
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Told<Grant> {
        self.client.refresh(refresh_token).await
    }
}

#[cfg(test)]
mod tests;
