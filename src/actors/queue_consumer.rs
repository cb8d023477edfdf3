//! Reads the queue of boletos to be registered, as the service that this one replaced did, and turns each message into the
//! registration work of its boleto.
//!
//! A message is deleted only after that work is committed, or after it was kept as a dead letter; until then it comes again
//! by itself when its visibility ends. One that is about a boleto which was decided long ago is deleted, and no bank hears
//! of it. A queue that does not answer opens a breaker, which `ps` shows, and is probed now and then.
//!
//! **Owns** nothing that a crash may lose: what is in hand is still on its queue.
//! **Fails** by ending when a task panicked, which is a bug; what the others have in hand goes on without this incarnation.
//! **Limits**: `in_flight_max` messages in hand, however long the store is away.

pub mod config;
mod intake;
mod polling;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tracing::{Instrument as _, info_span};

use self::config::QueueConsumerConfig;
use super::hands::Hands;
use crate::connectors::channels::sqs::source::{Message, Source};
use crate::messages::{BankAccounts, QueueConsumerMessage};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Place, Places};

/// What a consumer works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    /// For parked messages that an operator has tried again.
    pub claimer: Claimer,
    pub source: Source,
    /// For messages in hand.
    pub places: Places,
    /// Signalled when one of those places becomes free.
    pub freed: Arc<Notify>,
    pub accounts: BankAccounts,
    pub hints: Hints,
    pub config: QueueConsumerConfig,
    /// Attempts after which a registration waits for an operator.
    pub registration_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The consumer of the queue of boletos to be registered.
pub struct QueueConsumer {
    means: Arc<Means>,
    hands: Hands<QueueConsumerMessage>,
    /// Messages that may be deleted; nothing once no more are to come.
    done: Option<mpsc::Sender<String>>,
    /// Said to those who wait for something outside; dropped, it says the same.
    closing: watch::Sender<bool>,
    _ticker: Ticker,
}

impl QueueConsumer {
    /// The consumer as a child of the ingress.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own tasks.
        let (_, spec): (Address<QueueConsumerMessage>, _) =
            ChildSpec::worker(id, move |context: Context<_>| {
                let means = means.clone();
                async move { Ok(Self::start(means, context.myself)) }
            });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn start(means: Arc<Means>, myself: Address<QueueConsumerMessage>) -> Self {
        let hint = means.hints.listen(&means.claimer.queue_prefix);
        let ticker = Ticker::start(myself.clone(), means.poll_interval, Some(hint), || {
            QueueConsumerMessage::WorkAvailable
        });
        let mut hands =
            Hands::new(means.claimer.clone(), myself.clone(), QueueConsumerMessage::Claimed, || {
                QueueConsumerMessage::TaskPanicked
            });
        let closing = watch::Sender::new(false);
        let (done, to_delete) = mpsc::channel(means.config.in_flight_max as usize);
        hands.spawn(polling::poll(means.clone(), myself, closing.subscribe()));
        hands.spawn(polling::delete(means.clone(), to_delete));
        Self { means, hands, done: Some(done), closing, _ticker: ticker }
    }

    fn take_in(&mut self, message: Message, place: Place) {
        let Some(done) = self.done.clone() else { return };
        let span = info_span!("ingress.message", message_id = %message.id);
        if let Some(traceparent) = &message.traceparent {
            crate::telemetry::set_parent(&span, traceparent);
        }
        let (means, closing) = (self.means.clone(), self.closing.subscribe());
        self.hands.spawn(
            async move {
                if intake::take_in(&means, &message, closing).await {
                    // The task that deletes ends after this one; were it gone, the message would come again.
                    let _ = done.send(message.receipt).await;
                }
                drop(place);
            }
            .instrument(span),
        );
    }

    fn try_again(&mut self, mut guard: ClaimGuard, place: Place) {
        let means = self.means.clone();
        let span = info_span!("ingress.parked", work_id = %guard.claim().id);
        guard.trace(&span);
        self.hands.spawn(
            async move {
                intake::try_again(&means, guard).await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

impl Actor for QueueConsumer {
    type Message = QueueConsumerMessage;

    async fn handle(&mut self, message: QueueConsumerMessage) -> Result<(), ActorError> {
        match message {
            QueueConsumerMessage::Received(messages) => {
                for (message, place) in messages {
                    self.take_in(message, place);
                }
            }
            QueueConsumerMessage::WorkAvailable => self.hands.claim(),
            QueueConsumerMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.try_again(guard, place);
                }
                self.hands.claim();
            }
            QueueConsumerMessage::TaskPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.closing.send_replace(true);
        self.done = None;
        self.hands.finish().await;
    }

    fn describe(message: &QueueConsumerMessage) -> &'static str {
        match message {
            QueueConsumerMessage::Received(_) => "Received",
            QueueConsumerMessage::WorkAvailable => "WorkAvailable",
            QueueConsumerMessage::Claimed(_) => "Claimed",
            QueueConsumerMessage::TaskPanicked => "TaskPanicked",
        }
    }
}
