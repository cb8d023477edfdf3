//! Who must be told of what has just happened, written down in the transaction of the change.
//!
//! **Owns** nothing. Locks are always taken work first, delivery second: an announcement that finds the work row running
//! leaves it and waits at the delivery row, and whoever ends the work sees the wanted version grow and makes new work.
//! **Fails** as the store does. **Limits**: an endpoint that is disabled is announced nothing; a subject's kind and its
//! filtered attributes never change, so that an endpoint hears of it from beginning to end or not at all; only a transfer
//! that was skipped, and put right before its first run, may name others then. What was cancelled is not sent with the news
//! that come after it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::delivery::{DeliveryPayload, delivery_key, queue_of};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, to_us};
use crate::domain::event::{EventFilter, SubjectKind, is_wanted};
use crate::domain::ids::{EndpointId, TenantId, WorkId};
use crate::domain::work::{NewWork, kind};

/// News about a subject that somebody may want to know.
#[derive(Debug, Clone)]
pub(super) struct Announcement {
    pub tenant_id: TenantId,
    pub subject_kind: SubjectKind,
    pub subject_id: Uuid,
    pub version: i64,
    pub event_type: String,
    /// The owner's own destination, beside the subscriptions of the tenant.
    pub endpoint_id: Option<Uuid>,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of it is a dead letter.
    pub attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// Something that happened to anything but a boleto.
#[derive(Debug, Clone)]
pub(super) struct SubjectEvent {
    pub id: Uuid,
    /// A JSON object, as its owner will read it.
    pub data: String,
    pub news: Announcement,
}

impl Store {
    /// Writes events down and announces them.
    pub(super) async fn tell_events(
        &self,
        transaction: &DatabaseTransaction,
        events: Vec<SubjectEvent>,
    ) -> Result<(), StoreError> {
        let rows = Rows::new()
            .uuid("id", events.iter().map(|event| event.id))
            .text("tenant_id", events.iter().map(|event| event.news.tenant_id.as_str().to_owned()))
            .text("subject_kind", events.iter().map(|event| event.news.subject_kind.as_str().to_owned()))
            .uuid("subject_id", events.iter().map(|event| event.news.subject_id))
            .integer("version", events.iter().map(|event| event.news.version))
            .text("event_type", events.iter().map(|event| event.news.event_type.clone()))
            .text("data", events.iter().map(|event| event.data.clone()))
            .integer("occurred_at_us", events.iter().map(|event| to_us(event.news.now)));
        let insert = " insert into subject_event
                (id, tenant_id, subject_kind, subject_id, version, event_type, data, occurred_at_us)
              select id, tenant_id, subject_kind, subject_id, version, event_type, data, occurred_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        let news: Vec<Announcement> = events.into_iter().map(|event| event.news).collect();
        self.announce(transaction, &news).await
    }

    /// Writes down, in the transaction of the change, who must be told of it. A subject is named once.
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
            work.push(target.work(by_subject[&target.subject_id])?);
        }
        self.insert_work(transaction, &work).await?;
        let item_of = |target: &Target| by_subject[&target.subject_id];
        let rows = Rows::new()
            .uuid("endpoint_id", targets.iter().map(|target| target.endpoint_id))
            .uuid("subject_id", targets.iter().map(|target| target.subject_id))
            .text("subject_kind", targets.iter().map(|t| item_of(t).subject_kind.as_str().to_owned()))
            .text("tenant_id", targets.iter().map(|target| item_of(target).tenant_id.as_str().to_owned()))
            .integer("wanted_version", targets.iter().map(|target| item_of(target).version))
            .integer("updated_at_us", targets.iter().map(|target| to_us(item_of(target).now)));
        let upsert = " insert into delivery
                (endpoint_id, subject_id, subject_kind, tenant_id, wanted_version, sent_version, state, attempts,
                 updated_at_us)
              select endpoint_id, subject_id, subject_kind, tenant_id, wanted_version, 0, 'pending', 0, updated_at_us
              from r where true order by endpoint_id, subject_id
              on conflict (endpoint_id, subject_id) do update set wanted_version = excluded.wanted_version,
                sent_version = case when delivery.state = 'cancelled' then delivery.wanted_version
                  else delivery.sent_version end,
                state = 'pending', stopped_at_us = null, updated_at_us = excluded.updated_at_us";
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
            .text("event_type", items.iter().map(|item| item.event_type.clone()))
            .text("every_of_kind", items.iter().map(|item| format!("{}.*", item.subject_kind.as_str())))
            .optional_uuid("endpoint_id", items.iter().map(|item| item.endpoint_id));
        let find =
            " select r.subject_id, e.tenant_id, e.id as endpoint_id, e.channel, cast(null as text) as filters
              from r join endpoint e on e.id = r.endpoint_id
              where e.disabled = 0
              union select r.subject_id, e.tenant_id, e.id as endpoint_id, e.channel, e.filters
              from r join endpoint e on e.tenant_id = r.tenant_id
              where e.event_types <> '' and e.disabled = 0
                and (e.event_types = ',*,' or e.event_types like '%,' || r.event_type || ',%'
                  or e.event_types like '%,' || r.every_of_kind || ',%')";
        let found = all(transaction, self.statement_over(rows, vec![], find)).await?;
        let mut targets = found.iter().map(Target::read).collect::<Result<Vec<_>, _>>()?;
        if targets.iter().any(|target| !target.filters.is_empty()) {
            let attributes = self.attributes_of(transaction, &targets).await?;
            targets.retain(|target| {
                is_wanted(&target.filters, attributes.get(&target.subject_id).map_or(&[], Vec::as_slice))
            });
        }
        Ok(targets)
    }

    /// What filters ask about the subjects that somebody wants by a filter.
    async fn attributes_of(
        &self,
        transaction: &DatabaseTransaction,
        targets: &[Target],
    ) -> Result<HashMap<Uuid, Vec<(&'static str, String)>>, StoreError> {
        let filtered = targets.iter().filter(|target| !target.filters.is_empty());
        let filtered: Vec<&Target> = filtered.collect();
        let rows = Rows::new()
            .uuid("id", filtered.iter().map(|target| target.subject_id))
            .text("tenant_id", filtered.iter().map(|target| target.tenant_id.clone()));
        // By the primary key of each kind; an id is of one kind only.
        let find =
            " select distinct r.id, b.bank_account_id, b.reference_id, t.feed, t.company_key, t.person_key,
                coalesce(p.aspsp, c.aspsp, s.aspsp) as aspsp,
                (select u.external_id from psu_user u where u.id = coalesce(p.user_id, c.user_id, s.user_id)) as user_id
              from r left join boleto b on b.tenant_id = r.tenant_id and b.id = r.id
              left join transfer t on t.tenant_id = r.tenant_id and t.id = r.id
              left join payment p on p.tenant_id = r.tenant_id and p.id = r.id
              left join consent c on c.tenant_id = r.tenant_id and c.id = r.id
              left join api_session s on s.tenant_id = r.tenant_id and s.id = r.id";
        let mut attributes = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], find)).await? {
            let account: Option<Uuid> = row.try_get("", "bank_account_id")?;
            let mut known = Vec::from_iter(account.map(|id| ("bank_account_id", id.to_string())));
            for name in ["reference_id", "feed", "company_key", "person_key", "aspsp", "user_id"] {
                let value: Option<String> = row.try_get("", name)?;
                known.extend(value.map(|value| (name, value)));
            }
            attributes.insert(row.try_get("", "id")?, known);
        }
        Ok(attributes)
    }
}

struct Target {
    tenant_id: String,
    subject_id: Uuid,
    endpoint_id: Uuid,
    channel: String,
    filters: Vec<EventFilter>,
}

impl Target {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let filters: Option<String> = row.try_get("", "filters")?;
        let filters = filters.as_deref().map(|text| super::boleto::from_json("filters", text)).transpose()?;
        Ok(Self {
            tenant_id: row.try_get("", "tenant_id")?,
            subject_id: row.try_get("", "subject_id")?,
            endpoint_id: row.try_get("", "endpoint_id")?,
            channel: row.try_get("", "channel")?,
            filters: filters.unwrap_or_default(),
        })
    }

    fn work(&self, item: &Announcement) -> Result<NewWork, StoreError> {
        let payload = DeliveryPayload { endpoint_id: EndpointId(self.endpoint_id), event_id: None };
        Ok(NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: item.tenant_id.clone(),
            kind: kind::NOTIFICATION_DELIVER,
            queue: queue_of(&self.channel, self.endpoint_id),
            priority: 0,
            run_at: item.now,
            attempts_max: item.attempts_max,
            unique_key: Some(delivery_key(self.endpoint_id, self.subject_id)),
            subject_id: item.subject_id,
            payload: super::boleto::to_json(&payload)?,
            traceparent: item.traceparent.clone(),
            claimed_by: None,
            sent_at: None,
            created_at: item.now,
        })
    }
}
