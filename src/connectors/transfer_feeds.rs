//! Feeds of transfers: where recorded questionings are offered, and told their results.
//!
//! **Owns** nothing; what a feed offers becomes a row before anything is done about it.
//! **Fails** with a [`FeedError`], cut by what the caller does next. What a feed tells is a hint that may come twice, late or
//! not at all: every connection begins with everything that is offered, and the reader takes what it does not know yet.
//! **Limits**: those of each feed's settings. A transfer is claimed in the feed before its result is written there.

pub mod firebase_rtdb;
pub mod sse;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::domain::transfer::TransferKey;

/// A place where transfers are offered.
pub trait TransferFeed {
    /// Tells what the feed offers, for as long as somebody listens. Lost connections are made anew with growing waits; each
    /// begins with everything that is offered.
    ///
    /// # Errors
    /// What no waiting mends: `Refused`, `SignedOut` and `Misconfigured`. Nothing once the listener has hung up.
    fn listen(&self, news: mpsc::Sender<FeedNews>) -> impl Future<Output = Result<(), FeedError>> + Send;

    /// One page of what is offered, behind a key or from the beginning, of so many records at most.
    ///
    /// # Errors
    /// See [`FeedError`].
    fn page(
        &self,
        after: Option<&TransferKey>,
        records_max: usize,
    ) -> impl Future<Output = Result<FeedPage, FeedError>> + Send;

    /// A record as it is now, processed or not; nothing if there is none.
    ///
    /// # Errors
    /// See [`FeedError`].
    fn read(&self, key: &TransferKey) -> impl Future<Output = Result<Option<Value>, FeedError>> + Send;

    /// What a record refers to; nothing if there is none.
    ///
    /// # Errors
    /// See [`FeedError`].
    fn read_related(
        &self,
        node: RelatedNode,
        key: &str,
    ) -> impl Future<Output = Result<Option<Value>, FeedError>> + Send;

    /// Claims a transfer, or renews a claim of the same owner. One whose lease has ended is taken over.
    ///
    /// # Errors
    /// See [`FeedError`]; after `OutcomeUnknown`, claim again.
    fn claim(
        &self,
        key: &TransferKey,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<ClaimAnswer, FeedError>> + Send;

    /// Who holds the claim.
    ///
    /// # Errors
    /// See [`FeedError`].
    fn read_claim(&self, key: &TransferKey) -> impl Future<Output = Result<Option<Claim>, FeedError>> + Send;

    /// Gives a claim back without a result. Somebody else's is left alone.
    ///
    /// # Errors
    /// See [`FeedError`].
    fn release(&self, key: &TransferKey, claim: &Claim)
    -> impl Future<Output = Result<(), FeedError>> + Send;

    /// Writes a result and gives the claim back, in one step, if claim and record are still there. May be repeated.
    ///
    /// # Errors
    /// See [`FeedError`]; after `OutcomeUnknown`, write back again.
    fn write_back(
        &self,
        result: &WriteBack<'_>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<WrittenBack, FeedError>> + Send;

    /// Where the recorded answer of that place among the questions can be fetched for a short while, by who knows the address.
    ///
    /// # Errors
    /// `Misconfigured`.
    fn audio_address(
        &self,
        key: &TransferKey,
        position: usize,
        now: DateTime<Utc>,
    ) -> Result<AudioAddress, FeedError>;
}

/// What a feed tells.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedNews {
    /// A connection stands; what is offered follows.
    Following,
    /// These are offered. Known ones may be among them.
    Offered(Vec<FeedRecord>),
    /// Everything that was offered when the connection began has been told: so many records.
    Reconciled { records: usize },
    /// Something below the record changed, or appeared in parts: read it.
    Changed(TransferKey),
    /// It is offered no longer, for it was processed or deleted: which of the two, only reading it tells.
    Left(TransferKey),
    /// The connection is lost; the next try comes by itself.
    Lost { reason: String, retry_in: Duration },
}

/// A record under its key.
#[derive(Clone, PartialEq)]
pub struct FeedRecord {
    pub key: TransferKey,
    pub record: Value,
}

/// Part of what is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    pub records: Vec<FeedRecord>,
    /// Behind which key the next page begins; nothing at the end.
    pub next: Option<TransferKey>,
}

/// What a record refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelatedNode {
    /// The elements of a questionnaire, as `domain::transfer::questions` counts them.
    Questionnaire,
    Person,
    Company,
    User,
}

/// That somebody works on a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which installation; its own store keeps its processes apart.
    pub owner: String,
    /// Grows with each attempt: what an earlier attempt still wants to write is not written.
    pub attempt: u32,
    /// From then on anybody may take it.
    pub lease_until: DateTime<Utc>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAnswer {
    Claimed,
    /// Somebody else holds it; nothing more is known if what stands there is no claim of ours.
    HeldBy(Option<Claim>),
}

/// A result for the feed.
#[derive(Clone, Copy)]
pub struct WriteBack<'a> {
    pub key: &'a TransferKey,
    pub claim: &'a Claim,
    /// The scores in the order of the questions.
    pub result: &'a str,
    /// Which engine they are from.
    pub codec: &'a str,
    pub finished_at: DateTime<Utc>,
}

/// What became of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenBack {
    /// The feed holds it; perhaps since an earlier try.
    Written,
    /// The record was deleted meanwhile; nothing was left there.
    Gone,
    /// The claim is somebody else's by now, or its time is over; nothing was written.
    ClaimLost(Option<Claim>),
}

/// An address that opens one recorded answer, for whoever knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioAddress {
    pub url: reqwest::Url,
    /// Nothing where it has no end, as in trials.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why a feed did not do as asked, sorted by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The feed says no; asked again it says the same.
    #[error("the feed refused: {reason}")]
    Refused { reason: String },
    /// Not now; nothing was written. Wait, then ask again.
    #[error("the feed is unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// Perhaps written. Ask again: every write may be repeated.
    #[error("the outcome is unknown: {reason}")]
    OutcomeUnknown { reason: String },
    /// We are not let in, or not to this place: somebody must look at the key and at the rules.
    #[error("signed out of the feed: {reason}")]
    SignedOut { reason: String },
    /// Nothing works until somebody corrects what the reason says.
    #[error("the feed is misconfigured: {reason}")]
    Misconfigured { reason: String },
    /// An answer is longer than our settings let one be.
    #[error("an answer of the feed is longer than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
}

impl fmt::Debug for FeedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The record is about a person.
        f.debug_struct("FeedRecord").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for WriteBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBack").field("key", self.key).field("claim", self.claim).finish_non_exhaustive()
    }
}

impl fmt::Debug for AudioAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioAddress")
            .field("host", &self.url.host_str())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
