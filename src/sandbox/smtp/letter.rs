//! A message as it came: its headers read, and held against what every message must have.
//!
//! **Owns** nothing. **Fails** with what is wrong, in words for the sender. **Limits**: the headers' text alone; the parts are
//! kept as they are.

use std::collections::BTreeMap;

/// There once each (RFC 5322 §3.6), for a notice.
const NEEDED: [&str; 6] = ["from", "to", "date", "message-id", "subject", "mime-version"];
/// There once at most.
const SINGLE: [&str; 7] = [
    "reply-to",
    "sender",
    "content-type",
    "content-transfer-encoding",
    "bursar-event-id",
    "bursar-event-type",
    "bursar-subject",
];

/// The headers by their names, as they were written. A folded line is one; of several of one name the last is kept.
pub(super) fn headers(message: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let (head, _) = message.split_once("\r\n\r\n").ok_or("5.6.0 no empty line behind the headers")?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut().ok_or("5.6.0 the first header begins with a blank")?;
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':').ok_or("5.6.0 a header without a colon")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("5.6.0 a header's name is none");
        }
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let count = |wanted: &str| fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count();
    if NEEDED.iter().any(|name| count(name) != 1) {
        return Err("5.6.0 From, To, Date, Message-ID, Subject and MIME-Version must be there once each");
    }
    if SINGLE.iter().any(|name| count(name) > 1) {
        return Err("5.6.0 a header that may be there once is there twice");
    }
    let found: BTreeMap<String, String> = fields.into_iter().collect();
    let id = value(&found, "message-id").unwrap_or_default();
    let is_id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).is_some_and(|id| {
        id.split_once('@')
            .is_some_and(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains('@'))
    });
    if is_id { Ok(found) } else { Err("5.6.0 the Message-ID is none") }
}

/// A header by its name, however that is written.
pub(super) fn value(headers: &BTreeMap<String, String>, name: &str) -> Option<String> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}
