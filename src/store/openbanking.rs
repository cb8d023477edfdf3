//! What the store keeps of open banking: customers and what they have allowed, what stands on their accounts, their payments, the
//! visits at their banks, and how often each bank was asked.
//!
//! A file a verb or two: [`user`] and [`due`], [`consent`] and [`account`] are who and what; [`token`] by what a bank lets us in;
//! [`quota`] and [`back_off`] when it may be asked, and [`rest`] when about payments; [`session`] that it was; [`page`] and [`apply`]
//! what it said; [`payment`], [`overdue`], [`outcome`] and [`resolve`] how payments are followed and end; [`notice`] what owners
//! hear of consents; [`hand`] what people decide and read; [`erase`] and [`forget`] what is kept no longer; [`list`] and [`look`]
//! what is read.
//!
//! **Owns** nothing beside the rows. Locks are taken in one order: user, consent, account, quota, payment (children before
//! parents), and what is owed to owners last. **Fails** as the store does, per item. **Limits**: a verb over a slice takes what
//! its caller's lane gives; tokens are kept sealed, and what is sealed is never looked into here.

pub mod account;
pub mod apply;
mod apply_rows;
pub mod back_off;
pub mod consent;
pub mod due;
pub mod erase;
pub mod forget;
pub mod hand;
mod known;
pub mod list;
pub mod look;
mod news;
pub mod notice;
pub mod outcome;
pub mod overdue;
pub mod page;
pub mod payment;
pub mod quota;
pub mod resolve;
pub mod rest;
pub mod session;
pub mod token;
pub mod user;

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::all;
use super::{Store, StoreError, StoreKind, from_us};
use crate::domain::ids::TenantId;

impl Store {
    /// What locks found rows until the transaction ends; on SQLite there is one writer.
    fn for_update(&self) -> &'static str {
        if self.kind() == StoreKind::PostgreSql { "for update" } else { "" }
    }

    /// The larger of two, in the database's own word.
    fn larger(&self) -> &'static str {
        if self.kind() == StoreKind::PostgreSql { "greatest" } else { "max" }
    }

    /// Holds consents until the transaction ends, in the order of their ids: an update of several locks them in none.
    async fn hold_consents(
        &self,
        transaction: &DatabaseTransaction,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<(), StoreError> {
        if self.kind() == StoreKind::PostgreSql {
            let lock = format!(
                " select id from consent where {} order by id for no key update",
                self.is_of_slice("id")
            );
            all(transaction, self.statement_over(Rows::new().uuid("id", ids), vec![], &lock)).await?;
        }
        Ok(())
    }
}

/// The places of a group's items in as few rounds as it takes for none to name a thing twice: what comes first is done first.
fn rounds<T, K: Eq + Hash>(items: &[T], thing: impl Fn(&T) -> K) -> Vec<Vec<usize>> {
    let mut named: HashMap<K, usize> = HashMap::with_capacity(items.len());
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let times = named.entry(thing(item)).or_default();
        if rounds.len() == *times {
            rounds.push(Vec::new());
        }
        rounds[*times].push(place);
        *times += 1;
    }
    rounds
}

fn tenant_of(row: &QueryResult) -> Result<TenantId, StoreError> {
    let tenant: String = row.try_get("", "tenant_id")?;
    TenantId::parse(&tenant).map_err(|_| StoreError::unreadable("tenant", tenant))
}

fn moment(row: &QueryResult, column: &str) -> Result<DateTime<Utc>, StoreError> {
    from_us(row.try_get("", column)?)
}

fn moment_or_none(row: &QueryResult, column: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
    row.try_get::<Option<i64>>("", column)?.map(from_us).transpose()
}

fn is_set(row: &QueryResult, column: &str) -> Result<bool, StoreError> {
    Ok(row.try_get::<i64>("", column)? == 1)
}
