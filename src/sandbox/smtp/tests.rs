//! The mail server as a sender meets it: what it wants in which order, what it lets through, and how it can be told to
//! misbehave.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{MAIL_PASSWORD, MAIL_USERNAME};
use crate::sandbox::client::TempDir;
use crate::sandbox::{Behaviour, EffectKind, Party, SmtpStep, World, WorldOptions};

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A sender that says what a test has it say.
struct Sender(BufReader<Box<dyn Both>>);

impl Sender {
    async fn at(world: &World) -> Self {
        let address = world.addresses().smtp_url.strip_prefix("smtp://").unwrap();
        Sender(BufReader::new(Box::new(TcpStream::connect(address).await.unwrap())))
    }

    /// Says it, and returns the last line of the answer; nothing at the end of the connection.
    async fn says(&mut self, text: &str) -> Option<String> {
        // Whoever has hung up is noticed when nothing comes.
        let _ = self.0.get_mut().write_all(text.as_bytes()).await;
        self.hears().await
    }

    async fn hears(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).await.unwrap_or(0);
            if read == 0 {
                return None;
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    #[track_caller]
    fn is(said: Option<String>, code: &str) {
        assert!(said.as_deref().is_some_and(|said| said.starts_with(code)), "{said:?} instead of {code}");
    }

    /// Greeted and behind TLS.
    async fn secured(world: &World) -> Self {
        let mut open = Self::at(world).await;
        Self::is(open.hears().await, "220");
        Self::is(open.says("EHLO test.example\r\n").await, "250 STARTTLS");
        Self::is(open.says("MAIL FROM:<a@test.example>\r\n").await, "530");
        Self::is(open.says("AUTH PLAIN AAAA\r\n").await, "538");
        Self::is(open.says("STARTTLS\r\n").await, "220");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&world.addresses().tls.ca_file).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, open.0.into_inner()).await.unwrap();
        let mut secured = Sender(BufReader::new(Box::new(stream)));
        Self::is(secured.says("EHLO test.example\r\n").await, "250 AUTH");
        secured
    }

    /// Signed in too.
    async fn ready(world: &World) -> Self {
        let mut sender = Self::secured(world).await;
        let plain = STANDARD.encode(format!("\0{MAIL_USERNAME}\0{MAIL_PASSWORD}"));
        Self::is(sender.says(&format!("AUTH PLAIN {plain}\r\n")).await, "235");
        sender
    }

    /// Everything up to the content, at once, as PIPELINING allows.
    async fn envelope(&mut self, to: &str) {
        let at_once = format!("MAIL FROM:<shop@test.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        Self::is(self.says(&at_once).await, "250");
        Self::is(self.hears().await, "250");
        Self::is(self.hears().await, "354");
    }
}

async fn a_world() -> (TempDir, World) {
    let dir = TempDir::new();
    let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
    (dir, world)
}

fn a_message(id: &str, body: &str) -> String {
    format!(
        "From: Shop <shop@test.example>\r\nTo: owner@test.example\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\
         Subject: Boleto\r\n pago\r\nMIME-Version: 1.0\r\nMessage-ID: <{id}@test.example>\r\nBursar-Event-Id: {id}\r\n\
         Bursar-Event-Type: boleto.paid\r\nBursar-Version: 3\r\nBursar-Subject: b1\r\n\r\n{body}\r\n.\r\n"
    )
}

#[tokio::test]
async fn a_message_is_kept_as_it_came_and_its_effect_recorded() {
    let (_dir, world) = a_world().await;
    let mut sender = Sender::ready(&world).await;
    sender.envelope("owner@test.example").await;
    Sender::is(sender.says(&a_message("e1", "first\r\n..second")).await, "250 2.0.0 Ok: queued as ");
    Sender::is(sender.says("QUIT\r\n").await, "221");
    let effects = world.effects();
    assert_eq!(effects.len(), 1);
    assert_eq!((effects[0].kind, effects[0].key.as_str()), (EffectKind::OwnerMail, "b1+e1"));
    assert_eq!(
        (&effects[0].detail["version"], &effects[0].detail["destination"]),
        (&3.into(), &"owner@test.example".into())
    );
    let message = &world.messages()[0];
    assert_eq!((message.channel.as_str(), message.attributes["Subject"].as_str()), ("mail", "Boleto pago"));
    assert!(message.body.ends_with("\r\n\r\nfirst\r\n.second\r\n"), "{}", message.body);
    world.close().await;
}

#[tokio::test]
async fn every_command_has_its_turn() {
    let (_dir, world) = a_world().await;
    let mut sender = Sender::secured(&world).await;
    for (said, code) in [
        ("STARTTLS\r\n", "503"),
        ("MAIL FROM:<a@test.example>\r\n", "530"),
        ("AUTH PLAIN AGEAYg==\r\n", "535"),
        ("AUTH CRAM-MD5\r\n", "504"),
        ("WHO\r\n", "500"),
    ] {
        Sender::is(sender.says(said).await, code);
    }
    Sender::is(sender.says("AUTH LOGIN\r\n").await, "334 VXNlcm5hbWU6");
    Sender::is(sender.says(&format!("{}\r\n", STANDARD.encode(MAIL_USERNAME))).await, "334 UGFzc3dvcmQ6");
    Sender::is(sender.says(&format!("{}\r\n", STANDARD.encode(MAIL_PASSWORD))).await, "235");
    for (said, code) in [
        ("DATA\r\n", "503"),
        ("RCPT TO:<a@test.example>\r\n", "503"),
        ("MAIL FROM:<a@b@test.example>\r\n", "501"),
        ("MAIL FROM:<a@test.example>\r\n", "250"),
        ("MAIL FROM:<a@test.example>\r\n", "503"),
        ("RCPT TO:<a@test.example, b@test.example>\r\n", "501"),
        ("RSET\r\n", "250"),
        ("RCPT TO:<a@test.example>\r\n", "503"),
        ("NOOP\r\n", "250"),
    ] {
        Sender::is(sender.says(said).await, code);
    }
    assert_eq!(world.effects(), []);
    world.close().await;
}

#[tokio::test]
async fn what_smuggling_is_made_of_is_refused() {
    let (_dir, world) = a_world().await;
    for bare in ["hello\n.\nMAIL FROM:<x@test.example>\r\n.\r\n", "hello\r.\rMAIL\r\n.\r\n"] {
        let mut sender = Sender::ready(&world).await;
        sender.envelope("owner@test.example").await;
        Sender::is(sender.says(bare).await, "521");
        assert_eq!(sender.hears().await, None);
    }
    let long = format!("{}\r\n", "x".repeat(999));
    let twice = a_message("e1", "x").replace("Subject: Boleto", "Subject: a\r\nSubject: b");
    for (message, code) in [
        (a_message("e1", &long), "554 5.6.0 a line is too long"),
        (a_message("e1", "açúcar"), "554 5.6.0 a byte"),
        (twice, "554 5.6.0 From, To"),
        (a_message("e1", "x").replace("<e1@test.example>", "e1"), "554 5.6.0 the Message-ID"),
    ] {
        let mut sender = Sender::ready(&world).await;
        sender.envelope("owner@test.example").await;
        Sender::is(sender.says(&message).await, code);
    }
    let mut early = Sender::at(&world).await;
    Sender::is(early.hears().await, "220");
    Sender::is(early.says("EHLO test.example\r\n").await, "250");
    Sender::is(early.says("STARTTLS\r\nMAIL FROM:<a@test.example>\r\n").await, "554");
    assert_eq!(world.effects(), []);
    world.close().await;
}

#[tokio::test]
async fn a_script_is_told_in_the_protocols_own_way() {
    let (_dir, world) = a_world().await;
    let script = world.script();
    let at = |step| Party::Smtp(step);
    script.once(at(SmtpStep::Greeting), Behaviour::saying(421, "4.3.2 too busy"));
    let mut sender = Sender::at(&world).await;
    Sender::is(sender.hears().await, "421 4.3.2 too busy");
    assert_eq!(sender.hears().await, None);

    script.once(at(SmtpStep::Recipient), Behaviour::refuse("no such mailbox"));
    let mut sender = Sender::ready(&world).await;
    Sender::is(sender.says("MAIL FROM:<a@test.example>\r\n").await, "250");
    Sender::is(sender.says("RCPT TO:<b@test.example>\r\n").await, "550 5.7.1 no such mailbox");
    Sender::is(sender.says("DATA\r\n").await, "503");
    Sender::is(sender.says("RSET\r\n").await, "250");

    script.once(at(SmtpStep::Message), Behaviour::saying(451, "4.3.0 later"));
    script.once(at(SmtpStep::Message), Behaviour::accept_then_drop());
    sender.envelope("owner@test.example").await;
    Sender::is(sender.says(&a_message("e1", "x")).await, "451 4.3.0 later");
    assert_eq!(world.effects(), []);
    sender.envelope("owner@test.example").await;
    assert_eq!(sender.says(&a_message("e1", "x")).await, None);
    assert_eq!(world.effects().len(), 1);

    for broken in [Behaviour::Empty, Behaviour::Reset, Behaviour::Truncated] {
        script.once(at(SmtpStep::Greeting), broken);
        let mut sender = Sender::at(&world).await;
        let said = sender.hears().await;
        assert!(said.is_none_or(|said| !said.ends_with("here")), "a whole greeting");
        assert_eq!(sender.hears().await, None);
    }
    assert_eq!(script.asked(at(SmtpStep::Recipient)), 3);
    world.close().await;
}

#[tokio::test]
async fn a_held_message_is_taken_when_it_is_released() {
    let (_dir, world) = a_world().await;
    world.script().once(Party::Smtp(SmtpStep::Message), Behaviour::Hold);
    let mut sender = Sender::ready(&world).await;
    sender.envelope("owner@test.example").await;
    let sending = tokio::spawn(async move { sender.says(&a_message("e1", "x")).await });
    world.wait_for_held(1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(world.effects(), []);
    world.script().release();
    Sender::is(sending.await.unwrap(), "250");
    assert_eq!(world.effects().len(), 1);
    world.close().await;
}
