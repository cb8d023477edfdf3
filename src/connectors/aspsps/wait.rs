//! How long an ASPSP asks us to wait, where it says so in words alone.
//!
//! Neither standard declares `Retry-After`; some write "try again in 3600 seconds" into the error's text instead.
//!
//! **Owns** nothing. **Fails** by finding nothing. **Limits**: whole seconds, named as such in English, Polish, German, Spanish or
//! Portuguese; at most a day, as with the header.

use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_hours(24);
/// What a word for seconds begins with, once it is longer than one letter.
const STEMS: [&str; 5] = ["sec", "sek", "second", "sekund", "segundo"];

/// The first number of seconds in the text.
pub(super) fn named_in(text: &str) -> Option<Duration> {
    let mut rest = text;
    while let Some(begin) = rest.find(|sign: char| sign.is_ascii_digit()) {
        let number = &rest[begin..];
        let end = number.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(number.len());
        let (digits, behind) = number.split_at(end);
        // The digits of an id, of a date or of a decimal number are no count of seconds.
        let stands_alone =
            !rest[..begin].ends_with(|sign: char| sign.is_alphanumeric() || ".,:-_".contains(sign));
        if stands_alone && is_seconds(behind) {
            let seconds = digits.parse().unwrap_or(u64::MAX);
            return Some(Duration::from_secs(seconds).min(WAIT_MAX));
        }
        rest = behind;
    }
    None
}

/// Whether a word for seconds comes next.
fn is_seconds(text: &str) -> bool {
    let word: String =
        text.trim_start_matches([' ', '\u{a0}']).chars().take_while(|sign| sign.is_alphabetic()).collect();
    let word = word.to_lowercase();
    word == "s" || STEMS.iter().any(|stem| word.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_are_found_where_they_are_named() {
        for (text, seconds) in [
            ("Rate limit exceeded, try again in 3600 seconds", Some(3_600)),
            ("The rate limit for this resource is 4/day. Please try again in 35273 seconds", Some(35_273)),
            ("retry after 30s", Some(30)),
            ("Spróbuj ponownie za 120 sekund.", Some(120)),
            ("limit 4, then 1 sec", Some(1)),
            ("wait 99999999999999999999999 seconds", Some(86_400)),
            ("4 accesses a day", None),
            ("error 429", None),
            ("ref 2026-11-22 second try", None),
            ("id A17 seconds", None),
            ("try again in 5 minutes", None),
            ("", None),
        ] {
            assert_eq!(named_in(text).map(|wait| wait.as_secs()), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,60}", near in "[0-9 a-zé.]{0,60}") {
            for text in [text, near] {
                prop_assert!(named_in(&text).is_none_or(|wait| wait <= WAIT_MAX));
            }
        }
    }
}
