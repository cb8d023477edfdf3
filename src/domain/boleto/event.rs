//! What kinds of news there are about a boleto, by the names under which owners and watchers know them.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: news that leaves the status as it is has a name of its own; all other
//! news is named after the status that it led to.

use super::status::Status;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// It is in this status from now on.
    Became(Status),
    /// Its amount, due date or charges are others now.
    Amended,
    /// A payment was written down that left its status as it was.
    PaymentRecorded,
    /// What the bank was asked to do with it was not done.
    OrderRefused,
}

impl EventType {
    /// The news that leaves the status as it is.
    pub(crate) const OF_THEIR_OWN: [(Self, &'static str); 3] = [
        (Self::Amended, "boleto.amended"),
        (Self::PaymentRecorded, "boleto.payment_recorded"),
        (Self::OrderRefused, "boleto.order_refused"),
    ];

    /// The name in the store and in every message.
    pub fn name(self) -> String {
        match self {
            Self::Became(status) => format!("boleto.{}", status.as_str()),
            other => {
                let known = Self::OF_THEIR_OWN.iter().find(|(known, _)| *known == other);
                known.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
            }
        }
    }

    /// The event type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let own = Self::OF_THEIR_OWN.iter().find(|(_, known)| *known == name).map(|(known, _)| *known);
        own.or_else(|| name.strip_prefix("boleto.").and_then(Status::parse).map(Self::Became))
    }

    /// Whether owners are told of it: not of what nobody has decided yet.
    pub fn is_for_owners(self) -> bool {
        !matches!(self, Self::Became(status) if status.awaits_registration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_owners_hear_of_decisions() {
        let all = Status::ALL.map(EventType::Became).into_iter();
        let own = EventType::OF_THEIR_OWN.map(|(own, _)| own);
        for event_type in all.chain(own) {
            assert_eq!(EventType::parse(&event_type.name()), Some(event_type), "{event_type:?}");
        }
        let untold = ["boleto.issued", "boleto.pending_registration"];
        for name in untold {
            assert!(!EventType::parse(name).unwrap().is_for_owners(), "{name}");
        }
        assert!(EventType::parse("boleto.payment_recorded").unwrap().is_for_owners());
        for bad in ["boleto.", "boleto.lost", "registered", "*"] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }
}
