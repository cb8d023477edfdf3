//! Collectors behind TLS, by others: grpcio's server and Python's HTTP server. They get spans and metrics, with what they want to be
//! shown, from a house that believes them, and nothing from one that does not.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::proto::boleto::v1::CreateBoletoRequest;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::peers::PATIENCE;
use crate::small_house::{Folder, Outside, ServedHouse, a_boleto};

const HEADER: &str = "x-shown-to-the-collector";
const SHOWN: &str = "this house";

/// An export that came.
struct Export {
    path: String,
    shown: String,
    message: Vec<u8>,
}

/// Both collectors, as a process.
struct Peer {
    folder: Folder,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ports: Value,
}

impl Peer {
    async fn start() -> Self {
        let folder = Folder::new();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        for (name, text) in [("peer.pem", certificate.pem()), ("peer.key", key.serialize_pem())] {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/otlp_peer.py");
        let python = std::env::var("BURSAR_TEST_PYTHON").expect("the README's test command names it");
        let mut command = Command::new(python);
        command.arg(script).arg("--certificate").arg(folder.path().join("peer.pem"));
        command.arg("--key").arg(folder.path().join("peer.key")).args(["--header", HEADER]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().expect("the collectors start");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let mut peer = Self { folder, child, lines, ports: Value::Null };
        peer.ports = peer.next().await;
        peer
    }

    async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        let line = line.expect("a line that can be read").expect("the collectors live");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    fn endpoint(&self, protocol: &str) -> String {
        format!("https://localhost:{}", self.ports[protocol])
    }

    fn ca_file(&self) -> String {
        self.folder.path().join("peer.pem").display().to_string()
    }

    /// Ends them, and returns what has come by this way.
    async fn exports(mut self, protocol: &str) -> Vec<Export> {
        drop(self.child.stdin.take());
        let mut found = Vec::new();
        loop {
            let line = self.next().await;
            if line["ended"] == true {
                break;
            }
            assert_eq!(line["way"], protocol, "{line}");
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let message = STANDARD.decode(text("message")).expect("base64");
            found.push(Export { path: text("path"), shown: text("shown"), message });
        }
        assert!(self.child.wait().await.expect("it was ours").success());
        found
    }
}

/// A house makes a boleto, tells of it at this address, and closes.
async fn a_boleto_is_made(endpoint: &str, protocol: &str, ca_file: &str) {
    let outside = Outside::open().await;
    let settings = [
        ("telemetry.otlp_endpoint", endpoint),
        ("telemetry.otlp_protocol", protocol),
        ("telemetry.otlp_ca_file", ca_file),
        ("metrics.otlp", "true"),
        ("metrics.export_interval", "1s"),
    ];
    let headers = format!("{HEADER}={SHOWN}");
    let variables = [("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str())];
    let house = ServedHouse::furnished_with(&outside, &settings, &variables).await;
    let request = CreateBoletoRequest { notification_opt_out: true, ..a_boleto() };
    let answer = BoletoServiceClient::new(house.channel.clone()).create_boleto(request).await;
    assert!(answer.expect("an answer").into_inner().boleto.is_some());
    let lines = house.close().await;
    assert!(!lines.iter().any(|line| line.contains(SHOWN)), "what is shown stands in the log: {lines:?}");
    outside.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_and_metrics_go_over_tls_with_what_the_collector_wants_to_be_shown() {
    let paths = [
        (
            "grpc",
            [
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            ],
        ),
        ("http", ["/v1/traces", "/v1/metrics"]),
    ];
    for (protocol, [traces, metrics]) in paths {
        let peer = Peer::start().await;
        a_boleto_is_made(&peer.endpoint(protocol), protocol, &peer.ca_file()).await;
        let exports = peer.exports(protocol).await;
        assert!(exports.iter().all(|export| export.shown == SHOWN), "{protocol}: shown with each of them");
        assert!(exports.iter().any(|export| export.path == metrics), "{protocol}: metrics");
        let spans = exports.iter().filter(|export| export.path == traces);
        let spans = spans.flat_map(|export| {
            let export = ExportTraceServiceRequest::decode(export.message.as_slice()).expect("spans");
            let scopes = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect::<Vec<_>>()
        });
        let call = "bursar.boleto.v1.BoletoService/CreateBoleto";
        assert!(spans.into_iter().any(|name| name == call), "{protocol}: the span of the call");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_nobody_vouches_for_is_told_nothing() {
    for protocol in ["grpc", "http"] {
        let peer = Peer::start().await;
        a_boleto_is_made(&peer.endpoint(protocol), protocol, "").await;
        assert_eq!(peer.exports(protocol).await.len(), 0, "{protocol}");
    }
}
