//! What a caller may do: scopes, as a token or a certificate holds them.
//!
//! A scope that writes also reads: who may change a thing may see it. [`Scope::Admin`] holds every other one.
//!
//! **Owns** nothing. **Fails** with the name that nobody knows. **Limits**: the scopes listed here.

use std::fmt;
use std::str::FromStr;

/// Something that a caller may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    BoletoRead,
    BoletoWrite,
    TransferRead,
    TransferWrite,
    OpenbankingRead,
    OpenbankingWrite,
    NotificationRead,
    NotificationWrite,
    ControlRead,
    ControlWrite,
    /// Personal data in clear; without it names, tax ids, addresses and account numbers come masked.
    PiiRead,
    /// Tokens, the audit, and whatever else.
    Admin,
}

impl Scope {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::BoletoRead,
        Self::BoletoWrite,
        Self::TransferRead,
        Self::TransferWrite,
        Self::OpenbankingRead,
        Self::OpenbankingWrite,
        Self::NotificationRead,
        Self::NotificationWrite,
        Self::ControlRead,
        Self::ControlWrite,
        Self::PiiRead,
        Self::Admin,
    ];

    /// As it is written in tokens, configuration and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BoletoRead => "boleto.read",
            Self::BoletoWrite => "boleto.write",
            Self::TransferRead => "transfer.read",
            Self::TransferWrite => "transfer.write",
            Self::OpenbankingRead => "openbanking.read",
            Self::OpenbankingWrite => "openbanking.write",
            Self::NotificationRead => "notification.read",
            Self::NotificationWrite => "notification.write",
            Self::ControlRead => "control.read",
            Self::ControlWrite => "control.write",
            Self::PiiRead => "pii.read",
            Self::Admin => "admin",
        }
    }

    /// The scope that this one holds too.
    fn implied(self) -> Option<Self> {
        match self {
            Self::BoletoWrite => Some(Self::BoletoRead),
            Self::TransferWrite => Some(Self::TransferRead),
            Self::OpenbankingWrite => Some(Self::OpenbankingRead),
            Self::NotificationWrite => Some(Self::NotificationRead),
            Self::ControlWrite => Some(Self::ControlRead),
            _ => None,
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Nobody knows a scope of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no scope: {0}")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// Takes `pii.read` away from whoever holds it. Behind the bits of all scopes.
const MASKED: u16 = 1 << 15;

/// Some scopes; what they imply is answered for, not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Whatever there is.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// The same without personal data in clear, whatever else they hold: not even by [`Scope::Admin`].
    pub fn masked(self) -> Self {
        Self(self.0 | MASKED)
    }

    /// Whether a caller with these may do what needs `scope`.
    pub fn allow(self, scope: Scope) -> bool {
        if scope == Scope::PiiRead && self.0 & MASKED != 0 {
            return false;
        }
        self.iter().any(|held| held == Scope::Admin || held == scope || held.implied() == Some(scope))
    }

    /// Whether whoever holds these may give `others` away.
    pub fn cover(self, others: Self) -> bool {
        others.iter().all(|scope| self.allow(scope))
    }

    /// Those that were given, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    pub fn is_empty(self) -> bool {
        self.0 & !MASKED == 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Separated by single spaces, as OAuth 2.0 writes scopes (RFC 6749 §3.3).
impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        formatter.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_write_may_read_and_nothing_else() {
        let scopes: Scopes = "boleto.write pii.read".parse().unwrap();
        let allowed: Vec<&str> =
            Scope::ALL.into_iter().filter(|scope| scopes.allow(*scope)).map(Scope::as_str).collect();
        assert_eq!(allowed, ["boleto.read", "boleto.write", "pii.read"]);
        assert_eq!(scopes.to_string(), "boleto.write pii.read");
        assert!(scopes.cover("boleto.read".parse().unwrap()) && !scopes.cover(Scopes::all()));
    }

    #[test]
    fn an_administrator_may_whatever_there_is_and_nobody_may_nothing() {
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        assert!(admin.cover(Scopes::all()));
        assert!(Scope::ALL.into_iter().all(|scope| !Scopes::default().allow(scope)));
        assert!(Scopes::default().is_empty());
    }

    #[test]
    fn whoever_wants_masks_gets_them_and_gives_no_clear_reading_away() {
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        let masked = admin.masked();
        let denied: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| !masked.allow(*scope)).collect();
        assert_eq!(denied, [Scope::PiiRead]);
        assert!(!masked.cover([Scope::PiiRead].into_iter().collect()) && masked.to_string() == "admin");
        assert!(Scopes::default().masked().is_empty());
    }

    #[test]
    fn every_name_is_read_back_and_no_other_is() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!("boleto.reed".parse::<Scopes>(), Err(UnknownScope("boleto.reed".to_owned())));
        assert_eq!("".parse::<Scopes>(), Ok(Scopes::default()));
    }
}
