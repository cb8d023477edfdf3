//! What a boleto registrar is told.

use tokio::sync::oneshot;

use crate::domain::boleto::Boleto;
use crate::work::{ClaimGuard, Place};

/// The prefix of the queues of a provider's accounts; each account has a queue of its own below it.
pub fn queue_prefix(provider: &str) -> String {
    format!("registration/{provider}/")
}

/// Told to the registrar of one bank.
pub enum BoletoRegistrarMessage {
    /// There may be rows to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// A boleto that was just made and claimed for this process: attempt it now.
    Register(Box<FreshRegistration>),
    /// An attempt panicked. Its row has gone back; whoever hears this has a bug and ends.
    AttemptPanicked,
}

/// A boleto just made.
pub struct FreshRegistration {
    pub guard: ClaimGuard,
    pub place: Place,
    pub boleto: Boleto,
    /// The boleto as the attempt left it. The caller may have hung up; that changes nothing.
    pub reply: oneshot::Sender<Boleto>,
}
