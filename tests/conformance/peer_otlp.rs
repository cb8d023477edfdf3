//! Traces as a collector sees them: one trace from the caller over a retry to the owner, and nobody's data in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1::WatchTreeRequest;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::sandbox::Behaviour;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Status};

use crate::peers::PATIENCE;
use crate::small_house::{Outside, ServedHouse, a_boleto};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const CREATE_BOLETO: &str = "bursar.boleto.v1.BoletoService/CreateBoleto";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens, and returns where.
    async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let service = TraceServiceServer::new(self.clone());
        let incoming = TcpIncoming::from(listener);
        tokio::spawn(
            async move { Server::builder().add_service(service).serve_with_incoming(incoming).await },
        );
        endpoint
    }

    fn exports(&self) -> Vec<ExportTraceServiceRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.exports().into_iter().flat_map(|export| export.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// Stands before the bank and writes down which trace context came with each request.
#[derive(Clone)]
struct Doorman {
    bank: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<(Method, String)>>>,
}

impl Doorman {
    /// A doorman of the bank at this address, and the address at which he is found.
    async fn before(bank_url: &str) -> (Self, String) {
        let (bank, path) = bank_url.split_at(bank_url.find("/cobrancas").expect("the bank's own path"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let doorman = Self { bank: bank.to_owned(), client, seen: Arc::default() };
        let router = Router::new().fallback(pass).with_state(doorman.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (doorman, url)
    }

    fn seen(&self) -> Vec<(Method, String)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn pass(
    State(doorman): State<Doorman>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let context = headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seen = (method.clone(), context.to_owned());
    doorman.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    headers.remove("host");
    let request =
        doorman.client.request(method, format!("{}{uri}", doorman.bank)).headers(headers).body(body);
    let answer = request.send().await.expect("the bank answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute as text, empty where there is none.
fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// By which kind of error a span failed, empty where it did not.
#[track_caller]
fn failure(span: &Span) -> String {
    let kind = attribute(span, "error.type");
    let status = span.status.as_ref().expect("a status");
    assert_eq!(status.code() == SpanStatus::Error, !kind.is_empty(), "{span:#?}");
    assert_eq!(status.message, kind);
    kind
}

/// The spans of our trace by this name.
fn of_trace<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    let mut found: Vec<&Span> =
        spans.iter().filter(|span| hex(&span.trace_id) == TRACE && span.name == name).collect();
    found.sort_by_key(|span| span.start_time_unix_nano);
    found
}

#[track_caller]
fn only<'a>(found: &[&'a Span]) -> &'a Span {
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0]
}

/// A group of `verb` served this span, and says so by a link to it.
#[track_caller]
fn has_group(spans: &[Span], verb: &str, member: &Span) {
    let groups: Vec<&Span> =
        spans.iter().filter(|span| span.name == "store.group" && attribute(span, "verb") == verb).collect();
    let mut links = groups.iter().flat_map(|group| &group.links);
    let linked = links.any(|link| link.trace_id == member.trace_id && link.span_id == member.span_id);
    assert!(linked, "{} groups of {verb}, and none is linked to {}", groups.len(), member.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_caller_over_a_retry_to_the_owner() {
    let collector = Collector::default();
    let endpoint = collector.open().await;
    let outside = Outside::open().await;
    let (doorman, bank_url) = Doorman::before(&outside.world.addresses().bank_url).await;
    outside.world.script().bank_register(Behaviour::status(500));
    let settings = [
        ("telemetry.otlp_endpoint", endpoint.as_str()),
        ("telemetry.log_level", "debug"),
        ("banks.banco_do_brasil.api_url", bank_url.as_str()),
    ];
    let house = ServedHouse::furnished(&outside, &settings).await;

    let queue_url = outside.world.addresses().queue_url.clone();
    let asked = boleto::CreateBoletoRequest {
        queue_url: queue_url.clone(),
        token: "the token".to_owned(),
        ..a_boleto()
    };
    let mut request = Request::new(asked.clone());
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().expect("ASCII"));
    let answer = BoletoServiceClient::new(house.channel.clone()).create_boleto(request).await;
    let made = answer.expect("an answer").into_inner().boleto.expect("a boleto");
    let told = outside.world.wait_for_effects(|effects| effects.len() >= 2, PATIENCE).await;
    told.expect("registered, and its owner told");
    let log = house.close().await;

    let spans = collector.spans();
    let call = only(&of_trace(&spans, CREATE_BOLETO));
    assert_eq!(hex(&call.parent_span_id), CALLER);
    let told = ["rpc.system.name", "rpc.method", "rpc.response.status_code"].map(|key| attribute(call, key));
    assert_eq!(told, ["grpc", CREATE_BOLETO, "OK"]);
    has_group(&spans, "create_boletos", call);

    let attempts = of_trace(&spans, "boleto.register");
    let numbers: Vec<String> = attempts.iter().map(|span| attribute(span, "attempt")).collect();
    assert_eq!(numbers, ["1", "2"]);
    for attempt in &attempts {
        assert_eq!(attempt.parent_span_id, call.span_id);
        assert_eq!(attribute(attempt, "boleto_id"), made.id);
        has_group(&spans, "settle_registrations", attempt);
    }
    are_linked(&attempts);
    // The bank's 500 made the first attempt a failure, and the line that says so leads back to it.
    assert_eq!([failure(attempts[0]), failure(attempts[1])], ["attempt_failed", ""]);
    let line = log.iter().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["fields"]["message"] == "boleto left pending").then_some(line)
    });
    let line = line.expect("a line of the first attempt");
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &hex(&attempts[0].span_id).into()));
    let delivery = only(&of_trace(&spans, "notification.deliver"));
    assert_eq!(delivery.parent_span_id, call.span_id);
    has_group(&spans, "settle_deliveries", delivery);
    let sends: Vec<&Span> =
        spans.iter().filter(|span| !attribute(span, "messaging.system").is_empty()).collect();
    let send = only(&sends);
    assert_eq!(
        (send.parent_span_id.as_slice(), send.kind()),
        (delivery.span_id.as_slice(), SpanKind::Producer)
    );
    let queue = queue_url.rsplit('/').next().expect("the queue's name");
    assert_eq!(send.name, format!("send {queue}"));
    let keys = ["messaging.system", "messaging.operation.name", "messaging.destination.name"];
    assert_eq!(keys.map(|key| attribute(send, key)), ["aws_sqs", "send", queue]);

    went_along_with_every_request(&spans, &attempts, send, &doorman.seen());
    let messages = outside.world.messages();
    let carried: Vec<&str> =
        messages.iter().map(|message| message.attributes["traceparent"].as_str()).collect();
    assert_eq!(carried, [format!("00-{TRACE}-{}-01", hex(&call.span_id))]);
    tells_nothing_of_anybody(&format!("{:?}", collector.exports()), &asked, &made);
    tells_nothing_of_anybody(&log.join("\n"), &asked, &made);
    outside.world.close().await;
}

/// A delivery's span may be that of several, each with a trace and attempts of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_made_again_leads_to_the_one_before() {
    let collector = Collector::default();
    let endpoint = collector.open().await;
    let outside = Outside::open().await;
    outside.world.script().sqs(Behaviour::status(500));
    let house = ServedHouse::furnished(&outside, &[("telemetry.otlp_endpoint", endpoint.as_str())]).await;
    let queue_url = outside.world.addresses().queue_url.clone();
    let mut request = Request::new(boleto::CreateBoletoRequest { queue_url, ..a_boleto() });
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().expect("ASCII"));
    let answer = BoletoServiceClient::new(house.channel.clone()).create_boleto(request).await;
    answer.expect("an answer");
    let told = outside.world.wait_for_effects(|effects| effects.len() >= 2, PATIENCE).await;
    told.expect("registered, and its owner told");
    house.close().await;

    let spans = collector.spans();
    let deliveries = of_trace(&spans, "notification.deliver");
    assert_eq!(deliveries.len(), 2, "{deliveries:#?}");
    are_linked(&deliveries);
    outside.world.close().await;
}

/// Of traces that are not chosen, the attempt and the request that failed are told, and nothing of what went well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_told_of_traces_that_were_not_chosen() {
    let collector = Collector::default();
    let endpoint = collector.open().await;
    let outside = Outside::open().await;
    outside.world.script().bank_register(Behaviour::status(500));
    let settings = [("telemetry.otlp_endpoint", endpoint.as_str()), ("telemetry.sample_ratio", "0.0")];
    let house = ServedHouse::furnished(&outside, &settings).await;
    let queue_url = outside.world.addresses().queue_url.clone();
    let asked = boleto::CreateBoletoRequest { queue_url, ..a_boleto() };
    let answer = BoletoServiceClient::new(house.channel.clone()).create_boleto(asked).await;
    answer.expect("an answer");
    let told = outside.world.wait_for_effects(|effects| effects.len() >= 2, PATIENCE).await;
    told.expect("registered, and its owner told");
    house.close().await;

    let spans = collector.spans();
    let failed: Vec<(&str, String)> = spans.iter().map(|span| (span.name.as_str(), failure(span))).collect();
    assert!(failed.iter().all(|(_, kind)| !kind.is_empty()), "{failed:?}");
    let of = |name| failed.iter().filter(move |(span, _)| *span == name).map(|(_, kind)| kind.as_str());
    assert_eq!(of("boleto.register").collect::<Vec<_>>(), ["attempt_failed"], "{failed:?}");
    assert!(of("POST").any(|kind| kind == "500"), "{failed:?}");
    outside.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_span_of_a_stream_says_that_it_failed_long_after_it_began() {
    let collector = Collector::default();
    let endpoint = collector.open().await;
    let outside = Outside::open().await;
    let house = ServedHouse::furnished(&outside, &[("telemetry.otlp_endpoint", endpoint.as_str())]).await;
    let mut request = Request::new(WatchTreeRequest {});
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().expect("ASCII"));
    let watching = ControlServiceClient::new(house.channel.clone()).watch_tree(request).await;
    let mut stream = watching.expect("a stream").into_inner();
    stream.message().await.expect("no error yet").expect("a picture");
    let read_on = tokio::spawn(async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    });
    house.close().await;
    assert_eq!(read_on.await.expect("no panic"), Code::Unavailable);

    let spans = collector.spans();
    let call = only(&of_trace(&spans, "bursar.control.v1.ControlService/WatchTree"));
    assert_eq!(attribute(call, "rpc.response.status_code"), "UNAVAILABLE");
    assert_eq!(failure(call), "UNAVAILABLE");
    outside.world.close().await;
}

/// Each attempt has a link to the one before it, and the first has none.
#[track_caller]
fn are_linked(attempts: &[&Span]) {
    let linked = |span: &Span| -> Vec<String> { span.links.iter().map(|link| hex(&link.span_id)).collect() };
    let expected = attempts.iter().map(|span| vec![hex(&span.span_id)]);
    let expected: Vec<Vec<String>> =
        std::iter::once(Vec::new()).chain(expected).take(attempts.len()).collect();
    assert_eq!(attempts.iter().map(|span| linked(span)).collect::<Vec<_>>(), expected, "{attempts:#?}");
}

/// Each request that left the house has its span under the step that made it, and named that span to the other side.
fn went_along_with_every_request(
    spans: &[Span],
    attempts: &[&Span],
    send: &Span,
    at_the_bank: &[(Method, String)],
) {
    let requests: Vec<&Span> = [of_trace(spans, "GET"), of_trace(spans, "POST")].concat();
    for request in &requests {
        assert_eq!(attribute(request, "http.request.method"), request.name);
        let place = ["server.address", "url.scheme", "url.full"].map(|key| attribute(request, key));
        assert_eq!((place, request.kind()), (["127.0.0.1", "http", ""].map(str::to_owned), SpanKind::Client));
        assert!(attribute(request, "server.port").parse::<u16>().is_ok_and(|port| port > 0));
    }
    let under = |step: &Span, method: &str| {
        let ours = |span: &&&Span| span.parent_span_id == step.span_id && span.name == method;
        let found: Vec<&Span> = requests.iter().filter(ours).copied().collect();
        found.iter().map(|span| hex(&span.span_id)).collect::<Vec<_>>()
    };
    let failed: Vec<String> =
        requests.iter().map(|span| failure(span)).filter(|kind| !kind.is_empty()).collect();
    // The look-up that finds nothing, and the registration of which nobody knows what became of it.
    assert_eq!(failed, ["404", "500"], "{requests:#?}");
    // The first attempt signs in and registers; the second looks first, finds nothing, and registers.
    let named: BTreeSet<(Method, String)> = at_the_bank.iter().cloned().collect();
    assert_eq!(named.len(), 3, "{at_the_bank:?}");
    for (method, context) in &named {
        let steps: Vec<String> =
            attempts.iter().flat_map(|attempt| under(attempt, method.as_str())).collect();
        let told = steps.iter().map(|span_id| format!("00-{TRACE}-{span_id}-01"));
        assert!(told.into_iter().any(|told| told == *context), "{method} {context}: {requests:#?}");
    }
    assert_eq!(under(attempts[1], "GET").len(), 1, "the second attempt looked first: {requests:#?}");
    assert_eq!(under(send, "POST").len(), 1, "{requests:#?}");
}

/// Neither personal data nor what would let somebody pay, sign in or be told stands in a trace or a log.
fn tells_nothing_of_anybody(text: &str, asked: &boleto::CreateBoletoRequest, made: &boleto::Boleto) {
    assert!(text.contains(&made.id), "what is searched is what tells of this boleto");
    let payer = asked.payer.as_ref().expect("a payer");
    let address = payer.address.as_ref().expect("an address");
    let secrets = [
        payer.name.as_str(),
        payer.tax_id.as_str(),
        "529.982.247-25",
        address.street.as_str(),
        address.district.as_str(),
        address.postal_code.as_str(),
        asked.queue_url.as_str(),
        asked.token.as_str(),
        asked.reference_id.as_str(),
        made.nosso_numero.as_str(),
        made.barcode.as_str(),
        made.linha_digitavel.as_str(),
        "sandbox-secret",
        "sandbox-app-key",
        "Loja Exemplo",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} stands in: {text}");
    }
}
