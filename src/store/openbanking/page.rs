//! The pages of an unfinished set: kept until the last one has come, so that a crash in the middle costs no access, and read by
//! nobody else before.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: one set an account; a page of another set than the one that was begun
//! takes the place of all that was kept. What is kept is a customer's: it goes with the account, and when the set is whole.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};

use super::apply::{BookedTold, PendingTold};
use crate::domain::ids::{AccountId, TenantId};
use crate::store::boleto::{from_json, to_json};
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// Pages of one set, at most: behind so many a bank goes round in circles.
pub const PAGES_MAX: i64 = 10_000;

/// A page that is not the last.
#[derive(Debug, Clone)]
pub struct PageDraft {
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    /// From 0 on; the first begins a set anew.
    pub number: i64,
    pub from: NaiveDate,
    pub until: NaiveDate,
    /// What the bank wants to be told to go on.
    pub next_cursor: String,
    pub booked: Vec<BookedTold>,
    pub pending: Vec<PendingTold>,
    pub now: DateTime<Utc>,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKept {
    Kept,
    /// It is not the one behind those that are kept.
    OutOfOrder,
    /// There is no such account any more.
    Gone,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Body {
    next_cursor: String,
    booked: Vec<BookedTold>,
    pending: Vec<PendingTold>,
}

/// A page that was kept.
#[derive(Debug, Clone)]
pub struct KeptPage {
    pub next_cursor: String,
    pub booked: Vec<BookedTold>,
    pub pending: Vec<PendingTold>,
}

impl Store {
    /// Keeps a page, and where the next begins.
    pub async fn keep_account_page(&self, page: &PageDraft) -> Result<PageKept, StoreError> {
        let (transaction, kept) = self
            .within(async {
                let transaction = self.begin().await?;
                let kept = self.keep_page_in(&transaction, page).await?;
                Ok((transaction, kept))
            })
            .await?;
        if kept == PageKept::Kept {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(kept)
    }

    async fn keep_page_in(
        &self,
        transaction: &DatabaseTransaction,
        page: &PageDraft,
    ) -> Result<PageKept, StoreError> {
        let account = || Value::from(page.account_id.0);
        let lock = self.statement(
            &format!("select id from account where id = $1 and tenant_id = $2 {}", self.for_update()),
            [account(), Value::from(page.tenant_id.as_str())],
        );
        if transaction.query_one_raw(lock).await?.is_none() {
            return Ok(PageKept::Gone);
        }
        if page.number == 0 {
            let forget = self.statement("delete from account_page where account_id = $1", [account()]);
            execute(transaction, forget).await?;
        } else if self.next_page(transaction, page.account_id).await? != page.number
            || page.number >= PAGES_MAX
        {
            return Ok(PageKept::OutOfOrder);
        }
        let body = to_json(&Body {
            next_cursor: page.next_cursor.clone(),
            booked: page.booked.clone(),
            pending: page.pending.clone(),
        })?;
        let insert = self.statement(
            "insert into account_page (account_id, number, tenant_id, body, created_at_us) values ($1, $2, $3, $4, $5)",
            [
                account(),
                Value::from(page.number),
                Value::from(page.tenant_id.as_str()),
                Value::from(body),
                Value::from(to_us(page.now)),
            ],
        );
        execute(transaction, insert).await?;
        let update = self.statement(
            "update account set page_cursor = $2, page_from = $3, page_until = $4 where id = $1",
            [
                account(),
                Value::from(page.next_cursor.as_str()),
                Value::from(page.from),
                Value::from(page.until),
            ],
        );
        execute(transaction, update).await?;
        Ok(PageKept::Kept)
    }

    /// The number behind those that are kept. A look of its own behind the lock: who has waited for it sees what came meanwhile.
    async fn next_page(
        &self,
        transaction: &DatabaseTransaction,
        account: AccountId,
    ) -> Result<i64, StoreError> {
        let find = self.statement(
            "select coalesce(max(number) + 1, 0) as next from account_page where account_id = $1",
            [Value::from(account.0)],
        );
        let row = transaction.query_one_raw(find).await?;
        row.map_or(Ok(0), |row| Ok(row.try_get("", "next")?))
    }

    /// What has been read of an account's unfinished set, in the order of its pages.
    pub async fn kept_account_pages(
        &self,
        tenant: &TenantId,
        account: AccountId,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let statement = self.statement(
            "select body from account_page where account_id = $1 and tenant_id = $2 order by number",
            [Value::from(account.0), Value::from(tenant.as_str())],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let page = |row: &QueryResult| {
            let body: String = row.try_get("", "body")?;
            let Body { next_cursor, booked, pending } = from_json("page", &body)?;
            Ok(KeptPage { next_cursor, booked, pending })
        };
        found.iter().map(page).collect()
    }

    /// Forgets an unfinished set: the bank does not know its cursor any more, or goes round in circles.
    pub async fn forget_account_pages(
        &self,
        tenant: &TenantId,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let values = || [Value::from(account.0), Value::from(tenant.as_str())];
        let forget =
            self.statement("delete from account_page where account_id = $1 and tenant_id = $2", values());
        let clear = self.statement(
            "update account set page_cursor = null, page_from = null, page_until = null where id = $1 and tenant_id = $2",
            values(),
        );
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                // The account first, as everywhere.
                execute(&transaction, clear).await?;
                execute(&transaction, forget).await?;
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }
}
