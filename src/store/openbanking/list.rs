//! What is read of open banking: pages along an index for each thing that can be asked.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: pages; whoever reads what stands on accounts is written down by the face
//! that lets them.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait as _, QueryResult, Statement, Value};
use uuid::Uuid;

use super::account::Account;
use super::apply::{BalanceTold, BookedTold, PendingTold};
use super::consent::Consent;
use super::payment::Payment;
use super::session::{ApiCall, ApiSession};
use super::user::PsuUser;
use super::{account, consent, moment, moment_or_none, payment, session, tenant_of, user};
use crate::domain::ids::{AccountId, ApiSessionId, ConsentId, PaymentId, PsuUserId, TenantId};
use crate::domain::openbanking::payment::PaymentState;
use crate::store::boleto::from_json;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, StoreKind};

/// A booked transaction as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTransaction {
    pub id: Uuid,
    pub told: BookedTold,
    /// Since when whole answers about its day have come without it.
    pub missing_since: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Which payments; what is absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    pub state: Option<PaymentState>,
    pub aspsp: Option<String>,
    pub user_id: Option<PsuUserId>,
}

/// The values of a statement under construction.
struct Asked {
    conditions: String,
    values: Vec<Value>,
}

impl Asked {
    fn of(tenant: &TenantId, alias: &str) -> Self {
        Self { conditions: format!("{alias}.tenant_id = $1"), values: vec![Value::from(tenant.as_str())] }
    }

    fn and(mut self, condition: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.values.push(value);
            self.conditions.push_str(&format!(" and {condition} ${}", self.values.len()));
        }
        self
    }

    /// Newest first, behind an id.
    fn page(
        self,
        store: &Store,
        columns: &str,
        from: &str,
        alias: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Statement {
        let mut asked = self.and(&format!("{alias}.id <"), after.map(Value::from));
        asked.values.push(Value::from(limit));
        let place = asked.values.len();
        let sql = format!(
            "select {columns} from {from} where {} order by {alias}.id desc limit ${place}",
            asked.conditions
        );
        store.statement(&sql, asked.values)
    }
}

impl Store {
    /// Of one customer those few, or all of a tenant, under the table's first letter. The few are found by their customer first: by
    /// their age all would be looked through.
    fn asked_of(&self, table: &str, tenant: &TenantId, of: Option<PsuUserId>) -> (Asked, String) {
        let alias = &table[..1];
        let mut asked = Asked::of(tenant, alias);
        let Some(user) = of else { return (asked, format!("{table} {alias}")) };
        asked.values.push(Value::from(user.0));
        (asked, format!("(select * from {table} where user_id = $2 {}) {alias}", self.fence()))
    }

    async fn listed<T>(
        &self,
        statement: Statement,
        read: fn(&QueryResult) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }

    /// A customer by the owner's name for them.
    pub async fn psu_user_named(
        &self,
        tenant: &TenantId,
        external_id: &str,
    ) -> Result<Option<PsuUser>, StoreError> {
        let statement = self.statement(
            &format!(
                "select {} from psu_user u where u.external_id = $1 and u.tenant_id = $2",
                user::COLUMNS
            ),
            [Value::from(external_id), Value::from(tenant.as_str())],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(user::read).transpose()
    }

    /// A page of customers, newest first, behind an id.
    pub async fn psu_users(
        &self,
        tenant: &TenantId,
        after: Option<PsuUserId>,
        limit: i64,
    ) -> Result<Vec<PsuUser>, StoreError> {
        let asked = Asked::of(tenant, "u");
        let after = after.map(|id| id.0);
        self.listed(asked.page(self, user::COLUMNS, "psu_user u", "u", after, limit), user::read).await
    }

    /// A page of consents, of one customer or of all, newest first, behind an id.
    pub async fn consents(
        &self,
        tenant: &TenantId,
        of: Option<PsuUserId>,
        after: Option<ConsentId>,
        limit: i64,
    ) -> Result<Vec<Consent>, StoreError> {
        let (asked, from) = self.asked_of("consent", tenant, of);
        let after = after.map(|id| id.0);
        self.listed(asked.page(self, consent::COLUMNS, &from, "c", after, limit), consent::read).await
    }

    /// A page of accounts, of one customer or of all, newest first, behind an id.
    pub async fn accounts(
        &self,
        tenant: &TenantId,
        of: Option<PsuUserId>,
        after: Option<AccountId>,
        limit: i64,
    ) -> Result<Vec<Account>, StoreError> {
        let (asked, from) = self.asked_of("account", tenant, of);
        let after = after.map(|id| id.0);
        self.listed(asked.page(self, account::COLUMNS, &from, "a", after, limit), account::read).await
    }

    /// One account, by its id.
    pub async fn account(&self, tenant: &TenantId, id: AccountId) -> Result<Option<Account>, StoreError> {
        let statement = self.statement(
            &format!("select {} from account a where a.id = $1 and a.tenant_id = $2", account::COLUMNS),
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(account::read).transpose()
    }

    /// What stands on an account, by the ways of counting.
    pub async fn balances(&self, tenant: &TenantId, id: AccountId) -> Result<Vec<BalanceTold>, StoreError> {
        let statement = self.statement(
            "select kind, amount, currency, as_of_us from balance where account_id = $1 and tenant_id = $2 order by kind",
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let read = |row: &QueryResult| {
            Ok(BalanceTold {
                kind: row.try_get("", "kind")?,
                amount: row.try_get("", "amount")?,
                currency: row.try_get("", "currency")?,
                as_of: moment_or_none(row, "as_of_us")?,
            })
        };
        self.listed(statement, read).await
    }

    /// A page of what is booked on an account, oldest day first, behind a day and an id.
    pub async fn transactions(
        &self,
        tenant: &TenantId,
        id: AccountId,
        days: (NaiveDate, NaiveDate),
        after: Option<(NaiveDate, Uuid)>,
        limit: i64,
    ) -> Result<Vec<KeptTransaction>, StoreError> {
        // One day earlier than the first with no id before it is the same as no cursor at all.
        let (day, last) = after.unwrap_or((days.0, Uuid::nil()));
        let statement = self.statement(
            "select t.* from account_transaction t where t.account_id = $1 and t.booked_on >= $2 and t.booked_on <= $3
               and (t.booked_on, t.id) > ($4, $5) and t.tenant_id = $6 order by t.booked_on, t.id limit $7",
            [
                Value::from(id.0),
                Value::from(days.0),
                Value::from(days.1),
                Value::from(day),
                Value::from(last),
                Value::from(tenant.as_str()),
                Value::from(limit),
            ],
        );
        self.listed(statement, KeptTransaction::read).await
    }

    /// What is not booked yet, as it was told last.
    pub async fn pending_transactions(
        &self,
        tenant: &TenantId,
        id: AccountId,
    ) -> Result<Vec<PendingTold>, StoreError> {
        let statement = self.statement(
            "select entered_on, amount, currency, counterparty, remittance, details from pending_transaction
             where account_id = $1 and tenant_id = $2 order by place",
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let read = |row: &QueryResult| {
            Ok(PendingTold {
                entered_on: row.try_get("", "entered_on")?,
                amount: row.try_get("", "amount")?,
                currency: row.try_get("", "currency")?,
                counterparty: row.try_get("", "counterparty")?,
                remittance: row.try_get("", "remittance")?,
                details: row.try_get("", "details")?,
            })
        };
        self.listed(statement, read).await
    }

    /// A page of payments, newest first, behind an id.
    pub async fn tracked_payments(
        &self,
        tenant: &TenantId,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        let mut asked = Asked::of(tenant, "p")
            .and("p.state =", filter.state.map(|state| Value::from(state.as_str())))
            .and("p.aspsp =", filter.aspsp.as_deref().map(Value::from))
            .and("p.user_id =", filter.user_id.map(|id| Value::from(id.0)));
        // Spelled as the index of those few has it.
        if filter.state.is_some_and(|state| state != PaymentState::Done) {
            asked.conditions.push_str(" and p.state <> 'done'");
        }
        let after = after.map(|id| id.0);
        self.listed(asked.page(self, payment::COLUMNS, "payment p", "p", after, limit), payment::read).await
    }

    /// A page of visits, of one consent or of all, newest first, behind an id.
    pub async fn api_sessions(
        &self,
        tenant: &TenantId,
        of: Option<ConsentId>,
        after: Option<ApiSessionId>,
        limit: i64,
    ) -> Result<Vec<ApiSession>, StoreError> {
        let asked = Asked::of(tenant, "s").and("s.consent_id =", of.map(|id| Value::from(id.0)));
        let after = after.map(|id| id.0);
        let page = asked.page(self, session::COLUMNS, "api_session s", "s", after, limit);
        self.listed(page, session::read).await
    }

    /// The visits of a run, oldest first, behind an id.
    pub async fn api_sessions_of_run(
        &self,
        run: Uuid,
        after: Option<ApiSessionId>,
        limit: i64,
    ) -> Result<Vec<ApiSession>, StoreError> {
        let fence = self.fence();
        let statement = self.statement(
            &format!(
                "select {} from (select * from api_session where run_id = $1 {fence}) s where s.id > $2 order by s.id limit $3",
                session::COLUMNS
            ),
            [Value::from(run), Value::from(after.map_or(Uuid::nil(), |id| id.0)), Value::from(limit)],
        );
        self.listed(statement, session::read).await
    }

    /// How the visits of a run stand: how many in which state.
    pub async fn visits_of_run(&self, run: Uuid) -> Result<Vec<(String, i64)>, StoreError> {
        let statement = self.statement(
            "select state, count(*) as visits from api_session where run_id = $1 group by state order by state",
            [Value::from(run)],
        );
        let read = |row: &QueryResult| Ok((row.try_get("", "state")?, row.try_get("", "visits")?));
        self.listed(statement, read).await
    }

    /// The requests of a visit, oldest first; the first `limit`.
    pub async fn api_calls(
        &self,
        tenant: &TenantId,
        session: ApiSessionId,
        limit: i64,
    ) -> Result<Vec<ApiCall>, StoreError> {
        self.calls_by("session_id", tenant, session.0, limit).await
    }

    /// The requests of a run that belong to no visit or to any, oldest first; the first `limit`.
    pub async fn api_calls_of_run(
        &self,
        tenant: &TenantId,
        run: Uuid,
        limit: i64,
    ) -> Result<Vec<ApiCall>, StoreError> {
        self.calls_by("run_id", tenant, run, limit).await
    }

    async fn calls_by(
        &self,
        column: &'static str,
        tenant: &TenantId,
        id: Uuid,
        limit: i64,
    ) -> Result<Vec<ApiCall>, StoreError> {
        let fence = self.fence();
        let statement = self.statement(
            &format!(
                "select k.* from (select * from api_call where {column} = $1 {fence}) k where k.tenant_id = $2
                 order by k.id limit $3"
            ),
            [Value::from(id), Value::from(tenant.as_str()), Value::from(limit)],
        );
        self.listed(statement, read_call).await
    }

    /// What keeps a planner from going along another index than the one that is meant.
    pub(super) fn fence(&self) -> &'static str {
        if self.kind() == StoreKind::PostgreSql { "offset 0" } else { "limit -1" }
    }
}

impl KeptTransaction {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let ids: String = row.try_get("", "bank_ids")?;
        Ok(Self {
            id: row.try_get("", "id")?,
            told: BookedTold {
                bank_ids: from_json("bank ids", &ids)?,
                booked_on: row.try_get("", "booked_on")?,
                value_on: row.try_get("", "value_on")?,
                amount: row.try_get("", "amount")?,
                currency: row.try_get("", "currency")?,
                counterparty: row.try_get("", "counterparty")?,
                remittance: row.try_get("", "remittance")?,
                balance_after: row.try_get("", "balance_after")?,
                details: row.try_get("", "details")?,
            },
            missing_since: moment_or_none(row, "missing_since_us")?,
            created_at: moment(row, "created_at_us")?,
            updated_at: moment(row, "updated_at_us")?,
        })
    }
}

pub(super) fn read_call(row: &QueryResult) -> Result<ApiCall, StoreError> {
    let status: Option<i64> = row.try_get("", "status")?;
    Ok(ApiCall {
        id: row.try_get("", "id")?,
        tenant_id: tenant_of(row)?,
        session_id: row.try_get::<Option<Uuid>>("", "session_id")?.map(ApiSessionId),
        run_id: row.try_get("", "run_id")?,
        aspsp: row.try_get("", "aspsp")?,
        endpoint: row.try_get("", "endpoint")?,
        account_id: row.try_get::<Option<Uuid>>("", "account_id")?.map(AccountId),
        request_id: row.try_get("", "request_id")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        duration_us: row.try_get("", "duration_us")?,
        limits: row.try_get("", "limits")?,
        error: row.try_get("", "error")?,
        sent_at: moment(row, "sent_at_us")?,
    })
}
