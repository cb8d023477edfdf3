//! Accounts: which there are under a consent, how fresh what is known of them is, and which are not asked about any more.
//!
//! An account is one by its number and currency. What a bank calls it, and what may be read of it, belongs to a consent.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: two customers' views of one account are two: each goes with its
//! customer.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::{is_set, moment, moment_or_none, tenant_of};
use crate::domain::ids::{AccountId, ConsentId, PsuUserId, TenantId};
use crate::domain::openbanking::account::AccountKey;
use crate::store::boleto::{from_json, to_json};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, StoreKind, to_us};

pub(super) const COLUMNS: &str = "a.id, a.tenant_id, a.user_id, a.aspsp, a.number, a.currency, a.name, a.enabled, a.gone_at_us, \
     a.synced_at_us, a.synced_through, a.page_cursor, a.page_from, a.page_until, a.stale_reason, \
     a.stale_since_us, a.details, a.details_at_us, a.created_at_us, a.updated_at_us";

/// An account of a customer's at a bank.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub tenant_id: TenantId,
    pub user_id: PsuUserId,
    pub aspsp: String,
    pub key: AccountKey,
    pub name: Option<String>,
    /// False: an operator does not want it asked about.
    pub enabled: bool,
    /// Since when the bank has it no more.
    pub gone_at: Option<DateTime<Utc>>,
    /// The last time that all that was asked for came.
    pub synced_at: Option<DateTime<Utc>>,
    pub synced_through: Option<NaiveDate>,
    /// Where an unfinished set of pages goes on.
    pub unfinished: Option<Unfinished>,
    /// Why what is known is older than it should be, and since when.
    pub stale: Option<(String, DateTime<Utc>)>,
    /// JSON, as the bank told it.
    pub details: Option<String>,
    pub details_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Without what belongs in no log.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("aspsp", &self.aspsp)
            .field("enabled", &self.enabled)
            .field("gone_at", &self.gone_at)
            .field("synced_at", &self.synced_at)
            .field("synced_through", &self.synced_through)
            .field("unfinished", &self.unfinished)
            .field("stale", &self.stale)
            .finish_non_exhaustive()
    }
}

/// A set of pages that was read in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What the bank wants to be told to go on.
    pub cursor: String,
    pub from: NaiveDate,
    pub until: NaiveDate,
}

/// An account as a bank tells of it under a consent.
#[derive(Clone)]
pub struct AccountDraft {
    /// Of the account, should it be new.
    pub id: AccountId,
    pub tenant_id: TenantId,
    pub user_id: PsuUserId,
    pub consent_id: ConsentId,
    pub aspsp: String,
    pub key: AccountKey,
    pub name: Option<String>,
    /// The bank's own name for it under this consent.
    pub resource_id: Option<String>,
    /// What may be read of it, in the standard's words.
    pub privileges: Vec<String>,
    /// Days of history that may be read.
    pub history_days: Option<u32>,
    pub now: DateTime<Utc>,
}

/// An account with what one consent allows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAccount {
    pub consent_id: ConsentId,
    pub account: Account,
    pub resource_id: Option<String>,
    pub privileges: Vec<String>,
    pub history_days: Option<u32>,
}

/// A customer, and which account of theirs: number, currency, bank.
type Name = (Uuid, String, String, String);

impl Store {
    /// Writes accounts down that a consent allows, and returns their ids. Nothing is written for one of which nothing is new, nor
    /// by a consent that is not that customer's, or not there any more; its id is of no account.
    pub async fn put_accounts(&self, items: &[AccountDraft]) -> Vec<Result<AccountId, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.put_account_group(transaction, items))
        })
        .await
    }

    async fn put_account_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[AccountDraft],
    ) -> Result<Vec<AccountId>, StoreError> {
        let allowed = self.hold_allowing(transaction, items).await?;
        let is_allowed = |item: &&AccountDraft| allowed.contains(&(item.consent_id, item.user_id));
        let here: Vec<&AccountDraft> = items.iter().filter(is_allowed).collect();
        if here.is_empty() {
            return Ok(items.iter().map(|item| item.id).collect());
        }
        let rows = Rows::new()
            .uuid("id", here.iter().map(|item| item.id.0))
            .text("tenant_id", here.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .uuid("user_id", here.iter().map(|item| item.user_id.0))
            .text("aspsp", here.iter().map(|item| item.aspsp.clone()))
            .text("number", here.iter().map(|item| item.key.number.clone()))
            .text("currency", here.iter().map(|item| item.key.currency.clone()))
            .optional_text("name", here.iter().map(|item| item.name.clone()))
            .integer("now_us", here.iter().map(|item| to_us(item.now)));
        let insert = " insert into account (id, tenant_id, user_id, aspsp, number, currency, name, enabled, created_at_us,
                updated_at_us)
              select id, tenant_id, user_id, aspsp, number, currency, name, 1, now_us, now_us from r where true
              order by user_id, number, currency, aspsp
              on conflict (user_id, number, currency, aspsp) do nothing";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        let known = self.account_ids(transaction, &here).await?;
        let id_of = |item: &&AccountDraft| {
            let id = known.get(&item.name()).copied();
            id.ok_or_else(|| StoreError::Broken("an account is neither new nor known".to_owned()))
        };
        let ids: Vec<AccountId> = here.iter().map(id_of).collect::<Result<_, _>>()?;
        self.allow_accounts(transaction, &here, &ids).await?;
        let outcome = |item: &AccountDraft| match is_allowed(&item) {
            true => known[&item.name()],
            false => item.id,
        };
        Ok(items.iter().map(outcome).collect())
    }

    /// The consents that these are by, and whose they are; held against being erased until the transaction ends.
    async fn hold_allowing(
        &self,
        transaction: &DatabaseTransaction,
        items: &[AccountDraft],
    ) -> Result<HashSet<(ConsentId, PsuUserId)>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for key share" } else { "" };
        let find = format!(
            " select c.id, c.user_id from consent c where {} order by c.id {lock}",
            self.is_of_slice("c.id")
        );
        let rows = Rows::new().uuid("id", items.iter().map(|item| item.consent_id.0));
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        let read = |row: &QueryResult| {
            Ok((ConsentId(row.try_get("", "id")?), PsuUserId(row.try_get("", "user_id")?)))
        };
        found.iter().map(read).collect()
    }

    async fn account_ids(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&AccountDraft],
    ) -> Result<HashMap<Name, AccountId>, StoreError> {
        let rows = Rows::new().uuid("id", items.iter().map(|item| item.user_id.0));
        let find = format!(
            " select a.id, a.user_id, a.number, a.currency, a.aspsp from account a where {}",
            self.is_of_slice("a.user_id")
        );
        let mut ids = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            let name: Name = (
                row.try_get("", "user_id")?,
                row.try_get("", "number")?,
                row.try_get("", "currency")?,
                row.try_get("", "aspsp")?,
            );
            ids.insert(name, AccountId(row.try_get("", "id")?));
        }
        Ok(ids)
    }

    async fn allow_accounts(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&AccountDraft],
        ids: &[AccountId],
    ) -> Result<(), StoreError> {
        let privileges: Vec<String> =
            items.iter().map(|item| to_json(&item.privileges)).collect::<Result<_, _>>()?;
        let rows = Rows::new()
            .uuid("consent_id", items.iter().map(|item| item.consent_id.0))
            .uuid("account_id", ids.iter().map(|id| id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .optional_text("resource_id", items.iter().map(|item| item.resource_id.clone()))
            .text("privileges", privileges)
            .optional_integer("history_days", items.iter().map(|item| item.history_days.map(i64::from)));
        let upsert = " insert into consent_account (consent_id, account_id, tenant_id, resource_id, privileges, history_days)
              select consent_id, account_id, tenant_id, resource_id, privileges, history_days from r where true
              order by consent_id, account_id
              on conflict (consent_id, account_id) do update set resource_id = excluded.resource_id,
                privileges = excluded.privileges, history_days = excluded.history_days
              where coalesce(consent_account.resource_id, '') <> coalesce(excluded.resource_id, '')
                or consent_account.privileges <> excluded.privileges
                or coalesce(consent_account.history_days, 0) <> coalesce(excluded.history_days, 0)";
        execute(transaction, self.statement_over(rows, vec![], upsert)).await?;
        Ok(())
    }

    /// The accounts that these consents allow to be asked about: enabled ones that are not gone.
    pub async fn allowed_accounts(&self, consents: &[ConsentId]) -> Result<Vec<AllowedAccount>, StoreError> {
        if consents.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new().uuid("id", consents.iter().map(|id| id.0));
        // The consents lead, whatever the planner believes of the accounts.
        let find = format!(
            ", k as materialized (
                select * from consent_account where {}
              )
              select {COLUMNS}, k.consent_id, k.resource_id, k.privileges, k.history_days
              from k join account a on {} and a.id = k.account_id where a.enabled = 1 and a.gone_at_us is null
              order by k.consent_id, a.id",
            self.is_of_slice("consent_id"),
            match self.kind() {
                StoreKind::PostgreSql => "a.id = any(array(select account_id from k))",
                StoreKind::Sqlite => "true",
            },
        );
        let statement = self.statement_over(rows, vec![], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let allowed = |row: &QueryResult| {
            let days: Option<i64> = row.try_get("", "history_days")?;
            let privileges: String = row.try_get("", "privileges")?;
            Ok(AllowedAccount {
                consent_id: ConsentId(row.try_get("", "consent_id")?),
                account: read(row)?,
                resource_id: row.try_get("", "resource_id")?,
                privileges: from_json("privileges", &privileges)?,
                history_days: days.and_then(|days| u32::try_from(days).ok()),
            })
        };
        found.iter().map(allowed).collect()
    }

    /// Says of accounts why they are not as fresh as they should be; what has been said since when stays.
    pub async fn accounts_stale(
        &self,
        items: &[(AccountId, String)],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        if items.is_empty() {
            return Ok(0);
        }
        let mut items: Vec<&(AccountId, String)> = items.iter().collect();
        items.sort_unstable_by_key(|(id, _)| id.0);
        let rows = Rows::new()
            .uuid("id", items.iter().map(|(id, _)| id.0))
            .text("reason", items.iter().map(|(_, reason)| reason.clone()));
        let update = format!(
            " update account set stale_reason = r.reason, stale_since_us = coalesce(account.stale_since_us, $1)
              from r where account.id = r.id and {} and coalesce(account.stale_reason, '') <> r.reason",
            self.is_of_slice("account.id")
        );
        let statement = self.statement_over(rows, vec![Value::from(to_us(now))], &update);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }

    /// Notes that a bank has these accounts no more: they are not asked about again, and what is known of them stays.
    pub async fn accounts_gone(&self, ids: &[AccountId], now: DateTime<Utc>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new().uuid("id", ids.iter().map(|id| id.0));
        let update = format!(
            " update account set gone_at_us = $1, page_cursor = null, updated_at_us = $1
              where {} and gone_at_us is null",
            self.is_of_slice("id")
        );
        let statement = self.statement_over(rows, vec![Value::from(to_us(now))], &update);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }

    /// Has an account asked about, or not any more. One that was gone and is wanted is asked about again. False: there is none.
    pub async fn enable_account(
        &self,
        tenant: &TenantId,
        id: AccountId,
        enabled: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let statement = self.statement(
            "update account set enabled = $3, updated_at_us = $4,
               gone_at_us = case when cast($3 as bigint) = 1 then null else gone_at_us end
             where id = $1 and tenant_id = $2",
            [
                Value::from(id.0),
                Value::from(tenant.as_str()),
                Value::from(i64::from(enabled)),
                Value::from(to_us(now)),
            ],
        );
        self.within(async { Ok(execute(&self.inner.writer, statement).await? == 1) }).await
    }
}

impl AccountDraft {
    fn name(&self) -> Name {
        (self.user_id.0, self.key.number.clone(), self.key.currency.clone(), self.aspsp.clone())
    }
}

pub(super) fn read(row: &QueryResult) -> Result<Account, StoreError> {
    let cursor: Option<String> = row.try_get("", "page_cursor")?;
    let unfinished = cursor.map(|cursor| -> Result<Unfinished, StoreError> {
        Ok(Unfinished { cursor, from: row.try_get("", "page_from")?, until: row.try_get("", "page_until")? })
    });
    let stale: Option<String> = row.try_get("", "stale_reason")?;
    let stale = stale.map(|reason| -> Result<_, StoreError> { Ok((reason, moment(row, "stale_since_us")?)) });
    Ok(Account {
        id: AccountId(row.try_get("", "id")?),
        tenant_id: tenant_of(row)?,
        user_id: PsuUserId(row.try_get("", "user_id")?),
        aspsp: row.try_get("", "aspsp")?,
        key: AccountKey { number: row.try_get("", "number")?, currency: row.try_get("", "currency")? },
        name: row.try_get("", "name")?,
        enabled: is_set(row, "enabled")?,
        gone_at: moment_or_none(row, "gone_at_us")?,
        synced_at: moment_or_none(row, "synced_at_us")?,
        synced_through: row.try_get("", "synced_through")?,
        unfinished: unfinished.transpose()?,
        stale: stale.transpose()?,
        details: row.try_get("", "details")?,
        details_at: moment_or_none(row, "details_at_us")?,
        created_at: moment(row, "created_at_us")?,
        updated_at: moment(row, "updated_at_us")?,
    })
}
