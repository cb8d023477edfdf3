//! What owners are owed, per endpoint and subject, and what became of it.
//!
//! One row per (endpoint, subject) keeps how far the subject's events have been sent; its work row sends them in order
//! of version. Locks are always taken work first, delivery second: an announcement that finds the work row running
//! leaves it and waits at the delivery row, and whoever ends the work sees the wanted version grow and makes new work.
//!
//! **Fails** as the store does. **Limits**: an endpoint that is disabled is announced nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::boleto::event::EventType;
use crate::domain::ids::{EndpointId, TenantId, WorkId};
use crate::domain::work::{Claim, NewWork, WorkState, kind};

/// News about a subject that somebody may want to know.
#[derive(Debug, Clone)]
pub(super) struct Announcement {
    pub tenant_id: TenantId,
    pub subject_id: Uuid,
    pub version: i64,
    pub event_type: EventType,
    /// The owner's own destination, beside the subscriptions of the tenant.
    pub endpoint_id: Option<Uuid>,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of it is a dead letter.
    pub attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What a delivery has still to send, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    pub endpoint_id: EndpointId,
    pub subject_id: Uuid,
    /// By which name its owner knows the subject, where that is the one of the service before.
    pub legacy_id: Option<String>,
    /// The version up to which the endpoint is to be told.
    pub wanted_version: i64,
    /// JSON that the channel reads.
    pub destination: String,
    pub disabled: bool,
    /// Oldest first. Empty when all has been sent, or the endpoint does not want what is left.
    pub events: Vec<DueEvent>,
}

/// One event to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEvent {
    pub id: Uuid,
    pub event_type: String,
    pub status: String,
    pub version: i64,
    pub reference_id: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

/// The end of one attempt to deliver.
#[derive(Debug, Clone)]
pub struct DeliverySettlement {
    pub claim: Claim,
    pub endpoint_id: EndpointId,
    /// Everything up to this version has been taken; 0 for nothing.
    pub sent_version: i64,
    /// Up to which version there was news when the attempt was made.
    pub wanted_version: i64,
    /// What the other side said last, short and without personal data.
    pub answer: String,
    pub change: DeliveryChange,
    pub now: DateTime<Utc>,
}

/// What the attempt came to.
#[derive(Debug, Clone)]
pub enum DeliveryChange {
    /// All that was due has been taken.
    Delivered,
    /// To be tried again.
    Later { run_at: DateTime<Utc>, state: WorkState, attempt_counts: bool },
    /// Never again, or no attempts left: a dead letter.
    GivenUp,
}

/// The payload of delivery work.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct DeliveryPayload {
    pub endpoint_id: EndpointId,
}

/// The queue of an endpoint's deliveries: one each, so that a slow endpoint holds back its own only.
pub fn queue_of(channel: &str, endpoint_id: Uuid) -> String {
    format!("delivery/{channel}/{endpoint_id}")
}

impl Store {
    /// Writes down, in the transaction of the change, who must be told of it.
    pub(super) async fn announce(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Announcement],
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let targets = self.targets(transaction, items).await?;
        if targets.is_empty() {
            return Ok(());
        }
        let by_subject: HashMap<Uuid, &Announcement> =
            items.iter().map(|item| (item.subject_id, item)).collect();
        let mut work = Vec::with_capacity(targets.len());
        for target in &targets {
            let item = by_subject[&target.subject_id];
            work.push(target.work(item)?);
        }
        self.insert_work(transaction, &work).await?;
        let rows = Rows::new()
            .uuid("endpoint_id", targets.iter().map(|target| target.endpoint_id))
            .uuid("subject_id", targets.iter().map(|target| target.subject_id))
            .text(
                "tenant_id",
                targets.iter().map(|t| by_subject[&t.subject_id].tenant_id.as_str().to_owned()),
            )
            .integer("wanted_version", targets.iter().map(|target| by_subject[&target.subject_id].version))
            .integer("updated_at_us", targets.iter().map(|target| to_us(by_subject[&target.subject_id].now)));
        let upsert = " insert into delivery
                (endpoint_id, subject_id, tenant_id, wanted_version, sent_version, state, attempts, updated_at_us)
              select endpoint_id, subject_id, tenant_id, wanted_version, 0, 'pending', 0, updated_at_us from r
              where true order by endpoint_id, subject_id
              on conflict (endpoint_id, subject_id) do update set wanted_version = excluded.wanted_version,
                state = 'pending', updated_at_us = excluded.updated_at_us";
        execute(transaction, self.statement_over(rows, vec![], upsert)).await?;
        Ok(())
    }

    async fn targets(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Announcement],
    ) -> Result<Vec<Target>, StoreError> {
        let rows = Rows::new()
            .uuid("subject_id", items.iter().map(|item| item.subject_id))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("event_type", items.iter().map(|item| item.event_type.name()))
            .optional_uuid("endpoint_id", items.iter().map(|item| item.endpoint_id));
        let find = " select r.subject_id, e.id as endpoint_id, e.channel from r join endpoint e on e.id = r.endpoint_id
              where e.disabled = 0
              union select r.subject_id, e.id as endpoint_id, e.channel from r join endpoint e on e.tenant_id = r.tenant_id
              where e.event_types <> '' and e.disabled = 0
                and (e.event_types = ',*,' or e.event_types like '%,' || r.event_type || ',%')";
        all(transaction, self.statement_over(rows, vec![], find)).await?.iter().map(Target::read).collect()
    }

    /// What claimed deliveries have to send, one answer per claim and in their order; nothing where a delivery is gone.
    pub async fn due_deliveries(&self, claims: &[Claim]) -> Result<Vec<Option<DueDelivery>>, StoreError> {
        // A payload that cannot be read names no endpoint, and its claim gets no answer.
        let endpoint_of = |claim: &Claim| {
            let payload: Result<DeliveryPayload, _> = serde_json::from_str(&claim.payload);
            payload.map_or(EndpointId(Uuid::nil()), |payload| payload.endpoint_id)
        };
        let endpoints: Vec<EndpointId> = claims.iter().map(endpoint_of).collect();
        let rows = Rows::new()
            .uuid("endpoint_id", endpoints.iter().map(|endpoint| endpoint.0))
            .uuid("subject_id", claims.iter().map(|claim| claim.subject_id));
        // An endpoint without subscriptions was named by the boleto itself and is told of every decision about it.
        // In two steps, so that the slice leads and no plan begins with all that an endpoint was ever owed.
        let find = ", d as materialized (
                select d.endpoint_id, d.subject_id, d.wanted_version, d.sent_version
                from r join delivery d on d.endpoint_id = r.endpoint_id and d.subject_id = r.subject_id
              )
              select d.endpoint_id, d.subject_id, d.wanted_version, e.destination, e.disabled,
                v.id, v.event_type, v.status, v.version, v.reference_id, v.occurred_at_us, l.legacy_id
              from d join endpoint e on e.id = d.endpoint_id
              left join legacy_id l on l.boleto_id = d.subject_id
              left join boleto_event v on v.boleto_id = d.subject_id and v.version > d.sent_version
                and v.version <= d.wanted_version
                and v.event_type not in ('boleto.issued', 'boleto.pending_registration')
                and (e.event_types in ('', ',*,') or e.event_types like '%,' || v.event_type || ',%')
              order by d.subject_id, v.version";
        let statement = self.statement_over(rows, vec![], find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut due: HashMap<(Uuid, Uuid), DueDelivery> = HashMap::new();
        for row in &found {
            let key = (row.try_get("", "endpoint_id")?, row.try_get("", "subject_id")?);
            let event = DueEvent::read(row)?;
            if let Some(known) = due.get_mut(&key) {
                known.events.extend(event);
            } else {
                due.insert(key, DueDelivery::read(row, event)?);
            }
        }
        let answer = |(claim, endpoint): (&Claim, EndpointId)| due.remove(&(endpoint.0, claim.subject_id));
        Ok(claims.iter().zip(endpoints).map(answer).collect())
    }

    /// Writes down what attempts to deliver came to. False for a row that had moved on to another holder.
    pub async fn settle_deliveries(&self, items: &[DeliverySettlement]) -> Vec<Result<bool, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.settle_delivery_group(transaction, items))
        })
        .await
    }

    async fn settle_delivery_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[DeliverySettlement],
    ) -> Result<Vec<bool>, StoreError> {
        let now = items.first().map_or_else(Utc::now, |item| item.now);
        let held = self.lead(transaction, items.iter().map(DeliverySettlement::fate), now).await?;
        let held_items: Vec<&DeliverySettlement> =
            items.iter().filter(|item| held.contains(&item.claim.id)).collect();
        let behind = self.update_deliveries(transaction, &held_items).await?;
        self.insert_work(transaction, &behind).await?;
        Ok(items.iter().map(|item| held.contains(&item.claim.id)).collect())
    }

    /// Moves the delivery rows on, and returns new work for those whose wanted version grew while they were being sent.
    async fn update_deliveries(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<Vec<NewWork>, StoreError> {
        if items.is_empty() {
            return Ok(vec![]);
        }
        let state = |item: &DeliverySettlement| match item.change {
            DeliveryChange::Delivered => "delivered",
            DeliveryChange::GivenUp => "given_up",
            DeliveryChange::Later { .. } => "pending",
        };
        let rows = Rows::new()
            .uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.0))
            .uuid("subject_id", items.iter().map(|item| item.claim.subject_id))
            .integer("sent", items.iter().map(|item| item.sent_version))
            .text("state", items.iter().map(|item| state(item).to_owned()))
            .optional_text("answer", items.iter().map(|item| Some(item.answer.clone())))
            .integer("updated_at_us", items.iter().map(|item| to_us(item.now)));
        let update = " update delivery set
                sent_version = case when r.sent > delivery.sent_version then r.sent else delivery.sent_version end,
                state = case when r.state = 'delivered' and r.sent < delivery.wanted_version then 'pending' else r.state end,
                attempts = delivery.attempts + 1, last_answer = r.answer, updated_at_us = r.updated_at_us
              from r where delivery.endpoint_id = r.endpoint_id and delivery.subject_id = r.subject_id
              returning delivery.endpoint_id, delivery.subject_id, delivery.wanted_version";
        let mut wanted = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], update)).await? {
            let key: (Uuid, Uuid) = (row.try_get("", "endpoint_id")?, row.try_get("", "subject_id")?);
            let version: i64 = row.try_get("", "wanted_version")?;
            wanted.insert(key, version);
        }
        let there_is_news = |item: &DeliverySettlement| {
            let known = wanted.get(&(item.endpoint_id.0, item.claim.subject_id));
            known.is_some_and(|version| *version > item.wanted_version)
        };
        Ok(items
            .iter()
            // What goes back is still there for the news; what ended, delivered or given up, is not.
            .filter(|item| !matches!(item.change, DeliveryChange::Later { .. }))
            .filter(|item| there_is_news(item))
            .map(|item| follow_up(item))
            .collect())
    }
}

impl DeliverySettlement {
    fn fate(&self) -> Fate {
        let claim = &self.claim;
        match &self.change {
            DeliveryChange::Delivered => Fate::End(Ending::of(claim, WorkState::Completed, None)),
            DeliveryChange::GivenUp => {
                Fate::End(Ending::of(claim, WorkState::Discarded, Some(self.answer.clone())))
            }
            DeliveryChange::Later { run_at, state, attempt_counts } => Fate::Back(PutBack {
                id: claim.id,
                runner_id: claim.runner_id,
                fence: claim.fence,
                state: *state,
                run_at: *run_at,
                error: Some(self.answer.clone()),
                attempt_counts: *attempt_counts,
                nothing_was_sent: false,
            }),
        }
    }
}

/// The same work once more, under a new id: its subject went on while it was being told.
fn follow_up(item: &DeliverySettlement) -> NewWork {
    let DeliverySettlement { claim, now, .. } = item;
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: claim.tenant_id.clone(),
        kind: kind::NOTIFICATION_DELIVER,
        queue: claim.queue.clone(),
        priority: 0,
        run_at: *now,
        attempts_max: claim.attempts_max,
        unique_key: Some(unique_key(item.endpoint_id.0, claim.subject_id)),
        subject_id: claim.subject_id,
        payload: claim.payload.clone(),
        traceparent: claim.traceparent.clone(),
        claimed_by: None,
        sent_at: None,
        created_at: *now,
    }
}

fn unique_key(endpoint_id: Uuid, subject_id: Uuid) -> String {
    format!("deliver:{endpoint_id}:{subject_id}")
}

struct Target {
    subject_id: Uuid,
    endpoint_id: Uuid,
    channel: String,
}

impl Target {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            subject_id: row.try_get("", "subject_id")?,
            endpoint_id: row.try_get("", "endpoint_id")?,
            channel: row.try_get("", "channel")?,
        })
    }

    fn work(&self, item: &Announcement) -> Result<NewWork, StoreError> {
        Ok(NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: item.tenant_id.clone(),
            kind: kind::NOTIFICATION_DELIVER,
            queue: queue_of(&self.channel, self.endpoint_id),
            priority: 0,
            run_at: item.now,
            attempts_max: item.attempts_max,
            unique_key: Some(unique_key(self.endpoint_id, self.subject_id)),
            subject_id: item.subject_id,
            payload: super::boleto::to_json(&DeliveryPayload { endpoint_id: EndpointId(self.endpoint_id) })?,
            traceparent: item.traceparent.clone(),
            claimed_by: None,
            sent_at: None,
            created_at: item.now,
        })
    }
}

impl DueDelivery {
    fn read(row: &QueryResult, event: Option<DueEvent>) -> Result<Self, StoreError> {
        let disabled: i64 = row.try_get("", "disabled")?;
        Ok(Self {
            endpoint_id: EndpointId(row.try_get("", "endpoint_id")?),
            subject_id: row.try_get("", "subject_id")?,
            legacy_id: row.try_get("", "legacy_id")?,
            wanted_version: row.try_get("", "wanted_version")?,
            destination: row.try_get("", "destination")?,
            disabled: disabled != 0,
            events: event.into_iter().collect(),
        })
    }
}

impl DueEvent {
    /// Nothing for a row that stands only for its delivery.
    fn read(row: &QueryResult) -> Result<Option<Self>, StoreError> {
        let Some(id) = row.try_get("", "id")? else { return Ok(None) };
        Ok(Some(Self {
            id,
            event_type: row.try_get("", "event_type")?,
            status: row.try_get("", "status")?,
            version: row.try_get("", "version")?,
            reference_id: row.try_get("", "reference_id")?,
            occurred_at: from_us(row.try_get("", "occurred_at_us")?)?,
        }))
    }
}
