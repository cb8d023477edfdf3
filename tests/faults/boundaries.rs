//! A day is played once for each step boundary that it has, and the process ends there.
//!
//! A rehearsal lists the boundaries: before and after each commit, each claim, each call. Which of two that run beside each
//! other comes first varies from play to play, and with it how often a point is reached; each day says what must not be
//! missed.
//!
//! **Owns** nothing. **Fails** a test with the boundary at which something was lost or repeated.
//! **Limits**: [`SIDE_BY_SIDE`] plays at a time, beside those of another test: about as many as two cores keep up with.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitStatus;

use futures_util::{FutureExt as _, StreamExt as _};

use crate::database::Kind;
use crate::stage::Stage;

const SIDE_BY_SIDE: usize = 3;
/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;

/// A boundary: its name, and which time it is reached.
pub type Boundary = (String, usize);

/// A day that has boundaries.
pub trait Day: Copy + fmt::Debug {
    /// Plays the day to its end and lists its boundaries.
    async fn rehearse(self, kind: Kind) -> Vec<Boundary>;

    /// Plays the day up to the boundary, and on after a restart. Returns whether the boundary was reached.
    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool;

    /// Judges what was listed, and what of it was never reached.
    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]);
}

/// Plays a day once for each of its boundaries.
pub async fn crash_everywhere(kind: Kind, day: impl Day) {
    let boundaries = day.rehearse(kind).await;
    let played = futures_util::stream::iter(&boundaries)
        .map(|boundary| async move {
            let played = AssertUnwindSafe(day.crash(kind, boundary)).catch_unwind().await;
            // The panic has said why; here is where.
            (boundary, played.unwrap_or_else(|_| panic!("{kind:?}, {day:?}, crash at {boundary:?}")))
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect::<Vec<_>>()
        .await;
    let missed: Vec<&Boundary> =
        played.iter().filter(|(_, reached)| !reached).map(|(boundary, _)| *boundary).collect();
    day.judge(&boundaries, &missed);
}

/// Has a process write its points down in a file of the stage's.
pub fn logged(stage: &Stage) -> (&'static str, String) {
    ("BURSAR_FAILPOINT_LOG", stage.file("points").display().to_string())
}

/// Has a process end itself at a boundary.
pub fn armed((point, time): &Boundary) -> (&'static str, String) {
    ("BURSAR_FAILPOINT", format!("{point}:{time}"))
}

/// The points that have been reached so far, in their order.
pub fn reached(stage: &Stage) -> Vec<String> {
    let points = std::fs::read_to_string(stage.file("points")).expect("points were reached");
    points.lines().map(str::to_owned).collect()
}

/// Counts each point up; from the given place on they are boundaries, where `counts` says so.
pub fn enumerate(points: &[String], from: usize, counts: impl Fn(&str) -> bool) -> Vec<Boundary> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut boundaries = Vec::new();
    for (place, point) in points.iter().enumerate() {
        let time = times.entry(point).or_default();
        *time += 1;
        if place >= from && counts(point) {
            boundaries.push((point.clone(), *time));
        }
    }
    boundaries
}

/// Whether a process has ended itself at a boundary.
pub fn has_aborted(status: ExitStatus) -> bool {
    status.signal() == Some(ABORTED)
}

/// A test of each day, on either database.
macro_rules! days {
    ($($name:ident: $day:expr),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::boundaries::crash_everywhere(crate::database::Kind::Sqlite, $day).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::boundaries::crash_everywhere(crate::database::Kind::PostgreSql, $day).await;
            })*
        }
    };
}
pub(crate) use days;
