//! What owners are owed, per endpoint and subject, and what became of it.
//!
//! One row per (endpoint, subject) keeps how far the subject's events have been sent; its work row sends them in order
//! of version. One event that somebody wants sent once more is a row of work of its own and moves nothing on.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what an endpoint answered is kept for
//! `notification.attempts_kept`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::all;
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::event::SubjectKind;
use crate::domain::ids::{EndpointId, EventId, WorkId};
use crate::domain::work::{Claim, NewWork, WorkState, kind};

/// What a delivery has still to send, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    pub endpoint_id: EndpointId,
    pub subject_kind: SubjectKind,
    pub subject_id: Uuid,
    /// By which name its owner knows the subject, where that is the one of the service before.
    pub legacy_id: Option<String>,
    /// The version up to which the endpoint is to be told.
    pub wanted_version: i64,
    /// JSON that the channel reads.
    pub destination: String,
    pub disabled: bool,
    /// Since when every delivery to the endpoint has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// The one event that somebody wants sent once more, which moves nothing on.
    pub resend: Option<EventId>,
    /// Oldest first. Empty when all has been sent, or the endpoint does not want what is left.
    pub events: Vec<DueEvent>,
}

/// One event to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEvent {
    pub id: Uuid,
    pub event_type: String,
    pub version: i64,
    pub occurred_at: DateTime<Utc>,
    pub content: EventContent,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventContent {
    /// Of a boleto.
    Boleto { status: String, reference_id: Option<String> },
    /// Of anything else: a JSON object.
    Data(String),
}

/// One try to have one event taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    pub id: Uuid,
    pub event_id: EventId,
    pub event_type: String,
    pub version: i64,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub outcome: AttemptOutcome,
    /// The HTTP or SMTP status with which it was accepted; a failure's stands in its answer.
    pub status: Option<u16>,
    /// What the other side said: cut, and without personal data.
    pub answer: Option<String>,
    pub provider_message_id: Option<String>,
    pub is_resend: bool,
}

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    Accepted,
    Refused,
    Unavailable,
    Unknown,
    Gone,
    Misconfigured,
}

impl AttemptOutcome {
    /// Every outcome there is.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Refused, Self::Unavailable, Self::Unknown, Self::Gone, Self::Misconfigured];

    /// The outcome's name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
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
    /// The one event that somebody wanted sent once more: the delivery stays where it is.
    pub resend: Option<EventId>,
    /// What was tried, in its order.
    pub attempts: Vec<DeliveryAttempt>,
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
    /// This event once more, instead of all that was not taken yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
}

/// The queue of an endpoint's deliveries: one each, so that a slow endpoint holds back its own only.
pub fn queue_of(channel: &str, endpoint_id: Uuid) -> String {
    format!("delivery/{channel}/{endpoint_id}")
}

/// An endpoint without subscriptions was named by the subject itself and is told of every decision about it. What was erased
/// keeps its place as an empty object, and is not told. In two steps, so that the slice leads and no plan begins with all that an endpoint was ever owed.
const FIND_DUE: &str = ", d as materialized (
        select d.endpoint_id, d.subject_id, d.subject_kind, d.wanted_version, r.resend_id,
          case when d.state = 'cancelled' then d.wanted_version else d.sent_version end as sent_version
        from r join delivery d on d.endpoint_id = r.endpoint_id and d.subject_id = r.subject_id
      )
      select d.endpoint_id, d.subject_id, d.subject_kind, d.wanted_version, d.resend_id, e.destination, e.disabled,
        e.failing_since_us, coalesce(v.id, s.id) as id, coalesce(v.event_type, s.event_type) as event_type,
        coalesce(v.version, s.version) as version, coalesce(v.occurred_at_us, s.occurred_at_us) as occurred_at_us,
        v.status, v.reference_id, s.data, l.legacy_id
      from d join endpoint e on e.id = d.endpoint_id
      left join legacy_id l on l.boleto_id = d.subject_id
      left join boleto_event v on d.subject_kind = 'boleto' and v.boleto_id = d.subject_id and (v.id = d.resend_id
        or (d.resend_id is null and v.version > d.sent_version and v.version <= d.wanted_version
          and v.event_type not in ('boleto.issued', 'boleto.pending_registration')
          and (e.event_types in ('', ',*,') or e.event_types like '%,boleto.*,%'
            or e.event_types like '%,' || v.event_type || ',%')))
      left join subject_event s on d.subject_kind <> 'boleto' and s.subject_id = d.subject_id and s.data <> '{}' and (s.id = d.resend_id
        or (d.resend_id is null and s.version > d.sent_version and s.version <= d.wanted_version
          and (e.event_types in ('', ',*,') or e.event_types like '%,' || d.subject_kind || '.*,%'
            or e.event_types like '%,' || s.event_type || ',%')))
      order by d.subject_id, version";

impl Store {
    /// What claimed deliveries have to send, one answer per claim and in their order; nothing where a delivery is gone.
    pub async fn due_deliveries(&self, claims: &[Claim]) -> Result<Vec<Option<DueDelivery>>, StoreError> {
        // A payload that cannot be read names no endpoint, and its claim gets no answer.
        let nowhere = DeliveryPayload { endpoint_id: EndpointId(Uuid::nil()), event_id: None };
        let payload_of = |claim: &Claim| serde_json::from_str(&claim.payload).unwrap_or(nowhere.clone());
        let payloads: Vec<DeliveryPayload> = claims.iter().map(payload_of).collect();
        let rows = Rows::new()
            .uuid("endpoint_id", payloads.iter().map(|payload| payload.endpoint_id.0))
            .uuid("subject_id", claims.iter().map(|claim| claim.subject_id))
            .optional_uuid("resend_id", payloads.iter().map(|payload| payload.event_id.map(|id| id.0)));
        let statement = self.statement_over(rows, vec![], FIND_DUE);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut due: HashMap<(Uuid, Uuid, Option<Uuid>), DueDelivery> = HashMap::new();
        for row in &found {
            let key = (
                row.try_get("", "endpoint_id")?,
                row.try_get("", "subject_id")?,
                row.try_get("", "resend_id")?,
            );
            let event = DueEvent::read(row)?;
            if let Some(known) = due.get_mut(&key) {
                known.events.extend(event);
            } else {
                due.insert(key, DueDelivery::read(row, event)?);
            }
        }
        let answer = |(claim, payload): (&Claim, DeliveryPayload)| {
            due.remove(&(payload.endpoint_id.0, claim.subject_id, payload.event_id.map(|id| id.0)))
        };
        Ok(claims.iter().zip(payloads).map(answer).collect())
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
        let now_are = self.update_deliveries(transaction, &held_items).await?;
        self.insert_attempts(transaction, &held_items).await?;
        let with_state = held_items.iter().filter(|item| item.resend.is_none()).filter_map(|item| {
            let now_is = now_are.get(&(item.endpoint_id.0, item.claim.subject_id))?;
            Some((*item, now_is))
        });
        let (mut behind, mut cancelled) = (Vec::new(), Vec::new());
        for (item, now_is) in with_state {
            if now_is.state == "cancelled" {
                cancelled.push(item);
            } else if now_is.wants_more_than(item) {
                behind.push(follow_up(item));
            }
        }
        self.insert_work(transaction, &behind).await?;
        self.end_with_cancelled(transaction, &cancelled).await?;
        self.settle_erased(transaction, &held_items).await?;
        Ok(items.iter().map(|item| held.contains(&item.claim.id)).collect())
    }

    /// Moves the delivery rows on, and returns what they are now. Of resends nothing is moved and nothing returned.
    async fn update_deliveries(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<HashMap<(Uuid, Uuid), NowIs>, StoreError> {
        let items: Vec<&&DeliverySettlement> = items.iter().filter(|item| item.resend.is_none()).collect();
        if items.is_empty() {
            return Ok(HashMap::new());
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
            .integer("wanted", items.iter().map(|item| item.wanted_version))
            .integer("tried", items.iter().map(|item| i64::from(!item.attempts.is_empty())))
            .text("state", items.iter().map(|item| state(item).to_owned()))
            .optional_text("answer", items.iter().map(|item| Some(item.answer.clone())))
            .integer("updated_at_us", items.iter().map(|item| to_us(item.now)));
        let update = format!(
            " update delivery set
                sent_version = case when {CANCELLED} and r.tried = 0 then delivery.sent_version
                  when r.sent > delivery.sent_version then r.sent else delivery.sent_version end,
                state = {STATE_AFTER},
                stopped_at_us = case {STATE_AFTER} when 'given_up' then r.updated_at_us
                  when 'cancelled' then delivery.stopped_at_us end,
                attempts = delivery.attempts + r.tried, updated_at_us = r.updated_at_us,
                last_answer = case when {CANCELLED} and r.tried = 0 then delivery.last_answer else r.answer end
              from r where delivery.endpoint_id = r.endpoint_id and delivery.subject_id = r.subject_id
              returning delivery.endpoint_id, delivery.subject_id, delivery.wanted_version, delivery.state"
        );
        let mut now_are = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &update)).await? {
            let now_is = NowIs {
                state: row.try_get("", "state")?,
                wanted_version: row.try_get("", "wanted_version")?,
            };
            now_are.insert((row.try_get("", "endpoint_id")?, row.try_get("", "subject_id")?), now_is);
        }
        Ok(now_are)
    }
}

/// That the row was cancelled while it was being sent.
const CANCELLED: &str = "delivery.state = 'cancelled'";

/// What a delivery is after an attempt. One that was cancelled meanwhile stays so unless everything was taken all the same,
/// and one for which there is news goes on whatever came of what was known.
const STATE_AFTER: &str = "case
                  when delivery.state = 'cancelled' and (r.tried = 0 or r.sent < delivery.wanted_version) then 'cancelled'
                  when r.state = 'delivered' and r.sent < delivery.wanted_version then 'pending'
                  when r.state = 'given_up' and r.wanted < delivery.wanted_version then 'pending'
                  else r.state end";

/// A delivery row after an attempt.
struct NowIs {
    state: String,
    wanted_version: i64,
}

impl NowIs {
    /// Whether there is news, and the work that would have told it has ended, delivered or given up.
    fn wants_more_than(&self, item: &DeliverySettlement) -> bool {
        self.wanted_version > item.wanted_version && !matches!(item.change, DeliveryChange::Later { .. })
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
                span: claim.span.clone(),
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
        unique_key: Some(delivery_key(item.endpoint_id.0, claim.subject_id)),
        subject_id: claim.subject_id,
        payload: claim.payload.clone(),
        traceparent: claim.traceparent.clone(),
        claimed_by: None,
        sent_at: None,
        created_at: *now,
    }
}

/// The unique key of the work that sends what a delivery has not sent yet.
pub(super) fn delivery_key(endpoint_id: Uuid, subject_id: Uuid) -> String {
    format!("deliver:{endpoint_id}:{subject_id}")
}

impl DueDelivery {
    fn read(row: &QueryResult, event: Option<DueEvent>) -> Result<Self, StoreError> {
        let disabled: i64 = row.try_get("", "disabled")?;
        let kind: String = row.try_get("", "subject_kind")?;
        let failing_since: Option<i64> = row.try_get("", "failing_since_us")?;
        let resend: Option<Uuid> = row.try_get("", "resend_id")?;
        Ok(Self {
            endpoint_id: EndpointId(row.try_get("", "endpoint_id")?),
            subject_kind: SubjectKind::parse(&kind)
                .ok_or_else(|| StoreError::unreadable("subject kind", &kind))?,
            subject_id: row.try_get("", "subject_id")?,
            legacy_id: row.try_get("", "legacy_id")?,
            wanted_version: row.try_get("", "wanted_version")?,
            destination: row.try_get("", "destination")?,
            disabled: disabled != 0,
            failing_since: failing_since.map(from_us).transpose()?,
            resend: resend.map(EventId),
            events: event.into_iter().collect(),
        })
    }
}

impl DueEvent {
    /// Nothing for a row that stands only for its delivery.
    fn read(row: &QueryResult) -> Result<Option<Self>, StoreError> {
        let Some(id) = row.try_get("", "id")? else { return Ok(None) };
        let data: Option<String> = row.try_get("", "data")?;
        let content = match data {
            Some(data) => EventContent::Data(data),
            None => EventContent::Boleto {
                status: row.try_get("", "status")?,
                reference_id: row.try_get("", "reference_id")?,
            },
        };
        Ok(Some(Self {
            id,
            event_type: row.try_get("", "event_type")?,
            version: row.try_get("", "version")?,
            occurred_at: from_us(row.try_get("", "occurred_at_us")?)?,
            content,
        }))
    }
}
