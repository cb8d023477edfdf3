//! What all parties share: the script, the ledger, the inbox, the screen and the news that something happened.
//!
//! **Owns** nothing of its own; it is the one handle that each party holds.
//! **Fails** never.
//! **Limits**: those of its parts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::SandboxError;
use super::inbox::Inbox;
use super::ledger::Ledger;
use super::screen::Screen;
use super::script::Script;

/// The shared handle.
pub(super) struct Outside {
    pub script: Script,
    pub ledger: Ledger,
    pub inbox: Inbox,
    pub screen: Screen,
    pub news: News,
}

/// Says that an effect was kept, a party was asked or a request is held, so that tests wait instead of sleeping.
#[derive(Clone)]
pub(super) struct News(Arc<watch::Sender<()>>);

impl News {
    pub fn new() -> Self {
        News(Arc::new(watch::Sender::new(())))
    }

    pub fn spread(&self) {
        self.0.send_replace(());
    }

    /// Waits until `holds` is true; it is asked now and after every piece of news.
    pub async fn wait_until(
        &self,
        awaited: &'static str,
        timeout: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> Result<(), SandboxError> {
        let mut news = self.0.subscribe();
        let waiting = async {
            // Marking the news as seen comes before asking, so that none can slip in between.
            loop {
                news.borrow_and_update();
                if holds() || news.changed().await.is_err() {
                    return;
                }
            }
        };
        let waited_ms = timeout.as_millis();
        tokio::time::timeout(timeout, waiting)
            .await
            .map_err(|_| SandboxError::TimedOut { awaited, waited_ms })
    }
}
