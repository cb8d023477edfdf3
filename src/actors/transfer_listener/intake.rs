//! What becomes of a feed's news: what is offered goes into the store, many at a time, and the status follows.
//!
//! **Owns** the offers under way. **Fails** with the first trouble that keeps news from being kept: then the connection is given
//! up, for the next one tells everything again. **Limits**: two groups of offers under way, sixteen reads among them.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tracing::{Instrument as _, debug, error, info, info_span, warn};

use super::Means;
use crate::connectors::transfer_feeds::{FeedError, FeedNews, FeedRecord, TransferFeed as _};
use crate::domain::transfer::{TransferKey, TransferState};
use crate::messages::transfers::{FeedState, OfferTerms};
use crate::store::StoreError;
use crate::store::transfer_offer::Offered;

/// Groups of offers under way: one that the store has in hand, and one that waits, so that each is a full one.
const GROUPS_MAX: usize = 2;
/// Records read again at a time.
const READS_MAX: usize = 16;
/// So many offers in a row that the store cannot keep are no longer those records' own trouble.
const BROKEN_MAX: usize = 16;
/// Where the news of owners wait.
const DELIVERIES: &str = "delivery/";

/// Why what was told could not be kept.
#[derive(Debug)]
pub(super) enum Trouble {
    Store(StoreError),
    /// A record that changed could not be read.
    Feed(FeedError),
}

/// One connection's news on their way into the store.
pub(super) struct Intake<'a> {
    means: &'a Means,
    under_way: FuturesUnordered<UnderWay<'a>>,
    reads: Arc<Semaphore>,
    is_reconciled: bool,
    broken: usize,
}

type UnderWay<'a> = Pin<Box<dyn Future<Output = Result<Taken, Trouble>> + Send + 'a>>;

/// What became of an offer.
enum Taken {
    In,
    /// The store cannot keep this one; it has been said.
    Broken(StoreError),
    /// It is offered no longer.
    Not,
}

impl<'a> Intake<'a> {
    pub(super) fn new(means: &'a Means) -> Self {
        let reads = Arc::new(Semaphore::new(READS_MAX));
        Self { means, under_way: FuturesUnordered::new(), reads, is_reconciled: false, broken: 0 }
    }

    /// Whether everything that was offered when the connection began has been taken in.
    pub(super) fn is_reconciled(&self) -> bool {
        self.is_reconciled
    }

    /// Takes in what is told until nothing more is.
    pub(super) async fn take_in(&mut self, told: &mut mpsc::Receiver<FeedNews>) -> Result<(), Trouble> {
        let room = self.means.group_max * GROUPS_MAX;
        loop {
            tokio::select! {
                Some(taken) = self.under_way.next() => self.look_at(taken)?,
                news = told.recv(), if self.under_way.len() < room => match news {
                    Some(news) => self.hear(news).await?,
                    None => return self.finish().await,
                },
            }
        }
    }

    async fn hear(&mut self, news: FeedNews) -> Result<(), Trouble> {
        let means = self.means;
        let (feed, now) = (&means.feed, means.store.now());
        feed.status.send_modify(|status| status.news_at = Some(now));
        match news {
            FeedNews::Following => self.follows(now),
            FeedNews::Offered(records) => {
                // A backlog that is read by pages is told before there is a stream.
                self.follows(now);
                for record in records {
                    self.under_way.push(Box::pin(offer(means, record)));
                }
            }
            FeedNews::Changed(key) => {
                self.under_way.push(Box::pin(read_again(means, self.reads.clone(), key)));
            }
            // Processed or deleted: whoever works on it finds out which.
            FeedNews::Left(key) => debug!(feed = feed.name, %key, "offered no longer"),
            FeedNews::Reconciled { records } => {
                self.finish().await?;
                self.reconciled(records, means.store.now());
            }
            FeedNews::Lost { reason, retry_in } => {
                let was_lost = matches!(feed.status.borrow().state, FeedState::Lost { .. });
                if !was_lost {
                    let retry_in_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
                    warn!(
                        feed = feed.name,
                        reason, retry_in_ms, "feed lost; it is connected to again and again"
                    );
                }
                feed.became(FeedState::Lost { reason }, now);
            }
        }
        Ok(())
    }

    fn follows(&self, now: DateTime<Utc>) {
        let feed = &self.means.feed;
        let was_followed = feed.status.borrow().state == FeedState::Following;
        if !was_followed {
            info!(feed = feed.name, "feed followed");
            feed.became(FeedState::Following, now);
        }
    }

    fn reconciled(&mut self, records: usize, now: DateTime<Utc>) {
        let feed = &self.means.feed;
        if !std::mem::replace(&mut self.is_reconciled, true) {
            info!(feed = feed.name, records, "feed reconciled");
        }
        feed.status.send_modify(|status| {
            status.reconciled_at = Some(now);
            status.records = records as u64;
        });
    }

    /// Waits for what is under way.
    async fn finish(&mut self) -> Result<(), Trouble> {
        while let Some(taken) = self.under_way.next().await {
            self.look_at(taken)?;
        }
        Ok(())
    }

    fn look_at(&mut self, taken: Result<Taken, Trouble>) -> Result<(), Trouble> {
        match taken? {
            Taken::In => self.broken = 0,
            Taken::Not => {}
            Taken::Broken(error) => {
                self.broken += 1;
                if self.broken >= BROKEN_MAX {
                    return Err(Trouble::Store(error));
                }
            }
        }
        Ok(())
    }
}

/// Reads a record that changed, and offers it if it is still to be worked on.
async fn read_again(means: &Means, reads: Arc<Semaphore>, key: TransferKey) -> Result<Taken, Trouble> {
    // Nobody closes it.
    let permit = reads.acquire().await;
    let read = means.feed.connector.read(&key).await;
    drop(permit);
    match read {
        Ok(Some(record)) if record.get("processed") == Some(&Value::Bool(false)) => {
            offer(means, FeedRecord { key, record }).await
        }
        Ok(_) => Ok(Taken::Not),
        // Read again it would say the same.
        Err(error @ (FeedError::Refused { .. } | FeedError::TooLarge { .. })) => {
            warn!(feed = means.feed.name, %key, %error, "record that changed not taken in");
            Ok(Taken::Not)
        }
        Err(error) => Err(Trouble::Feed(error)),
    }
}

async fn offer(means: &Means, record: FeedRecord) -> Result<Taken, Trouble> {
    let FeedRecord { key, record } = record;
    // The trace of a transfer begins here, and goes on with its work.
    let span = info_span!(parent: None, "transfer.offer", feed = means.feed.name, %key);
    async move {
        let terms = OfferTerms {
            priority: 0,
            attempts_max: means.analysis_attempts_max,
            delivery_attempts_max: means.delivery_attempts_max,
            traceparent: crate::telemetry::traceparent(),
        };
        let offer = means.feed.offer(key.clone(), &record, terms, means.store.now());
        // The store has what it needs of it.
        drop(record);
        let queue = offer.queue.clone();
        match means.offers.run(offer).await {
            Ok(offered) => {
                tell(means, offered, &queue);
                Ok(Taken::In)
            }
            Err(error) if error.is_transient() => Err(Trouble::Store(error)),
            Err(error) => {
                error!(feed = means.feed.name, %key, %error, "record not taken in");
                Ok(Taken::Broken(error))
            }
        }
    }
    .instrument(span)
    .await
}

/// Wakes whoever has work by it.
fn tell(means: &Means, offered: Offered, queue: &str) {
    match offered {
        Offered::Known { .. } => return,
        Offered::New { state: TransferState::Queued, .. } | Offered::QueuedAfterAll { .. } => {
            means.hints.there_is_work(queue);
        }
        // Its owners are told why it is not analysed.
        Offered::New { .. } => means.hints.there_is_work(DELIVERIES),
    }
    means.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
}
