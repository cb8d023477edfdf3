//! What listeners are told of writes in every place, with a query and without.

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
    let mut slow = listen(&mut database, "T", Asked::default());
    let mut quick = listen(&mut database, "T", Asked::default());
    for n in 0..EVENTS_MAX + 1 {
        write(&mut database, "T/a", json!(n));
        told(&mut quick);
    }
    assert_eq!(database.listeners().count(), 1);
    assert_eq!(told(&mut slow).len(), EVENTS_MAX);
    assert!(matches!(slow.queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    write(&mut database, "T/a", json!("on"));
    assert_eq!(told(&mut quick), [put_of("/a", json!("on"))]);
}
