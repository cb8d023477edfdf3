//! What a boleto registrar is told.

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::ids::{BoletoId, WorkId};
use crate::domain::work::{NewWork, kind};
use crate::work::{ClaimGuard, Place};

/// The prefix of the queues of a provider's accounts; each account has a queue of its own below it.
pub fn queue_prefix(provider: &str) -> String {
    format!("registration/{provider}/")
}

/// The work of having a boleto registered, due now.
pub fn registration_work(
    account: &BankAccount,
    id: BoletoId,
    attempts_max: i64,
    now: DateTime<Utc>,
) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: account.tenant_id.clone(),
        kind: kind::BOLETO_REGISTER,
        queue: format!("{}{}", queue_prefix(account.provider.as_str()), account.id),
        priority: 0,
        run_at: now,
        attempts_max,
        unique_key: Some(format!("register:{id}")),
        subject_id: id.0,
        payload: "{}".to_owned(),
        traceparent: crate::telemetry::traceparent(),
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
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
