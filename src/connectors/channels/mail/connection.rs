//! One conversation with the mail server, in which messages go one after another.
//!
//! **Owns** the connection. **Fails** telling the one thing that decides what comes next: before the content was begun a
//! message was not taken; from then on, until the server's word, nobody knows.
//! **Limits**: `command_timeout` for each command; a message's own deadline is the caller's.

use std::fmt;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::super::{ChannelError, Receipt};
use super::answer::{self, Fault};
use super::config::{MailConfig, MailCredentials};
use super::wire::Wire;

/// How long the server is given to hear that we leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection, signed in.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    command_timeout: Duration,
    /// What was begun and refused has to be forgotten first.
    needs_reset: bool,
    /// Whether the content of the message in hand may have left.
    pub content_begun: bool,
    /// Whether another message can go over it.
    pub is_usable: bool,
    pub messages: u32,
}

/// What came of a message.
#[derive(Debug)]
pub(super) enum Sent {
    Done(Result<Receipt, ChannelError>),
    /// The connection turned out to be dead before anything was said about the message.
    Dead(String),
}

impl Connection {
    /// Greets the server over an open wire, and signs in if that is configured.
    pub(super) async fn begin(wire: Wire, config: &MailConfig) -> Result<Self, ChannelError> {
        let name = ClientId::Domain(config.hello_name().to_owned());
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &name).await;
        let mut smtp = greeted.map_err(|error| Fault::of(&error).of_server())?;
        if let Some(credentials) = &config.credentials {
            let credentials = read(credentials)?;
            smtp.auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(|error| Fault::of(&error).of_server())?;
        }
        Ok(Self {
            smtp,
            command_timeout: config.command_timeout,
            needs_reset: false,
            content_begun: false,
            is_usable: true,
            messages: 0,
        })
    }

    /// Sends one message to one address.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, message: &[u8]) -> Sent {
        self.messages += 1;
        self.content_begun = false;
        // Whoever stops waiting for us leaves a conversation that nobody can go on with.
        self.is_usable = false;
        let sent = self.converse(from, to, message).await;
        self.is_usable = match &sent {
            Ok(_) => true,
            Err((Fault::Refused(refusal), _)) => !refusal.closes(),
            Err(_) => false,
        };
        self.needs_reset = sent.is_err();
        match sent {
            Ok(receipt) => Sent::Done(Ok(receipt)),
            Err((Fault::Lost(reason), Step::Sender)) => Sent::Dead(reason),
            Err((fault, step)) => Sent::Done(Err(step.meaning(fault))),
        }
    }

    async fn converse(
        &mut self,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<Receipt, (Fault, Step)> {
        if std::mem::take(&mut self.needs_reset) {
            self.say(Rset).await.map_err(|fault| (fault, Step::Sender))?;
        }
        self.say(Mail::new(Some(from.clone()), vec![])).await.map_err(|fault| (fault, Step::Sender))?;
        self.say(Rcpt::new(to.clone(), vec![])).await.map_err(|fault| (fault, Step::Message))?;
        let go_on = self.say(Data).await.map_err(|fault| (fault, Step::Message))?;
        if go_on.code().severity != Severity::PositiveIntermediate {
            // What came next would be read as commands.
            return Err((Fault::Lost("the answer to DATA was no 354".to_owned()), Step::Message));
        }
        self.content_begun = true;
        let taken = self.smtp.message(message).await.map_err(|error| (Fault::of(&error), Step::Content))?;
        if taken.code().severity != Severity::PositiveCompletion {
            return Err((
                Fault::Lost("the answer to the message was neither yes nor no".to_owned()),
                Step::Content,
            ));
        }
        Ok(answer::receipt(&taken))
    }

    async fn say(&mut self, command: impl fmt::Display) -> Result<Response, Fault> {
        match timeout(self.command_timeout, self.smtp.command(command)).await {
            Ok(answered) => answered.map_err(|error| Fault::of(&error)),
            Err(_) => Err(Fault::Lost(format!("no answer within {} ms", self.command_timeout.as_millis()))),
        }
    }

    /// Leaves as one should; nobody waits for it.
    pub(super) async fn end(mut self) {
        // The answer to a farewell changes nothing.
        let _ = timeout(FAREWELL, self.smtp.command(Quit)).await;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// What was being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Who writes: nothing of the message yet.
    Sender,
    /// To whom, and that content is about to come.
    Message,
    /// The content, to the server's word about it.
    Content,
}

impl Step {
    fn meaning(self, fault: Fault) -> ChannelError {
        match (fault, self) {
            (Fault::Refused(refusal), Self::Sender) => refusal.of_sender(),
            (Fault::Refused(refusal), Self::Message | Self::Content) => refusal.of_message(),
            (Fault::Lost(reason), Self::Content) => ChannelError::OutcomeUnknown { reason },
            (fault, _) => fault.of_server(),
        }
    }
}

fn read(credentials: &MailCredentials) -> Result<Credentials, ChannelError> {
    let misconfigured = |error: crate::connectors::secret::SecretError| ChannelError::Misconfigured {
        reason: error.to_string(),
    };
    let username = credentials.username.resolve().map_err(misconfigured)?;
    let password = credentials.password.resolve().map_err(misconfigured)?;
    Ok(Credentials::new(username.expose_secret().to_owned(), password.expose_secret().to_owned()))
}
