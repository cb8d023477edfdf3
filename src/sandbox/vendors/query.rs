//! Queries and forms whose names are matched without regard to case, and whose values must be escaped in full.
//!
//! **Owns** nothing. **Fails** by reading nothing: a broken escape, a name twice, a sign that should have been escaped.

use std::collections::BTreeMap;

/// The parameters, by their names in small letters.
pub type Parameters = BTreeMap<String, String>;

/// Reads a query of which every value is escaped: letters, digits, `-._~` and escapes, nothing else.
pub fn strict(query: &str) -> Option<Parameters> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    read(query, |value| if value.bytes().all(plain) { unescaped(value) } else { None })
}

/// Reads a posted form, in which a plus is a blank.
pub fn form(body: &[u8]) -> Option<Parameters> {
    read(std::str::from_utf8(body).ok()?, |value| unescaped(&value.replace('+', " ")))
}

fn read(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, written) = pair.split_once('=')?;
        let name = unescaped(name)?.to_lowercase();
        if parameters.insert(name, value(written)?).is_some() {
            return None;
        }
    }
    Some(parameters)
}

/// The text without its escapes.
pub fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_escaped_is_not_read() {
        let read = strict("actionType=1234&AUDIOStreamURL=http%3A%2F%2Fh%2Fo%2Fa%252Fb").unwrap();
        assert_eq!(
            (read["actiontype"].as_str(), read["audiostreamurl"].as_str()),
            ("1234", "http://h/o/a%2Fb")
        );
        for bad in ["u=http://h/", "u=a+b", "u=%2", "u=%zz", "u=%ff", "u", "u=1&U=2"] {
            assert_eq!(strict(bad), None, "{bad}");
        }
        assert_eq!(form(b"Action=STATUS&userID=a+b").unwrap()["userid"], "a b");
    }
}
