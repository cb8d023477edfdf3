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

/// The owner's name for a customer, and who is told beside the subscriptions.
pub(super) type Owners = HashMap<Uuid, (String, Option<Uuid>)>;

impl Store {
    /// How owners know these customers; one who is erased has no name any more.
    pub(super) async fn owners_of(
        &self,
        transaction: &DatabaseTransaction,
        users: impl IntoIterator<Item = Uuid>,
    ) -> Result<Owners, StoreError> {
        let mut users: Vec<Uuid> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Ok(Owners::new());
        }
        let find = format!(
            " select u.id, u.external_id, u.endpoint_id from psu_user u where {} and u.erased_at_us is null",
            self.is_of_slice("u.id")
        );
        let found =
            all(transaction, self.statement_over(Rows::new().uuid("id", users), vec![], &find)).await?;
        let read = |row: &QueryResult| {
            let told = (row.try_get("", "external_id")?, row.try_get("", "endpoint_id")?);
            Ok((row.try_get("", "id")?, told))
        };
        found.iter().map(read).collect()
    }

    pub(super) async fn tell_of_consents(
        &self,
        transaction: &DatabaseTransaction,
        news: Vec<News<Consent>>,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        let owners = self.owners_of(transaction, news.iter().map(|item| item.subject.user_id.0)).await?;
        let mut events = Vec::with_capacity(news.len());
        for item in news {
            let consent = &item.subject;
            let owner = owners.get(&consent.user_id.0);
            let event_type = match consent.status {
                ConsentStatus::Received | ConsentStatus::Valid => CONSENT_EXPIRING,
                ConsentStatus::Expired => CONSENT_EXPIRED,
                ConsentStatus::Revoked => CONSENT_REVOKED,
            };
            let left = consent.valid_until.filter(|_| !consent.status.has_ended());
            let data = to_json(&ConsentData {
                aspsp: &consent.aspsp,
                external_id: &consent.external_id,
                user_id: owner.map(|(name, _)| name.as_str()),
                status: consent.status.as_str(),
                valid_until: consent.valid_until.map(written),
                // Of a day that has begun, the whole.
                days_left: left.map(|end| (end - item.now).num_days() + 1),
                reason: consent.reason.as_deref(),
            })?;
            let about = About {
                tenant_id: &consent.tenant_id,
                kind: SubjectKind::Consent,
                id: consent.id.0,
                version: consent.version,
                event_type,
                endpoint_id: owner.and_then(|(_, endpoint)| *endpoint),
            };
            events.push(item.event(about, data));
        }
        self.tell_events(transaction, events).await
    }

    pub(super) async fn tell_of_payments(
        &self,
        transaction: &DatabaseTransaction,
        news: Vec<News<Payment>>,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        let users = news.iter().filter_map(|item| item.subject.user_id.map(|id| id.0));
        let owners = self.owners_of(transaction, users).await?;
        let mut events = Vec::with_capacity(news.len());
        for item in news {
            let payment = &item.subject;
            let Some(event_type) = payment_event(payment.state) else { continue };
            let owner = payment.user_id.and_then(|id| owners.get(&id.0));
            let data = to_json(&PaymentData {
                aspsp: &payment.aspsp,
                kind: payment.kind.as_str(),
                external_id: &payment.external_id,
                reference_id: payment.reference_id.as_deref(),
                user_id: owner.map(|(name, _)| name.as_str()),
                parent_id: payment.parent_id.map(|id| id.to_string()),
                state: payment.state.as_str(),
                raw_status: payment.raw_status.as_deref(),
                reason: payment.reason.as_deref(),
            })?;
            let own = payment.endpoint_id.map(|id| id.0);
            let about = About {
                tenant_id: &payment.tenant_id,
                kind: SubjectKind::Payment,
                id: payment.id.0,
                version: payment.version,
                event_type,
                endpoint_id: own.or_else(|| owner.and_then(|(_, endpoint)| *endpoint)),
            };
            events.push(item.event(about, data));
        }
        self.tell_events(transaction, events).await
    }

    /// Of visits that have failed: the first of a row, each with since when it has been so.
    pub(super) async fn tell_of_failed_visits(
        &self,
        transaction: &DatabaseTransaction,
        news: Vec<News<ApiSession>>,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        let owners = self.owners_of(transaction, news.iter().map(|item| item.subject.user_id.0)).await?;
        let mut events = Vec::with_capacity(news.len());
        for item in news {
            let visit = &item.subject;
            let owner = owners.get(&visit.user_id.0);
            let data = to_json(&SyncData {
                aspsp: &visit.aspsp,
                consent_id: visit.consent_id.to_string(),
                user_id: owner.map(|(name, _)| name.as_str()),
                run_id: visit.run_id.to_string(),
                reason: visit.reason.as_deref(),
                failing_since: written(item.now),
            })?;
            let about = About {
                tenant_id: &visit.tenant_id,
                kind: SubjectKind::Sync,
                id: visit.id.0,
                // A visit fails once.
                version: 1,
                event_type: SYNC_FAILED,
                endpoint_id: owner.and_then(|(_, endpoint)| *endpoint),
            };
            events.push(item.event(about, data));
        }
        self.tell_events(transaction, events).await
    }
}

/// What news are about.
struct About<'a> {
    tenant_id: &'a TenantId,
    kind: SubjectKind,
    id: Uuid,
    version: i64,
    event_type: &'static str,
    endpoint_id: Option<Uuid>,
}

impl<T> News<T> {
    fn event(&self, about: About<'_>, data: String) -> SubjectEvent {
        SubjectEvent {
            id: Uuid::now_v7(),
            data,
            news: Announcement {
                tenant_id: about.tenant_id.clone(),
                subject_kind: about.kind,
                subject_id: about.id,
                version: about.version,
                event_type: about.event_type.to_owned(),
                endpoint_id: about.endpoint_id,
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
