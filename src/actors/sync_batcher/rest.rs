//! What is read of an account once its transactions have come: balances, and now and then its details.
//!
//! **Owns** nothing. **Fails** with a [`Trouble`], which makes no account less fresh. **Limits**: PolishAPI tells both in one call,
//! which counts as one of the details'; balances that came along with the transactions are not asked for again.

use chrono::{DateTime, NaiveTime, Utc};
use serde::Serialize;

use super::accounts::ACCOUNT;
use super::calls::{Trouble, ask};
use super::visit::Visit;
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::{Account, Aspsp as _, Balance, Operation};
use crate::store::openbanking::apply::{BalanceTold, Told};

/// What is kept of an account's details, in words of no standard.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
}

impl Visit {
    /// Reads what is due of an account besides its transactions, and takes it over.
    pub async fn read_rest(&mut self, place: usize) -> Result<(), Trouble> {
        let wants_balances = self.run.means.config.get().sync.balances;
        let account = &self.accounts[place];
        if account.has_details || !self.may_read(place, ACCOUNT) {
            return Ok(());
        }
        let mut wants_details = self.is_due(account.allowed.account.details_at);
        let came_along = std::mem::take(&mut self.accounts[place].balances);
        let by = match self.standard {
            Standard::BerlinGroup => Operation::Balances,
            Standard::PolishApi => Operation::AccountDetails,
        };
        let were_told = self.before.told(by, Some(self.accounts[place].id()));
        let needs_balances = wants_balances && came_along.is_empty() && !were_told;
        if self.standard == Standard::PolishApi {
            wants_details |= needs_balances;
        }
        let (mut details, mut balances) = (None, came_along);
        if wants_details {
            match self.ask_account(place).await {
                Ok(told) => {
                    details = Some(told.account);
                    balances = if told.balances.is_empty() { balances } else { told.balances };
                }
                Err(Trouble::Stop(stop)) => return Err(stop.into()),
                Err(trouble) => self.endure(trouble, Some(place), false)?,
            }
        }
        if needs_balances && balances.is_empty() && self.standard == Standard::BerlinGroup {
            // They have cost an access, which the next call must not lose.
            if let Some(details) = details.take() {
                self.apply(told_of(self, place, Some(&details), &[])).await?;
            }
            match self.ask_balances(place).await {
                Ok(told) => balances = told,
                Err(Trouble::Stop(stop)) => return Err(stop.into()),
                Err(trouble) => self.endure(trouble, Some(place), false)?,
            }
        }
        if details.is_none() && balances.is_empty() {
            return Ok(());
        }
        self.apply(told_of(self, place, details.as_ref(), &balances)).await
    }

    async fn ask_account(
        &mut self,
        place: usize,
    ) -> Result<crate::connectors::aspsps::AccountDetails, Trouble> {
        let (connector, id, name) =
            (self.desk.connector().clone(), self.accounts[place].id(), self.name_of(place)?);
        Ok(
            ask!(self, Operation::AccountDetails, Some(id), false, access => connector.account(&access, &name)),
        )
    }

    async fn ask_balances(&mut self, place: usize) -> Result<Vec<Balance>, Trouble> {
        let (connector, id, name) =
            (self.desk.connector().clone(), self.accounts[place].id(), self.name_of(place)?);
        Ok(ask!(self, Operation::Balances, Some(id), false, access => connector.balances(&access, &name)))
    }

    fn name_of(&self, place: usize) -> Result<String, Trouble> {
        let name = self.accounts[place].name_at(self.standard).map(str::to_owned);
        name.ok_or_else(|| Trouble::of("unnamed: the bank has not said by what it is asked about"))
    }
}

/// Details and balances as they are kept.
pub(super) fn told_of(visit: &Visit, place: usize, details: Option<&Account>, balances: &[Balance]) -> Told {
    let currency = &visit.accounts[place].allowed.account.key.currency;
    visit.told(place, |told| {
        told.details = details.map(details_of);
        told.balances = balances.iter().map(|balance| balance_of(balance, currency)).collect();
    })
}

fn details_of(account: &Account) -> String {
    let details = Details {
        name: account.name.as_deref(),
        product: account.product.as_deref(),
        kind: account.kind.as_deref(),
        status: account.status.as_deref(),
    };
    serde_json::to_string(&details).unwrap_or_else(|_| "{}".to_owned())
}

fn balance_of(balance: &Balance, currency: &str) -> BalanceTold {
    let day = balance
        .reference_date
        .map(|day| DateTime::<Utc>::from_naive_utc_and_offset(day.and_time(NaiveTime::MIN), Utc));
    BalanceTold {
        kind: balance.kind.clone(),
        amount: balance.amount.thousandths(),
        currency: balance.currency.clone().unwrap_or_else(|| currency.to_owned()),
        as_of: balance.changed_at.or(day),
    }
}
