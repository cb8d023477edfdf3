//! The database itself: one tree, its rules, and everybody who listens to it.
//!
//! A write changes the tree and tells the listeners in one step, so that what a listener is told is what the tree went
//! through, in that order.
//!
//! **Owns** the tree in memory, and the listeners' ends.
//! **Fails** a write whole: what is wrong in one place of it changes nothing in any other.
//! **Limits**: one database; rules are indexes alone, because who may do anything may do everything.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::key::{DEPTH_MAX, Key, Path, parse_path, written};
use super::listener::{Change, Listeners, Opened, Way};
use super::push::PushIds;
use super::query::{Query, Shown};
use super::tree::{Node, Now, etag, find, replace};

/// What is to be written.
pub enum Act {
    /// In the place of what is there; `null` takes it away.
    Put(Value),
    /// Each part in its place below, all of them or none.
    Patch(Map<String, Value>),
    /// Under a new key.
    Push(Value),
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Counts the writes of this database's life.
    pub revision: u64,
    /// The new key, of a push.
    pub name: Option<String>,
    /// The node at each place that was written, after it.
    pub places: Vec<(Path, Option<Node>)>,
    /// The version at the address, after it.
    pub etag: Option<String>,
}

/// Why nothing was written.
#[derive(Debug)]
pub enum Unwritten {
    Fault(Fault),
    /// Another version is there.
    Changed {
        etag: String,
        value: Vec<u8>,
    },
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Self {
        Unwritten::Fault(fault)
    }
}

/// The one database.
#[derive(Default)]
pub struct Database {
    root: Option<Node>,
    revision: u64,
    push_ids: PushIds,
    indexes: BTreeMap<Path, BTreeSet<String>>,
    listeners: Listeners,
}

impl Database {
    /// Has queries by this field of the children at a path answered.
    pub fn index(&mut self, path: Path, field: &str) {
        self.indexes.entry(path).or_default().insert(field.to_owned());
    }

    /// Takes the rules of a path away.
    pub fn drop_indexes(&mut self, path: &[Key]) {
        self.indexes.remove(path);
    }

    pub fn listeners(&mut self) -> &mut Listeners {
        &mut self.listeners
    }

    /// What is at a path, as JSON.
    pub fn read(&self, path: &[Key]) -> Vec<u8> {
        json(&find(self.root.as_ref(), path))
    }

    /// The keys at a path alone.
    pub fn read_shallow(&self, path: &[Key]) -> Vec<u8> {
        json(&find(self.root.as_ref(), path).map(Node::shallow))
    }

    /// What a query finds at a path.
    pub fn read_query(&self, path: &[Key], query: &Query) -> Result<Vec<u8>, Fault> {
        self.check_index(path, query)?;
        let node = find(self.root.as_ref(), path);
        let window = query.window(node);
        Ok(json(&node.map(|node| Shown { node: Some(node), window: &window })))
    }

    pub fn etag(&self, path: &[Key]) -> String {
        etag(find(self.root.as_ref(), path))
    }

    /// Somebody listens from now on; what is there now is the first that they are told.
    pub fn listen(&mut self, at: Path, query: Option<Query>) -> Result<Opened, Fault> {
        if let Some(query) = &query {
            self.check_index(&at, query)?;
        }
        Ok(self.listeners.open(self.root.as_ref(), at, query))
    }

    fn check_index(&self, path: &[Key], query: &Query) -> Result<(), Fault> {
        let Some(field) = query.index() else { return Ok(()) };
        if self.indexes.get(path).is_some_and(|fields| fields.contains(&field)) {
            return Ok(());
        }
        Err(Fault::NoIndex { field, path: written(path) })
    }

    /// Writes, if the version is still the one that is expected.
    pub fn write(&mut self, at: &[Key], act: Act, expected: Option<&str>) -> Result<Written, Unwritten> {
        if let Some(expected) = expected {
            let node = find(self.root.as_ref(), at);
            let there = etag(node);
            if there != expected {
                return Err(Unwritten::Changed { etag: there, value: json(&node) });
            }
        }
        let now = Utc::now();
        let mut name = None;
        let (way, parts) = match act {
            Act::Put(value) => (Way::Put, vec![(at.to_vec(), value)]),
            Act::Patch(parts) => (Way::Patch { base: at.to_vec() }, patched(at, parts)?),
            Act::Push(value) => {
                let key = name.insert(self.push_ids.next(now.timestamp_millis()));
                (Way::Put, vec![([at, &[Key::of(key)]].concat(), value)])
            }
        };
        let now = Now { unix_ms: now.timestamp_millis() };
        let mut planted = Vec::with_capacity(parts.len());
        for (path, value) in parts {
            let node = Node::plant(value, find(self.root.as_ref(), &path), path.len(), now)?;
            planted.push((path, node));
        }
        let before = self.listeners.remember(self.root.as_ref(), &planted);
        for (path, node) in &planted {
            replace(&mut self.root, path, node.clone());
        }
        self.listeners.tell(self.root.as_ref(), &Change { way, places: &planted }, &before);
        self.revision += 1;
        let etag = expected.map(|_| self.etag(at));
        Ok(Written { revision: self.revision, name, places: planted, etag })
    }
}

/// The places of a patch, none of them within another.
fn patched(at: &[Key], parts: Map<String, Value>) -> Result<Vec<(Path, Value)>, Fault> {
    let mut places = Vec::with_capacity(parts.len());
    for (key, value) in parts {
        let below = parse_path(&key)?;
        if below.is_empty() || at.len() + below.len() > DEPTH_MAX {
            return Err(Fault::Bad("Invalid data; a path in the patch is empty or too deep"));
        }
        places.push(([at, &below].concat(), value));
    }
    places.sort_by(|one: &(Path, Value), two| one.0.cmp(&two.0));
    // A path sorts right before all those within it, so looking at neighbours finds every pair.
    if places.windows(2).any(|pair| pair[1].0.starts_with(&pair[0].0)) {
        return Err(Fault::Bad("Invalid data; a path in the patch is the ancestor of another"));
    }
    Ok(places)
}

/// A tree always has a form in JSON: its keys are texts, and its numbers came out of JSON.
pub fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Path {
        parse_path(text).unwrap()
    }

    fn patch(value: Value) -> Act {
        Act::Patch(value.as_object().unwrap().clone())
    }

    fn read(database: &Database, at: &str) -> Value {
        serde_json::from_slice(&database.read(&path(at))).unwrap()
    }

    #[test]
    fn a_patch_happens_whole_or_not_at_all() {
        let mut database = Database::default();
        database
            .write(&path(""), Act::Put(json!({"Transfer": {"a": {"x": 1}}, "claims": {"a": 1}})), None)
            .unwrap();
        let act = patch(json!({"Transfer/a/processed": true, "claims/a": null}));
        database.write(&path(""), act, None).unwrap();
        assert_eq!(read(&database, ""), json!({"Transfer": {"a": {"processed": true, "x": 1}}}));
        for bad in [
            json!({"a": 1, "b.c": 2}),
            json!({"a": 1, "a/b": 2}),
            json!({"": 1}),
            json!({"a": 1, "b": {".sv": "x"}}),
        ] {
            assert!(database.write(&path("Transfer"), patch(bad), None).is_err());
        }
        assert_eq!(read(&database, ""), json!({"Transfer": {"a": {"processed": true, "x": 1}}}));
    }

    #[test]
    fn a_version_is_looked_at_before_the_write() {
        let mut database = Database::default();
        let at = path("claims/a");
        let first = database.write(&at, Act::Put(json!({"owner": 1})), Some("null_etag")).unwrap();
        let Err(Unwritten::Changed { etag, value }) =
            database.write(&at, Act::Put(json!(2)), Some("null_etag"))
        else {
            panic!("written over");
        };
        assert_eq!((Some(&etag), value.as_slice()), (first.etag.as_ref(), br#"{"owner":1}"#.as_slice()));
        let gone = database.write(&at, Act::Put(Value::Null), Some(&etag)).unwrap();
        assert_eq!((gone.etag.as_deref(), gone.revision), (Some("null_etag"), 2));
    }

    #[test]
    fn a_query_without_its_rule_names_the_rule() {
        let mut database = Database::default();
        let query = super::super::query::Asked {
            order_by: Some("\"processed\"".to_owned()),
            equal_to: Some("false".to_owned()),
            ..Default::default()
        };
        let query = query.query().unwrap().unwrap();
        let at = path("Transfer");
        assert!(matches!(database.read_query(&at, &query), Err(Fault::NoIndex { .. })));
        assert!(database.listen(at.clone(), Some(query.clone())).is_err());
        database.index(at.clone(), "processed");
        assert_eq!(database.read_query(&at, &query).unwrap(), b"null");
        let records = json!({"a": {"processed": false}, "b": {"processed": true}, "c": {"x": 1}});
        database.write(&at, Act::Put(records), None).unwrap();
        assert_eq!(database.read_query(&at, &query).unwrap(), br#"{"a":{"processed":false}}"#);
        database.drop_indexes(&at);
        assert!(database.read_query(&at, &query).is_err());
    }

    #[test]
    fn pushed_keys_are_new_and_in_order() {
        let mut database = Database::default();
        let names: Vec<String> = (0..50)
            .map(|n| database.write(&path("list"), Act::Push(json!(n)), None).unwrap().name.unwrap())
            .collect();
        assert!(names.is_sorted() && names.iter().all(|name| name.len() == 20));
        assert_eq!(read(&database, &format!("list/{}", names[7])), json!(7));
    }
}
