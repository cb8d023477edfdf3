//! Tokens of callers: made, found, revoked.
//!
//! **Fails** with data for what a caller can mend ([`TokenRevoked`]). Each change is written down with its deed, in one transaction.
//! **Limits**: a token is found by its prefix, which is unique over all tenants; that its secret fits is for the caller to see.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::access::Scopes;
use crate::domain::ids::TenantId;
use crate::domain::token::{SecretHash, TokenPrefix};

/// A token about to be made.
#[derive(Debug, Clone)]
pub struct TokenDraft {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub prefix: TokenPrefix,
    pub secret_hash: SecretHash,
    pub name: String,
    pub scopes: Scopes,
    /// As the audit names whoever makes it.
    pub created_by: String,
    pub expires_at: DateTime<Utc>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// A token as the store holds it.
#[derive(Debug, Clone)]
pub struct StoredToken {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub prefix: TokenPrefix,
    pub secret_hash: SecretHash,
    pub name: String,
    pub scopes: Scopes,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// To the minute, about.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl StoredToken {
    /// Whether it opens anything now.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// A token that was looked for, and how many revocations there had been just then.
#[derive(Debug, Clone)]
pub struct TokenFound {
    pub token: Option<StoredToken>,
    pub revision: i64,
}

/// A token about to open nothing more.
#[derive(Debug, Clone)]
pub struct TokenRevocation {
    pub id: Uuid,
    /// Whose it must be; none for anybody's.
    pub tenant_id: Option<TenantId>,
    pub prefix: TokenPrefix,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of a revocation.
#[derive(Debug, Clone)]
pub enum TokenRevoked {
    /// It opens nothing more; the same where it had been revoked before.
    Done(StoredToken),
    NotFound,
}

const COLUMNS: &str = "t.id, t.tenant_id, t.prefix, t.secret_hash, t.name, t.scopes, t.created_at_us, t.created_by, t.expires_at_us,
    t.revoked_at_us, t.last_used_at_us";

const REVISION: &str = "coalesce((select revision from access_revision where id = 1), 0)";

impl Store {
    /// Keeps a new token, and its tenant where that is new.
    pub async fn create_api_token(&self, draft: &TokenDraft) -> Result<(), StoreError> {
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                let tenant = self.statement(
                    "insert into tenant (id, created_at_us) values ($1, $2) on conflict do nothing",
                    [Value::from(draft.tenant_id.as_str()), Value::from(to_us(draft.now))],
                );
                execute(&transaction, tenant).await?;
                let insert = self.statement(
                    "insert into api_token (id, tenant_id, prefix, secret_hash, name, scopes, created_at_us, created_by, expires_at_us)
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    [
                        Value::from(draft.id),
                        Value::from(draft.tenant_id.as_str()),
                        Value::from(draft.prefix.as_str()),
                        Value::from(draft.secret_hash.0.to_vec()),
                        Value::from(draft.name.as_str()),
                        Value::from(draft.scopes.to_string()),
                        Value::from(to_us(draft.now)),
                        Value::from(draft.created_by.as_str()),
                        Value::from(to_us(draft.expires_at)),
                    ],
                );
                execute(&transaction, insert).await?;
                let after = serde_json::json!({
                    "prefix": draft.prefix.as_str(),
                    "name": draft.name,
                    "scopes": draft.scopes.to_string(),
                    "expires_at_us": to_us(draft.expires_at),
                });
                let deed = Deed {
                    id: draft.id,
                    tenant_id: &draft.tenant_id,
                    method: "CreateToken",
                    subject_id: draft.id,
                    reason: &draft.reason,
                    before: "{}".to_owned(),
                    after: after.to_string(),
                    traceparent: draft.traceparent.as_deref(),
                    now: draft.now,
                };
                self.record_deed(&transaction, deed).await?;
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }

    /// The token of a prefix, whether it holds or not.
    pub async fn find_api_token(&self, prefix: &TokenPrefix) -> Result<TokenFound, StoreError> {
        // One statement, so that the count is as old as what is known of the token; and a row even where there is no token.
        let find = self.statement(
            &format!("select {REVISION} as revision, {COLUMNS} from (select 1 as one) o left join api_token t on t.prefix = $1"),
            [Value::from(prefix.as_str())],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        let row = rows.first().ok_or_else(|| StoreError::Broken("a count without an answer".to_owned()))?;
        let id: Option<Uuid> = row.try_get("", "id")?;
        Ok(TokenFound { token: id.map(|_| read(row)).transpose()?, revision: row.try_get("", "revision")? })
    }

    /// How many revocations there have been.
    pub async fn access_revision(&self) -> Result<i64, StoreError> {
        let ask = self.statement(&format!("select {REVISION} as revision"), []);
        let rows = self.within(async { all(self.reader(), ask).await }).await?;
        let row = rows.first().ok_or_else(|| StoreError::Broken("a count without an answer".to_owned()))?;
        Ok(row.try_get("", "revision")?)
    }

    /// Tokens, newest first: those of one tenant, or everybody's.
    pub async fn api_tokens(
        &self,
        tenant: Option<&TenantId>,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<StoredToken>, StoreError> {
        // Above every id that is made, so that the first page is asked for as the others are.
        let before = before.unwrap_or(Uuid::max());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let list = match tenant {
            Some(tenant) => self.statement(
                &format!("select {COLUMNS} from api_token t where t.tenant_id = $1 and t.id < $2 order by t.id desc limit $3"),
                [Value::from(tenant.as_str()), Value::from(before), Value::from(limit)],
            ),
            None => self.statement(
                &format!("select {COLUMNS} from api_token t where t.id < $1 order by t.id desc limit $2"),
                [Value::from(before), Value::from(limit)],
            ),
        };
        let rows = self.within(async { all(self.reader(), list).await }).await?;
        rows.iter().map(read).collect()
    }

    /// Has a token open nothing more, in this process and, within the time of their looks, in all others.
    pub async fn revoke_api_token(&self, revocation: &TokenRevocation) -> Result<TokenRevoked, StoreError> {
        let (transaction, revoked) = self
            .within(async {
                let transaction = self.begin().await?;
                let revoked = self.revoke_token_in(&transaction, revocation).await?;
                Ok((transaction, revoked))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(revoked)
    }

    async fn revoke_token_in(
        &self,
        transaction: &sea_orm::DatabaseTransaction,
        revocation: &TokenRevocation,
    ) -> Result<TokenRevoked, StoreError> {
        let revoke = self.statement(
            "update api_token set revoked_at_us = $2 where prefix = $1 and revoked_at_us is null and ($3 = '' or tenant_id = $3)",
            [
                Value::from(revocation.prefix.as_str()),
                Value::from(to_us(revocation.now)),
                Value::from(revocation.tenant_id.as_ref().map_or("", TenantId::as_str)),
            ],
        );
        let is_new = execute(transaction, revoke).await? != 0;
        let find = self.statement(
            &format!("select {COLUMNS} from api_token t where t.prefix = $1"),
            [Value::from(revocation.prefix.as_str())],
        );
        let rows = all(transaction, find).await?;
        let token = rows.first().map(read).transpose()?;
        let is_theirs = |token: &StoredToken| {
            revocation.tenant_id.as_ref().is_none_or(|tenant| *tenant == token.tenant_id)
        };
        let Some(token) = token.filter(is_theirs) else { return Ok(TokenRevoked::NotFound) };
        if !is_new {
            return Ok(TokenRevoked::Done(token));
        }
        let count = self.statement(
            "insert into access_revision (id, revision) values (1, 1)
             on conflict (id) do update set revision = access_revision.revision + 1",
            [],
        );
        execute(transaction, count).await?;
        let deed = Deed {
            id: revocation.id,
            tenant_id: &token.tenant_id,
            method: "RevokeToken",
            subject_id: token.id,
            reason: &revocation.reason,
            before: r#"{"revoked":false}"#.to_owned(),
            after: r#"{"revoked":true}"#.to_owned(),
            traceparent: revocation.traceparent.as_deref(),
            now: revocation.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(TokenRevoked::Done(token))
    }

    /// Writes down when tokens were used last; at most 64 of them.
    pub async fn note_token_uses(&self, uses: &[(Uuid, DateTime<Utc>)]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("token_id", uses.iter().map(|(id, _)| *id))
            .integer("used_at_us", uses.iter().map(|(_, at)| to_us(*at)));
        let note = " update api_token set last_used_at_us = (select max(used_at_us) from r where token_id = api_token.id)
             where id in (select token_id from r)";
        let note = self.statement_over(rows, vec![], note);
        self.within(async { execute(&self.inner.writer, note).await }).await.map(|_| ())
    }
}

fn read(row: &QueryResult) -> Result<StoredToken, StoreError> {
    let (tenant, prefix): (String, String) = (row.try_get("", "tenant_id")?, row.try_get("", "prefix")?);
    let (hash, scopes): (Vec<u8>, String) = (row.try_get("", "secret_hash")?, row.try_get("", "scopes")?);
    let time = |name: &str| -> Result<Option<DateTime<Utc>>, StoreError> {
        let us: Option<i64> = row.try_get("", name)?;
        us.map(from_us).transpose()
    };
    let required = |name: &str| time(name)?.ok_or_else(|| StoreError::unreadable("time", name));
    Ok(StoredToken {
        id: row.try_get("", "id")?,
        tenant_id: TenantId::parse(&tenant).map_err(|error| StoreError::unreadable("tenant", error))?,
        prefix: TokenPrefix::parse(&prefix).ok_or_else(|| StoreError::unreadable("token prefix", &prefix))?,
        secret_hash: SecretHash(
            hash.try_into().map_err(|_| StoreError::unreadable("secret hash", "of another length"))?,
        ),
        name: row.try_get("", "name")?,
        // A scope that a later release knows gives nothing here.
        scopes: scopes.split(' ').filter_map(|scope| scope.parse().ok()).collect(),
        created_at: required("created_at_us")?,
        created_by: row.try_get("", "created_by")?,
        expires_at: required("expires_at_us")?,
        revoked_at: time("revoked_at_us")?,
        last_used_at: time("last_used_at_us")?,
    })
}
