//! How far endpoints have been told about subjects, page by page.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: an endpoint's deliveries are walked by their key, newest
//! subject first; those of one state are looked for among [`LOOKED_AT_MAX`] keys a page, so that a page may hold fewer than
//! were asked for, or none, and still have one behind it. A million deliveries make no page dearer. What is given up or
//! cancelled has an index of its own; what is pending has none, for every delivery would have to enter and leave it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use super::delivery::delivery_key;
use super::rows::Rows;
use super::transaction::all;
use super::{Store, StoreError, StoreKind, from_us};
use crate::domain::event::SubjectKind;
use crate::domain::ids::{EndpointId, TenantId};

/// Keys that one page of one state looks at.
pub const LOOKED_AT_MAX: i64 = 10_000;

/// How far one endpoint has been told about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    pub endpoint_id: EndpointId,
    pub channel: String,
    pub subject_kind: SubjectKind,
    pub subject_id: Uuid,
    pub state: DeliveryState,
    /// Everything up to this version was taken; 0 for nothing.
    pub sent_version: i64,
    pub wanted_version: i64,
    pub attempts: i64,
    pub last_answer: Option<String>,
    pub updated_at: DateTime<Utc>,
    /// While it is pending; nothing when no work lives that would send it.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Pending,
    Delivered,
    GivenUp,
    Cancelled,
}

impl DeliveryState {
    /// Every state there is.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::GivenUp, Self::Cancelled];

    /// The state's name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it is among the few that have an index of their own.
    fn has_stopped(self) -> bool {
        matches!(self, Self::GivenUp | Self::Cancelled)
    }
}

/// Whose deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub of: DeliveriesOf,
    pub state: Option<DeliveryState>,
}

/// By what they are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveriesOf {
    Endpoint(EndpointId),
    Subject(Uuid),
    Both(EndpointId, Uuid),
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<DeliveryView>,
    /// After which subject, or which endpoint where a subject was asked about, the next page begins.
    pub next: Option<Uuid>,
}

/// By which column deliveries are found, and by which they are walked.
struct Key {
    fixed: &'static str,
    fixed_value: Uuid,
    walked: &'static str,
}

/// Spelled as the index of those has it.
const STOPPED: &str = "and d.stopped_at_us is not null";

/// The condition for one state.
fn in_state(state: DeliveryState) -> String {
    let among = if state.has_stopped() { STOPPED } else { "" };
    format!("{among} and d.state = '{}'", state.as_str())
}

impl Store {
    /// A page of a tenant's deliveries: of an endpoint newest subject first, of a subject newest endpoint first.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<DeliveryPage, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        let one_more = Value::from(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
        let before = before.unwrap_or(Uuid::max());
        let mut looked_at = None;
        let (by, further, further_value) = match filter.of {
            DeliveriesOf::Endpoint(id) => {
                if let Some(state) = filter.state {
                    looked_at = self.look_ahead(tenant, id, state, before).await?;
                }
                let from = Value::from(looked_at.unwrap_or(Uuid::nil()));
                (
                    Key { fixed: "endpoint_id", fixed_value: id.0, walked: "subject_id" },
                    "and d.subject_id >= $5",
                    from,
                )
            }
            DeliveriesOf::Subject(id) => {
                let from = Value::from(Uuid::nil());
                (
                    Key { fixed: "subject_id", fixed_value: id, walked: "endpoint_id" },
                    "and d.endpoint_id >= $5",
                    from,
                )
            }
            DeliveriesOf::Both(endpoint, id) => {
                let only = Value::from(endpoint.0);
                (
                    Key { fixed: "subject_id", fixed_value: id, walked: "endpoint_id" },
                    "and d.endpoint_id = $5",
                    only,
                )
            }
        };
        let Key { fixed, fixed_value, walked } = by;
        let in_state = filter.state.map_or_else(String::new, in_state);
        let statement = self.statement(
            &format!(
                "select d.endpoint_id, d.subject_id, d.subject_kind, d.state, d.sent_version, d.wanted_version, d.attempts,
                   d.last_answer, d.updated_at_us, e.channel
                 from delivery d join endpoint e on e.id = d.endpoint_id
                 where d.{fixed} = $1 and d.tenant_id = $2 and d.{walked} < $3 {further} {in_state}
                 order by d.{walked} desc limit $4"
            ),
            [Value::from(fixed_value), Value::from(tenant.as_str()), Value::from(before), one_more, further_value],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut deliveries = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let has_more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let last = deliveries.last().filter(|_| has_more);
        let next = last.map(|last| if walked == "subject_id" { last.subject_id } else { last.endpoint_id.0 });
        let next = next.or(looked_at);
        self.add_next_attempts(&mut deliveries).await?;
        Ok(DeliveryPage { deliveries, next })
    }

    /// One delivery of a tenant.
    pub async fn delivery(
        &self,
        tenant: &TenantId,
        endpoint_id: EndpointId,
        subject_id: Uuid,
    ) -> Result<Option<DeliveryView>, StoreError> {
        let filter = DeliveryFilter { of: DeliveriesOf::Both(endpoint_id, subject_id), state: None };
        Ok(self.deliveries(tenant, filter, None, 1).await?.deliveries.pop())
    }

    /// The last subject that a page of one state looks at, if there are more behind it.
    async fn look_ahead(
        &self,
        tenant: &TenantId,
        endpoint_id: EndpointId,
        state: DeliveryState,
        before: Uuid,
    ) -> Result<Option<Uuid>, StoreError> {
        let among = if state.has_stopped() { STOPPED } else { "" };
        let statement = self.statement(
            &format!(
                "select d.subject_id from delivery d
                 where d.endpoint_id = $1 and d.tenant_id = $2 and d.subject_id < $3 {among}
                 order by d.subject_id desc limit 1 offset {}",
                LOOKED_AT_MAX - 1
            ),
            [Value::from(endpoint_id.0), Value::from(tenant.as_str()), Value::from(before)],
        );
        self.within(async {
            let found = self.reader().query_one_raw(statement).await?;
            Ok(found.map(|row| row.try_get("", "subject_id")).transpose()?)
        })
        .await
    }

    /// When those of them that are pending are tried next, from the work that does so.
    async fn add_next_attempts(&self, deliveries: &mut [DeliveryView]) -> Result<(), StoreError> {
        let pending = || deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Pending);
        if pending().next().is_none() {
            return Ok(());
        }
        let rows = Rows::new().text("unique_key", pending().map(DeliveryView::key));
        let is_named = match self.kind() {
            StoreKind::PostgreSql => "= any(array(select unique_key from r))",
            StoreKind::Sqlite => "in (select unique_key from r)",
        };
        let find = format!(
            " select unique_key, run_at_us from work where unique_key is not null and unique_key {is_named}"
        );
        let statement = self.statement_over(rows, vec![], &find);
        let mut next = HashMap::new();
        for row in self.within(async { all(self.reader(), statement).await }).await? {
            let (key, run_at_us): (String, i64) =
                (row.try_get("", "unique_key")?, row.try_get("", "run_at_us")?);
            next.insert(key, from_us(run_at_us)?);
        }
        for delivery in deliveries.iter_mut().filter(|delivery| delivery.state == DeliveryState::Pending) {
            delivery.next_attempt_at = next.get(&delivery.key()).copied();
        }
        Ok(())
    }
}

impl DeliveryView {
    fn key(&self) -> String {
        delivery_key(self.endpoint_id.0, self.subject_id)
    }
}

fn read(row: &QueryResult) -> Result<DeliveryView, StoreError> {
    let (kind, state): (String, String) = (row.try_get("", "subject_kind")?, row.try_get("", "state")?);
    Ok(DeliveryView {
        endpoint_id: EndpointId(row.try_get("", "endpoint_id")?),
        channel: row.try_get("", "channel")?,
        subject_kind: SubjectKind::parse(&kind)
            .ok_or_else(|| StoreError::unreadable("subject kind", &kind))?,
        subject_id: row.try_get("", "subject_id")?,
        state: DeliveryState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        sent_version: row.try_get("", "sent_version")?,
        wanted_version: row.try_get("", "wanted_version")?,
        attempts: row.try_get("", "attempts")?,
        last_answer: row.try_get("", "last_answer")?,
        updated_at: from_us(row.try_get("", "updated_at_us")?)?,
        next_attempt_at: None,
    })
}
