//! What people do to consents and accounts by hand, and that they read accounts: each in one transaction with the record of it.
//!
//! **Owns** nothing. **Fails** with data ([`ConsentRevoked`]); whatever is not done leaves nothing behind, not even the name of its
//! request. **Limits**: the bank is told nothing; an owner is told that a consent was ended by hand, and not in whose words.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use uuid::Uuid;

use super::is_set;
use super::notice::ConsentEnd;
use crate::domain::ids::{AccountId, ConsentId, TenantId};
use crate::domain::openbanking::consent::ConsentStatus;
use crate::store::audit::Deed;
use crate::store::request_key::{Entered, RequestKey};
use crate::store::transaction::execute;
use crate::store::{Store, StoreError, to_us};

/// Why a consent has ended that somebody here has ended.
const BY_HAND: &str = "by_hand: it was taken back here";

/// A person's decision about a consent.
#[derive(Debug, Clone)]
pub struct ConsentRevocation {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub consent_id: ConsentId,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentRevoked {
    Done,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    /// It had ended.
    HasEnded(ConsentStatus),
}

/// A person's decision about an account.
#[derive(Debug, Clone)]
pub struct AccountSwitch {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    pub enabled: bool,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// That somebody reads what stands on an account.
#[derive(Debug, Clone)]
pub struct AccountRead {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    pub method: &'static str,
    /// In their own words, up to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

impl Store {
    /// Ends a consent by somebody's hand, and tells its owner.
    pub async fn revoke_consent(&self, wish: &ConsentRevocation) -> Result<ConsentRevoked, StoreError> {
        let (transaction, revoked) = self
            .within(async {
                let transaction = self.begin().await?;
                let revoked = self.revoke_in(&transaction, wish).await?;
                Ok((transaction, revoked))
            })
            .await?;
        if revoked == ConsentRevoked::Done {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(revoked)
    }

    async fn revoke_in(
        &self,
        transaction: &DatabaseTransaction,
        wish: &ConsentRevocation,
    ) -> Result<ConsentRevoked, StoreError> {
        match self.enter_key(transaction, wish.request.as_ref(), wish.id, wish.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(ConsentRevoked::Before),
            Entered::OtherBody => return Ok(ConsentRevoked::OtherBody),
        }
        let before = self.lock_consent(transaction, wish.consent_id).await?;
        let Some(before) = before.filter(|consent| consent.tenant_id == wish.tenant_id) else {
            return Ok(ConsentRevoked::NotFound);
        };
        let end = ConsentEnd {
            id: wish.consent_id,
            tenant_id: wish.tenant_id.clone(),
            status: ConsentStatus::Revoked,
            reason: BY_HAND.to_owned(),
            traceparent: wish.traceparent.clone(),
            delivery_attempts_max: wish.delivery_attempts_max,
            now: wish.now,
        };
        if self.end_consent_group(transaction, &[end]).await? != [true] {
            return Ok(ConsentRevoked::HasEnded(before.status));
        }
        let told = |status: ConsentStatus, version: i64| {
            serde_json::json!({"status": status.as_str(), "version": version}).to_string()
        };
        let deed = Deed {
            id: wish.id,
            tenant_id: &wish.tenant_id,
            method: "RevokeConsent",
            subject_id: wish.consent_id.0,
            reason: &wish.reason,
            before: told(before.status, before.version),
            after: told(ConsentStatus::Revoked, before.version + 1),
            traceparent: wish.traceparent.as_deref(),
            now: wish.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(ConsentRevoked::Done)
    }

    /// Has an account asked about, or not any more, by somebody's hand. False: there is none. Nothing is recorded where it stands so
    /// already.
    pub async fn switch_account(&self, switch: &AccountSwitch) -> Result<bool, StoreError> {
        let (transaction, is_there) = self
            .within(async {
                let transaction = self.begin().await?;
                let is_there = self.switch_account_in(&transaction, switch).await?;
                Ok((transaction, is_there))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(is_there)
    }

    async fn switch_account_in(
        &self,
        transaction: &DatabaseTransaction,
        switch: &AccountSwitch,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            &format!(
                "select enabled, gone_at_us
                 from account where id = $1 and tenant_id = $2 {}",
                self.for_update()
            ),
            [Value::from(switch.account_id.0), Value::from(switch.tenant_id.as_str())],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(false) };
        let (was_enabled, was_gone) =
            (is_set(&row, "enabled")?, row.try_get::<Option<i64>>("", "gone_at_us")?.is_some());
        if was_enabled == switch.enabled && !(switch.enabled && was_gone) {
            return Ok(true);
        }
        let update = self.statement(
            "update account set enabled = $2, updated_at_us = $3,
               gone_at_us = case when cast($2 as bigint) = 1 then null else gone_at_us end where id = $1",
            [
                Value::from(switch.account_id.0),
                Value::from(i64::from(switch.enabled)),
                Value::from(to_us(switch.now)),
            ],
        );
        execute(transaction, update).await?;
        let told =
            |enabled: bool, gone: bool| serde_json::json!({"enabled": enabled, "gone": gone}).to_string();
        let deed = Deed {
            id: switch.id,
            tenant_id: &switch.tenant_id,
            method: "EnableAccount",
            subject_id: switch.account_id.0,
            reason: &switch.reason,
            before: told(was_enabled, was_gone),
            after: told(switch.enabled, was_gone && !switch.enabled),
            traceparent: switch.traceparent.as_deref(),
            now: switch.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(true)
    }

    /// Writes down that somebody reads an account: before anything is handed out, and not at all if that fails.
    pub async fn audit_account_read(&self, read: &AccountRead) -> Result<(), StoreError> {
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                let deed = Deed {
                    id: read.id,
                    tenant_id: &read.tenant_id,
                    method: read.method,
                    subject_id: read.account_id.0,
                    reason: &read.reason,
                    // Reading changes nothing.
                    before: "null".to_owned(),
                    after: "null".to_owned(),
                    traceparent: read.traceparent.as_deref(),
                    now: read.now,
                };
                self.record_deed(&transaction, deed).await?;
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }
}
