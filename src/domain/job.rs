//! Jobs and their runs: what they are called, how they stand, and what becomes of a slot whose job still runs.
//!
//! ```text
//! waiting ──► queued ──► running ──► completed | failed | rate_limited
//!    │           │          │ ▲ an attempt was cut off, or is made later
//!    └───────────┴──────────┴─┴───► cancelled
//! ```
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a run that waits in line has no work yet; it gets it when the run before
//! has ended, in the same transaction.

use chrono::{DateTime, Utc};

use super::ids::JobRunId;
use super::timetable::Fire;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in the store and on the command line.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

named!(
    /// How a run stands.
    RunState {
        /// Behind another run of its job.
        Waiting => "waiting",
        /// Any process that knows the job may take it.
        Queued => "queued",
        Running => "running",
        Completed => "completed",
        Failed => "failed",
        Cancelled => "cancelled",
        /// It ended early because somebody outside wanted no more questions: neither done nor failed.
        RateLimited => "rate_limited",
    }
);

named!(
    /// What began a run.
    Cause {
        /// Its slot came.
        Timetable => "timetable",
        /// Its slot had come while nobody looked.
        CatchUp => "catch_up",
        /// Somebody wanted it now.
        Manual => "manual",
        /// Somebody wanted the slots of some time.
        Backfill => "backfill",
    }
);

named!(
    /// What became of a slot.
    SlotOutcome {
        Run => "run",
        /// Nobody looked when it came, and it was not to be caught up with.
        Missed => "missed",
        /// The run before it had not ended.
        SkippedOverlap => "skipped_overlap",
        /// The timetable was paused.
        SkippedPaused => "skipped_paused",
    }
);

named!(
    /// What becomes of a slot whose job still runs.
    Overlap {
        /// It is passed over.
        Skip => "skip",
        /// One waits; the others are passed over.
        QueueOne => "queue_one",
        /// It runs beside the other.
        Allow => "allow",
    }
);

impl RunState {
    /// Whether nothing more comes of it.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::RateLimited)
    }
}

impl Cause {
    /// Whether its runs wait in line rather than be passed over: somebody asked for each of them.
    pub fn waits_in_line(self) -> bool {
        matches!(self, Self::CatchUp | Self::Backfill)
    }
}

/// What a new run is to be, of a job of which so many live, so many of those waiting; nothing where it is passed over.
pub fn place_of(overlap: Overlap, cause: Cause, live: i64, waiting: i64) -> Option<RunState> {
    match overlap {
        _ if live == 0 => Some(RunState::Queued),
        Overlap::Allow => Some(RunState::Queued),
        _ if cause.waits_in_line() => Some(RunState::Waiting),
        Overlap::QueueOne if waiting == 0 => Some(RunState::Waiting),
        Overlap::QueueOne | Overlap::Skip => None,
    }
}

/// The queue in which a job's runs wait.
pub fn queue(job: &str) -> String {
    format!("jobs/{job}")
}

/// The trace of a run, whose id is the run's: what it does are children of one span that nobody has recorded.
pub fn traceparent(id: JobRunId) -> String {
    let hex = id.0.simple().to_string();
    // The second half of a UUID is never zero: it begins with the variant's bits.
    format!("00-{hex}-{}-01", &hex[16..])
}

/// What a run has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: i64,
    /// Of how many, where that is known.
    pub total: Option<i64>,
    /// Whatever else is counted, by name.
    pub counts: std::collections::BTreeMap<String, i64>,
    /// A few words on what it is at.
    pub note: Option<String>,
    /// Where the next attempt goes on, in the job's own words.
    pub position: Option<String>,
}

/// A run about to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: JobRunId,
    pub seed: i64,
    /// When it may begin, by the store's clock.
    pub run_at: DateTime<Utc>,
    pub cause: Cause,
    /// What it is about, in the job's own words; nothing for all that the job is about. A run about less than all lives beside the
    /// others: no slot is passed over for it.
    pub arguments: Option<String>,
}

/// A slot that is decided about.
#[derive(Debug, Clone)]
pub struct PlannedSlot {
    pub fire: Fire,
    /// Its run; nothing where it is missed.
    pub run: Option<NewRun>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_decides_who_waits_and_who_is_passed_over() {
        use Cause::{Backfill, CatchUp, Timetable};
        use RunState::{Queued, Waiting};
        for overlap in Overlap::ALL {
            assert_eq!(place_of(*overlap, Timetable, 0, 0), Some(Queued), "{overlap:?}");
        }
        assert_eq!(place_of(Overlap::Allow, Timetable, 3, 0), Some(Queued));
        assert_eq!(place_of(Overlap::Skip, Timetable, 1, 0), None);
        assert_eq!(place_of(Overlap::QueueOne, Timetable, 1, 0), Some(Waiting));
        assert_eq!(place_of(Overlap::QueueOne, Timetable, 2, 1), None);
        for cause in [CatchUp, Backfill] {
            assert_eq!(place_of(Overlap::Skip, cause, 5, 4), Some(Waiting), "{cause:?}");
        }
    }

    #[test]
    fn a_run_is_its_trace() {
        let id = JobRunId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(traceparent(id), "00-01900000000070008000000000000001-8000000000000001-01");
    }

    #[test]
    fn names_are_read_back() {
        for state in RunState::ALL {
            assert_eq!(RunState::from_name(state.as_str()), Some(*state));
        }
        assert_eq!(Overlap::from_name("never"), None);
    }
}
