//! Has one bank do what was ordered with boletos that it has, or may have, on file: amend and cancel them.
//!
//! A clerk and a registrar are two, so that orders wait for no registrations and registrations for no orders; each has its
//! own places and breaker. `[registration]` bounds both alike: calls at a time, pace, attempts, waits.
//!
//! **Owns** nothing that a crash may lose: the work row is the queue, a message only says that there is work.
//! **Fails** by ending when an attempt panicked, which is a bug; its supervisor starts it again, and parks it past its
//! intensity. The attempts beside the one that panicked go on: they hold their own rows and places.
//! **Limits**: `registration.in_flight_max` calls a bank account; one order a boleto at a time.

mod answers;
mod attempt;

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument as _, info_span};

use self::attempt::Attempt;
use super::config::RegistrationConfig;
use super::hands::Hands;
use crate::connectors::banks::BankConnector;
use crate::messages::{BankAccounts, BoletoClerkMessage};
use crate::store::boleto_order_settle::{OrderSettled, OrderSettlement};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Lane, Place};

/// What a clerk works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub bank: BankConnector,
    pub accounts: BankAccounts,
    pub settlements: Lane<OrderSettlement, OrderSettled>,
    pub hints: Hints,
    pub changes: tokio::sync::watch::Sender<u64>,
    pub config: RegistrationConfig,
    /// Attempts after which a delivery of the outcome is a dead letter.
    pub delivery_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The clerk of one bank.
pub struct BoletoClerk {
    means: Arc<Means>,
    hands: Hands<BoletoClerkMessage>,
    _ticker: Ticker,
}

impl BoletoClerk {
    /// The clerk as a child of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own ticker and hands.
        let (_, spec): (Address<BoletoClerkMessage>, _) =
            ChildSpec::worker(id, move |context: Context<_>| {
                let means = means.clone();
                async move {
                    let hint = means.hints.listen(&means.claimer.queue_prefix);
                    // What waits from before this incarnation is looked for at once.
                    hint.notify_one();
                    let ticker =
                        Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                            BoletoClerkMessage::WorkAvailable
                        });
                    let claimer = means.claimer.clone();
                    let hands = Hands::new(claimer, context.myself, BoletoClerkMessage::Claimed, || {
                        BoletoClerkMessage::AttemptPanicked
                    });
                    Ok(Self { means, hands, _ticker: ticker })
                }
            });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn attempt(&mut self, mut guard: ClaimGuard, place: Place) {
        let claim = guard.claim();
        let span = info_span!("boleto.order", boleto_id = %claim.subject_id, attempt = claim.attempt);
        guard.trace(&span);
        let attempt = Attempt { means: self.means.clone(), guard };
        self.hands.spawn(
            async move {
                attempt.run().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

impl Actor for BoletoClerk {
    type Message = BoletoClerkMessage;

    async fn handle(&mut self, message: BoletoClerkMessage) -> Result<(), ActorError> {
        match message {
            BoletoClerkMessage::WorkAvailable => self.hands.claim(),
            BoletoClerkMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.attempt(guard, place);
                }
                self.hands.claim();
            }
            BoletoClerkMessage::AttemptPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
    }

    fn describe(message: &BoletoClerkMessage) -> &'static str {
        match message {
            BoletoClerkMessage::WorkAvailable => "WorkAvailable",
            BoletoClerkMessage::Claimed(_) => "Claimed",
            BoletoClerkMessage::AttemptPanicked => "AttemptPanicked",
        }
    }
}
