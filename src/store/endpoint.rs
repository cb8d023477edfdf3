//! Owners' destinations.
//!
//! An endpoint without event types was made from a boleto's `queue_url` and is told of that boleto only; one with event
//! types is a subscription of its tenant. The same target is one row per purpose, that is per event types and filters,
//! however many ask for it at once. What people change by hand stands in a file of its own.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Value,
};
use serde_json::json;
use uuid::Uuid;

use super::announce::{Announcement, SubjectEvent};
use super::audit_act::Act;
use super::audit_list::Subject;
use super::entities::endpoint as entity;
use super::transaction::all;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::event::{ENDPOINT_DISABLED, EventFilter, SubjectKind};
use crate::domain::ids::{EndpointId, TenantId};

/// A destination as the store holds it; what `destination` says is the channel's own matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEndpoint {
    pub id: EndpointId,
    pub tenant_id: TenantId,
    /// The channel's name.
    pub channel: String,
    /// JSON that the channel reads.
    pub destination: String,
    /// What makes it one: a URL.
    pub target: String,
    /// Empty for a destination that was named by a boleto; `*` for every event.
    pub event_types: Vec<String>,
    /// Of which subjects it wants to hear; empty for all.
    pub filters: Vec<EventFilter>,
    /// Why nothing is sent to it, when nothing is.
    pub disabled: Option<String>,
    /// Since when every delivery to it has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// Grows with every change of what its owner says about it.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl StoredEndpoint {
    /// A destination that nobody has entered yet.
    pub fn new(
        tenant_id: TenantId,
        channel: &str,
        destination: String,
        target: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: EndpointId(Uuid::now_v7()),
            tenant_id,
            channel: channel.to_owned(),
            destination,
            target,
            event_types: vec![],
            filters: vec![],
            disabled: None,
            failing_since: None,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Store {
    /// Enters a destination, or finds the one that is there already, disabled or not.
    pub async fn ensure_endpoint(&self, endpoint: &StoredEndpoint) -> Result<StoredEndpoint, StoreError> {
        self.within(self.ensure_endpoint_in(&self.inner.writer, endpoint)).await
    }

    async fn ensure_endpoint_in(
        &self,
        connection: &impl ConnectionTrait,
        endpoint: &StoredEndpoint,
    ) -> Result<StoredEndpoint, StoreError> {
        let event_types = joined(&endpoint.event_types);
        let filters = written(&endpoint.filters)?;
        let insert = self.statement(
            "insert into endpoint (id, tenant_id, channel, destination, target, event_types, disabled, created_at_us,
               updated_at_us, filters)
             values ($1, $2, $3, $4, $5, $6, 0, $7, $7, $8) on conflict do nothing",
            [
                Value::from(endpoint.id.0),
                Value::from(endpoint.tenant_id.as_str()),
                Value::from(endpoint.channel.as_str()),
                Value::from(endpoint.destination.as_str()),
                Value::from(endpoint.target.as_str()),
                Value::from(event_types.as_str()),
                Value::from(to_us(endpoint.created_at)),
                Value::from(filters.clone()),
            ],
        );
        connection.execute_raw(insert).await?;
        let found = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(endpoint.tenant_id.as_str()))
            .filter(entity::Column::Channel.eq(endpoint.channel.as_str()))
            .filter(entity::Column::Target.eq(endpoint.target.as_str()))
            .filter(entity::Column::EventTypes.eq(event_types))
            .filter(
                filters.map_or(entity::Column::Filters.is_null(), |text| entity::Column::Filters.eq(text)),
            )
            .one(connection)
            .await?;
        found
            .ok_or_else(|| StoreError::Broken("an endpoint vanished while it was entered".to_owned()))
            .and_then(read)
    }

    /// Enters a destination by hand, or finds the one that is there already and leaves it as it is.
    pub async fn enter_endpoint(&self, endpoint: &StoredEndpoint) -> Result<StoredEndpoint, StoreError> {
        let (transaction, found) = self
            .within(async {
                let transaction = self.begin().await?;
                let found = self.ensure_endpoint_in(&transaction, endpoint).await?;
                if found.id == endpoint.id {
                    self.record_act(&transaction, made(None, &found, endpoint.created_at)).await?;
                }
                Ok((transaction, found))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(found)
    }

    /// Enters a destination as its owner wants it now: one that is there already takes the new secrets and is told again.
    pub async fn renew_endpoint(&self, endpoint: &StoredEndpoint) -> Result<StoredEndpoint, StoreError> {
        let (transaction, renewed) = self
            .within(async {
                let transaction = self.begin().await?;
                let renewed = self.renew_endpoint_in(&transaction, endpoint).await?;
                Ok((transaction, renewed))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(renewed)
    }

    async fn renew_endpoint_in(
        &self,
        transaction: &DatabaseTransaction,
        endpoint: &StoredEndpoint,
    ) -> Result<StoredEndpoint, StoreError> {
        let found = self.ensure_endpoint_in(transaction, endpoint).await?;
        let renew = self.statement(
            "update endpoint set destination = $2, disabled = 0, disabled_reason = null, failing_since_us = null,
               version = version + 1, updated_at_us = $3 where id = $1",
            [
                Value::from(found.id.0),
                Value::from(endpoint.destination.as_str()),
                Value::from(to_us(endpoint.updated_at)),
            ],
        );
        transaction.execute_raw(renew).await?;
        let renewed = StoredEndpoint {
            destination: endpoint.destination.clone(),
            disabled: None,
            failing_since: None,
            version: found.version + 1,
            updated_at: endpoint.updated_at,
            ..found.clone()
        };
        let before = (found.id != endpoint.id).then_some(&found);
        self.record_act(transaction, made(before, &renewed, endpoint.updated_at)).await?;
        Ok(renewed)
    }

    /// One destination of any tenant: deliveries know theirs by its id.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        let found =
            self.within(async { Ok(entity::Entity::find_by_id(id.0).one(self.reader()).await?) }).await?;
        found.map(read).transpose()
    }

    /// A page of a tenant's destinations, newest first.
    pub async fn endpoints(
        &self,
        tenant: &TenantId,
        before: Option<EndpointId>,
        limit: u64,
    ) -> Result<Vec<StoredEndpoint>, StoreError> {
        let mut query = entity::Entity::find().filter(entity::Column::TenantId.eq(tenant.as_str()));
        if let Some(EndpointId(before)) = before {
            query = query.filter(entity::Column::Id.lt(before));
        }
        let query = query.order_by_desc(entity::Column::Id).limit(limit);
        self.within(async { query.all(self.reader()).await?.into_iter().map(read).collect() }).await
    }

    /// Whether a tenant has any subscription.
    pub async fn has_subscription(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        let statement = self.statement(
            "select 1 as one from endpoint where tenant_id = $1 and event_types <> '' and disabled = 0 limit 1",
            [Value::from(tenant.as_str())],
        );
        self.within(async { Ok(self.reader().query_one_raw(statement).await?.is_some()) }).await
    }

    /// Sends nothing more to a destination, and tells its owner so by whichever other destination wants to hear of it. False if
    /// nothing was sent to it before.
    pub async fn disable_endpoint(&self, end: &EndpointEnd) -> Result<bool, StoreError> {
        let (transaction, disabled) = self
            .within(async {
                let transaction = self.begin().await?;
                let disabled = self.disable_in(&transaction, end).await?;
                Ok((transaction, disabled))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(disabled)
    }

    pub(super) async fn disable_in(
        &self,
        transaction: &DatabaseTransaction,
        end: &EndpointEnd,
    ) -> Result<bool, StoreError> {
        let update = self.statement(
            "update endpoint set disabled = 1, disabled_reason = $2, version = version + 1, updated_at_us = $3
             where id = $1 and disabled = 0 returning tenant_id, channel, target, version, failing_since_us",
            [Value::from(end.endpoint_id.0), Value::from(end.reason.as_str()), Value::from(to_us(end.now))],
        );
        let rows = all(transaction, update).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let tenant: String = row.try_get("", "tenant_id")?;
        let (channel, version): (String, i64) = (row.try_get("", "channel")?, row.try_get("", "version")?);
        let failing_since: Option<i64> = row.try_get("", "failing_since_us")?;
        let data = serde_json::json!({
            "endpoint_id": end.endpoint_id.to_string(),
            "channel": channel,
            "reason": end.reason,
            "failing_since": failing_since.map(from_us).transpose()?
                .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        });
        let news = Announcement {
            tenant_id: TenantId::parse(&tenant).map_err(|error| StoreError::unreadable("tenant", error))?,
            subject_kind: SubjectKind::Endpoint,
            subject_id: end.endpoint_id.0,
            version,
            event_type: ENDPOINT_DISABLED.to_owned(),
            endpoint_id: None,
            traceparent: None,
            attempts_max: end.delivery_attempts_max,
            now: end.now,
        };
        let event = SubjectEvent { id: Uuid::now_v7(), data: data.to_string(), news };
        self.tell_events(transaction, vec![event]).await?;
        Ok(true)
    }

    /// Keeps since when every delivery to a destination has failed; `None` once one was taken.
    pub async fn note_endpoint_health(
        &self,
        id: EndpointId,
        failing_since: Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let note = match failing_since {
            // The first failure counts, whichever process saw it.
            Some(_) => "update endpoint set failing_since_us = $2 where id = $1 and failing_since_us is null",
            None => {
                "update endpoint set failing_since_us = $2 where id = $1 and failing_since_us is not null"
            }
        };
        let statement = self.statement(note, [Value::from(id.0), Value::from(failing_since.map(to_us))]);
        self.within(async {
            self.inner.writer.execute_raw(statement).await?;
            Ok(())
        })
        .await
    }
}

/// That somebody entered a destination, or entered one anew that was there. Neither its address nor its secrets are told.
fn made(before: Option<&StoredEndpoint>, after: &StoredEndpoint, now: DateTime<Utc>) -> Act {
    let told = |endpoint: &StoredEndpoint| {
        json!({
            "version": endpoint.version,
            "channel": endpoint.channel,
            "disabled": endpoint.disabled.is_some(),
            "event_types": endpoint.event_types,
            "filters": endpoint.filters.len(),
        })
    };
    let subject = Subject::Id(after.id.0);
    let before = before.map_or(json!(null), told);
    Act { method: "CreateEndpoint", subject, reason: String::new(), before, after: told(after), now }
}

/// Why and when a destination is not told any more.
#[derive(Debug, Clone)]
pub struct EndpointEnd {
    pub endpoint_id: EndpointId,
    pub reason: String,
    /// Attempts after which a delivery of this news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// `,a,b,` so that a type is found between its commas and nowhere else.
pub(super) fn joined(event_types: &[String]) -> String {
    if event_types.is_empty() { String::new() } else { format!(",{},", event_types.join(",")) }
}

/// The rules as one text; nothing for none.
pub(super) fn written(filters: &[EventFilter]) -> Result<Option<String>, StoreError> {
    (!filters.is_empty()).then(|| super::boleto::to_json(&filters)).transpose()
}

pub(super) fn read(row: entity::Model) -> Result<StoredEndpoint, StoreError> {
    let tenant_id =
        TenantId::parse(&row.tenant_id).map_err(|error| StoreError::unreadable("tenant", error))?;
    let event_types = row.event_types.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let filters: Option<Vec<EventFilter>> =
        row.filters.as_deref().map(|text| super::boleto::from_json("filters", text)).transpose()?;
    Ok(StoredEndpoint {
        id: EndpointId(row.id),
        tenant_id,
        channel: row.channel,
        destination: row.destination,
        target: row.target,
        event_types,
        filters: filters.unwrap_or_default(),
        failing_since: row.failing_since_us.map(from_us).transpose()?,
        version: row.version,
        updated_at: from_us(row.updated_at_us)?,
        disabled: (row.disabled != 0).then(|| row.disabled_reason.unwrap_or_default()),
        created_at: from_us(row.created_at_us)?,
    })
}
