//! What to do when a stream ends: a pure state machine, without timers, chance passed in.
//!
//! **Owns** how often it went wrong since the last good snapshot. **Fails** never. **Limits**: waits double from `base` to
//! `cap`, of which chance takes any part off (full jitter), so that a crowd does not come back in step; what the other side
//! asks for is waited at least.

use std::time::Duration;

use crate::connectors::transfer_feeds::FeedError;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// We ended it ourselves: its token comes to an end, or everything is to be looked through again.
    Planned,
    /// The other side closed it, or the connection broke.
    Closed(String),
    /// No byte came for too long.
    Silent,
    /// What came could not be read.
    Garbled,
    /// The other side says that the credential is no longer valid.
    Revoked,
    /// The other side will not let us read on: its rules changed, or there is too much to read.
    Cancelled(String),
    /// More is offered than one event may hold.
    TooLarge,
    /// There is no index, and reading by pages instead is allowed.
    NoIndex,
    /// The listener did not keep up; what it missed is in the next snapshot.
    Behind,
    /// The stream did not begin.
    Failed(FeedError),
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Connect again after so long, under a new token if the old one is no longer taken.
    Reconnect { wait: Duration, reason: String, fresh_token: bool },
    /// Page through the backlog, then follow what is new.
    Page,
    /// Nothing but a person's hand helps.
    Stop(FeedError),
}

#[derive(Debug)]
pub(super) struct Course {
    base: Duration,
    cap: Duration,
    failures: u32,
    revoked: u32,
}

impl Course {
    pub(super) fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0, revoked: 0 }
    }

    /// Everything that is offered has been told.
    pub(super) fn good_snapshot(&mut self) {
        self.failures = 0;
        self.revoked = 0;
    }

    /// A stream ended so; `roll` is a random number from 0.0 up to 1.0.
    pub(super) fn ended(&mut self, end: End, roll: f64) -> Next {
        match end {
            End::Planned | End::Behind => at_once(&end, false),
            End::Revoked => {
                self.revoked += 1;
                // Once is the end of a token's life; again without a good snapshot is trouble.
                if self.revoked == 1 { at_once(&end, true) } else { self.back_off(&end, roll, None, true) }
            }
            End::Closed(_) | End::Silent | End::Garbled => self.back_off(&end, roll, None, false),
            End::Cancelled(reason) => Next::Stop(FeedError::Refused { reason }),
            End::TooLarge | End::NoIndex => Next::Page,
            End::Failed(FeedError::Unavailable { retry_after, .. }) => {
                self.back_off(&end, roll, retry_after, false)
            }
            // Rules and keys are changed while we look on, so that it is tried again, but never fast.
            End::Failed(FeedError::SignedOut { .. }) => self.back_off(&end, roll, Some(self.cap), true),
            End::Failed(FeedError::OutcomeUnknown { .. } | FeedError::TooLarge { .. }) => {
                self.back_off(&end, roll, None, false)
            }
            End::Failed(error @ (FeedError::Refused { .. } | FeedError::Misconfigured { .. })) => {
                Next::Stop(error)
            }
        }
    }

    fn back_off(&mut self, end: &End, roll: f64, at_least: Option<Duration>, fresh_token: bool) -> Next {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(self.cap).mul_f64(roll.clamp(0.0, 1.0)).max(at_least.unwrap_or_default());
        Next::Reconnect { wait, reason: end.reason(), fresh_token }
    }
}

impl End {
    fn reason(&self) -> String {
        match self {
            Self::Planned => "the token is renewed".to_owned(),
            Self::Closed(reason) => format!("the stream ended: {reason}"),
            Self::Silent => "the stream fell silent".to_owned(),
            Self::Garbled => "the stream cannot be read".to_owned(),
            Self::Revoked => "the token is no longer taken".to_owned(),
            Self::Cancelled(reason) => reason.clone(),
            Self::TooLarge => "more is offered than one event may hold".to_owned(),
            Self::NoIndex => "the database has no index".to_owned(),
            Self::Behind => "the listener did not keep up".to_owned(),
            Self::Failed(error) => error.to_string(),
        }
    }
}

fn at_once(end: &End, fresh_token: bool) -> Next {
    Next::Reconnect { wait: Duration::ZERO, reason: end.reason(), fresh_token }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        Course::new(Duration::from_secs(1), Duration::from_mins(1))
    }

    fn wait(next: &Next) -> (Duration, bool) {
        match next {
            Next::Reconnect { wait, fresh_token, .. } => (*wait, *fresh_token),
            other => panic!("no reconnect: {other:?}"),
        }
    }

    fn closed() -> End {
        End::Closed("by peer".to_owned())
    }

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew_behind_a_good_snapshot() {
        let mut course = course();
        let mut longest = || wait(&course.ended(closed(), 1.0)).0.as_secs();
        assert_eq!([longest(), longest(), longest(), longest()], [1, 2, 4, 8]);
        assert_eq!([longest(), longest(), longest(), longest()], [16, 32, 60, 60]);
        course.good_snapshot();
        assert_eq!(wait(&course.ended(End::Silent, 0.5)), (Duration::from_millis(500), false));
        assert_eq!(wait(&course.ended(End::Garbled, 0.0)), (Duration::ZERO, false));
        for _ in 0..100 {
            assert!(wait(&course.ended(closed(), 1.0)).0 <= Duration::from_mins(1));
        }
    }

    #[test]
    fn the_other_side_s_own_wait_is_kept() {
        let busy =
            |retry_after| End::Failed(FeedError::Unavailable { retry_after, reason: "busy".to_owned() });
        let seconds = Duration::from_secs;
        assert_eq!(wait(&course().ended(busy(Some(seconds(90))), 1.0)).0, seconds(90));
        assert_eq!(wait(&course().ended(busy(Some(seconds(0))), 1.0)).0, seconds(1));
        assert_eq!(wait(&course().ended(busy(None), 1.0)).0, seconds(1));
    }

    #[test]
    fn what_is_planned_happens_at_once_and_a_revoked_token_is_renewed_once_at_once() {
        let mut course = course();
        assert_eq!(wait(&course.ended(End::Planned, 1.0)), (Duration::ZERO, false));
        assert_eq!(wait(&course.ended(End::Behind, 1.0)), (Duration::ZERO, false));
        assert_eq!(wait(&course.ended(End::Revoked, 1.0)), (Duration::ZERO, true));
        assert_eq!(wait(&course.ended(End::Revoked, 1.0)), (Duration::from_secs(1), true));
        assert_eq!(wait(&course.ended(End::Revoked, 1.0)), (Duration::from_secs(2), true));
        course.good_snapshot();
        assert_eq!(wait(&course.ended(End::Revoked, 1.0)), (Duration::ZERO, true));
        let out = End::Failed(FeedError::SignedOut { reason: "no".to_owned() });
        assert_eq!(wait(&course.ended(out, 0.0)), (Duration::from_mins(1), true));
    }

    #[test]
    fn what_no_waiting_mends_stops_and_a_backlog_is_paged() {
        assert_eq!(course().ended(End::TooLarge, 0.0), Next::Page);
        assert_eq!(course().ended(End::NoIndex, 0.0), Next::Page);
        let refused = FeedError::Refused { reason: "rules".to_owned() };
        assert_eq!(course().ended(End::Cancelled("rules".to_owned()), 0.0), Next::Stop(refused.clone()));
        assert_eq!(course().ended(End::Failed(refused.clone()), 0.0), Next::Stop(refused));
        let wrong = FeedError::Misconfigured { reason: "index".to_owned() };
        assert_eq!(course().ended(End::Failed(wrong.clone()), 0.0), Next::Stop(wrong));
    }
}
