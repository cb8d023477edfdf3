//! What a mail server said, and what it means for whoever asked.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: of a text 256 characters are kept, without control characters, and
//! without anything that looks like an address: servers repeat whom they were asked about.

use std::error::Error as _;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::response::Response;

use super::super::{ChannelError, Receipt};

const TEXT_CHARS_MAX: usize = 256;
/// The message is too large (RFC 5321 §4.2.3): another one is not.
const TOO_LARGE: u16 = 552;
/// The server closes the connection.
const CLOSING: u16 = 421;

/// A negative answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: u16,
    /// With the enhanced status code (RFC 3463) that most begin with.
    text: String,
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Refused(Refusal),
    /// The connection is of no use any more.
    Lost(String),
    /// We could not even ask.
    Unaskable(String),
}

impl Fault {
    pub(super) fn of(error: &SmtpError) -> Self {
        if let Some(code) = error.status() {
            let text = error.source().map(ToString::to_string).unwrap_or_default();
            return Self::Refused(Refusal { code: code.into(), text: scrub(&text) });
        }
        let reason = scrub(&error.to_string());
        if error.is_client() { Self::Unaskable(reason) } else { Self::Lost(reason) }
    }

    /// Met before anything was said about a message: it says something about the server and us.
    pub(super) fn of_server(self) -> ChannelError {
        match self {
            Self::Refused(refusal) => refusal.of_server(),
            Self::Lost(reason) => unavailable(reason),
            Self::Unaskable(reason) => ChannelError::Misconfigured { reason },
        }
    }
}

impl Refusal {
    /// Reads a line of an answer: a code of three digits, a mark, a text.
    pub(super) fn read(line: &str) -> Self {
        let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
        Self { code, text: scrub(line.get(4..).unwrap_or_default()) }
    }

    /// Whether the server closes the connection with it.
    pub(super) fn closes(&self) -> bool {
        self.code == CLOSING
    }

    /// About the server and us: what is refused for good is for somebody to correct.
    pub(super) fn of_server(&self) -> ChannelError {
        if self.is_for_good() {
            ChannelError::Misconfigured { reason: format!("the mail server refused us: {}", self.line()) }
        } else {
            unavailable(self.line())
        }
    }

    /// About the sender: as [`Self::of_server`], but for what is about this one message's size.
    pub(super) fn of_sender(&self) -> ChannelError {
        if self.code == TOO_LARGE { self.of_message() } else { self.of_server() }
    }

    /// About the address or the message.
    pub(super) fn of_message(&self) -> ChannelError {
        if self.is_for_good() {
            ChannelError::Refused { reason: self.line() }
        } else {
            unavailable(self.line())
        }
    }

    fn is_for_good(&self) -> bool {
        (500..600).contains(&self.code)
    }

    fn line(&self) -> String {
        format!("{} {}", self.code, self.text).trim_end().to_owned()
    }
}

/// The server has taken a message.
pub(super) fn receipt(answer: &Response) -> Receipt {
    let text = scrub(&answer.message().collect::<Vec<_>>().join(" "));
    let code = u16::from(answer.code());
    Receipt {
        status: Some(code),
        provider_message_id: queue_id(&text),
        answer: Some(format!("{code} {text}").trim_end().to_owned()),
    }
}

pub(super) fn unavailable(reason: String) -> ChannelError {
    ChannelError::Unavailable { retry_after: None, reason }
}

/// The server's own name of the message, where it tells one as the usual servers do.
fn queue_id(text: &str) -> Option<String> {
    let rest = text.split_once("queued as ").or_else(|| text.split_once("id="))?.1;
    let id: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(128).collect();
    let id = id.trim_end_matches('.');
    (!id.is_empty()).then(|| id.to_owned())
}

/// A text of somebody else's as we keep it.
fn scrub(text: &str) -> String {
    let printable: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * TEXT_CHARS_MAX).collect();
    let words = printable.split_whitespace().map(|word| if word.contains('@') { "<address>" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_kept_without_addresses_and_cut() {
        let said = "550 5.1.1 <owner@example.com>: no such user\u{7} owner@example.com";
        let refusal = Refusal::read(said);
        assert_eq!(refusal.line(), "550 5.1.1 <address> no such user <address>");
        assert_eq!(scrub(&"é".repeat(5_000)).chars().count(), TEXT_CHARS_MAX);
        assert_eq!(Refusal::read("").line(), "0");
    }

    #[test]
    fn a_no_means_what_it_was_said_to() {
        let refusal = |code: u16| Refusal { code, text: String::new() };
        let is_misconfigured = |error: &ChannelError| matches!(error, ChannelError::Misconfigured { .. });
        let is_refused = |error: &ChannelError| matches!(error, ChannelError::Refused { .. });
        assert!(is_misconfigured(&refusal(535).of_server()));
        assert!(is_misconfigured(&refusal(553).of_sender()));
        assert!(is_refused(&refusal(552).of_sender()));
        assert!(is_refused(&refusal(550).of_message()));
        for refused in [refusal(421).of_server(), refusal(452).of_sender(), refusal(450).of_message()] {
            assert!(matches!(refused, ChannelError::Unavailable { .. }), "{refused}");
        }
    }

    #[test]
    fn the_usual_servers_names_of_a_message_are_found() {
        assert_eq!(queue_id("2.0.0 Ok: queued as 4Zxy12Abc").as_deref(), Some("4Zxy12Abc"));
        assert_eq!(queue_id("OK id=1tABcd-000123-Xy").as_deref(), Some("1tABcd-000123-Xy"));
        assert_eq!(queue_id("2.0.0 Ok"), None);
    }
}
