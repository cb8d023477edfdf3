//! One connection: who greets, signs in, names whom it is for, and hands it in; each in its turn.
//!
//! **Owns** the conversation. **Fails** each command out of turn with 503, and what nobody can trust with 521 and its end.
//! **Limits**: those of the page above.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::play::{Said, perform};
use super::talk::{Heard, Talk};
use super::{MAIL_PASSWORD, MAIL_USERNAME, letter};
use crate::sandbox::inbox::{Notice, ReceivedMessage};
use crate::sandbox::ledger::EffectKind;
use crate::sandbox::line::{Line, Wire};
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{Party, SmtpStep};

const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const RECIPIENTS_MAX: usize = 100;

/// What every connection shares.
pub(super) struct Desk {
    pub outside: Arc<Outside>,
    pub tls: TlsAcceptor,
}

/// How a conversation ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Over,
    /// The rest is said behind TLS.
    Upgrade,
}

pub(super) async fn serve(desk: Arc<Desk>, wire: Wire, line: Line) {
    let mut open = Session::new(&desk, &line, Talk::new(wire), false);
    let script = &desk.outside.script;
    let greeting = perform(script, Party::Smtp(SmtpStep::Greeting), &line, || async {
        "220 sandbox.example ESMTP here\r\n".to_owned()
    });
    if !open.tell(greeting.await).await || open.converse().await != End::Upgrade {
        return;
    }
    // A handshake that fails was told so by itself.
    if let Ok(stream) = desk.tls.accept(open.talk.into_inner()).await {
        Session::new(&desk, &line, Talk::new(stream), true).converse().await;
    }
}

struct Session<'a, S> {
    desk: &'a Desk,
    line: &'a Line,
    talk: Talk<S>,
    is_secure: bool,
    is_greeted: bool,
    is_signed_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(desk: &'a Desk, line: &'a Line, talk: Talk<S>, is_secure: bool) -> Self {
        let (from, to) = (None, Vec::new());
        Self { desk, line, talk, is_secure, is_greeted: false, is_signed_in: false, from, to }
    }

    async fn converse(&mut self) -> End {
        loop {
            let Some(command) = self.command().await else { return End::Over };
            let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
            let goes_on = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.greet(rest).await,
                "STARTTLS" => {
                    if !self.is_greeted || self.is_secure {
                        self.say("503 5.5.1 not now").await
                    } else if self.talk.has_more() {
                        self.say("554 5.5.0 something was said before TLS").await;
                        return End::Over;
                    } else {
                        self.say("220 2.0.0 go ahead").await;
                        return End::Upgrade;
                    }
                }
                "AUTH" => self.sign_in(rest).await,
                "MAIL" => self.sender(rest).await,
                "RCPT" => self.recipient(rest).await,
                "DATA" => self.content().await,
                "RSET" => {
                    self.forget();
                    self.say("250 2.0.0 Ok").await
                }
                "NOOP" => self.say("250 2.0.0 Ok").await,
                "QUIT" => {
                    self.say("221 2.0.0 bye").await;
                    false
                }
                _ => self.say("500 5.5.2 not understood").await,
            };
            if !goes_on {
                return End::Over;
            }
        }
    }

    /// The next command; none when there is nobody to talk to any more.
    async fn command(&mut self) -> Option<String> {
        loop {
            match self.talk.line().await {
                Heard::Line(line) => match String::from_utf8(line) {
                    Ok(text) if text.is_ascii() => return Some(text),
                    _ => drop(self.say("500 5.5.2 not ASCII").await),
                },
                Heard::TooLong => drop(self.say("500 5.5.2 too long").await),
                Heard::Bare => {
                    self.say("521 5.5.2 a line feed or carriage return alone").await;
                    return None;
                }
                Heard::Gone => return None,
            }
        }
    }

    async fn greet(&mut self, name: &str) -> bool {
        if name.is_empty() || name.contains(' ') {
            return self.say("501 5.5.4 who?").await;
        }
        self.is_greeted = true;
        self.forget();
        let offer = if self.is_secure { "AUTH PLAIN LOGIN" } else { "STARTTLS" };
        let text = format!(
            "250-sandbox.example\r\n250-PIPELINING\r\n250-SIZE {MESSAGE_BYTES_MAX}\r\n250-ENHANCEDSTATUSCODES\r\n250 {offer}"
        );
        self.say(&text).await
    }

    async fn sign_in(&mut self, rest: &str) -> bool {
        if !self.is_secure {
            return self.say("538 5.7.11 not without TLS").await;
        }
        if !self.is_greeted || self.is_signed_in {
            return self.say("503 5.5.1 not now").await;
        }
        let (mechanism, initial) =
            rest.split_once(' ').map_or((rest, None), |(name, text)| (name, Some(text)));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let text = match initial {
                    Some(text) => Some(text.to_owned()),
                    None => self.asked("334 ").await,
                };
                text.and_then(|text| decoded(&text)).and_then(|text| {
                    let mut parts = text.split('\0');
                    let (_, name, password) = (parts.next()?, parts.next()?, parts.next()?);
                    Some((name.to_owned(), password.to_owned()))
                })
            }
            "LOGIN" if initial.is_none() => {
                // "Username:" and "Password:", as everybody asks.
                let name = self.asked("334 VXNlcm5hbWU6").await.and_then(|text| decoded(&text));
                let password = self.asked("334 UGFzc3dvcmQ6").await.and_then(|text| decoded(&text));
                name.zip(password)
            }
            _ => return self.say("504 5.5.4 unknown mechanism").await,
        };
        self.is_signed_in =
            given.is_some_and(|given| given == (MAIL_USERNAME.to_owned(), MAIL_PASSWORD.to_owned()));
        self.say(if self.is_signed_in { "235 2.7.0 welcome" } else { "535 5.7.8 not known" }).await
    }

    async fn asked(&mut self, question: &str) -> Option<String> {
        self.say(question).await;
        self.command().await
    }

    async fn sender(&mut self, rest: &str) -> bool {
        if !self.is_signed_in {
            return self.say("530 5.7.0 sign in first").await;
        }
        if self.from.is_some() {
            return self.say("503 5.5.1 somebody is writing already").await;
        }
        let Some((address, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.1.7 no address").await;
        };
        if !parameters.is_empty() {
            return self.say("555 5.5.4 no parameter is known").await;
        }
        self.from = Some(address);
        self.say("250 2.1.0 Ok").await
    }

    async fn recipient(&mut self, rest: &str) -> bool {
        if self.from.is_none() {
            return self.say("503 5.5.1 who writes?").await;
        }
        if self.to.len() == RECIPIENTS_MAX {
            return self.say("452 4.5.3 too many").await;
        }
        let Some((address, _)) = path(rest, "TO:").filter(|(_, parameters)| parameters.is_empty()) else {
            return self.say("501 5.1.3 no address").await;
        };
        let script = &self.desk.outside.script;
        let usual = || async { "250 2.1.5 Ok\r\n".to_owned() };
        let said = perform(script, Party::Smtp(SmtpStep::Recipient), self.line, usual).await;
        if matches!(&said, Said::Text(text) if text.starts_with('2')) {
            self.to.push(address);
        }
        self.tell(said).await
    }

    async fn content(&mut self) -> bool {
        if self.to.is_empty() {
            return self.say("503 5.5.1 for whom?").await;
        }
        if !self.say("354 go on, end with a dot").await {
            return false;
        }
        let mut message = Vec::new();
        let mut fault = None;
        loop {
            match self.talk.line().await {
                Heard::Line(line) if line == b"." => break,
                Heard::Line(line) => {
                    if !line.is_ascii() || line.contains(&0) {
                        fault = Some("554 5.6.0 a byte that is no ASCII");
                    }
                    // A dot was put before every line that begins with one.
                    message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                    message.extend_from_slice(b"\r\n");
                }
                Heard::TooLong => fault = Some("554 5.6.0 a line is too long"),
                Heard::Bare => {
                    self.say("521 5.5.2 a line feed or carriage return alone").await;
                    return false;
                }
                Heard::Gone => return false,
            }
            if message.len() > MESSAGE_BYTES_MAX {
                fault = Some("552 5.3.4 too large");
                message.clear();
            }
        }
        if let Some(fault) = fault {
            self.forget();
            return self.say(fault).await;
        }
        let text = String::from_utf8_lossy(&message).into_owned();
        let to = std::mem::take(&mut self.to);
        self.forget();
        let outside = self.desk.outside.clone();
        let party = Party::Smtp(SmtpStep::Message);
        let said = perform(&self.desk.outside.script, party, self.line, || take(outside, to, text)).await;
        self.tell(said).await
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// Says a line. Returns whether the conversation goes on.
    async fn say(&mut self, text: &str) -> bool {
        self.talk.say(&format!("{text}\r\n")).await.is_ok()
    }

    async fn tell(&mut self, said: Said) -> bool {
        match said {
            Said::Text(text) => self.talk.say(&text).await.is_ok(),
            Said::Last(text) => {
                // It ends either way.
                let _ = self.talk.say(&text).await;
                false
            }
            Said::Fate => {
                let _ = self.talk.say("250 Ok\r\n").await;
                false
            }
        }
    }
}

/// Keeps a message for each of its recipients, and says the usual answer.
async fn take(outside: Arc<Outside>, to: Vec<String>, text: String) -> String {
    let headers = match letter::headers(&text) {
        Ok(headers) => headers,
        Err(fault) => return format!("554 {fault}\r\n"),
    };
    // The parts are for people; what machines compare is in the headers.
    let notice = Notice::read("", |name| letter::value(&headers, name));
    let effects = to.iter().map(|address| notice.effect(EffectKind::OwnerMail, address)).collect();
    if outside.ledger.record(effects).await.is_err() {
        return "451 4.3.0 not recorded\r\n".to_owned();
    }
    for address in to {
        outside.inbox.keep(ReceivedMessage {
            at: Utc::now(),
            channel: "mail".into(),
            destination: address,
            attributes: headers.clone(),
            body: text.clone(),
        });
    }
    outside.news.spread();
    outside.screen.say("owner", format_args!("mail    250  {}", notice.line()));
    format!("250 2.0.0 Ok: queued as {}\r\n", uuid::Uuid::now_v7().simple())
}

/// The address between its brackets, and what is behind it.
fn path(rest: &str, keyword: &str) -> Option<(String, String)> {
    let front = rest.get(..keyword.len())?;
    let rest = front.eq_ignore_ascii_case(keyword).then(|| &rest[keyword.len()..])?;
    let (address, parameters) = rest.strip_prefix('<')?.split_once('>')?;
    let (local, domain) = address.split_once('@')?;
    let is_plain = !address.contains(|c: char| c.is_whitespace() || "<>(),;:\\\"[]".contains(c));
    let is_whole = !local.is_empty() && domain.contains('.') && !domain.contains('@');
    (is_plain && is_whole).then(|| (address.to_owned(), parameters.trim().to_owned()))
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
