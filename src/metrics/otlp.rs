//! The same metrics for a collector that speaks OTLP.
//!
//! What is recorded in [`calls`](super::calls) is recorded here a second time once [`begin`] was called, and costs the look at
//! an empty cell until then. Readings are told as they were last [`publish`]ed.
//!
//! **Owns** the instruments and the last readings. **Fails** never: a collector that is away costs what it would have been told.
//! **Limits**: as the metrics themselves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, Value};

use super::calls::{INWARD, OUTWARD, STORE};
use super::reading::{Kind, Reading, Series};

struct Instruments {
    meter: Meter,
    rpc: Histogram<f64>,
    active: UpDownCounter<i64>,
    http: Histogram<f64>,
    aspsps: Histogram<f64>,
    deliveries: Histogram<f64>,
    notices: Counter<u64>,
    store: Histogram<f64>,
    /// For which readings there is an instrument.
    known: Mutex<HashSet<&'static str>>,
    latest: Arc<RwLock<Arc<[Reading]>>>,
}

static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// Records by this meter from here on. A second call changes nothing.
pub fn begin(meter: Meter) {
    let seconds = |name: &'static str, bounds: &[f64]| {
        meter.f64_histogram(name).with_unit("s").with_boundaries(bounds.to_vec()).build()
    };
    let rpc = seconds("rpc.server.duration", &INWARD);
    let active = meter.i64_up_down_counter("rpc.server.active_requests").with_unit("{request}").build();
    let http = seconds("http.client.request.duration", &OUTWARD);
    let aspsps = seconds("bursar.aspsp.call.duration", &OUTWARD);
    let deliveries = seconds("bursar.channel.delivery.duration", &OUTWARD);
    let store = seconds("db.client.operation.duration", &STORE);
    let notices = meter.u64_counter("bursar.channel.notices").build();
    let known = Mutex::default();
    let latest = Arc::new(RwLock::new(Arc::from([])));
    let instruments =
        Instruments { rpc, active, http, aspsps, deliveries, notices, store, known, latest, meter };
    // Whoever came first records; there is one provider in a process.
    let _ = INSTRUMENTS.set(instruments);
}

/// Whether somebody is told.
pub fn is_told() -> bool {
    INSTRUMENTS.get().is_some()
}

/// From here on the collector is told these readings.
pub fn publish(readings: Arc<[Reading]>) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    *instruments.latest.write().unwrap_or_else(PoisonError::into_inner) = readings.clone();
    let mut known = instruments.known.lock().unwrap_or_else(PoisonError::into_inner);
    for reading in readings.iter() {
        if known.insert(reading.name) {
            instruments.observe(reading);
        }
    }
}

impl Instruments {
    fn observe(&self, reading: &Reading) {
        let (name, latest) = (reading.name, self.latest.clone());
        // A collector calls it by the dots of OpenTelemetry no more than Prometheus does: a name of ours is one word.
        match reading.kind {
            Kind::Gauge => {
                let gauge = self.meter.f64_observable_gauge(name).with_description(reading.help);
                gauge.with_callback(move |told| tell(&latest, name, |v, l| told.observe(v, l))).build();
            }
            Kind::Counter => {
                let counter = self.meter.f64_observable_counter(name).with_description(reading.help);
                counter.with_callback(move |told| tell(&latest, name, |v, l| told.observe(v, l))).build();
            }
        }
    }
}

fn tell(latest: &RwLock<Arc<[Reading]>>, name: &str, mut observe: impl FnMut(f64, &[KeyValue])) {
    let readings = latest.read().unwrap_or_else(PoisonError::into_inner).clone();
    for reading in readings.iter().filter(|reading| reading.name == name) {
        for Series { labels, value } in &reading.series {
            let labels: Vec<KeyValue> =
                labels.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
            observe(*value, &labels);
        }
    }
}

pub(super) fn rpc(took: f64, service: &'static str, method: &'static str, code: i64) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let labels = [
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", service),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.grpc.status_code", code),
    ];
    instruments.rpc.record(took, &labels);
}

pub(super) fn rpc_active(change: i64, service: &'static str, method: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let labels = [
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", service),
        KeyValue::new("rpc.method", method),
    ];
    instruments.active.add(change, &labels);
}

pub(super) fn http(
    took: f64,
    connector: &Arc<str>,
    method: &'static str,
    status: &'static str,
    error: &'static str,
) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let connector = Value::String(Arc::clone(connector).into());
    let mut labels =
        vec![KeyValue::new("connector", connector), KeyValue::new("http.request.method", method)];
    if !status.is_empty() {
        labels.push(KeyValue::new("http.response.status_code", status));
    }
    if !error.is_empty() {
        labels.push(KeyValue::new("error.type", error));
    }
    instruments.http.record(took, &labels);
}

pub(super) fn aspsp(took: f64, aspsp: &str, outcome: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let labels = [KeyValue::new("aspsp", aspsp.to_owned()), KeyValue::new("outcome", outcome)];
    instruments.aspsps.record(took, &labels);
}

pub(super) fn delivery(took: f64, channel: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.deliveries.record(took, &[KeyValue::new("channel", channel)]);
}

pub(super) fn notice(channel: &'static str, outcome: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let labels = [KeyValue::new("channel", channel), KeyValue::new("outcome", outcome)];
    instruments.notices.add(1, &labels);
}

pub(super) fn store(took: f64, system: &'static str, outcome: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let labels = [KeyValue::new("db.system.name", system), KeyValue::new("outcome", outcome)];
    instruments.store.record(took, &labels);
}
