//! Takes away everything of a customer but that there was one: by somebody's hand or by age, in one transaction with the record of it.
//!
//! Gone are the consents with their tokens, the accounts with all that stood on them, and what was counted. Payments are the
//! owner's: they lose their customer, their reference and, once ended, their token, and are followed to their end. Visits and
//! requests stay for as long as those are kept, without a name.
//!
//! **Owns** nothing. **Fails** with data ([`UserErased`]). **Limits**: what an owner has been sent is the owner's; whoever brings the
//! same customer in again brings in another one.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::outcome::CHILDREN_FIRST;
use super::user::{COLUMNS, PsuUser, read};
use crate::domain::ids::{PsuUserId, TenantId};
use crate::store::audit::Deed;
use crate::store::request_key::{Entered, RequestKey};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// What ends the deliveries.
const ERASED: &str = "the customer was erased";

/// What hangs on an account.
const OF_ACCOUNTS: [&str; 5] =
    ["account_transaction", "pending_transaction", "balance", "account_page", "consent_account"];
/// What hangs on a consent, and by which name.
const OF_CONSENTS: [(&str, &str); 4] = [
    ("consent_token", "consent_id"),
    ("back_off", "consent_id"),
    ("quota_access", "holder_id"),
    ("quota", "holder_id"),
];

/// A person's decision.
#[derive(Debug, Clone)]
pub struct UserErasure {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub external_id: String,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserErased {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    /// There is none of that name, or no more.
    NotFound,
}

impl Store {
    /// Erases a customer.
    pub async fn erase_psu_user(&self, erasure: &UserErasure) -> Result<UserErased, StoreError> {
        self.erase_psu_user_if(erasure, |_| true).await
    }

    /// Erases a customer of whom nothing has been read since; nobody else is found.
    pub async fn erase_idle_psu_user(
        &self,
        erasure: &UserErasure,
        since: DateTime<Utc>,
    ) -> Result<UserErased, StoreError> {
        self.erase_psu_user_if(erasure, |user| user.is_idle(since)).await
    }

    /// So many customers behind this one, in the order of their ids and of all tenants; from the first on where there is none.
    pub async fn psu_users_behind(
        &self,
        after: Option<PsuUserId>,
        limit: u32,
    ) -> Result<Vec<PsuUser>, StoreError> {
        let find = self.statement(
            &format!("select {COLUMNS} from psu_user u where u.id > $1 order by u.id limit $2"),
            [Value::from(after.map_or(Uuid::nil(), |id| id.0)), Value::from(i64::from(limit))],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.iter().map(read).collect()
    }

    async fn erase_psu_user_if(
        &self,
        erasure: &UserErasure,
        is_meant: impl Fn(&PsuUser) -> bool + Send,
    ) -> Result<UserErased, StoreError> {
        let (transaction, erased) = self
            .within(async {
                let transaction = self.begin().await?;
                let erased = self.erase_psu_user_in(&transaction, erasure, is_meant).await?;
                Ok((transaction, erased))
            })
            .await?;
        if erased == UserErased::Done {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(erased)
    }

    async fn erase_psu_user_in(
        &self,
        transaction: &DatabaseTransaction,
        erasure: &UserErasure,
        is_meant: impl Fn(&PsuUser) -> bool + Send,
    ) -> Result<UserErased, StoreError> {
        match self.enter_key(transaction, erasure.request.as_ref(), erasure.id, erasure.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(UserErased::Before),
            Entered::OtherBody => return Ok(UserErased::OtherBody),
        }
        let find = self.statement(
            &format!(
                "select {COLUMNS} from psu_user u where u.external_id = $1 and u.tenant_id = $2
                   and u.erased_at_us is null {}",
                self.for_update()
            ),
            [Value::from(erasure.external_id.as_str()), Value::from(erasure.tenant_id.as_str())],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(UserErased::NotFound) };
        let user = read(&row)?;
        if !is_meant(&user) {
            return Ok(UserErased::NotFound);
        }
        let consents = self.ids_of(transaction, "consent", user.id.0, "p.id").await?;
        let accounts = self.ids_of(transaction, "account", user.id.0, "p.id").await?;
        let children_first = format!("{CHILDREN_FIRST}, p.id");
        let payments = self.ids_of(transaction, "payment", user.id.0, &children_first).await?;
        for table in OF_ACCOUNTS {
            self.forget_of(transaction, table, "account_id", &accounts).await?;
        }
        self.forget_of(transaction, "account", "id", &accounts).await?;
        let mut holders = consents.clone();
        holders.push(user.id.0);
        for (table, column) in OF_CONSENTS {
            self.forget_of(transaction, table, column, &holders).await?;
        }
        self.unname_payments(transaction, &payments).await?;
        self.silence(transaction, &consents, &payments, erasure.now).await?;
        self.forget_of(transaction, "consent", "id", &consents).await?;
        self.unname_user(transaction, &user, erasure.now).await?;
        let counted = |what: i64, consents: usize, accounts: usize| {
            serde_json::json!({"version": what, "consents": consents, "accounts": accounts}).to_string()
        };
        let deed = Deed {
            id: erasure.id,
            tenant_id: &erasure.tenant_id,
            method: "EraseUser",
            subject_id: user.id.0,
            reason: &erasure.reason,
            before: counted(user.version, consents.len(), accounts.len()),
            after: counted(user.version + 1, 0, 0),
            traceparent: erasure.traceparent.as_deref(),
            now: erasure.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(UserErased::Done)
    }

    /// The ids of what is a customer's, held until the transaction ends in the order in which everybody takes them.
    async fn ids_of(
        &self,
        transaction: &DatabaseTransaction,
        table: &'static str,
        user: Uuid,
        order: &str,
    ) -> Result<Vec<Uuid>, StoreError> {
        let lock = self.for_update();
        let find = format!("select p.id from {table} p where p.user_id = $1 order by {order} {lock}");
        let found = all(transaction, self.statement(&find, [Value::from(user)])).await?;
        found.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
    }

    async fn forget_of(
        &self,
        transaction: &DatabaseTransaction,
        table: &'static str,
        column: &'static str,
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let forget = format!(" delete from {table} where {}", self.is_of_slice(column));
        let rows = Rows::new().uuid("id", ids.iter().copied());
        execute(transaction, self.statement_over(rows, vec![], &forget)).await?;
        Ok(())
    }

    async fn unname_payments(
        &self,
        transaction: &DatabaseTransaction,
        payments: &[Uuid],
    ) -> Result<(), StoreError> {
        if payments.is_empty() {
            return Ok(());
        }
        let update = format!(
            " update payment set user_id = null, reference_id = null, version = version + 1,
                token_sealed = case when state = 'in_progress' then token_sealed end
              where {}",
            self.is_of_slice("id")
        );
        let rows = Rows::new().uuid("id", payments.iter().copied());
        execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        Ok(())
    }

    /// What owners have not been told yet, they are not told any more; what they were told keeps its place in their order, empty.
    async fn silence(
        &self,
        transaction: &DatabaseTransaction,
        consents: &[Uuid],
        payments: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut subjects: Vec<Uuid> = payments.to_vec();
        if !consents.is_empty() {
            let find = format!(
                " select v.id from api_session v where {} and v.state = 'failed'",
                self.is_of_slice("v.consent_id")
            );
            let rows = Rows::new().uuid("id", consents.iter().copied());
            let visits = all(transaction, self.statement_over(rows, vec![], &find)).await?;
            let id = |row: &QueryResult| row.try_get("", "id");
            subjects.extend(visits.iter().map(id).collect::<Result<Vec<Uuid>, _>>()?);
        }
        subjects.extend(consents);
        for subject in self.told_of(transaction, subjects).await? {
            self.stop_deliveries_of(transaction, subject, ERASED, now).await?;
            let empty = "update subject_event set data = '{}' where subject_id = $1";
            execute(transaction, self.statement(empty, [Value::from(subject)])).await?;
            self.forget_answers_of(transaction, subject).await?;
        }
        Ok(())
    }

    /// Those of which there were news: few beside all that there was nothing to tell of.
    async fn told_of(
        &self,
        transaction: &DatabaseTransaction,
        subjects: Vec<Uuid>,
    ) -> Result<Vec<Uuid>, StoreError> {
        if subjects.is_empty() {
            return Ok(vec![]);
        }
        let find = format!(
            " select distinct e.subject_id from subject_event e where {} order by e.subject_id",
            self.is_of_slice("e.subject_id")
        );
        let rows = Rows::new().uuid("id", subjects);
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| Ok(row.try_get("", "subject_id")?)).collect()
    }

    async fn unname_user(
        &self,
        transaction: &DatabaseTransaction,
        user: &PsuUser,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update psu_user set external_id = $2, update_offline = 0, active = 0, last_synced_at_us = 0, endpoint_id = null,
               erased_at_us = $3, version = version + 1, updated_at_us = $3 where id = $1",
            [
                Value::from(user.id.0),
                Value::from(format!("erased:{}", user.id)),
                Value::from(to_us(now)),
            ],
        );
        execute(transaction, update).await?;
        Ok(())
    }
}
