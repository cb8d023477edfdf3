//! One broken rule of an input, named so that whoever sent it finds the field.
//!
//! **Owns** nothing. **Limits**: a description says the rule and never repeats the value, which may be personal data.

use std::fmt;

/// A field of an input and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, in the protocol's own names: `payer.address.postal_code`.
    pub field: String,
    /// The rule, in words, without the value.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}
