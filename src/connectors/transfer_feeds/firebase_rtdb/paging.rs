//! A backlog, page by page, in the order of the keys.
//!
//! **Owns** nothing; one page is in memory at a time, parsed record by record. **Fails** as the calls do. **Limits**: a page that
//! is longer than an answer may be is asked for again at half its size, in the end without the record that it starts behind; a
//! single record that is longer is [`FeedError::TooLarge`], and nothing behind it is reached.

use std::cmp::Ordering;

use serde_json::Value;

use super::client::{Call, Client};
use super::config::{FirebaseRtdbConfig, Paging};
use super::error;
use super::stream::known_key;
use super::window::{children_of, is_offered};
use crate::connectors::transfer_feeds::{FeedError, FeedRecord};
use crate::domain::transfer::TransferKey;

/// Part of a backlog.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<FeedRecord>,
    /// The last key that was looked at, offered or not.
    pub(super) last: Option<TransferKey>,
    pub(super) is_end: bool,
    /// Children that an answer had room for: the next page may ask for a little more, and not for everything anew.
    pub(super) children_max: usize,
}

/// The page behind a key, of so many children at most.
pub(super) async fn page(
    client: &Client,
    config: &FirebaseRtdbConfig,
    after: Option<&TransferKey>,
    children_max: usize,
) -> Result<Page, FeedError> {
    let mut wanted = children_max.max(1);
    let mut start = after.map(|after| after.as_str().to_owned());
    let mut is_behind = after.is_none();
    loop {
        // The child from which a page starts is part of it.
        let limit = wanted + usize::from(!is_behind);
        let answer = match client.call(&call(config, start.as_deref(), limit)).await {
            Err(FeedError::TooLarge { .. }) if wanted > 1 => {
                wanted /= 2;
                continue;
            }
            // Two neighbours may be longer together than an answer may be, and neither by itself.
            Err(FeedError::TooLarge { .. }) if !is_behind => {
                is_behind = true;
                start = after.map(|after| successor(after.as_str()));
                continue;
            }
            answer => answer?,
        };
        let text = std::str::from_utf8(&answer.body).map_err(|_| error::unreadable("a page"))?;
        return Ok(Page { children_max: wanted, ..read(text, after, limit)? });
    }
}

fn call(config: &FirebaseRtdbConfig, start: Option<&str>, limit: usize) -> Call {
    let call = Call::get(&config.paths.transfers).query("limitToFirst", limit.to_string());
    let key = start.map(|key| Value::from(key).to_string());
    match (config.paging, key) {
        (Paging::ByKey, None) => call.query("orderBy", r#""$key""#),
        (Paging::ByKey, Some(key)) => call.query("orderBy", r#""$key""#).query("startAt", key),
        (Paging::Filtered, None) => call.query("orderBy", r#""processed""#).query("equalTo", "false"),
        (Paging::Filtered, Some(key)) => call
            .query("orderBy", r#""processed""#)
            .query("startAt", format!("false,{key}"))
            .query("endAt", "false"),
    }
}

fn read(text: &str, after: Option<&TransferKey>, limit: usize) -> Result<Page, FeedError> {
    let children = children_of(text).map_err(|_| error::unreadable("a page"))?;
    let is_end = children.len() < limit;
    let behind = |key: &str| after.is_none_or(|after| order(key, after.as_str()) == Ordering::Greater);
    let mut page = Page { records: Vec::new(), last: None, is_end, children_max: limit };
    let mut children: Vec<_> = children.into_iter().filter(|(key, _)| behind(key)).collect();
    children.sort_by(|(a, _), (b, _)| order(a, b));
    // An answer that leads nowhere would be asked for without end.
    page.is_end |= children.is_empty();
    for (key, raw) in children {
        let Some(key) = known_key(&key) else { continue };
        if is_offered(raw) {
            let record = serde_json::from_str(raw).map_err(|_| error::unreadable("a page"))?;
            page.records.push(FeedRecord { key: key.clone(), record });
        }
        page.last = Some(key);
    }
    Ok(page)
}

/// The database's order of keys: whole numbers of 32 bits first, by their value, then all others by their bytes.
fn order(a: &str, b: &str) -> Ordering {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// The first text behind a key in that order: no key has a character below the blank.
fn successor(key: &str) -> String {
    match number(key) {
        Some(i32::MAX) => " ".to_owned(),
        Some(number) => (number + 1).to_string(),
        None => format!("{key} "),
    }
}

fn number(key: &str) -> Option<i32> {
    key.parse().ok().filter(|number: &i32| number.to_string() == key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(text: &str) -> TransferKey {
        TransferKey::parse(text).unwrap()
    }

    fn keys(page: &Page) -> Vec<&str> {
        page.records.iter().map(|record| record.key.as_str()).collect()
    }

    #[test]
    fn keys_are_ordered_as_the_database_orders_them() {
        let mut keys = ["b", "-Nb", "10", "9", "-Na", "-3", "007", "99999999999", "A"];
        keys.sort_by(|a, b| order(a, b));
        assert_eq!(keys, ["-3", "9", "10", "-Na", "-Nb", "007", "99999999999", "A", "b"]);
        for (one, next) in [("-Na", "-Na "), ("9", "10"), ("-1", "0"), ("2147483647", " "), ("007", "007 ")] {
            assert_eq!((successor(one).as_str(), order(one, next)), (next, Ordering::Less), "{one}");
        }
    }

    #[test]
    fn a_page_ends_with_its_last_key_though_nothing_in_it_is_offered() {
        let text = json!({"c": {"processed": true}, "b": {"processed": false, "x": 1}, "a": {"processed": false}, "d": 7}).to_string();
        let page = read(&text, Some(&key("a")), 4).unwrap();
        assert_eq!((keys(&page), page.last.as_ref(), page.is_end), (vec!["b"], Some(&key("d")), false));
        let page = read(&text, None, 5).unwrap();
        assert_eq!((keys(&page), page.is_end), (vec!["a", "b"], true));
    }

    #[test]
    fn what_leads_nowhere_is_the_end() {
        let same = json!({"a": {"processed": false}}).to_string();
        let page = read(&same, Some(&key("a")), 1).unwrap();
        assert_eq!((keys(&page).len(), page.last.clone(), page.is_end), (0, None, true));
        for nothing in ["null", "{}", "[]", "3"] {
            assert!(read(nothing, None, 2).unwrap().is_end, "{nothing}");
        }
        let list = json!([null, {"processed": false}, {"processed": false}]).to_string();
        let page = read(&list, Some(&key("1")), 2).unwrap();
        assert_eq!((keys(&page), page.is_end), (vec!["2"], false));
        assert!(read("{\"a\":", None, 2).is_err());
    }
}
