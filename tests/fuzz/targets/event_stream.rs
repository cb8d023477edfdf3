//! Throws bytes at the reader of event streams, whole and in pieces: it must not panic, must keep its limits, and must read the
//! same events however the bytes are cut.
//!
//! **Owns** nothing. **Fails** by panicking, which is what the fuzzer looks for. **Limits**: lines of 64 and events of 128 bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/connectors/transfer_feeds/sse.rs"]
#[allow(dead_code)]
mod sse;

use sse::{SseError, SseEvent, SseLimits, SseReader};

const LIMITS: SseLimits = SseLimits { line_bytes_max: 64, event_bytes_max: 128 };

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<SseEvent>, Option<SseError>) {
    let mut reader = SseReader::new(LIMITS);
    let mut events = Vec::new();
    for piece in pieces {
        let pushed = reader.push(piece);
        while let Some(event) = reader.next_event() {
            assert!(event.data.len() <= LIMITS.event_bytes_max);
            // A byte that is no UTF-8 becomes a sign of three.
            assert!(event.event.len() <= 3 * LIMITS.line_bytes_max);
            events.push(event);
        }
        if let Err(error) = pushed {
            return (events, Some(error));
        }
    }
    (events, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = read(std::iter::once(bytes));
    assert_eq!(read(bytes.chunks(usize::from(piece).max(1))), whole);
    assert_eq!(read(bytes.chunks(1)), whole);
});
