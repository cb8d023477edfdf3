//! Carries hints from process to process, so that what one of them inserts, another that is free takes at once.
//!
//! It rings for what was said here, the first time at once and then at most every [`PAUSE`] with all that was said since,
//! and passes on here what others rang. Its own ringing comes back to it, which shows that the line works: where it does
//! not (a pooler between us and the database, a line gone silent), that is said once and polling does it all.
//!
//! **Owns** the task that listens. **Fails** softly: what was not rung is found by polling; after every gap everything is
//! looked at. **Limits**: one small statement a [`PAUSE`]; an embedded store has one process, and no bell.

use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::config::WorkConfig;
use super::hints::Hints;
use super::ticker::Ticker;
use crate::store::notify::Ear;
use crate::store::{Store, StoreError, StoreKind};
use crate::supervision::{Actor, ActorError, Backoff, ChildSpec, Context};

/// Between two rings. Nobody who waits for a bank notices it, and a busy process rings twenty times a second at most.
const PAUSE: Duration = Duration::from_millis(50);
/// The last ring is for peers that need not be told when the database is away.
const LAST_RING_WAIT: Duration = Duration::from_millis(500);
/// A name that no queue has: it is rung to be heard by the ringer alone.
const PROBE: &str = "?";
/// The wait before listening anew; a line that stays away is asked for often enough every ten seconds.
const LISTEN_AGAIN: Backoff = Backoff {
    base: Duration::from_millis(100),
    factor: 2.0,
    cap: Duration::from_secs(10),
    jitter: 0.2,
    reset_after: Duration::from_secs(60),
};

/// What the bell is told.
pub enum BellMessage {
    /// Something was said for others.
    Ring,
    /// Time to hear whether the line works.
    Probe,
}

/// The bell.
pub struct Bell {
    store: Store,
    hints: Hints,
    /// The ringer's name in what it rings.
    me: Uuid,
    listening: JoinHandle<()>,
    _tickers: [Ticker; 2],
}

impl Bell {
    /// The bell as a child of the foundation.
    pub fn spec(store: Store, hints: Hints, config: &WorkConfig) -> ChildSpec {
        if store.kind() == StoreKind::Sqlite {
            return ChildSpec::disabled("bell", "an embedded store has one process");
        }
        let (poll_interval, probe_interval) = (config.poll_interval, config.heartbeat_interval);
        let (_, spec) = ChildSpec::worker("bell", move |context: Context<BellMessage>| {
            let me = Uuid::now_v7();
            let posted = hints.keep_for_others();
            let ring =
                Ticker::start(context.myself.clone(), poll_interval, Some(posted), || BellMessage::Ring);
            let probe = Ticker::start(context.myself, probe_interval, None, || BellMessage::Probe);
            let listener =
                Listener { store: store.clone(), hints: hints.clone(), me, quiet_max: probe_interval * 3 };
            let listening = tokio::spawn(listener.listen());
            let bell =
                Self { store: store.clone(), hints: hints.clone(), me, listening, _tickers: [ring, probe] };
            async move { Ok(bell) }
        });
        spec
    }

    async fn ring(&self) {
        let names = self.hints.take_for_others();
        if names.is_empty() {
            return;
        }
        if let Err(error) = self.store.say(self.me, &names).await {
            debug!(%error, "hints not passed on");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Actor for Bell {
    type Message = BellMessage;

    async fn handle(&mut self, message: BellMessage) -> Result<(), ActorError> {
        match message {
            BellMessage::Ring => self.ring().await,
            BellMessage::Probe if self.listening.is_finished() => {
                return Err("the listening task ended".into());
            }
            BellMessage::Probe => {
                // Not being heard is what tells; the listener counts the time.
                let _ = self.store.say(self.me, &[PROBE.to_owned()]).await;
            }
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        // What this process gave back on its way out.
        let names = self.hints.take_for_others();
        if !names.is_empty() {
            let _ = tokio::time::timeout(LAST_RING_WAIT, self.store.say(self.me, &names)).await;
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Listens for as long as the bell lives.
struct Listener {
    store: Store,
    hints: Hints,
    me: Uuid,
    /// A line on which not even our own probes come back for so long does not work.
    quiet_max: Duration,
}

impl Listener {
    async fn listen(self) {
        let mut failures = 0;
        loop {
            let lost = match self.store.listen().await {
                Ok(ear) => self.pass_on(ear, &mut failures).await,
                Err(error) => error,
            };
            if failures == 0 {
                warn!(error = %lost, "other processes are not heard; work is found by polling");
            }
            tokio::time::sleep(LISTEN_AGAIN.delay(failures, rand::random())).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Passes on what is heard until nothing is any more.
    async fn pass_on(&self, mut ear: Ear, failures: &mut u32) -> StoreError {
        // What was rung while nobody listened.
        self.hints.there_is_work_here("");
        let _ = self.store.say(self.me, &[PROBE.to_owned()]).await;
        loop {
            let word = match tokio::time::timeout(self.quiet_max, ear.hear()).await {
                Ok(Ok(word)) => word,
                Ok(Err(error)) => return error,
                Err(_) => return StoreError::Unavailable("what is rung is not heard".to_owned()),
            };
            if std::mem::take(failures) > 0 {
                info!("other processes are heard again");
            }
            if word.from != self.me && word.name != PROBE {
                self.hints.there_is_work_here(&word.name);
            }
        }
    }
}
