//! What people decide by hand about owners' destinations: where they are, what they want, whether they are told.
//!
//! **Owns** nothing. **Fails** with data ([`EndpointSteered`]); whatever is not done leaves nothing behind, not even the name of
//! its request. **Limits**: decisions about one endpoint and its deliveries are made one at a time, by a lock on the endpoint's
//! row that is taken before any other; sending and announcing never take it. A record tells no addresses and no secrets.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::endpoint::{EndpointEnd, StoredEndpoint, joined, read, written};
use super::entities::endpoint as entity;
use super::request_key::{Entered, RequestKey};
use super::transaction::execute;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::event::EventFilter;
use crate::domain::ids::{EndpointId, TenantId};

/// Who decides, about which endpoint, and under which name.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// Of the record, and what the request made.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub endpoint_id: EndpointId,
    pub request: Option<RequestKey>,
    /// Up to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery that comes of it is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What is to be another than it is; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// The version that the caller has read; 0 for whatever it is.
    pub version: i64,
    /// JSON that the channel reads, and what makes it one.
    pub destination: Option<(String, String)>,
    pub event_types: Option<Vec<String>>,
    pub filters: Option<Vec<EventFilter>>,
}

/// What became of a decision about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointSteered {
    Done,
    /// It was so already.
    Already,
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    VersionChanged {
        version: i64,
    },
    /// Another endpoint of the tenant is this destination for these events.
    Taken,
}

impl Store {
    /// Changes where an endpoint is and what it wants. What waits goes to the new place.
    pub async fn update_endpoint(
        &self,
        hand: &ByHand,
        change: &EndpointChange,
    ) -> Result<EndpointSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.update_endpoint_in(&transaction, hand, change).await?;
                Ok((transaction, steered))
            })
            .await?;
        self.conclude(transaction, steered).await
    }

    /// Sends nothing more to an endpoint, and tells whoever else wants to hear of it.
    pub async fn disable_endpoint_by_hand(&self, hand: &ByHand) -> Result<EndpointSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.switch_in(&transaction, hand, false).await?;
                Ok((transaction, steered))
            })
            .await?;
        self.conclude(transaction, steered).await
    }

    /// Sends to an endpoint again.
    pub async fn enable_endpoint(&self, hand: &ByHand) -> Result<EndpointSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.switch_in(&transaction, hand, true).await?;
                Ok((transaction, steered))
            })
            .await?;
        self.conclude(transaction, steered).await
    }

    async fn conclude(
        &self,
        transaction: DatabaseTransaction,
        steered: EndpointSteered,
    ) -> Result<EndpointSteered, StoreError> {
        if steered == EndpointSteered::Done {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(steered)
    }

    /// The endpoint as it stands, if the request is new and the endpoint the tenant's own.
    async fn begin_by_hand(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
    ) -> Result<Result<StoredEndpoint, EndpointSteered>, StoreError> {
        match self.enter_key(transaction, hand.request.as_ref(), hand.id, hand.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(Err(EndpointSteered::Before)),
            Entered::OtherBody => return Ok(Err(EndpointSteered::OtherBody)),
        }
        let found = self.lock_endpoint(transaction, &hand.tenant_id, hand.endpoint_id).await?;
        Ok(found.ok_or(EndpointSteered::NotFound))
    }

    async fn update_endpoint_in(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        change: &EndpointChange,
    ) -> Result<EndpointSteered, StoreError> {
        let before = match self.begin_by_hand(transaction, hand).await? {
            Ok(endpoint) => endpoint,
            Err(steered) => return Ok(steered),
        };
        if change.version != 0 && change.version != before.version {
            return Ok(EndpointSteered::VersionChanged { version: before.version });
        }
        let mut after = before.clone();
        if let Some((destination, target)) = &change.destination {
            (after.destination, after.target) = (destination.clone(), target.clone());
        }
        if let Some(event_types) = &change.event_types {
            after.event_types.clone_from(event_types);
        }
        if let Some(filters) = &change.filters {
            after.filters.clone_from(filters);
        }
        if after == before {
            return Ok(EndpointSteered::Already);
        }
        if self.is_taken(transaction, &after).await? {
            return Ok(EndpointSteered::Taken);
        }
        let update = self.statement(
            "update endpoint set failing_since_us = case when destination = $2 then failing_since_us end,
               destination = $2, target = $3, event_types = $4, filters = $5, version = version + 1, updated_at_us = $6
             where id = $1",
            [
                Value::from(before.id.0),
                Value::from(after.destination.as_str()),
                Value::from(after.target.as_str()),
                Value::from(joined(&after.event_types)),
                Value::from(written(&after.filters)?),
                Value::from(to_us(hand.now)),
            ],
        );
        execute(transaction, update).await?;
        after.version += 1;
        self.write_deed(transaction, hand, "UpdateEndpoint", &before, &after).await?;
        Ok(EndpointSteered::Done)
    }

    async fn switch_in(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        on: bool,
    ) -> Result<EndpointSteered, StoreError> {
        let before = match self.begin_by_hand(transaction, hand).await? {
            Ok(endpoint) => endpoint,
            Err(steered) => return Ok(steered),
        };
        if before.disabled.is_none() == on {
            return Ok(EndpointSteered::Already);
        }
        let disabled = if on {
            let enable = self.statement(
                "update endpoint set disabled = 0, disabled_reason = null, failing_since_us = null,
                   version = version + 1, updated_at_us = $2 where id = $1",
                [Value::from(before.id.0), Value::from(to_us(hand.now))],
            );
            execute(transaction, enable).await?;
            None
        } else {
            let end = EndpointEnd {
                endpoint_id: before.id,
                reason: hand.reason.clone(),
                delivery_attempts_max: hand.delivery_attempts_max,
                now: hand.now,
            };
            self.disable_in(transaction, &end).await?;
            Some(hand.reason.clone())
        };
        let after = StoredEndpoint { disabled, version: before.version + 1, ..before.clone() };
        let method = if on { "EnableEndpoint" } else { "DisableEndpoint" };
        self.write_deed(transaction, hand, method, &before, &after).await?;
        Ok(EndpointSteered::Done)
    }

    async fn is_taken(
        &self,
        transaction: &DatabaseTransaction,
        endpoint: &StoredEndpoint,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            "select 1 as one from endpoint where tenant_id = $1 and channel = $2 and target = $3 and event_types = $4
               and coalesce(filters, '') = $5 and id <> $6",
            [
                Value::from(endpoint.tenant_id.as_str()),
                Value::from(endpoint.channel.as_str()),
                Value::from(endpoint.target.as_str()),
                Value::from(joined(&endpoint.event_types)),
                Value::from(written(&endpoint.filters)?.unwrap_or_default()),
                Value::from(endpoint.id.0),
            ],
        );
        Ok(transaction.query_one_raw(find).await?.is_some())
    }

    /// A tenant's endpoint, locked until the transaction's end: the first lock of whoever decides by hand.
    pub(super) async fn lock_endpoint(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        id: EndpointId,
    ) -> Result<Option<StoredEndpoint>, StoreError> {
        if self.kind() == StoreKind::PostgreSql {
            let lock = self.statement(
                "select id from endpoint where id = $1 and tenant_id = $2 for no key update",
                [Value::from(id.0), Value::from(tenant.as_str())],
            );
            transaction.query_one_raw(lock).await?;
        }
        let found = entity::Entity::find_by_id(id.0).one(transaction).await?.map(read).transpose()?;
        Ok(found.filter(|endpoint| endpoint.tenant_id == *tenant))
    }

    async fn write_deed(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        method: &str,
        before: &StoredEndpoint,
        after: &StoredEndpoint,
    ) -> Result<(), StoreError> {
        let told = |endpoint: &StoredEndpoint| {
            serde_json::json!({
                "version": endpoint.version,
                "disabled": endpoint.disabled.is_some(),
                "event_types": endpoint.event_types,
                "filters": endpoint.filters.len(),
                "moved": endpoint.target != before.target,
            })
            .to_string()
        };
        let deed = Deed {
            id: hand.id,
            tenant_id: &hand.tenant_id,
            method,
            subject_id: hand.endpoint_id.0,
            reason: &hand.reason,
            before: told(before),
            after: told(after),
            traceparent: hand.traceparent.as_deref(),
            now: hand.now,
        };
        self.record_deed(transaction, deed).await
    }
}
