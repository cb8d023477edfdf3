//! Limits and deadlines of the one HTTP client, and what its errors say about whether bytes left.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::connectors::egress::{EgressConfig, LookUp};
use crate::connectors::scripted::{Reply, Scripted, hanging_up, nobody, reply, reply_with};

fn client() -> HttpClient {
    let config = HttpConfig { body_max_bytes: 64, ..HttpConfig::default() };
    HttpClient::trusted(&config).unwrap()
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

#[tokio::test]
async fn only_a_failure_to_connect_means_that_nothing_was_sent() {
    let refused = client().send(get(&format!("http://{}/", nobody().await))).await.unwrap_err();
    assert!(matches!(refused, HttpError::Connect { .. }), "{refused}");
    assert!(!refused.may_have_been_sent());

    let unknown_name = client().send(get("http://no-such-host.invalid/?key=s3cret")).await.unwrap_err();
    assert!(!unknown_name.may_have_been_sent(), "{unknown_name}");
    assert!(!format!("{unknown_name} {unknown_name:?}").contains("s3cret"));

    let plain = Scripted::start(|_| reply(200, "")).await;
    let no_tls = client().send(get(&format!("https://{}/", plain.address))).await.unwrap_err();
    assert!(matches!(no_tls, HttpError::Connect { .. }), "{no_tls}");

    let broken = client().send(get(&format!("http://{}/", hanging_up().await))).await.unwrap_err();
    assert!(matches!(broken, HttpError::Reset { .. }), "{broken}");
    assert!(broken.may_have_been_sent());
}

#[tokio::test]
async fn a_silent_server_meets_the_deadline() {
    let server = Scripted::start(|_| Reply::Hang).await;
    let mut request = get(&server.url("/"));
    request.timeout = Some(Duration::from_millis(30));
    let error = client().send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error}");
    assert!(error.may_have_been_sent());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Scripted::start(|_| reply(200, "")).await;
    let location = target.url("/");
    let server = Scripted::start(move |_| reply_with(302, "location", location.clone())).await;
    let answer = client().send(get(&server.url("/"))).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_long_body_is_refused_or_cut() {
    let server = Scripted::start(|_| reply(200, "x".repeat(65))).await;
    let error = client().send(get(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::BodyTooLarge { status: 200, limit_bytes: 64 }), "{error}");
    let mut request = get(&server.url("/"));
    request.body_limit = BodyLimit::Cut(10);
    assert_eq!(client().send(request).await.unwrap().body.len(), 10);
}

#[tokio::test]
async fn a_vetted_client_asks_the_policy_before_it_connects() {
    let server = Scripted::start(|_| reply(200, "")).await;
    let open = EgressConfig {
        schemes: vec!["http".into()],
        hosts: vec!["*".into()],
        ports: Vec::new(),
        ..EgressConfig::default()
    };
    let strict = EgressPolicy::new(open.clone());
    let vetted = HttpClient::vetted(&HttpConfig::default(), strict.clone()).unwrap();
    let error = vetted.send(get(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Forbidden(EgressError::Address(_))), "{error}");

    // A name that passes as a name and then resolves to loopback is stopped by the resolver.
    let mut unguarded = HttpClient::vetted(&HttpConfig::default(), strict).unwrap();
    unguarded.policy = None;
    let by_name = format!("http://localhost:{}/", server.address.port());
    let error = unguarded.send(get(&by_name)).await.unwrap_err();
    assert!(matches!(error, HttpError::Forbidden(EgressError::Address(_))), "{error}");
    assert!(server.seen().is_empty());

    let sandbox = EgressPolicy::new(EgressConfig { allow_loopback: true, ..open });
    let allowed = HttpClient::vetted(&HttpConfig::default(), sandbox).unwrap();
    assert_eq!(allowed.send(get(&by_name)).await.unwrap().status, 200);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let server = Scripted::start(|_| reply_with(200, "connection", "close")).await;
    let policy = EgressPolicy::new(EgressConfig {
        schemes: vec!["http".into()],
        ports: Vec::new(),
        allow_loopback: true,
        ..EgressConfig::default()
    });
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Good once, beside an address that nobody may reach; bad from then on.
    let look_up: LookUp = Arc::new(move |_| {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let found: Vec<_> =
            if first { vec!["169.254.169.254:0", "127.0.0.1:0"] } else { vec!["169.254.169.254:0"] }
                .into_iter()
                .map(|text| text.parse().unwrap())
                .collect();
        Box::pin(async move { Ok(found) })
    });
    let mut client = HttpClient::vetted(&HttpConfig::default(), policy.clone()).unwrap();
    let resolver = VettingResolver::with(policy.clone(), look_up);
    client = client.with(HttpClient::builder(&client.config, Some(&policy)).dns_resolver(resolver)).unwrap();
    let url = format!("http://rebinding.example:{}/", server.address.port());
    assert_eq!(client.send(get(&url)).await.unwrap().status, 200);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1, "what was vetted was connected to");
    let error = client.send(get(&url)).await.unwrap_err();
    assert!(matches!(error, HttpError::Forbidden(EgressError::Address(_))), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_trace_goes_along() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let server = Scripted::start(|_| reply(200, "")).await;
    let client = client();

    let span = tracing::info_span!("caller");
    let trace_id = {
        use opentelemetry::trace::TraceContextExt;
        use tracing_opentelemetry::OpenTelemetrySpanExt;
        span.context().span().span_context().trace_id().to_string()
    };
    client.send(get(&server.url("/"))).instrument(span).await.unwrap();
    let mut carried = get(&server.url("/"));
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    carried.headers.insert("traceparent", own.parse().unwrap());
    client.send(carried).await.unwrap();

    let seen = server.seen();
    let parts: Vec<&str> = seen[0].header("traceparent").split('-').collect();
    assert_eq!(parts[1], trace_id);
    assert_eq!(seen[1].header("traceparent"), own);
    assert_eq!(seen[0].header("baggage"), "");
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().to_utc();
    let wait = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        Answer { status: StatusCode::TOO_MANY_REQUESTS, headers, body: Bytes::new() }.retry_after(now)
    };
    assert_eq!(wait("7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("Sun, 01 Mar 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
    assert_eq!(wait("Sun, 01 Mar 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait("99999999999"), Some(Duration::from_hours(24)));
    assert_eq!(wait("soon"), None);
}

#[test]
fn a_form_is_escaped() {
    assert_eq!(&form(&[("scope", "a.b c"), ("x", "&=")])[..], b"scope=a.b+c&x=%26%3D");
}

#[test]
fn a_configured_address_is_joined_by_segments() {
    for base in ["https://api.example/v2", "https://api.example/v2/"] {
        let url = HttpUrl::parse(base).unwrap();
        assert_eq!(url.join(&["boletos", "0/1"]).as_str(), "https://api.example/v2/boletos/0%2F1");
    }
    for bad in ["", "api.example", "ftp://api.example", "https://user@api.example/"] {
        assert!(HttpUrl::parse(bad).is_err(), "{bad}");
    }
}
