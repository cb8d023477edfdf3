//! The policies of a supervisor and of its children, as plain values.
//!
//! **Owns** nothing and **fails** never; the machine reads these and decides.
//! **Limits**: none of its own.

use std::time::Duration;

use super::backoff::Backoff;

/// Who is restarted when one child fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The failed child alone.
    OneForOne,
    /// The failed child and all that were declared after it, which depend on it.
    RestForOne,
    /// All children, because each depends on each.
    OneForAll,
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always, however it ended.
    Permanent,
    /// Only after an abnormal end.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Killed at once; `stopping` does not run.
    Brutal,
    /// Half of the time to drain the mailbox, then a stop that jumps the mailbox, at the end of the time a kill.
    Timeout(Duration),
    /// Drained, and waited for without end. The default of supervisors, whose children have limits of their own.
    Infinity,
}

/// What happens when restarts come faster than the intensity allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OnMeltdown {
    /// All children are stopped in reverse and the supervisor ends abnormally towards its parent.
    ///
    /// Restarts are counted for the supervisor as a whole, and a child that cannot be started at first
    /// takes the supervisor's start down with it.
    Escalate,
    /// The child alone stays down, red, and is tried again by `retry`; siblings go on.
    ///
    /// Restarts are counted for each child, and a child that cannot be started at first is a failure like any other.
    Park {
        /// How long a parked child waits before each new try; `reset_after` up ends its probation.
        retry: Backoff,
    },
}

/// Whether the normal end of significant children ends their supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoShutdown {
    /// Never.
    Never,
    /// As soon as one significant child has ended for good.
    AnySignificant,
    /// When all significant children have ended for good.
    AllSignificant,
}
