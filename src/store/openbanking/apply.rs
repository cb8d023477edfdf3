//! What banks tell of accounts becomes what is known of them: whole sets of pages, in groups of accounts, one transaction a group.
//!
//! What is known of the same days is read under the account's lock and held against what was told
//! ([`match_window`]); what is new is inserted, what has changed is updated, what has not come is marked as missing, and
//! nothing is written of what is known already. Nothing is deleted but the snapshot of what was pending.
//!
//! **Owns** nothing. **Fails** as the store does, per account. **Limits**: what is told is whole: a list that was read by half is
//! kept as pages ([`super::page`]) until the rest has come.

use std::borrow::Borrow;
use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::known::KnownTransaction;
use super::rounds;
use crate::domain::ids::{AccountId, TenantId};
use crate::domain::openbanking::identity::{Marks, match_window};
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError};

/// A booked transaction, as a bank tells of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedTold {
    /// The bank's ids, strongest first.
    pub bank_ids: Vec<String>,
    pub booked_on: NaiveDate,
    pub value_on: Option<NaiveDate>,
    /// Thousandths of the currency's unit, signed.
    pub amount: i64,
    pub currency: String,
    pub counterparty: String,
    pub remittance: String,
    /// Thousandths, signed.
    pub balance_after: Option<i64>,
    /// A JSON object: what else the bank tells.
    pub details: String,
}

/// A transaction that is not booked yet.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PendingTold {
    pub entered_on: Option<NaiveDate>,
    /// Thousandths of the currency's unit, signed.
    pub amount: i64,
    pub currency: String,
    pub counterparty: String,
    pub remittance: String,
    /// A JSON object: what else the bank tells.
    pub details: String,
}

/// What stands on an account, by one way of counting.
#[derive(Clone, PartialEq, Eq)]
pub struct BalanceTold {
    /// The standard's word for the way of counting, such as `closingBooked`.
    pub kind: String,
    /// Thousandths of the currency's unit, signed.
    pub amount: i64,
    pub currency: String,
    pub as_of: Option<DateTime<Utc>>,
}

/// What a bank has told of one account.
#[derive(Clone)]
pub struct Told {
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    /// All that was booked from the first to the last of these days; none where that was not asked.
    pub booked: Option<(NaiveDate, NaiveDate, Vec<BookedTold>)>,
    /// All that is pending; none where that was not asked.
    pub pending: Option<Vec<PendingTold>>,
    pub balances: Vec<BalanceTold>,
    /// A JSON object; none where that was not asked.
    pub details: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Done(Counts),
    /// There is no such account any more.
    Gone,
}

/// How many booked transactions were written, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub new: u64,
    pub changed: u64,
    /// Known, of the days that were asked about, and not told this time.
    pub missing: u64,
    /// Known, and told as they were known.
    pub same: u64,
    /// Whether what is pending is other than before.
    pub pending_changed: bool,
}

/// What is to be written of one account.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub counts: Counts,
    pub new: Vec<&'a BookedTold>,
    /// Known ones as they are from now on.
    pub changed: Vec<KnownTransaction>,
    pub missing: Vec<Uuid>,
}

impl Store {
    /// Takes over what banks have told of accounts. What is told of one account twice in a group is taken over one after the other.
    pub async fn apply_told<T: Borrow<Told> + Sync>(&self, items: &[T]) -> Vec<Result<Applied, StoreError>> {
        self.in_group(items, |store, transaction, items| Box::pin(store.apply_group(transaction, items)))
            .await
    }

    async fn apply_group<T: Borrow<Told> + Sync>(
        &self,
        transaction: &DatabaseTransaction,
        items: &[T],
    ) -> Result<Vec<Applied>, StoreError> {
        let mut applied = vec![Applied::Gone; items.len()];
        for round in rounds(items, |item| item.borrow().account_id) {
            let told: Vec<&Told> = round.iter().map(|place| items[*place].borrow()).collect();
            for (place, one) in round.into_iter().zip(self.apply_round(transaction, &told).await?) {
                applied[place] = one;
            }
        }
        Ok(applied)
    }

    async fn apply_round(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
    ) -> Result<Vec<Applied>, StoreError> {
        let held = self.hold_accounts(transaction, items).await?;
        let here: Vec<&Told> =
            items.iter().copied().filter(|item| held.contains_key(&item.account_id)).collect();
        let mut known = self.known_of(transaction, &here).await?;
        let mut plans: HashMap<AccountId, Plan<'_>> = HashMap::with_capacity(here.len());
        for item in &here {
            let known = known.remove(&item.account_id).unwrap_or_default();
            plans.insert(item.account_id, item.plan(known));
        }
        self.write_transactions(transaction, &here, &plans).await?;
        let replaced = self.replace_pending(transaction, &here, &held).await?;
        self.write_balances(transaction, &here).await?;
        self.note_synced(transaction, &here, &held).await?;
        let applied = |item: &Told| match plans.get(&item.account_id) {
            None => Applied::Gone,
            Some(plan) => {
                Applied::Done(Counts { pending_changed: replaced.contains(&item.account_id), ..plan.counts })
            }
        };
        Ok(items.iter().map(|item| applied(item)).collect())
    }

    /// Holds the accounts until the transaction ends, and returns those that are there, with the digest of what was pending and
    /// whether pages of an unfinished set are kept.
    async fn hold_accounts(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
    ) -> Result<HashMap<AccountId, Held>, StoreError> {
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.account_id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()));
        let hold = format!(
            " select a.id, a.tenant_id, a.pending_digest, a.page_cursor from account a where {} order by a.id {}",
            self.is_of_slice("a.id"),
            self.for_update()
        );
        let mut held = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &hold)).await? {
            let id = AccountId(row.try_get("", "id")?);
            let tenant: String = row.try_get("", "tenant_id")?;
            if items.iter().any(|item| item.account_id == id && item.tenant_id.as_str() == tenant) {
                let cursor: Option<String> = row.try_get("", "page_cursor")?;
                let digest = row.try_get("", "pending_digest")?;
                held.insert(id, Held { digest, has_pages: cursor.is_some() });
            }
        }
        Ok(held)
    }
}

/// What is known of an account that is held.
pub(super) struct Held {
    pub digest: Option<String>,
    pub has_pages: bool,
}

impl Told {
    /// The days that what was told is about: those that were asked, and those that came all the same.
    pub(super) fn window(&self) -> Option<(NaiveDate, NaiveDate)> {
        let (from, until, booked) = self.booked.as_ref()?;
        let told = |fold: fn(NaiveDate, NaiveDate) -> NaiveDate, begin: NaiveDate| {
            booked.iter().map(|booked| booked.booked_on).fold(begin, fold)
        };
        Some((told(NaiveDate::min, *from), told(NaiveDate::max, *until)))
    }

    fn plan(&self, known: Vec<KnownTransaction>) -> Plan<'_> {
        let Some((from, until, booked)) = &self.booked else { return Plan::default() };
        let known_marks: Vec<Marks> = known.iter().map(KnownTransaction::marks).collect();
        let told_marks: Vec<Marks> = booked.iter().map(BookedTold::marks).collect();
        let matched = match_window(&known_marks, &told_marks);
        let mut plan = Plan::default();
        for place in matched.missing {
            let one = &known[place];
            // A day that was not asked about says nothing by its silence, and what was said to be missing is not said again.
            if (*from..=*until).contains(&one.booked_on) {
                plan.counts.missing += 1;
                if !one.is_missing {
                    plan.missing.push(one.id);
                }
            }
        }
        plan.new = matched.new.into_iter().map(|place| &booked[place]).collect();
        plan.counts.new = plan.new.len() as u64;
        let mut known: Vec<Option<KnownTransaction>> = known.into_iter().map(Some).collect();
        for (place, told) in matched.same {
            let Some(before) = known[place].take() else { continue };
            match before.told_again(&booked[told]) {
                Some(after) => plan.changed.push(after),
                None => plan.counts.same += 1,
            }
        }
        plan.counts.changed = plan.changed.len() as u64;
        plan
    }
}

impl BookedTold {
    fn marks(&self) -> Marks {
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
}

/// Nothing of what stands on an account belongs in a log.
macro_rules! says_nothing {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
says_nothing!(BookedTold, PendingTold, BalanceTold, Told);
