//! Connections as they come: so many in all, so many of one address, and none that says nothing; under TLS where that is configured.
//!
//! **Owns** the listener, and the place of every connection, given back when it ends. **Fails** by closing the one that
//! comes too much, or that has not said in time that it speaks HTTP/2; what the system refuses is tried again after a
//! pause, for it means as a rule that no descriptors are left.
//! **Limits**: `api.connections_max`, `api.connections_per_address_max`, `api.handshake_timeout`. Once a connection has
//! said its first words, `api.keepalive_interval` finds those that have fallen silent.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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
use super::tls::{self, Tls};

/// What every connection of HTTP/2 begins with, in bytes (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
/// After the system has refused a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections that a listener takes in.
pub struct Incoming {
    listener: TcpListener,
    handshake_timeout: Duration,
    places: Places,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the last one was turned away; a flood is told once.
    is_full: bool,
    tls: Option<Tls>,
    /// Each holds its place already, so that there are no more of them than connections.
    handshakes: JoinSet<Option<Connection>>,
}

impl Incoming {
    pub fn new(listener: TcpListener, config: &ApiConfig, tls: Option<Tls>) -> Self {
        let places = Places::new(config.connections_max, config.connections_per_address_max);
        Self {
            listener,
            handshake_timeout: config.handshake_timeout,
            places,
            pause: None,
            is_full: false,
            tls,
            handshakes: JoinSet::new(),
        }
    }

    /// Gives a connection its place; nothing where there is none, which closes it, and while it shakes hands.
    fn seat(&mut self, stream: TcpStream, peer: IpAddr) -> Option<Connection> {
        let Some(place) = self.places.take(peer) else {
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
            None => Some(Connection::new(Wire::Plain(stream), Arc::from([]), limit, place)),
            Some(tls) => {
                self.handshakes.spawn(shake_hands(stream, tls.rules(), limit, place));
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
    place: Place,
) -> Option<Connection> {
    match timeout(limit, TlsAcceptor::from(rules).accept(stream)).await {
        Ok(Ok(stream)) => {
            let names = tls::names(stream.get_ref().1);
            Some(Connection::new(Wire::Tls(Box::new(stream)), names, limit, place))
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

/// A connection that has its place.
pub struct Connection {
    wire: Wire,
    names: CertificateNames,
    /// How much of its first words is missing, and until when they are waited for.
    unsaid: Option<(usize, Pin<Box<Sleep>>)>,
    _place: Place,
}

impl Connection {
    fn new(wire: Wire, names: Arc<[String]>, limit: Duration, place: Place) -> Self {
        let unsaid = Some((PREFACE_BYTES, Box::pin(sleep(limit))));
        Self { wire, names: CertificateNames(names), unsaid, _place: place }
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

/// How many connections each address has; clones are the same.
#[derive(Clone)]
struct Places {
    all_max: usize,
    per_address_max: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection.
struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    fn new(all_max: u32, per_address_max: u32) -> Self {
        Self { all_max: all_max as usize, per_address_max: per_address_max as usize, taken: Arc::default() }
    }

    fn take(&self, peer: IpAddr) -> Option<Place> {
        let address = site(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&address).copied().unwrap_or(0);
        if own >= self.per_address_max || taken.values().sum::<usize>() >= self.all_max {
            return None;
        }
        taken.insert(address, own + 1);
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// Whoever has one address of IPv6 has a network of them, a /64 as a rule (RFC 6177), and counts as one.
fn site(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_leaves_the_others_theirs() {
        let places = Places::new(3, 2);
        let one = IpAddr::from([127, 0, 0, 1]);
        let first = places.take(one).expect("a place");
        let _second = places.take(one).expect("another");
        assert!(places.take(one).is_none(), "two of one address");
        let other = places.take("2001:db8::1".parse().unwrap()).expect("a place");
        assert!(places.take("2001:db8::2".parse().unwrap()).is_none(), "three in all");
        drop(first);
        assert!(places.take(one).is_some());
        drop(other);
        assert_eq!(places.taken.lock().unwrap().len(), 1, "nothing is kept of those who have gone");
    }

    #[test]
    fn a_network_of_addresses_counts_as_one() {
        let places = Places::new(9, 1);
        let _one = places.take("2001:db8::1".parse().unwrap()).expect("a place");
        assert!(places.take("2001:db8::ffff:2".parse().unwrap()).is_none());
        assert!(places.take("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _mapped = places.take("::ffff:192.0.2.1".parse().unwrap()).expect("a place");
        assert!(places.take("192.0.2.1".parse().unwrap()).is_none(), "the same address, written otherwise");
    }
}
