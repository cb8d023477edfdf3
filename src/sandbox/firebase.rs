//! A Firebase Realtime Database over REST, its streams, its sign-in and its storage of recorded answers.
//!
//! It is written from the reference sheet of the transfers, and Google's own client is its judge
//! (`tests/conformance/peer_firebase.rs`).
//!
//! **Owns** one database and the recorded answers, in memory. Queries by `processed` of the children of `Transfer` have
//! their rule from the start.
//! **Fails** as the service does: status and `{"error": …}`, 412 with the value that is there. A write that the ledger
//! cannot take is answered with 500, because it is made: 503 says that nothing was attempted.
//! **Limits**: a request's body has 256 MiB at most; one namespace; rules are indexes alone.
//!
//! Tour: [`service`] answers; [`request`] reads what is asked for, [`auth`] who asks. [`database`] holds the [`tree`] and
//! its rules, under [`key`]s, and answers each [`query`]; [`push`] makes new keys. [`listener`] decides what streams are
//! told, [`stream`] says it as [`play`] has it. [`effects`] puts writes down, [`fault`] says no, [`audio`] is the storage
//! beside it, and [`control`] steers it all from another process.

mod audio;
mod auth;
mod control;
mod database;
mod effects;
mod fault;
mod key;
mod listener;
mod play;
mod push;
mod query;
mod request;
mod service;
mod stream;
mod tree;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SandboxError;
use super::outside::Outside;
use auth::Gate;
use database::{Act, Database};
use key::{Key, parse_path};
use listener::Told;
use service::Service;

pub use auth::FirebaseOptions;
pub(super) use control::router as control_router;
pub use play::{LineEnd, Oversized, StreamNews, StreamPlay};

/// The database's namespace: the first label of its host's name, or `?ns=` at an emulator.
pub const NAMESPACE: &str = "sandbox-transfers";
/// The bucket in which a house looks for recorded answers.
pub const BUCKET: &str = "sandbox-transfers.appspot.example";

/// Where the database and what belongs to it are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirebaseAddresses {
    /// The database, without a path.
    pub url: String,
    /// The endpoint that exchanges a service account's assertions.
    pub token_url: String,
    /// What recorded answers' addresses begin with: bucket and object follow, as in `{audio_url}/{bucket}/o/{object}`.
    pub audio_url: String,
    /// The service account's file, when there is one.
    pub service_account: Option<PathBuf>,
}

impl FirebaseAddresses {
    /// At this host, without a service account's file.
    pub(super) fn at(host: impl std::fmt::Display) -> Self {
        FirebaseAddresses {
            url: format!("http://{host}"),
            token_url: format!("http://{host}/token"),
            audio_url: format!("http://{host}/v0/b"),
            service_account: None,
        }
    }
}

/// The database as a test sees it; clones are the same one.
#[derive(Clone)]
pub struct Firebase(Arc<Service>);

impl Firebase {
    /// Opens an empty database, and writes its service account's file below the data directory.
    pub(super) fn open(
        outside: Arc<Outside>,
        options: &FirebaseOptions,
        data_dir: &FilePath,
        addresses: &mut FirebaseAddresses,
    ) -> Result<Self, SandboxError> {
        let folder = data_dir.join("firebase");
        let (gate, file) = Gate::open(options, &folder, addresses.token_url.clone())?;
        addresses.service_account = file;
        let mut database = Database::default();
        database.index(vec![Key::of("Transfer")], "processed");
        Ok(Firebase(Arc::new(Service::new(outside, database, gate, options.keep_alive))))
    }

    pub(super) fn router(&self) -> Router {
        service::router(self.0.clone())
    }

    /// Writes as somebody else's client would; nothing of it is put down in the ledger.
    ///
    /// # Errors
    /// With what is wrong with the path or the value.
    pub fn put(&self, path: &str, value: Value) -> Result<(), String> {
        self.write(path, Act::Put(value))
    }

    /// Writes several places at once, each by its path below this one.
    ///
    /// # Errors
    /// With what is wrong with a path or a value; nothing is written then.
    pub fn patch(&self, path: &str, parts: Value) -> Result<(), String> {
        let Value::Object(parts) = parts else { return Err("a patch is an object".to_owned()) };
        self.write(path, Act::Patch(parts))
    }

    fn write(&self, path: &str, act: Act) -> Result<(), String> {
        let path = parse_path(path).map_err(|fault| format!("{fault:?}"))?;
        self.0.database().write(&path, act, None).map(drop).map_err(|unwritten| format!("{unwritten:?}"))
    }

    /// What is at a path now; `null` where nothing is.
    pub fn read(&self, path: &str) -> Value {
        let found = parse_path(path).map(|path| self.0.database().read(&path)).unwrap_or_default();
        serde_json::from_slice(&found).unwrap_or_default()
    }

    /// Adds the rule by which children at the path are found by a field, or takes all rules of the path away.
    pub fn set_index(&self, path: &str, field: Option<&str>) {
        let Ok(path) = parse_path(path) else { return };
        match field {
            Some(field) => self.0.database().index(path, field),
            None => self.0.database().drop_indexes(&path),
        }
    }

    /// The next stream that has no play yet speaks so.
    pub fn play_once(&self, play: StreamPlay) {
        self.0.plays().once(play);
    }

    /// All streams after those speak so.
    pub fn play_always(&self, play: StreamPlay) {
        self.0.plays().always(play);
    }

    /// Tells every live stream.
    pub fn tell(&self, news: StreamNews) {
        let mut database = self.0.database();
        let listeners = database.listeners();
        match news {
            StreamNews::KeepAlive => listeners.tell_all(&Told::Event("keep-alive", b"null".to_vec())),
            StreamNews::Cancel { reason } => {
                let reason = reason.map_or_else(|| b"null".to_vec(), String::into_bytes);
                listeners.tell_all(&Told::Event("cancel", reason));
            }
            StreamNews::AuthRevoked { quoted } => {
                let text =
                    if quoted { format!("\"{}\"", stream::REVOKED) } else { stream::REVOKED.to_owned() };
                listeners.tell_all(&Told::Event("auth_revoked", text.into_bytes()));
            }
            StreamNews::Raw(text) => listeners.tell_all(&Told::Raw(text.into_bytes())),
            StreamNews::End => listeners.tell_all(&Told::End),
            StreamNews::Cut => listeners.clear(),
        }
        drop(database);
        self.0.news().spread();
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.0.database().listeners().count()
    }

    /// Waits until exactly so many listen.
    ///
    /// # Errors
    /// [`SandboxError::TimedOut`].
    pub async fn wait_for_listeners(&self, count: usize, timeout: Duration) -> Result<(), SandboxError> {
        self.0.news().wait_until("the listener", timeout, || self.listeners() == count).await
    }

    /// Keeps a recorded answer.
    pub fn put_audio(&self, bucket: &str, object: &str, bytes: impl Into<Bytes>) {
        self.0.audio().put(bucket, object, bytes.into());
    }
}

#[cfg(test)]
mod tests;
