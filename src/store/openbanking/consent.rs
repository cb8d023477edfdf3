//! What customers have allowed at their banks.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: an ended consent never becomes valid again; another one takes its
//! place, under another name of the bank's.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::{moment, moment_or_none, tenant_of};
use crate::domain::ids::{ConsentId, PsuUserId, TenantId};
use crate::domain::openbanking::consent::{ConsentStatus, first_notice};
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, StoreKind, to_us};

pub(super) const COLUMNS: &str = "c.id, c.tenant_id, c.user_id, c.aspsp, c.external_id, c.status, c.reason, c.valid_until_us, \
     c.frequency_per_day, c.token_version, c.failing_since_us, c.version, c.created_at_us, c.updated_at_us";

/// What a customer has allowed at one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub id: ConsentId,
    pub tenant_id: TenantId,
    pub user_id: PsuUserId,
    pub aspsp: String,
    /// The bank's name for it.
    pub external_id: String,
    pub status: ConsentStatus,
    /// Why it has ended.
    pub reason: Option<String>,
    pub valid_until: Option<DateTime<Utc>>,
    /// Accesses a day without the customer, as agreed with the bank.
    pub frequency_per_day: u32,
    /// Which of its tokens are the newest; 0 where it needs none.
    pub token_version: i64,
    /// Since when no visit by it has come to a good end.
    pub failing_since: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A consent as somebody tells of it.
#[derive(Debug, Clone)]
pub struct ConsentDraft {
    /// Of the consent, should it be new.
    pub id: ConsentId,
    pub tenant_id: TenantId,
    pub user_id: PsuUserId,
    pub aspsp: String,
    pub external_id: String,
    pub status: ConsentStatus,
    pub valid_until: Option<DateTime<Utc>>,
    pub frequency_per_day: u32,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutConsent {
    pub id: ConsentId,
    /// Something was written.
    pub is_written: bool,
    /// The bank's name for it is that of another customer's: the id is theirs, and nothing was written.
    pub is_anothers: bool,
}

/// Tenant, bank, and the bank's name for it.
type Name = (String, String, String);

impl Store {
    /// Writes consents down, or what has changed about those that have not ended. Of a customer who is not there, or no more,
    /// nothing is written, and the id is of no consent.
    pub async fn put_consents(&self, items: &[ConsentDraft]) -> Vec<Result<PutConsent, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.put_consent_group(transaction, items))
        })
        .await
    }

    async fn put_consent_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[ConsentDraft],
    ) -> Result<Vec<PutConsent>, StoreError> {
        let users = items.iter().map(|item| item.user_id.0).collect();
        let live = self.hold_live_users(transaction, users).await?;
        let here: Vec<&ConsentDraft> = items.iter().filter(|item| live.contains(&item.user_id.0)).collect();
        let written = self.upsert_consents(transaction, &here).await?;
        // What lets us in by a consent that has ended elsewhere is of no use any more.
        let ended = written.values().filter(|(_, status)| status.has_ended()).map(|(id, _)| *id);
        self.forget_means_of(transaction, ended).await?;
        let known = self.consents_named(transaction, items).await?;
        let outcome = |item: &ConsentDraft| {
            let name = item.name();
            let Some((id, user)) = known.get(&name).copied() else {
                let gone = PutConsent { id: item.id, is_written: false, is_anothers: false };
                let is_gone = !live.contains(&item.user_id.0);
                return is_gone
                    .then_some(gone)
                    .ok_or_else(|| StoreError::Broken("a consent is neither new nor known".to_owned()));
            };
            let is_anothers = user != item.user_id;
            Ok(PutConsent { id, is_written: !is_anothers && written.contains_key(&name), is_anothers })
        };
        items.iter().map(outcome).collect()
    }

    /// Those of these customers that are there, held against being erased until the transaction ends.
    pub(super) async fn hold_live_users(
        &self,
        transaction: &DatabaseTransaction,
        users: Vec<Uuid>,
    ) -> Result<HashSet<Uuid>, StoreError> {
        if users.is_empty() {
            return Ok(HashSet::new());
        }
        let lock = if self.kind() == StoreKind::PostgreSql { "for key share" } else { "" };
        let find = format!(
            " select u.id from psu_user u where {} and u.erased_at_us is null order by u.id {lock}",
            self.is_of_slice("u.id")
        );
        let rows = Rows::new().uuid("id", users);
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
    }

    /// Writes down what is new, and returns what was written.
    async fn upsert_consents(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&ConsentDraft],
    ) -> Result<HashMap<Name, (ConsentId, ConsentStatus)>, StoreError> {
        if items.is_empty() {
            return Ok(HashMap::new());
        }
        let notice = |item: &&ConsentDraft| {
            let end = item.valid_until.filter(|_| !item.status.has_ended());
            end.map(|end| to_us(first_notice(end)))
        };
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .uuid("user_id", items.iter().map(|item| item.user_id.0))
            .text("aspsp", items.iter().map(|item| item.aspsp.clone()))
            .text("external_id", items.iter().map(|item| item.external_id.clone()))
            .text("status", items.iter().map(|item| item.status.as_str().to_owned()))
            .optional_integer("valid_until_us", items.iter().map(|item| item.valid_until.map(to_us)))
            .integer("frequency", items.iter().map(|item| i64::from(item.frequency_per_day)))
            .optional_integer("notice_at_us", items.iter().map(notice))
            .integer("now_us", items.iter().map(|item| to_us(item.now)));
        // A consent is its customer's: a name that another's has changes nothing. What was warned of is warned of again only
        // where the end has moved.
        let upsert = " insert into consent (id, tenant_id, user_id, aspsp, external_id, status, valid_until_us,
                frequency_per_day, notice_at_us, token_version, refresh_fence, version, created_at_us, updated_at_us)
              select id, tenant_id, user_id, aspsp, external_id, status, valid_until_us, frequency, notice_at_us, 0, 0, 1,
                now_us, now_us from r where true order by external_id, aspsp, tenant_id
              on conflict (external_id, aspsp, tenant_id) do update set status = excluded.status,
                valid_until_us = excluded.valid_until_us, frequency_per_day = excluded.frequency_per_day,
                notice_at_us = case when excluded.status in ('expired', 'revoked') then null
                  when coalesce(consent.valid_until_us, 0) <> coalesce(excluded.valid_until_us, 0)
                  then excluded.notice_at_us else consent.notice_at_us end,
                version = consent.version + 1, updated_at_us = excluded.updated_at_us
              where consent.user_id = excluded.user_id and consent.status in ('received', 'valid')
                and (consent.status <> excluded.status or consent.frequency_per_day <> excluded.frequency_per_day
                  or coalesce(consent.valid_until_us, 0) <> coalesce(excluded.valid_until_us, 0))
              returning id, tenant_id, aspsp, external_id, status";
        let written = all(transaction, self.statement_over(rows, vec![], upsert)).await?;
        let read = |row: &QueryResult| Ok((name(row)?, (ConsentId(row.try_get("", "id")?), status_of(row)?)));
        written.iter().map(read).collect()
    }

    /// The consents that have the names of these, and whose they are.
    async fn consents_named(
        &self,
        transaction: &DatabaseTransaction,
        items: &[ConsentDraft],
    ) -> Result<HashMap<Name, (ConsentId, PsuUserId)>, StoreError> {
        let rows = Rows::new().text("external_id", items.iter().map(|item| item.external_id.clone()));
        let find = format!(
            " select c.id, c.user_id, c.tenant_id, c.aspsp, c.external_id from consent c where c.external_id {}",
            self.is_one_of("external_id")
        );
        let mut known = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            let whose = (ConsentId(row.try_get("", "id")?), PsuUserId(row.try_get("", "user_id")?));
            known.insert(name(&row)?, whose);
        }
        Ok(known)
    }

    /// One, by its id.
    pub async fn consent(&self, tenant: &TenantId, id: ConsentId) -> Result<Option<Consent>, StoreError> {
        let statement = self.statement(
            &format!("select {COLUMNS} from consent c where c.id = $1 and c.tenant_id = $2"),
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(read).transpose()
    }

    /// Those of these customers that are valid now, oldest first.
    pub async fn valid_consents(
        &self,
        users: &[PsuUserId],
        now: DateTime<Utc>,
    ) -> Result<Vec<Consent>, StoreError> {
        if users.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new().uuid("id", users.iter().map(|id| id.0));
        let find = format!(
            " select {COLUMNS} from consent c where {} and c.status = 'valid'
              and (c.valid_until_us is null or c.valid_until_us > $1) order by c.user_id, c.id",
            self.is_of_slice("c.user_id")
        );
        let statement = self.statement_over(rows, vec![Value::from(to_us(now))], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }
}

impl ConsentDraft {
    fn name(&self) -> Name {
        (self.tenant_id.as_str().to_owned(), self.aspsp.clone(), self.external_id.clone())
    }
}

fn name(row: &QueryResult) -> Result<Name, StoreError> {
    Ok((row.try_get("", "tenant_id")?, row.try_get("", "aspsp")?, row.try_get("", "external_id")?))
}

fn status_of(row: &QueryResult) -> Result<ConsentStatus, StoreError> {
    let status: String = row.try_get("", "status")?;
    ConsentStatus::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))
}

pub(super) fn read(row: &QueryResult) -> Result<Consent, StoreError> {
    let frequency: i64 = row.try_get("", "frequency_per_day")?;
    Ok(Consent {
        id: ConsentId(row.try_get("", "id")?),
        tenant_id: tenant_of(row)?,
        user_id: PsuUserId(row.try_get::<Uuid>("", "user_id")?),
        aspsp: row.try_get("", "aspsp")?,
        external_id: row.try_get("", "external_id")?,
        status: status_of(row)?,
        reason: row.try_get("", "reason")?,
        valid_until: moment_or_none(row, "valid_until_us")?,
        frequency_per_day: u32::try_from(frequency)
            .map_err(|_| StoreError::unreadable("frequency", frequency))?,
        token_version: row.try_get("", "token_version")?,
        failing_since: moment_or_none(row, "failing_since_us")?,
        version: row.try_get("", "version")?,
        created_at: moment(row, "created_at_us")?,
        updated_at: moment(row, "updated_at_us")?,
    })
}
