//! Takes a payer's money at whichever bank keeps the title, and records it.
//!
//! **Owns** nothing; the counters belong to the banks.
//! **Fails** when nobody or more than one knows the title, when it takes no money any more, or when the ledger cannot keep
//! the payment.
//! **Limits**: settlement is at once; a real bank's takes a day for a boleto.

use std::sync::Arc;

use serde_json::json;

use super::file::{Payment, Taking, Till};
use crate::sandbox::ledger::{Effect, EffectKind};
use crate::sandbox::outside::Outside;
use crate::sandbox::screen::reais;

/// Why nothing was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPaid {
    /// The text is no title's at any bank that was asked.
    #[error("no bank keeps such a title")]
    Unknown,
    /// The text is the number of several titles; name the bank or give the barcode.
    #[error("more than one title answers to it")]
    Several,
    /// It was paid, or taken off file, or is not issued yet.
    #[error("the title takes no money")]
    Closed,
    /// The payment stands at the bank, but not in the ledger.
    #[error("the payment could not be recorded")]
    NotRecorded,
}

/// All counters of the world.
pub(in crate::sandbox) struct Cashier {
    pub outside: Arc<Outside>,
    pub tills: Vec<Arc<dyn Till>>,
}

impl Cashier {
    /// Pays. The effect is in the ledger when this returns.
    pub async fn pay(&self, payment: &Payment) -> Result<Effect, NotPaid> {
        let asked = self.tills.iter().filter(|till| payment.bank.is_none_or(|bank| bank == till.bank()));
        for till in asked {
            let (key, paid_cents) = match till.take(payment) {
                Taking::Unknown => continue,
                Taking::Several => return Err(NotPaid::Several),
                Taking::Closed => return Err(NotPaid::Closed),
                Taking::Taken { key, paid_cents } => (key, paid_cents),
            };
            let detail = json!({
                "amount_cents": payment.amount_cents, "paid_cents": paid_cents, "on": payment.on,
                "by": payment.by, "partial": payment.partial,
            });
            let effect = Effect::now(EffectKind::BankPaid, key, detail);
            self.outside.ledger.record(vec![effect.clone()]).await.map_err(|_| NotPaid::NotRecorded)?;
            let (key, amount) = (&effect.key, reais(payment.amount_cents));
            self.outside.screen.say("payer", format_args!("paid        {key} {amount}"));
            return Ok(effect);
        }
        Err(NotPaid::Unknown)
    }
}
