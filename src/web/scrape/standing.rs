//! How the house stands, as far as memory tells: ready or not, its lease, what it has in hand, breakers, connections.
//!
//! **Owns** nothing. **Fails** never: before the house is open it is not ready, and that is all.

use chrono::DateTime;

use super::stored::family;
use crate::messages::House;
use crate::metrics::Reading;
use crate::work::Places;
use crate::work::breaker::BreakerState;

/// Which program this is.
pub(super) fn build() -> Reading {
    let mut build = Reading::gauge("bursar_build_info", "Which program this is; always 1.");
    build.put([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    build
}

/// How the house stands, or that there is none yet.
pub(super) fn readings(house: Option<&House>) -> Vec<Reading> {
    let flag = |is: bool| f64::from(u8::from(is));
    let ready = house.is_some_and(|house| house.readiness.get().is_ok() && house.lease.holder().is_some());
    let mut readings = vec![
        Reading::gauge("bursar_ready", "Whether requests are taken.").of(flag(ready)),
        Reading::gauge("bursar_draining", "Whether the process is about to end.")
            .of(flag(house.is_some_and(|house| house.readiness.is_draining()))),
    ];
    let Some(house) = house else { return readings };
    readings.extend([
        Reading::gauge("bursar_lease_held", "Whether this process may take up work.")
            .of(flag(house.lease.holder().is_some())),
        Reading::gauge(
            "bursar_lease_age_seconds",
            "How long ago the last beat was sent that the store answered.",
        )
        .of(house.lease.beat_age().as_secs_f64()),
    ]);
    readings.extend(places(house));
    readings.push(breakers(house));
    readings.extend(pools(house));
    readings
}

fn places(house: &House) -> [Reading; 2] {
    let sum = |count: &dyn Fn(&Places) -> usize| house.places.iter().map(count).sum::<usize>() as f64;
    [
        Reading::gauge("bursar_work_in_hand", "Work that this process has in hand.")
            .of(sum(&|places| places.in_hand())),
        Reading::gauge("bursar_work_places", "Work that it may have in hand at most.")
            .of(sum(&|places| places.total_max())),
    ]
}

/// Breakers that are not closed, by whom they spare.
fn breakers(house: &House) -> Reading {
    let mut reading =
        Reading::gauge("bursar_breakers_open", "Parties that are asked less, for they did not answer.");
    for provider in house.registrars.keys() {
        reading.add([("party", &format!("registration/{}", provider.as_str()))], 0.0);
    }
    for kind in house.channels.keys() {
        reading.add([("party", &format!("delivery/{}", kind.as_str()))], 0.0);
    }
    for standing in house.places.iter().flat_map(|places| places.standings()) {
        // A party of several queues stands among them under its own name, and is counted there once.
        let is_open = standing.breaker != BreakerState::Closed && standing.queue == standing.party;
        reading.add([("party", &family(&standing.party))], f64::from(u8::from(is_open)));
    }
    reading
}

fn pools(house: &House) -> [Reading; 2] {
    let mut open = Reading::gauge("bursar_store_connections", "Connections to the database that are open.");
    let mut idle = Reading::gauge("bursar_store_connections_idle", "Those of them that nobody uses.");
    for pool in house.store.pools() {
        open.put([("pool", pool.name)], f64::from(pool.open));
        idle.put([("pool", pool.name)], pool.idle as f64);
    }
    [open, idle]
}

/// A moment as Prometheus counts it: in seconds since 1970.
pub(super) fn timestamp<Z: chrono::TimeZone>(moment: &DateTime<Z>) -> f64 {
    moment.timestamp_millis() as f64 / 1_000.0
}
