//! The connections to the mail server that are open, and how many there may be.
//!
//! **Owns** the idle ones, and a task that ends them once they have been idle for long. **Fails** as connecting does.
//! **Limits**: `connections_max` at a time, `messages_per_connection_max` over each, `idle_timeout` without use.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::super::ChannelError;
use super::answer;
use super::config::{HostName, MailConfig, Security};
use super::connection::Connection;
use super::wire::Wire;
use crate::tls;

/// The open connections. Clones share them.
#[derive(Debug)]
pub(super) struct Pool {
    config: Arc<MailConfig>,
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
    tls: OnceLock<Arc<ClientConfig>>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one that was used last is at the back.
    connections: VecDeque<(Instant, Connection)>,
    is_watched: bool,
}

/// A connection in use, and its place among all.
#[derive(Debug)]
pub(super) struct Taken {
    pub connection: Connection,
    /// Nobody has spoken over it before.
    pub is_new: bool,
    place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(config: Arc<MailConfig>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.connections_max));
        Arc::new(Self { config, places, idle: Mutex::default(), tls: OnceLock::new() })
    }

    /// Waits for a place, and takes the connection that was used last or makes one.
    pub(super) async fn take(&self) -> Result<Taken, ChannelError> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| answer::unavailable("the mail channel is closed".to_owned()))?;
        let kept = {
            let mut idle = self.idle();
            let fresh = idle.connections.pop_back();
            fresh.filter(|(since, _)| since.elapsed() < self.config.idle_timeout)
        };
        if let Some((_, connection)) = kept {
            return Ok(Taken { connection, is_new: false, place });
        }
        self.connect(place).await
    }

    /// Puts a new connection in the place of one that is of no use.
    pub(super) async fn replace(&self, dead: Taken) -> Result<Taken, ChannelError> {
        self.connect(dead.place).await
    }

    async fn connect(&self, place: OwnedSemaphorePermit) -> Result<Taken, ChannelError> {
        let Some(server) = &self.config.server else {
            return Err(ChannelError::Misconfigured { reason: "no mail server is configured".to_owned() });
        };
        let connecting = async {
            let wire = self.wire(server).await?;
            Connection::begin(wire, &self.config).await
        };
        let limit = self.config.command_timeout;
        let connection = timeout(limit, connecting).await.unwrap_or_else(|_| {
            Err(answer::unavailable(format!("no connection within {} ms", limit.as_millis())))
        })?;
        Ok(Taken { connection, is_new: true, place })
    }

    async fn wire(&self, server: &HostName) -> Result<Wire, ChannelError> {
        let (host, port) = (server.as_str(), self.config.port);
        match self.config.security {
            Security::None => Wire::plain(host, port).await,
            Security::Tls => Wire::tls(host, port, self.tls()?).await,
            Security::Starttls => Wire::starttls(host, port, self.config.hello_name(), self.tls()?).await,
        }
    }

    /// Made at the first use and kept: reading what the platform trusts takes longer than a handshake.
    fn tls(&self) -> Result<Arc<ClientConfig>, ChannelError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let made = tls::client(&self.config.ca_file);
        let made =
            made.map_err(|error| ChannelError::Misconfigured { reason: format!("ca_file: {error}") })?;
        Ok(self.tls.get_or_init(|| Arc::new(made)).clone())
    }

    /// Takes a connection back for the next one who asks.
    pub(super) fn give_back(self: &Arc<Self>, taken: Taken) {
        let connection = taken.connection;
        if !connection.is_usable {
            return;
        }
        if connection.messages >= self.config.messages_per_connection_max {
            tokio::spawn(connection.end());
            return;
        }
        let mut idle = self.idle();
        idle.connections.push_back((Instant::now(), connection));
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Each holder makes one small change, which a panic cannot leave half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.idle().connections.len()
    }
}

/// Ends connections that nobody has used for long, until none is left or the pool is gone.
async fn watch(pool: Weak<Pool>) {
    loop {
        let Some(wait) = pool.upgrade().map(|pool| pool.config.idle_timeout) else { return };
        tokio::time::sleep(wait).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut ended = Vec::new();
        let is_over = {
            let mut idle = pool.idle();
            while idle.connections.front().is_some_and(|(since, _)| since.elapsed() >= wait) {
                ended.extend(idle.connections.pop_front().map(|(_, connection)| connection));
            }
            idle.is_watched = !idle.connections.is_empty();
            !idle.is_watched
        };
        drop(pool);
        for connection in ended {
            connection.end().await;
        }
        if is_over {
            return;
        }
    }
}
