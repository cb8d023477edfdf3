//! How far claims have come, and when they may look from the beginning.
//!
//! Claims look from the beginning of every queue as a rule. Two things make that dear on PostgreSQL. What has been claimed
//! leads the index until a vacuum removes it, so claims that come back full go on from where they were, and look from the
//! beginning every [`RUSH`] (measured: a fifth of a claim's processor time was passing over what was gone). And beside a
//! transaction that stays open nothing is removed at all: when looks from the beginning turn out dear beside looks ahead,
//! twice running so that a slow moment of the machine is not mistaken for it, they get a twentieth of the time.
//!
//! **Owns** hints alone: what is claimed is decided by the claim's statement. **Limits**: [`LANES_MAX`] lanes; one more, and
//! all are forgotten and learnt anew. What is behind a lane's mark, in a lane that is not known, or of a tenant that had no
//! place, is met by the next look from the beginning: at the next claim that finds room, after [`RUSH`] at the latest, and
//! when looks are dear after twenty times as long as one takes, [`LOOK_AGAIN_MAX`] at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::ids::WorkId;
use crate::store::work::{ClaimRequest, Lane, Skimmed};

/// Lanes known at most. The statement compares each with each, which is a millisecond for so many.
const LANES_MAX: usize = 256;
/// What a claim may take besides its rows without being thought dear.
const CHEAP: Duration = Duration::from_millis(10);
/// What a row of a claim may take; 20 to 30 µs were measured on two busy cores.
const CHEAP_ROW: Duration = Duration::from_micros(50);
/// A look from the beginning is dear when it exceeds what is cheap by so many times what a look ahead does.
const TIMES_DEARER: u32 = 4;
/// Findings running that are believed.
const FINDINGS: u32 = 2;
/// Something dear is done again after so many times what it took.
const PAUSE_TIMES: u32 = 20;
/// Between two looks from the beginning at most.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Rows younger than this are looked at again: who inserts fixes the time first and commits a little later. Each look ahead
/// passes what ended within it, which at 30,000 jobs a second is 6,000 entries of the index.
const COMMIT_LAG: Duration = Duration::from_millis(200);
/// Between two looks from the beginning while claims come back full.
const RUSH: Duration = Duration::from_millis(50);

/// How long to wait before doing again what took so long, so that it stays a twentieth of the time.
pub fn pause_after(took: Duration) -> Duration {
    (took * PAUSE_TIMES).min(LOOK_AGAIN_MAX)
}

/// Where a claim looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In all queues from the beginning.
    Everything,
    /// In known lanes from their marks on.
    Ahead,
}

/// Where the claims of one worker stand; clones are the same.
#[derive(Clone, Default)]
pub struct Turn {
    inner: Arc<Mutex<Standing>>,
}

#[derive(Default)]
struct Standing {
    /// Where the next claim begins: past the queue that was served last, so that many busy queues take turns.
    next_queue: String,
    /// By queue and priority.
    lanes: BTreeMap<(String, i64), Marks>,
    looks: Looks,
}

type Key = (DateTime<Utc>, WorkId);

/// Marks of a lane.
#[derive(Clone, Copy)]
struct Marks {
    /// Up to here all has been claimed, as far as is known.
    at: Key,
    /// The furthest that was ever claimed. Between the two is what a look from the beginning found late.
    top: Key,
}

/// What looks cost.
#[derive(Default)]
struct Looks {
    /// A look from the beginning that ended then and was dearer than is cheap by this much; a look ahead is to tell whether
    /// all looks are.
    doubt: Option<(Instant, Duration)>,
    findings: u32,
    again_at: Option<Instant>,
    /// When all was last looked at, if the claim that did came back full.
    rush_since: Option<Instant>,
}

impl Turn {
    /// Whether a claim may look from the beginning now.
    pub fn may_look_at_everything(&self, now: Instant) -> bool {
        self.lock().looks.may_look_at_everything(now)
    }

    /// Whether a claim had better look ahead first: there is enough to do, or looks from the beginning are dear.
    pub fn should_look_ahead(&self, now: Instant) -> bool {
        let looks = &self.lock().looks;
        let is_rush = looks.rush_since.is_some_and(|since| now.duration_since(since) < RUSH);
        is_rush || !looks.may_look_at_everything(now)
    }

    /// The queue from which the next claim begins.
    pub fn next_queue(&self) -> String {
        self.lock().next_queue.clone()
    }

    /// Notes which queue was served last.
    pub fn served(&self, queue: &str) {
        // The first name after it.
        self.lock().next_queue = format!("{queue}\u{1}");
    }

    /// The lanes that a request may go on in.
    pub fn lanes(&self, request: &ClaimRequest, now: DateTime<Utc>) -> Vec<Lane> {
        self.lock().lanes_of(request, now)
    }

    /// Notes what came of a request.
    pub fn claimed(&self, request: &ClaimRequest, skimmed: &Skimmed) {
        self.lock().note(request, skimmed);
    }

    /// Notes how long a look took that brought so many rows, whether it went well or not.
    pub fn looked(&self, reach: Reach, rows: usize, now: Instant, took: Duration) {
        let excess = took.saturating_sub(CHEAP + CHEAP_ROW * u32::try_from(rows).unwrap_or(u32::MAX));
        self.lock().looks.note(reach, now, excess);
    }

    /// Notes that a look has filled a claim, so that the next one had better go on from there.
    pub fn filled(&self, reach: Reach, now: Instant) {
        if reach == Reach::Everything {
            self.lock().looks.rush_since = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn lanes_of(&self, request: &ClaimRequest, now: DateTime<Utc>) -> Vec<Lane> {
        let young = (now - COMMIT_LAG, WorkId(Uuid::nil()));
        let first = (request.queue_from.clone(), i64::MIN);
        let known = self.lanes.range(first..).take_while(|((queue, _), _)| *queue < request.queue_until);
        known
            .map(|((queue, priority), marks)| {
                let (run_at, id) = marks.at.min(young);
                Lane { queue: queue.clone(), priority: *priority, run_at, id }
            })
            .collect()
    }

    fn note(&mut self, request: &ClaimRequest, skimmed: &Skimmed) {
        if !request.tenants_full.is_empty() {
            // Rows of theirs were left behind on the way.
            return;
        }
        let mut claimed: HashMap<&str, i64> = HashMap::new();
        for claim in &skimmed.claims {
            *claimed.entry(&claim.queue).or_default() += 1;
        }
        for lane in &skimmed.reached {
            let reached = (lane.run_at, lane.id);
            let marks = self.lanes.entry((lane.queue.clone(), lane.priority));
            let marks = marks.or_insert(Marks { at: reached, top: reached });
            *marks = Marks { at: reached, top: marks.top.max(reached) };
        }
        if i64::try_from(skimmed.claims.len()).is_ok_and(|rows| rows < request.limit) {
            self.close_up(request, &claimed);
        }
        if self.lanes.len() > LANES_MAX {
            self.lanes.clear();
            self.looks = Looks::default();
        }
    }

    /// Notes that every lane was gone through to its end, but where places ran out: there more may follow at once.
    fn close_up(&mut self, request: &ClaimRequest, claimed: &HashMap<&str, i64>) {
        let busy: HashMap<&str, i64> =
            request.busy.iter().map(|(queue, free)| (queue.as_str(), *free)).collect();
        let first = (request.queue_from.clone(), i64::MIN);
        for ((queue, _), marks) in self.lanes.range_mut(first..) {
            if *queue >= request.queue_until {
                return;
            }
            let free = busy.get(queue.as_str()).copied().unwrap_or(request.free_per_queue);
            if claimed.get(queue.as_str()).copied().unwrap_or_default() < free {
                marks.at = marks.top;
            }
        }
    }
}

impl Looks {
    fn may_look_at_everything(&self, now: Instant) -> bool {
        self.doubt.is_none() && self.again_at.is_none_or(|at| now >= at)
    }

    fn note(&mut self, reach: Reach, now: Instant, excess: Duration) {
        match reach {
            Reach::Everything if excess.is_zero() => *self = Self::default(),
            Reach::Everything => self.doubt = Some((now, excess)),
            Reach::Ahead => {
                let Some((ended, of_everything)) = self.doubt.take() else { return };
                if of_everything <= excess * TIMES_DEARER {
                    *self = Self::default();
                    return;
                }
                self.findings += 1;
                self.again_at = (self.findings >= FINDINGS).then(|| ended + pause_after(of_everything));
            }
        }
    }
}

#[cfg(test)]
mod tests;
