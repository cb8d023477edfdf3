//! Permits of open response streams. tonic bounds none: a permit is held inside the stream itself, so that it is given
//! back when the stream ends, however it ends.
//!
//! **Limits**: `api.streams_max` in all, `api.streams_per_caller_max` a connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::status::ApiError;

/// The permits of one server; clones are the same.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    max: usize,
    per_caller_max: usize,
    open: Mutex<HashMap<Option<SocketAddr>, usize>>,
}

/// One open stream.
pub struct StreamPermit {
    streams: Streams,
    caller: Option<SocketAddr>,
}

impl Streams {
    pub fn new(max: u32, per_caller_max: u32) -> Self {
        let inner =
            Inner { max: max as usize, per_caller_max: per_caller_max as usize, open: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Opens one more stream of `caller`.
    pub fn open(&self, caller: Option<SocketAddr>) -> Result<StreamPermit, ApiError> {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_caller = open.get(&caller).copied().unwrap_or(0);
        if of_caller >= self.inner.per_caller_max || open.values().sum::<usize>() >= self.inner.max {
            return Err(ApiError::TooManyStreams);
        }
        open.insert(caller, of_caller + 1);
        Ok(StreamPermit { streams: self.clone(), caller })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_caller) = open.get_mut(&self.caller) {
            *of_caller -= 1;
            if *of_caller == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_caller_leaves_room_for_others_and_an_ended_stream_gives_its_place_back() {
        let streams = Streams::new(3, 2);
        let greedy = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
        let first = streams.open(greedy).expect("a place");
        let _second = streams.open(greedy).expect("a place");
        assert!(streams.open(greedy).is_err());
        let _other = streams.open(None).expect("a place");
        assert!(streams.open(None).is_err(), "three in all");
        drop(first);
        assert!(streams.open(greedy).is_ok());
    }
}
