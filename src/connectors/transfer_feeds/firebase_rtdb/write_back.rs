//! A result on its way into the record.
//!
//! The claim and the record are read again; then one PATCH over several paths writes our four fields and deletes the claim, all
//! or nothing. Other fields are not touched, so that what was changed meanwhile is merged by construction.
//!
//! A PATCH cannot be made conditional, and that leaves two races, each as long as one call:
//! - **The lease ends between the look and the PATCH**, and another owner takes the claim. Our PATCH then deletes its claim and
//!   writes our result; it finds its claim gone, sees the record processed, and stops. The result that stands is of one attempt
//!   and whole. A lease that is long beside [`FirebaseRtdbConfig::timeout`](super::config::FirebaseRtdbConfig) keeps this away.
//! - **The record is deleted between the look and the PATCH**, which then makes a record of our four fields. It is looked at
//!   again behind the PATCH, and deleted under its version if it holds nothing but what we wrote.
//!
//! **Owns** nothing. **Fails** as the calls do; behind an unknown outcome the same write is made again, to the same effect.
//! **Limits**: nothing is written without the claim.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::claim;
use super::client::{Client, Versioned};
use super::config::FirebaseRtdbConfig;
use crate::connectors::transfer_feeds::{FeedError, WriteBack, WrittenBack};

/// What we write of a record.
const PROCESSED: &str = "processed";
const RESULT: &str = "resultado";
const FINISHED_AT: &str = "date_final";
const CODEC: &str = "codec";
const FIELDS: [&str; 4] = [PROCESSED, RESULT, FINISHED_AT, CODEC];

const TIME_FORM: &str = "%Y/%m/%d - %H:%M:%S %Z";

/// Writes a result.
pub(super) async fn write(
    client: &Client,
    config: &FirebaseRtdbConfig,
    result: &WriteBack<'_>,
    now: DateTime<Utc>,
) -> Result<WrittenBack, FeedError> {
    let record_path = format!("{}/{}", config.paths.transfers, result.key);
    let claim_path = format!("{}/{}", config.paths.claims, result.key);
    let held = client.read(&claim_path).await?;
    let record = client.read(&record_path).await?;
    let fields = fields(config, result);
    let holder = claim::read(&held);
    let is_ours = holder
        .as_ref()
        .is_some_and(|holder| claim::is_same(holder, result.claim) && now < holder.lease_until);
    if !is_ours {
        // An earlier try may have ended with the claim's release, and its answer was lost.
        if held.is_null() && holds(&record, &fields) {
            return settle(client, &record_path).await;
        }
        return Ok(WrittenBack::ClaimLost(holder));
    }
    if record.is_null() {
        claim::release(client, &claim_path, result.claim).await?;
        return Ok(WrittenBack::Gone);
    }
    let mut changes: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (format!("{record_path}/{name}"), value)).collect();
    changes.insert(claim_path, Value::Null);
    client.patch(&Value::Object(changes)).await?;
    settle(client, &record_path).await
}

/// Looks at what stands there behind the write.
async fn settle(client: &Client, path: &str) -> Result<WrittenBack, FeedError> {
    let found = client.read_versioned(path).await.map_err(written_but_unseen)?;
    match found {
        Versioned { value: Value::Null, .. } => Ok(WrittenBack::Gone),
        Versioned { value, etag: Some(etag) } if is_ours_alone(&value) => {
            // If somebody writes more into it in between, it is theirs, and it stays.
            client.put_if(path, &Value::Null, &etag).await.map_err(written_but_unseen)?;
            Ok(WrittenBack::Gone)
        }
        _ => Ok(WrittenBack::Written),
    }
}

/// The write was made, and what became of it is not known: the next try begins with a look.
fn written_but_unseen(error: FeedError) -> FeedError {
    match error {
        FeedError::Unavailable { reason, .. } => FeedError::OutcomeUnknown { reason },
        other => other,
    }
}

fn fields(config: &FirebaseRtdbConfig, result: &WriteBack<'_>) -> Map<String, Value> {
    let finished_at = result.finished_at.with_timezone(&config.zone()).format(TIME_FORM).to_string();
    let values = [json!(true), json!(result.result), json!(finished_at), json!(result.codec)];
    FIELDS.iter().map(|name| (*name).to_owned()).zip(values).collect()
}

fn holds(record: &Value, fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(name, value)| record.get(name) == Some(value))
}

fn is_ours_alone(record: &Value) -> bool {
    record.as_object().is_some_and(|fields| fields.keys().all(|name| FIELDS.contains(&name.as_str())))
}

#[cfg(test)]
mod tests;
