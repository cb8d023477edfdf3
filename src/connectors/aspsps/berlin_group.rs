//! Berlin Group NextGenPSD2 XS2A 1.3.x, in JSON.
//!
//! **Owns** connections. **Fails** as [`AspspError`] says; the standard's codes decide before the status does.
//! **Limits**: accounts, not card accounts; a list of transactions in XML or as text is not read, and of a payment in XML the status alone is. A bundle's payments are told
//! without their statuses by most ASPSPs: then it has none. `PSU-IP-Address` and its kin are never sent.

mod client;
pub mod config;
mod error;
mod link;
mod report;
mod signature;
mod wire;

use std::sync::Arc;

use secrecy::SecretString;

use super::config::AspspConfig;
use super::{
    Access, AccountDetails, AccountPage, Aspsp, AspspCapabilities, AspspError, Balance, ConsentTold, Cursor,
    Grant, PaymentKey, PaymentKind, PaymentTold, Told, TransactionList, TransactionPage, TransactionsRequest,
};
use crate::connectors::http::{HttpClientError, HttpConfig};
use client::Client;

/// The connector of one ASPSP. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct BerlinGroup {
    client: Arc<Client>,
}

impl BerlinGroup {
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(config: AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        Ok(Self { client: Arc::new(Client::new(config, http)?) })
    }
}

impl Aspsp for BerlinGroup {
    fn capabilities(&self) -> AspspCapabilities {
        let config = self.client.config();
        let own = &config.berlin_group;
        let lists = [
            (TransactionList::Booked, true),
            (TransactionList::Pending, own.pending),
            (TransactionList::Both, own.both),
        ];
        AspspCapabilities {
            consent_status: true,
            lists: lists.into_iter().filter(|(_, has)| *has).map(|(list, _)| list).collect(),
            holds: false,
            payments_max: 1,
            refreshes_tokens: own.token.url.is_some(),
            history_days_max: config.history_days_max,
        }
    }

    async fn consent_status(&self, access: &Access<'_>) -> Told<ConsentTold> {
        self.client.consent(access).await
    }

    async fn accounts(&self, access: &Access<'_>, cursor: Option<&Cursor>) -> Told<AccountPage> {
        self.client.accounts(access, cursor).await
    }

    async fn account(&self, access: &Access<'_>, account: &str) -> Told<AccountDetails> {
        self.client.account(access, account).await
    }

    async fn balances(&self, access: &Access<'_>, account: &str) -> Told<Vec<Balance>> {
        self.client.balances(access, account).await
    }

    async fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        self.client.transactions(access, list, request).await
    }

    async fn holds(&self, _access: &Access<'_>, _request: &TransactionsRequest<'_>) -> Told<TransactionPage> {
        self.client.no_holds()
    }

    async fn payment(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        self.client.payment_status(key, PaymentKind::Single).await
    }

    async fn payments(&self, keys: &[PaymentKey<'_>]) -> Told<Vec<Result<PaymentTold, AspspError>>> {
        self.client.payments(keys).await
    }

    async fn bundle(&self, key: &PaymentKey<'_>, with_children: bool) -> Told<PaymentTold> {
        if with_children {
            self.client.bundle_with_children(key).await
        } else {
            self.client.payment_status(key, PaymentKind::Bundle).await
        }
    }

    async fn recurring(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        self.client.payment_status(key, PaymentKind::Recurring).await
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Told<Grant> {
        self.client.refresh(refresh_token).await
    }
}

#[cfg(test)]
mod tests;
