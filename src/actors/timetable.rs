//! The timetable: sees slots come, and has each run once in the whole cluster, whatever dies.
//!
//! It sleeps until the next slot, and never longer than the poll interval, so that a clock that was set is noticed. What it
//! finds it decides about in the store, where a slot is unique; so two timetables at a time cost work done twice and no run.
//!
//! **Owns** nothing that a crash may lose. One process looks for all, under the office of the same name. **Fails** softly: while
//! the store is away slots come, and are caught up with as each job is configured.
//! **Limits**: what came longer than [`LOOK_BACK_MAX`] ago is not written down one by one.

pub mod look;
#[cfg(feature = "failpoints")]
pub mod rehearsal;
pub mod runner;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::messages::jobs::{Jobs, TimetableMessage};
use crate::store::Store;
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context};
use crate::work::Hints;
use crate::work::leader::Office;

/// The office of who looks for all.
pub const OFFICE: &str = "timetable";

/// Slots older than this are passed over in one step.
pub const LOOK_BACK_MAX: TimeDelta = TimeDelta::days(31);

/// Between two looks at least, whatever the timetables say.
const APART: Duration = Duration::from_millis(20);

/// Tells the time. The house's is the store's.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What a timetable works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub store: Store,
    pub office: Office,
    pub hints: Hints,
    pub jobs: Jobs,
    pub now: Now,
    /// How soon a slot that came in time is looked at, or it is one to be caught up with; and the longest sleep.
    pub poll_interval: Duration,
}

/// The timetable.
pub struct TimetableKeeper {
    means: Arc<Means>,
    myself: Address<TimetableMessage>,
    signal: Arc<Notify>,
    sleeping: Option<AbortHandle>,
}

impl TimetableKeeper {
    /// The timetable as a child of the foundation's leader, or of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let means = Arc::new(means);
        let (_, spec): (Address<TimetableMessage>, _) =
            ChildSpec::worker(id, move |context: Context<TimetableMessage>| {
                let means = means.clone();
                async move {
                    let signal = means.hints.listen("timetable");
                    let mut keeper = Self { means, myself: context.myself, signal, sleeping: None };
                    keeper.sleep(APART);
                    Ok(keeper)
                }
            });
        spec
    }

    async fn look(&mut self) {
        let mut wait = self.means.poll_interval;
        if self.means.office.holds().is_some() {
            match look::look(&self.means).await {
                Ok(Some(next)) => wait = wait.min((next - (self.means.now)()).to_std().unwrap_or_default()),
                Ok(None) => {}
                // The slots are there at the next look.
                Err(error) => warn!(%error, "timetables not looked at"),
            }
        }
        self.sleep(wait.max(APART));
    }

    fn sleep(&mut self, wait: Duration) {
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.abort();
        }
        let (myself, signal) = (self.myself.clone(), self.signal.clone());
        let sleeping = tokio::spawn(async move {
            // Whether hinted at or not, it looks.
            let _ = tokio::time::timeout(wait, signal.notified()).await;
            // An incarnation that has ended meanwhile looks at nothing.
            let _ = myself.send(TimetableMessage::Look).await;
        });
        self.sleeping = Some(sleeping.abort_handle());
    }
}

impl Drop for TimetableKeeper {
    fn drop(&mut self) {
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.abort();
        }
    }
}

impl Actor for TimetableKeeper {
    type Message = TimetableMessage;

    async fn handle(&mut self, message: TimetableMessage) -> Result<(), ActorError> {
        match message {
            TimetableMessage::Look => self.look().await,
        }
        Ok(())
    }
}
