//! How spans and metrics leave for a collector: OTLP, over gRPC or over HTTP with protobuf.
//!
//! **Owns** the connection to the collector. **Fails** at start, for an address that is none; later a collector that is away or
//! hangs costs what it would have been told, and nobody else's time: exporters have threads of their own.
//! **Limits**: `telemetry.export_timeout` for an export.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use tokio::runtime::Handle;

use super::TelemetryError;
use super::config::{OtlpProtocol, TelemetryConfig};

/// The exporter of spans to this address.
pub(super) fn spans(config: &TelemetryConfig, endpoint: &str) -> Result<SpanExporter, TelemetryError> {
    let builder = SpanExporter::builder();
    Ok(match config.otlp_protocol {
        OtlpProtocol::Grpc => {
            builder.with_tonic().with_endpoint(endpoint).with_timeout(config.export_timeout).build()?
        }
        OtlpProtocol::Http => builder
            .with_http()
            .with_http_client(CollectorClient::new(config.export_timeout)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(endpoint, "v1/traces"))
            .with_timeout(config.export_timeout)
            .build()?,
    })
}

/// The exporter of metrics to this address.
pub(super) fn metrics(config: &TelemetryConfig, endpoint: &str) -> Result<MetricExporter, TelemetryError> {
    let builder = MetricExporter::builder();
    Ok(match config.otlp_protocol {
        OtlpProtocol::Grpc => {
            builder.with_tonic().with_endpoint(endpoint).with_timeout(config.export_timeout).build()?
        }
        OtlpProtocol::Http => builder
            .with_http()
            .with_http_client(CollectorClient::new(config.export_timeout)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(endpoint, "v1/metrics"))
            .with_timeout(config.export_timeout)
            .build()?,
    })
}

fn url(endpoint: &str, path: &str) -> String {
    format!("{}/{path}", endpoint.trim_end_matches('/'))
}

/// A client whose requests run where the process's runtime is: exporters ask it from threads that have none.
#[derive(Debug, Clone)]
struct CollectorClient {
    client: reqwest::Client,
    runtime: Handle,
}

impl CollectorClient {
    fn new(timeout: Duration) -> Result<Self, TelemetryError> {
        // The error says that a provider is installed already, which is all that is asked for.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(timeout);
        let client = builder.redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| TelemetryError::Client(error.to_string()))?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

#[async_trait::async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let url = reqwest::Url::parse(&parts.uri.to_string())?;
            let asked = client.request(parts.method, url).headers(parts.headers).body(body);
            let answer = asked.send().await?;
            let status = answer.status();
            let mut response = http::Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            Ok::<_, HttpError>(response)
        });
        sent.await?
    }
}
