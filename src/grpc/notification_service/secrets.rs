//! Secrets of webhooks that the service makes: with the endpoint, and by `RotateEndpointSecret`.
//!
//! **Owns** nothing: what is made is shown in one answer and kept sealed. **Fails** with `SECRETS_NOT_KEPT` while no key is
//! configured, and with `VERSION_CHANGED` where others change the endpoint all the time. **Limits**: the secrets before go on
//! signing for the overlap, 30 days at most.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tracing::info;

use super::required_id;
use crate::connectors::channels::Destination;
use crate::connectors::channels::webhook::secret::{self, OVERLAP_DEFAULT, OVERLAP_MAX, WebhookSecret};
use crate::connectors::secret::sealed::SealError;
use crate::domain::ids::EndpointId;
use crate::domain::violation::Violation;
use crate::grpc::convert::endpoint as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::notification::v1 as proto;
use crate::store::endpoint::StoredEndpoint;
use crate::store::endpoint_secret::SecretChange;
use crate::store::endpoint_steer::EndpointSteered;

/// How often a rotation begins anew because somebody else changed the endpoint meanwhile.
const TRIES_MAX: usize = 5;

/// Whether a secret must be made for this destination; with a violation if none can be.
pub(super) fn is_lacking(house: &House, destination: &Destination, violations: &mut Vec<Violation>) -> bool {
    let bare = matches!(destination, Destination::Webhook { secrets, .. } if secrets.is_empty());
    if bare && !house.secrets.keeper().has_key() {
        let rule =
            "name one, env:NAME or file:PATH; the service makes one itself if its operator sets secrets.key";
        violations.push(Violation::new("endpoint.webhook.secrets", rule));
    }
    bare
}

/// Keeps a new webhook under a secret that is made for it. One that is kept already gets the new secret beside its own.
pub(super) async fn keep_with_a_new_one(
    house: &House,
    endpoint: StoredEndpoint,
    url: String,
) -> Result<(StoredEndpoint, String), ApiError> {
    let now = endpoint.created_at;
    let (made, shown) = make(house, &endpoint, now)?;
    let destination = Destination::Webhook { url: url.clone(), secrets: vec![made] };
    let endpoint = StoredEndpoint { destination: super::endpoints::written(&destination)?, ..endpoint };
    let found = house.store.enter_endpoint(&endpoint).await?;
    if found.id == endpoint.id {
        return Ok((found, shown.expose_secret().to_owned()));
    }
    // What was made is sealed for a row that there is not.
    let (made, shown) = make(house, &found, now)?;
    let before = match Destination::read(found.id, &found.destination) {
        Ok(Destination::Webhook { secrets, .. }) => secrets,
        _ => vec![],
    };
    let secrets = secret::rotated(&before, made, now, OVERLAP_DEFAULT);
    let destination = super::endpoints::written(&Destination::Webhook { url, secrets })?;
    let renewed = house.store.renew_endpoint(&StoredEndpoint { destination, ..endpoint }).await?;
    Ok((renewed, shown.expose_secret().to_owned()))
}

pub(super) async fn rotate(
    gate: &Gate,
    request: proto::RotateEndpointSecretRequest,
) -> Result<proto::RotateEndpointSecretResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let id: Option<EndpointId> = required_id("id", &request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let overlap = checked_overlap(request.overlap, &mut violations);
    let Some(id) = id.filter(|_| violations.is_empty()) else { return Err(ApiError::Invalid(violations)) };
    let mut outcome = EndpointSteered::NotFound;
    for _ in 0..TRIES_MAX {
        let endpoint = super::endpoints::find(gate, id).await?;
        let hand = super::by_hand(gate, house, id, reason.clone(), None)?;
        let Ok(Destination::Webhook { url, secrets }) = Destination::read(id, &endpoint.destination) else {
            return Err(ApiError::field("id", "is no webhook: nothing is signed for it"));
        };
        let (made, shown) = make(house, &endpoint, hand.now)?;
        let rotated: Vec<_> = secret::rotated(&secrets, made, hand.now, overlap)
            .into_iter()
            .map(|secret| secret.sealed_anew(house.secrets.keeper()))
            .collect();
        let counts = (secrets.iter().filter(|secret| secret.signs_at(hand.now)).count(), rotated.len());
        let destination = super::endpoints::written(&Destination::Webhook { url, secrets: rotated })?;
        let change = SecretChange { version: endpoint.version, destination, counts };
        outcome = house.store.change_endpoint_secrets(&hand, &change).await?;
        match outcome {
            EndpointSteered::VersionChanged { .. } => {}
            EndpointSteered::Done => {
                info!(endpoint_id = %id, "endpoint's secret rotated by hand");
                let destination = change.destination;
                let version = endpoint.version + 1;
                let rotated = StoredEndpoint { destination, version, updated_at: hand.now, ..endpoint };
                return Ok(proto::RotateEndpointSecretResponse {
                    endpoint: Some(convert::to_proto(&rotated)),
                    secret: shown.expose_secret().to_owned(),
                });
            }
            _ => break,
        }
    }
    super::endpoints::settled(outcome)?;
    Err(ApiError::NotFound("ENDPOINT"))
}

fn make(
    house: &House,
    endpoint: &StoredEndpoint,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(WebhookSecret, SecretString), ApiError> {
    secret::make(house.secrets.keeper(), endpoint.id, now).map_err(|error| match error {
        SealError::NoKey => ApiError::SecretsNotKept,
        // The key is named and cannot be used: the operator's to mend, and what is wrong with it is not the caller's to know.
        error => ApiError::Internal(error.to_string()),
    })
}

/// Up to 30 days; a day where nothing is said.
fn checked_overlap(given: Option<prost_types::Duration>, violations: &mut Vec<Violation>) -> Duration {
    let Some(given) = given else { return OVERLAP_DEFAULT };
    match Duration::try_from(given) {
        Ok(overlap) if overlap <= OVERLAP_MAX => overlap,
        _ => {
            violations.push(Violation::new("overlap", "0s to 30 days"));
            OVERLAP_DEFAULT
        }
    }
}
