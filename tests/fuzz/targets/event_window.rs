//! Throws events at the window of what a feed offers: it must not panic, and must keep its limit.
//!
//! **Owns** nothing. **Fails** by panicking, which is what the fuzzer looks for. **Limits**: a window of 256 bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[path = "../../../src/connectors/transfer_feeds/firebase_rtdb/tree.rs"]
#[allow(dead_code)]
mod tree;
#[path = "../../../src/connectors/transfer_feeds/firebase_rtdb/window.rs"]
#[allow(dead_code)]
mod window;

use window::{View, Window, WindowError};

const BYTES_MAX: usize = 256;

/// Some JSON, as the bytes say.
fn value(bytes: &mut std::slice::Iter<'_, u8>, depth: usize) -> Value {
    let Some(byte) = bytes.next() else { return Value::Null };
    let children = usize::from(byte >> 5);
    match byte % 6 {
        0 => Value::Null,
        1 => Value::Bool(byte & 64 != 0),
        2 => Value::from(*byte),
        3 => Value::from("x".repeat(children * 8)),
        4 if depth > 0 => (0..children).map(|_| value(bytes, depth - 1)).collect(),
        _ if depth > 0 => {
            let pairs = (0..children).map(|_| (key(bytes), value(bytes, depth - 1)));
            Value::Object(pairs.collect())
        }
        _ => Value::Null,
    }
}

fn key(bytes: &mut std::slice::Iter<'_, u8>) -> String {
    const KEYS: [&str; 8] = ["a", "b", "0", "1", "processed", "a/processed", "", "a//b"];
    KEYS[bytes.next().map_or(0, |byte| usize::from(byte % 8))].to_owned()
}

fuzz_target!(|events: Vec<(bool, String, Vec<u8>)>| {
    for view in [View::Offered, View::Everything] {
        let mut window = Window::new(view, BYTES_MAX);
        for (is_put, text, bytes) in &events {
            let mut bytes = bytes.iter();
            let event = json!({"path": key(&mut bytes), "data": value(&mut bytes, 4)}).to_string();
            // A text without any form, or an event.
            let data = if bytes.next().is_some_and(|byte| *byte == 255) { text } else { &event };
            let applied = if *is_put { window.put(data) } else { window.patch(data) };
            if matches!(applied, Err(WindowError::TooLarge(_))) {
                // The stream is begun anew, with a new window.
                break;
            }
            let keys: Vec<String> = window.keys().map(str::to_owned).collect();
            let records = keys.iter().map(|key| window.record(key).expect("what a window names it holds"));
            let bytes: usize = records.map(|record| record.to_string().len()).sum();
            assert!(bytes <= BYTES_MAX);
        }
    }
});
