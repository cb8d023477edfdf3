//! What the feed offers at the moment: a small tree to which the events of the stream are applied.
//!
//! Records are kept as compact text, so that a window takes about as much room as the event that brought it.
//!
//! **Owns** the copy. **Fails** with [`WindowError`]; the stream is then begun anew. **Limits**: `bytes_max` for all keys and
//! records together. A record of which only parts came is a change that somebody must read, never a record.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::tree::{self, DEPTH_MAX};

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// A whole record is offered that was not, or was another one.
    Entered(Box<str>),
    /// Something below it changed.
    Changed(Box<str>),
    /// It is offered no longer.
    Left(Box<str>),
}

/// What an event did to the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// The event held everything: these are offered, all of them told; `left` were offered before.
    Snapshot {
        left: Vec<Box<str>>,
    },
    Changes(Vec<Change>),
}

/// The event cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WindowError {
    #[error("an event that cannot be read")]
    Unreadable,
    #[error("more than {0} bytes are offered")]
    TooLarge(usize),
}

/// What the stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The database shows what is offered and nothing else.
    Offered,
    /// Everything from some key on: what is processed is left out here.
    Everything,
}

#[derive(Debug)]
pub(super) struct Window {
    view: View,
    bytes_max: usize,
    bytes: usize,
    records: BTreeMap<Box<str>, Box<str>>,
}

/// `{"path": …, "data": …}`, the data unread.
#[derive(Deserialize)]
struct EventBody<'a> {
    path: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Offer {
    processed: Option<Value>,
}

impl Window {
    pub(super) fn new(view: View, bytes_max: usize) -> Self {
        Self { view, bytes_max, bytes: 0, records: BTreeMap::new() }
    }

    /// Applies a `put`.
    pub(super) fn put(&mut self, data: &str) -> Result<Applied, WindowError> {
        let body: EventBody<'_> = read(data)?;
        match segments(&body.path)?.as_slice() {
            [] => self.replace(body.data.get()),
            path => {
                let data = read(body.data.get())?;
                self.apply(vec![(path.to_vec(), data)]).map(Applied::Changes)
            }
        }
    }

    /// Applies a `patch`: each value is replaced, its siblings stay.
    pub(super) fn patch(&mut self, data: &str) -> Result<Applied, WindowError> {
        let body: EventBody<'_> = read(data)?;
        let places: BTreeMap<String, Value> = read(body.data.get())?;
        let mut places: Vec<(String, Value)> = places.into_iter().collect();
        let base = segments(&body.path)?;
        let mut writes = Vec::with_capacity(places.len());
        for (place, value) in &mut places {
            let path: Vec<&str> = base.iter().copied().chain(segments(place)?).collect();
            if path.is_empty() || path.len() > DEPTH_MAX {
                return Err(WindowError::Unreadable);
            }
            writes.push((path, value.take()));
        }
        self.apply(writes).map(Applied::Changes)
    }

    /// Everything that is offered, in the order of the keys' bytes.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(AsRef::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// A record of the window.
    pub(super) fn record(&self, key: &str) -> Option<Value> {
        // The text was written by ourselves, so that it can be read.
        self.records.get(key).and_then(|text| serde_json::from_str(text).ok())
    }

    fn replace(&mut self, data: &str) -> Result<Applied, WindowError> {
        let before = std::mem::take(&mut self.records);
        self.bytes = 0;
        for (key, raw) in children_of(data)? {
            let record = tree::pruned(read(raw)?);
            self.set(&key, &record)?;
        }
        let left = before.into_keys().filter(|key| !self.records.contains_key(key)).collect();
        Ok(Applied::Snapshot { left })
    }

    fn apply(&mut self, writes: Vec<(Vec<&str>, Value)>) -> Result<Vec<Change>, WindowError> {
        // What stood there before the event, and whether all of it came with the event.
        let mut touched: BTreeMap<&str, (Option<Box<str>>, bool)> = BTreeMap::new();
        for (path, data) in writes {
            let (key, below) = (path[0], &path[1..]);
            let entry = touched.entry(key).or_insert_with(|| (self.records.get(key).cloned(), false));
            entry.1 |= below.is_empty();
            let record = self.record(key).unwrap_or(Value::Null);
            self.set(key, &tree::with(record, below, data))?;
        }
        let mut changes = Vec::new();
        for (key, (before, whole)) in touched {
            let after = self.records.get(key);
            let change = match (before.as_ref(), after) {
                (_, Some(_)) if whole && before.as_ref() != after => Change::Entered,
                (Some(_), None) => Change::Left,
                (_, Some(_)) if before.as_ref() != after => Change::Changed,
                _ => continue,
            };
            changes.push(change(key.into()));
        }
        Ok(changes)
    }

    fn set(&mut self, key: &str, record: &Value) -> Result<(), WindowError> {
        if let Some(before) = self.records.remove(key) {
            self.bytes -= key.len() + before.len();
        }
        if record.is_null() || !self.is_offered(record) {
            return Ok(());
        }
        let text = record.to_string().into_boxed_str();
        self.bytes += key.len() + text.len();
        if self.bytes > self.bytes_max {
            return Err(WindowError::TooLarge(self.bytes_max));
        }
        self.records.insert(key.into(), text);
        Ok(())
    }

    fn is_offered(&self, record: &Value) -> bool {
        match record.get("processed") {
            Some(processed) => *processed == Value::Bool(false),
            // A part of a record that the database counts among what is offered.
            None => self.view == View::Offered,
        }
    }
}

/// Whether the text of a record says that it is not processed.
pub(super) fn is_offered(record: &str) -> bool {
    serde_json::from_str::<Offer>(record).is_ok_and(|offer| offer.processed == Some(Value::Bool(false)))
}

/// What stands directly below a node, unread: the database makes a list of an object whose keys are mostly numbers.
pub(super) fn children_of(text: &str) -> Result<Vec<(String, &str)>, WindowError> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let children: BTreeMap<String, &RawValue> = read(text)?;
            Ok(children.into_iter().map(|(key, raw)| (key, raw.get())).collect())
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(text)?;
            let numbered = items.into_iter().enumerate().filter(|(_, raw)| raw.get() != "null");
            Ok(numbered.map(|(index, raw)| (index.to_string(), raw.get())).collect())
        }
        // A scalar has nothing below it.
        _ => read::<Value>(text).map(|_| Vec::new()),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, WindowError> {
    serde_json::from_str(text).map_err(|_| WindowError::Unreadable)
}

fn segments(path: &str) -> Result<Vec<&str>, WindowError> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if segments.len() > DEPTH_MAX { Err(WindowError::Unreadable) } else { Ok(segments) }
}

#[cfg(test)]
mod tests;
