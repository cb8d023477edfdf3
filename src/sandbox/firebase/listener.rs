//! Those who listen: what each is told of a change.
//!
//! A listener without a query is told of all that is written at its place and below it, as it was written. One with a query
//! sees a window: a child that enters comes whole, one that leaves is put to `null`, which is no deletion, and only what
//! happens to a child that stays is told as it was written.
//!
//! **Owns** a queue for each listener and the keys in its window.
//! **Fails** a listener that is too slow: its queue ends, and with it its stream.
//! **Limits**: 65,536 events or 64 MiB wait for a listener; what is there at the start does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio::sync::mpsc;

use super::database::json;
use super::key::{Key, Path, written};
use super::query::{Query, Shown};
use super::tree::{Node, find};

const EVENTS_MAX: usize = 65_536;
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a stream is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An event's name and its data.
    Event(&'static str, Vec<u8>),
    /// Bytes for the wire, whatever they mean.
    Raw(Vec<u8>),
    /// The stream is over after what was said before.
    End,
}

impl Told {
    fn bytes(&self) -> usize {
        match self {
            Told::Event(_, data) | Told::Raw(data) => data.len(),
            Told::End => 0,
        }
    }
}

/// How a change was written.
pub enum Way {
    Put,
    Patch { base: Path },
}

/// A change that has happened.
pub struct Change<'a> {
    pub way: Way,
    pub places: &'a [(Path, Option<Node>)],
}

struct Listener {
    at: Path,
    query: Option<Query>,
    window: BTreeSet<Key>,
    queue: mpsc::Sender<Told>,
    waiting_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// Everybody who listens.
pub struct Listeners {
    next: u64,
    all: BTreeMap<u64, Listener>,
    events_max: usize,
    bytes_max: usize,
}

impl Default for Listeners {
    fn default() -> Self {
        Listeners { next: 0, all: BTreeMap::new(), events_max: EVENTS_MAX, bytes_max: BYTES_MAX }
    }
}

/// The stream's end of a listener.
pub struct Opened {
    pub id: u64,
    queue: mpsc::Receiver<Told>,
    waiting_bytes: Arc<AtomicUsize>,
    /// What is there at the start has not been taken yet; it is not counted.
    at_start: bool,
}

impl Opened {
    /// What comes next; nothing when this listener was too slow.
    pub async fn next(&mut self) -> Option<Told> {
        let told = self.queue.recv().await?;
        if !std::mem::take(&mut self.at_start) {
            self.waiting_bytes.fetch_sub(told.bytes(), Ordering::Relaxed);
        }
        Some(told)
    }
}

impl Listeners {
    pub fn open(&mut self, root: Option<&Node>, at: Path, query: Option<Query>) -> Opened {
        let (queue, receiver) = mpsc::channel(self.events_max);
        let node = find(root, &at);
        let window = query.as_ref().map(|query| query.window(node)).unwrap_or_default();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let listener = Listener {
            at,
            query,
            window,
            queue,
            waiting_bytes: waiting_bytes.clone(),
            bytes_max: self.bytes_max,
        };
        let first = listener.snapshot(root);
        // The queue is new and empty, so that the first always has a place.
        let _ = listener.queue.try_send(first);
        let id = self.next;
        self.next += 1;
        self.all.insert(id, listener);
        Opened { id, queue: receiver, waiting_bytes, at_start: true }
    }

    pub fn close(&mut self, id: u64) {
        self.all.remove(&id);
    }

    /// Lets everybody go; their numbers are not given again.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Tells every listener the same.
    pub fn tell_all(&mut self, told: &Told) {
        self.all.retain(|_, listener| listener.say(told.clone()));
    }

    /// What those see who may lose it to a write above them.
    pub fn remember(&self, root: Option<&Node>, places: &[(Path, Option<Node>)]) -> BTreeMap<u64, Told> {
        let above = |listener: &&Listener| {
            places.iter().any(|(path, _)| path.len() < listener.at.len() && listener.at.starts_with(path))
        };
        let affected = self.all.iter().filter(|(_, listener)| above(listener));
        affected.map(|(id, listener)| (*id, listener.snapshot(root))).collect()
    }

    /// Tells everybody whom it concerns of a change.
    pub fn tell(&mut self, root: Option<&Node>, change: &Change<'_>, before: &BTreeMap<u64, Told>) {
        self.all.retain(|id, listener| {
            let news = listener.news(root, change, before.get(id));
            news.into_iter().all(|told| listener.say(told))
        });
    }
}

#[derive(Serialize)]
struct Data<'a, T: Serialize> {
    path: &'a str,
    data: T,
}

fn put(path: &[Key], data: impl Serialize) -> Told {
    Told::Event("put", json(&Data { path: &written(path), data }))
}

impl Listener {
    /// Whether it could still be told.
    fn say(&self, told: Told) -> bool {
        let bytes = told.bytes();
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) > self.bytes_max {
            return false;
        }
        self.queue.try_send(told).is_ok()
    }

    fn snapshot(&self, root: Option<&Node>) -> Told {
        let node = find(root, &self.at);
        match self.query {
            Some(_) if self.window.is_empty() => put(&[], ()),
            Some(_) => put(&[], Shown { node, window: &self.window }),
            None => put(&[], node),
        }
    }

    fn news(&mut self, root: Option<&Node>, change: &Change<'_>, before: Option<&Told>) -> Vec<Told> {
        let (mut whole, mut below) = (false, Vec::new());
        for (path, _) in change.places {
            whole |= self.at.starts_with(path);
            if path.len() > self.at.len() && path.starts_with(&self.at) {
                below.push(path.as_slice());
            }
        }
        if whole {
            if let Some(query) = &self.query {
                self.window = query.window(find(root, &self.at));
            }
            let now = self.snapshot(root);
            // What was written above and left this place as it was is no news here.
            return if before == Some(&now) { Vec::new() } else { vec![now] };
        }
        match &self.query {
            _ if below.is_empty() => Vec::new(),
            None => vec![self.as_written(root, &change.way, &below)],
            Some(query) => {
                let (query, node) = (query.clone(), find(root, &self.at));
                self.through_window(root, node, &query, &change.way, &below)
            }
        }
    }

    /// The change as it was written, with paths from this listener's place.
    fn as_written(&self, root: Option<&Node>, way: &Way, places: &[&[Key]]) -> Told {
        let depth = self.at.len();
        match (way, places) {
            (Way::Put, [path, ..]) => put(&path[depth..], find(root, path)),
            (Way::Put, []) => put(&[], ()),
            (Way::Patch { base }, _) => {
                let base = if base.len() > depth { base.as_slice() } else { &self.at };
                let part = |path: &&[Key]| {
                    (written(&path[base.len()..]).trim_start_matches('/').to_owned(), find(root, path))
                };
                let parts: BTreeMap<String, Option<&Node>> = places.iter().map(part).collect();
                Told::Event("patch", json(&Data { path: &written(&base[depth..]), data: parts }))
            }
        }
    }

    fn through_window(
        &mut self,
        root: Option<&Node>,
        node: Option<&Node>,
        query: &Query,
        way: &Way,
        places: &[&[Key]],
    ) -> Vec<Told> {
        let depth = self.at.len();
        let touched: BTreeSet<Key> = places.iter().map(|path| path[depth].clone()).collect();
        let child = |key: &Key| node.and_then(|node| node.child(key));
        let (left, entered): (Vec<Key>, Vec<Key>) = if query.is_boundless() {
            // Each child is in or out by itself, so that only those written to can have moved.
            let inside = |key: &&Key| child(key).is_some_and(|node| query.admits(key, node));
            let left =
                touched.iter().filter(|key| self.window.contains(*key) && !inside(key)).cloned().collect();
            let entered =
                touched.iter().filter(|key| !self.window.contains(*key) && inside(key)).cloned().collect();
            (left, entered)
        } else {
            let now = query.window(node);
            (self.window.difference(&now).cloned().collect(), now.difference(&self.window).cloned().collect())
        };
        let mut news = Vec::new();
        for key in &left {
            self.window.remove(key);
            news.push(put(std::slice::from_ref(key), ()));
        }
        let stayed: Vec<&[Key]> =
            places.iter().filter(|path| self.window.contains(&path[depth])).copied().collect();
        if !stayed.is_empty() {
            news.push(self.as_written(root, way, &stayed));
        }
        for key in entered {
            news.push(put(std::slice::from_ref(&key), child(&key)));
            self.window.insert(key);
        }
        news
    }
}

#[cfg(test)]
mod tests;
