//! Logs for operators, traces for people on call.
//!
//! Logs go to standard error. A trace goes to an OTLP collector where one is configured; where none is, spans still
//! get their ids, so that a trace context that came in goes out again, in rows and in requests.
//!
//! **Owns** the process's subscriber, tracer provider and propagator: [`init`] installs them, once.
//! **Fails** at start only; a collector that is away costs spans, never a request.
//! **Limits**: `telemetry.export_queue_max` spans wait for export, `telemetry.shutdown_timeout` for the last of them.

mod config;
mod context;
mod errors;
mod export;
mod ids;
mod ratio;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{self, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::config::{LogFormat, OtlpProtocol, TelemetryConfig};
pub(crate) use self::config::{discreet, log_filter, trace_filter};
pub use self::context::{
    add_link, inject_into_metadata, note, note_failure, sampled_trace_id, set_parent,
    set_parent_from_metadata, traceparent, traceparent_of,
};

use self::errors::{ErrorsKept, RecordAll};
use self::ids::{Subscribed, WithIds};
use self::ratio::Ratio;
use crate::metrics::{MetricsConfig, otlp};

/// Why telemetry could not be set up; a matter for whoever starts the process.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The text of a filter cannot be read.
    #[error("telemetry.{0} is no filter")]
    Filter(&'static str),
    /// The exporter of traces or metrics cannot be made.
    #[error("nothing can be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Nor the client that it would send by.
    #[error("no client for the collector: {0}")]
    Client(String),
    /// The process has a subscriber already.
    #[error("telemetry is set up already")]
    AlreadySet,
}

/// Keeps telemetry going; to be shut down last of all.
#[must_use = "spans that wait for export are lost without a shutdown"]
pub struct TelemetryGuard {
    follower: Arc<dyn Fn(&TelemetryConfig) + Send + Sync>,
    provider: SdkTracerProvider,
    /// Where metrics are exported.
    meters: Option<SdkMeterProvider>,
    shutdown_timeout: Duration,
}

impl fmt::Debug for TelemetryGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryGuard").finish_non_exhaustive()
    }
}

impl TelemetryGuard {
    /// Takes over what may change while the process lives: which events are logged, which spans make up traces, and which share of
    /// the traces is recorded. It may be kept beyond the guard.
    pub fn follower(&self) -> impl Fn(&TelemetryConfig) + Send + Sync + use<> {
        let follower = self.follower.clone();
        move |config| follower(config)
    }

    /// Exports what is waiting and ends tracing, within `telemetry.shutdown_timeout`.
    pub async fn shutdown(self) {
        let Self { provider, meters, shutdown_timeout, follower: _ } = self;
        // The providers wait by blocking their thread, and the exporters need the runtime's threads meanwhile.
        let metrics = tokio::task::spawn_blocking(move || meters.map_or(Ok(()), |meters| meters.shutdown()));
        let spans = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(shutdown_timeout));
        if !matches!(spans.await, Ok(Ok(()))) {
            tracing::warn!("the last spans were not exported");
        }
        // The provider of metrics knows no deadline of its own.
        if !matches!(tokio::time::timeout(shutdown_timeout, metrics).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last metrics were not exported");
        }
    }
}

/// Sets up logs, traces, exported metrics and the W3C propagator for the whole process. To be called within a tokio runtime.
///
/// # Errors
/// A filter or an endpoint that is none, authorities that cannot be read, or a second call.
pub fn init(config: &TelemetryConfig, metrics: &MetricsConfig) -> Result<TelemetryGuard, TelemetryError> {
    init_to(config, metrics, std::io::stderr)
}

/// The same with lines that go elsewhere than to standard error.
///
/// # Errors
/// As [`init`].
pub fn init_to(
    config: &TelemetryConfig,
    metrics: &MetricsConfig,
    writer: impl for<'line> MakeWriter<'line> + Send + Sync + 'static,
) -> Result<TelemetryGuard, TelemetryError> {
    let log_filter = log_filter(&config.log_level).ok_or(TelemetryError::Filter("log_level"))?;
    let trace_filter = trace_filter(&config.trace_filter).ok_or(TelemetryError::Filter("trace_filter"))?;
    let ratio = Ratio::new(config.sample_ratio);
    let provider = provider(config, ratio.clone())?;
    let meters = meters(config, metrics)?;
    let lines = lines(config.log_format, writer);
    let (log_filter, logged) = reload::Layer::new(log_filter);
    let (trace_filter, traced) = reload::Layer::new(trace_filter);
    tracing_subscriber::registry()
        .with(lines.with_filter(log_filter.and(discreet())))
        .with(span_layer(&provider, trace_filter))
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(provider.clone());
    if let Some(meters) = &meters {
        otlp::begin(meters.meter("bursar"));
    }
    let follower = Arc::new(move |config: &TelemetryConfig| {
        // Filters that cannot be read were refused with their configuration, and the subscriber lives as long as the process.
        let logged = self::log_filter(&config.log_level).map(|filter| logged.reload(filter));
        let traced = self::trace_filter(&config.trace_filter).map(|filter| traced.reload(filter));
        if !matches!((logged, traced), (Some(Ok(())), Some(Ok(())))) {
            tracing::warn!("filters of logs and traces not taken over");
        }
        ratio.set(config.sample_ratio);
    });
    Ok(TelemetryGuard { follower, provider, meters, shutdown_timeout: config.shutdown_timeout })
}

/// The layer that writes lines, with the ids by which they are found.
fn lines<S>(
    format: LogFormat,
    writer: impl for<'line> MakeWriter<'line> + Send + Sync + 'static,
) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let told = Subscribed::default();
    let subscribed = told.clone();
    let layer = match format {
        LogFormat::Text => layer.map_event_format(|lines| WithIds { lines, format, subscribed }).boxed(),
        LogFormat::Json => {
            layer.json().map_event_format(|lines| WithIds { lines, format, subscribed }).boxed()
        }
    };
    layer.and_then(told)
}

/// Who tells the collector what is measured, where it is to be told.
fn meters(
    config: &TelemetryConfig,
    metrics: &MetricsConfig,
) -> Result<Option<SdkMeterProvider>, TelemetryError> {
    let Some(endpoint) = config.otlp_endpoint.as_ref().filter(|_| metrics.otlp) else { return Ok(None) };
    let exporter = export::metrics(config, endpoint)?;
    let reader = PeriodicReader::builder(exporter).with_interval(metrics.export_interval).build();
    Ok(Some(SdkMeterProvider::builder().with_resource(resource(config)).with_reader(reader).build()))
}

/// What is told about the process beside every span and every metric.
fn resource(config: &TelemetryConfig) -> Resource {
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The provider of spans, with an exporter if there is somewhere to export to.
fn provider(config: &TelemetryConfig, ratio: Ratio) -> Result<SdkTracerProvider, TelemetryError> {
    let sampler = Sampler::ParentBased(Box::new(ratio));
    let builder = SdkTracerProvider::builder().with_resource(resource(config));
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(builder.with_sampler(sampler).build()) };
    let exporter = export::spans(config, endpoint)?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(config.export_queue_max)
        .with_max_export_batch_size(config.export_batch_max)
        .with_scheduled_delay(config.export_interval)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    Ok(if config.keep_errors {
        builder.with_sampler(RecordAll(sampler)).with_span_processor(ErrorsKept(processor)).build()
    } else {
        builder.with_sampler(sampler).with_span_processor(processor).build()
    })
}

/// The layer that turns our spans into OpenTelemetry's. Spans of libraries are left out by `filter`, the exporter's own
/// above all: each export would otherwise make more to export.
fn span_layer<S, F>(provider: &SdkTracerProvider, filter: F) -> impl Layer<S> + use<S, F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    F: layer::Filter<S> + 'static,
{
    // Places in the source, thread names and idle times cost more than they tell: a span has its name and its fields.
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bursar"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // Who asks for the context asks the span, which has it without its being put aside and back at every poll.
        .with_context_activation(false)
        .with_filter(filter.and(discreet()))
}

#[cfg(test)]
pub(crate) mod tests;
