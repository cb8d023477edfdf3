//! The vital signs of a worker: is it busy, when did it last get on, has it been paused.
//!
//! **Owns** a few atomics that are written on every message, hence no lock here.
//! **Fails** never. **Limits**: times are in whole microseconds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Stands for "never" and "not now".
const NONE: u64 = 0;

pub(super) struct Vitals {
    epoch: Instant,
    in_flight_since_us: AtomicU64,
    last_progress_us: AtomicU64,
    handled: AtomicU64,
    busy_us: AtomicU64,
    failed: AtomicU64,
    paused: AtomicBool,
    resumed: Notify,
}

impl Vitals {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            in_flight_since_us: AtomicU64::new(NONE),
            last_progress_us: AtomicU64::new(NONE),
            handled: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
        }
    }

    /// A message has been taken up.
    pub(super) fn busy(&self) {
        let now_us = self.now_us();
        self.in_flight_since_us.store(now_us, Ordering::Relaxed);
        self.last_progress_us.store(now_us, Ordering::Relaxed);
    }

    /// The message that was taken up has been handled, however that ended.
    pub(super) fn done(&self) {
        let begun_us = self.in_flight_since_us.load(Ordering::Relaxed);
        let took_us = self.now_us().saturating_sub(begun_us);
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.busy_us.fetch_add(took_us, Ordering::Relaxed);
        self.idle();
    }

    /// The message that was handled ended its incarnation, by an error or a panic.
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages ended their incarnation.
    pub(super) fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many messages were handled by all incarnations, and for how long.
    pub(super) fn handled(&self) -> (u64, Duration) {
        let busy = Duration::from_micros(self.busy_us.load(Ordering::Relaxed));
        (self.handled.load(Ordering::Relaxed), busy)
    }

    /// No message is being handled.
    pub(super) fn idle(&self) {
        self.in_flight_since_us.store(NONE, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) {
        self.last_progress_us.store(self.now_us(), Ordering::Relaxed);
    }

    pub(super) fn in_flight_for(&self, now: Instant) -> Option<Duration> {
        self.since(self.in_flight_since_us.load(Ordering::Relaxed), now)
    }

    pub(super) fn since_progress(&self, now: Instant) -> Option<Duration> {
        self.since(self.last_progress_us.load(Ordering::Relaxed), now)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        if !paused {
            self.resumed.notify_waiters();
        }
    }

    /// Waits while the worker is paused.
    pub(super) async fn resumed(&self) {
        while self.is_paused() {
            let resumed = self.resumed.notified();
            // Looked at again because the notice may have come just before we listened for it.
            if self.is_paused() {
                resumed.await;
            }
        }
    }

    fn now_us(&self) -> u64 {
        // One is added so that the very first microsecond is told from "never".
        u64::try_from(self.epoch.elapsed().as_micros()).map_or(u64::MAX, |us| us.saturating_add(1))
    }

    fn since(&self, moment_us: u64, now: Instant) -> Option<Duration> {
        let moment = Duration::from_micros(moment_us.checked_sub(1)?);
        Some(now.saturating_duration_since(self.epoch).saturating_sub(moment))
    }
}
