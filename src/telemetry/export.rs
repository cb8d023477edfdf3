//! How spans and metrics leave for a collector: OTLP, over gRPC or over HTTP with protobuf, with or without TLS.
//!
//! What is to go along with every export, such as a key of the collector's, is said as OpenTelemetry says it: `KEY=VALUE,…` in
//! `OTEL_EXPORTER_OTLP_HEADERS`, or one of its variables for traces or metrics alone. It is read by the exporters, and logged nowhere.
//!
//! **Owns** the connection to the collector. **Fails** at start, for an address that is none or authorities that cannot be read; later
//! a collector that is away or hangs costs what it would have been told, and nobody else's time: exporters have threads of their own.
//! **Limits**: `telemetry.export_timeout` for an export.

use bytes::Bytes;
use http::Uri;
use http::uri::Scheme;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};

use super::TelemetryError;
use super::config::{OtlpProtocol, TelemetryConfig};
use crate::tls::{self, Connector};

/// The exporter of spans to this address.
pub(super) fn spans(config: &TelemetryConfig, endpoint: &str) -> Result<SpanExporter, TelemetryError> {
    let builder = SpanExporter::builder();
    Ok(match config.otlp_protocol {
        OtlpProtocol::Grpc => builder
            .with_tonic()
            .with_channel(channel(config, endpoint)?)
            .with_timeout(config.export_timeout)
            .build()?,
        OtlpProtocol::Http => builder
            .with_http()
            .with_http_client(CollectorClient::new(config, endpoint)?)
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
        OtlpProtocol::Grpc => builder
            .with_tonic()
            .with_channel(channel(config, endpoint)?)
            .with_timeout(config.export_timeout)
            .build()?,
        OtlpProtocol::Http => builder
            .with_http()
            .with_http_client(CollectorClient::new(config, endpoint)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(endpoint, "v1/metrics"))
            .with_timeout(config.export_timeout)
            .build()?,
    })
}

/// A connection that is made with the first export, and again with the next whenever it is lost.
fn channel(config: &TelemetryConfig, endpoint: &str) -> Result<Channel, TelemetryError> {
    let rules = rules(config, endpoint)?;
    let endpoint = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|error| TelemetryError::Client(error.to_string()))?
        .timeout(config.export_timeout)
        .connect_timeout(config.export_timeout);
    Ok(match rules {
        Some(rules) => endpoint.connect_with_connector_lazy(Connector::new(rules)),
        None => endpoint.connect_lazy(),
    })
}

/// Whom we believe to be the collector; none where it is spoken to in plain text.
fn rules(config: &TelemetryConfig, endpoint: &str) -> Result<Option<ClientConfig>, TelemetryError> {
    let is_plain = endpoint.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP));
    let rules = (!is_plain).then(|| tls::client(&config.otlp_ca_file)).transpose();
    rules.map_err(|error| TelemetryError::Client(error.to_string()))
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
    fn new(config: &TelemetryConfig, endpoint: &str) -> Result<Self, TelemetryError> {
        let builder = reqwest::Client::builder().no_proxy().timeout(config.export_timeout);
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let builder = match rules(config, endpoint)? {
            Some(rules) => builder.tls_backend_preconfigured(rules),
            None => {
                // The error says that a provider is installed already, which is all that is asked for.
                let _ = rustls::crypto::ring::default_provider().install_default();
                // Believes nobody, and so reads nothing of whom the platform trusts.
                builder.tls_certs_only([])
            }
        };
        let client = builder.build().map_err(|error| TelemetryError::Client(error.to_string()))?;
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
