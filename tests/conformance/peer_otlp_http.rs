//! A collector that speaks OTLP over HTTP gets traces and metrics; one that hangs costs nobody anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use bursar::proto::boleto::v1::CreateBoletoRequest;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;

use crate::peers::PATIENCE;
use crate::small_house::{Outside, ServedHouse, a_boleto};

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

impl Collector {
    async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/metrics", post(take_metrics))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    fn span_names(&self) -> Vec<String> {
        let exports = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = exports.iter().flat_map(|export| &export.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.map(|span| span.name.clone()).collect()
    }

    fn metric_names(&self) -> Vec<String> {
        let exports = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = exports.iter().flat_map(|export| &export.resource_metrics);
        let metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }
}

async fn take_spans(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(export) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    collector.spans.lock().unwrap_or_else(PoisonError::into_inner).push(export);
    StatusCode::OK
}

async fn take_metrics(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(export) = ExportMetricsServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    collector.metrics.lock().unwrap_or_else(PoisonError::into_inner).push(export);
    StatusCode::OK
}

fn told_to_nobody() -> CreateBoletoRequest {
    CreateBoletoRequest { notification_opt_out: true, ..a_boleto() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_and_metrics_go_over_http() {
    let collector = Collector::default();
    let endpoint = collector.open().await;
    let outside = Outside::open().await;
    let settings = [
        ("telemetry.otlp_endpoint", endpoint.as_str()),
        ("telemetry.otlp_protocol", "http"),
        ("metrics.otlp", "true"),
        ("metrics.export_interval", "1s"),
    ];
    let house = ServedHouse::furnished(&outside, &settings).await;
    let answer = BoletoServiceClient::new(house.channel.clone()).create_boleto(told_to_nobody()).await;
    let made = answer.expect("an answer").into_inner().boleto.expect("a boleto");
    house.close().await;

    let spans = collector.span_names();
    let call = "bursar.boleto.v1.BoletoService/CreateBoleto";
    assert!(spans.iter().any(|name| name == call), "{spans:?}");
    let metrics = collector.metric_names();
    // What is recorded, and what is looked at.
    let expected =
        ["rpc.server.duration", "http.client.request.duration", "bursar_ready", "process_open_fds"];
    for name in expected {
        assert!(metrics.iter().any(|there| there == name), "no {name} in {metrics:?}");
    }
    let told = format!("{:?}", collector.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    for secret in [made.id.as_str(), &made.nosso_numero, "Maria Exemplo", "127.0.0.1"] {
        assert!(!told.contains(secret), "{secret} stands in: {told}");
    }
    outside.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_changes_nothing_else() {
    for (scheme, protocol) in [("http", "grpc"), ("http", "http"), ("https", "grpc"), ("https", "http")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        tokio::spawn(async move {
            // Taken in, kept open, never answered.
            while let Ok((stream, _)) = listener.accept().await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            }
        });
        let outside = Outside::open().await;
        let settings = [
            ("telemetry.otlp_endpoint", endpoint.as_str()),
            ("telemetry.otlp_protocol", protocol),
            ("telemetry.export_interval", "20ms"),
            ("telemetry.export_timeout", "500ms"),
            ("telemetry.export_queue_max", "16"),
            ("telemetry.export_batch_max", "8"),
            ("telemetry.shutdown_timeout", "500ms"),
            ("metrics.otlp", "true"),
            ("metrics.export_interval", "1s"),
        ];
        let house = ServedHouse::furnished(&outside, &settings).await;
        let mut boletos = BoletoServiceClient::new(house.channel.clone());
        for number in 0..20 {
            let mut request = told_to_nobody();
            request.reference_id = format!("pedido {number}");
            let answer = boletos.create_boleto(request).await.expect("an answer").into_inner();
            assert!(answer.boleto.is_some());
        }
        drop(boletos);
        let closing = Instant::now();
        house.close().await;
        assert!(closing.elapsed() < PATIENCE, "{scheme}, {protocol}: {:?}", closing.elapsed());
        assert!(!taken.lock().unwrap_or_else(PoisonError::into_inner).is_empty(), "{protocol}: it was asked");
        outside.world.close().await;
    }
}
