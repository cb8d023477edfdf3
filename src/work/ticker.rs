//! Sends an actor the same message again and again: when it is hinted at, and behind that at an interval.
//!
//! **Owns** one task, which ends with the ticker. **Limits**: the next message waits until the one before has a place in
//! the mailbox, so that a busy actor is not flooded.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::supervision::Address;

/// Ticks for as long as it lives.
pub struct Ticker {
    task: AbortHandle,
}

impl Ticker {
    /// Sends `message()` to `address` every `interval` (spread by a fifth, so that processes do not march in step), and
    /// at each hint.
    pub fn start<M: Send + 'static>(
        address: Address<M>,
        interval: Duration,
        hint: Option<Arc<Notify>>,
        message: impl Fn() -> M + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let wait = interval.mul_f64(0.8 + 0.4 * rand::random::<f64>());
                match &hint {
                    Some(hint) => {
                        // Whether hinted at or not, the actor looks.
                        let _ = tokio::time::timeout(wait, hint.notified()).await;
                    }
                    None => tokio::time::sleep(wait).await,
                }
                if address.send(message()).await.is_err() {
                    // Its incarnation has ended, and this ticker with it.
                    return;
                }
            }
        });
        Self { task: task.abort_handle() }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
