//! A caller's token: `bursar_PREFIX_SECRET`, made so that people tell tokens apart and scanners of leaked secrets find them.
//!
//! **Owns** nothing; the random bits are passed in. **Fails** with nothing at all for a text that is no token: what was wrong with it is
//! nobody's business. **Limits**: a prefix of 48 bits, which is public, and a secret of 256, which is shown once; only its hash is kept.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How every token begins.
const MARK: &str = "bursar_";
const PREFIX_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// The part of a token that everybody may see: twelve digits of base 16.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenPrefix(String);

impl TokenPrefix {
    /// Reads a prefix as it is shown in lists.
    pub fn parse(text: &str) -> Option<Self> {
        bytes_of::<PREFIX_BYTES>(text).map(|_| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole token. It shows itself to nobody but by [`ApiToken::reveal`].
#[derive(Clone)]
pub struct ApiToken {
    prefix: TokenPrefix,
    secret: [u8; SECRET_BYTES],
}

impl ApiToken {
    /// The token of these bits, which must come from the system's own source of randomness.
    pub fn of_bits(prefix: [u8; PREFIX_BYTES], secret: [u8; SECRET_BYTES]) -> Self {
        Self { prefix: TokenPrefix(digits(&prefix)), secret }
    }

    /// Reads what somebody says is a token.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, secret) = text.strip_prefix(MARK)?.split_once('_')?;
        Some(Self { prefix: TokenPrefix::parse(prefix)?, secret: bytes_of(secret)? })
    }

    pub fn prefix(&self) -> &TokenPrefix {
        &self.prefix
    }

    /// The token itself, for the one to whom it is given.
    pub fn reveal(&self) -> String {
        format!("{MARK}{}_{}", self.prefix, digits(&self.secret))
    }

    /// What is kept of its secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret).into())
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({MARK}{}_***)", self.prefix)
    }
}

/// The SHA-256 of a secret. A hash that is slow on purpose helps secrets that people make up; with 256 random bits behind it nobody
/// finds this one by trying, and it needs no salt.
#[derive(Debug, Clone, Copy)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Whether they are the same, in a time that does not tell how much of them is.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that so many lower-case digits of base 16 spell.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_does_not_show_itself() {
        let token = ApiToken::of_bits([0xab; 6], [7; 32]);
        let text = token.reveal();
        assert_eq!(text, format!("bursar_abababababab_{}", "07".repeat(32)));
        let read = ApiToken::parse(&text).expect("ours");
        assert!(read.prefix() == token.prefix() && read.hash().is(&token.hash()));
        assert!(!format!("{token:?}").contains("0707"));
        assert!(!ApiToken::of_bits([0xab; 6], [8; 32]).hash().is(&token.hash()));
    }

    #[test]
    fn a_text_that_is_nearly_a_token_is_none() {
        let text = ApiToken::of_bits([0xab; 6], [7; 32]).reveal();
        let shorter = &text[..text.len() - 1];
        for wrong in [
            "",
            "bursar_",
            shorter,
            &text.to_uppercase(),
            &text[7..],
            &format!("{text}0"),
            &format!(" {text}"),
        ] {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
        assert!(TokenPrefix::parse("abababababab").is_some());
        assert!(TokenPrefix::parse("ababababab-b").is_none() && TokenPrefix::parse("éééééé").is_none());
    }
}
