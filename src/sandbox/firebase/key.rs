//! Keys and paths of the database's tree.
//!
//! **Owns** nothing.
//! **Fails** with what is wrong with a key: empty, too long, or a character that no key may hold.
//! **Limits**: a key of 768 bytes; a path of 32 keys.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::fault::Fault;

/// The longest key, in bytes.
const KEY_MAX: usize = 768;
/// The deepest node.
pub const DEPTH_MAX: usize = 32;

/// One step down. Keys that are whole numbers come first, by their size; the others follow, by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    number: Option<i32>,
    text: Box<str>,
}

/// From the root down.
pub type Path = Vec<Key>;

impl Key {
    /// Reads a key of a body or of an address.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text.len() > KEY_MAX {
            return Err(Fault::Bad("Invalid data; a key is empty or longer than 768 bytes"));
        }
        if text.chars().any(|c| matches!(c, '.' | '$' | '#' | '[' | ']' | '/') || c.is_ascii_control()) {
            return Err(Fault::Bad("Invalid data; couldn't parse key: it holds one of . $ # [ ] /"));
        }
        Ok(Self::of(text))
    }

    /// The place in a list.
    pub fn of_index(index: usize) -> Self {
        Self::of(&index.to_string())
    }

    /// A key that is known to be one, or a text to compare keys with.
    pub fn of(text: &str) -> Self {
        // "01" and "+1" are texts: they would not be written so again.
        let number = text.parse().ok().filter(|number: &i32| number.to_string() == text);
        Key { number, text: text.into() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The place in a list, of a key that could be one.
    pub fn index(&self) -> Option<usize> {
        usize::try_from(self.number?).ok()
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(one), Some(two)) => one.cmp(&two),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads a path; empty parts mean nothing.
pub fn parse_path(text: &str) -> Result<Path, Fault> {
    let path: Path =
        text.split('/').filter(|part| !part.is_empty()).map(Key::parse).collect::<Result<_, _>>()?;
    if path.len() > DEPTH_MAX {
        return Err(Fault::Bad("Invalid path; deeper than 32 keys"));
    }
    Ok(path)
}

/// Writes a path as the service's events and rules have it: `/` at the front, none at the end.
pub fn written(path: &[Key]) -> String {
    let mut text = String::new();
    for key in path {
        // Writing to a text cannot fail.
        let _ = write!(text, "/{}", key.as_str());
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_first_and_by_size() {
        let mut keys: Vec<Key> = ["b", "10", "-Nx", "9", "01", "2147483648", "B", "0"].map(Key::of).into();
        keys.sort();
        let texts: Vec<&str> = keys.iter().map(Key::as_str).collect();
        assert_eq!(texts, ["0", "9", "10", "-Nx", "01", "2147483648", "B", "b"]);
    }

    #[test]
    fn what_a_key_may_not_hold_is_refused() {
        for bad in ["", "a.b", "$key", "a#", "a[0]", "a/b", "a\u{1f}", "a\u{7f}", &"k".repeat(769)] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Key::parse(&"k".repeat(768)).is_ok() && Key::parse("São João 🧾").is_ok());
        assert_eq!(written(&parse_path("//a/b/").unwrap()), "/a/b");
        assert_eq!(written(&parse_path("").unwrap()), "/");
        assert!(parse_path(&"a/".repeat(33)).is_err() && parse_path(&"a/".repeat(32)).is_ok());
    }
}
