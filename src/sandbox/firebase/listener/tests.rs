//! What listeners are told of writes in every place, with a query and without.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::super::database::{Act, Database};
use super::super::key::parse_path;
use super::super::query::Asked;
use super::*;

fn path(text: &str) -> Path {
    parse_path(text).unwrap()
}

fn database(value: Value) -> Database {
    let mut database = Database::default();
    for field in ["processed", "n"] {
        database.index(path("T"), field);
    }
    database.write(&[], Act::Put(value), None).unwrap();
    database
}

fn write(database: &mut Database, at: &str, value: Value) {
    database.write(&path(at), Act::Put(value), None).unwrap();
}

fn patch(database: &mut Database, at: &str, value: Value) {
    database.write(&path(at), Act::Patch(value.as_object().unwrap().clone()), None).unwrap();
}

fn listen(database: &mut Database, at: &str, asked: Asked) -> Opened {
    database.listen(path(at), asked.query().unwrap()).unwrap()
}

fn pending() -> Asked {
    Asked { order_by: Some("\"processed\"".into()), equal_to: Some("false".into()), ..Asked::default() }
}

/// Everything that waits, without waiting for more.
fn told(opened: &mut Opened) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    while let Ok(told) = opened.queue.try_recv() {
        let Told::Event(name, data) = told else { panic!("no event") };
        all.push((name.to_owned(), serde_json::from_slice(&data).unwrap()));
    }
    all
}

fn put_of(path: &str, data: Value) -> (String, Value) {
    ("put".to_owned(), json!({"path": path, "data": data}))
}

fn patch_of(path: &str, data: Value) -> (String, Value) {
    ("patch".to_owned(), json!({"path": path, "data": data}))
}

#[test]
fn without_a_query_everything_is_told_as_it_was_written() {
    let mut database = database(json!({"T": {"a": {"x": 1}}, "other": 1}));
    let mut listener = listen(&mut database, "T", Asked::default());
    assert_eq!(told(&mut listener), [put_of("/", json!({"a": {"x": 1}}))]);
    write(&mut database, "T/b", json!({"x": 2}));
    write(&mut database, "T/b/x", json!(null));
    patch(&mut database, "T", json!({"a/x": 3, "c/d": true}));
    patch(&mut database, "T/a", json!({"y": 1}));
    patch(&mut database, "", json!({"T/a/z": 1, "other": 2}));
    write(&mut database, "other", json!(3));
    let expected = [
        put_of("/b", json!({"x": 2})),
        put_of("/b/x", Value::Null),
        patch_of("/", json!({"a/x": 3, "c/d": true})),
        patch_of("/a", json!({"y": 1})),
        patch_of("/", json!({"a/z": 1})),
    ];
    assert_eq!(told(&mut listener), expected);
}

#[test]
fn a_write_above_is_told_whole_and_only_when_it_changed_something() {
    let mut database = database(json!({"T": {"a": 1}, "other": 1}));
    let mut listener = listen(&mut database, "T", Asked::default());
    told(&mut listener);
    write(&mut database, "", json!({"T": {"a": 1}, "other": 2}));
    assert_eq!(told(&mut listener), []);
    write(&mut database, "", json!({"T": {"a": 2}}));
    write(&mut database, "", Value::Null);
    patch(&mut database, "", json!({"T": {"b": 1}}));
    let expected = [put_of("/", json!({"a": 2})), put_of("/", Value::Null), put_of("/", json!({"b": 1}))];
    assert_eq!(told(&mut listener), expected);
}

#[test]
fn through_a_query_children_enter_whole_and_leave_as_nothing() {
    let records = json!({"a": {"processed": false, "x": 1}, "b": {"processed": true, "x": 2}, "c": {"x": 3}});
    let mut database = database(json!({"T": records}));
    let mut listener = listen(&mut database, "T", pending());
    assert_eq!(told(&mut listener), [put_of("/", json!({"a": {"processed": false, "x": 1}}))]);
    patch(&mut database, "T/a", json!({"visto": true}));
    write(&mut database, "T/b/x", json!(9));
    write(&mut database, "T/b/processed", json!(false));
    patch(&mut database, "", json!({"T/a/processed": true, "T/a/resultado": "1|2", "claims/a": null}));
    write(&mut database, "T/a/visto", json!(false));
    patch(&mut database, "T", json!({"b/y": 1, "c/processed": false, "d": {"processed": false}}));
    write(&mut database, "T/d", Value::Null);
    let expected = [
        patch_of("/a", json!({"visto": true})),
        put_of("/b", json!({"processed": false, "x": 9})),
        put_of("/a", Value::Null),
        patch_of("/", json!({"b/y": 1})),
        put_of("/c", json!({"processed": false, "x": 3})),
        put_of("/d", json!({"processed": false})),
        put_of("/d", Value::Null),
    ];
    assert_eq!(told(&mut listener), expected);
    write(&mut database, "T", Value::Null);
    assert_eq!(told(&mut listener), [put_of("/", Value::Null)]);
}

#[test]
fn a_limited_window_moves_on() {
    let mut database = database(json!({"T": {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}}}));
    let first_two =
        Asked { order_by: Some("\"n\"".into()), limit_to_first: Some("2".into()), ..Asked::default() };
    let mut listener = listen(&mut database, "T", first_two);
    assert_eq!(told(&mut listener), [put_of("/", json!({"a": {"n": 1}, "b": {"n": 2}}))]);
    write(&mut database, "T/a", Value::Null);
    write(&mut database, "T/c/n", json!(0));
    write(&mut database, "T/z", json!({"n": -1}));
    let expected = [
        put_of("/a", Value::Null),
        put_of("/c", json!({"n": 3})),
        put_of("/c/n", json!(0)),
        put_of("/b", Value::Null),
        put_of("/z", json!({"n": -1})),
    ];
    assert_eq!(told(&mut listener), expected);
}

#[test]
fn a_listener_that_is_too_slow_is_let_go_and_the_others_are_not() {
    let mut database = database(json!({"T": {"a": 1}}));
    database.listeners().events_max = 8;
    let mut slow = listen(&mut database, "T", Asked::default());
    let mut quick = listen(&mut database, "T", Asked::default());
    for n in 0..9 {
        write(&mut database, "T/a", json!(n));
        told(&mut quick);
    }
    assert_eq!(database.listeners().count(), 1);
    assert_eq!(told(&mut slow).len(), 8);
    assert!(matches!(slow.queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    write(&mut database, "T/a", json!("on"));
    assert_eq!(told(&mut quick), [put_of("/a", json!("on"))]);
}

#[test]
fn bytes_that_wait_are_bounded_but_for_those_at_the_start() {
    let large = json!("x".repeat(900));
    let mut database = database(json!({"T": {"a": "y".repeat(10_000)}}));
    database.listeners().bytes_max = 4_000;
    let mut slow = listen(&mut database, "T", Asked::default());
    let written = (0..20).take_while(|_| {
        write(&mut database, "T/a", large.clone());
        database.listeners().count() == 1
    });
    assert_eq!(written.count(), 5);
    let mut waiting = 0;
    while slow.queue.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, 6);
}

/// What somebody believes who has only been told.
fn believe(mirror: &mut Value, told: Vec<(String, Value)>) {
    for (name, data) in told {
        let base = data["path"].as_str().unwrap().to_owned();
        if name == "put" {
            set(mirror, &base, data["data"].clone());
            continue;
        }
        for (key, value) in data["data"].as_object().unwrap() {
            set(mirror, &format!("{base}/{key}"), value.clone());
        }
    }
}

fn set(mirror: &mut Value, path: &str, value: Value) {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        *mirror = value;
        return;
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if !mirror.is_object() {
        if value.is_null() {
            return;
        }
        *mirror = json!({});
    }
    let object = mirror.as_object_mut().unwrap();
    set(object.entry(first.to_owned()).or_insert(Value::Null), rest, value);
    object.retain(|_, child| !child.is_null());
    if object.is_empty() {
        *mirror = Value::Null;
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(false)),
        Just(json!(true)),
        (0..4).prop_map(|n| json!(n)),
        any::<bool>().prop_map(|processed| json!({"processed": processed, "n": 1})),
        (0..4).prop_map(|n| json!({"n": n, "x": {"y": n}})),
        Just(json!({"a": {"processed": false}, "b": {"n": 2}})),
    ]
}

fn acts() -> impl Strategy<Value = (&'static str, Value, bool)> {
    let place = prop::sample::select(vec![
        "",
        "T",
        "T/a",
        "T/b",
        "T/c",
        "T/a/processed",
        "T/b/processed",
        "T/c/n",
        "T/a/x/y",
        "T/b/x",
        "U",
    ]);
    let patch = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "T", "c/n", "b/processed", "processed"]),
        values(),
        1..4,
    );
    prop_oneof![
        (place.clone(), values()).prop_map(|(at, value)| (at, value, false)),
        (place, patch).prop_map(|(at, parts)| (at, json!(parts), true)),
    ]
}

proptest! {
    #[test]
    fn who_believes_all_that_is_told_sees_what_is_there(acts in prop::collection::vec(acts(), 1..30)) {
        let mut database = database(json!({"T": {"a": {"processed": false}}}));
        let n = || Some("\"n\"".to_owned());
        let all = [
            Asked::default(),
            pending(),
            Asked { order_by: n(), start_at: Some("1".into()), ..Asked::default() },
            Asked { order_by: n(), limit_to_first: Some("2".into()), ..Asked::default() },
            Asked { order_by: Some("\"$key\"".into()), limit_to_last: Some("1".into()), ..Asked::default() },
        ];
        let mut listening: Vec<_> = all
            .map(|asked| (asked.clone().query().unwrap(), listen(&mut database, "T", asked), Value::Null))
            .into_iter()
            .collect();
        for (at, value, patches) in acts {
            // What is refused must change nothing and tell nobody.
            let act = if patches { Act::Patch(value.as_object().unwrap().clone()) } else { Act::Put(value) };
            let _ = database.write(&path(at), act, None);
            for (query, opened, mirror) in &mut listening {
                believe(mirror, told(opened));
                let there = match query {
                    Some(query) => database.read_query(&path("T"), query).unwrap(),
                    None => database.read(&path("T")),
                };
                let there: Value = serde_json::from_slice(&there).unwrap();
                let there = if there == json!({}) { Value::Null } else { there };
                prop_assert_eq!(&*mirror, &there, "{:?}", query);
            }
        }
    }
}
