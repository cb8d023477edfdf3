//! A webhook's secret makes room for another, by somebody's hand.
//!
//! **Owns** nothing. **Fails** with data, as every decision about an endpoint does. **Limits**: what the secrets are is the
//! channel's own matter; the record tells how many there are, and nothing of what they are.

use sea_orm::{DatabaseTransaction, Value};

use super::audit::Deed;
use super::endpoint_steer::{ByHand, EndpointSteered};
use super::transaction::execute;
use super::{Store, StoreError, to_us};

/// A destination with another secret than it had.
#[derive(Debug, Clone)]
pub struct SecretChange {
    /// The version whose secrets were read.
    pub version: i64,
    /// JSON that the channel reads.
    pub destination: String,
    /// How many secrets there were, and how many there are.
    pub counts: (usize, usize),
}

impl Store {
    /// Gives a destination its new secrets, and writes down who wanted it.
    pub async fn change_endpoint_secrets(
        &self,
        hand: &ByHand,
        change: &SecretChange,
    ) -> Result<EndpointSteered, StoreError> {
        let (transaction, steered) = self
            .within(async {
                let transaction = self.begin().await?;
                let steered = self.change_secrets_in(&transaction, hand, change).await?;
                Ok((transaction, steered))
            })
            .await?;
        if steered == EndpointSteered::Done {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(steered)
    }

    async fn change_secrets_in(
        &self,
        transaction: &DatabaseTransaction,
        hand: &ByHand,
        change: &SecretChange,
    ) -> Result<EndpointSteered, StoreError> {
        let Some(before) = self.lock_endpoint(transaction, &hand.tenant_id, hand.endpoint_id).await? else {
            return Ok(EndpointSteered::NotFound);
        };
        if before.version != change.version {
            return Ok(EndpointSteered::VersionChanged { version: before.version });
        }
        // Since when it fails stays: another secret takes nothing.
        let update = self.statement(
            "update endpoint set destination = $2, version = version + 1, updated_at_us = $3 where id = $1",
            [
                Value::from(before.id.0),
                Value::from(change.destination.as_str()),
                Value::from(to_us(hand.now)),
            ],
        );
        execute(transaction, update).await?;
        let told = |version: i64, secrets: usize| {
            serde_json::json!({"version": version, "secrets": secrets}).to_string()
        };
        let deed = Deed {
            id: hand.id,
            tenant_id: &hand.tenant_id,
            method: "RotateEndpointSecret",
            subject_id: hand.endpoint_id.0,
            reason: &hand.reason,
            before: told(before.version, change.counts.0),
            after: told(before.version + 1, change.counts.1),
            traceparent: hand.traceparent.as_deref(),
            now: hand.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(EndpointSteered::Done)
    }
}
