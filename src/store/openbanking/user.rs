//! Customers: who lets their accounts be read while they are away, and whose turn it is.
//!
//! A run goes through them by the page, behind a cursor: who has been synced since the run began is not met again, and who could
//! not be stays behind the cursor. What a page says is read again when its batch begins, for a run lasts hours and a customer may
//! take the permission back meanwhile.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: least recently synced first goes along an index; a seeded order reads
//! all who are due for each page of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::{is_set, moment, moment_or_none, tenant_of};
use crate::domain::ids::{EndpointId, PsuUserId, TenantId};
use crate::store::audit::Deed;
use crate::store::request_key::{Entered, RequestKey};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// A prime: what is multiplied by anything and taken modulo this is as many different numbers as before.
const SHUFFLE: i64 = 2_147_483_647;

pub(super) const COLUMNS: &str = "u.id, u.tenant_id, u.external_id, u.update_offline, u.active, u.last_synced_at_us, \
     u.endpoint_id, u.erased_at_us, u.version, u.created_at_us, u.updated_at_us";

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PsuUser {
    pub id: PsuUserId,
    pub tenant_id: TenantId,
    /// The owner's own name for them.
    pub external_id: String,
    pub update_offline: bool,
    pub active: bool,
    pub last_synced_at: Option<DateTime<Utc>>,
    /// Who is told beside the subscriptions.
    pub endpoint_id: Option<EndpointId>,
    pub erased_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PsuUser {
    /// Whether nothing was read of them, and nothing about them changed, since before that.
    pub fn is_idle(&self, since: DateTime<Utc>) -> bool {
        !self.active && self.erased_at.is_none() && self.updated_at < since
    }
}

/// A customer as somebody tells of them.
#[derive(Debug, Clone)]
pub struct UserDraft {
    /// Of the customer, should they be new.
    pub id: PsuUserId,
    pub tenant_id: TenantId,
    pub external_id: String,
    pub update_offline: bool,
    pub active: bool,
    /// The later one counts.
    pub last_synced_at: Option<DateTime<Utc>>,
    /// None leaves what is known.
    pub endpoint_id: Option<EndpointId>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutUser {
    pub id: PsuUserId,
    /// Something was written.
    pub is_written: bool,
}

/// In which order a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueOrder {
    LeastRecentlySynced,
    /// As good as any, and the same again for the same seed.
    Shuffled {
        seed: u64,
    },
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueUser {
    pub id: PsuUserId,
    pub tenant_id: TenantId,
    /// One of the banks that they let be asked.
    pub aspsp: String,
    /// With the id, the cursor behind which the next page begins.
    pub place: i64,
}

/// What somebody changes by hand.
#[derive(Debug, Clone)]
pub struct UserChange {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub external_id: String,
    pub update_offline: Option<bool>,
    pub active: Option<bool>,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChanged {
    Done(PsuUser),
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
}

impl Store {
    /// Writes customers down, or what has changed about them. Nothing is written for one of whom nothing is new.
    pub async fn put_psu_users(&self, items: &[UserDraft]) -> Vec<Result<PutUser, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.put_psu_user_group(transaction, items))
        })
        .await
    }

    async fn put_psu_user_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[UserDraft],
    ) -> Result<Vec<PutUser>, StoreError> {
        let synced = |item: &UserDraft| item.last_synced_at.map_or(0, to_us);
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("external_id", items.iter().map(|item| item.external_id.clone()))
            .integer("update_offline", items.iter().map(|item| i64::from(item.update_offline)))
            .integer("active", items.iter().map(|item| i64::from(item.active)))
            .integer("last_synced_at_us", items.iter().map(synced))
            .integer("shuffle_key", items.iter().map(|item| shuffle_key(item.id)))
            .optional_uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.map(|id| id.0)))
            .integer("now_us", items.iter().map(|item| to_us(item.now)));
        // In one order, so that two groups wait for each other in one direction only.
        let upsert = format!(
            " insert into psu_user (id, tenant_id, external_id, update_offline, active, last_synced_at_us, shuffle_key,
                endpoint_id, version, created_at_us, updated_at_us)
              select id, tenant_id, external_id, update_offline, active, last_synced_at_us, shuffle_key, endpoint_id, 1, now_us,
                now_us from r where true order by external_id, tenant_id
              on conflict (external_id, tenant_id) do update set update_offline = excluded.update_offline,
                active = excluded.active,
                last_synced_at_us = {larger}(psu_user.last_synced_at_us, excluded.last_synced_at_us),
                endpoint_id = coalesce(excluded.endpoint_id, psu_user.endpoint_id), version = psu_user.version + 1,
                updated_at_us = excluded.updated_at_us
              where psu_user.update_offline <> excluded.update_offline or psu_user.active <> excluded.active
                or psu_user.last_synced_at_us < excluded.last_synced_at_us
                or (excluded.endpoint_id is not null
                  and coalesce(psu_user.endpoint_id, psu_user.id) <> excluded.endpoint_id)
              returning tenant_id, external_id",
            larger = self.larger()
        );
        let written = all(transaction, self.statement_over(rows, vec![], &upsert)).await?;
        let name = |row: &QueryResult| -> Result<(String, String), StoreError> {
            Ok((row.try_get("", "tenant_id")?, row.try_get("", "external_id")?))
        };
        let written: Vec<(String, String)> = written.iter().map(name).collect::<Result<_, _>>()?;
        let names = items
            .iter()
            .map(|item| (item.tenant_id.as_str().to_owned(), item.external_id.clone()))
            .collect::<Vec<_>>();
        let ids = self.psu_user_ids(transaction, &names).await?;
        let outcome = |name: &(String, String)| {
            let id = ids.get(name).copied();
            let id =
                id.ok_or_else(|| StoreError::Broken("a customer is neither new nor known".to_owned()))?;
            Ok(PutUser { id, is_written: written.contains(name) })
        };
        names.iter().map(outcome).collect()
    }

    /// The ids of customers by tenant and the owner's name for them.
    async fn psu_user_ids(
        &self,
        transaction: &DatabaseTransaction,
        names: &[(String, String)],
    ) -> Result<HashMap<(String, String), PsuUserId>, StoreError> {
        let rows = Rows::new()
            .text("tenant_id", names.iter().map(|(tenant, _)| tenant.clone()))
            .text("external_id", names.iter().map(|(_, external_id)| external_id.clone()));
        let find = format!(
            " select u.id, u.tenant_id, u.external_id from psu_user u where u.external_id {}",
            self.is_one_of("external_id")
        );
        let mut ids = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            let name = (row.try_get("", "tenant_id")?, row.try_get("", "external_id")?);
            ids.insert(name, PsuUserId(row.try_get("", "id")?));
        }
        Ok(ids)
    }

    /// Changes what a customer has allowed, by somebody's hand, with its record.
    pub async fn change_psu_user(&self, change: &UserChange) -> Result<UserChanged, StoreError> {
        let (transaction, changed) = self
            .within(async {
                let transaction = self.begin().await?;
                let changed = self.change_psu_user_in(&transaction, change).await?;
                Ok((transaction, changed))
            })
            .await?;
        match changed {
            UserChanged::Done(_) => self.commit(transaction).await?,
            _ => self.within(async { Ok(transaction.rollback().await?) }).await?,
        }
        Ok(changed)
    }

    async fn change_psu_user_in(
        &self,
        transaction: &DatabaseTransaction,
        change: &UserChange,
    ) -> Result<UserChanged, StoreError> {
        match self.enter_key(transaction, change.request.as_ref(), change.id, change.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(UserChanged::Before),
            Entered::OtherBody => return Ok(UserChanged::OtherBody),
        }
        let find = self.statement(
            &format!(
                "select {COLUMNS} from psu_user u where u.external_id = $1 and u.tenant_id = $2 {}",
                self.for_update()
            ),
            [Value::from(change.external_id.as_str()), Value::from(change.tenant_id.as_str())],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(UserChanged::NotFound) };
        let before = read(&row)?;
        let after = PsuUser {
            update_offline: change.update_offline.unwrap_or(before.update_offline),
            active: change.active.unwrap_or(before.active),
            version: before.version + 1,
            updated_at: change.now,
            ..before.clone()
        };
        let update = self.statement(
            "update psu_user set update_offline = $2, active = $3, version = $4, updated_at_us = $5 where id = $1",
            [
                Value::from(after.id.0),
                Value::from(i64::from(after.update_offline)),
                Value::from(i64::from(after.active)),
                Value::from(after.version),
                Value::from(to_us(change.now)),
            ],
        );
        execute(transaction, update).await?;
        let deed = Deed {
            id: change.id,
            tenant_id: &change.tenant_id,
            method: "UpdateUser",
            subject_id: after.id.0,
            reason: &change.reason,
            before: before.told(),
            after: after.told(),
            traceparent: change.traceparent.as_deref(),
            now: change.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(UserChanged::Done(after))
    }

    /// A page of those whose turn it is: they let their accounts be read, are active, have a consent that is valid now, and were
    /// last synced at `synced_until` or before. A page that is not full is the last.
    pub async fn due_psu_users(
        &self,
        synced_until: DateTime<Utc>,
        now: DateTime<Utc>,
        order: DueOrder,
        after: Option<(i64, PsuUserId)>,
        limit: i64,
    ) -> Result<Vec<DueUser>, StoreError> {
        // One that is valid, looked up customer by customer: whatever the planner believes, not all consents are read.
        let consent = "select min(c.aspsp) from consent c where c.user_id = d.id and c.status = 'valid'
            and (c.valid_until_us is null or c.valid_until_us > $2)";
        let (place, seed) = match order {
            DueOrder::LeastRecentlySynced => ("u.last_synced_at_us", None),
            // Between 1 and the prime, so that it is an order of them all.
            DueOrder::Shuffled { seed } => {
                let factor = i64::try_from(seed % (SHUFFLE as u64 - 1)).unwrap_or_default() + 1;
                ("(u.shuffle_key * $6) % 2147483647", Some(Value::from(factor)))
            }
        };
        let find = format!(
            "select d.id, d.tenant_id, d.place, ({consent}) as aspsp from (
                select u.id, u.tenant_id, {place} as place from psu_user u
                where u.update_offline = 1 and u.active = 1 and u.last_synced_at_us <= $1
             ) d where (d.place, d.id) > ($3, $4) and ({consent}) is not null order by d.place, d.id limit $5"
        );
        let (place, id) = after.unwrap_or((-1, PsuUserId(Uuid::nil())));
        let mut values = vec![
            Value::from(to_us(synced_until)),
            Value::from(to_us(now)),
            Value::from(place),
            Value::from(id.0),
            Value::from(limit),
        ];
        values.extend(seed);
        let statement = self.statement(&find, values);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let due = |row: &QueryResult| {
            Ok(DueUser {
                id: PsuUserId(row.try_get("", "id")?),
                tenant_id: tenant_of(row)?,
                aspsp: row.try_get("", "aspsp")?,
                place: row.try_get("", "place")?,
            })
        };
        found.iter().map(due).collect()
    }

    /// Those of a batch that still let their accounts be read: asked when the batch begins.
    pub async fn psu_users_to_sync(&self, ids: &[PsuUserId]) -> Result<Vec<PsuUser>, StoreError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new().uuid("id", ids.iter().map(|id| id.0));
        let find = format!(
            " select {COLUMNS} from psu_user u where {} and u.update_offline = 1 and u.active = 1",
            self.is_of_slice("u.id")
        );
        let statement = self.statement_over(rows, vec![], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }

    /// Notes that customers' visits have come to a good end at that moment.
    pub async fn psu_users_synced(&self, ids: &[PsuUserId], at: DateTime<Utc>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        ids.sort_unstable();
        let rows = Rows::new().uuid("id", ids);
        let update = format!(
            " update psu_user set last_synced_at_us = $1 where {} and last_synced_at_us < $1",
            self.is_of_slice("id")
        );
        let statement = self.statement_over(rows, vec![Value::from(to_us(at))], &update);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}

impl PsuUser {
    fn told(&self) -> String {
        serde_json::json!({
            "update_offline": self.update_offline, "active": self.active, "version": self.version,
        })
        .to_string()
    }
}

/// A number between 1 and the prime, out of what is random in an id.
fn shuffle_key(id: PsuUserId) -> i64 {
    let [.., a, b, c, d] = *id.0.as_bytes();
    i64::from(u32::from_be_bytes([a, b, c, d])) % (SHUFFLE - 1) + 1
}

pub(super) fn read(row: &QueryResult) -> Result<PsuUser, StoreError> {
    let synced = moment(row, "last_synced_at_us")?;
    Ok(PsuUser {
        id: PsuUserId(row.try_get("", "id")?),
        tenant_id: tenant_of(row)?,
        external_id: row.try_get("", "external_id")?,
        update_offline: is_set(row, "update_offline")?,
        active: is_set(row, "active")?,
        last_synced_at: (synced != DateTime::UNIX_EPOCH).then_some(synced),
        endpoint_id: row.try_get::<Option<Uuid>>("", "endpoint_id")?.map(EndpointId),
        erased_at: moment_or_none(row, "erased_at_us")?,
        version: row.try_get("", "version")?,
        created_at: moment(row, "created_at_us")?,
        updated_at: moment(row, "updated_at_us")?,
    })
}
