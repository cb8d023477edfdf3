//! Settings of open banking: how accounts are refreshed, how payments are followed, and the banks (ASPSPs) that are asked.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone; those of every bank are
//! `[openbanking.aspsp]`. **Fails** at start, with every fault under its whole key. **Limits**: whether a certificate or a key can be
//! read is seen when the first call needs it.

mod budget;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::budget::Budget;
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::internal_api::config::InternalApiConfig;
use crate::domain::openbanking::quota::Window;
use crate::messages::aspsps::{Counting, EndpointLimits};
use crate::store::openbanking::forget::Aged;

/// The longest name of a bank: as a part of a queue's name.
const NAME_BYTES_MAX: usize = 63;

/// `[openbanking]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBankingConfig {
    pub sync: SyncConfig,
    pub payments: PaymentsConfig,
    pub retention: RetentionConfig,
    /// What every bank begins with.
    pub aspsp: AspspEntry,
    /// The banks, by name: 1 to 63 characters of `[a-z0-9_-]`.
    pub aspsps: BTreeMap<String, AspspEntry>,
    pub internal_api: InternalApiConfig,
}

/// Who asks the banks for the accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// This house, each bank by its own standard.
    Aspsps,
    /// The replaced scheduler's internal service, once for each customer.
    InternalApi,
}

/// In which order customers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    LeastRecentlySynced,
    /// By a seed of the run's own.
    Shuffled,
}

/// `[openbanking.sync]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    pub via: Via,
    pub order: Order,
    /// Who was refreshed so lately is not taken: up to 31 days.
    #[serde(with = "humantime_serde")]
    pub idle_min: Duration,
    /// How many days before the last complete set transactions are asked for again: up to 365.
    pub overlap_days: u32,
    /// Pages of one set at most: 1 to 100,000.
    pub pages_max: u32,
    /// Visits of a batch at a time: 1 to 10,000.
    pub in_flight_max: u32,
    /// Whether pending transactions are asked for.
    pub pending: bool,
    /// Whether holds are asked for.
    pub holds: bool,
    /// Whether balances are asked for.
    pub balances: bool,
    /// The list of accounts and their details are asked for again no sooner: up to 31 days.
    #[serde(with = "humantime_serde")]
    pub details_every: Duration,
    /// So long before its end a token is refreshed: up to 1 day.
    #[serde(with = "humantime_serde")]
    pub token_ahead: Duration,
    /// So long others wait for the one that refreshes a token: 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub token_lease: Duration,
}

/// `[openbanking.payments]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsConfig {
    /// Younger ones are asked about in every run: up to 365 days.
    #[serde(with = "humantime_serde")]
    pub young_until: Duration,
    /// Older ones so often: 1 min to 31 days.
    #[serde(with = "humantime_serde")]
    pub then_every: Duration,
    /// Past this age one is asked about for the last time: 1 day to 10 years.
    #[serde(with = "humantime_serde")]
    pub given_up_after: Duration,
    /// Calls to one bank at a time: 1 to 10,000.
    pub in_flight_max: u32,
    /// Payments of one call at most, beside the bank's own bound: 1 to 1,000.
    pub group_max: u32,
}

/// `[openbanking.retention]`: how long is kept what is of no use for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Requests to banks: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub calls_kept: Duration,
    /// Visits at banks: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub sessions_kept: Duration,
    /// When banks were asked, by which quotas are counted: 32 days to 10 years, for a window reaches 31 days at most.
    #[serde(with = "humantime_serde")]
    pub accesses_kept: Duration,
    /// Payments, from when they have ended: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub payments_kept: Duration,
}

impl RetentionConfig {
    /// How long each is kept.
    pub fn of_each(&self) -> [(Aged, Duration); Aged::ALL.len()] {
        Aged::ALL.map(|aged| {
            let kept = match aged {
                Aged::Calls => self.calls_kept,
                Aged::Sessions => self.sessions_kept,
                Aged::Accesses => self.accesses_kept,
                Aged::Payments => self.payments_kept,
            };
            (aged, kept)
        })
    }
}

/// `[openbanking.aspsps.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AspspEntry {
    #[serde(flatten)]
    pub connector: AspspConfig,
    pub limits: AspspLimits,
    pub quota: QuotaConfig,
}

/// `[openbanking.aspsps.NAME.limits]`: what it can bear of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspLimits {
    /// Calls at a time: 1 to 10,000.
    pub in_flight_max: u32,
    /// Calls begun per minute: up to 1,000,000; 0 for as fast as it goes.
    pub rate_per_minute: u32,
}

/// Over what a bank counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    Rolling,
    Day,
    Month,
}

/// Of whom accesses are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    Consent,
    /// The customer, over all of their consents at the bank.
    User,
}

/// `[openbanking.aspsps.NAME.quota]`: how often it may be asked without the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    /// Accesses in a window: up to 1,000,000; 0 for as many as the consent says.
    pub limit: u32,
    pub window: WindowKind,
    /// Of a window that rolls: 1 min to 31 days.
    #[serde(with = "humantime_serde")]
    pub length: Duration,
    /// Of a calendar; none for that of the bank's books.
    pub zone: Option<Zone>,
    pub holder: Holder,
    /// Whether each operation is counted by itself.
    pub per_endpoint: bool,
    /// Whether each account is counted by itself.
    pub per_resource: bool,
    /// Whether booked, pending and other lists of transactions are operations of their own.
    pub per_list: bool,
    /// Whether each page of a set is an access.
    pub per_page: bool,
    pub endpoints: EndpointsConfig,
}

/// `[openbanking.aspsps.NAME.quota.endpoints]`: those with a limit of their own, up to 1,000,000; 0 for the one of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointsConfig {
    pub accounts: u32,
    pub account_details: u32,
    pub balances: u32,
    pub transactions: u32,
    pub holds: u32,
}

impl AspspEntry {
    /// Over what this bank counts.
    pub fn window(&self) -> Window {
        let zone = self.quota.zone.unwrap_or(self.connector.zone).tz();
        match self.quota.window {
            WindowKind::Rolling => Window::Rolling(self.quota.length),
            WindowKind::Day => Window::Day(zone),
            WindowKind::Month => Window::Month(zone),
        }
    }

    /// How this bank counts.
    pub fn counting(&self) -> Counting {
        let (quota, own) = (&self.quota, &self.quota.endpoints);
        Counting {
            limit: quota.limit,
            window: self.window(),
            per_user: quota.holder == Holder::User,
            per_endpoint: quota.per_endpoint,
            per_resource: quota.per_resource,
            per_list: quota.per_list,
            per_page: quota.per_page,
            endpoints: EndpointLimits {
                accounts: own.accounts,
                account_details: own.account_details,
                balances: own.balances,
                transactions: own.transactions,
                holds: own.holds,
            },
        }
    }
}

impl QuotaConfig {
    /// What is wrong with a window for which nothing says how many accesses it has.
    fn fault(&self) -> Option<&'static str> {
        let own = &self.endpoints;
        let limits = [own.accounts, own.account_details, own.balances, own.transactions, own.holds];
        let is_whole = self.limit > 0 || (self.per_endpoint && limits.into_iter().all(|limit| limit > 0));
        let is_day = match self.window {
            WindowKind::Rolling => self.length == Duration::from_hours(24),
            WindowKind::Day => true,
            WindowKind::Month => false,
        };
        (!is_whole && !is_day)
            .then_some("must be set, for a consent says how often a day and the window is no day")
    }
}

impl OpenBankingConfig {
    /// Everything that is wrong with the banks and with whom they are asked by, each fault with its key.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (name, aspsp) in &self.aspsps {
            let own = format!("openbanking.aspsps.{name}");
            let fits = |letter: u8| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter)
            };
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
                let reason = "must have a name of 1 to 63 characters of a-z, 0-9, underscore and hyphen";
                faults.push((own.clone(), reason.to_owned()));
            }
            let missing = aspsp.connector.missing().into_iter();
            faults.extend(missing.map(|key| (format!("{own}.{key}"), "must be set".to_owned())));
            faults.extend(aspsp.quota.fault().map(|fault| (format!("{own}.quota.limit"), fault.to_owned())));
        }
        if self.sync.via == Via::InternalApi {
            faults.extend(self.internal_api_faults());
        }
        faults
    }

    fn internal_api_faults(&self) -> Vec<(String, String)> {
        let api = &self.internal_api;
        let identity = &api.identity;
        let (certificate, private_key) = (identity.certificate.is_some(), identity.private_key.is_some());
        let wanted = "must be set, for openbanking.sync.via is internal_api";
        let whole = "must be set if the other of certificate and private_key is";
        let says_whose = !api.user_parameter.is_empty() || !api.user_header.is_empty();
        [
            ("base_url", api.base_url.is_none(), wanted),
            ("user_parameter", !says_whose, "must be set, or user_header: one says whose accounts are meant"),
            ("identity.certificate", private_key && !certificate, whole),
            ("identity.private_key", certificate && !private_key, whole),
        ]
        .into_iter()
        .filter(|(_, is_fault, _)| *is_fault)
        .map(|(key, _, reason)| (format!("openbanking.internal_api.{key}"), reason.to_owned()))
        .collect()
    }
}
