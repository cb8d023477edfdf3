//! A listener for pages, as a supervised child: accepts, counts, and hands each connection to a task of its own.
//!
//! **Owns** the port and the connections, which end with it. **Fails** by ending when its task does; a port that is taken is
//! a start failure, and a page that panics costs its own connection only.
//! **Limits**: [`Limits`]. Whoever comes when all places are taken, or has as many as one address may have, is told 503 at
//! once; past [`TURNING_AWAY_MAX`] of those at a time the connection is closed without a word.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::connection::{self, PARTING};
use super::rates::subscriber;
use crate::supervision::{Actor, ActorError, ChildSpec, Context, Shutdown};

/// How many are told at a time that there is no place.
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
    places: Arc<Semaphore>,
    turning_away: Arc<Semaphore>,
    addresses: Addresses,
    connections: JoinSet<()>,
}

impl<S: Site> Serving<S> {
    fn new(limits: Limits, site: S, closed: watch::Receiver<bool>) -> Self {
        Self {
            limits,
            site,
            closed,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            turning_away: Arc::new(Semaphore::new(TURNING_AWAY_MAX)),
            addresses: Addresses::default(),
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
        let place = self.places.clone().try_acquire_owned().ok();
        let per_address_max = self.limits.connections_per_address_max.unwrap_or(self.limits.connections_max);
        let seat = self.addresses.seat(peer, per_address_max);
        let (Some(place), Some(seat)) = (place, seat) else {
            if let Ok(permit) = self.turning_away.clone().try_acquire_owned() {
                self.connections.spawn(async move {
                    connection::turn_away(stream).await;
                    drop(permit);
                });
            }
            return;
        };
        let (limits, site, closed) = (self.limits, self.site.clone(), self.closed.clone());
        self.connections.spawn(async move {
            let _held: (OwnedSemaphorePermit, Seat) = (place, seat);
            connection::serve(stream, peer, limits, site, closed).await;
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

/// How many connections each address has.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The place of one connection among those of its address; given back when dropped.
struct Seat {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn seat(&self, peer: IpAddr, seats_max: usize) -> Option<Seat> {
        let address = subscriber(peer);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= seats_max {
            return None;
        }
        *count += 1;
        Some(Seat { addresses: self.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_seats_and_leaves_the_others_theirs() {
        let (addresses, one, other) = (Addresses::default(), [127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = addresses.seat(one, 2).expect("a seat");
        let second = addresses.seat(one, 2).expect("another");
        assert!(addresses.seat(one, 2).is_none());
        assert!(addresses.seat(other, 2).is_some());
        drop(first);
        assert!(addresses.seat(one, 2).is_some());
        drop(second);
        assert!(addresses.0.lock().unwrap().is_empty(), "nothing is kept of those who have gone");
    }
}
