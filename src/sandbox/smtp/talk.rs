//! A conversation in lines, each of which ends with carriage return and line feed, and none in any other way.
//!
//! **Owns** the stream and what was read ahead of its turn. **Fails** where the other side breaks the rule or hangs up.
//! **Limits**: [`LINE_BYTES_MAX`] a line; a line that is longer is read to its end, and told.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// RFC 5322 §2.1.1: 998 and the two that end it; a command's shorter limit is not looked at.
pub(super) const LINE_BYTES_MAX: usize = 1_000;
const CHUNK_BYTES: usize = 16 * 1024;
/// A line without an end.
const ENDLESS_BYTES: usize = 1024 * 1024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Without its end.
    Line(Vec<u8>),
    TooLong,
    /// A line feed or a carriage return alone: what follows cannot be trusted.
    Bare,
    /// The other side has gone.
    Gone,
}

pub(super) struct Talk<S> {
    stream: S,
    ahead: Vec<u8>,
    /// Where in `ahead` the next line begins.
    at: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new(), at: 0 }
    }

    /// Whether something was said before its turn.
    pub(super) fn has_more(&self) -> bool {
        self.at < self.ahead.len()
    }

    /// The stream alone.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    pub(super) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Heard {
        let mut looked = 0;
        loop {
            let rest = &self.ahead[self.at..];
            if let Some(found) = rest[looked..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                let end = looked + found;
                match (rest[end], rest.get(end + 1)) {
                    (b'\n', _) => return Heard::Bare,
                    (_, Some(b'\n')) => {
                        let line = rest[..end].to_vec();
                        self.at += end + 2;
                        return if line.len() + 2 > LINE_BYTES_MAX {
                            Heard::TooLong
                        } else {
                            Heard::Line(line)
                        };
                    }
                    (_, Some(_)) => return Heard::Bare,
                    (_, None) => looked = end,
                }
            } else {
                looked = rest.len();
            }
            if rest.len() > ENDLESS_BYTES || !self.read().await {
                return Heard::Gone;
            }
        }
    }

    async fn read(&mut self) -> bool {
        self.ahead.drain(..self.at);
        self.at = 0;
        let length = self.ahead.len();
        self.ahead.resize(length + CHUNK_BYTES, 0);
        let read = self.stream.read(&mut self.ahead[length..]).await.unwrap_or(0);
        self.ahead.truncate(length + read);
        read > 0
    }
}
