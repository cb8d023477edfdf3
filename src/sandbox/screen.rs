//! One short line on stderr for each effect, so that a person sees the outside at work.
//!
//! **Owns** nothing.
//! **Fails** silently: a closed terminal is no reason to stop.
//! **Limits**: no personal data; identifiers, amounts and codes only.

use std::fmt::Arguments;
use std::io::Write;

/// Where the lines go, or that they go nowhere.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    pub quiet: bool,
}

impl Screen {
    /// `party` is padded so that the columns line up.
    pub fn say(self, party: &str, text: Arguments<'_>) {
        if !self.quiet {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr().lock(), "{party:<9} {text}");
        }
    }
}

/// Cents as a Brazilian amount is spoken, with a point.
pub(super) fn reais(cents: u64) -> String {
    format!("R$ {}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::reais;

    #[test]
    fn cents_keep_their_two_places() {
        assert_eq!(reais(12_590), "R$ 125.90");
        assert_eq!(reais(5), "R$ 0.05");
    }
}
