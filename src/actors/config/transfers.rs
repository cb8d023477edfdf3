//! Settings of transfers: the pool that has them analysed, how feeds are told, and the feeds.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone; those of every feed are `[transfers.feed]`.
//! **Fails** at start, with every fault under its whole key. **Limits**: a feed that is not enabled may lack what analyses and
//! recordings need, for nothing of it comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::AnalyzerKind;
use crate::connectors::analyzers::config::AnalyzersConfig;
use crate::connectors::transfer_feeds::firebase_rtdb::config::FirebaseRtdbConfig;
use crate::domain::ids::TenantId;

/// `[transfers]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransfersConfig {
    pub analysis: AnalysisConfig,
    pub write_back: WriteBackConfig,
    /// What every feed begins with.
    pub feed: FeedConfig,
    /// The feeds, by name: 1 to 63 characters of `[a-z0-9-]`.
    pub feeds: BTreeMap<String, FeedConfig>,
}

/// `[transfers.analysis]`: the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisConfig {
    /// Transfers under analysis at a time in this process, one answer each: 1 to 10,000. Can be changed at run time.
    pub slots: u32,
    /// Transfers of one company at a time: 1 to 10,000.
    pub per_company_max: u32,
    /// Transfers of one company begun per minute: up to 1,000,000; 0 for as fast as it goes.
    pub per_company_rate_per_minute: u32,
    /// Attempts after which a transfer has failed: 1 to 10,000.
    pub attempts_max: u32,
    /// The deadline of a whole attempt, all its answers: 1 min to 1 day.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// The wait after the first attempt that did not end the work; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// How long the vendors' own words are kept: 1 day to 10 years.
    #[serde(with = "humantime_serde")]
    pub raw_answers_kept: Duration,
}

/// `[transfers.write_back]`: how feeds are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteBackConfig {
    /// Results on their way to one feed at a time: 1 to 10,000.
    pub in_flight_max: u32,
    /// Attempts after which it has failed: 1 to 10,000.
    pub attempts_max: u32,
    /// The deadline of an attempt: 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// The wait after the first attempt that did not end the work; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
}

/// `[transfers.feeds.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Whether it is listened to. What it has offered is worked on either way.
    pub enabled: bool,
    /// Whose transfers they are.
    pub tenant: String,
    /// Who analyses them.
    pub analyzer: AnalyzerKind,
    /// What was recorded longer ago is skipped: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub age_max: Duration,
    /// How far the clocks of those who record may be ahead: up to 1 day.
    #[serde(with = "humantime_serde")]
    pub clock_tolerance: Duration,
    /// The field of a record that holds the person's agreement; empty for none.
    pub consent_field: String,
    /// How many aliases are followed one after the other: 1 for no chains, up to 10.
    pub alias_chain_max: u32,
    /// Whether an answer without a score is written back as 40, as the service before did.
    pub legacy_score: bool,
    /// Whether the user whom a record names is told by mail, beside those who subscribed.
    pub tells_user: bool,
    /// What is written back as the engine that made the scores; empty for the analyzer's name.
    pub codec: String,
    /// How long a claim at the feed lasts: 1 min to 1 day, and longer than an attempt to write back.
    #[serde(with = "humantime_serde")]
    pub claim_lease: Duration,
    pub firebase_rtdb: FirebaseRtdbConfig,
}

impl TransfersConfig {
    /// Everything that is wrong with the feeds, each fault with its key: what they are called, whose they are, how they are
    /// reached, and whether what they offer can be analysed.
    pub fn faults(&self, analyzers: &AnalyzersConfig) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (name, feed) in &self.feeds {
            let own = format!("transfers.feeds.{name}");
            // The rule is the same: both are parts of a queue's name.
            if TenantId::parse(name).is_err() {
                let reason = "must have a name of 1 to 63 characters of a-z, 0-9 and hyphen";
                faults.push((own.clone(), reason.to_owned()));
            }
            if let Err(error) = TenantId::parse(&feed.tenant) {
                faults.push((format!("{own}.tenant"), error.to_string()));
            }
            let of_recordings = if feed.enabled { feed.firebase_rtdb.audio_faults() } else { Vec::new() };
            for fault in feed.firebase_rtdb.faults().into_iter().chain(of_recordings) {
                let (key, reason) = fault.split_once(": ").unwrap_or(("", &fault));
                faults.push((format!("{own}.firebase_rtdb.{key}"), reason.to_owned()));
            }
            let missing = if feed.enabled { analyzers.missing(feed.analyzer) } else { Vec::new() };
            for key in missing {
                let reason = format!("must be set, for {own} has its transfers analysed there");
                faults.push((format!("analyzers.{}.{key}", feed.analyzer.as_str()), reason));
            }
        }
        faults
    }
}
