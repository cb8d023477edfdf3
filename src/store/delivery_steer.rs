//! What people decide by hand about one delivery: send an event again, send what was not taken, send no more.
//!
//! Locks are taken endpoint first, work second, delivery last. A dead letter of a delivery that is sent again lives again
//! under its own id; no other of that delivery stays behind.
//!
//! **Owns** nothing. **Fails** with data ([`DeliverySteered`]); whatever is not done leaves nothing behind. **Limits**: an attempt
//! that is under way when its delivery is cancelled is let end: what it had taken counts, and nothing is tried after it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::delivery::{DeliveryChange, DeliveryPayload, DeliverySettlement, delivery_key, queue_of};
use super::delivery_list::DeliveryState;
use super::endpoint::StoredEndpoint;
use super::endpoint_steer::ByHand;
use super::request_key::Entered;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::event::types_for_owners;
use crate::domain::ids::{EventId, WorkId};
use crate::domain::work::{NewWork, kind};

/// What became of a decision about deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverySteered {
    /// So many are sent again, or no more.
    Done(u64),
    /// It was so already.
    Already,
    /// The same request was made before, and so many came of it.
    Before(u64),
    /// The request id was used for another body.
    OtherBody,
    NoEndpoint,
    NoDelivery,
    /// The subject has no such event, or none that owners are told.
    NoEvent,
    /// The endpoint is disabled.
    Disabled,
    /// Nothing of it is left to be sent.
    NothingToSend,
}

/// What its row says of a delivery.
struct Standing {
    state: DeliveryState,
    sent_version: i64,
    wanted_version: i64,
}

impl Store {
    /// Sends one event once more, or what one delivery has not sent yet, now.
    pub async fn resend_delivery(
        &self,
        hand: &ByHand,
        subject_id: Uuid,
        event_id: Option<EventId>,
    ) -> Result<DeliverySteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.resend_in(&transaction, hand, subject_id, event_id).await?;
                Ok((transaction, steered))
            })
            .await?;
        self.conclude_delivery(transaction, steered).await
    }

    /// Sends no more of what one delivery has not sent yet.
    pub async fn cancel_delivery(
        &self,
        hand: &ByHand,
        subject_id: Uuid,
    ) -> Result<DeliverySteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.cancel_delivery_in(&transaction, hand, subject_id).await?;
                Ok((transaction, steered))
            })
            .await?;
        self.conclude_delivery(transaction, steered).await
    }

    pub(super) async fn conclude_delivery(
        &self,
        transaction: DatabaseTransaction,
        steered: DeliverySteered,
    ) -> Result<DeliverySteered, StoreError> {
        if matches!(steered, DeliverySteered::Done(_)) {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(steered)
    }

    async fn resend_in(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        subject_id: Uuid,
        event_id: Option<EventId>,
    ) -> Result<DeliverySteered, StoreError> {
        let (endpoint, standing) = match self.begin_with_delivery(transaction, hand, subject_id).await? {
            Ok(found) => found,
            Err(steered) => return Ok(steered),
        };
        if endpoint.disabled.is_some() {
            return Ok(DeliverySteered::Disabled);
        }
        match event_id {
            Some(event_id) if !self.is_told_to_owners(transaction, subject_id, event_id).await? => {
                return Ok(DeliverySteered::NoEvent);
            }
            None if standing.state == DeliveryState::Delivered => return Ok(DeliverySteered::NothingToSend),
            _ => {}
        }
        self.wake(transaction, hand, vec![work(&endpoint, hand, subject_id, event_id)?]).await?;
        let after = if event_id.is_none() {
            self.move_on(transaction, hand, &[subject_id], &["given_up", "cancelled"]).await?;
            DeliveryState::Pending
        } else {
            standing.state
        };
        self.write_delivery_deed(transaction, hand, "ResendDelivery", subject_id, &standing, after, event_id)
            .await?;
        Ok(DeliverySteered::Done(1))
    }

    async fn cancel_delivery_in(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        subject_id: Uuid,
    ) -> Result<DeliverySteered, StoreError> {
        let (_, standing) = match self.begin_with_delivery(transaction, hand, subject_id).await? {
            Ok(found) => found,
            Err(steered) => return Ok(steered),
        };
        match standing.state {
            DeliveryState::Pending | DeliveryState::GivenUp => {}
            DeliveryState::Cancelled => return Ok(DeliverySteered::Already),
            DeliveryState::Delivered => return Ok(DeliverySteered::NothingToSend),
        }
        let key = delivery_key(hand.endpoint_id.0, subject_id);
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let live = self.statement(
            &format!("select id from work where unique_key = $1 {lock}"),
            [Value::from(key.as_str())],
        );
        let live = ids(&all(transaction, live).await?)?;
        self.cancel(transaction, &live, &hand.reason, hand.now).await?;
        let dead: Vec<Uuid> =
            self.dead_letters(transaction, &[key]).await?.into_iter().map(|(id, _)| id).collect();
        self.retire(transaction, &dead).await?;
        let update = self.statement(
            "update delivery set state = 'cancelled', stopped_at_us = $4, updated_at_us = $4
             where endpoint_id = $1 and subject_id = $2 and tenant_id = $3 and state in ('pending', 'given_up')",
            [
                Value::from(hand.endpoint_id.0),
                Value::from(subject_id),
                Value::from(hand.tenant_id.as_str()),
                Value::from(to_us(hand.now)),
            ],
        );
        if execute(transaction, update).await? == 0 {
            // Its last attempt was faster.
            return Ok(DeliverySteered::NothingToSend);
        }
        let after = DeliveryState::Cancelled;
        self.write_delivery_deed(transaction, hand, "CancelDelivery", subject_id, &standing, after, None)
            .await?;
        Ok(DeliverySteered::Done(1))
    }

    /// The endpoint, locked, and how the delivery stands, if the request is new and both are the tenant's own.
    async fn begin_with_delivery(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        subject_id: Uuid,
    ) -> Result<Result<(StoredEndpoint, Standing), DeliverySteered>, StoreError> {
        match self.enter_key(transaction, hand.request.as_ref(), hand.id, hand.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(Err(DeliverySteered::Before(1))),
            Entered::OtherBody => return Ok(Err(DeliverySteered::OtherBody)),
        }
        let Some(endpoint) = self.lock_endpoint(transaction, &hand.tenant_id, hand.endpoint_id).await? else {
            return Ok(Err(DeliverySteered::NoEndpoint));
        };
        // Not locked: whoever sends or announces holds the work before the delivery, and so does what follows here.
        let find = self.statement(
            "select state, sent_version, wanted_version from delivery
             where endpoint_id = $1 and subject_id = $2 and tenant_id = $3",
            [Value::from(endpoint.id.0), Value::from(subject_id), Value::from(hand.tenant_id.as_str())],
        );
        let Some(row) = transaction.query_one_raw(find).await? else {
            return Ok(Err(DeliverySteered::NoDelivery));
        };
        let state: String = row.try_get("", "state")?;
        let standing = Standing {
            state: DeliveryState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
            sent_version: row.try_get("", "sent_version")?,
            wanted_version: row.try_get("", "wanted_version")?,
        };
        Ok(Ok((endpoint, standing)))
    }

    /// Whether an event is one of the subject's that owners are told, and was not erased.
    async fn is_told_to_owners(
        &self,
        transaction: &DatabaseTransaction,
        subject_id: Uuid,
        event_id: EventId,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            "select event_type from boleto_event where boleto_id = $1 and id = $2
             union all select event_type from subject_event where subject_id = $1 and id = $2 and data <> '{}'",
            [Value::from(subject_id), Value::from(event_id.0)],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(false) };
        let event_type: String = row.try_get("", "event_type")?;
        Ok(types_for_owners().contains(&event_type))
    }

    /// Makes work due now, each by its key: what waits is hastened, a dead letter lives again, and what is not there is made.
    /// What somebody has in hand goes on.
    pub(super) async fn wake(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        items: Vec<NewWork>,
    ) -> Result<(), StoreError> {
        let keys: Vec<String> = items.iter().filter_map(|item| item.unique_key.clone()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let rows = Rows::new().text("unique_key", keys.iter().cloned());
        let hasten = format!(
            " update work set state = 'available', run_at_us = $1 where unique_key is not null and unique_key {}
              and state in ('scheduled', 'retryable')",
            self.is_one_of("unique_key")
        );
        execute(transaction, self.statement_over(rows, vec![Value::from(to_us(hand.now))], &hasten)).await?;
        // Of several dead letters with one key the newest comes last, and it alone lives again.
        let dead = self.dead_letters(transaction, &keys).await?;
        let newest: HashMap<&str, Uuid> = dead.iter().map(|(id, key)| (key.as_str(), *id)).collect();
        let revived: Vec<Uuid> = newest.values().copied().collect();
        self.revive(transaction, &revived, &hand.reason, hand.now).await?;
        let is_new = |item: &NewWork| item.unique_key.as_deref().is_none_or(|key| !newest.contains_key(key));
        let made: Vec<NewWork> = items.into_iter().filter(is_new).collect();
        self.insert_work(transaction, &made).await?;
        let left: Vec<Uuid> = dead.iter().map(|(id, _)| *id).collect();
        self.retire(transaction, &left).await
    }

    /// Deliveries that stand in one of these states are pending again. Returns how many.
    pub(super) async fn move_on(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        subjects: &[Uuid],
        states: &[&str],
    ) -> Result<u64, StoreError> {
        if subjects.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new().uuid("subject_id", subjects.iter().copied());
        let update = format!(
            " update delivery set state = 'pending', stopped_at_us = null, updated_at_us = $2
              where endpoint_id = $1 and subject_id {} and state in ('{}')",
            self.is_one_of("subject_id"),
            states.join("', '")
        );
        let values = vec![Value::from(hand.endpoint_id.0), Value::from(to_us(hand.now))];
        execute(transaction, self.statement_over(rows, values, &update)).await
    }

    /// The dead letters with these keys, oldest first.
    pub(super) async fn dead_letters(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<Vec<(Uuid, String)>, StoreError> {
        let rows = Rows::new().text("unique_key", keys.iter().cloned());
        let find = format!(
            " select id, unique_key from work_archive where state = 'discarded' and unique_key {} order by id",
            self.is_one_of("unique_key")
        );
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "unique_key")?))).collect()
    }

    /// Dead letters that nobody needs any more end as cancelled, and are forgotten as such.
    pub(super) async fn retire(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = Rows::new().uuid("id", ids.iter().copied());
        let update = format!(
            " update work_archive set state = 'cancelled' where id {} and state = 'discarded'",
            self.is_one_of("id")
        );
        execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        Ok(())
    }

    /// Ends the work of attempts whose deliveries were cancelled while they were being made.
    pub(super) async fn end_with_cancelled(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<(), StoreError> {
        let Some(now) = items.first().map(|item| item.now) else { return Ok(()) };
        let (mut waiting, mut dead) = (Vec::new(), Vec::new());
        for item in items {
            match item.change {
                DeliveryChange::Later { .. } => waiting.push(item.claim.id.0),
                DeliveryChange::GivenUp => dead.push(item.claim.id.0),
                DeliveryChange::Delivered => {}
            }
        }
        self.cancel(transaction, &waiting, "the delivery was cancelled", now).await?;
        self.retire(transaction, &dead).await
    }

    /// The condition by which rows are found through an index of `column`, whatever the planner believes of the table.
    pub(super) fn is_one_of(&self, column: &str) -> String {
        match self.kind() {
            StoreKind::PostgreSql => format!("= any(array(select r.{column} from r))"),
            StoreKind::Sqlite => format!("in (select r.{column} from r)"),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a record names everything that it tells of")]
    async fn write_delivery_deed(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        method: &str,
        subject_id: Uuid,
        before: &Standing,
        after: DeliveryState,
        event_id: Option<EventId>,
    ) -> Result<(), StoreError> {
        let told = |state: DeliveryState| {
            serde_json::json!({
                "endpoint_id": hand.endpoint_id.to_string(),
                "state": state.as_str(),
                "sent_version": before.sent_version,
                "wanted_version": before.wanted_version,
                "event_id": event_id.map(|id| id.to_string()),
            })
            .to_string()
        };
        let deed = Deed {
            id: hand.id,
            tenant_id: &hand.tenant_id,
            method,
            subject_id,
            reason: &hand.reason,
            before: told(before.state),
            after: told(after),
            traceparent: hand.traceparent.as_deref(),
            now: hand.now,
        };
        self.record_deed(transaction, deed).await
    }
}

/// The work that sends one event once more, or what a delivery has not sent yet.
pub(super) fn work(
    endpoint: &StoredEndpoint,
    hand: &ByHand,
    subject_id: Uuid,
    event_id: Option<EventId>,
) -> Result<NewWork, StoreError> {
    let payload = DeliveryPayload { endpoint_id: endpoint.id, event_id };
    let unique_key = match event_id {
        Some(event_id) => resend_key(endpoint.id.0, event_id.0),
        None => delivery_key(endpoint.id.0, subject_id),
    };
    Ok(NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: hand.tenant_id.clone(),
        kind: kind::NOTIFICATION_DELIVER,
        queue: queue_of(&endpoint.channel, endpoint.id.0),
        priority: 0,
        run_at: hand.now,
        attempts_max: hand.delivery_attempts_max,
        unique_key: Some(unique_key),
        subject_id,
        payload: super::boleto::to_json(&payload)?,
        traceparent: hand.traceparent.clone(),
        claimed_by: None,
        sent_at: None,
        created_at: hand.now,
    })
}

/// The unique key of the work that sends one event once more.
pub(super) fn resend_key(endpoint_id: Uuid, event_id: Uuid) -> String {
    format!("resend:{endpoint_id}:{event_id}")
}

fn ids(rows: &[sea_orm::QueryResult]) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}
