//! Where a browser is led: to the sign-in and on from there, and back to the page from which a form came.
//!
//! **Owns** nothing. **Fails** never: what is no way of ours leads to the overview. **Limits**: a way is [`BYTES_MAX`] long at most,
//! and made of a path and what is behind its question mark; no other host can be named by it.

use http::Uri;

use super::pages::{Fields, field};
use super::{DEAD_LETTERS, OVERVIEW, SIGN_IN, TIMETABLE};

/// An address that every browser and every proxy takes.
const BYTES_MAX: usize = 2_000;

/// To the sign-in, with the page that was asked for.
pub fn by_sign_in(asked: &Uri) -> String {
    let next = asked.path_and_query().map_or("", |next| next.as_str());
    match onward(next) {
        next if next == OVERVIEW.at => SIGN_IN.at.to_owned(),
        next => format!("{}?next={}", SIGN_IN.at, encoded(next)),
    }
}

/// On from the sign-in, to where the form says if that is a page of ours.
pub fn onward(next: &str) -> &str {
    // Browsers take `\` for `/`, leave out what is not visible, and look for a host behind `//`.
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_path = next.starts_with('/') && !next.starts_with("//");
    match is_plain && is_path && next.len() <= BYTES_MAX {
        true => next,
        false => OVERVIEW.at,
    }
}

/// Back to the page from which a form came, as it was asked for, with the news of what the form has done.
pub fn back(path: &str, form: &Fields) -> String {
    let (page, kept, news, of): (_, &[&str], _, _) = match path {
        "/dead-letters/retry" => (DEAD_LETTERS.at, &["queue", "page"], "retried", "id"),
        _ => (TIMETABLE.at, &[], "begun", "job"),
    };
    let kept = kept.iter().map(|name| (*name, field(form, name))).filter(|(_, value)| !value.is_empty());
    let pairs = kept.chain([(news, field(form, of))]);
    let asked: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
    let whole = format!("{page}?{}", asked.join("&"));
    if whole.len() <= BYTES_MAX { whole } else { page.to_owned() }
}

/// As a value behind the question mark (RFC 3986 §2.1): all but unreserved characters is encoded.
fn encoded(text: &str) -> String {
    let each = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in ["/", "/queues", "/dead-letters?queue=registration%2Fitau%2F1&page=x", "/boletos/0197-a"] {
            assert_eq!(onward(own), own);
        }
        let long = format!("/{}", "x".repeat(BYTES_MAX));
        for other in [
            "",
            "queues",
            "//strangers.example",
            "https://strangers.example",
            "/\\strangers.example",
            "\\\\strangers.example",
            "/\t/strangers.example",
            "/\r\nset-cookie: x",
            "/queues é",
            "javascript:alert(1)",
            &long,
        ] {
            assert_eq!(onward(other), "/", "{other:?}");
        }
    }

    #[test]
    fn the_sign_in_remembers_what_was_asked_for() {
        let by = |uri: &str| by_sign_in(&uri.parse().unwrap());
        assert_eq!(by("/"), "/sign-in");
        assert_eq!(by("/boletos?status=x&page=y"), "/sign-in?next=%2Fboletos%3Fstatus%3Dx%26page%3Dy");
        assert_eq!(by("//strangers.example/x"), "/sign-in");
    }

    #[test]
    fn whoever_retries_comes_back_to_the_list_that_they_were_in() {
        let form: Fields = [("queue", "delivery/a&b"), ("page", "x=1"), ("id", "0197-a"), ("reason", "why")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(
            back("/dead-letters/retry", &form),
            "/dead-letters?queue=delivery%2Fa%26b&page=x%3D1&retried=0197-a"
        );
        let form: Fields = [("job".to_owned(), "sync_update".to_owned())].into();
        assert_eq!(back("/timetable/run", &form), "/timetable?begun=sync_update");
        let form: Fields = [("queue".to_owned(), "\r\nx: y".to_owned())].into();
        assert_eq!(back("/dead-letters/retry", &form), "/dead-letters?queue=%0D%0Ax%3A%20y&retried=");
    }
}
