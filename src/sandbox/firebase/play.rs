//! How the streams misbehave: what is told to live ones, and in which form the next ones speak.
//!
//! **Owns** the plays of streams to come.
//! **Fails** never.
//! **Limits**: a play is used up by one stream, the standing one by none.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// As the real service has it.
    #[default]
    Lf,
    /// Both.
    CrLf,
    /// The one alone.
    Cr,
}

impl LineEnd {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            LineEnd::Lf => "\n",
            LineEnd::CrLf => "\r\n",
            LineEnd::Cr => "\r",
        }
    }
}

/// An event that is larger than anybody should take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oversized {
    /// Bytes of its data. It is made while it is read, so any number will do.
    pub bytes: u64,
    /// In lines of 1 KiB; otherwise in a single one.
    #[serde(default)]
    pub in_lines: bool,
}

/// How one stream speaks. The default is how the real service does; the parts can be put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamPlay {
    /// Sends whoever asks at another host here by a 307: scheme, host and port, without a path.
    pub redirect_to: Option<String>,
    /// Instead of `text/event-stream; charset=utf-8`.
    pub content_type: Option<String>,
    /// Begins with a byte order mark.
    pub bom: bool,
    /// What ends a line.
    pub line_end: LineEnd,
    /// Speaks in pieces of so many bytes.
    pub piece_bytes: Option<NonZeroUsize>,
    /// Says nothing any more after so many events, and keeps the connection open.
    pub silent_after: Option<u64>,
    /// Cuts the connection in the middle of this event; the first is 0.
    pub cut_in: Option<u64>,
    /// After what is there at the start, an event beyond all bounds.
    pub oversized: Option<Oversized>,
    /// After what is there at the start, these bytes.
    pub noise: Option<String>,
}

/// What every live stream is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamNews {
    /// That it lives.
    KeepAlive,
    /// That the rules forbid it now; the stream ends.
    Cancel {
        /// Instead of `null`.
        #[serde(default)]
        reason: Option<String>,
    },
    /// That its credential has ended; the stream ends.
    AuthRevoked {
        /// Says so in quotes.
        #[serde(default)]
        quoted: bool,
    },
    /// These bytes.
    Raw(String),
    /// Nothing: the stream ends as if all had been said.
    End,
    /// Nothing: the connection is cut.
    Cut,
}

/// The plays of the streams to come.
#[derive(Default)]
pub(super) struct Plays(Mutex<(VecDeque<StreamPlay>, StreamPlay)>);

impl Plays {
    /// The next stream that has no play yet.
    pub fn once(&self, play: StreamPlay) {
        self.with(|plays| plays.0.push_back(play));
    }

    /// All streams after those.
    pub fn always(&self, play: StreamPlay) {
        self.with(|plays| plays.1 = play);
    }

    pub fn next(&self) -> StreamPlay {
        self.with(|plays| plays.0.pop_front().unwrap_or_else(|| plays.1.clone()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut (VecDeque<StreamPlay>, StreamPlay)) -> T) -> T {
        // Each holder makes one small change, which a panic cannot leave half done.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
