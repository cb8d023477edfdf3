//! Sends an actor the same message again and again: when it is hinted at, and behind that at an interval.
//!
//! **Owns** one task, which ends with the ticker. **Limits**: one message waits in the mailbox at most. Hints and
//! intervals that pass until the actor begins with it are served by it, so that a busy actor is not flooded; what comes
//! after it has begun is another message.

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
    /// Sends `message()` to `address` every `interval` (spread by a fifth, so that processes do not march in step) since
    /// it began with the last one, and at each hint.
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
                if address.hand_over(message()).await.is_err() {
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::supervision::{Actor, ActorError, ChildSpec, Context, Strategy, SupervisorSpec, Tree};

    /// Says when it begins with a tick and is done with it when it is let.
    struct Slow {
        began: mpsc::UnboundedSender<()>,
        go_on: Arc<Notify>,
        _ticker: Ticker,
    }

    impl Actor for Slow {
        type Message = ();

        async fn handle(&mut self, (): ()) -> Result<(), ActorError> {
            self.began.send(())?;
            self.go_on.notified().await;
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_actor_is_sent_one_tick_and_no_hint_is_lost() {
        const INTERVAL: Duration = Duration::from_secs(1);
        let (hint, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (began, mut begins) = mpsc::unbounded_channel();
        let (hinted, let_go) = (hint.clone(), go_on.clone());
        let (address, child) = ChildSpec::worker("slow", move |context: Context<()>| {
            let slow = Slow {
                began: began.clone(),
                go_on: let_go.clone(),
                _ticker: Ticker::start(context.myself, INTERVAL, Some(hinted.clone()), || ()),
            };
            async move { Ok(slow) }
        });
        let tree = Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await.unwrap();
        begins.recv().await.unwrap();
        // The clock is the test's own: a hundred intervals pass in no time.
        for _ in 0..100 {
            tokio::time::advance(INTERVAL).await;
            hint.notify_one();
        }
        assert_eq!(address.depth(), 2, "one in hand and one that waits");
        assert_eq!(address.high_water(), 2);

        // The one that waited is begun with, and the hint that came while it waited makes another.
        go_on.notify_one();
        begins.recv().await.unwrap();
        assert!(begins.try_recv().is_err(), "it is let go on only once");
        let before = tokio::time::Instant::now();
        go_on.notify_one();
        begins.recv().await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO, "the hint is not left to the interval");
        tree.shutdown(INTERVAL).await;
    }
}
