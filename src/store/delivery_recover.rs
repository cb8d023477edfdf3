//! Everything that was given up for an endpoint since a time, sent again.
//!
//! **Owns** nothing. **Fails** as deliveries are steered ([`DeliverySteered`]). **Limits**: [`SLICE`] deliveries a transaction, each
//! with its record, so that a million hold nobody up and whoever is cut off asks again and goes on. What is given up anew
//! meanwhile is left for the next who asks. The name of a request is entered with the last slice: until then the same
//! request goes on where it was cut off.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::delivery_steer::{DeliverySteered, work};
use super::endpoint_steer::ByHand;
use super::request_key::Entered;
use super::transaction::all;
use super::{Store, StoreError, from_us, to_us};

/// Deliveries that one transaction sends again.
pub const SLICE: i64 = 500;

/// What a slice of many came to.
struct Slice {
    steered: DeliverySteered,
    /// When the last of them had been given up; nothing for the last slice.
    until: Option<DateTime<Utc>>,
}

/// How many were sent again by one slice, and by it and those before it.
struct Counts {
    recovered: u64,
    in_all: u64,
}

impl Store {
    /// Sends everything that was given up for an endpoint since a time. What is given up anew meanwhile is left.
    pub async fn recover_deliveries(
        &self,
        hand: &ByHand,
        since: DateTime<Utc>,
    ) -> Result<DeliverySteered, StoreError> {
        let (mut from, mut recovered) = (since, 0);
        if let Some(key) = &hand.request
            && let Some(earlier) = self.find_request(key).await?
        {
            return Ok(match earlier.same_body {
                true => {
                    let before = self.recovered_before(self.reader(), earlier.resource_id);
                    DeliverySteered::Before(self.within(before).await?)
                }
                false => DeliverySteered::OtherBody,
            });
        }
        loop {
            let (transaction, slice) = self
                .within(async {
                    let transaction = self.begin().await?;
                    let slice = self.recover_slice(&transaction, hand, (since, from), recovered).await?;
                    Ok((transaction, slice))
                })
                .await?;
            match (self.conclude_delivery(transaction, slice.steered).await?, slice.until) {
                (DeliverySteered::Done(more), Some(until)) => (recovered, from) = (recovered + more, until),
                (DeliverySteered::Done(more), None) => return Ok(DeliverySteered::Done(recovered + more)),
                (otherwise, _) => return Ok(otherwise),
            }
        }
    }

    async fn recover_slice(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        (since, from): (DateTime<Utc>, DateTime<Utc>),
        recovered_before: u64,
    ) -> Result<Slice, StoreError> {
        let ended = |steered| Slice { steered, until: None };
        let Some(endpoint) = self.lock_endpoint(transaction, &hand.tenant_id, hand.endpoint_id).await? else {
            return Ok(ended(DeliverySteered::NoEndpoint));
        };
        if endpoint.disabled.is_some() {
            return Ok(ended(DeliverySteered::Disabled));
        }
        let find = self.statement(
            &format!(
                "select subject_id, stopped_at_us from delivery
                 where endpoint_id = $1 and stopped_at_us is not null and stopped_at_us >= $2 and stopped_at_us <= $3
                   and state = 'given_up' and tenant_id = $4 order by stopped_at_us limit {SLICE}"
            ),
            [
                Value::from(hand.endpoint_id.0),
                Value::from(to_us(from)),
                Value::from(to_us(hand.now)),
                Value::from(hand.tenant_id.as_str()),
            ],
        );
        let found = all(transaction, find).await?;
        let (mut subjects, mut until) = (Vec::with_capacity(found.len()), None);
        for row in &found {
            subjects.push(row.try_get("", "subject_id")?);
            until = Some(from_us(row.try_get("", "stopped_at_us")?)?);
        }
        let woken = subjects.iter().map(|subject_id| work(&endpoint, hand, *subject_id, None));
        self.wake(transaction, hand, woken.collect::<Result<_, _>>()?).await?;
        let recovered = self.move_on(transaction, hand, &subjects, &["given_up"]).await?;
        let is_last = i64::try_from(found.len()).unwrap_or(i64::MAX) < SLICE;
        let deed_id = if is_last { hand.id } else { Uuid::now_v7() };
        let in_all = recovered_before + recovered;
        if is_last {
            match self.enter_key(transaction, hand.request.as_ref(), deed_id, hand.now).await? {
                Entered::New => {}
                // Somebody asked the same at the same time, and was done first.
                Entered::Before(record) => {
                    let before = self.recovered_before(transaction, record).await?;
                    return Ok(ended(DeliverySteered::Before(before)));
                }
                Entered::OtherBody => return Ok(ended(DeliverySteered::OtherBody)),
            }
        }
        if in_all > 0 {
            let counts = Counts { recovered, in_all };
            self.write_recovery_deed(transaction, hand, deed_id, since, counts).await?;
        }
        Ok(Slice { steered: DeliverySteered::Done(recovered), until: until.filter(|_| !is_last) })
    }

    async fn write_recovery_deed(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        id: Uuid,
        since: DateTime<Utc>,
        counts: Counts,
    ) -> Result<(), StoreError> {
        let since = since.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let deed = Deed {
            id,
            tenant_id: &hand.tenant_id,
            method: "RecoverDeliveries",
            subject_id: hand.endpoint_id.0,
            reason: &hand.reason,
            before: serde_json::json!({ "given_up_since": since }).to_string(),
            after: serde_json::json!({ "recovered": counts.recovered, "in_all": counts.in_all }).to_string(),
            traceparent: hand.traceparent.as_deref(),
            now: hand.now,
        };
        self.record_deed(transaction, deed).await
    }

    /// How many came of a request that was made before, by its record; none where nothing was to be done.
    async fn recovered_before(
        &self,
        connection: &impl ConnectionTrait,
        record: Uuid,
    ) -> Result<u64, StoreError> {
        let find = self.statement("select after from audit where id = $1", [Value::from(record)]);
        let Some(row) = connection.query_one_raw(find).await? else { return Ok(0) };
        let after: Option<String> = row.try_get("", "after")?;
        let after: serde_json::Value =
            super::boleto::from_json("record", after.as_deref().unwrap_or("null"))?;
        Ok(after["in_all"].as_u64().unwrap_or_default())
    }
}
