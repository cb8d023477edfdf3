//! What a bank is asked to do with a boleto after its registration: amend it, or cancel it.
//!
//! ```text
//! pending ──► done      the bank did it, or it was so already
//!    ├──────► refused   the bank said no, or there was nothing left to do it with
//!    └──────► given_up  its attempts are spent; an operator may have it tried again
//! ```
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a boleto has one pending order at most.

use chrono::{DateTime, Utc};

use super::BankResponse;
use super::amendment::Amendment;
use crate::domain::ids::{BoletoId, OrderId};

/// An order as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub boleto_id: BoletoId,
    pub wish: Wish,
    pub state: OrderState,
    /// In the words of whoever asked, 1 to 255 characters.
    pub reason: String,
    /// What the bank said when it decided.
    pub response: Option<BankResponse>,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// These terms from now on.
    Amend(Box<Amendment>),
    /// Off file (baixa).
    Cancel,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    Pending,
    Done,
    Refused,
    GivenUp,
}

impl Wish {
    /// The wish's name in the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Amend(_) => "amend",
            Self::Cancel => "cancel",
        }
    }
}

impl OrderState {
    /// Every state there is.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Refused, Self::GivenUp];

    /// The state's name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the bank may still be asked: what was given up is, once an operator has it tried again.
    pub fn may_be_tried(self) -> bool {
        matches!(self, Self::Pending | Self::GivenUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::parse(state.as_str()), Some(state));
        }
        assert_eq!(OrderState::parse("lost"), None);
        assert_eq!(Wish::Cancel.as_str(), "cancel");
    }
}
