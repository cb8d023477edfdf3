//! Connections as they come: so many in all, so many of one address, and none that says nothing; under TLS where that is configured.
//!
//! **Owns** the listener, and the seat of every connection, given back when it ends. **Fails** by closing the one that
//! comes too much, or that has not said in time that it speaks HTTP/2; what the system refuses is tried again after a
//! pause, for it means as a rule that no descriptors are left.
//! **Limits**: `api.connections_max`, `api.connections_per_address_max`, `api.handshake_timeout`. Once a connection has
//! said its first words, `api.keepalive_interval` finds those that have fallen silent.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

use super::config::ApiConfig;
use super::layer::CertificateNames;
use super::seats::ApiSeats;
use super::tls::{self, Tls};
use crate::seats::Seat;

/// What every connection of HTTP/2 begins with, in bytes (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
/// After the system has refused a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections that a listener takes in.
pub struct Incoming {
    listener: TcpListener,
    handshake_timeout: Duration,
    seats: ApiSeats,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the last one was turned away; a flood is told once.
    is_full: bool,
    tls: Option<Tls>,
    /// Each holds its seat already, so that there are no more of them than connections.
    handshakes: JoinSet<Option<Connection>>,
}

impl Incoming {
    pub fn new(listener: TcpListener, config: &ApiConfig, seats: &ApiSeats, tls: Option<Tls>) -> Self {
        Self {
            listener,
            handshake_timeout: config.handshake_timeout,
            seats: seats.clone(),
            pause: None,
            is_full: false,
            tls,
            handshakes: JoinSet::new(),
        }
    }

    /// Gives a connection its seat; nothing where there is none, which closes it, and while it shakes hands.
    fn seat(&mut self, stream: TcpStream, peer: IpAddr) -> Option<Connection> {
        let Some(seat) = self.seats.connection(peer) else {
            if !self.is_full {
                warn!("connections are turned away: there are as many as there may be");
            }
            self.is_full = true;
            return None;
        };
        self.is_full = false;
        // A connection whose answers wait for fuller packets still works.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no TCP_NODELAY");
        }
        let limit = self.handshake_timeout;
        match &self.tls {
            None => Some(Connection::new(Wire::Plain(stream), Arc::from([]), limit, seat)),
            Some(tls) => {
                self.handshakes.spawn(shake_hands(stream, tls.rules(), limit, seat));
                None
            }
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(shaken)) = self.handshakes.poll_join_next(context) {
                match shaken {
                    Ok(Some(connection)) => return Poll::Ready(Some(Ok(connection))),
                    // It has been closed; whoever was at the other end knows why.
                    Ok(None) | Err(_) => continue,
                }
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((stream, peer)) => {
                    if let Some(connection) = self.seat(stream, peer.ip()) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Err(error) => {
                    warn!(%error, "connection not accepted");
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// Agrees on keys with whoever is at the other end, in time or not at all.
async fn shake_hands(
    stream: TcpStream,
    rules: Arc<ServerConfig>,
    limit: Duration,
    seat: Seat<IpAddr>,
) -> Option<Connection> {
    match timeout(limit, TlsAcceptor::from(rules).accept(stream)).await {
        Ok(Ok(stream)) => {
            let names = tls::names(stream.get_ref().1);
            Some(Connection::new(Wire::Tls(Box::new(stream)), names, limit, seat))
        }
        Ok(Err(error)) => {
            debug!(%error, "handshake failed");
            None
        }
        Err(_) => {
            debug!("handshake not done in time");
            None
        }
    }
}

/// What is known of a call's connection.
#[derive(Clone)]
pub struct ConnectionInfo {
    tcp: TcpConnectInfo,
    names: CertificateNames,
}

/// Tells each call what is known of its connection, as everybody else looks for it.
pub async fn introduce(mut request: Request, next: Next) -> Response {
    if let Some(ConnectionInfo { tcp, names }) = request.extensions_mut().remove::<ConnectionInfo>() {
        request.extensions_mut().insert(tcp);
        request.extensions_mut().insert(names);
    }
    next.run(request).await
}

/// What bytes go over.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// A connection that has its seat.
pub struct Connection {
    wire: Wire,
    names: CertificateNames,
    /// How much of its first words is missing, and until when they are waited for.
    unsaid: Option<(usize, Pin<Box<Sleep>>)>,
    _seat: Seat<IpAddr>,
}

impl Connection {
    fn new(wire: Wire, names: Arc<[String]>, limit: Duration, seat: Seat<IpAddr>) -> Self {
        let unsaid = Some((PREFACE_BYTES, Box::pin(sleep(limit))));
        Self { wire, names: CertificateNames(names), unsaid, _seat: seat }
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        ConnectionInfo { tcp: self.wire.tcp().connect_info(), names: self.names.clone() }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let Some((missing, deadline)) = &mut self.unsaid else { return polled };
        match polled {
            Poll::Pending if deadline.as_mut().poll(context).is_ready() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                *missing = missing.saturating_sub(buffer.filled().len() - before);
                if *missing == 0 {
                    self.unsaid = None;
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
