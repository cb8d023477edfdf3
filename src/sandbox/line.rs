//! Sockets that can be made to fail: a listener whose connections a request can cut or fill with noise.
//!
//! **Owns** the accepted connections; each request reaches its own through [`Line`].
//! **Fails** only as scripted: a cut line ends with a TCP reset, a garbled one with bytes that are no HTTP.
//! **Limits**: one fate for each connection; a cut one serves nothing more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const SERVE: u8 = 0;
const CUT: u8 = 1;
const GARBLE: u8 = 2;
const CLOSED: u8 = 3;

/// Neither a status line nor anything that a lenient parser could take for one.
const NOISE: &[u8] = b"\x16\x03\x01\x00\xffnoise on the line\x00\x00\r\n\r\n";

/// A request's grip on the connection it came over.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<AtomicU8>);

impl Line {
    /// A connection on which nothing is wrong.
    pub fn served() -> Self {
        Line(Arc::new(AtomicU8::new(SERVE)))
    }

    /// The next byte of an answer resets the connection instead.
    pub fn cut(&self) {
        self.0.store(CUT, Ordering::Release);
    }

    /// The next byte of an answer turns into noise, and the connection closes after it.
    pub fn garble(&self) {
        self.0.store(GARBLE, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Door>> for Line {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// The listener.
pub(super) struct Door(pub TcpListener);

impl Listener for Door {
    type Io = Wire;
    type Addr = Line;

    async fn accept(&mut self) -> (Wire, Line) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        // A peer that is already gone cannot be served either way; the first read will say so.
        let _ = stream.set_nodelay(true);
        let line = Line::served();
        (Wire { stream, line: line.clone() }, line)
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line::served())
    }
}

/// A connection that obeys its line's fate when it writes.
pub(super) struct Wire {
    stream: TcpStream,
    line: Line,
}

impl Wire {
    /// Carries out a fate other than being served; it always ends in an error, by which the server drops us.
    fn poll_fate(&mut self, fate: u8, cx: &mut Context<'_>) -> Poll<io::Error> {
        match fate {
            CUT => {
                // Without a linger the kernel resets the connection when we are dropped.
                let _ = self.stream.set_zero_linger();
            }
            GARBLE => {
                // Whether the noise arrives whole is of no interest.
                let _ = ready!(Pin::new(&mut self.stream).poll_write(cx, NOISE));
                self.line.0.store(CLOSED, Ordering::Release);
            }
            _ => {}
        }
        Poll::Ready(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.line.0.load(Ordering::Acquire) {
            SERVE => Pin::new(&mut self.stream).poll_write(cx, bytes),
            fate => self.poll_fate(fate, cx).map(Err),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.line.0.load(Ordering::Acquire) {
            SERVE => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
            fate => self.poll_fate(fate, cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
