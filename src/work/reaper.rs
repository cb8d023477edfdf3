//! Returns what dead processes held and what this one has lost sight of, and makes due what has waited long enough.
//!
//! A process is dead when its counter has stood still for `reap_after` of this observer's own monotonic clock: wall clocks
//! may jump, and a row's age says nothing about its holder. Whoever sees it first buries it; the others find it buried.
//!
//! Rows become due at a moment that nobody signals: it looks often, and where the next moment is known, exactly then.
//!
//! **Owns** what it has seen of the others, and one alarm. **Fails** softly: a store that is away is looked at again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::ahead::pause_after;
use super::config::WorkConfig;
use super::guard::Held;
use super::hints::Hints;
use super::lease::Lease;
use super::ticker::Ticker;
use crate::domain::ids::{RunnerId, WorkId};
use crate::domain::work::WorkState;
use crate::store::runner::RunnerBeat;
use crate::store::work::PutBack;
use crate::store::{Store, StoreError};
use crate::supervision::{Actor, ActorError, ChildSpec, Context};

/// What the reaper is told.
pub enum ReaperMessage {
    /// Look at the waiting rows and the other processes.
    Look,
}

/// The reaper.
pub struct Reaper {
    store: Store,
    lease: Lease,
    hints: Hints,
    reap_after: Duration,
    look_at_others_every: Duration,
    looked_at_others: Option<Instant>,
    /// Beside a transaction that stays open the look at our own rows passes all that have ended since, so it is spaced out.
    look_at_ourselves_from: Instant,
    seen: HashMap<RunnerId, (i64, Instant)>,
    held: Held,
    /// Rows that ran under this process and in nobody's hand at the last look.
    unheld: HashSet<(WorkId, i64)>,
    interval: Duration,
    /// Wakes the ticker before its time.
    due: Arc<Notify>,
    alarm: Option<AbortHandle>,
    _ticker: Ticker,
}

impl Reaper {
    /// The reaper as a child of the foundation.
    pub fn spec(store: Store, lease: Lease, hints: Hints, held: Held, config: &WorkConfig) -> ChildSpec {
        let config = config.clone();
        let (_, spec) = ChildSpec::worker("reaper", move |context: Context<ReaperMessage>| {
            let interval = (config.poll_interval / 4).min(config.heartbeat_interval / 2);
            let due = Arc::new(Notify::new());
            // The first look is now: it finds what became due while nobody was there.
            due.notify_one();
            let reaper = Self {
                store: store.clone(),
                lease: lease.clone(),
                hints: hints.clone(),
                reap_after: config.reap_after,
                look_at_others_every: config.heartbeat_interval / 2,
                looked_at_others: None,
                look_at_ourselves_from: Instant::now(),
                seen: HashMap::new(),
                held: held.clone(),
                unheld: HashSet::new(),
                interval,
                due: due.clone(),
                alarm: None,
                _ticker: Ticker::start(context.myself, interval, Some(due), || ReaperMessage::Look),
            };
            async move { Ok(reaper) }
        });
        spec
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let queues = self.store.promote_due(self.store.now()).await?;
        for queue in &queues {
            self.hints.there_is_work(queue);
        }
        let next = self.store.next_due().await?;
        self.set_alarm(next, !queues.is_empty());
        let is_time = self.looked_at_others.is_none_or(|at| at.elapsed() >= self.look_at_others_every);
        if is_time {
            self.looked_at_others = Some(Instant::now());
            self.store.ask_the_time().await?;
            self.look_at_others().await?;
            if Instant::now() >= self.look_at_ourselves_from {
                let began = Instant::now();
                let looked = self.look_at_ourselves().await;
                self.look_at_ourselves_from = Instant::now() + pause_after(began.elapsed());
                looked?;
            }
        }
        Ok(())
    }

    /// Has this look again when the next row becomes due, if that is before the next look. `got_on`: rows were found due,
    /// so that more of them may be left; without it, a row that is due already is in another process's hands.
    fn set_alarm(&mut self, next: Option<DateTime<Utc>>, got_on: bool) {
        if let Some(earlier) = self.alarm.take() {
            earlier.abort();
        }
        let wait = match next.map(|next| (next - self.store.now()).to_std()) {
            Some(Ok(wait)) if wait < self.interval => wait,
            Some(Err(_)) if got_on => Duration::ZERO,
            _ => return,
        };
        let due = self.due.clone();
        let alarm = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            due.notify_one();
        });
        self.alarm = Some(alarm.abort_handle());
    }

    /// Puts back what runs under this process and is in nobody's hand: the answer to a claim or a commit was lost on its
    /// way here. Found at two looks running, so that what is just being taken in hand is left alone.
    async fn look_at_ourselves(&mut self) -> Result<(), StoreError> {
        let Some(runner_id) = self.lease.holder() else { return Ok(()) };
        let running = self.store.rows_running_under(runner_id).await?;
        let unheld: HashSet<(WorkId, i64)> = running.into_iter().filter(|row| !self.held.has(row)).collect();
        let lost: Vec<PutBack> = unheld
            .intersection(&self.unheld)
            .map(|(id, fence)| PutBack {
                id: *id,
                runner_id,
                fence: *fence,
                span: None,
                state: WorkState::Available,
                run_at: self.store.now(),
                error: Some("nobody had it in hand".to_owned()),
                attempt_counts: true,
                nothing_was_sent: false,
            })
            .collect();
        self.unheld = unheld;
        if !lost.is_empty() {
            warn!(rows = lost.len(), "work that nobody had in hand put back");
            self.store.put_back_alone(&lost).await?;
            self.hints.there_is_work("");
        }
        Ok(())
    }

    async fn look_at_others(&mut self) -> Result<(), StoreError> {
        let beats = self.store.living_runners().await?;
        let now = Instant::now();
        self.seen.retain(|id, _| beats.iter().any(|beat| beat.id == *id));
        for beat in beats {
            let (counter, since) = self.seen.entry(beat.id).or_insert((beat.beat, now));
            if *counter != beat.beat {
                (*counter, *since) = (beat.beat, now);
            } else if now.duration_since(*since) >= self.reap_after && self.lease.holder() != Some(beat.id) {
                self.bury(&beat).await?;
            }
        }
        Ok(())
    }

    async fn bury(&mut self, beat: &RunnerBeat) -> Result<(), StoreError> {
        let burial = self.store.bury_runner(beat, self.store.now()).await?;
        self.seen.remove(&beat.id);
        if burial.buried {
            info!(runner_id = %beat.id, rows = burial.rows_returned, "dead process buried, its work returned");
            self.hints.there_is_work("");
        }
        Ok(())
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.abort();
        }
    }
}

impl Actor for Reaper {
    type Message = ReaperMessage;

    async fn handle(&mut self, message: ReaperMessage) -> Result<(), ActorError> {
        match message {
            ReaperMessage::Look => {
                if let Err(error) = self.look().await {
                    warn!(%error, "waiting work not looked at");
                }
            }
        }
        Ok(())
    }
}
