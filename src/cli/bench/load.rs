//! Load in a closed loop: so many calls in flight, each followed by the next, over a window of time.
//!
//! **Owns** the tasks that call, and ends them. **Fails** with the first call that fails: a rate with failures in it is
//! no rate. **Limits**: what began before the window or ends after it is not counted; the ramp before it is for
//! connections, caches and the database to warm up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::process::Meters;

const RAMP: u8 = 0;
const WINDOW: u8 = 1;
const OVER: u8 = 2;

/// How much, for how long.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub in_flight: usize,
    pub ramp: Duration,
    pub window: Duration,
}

/// What one window saw.
pub(super) struct Taken {
    /// Seconds.
    pub elapsed: f64,
    /// Milliseconds, sorted.
    pub latencies: Vec<f64>,
    /// Processor milliseconds of each call.
    pub cpu_ms: CpuMs,
    /// Messages that owners' queues took meanwhile.
    pub told: u64,
}

/// Processor time by process; nothing where it cannot be seen.
#[derive(Clone, Copy, Default, serde::Serialize)]
pub(super) struct CpuMs {
    pub service: Option<f64>,
    pub world: Option<f64>,
    pub database: Option<f64>,
    pub client: Option<f64>,
}

impl Taken {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed
    }

    /// Milliseconds that this share of the calls stayed within.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

impl Load {
    /// Calls, with the number of the task that calls.
    ///
    /// # Errors
    /// The first call's that fails; the others end too.
    pub async fn drive<C, F>(self, meters: &Meters, call: C) -> anyhow::Result<Taken>
    where
        C: Fn(usize) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let phase = Arc::new(AtomicU8::new(RAMP));
        let mut tasks = JoinSet::new();
        for task in 0..self.in_flight {
            tasks.spawn(call_until_over(task, call.clone(), phase.clone()));
        }
        stay(&mut tasks, self.ramp).await?;
        let before = meters.read();
        let begun = Instant::now();
        phase.store(WINDOW, Ordering::Relaxed);
        stay(&mut tasks, self.window).await?;
        phase.store(OVER, Ordering::Relaxed);
        let elapsed = begun.elapsed().as_secs_f64();
        let after = meters.read();
        let mut latencies = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            latencies.extend(ended.context("a calling task panicked")??);
        }
        anyhow::ensure!(!latencies.is_empty(), "no call ended within the window; measure for longer");
        latencies.sort_unstable_by(f64::total_cmp);
        let each = |before: Option<Duration>, after: Option<Duration>| {
            Some(after?.saturating_sub(before?).as_secs_f64() * 1_000.0 / latencies.len() as f64)
        };
        let cpu_ms = CpuMs {
            service: each(before.service, after.service),
            world: each(before.world, after.world),
            database: each(before.database, after.database),
            client: each(before.client, after.client),
        };
        Ok(Taken { elapsed, latencies, cpu_ms, told: after.told - before.told })
    }
}

/// One task: call after call. Returns the milliseconds of those that lay in the window.
async fn call_until_over<C, F>(task: usize, call: C, phase: Arc<AtomicU8>) -> anyhow::Result<Vec<f64>>
where
    C: Fn(usize) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut latencies = Vec::new();
    while phase.load(Ordering::Relaxed) != OVER {
        let begun = Instant::now();
        call(task).await?;
        // One that began in the ramp and ends in the window stands for the one that the window's end cuts off.
        if phase.load(Ordering::Relaxed) == WINDOW {
            latencies.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    Ok(latencies)
}

/// Lets the tasks run; none of them ends before it is told to unless it failed.
async fn stay(tasks: &mut JoinSet<anyhow::Result<Vec<f64>>>, time: Duration) -> anyhow::Result<()> {
    match timeout(time, tasks.join_next()).await {
        Err(_) | Ok(None) => Ok(()),
        Ok(Some(ended)) => ended.context("a calling task panicked")?.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::LedgerTail;
    use super::*;

    fn meters() -> Meters {
        let nowhere = std::env::temp_dir().join(uuid::Uuid::now_v7().to_string());
        let ledger = std::sync::Mutex::new(LedgerTail::new(nowhere));
        Meters { service: std::process::id(), world: None, postmaster: None, ledger }
    }

    /// A call that takes that long on the paused clock.
    async fn ten_milliseconds() {
        let _ = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_holds_as_many_calls_as_fit() {
        let load = Load { in_flight: 4, ramp: Duration::from_millis(95), window: Duration::from_secs(1) };
        let call = |_| async {
            ten_milliseconds().await;
            Ok(())
        };
        let taken = load.drive(&meters(), call).await.expect("no call fails");
        assert_eq!((taken.latencies.len(), taken.rate().round()), (400, 400.0));
        assert_eq!(taken.quantile(0.5).round(), 10.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_the_result() {
        let load = Load { in_flight: 4, ramp: Duration::ZERO, window: Duration::from_secs(1) };
        let call = |task| async move {
            ten_milliseconds().await;
            anyhow::ensure!(task != 2, "refused");
            Ok(())
        };
        let failed = load.drive(&meters(), call).await.err().expect("a call fails");
        assert_eq!(failed.to_string(), "refused");
    }
}
