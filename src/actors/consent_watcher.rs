//! Warns owners of consents that come to their end, 14, 7 and 1 days ahead, and ends each when its end has come: once, whoever looks.
//!
//! It sleeps until there is something to tell next, and never longer than the poll interval, so that a consent that comes in
//! meanwhile is not forgotten.
//!
//! **Owns** nothing that a crash may lose. One process looks for all, under the office of the same name; two at a time share
//! out what there is. **Fails** softly: while the store is away nobody is told, and everybody is when it is back.
//! **Limits**: [`SLICE`] consents a transaction. A child of the foundation, behind the leader, like the timetable.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::store::{Store, StoreError};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context};
use crate::work::Hints;
use crate::work::leader::Office;

/// The office of who looks for all, and the watcher's name in the tree.
pub const OFFICE: &str = "consent_watcher";

/// Consents of one transaction.
const SLICE: i64 = 200;
/// Between two looks at least.
const APART: Duration = Duration::from_millis(20);

/// What the watcher works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub store: Store,
    pub office: Office,
    pub hints: Hints,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    /// The longest sleep.
    pub poll_interval: Duration,
}

/// What the watcher is told.
pub enum ConsentWatcherMessage {
    /// There may be something to tell.
    Look,
}

/// The watcher.
pub struct ConsentWatcher {
    means: Arc<Means>,
    myself: Address<ConsentWatcherMessage>,
    sleeping: Option<AbortHandle>,
}

impl ConsentWatcher {
    /// The watcher as a child of the foundation.
    pub fn spec(means: Means) -> ChildSpec {
        let means = Arc::new(means);
        let (_, spec): (Address<ConsentWatcherMessage>, _) =
            ChildSpec::worker(OFFICE, move |context: Context<ConsentWatcherMessage>| {
                let means = means.clone();
                async move {
                    let mut watcher = Self { means, myself: context.myself, sleeping: None };
                    watcher.sleep(APART);
                    Ok(watcher)
                }
            });
        spec
    }

    async fn look(&mut self) {
        let mut wait = self.means.poll_interval;
        if self.means.office.holds().is_some() {
            match look(&self.means).await {
                Ok(until_next) => wait = wait.min(until_next),
                // Whatever there is to tell is there at the next look.
                Err(error) => warn!(%error, "consents not looked at"),
            }
        }
        self.sleep(wait.max(APART));
    }

    fn sleep(&mut self, wait: Duration) {
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.abort();
        }
        let myself = self.myself.clone();
        let sleeping = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // An incarnation that has ended meanwhile looks at nothing.
            let _ = myself.send(ConsentWatcherMessage::Look).await;
        });
        self.sleeping = Some(sleeping.abort_handle());
    }
}

/// Tells what there is to tell, and returns in how long there is more.
///
/// # Errors
/// As the store; what was told before stays told.
pub async fn look(means: &Means) -> Result<Duration, StoreError> {
    let store = &means.store;
    loop {
        let Some(next) = store.next_consent_notice().await? else { return Ok(Duration::MAX) };
        let now = store.now();
        if next > now {
            return Ok((next - now).to_std().unwrap_or_default());
        }
        crate::failpoint::reached("consent.notice.before");
        let noticed = store.notice_consents(now, SLICE, means.delivery_attempts_max).await?;
        crate::failpoint::reached("consent.notice.after");
        let (warned, expired) = (noticed.warned, noticed.expired);
        if warned + expired > 0 {
            info!(warned, expired, "owners told of the end of consents");
            means.hints.there_is_work("delivery/");
        }
        if !noticed.more {
            // What another process has in hand may still stand at the front: it is not waited for here.
            return Ok(means.poll_interval);
        }
    }
}

impl Drop for ConsentWatcher {
    fn drop(&mut self) {
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.abort();
        }
    }
}

impl Actor for ConsentWatcher {
    type Message = ConsentWatcherMessage;

    async fn handle(&mut self, message: ConsentWatcherMessage) -> Result<(), ActorError> {
        match message {
            ConsentWatcherMessage::Look => self.look().await,
        }
        Ok(())
    }
}
