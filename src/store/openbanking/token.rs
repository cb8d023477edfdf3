//! The tokens by which a bank lets us in for a customer, sealed: refreshed by one at a time, and never lost.
//!
//! ```text
//! begin_refresh ── lease + fence ──► the bank is asked ──► keep_tokens (a row more) ──► token_proved (older rows go)
//!                                                     └──► refresh_refused ──► the tokens before, or the end of the consent
//! ```
//!
//! A bank that gives another refresh token takes the old one no more, or for a moment only, so that what it has given is kept
//! whoever asked: the lease says who may ask, and never whose answer counts. What there was before is forgotten when what came
//! after has been of use.
//!
//! **Owns** nothing. **Fails** with data ([`Refresh`], [`AfterRefusal`]). **Limits**: a process that dies between the bank's answer
//! and the commit takes the answer with it; the next one tries what it has, and if that is refused, the customer is asked to allow it
//! again. Of tokens of no proven use the newest [`KEPT_MAX`] are kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};

use super::consent::{COLUMNS, Consent, read};
use super::notice::ConsentEnd;
use super::{is_set, moment_or_none};
use crate::domain::ids::ConsentId;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// Tokens of one consent that are kept before any has been of use.
pub const KEPT_MAX: i64 = 4;

/// Why a consent ends whose refresh tokens are all refused.
const TOKENS_REFUSED: &str =
    "tokens_refused: the bank takes none of them; the customer has to allow it again";

/// Tokens as they are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptTokens {
    pub version: i64,
    pub access_sealed: String,
    pub refresh_sealed: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for KeptTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptTokens(version {}, until {:?})", self.version, self.expires_at)
    }
}

/// Tokens that a bank has given.
#[derive(Clone)]
pub struct NewTokens {
    pub access_sealed: String,
    /// None where the bank gives none, and the one before goes on being good.
    pub refresh_sealed: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Whether the bank may be asked for new tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Ask, with these.
    Begun { fence: i64, tokens: KeptTokens },
    /// Somebody else asks, until then at most.
    UnderWay { until: DateTime<Utc> },
    /// There are newer ones than those that were to be refreshed.
    Done(KeptTokens),
    /// There is no such consent that is valid, or nothing to refresh it by.
    Impossible,
}

/// What is left when a refresh token was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Others that have not been refused.
    Try(KeptTokens),
    /// Nothing: the consent has ended, and its owner is told.
    Ended,
    /// It had ended before, or is gone.
    Before,
}

impl Store {
    /// The newest tokens of a consent that have not been refused.
    pub async fn consent_tokens(&self, id: ConsentId) -> Result<Option<KeptTokens>, StoreError> {
        self.within(async { self.newest_tokens(self.reader(), id).await }).await
    }

    async fn newest_tokens(
        &self,
        connection: &impl sea_orm::ConnectionTrait,
        id: ConsentId,
    ) -> Result<Option<KeptTokens>, StoreError> {
        // A bank that gives no new refresh token leaves the one before good.
        let find = self.statement(
            "select t.version, t.access_sealed, t.expires_at_us, t.refused, coalesce(t.refresh_sealed, (
                select o.refresh_sealed from consent_token o where o.consent_id = t.consent_id
                  and o.version < t.version and o.refresh_sealed is not null and o.refused = 0
                order by o.version desc limit 1)) as refresh_sealed
             from consent_token t where t.consent_id = $1 and t.refused = 0 order by t.version desc limit 1",
            [Value::from(id.0)],
        );
        connection.query_one_raw(find).await?.as_ref().map(read_tokens).transpose()
    }

    /// Takes the lease by which one process at a time asks the bank for new tokens in place of version `seen`.
    pub async fn begin_token_refresh(
        &self,
        id: ConsentId,
        seen: i64,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Refresh, StoreError> {
        let until = TimeDelta::from_std(lease).ok().and_then(|lease| now.checked_add_signed(lease));
        let until = until.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let (transaction, refresh) = self
            .within(async {
                let transaction = self.begin().await?;
                let refresh = self.begin_refresh_in(&transaction, id, seen, until, now).await?;
                Ok((transaction, refresh))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(refresh)
    }

    async fn begin_refresh_in(
        &self,
        transaction: &DatabaseTransaction,
        id: ConsentId,
        seen: i64,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Refresh, StoreError> {
        let find = self.statement(
            &format!(
                "select refresh_fence, refreshing_until_us from consent where id = $1 and status = 'valid'
                   and (valid_until_us is null or valid_until_us > $2) {}",
                self.for_update()
            ),
            [Value::from(id.0), Value::from(to_us(now))],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(Refresh::Impossible) };
        let Some(tokens) = self.newest_tokens(transaction, id).await? else { return Ok(Refresh::Impossible) };
        if tokens.version > seen {
            return Ok(Refresh::Done(tokens));
        }
        if tokens.refresh_sealed.is_none() {
            return Ok(Refresh::Impossible);
        }
        if let Some(until) = moment_or_none(&row, "refreshing_until_us")?.filter(|until| *until > now) {
            return Ok(Refresh::UnderWay { until });
        }
        let fence = row.try_get::<i64>("", "refresh_fence")? + 1;
        let update = self.statement(
            "update consent set refresh_fence = $2, refreshing_until_us = $3 where id = $1",
            [Value::from(id.0), Value::from(fence), Value::from(to_us(until))],
        );
        execute(transaction, update).await?;
        Ok(Refresh::Begun { fence, tokens })
    }

    /// Keeps what a bank has given, behind what there is; the lease of that fence ends. Kept whoever holds the lease by now: a
    /// bank that has given them may take nothing else any more. Returns their version; nothing where the consent is gone or has
    /// ended, which nobody is let in by.
    pub async fn keep_tokens(
        &self,
        id: ConsentId,
        fence: i64,
        tokens: &NewTokens,
        now: DateTime<Utc>,
    ) -> Result<Option<i64>, StoreError> {
        let (transaction, version) = self
            .within(async {
                let transaction = self.begin().await?;
                let version = self.keep_tokens_in(&transaction, id, fence, tokens, now).await?;
                Ok((transaction, version))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(version)
    }

    async fn keep_tokens_in(
        &self,
        transaction: &DatabaseTransaction,
        id: ConsentId,
        fence: i64,
        tokens: &NewTokens,
        now: DateTime<Utc>,
    ) -> Result<Option<i64>, StoreError> {
        let update = self.statement(
            "update consent set token_version = token_version + 1, updated_at_us = $3,
               refreshing_until_us = case when refresh_fence = $2 then null else refreshing_until_us end
             where id = $1 and status in ('received', 'valid') returning token_version, tenant_id",
            [Value::from(id.0), Value::from(fence), Value::from(to_us(now))],
        );
        let Some(row) = transaction.query_one_raw(update).await? else { return Ok(None) };
        let (version, tenant): (i64, String) =
            (row.try_get("", "token_version")?, row.try_get("", "tenant_id")?);
        let insert = self.statement(
            "insert into consent_token (consent_id, version, tenant_id, access_sealed, refresh_sealed, expires_at_us, refused,
               created_at_us) values ($1, $2, $3, $4, $5, $6, 0, $7)",
            [
                Value::from(id.0),
                Value::from(version),
                Value::from(tenant),
                Value::from(tokens.access_sealed.as_str()),
                Value::from(tokens.refresh_sealed.clone()),
                Value::from(tokens.expires_at.map(to_us)),
                Value::from(to_us(now)),
            ],
        );
        execute(transaction, insert).await?;
        // What lies far behind is of no use to anybody, but for a refresh token that is still the newest.
        let forget = self.statement(
            "delete from consent_token where consent_id = $1 and version <= $2 and version <> coalesce((
                select max(o.version) from consent_token o where o.consent_id = $1 and o.refresh_sealed is not null), 0)",
            [Value::from(id.0), Value::from(version - KEPT_MAX)],
        );
        execute(transaction, forget).await?;
        Ok(Some(version))
    }

    /// Gives the lease of that fence back: the bank was not asked, or gave no answer.
    pub async fn leave_token_refresh(&self, id: ConsentId, fence: i64) -> Result<(), StoreError> {
        let update = self.statement(
            "update consent set refreshing_until_us = null where id = $1 and refresh_fence = $2",
            [Value::from(id.0), Value::from(fence)],
        );
        self.within(async { execute(&self.inner.writer, update).await }).await.map(|_| ())
    }

    /// Notes that the bank has taken the tokens of this version: what there was before is forgotten, but for a refresh token that
    /// is still the newest.
    pub async fn tokens_proved(&self, id: ConsentId, version: i64) -> Result<u64, StoreError> {
        let forget = self.statement(
            "delete from consent_token where consent_id = $1 and version < $2 and version <> coalesce((
                select max(o.version) from consent_token o
                where o.consent_id = $1 and o.version <= $2 and o.refresh_sealed is not null), 0)",
            [Value::from(id.0), Value::from(version)],
        );
        self.within(async { execute(&self.inner.writer, forget).await }).await
    }

    /// Notes that the bank has refused to refresh the tokens of this version; the lease of that fence ends. When there are no others
    /// left, the consent has ended, and its owner is told in the same transaction.
    pub async fn token_refresh_refused(
        &self,
        id: ConsentId,
        version: i64,
        fence: i64,
        delivery_attempts_max: i64,
        now: DateTime<Utc>,
    ) -> Result<AfterRefusal, StoreError> {
        let (transaction, after) = self
            .within(async {
                let transaction = self.begin().await?;
                let refused = RefusedTokens { id, version, fence, delivery_attempts_max, now };
                let after = self.refused_in(&transaction, &refused).await?;
                Ok((transaction, after))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(after)
    }

    async fn refused_in(
        &self,
        transaction: &DatabaseTransaction,
        refused: &RefusedTokens,
    ) -> Result<AfterRefusal, StoreError> {
        let Some(consent) = self.lock_consent(transaction, refused.id).await? else {
            return Ok(AfterRefusal::Before);
        };
        let id = Value::from(refused.id.0);
        let mark = self.statement(
            // With a version goes the one before whose refresh token it was.
            "update consent_token set refused = 1 where consent_id = $1 and version <= $2 and version >= coalesce((
                select max(o.version) from consent_token o
                where o.consent_id = $1 and o.version <= $2 and o.refresh_sealed is not null), $2)",
            [id.clone(), Value::from(refused.version)],
        );
        execute(transaction, mark).await?;
        let leave = self.statement(
            "update consent set refreshing_until_us = null where id = $1 and refresh_fence = $2",
            [id, Value::from(refused.fence)],
        );
        execute(transaction, leave).await?;
        let left = self.newest_tokens(transaction, refused.id).await?;
        if let Some(left) = left.filter(|left| left.refresh_sealed.is_some()) {
            return Ok(AfterRefusal::Try(left));
        }
        let end = ConsentEnd {
            id: refused.id,
            tenant_id: consent.tenant_id.clone(),
            status: ConsentStatus::Revoked,
            reason: TOKENS_REFUSED.to_owned(),
            traceparent: None,
            delivery_attempts_max: refused.delivery_attempts_max,
            now: refused.now,
        };
        let ended = self.end_consent_group(transaction, &[end]).await?;
        Ok(if ended == [true] { AfterRefusal::Ended } else { AfterRefusal::Before })
    }

    pub(super) async fn lock_consent(
        &self,
        transaction: &DatabaseTransaction,
        id: ConsentId,
    ) -> Result<Option<Consent>, StoreError> {
        let find = format!("select {COLUMNS} from consent c where c.id = $1 {}", self.for_update());
        let statement = self.statement(&find, [Value::from(id.0)]);
        all(transaction, statement).await?.first().map(read).transpose()
    }
}

struct RefusedTokens {
    id: ConsentId,
    version: i64,
    fence: i64,
    delivery_attempts_max: i64,
    now: DateTime<Utc>,
}

fn read_tokens(row: &QueryResult) -> Result<KeptTokens, StoreError> {
    if is_set(row, "refused")? {
        return Err(StoreError::Broken("tokens that were refused were read as good".to_owned()));
    }
    Ok(KeptTokens {
        version: row.try_get("", "version")?,
        access_sealed: row.try_get("", "access_sealed")?,
        refresh_sealed: row.try_get("", "refresh_sealed")?,
        expires_at: moment_or_none(row, "expires_at_us")?,
    })
}
