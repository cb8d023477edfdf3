//! Owners' destinations.
//!
//! An endpoint without event types was made from a boleto's `queue_url` and is told of that boleto only; one with event
//! types is a subscription of its tenant. The same target is one row per purpose, however many ask for it at once.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};

use super::entities::endpoint as entity;
use super::{Store, StoreError, from_us, to_us};
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
    /// Why nothing is sent to it, when nothing is.
    pub disabled: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Enters a destination, or finds the one that is there already, disabled or not.
    pub async fn ensure_endpoint(&self, endpoint: &StoredEndpoint) -> Result<StoredEndpoint, StoreError> {
        let event_types = joined(&endpoint.event_types);
        let insert = self.statement(
            "insert into endpoint (id, tenant_id, channel, destination, target, event_types, disabled, created_at_us)
             values ($1, $2, $3, $4, $5, $6, 0, $7) on conflict do nothing",
            [
                Value::from(endpoint.id.0),
                Value::from(endpoint.tenant_id.as_str()),
                Value::from(endpoint.channel.as_str()),
                Value::from(endpoint.destination.as_str()),
                Value::from(endpoint.target.as_str()),
                Value::from(event_types.as_str()),
                Value::from(to_us(endpoint.created_at)),
            ],
        );
        self.within(async {
            self.inner.writer.execute_raw(insert).await?;
            let found = entity::Entity::find()
                .filter(entity::Column::TenantId.eq(endpoint.tenant_id.as_str()))
                .filter(entity::Column::Channel.eq(endpoint.channel.as_str()))
                .filter(entity::Column::Target.eq(endpoint.target.as_str()))
                .filter(entity::Column::EventTypes.eq(event_types))
                .one(&self.inner.writer)
                .await?;
            found.ok_or_else(|| StoreError::Broken("an endpoint vanished while it was entered".to_owned()))
        })
        .await
        .and_then(read)
    }

    /// Enters a destination as its owner wants it now: one that is there already takes the new secrets and is told again.
    pub async fn renew_endpoint(&self, endpoint: &StoredEndpoint) -> Result<StoredEndpoint, StoreError> {
        let found = self.ensure_endpoint(endpoint).await?;
        let renew = self.statement(
            "update endpoint set destination = $2, disabled = 0, disabled_reason = null where id = $1",
            [Value::from(found.id.0), Value::from(endpoint.destination.as_str())],
        );
        self.within(async {
            self.inner.writer.execute_raw(renew).await?;
            Ok(())
        })
        .await?;
        Ok(StoredEndpoint { destination: endpoint.destination.clone(), disabled: None, ..found })
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

    /// Sends nothing more to a destination.
    pub async fn disable_endpoint(&self, id: EndpointId, reason: &str) -> Result<(), StoreError> {
        let statement = self.statement(
            "update endpoint set disabled = 1, disabled_reason = $2 where id = $1",
            [Value::from(id.0), Value::from(reason)],
        );
        self.within(async {
            self.inner.writer.execute_raw(statement).await?;
            Ok(())
        })
        .await
    }
}

/// `,a,b,` so that a type is found between its commas and nowhere else.
fn joined(event_types: &[String]) -> String {
    if event_types.is_empty() { String::new() } else { format!(",{},", event_types.join(",")) }
}

fn read(row: entity::Model) -> Result<StoredEndpoint, StoreError> {
    let tenant_id =
        TenantId::parse(&row.tenant_id).map_err(|error| StoreError::unreadable("tenant", error))?;
    let event_types = row.event_types.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(StoredEndpoint {
        id: EndpointId(row.id),
        tenant_id,
        channel: row.channel,
        destination: row.destination,
        target: row.target,
        event_types,
        disabled: (row.disabled != 0).then(|| row.disabled_reason.unwrap_or_default()),
        created_at: from_us(row.created_at_us)?,
    })
}
