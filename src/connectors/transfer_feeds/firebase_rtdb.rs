//! A feed in a Firebase Realtime Database, spoken to over REST and its stream of events.
//!
//! **Owns** connections and a sign-in, nothing that a crash may lose. **Fails** as `error` says for each answer.
//! **Limits**: those of [`FirebaseRtdbConfig`]. Only four fields of a record are ever written, and only under a claim; every
//! other node but the claims is read alone.

mod audio;
mod claim;
mod client;
pub mod config;
mod course;
mod error;
mod key;
mod paging;
mod redirect;
mod stream;
#[cfg(test)]
mod test_key;
#[cfg(test)]
mod testing;
mod token;
mod tree;
mod window;
mod write_back;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    AudioAddress, Claim, ClaimAnswer, FeedError, FeedNews, FeedPage, RelatedNode, TransferFeed, WriteBack,
    WrittenBack,
};
use crate::connectors::http::{HttpClient, HttpConfig};
use crate::domain::transfer::TransferKey;
use client::Client;
use config::FirebaseRtdbConfig;
use stream::Follower;

/// The feed. Cheap to clone; clones share connections and the sign-in.
#[derive(Debug, Clone)]
pub struct FirebaseRtdb {
    client: Arc<Client>,
    config: Arc<FirebaseRtdbConfig>,
}

impl FirebaseRtdb {
    /// The feed with these settings.
    ///
    /// # Errors
    /// `Misconfigured`, with every fault of the settings.
    pub fn new(config: FirebaseRtdbConfig, http: &HttpConfig) -> Result<Self, FeedError> {
        let misconfigured = |reason: String| FeedError::Misconfigured { reason };
        let faults = config.faults();
        let (true, Some(database)) = (faults.is_empty(), config.database_url.clone()) else {
            return Err(misconfigured(faults.join("; ")));
        };
        let http = HttpConfig { timeout: config.timeout, ..http.clone() };
        let http = HttpClient::trusted(&http).map_err(|error| misconfigured(error.to_string()))?;
        let http = http.named("firebase_rtdb");
        let config = Arc::new(config);
        let client = Arc::new(Client::new(Arc::clone(&config), database, http));
        Ok(Self { client, config })
    }

    fn claim_path(&self, key: &TransferKey) -> String {
        format!("{}/{key}", self.config.paths.claims)
    }

    fn related_path(&self, node: RelatedNode, key: &str) -> Result<String, FeedError> {
        let key =
            TransferKey::parse(key).map_err(|error| FeedError::Refused { reason: error.to_string() })?;
        let paths = &self.config.paths;
        Ok(match node {
            RelatedNode::Questionnaire => format!("{}/{key}/cuestionario", paths.questionnaires),
            RelatedNode::Person => format!("{}/{key}", paths.people),
            RelatedNode::Company => format!("{}/{key}", paths.companies),
            RelatedNode::User => format!("{}/{key}", paths.users),
        })
    }

    async fn found(&self, path: &str) -> Result<Option<Value>, FeedError> {
        let value = self.client.read(path).await?;
        Ok((!value.is_null()).then_some(value))
    }
}

impl TransferFeed for FirebaseRtdb {
    async fn listen(&self, news: mpsc::Sender<FeedNews>) -> Result<(), FeedError> {
        Follower::new(&self.client, &self.config, news).run().await
    }

    async fn page(&self, after: Option<&TransferKey>, records_max: usize) -> Result<FeedPage, FeedError> {
        let page = paging::page(&self.client, &self.config, after, records_max).await?;
        let next = if page.is_end { None } else { page.last };
        Ok(FeedPage { records: page.records, next })
    }

    async fn read(&self, key: &TransferKey) -> Result<Option<Value>, FeedError> {
        self.found(&format!("{}/{key}", self.config.paths.transfers)).await
    }

    async fn read_related(&self, node: RelatedNode, key: &str) -> Result<Option<Value>, FeedError> {
        self.found(&self.related_path(node, key)?).await
    }

    async fn claim(
        &self,
        key: &TransferKey,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<ClaimAnswer, FeedError> {
        claim::claim(&self.client, &self.claim_path(key), claim, now).await
    }

    async fn read_claim(&self, key: &TransferKey) -> Result<Option<Claim>, FeedError> {
        Ok(claim::read(&self.client.read(&self.claim_path(key)).await?))
    }

    async fn release(&self, key: &TransferKey, claim: &Claim) -> Result<(), FeedError> {
        claim::release(&self.client, &self.claim_path(key), claim).await
    }

    async fn write_back(&self, result: &WriteBack<'_>, now: DateTime<Utc>) -> Result<WrittenBack, FeedError> {
        write_back::write(&self.client, &self.config, result, now).await
    }

    fn audio_address(
        &self,
        key: &TransferKey,
        position: usize,
        now: DateTime<Utc>,
    ) -> Result<AudioAddress, FeedError> {
        let (audio, object) = (&self.config.audio, audio::object_of(key, position));
        if audio.bucket.is_empty() {
            return Err(FeedError::Misconfigured { reason: "audio.bucket: needed for addresses".to_owned() });
        }
        if let Some(base) = &audio.base_url {
            return Ok(audio::plain(base, &audio.bucket, &object));
        }
        audio::signed(&*self.client.tokens().account()?, audio, &object, now)
    }
}
