//! How often a bank has been asked without its customer, and whether it may be asked once more.
//!
//! To look and to count are one step: whoever counts holds the row of what is counted, so that two processes never both take the
//! last access. What is counted is named by its holder (a consent, or a customer where the bank counts so), the endpoint and the
//! resource; parts that a bank does not tell apart are empty.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: counted are the accesses that are kept ([`super::forget`] keeps them for
//! longer than any window reaches); what another program asks of the same bank is not known here.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use crate::domain::ids::TenantId;
use crate::domain::openbanking::quota::{Allowance, Quota};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, StoreKind, from_us, to_us};

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaKey {
    /// A consent, or a customer.
    pub holder_id: Uuid,
    pub endpoint: String,
    pub resource: String,
}

/// A wish to ask a bank once.
#[derive(Debug, Clone)]
pub struct AccessWanted {
    /// Of the access, should there be one left.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub aspsp: String,
    pub key: QuotaKey,
    pub quota: Quota,
    pub now: DateTime<Utc>,
}

impl Store {
    /// Takes one access each, where there is one left: [`Allowance::Left`] says how many there were, this one included, and that it
    /// is taken. Several of one key take one after the other.
    pub async fn take_accesses(&self, items: &[AccessWanted]) -> Vec<Result<Allowance, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.take_access_group(transaction, items))
        })
        .await
    }

    async fn take_access_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[AccessWanted],
    ) -> Result<Vec<Allowance>, StoreError> {
        let mut made = self.hold_quotas(transaction, items).await?;
        let mut allowances = Vec::with_capacity(items.len());
        let mut taken = Vec::new();
        for item in items {
            let made = made.entry(&item.key).or_default();
            let allowance = item.quota.allowance(made, item.now);
            if matches!(allowance, Allowance::Left(_)) {
                made.push(item.now);
                taken.push(item);
            }
            allowances.push(allowance);
        }
        self.insert_accesses(transaction, &taken).await?;
        Ok(allowances)
    }

    /// Holds what these are counted by until the transaction ends, and returns when each was asked, as far back as counts.
    async fn hold_quotas<'a>(
        &self,
        transaction: &DatabaseTransaction,
        items: &'a [AccessWanted],
    ) -> Result<HashMap<&'a QuotaKey, Vec<DateTime<Utc>>>, StoreError> {
        // In one order, so that two groups wait for each other in one direction only.
        let by_key: HashMap<&QuotaKey, &AccessWanted> = items.iter().map(|item| (&item.key, item)).collect();
        let keys: Vec<&QuotaKey> = by_key.keys().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let since = |key: &&QuotaKey| {
            let wanted = items.iter().filter(|item| item.key == **key);
            let oldest = wanted.map(|item| {
                let reach = chrono::TimeDelta::from_std(item.quota.window.reach()).unwrap_or_default();
                item.now.checked_sub_signed(reach).unwrap_or(DateTime::<Utc>::MIN_UTC)
            });
            oldest.min().map_or(0, to_us)
        };
        let rows = || {
            Rows::new()
                .uuid("holder_id", keys.iter().map(|key| key.holder_id))
                .text("endpoint", keys.iter().map(|key| key.endpoint.clone()))
                .text("resource", keys.iter().map(|key| key.resource.clone()))
                .integer("place", (0_i64..).take(keys.len()))
                .integer("since_us", keys.iter().map(since))
                .text("tenant_id", keys.iter().map(|key| by_key[key].tenant_id.as_str().to_owned()))
                .text("aspsp", keys.iter().map(|key| by_key[key].aspsp.clone()))
        };
        let make = " insert into quota (holder_id, endpoint, resource, tenant_id, aspsp)
              select holder_id, endpoint, resource, tenant_id, aspsp from r where true
              order by holder_id, endpoint, resource on conflict (holder_id, endpoint, resource) do nothing";
        execute(transaction, self.statement_over(rows(), vec![], make)).await?;
        if self.kind() == StoreKind::PostgreSql {
            let hold = " select q.holder_id from r cross join lateral (
                    select * from quota where holder_id = r.holder_id and endpoint = r.endpoint and resource = r.resource
                    offset 0 for update
                  ) q";
            all(transaction, self.statement_over(rows(), vec![], hold)).await?;
        }
        let find = match self.kind() {
            StoreKind::PostgreSql => {
                " select r.place, x.at_us from r cross join lateral (
                    select at_us from quota_access where holder_id = r.holder_id and endpoint = r.endpoint
                      and resource = r.resource and at_us >= r.since_us offset 0
                  ) x"
            }
            StoreKind::Sqlite => {
                " select r.place, x.at_us from r cross join quota_access x on x.holder_id = r.holder_id
                    and x.endpoint = r.endpoint and x.resource = r.resource and x.at_us >= r.since_us"
            }
        };
        let mut made: HashMap<&QuotaKey, Vec<DateTime<Utc>>> = HashMap::new();
        for row in all(transaction, self.statement_over(rows(), vec![], find)).await? {
            let place: i64 = row.try_get("", "place")?;
            let key = usize::try_from(place).ok().and_then(|place| keys.get(place).copied());
            let key = key.ok_or_else(|| StoreError::unreadable("place", place))?;
            made.entry(key).or_default().push(from_us(row.try_get("", "at_us")?)?);
        }
        Ok(made)
    }

    async fn insert_accesses(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&AccessWanted],
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id))
            .uuid("holder_id", items.iter().map(|item| item.key.holder_id))
            .text("endpoint", items.iter().map(|item| item.key.endpoint.clone()))
            .text("resource", items.iter().map(|item| item.key.resource.clone()))
            .integer("at_us", items.iter().map(|item| to_us(item.now)));
        let insert = " insert into quota_access (id, holder_id, endpoint, resource, at_us)
              select id, holder_id, endpoint, resource, at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// Gives accesses back of which nothing was sent.
    pub async fn give_accesses_back(&self, ids: &[Uuid]) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let forget = format!(" delete from quota_access where {}", self.is_of_slice("id"));
        let statement = self.statement_over(Rows::new().uuid("id", ids.iter().copied()), vec![], &forget);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }

    /// When each of a holder's accesses was, newest first, as far back as that: for a plan, and for whoever asks why.
    pub async fn accesses_of(
        &self,
        holder_id: Uuid,
        since: DateTime<Utc>,
    ) -> Result<Vec<(QuotaKey, DateTime<Utc>)>, StoreError> {
        let statement = self.statement(
            "select endpoint, resource, at_us from quota_access where holder_id = $1 and at_us >= $2
             order by at_us desc limit 10000",
            [Value::from(holder_id), Value::from(to_us(since))],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let read = |row: &sea_orm::QueryResult| {
            let (endpoint, resource) = (row.try_get("", "endpoint")?, row.try_get("", "resource")?);
            Ok((QuotaKey { holder_id, endpoint, resource }, from_us(row.try_get("", "at_us")?)?))
        };
        found.iter().map(read).collect()
    }
}
