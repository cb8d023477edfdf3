//! Tells owners, through one kind of channel.
//!
//! **Owns** nothing that a crash may lose: each delivery is a row until the other side has acknowledged it.
//! **Fails** by ending when a delivery panicked, as the registrar does. At least once: a crash between the other side's
//! acknowledgement and ours repeats the message under the same event id.
//! **Limits**: `notification.in_flight_max` in all and `per_endpoint_max` an endpoint, so that a slow one delays no other.

mod delivery;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::warn;

use super::boleto_registrar::panic_words;
use super::config::NotificationConfig;
use crate::connectors::channels::ChannelConnector;
use crate::messages::NotifierMessage;
use crate::store::delivery::DeliverySettlement;
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{Claimer, Hints, Lane};

/// What a notifier works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub channel: ChannelConnector,
    pub settlements: Lane<DeliverySettlement, bool>,
    pub hints: Hints,
    pub config: NotificationConfig,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The notifier of one kind of channel.
pub struct Notifier {
    means: Arc<Means>,
    myself: Address<NotifierMessage>,
    deliveries: JoinSet<()>,
    claims: JoinSet<()>,
    stopping: bool,
    _ticker: Ticker,
}

impl Notifier {
    /// The notifier as a child of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        let (_, spec) = ChildSpec::worker(id, move |context: Context<NotifierMessage>| {
            let means = means.clone();
            async move {
                let hint = means.hints.listen(&means.claimer.queue_prefix);
                hint.notify_one();
                let ticker = Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                    NotifierMessage::WorkAvailable
                });
                Ok(Self {
                    means,
                    myself: context.myself,
                    deliveries: JoinSet::new(),
                    claims: JoinSet::new(),
                    stopping: false,
                    _ticker: ticker,
                })
            }
        });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn claim(&mut self) {
        while self.claims.try_join_next().is_some() {}
        if self.stopping || !self.claims.is_empty() {
            self.means.claimer.places.wake_me();
            return;
        }
        let (claimer, myself) = (self.means.claimer.clone(), self.myself.clone());
        self.claims.spawn(async move {
            match claimer.claim().await {
                Ok(claims) if claims.is_empty() => {}
                Ok(claims) => {
                    // An incarnation that has ended meanwhile drops the guards, and the rows go back.
                    let _ = myself.send(NotifierMessage::Claimed(claims)).await;
                }
                Err(error) => warn!(%error, "deliveries not claimed"),
            }
        });
    }
}

/// Tells the notifier when the task that holds it panics.
#[derive(Clone)]
struct Alarm(Address<NotifierMessage>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A full mailbox will not be told; the next panic finds it, and the rows have gone back anyhow.
            let _ = self.0.try_send(NotifierMessage::DeliveryPanicked);
        }
    }
}

/// A delivery panicked: a bug in a channel or in the notifier itself.
#[derive(Debug, thiserror::Error)]
#[error("a delivery panicked: {0}")]
struct DeliveryPanicked(String);

impl Actor for Notifier {
    type Message = NotifierMessage;

    async fn handle(&mut self, message: NotifierMessage) -> Result<(), ActorError> {
        match message {
            NotifierMessage::WorkAvailable => self.claim(),
            NotifierMessage::Claimed(claims) => {
                while self.deliveries.try_join_next().is_some() {}
                let alarm = Alarm(self.myself.clone());
                self.deliveries.spawn(delivery::deliver(self.means.clone(), alarm, claims));
                self.claim();
            }
            NotifierMessage::DeliveryPanicked => {
                let words = self.find_panic().await;
                self.deliveries.detach_all();
                return Err(ActorError::from(DeliveryPanicked(words)));
            }
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.stopping = true;
        self.claims.abort_all();
        // Bounded by the spec's shutdown time, after which the tasks are aborted and their rows go back.
        while self.deliveries.join_next().await.is_some() {}
    }

    fn describe(message: &NotifierMessage) -> &'static str {
        match message {
            NotifierMessage::WorkAvailable => "WorkAvailable",
            NotifierMessage::Claimed(_) => "Claimed",
            NotifierMessage::DeliveryPanicked => "DeliveryPanicked",
        }
    }
}

impl Notifier {
    async fn find_panic(&mut self) -> String {
        // The task that panicked has told so while it unwound, so its end is at hand; the others may take long.
        let grace = tokio::time::Instant::now() + Duration::from_millis(100);
        while let Ok(Some(ended)) = tokio::time::timeout_at(grace, self.deliveries.join_next()).await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                return panic_words(&*panic);
            }
        }
        "no words".to_owned()
    }
}
