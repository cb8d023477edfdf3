//! Watches whether the store answers, which is what readiness means once the house is up, and keeps the bank accounts at
//! hand fresh.
//!
//! **Owns** nothing. **Fails** never: a store that is away is a state, said by readiness. **Limits**: one look a second.

use std::time::Duration;

use tracing::{info, warn};

use crate::messages::BankAccounts;
use crate::messages::house::Readiness;
use crate::supervision::{Actor, ActorError, ChildSpec, Context};
use crate::work::ticker::Ticker;

const INTERVAL: Duration = Duration::from_secs(1);

/// What the watcher is told.
pub enum StoreWatcherMessage {
    /// See whether the store answers.
    Look,
}

/// The watcher.
pub struct StoreWatcher {
    accounts: BankAccounts,
    readiness: Readiness,
    was_there: bool,
    _ticker: Ticker,
}

impl StoreWatcher {
    /// The watcher as a child of the foundation.
    pub fn spec(accounts: BankAccounts, readiness: Readiness) -> ChildSpec {
        let (_, spec) = ChildSpec::worker("store", move |context: Context<StoreWatcherMessage>| {
            let ticker = Ticker::start(context.myself, INTERVAL, None, || StoreWatcherMessage::Look);
            let (accounts, readiness) = (accounts.clone(), readiness.clone());
            let mut watcher = Self { accounts, readiness, was_there: true, _ticker: ticker };
            async move {
                watcher.look().await;
                Ok(watcher)
            }
        });
        spec
    }

    async fn look(&mut self) {
        // Reading the accounts is both the question whether the store answers and the news of other processes' changes.
        match self.accounts.refresh().await {
            Ok(()) => {
                if !self.was_there {
                    info!("store answers again");
                }
                self.was_there = true;
                self.readiness.set(Ok(()));
            }
            Err(error) => {
                if self.was_there {
                    warn!(%error, "store away");
                }
                self.was_there = false;
                self.readiness.set(Err(format!("store away: {error}")));
            }
        }
    }
}

impl Actor for StoreWatcher {
    type Message = StoreWatcherMessage;

    async fn handle(&mut self, message: StoreWatcherMessage) -> Result<(), ActorError> {
        match message {
            StoreWatcherMessage::Look => self.look().await,
        }
        Ok(())
    }
}
