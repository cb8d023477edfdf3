//! The secrets with which the messages to one endpoint are signed: named by its owner, or made and kept by the service.
//!
//! **Owns** nothing: they lie in the endpoint's row, a kept one sealed for that row alone.
//! **Fails** as the keeper does. **Limits**: [`SECRETS_MAX`] of an endpoint, one of which stays; the others go when their time
//! is over, without anybody's doing.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::connectors::secret::sealed::{SealError, Sealed, SecretKeeper};
use crate::domain::ids::EndpointId;

/// Two while one is being rotated, and room for a second rotation before the first is over.
pub const SECRETS_MAX: usize = 4;
/// How long the secret before goes on signing, unless it is said otherwise: an owner's own deployment takes less.
pub const OVERLAP_DEFAULT: Duration = Duration::from_hours(24);
/// How long it may.
pub const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);

/// What a secret begins with, as Standard Webhooks has it.
pub(super) const PREFIX: &str = "whsec_";
/// Bytes of a secret that the service makes; the standard asks for 24 to 64.
const MADE_BYTES: usize = 32;

/// One secret, as it stands in the endpoint's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WebhookSecret {
    /// Of the operator's keeping. In rows that are older than the others it is the only kind.
    Referenced(SecretRef),
    /// The same, for a while only: another has come in its place.
    Retiring(RetiringSecret),
    /// Of the service's own keeping.
    Kept(KeptSecret),
}

/// A secret of the operator's keeping that another has come in the place of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiringSecret {
    pub reference: SecretRef,
    pub expires_at: DateTime<Utc>,
}

/// A secret that the service made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSecret {
    sealed: Sealed,
    pub created_at: DateTime<Utc>,
    /// When it stops signing; never, for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// In whose row it was found; without it nothing is opened.
    #[serde(skip)]
    found_in: Option<EndpointId>,
}

impl fmt::Debug for KeptSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSecret")
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Makes a secret for an endpoint: what goes into its row, and what its owner is shown once.
///
/// # Errors
/// A keeper without a key that can be used.
pub fn make(
    keeper: &SecretKeeper,
    endpoint_id: EndpointId,
    now: DateTime<Utc>,
) -> Result<(WebhookSecret, SecretString), SealError> {
    let bytes: [u8; MADE_BYTES] = rand::random();
    let secret = SecretString::from(format!("{PREFIX}{}", STANDARD.encode(bytes)));
    let sealed = keeper.seal(&purpose(endpoint_id), &secret)?;
    let found_in = Some(endpoint_id);
    Ok((WebhookSecret::Kept(KeptSecret { sealed, created_at: now, expires_at: None, found_in }), secret))
}

/// Puts a new secret before those that an endpoint has, which go on signing beside it for `overlap`.
pub fn rotated(
    before: &[WebhookSecret],
    new: WebhookSecret,
    now: DateTime<Utc>,
    overlap: Duration,
) -> Vec<WebhookSecret> {
    let end = now + TimeDelta::from_std(overlap.min(OVERLAP_MAX)).unwrap_or(TimeDelta::zero());
    let going = before.iter().map(|secret| secret.until(end)).filter(|secret| secret.signs_at(now));
    std::iter::once(new).chain(going).take(SECRETS_MAX).collect()
}

impl WebhookSecret {
    /// Whether messages are signed with it at that moment.
    pub fn signs_at(&self, now: DateTime<Utc>) -> bool {
        self.expires_at().is_none_or(|end| now < end)
    }

    /// When it stops signing.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Referenced(_) => None,
            Self::Retiring(retiring) => Some(retiring.expires_at),
            Self::Kept(kept) => kept.expires_at,
        }
    }

    /// Where it is kept, if not here.
    pub fn reference(&self) -> Option<&SecretRef> {
        match self {
            Self::Referenced(reference) => Some(reference),
            Self::Retiring(retiring) => Some(&retiring.reference),
            Self::Kept(_) => None,
        }
    }

    /// The same, until `end` at the latest.
    fn until(&self, end: DateTime<Utc>) -> Self {
        let end = self.expires_at().map_or(end, |own| own.min(end));
        match self.clone() {
            Self::Referenced(reference) => Self::Retiring(RetiringSecret { reference, expires_at: end }),
            Self::Retiring(retiring) => Self::Retiring(RetiringSecret { expires_at: end, ..retiring }),
            Self::Kept(kept) => Self::Kept(KeptSecret { expires_at: Some(end), ..kept }),
        }
    }

    /// Says in whose row it was found.
    pub(in crate::connectors) fn set_found_in(&mut self, endpoint_id: EndpointId) {
        if let Self::Kept(kept) = self {
            kept.found_in = Some(endpoint_id);
        }
    }

    /// The same, sealed by the key of today. One that cannot be opened stays as it is: its key may come back.
    #[must_use]
    pub fn sealed_anew(self, keeper: &SecretKeeper) -> Self {
        match self {
            Self::Kept(KeptSecret { sealed, created_at, expires_at, found_in: Some(id) }) => {
                let anew = keeper.renew(&purpose(id), &sealed).ok().flatten();
                let sealed = anew.unwrap_or(sealed);
                Self::Kept(KeptSecret { sealed, created_at, expires_at, found_in: Some(id) })
            }
            other => other,
        }
    }

    /// The value. The reason why there is none does not repeat it.
    pub(super) fn open(&self, policy: &SecretPolicy) -> Result<SecretString, String> {
        match self {
            Self::Referenced(reference) | Self::Retiring(RetiringSecret { reference, .. }) => {
                policy.resolve(reference).map_err(|error| error.to_string())
            }
            Self::Kept(kept) => {
                let endpoint_id = kept.found_in.ok_or("the row of the kept secret is not known")?;
                let opened = policy.keeper().open(&purpose(endpoint_id), &kept.sealed);
                opened.map_err(|error| error.to_string())
            }
        }
    }
}

/// What a kept secret is sealed for.
fn purpose(endpoint_id: EndpointId) -> String {
    format!("endpoint:{endpoint_id}")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use uuid::Uuid;

    use super::*;
    use crate::connectors::scripted::{SecretFile, any_secret_kept_by};

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn read_back(secret: &WebhookSecret, endpoint_id: EndpointId) -> WebhookSecret {
        let mut read: WebhookSecret = serde_json::from_str(&serde_json::to_string(secret).unwrap()).unwrap();
        read.set_found_in(endpoint_id);
        read
    }

    #[test]
    fn what_the_service_made_is_opened_in_its_own_row_only() {
        let key = SecretFile::new(&STANDARD.encode([7; 32]));
        let policy = any_secret_kept_by(&key);
        let (own, other) = (EndpointId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(2)));
        let (made, shown) = make(policy.keeper(), own, at(0)).unwrap();
        let shown = shown.expose_secret();
        assert!(shown.starts_with(PREFIX) && shown.len() == PREFIX.len() + 44, "{}", shown.len());
        assert_eq!(read_back(&made, own).open(&policy).unwrap().expose_secret(), shown);
        assert!(read_back(&made, other).open(&policy).is_err());
        let written = serde_json::to_string(&made).unwrap();
        assert!(!written.contains(shown) && !format!("{made:?}").contains("v1."), "{made:?}");
        let homeless: WebhookSecret = serde_json::from_str(&written).unwrap();
        assert!(homeless.open(&policy).is_err());
        assert_ne!(make(policy.keeper(), own, at(0)).unwrap().1.expose_secret(), shown);
    }

    #[test]
    fn the_secrets_before_go_on_for_a_while_and_then_no_more() {
        let named = |name: &str| WebhookSecret::Referenced(SecretRef::Env(name.to_owned()));
        let overlap = Duration::from_mins(10);
        let secrets = rotated(&[named("A"), named("B")], named("C"), at(0), overlap);
        let names = |secrets: &[WebhookSecret], minute: i64| -> Vec<String> {
            let signing = secrets.iter().filter(|secret| secret.signs_at(at(minute)));
            signing.map(|secret| secret.reference().unwrap().to_string()).collect()
        };
        assert_eq!(names(&secrets, 9), ["env:C", "env:A", "env:B"]);
        assert_eq!(names(&secrets, 10), ["env:C"]);
        // Those that go have not more time by another rotation, and those that are gone do not come back.
        let again = rotated(&secrets, named("D"), at(5), overlap);
        assert_eq!(names(&again, 9), ["env:D", "env:C", "env:A", "env:B"]);
        assert_eq!(names(&again, 12), ["env:D", "env:C"]);
        assert_eq!(rotated(&secrets, named("D"), at(10), overlap).len(), 2);
        assert_eq!(names(&rotated(&secrets, named("D"), at(5), Duration::ZERO), 5), ["env:D"]);
        let fifth = rotated(&again, named("E"), at(6), Duration::MAX);
        assert_eq!(names(&fifth, 6), ["env:E", "env:D", "env:C", "env:A"]);
    }

    #[test]
    fn rows_of_before_are_read_and_written_as_they_were() {
        let text = r#"["env:HOOK",{"reference":"env:OLD","expires_at":"2026-01-02T00:00:00Z"}]"#;
        let secrets: Vec<WebhookSecret> = serde_json::from_str(text).unwrap();
        assert_eq!(secrets[0].reference(), Some(&SecretRef::Env("HOOK".to_owned())));
        assert_eq!(serde_json::to_string(&secrets).unwrap(), text);
        assert!(serde_json::from_str::<WebhookSecret>(r#"{"reference":"s3cret"}"#).is_err());
    }
}
