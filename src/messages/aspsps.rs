//! Banks of open banking, each behind its desk: whoever asks one waits there for their turn.
//!
//! One desk serves every actor of the process, so that what a bank can bear bounds all of them together. Turns are given in the
//! order in which they were asked for. Places and rates are this process's; quotas are the store's, and hold whoever asks.
//!
//! **Owns** the places, the rate and the breaker of each bank; nothing that a crash may lose. **Fails** with [`HeldBack`], which is
//! no failure of the bank's: nothing was sent. **Limits**: a pause by an operator (`aspsp/NAME` among the queues) is noticed within
//! the poll interval; calls under way are finished. One turn is one call.

mod counting;
mod pauses;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};

pub use self::counting::{Counting, EndpointLimits};
pub use self::pauses::Pauses;
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::{AspspConnector, AspspError, Operation, Told};
use crate::domain::openbanking::quota::Quota;
use crate::metrics::calls;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::quota::QuotaKey;
use crate::work::breaker::{BreakerState, Verdict};
use crate::work::config::QueueLimit;
use crate::work::places::Standing;
use crate::work::{Place, Places};

/// How the names of the banks begin among the queues.
pub const QUEUE_PREFIX: &str = "aspsp/";

/// Every bank that is configured, by name; clones are the same.
#[derive(Clone, Default)]
pub struct Aspsps {
    desks: Arc<BTreeMap<String, AspspDesk>>,
}

/// One bank's desk; clones are the same.
#[derive(Clone)]
pub struct AspspDesk {
    desk: Arc<Desk>,
}

/// What a desk is made of.
pub struct DeskParts {
    pub name: String,
    pub standard: Standard,
    pub connector: AspspConnector,
    /// What the bank can bear of this process; no other desk has any of these.
    pub places: Places,
    /// Signalled when one of them becomes free that somebody waits for.
    pub freed: Arc<Notify>,
    pub counting: Counting,
    pub pauses: Pauses,
    /// How late a pause is noticed by whoever waits already.
    pub poll_interval: Duration,
}

struct Desk {
    parts: DeskParts,
    queue: String,
    /// Whoever has it stands in front; the others wait behind, in their order.
    front: Mutex<()>,
}

/// Somebody's turn at a desk: for one call, whose result it is told.
pub struct Turn {
    desk: Arc<Desk>,
    place: Place,
    begun: Instant,
}

/// Why a bank is not asked now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldBack {
    /// An operator has paused it.
    #[error("paused: {reason}")]
    Paused { reason: String },
    /// It did not answer lately.
    #[error("unavailable lately")]
    Unavailable { until: Option<DateTime<Utc>> },
}

/// The queue of a bank.
pub fn queue(name: &str) -> String {
    format!("{QUEUE_PREFIX}{name}")
}

impl Aspsps {
    /// All of them.
    pub fn new(desks: impl IntoIterator<Item = DeskParts>) -> Self {
        let desks = desks.into_iter().map(|parts| (parts.name.clone(), AspspDesk::new(parts)));
        Self { desks: Arc::new(desks.collect()) }
    }

    /// The desk of a bank, if it is configured.
    pub fn find(&self, name: &str) -> Option<&AspspDesk> {
        self.desks.get(name)
    }

    /// Every desk, by name.
    pub fn all(&self) -> impl Iterator<Item = &AspspDesk> {
        self.desks.values()
    }

    /// Has this process look at once for what has been paused and resumed.
    pub async fn look_at_pauses(&self) {
        for desk in self.all() {
            desk.desk.parts.pauses.forget().await;
            desk.desk.parts.freed.notify_one();
        }
    }
}

impl AspspDesk {
    pub fn new(parts: DeskParts) -> Self {
        let queue = queue(&parts.name);
        Self { desk: Arc::new(Desk { parts, queue, front: Mutex::default() }) }
    }

    /// The bank's name in the settings and in the store.
    pub fn name(&self) -> &str {
        &self.desk.parts.name
    }

    /// Its name among the queues.
    pub fn queue(&self) -> &str {
        &self.desk.queue
    }

    /// What it speaks.
    pub fn standard(&self) -> Standard {
        self.desk.parts.standard
    }

    /// By what it is asked.
    pub fn connector(&self) -> &AspspConnector {
        &self.desk.parts.connector
    }

    /// What it can bear of this process.
    pub fn limit(&self) -> QueueLimit {
        self.desk.parts.places.limit_of(&self.desk.queue)
    }

    /// How it counts accesses.
    pub fn counting(&self) -> &Counting {
        &self.desk.parts.counting
    }

    /// How this process stands with it.
    pub fn standing(&self) -> Standing {
        let mut standings = self.desk.parts.places.standings().into_iter();
        standings.find(|standing| standing.queue == self.desk.queue).unwrap_or_else(|| Standing {
            queue: self.desk.queue.clone(),
            party: self.desk.queue.clone(),
            in_hand: 0,
            breaker: BreakerState::Closed,
            failures: 0,
        })
    }

    /// Why an operator has it not asked, if one does.
    pub async fn paused(&self) -> Option<String> {
        self.desk.parts.pauses.reason(&self.desk.queue).await
    }

    /// Waits for a turn: as long as the bank has all that it can bear in hand.
    ///
    /// # Errors
    /// It is not asked now at all.
    pub async fn enter(&self) -> Result<Turn, HeldBack> {
        let desk = &self.desk;
        let _front = desk.front.lock().await;
        loop {
            if let Some(reason) = self.paused().await {
                return Err(HeldBack::Paused { reason });
            }
            // Where there is none, it is noted that somebody waits: whoever gives one back rings `freed`.
            if let Some(place) = desk.parts.places.try_take_within(&desk.queue) {
                return Ok(Turn { desk: desk.clone(), place, begun: Instant::now() });
            }
            match self.standing().breaker {
                BreakerState::Closed => {}
                BreakerState::Open { until } => {
                    let until = Some(moment(until)).filter(|_| until > Instant::now());
                    return Err(HeldBack::Unavailable { until });
                }
                // Somebody finds out just now whether it answers again.
                BreakerState::HalfOpen => return Err(HeldBack::Unavailable { until: None }),
            }
            let look_again = Instant::now() + desk.parts.poll_interval;
            let opening = desk.parts.places.next_opening().map_or(look_again, |at| at.min(look_again));
            tokio::select! {
                () = desk.parts.freed.notified() => {}
                () = sleep_until(opening) => {}
            }
        }
    }

    /// What an access counts against, before it is made: nothing where this operation is not counted. `resource` is the account.
    pub fn quota(
        &self,
        consent: &Consent,
        operation: Operation,
        resource: &str,
    ) -> Option<(QuotaKey, Quota)> {
        self.desk.parts.counting.of(self.name(), self.standard(), consent, operation, resource)
    }

    /// Whether each page of a set is an access of its own.
    pub fn counts_pages(&self) -> bool {
        self.desk.parts.counting.per_page
    }
}

impl Turn {
    /// Tells the breaker what the call says of the bank; ends the turn.
    pub fn heard<T>(self, told: &Told<T>) {
        if let Some(verdict) = verdict(told) {
            self.desk.parts.places.report(&self.desk.queue, verdict);
            let outcome = if verdict == Verdict::Answered { "answered" } else { "failed" };
            calls::aspsp_called(&self.desk.parts.name, self.begun.elapsed(), outcome);
        }
        // After the verdict: whoever stands in front is woken by this, and sees what the breaker has come to.
        drop(self.place);
    }
}

/// What a call says of the bank, whatever it says of the consent; nothing where it was never on its way.
fn verdict<T>(told: &Told<T>) -> Option<Verdict> {
    let Err(error) = &told.outcome else { return Some(Verdict::Answered) };
    match error {
        // Also what could not even be sent: nobody took the connection.
        AspspError::Unavailable { .. } | AspspError::Unreadable { .. } => Some(Verdict::Failed),
        // It does not know us, or something in front of it does not: asking on helps nobody. Before it was sent, our own settings
        // are at fault, and no bank is to be spared.
        AspspError::Misconfigured { .. } => told.call.may_have_been_sent.then_some(Verdict::Failed),
        AspspError::Unsupported { .. } => told.call.may_have_been_sent.then_some(Verdict::Answered),
        // A no is an answer: about a consent, a token, a payment, or that it was asked too often. So is one that is longer than we
        // read, which tells of an account and not of the bank.
        AspspError::RateLimited { .. }
        | AspspError::ConsentEnded { .. }
        | AspspError::Unauthorised { .. }
        | AspspError::Refused { .. }
        | AspspError::NotFound { .. }
        | AspspError::Pending
        | AspspError::TooLarge { .. } => Some(Verdict::Answered),
    }
}

/// The breaker goes by the monotonic clock; rows and people go by the other one.
fn moment(at: Instant) -> DateTime<Utc> {
    let wait = at.saturating_duration_since(Instant::now());
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    Utc::now().checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
