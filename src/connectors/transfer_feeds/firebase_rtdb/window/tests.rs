//! Events and what they do, and the window against a tree that is nothing but its leaves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn window(view: View) -> Window {
    Window::new(view, 1024 * 1024)
}

fn put(window: &mut Window, path: &str, data: Value) -> Applied {
    window.put(&json!({"path": path, "data": data}).to_string()).unwrap()
}

fn patch(window: &mut Window, path: &str, data: Value) -> Applied {
    window.patch(&json!({"path": path, "data": data}).to_string()).unwrap()
}

fn changes(of: &[Change]) -> Applied {
    Applied::Changes(of.to_vec())
}

#[test]
fn a_snapshot_tells_what_is_there_and_what_is_there_no_more() {
    let mut window = window(View::Offered);
    let first =
        put(&mut window, "/", json!({"a": {"processed": false}, "b": {"processed": false}, "c": null}));
    assert_eq!(first, Applied::Snapshot { left: vec![] });
    assert_eq!(window.keys().collect::<Vec<_>>(), ["a", "b"]);
    let second = put(&mut window, "/", json!({"b": {"processed": false, "visto": true}}));
    assert_eq!(second, Applied::Snapshot { left: vec!["a".into()] });
    assert_eq!(window.record("b"), Some(json!({"processed": false, "visto": true})));
    assert_eq!(put(&mut window, "", json!(null)), Applied::Snapshot { left: vec!["b".into()] });
    assert_eq!(window.len(), 0);
    put(&mut window, "/", json!([null, {"x": 1}]));
    assert_eq!(window.keys().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn records_enter_change_and_leave() {
    let mut window = window(View::Offered);
    put(&mut window, "/", json!(null));
    let entered = |key: &str| changes(&[Change::Entered(key.into())]);
    let changed = |key: &str| changes(&[Change::Changed(key.into())]);
    assert_eq!(put(&mut window, "/a", json!({"processed": false})), entered("a"));
    assert_eq!(put(&mut window, "//a/", json!({"processed": false})), changes(&[]));
    assert_eq!(put(&mut window, "/a/visto", json!(true)), changed("a"));
    assert_eq!(put(&mut window, "/b/visto", json!(true)), changed("b"), "a part is no record");
    let many =
        patch(&mut window, "/", json!({"a/processed": true, "b": null, "c": {"x": 1}, "c/y": 2, "d": null}));
    assert_eq!(
        many,
        changes(&[Change::Left("a".into()), Change::Left("b".into()), Change::Entered("c".into())])
    );
    assert_eq!(window.record("c"), Some(json!({"x": 1, "y": 2})));
    assert_eq!(patch(&mut window, "/c", json!({"x": null, "y": null})), changes(&[Change::Left("c".into())]));
    assert_eq!(put(&mut window, "/a", json!(null)), changes(&[]), "it has left already");
    assert_eq!(put(&mut window, "/a/processed", json!(null)), changes(&[]));
    assert_eq!(
        put(&mut window, "/n", json!(3)),
        entered("n"),
        "what is no object is somebody else's to judge"
    );
}

#[test]
fn where_everything_is_shown_only_what_is_not_processed_counts() {
    let mut window = window(View::Everything);
    put(
        &mut window,
        "/",
        json!({"a": {"processed": true}, "b": {"processed": false}, "c": {"x": 1}, "d": 5}),
    );
    assert_eq!(window.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(put(&mut window, "/b/processed", json!(true)), changes(&[Change::Left("b".into())]));
    assert_eq!(put(&mut window, "/a/visto", json!(true)), changes(&[]));
    assert_eq!(put(&mut window, "/a/processed", json!(false)), changes(&[Change::Changed("a".into())]));
}

#[test]
fn what_cannot_be_applied_is_refused() {
    let mut small = Window::new(View::Offered, 40);
    let long = json!({"path": "/", "data": {"a": "x".repeat(40)}}).to_string();
    assert_eq!(small.put(&long), Err(WindowError::TooLarge(40)));
    for bad in
        ["", "null", "{}", r#"{"path":1,"data":2}"#, r#"{"path":"/"}"#, "{\"path\":\"/\",\"data\":{", "[]"]
    {
        assert_eq!(window(View::Offered).put(bad), Err(WindowError::Unreadable), "{bad}");
    }
    for bad in [r#"{"path":"/","data":3}"#, r#"{"path":"/","data":{"":1}}"#, r#"{"path":"/a","data":[1]}"#] {
        assert_eq!(window(View::Offered).patch(bad), Err(WindowError::Unreadable), "{bad}");
    }
    let deep = json!({"path": "/a".repeat(DEPTH_MAX + 1), "data": 1}).to_string();
    assert_eq!(window(View::Offered).put(&deep), Err(WindowError::Unreadable));
}

#[test]
fn room_that_is_given_back_can_be_taken_again() {
    let mut small = Window::new(View::Offered, 64);
    for round in 0..50 {
        assert_eq!(
            put(&mut small, "/a", json!("x".repeat(40 + round % 2))),
            changes(&[Change::Entered("a".into())])
        );
        assert_eq!(put(&mut small, "/a", json!(null)), changes(&[Change::Left("a".into())]));
    }
    assert_eq!(small.bytes, 0);
}

/// Every scalar by its path: what the database is, without any rule of ours about objects and lists.
#[derive(Debug, Default, Clone)]
struct Leaves(BTreeMap<Vec<String>, Value>);

impl Leaves {
    fn put(&mut self, path: &[String], data: &Value) {
        self.0.retain(|at, _| !at.starts_with(path));
        let mut added = Vec::new();
        collect(path, data, &mut added);
        if !added.is_empty() {
            // What is written below a scalar takes its place.
            self.0.retain(|at, _| !path.starts_with(at));
        }
        self.0.extend(added);
    }

    fn keys(&self) -> BTreeSet<String> {
        self.0.keys().map(|path| path[0].clone()).collect()
    }

    fn below(&self, key: &str) -> BTreeMap<Vec<String>, Value> {
        let own = self.0.iter().filter(|(path, _)| path[0] == key);
        own.map(|(path, value)| (path[1..].to_vec(), value.clone())).collect()
    }
}

fn collect(path: &[String], value: &Value, into: &mut Vec<(Vec<String>, Value)>) {
    let below = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
    match value {
        Value::Null => {}
        Value::Object(children) => children.iter().for_each(|(key, child)| collect(&below(key), child, into)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| collect(&below(&index.to_string()), item, into));
        }
        scalar => into.push((path.to_vec(), scalar.clone())),
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("0"), Just("1"), Just("ação")].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(json!(null)), Just(json!(false)), (0..3).prop_map(|n| json!(n)), Just(json!("t"))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::btree_map(key(), inner.clone(), 0..3).prop_map(|map| json!(map)),
            prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

#[derive(Debug, Clone)]
enum Event {
    Put(Vec<String>, Value),
    Patch(Vec<String>, Vec<(Vec<String>, Value)>),
}

fn event() -> impl Strategy<Value = Event> {
    let path = |least: usize| prop::collection::vec(key(), least..4);
    let places = prop::collection::vec((path(1), value()), 1..4);
    prop_oneof![
        (path(1), value()).prop_map(|(path, value)| Event::Put(path, value)),
        (path(0), places).prop_map(|(path, places)| Event::Patch(path, places)),
    ]
}

proptest! {
    #[test]
    fn the_window_is_what_the_events_say(first in prop::collection::btree_map(key(), value(), 0..4), events in prop::collection::vec(event(), 0..12)) {
        let (mut window, mut leaves) = (window(View::Offered), Leaves::default());
        put(&mut window, "/", json!(first));
        leaves.put(&[], &json!(first));
        for event in events {
            let before = leaves.clone();
            let applied = match event {
                Event::Put(path, data) => {
                    leaves.put(&path, &data);
                    put(&mut window, &format!("/{}", path.join("/")), data)
                }
                Event::Patch(path, places) => {
                    // The order of the places is that of their names, as an object has no other.
                    let places: BTreeMap<String, (Vec<String>, Value)> =
                        places.into_iter().map(|(below, data)| (below.join("/"), (below, data))).collect();
                    for (below, data) in places.values() {
                        leaves.put(&[path.clone(), below.clone()].concat(), data);
                    }
                    let data: Value = places.iter().map(|(name, (_, data))| (name.clone(), data.clone())).collect::<serde_json::Map<_, _>>().into();
                    patch(&mut window, &format!("/{}", path.join("/")), data)
                }
            };
            prop_assert_eq!(window.keys().map(str::to_owned).collect::<BTreeSet<_>>(), leaves.keys());
            for key in window.keys() {
                let mut found = Vec::new();
                collect(&[], &window.record(key).unwrap(), &mut found);
                prop_assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), leaves.below(key), "{}", key);
            }
            let Applied::Changes(changes) = applied else { panic!("no event above was a snapshot") };
            let left: BTreeSet<String> = before.keys().difference(&leaves.keys()).cloned().collect();
            let told = changes.iter().filter_map(|change| match change { Change::Left(key) => Some(key.to_string()), _ => None });
            prop_assert_eq!(told.collect::<BTreeSet<_>>(), left);
            let differ: BTreeSet<String> = leaves.keys().into_iter().filter(|key| leaves.below(key) != before.below(key)).collect();
            let told: BTreeSet<String> = changes.iter().filter_map(|change| match change { Change::Entered(key) | Change::Changed(key) => Some(key.to_string()), Change::Left(_) => None }).collect();
            prop_assert!(told.is_superset(&differ), "{:?} of {:?}", told, differ);
            prop_assert!(told.is_subset(&leaves.keys()));
        }
    }

    #[test]
    fn no_text_makes_it_panic(data in any::<String>(), path in "[/a0.]{0,9}", body in value()) {
        let mut window = window(View::Everything);
        let _ = (window.put(&data), window.patch(&data));
        let event = json!({"path": path, "data": body}).to_string();
        let _ = (window.put(&event), window.patch(&event));
    }
}
