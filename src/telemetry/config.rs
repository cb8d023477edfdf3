//! Settings of logs and traces.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Which events are logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log_level: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// Which spans make up traces, as `tracing_subscriber::filter::Targets` reads it.
    pub trace_filter: String,
    /// The address of an OTLP collector, http or https; without one no span leaves the process.
    pub otlp_endpoint: Option<String>,
    /// A file of authorities, in PEM, that its certificate may be signed by besides those that the platform trusts; empty for none.
    pub otlp_ca_file: String,
    /// How the collector is spoken to.
    pub otlp_protocol: OtlpProtocol,
    /// What the service is called in traces.
    pub service_name: String,
    /// The share of traces begun here that is recorded, 0.0 to 1.0; a caller's own decision goes before it.
    pub sample_ratio: f64,
    /// Whether spans that fail are exported even of traces that are not recorded.
    pub keep_errors: bool,
    /// Ended spans that wait for export at most; what comes on top is dropped. 1 to 1,000,000.
    pub export_queue_max: usize,
    /// Spans in one export at most: 1 to `export_queue_max`.
    pub export_batch_max: usize,
    /// How long spans are gathered before an export: 10 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub export_interval: Duration,
    /// The deadline of one export: 10 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub export_timeout: Duration,
    /// How long the last spans may take to leave when the process stops: 10 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    /// OTLP over gRPC; collectors listen on 4317.
    Grpc,
    /// OTLP over HTTP with protobuf; collectors listen on 4318.
    Http,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

/// Libraries whose chatter tells an operator nothing. A directive of the same name in `log_level` wins over these.
const QUIET: &str = "ractor=warn,h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,reqwest=warn,rustls=warn,\
                     sqlx=warn,sea_orm=warn,sea_orm_migration=warn,opentelemetry=warn,opentelemetry_sdk=warn,\
                     opentelemetry_otlp=warn";

/// Reads `log_level`, behind the directives that keep libraries quiet.
pub(crate) fn log_filter(text: &str) -> Option<EnvFilter> {
    // A level that nobody knows would otherwise be taken for the name of a module, and silence all others.
    let known = text.split(',').all(|directive| directive.contains(['=', '[']) || is_level(directive));
    known.then(|| EnvFilter::try_new(format!("{QUIET},{text}")).ok()).flatten()
}

/// What no setting goes beyond: below info, libraries tell whatever passes through them, tokens, statements and mail among it. What is
/// ours tells none of that at any level, which the canary tests.
pub(crate) fn discreet() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target("bursar", LevelFilter::TRACE)
}

/// Reads `trace_filter`.
pub(crate) fn trace_filter(text: &str) -> Option<Targets> {
    text.parse().ok()
}

fn is_level(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    levels.iter().any(|level| level.eq_ignore_ascii_case(text.trim()))
}
