//! Registers boletos with one bank.
//!
//! **Owns** nothing that a crash may lose: the work row is the queue, a message only says that there is work.
//! **Fails** by ending when an attempt panicked, which is a bug; its supervisor starts it again, and parks it past its
//! intensity. The attempts beside the one that panicked go on: they hold their own rows and places.
//! **Limits**: `registration.in_flight_max` calls a bank account; a slow bank holds back only its own queue.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument as _, info_span};

use self::attempt::Attempt;
use super::config::RegistrationConfig;
use super::hands::Hands;
use crate::connectors::banks::BankConnector;
use crate::domain::boleto::Boleto;
use crate::messages::{BankAccounts, BoletoRegistrarMessage, FreshRegistration};
use crate::store::boleto_settle::{Settled, Settlement};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Lane, Place};

/// What a registrar works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub bank: BankConnector,
    pub accounts: BankAccounts,
    pub settlements: Lane<Settlement, Settled>,
    pub hints: Hints,
    pub changes: tokio::sync::watch::Sender<u64>,
    pub config: RegistrationConfig,
    /// Attempts after which a delivery of the outcome is a dead letter.
    pub delivery_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The registrar of one bank.
pub struct BoletoRegistrar {
    means: Arc<Means>,
    hands: Hands<BoletoRegistrarMessage>,
    _ticker: Ticker,
}

impl BoletoRegistrar {
    /// The registrar as a child of the workers, and its address.
    pub fn spec(id: &str, means: Means) -> (Address<BoletoRegistrarMessage>, ChildSpec) {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        let (address, spec) = ChildSpec::worker(id, move |context: Context<BoletoRegistrarMessage>| {
            let means = means.clone();
            async move {
                let hint = means.hints.listen(&means.claimer.queue_prefix);
                // What waits from before this incarnation is looked for at once.
                hint.notify_one();
                let ticker = Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                    BoletoRegistrarMessage::WorkAvailable
                });
                let hands = Hands::new(
                    means.claimer.clone(),
                    context.myself,
                    BoletoRegistrarMessage::Claimed,
                    || BoletoRegistrarMessage::AttemptPanicked,
                );
                Ok(Self { means, hands, _ticker: ticker })
            }
        });
        (address, spec.shutdown(Shutdown::Timeout(drain_timeout)))
    }

    fn attempt(&mut self, mut guard: ClaimGuard, place: Place, fresh: Option<FreshBoleto>) {
        let claim = guard.claim();
        let span = info_span!("boleto.register", boleto_id = %claim.subject_id, attempt = claim.attempt);
        guard.trace(&span);
        let attempt = Attempt { means: self.means.clone(), guard, fresh };
        self.hands.spawn(
            async move {
                attempt.run().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

/// A boleto that was just made, and who waits for it.
struct FreshBoleto {
    boleto: Boleto,
    reply: tokio::sync::oneshot::Sender<Boleto>,
}

impl Actor for BoletoRegistrar {
    type Message = BoletoRegistrarMessage;

    async fn handle(&mut self, message: BoletoRegistrarMessage) -> Result<(), ActorError> {
        match message {
            BoletoRegistrarMessage::WorkAvailable => self.hands.claim(),
            BoletoRegistrarMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.attempt(guard, place, None);
                }
                self.hands.claim();
            }
            BoletoRegistrarMessage::Register(fresh) => {
                let FreshRegistration { guard, place, boleto, reply } = *fresh;
                self.attempt(guard, place, Some(FreshBoleto { boleto, reply }));
            }
            BoletoRegistrarMessage::AttemptPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
    }

    fn describe(message: &BoletoRegistrarMessage) -> &'static str {
        match message {
            BoletoRegistrarMessage::WorkAvailable => "WorkAvailable",
            BoletoRegistrarMessage::Claimed(_) => "Claimed",
            BoletoRegistrarMessage::Register(_) => "Register",
            BoletoRegistrarMessage::AttemptPanicked => "AttemptPanicked",
        }
    }
}
