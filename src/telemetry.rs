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
mod execution;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::config::{LogFormat, TelemetryConfig};
pub(crate) use self::config::{log_filter, trace_filter};
pub use self::context::{add_link, inject_into_metadata, set_parent, set_parent_from_metadata, traceparent};

/// Why telemetry could not be set up; a matter for whoever starts the process.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The text of a filter cannot be read.
    #[error("telemetry.{0} is no filter")]
    Filter(&'static str),
    /// The exporter of traces cannot be made.
    #[error("traces cannot be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process has a subscriber already.
    #[error("telemetry is set up already")]
    AlreadySet,
}

/// Keeps telemetry going; to be shut down last of all.
#[must_use = "spans that wait for export are lost without a shutdown"]
#[derive(Debug)]
pub struct TelemetryGuard {
    provider: SdkTracerProvider,
    shutdown_timeout: Duration,
}

impl TelemetryGuard {
    /// Exports what is waiting and ends tracing, within `telemetry.shutdown_timeout`.
    pub async fn shutdown(self) {
        let Self { provider, shutdown_timeout } = self;
        // The provider waits by blocking its thread, and the exporter needs the runtime's threads meanwhile.
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(shutdown_timeout)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last spans were not exported");
        }
    }
}

/// Sets up logs, traces and the W3C propagator for the whole process. To be called within a tokio runtime.
///
/// # Errors
/// A filter or an endpoint that is none, or a second call.
pub fn init(config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    let log_filter = log_filter(&config.log_level).ok_or(TelemetryError::Filter("log_level"))?;
    let trace_filter = trace_filter(&config.trace_filter).ok_or(TelemetryError::Filter("trace_filter"))?;
    let provider = provider(config)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().map_event_format(execution::WithExecution).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(log_filter))
        .with(span_layer(&provider, trace_filter))
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_tracer_provider(provider.clone());
    Ok(TelemetryGuard { provider, shutdown_timeout: config.shutdown_timeout })
}

/// The provider of spans, with an exporter if there is somewhere to export to.
fn provider(config: &TelemetryConfig) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))));
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(builder.build()) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(config.export_timeout)
        .build()?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(config.export_queue_max)
        .with_max_export_batch_size(config.export_batch_max)
        .with_scheduled_delay(config.export_interval)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    Ok(builder.with_span_processor(processor).build())
}

/// The layer that turns our spans into OpenTelemetry's. Spans of libraries are left out by `filter`, the exporter's own
/// above all: each export would otherwise make more to export.
fn span_layer<S>(provider: &SdkTracerProvider, filter: Targets) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
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
        .with_filter(filter)
}

#[cfg(test)]
mod tests;
