//! What a write means to those who judge: records written, claims taken, refused and let go.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: of a record only the names of its fields are put down, and the values of those that a result is made of; of
//! a claim its value, up to 1 KiB. A write of more than 64 records or claims at one place is one effect under their shelf.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::database::{Written, json};
use super::key::{Key, Path, written};
use super::tree::Node;
use crate::sandbox::ledger::{Effect, EffectKind};

/// Where records lie, and where claims do.
const RECORDS: &str = "Transfer";
const CLAIMS: &str = "claims";
/// The fields whose values are kept: the rest could be anybody's data.
const RESULT_FIELDS: [&str; 4] = ["processed", "resultado", "date_final", "codec"];
const CLAIM_MAX: usize = 1_024;
const SHELF_MAX: usize = 64;

/// The effects of a write; what is neither a record nor a claim has none.
pub fn of_write(act: &str, written: &Written) -> Vec<Effect> {
    let mut records: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut effects = Vec::new();
    let mut places = Vec::new();
    for (path, node) in &written.places {
        spread(path.clone(), node.as_ref(), &mut places);
    }
    for (path, node) in places {
        match path.split_first() {
            Some((top, [])) if [RECORDS, CLAIMS].contains(&top.as_str()) => {
                let children = node.and_then(Node::children).map_or(0, BTreeMap::len);
                let detail = json!({"act": act, "revision": written.revision, "children": children});
                effects.push(Effect::now(EffectKind::FeedWritten, top.as_str().to_owned(), detail));
            }
            Some((top, [key, field @ ..])) if top.as_str() == RECORDS => {
                let fields = records.entry(key.as_str().to_owned()).or_default();
                fields.extend(fields_of(field, node));
            }
            Some((top, [key, rest @ ..])) if top.as_str() == CLAIMS => {
                effects.push(of_claim(key, rest, node, written.revision));
            }
            _ => {}
        }
    }
    effects.extend(records.into_iter().map(|(key, fields)| {
        let detail = json!({"act": act, "revision": written.revision, "fields": fields});
        Effect::now(EffectKind::FeedWritten, key, detail)
    }));
    effects
}

/// A write above records and claims is one of each of them, as long as they are few.
fn spread<'a>(path: Path, node: Option<&'a Node>, places: &mut Vec<(Path, Option<&'a Node>)>) {
    match node.and_then(Node::children) {
        Some(children) if path.is_empty() || (path.len() == 1 && children.len() <= SHELF_MAX) => {
            for (key, child) in children {
                spread([path.as_slice(), std::slice::from_ref(key)].concat(), Some(child), places);
            }
        }
        _ => places.push((path, node)),
    }
}

/// A write that found another version; only a claim's is of interest.
pub fn of_refusal(path: &Path) -> Option<Effect> {
    match path.as_slice() {
        [top, key, ..] if top.as_str() == CLAIMS => {
            Some(Effect::now(EffectKind::FeedClaimRefused, key.as_str().to_owned(), json!({})))
        }
        _ => None,
    }
}

fn of_claim(key: &Key, rest: &[Key], node: Option<&Node>, revision: u64) -> Effect {
    let key = key.as_str().to_owned();
    let Some(node) = node else {
        return Effect::now(EffectKind::FeedClaimReleased, key, json!({"revision": revision}));
    };
    let text = json(node);
    let claim = if text.len() > CLAIM_MAX { None } else { serde_json::from_slice::<Value>(&text).ok() };
    let detail = json!({"revision": revision, "below": written(rest), "claim": claim});
    Effect::now(EffectKind::FeedClaimed, key, detail)
}

/// The fields of a record that were written, by name; a record that was taken away has one without a name.
fn fields_of(field: &[Key], node: Option<&Node>) -> Map<String, Value> {
    let value = |name: &str, node: Option<&Node>| match node {
        None => Value::Null,
        Some(node) if RESULT_FIELDS.contains(&name) => serde_json::to_value(node).unwrap_or_default(),
        Some(_) => Value::Bool(true),
    };
    match (field, node) {
        ([], Some(Node::Branch(children))) => children
            .iter()
            .map(|(key, node)| (key.as_str().to_owned(), value(key.as_str(), Some(node))))
            .collect(),
        ([], other) => Map::from_iter([(String::new(), value("", other))]),
        (path, node) => {
            let name = written(path).trim_start_matches('/').to_owned();
            let value = value(&name, node);
            Map::from_iter([(name, value)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::database::{Act, Database};
    use super::super::key::parse_path;
    use super::*;

    #[test]
    fn a_result_and_the_claim_s_release_are_two_effects_of_one_write() {
        let mut database = Database::default();
        let act = json!({"Transfer/a/processed": true, "Transfer/a/resultado": "1|2", "Transfer/a/note": "Maria",
            "claims/a": null, "elsewhere": 1});
        let act = Act::Patch(act.as_object().unwrap().clone());
        let effects = of_write("patch", &database.write(&[], act, None).unwrap());
        assert_eq!(effects.len(), 2);
        assert_eq!((effects[0].kind, effects[0].key.as_str()), (EffectKind::FeedClaimReleased, "a"));
        assert_eq!((effects[1].kind, effects[1].key.as_str()), (EffectKind::FeedWritten, "a"));
        let fields = json!({"processed": true, "resultado": "1|2", "note": true});
        assert_eq!(effects[1].detail, json!({"act": "patch", "revision": 1, "fields": fields}));
    }

    #[test]
    fn a_write_of_many_at_once_is_told_apart_while_they_are_few() {
        let mut database = Database::default();
        let few = Act::Put(json!({"Transfer": {"a": {"x": 1}, "b": {"x": 1}}, "other": {"c": 1}}));
        let effects = of_write("put", &database.write(&[], few, None).unwrap());
        assert_eq!(effects.iter().map(|effect| effect.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let many: Map<String, Value> = (0..65).map(|n| (format!("k{n}"), json!(n))).collect();
        let at = parse_path("Transfer").unwrap();
        let effects = of_write("put", &database.write(&at, Act::Put(Value::Object(many)), None).unwrap());
        assert_eq!(
            (effects.len(), effects[0].key.as_str(), &effects[0].detail["children"]),
            (1, "Transfer", &json!(65))
        );
        let effects = of_write("delete", &database.write(&[], Act::Put(Value::Null), None).unwrap());
        assert_eq!(effects, []);
    }

    #[test]
    fn a_claim_is_put_down_as_it_is_unless_it_is_long() {
        let mut database = Database::default();
        let at = parse_path("claims/a").unwrap();
        let claim = json!({"owner": "one", "attempt": 1});
        let effects = of_write("put", &database.write(&at, Act::Put(claim.clone()), None).unwrap());
        assert_eq!((effects[0].kind, &effects[0].detail["claim"]), (EffectKind::FeedClaimed, &claim));
        let long = Act::Put(json!("x".repeat(2_000)));
        assert_eq!(
            of_write("put", &database.write(&at, long, None).unwrap())[0].detail["claim"],
            Value::Null
        );
        assert_eq!(of_refusal(&at).map(|effect| effect.kind), Some(EffectKind::FeedClaimRefused));
        assert!(of_refusal(&parse_path("Transfer/a").unwrap()).is_none());
    }
}
