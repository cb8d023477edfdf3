//! The mail channel against a server written by others, its messages read by a mail package written by others.

use std::path::Path;
use std::process::Stdio;

use bursar::connectors::channels::mail::Mail;
use bursar::connectors::channels::mail::config::{MailConfig, MailCredentials};
use bursar::connectors::channels::{Channel as _, ChannelError, Destination, Notice, Receipt};
use bursar::connectors::secret::SecretRef;
use bursar::domain::ids::{EventId, TenantId};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::notification::v1::endpoint::Destination as ProtoDestination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::proto::notification::v1::{CreateEndpointRequest, Endpoint, MailDestination};
use chrono::DateTime;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use uuid::Uuid;

use crate::peers::PATIENCE;
use crate::small_house::{Folder, SmallHouse, a_boleto};

const USERNAME: &str = "peer-mailer";
const PASSWORD: &str = "peer mailer's pass phrase";
/// Everything that a header, a line and a page could stumble over.
const REFERENCE: &str = "São João <&> \"aspas\" 🧾\r\nBcc: x@peer.example";
/// A state that nobody knows is shown as it is.
const STATE: &str = "unknown\r\n.\r\nMAIL FROM:<x@peer.example>\r\n.";

/// The server as a process.
struct Peer {
    port: u16,
    folder: Folder,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    async fn start(once: &[&str]) -> Self {
        bursar::connectors::http::install_crypto_provider();
        let folder = Folder::new();
        let key = KeyPair::generate().expect("a key");
        let params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = params.self_signed(&key).expect("a certificate");
        for (name, text) in [("peer.pem", certificate.pem()), ("peer.key", key.serialize_pem())] {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/smtp_peer.py");
        let python = std::env::var("BURSAR_TEST_PYTHON").expect("the README's test command names it");
        let mut command = Command::new(python);
        command.arg(script).arg("--certificate").arg(folder.path().join("peer.pem"));
        command.arg("--key").arg(folder.path().join("peer.key"));
        command.args(["--username", USERNAME, "--password", PASSWORD]);
        command.args(once.iter().flat_map(|text| ["--once", *text]));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().expect("the server starts");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let mut peer = Self { port: 0, folder, child, lines };
        peer.port = u16::try_from(peer.next().await["port"].as_u64().expect("a port")).expect("a port");
        peer
    }

    /// The next message that came whole.
    async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        let line = line.expect("a line that can be read").expect("the server lives");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    fn ca_file(&self) -> String {
        self.folder.path().join("peer.pem").display().to_string()
    }

    fn config(&self) -> MailConfig {
        let secret = |name: &str, value: &str| {
            SecretRef::parse(&self.folder.secret(name, value)).expect("a reference")
        };
        MailConfig {
            server: Some("127.0.0.1".to_owned().try_into().expect("a host")),
            port: self.port,
            ca_file: self.ca_file(),
            credentials: Some(MailCredentials {
                username: secret("username", USERNAME),
                password: secret("password", PASSWORD),
            }),
            from: Some("Loja São João <avisos@loja.example.com>".to_owned().try_into().expect("a mailbox")),
            ..MailConfig::default()
        }
    }

    async fn stop(mut self) {
        timeout(PATIENCE, self.child.kill()).await.expect("it ends").expect("it was ours to end");
    }
}

async fn send(mail: &Mail, language: &str, number: u128) -> Result<Receipt, ChannelError> {
    let tenant = TenantId::default();
    let body = json!({ "boleto_id": "b1", "status": STATE, "reference_id": REFERENCE }).to_string();
    let notice = Notice {
        tenant: &tenant,
        event_id: EventId(Uuid::from_u128(number)),
        event_type: "boleto.paid",
        subject: "b1",
        version: 3,
        occurred_at: DateTime::UNIX_EPOCH,
        body: &body,
        traceparent: None,
    };
    let destination =
        Destination::Mail { address: "owner@example.com".to_owned(), language: Some(language.to_owned()) };
    assert_eq!(mail.check(&tenant, &destination), []);
    mail.deliver(&destination, &[notice]).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_program_reads_what_was_sent_in_every_language() {
    let mut peer = Peer::start(&[]).await;
    let mail = Mail::new(peer.config());
    let titles =
        [("pt-BR", "Boleto pago"), ("es", "Boleto pagado"), ("en", "Boleto paid"), ("pl", "Boleto opłacone")];
    for (language, title) in titles {
        let receipt = send(&mail, language, 7).await.expect("taken");
        assert_eq!((receipt.status, receipt.provider_message_id.as_deref()), (Some(250), Some("PEER1")));
        let message = peer.next().await;
        assert_eq!((&message["defects"], &message["header_defects"]), (&json!([]), &json!([])), "{message}");
        assert_eq!(
            (&message["from"], &message["to"]),
            (&json!("avisos@loja.example.com"), &json!(["owner@example.com"]))
        );
        let counts = message["header_counts"].as_object().expect("counts");
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        let headers = &message["headers"];
        let id = Uuid::from_u128(7);
        assert_eq!(headers["message-id"], format!("<{id}@loja.example.com>"));
        assert_eq!(headers["bursar-event-id"], id.to_string());
        assert_eq!(headers["from"], "Loja São João <avisos@loja.example.com>");
        assert_eq!(
            (&headers["auto-submitted"], &headers["content-language"]),
            (&json!("auto-generated"), &json!(language))
        );
        let one_line = REFERENCE.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(headers["subject"], format!("{title} – {one_line}"));
        assert_eq!(message["date_is_read"], true);
        assert_eq!(
            (&message["kind"], &message["parts"]),
            (&json!("multipart/alternative"), &json!(["text/plain", "text/html"]))
        );
        let text = message["plain"].as_str().expect("a text").replace("\r\n", "\n");
        assert!(
            text.contains(&one_line) && text.contains(&STATE.replace("\r\n", "\n")) && text.contains(title),
            "{text}"
        );
        let page = message["html"].as_str().expect("a page");
        assert!(page.contains("São João &lt;&amp;&gt;") && page.contains(title), "{page}");
    }
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_says_decides_what_comes_next() {
    let script = [
        "content=451 4.3.0 try again later",
        "recipient=550 5.1.1 <owner@example.com> unknown",
        "content=cut",
    ];
    let mut peer = Peer::start(&script).await;
    let mail = Mail::new(peer.config());
    // A recipient is named before content comes, so that the second rule is used up first.
    let refused = send(&mail, "en", 1).await.expect_err("refused");
    assert_eq!(refused, ChannelError::Refused { reason: "550 5.1.1 <address> unknown".to_owned() });
    let later = send(&mail, "en", 2).await.expect_err("later");
    assert!(
        matches!(&later, ChannelError::Unavailable { reason, .. } if reason.starts_with("451 4.3.0")),
        "{later}"
    );
    let cut = send(&mail, "en", 2).await.expect_err("unknown");
    assert!(matches!(cut, ChannelError::OutcomeUnknown { .. }), "{cut}");
    send(&mail, "en", 2).await.expect("taken");
    let (mut first, mut second) = (peer.next().await, peer.next().await);
    for message in [&mut first, &mut second] {
        assert!(message["headers"].as_object_mut().expect("headers").remove("date").is_some());
    }
    assert_eq!(first, second, "the same message under the same Message-ID");
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_believed_and_does_not_believe_sends_nothing() {
    let peer = Peer::start(&[]).await;
    let other = SecretRef::parse(&peer.folder.secret("other", "somebody else's")).expect("a reference");
    let mut unknown = peer.config();
    unknown.credentials.as_mut().expect("credentials").password = other;
    let refused = send(&Mail::new(unknown), "en", 1).await.expect_err("refused");
    assert!(
        matches!(&refused, ChannelError::Misconfigured { reason } if reason.contains("535")),
        "{refused}"
    );
    let stranger = MailConfig { ca_file: String::new(), ..peer.config() };
    let refused = send(&Mail::new(stranger), "en", 1).await.expect_err("not believed");
    assert!(
        matches!(&refused, ChannelError::Misconfigured { reason } if reason.contains("TLS")),
        "{refused}"
    );
    let anonymous = MailConfig { credentials: None, ..peer.config() };
    let refused = send(&Mail::new(anonymous), "en", 1).await.expect_err("refused");
    assert!(
        matches!(&refused, ChannelError::Misconfigured { reason } if reason.contains("530")),
        "{refused}"
    );
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_writes_to_its_owner() {
    let mut peer = Peer::start(&["content=451 4.7.1 greylisted"]).await;
    let (username, password) = (peer.folder.secret("user", USERNAME), peer.folder.secret("pass", PASSWORD));
    let (port, ca_file) = (peer.port.to_string(), peer.ca_file());
    let house = SmallHouse::furnished(&[
        ("channels.mail.server", "127.0.0.1"),
        ("channels.mail.port", &port),
        ("channels.mail.ca_file", &ca_file),
        ("channels.mail.from", "Loja <avisos@loja.example.com>"),
        ("channels.mail.credentials.username", &username),
        ("channels.mail.credentials.password", &password),
    ])
    .await;
    let destination = MailDestination { address: "owner@example.com".to_owned(), language: "pl".to_owned() };
    let endpoint = Endpoint {
        destination: Some(ProtoDestination::Mail(destination)),
        event_types: vec!["boleto.*".to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    let made = NotificationServiceClient::new(house.channel.clone()).create_endpoint(request).await;
    made.expect("a subscription");
    let made = house.creates(a_boleto()).await;
    assert_eq!(made.status(), boleto::BoletoStatus::Registered);
    let message = peer.next().await;
    assert_eq!(message["headers"]["subject"], "Boleto zarejestrowane – pedido 7");
    assert_eq!(message["headers"]["bursar-subject"], made.id);
    let text = message["plain"].as_str().expect("a text");
    assert!(text.contains(&made.id) && text.contains("zarejestrowane"), "{text}");
    // Names, tax ids and addresses of payers are nobody's to read in a mail.
    assert!(!text.contains("Maria") && !text.contains("52998224725"), "{text}");
    house.close().await;
    peer.stop().await;
}
