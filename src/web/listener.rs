//! A listener for pages, as a supervised child: accepts, counts, and hands each connection to a task of its own.
//!
//! **Owns** the port and the connections, which end with it. **Fails** by ending when its task does; a port that is taken is
//! a start failure, and a page that panics costs its own connection only.
//! **Limits**: [`Limits`]. Whoever comes when all seats are taken, or has as many as one address may have, is told 503 at
//! once; past [`TURNING_AWAY_MAX`] of those at a time the connection is closed without a word.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::connection::{self, PARTING};
use crate::seats::{Bounds, Seats, subscriber};
use crate::supervision::{Actor, ActorError, ChildSpec, Context, Shutdown};

/// How many are told at a time that there is no seat.
const TURNING_AWAY_MAX: usize = 64;
/// After an error of `accept`, which means as a rule that the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What closing takes: every connection has [`PARTING`], and a little for the rest.
const CLOSING: Duration = Duration::from_secs(3);

/// What a listener serves; clones are the same site.
pub trait Site: Clone + Send + Sync + 'static {
    /// Answers one request of whoever is at the other end.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// What a listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections_max: usize,
    /// None where one address may be everybody's, as a proxy's is.
    pub connections_per_address_max: Option<usize>,
    pub header_timeout: Duration,
    pub header_bytes_max: usize,
    pub connection_timeout: Duration,
}

/// What a listener is told.
pub enum ListenerMessage {
    /// The task that serves has ended by itself.
    Ended,
}

/// A listener.
pub struct Listener {
    closing: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Listener {
    /// The listener as a child. `bound` is told the address that it listens on.
    pub fn spec(
        id: &'static str,
        listen: SocketAddr,
        limits: Limits,
        site: impl Site,
        bound: watch::Sender<Option<SocketAddr>>,
    ) -> ChildSpec {
        let (_, spec) = ChildSpec::worker(id, move |context: Context<ListenerMessage>| {
            let (site, bound) = (site.clone(), bound.clone());
            async move {
                // A port that was free at first stays the port over every restart.
                let wanted = bound.borrow().unwrap_or(listen);
                let listener = TcpListener::bind(wanted)
                    .await
                    .map_err(|error| format!("cannot listen on {wanted}: {error}"))?;
                let address = listener.local_addr()?;
                let (closing, closed) = watch::channel(false);
                let myself = context.myself;
                let serving = tokio::spawn(async move {
                    Serving::new(limits, site, closed).run(listener).await;
                    let _ = myself.send(ListenerMessage::Ended).await;
                });
                info!(%address, site = id, "pages listening");
                bound.send_replace(Some(address));
                Ok(Self { closing, serving })
            }
        });
        spec.shutdown(Shutdown::Timeout(CLOSING * 2))
    }
}

impl Actor for Listener {
    type Message = ListenerMessage;

    async fn handle(&mut self, message: ListenerMessage) -> Result<(), ActorError> {
        match message {
            ListenerMessage::Ended => Err("the task that serves has ended".into()),
        }
    }

    async fn stopping(&mut self) {
        self.closing.send_replace(true);
        let _ = timeout(CLOSING, &mut self.serving).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its connections are its tasks and end with it.
        self.serving.abort();
    }
}

/// The loop that accepts.
struct Serving<S> {
    limits: Limits,
    site: S,
    closed: watch::Receiver<bool>,
    seats: Seats<IpAddr>,
    turning_away: Seats<()>,
    connections: JoinSet<()>,
}

impl<S: Site> Serving<S> {
    fn new(limits: Limits, site: S, closed: watch::Receiver<bool>) -> Self {
        Self {
            limits,
            site,
            closed,
            seats: Seats::new(Bounds {
                all: limits.connections_max,
                each: limits.connections_per_address_max.unwrap_or(limits.connections_max),
            }),
            turning_away: Seats::new(Bounds::of_all(TURNING_AWAY_MAX)),
            connections: JoinSet::new(),
        }
    }

    async fn run(mut self, listener: TcpListener) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take_in(stream, peer.ip()),
                    Err(error) => {
                        warn!(%error, "connection not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = self.connections.join_next() => tell(ended),
                // The sender goes only with the listener, which is to be closed then.
                _ = self.closed.changed() => break,
            }
        }
        drop(listener);
        let _ = timeout(PARTING, async {
            while let Some(ended) = self.connections.join_next().await {
                tell(ended);
            }
        })
        .await;
    }

    fn take_in(&mut self, stream: TcpStream, peer: IpAddr) {
        let Some(seat) = self.seats.take(subscriber(peer)) else {
            if let Some(seat) = self.turning_away.take(()) {
                self.connections.spawn(async move {
                    connection::turn_away(stream).await;
                    drop(seat);
                });
            }
            return;
        };
        let (limits, site, closed) = (self.limits, self.site.clone(), self.closed.clone());
        self.connections.spawn(async move {
            connection::serve(stream, peer, limits, site, closed).await;
            drop(seat);
        });
    }
}

fn tell(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // What it says may repeat what was sent; the panic itself was logged where it arose.
        error!("a page crashed; its connection was closed");
    }
}
