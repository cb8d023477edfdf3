//! ASPSPs: banks of open banking, read without their customer being there.
//!
//! Each call comes back as a [`Told`]: what came of it, and the record that becomes a row. A consent allows few calls a day, so
//! that every one of them is counted by its record, also those that came to nothing.
//!
//! **Owns** connections, nothing that a crash may lose; tokens and cursors are the caller's to keep.
//! **Fails** with an [`AspspError`], cut by what the caller does next. An answer that is to come later is never an empty one.
//! **Limits**: reads and the refreshing of tokens alone. No address of a PSU is ever sent: it would claim that they are there, and
//! escape the quota. Each call is made once; a page's link is followed to the ASPSP's own origin only. A call has a deadline and
//! its answer a longest size.

pub mod amount;
pub mod berlin_group;
pub mod config;
pub mod day;
mod error;
pub mod internal_api;
mod line;
pub mod polish_api;
mod record;
mod request_id;
mod said;
mod signing;
mod status;
#[cfg(test)]
mod testing;
mod text;
mod wait;

use std::future::Future;

use secrecy::SecretString;

pub use error::{AspspError, ConsentEnd};
pub use record::{CallRecord, Operation, Told};
pub use request_id::AnswerId;
pub use said::*;
pub use status::{ConsentStatus, PaymentKind, PaymentStatus, ToldStatus};

use super::http::{HttpClientError, HttpConfig};
use berlin_group::BerlinGroup;
use config::{AspspConfig, Standard};
use polish_api::PolishApi;

/// A bank of open banking.
pub trait Aspsp {
    /// What it can be asked, known without asking it. What it cannot be asked comes back as [`AspspError::Unsupported`], unsent.
    fn capabilities(&self) -> AspspCapabilities;

    /// What became of a consent.
    fn consent_status(&self, access: &Access<'_>) -> impl Future<Output = Told<ConsentTold>> + Send;

    /// The accounts of a consent. Numbers may be masked; in PolishAPI the token's grant has them in full.
    fn accounts(
        &self,
        access: &Access<'_>,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Told<AccountPage>> + Send;

    /// One account, and the balances that come along.
    fn account(
        &self,
        access: &Access<'_>,
        account: &str,
    ) -> impl Future<Output = Told<AccountDetails>> + Send;

    /// The balances of an account. PolishAPI tells them with the account, so that it is that call which is made, and counted.
    fn balances(&self, access: &Access<'_>, account: &str)
    -> impl Future<Output = Told<Vec<Balance>>> + Send;

    /// One page of transactions. A set of pages is whole once a page has no next one; until then it proves nothing missing.
    fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> impl Future<Output = Told<TransactionPage>> + Send;

    /// One page of holds.
    fn holds(
        &self,
        access: &Access<'_>,
        request: &TransactionsRequest<'_>,
    ) -> impl Future<Output = Told<TransactionPage>> + Send;

    /// Where a single payment is.
    fn payment(&self, key: &PaymentKey<'_>) -> impl Future<Output = Told<PaymentTold>> + Send;

    /// Where many single payments are, in one call, one result each, in their order. More than the capabilities' `payments_max`
    /// are not asked about.
    fn payments(
        &self,
        keys: &[PaymentKey<'_>],
    ) -> impl Future<Output = Told<Vec<Result<PaymentTold, AspspError>>>> + Send;

    /// Where a bundle is, and on request each of its payments.
    fn bundle(
        &self,
        key: &PaymentKey<'_>,
        with_children: bool,
    ) -> impl Future<Output = Told<PaymentTold>> + Send;

    /// Where a recurring payment is.
    fn recurring(&self, key: &PaymentKey<'_>) -> impl Future<Output = Told<PaymentTold>> + Send;

    /// Exchanges a refresh token for a new pair. If the record says that it may have been sent and no answer came, the old one
    /// may be used up.
    fn refresh(&self, refresh_token: &SecretString) -> impl Future<Output = Told<Grant>> + Send;
}

/// Every standard there is, as one ASPSP speaks it. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub enum AspspConnector {
    BerlinGroup(BerlinGroup),
    PolishApi(PolishApi),
}

/// Does the same with whichever standard it is.
macro_rules! whichever {
    ($connector:expr, $aspsp:ident => $call:expr) => {
        match $connector {
            AspspConnector::BerlinGroup($aspsp) => $call,
            AspspConnector::PolishApi($aspsp) => $call,
        }
    };
}

impl AspspConnector {
    /// The connector of an ASPSP.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn of(config: &AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        Ok(match config.standard {
            Standard::BerlinGroup => Self::BerlinGroup(BerlinGroup::new(config.clone(), http)?),
            Standard::PolishApi => Self::PolishApi(PolishApi::new(config.clone(), http)?),
        })
    }
}

impl Aspsp for AspspConnector {
    fn capabilities(&self) -> AspspCapabilities {
        whichever!(self, aspsp => aspsp.capabilities())
    }

    async fn consent_status(&self, access: &Access<'_>) -> Told<ConsentTold> {
        whichever!(self, aspsp => aspsp.consent_status(access).await)
    }

    async fn accounts(&self, access: &Access<'_>, cursor: Option<&Cursor>) -> Told<AccountPage> {
        whichever!(self, aspsp => aspsp.accounts(access, cursor).await)
    }

    async fn account(&self, access: &Access<'_>, account: &str) -> Told<AccountDetails> {
        whichever!(self, aspsp => aspsp.account(access, account).await)
    }

    async fn balances(&self, access: &Access<'_>, account: &str) -> Told<Vec<Balance>> {
        whichever!(self, aspsp => aspsp.balances(access, account).await)
    }

    async fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        whichever!(self, aspsp => aspsp.transactions(access, list, request).await)
    }

    async fn holds(&self, access: &Access<'_>, request: &TransactionsRequest<'_>) -> Told<TransactionPage> {
        whichever!(self, aspsp => aspsp.holds(access, request).await)
    }

    async fn payment(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        whichever!(self, aspsp => aspsp.payment(key).await)
    }

    async fn payments(&self, keys: &[PaymentKey<'_>]) -> Told<Vec<Result<PaymentTold, AspspError>>> {
        whichever!(self, aspsp => aspsp.payments(keys).await)
    }

    async fn bundle(&self, key: &PaymentKey<'_>, with_children: bool) -> Told<PaymentTold> {
        whichever!(self, aspsp => aspsp.bundle(key, with_children).await)
    }

    async fn recurring(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        whichever!(self, aspsp => aspsp.recurring(key).await)
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Told<Grant> {
        whichever!(self, aspsp => aspsp.refresh(refresh_token).await)
    }
}
