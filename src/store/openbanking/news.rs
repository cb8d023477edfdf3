//! What owners are told of consents, payments and visits at banks, written down in the transaction of the change.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: a slice names a subject once. Told are names that the owner has given
//! or the bank, states and times; never a number of an account, an amount or a token.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use serde::Serialize;
use uuid::Uuid;

use super::consent::Consent;
use super::payment::Payment;
use super::session::ApiSession;
use crate::domain::event::{
    CONSENT_EXPIRED, CONSENT_EXPIRING, CONSENT_REVOKED, SYNC_FAILED, SubjectKind, payment_event,
};
use crate::domain::ids::TenantId;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::store::announce::{Announcement, SubjectEvent};
use crate::store::boleto::to_json;
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError};

/// News, and how they are sent.
pub(super) struct News<T> {
    /// As it is after the change.
    pub subject: T,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What is told of a consent, in the words of `bursar.consent.v1`.
#[derive(Serialize)]
struct ConsentData<'a> {
    aspsp: &'a str,
    external_id: &'a str,
    user_id: Option<&'a str>,
    status: &'static str,
    valid_until: Option<String>,
    days_left: Option<i64>,
    reason: Option<&'a str>,
}

/// What is told of a payment, in the words of `bursar.payment.v1`.
#[derive(Serialize)]
struct PaymentData<'a> {
    aspsp: &'a str,
    kind: &'static str,
    external_id: &'a str,
    reference_id: Option<&'a str>,
    user_id: Option<&'a str>,
    parent_id: Option<String>,
    state: &'static str,
    raw_status: Option<&'a str>,
    reason: Option<&'a str>,
}

/// What is told of a visit, in the words of `bursar.sync.v1`.
#[derive(Serialize)]
struct SyncData<'a> {
    aspsp: &'a str,
    consent_id: String,
    user_id: Option<&'a str>,
    run_id: String,
    reason: Option<&'a str>,
    failing_since: String,
}

/// How the owner knows a customer, and who is told of them beside the subscriptions.
struct Owner {
    name: String,
    endpoint_id: Option<Uuid>,
}

impl Store {
    /// How owners know these customers; one who is erased has no name any more.
    async fn owners_of(
        &self,
        transaction: &DatabaseTransaction,
        users: impl Iterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, Owner>, StoreError> {
        let mut users: Vec<Uuid> = users.collect();
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let find = format!(
            " select u.id, u.external_id, u.endpoint_id from psu_user u where {} and u.erased_at_us is null",
            self.is_of_slice("u.id")
        );
        let found =
            all(transaction, self.statement_over(Rows::new().uuid("id", users), vec![], &find)).await?;
        let read = |row: &QueryResult| {
            let owner =
                Owner { name: row.try_get("", "external_id")?, endpoint_id: row.try_get("", "endpoint_id")? };
            Ok((row.try_get("", "id")?, owner))
        };
        found.iter().map(read).collect()
    }

    /// Writes down news about one kind of thing, each for its owner and whoever else subscribed to it.
    pub(super) async fn tell_owners<T: Told>(
        &self,
        transaction: &DatabaseTransaction,
        news: Vec<News<T>>,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        let users = news.iter().filter_map(|item| item.subject.of_user());
        let owners = self.owners_of(transaction, users).await?;
        let mut events = Vec::with_capacity(news.len());
        for item in &news {
            let owner = item.subject.of_user().and_then(|user| owners.get(&user));
            let user_id = owner.map(|owner| owner.name.as_str());
            let Some((about, data)) = item.subject.told(user_id, item.now)? else { continue };
            events.push(item.event(about, data, owner.and_then(|owner| owner.endpoint_id)));
        }
        self.tell_events(transaction, events).await
    }
}

/// Something at a bank of which owners are told.
pub(super) trait Told {
    /// The customer that it is about, if it is about one.
    fn of_user(&self) -> Option<Uuid>;

    /// What it is about and what is told of it, under the owner's name for the customer; nothing where its state is no news.
    fn told(
        &self,
        user_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<(About<'_>, String)>, StoreError>;
}

impl Told for Consent {
    fn of_user(&self) -> Option<Uuid> {
        Some(self.user_id.0)
    }

    fn told(
        &self,
        user_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<(About<'_>, String)>, StoreError> {
        let event_type = match self.status {
            ConsentStatus::Received | ConsentStatus::Valid => CONSENT_EXPIRING,
            ConsentStatus::Expired => CONSENT_EXPIRED,
            ConsentStatus::Revoked => CONSENT_REVOKED,
        };
        let left = self.valid_until.filter(|_| !self.status.has_ended());
        let data = to_json(&ConsentData {
            aspsp: &self.aspsp,
            external_id: &self.external_id,
            user_id,
            status: self.status.as_str(),
            valid_until: self.valid_until.map(written),
            // Of a day that has begun, the whole.
            days_left: left.map(|end| (end - now).num_days() + 1),
            reason: self.reason.as_deref(),
        })?;
        let about = About {
            tenant_id: &self.tenant_id,
            kind: SubjectKind::Consent,
            id: self.id.0,
            version: self.version,
            event_type,
            endpoint_id: None,
        };
        Ok(Some((about, data)))
    }
}

impl Told for Payment {
    fn of_user(&self) -> Option<Uuid> {
        self.user_id.map(|id| id.0)
    }

    fn told(
        &self,
        user_id: Option<&str>,
        _now: DateTime<Utc>,
    ) -> Result<Option<(About<'_>, String)>, StoreError> {
        let Some(event_type) = payment_event(self.state) else { return Ok(None) };
        let data = to_json(&PaymentData {
            aspsp: &self.aspsp,
            kind: self.kind.as_str(),
            external_id: &self.external_id,
            reference_id: self.reference_id.as_deref(),
            user_id,
            parent_id: self.parent_id.map(|id| id.to_string()),
            state: self.state.as_str(),
            raw_status: self.raw_status.as_deref(),
            reason: self.reason.as_deref(),
        })?;
        let about = About {
            tenant_id: &self.tenant_id,
            kind: SubjectKind::Payment,
            id: self.id.0,
            version: self.version,
            event_type,
            endpoint_id: self.endpoint_id.map(|id| id.0),
        };
        Ok(Some((about, data)))
    }
}

/// A visit that has failed: the first of a row, with since when it has been so.
impl Told for ApiSession {
    fn of_user(&self) -> Option<Uuid> {
        Some(self.user_id.0)
    }

    fn told(
        &self,
        user_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<(About<'_>, String)>, StoreError> {
        let data = to_json(&SyncData {
            aspsp: &self.aspsp,
            consent_id: self.consent_id.to_string(),
            user_id,
            run_id: self.run_id.to_string(),
            reason: self.reason.as_deref(),
            failing_since: written(now),
        })?;
        let about = About {
            tenant_id: &self.tenant_id,
            kind: SubjectKind::Sync,
            id: self.id.0,
            // A visit fails once.
            version: 1,
            event_type: SYNC_FAILED,
            endpoint_id: None,
        };
        Ok(Some((about, data)))
    }
}

/// What news are about.
pub(super) struct About<'a> {
    tenant_id: &'a TenantId,
    kind: SubjectKind,
    id: Uuid,
    version: i64,
    event_type: &'static str,
    /// Of its own; without one the customer's is told.
    endpoint_id: Option<Uuid>,
}

impl<T> News<T> {
    fn event(&self, about: About<'_>, data: String, of_owner: Option<Uuid>) -> SubjectEvent {
        SubjectEvent {
            id: Uuid::now_v7(),
            data,
            news: Announcement {
                tenant_id: about.tenant_id.clone(),
                subject_kind: about.kind,
                subject_id: about.id,
                version: about.version,
                event_type: about.event_type.to_owned(),
                endpoint_id: about.endpoint_id.or(of_owner),
                traceparent: self.traceparent.clone(),
                attempts_max: self.delivery_attempts_max,
                now: self.now,
            },
        }
    }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
