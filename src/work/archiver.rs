//! Forgets ended work after its retention, a slice at a time. Dead letters stay until somebody deals with them.
//!
//! **Owns** nothing. **Fails** softly: what is not forgotten now is forgotten later.

use std::time::Duration;

use chrono::Utc;
use tracing::{debug, warn};

use super::config::WorkConfig;
use super::ticker::Ticker;
use crate::store::Store;
use crate::supervision::{Actor, ActorError, ChildSpec, Context};

/// Rows forgotten in one statement; short enough to be in nobody's way.
const SLICE: i64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(60);

/// What the archiver is told.
pub enum ArchiverMessage {
    /// Forget what is old enough.
    Forget,
}

/// The archiver.
pub struct Archiver {
    store: Store,
    retention: Duration,
    _ticker: Ticker,
}

impl Archiver {
    /// The archiver as a child of the foundation.
    pub fn spec(store: Store, config: &WorkConfig) -> ChildSpec {
        let retention = config.archive_retention;
        let (_, spec) = ChildSpec::worker("archiver", move |context: Context<ArchiverMessage>| {
            let ticker = Ticker::start(context.myself, INTERVAL, None, || ArchiverMessage::Forget);
            let archiver = Self { store: store.clone(), retention, _ticker: ticker };
            async move { Ok(archiver) }
        });
        spec
    }
}

impl Actor for Archiver {
    type Message = ArchiverMessage;

    async fn handle(&mut self, message: ArchiverMessage) -> Result<(), ActorError> {
        match message {
            ArchiverMessage::Forget => {
                let until = Utc::now() - self.retention;
                loop {
                    match self.store.forget_ended_work(until, SLICE).await {
                        Ok(rows) if rows == SLICE.unsigned_abs() => {}
                        Ok(rows) => {
                            debug!(rows, "ended work forgotten");
                            break;
                        }
                        Err(error) => {
                            warn!(%error, "ended work not forgotten");
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
