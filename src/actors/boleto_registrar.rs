//! Registers boletos with one bank.
//!
//! **Owns** nothing that a crash may lose: the work row is the queue, a message only says that there is work.
//! **Fails** by ending when an attempt panicked, which is a bug; its supervisor starts it again, and parks it past its
//! intensity. The attempts beside the one that panicked go on: they hold their own rows and places.
//! **Limits**: `registration.in_flight_max` calls a bank account; a slow bank holds back only its own queue.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{Instrument as _, info_span, warn};

use self::attempt::Attempt;
use super::config::RegistrationConfig;
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
    myself: Address<BoletoRegistrarMessage>,
    attempts: JoinSet<()>,
    claims: JoinSet<()>,
    stopping: bool,
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
                Ok(Self {
                    means,
                    myself: context.myself,
                    attempts: JoinSet::new(),
                    claims: JoinSet::new(),
                    stopping: false,
                    _ticker: ticker,
                })
            }
        });
        (address, spec.shutdown(Shutdown::Timeout(drain_timeout)))
    }

    /// Claims beside the mailbox, so that fresh boletos do not wait behind a statement; one claim at a time.
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
                    let _ = myself.send(BoletoRegistrarMessage::Claimed(claims)).await;
                }
                Err(error) => warn!(%error, "registrations not claimed"),
            }
        });
    }

    fn attempt(&mut self, guard: ClaimGuard, place: Place, fresh: Option<FreshBoleto>) {
        while self.attempts.try_join_next().is_some() {}
        let claim = guard.claim();
        let span = info_span!("boleto.register", boleto_id = %claim.subject_id, attempt = claim.attempt);
        if let Some(traceparent) = &claim.traceparent {
            crate::telemetry::set_parent(&span, traceparent);
        }
        let alarm = Alarm(self.myself.clone());
        let attempt = Attempt { means: self.means.clone(), guard, fresh };
        self.attempts.spawn(
            async move {
                attempt.run().await;
                drop(place);
                drop(alarm);
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

/// Tells the registrar when the task that holds it panics.
struct Alarm(Address<BoletoRegistrarMessage>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A full mailbox will not be told; the next panic finds it, and the row has gone back anyhow.
            let _ = self.0.try_send(BoletoRegistrarMessage::AttemptPanicked);
        }
    }
}

/// An attempt panicked: a bug in a connector or in the registrar itself.
#[derive(Debug, thiserror::Error)]
#[error("an attempt panicked: {0}")]
struct AttemptPanicked(String);

impl Actor for BoletoRegistrar {
    type Message = BoletoRegistrarMessage;

    async fn handle(&mut self, message: BoletoRegistrarMessage) -> Result<(), ActorError> {
        match message {
            BoletoRegistrarMessage::WorkAvailable => self.claim(),
            BoletoRegistrarMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.attempt(guard, place, None);
                }
                self.claim();
            }
            BoletoRegistrarMessage::Register(fresh) => {
                let FreshRegistration { guard, place, boleto, reply } = *fresh;
                self.attempt(guard, place, Some(FreshBoleto { boleto, reply }));
            }
            BoletoRegistrarMessage::AttemptPanicked => return Err(self.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.stopping = true;
        self.claims.abort_all();
        // Bounded by the spec's shutdown time, after which the tasks are aborted and their rows go back.
        while self.attempts.join_next().await.is_some() {}
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

impl BoletoRegistrar {
    /// Finds the panic's words and lets the other attempts go on without this incarnation.
    async fn after_a_panic(&mut self) -> ActorError {
        let mut words = "no words".to_owned();
        // The task that panicked has told so while it unwound, so its end is at hand; the others may take long.
        let grace = tokio::time::Instant::now() + Duration::from_millis(100);
        while let Ok(Some(ended)) = tokio::time::timeout_at(grace, self.attempts.join_next()).await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                words = panic_words(&*panic);
                break;
            }
        }
        self.attempts.detach_all();
        ActorError::from(AttemptPanicked(words))
    }
}

/// The text that a panic was given.
pub(super) fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => (*words).to_owned(),
        (None, Some(words)) => words.clone(),
        (None, None) => "no words".to_owned(),
    }
}
