//! What a caller has asked before: (tenant, method, `request_id`) → the hash of the body and the id of what it made.
//!
//! Losers of a race wait for the winner: on PostgreSQL the insert itself waits, on SQLite there is one writer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::TenantId;

/// A caller's own name for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub tenant_id: TenantId,
    pub method: &'static str,
    pub request_id: String,
    /// Of the parsed request, with the version of its parsing in front.
    pub body_hash: Vec<u8>,
}

/// What an earlier request of that name made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRequest {
    pub resource_id: Uuid,
    pub same_body: bool,
}

/// A name about to be entered, and what its request is to make.
pub(super) struct NewKey<'a> {
    pub key: &'a RequestKey,
    pub resource_id: Uuid,
    pub now: DateTime<Utc>,
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It is this request's from now on.
    New,
    /// The same request was made before, and made this.
    Before(Uuid),
    /// It was used for another body.
    OtherBody,
}

impl Store {
    /// Looks an earlier request up, before anything that depends on today's date or configuration.
    pub async fn find_request(&self, key: &RequestKey) -> Result<Option<EarlierRequest>, StoreError> {
        self.within(self.find_request_in(self.reader(), key)).await
    }

    pub(super) async fn find_request_in(
        &self,
        connection: &impl ConnectionTrait,
        key: &RequestKey,
    ) -> Result<Option<EarlierRequest>, StoreError> {
        let statement = self.statement(
            "select resource_id, body_hash from request_key where tenant_id = $1 and method = $2 and request_id = $3",
            [
                Value::from(key.tenant_id.as_str()),
                Value::from(key.method),
                Value::from(key.request_id.as_str()),
            ],
        );
        let Some(row) = connection.query_one_raw(statement).await? else { return Ok(None) };
        let body_hash: Vec<u8> = row.try_get("", "body_hash")?;
        Ok(Some(EarlierRequest {
            resource_id: row.try_get("", "resource_id")?,
            same_body: body_hash == key.body_hash,
        }))
    }

    /// Enters the name of one request, if it has any, in the transaction of what it asks for.
    pub(super) async fn enter_key(
        &self,
        transaction: &DatabaseTransaction,
        key: Option<&RequestKey>,
        resource_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let Some(key) = key else { return Ok(Entered::New) };
        let entered = self.enter_keys(transaction, &[NewKey { key, resource_id, now }]).await?;
        Ok(entered.first().copied().unwrap_or(Entered::New))
    }

    /// Enters names, one answer each. Two of a slice that are the same are the first one's.
    pub(super) async fn enter_keys(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewKey<'_>],
    ) -> Result<Vec<Entered>, StoreError> {
        if items.is_empty() {
            return Ok(vec![]);
        }
        let keys = || {
            Rows::new()
                .text("tenant_id", items.iter().map(|item| item.key.tenant_id.as_str().to_owned()))
                .text("method", items.iter().map(|item| item.key.method.to_owned()))
                .text("request_id", items.iter().map(|item| item.key.request_id.clone()))
        };
        let rows = keys()
            .bytes("body_hash", items.iter().map(|item| item.key.body_hash.clone()))
            .uuid("resource_id", items.iter().map(|item| item.resource_id))
            .integer("created_at_us", items.iter().map(|item| to_us(item.now)));
        // In the keys' own order, so that two groups that share some wait for each other and never for ever.
        let enter =
            " insert into request_key (tenant_id, method, request_id, body_hash, resource_id, created_at_us)
              select tenant_id, method, request_id, body_hash, resource_id, created_at_us from r
              where true order by tenant_id, method, request_id
              on conflict do nothing returning resource_id";
        let entered = all(transaction, self.statement_over(rows, vec![], enter)).await?;
        if entered.len() == items.len() {
            return Ok(vec![Entered::New; items.len()]);
        }
        let find = " select k.tenant_id, k.method, k.request_id, k.resource_id, k.body_hash from request_key k join r
              on k.tenant_id = r.tenant_id and k.method = r.method and k.request_id = r.request_id";
        let mut before: HashMap<(String, String, String), (Uuid, Vec<u8>)> = HashMap::new();
        for row in all(transaction, self.statement_over(keys(), vec![], find)).await? {
            let key =
                (row.try_get("", "tenant_id")?, row.try_get("", "method")?, row.try_get("", "request_id")?);
            before.insert(key, (row.try_get("", "resource_id")?, row.try_get("", "body_hash")?));
        }
        let outcome = |item: &NewKey<'_>| {
            let NewKey { key, resource_id, .. } = item;
            let name = (key.tenant_id.as_str().to_owned(), key.method.to_owned(), key.request_id.clone());
            match before.get(&name) {
                None => Entered::New,
                Some((made, _)) if made == resource_id => Entered::New,
                Some((made, hash)) if *hash == key.body_hash => Entered::Before(*made),
                Some(_) => Entered::OtherBody,
            }
        };
        Ok(items.iter().map(outcome).collect())
    }

    /// Takes names back out whose requests came to nothing: a caller may correct the cause and ask again.
    pub(super) async fn forget_keys(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[&RequestKey],
    ) -> Result<(), StoreError> {
        for key in keys {
            let forget = self.statement(
                "delete from request_key where tenant_id = $1 and method = $2 and request_id = $3",
                [
                    Value::from(key.tenant_id.as_str()),
                    Value::from(key.method),
                    Value::from(key.request_id.as_str()),
                ],
            );
            execute(transaction, forget).await?;
        }
        Ok(())
    }

    /// Forgets the names of requests that were made before `until`, at most `limit`. A request of such a name is a new one
    /// from then on.
    pub async fn forget_old_requests(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(
            match self.kind() {
                // The oldest rows stand in the oldest pages, which an index of page ranges finds.
                StoreKind::PostgreSql => {
                    "delete from request_key where ctid = any (array(
                        select ctid from request_key where created_at_us < $1 limit $2 for update skip locked
                     ))"
                }
                // Rows are numbered in the order in which they were written, so the first ones are all there is to see.
                StoreKind::Sqlite => {
                    "delete from request_key where rowid in (
                        select oldest.rowid from (select rowid, created_at_us from request_key order by rowid limit $2)
                            as oldest
                        where oldest.created_at_us < $1
                     )"
                }
            },
            [Value::from(to_us(until)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}
