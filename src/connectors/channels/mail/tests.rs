//! A server of one script at the other end of a real socket: every word that it can say, and every moment at which it can
//! stop saying anything.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::config::{ConfiguredMailbox, HostName, MailCredentials, RecipientRules, Security};
use super::*;
use crate::connectors::scripted::{SecretFile, hanging_up, nobody};
use crate::connectors::secret::SecretRef;
use crate::domain::ids::EventId;

/// What is said instead of the usual: at the first word of a line (`.` stands for a message's end), the answer.
type Script = &'static [(&'static str, &'static str)];
/// Instead of an answer: the connection ends.
const CUT: &str = "CUT";
/// Before an answer: the connection ends behind it.
const LAST: &str = "LAST ";
/// Instead of an answer: nothing more is ever said.
const SILENT: &str = "SILENT";

/// A server that plays a script on every connection, and keeps what it heard.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Server {
    async fn playing(script: Script) -> Self {
        Self::playing_each(vec![script]).await
    }

    /// Plays the first script on the first connection, and so on; the last one from then on.
    async fn playing_each(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let kept = heard.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(Vec::new());
                let script = scripts[connection.min(scripts.len() - 1)];
                tokio::spawn(talk(stream, script, kept.clone(), connection));
            }
        });
        Self { address, heard }
    }

    /// The lines of each connection.
    fn heard(&self) -> Vec<Vec<String>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn talk(stream: TcpStream, script: Script, heard: Arc<Mutex<Vec<Vec<String>>>>, connection: usize) {
    let mut stream = BufReader::new(stream);
    let said = |word: &str| script.iter().find(|(asked, _)| *asked == word).map(|(_, answer)| *answer);
    let mut answer = said("").unwrap_or("220 here");
    let mut in_content = false;
    loop {
        match answer {
            CUT => return,
            SILENT => std::future::pending().await,
            "" => {}
            answer => {
                let text = answer.trim_start_matches(LAST);
                stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
                if answer.starts_with(LAST) {
                    return;
                }
            }
        }
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(read) if read > 0) {
            return;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        heard.lock().unwrap()[connection].push(line.clone());
        let word = line.split([' ', ':']).next().unwrap_or_default();
        answer = match (in_content, word) {
            (true, ".") => {
                in_content = false;
                said(".").unwrap_or("250 2.0.0 Ok: queued as Q1")
            }
            (true, _) => "",
            (false, "EHLO") => said("EHLO").unwrap_or("250-here\r\n250 AUTH PLAIN LOGIN"),
            (false, "DATA") => {
                let answer = said("DATA").unwrap_or("354 go on");
                in_content = answer.starts_with("354");
                answer
            }
            (false, word) => said(word).unwrap_or("250 2.0.0 Ok"),
        };
    }
}

struct Owner(TenantId);

impl Owner {
    fn notice<'a>(&'a self, number: u128, subject: &'a str) -> Notice<'a> {
        Notice {
            tenant: &self.0,
            event_id: EventId(Uuid::from_u128(number)),
            event_type: "boleto.registered",
            subject,
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body: r#"{"boleto_id":"b","status":"registered"}"#,
            traceparent: None,
        }
    }
}

fn owner() -> Owner {
    Owner(TenantId::default())
}

fn at(address: &str) -> Destination {
    Destination::Mail { address: address.to_owned(), language: None }
}

fn config(address: SocketAddr) -> MailConfig {
    let text = |text: &str| text.to_owned();
    MailConfig {
        server: Some(HostName::try_from(address.ip().to_string()).unwrap()),
        port: address.port(),
        security: Security::None,
        from: Some(ConfiguredMailbox::try_from(text("Loja <avisos@loja.example.com>")).unwrap()),
        ..MailConfig::default()
    }
}

fn channel(server: &Server) -> Mail {
    Mail::new(config(server.address))
}

async fn deliver_one(mail: &Mail) -> Result<Receipt, ChannelError> {
    let owner = owner();
    let mut outcomes = mail.deliver(&at("owner@example.com"), &[owner.notice(1, "b")]).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// The class of a failure, for tables.
fn class(outcome: &Result<Receipt, ChannelError>) -> &'static str {
    match outcome {
        Ok(_) => "taken",
        Err(ChannelError::Refused { .. }) => "refused",
        Err(ChannelError::Unavailable { .. }) => "unavailable",
        Err(ChannelError::OutcomeUnknown { .. }) => "unknown",
        Err(ChannelError::Disabled) => "disabled",
        Err(ChannelError::Misconfigured { .. }) => "misconfigured",
    }
}

#[tokio::test]
async fn a_message_that_was_taken_has_a_receipt() {
    let server = Server::playing(&[]).await;
    let receipt = deliver_one(&channel(&server)).await.unwrap();
    assert_eq!((receipt.status, receipt.provider_message_id.as_deref()), (Some(250), Some("Q1")));
    assert_eq!(receipt.answer.as_deref(), Some("250 2.0.0 Ok: queued as Q1"));
    let lines = &server.heard()[0];
    let commands = [
        "EHLO loja.example.com",
        "MAIL FROM:<avisos@loja.example.com>",
        "RCPT TO:<owner@example.com>",
        "DATA",
    ];
    assert_eq!(lines[..4], commands);
    assert!(lines.contains(&"Bursar-Event-Id: 00000000-0000-0000-0000-000000000001".to_owned()));
}

#[tokio::test]
async fn every_answer_at_every_step_has_its_class() {
    let cases: &[(&str, &str, &str)] = &[
        ("", "421 too many connections", "unavailable"),
        ("", "554 no service for you", "misconfigured"),
        ("", "HTTP/1.1 400 Bad Request", "unavailable"),
        ("", CUT, "unavailable"),
        ("EHLO", "502 what?", "misconfigured"),
        ("EHLO", CUT, "unavailable"),
        ("MAIL", "451 later", "unavailable"),
        ("MAIL", "530 5.7.0 sign in first", "misconfigured"),
        ("MAIL", "552 5.3.4 too large", "refused"),
        ("MAIL", CUT, "unavailable"),
        ("RCPT", "450 4.2.1 greylisted", "unavailable"),
        ("RCPT", "550 5.1.1 no such user", "refused"),
        ("RCPT", "421 4.3.2 going down", "unavailable"),
        ("RCPT", CUT, "unavailable"),
        ("DATA", "451 4.3.0 later", "unavailable"),
        ("DATA", "554 5.5.1 no valid recipients", "refused"),
        ("DATA", "250 fine", "unavailable"),
        ("DATA", CUT, "unavailable"),
        (".", "451 4.3.0 later", "unavailable"),
        (".", "552 5.2.2 mailbox full", "refused"),
        (".", "550 5.7.1 not wanted", "refused"),
        (".", CUT, "unknown"),
        (".", "354 more?", "unknown"),
        (".", "\u{1}\u{2}", "unknown"),
    ];
    for &(step, answer, expected) in cases {
        let script: Script = Box::leak(Box::new([(step, answer)]));
        let server = Server::playing(script).await;
        let outcome = deliver_one(&channel(&server)).await;
        assert_eq!(class(&outcome), expected, "{step} {answer}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_unavailable_until_the_content_has_left() {
    for (step, expected) in
        [("", "unavailable"), ("EHLO", "unavailable"), ("RCPT", "unavailable"), (".", "unknown")]
    {
        let script: Script = Box::leak(Box::new([(step, SILENT)]));
        let server = Server::playing(script).await;
        let times = MailConfig {
            command_timeout: Duration::from_millis(50),
            message_timeout: Duration::from_millis(200),
            ..config(server.address)
        };
        let outcome = deliver_one(&Mail::new(times)).await;
        assert_eq!(class(&outcome), expected, "{step}: {outcome:?}");
    }
    for address in [hanging_up().await, nobody().await] {
        assert_eq!(class(&deliver_one(&Mail::new(config(address))).await), "unavailable");
    }
}

#[tokio::test]
async fn notices_go_over_one_connection_in_their_order() {
    let server = Server::playing(&[]).await;
    let (mail, owner) = (channel(&server), owner());
    let notices = [owner.notice(1, "a"), owner.notice(2, "b"), owner.notice(3, "a")];
    let outcomes = mail.deliver(&at("owner@example.com"), &notices).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    deliver_one(&mail).await.unwrap();
    let heard = server.heard();
    assert_eq!(heard.len(), 1, "one connection, also for the next attempt");
    let ids: Vec<_> = heard[0].iter().filter_map(|line| line.strip_prefix("Bursar-Event-Id: ")).collect();
    let expected = [1, 2, 3, 1].map(|number| Uuid::from_u128(number).to_string());
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn behind_a_failure_only_the_same_subject_is_held_back() {
    // The first recipient is refused; the connection goes on after a reset.
    let server = Server::playing_each(vec![&[("RCPT", "450 4.2.1 later")]]).await;
    let owner = owner();
    let notices = [owner.notice(1, "a"), owner.notice(2, "a"), owner.notice(3, "b")];
    let outcomes = channel(&server).deliver(&at("owner@example.com"), &notices).await;
    assert_eq!(outcomes.iter().map(class).collect::<Vec<_>>(), ["unavailable"; 3]);
    let heard = server.heard();
    let commands: Vec<_> = heard[0].iter().map(|line| &line[..4]).collect();
    assert_eq!(commands, ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT"]);
    assert!(outcomes[1].as_ref().unwrap_err().to_string().contains("an earlier notice"), "{outcomes:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_once_an_attempt() {
    let server = Server::playing(&[("", "421 too busy")]).await;
    let owner = owner();
    let notices = [owner.notice(1, "a"), owner.notice(2, "b"), owner.notice(3, "c")];
    let outcomes = channel(&server).deliver(&at("owner@example.com"), &notices).await;
    assert_eq!(outcomes.iter().map(class).collect::<Vec<_>>(), ["unavailable"; 3]);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_it_was_idle_is_replaced_in_silence() {
    let server = Server::playing_each(vec![&[(".", "LAST 250 2.0.0 Ok")], &[]]).await;
    let mail = channel(&server);
    deliver_one(&mail).await.unwrap();
    assert_eq!(mail.pool.idle_count(), 1);
    deliver_one(&mail).await.unwrap();
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn no_connection_carries_more_than_its_share_and_none_idles_for_long() {
    let server = Server::playing(&[]).await;
    let few = MailConfig {
        messages_per_connection_max: 2,
        idle_timeout: Duration::from_millis(50),
        ..config(server.address)
    };
    let (mail, owner) = (Mail::new(few), owner());
    let notices = [1, 2, 3, 4, 5].map(|number| owner.notice(number, "a"));
    let outcomes = mail.deliver(&at("owner@example.com"), &notices).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(server.heard().len(), 3);
    let ended = async {
        while server.heard().iter().any(|lines| lines.last().is_none_or(|line| line != "QUIT")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("every connection is left");
    assert_eq!(mail.pool.idle_count(), 0);
}

#[tokio::test]
async fn credentials_are_sent_and_a_refusal_is_ours_to_correct() {
    let (username, password) = (SecretFile::new("mailer"), SecretFile::new("correct horse"));
    let reference = |file: &SecretFile| SecretRef::parse(&file.reference()).unwrap();
    let credentials = MailCredentials { username: reference(&username), password: reference(&password) };
    let cases = [
        ("235 2.7.0 welcome", "taken"),
        ("535 5.7.8 bad credentials", "misconfigured"),
        ("454 4.7.0 later", "unavailable"),
    ];
    for (answer, expected) in cases {
        let script: Script = Box::leak(Box::new([("AUTH", answer)]));
        let server = Server::playing(script).await;
        let config = MailConfig { credentials: Some(credentials.clone()), ..config(server.address) };
        let outcome = deliver_one(&Mail::new(config)).await;
        assert_eq!(class(&outcome), expected, "{outcome:?}");
        assert_eq!(server.heard()[0][1], "AUTH PLAIN AG1haWxlcgBjb3JyZWN0IGhvcnNl");
        assert!(!format!("{outcome:?}").contains("horse"));
    }
    let server = Server::playing(&[("EHLO", "250 here")]).await;
    let config = MailConfig { credentials: Some(credentials), ..config(server.address) };
    assert_eq!(class(&deliver_one(&Mail::new(config)).await), "misconfigured");
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_the_open() {
    let cases: [(Script, &str); 4] = [
        (&[], "misconfigured"),
        (&[("EHLO", "250-here\r\n250 STARTTLS"), ("STARTTLS", "454 4.7.0 later")], "unavailable"),
        (&[("EHLO", "250-here\r\n250 STARTTLS"), ("STARTTLS", "220 go\r\n250 slipped in")], "misconfigured"),
        (&[("EHLO", "250-here\r\n250 STARTTLS"), ("STARTTLS", CUT)], "unavailable"),
    ];
    for (script, expected) in cases {
        let server = Server::playing(script).await;
        let mail = Mail::new(MailConfig { security: Security::Starttls, ..config(server.address) });
        let outcome = deliver_one(&mail).await;
        assert_eq!(class(&outcome), expected, "{script:?}: {outcome:?}");
        let heard = server.heard();
        assert!(
            heard[0].iter().all(|line| !line.starts_with("MAIL") && !line.starts_with("AUTH")),
            "{heard:?}"
        );
    }
}

#[tokio::test]
async fn an_address_that_may_not_be_written_to_is_never_named_to_the_server() {
    let server = Server::playing(&[]).await;
    let rules = RecipientRules { domains: vec!["example.com".to_owned()] };
    let mail = Mail::new(MailConfig { recipients: rules, ..config(server.address) });
    let owner = owner();
    for bad in [
        "owner@elsewhere.example",
        "a@example.com>\r\nRCPT TO:<b@example.com",
        "a@example.com, b@example.com",
    ] {
        assert_eq!(mail.check(&owner.0, &at(bad))[0].field, "address", "{bad}");
        let outcomes = mail.deliver(&at(bad), &[owner.notice(1, "b")]).await;
        assert_eq!(class(&outcomes[0]), "misconfigured", "{bad}");
        assert!(!format!("{outcomes:?}").contains(bad), "{outcomes:?}");
    }
    assert!(server.heard().is_empty());
    let klingon = Destination::Mail { address: "a@example.com".to_owned(), language: Some("tlh".to_owned()) };
    assert_eq!(mail.check(&owner.0, &klingon)[0].field, "language");
    assert_eq!(mail.check(&owner.0, &at("a@example.com")), []);
}

#[tokio::test]
async fn without_a_server_nobody_can_be_written_to() {
    let (mail, owner) = (Mail::new(MailConfig::default()), owner());
    let found = mail.check(&owner.0, &at("owner@example.com"));
    assert!(found[0].to_string().contains("channels.mail.server"), "{found:?}");
    assert_eq!(class(&deliver_one(&mail).await), "misconfigured");
}
