//! A fixed number of decimal digits, kept as text without a heap.
//!
//! **Owns** nothing. **Fails** with `None` where text is anything but exactly so many digits.
//! **Limits**: ASCII digits only; other scripts' digits are refused.

use std::fmt;

use serde::{Serialize, Serializer};

/// Exactly `N` ASCII digits; leading zeros stay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits<const N: usize>([u8; N]);

impl<const N: usize> Digits<N> {
    /// The digits, or nothing where one of the bytes is no ASCII digit.
    pub fn new(bytes: [u8; N]) -> Option<Self> {
        bytes.iter().all(u8::is_ascii_digit).then_some(Self(bytes))
    }

    /// Reads bare text: exactly `N` digits and nothing else.
    pub fn from_bare(text: &str) -> Option<Self> {
        Self::new(text.as_bytes().try_into().ok()?)
    }

    /// Reads text as it is printed or pasted: `N` digits with dots, hyphens and white space anywhere.
    pub fn from_printed(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        (collect_digits(text, &mut bytes)? == N).then_some(Self(bytes))
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII digits are ever kept here")
    }

    /// The digits as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

/// Copies the digits of printed text to `into` and says how many there were.
/// Nothing where there is another sign than a separator, or where there are more digits than room.
pub(super) fn collect_digits(text: &str, into: &mut [u8]) -> Option<usize> {
    let mut count = 0;
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            *into.get_mut(count)? = byte;
            count += 1;
        } else if !(matches!(byte, b'.' | b'-') || byte.is_ascii_whitespace()) {
            return None;
        }
    }
    Some(count)
}

/// The number that these ASCII digits spell; at most 18 digits, which any `i64` holds.
pub(super) fn number(digits: &[u8]) -> i64 {
    debug_assert!(digits.len() <= 18);
    digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit & 0x0f))
}

impl<const N: usize> fmt::Display for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> Serialize for Digits<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
