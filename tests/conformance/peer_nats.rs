//! The NATS channel against a server written by others: what is stored, what is refused and why, and what becomes of a
//! message when the server goes away meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use bursar::connectors::channels::nats::Nats;
use bursar::connectors::channels::nats::config::{NatsConfig, NatsCredentials, NatsUrl};
use bursar::connectors::channels::{Channel as _, ChannelError, Destination, Notice, Receipt};
use bursar::connectors::secret::SecretRef;
use bursar::domain::ids::{EventId, TenantId};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use chrono::DateTime;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::nats::{NatsServer, Stored, stored};
use crate::peers::PATIENCE;
use crate::small_house::{Folder, SmallHouse, a_boleto};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BODY: &str = "{\"reference_id\":\"São João <&> \\\"aspas\\\"\",\n\t\"emoji\":\"🧾\"}";
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Outcome = Result<Receipt, ChannelError>;

fn settings(server: &NatsServer) -> NatsConfig {
    NatsConfig {
        servers: vec![NatsUrl::parse(&server.url()).expect("an address")],
        require_tls: false,
        reconnect_base: Duration::from_millis(10),
        reconnect_cap: Duration::from_millis(100),
        // Longer than any test waits: an answer that takes so long is a failure and is seen as one.
        ack_timeout: PATIENCE,
        ..NatsConfig::default()
    }
}

fn notice<'a>(tenant: &'a TenantId, number: u128, body: &'a str) -> Notice<'a> {
    Notice {
        tenant,
        event_id: EventId(Uuid::from_u128(number)),
        event_type: "boleto.registered",
        subject: "boleto",
        version: 2,
        occurred_at: DateTime::UNIX_EPOCH,
        body,
        traceparent: Some(TRACEPARENT),
    }
}

async fn send_to(nats: &Nats, subject: &str, numbers: &[u128], body: &str) -> Vec<Outcome> {
    let tenant = TenantId::default();
    let destination = Destination::Nats { subject: subject.to_owned() };
    assert_eq!(nats.check(&tenant, &destination), []);
    let notices: Vec<_> = numbers.iter().map(|number| notice(&tenant, *number, body)).collect();
    nats.deliver(&destination, &notices).await
}

async fn send(nats: &Nats, numbers: &[u128], body: &str) -> Vec<Outcome> {
    send_to(nats, "owners.acme", numbers, body).await
}

#[track_caller]
fn is_misconfigured(outcome: &Outcome) {
    assert!(matches!(outcome, Err(ChannelError::Misconfigured { .. })), "{outcome:?}");
}

#[track_caller]
fn is_unavailable(outcome: &Outcome) {
    assert!(matches!(outcome, Err(ChannelError::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_read_back_and_a_repetition_is_stored_once() {
    let server = NatsServer::start("").await;
    let stream = server.create_stream(Config::default()).await;
    let nats = Nats::new(settings(&server));
    let numbers: Vec<u128> = (1..=25).collect();
    for (place, outcome) in send(&nats, &numbers, BODY).await.into_iter().enumerate() {
        let receipt = outcome.expect("taken");
        assert_eq!(receipt.provider_message_id, Some(format!("OWNERS/{}", place + 1)), "in their order");
        assert_eq!((receipt.status, receipt.answer), (None, None));
    }
    // As after a crash between the stream's acknowledgement and ours.
    for (number, outcome) in [3, 25].into_iter().zip(send(&nats, &[3, 25], BODY).await) {
        let receipt = outcome.expect("taken again");
        assert_eq!(receipt.provider_message_id, Some(format!("OWNERS/{number}")));
        assert!(receipt.answer.expect("a word about it").contains("duplicate"));
    }
    let held = stored(&stream).await;
    let expected = numbers.iter().map(|number| Stored {
        subject: "owners.acme.boleto.registered".to_owned(),
        id: Uuid::from_u128(*number).to_string(),
        event_type: "boleto.registered".to_owned(),
        version: "2".to_owned(),
        traceparent: Some(TRACEPARENT.to_owned()),
        body: BODY.to_owned(),
    });
    assert_eq!(held, expected.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_does_not_take_says_what_is_to_be_done() {
    let server = NatsServer::start("max_payload: 4096").await;
    let nats = Nats::new(settings(&server));
    is_misconfigured(&send(&nats, &[1], BODY).await[0]);

    let limits =
        Config { max_messages: 1, max_message_size: 1024, discard: DiscardPolicy::New, ..Config::default() };
    let stream = server.create_stream(limits).await;
    for length in [2_000, 5_000] {
        let outcome = &send(&nats, &[1], &"7".repeat(length)).await[0];
        assert!(matches!(outcome, Err(ChannelError::Refused { .. })), "{length}: {outcome:?}");
    }
    let outcomes = send(&nats, &[1, 2], BODY).await;
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    is_unavailable(&outcomes[1]);
    let Err(ChannelError::Unavailable { reason, .. }) = &outcomes[1] else { panic!("asked above") };
    assert!(reason.contains("maximum messages exceeded"), "{reason}");
    assert_eq!(stored(&stream).await.len(), 1);
    is_misconfigured(&send_to(&nats, "nobody.listens", &[3], BODY).await[0]);
}

/// Sends until it is taken: what the channel says meanwhile must be that nothing was sent.
async fn taken_at_last(nats: &Nats, number: u128) -> Receipt {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        match send(nats, &[number], BODY).await.remove(0) {
            Ok(receipt) => return receipt,
            outcome => is_unavailable(&outcome),
        }
        assert!(Instant::now() < deadline, "not taken within {PATIENCE:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_found_again_with_what_it_had() {
    let mut server = NatsServer::start("").await;
    server.create_stream(Config::default()).await;
    let nats = Nats::new(settings(&server));
    assert!(send(&nats, &[1], BODY).await[0].is_ok());
    server.go_down().await;
    let deadline = Instant::now() + PATIENCE;
    // The end of the connection is heard a moment later; what is sent until then may have arrived.
    while let Err(ChannelError::OutcomeUnknown { .. }) = send(&nats, &[2], BODY).await[0] {
        assert!(Instant::now() < deadline, "the connection's end is not noticed");
    }
    is_unavailable(&send(&nats, &[2], BODY).await[0]);

    server.come_up().await;
    taken_at_last(&nats, 2).await;
    let again = taken_at_last(&nats, 1).await;
    assert!(again.answer.is_some(), "the stream remembers across the restart: {again:?}");
    let stream = server.client().await.get_stream("OWNERS").await.expect("the stream");
    assert_eq!(stored(&stream).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_sign_in_or_publish_is_told_to_put_it_right() {
    let key = nkeys::KeyPair::new_user();
    let users = format!(
        "authorization {{ users = [
            {{ user: \"bursar\", password: \"let me in\", permissions: {{ publish: \"owners.>\", subscribe: \"_INBOX.>\" }} }}
            {{ user: \"deaf\", password: \"let me in\", permissions: {{ publish: \">\", subscribe: \"nothing\" }} }}
            {{ nkey: \"{}\" }}
        ] }}",
        key.public_key()
    );
    let server = NatsServer::start(&users).await;
    let secret = |name: &str, text: &str| {
        Some(SecretRef::parse(&server.folder.secret(name, text)).expect("a reference"))
    };
    let password = || secret("password", "let me in");
    let as_who = |credentials: NatsCredentials| Nats::new(NatsConfig { credentials, ..settings(&server) });

    let seed = secret("seed", &key.seed().expect("a seed"));
    let by_key = as_who(NatsCredentials { nkey_seed: seed, ..NatsCredentials::default() });
    is_misconfigured(&send(&by_key, &[1], BODY).await[0]);
    // Who may make streams is somebody else than who may only publish.
    let options = async_nats::ConnectOptions::with_nkey(key.seed().expect("a seed"));
    let operator = options.connect(server.url()).await.expect("an operator");
    let subjects = vec!["owners.>".to_owned(), "others.>".to_owned()];
    let config = Config { name: "OWNERS".to_owned(), subjects, ..Config::default() };
    async_nats::jetstream::new(operator).create_stream(config).await.expect("a stream");
    assert!(send(&by_key, &[1], BODY).await[0].is_ok());

    let user = || secret("user", "bursar");
    let good = as_who(NatsCredentials { user: user(), password: password(), ..NatsCredentials::default() });
    assert!(send(&good, &[2], BODY).await[0].is_ok());
    // The server's complaint is heard: nobody waits for an acknowledgement that cannot come.
    is_misconfigured(&send_to(&good, "others.acme", &[3], BODY).await[0]);
    assert!(send(&good, &[4], BODY).await[0].is_ok(), "one subject's trouble is no other's");

    let deaf = NatsCredentials { user: secret("deaf", "deaf"), password: password(), ..Default::default() };
    is_misconfigured(&send(&as_who(deaf), &[5], BODY).await[0]);
    let wrong = secret("wrong", "let me out");
    for credentials in [
        NatsCredentials { user: user(), password: wrong.clone(), ..Default::default() },
        NatsCredentials { token: wrong.clone(), ..Default::default() },
        NatsCredentials { nkey_seed: wrong.clone(), ..Default::default() },
        NatsCredentials { creds: wrong, ..Default::default() },
        NatsCredentials::default(),
    ] {
        is_misconfigured(&send(&as_who(credentials), &[6], BODY).await[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_rotated_counts_from_the_next_connection_on() {
    let mut server = NatsServer::start("authorization { token: \"this year's\" }").await;
    let reference = server.folder.secret("token", "last year's");
    let token = Some(SecretRef::parse(&reference).expect("a reference"));
    let credentials = NatsCredentials { token, ..NatsCredentials::default() };
    let nats = Nats::new(NatsConfig { credentials, ..settings(&server) });
    is_misconfigured(&send(&nats, &[1], BODY).await[0]);
    server.folder.secret("token", "this year's");
    let options = async_nats::ConnectOptions::with_token("this year's".to_owned());
    let operator = options.connect(server.url()).await.expect("an operator");
    let config =
        Config { name: "OWNERS".to_owned(), subjects: vec!["owners.>".to_owned()], ..Config::default() };
    async_nats::jetstream::new(operator).create_stream(config).await.expect("a stream");
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while let Err(error) = &send(&nats, &[1], BODY).await[0] {
        // Until the wait after the failure is over, its reason is everybody's answer.
        assert!(
            matches!(error, ChannelError::Misconfigured { .. }) && Instant::now() < deadline,
            "{error:?}"
        );
        ticks.tick().await;
    }
    server.go_down().await;
}

/// Certificates of an authority of the test's own, as files.
struct Certificates {
    authority: PathBuf,
    other_authority: PathBuf,
    client: PathBuf,
    client_key: PathBuf,
}

impl Certificates {
    /// Writes them into the folder, the server's own beside them.
    fn write(folder: &Folder) -> Self {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let authority = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
        };
        let (own, other) = (authority(), authority());
        let signed = |purpose: ExtendedKeyUsagePurpose| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
            params.extended_key_usages = vec![purpose];
            let certificate = params.signed_by(&key, &own).expect("a certificate");
            (certificate.pem(), key.serialize_pem())
        };
        let (server, server_key) = signed(ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = signed(ExtendedKeyUsagePurpose::ClientAuth);
        file("server.pem", &server);
        file("server.key", &server_key);
        Self {
            authority: file("authority.pem", &own.pem()),
            other_authority: file("other.pem", &other.pem()),
            client: file("client.pem", &client),
            client_key: file("client.key", &client_key),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_of_a_connection_behind_tls_show_who_they_are() {
    let folder = Folder::new();
    let files = Certificates::write(&folder);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        at("server.pem"),
        at("server.key"),
        at("authority.pem")
    );
    let server = NatsServer::start_in(folder, &tls).await;
    let text = |path: &PathBuf| path.display().to_string();
    let good = NatsConfig {
        require_tls: true,
        ca_file: text(&files.authority),
        certificate_file: text(&files.client),
        private_key_file: text(&files.client_key),
        ..settings(&server)
    };
    let nats = Nats::new(good.clone());
    // Signed in: what is missing is a stream.
    let Err(ChannelError::Misconfigured { reason }) = &send(&nats, &[1], BODY).await[0] else {
        panic!("there is no stream")
    };
    assert!(reason.contains("no stream"), "{reason}");
    let options = async_nats::ConnectOptions::new()
        .add_root_certificates(files.authority.clone())
        .add_client_certificate(files.client.clone(), files.client_key.clone());
    let operator = options.connect(server.url()).await.expect("an operator");
    let config =
        Config { name: "OWNERS".to_owned(), subjects: vec!["owners.>".to_owned()], ..Config::default() };
    async_nats::jetstream::new(operator).create_stream(config).await.expect("a stream");
    assert!(send(&nats, &[1], BODY).await[0].is_ok());

    let stranger = NatsConfig { ca_file: text(&files.other_authority), ..good.clone() };
    let nameless =
        NatsConfig { certificate_file: String::new(), private_key_file: String::new(), ..good.clone() };
    for config in [stranger, nameless] {
        is_misconfigured(&send(&Nats::new(config), &[2], BODY).await[0]);
    }
    let plain = NatsServer::start("").await;
    let config = NatsConfig { servers: settings(&plain).servers, ..good };
    is_misconfigured(&send(&Nats::new(config), &[2], BODY).await[0]);
}

async fn subscribe(house: &SmallHouse, subject: &str) {
    let destination = notification::NatsDestination { subject: subject.to_owned() };
    let endpoint = notification::Endpoint {
        destination: Some(notification::endpoint::Destination::Nats(destination)),
        event_types: vec!["boleto.*".to_owned()],
        ..notification::Endpoint::default()
    };
    let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
    NotificationServiceClient::new(house.channel.clone())
        .create_endpoint(request)
        .await
        .expect("a subscription");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_opens_without_its_server_and_tells_it_everything_later() {
    let mut server = NatsServer::start("").await;
    let stream = server.create_stream(Config::default()).await;
    drop(stream);
    server.go_down().await;
    let servers = serde_json::json!([server.url()]).to_string();
    let house = SmallHouse::furnished(&[
        ("channels.nats.servers", &servers),
        ("channels.nats.require_tls", "false"),
        ("channels.nats.reconnect_base", "10ms"),
        ("channels.nats.reconnect_cap", "100ms"),
        ("notification.retry_cap", "200ms"),
        ("notification.attempts_max", "1000"),
    ])
    .await;
    subscribe(&house, "owners.acme").await;
    let made = house.creates(a_boleto()).await;
    assert_eq!(made.status(), boleto::BoletoStatus::Registered);

    server.come_up().await;
    let stream = server.client().await.get_stream("OWNERS").await.expect("the stream");
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while stored(&stream).await.is_empty() {
        ticks.tick().await;
        assert!(Instant::now() < deadline, "nothing was told within {PATIENCE:?}");
    }
    let held = stored(&stream).await;
    let body: Value = serde_json::from_str(&held[0].body).expect("JSON");
    assert_eq!(
        (body["boleto_id"].as_str(), body["status"].as_str()),
        (Some(made.id.as_str()), Some("registered"))
    );
    assert_eq!(body["event_id"], held[0].id);
    assert_eq!((held[0].subject.as_str(), held.len()), ("owners.acme.boleto.registered", 1));
    house.close().await;
}
