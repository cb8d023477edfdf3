//! What the other side said, made fit to be kept and shown: short, plain text, nobody's data and no secret.
//!
//! An owner's server may answer with anything: a page, a stack trace, our own message with the payer's number in it, the
//! headers that we sent. Whoever looks at a delivery wants its first words only.
//!
//! **Owns** nothing. **Fails** never: what cannot be read as text is shown as signs for it. It errs towards hiding too much:
//! a date with its time may look like a number.
//! **Limits**: [`KEPT_BYTES`]. Names of people cannot be told from other words.

use crate::domain::tax_id::TaxId;

/// The longest text that is kept of an answer.
pub const KEPT_BYTES: usize = 512;

/// The shortest run of digits that is hidden: that of a CPF, or of a telephone with its area.
const DIGITS_HIDDEN: usize = 11;
/// The shortest run of letters with a digit among them that is taken for a token.
const TOKEN_WITH_DIGIT: usize = 16;
/// The shortest run of letters alone, small and capital ones, that is taken for a token.
const TOKEN_OF_LETTERS: usize = 32;
/// How many signs may stand between two digits of one number: the two behind an area code, `(11) 91234-5678`.
const BETWEEN_DIGITS: usize = 2;

/// The text of an answer of which at most `read_max` bytes were read; nothing if it has none. `own` are secrets of ours that
/// the other side knows, and may repeat.
pub fn scrub(said: &[u8], read_max: usize, own: &[&str]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let mut text: String = text.chars().filter(|sign| !is_invisible(*sign)).collect();
    if said.len() >= read_max {
        // The word at the end may be the first half of an address, which no rule would know.
        text.truncate(text.trim_end_matches(|sign| !is_gap(sign)).len());
    }
    for secret in own.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[secret]");
    }
    let text = without_numbers(&without_words(&on_one_line(&text)));
    (!text.is_empty()).then(|| cut(text))
}

fn on_one_line(text: &str) -> String {
    let blank = |sign: char| if sign.is_control() { ' ' } else { sign };
    let text: String = text.chars().map(blank).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without addresses, tax ids and tokens, each a word or a part of one.
fn without_words(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|sign| !is_gap(sign)) {
        let (gap, word) = rest.split_at(begin);
        let (word, after) = word.split_at(word.find(is_gap).unwrap_or(word.len()));
        kept.push_str(gap);
        kept.push_str(&hidden(word));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn hidden(word: &str) -> String {
    if word.contains(['@', '\u{ff20}']) {
        "[address]".to_owned()
    } else if TaxId::parse(word.trim_end_matches(['.', '-', '/'])).is_ok() {
        "[number]".to_owned()
    } else {
        let part = |part: &str| if is_token(part) { "[token]".to_owned() } else { part.to_owned() };
        word.split_inclusive(|sign| !is_of_token(sign))
            .map(|piece| {
                let body = piece.trim_end_matches(|sign| !is_of_token(sign));
                part(body) + &piece[body.len()..]
            })
            .collect()
    }
}

fn is_token(word: &str) -> bool {
    let has = |what: fn(&char) -> bool| word.chars().any(|sign| what(&sign));
    let mixed = has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase);
    (word.len() >= TOKEN_WITH_DIGIT && has(char::is_ascii_digit)) || (word.len() >= TOKEN_OF_LETTERS && mixed)
}

/// The text without long numbers, however they are written.
fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(char::is_numeric) {
        let (before, number) = rest.split_at(begin);
        let (digits, end) = number_at(number);
        kept.push_str(before);
        kept.push_str(if digits >= DIGITS_HIDDEN { "[number]" } else { &number[..end] });
        rest = &number[end..];
    }
    kept.push_str(rest);
    kept
}

/// How many digits the number has that begins here, and where its last one ends.
fn number_at(text: &str) -> (usize, usize) {
    let (mut digits, mut end, mut between) = (0, 0, 0);
    for (place, sign) in text.char_indices() {
        if sign.is_numeric() {
            digits += 1;
            end = place + sign.len_utf8();
            between = 0;
        } else if is_between_digits(sign) && between < BETWEEN_DIGITS {
            between += 1;
        } else {
            break;
        }
    }
    (digits, end)
}

fn cut(mut text: String) -> String {
    const MARK: char = '…';
    if text.len() > KEPT_BYTES {
        text.truncate(text.floor_char_boundary(KEPT_BYTES - MARK.len_utf8()));
        text.push(MARK);
    }
    text
}

/// What parts words.
fn is_gap(sign: char) -> bool {
    sign.is_whitespace() || sign.is_control() || "\"'`<>()[]{},;:=&|\\".contains(sign)
}

/// What Base64, hexadecimal digits and ids are written in.
fn is_of_token(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "+/_-".contains(sign)
}

fn is_between_digits(sign: char) -> bool {
    ".-/ ()+:_".contains(sign)
}

/// Signs that nobody sees, between which a number would be none, or that turn the order of what is read.
fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        scrub(text.as_bytes(), 4096, &[]).unwrap_or_default()
    }

    #[test]
    fn what_says_why_stays() {
        for text in [
            "unknown boleto",
            r#"{"error": "status must be one of: paid, refused", "code": 4711}"#,
            "NullPointerException at OrderController.java:118",
            "2026-11-22: out of memory (3.5 of 4.0 GiB)",
            "não há espaço",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(scrub(b" \r\n\t ", 4096, &[]), None);
        assert_eq!(shown("line\r\nline\0\u{1b}[31m"), "line line [31m");
        assert_eq!(shown("\u{202e}abc\u{200b}d"), "abcd");
    }

    #[test]
    fn what_belongs_to_somebody_does_not() {
        for (text, kept) in [
            ("no customer 529.982.247-25 here", "no customer [number] here"),
            ("cpf=52998224725", "cpf=[number]"),
            (r#"{"cnpj":"11.222.333/0001-81"}"#, r#"{"cnpj":"[number]"}"#),
            ("cnpj 12ABC34501DE35.", "cnpj [number]"),
            ("cnpj: 12.ABC.345/01DE-35", "cnpj: [number]"),
            ("call +55 (11) 91234-5678", "call +[number]"),
            ("card 4111 1111 1111 1111!", "card [number]!"),
            ("５２９９８２２４７２５", "[number]"),
            ("529\u{200b}982\u{200b}247\u{200b}25", "[number]"),
            ("to <maria@example.com>, please", "to <[address]>, please"),
            ("mailto:maria@example.com?x", "mailto:[address]"),
            ("\"maria silva\"@example.com", "\"maria silva\"[address]"),
            (
                "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz",
                "Bearer [token].[token].[token]",
            ),
            ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,[token]="),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[token]"),
            ("id 0198f1c2-7c1e-7000-8000-0123456789ab", "id [token]"),
        ] {
            assert_eq!(shown(text), kept, "{text}");
        }
    }

    #[test]
    fn a_secret_of_ours_is_not_repeated() {
        assert_eq!(scrub(b"535 hunter two: no", 4096, &["hunter two", ""]).unwrap(), "535 [secret]: no");
    }

    #[test]
    fn a_word_that_was_cut_off_is_left_out() {
        assert_eq!(scrub(b"told maria.exam", 15, &[]).unwrap(), "told");
        assert_eq!(scrub(b"told maria.exam", 16, &[]).unwrap(), "told maria.exam");
        assert_eq!(scrub(&[b'7'; 4096], 4096, &[]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_short_and_nobody_s(said: Vec<u8>, text in "[0-9a-z@. \u{200b}é１{}\":-]{0,900}") {
            for said in [said, text.into_bytes()] {
                let Some(kept) = scrub(&said, 4096, &[]) else { continue };
                prop_assert!(kept.len() <= KEPT_BYTES);
                prop_assert!(!kept.contains('@'), "{kept}");
                prop_assert!(kept.chars().all(|sign| !sign.is_control()), "{kept:?}");
                let longest = kept.split(|sign: char| !sign.is_numeric()).map(|run| run.chars().count()).max();
                prop_assert!(longest.unwrap_or_default() < DIGITS_HIDDEN, "{kept}");
            }
        }
    }
}
