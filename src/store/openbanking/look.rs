//! Names that are looked up, and what a face wants to know beside the lists: who may be asked about now, and what was counted.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: slices, and pages of requests.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use uuid::Uuid;

use super::list::read_call;
use super::payment::{COLUMNS, Payment, read};
use super::quota::QuotaKey;
use super::session::ApiCall;
use super::{is_set, user};
use crate::domain::ids::{AccountId, ApiSessionId, ConsentId, JobRunId, PaymentId, PsuUserId, TenantId};
use crate::store::openbanking::user::PsuUser;
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, from_us, to_us};

/// Rows of accesses that a plan reads of one slice, at most.
const ACCESSES_MAX: i64 = 100_000;

/// Whether an account can become fresher by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// A consent that is valid now allows it.
    pub is_allowed: bool,
    /// Its customer is active and lets it be read while they are away.
    pub is_wanted: bool,
}

/// Whose requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallsOf {
    Session(ApiSessionId),
    Run(JobRunId),
}

impl Store {
    /// Customers by the owner's names for them; names that are nobody's are left out.
    pub async fn psu_users_named(
        &self,
        tenant: &TenantId,
        names: &[String],
    ) -> Result<HashMap<String, PsuUser>, StoreError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select {} from psu_user u where u.external_id {} and u.tenant_id = $1",
            user::COLUMNS,
            self.is_one_of("external_id")
        );
        let rows = Rows::new().text("external_id", names.iter().cloned());
        let statement = self.statement_over(rows, vec![Value::from(tenant.as_str())], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let named = |row: &QueryResult| user::read(row).map(|user| (user.external_id.clone(), user));
        found.iter().map(named).collect()
    }

    /// A customer by their id.
    pub async fn psu_user(&self, tenant: &TenantId, id: PsuUserId) -> Result<Option<PsuUser>, StoreError> {
        let statement = self.statement(
            &format!("select {} from psu_user u where u.id = $1 and u.tenant_id = $2", user::COLUMNS),
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(user::read).transpose()
    }

    /// Payments by bank and the name there; names that are of none are left out.
    pub async fn payments_named_at(
        &self,
        tenant: &TenantId,
        names: &[(String, String)],
    ) -> Result<HashMap<(String, String), Payment>, StoreError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select {COLUMNS} from payment p where p.external_id {} and p.tenant_id = $1",
            self.is_one_of("external_id")
        );
        let rows = Rows::new().text("external_id", names.iter().map(|(_, external_id)| external_id.clone()));
        let statement = self.statement_over(rows, vec![Value::from(tenant.as_str())], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let named = |row: &QueryResult| {
            read(row).map(|payment| ((payment.aspsp.clone(), payment.external_id.clone()), payment))
        };
        let mut found: HashMap<_, _> = found.iter().map(named).collect::<Result<_, _>>()?;
        // Another bank may use the same name.
        found.retain(|name, _| names.contains(name));
        Ok(found)
    }

    /// Consents by bank and the name there, with whose they are; names that are of none are left out.
    pub async fn consents_named_at(
        &self,
        tenant: &TenantId,
        names: &[(String, String)],
    ) -> Result<HashMap<(String, String), (ConsentId, PsuUserId)>, StoreError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select c.id, c.user_id, c.aspsp, c.external_id from consent c where c.external_id {} and c.tenant_id = $1",
            self.is_one_of("external_id")
        );
        let rows = Rows::new().text("external_id", names.iter().map(|(_, external_id)| external_id.clone()));
        let statement = self.statement_over(rows, vec![Value::from(tenant.as_str())], &find);
        let mut named = HashMap::new();
        for row in &self.within(async { all(self.reader(), statement).await }).await? {
            let name = (row.try_get("", "aspsp")?, row.try_get("", "external_id")?);
            let whose = (ConsentId(row.try_get("", "id")?), PsuUserId(row.try_get("", "user_id")?));
            named.insert(name, whose);
        }
        Ok(named)
    }

    /// These payments, by their ids, in the order of these.
    pub async fn payments_of_ids(
        &self,
        tenant: &TenantId,
        ids: &[PaymentId],
    ) -> Result<Vec<Payment>, StoreError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let find = format!(
            " select {COLUMNS} from payment p where {} and p.tenant_id = $1 order by p.id",
            self.is_of_slice("p.id")
        );
        let rows = Rows::new().uuid("id", ids.iter().map(|id| id.0));
        let statement = self.statement_over(rows, vec![Value::from(tenant.as_str())], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }

    /// Whether these accounts can become fresher, as things stand then.
    pub async fn prospects_of(
        &self,
        ids: &[AccountId],
        now: DateTime<Utc>,
    ) -> Result<HashMap<AccountId, Prospect>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select a.id, coalesce(u.update_offline * u.active, 0) as wanted,
                (select count(*) from consent_account k join consent c on c.id = k.consent_id
                 where k.account_id = a.id and c.status = 'valid'
                   and (c.valid_until_us is null or c.valid_until_us > $1)) as allowing
              from account a left join psu_user u on u.id = a.user_id where {}",
            self.is_of_slice("a.id")
        );
        let rows = Rows::new().uuid("id", ids.iter().map(|id| id.0));
        let statement = self.statement_over(rows, vec![Value::from(to_us(now))], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let prospect = |row: &QueryResult| {
            let allowing: i64 = row.try_get("", "allowing")?;
            let prospect = Prospect { is_allowed: allowing > 0, is_wanted: is_set(row, "wanted")? };
            Ok((AccountId(row.try_get("", "id")?), prospect))
        };
        found.iter().map(prospect).collect()
    }

    /// When each access of these holders was, as far back as that: for a plan.
    pub async fn accesses_of_all(
        &self,
        holders: &[Uuid],
        since: DateTime<Utc>,
    ) -> Result<HashMap<QuotaKey, Vec<DateTime<Utc>>>, StoreError> {
        if holders.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select q.holder_id, q.endpoint, q.resource, q.at_us from quota_access q where {} and q.at_us >= $1 limit $2",
            self.is_of_slice("q.holder_id")
        );
        let rows = Rows::new().uuid("id", holders.iter().copied());
        let values = vec![Value::from(to_us(since)), Value::from(ACCESSES_MAX)];
        let statement = self.statement_over(rows, values, &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut accesses: HashMap<QuotaKey, Vec<DateTime<Utc>>> = HashMap::new();
        for row in &found {
            let key = QuotaKey {
                holder_id: row.try_get("", "holder_id")?,
                endpoint: row.try_get("", "endpoint")?,
                resource: row.try_get("", "resource")?,
            };
            accesses.entry(key).or_default().push(from_us(row.try_get("", "at_us")?)?);
        }
        Ok(accesses)
    }

    /// Until when the access token of each of these consents holds that has one; none of a consent for one without an end.
    pub async fn token_ends(
        &self,
        consents: &[ConsentId],
    ) -> Result<HashMap<ConsentId, Option<DateTime<Utc>>>, StoreError> {
        if consents.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select t.consent_id, t.expires_at_us from consent_token t where {} and t.refused = 0
              order by t.consent_id, t.version",
            self.is_of_slice("t.consent_id")
        );
        let rows = Rows::new().uuid("id", consents.iter().map(|id| id.0));
        let statement = self.statement_over(rows, vec![], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        // The newest of each comes last, and stays.
        let end = |row: &QueryResult| {
            let at: Option<i64> = row.try_get("", "expires_at_us")?;
            Ok((ConsentId(row.try_get("", "consent_id")?), at.map(from_us).transpose()?))
        };
        found.iter().map(end).collect()
    }

    /// A page of the requests of a visit or of a run, oldest first, behind an id.
    pub async fn api_calls_page(
        &self,
        tenant: &TenantId,
        of: CallsOf,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ApiCall>, StoreError> {
        let (column, id) = match of {
            CallsOf::Session(id) => ("session_id", id.0),
            CallsOf::Run(id) => ("run_id", id.0),
        };
        let fence = self.fence();
        let statement = self.statement(
            &format!(
                "select k.* from (select * from api_call where {column} = $1 {fence}) k
                 where k.tenant_id = $2 and k.id > $3 order by k.id limit $4"
            ),
            [
                Value::from(id),
                Value::from(tenant.as_str()),
                Value::from(after.unwrap_or(Uuid::nil())),
                Value::from(limit),
            ],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read_call).collect()
    }
}
