//! HTTP/2 by hand: frames that no library would send, in numbers that no client needs.
//!
//! **Owns** one connection. **Fails** a test when that cannot be opened; that it is closed on us is what is asked for.
//! **Limits**: nothing is waited for longer than [`PATIENCE`].

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::PATIENCE;

/// What every connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that anybody takes unasked.
pub const FRAME_BYTES_MAX: usize = 16_384;

// Types of frames and their flags (RFC 9113 §6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const CANCEL: u32 = 8;

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The other side said why (RFC 9113 §7) before it closed.
    GoAway(u32),
    /// It closed without a word.
    Closed,
}

/// A connection.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// A connection from an address of this machine's own loopback, on which nothing is said yet.
    pub async fn silent(own: [u8; 4], house: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((own, 0))).expect("an address of this machine's loopback");
        Self { stream: socket.connect(house).await.expect("a connection") }
    }

    /// A connection that has begun as it should.
    pub async fn open(own: [u8; 4], house: SocketAddr) -> Self {
        let mut raw = Self::silent(own, house).await;
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        assert!(raw.say(&bytes).await, "a connection that has just begun");
        raw
    }

    /// Sends bytes; false once the other side takes no more.
    pub async fn say(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Reads on until the other side closes, and says how it did.
    pub async fn end(&mut self) -> End {
        let mut bytes = Vec::new();
        // A reset of the connection comes after what was said on it.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("it is closed in time");
        let mut end = End::Closed;
        let mut rest = bytes.as_slice();
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = after.split_at_checked(length) else { break };
            if head[3] == GO_AWAY && length >= 8 {
                end = End::GoAway(u32::from_be_bytes(payload[4..8].try_into().expect("four bytes")));
            }
            rest = next;
        }
        end
    }
}

/// A call that is taken back before it has said anything.
pub fn call_and_reset(stream: u32, path: &str) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &head(path));
    bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    bytes
}

/// The beginning of a call whose head goes on.
pub fn call_to_be_continued(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, 0, stream, &head(path))
}

/// More of a head, as large as a frame may be, and not the end of it.
pub fn more_of_the_head(stream: u32) -> Vec<u8> {
    let mut block = Vec::with_capacity(FRAME_BYTES_MAX);
    while block.len() < FRAME_BYTES_MAX - 64 {
        block.extend(field("x-more", "0123456789"));
    }
    frame(CONTINUATION, 0, stream, &block)
}

fn head(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "house"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// A field written out, never to be remembered (RFC 7541 §6.2.3); both texts are shorter than 127 bytes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0x10, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame of a few bytes").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
