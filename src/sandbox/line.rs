//! Sockets that can be made to fail: a listener that can be shut, whose connections a request can cut or fill with noise.
//!
//! **Owns** the accepted connections; each request reaches its own through [`Line`].
//! **Fails** only as scripted: a cut line ends with a TCP reset, a garbled one with bytes that are no HTTP, and at a shut
//! door whoever knocks is refused.
//! **Limits**: one fate for each connection; a cut one serves nothing more. Who is in stays in when the door is shut.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

const SERVE: u8 = 0;
const CUT: u8 = 1;
const GARBLE: u8 = 2;
const CLOSED: u8 = 3;

/// Connections that wait to be accepted, where a listener is made anew.
const BACKLOG: u32 = 1_024;
/// Between two tries to have a port again that somebody else has got hold of.
const PORT_WAIT: Duration = Duration::from_millis(20);

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

/// A listener that can be shut.
pub(super) struct Door {
    /// None while it is shut.
    listener: Option<TcpListener>,
    address: SocketAddr,
    shut: watch::Receiver<bool>,
}

/// Shuts a door and opens it again; clones shut the same one.
#[derive(Clone, Debug)]
pub(super) struct Bolt {
    address: SocketAddr,
    shut: Arc<watch::Sender<bool>>,
}

impl Door {
    /// An open door, and its bolt.
    pub async fn open(address: SocketAddr) -> io::Result<(Self, Bolt)> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (shut, is_shut) = watch::channel(false);
        Ok((
            Door { listener: Some(listener), address, shut: is_shut },
            Bolt { address, shut: Arc::new(shut) },
        ))
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it is opened, and listens again. The port stays ours meanwhile: bound, and nobody listens at it.
    async fn listen_again(&mut self) {
        let kept = keep(self.address);
        if self.shut.wait_for(|shut| !shut).await.is_err() {
            // The world is gone, and with it everybody who could open.
            std::future::pending::<()>().await;
        }
        match kept.and_then(|socket| socket.listen(BACKLOG)) {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                tracing::warn!(%error, "a door of the sandbox does not open");
                tokio::time::sleep(PORT_WAIT).await;
            }
        }
    }
}

fn keep(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Bolt {
    /// Shuts the door, and returns when whoever knocks is refused.
    pub async fn shut(&self) {
        self.shut.send_replace(true);
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Opens the door again; it takes a moment.
    pub fn open(&self) {
        self.shut.send_replace(false);
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = Line;

    async fn accept(&mut self) -> (Wire, Line) {
        let stream = loop {
            if *self.shut.borrow_and_update() {
                self.listener = None;
            }
            let Some(listener) = &mut self.listener else {
                self.listen_again().await;
                continue;
            };
            tokio::select! {
                (stream, _) = Listener::accept(listener) => break stream,
                Ok(()) = self.shut.changed() => {}
            }
        };
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
