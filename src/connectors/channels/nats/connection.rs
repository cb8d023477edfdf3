//! One connection for everybody: made when it is first needed, made anew when it has broken.
//!
//! **Owns** the connection; it ends when the last who holds this is gone. Secrets are read anew for each one, so that what
//! was rotated counts from the next on.
//! **Fails** as [`super::error`] says. After a failure nobody tries again before a wait that doubles has passed; who comes
//! meanwhile is told of that failure at once.
//! **Limits**: `connect_timeout` for all servers together; servers that a server tells of are not connected to, for the
//! operator did not name them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{ConnectOptions, Event, ServerAddr, ServerError};
use secrecy::ExposeSecret as _;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::connectors::channels::ChannelError;
use crate::connectors::http::install_crypto_provider;
use crate::connectors::secret::SecretRef;
use crate::supervision::Backoff;

use super::config::{NatsConfig, NatsCredentials};
use super::error;

/// Complaints of a server that are kept per connection; with the first of them it is as good as replaced.
const COMPLAINTS_MAX: usize = 16;

/// What has gone wrong on a connection.
#[derive(Debug, Clone, Default)]
struct Trouble {
    lost: bool,
    /// What the server says we may not do, in its own words.
    complaints: Vec<String>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) context: Context,
    trouble: watch::Receiver<Trouble>,
}

impl Connection {
    /// Whether the next message may go over it. After a complaint another one is made, which finds what has been put right.
    fn is_whole(&self) -> bool {
        let trouble = self.trouble.borrow();
        let connected = self.context.client().connection_state() == State::Connected;
        connected && !trouble.lost && trouble.complaints.is_empty()
    }

    /// Waits for what keeps an acknowledgement of a message on this subject from ever coming.
    pub(super) async fn trouble_of(&self, subject: &str) -> ChannelError {
        let mut trouble = self.trouble.clone();
        let complaint = |trouble: &Trouble| {
            let about = format!("\"{subject}\"");
            trouble.complaints.iter().any(|said| said.contains(&about) || said.contains("Subscription"))
        };
        match trouble.wait_for(|trouble| trouble.lost || complaint(trouble)).await {
            Ok(trouble) if !trouble.lost => {
                error::misconfigured("our sign-in may not publish to the subject, or not be answered")
            }
            // Who would have told us is gone with the connection.
            _ => error::unknown("the connection broke before the acknowledgement"),
        }
    }
}

#[derive(Debug, Default)]
struct Slot {
    live: Option<Arc<Connection>>,
    failures: u32,
    /// The last failure, and until when it is everybody's answer.
    failed: Option<(ChannelError, Instant)>,
}

/// Who has the connection, or makes it.
#[derive(Debug)]
pub(super) struct Line {
    config: Arc<NatsConfig>,
    slot: Mutex<Slot>,
}

impl Line {
    pub(super) fn new(config: Arc<NatsConfig>) -> Self {
        Self { config, slot: Mutex::default() }
    }

    /// The connection that there is, or a new one.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, ChannelError> {
        let mut slot = self.slot.lock().await;
        if let Some(live) = slot.live.take_if(|live| !live.is_whole()) {
            info!(held = Arc::strong_count(&live) - 1, "connection to NATS is made anew");
        }
        if let Some(live) = &slot.live {
            return Ok(live.clone());
        }
        if let Some((error, until)) = &slot.failed {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(after(error.clone(), left));
            }
        }
        let config = &self.config;
        let opened = tokio::time::timeout(config.connect_timeout, open(config)).await;
        match opened.unwrap_or_else(|_| Err(error::unavailable("no connection to NATS in time"))) {
            Ok(connection) => {
                let live = Arc::new(connection);
                *slot = Slot { live: Some(live.clone()), ..Slot::default() };
                Ok(live)
            }
            Err(error) => {
                let backoff =
                    Backoff { base: config.reconnect_base, cap: config.reconnect_cap, ..Backoff::default() };
                let wait = backoff.delay(slot.failures, rand::random());
                slot.failures = slot.failures.saturating_add(1);
                slot.failed = Some((error.clone(), Instant::now() + wait));
                warn!(%error, failures = slot.failures, "no connection to NATS");
                Err(after(error, wait))
            }
        }
    }
}

/// Says how long it is of no use to come again.
fn after(error: ChannelError, wait: Duration) -> ChannelError {
    match error {
        ChannelError::Unavailable { reason, .. } => {
            ChannelError::Unavailable { retry_after: Some(wait), reason }
        }
        other => other,
    }
}

async fn open(config: &NatsConfig) -> Result<Connection, ChannelError> {
    install_crypto_provider();
    let servers: Result<Vec<ServerAddr>, _> = config.servers.iter().map(|url| url.as_str().parse()).collect();
    let servers = servers.map_err(|_| error::misconfigured("an address of a NATS server cannot be used"))?;
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
    let (news, trouble) = watch::channel(Trouble::default());
    let mut options = ConnectOptions::new()
        .name(&config.connection_name)
        .custom_inbox_prefix(&config.inbox_prefix)
        .require_tls(config.require_tls)
        .ignore_discovered_servers()
        .connection_timeout(config.connect_timeout / count)
        // The client would try for ever, with the secrets of its beginning; a lost connection is ours to replace.
        .max_reconnects(servers.len())
        .event_callback(move |event| {
            note(&news, event);
            std::future::ready(())
        });
    if !config.ca_file.is_empty() {
        options = options.add_root_certificates(config.ca_file.clone().into());
    }
    if !config.certificate_file.is_empty() {
        options = options.add_client_certificate(
            config.certificate_file.clone().into(),
            config.private_key_file.clone().into(),
        );
    }
    let options = sign_in(options, &config.credentials)?;
    let client = options.connect(servers).await.map_err(|error| error::of_connect(&error))?;
    let builder = ContextBuilder::new().timeout(config.ack_timeout).ack_timeout(config.ack_timeout);
    Ok(Connection { context: builder.build(client), trouble })
}

/// Adds whichever way of signing in is configured.
fn sign_in(options: ConnectOptions, credentials: &NatsCredentials) -> Result<ConnectOptions, ChannelError> {
    let read = |reference: &SecretRef| {
        let secret = reference.resolve().map_err(|error| error::misconfigured(error.to_string()))?;
        Ok::<_, ChannelError>(secret.expose_secret().to_owned())
    };
    let mut options = options;
    if let (Some(user), Some(password)) = (&credentials.user, &credentials.password) {
        options = options.user_and_password(read(user)?, read(password)?);
    }
    if let Some(token) = &credentials.token {
        options = options.token(read(token)?);
    }
    if let Some(seed) = &credentials.nkey_seed {
        options = options.nkey(read(seed)?);
    }
    if let Some(creds) = &credentials.creds {
        let unusable = || error::misconfigured(format!("secret {creds} holds no NATS credentials"));
        options = options.credentials(&read(creds)?).map_err(|_| unusable())?;
    }
    Ok(options)
}

/// Hears what the client tells of its connection.
fn note(news: &watch::Sender<Trouble>, event: Event) {
    match event {
        Event::Disconnected | Event::Closed => news.send_modify(|trouble| trouble.lost = true),
        Event::ServerError(ServerError::Other(said))
            if said.to_ascii_lowercase().starts_with("permissions violation") =>
        {
            warn!(complaint = %said, "NATS server complains");
            news.send_modify(|trouble| {
                if trouble.complaints.len() < COMPLAINTS_MAX {
                    trouble.complaints.push(said);
                }
            });
        }
        _ => {}
    }
}
