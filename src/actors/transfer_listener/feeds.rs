//! The feeds as they are configured, ready to be listened to, read and written back to.
//!
//! **Owns** nothing. **Fails** with what keeps a feed from being made, which the configuration has looked for already.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::actors::config::transfers::FeedConfig;
use crate::config::Config;
use crate::connectors::analyzers::AnalyzerKind;
use crate::connectors::http::HttpConfig;
use crate::connectors::transfer_feeds::FeedError;
use crate::connectors::transfer_feeds::firebase_rtdb::FirebaseRtdb;
use crate::domain::ids::TenantId;
use crate::domain::transfer::judgement::Terms;
use crate::messages::transfers::{Feed, FeedStatus};

/// Every feed by its name, those that are not listened to among them: what they have offered before is worked on.
///
/// # Errors
/// `Misconfigured`.
pub fn of(
    config: &Config,
    wants_consent: impl Fn(AnalyzerKind) -> bool,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Arc<Feed>>, FeedError> {
    let made = config.transfers.feeds.iter().map(|(name, feed)| {
        let made = make(name, feed, &config.http, wants_consent(feed.analyzer), now)?;
        Ok((name.clone(), Arc::new(made)))
    });
    made.collect()
}

fn make(
    name: &str,
    config: &FeedConfig,
    http: &HttpConfig,
    wants_consent: bool,
    now: DateTime<Utc>,
) -> Result<Feed, FeedError> {
    let misconfigured = |reason: String| FeedError::Misconfigured { reason };
    let consent_field = Some(config.consent_field.clone()).filter(|field| !field.is_empty());
    Ok(Feed {
        name: name.to_owned(),
        tenant: TenantId::parse(&config.tenant).map_err(|error| misconfigured(error.to_string()))?,
        analyzer: config.analyzer,
        connector: FirebaseRtdb::new(config.firebase_rtdb.clone(), http)?,
        terms: Terms {
            zone: config.firebase_rtdb.zone(),
            age_max: config.age_max,
            clock_tolerance: config.clock_tolerance,
            consent_field,
            wants_consent,
        },
        status: watch::channel(FeedStatus::unknown(now)).0,
    })
}
