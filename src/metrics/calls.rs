//! Calls as they end: those that come in, those that go out, what owners are told, and what the store is asked.
//!
//! **Owns** a histogram for each. A call that is dropped before it has ended counts as cancelled: that is what `Drop` is for
//! here. **Fails** never. **Limits**: one lock for a moment at the end of each call; a call costs a microsecond.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{Method as HttpMethod, StatusCode};
use opentelemetry::trace::TraceId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::methods::Method;
use super::reading::folded;
use super::{OTHER, otlp};

/// gRPC's own number of `CANCELLED`: what a call counts as that nobody waited for any more.
pub const CANCELLED: i64 = 1;
/// Bounds in seconds: a call that comes in takes a millisecond or two, or as long as a bank.
pub(super) const INWARD: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds in seconds: banks take from tens of milliseconds to the longest deadline.
pub(super) const OUTWARD: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds in seconds: the store answers in a millisecond, or is in trouble.
pub(super) const STORE: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
/// What a call to the store may end as: done, or as a kind of the store's error.
const STORE_OUTCOMES: [&str; 4] = ["done", "unavailable", "commit_unknown", "broken"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabels {
    rpc_service: &'static str,
    rpc_method: &'static str,
    rpc_grpc_status_code: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActiveLabels {
    rpc_service: &'static str,
    rpc_method: &'static str,
}

/// The trace of which a call was part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trace {
    trace_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    connector: Arc<str>,
    http_request_method: &'static str,
    http_response_status_code: &'static str,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AspspLabels {
    aspsp: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    channel: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticeLabels {
    channel: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    db_system_name: &'static str,
    outcome: &'static str,
}

struct Calls {
    registry: Registry,
    rpc: Family<RpcLabels, HistogramWithExemplars<Trace>>,
    active: Family<ActiveLabels, Gauge>,
    http: Family<HttpLabels, Histogram>,
    aspsps: Family<AspspLabels, Histogram>,
    deliveries: Family<ChannelLabels, Histogram>,
    notices: Family<NoticeLabels, Counter>,
    store: Family<StoreLabels, Histogram>,
}

static CALLS: LazyLock<Calls> = LazyLock::new(|| {
    let calls = Calls {
        registry: Registry::default(),
        rpc: Family::new_with_constructor(|| HistogramWithExemplars::new(INWARD.into_iter())),
        active: Family::default(),
        http: Family::new_with_constructor(|| Histogram::new(OUTWARD)),
        aspsps: Family::new_with_constructor(|| Histogram::new(OUTWARD)),
        deliveries: Family::new_with_constructor(|| Histogram::new(OUTWARD)),
        notices: Family::default(),
        store: Family::new_with_constructor(|| Histogram::new(STORE)),
    };
    calls.registered()
});

impl Calls {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        let rpc = "How long calls took that came in, a stream's until its end";
        registry.register_with_unit("rpc_server_duration", rpc, Unit::Seconds, self.rpc.clone());
        let active = "Calls that have come in and not ended, streams among them";
        registry.register("rpc_server_active_requests", active, self.active.clone());
        let http = "How long requests took that went out, by the connector that made them";
        registry.register_with_unit("http_client_request_duration", http, Unit::Seconds, self.http.clone());
        let aspsps = "How long calls to banks of open banking took, by the bank";
        registry.register_with_unit("bursar_aspsp_call_duration", aspsps, Unit::Seconds, self.aspsps.clone());
        let deliveries = "How long deliveries took, each of one notice or of a batch";
        registry.register_with_unit(
            "bursar_channel_delivery_duration",
            deliveries,
            Unit::Seconds,
            self.deliveries.clone(),
        );
        let notices = "Notices by what became of the attempt to deliver them";
        registry.register("bursar_channel_notices", notices, self.notices.clone());
        let store = "How long calls to the store took, waits for a connection included";
        registry.register_with_unit("db_client_operation_duration", store, Unit::Seconds, self.store.clone());
        self
    }
}

/// Everything that is recorded here.
pub(super) fn registry() -> &'static Registry {
    &CALLS.registry
}

/// A call that has come in; recorded once, at its end or when it is dropped.
pub struct RpcCall {
    method: Method,
    begun: Instant,
    is_ended: bool,
}

impl RpcCall {
    /// Begins now.
    pub fn begin(method: Method) -> Self {
        let Method { service, name } = method;
        CALLS.active.get_or_create(&ActiveLabels { rpc_service: service, rpc_method: name }).inc();
        otlp::rpc_active(1, service, name);
        Self { method, begun: Instant::now(), is_ended: false }
    }

    /// Has ended with this status of gRPC, 0 to 16, as part of that trace. What comes later does not count.
    pub fn end(&mut self, code: i64, trace: Option<TraceId>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let Method { service, name } = self.method;
        let code = if (0..=16).contains(&code) { code } else { 2 };
        let took = self.begun.elapsed().as_secs_f64();
        let labels = RpcLabels { rpc_service: service, rpc_method: name, rpc_grpc_status_code: code };
        let trace = trace.map(|id| Trace { trace_id: id.to_string() });
        CALLS.rpc.get_or_create(&labels).observe(took, trace, None);
        CALLS.active.get_or_create(&ActiveLabels { rpc_service: service, rpc_method: name }).dec();
        otlp::rpc_active(-1, service, name);
        otlp::rpc(took, service, name, code);
    }
}

impl Drop for RpcCall {
    fn drop(&mut self) {
        self.end(CANCELLED, None);
    }
}

/// A request that goes out; recorded once, at its end or when it is dropped.
pub struct HttpCall {
    connector: Arc<str>,
    method: &'static str,
    begun: Instant,
    is_ended: bool,
}

impl HttpCall {
    /// Begins now.
    pub fn begin(connector: &Arc<str>, method: &HttpMethod) -> Self {
        let (connector, method) = (Arc::clone(connector), method_name(method));
        Self { connector, method, begun: Instant::now(), is_ended: false }
    }

    /// Has ended with an answer, or with an error of this kind, a word of the program's own.
    pub fn end(&mut self, outcome: Result<StatusCode, &'static str>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let (status, error) = match outcome {
            Ok(status) => (status_name(status), ""),
            Err(error) => ("", error),
        };
        let took = self.begun.elapsed().as_secs_f64();
        let labels = HttpLabels {
            connector: Arc::clone(&self.connector),
            http_request_method: self.method,
            http_response_status_code: status,
            error_type: error,
        };
        CALLS.http.get_or_create(&labels).observe(took);
        otlp::http(took, &self.connector, self.method, status, error);
    }
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        self.end(Err("cancelled"));
    }
}

/// Notes a call to a bank of open banking, by the name that the configuration gives it, with its outcome.
pub fn aspsp_called(aspsp: &str, took: Duration, outcome: &'static str) {
    let aspsp = folded(aspsp);
    CALLS.aspsps.get_or_create(&AspspLabels { aspsp: aspsp.into(), outcome }).observe(took.as_secs_f64());
    otlp::aspsp(took.as_secs_f64(), aspsp, outcome);
}

/// Notes a delivery of some notices, with the outcome of each, a word of the program's own.
pub fn delivered(channel: &'static str, took: Duration, outcomes: impl Iterator<Item = &'static str>) {
    CALLS.deliveries.get_or_create(&ChannelLabels { channel }).observe(took.as_secs_f64());
    otlp::delivery(took.as_secs_f64(), channel);
    for outcome in outcomes {
        CALLS.notices.get_or_create(&NoticeLabels { channel, outcome }).inc();
        otlp::notice(channel, outcome);
    }
}

/// Notes a call to the store, with its outcome, a word of the program's own.
pub fn store_called(system: &'static str, took: Duration, outcome: &'static str) {
    let labels = |outcome| StoreLabels { db_system_name: system, outcome };
    // To Prometheus a series that begins at 1 has not grown: the first call, whatever its outcome, has all of them begin at 0.
    if CALLS.store.get(&labels(outcome)).is_none() {
        for each in STORE_OUTCOMES {
            drop(CALLS.store.get_or_create(&labels(each)));
        }
    }
    CALLS.store.get_or_create(&labels(outcome)).observe(took.as_secs_f64());
    otlp::store(took.as_secs_f64(), system, outcome);
}

fn method_name(method: &HttpMethod) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => OTHER,
    }
}

/// The statuses that are registered, whatever number a server makes up.
fn status_name(status: StatusCode) -> &'static str {
    const HUNDREDS: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    match status.as_u16() {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        408 => "408",
        409 => "409",
        410 => "410",
        422 => "422",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        other => HUNDREDS.get(usize::from(other / 100).wrapping_sub(1)).copied().unwrap_or(OTHER),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::metrics::methods;

    fn text() -> String {
        let mut text = String::new();
        encode(&mut text, registry()).unwrap();
        text
    }

    fn line(start: &str) -> Option<String> {
        text().lines().find(|line| line.starts_with(start)).map(str::to_owned)
    }

    #[test]
    fn a_call_is_recorded_once_with_its_trace() {
        let method = methods::of_path("/bursar.control.v1.ControlService/ListWork");
        let mut call = RpcCall::begin(method);
        call.end(5, TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").ok());
        call.end(0, None);
        drop(call);
        let start = "rpc_server_duration_seconds_count{rpc_service=\"bursar.control.v1.ControlService\",\
                     rpc_method=\"ListWork\",rpc_grpc_status_code=\"5\"} 1";
        assert!(line(start).is_some(), "{}", text());
        assert!(text().contains("trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\""));
        let active = |count: i64| {
            format!(
                "rpc_server_active_requests{{rpc_service=\"bursar.control.v1.ControlService\",\
                 rpc_method=\"GetWork\"}} {count}"
            )
        };
        let dropped = RpcCall::begin(methods::of_path("/bursar.control.v1.ControlService/GetWork"));
        assert!(line(&active(1)).is_some(), "{}", text());
        drop(dropped);
        assert!(line(&active(0)).is_some(), "{}", text());
        let cancelled = "rpc_server_duration_seconds_count{rpc_service=\"bursar.control.v1.ControlService\",\
                         rpc_method=\"GetWork\",rpc_grpc_status_code=\"1\"} 1";
        assert!(line(cancelled).is_some(), "{}", text());
    }

    #[test]
    fn nobody_outside_makes_series() {
        let connector: Arc<str> = "calls_test".into();
        for number in 100..=999 {
            let mut path = String::from("/bursar.boleto.v1.BoletoService/");
            write!(path, "Hostile{number}").unwrap();
            RpcCall::begin(methods::of_path(&path)).end(number, None);
            let method = HttpMethod::from_bytes(format!("M{number}").as_bytes()).unwrap();
            let status = StatusCode::from_u16(u16::try_from(number).unwrap()).unwrap();
            HttpCall::begin(&connector, &method).end(Ok(status));
        }
        let text = text();
        let series = |name: &str, part: &str| {
            text.lines().filter(|line| line.starts_with(name) && line.contains(part)).count()
        };
        assert_eq!(series("rpc_server_duration_seconds_count", "rpc_method=\"other\""), 1, "{text}");
        assert!(!text.contains("Hostile"));
        let requests = series("http_client_request_duration_seconds_count", "connector=\"calls_test\"");
        assert!((2..=24).contains(&requests), "{requests}");
    }

    #[test]
    fn a_request_that_is_dropped_was_cancelled() {
        let connector: Arc<str> = "dropped_test".into();
        drop(HttpCall::begin(&connector, &HttpMethod::GET));
        let found = text().lines().any(|line| {
            line.starts_with("http_client_request_duration_seconds_count{connector=\"dropped_test\"")
                && line.contains("error_type=\"cancelled\"")
        });
        assert!(found, "{}", text());
    }

    #[test]
    fn the_first_call_to_a_store_has_every_outcome_begin_at_0() {
        let is_told = |outcome: &str, count: u64| {
            let labels = format!("{{db_system_name=\"store_test\",outcome=\"{outcome}\"}}");
            line(&format!("db_client_operation_duration_seconds_count{labels} {count}")).is_some()
        };
        store_called("store_test", Duration::from_millis(1), "done");
        assert!(is_told("done", 1), "{}", text());
        for outcome in ["unavailable", "commit_unknown", "broken"] {
            assert!(is_told(outcome, 0), "{outcome}: {}", text());
        }
        store_called("store_test", Duration::from_millis(1), "broken");
        assert!(is_told("done", 1) && is_told("broken", 1) && is_told("unavailable", 0), "{}", text());
    }
}
