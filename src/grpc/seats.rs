//! The seats of the gRPC face: how many connections, calls and streams there may be at a time, and how many of one caller.
//!
//! tonic bounds none of them. A seat is held inside what it stands for, a connection or the body of an answer, so that it is given
//! back when that ends, however it ends.
//!
//! **Owns** the counts; they outlive the server, which may be started again. **Fails** whoever finds no seat, at once.
//! **Limits**: `api.connections_max`, `api.connections_per_address_max`, `api.calls_per_connection_max`,
//! `api.requests_in_flight_max`, `api.control_in_flight_max`, `api.batches_in_flight_max`, `api.streams_max` and
//! `api.streams_per_caller_max`; a reload changes them for whoever comes next.

use std::net::{IpAddr, SocketAddr};

use super::config::ApiConfig;
use super::layer;
use super::status::ApiError;
use crate::seats::{Bounds, Seat, Seats, subscriber};

/// The other end of a connection, where it is known.
pub type Peer = Option<SocketAddr>;
/// The seat of one open stream.
pub type StreamSeat = Seat<Peer>;

/// The seats of one call that is in flight.
pub(super) struct CallSeats {
    _call: Seat<()>,
    _batch: Option<Seat<()>>,
}

/// The seats; clones are the same.
#[derive(Clone)]
pub struct ApiSeats {
    connections: Seats<IpAddr>,
    /// Calls of each connection.
    own_calls: Seats<Peer>,
    /// Calls of everybody, but for those of the control service.
    calls: Seats<()>,
    /// Calls of the control service.
    control: Seats<()>,
    /// Batches, among the calls.
    batches: Seats<()>,
    streams: Seats<Peer>,
}

impl ApiSeats {
    /// As many as a configuration says.
    pub fn new(config: &ApiConfig) -> Self {
        Self {
            connections: Seats::new(connections(config)),
            own_calls: Seats::new(own_calls(config)),
            calls: Seats::new(of_all(config.requests_in_flight_max)),
            control: Seats::new(of_all(config.control_in_flight_max)),
            batches: Seats::new(of_all(config.batches_in_flight_max)),
            streams: Seats::new(streams(config)),
        }
    }

    /// From here on as many as another says.
    pub fn set_bounds(&self, config: &ApiConfig) {
        self.connections.set_bounds(connections(config));
        self.own_calls.set_bounds(own_calls(config));
        self.calls.set_bounds(of_all(config.requests_in_flight_max));
        self.control.set_bounds(of_all(config.control_in_flight_max));
        self.batches.set_bounds(of_all(config.batches_in_flight_max));
        self.streams.set_bounds(streams(config));
    }

    /// One more connection of whoever has this address; nothing where there are as many as there may be.
    pub(super) fn connection(&self, peer: IpAddr) -> Option<Seat<IpAddr>> {
        self.connections.take(subscriber(peer))
    }

    /// One more call of a connection, whatever it asks for; nothing where it has as many as one may have.
    pub(super) fn own_call(&self, peer: Peer) -> Option<Seat<Peer>> {
        self.own_calls.take(peer)
    }

    /// One more call of this method; nothing where there are as many in flight as there may be.
    pub(super) fn call(&self, path: &str) -> Option<CallSeats> {
        let calls = if path.starts_with(layer::CONTROL) { &self.control } else { &self.calls };
        let call = calls.take(())?;
        let batch = match path {
            layer::BATCH => Some(self.batches.take(())?),
            _ => None,
        };
        Some(CallSeats { _call: call, _batch: batch })
    }

    /// One more stream of a connection.
    ///
    /// # Errors
    /// `TOO_MANY_STREAMS`: its caller has as many as one may have, or all have.
    pub(super) fn stream(&self, peer: Peer) -> Result<StreamSeat, ApiError> {
        self.streams.take(peer).ok_or(ApiError::TooManyStreams)
    }
}

fn connections(config: &ApiConfig) -> Bounds {
    Bounds { all: config.connections_max as usize, each: config.connections_per_address_max as usize }
}

/// All connections together have what each of them has; calls of our methods have bounds of their own besides.
fn own_calls(config: &ApiConfig) -> Bounds {
    Bounds { all: usize::MAX, each: config.calls_per_connection_max as usize }
}

fn streams(config: &ApiConfig) -> Bounds {
    Bounds { all: config.streams_max as usize, each: config.streams_per_caller_max as usize }
}

fn of_all(max: u32) -> Bounds {
    Bounds::of_all(max as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// As many of each, of which there may be more for all than for one.
    fn config(of_each: u32, of_all: u32) -> ApiConfig {
        ApiConfig {
            connections_max: of_all,
            connections_per_address_max: of_each,
            calls_per_connection_max: of_each,
            requests_in_flight_max: of_all,
            control_in_flight_max: of_each,
            batches_in_flight_max: of_each,
            streams_max: of_all,
            streams_per_caller_max: of_each,
            ..Config::default().api
        }
    }

    /// How many of each kind two callers get when each asks again and again, one after the other.
    fn counted(seats: &ApiSeats) -> [usize; 6] {
        let addresses = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let peers = addresses.map(|address| Some(SocketAddr::new(address, 1)));
        let connections: Vec<_> = addresses.map(|one| fill(|| seats.connection(one))).into();
        let own_calls: Vec<_> = peers.map(|one| fill(|| seats.own_call(one))).into();
        let streams: Vec<_> = peers.map(|one| fill(|| seats.stream(one).ok())).into();
        let batches = fill(|| seats.call(layer::BATCH));
        let calls = fill(|| seats.call("/bursar.boleto.v1.X/Y"));
        let control = fill(|| seats.call("/bursar.control.v1.X/Y"));
        [
            connections.iter().map(Vec::len).sum(),
            own_calls.iter().map(Vec::len).sum(),
            streams.iter().map(Vec::len).sum(),
            batches.len(),
            batches.len() + calls.len(),
            control.len(),
        ]
    }

    fn fill<T>(take: impl Fn() -> Option<T>) -> Vec<T> {
        std::iter::from_fn(take).take(100).collect()
    }

    #[test]
    fn there_are_as_many_of_each_as_the_last_configuration_says() {
        let seats = ApiSeats::new(&config(2, 3));
        assert_eq!(counted(&seats), [3, 4, 3, 2, 3, 2]);
        for (of_each, of_all) in [(4, 5), (1, 1), (2, 3)] {
            seats.set_bounds(&config(of_each, of_all));
            let (each, all) = (of_each as usize, of_all as usize);
            assert_eq!(counted(&seats), [all.min(2 * each), 2 * each, all.min(2 * each), each, all, each]);
        }
    }

    #[test]
    fn a_batch_that_is_turned_away_holds_nothing() {
        let seats = ApiSeats::new(&ApiConfig { batches_in_flight_max: 1, ..config(1, 3) });
        let batch = seats.call(layer::BATCH).expect("room for one");
        assert!(seats.call(layer::BATCH).is_none(), "the calls have room, the batches have not");
        assert_eq!(fill(|| seats.call("/bursar.boleto.v1.X/Y")).len(), 2);
        drop(batch);
        assert!(seats.call(layer::BATCH).is_some());
    }
}
