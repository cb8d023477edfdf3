//! Owners' destinations.

use super::timestamp;
use crate::connectors::channels::Destination;
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::violation::Violation;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::endpoint::Destination as ProtoDestination;
use crate::store::endpoint::StoredEndpoint;

pub fn to_proto(endpoint: &StoredEndpoint) -> proto::Endpoint {
    // A destination that cannot be read any more is shown without one.
    let destination = serde_json::from_str(&endpoint.destination).ok().map(|destination| match destination {
        Destination::Sqs { queue_url, .. } => ProtoDestination::Sqs(proto::SqsDestination { queue_url }),
        Destination::Webhook { url, secrets } => ProtoDestination::Webhook(proto::WebhookDestination {
            url,
            secrets: secrets.iter().map(SecretRef::to_string).collect(),
        }),
    });
    proto::Endpoint {
        id: endpoint.id.to_string(),
        destination,
        event_types: endpoint.event_types.clone(),
        disabled: endpoint.disabled.is_some(),
        disabled_reason: endpoint.disabled.clone().unwrap_or_default(),
        create_time: Some(timestamp(endpoint.created_at)),
    }
}

/// Where to, and what makes it one. Its secrets are those that `policy` lets a caller name.
pub fn destination_from_proto(
    destination: Option<ProtoDestination>,
    policy: &SecretPolicy,
    violations: &mut Vec<Violation>,
) -> Option<(Destination, String)> {
    let is_blank =
        |url: &str| url.chars().any(|character| character.is_control() || character.is_whitespace());
    let url = match &destination {
        Some(ProtoDestination::Sqs(sqs)) => Some(("endpoint.sqs.queue_url", &sqs.queue_url)),
        Some(ProtoDestination::Webhook(webhook)) => Some(("endpoint.webhook.url", &webhook.url)),
        None => None,
    };
    if let Some((field, _)) = url.filter(|(_, url)| is_blank(url)) {
        violations.push(Violation::new(field, "no blanks and no control characters"));
    }
    match destination {
        None => {
            violations.push(Violation::new("endpoint.destination", "required: sqs or webhook"));
            None
        }
        Some(ProtoDestination::Sqs(sqs)) => {
            let target = sqs.queue_url.clone();
            Some((Destination::Sqs { queue_url: sqs.queue_url, region: None }, target))
        }
        Some(ProtoDestination::Webhook(webhook)) => {
            let mut secrets = Vec::with_capacity(webhook.secrets.len());
            for (index, text) in webhook.secrets.iter().enumerate() {
                match policy.vet(text) {
                    Ok(secret) => secrets.push(secret),
                    Err(error) => violations.push(Violation::new(
                        format!("endpoint.webhook.secrets[{index}]"),
                        error.to_string(),
                    )),
                }
            }
            if !(1..=2).contains(&webhook.secrets.len()) {
                violations
                    .push(Violation::new("endpoint.webhook.secrets", "one reference, or two in a rotation"));
            }
            let target = webhook.url.clone();
            Some((Destination::Webhook { url: webhook.url, secrets }, target))
        }
    }
}
