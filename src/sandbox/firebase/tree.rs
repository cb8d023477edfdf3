//! The database's tree: what JSON becomes in it, and what comes back out.
//!
//! Nothing is kept that is empty: `null` takes away, and an object without content is not there. A list is an object whose
//! keys are numbers; an object comes back as a list when all its keys are such numbers and more than half of the places up
//! to the highest are taken.
//!
//! **Owns** its nodes.
//! **Fails** to take in a bad key, a text of more than 10 MB, a node below the 32nd, or a server value that it does not know.
//! **Limits**: no priorities.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::key::{DEPTH_MAX, Key};

const TEXT_MAX: usize = 10 * 1024 * 1024;
/// The version of what is not there.
pub const NULL_ETAG: &str = "null_etag";

/// One node that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A boolean, a number or a text.
    Leaf(Value),
    /// At least one child.
    Branch(BTreeMap<Key, Node>),
}

/// What server values are made of.
#[derive(Clone, Copy)]
pub struct Now {
    /// Milliseconds since 1970.
    pub unix_ms: i64,
}

impl Node {
    /// Takes in what is to be written at a place where `current` stands, `depth` keys below the root.
    pub fn plant(
        value: Value,
        current: Option<&Node>,
        depth: usize,
        now: Now,
    ) -> Result<Option<Node>, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Bad("Invalid data; deeper than 32 keys"));
        }
        let children: Vec<(Key, Value)> = match value {
            Value::Null => return Ok(None),
            Value::String(text) if text.len() > TEXT_MAX => {
                return Err(Fault::Bad("Invalid data; a text is larger than 10 MB"));
            }
            Value::Object(map) if map.contains_key(".sv") => {
                return server_value(&map, current, now).map(Some);
            }
            Value::Object(map) => {
                let keyed = map.into_iter().map(|(key, value)| Ok((Key::parse(&key)?, value)));
                keyed.collect::<Result<_, Fault>>()?
            }
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(index, item)| (Key::of_index(index), item)).collect()
            }
            leaf => return Ok(Some(Node::Leaf(leaf))),
        };
        let mut branch = BTreeMap::new();
        for (key, value) in children {
            let beneath = current.and_then(|current| current.child(&key));
            if let Some(node) = Node::plant(value, beneath, depth + 1, now)? {
                branch.insert(key, node);
            }
        }
        Ok(if branch.is_empty() { None } else { Some(Node::Branch(branch)) })
    }

    pub fn child(&self, key: &Key) -> Option<&Node> {
        self.children()?.get(key)
    }

    pub fn children(&self) -> Option<&BTreeMap<Key, Node>> {
        match self {
            Node::Leaf(_) => None,
            Node::Branch(children) => Some(children),
        }
    }

    /// The keys alone, or the value of a leaf.
    pub fn shallow(&self) -> Value {
        match self {
            Node::Leaf(value) => value.clone(),
            Node::Branch(children) => {
                Value::Object(children.keys().map(|key| (key.as_str().to_owned(), true.into())).collect())
            }
        }
    }

    fn list_length(&self) -> Option<usize> {
        let children = self.children()?;
        // Keys that are numbers come first, so the last key tells of all, except of those below nought.
        let (first, last) = (children.first_key_value()?.0, children.last_key_value()?.0);
        let length = last.index()? + 1;
        (first.index().is_some() && children.len() * 2 > length).then_some(length)
    }
}

/// What stands at a path.
pub fn find<'a>(root: Option<&'a Node>, path: &[Key]) -> Option<&'a Node> {
    path.iter().try_fold(root?, |node, key| node.child(key))
}

/// Puts a node in a place, or takes away what is there, with all that is empty then.
pub fn replace(root: &mut Option<Node>, path: &[Key], node: Option<Node>) {
    let Some((key, rest)) = path.split_first() else {
        *root = node;
        return;
    };
    if node.is_none() && !matches!(root, Some(Node::Branch(_))) {
        // Nothing is below a leaf, so there is nothing to take away, and the leaf stays.
        return;
    }
    let mut children = match root.take() {
        Some(Node::Branch(children)) => children,
        _ => BTreeMap::new(),
    };
    let mut child = children.remove(key);
    replace(&mut child, rest, node);
    if let Some(child) = child {
        children.insert(key.clone(), child);
    }
    *root = if children.is_empty() { None } else { Some(Node::Branch(children)) };
}

/// The version of a node: the same content has the same one.
pub fn etag(node: Option<&Node>) -> String {
    let Some(node) = node else { return NULL_ETAG.to_owned() };
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(node).unwrap_or_default());
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..18])
}

fn server_value(map: &Map<String, Value>, current: Option<&Node>, now: Now) -> Result<Node, Fault> {
    let unknown = Fault::Bad("Invalid data; unknown server value");
    match map.get(".sv") {
        Some(Value::String(name)) if name == "timestamp" && map.len() == 1 => {
            Ok(Node::Leaf(now.unix_ms.into()))
        }
        Some(Value::Object(act)) if map.len() == 1 && act.len() == 1 => {
            let Some(Value::Number(by)) = act.get("increment") else { return Err(unknown) };
            let from = match current {
                Some(Node::Leaf(Value::Number(from))) => Some(from),
                _ => None,
            };
            sum(from, by).map(|sum| Node::Leaf(Value::Number(sum))).ok_or(unknown)
        }
        _ => Err(unknown),
    }
}

fn sum(from: Option<&Number>, by: &Number) -> Option<Number> {
    let Some(from) = from else { return Some(by.clone()) };
    let whole = from.as_i64().zip(by.as_i64()).and_then(|(from, by)| from.checked_add(by));
    whole.map(Number::from).or_else(|| Number::from_f64(from.as_f64()? + by.as_f64()?))
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let children = match self {
            Node::Leaf(value) => return value.serialize(to),
            Node::Branch(children) => children,
        };
        if let Some(length) = self.list_length() {
            let mut list = to.serialize_seq(Some(length))?;
            for index in 0..length {
                list.serialize_element(&children.get(&Key::of_index(index)))?;
            }
            return list.end();
        }
        let mut map = to.serialize_map(Some(children.len()))?;
        for (key, child) in children {
            map.serialize_entry(key.as_str(), child)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::key::parse_path;
    use super::*;

    const NOW: Now = Now { unix_ms: 1_700_000_000_000 };

    fn planted(value: Value) -> Option<Node> {
        Node::plant(value, None, 0, NOW).unwrap()
    }

    fn back(value: Value) -> Value {
        serde_json::to_value(planted(value)).unwrap()
    }

    #[test]
    fn what_is_empty_is_not_there() {
        assert_eq!(back(json!({"a": null, "b": {}, "c": {"d": []}})), Value::Null);
        assert_eq!(back(json!({"a": {"b": null, "c": ""}})), json!({"a": {"c": ""}}));
        let mut root = planted(json!({"a": {"b": {"c": 1}}, "z": 0}));
        replace(&mut root, &parse_path("a/b/c").unwrap(), None);
        assert_eq!(serde_json::to_value(&root).unwrap(), json!({"z": 0}));
        replace(&mut root, &parse_path("z/below").unwrap(), None);
        assert_eq!(serde_json::to_value(&root).unwrap(), json!({"z": 0}), "a leaf has nothing below it");
        replace(&mut root, &parse_path("z/below").unwrap(), planted(json!(true)));
        assert_eq!(serde_json::to_value(&root).unwrap(), json!({"z": {"below": true}}));
    }

    #[test]
    fn what_is_mostly_a_list_comes_back_as_one() {
        let cases = [
            (json!(["a", "b"]), json!(["a", "b"])),
            (json!(["a", null, "c"]), json!(["a", null, "c"])),
            (json!({"0": "a", "2": "c"}), json!(["a", null, "c"])),
            (json!({"1": "a"}), json!({"1": "a"})),
            (json!({"0": 0, "1": 1, "5": 5}), json!({"0": 0, "1": 1, "5": 5})),
            (json!({"0": 0, "a": 1}), json!({"0": 0, "a": 1})),
            (json!({"-1": 0, "0": 1, "1": 1}), json!({"-1": 0, "0": 1, "1": 1})),
            (json!({"00": 0}), json!({"00": 0})),
        ];
        for (given, expected) in cases {
            assert_eq!(back(given.clone()), expected, "{given}");
        }
    }

    #[test]
    fn server_values_are_made_here() {
        assert_eq!(back(json!({"at": {".sv": "timestamp"}})), json!({"at": 1_700_000_000_000_i64}));
        let current = planted(json!({"n": 4, "f": 0.5, "t": "x"}));
        let add = json!({"n": {".sv": {"increment": 3}}, "f": {".sv": {"increment": 1}},
            "t": {".sv": {"increment": 2}}, "new": {".sv": {"increment": -1}}});
        let grown = Node::plant(add, current.as_ref(), 0, NOW).unwrap();
        assert_eq!(serde_json::to_value(grown).unwrap(), json!({"n": 7, "f": 1.5, "t": 2, "new": -1}));
        for bad in [
            json!({".sv": "midnight"}),
            json!({".sv": {"increment": "1"}}),
            json!({".sv": "timestamp", "a": 1}),
        ] {
            assert!(Node::plant(bad, None, 0, NOW).is_err());
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let deep = (0..33).fold(json!(1), |inner, _| json!({"d": inner}));
        assert!(Node::plant(deep, None, 0, NOW).is_err());
        let fits = (0..32).fold(json!(1), |inner, _| json!({"d": inner}));
        assert!(Node::plant(fits, None, 0, NOW).is_ok());
        assert!(Node::plant(json!("x".repeat(TEXT_MAX + 1)), None, 0, NOW).is_err());
        assert!(Node::plant(json!({"a.b": 1}), None, 0, NOW).is_err());
    }

    #[test]
    fn a_version_is_of_the_content_alone() {
        let (one, two) = (planted(json!({"a": 1, "b": [2]})), planted(json!({"b": {"0": 2}, "a": 1})));
        assert_eq!(etag(one.as_ref()), etag(two.as_ref()));
        assert_ne!(etag(one.as_ref()), etag(planted(json!({"a": 1})).as_ref()));
        assert_eq!(etag(None), "null_etag");
    }
}
