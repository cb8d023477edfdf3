//! By what a request is known: an id of its own for each call, and the one in the answer, which must be the same.
//!
//! An answer under another id may be somebody else's: what it tells must never be kept.
//!
//! **Owns** nothing. **Fails** as unreadable. **Limits**: PolishAPI wants UUIDs of version 1, whose node is made up anew for each
//! call (RFC 9562, section 6.10), so that no address of this machine is told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::AspspError;

/// Ticks of 100 ns between the beginning of the Gregorian calendar and 1970.
const TICKS_BEFORE_1970: i64 = 0x01B2_1DD2_1381_4000;
const TICKS_PER_MICROSECOND: i64 = 10;

/// What is asked of the id in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerId {
    /// It must be there and be ours, as both standards say.
    Required,
    /// It may be missing; if it is there it must be ours.
    IfPresent,
    /// It is not looked at, for an ASPSP that writes anything there.
    Ignored,
}

impl AnswerId {
    /// # Errors
    /// An answer that is not ours, as far as anybody can tell.
    pub(super) fn check(self, ours: Uuid, theirs: Option<&str>) -> Result<(), AspspError> {
        let unreadable = |reason: &str| Err(AspspError::Unreadable { reason: reason.to_owned() });
        match (self, theirs) {
            (Self::Ignored, _) | (Self::IfPresent, None) => Ok(()),
            (Self::Required, None) => unreadable("the answer has no request id"),
            (Self::Required | Self::IfPresent, Some(theirs)) => match Uuid::try_parse(theirs) {
                Ok(theirs) if theirs == ours => Ok(()),
                _ => unreadable("the answer has the request id of another request"),
            },
        }
    }
}

/// An id of version 4.
pub(super) fn random() -> Uuid {
    Uuid::new_v4()
}

/// An id of version 1.
pub(super) fn of_time(now: DateTime<Utc>) -> Uuid {
    let ticks = now.timestamp_micros() * TICKS_PER_MICROSECOND + TICKS_BEFORE_1970;
    let mut node: [u8; 6] = rand::random();
    // Says that the node is none of a network card.
    node[0] |= 1;
    let ticks = u64::try_from(ticks).unwrap_or_default();
    Builder::from_gregorian_timestamp(ticks, rand::random(), &node).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_their_version_and_never_twice_the_same() {
        let now: DateTime<Utc> = "2026-11-22T15:00:00.123456Z".parse().unwrap();
        let ids: HashSet<Uuid> = (0..1_000).map(|_| of_time(now)).collect();
        assert_eq!(ids.len(), 1_000);
        for id in &ids {
            assert_eq!((id.get_version_num(), id.get_variant()), (1, uuid::Variant::RFC4122));
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos), (now.timestamp().unsigned_abs(), now.timestamp_subsec_nanos()));
            assert_eq!(id.as_bytes()[10] & 1, 1);
        }
        assert_eq!(random().get_version_num(), 4);
    }

    #[test]
    fn an_answer_under_another_id_is_never_read() {
        let (ours, other) = (random(), random().to_string());
        let same = ours.to_string().to_uppercase();
        for (policy, theirs, is_fine) in [
            (AnswerId::Required, Some(same.as_str()), true),
            (AnswerId::Required, None, false),
            (AnswerId::Required, Some(other.as_str()), false),
            (AnswerId::Required, Some("none"), false),
            (AnswerId::IfPresent, None, true),
            (AnswerId::IfPresent, Some(other.as_str()), false),
            (AnswerId::Ignored, Some(other.as_str()), true),
        ] {
            assert_eq!(policy.check(ours, theirs).is_ok(), is_fine, "{policy:?} {theirs:?}");
        }
    }
}
