//! Tells owners, through one kind of channel.
//!
//! **Owns** nothing that a crash may lose: each delivery is a row until the other side has acknowledged it.
//! **Fails** by ending when a delivery panicked, as the registrar does. At least once: a crash between the other side's
//! acknowledgement and ours repeats the message under the same event id.
//! **Limits**: `notification.in_flight_max` in all and `per_endpoint_max` an endpoint, so that a slow one delays no other.

mod delivery;
mod health;

use std::sync::Arc;
use std::time::Duration;

use super::config::NotificationConfig;
use super::hands::Hands;
use crate::connectors::channels::ChannelConnector;
use crate::messages::NotifierMessage;
use crate::store::delivery::DeliverySettlement;
use crate::supervision::{Actor, ActorError, ChildSpec, Context, Shutdown};
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
    hands: Hands<NotifierMessage>,
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
                let hands =
                    Hands::new(means.claimer.clone(), context.myself, NotifierMessage::Claimed, || {
                        NotifierMessage::DeliveryPanicked
                    });
                Ok(Self { means, hands, _ticker: ticker })
            }
        });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }
}

impl Actor for Notifier {
    type Message = NotifierMessage;

    async fn handle(&mut self, message: NotifierMessage) -> Result<(), ActorError> {
        match message {
            NotifierMessage::WorkAvailable => self.hands.claim(),
            NotifierMessage::Claimed(claims) => {
                self.hands.spawn(delivery::deliver(self.means.clone(), claims));
                self.hands.claim();
            }
            NotifierMessage::DeliveryPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
    }

    fn describe(message: &NotifierMessage) -> &'static str {
        match message {
            NotifierMessage::WorkAvailable => "WorkAvailable",
            NotifierMessage::Claimed(_) => "Claimed",
            NotifierMessage::DeliveryPanicked => "DeliveryPanicked",
        }
    }
}
