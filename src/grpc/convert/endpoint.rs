//! Owners' destinations.

use chrono::Utc;

use super::timestamp;
use crate::connectors::channels::Destination;
use crate::connectors::channels::webhook::secret::WebhookSecret;
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::event::EventFilter;
use crate::domain::mask::{MASKED, is_masked};
use crate::domain::violation::Violation;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::endpoint::Destination as ProtoDestination;
use crate::store::endpoint::StoredEndpoint;

pub fn to_proto(endpoint: &StoredEndpoint) -> proto::Endpoint {
    // A destination that cannot be read any more is shown without one.
    let destination =
        Destination::read(endpoint.id, &endpoint.destination).ok().map(|destination| match destination {
            Destination::Sqs { queue_url, .. } => ProtoDestination::Sqs(proto::SqsDestination { queue_url }),
            Destination::Webhook { url, secrets } => {
                ProtoDestination::Webhook(webhook_to_proto(url, &secrets))
            }
            Destination::Mail { address, language } => {
                let language = language.unwrap_or_default();
                ProtoDestination::Mail(proto::MailDestination { address, language })
            }
            Destination::Nats { subject } => ProtoDestination::Nats(proto::NatsDestination { subject }),
        });
    proto::Endpoint {
        id: endpoint.id.to_string(),
        destination,
        event_types: endpoint.event_types.clone(),
        disabled: endpoint.disabled.is_some(),
        disabled_reason: endpoint.disabled.clone().unwrap_or_default(),
        create_time: Some(timestamp(endpoint.created_at)),
        filters: endpoint.filters.iter().map(filter_to_proto).collect(),
        etag: endpoint.version.to_string(),
        update_time: Some(timestamp(endpoint.updated_at)),
        failing_since: endpoint.failing_since.map(timestamp),
    }
}

/// Which secrets sign now. Of what is kept here it is told that there is one, and never what it is.
fn webhook_to_proto(url: String, secrets: &[WebhookSecret]) -> proto::WebhookDestination {
    let now = Utc::now();
    let signing: Vec<_> = secrets.iter().filter(|secret| secret.signs_at(now)).collect();
    let kept = signing.iter().filter_map(|secret| match secret {
        WebhookSecret::Kept(kept) => Some(proto::KeptSecret {
            create_time: Some(timestamp(kept.created_at)),
            expire_time: kept.expires_at.map(timestamp),
        }),
        _ => None,
    });
    proto::WebhookDestination { url, secrets: references(secrets), kept_secrets: kept.collect() }
}

/// The secrets of the operator's keeping that sign now.
fn references(secrets: &[WebhookSecret]) -> Vec<String> {
    let now = Utc::now();
    let signing = secrets.iter().filter(|secret| secret.signs_at(now));
    signing.filter_map(|secret| secret.reference()).map(SecretRef::to_string).collect()
}

fn filter_to_proto(filter: &EventFilter) -> proto::EventFilter {
    proto::EventFilter { attribute: filter.attribute.clone(), values: filter.values.clone() }
}

pub fn filters_from_proto(filters: Vec<proto::EventFilter>) -> Vec<EventFilter> {
    let filters = filters.into_iter();
    filters.map(|filter| EventFilter { attribute: filter.attribute, values: filter.values }).collect()
}

/// Where to, and what makes it one. Its secrets are those that `policy` lets a caller name; a webhook that names none, or
/// those that it has, keeps what `stands` there already.
pub fn destination_from_proto(
    destination: Option<ProtoDestination>,
    stands: Option<&Destination>,
    policy: &SecretPolicy,
    violations: &mut Vec<Violation>,
) -> Option<(Destination, String)> {
    let is_blank =
        |url: &str| url.chars().any(|character| character.is_control() || character.is_whitespace());
    let url = match &destination {
        Some(ProtoDestination::Sqs(sqs)) => Some(("endpoint.sqs.queue_url", &sqs.queue_url)),
        Some(ProtoDestination::Webhook(webhook)) => Some(("endpoint.webhook.url", &webhook.url)),
        Some(ProtoDestination::Mail(mail)) => Some(("endpoint.mail.address", &mail.address)),
        Some(ProtoDestination::Nats(nats)) => Some(("endpoint.nats.subject", &nats.subject)),
        None => None,
    };
    if let Some((field, _)) = url.filter(|(_, url)| is_blank(url)) {
        violations.push(Violation::new(field, "no blanks and no control characters"));
    }
    match destination {
        None => {
            violations.push(Violation::new("endpoint.destination", "required: sqs, webhook, mail or nats"));
            None
        }
        Some(ProtoDestination::Sqs(sqs)) => {
            let target = sqs.queue_url.clone();
            Some((Destination::Sqs { queue_url: sqs.queue_url, region: None }, target))
        }
        Some(ProtoDestination::Webhook(webhook))
            if let Some(Destination::Webhook { secrets, .. }) = stands
                && (webhook.secrets.is_empty() || webhook.secrets == references(secrets)) =>
        {
            let target = webhook.url.clone();
            Some((Destination::Webhook { url: webhook.url, secrets: secrets.clone() }, target))
        }
        Some(ProtoDestination::Webhook(webhook)) => {
            let mut secrets = Vec::with_capacity(webhook.secrets.len());
            for (index, text) in webhook.secrets.iter().enumerate() {
                match policy.vet(text) {
                    Ok(secret) => secrets.push(WebhookSecret::Referenced(secret)),
                    Err(error) => violations.push(Violation::new(
                        format!("endpoint.webhook.secrets[{index}]"),
                        error.to_string(),
                    )),
                }
            }
            // Without any the service makes one, where it can.
            if webhook.secrets.len() > 2 {
                violations
                    .push(Violation::new("endpoint.webhook.secrets", "one reference, or two in a rotation"));
            }
            let target = webhook.url.clone();
            Some((Destination::Webhook { url: webhook.url, secrets }, target))
        }
        Some(ProtoDestination::Mail(mail)) => {
            if is_masked(&mail.address) {
                violations.push(Violation::new("endpoint.mail.address", MASKED));
            }
            let target = mail.address.clone();
            let language = Some(mail.language).filter(|language| !language.is_empty());
            Some((Destination::Mail { address: mail.address, language }, target))
        }
        Some(ProtoDestination::Nats(nats)) => {
            let target = nats.subject.clone();
            Some((Destination::Nats { subject: nats.subject }, target))
        }
    }
}
