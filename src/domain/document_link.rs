//! A link by which somebody without an account of ours sees a boleto's document: its secret, and what it shows.
//!
//! **Owns** nothing; the random bits are passed in. **Fails** never: what is no token of ours has a hash too, under which
//! nothing is found. **Limits**: a token is 256 bits; it is told once, and only its hash is kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What a document may be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFormat {
    Pdf,
    Png,
    Svg,
    Html,
}

impl LinkFormat {
    pub const ALL: [Self; 4] = [Self::Pdf, Self::Png, Self::Svg, Self::Html];

    /// As it stands in the store, and at the end of an address behind a dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Svg => "svg",
            Self::Html => "html",
        }
    }

    /// By that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// The secret in a link. It shows itself to nobody but by [`Token::as_str`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token of these bits, which must come from the system's own source of randomness.
    pub fn of_bits(bits: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bits))
    }

    /// 43 characters that need no escaping in an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The SHA-256 of a token. With 256 bits behind it nobody finds the token by trying, so that it needs no salt; and whoever
/// is looked for by it learns nothing from how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Of a text that somebody says is a token.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_all_its_bits_and_does_not_show_itself() {
        let (one, other) = (Token::of_bits([7; 32]), Token::of_bits([0xff; 32]));
        assert_eq!(one.as_str().len(), 43);
        assert!(other.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let mut nearly = [7; 32];
        nearly[31] = 6;
        assert_ne!(Token::of_bits(nearly).hash(), one.hash());
        assert_eq!(TokenHash::of(one.as_str()), one.hash());
        assert!(!format!("{one:?}").contains(one.as_str()));
    }

    #[test]
    fn formats_are_known_by_their_names_alone() {
        for format in LinkFormat::ALL {
            assert_eq!(LinkFormat::named(format.as_str()), Some(format));
        }
        assert_eq!(LinkFormat::named("PDF"), None);
        assert_eq!(LinkFormat::named(""), None);
    }
}
