//! What those who listen to feeds, who analyse, and who are asked about transfers share.
//!
//! **Owns** nothing that a crash may lose. **Fails** nowhere. **Limits**: how a feed stands is told by the process that follows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::connectors::analyzers::AnalyzerKind;
use crate::connectors::transfer_feeds::firebase_rtdb::FirebaseRtdb;
use crate::domain::ids::{TenantId, TransferId};
use crate::domain::transfer::TransferKey;
use crate::domain::transfer::judgement::{Terms, judge};
use crate::store::transfer::analysis_queue;
use crate::store::transfer_offer::{Offer, Offered};
use crate::work::{Lane, Places};

/// Everything about transfers that faces and workers share.
pub struct Transfers {
    /// By name.
    pub feeds: BTreeMap<String, Arc<Feed>>,
    pub offers: Lane<Offer, Offered>,
    /// The slots of this process's pool.
    pub analysis: Places,
    /// Grows whenever this process has changed a transfer or an answer, for those who follow one.
    pub changes: watch::Sender<u64>,
    /// Attempts of an analysis at most.
    pub analysis_attempts_max: i64,
}

/// A feed with all that is agreed about it.
pub struct Feed {
    pub name: String,
    pub tenant: TenantId,
    pub analyzer: AnalyzerKind,
    pub connector: FirebaseRtdb,
    pub terms: Terms,
    pub status: watch::Sender<FeedStatus>,
}

/// How this process stands with a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedStatus {
    pub state: FeedState,
    pub since: DateTime<Utc>,
    pub news_at: Option<DateTime<Utc>>,
    pub reconciled_at: Option<DateTime<Utc>>,
    /// Records of the last reconciliation.
    pub records: u64,
}

/// Whether it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedState {
    /// By another process, or by none yet.
    Elsewhere,
    Connecting,
    Following,
    /// Made anew by itself.
    Lost {
        reason: String,
    },
    /// No waiting mends it.
    Refused {
        reason: String,
    },
}

/// How an offer is to be taken in.
#[derive(Debug, Clone)]
pub struct OfferTerms {
    /// Smaller goes first.
    pub priority: i64,
    pub attempts_max: i64,
    pub delivery_attempts_max: i64,
    pub traceparent: Option<String>,
}

impl Feed {
    /// A record as the store takes it in.
    pub fn offer(&self, key: TransferKey, record: &Value, terms: OfferTerms, now: DateTime<Utc>) -> Offer {
        let (judgement, record, recorded_at) = judge(&key, record, &self.terms, now);
        let company_key = record.as_ref().and_then(|record| record.company_key.clone());
        let (mut survey_key, mut person_key, mut user_key, mut alias_key) = (None, None, None, None);
        if let Some(record) = record {
            (survey_key, person_key) = (record.survey_key, record.person_key);
            (user_key, alias_key) = (record.user_key, record.alias_key);
        }
        Offer {
            id: TransferId(Uuid::now_v7()),
            tenant_id: self.tenant.clone(),
            feed: self.name.clone(),
            key,
            judgement,
            recorded_at,
            queue: self.queue(company_key.as_deref()),
            company_key,
            survey_key,
            person_key,
            user_key,
            alias_key,
            priority: terms.priority,
            attempts_max: terms.attempts_max,
            delivery_attempts_max: terms.delivery_attempts_max,
            traceparent: terms.traceparent,
            now,
        }
    }

    /// Where its transfers wait for their analysis.
    pub fn queue(&self, company_key: Option<&str>) -> String {
        analysis_queue(self.analyzer.as_str(), &self.tenant, company_key)
    }

    /// What it writes down about itself.
    pub fn became(&self, state: FeedState, now: DateTime<Utc>) {
        self.status.send_modify(|status| {
            if status.state != state {
                status.since = now;
                status.state = state;
            }
        });
    }
}

impl FeedStatus {
    /// Before anything is known.
    pub fn unknown(now: DateTime<Utc>) -> Self {
        Self { state: FeedState::Elsewhere, since: now, news_at: None, reconciled_at: None, records: 0 }
    }
}
