//! How a consent stands, and when its owner hears that it ends.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a notice is told once; of several that have become due meanwhile only the
//! nearest to the end is. A consent without an end is never told to end.

use chrono::{DateTime, TimeDelta, Utc};

/// So many days before its end the owner is told, in the order in which they come.
pub const NOTICE_DAYS: [u32; 3] = [14, 7, 1];

/// How a consent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentStatus {
    /// Asked for; its customer has not allowed it yet.
    Received,
    /// The bank may be asked by it, until its end.
    Valid,
    /// Its end has come; the bank is not asked by it any more.
    Expired,
    /// Its customer, its bank or an operator has taken it back, or its tokens are refused.
    Revoked,
}

/// What its owner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It ends in so many days or less.
    Expiring {
        days: u32,
    },
    Expired,
}

impl ConsentStatus {
    /// Every status there is.
    pub const ALL: [Self; 4] = [Self::Received, Self::Valid, Self::Expired, Self::Revoked];

    /// Its name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it can never be used again.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked)
    }
}

/// What there is to tell at that moment of a consent that ends then.
pub fn notice_at(valid_until: DateTime<Utc>, now: DateTime<Utc>) -> Option<Notice> {
    if now >= valid_until {
        return Some(Notice::Expired);
    }
    let reached = NOTICE_DAYS.into_iter().rev().find(|days| now >= before(valid_until, *days));
    reached.map(|days| Notice::Expiring { days })
}

/// When there is something to tell for the first time.
pub fn first_notice(valid_until: DateTime<Utc>) -> DateTime<Utc> {
    before(valid_until, NOTICE_DAYS[0])
}

/// When there is something to tell next, after what there was at that moment.
pub fn next_notice(valid_until: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let mut notices = NOTICE_DAYS.into_iter().map(|days| before(valid_until, days));
    notices.find(|at| *at > now).unwrap_or(valid_until)
}

fn before(valid_until: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    valid_until.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_owner_is_told_fourteen_days_seven_and_one_ahead_and_at_the_end() {
        let end: DateTime<Utc> = "2026-12-01T10:00:00Z".parse().unwrap();
        let mut now = end - TimeDelta::days(180);
        let mut told = Vec::new();
        let mut at = first_notice(end);
        assert_eq!(notice_at(end, now), None);
        loop {
            now = now.max(at);
            let notice = notice_at(end, now).unwrap();
            told.push(((end - now).num_days(), notice));
            if notice == Notice::Expired {
                break;
            }
            at = next_notice(end, now);
            assert!(at > now);
        }
        let expected = [14, 7, 1].map(|days| (i64::from(days), Notice::Expiring { days }));
        assert_eq!(told, [&expected[..], &[(0, Notice::Expired)]].concat());
    }

    #[test]
    fn what_was_missed_is_told_once_and_in_its_nearest_words() {
        let end: DateTime<Utc> = "2026-12-01T10:00:00Z".parse().unwrap();
        let late = end - TimeDelta::days(5);
        assert_eq!(notice_at(end, late), Some(Notice::Expiring { days: 7 }));
        assert_eq!(next_notice(end, late), end - TimeDelta::days(1));
        assert_eq!(next_notice(end, end - TimeDelta::hours(1)), end);
        assert_eq!(notice_at(end, end + TimeDelta::days(400)), Some(Notice::Expired));
    }

    #[test]
    fn names_are_read_back() {
        for status in ConsentStatus::ALL {
            assert_eq!(ConsentStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(ConsentStatus::parse("active"), None);
    }
}
