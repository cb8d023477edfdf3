//! The booked transactions that are known of the days that banks tell about, and what has changed about one that is told again.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what a bank does not say this time, it has not taken back: an id, a
//! balance, a date stay.

use std::collections::HashMap;

use chrono::NaiveDate;
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::apply::{BookedTold, Told};
use crate::domain::ids::AccountId;
use crate::domain::openbanking::identity::Marks;
use crate::store::boleto::from_json;
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, StoreKind};

/// Through the index of days, whatever the planner believes of a table that was empty when it made its plan.
const FIND_POSTGRES: &str = " select t.* from r cross join lateral (
        select * from account_transaction where account_id = r.id and booked_on >= r.day_from and booked_on <= r.day_until
        offset 0
      ) t order by t.account_id, t.booked_on, t.id";
/// The order of a cross join is kept.
const FIND_SQLITE: &str = " select t.* from r cross join account_transaction t on t.account_id = r.id
        and t.booked_on >= r.day_from and t.booked_on <= r.day_until
      order by t.account_id, t.booked_on, t.id";

/// A booked transaction as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KnownTransaction {
    pub id: Uuid,
    pub booked_on: NaiveDate,
    pub value_on: Option<NaiveDate>,
    pub amount: i64,
    pub currency: String,
    pub bank_ids: Vec<String>,
    pub counterparty: String,
    pub remittance: String,
    pub balance_after: Option<i64>,
    pub details: String,
    pub is_missing: bool,
}

impl Store {
    /// What is known of the days that these are about, in one statement.
    pub(super) async fn known_of(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
    ) -> Result<HashMap<AccountId, Vec<KnownTransaction>>, StoreError> {
        let windows: Vec<(Uuid, NaiveDate, NaiveDate)> = items
            .iter()
            .filter_map(|item| item.window().map(|(from, until)| (item.account_id.0, from, until)))
            .collect();
        let mut known: HashMap<AccountId, Vec<KnownTransaction>> = HashMap::new();
        if windows.is_empty() {
            return Ok(known);
        }
        let rows = Rows::new()
            .uuid("id", windows.iter().map(|(id, ..)| *id))
            .date("day_from", windows.iter().map(|(_, from, _)| *from))
            .date("day_until", windows.iter().map(|(.., until)| *until));
        let find = match self.kind() {
            StoreKind::PostgreSql => FIND_POSTGRES,
            StoreKind::Sqlite => FIND_SQLITE,
        };
        for row in all(transaction, self.statement_over(rows, vec![], find)).await? {
            let account = AccountId(row.try_get("", "account_id")?);
            known.entry(account).or_default().push(KnownTransaction::read(&row)?);
        }
        Ok(known)
    }
}

impl KnownTransaction {
    pub fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let ids: String = row.try_get("", "bank_ids")?;
        Ok(Self {
            id: row.try_get("", "id")?,
            booked_on: row.try_get("", "booked_on")?,
            value_on: row.try_get("", "value_on")?,
            amount: row.try_get("", "amount")?,
            currency: row.try_get("", "currency")?,
            bank_ids: from_json("bank ids", &ids)?,
            counterparty: row.try_get("", "counterparty")?,
            remittance: row.try_get("", "remittance")?,
            balance_after: row.try_get("", "balance_after")?,
            details: row.try_get("", "details")?,
            is_missing: row.try_get::<Option<i64>>("", "missing_since_us")?.is_some(),
        })
    }

    pub fn marks(&self) -> Marks {
        Marks {
            ids: self.bank_ids.clone(),
            booked_on: self.booked_on,
            amount: self.amount,
            currency: self.currency.clone(),
            counterparty: self.counterparty.clone(),
            text: self.remittance.clone(),
            balance_after: self.balance_after,
        }
    }

    /// The same, told once more; nothing where that changes nothing.
    pub fn told_again(&self, told: &BookedTold) -> Option<Self> {
        let says = |text: &str| !text.trim().is_empty();
        let or_before = |told: &str, before: &str| if says(told) { told } else { before }.to_owned();
        let has_ids = told.bank_ids.iter().any(|id| says(id));
        let after = Self {
            id: self.id,
            booked_on: told.booked_on,
            value_on: told.value_on.or(self.value_on),
            amount: told.amount,
            currency: told.currency.clone(),
            bank_ids: if has_ids { told.bank_ids.clone() } else { self.bank_ids.clone() },
            counterparty: or_before(&told.counterparty, &self.counterparty),
            remittance: or_before(&told.remittance, &self.remittance),
            balance_after: told.balance_after.or(self.balance_after),
            details: told.details.clone(),
            is_missing: false,
        };
        (after != *self).then_some(after)
    }
}
