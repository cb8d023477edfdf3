//! Traces are carried round, on a subscriber of the test's own: none of these tests touches the process's.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanData, SpanExporter};
use tonic::metadata::MetadataMap;
use tracing::{Span, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Layered;

use super::*;

const STORED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The spans that have ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    pub(crate) fn span(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap();
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}")).clone()
    }
}

/// A subscriber that keeps the spans of this crate.
pub(crate) fn keeping() -> (impl Subscriber + Send + Sync, Kept) {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    (subscriber(&provider), kept)
}

fn in_a_house<T>(run: impl FnOnce() -> T) -> (T, Kept) {
    let (subscriber, kept) = keeping();
    (tracing::subscriber::with_default(subscriber, run), kept)
}

fn subscriber(provider: &SdkTracerProvider) -> Layered<impl Layer<Registry> + use<>, Registry> {
    let filter = trace_filter("bursar=info").unwrap();
    tracing_subscriber::registry().with(span_layer(provider, filter))
}

fn config() -> TelemetryConfig {
    TelemetryConfig {
        log_level: "info".to_owned(),
        log_format: LogFormat::Text,
        trace_filter: "bursar=info".to_owned(),
        otlp_endpoint: None,
        otlp_ca_file: String::new(),
        otlp_protocol: OtlpProtocol::Grpc,
        service_name: "bursar".to_owned(),
        sample_ratio: 1.0,
        keep_errors: true,
        export_queue_max: 16,
        export_batch_max: 4,
        export_interval: Duration::from_millis(10),
        export_timeout: Duration::from_secs(1),
        shutdown_timeout: Duration::from_secs(1),
    }
}

#[test]
fn a_stored_parent_is_a_parent() {
    let (sent, kept) = in_a_house(|| {
        let span = info_span!("retry");
        set_parent(&span, STORED);
        span.in_scope(|| traceparent().unwrap())
    });
    let retry = kept.span("retry");
    assert_eq!(retry.parent_span_id, SpanId::from_hex("b7ad6b7169203331").unwrap());
    assert_eq!(sent, format!("00-{TRACE}-{}-01", retry.span_context.span_id()));
}

#[test]
fn a_link_leaves_the_trace_alone() {
    let (_, kept) = in_a_house(|| {
        let span = info_span!("group");
        add_link(&span, STORED);
        add_link(&span, "not a trace");
        span.in_scope(|| ());
    });
    let group = kept.span("group");
    assert_eq!(group.links.links.len(), 1);
    assert_eq!(group.links.links[0].span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_ne!(group.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
}

#[test]
fn metadata_take_a_trace_over_and_back() {
    let (metadata, kept) = in_a_house(|| {
        let mut incoming = MetadataMap::new();
        incoming.insert("traceparent", STORED.parse().unwrap());
        incoming.insert("tracestate", "vendor=1".parse().unwrap());
        let span = info_span!("call");
        set_parent_from_metadata(&span, &incoming);
        let mut outgoing = MetadataMap::new();
        span.in_scope(|| inject_into_metadata(&mut outgoing));
        outgoing
    });
    let call = kept.span("call");
    assert!(call.parent_span_is_remote);
    let sent = metadata.get("traceparent").unwrap().to_str().unwrap();
    assert_eq!(sent, format!("00-{TRACE}-{}-01", call.span_context.span_id()));
    assert_eq!(metadata.get("tracestate").unwrap(), "vendor=1");
}

#[test]
fn a_tracestate_too_long_is_left_behind_and_two_parents_are_none() {
    let (long, _) = in_a_house(|| {
        let mut incoming = MetadataMap::new();
        incoming.insert("traceparent", STORED.parse().unwrap());
        incoming.insert("tracestate", format!("vendor={}", "x".repeat(600)).parse().unwrap());
        let span = info_span!("call");
        set_parent_from_metadata(&span, &incoming);
        let mut outgoing = MetadataMap::new();
        span.in_scope(|| inject_into_metadata(&mut outgoing));
        outgoing
    });
    assert!(long.get("traceparent").unwrap().to_str().unwrap().contains(TRACE));
    assert!(long.get("tracestate").is_none());
    let (twice, _) = in_a_house(|| {
        let mut incoming = MetadataMap::new();
        incoming.append("traceparent", STORED.parse().unwrap());
        incoming.append("traceparent", STORED.parse().unwrap());
        let span = info_span!("call");
        set_parent_from_metadata(&span, &incoming);
        span.in_scope(|| traceparent().unwrap())
    });
    assert!(!twice.contains(TRACE));
}

#[test]
fn what_is_no_traceparent_begins_a_trace_of_its_own() {
    let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    let zero_span = format!("00-{TRACE}-{}-01", "0".repeat(16));
    let texts = [
        "",
        "-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        &zero_trace,
        &zero_span,
    ];
    for text in texts {
        let (sent, kept) = in_a_house(|| {
            let span = info_span!("alone");
            set_parent(&span, text);
            span.in_scope(|| traceparent().unwrap())
        });
        assert_eq!(kept.span("alone").parent_span_id, SpanId::INVALID, "{text}");
        assert!(!sent.contains(TRACE), "{text}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let (sent, _) = in_a_house(|| {
        let span = info_span!("later");
        set_parent(&span, "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more-to-come");
        span.in_scope(|| traceparent().unwrap())
    });
    assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent.ends_with("-01"), "{sent}");
}

#[test]
fn a_span_that_is_left_out_passes_on_the_one_around_it() {
    let ((outer, inner), kept) = in_a_house(|| {
        let span = info_span!("ours");
        let outer = span.in_scope(|| traceparent().unwrap());
        let inner = span.in_scope(|| tracing::info_span!(target: "h2", "theirs").in_scope(traceparent));
        (outer, inner.unwrap())
    });
    assert_eq!(outer, inner);
    assert_eq!(kept.0.lock().unwrap().len(), 1);
}

#[test]
fn traces_have_ids_without_a_collector_and_a_callers_decision_stands() {
    let provider = provider(&TelemetryConfig { sample_ratio: 0.0, ..config() }, Ratio::new(0.0)).unwrap();
    tracing::subscriber::with_default(subscriber(&provider), || {
        let own = info_span!("own").in_scope(|| traceparent().unwrap());
        assert!(own.ends_with("-00"), "{own}");
        let called = info_span!("called");
        set_parent(&called, STORED);
        let called = called.in_scope(|| traceparent().unwrap());
        assert!(called.contains(TRACE) && called.ends_with("-01"), "{called}");
    });
}

#[test]
fn what_fails_is_kept_of_a_trace_that_was_not_chosen() {
    for (ratio, names) in [(0.0, vec!["failed"]), (1.0, vec!["failed", "went well", "around"])] {
        let kept = Kept::default();
        let simple = SimpleSpanProcessor::new(kept.clone());
        let provider = SdkTracerProvider::builder()
            .with_sampler(RecordAll(Sampler::TraceIdRatioBased(ratio)))
            .with_span_processor(ErrorsKept(simple))
            .build();
        tracing::subscriber::with_default(subscriber(&provider), || {
            info_span!("around").in_scope(|| {
                info_span!("failed").in_scope(|| note_failure("no answer"));
                info_span!("went well").in_scope(|| ());
            });
        });
        let spans = kept.0.lock().unwrap();
        let there: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(there, names);
        assert!(spans.iter().all(|span| span.span_context.is_sampled()));
    }
}

#[test]
fn outside_any_subscriber_nothing_is_carried_and_nothing_breaks() {
    assert_eq!(traceparent(), None);
    set_parent(&Span::none(), STORED);
    add_link(&Span::none(), STORED);
    let mut metadata = MetadataMap::new();
    inject_into_metadata(&mut metadata);
    assert!(metadata.is_empty());
}

#[test]
fn libraries_tell_no_more_than_info_whatever_is_set() {
    use tracing::Level;

    let loud = trace_filter("trace").unwrap();
    for library in ["h2::codec", "hyper::proto", "lettre", "async_nats", "sqlx::query", "rustls"] {
        assert!(
            loud.would_enable(library, &Level::TRACE) && !discreet().would_enable(library, &Level::DEBUG)
        );
        assert!(discreet().would_enable(library, &Level::INFO));
    }
    assert!(discreet().would_enable("bursar::store", &Level::TRACE));
}

#[test]
fn filters_are_read_and_a_mistyped_level_is_no_filter() {
    for text in ["info", "warn,bursar=debug", "h2=trace", "bursar[call]=debug", "off"] {
        assert!(log_filter(text).is_some(), "{text}");
    }
    for text in ["", "inof", "bursar=loud", "info,,"] {
        assert!(log_filter(text).is_none(), "{text}");
    }
    assert!(log_filter("h2=trace").unwrap().to_string().contains("h2=trace"));
    assert!(trace_filter("bursar=loud").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_collector_that_is_away_does_not_hold_up_the_end() {
    let config = TelemetryConfig {
        otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
        export_timeout: Duration::from_millis(50),
        shutdown_timeout: Duration::from_millis(200),
        ..config()
    };
    let provider = provider(&config, Ratio::new(config.sample_ratio)).unwrap();
    tracing::subscriber::with_default(subscriber(&provider), || info_span!("lost").in_scope(|| ()));
    let follower = std::sync::Arc::new(|_: &TelemetryConfig| ());
    let shutdown_timeout = config.shutdown_timeout;
    let guard = TelemetryGuard { follower, provider, meters: None, shutdown_timeout };
    tokio::time::timeout(Duration::from_secs(5), guard.shutdown()).await.expect("the deadline holds");
}
