//! Settings of the workers and of their supervision.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

pub mod openbanking;
pub mod timetable;
pub mod transfers;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[registration]`: how boletos are registered with their banks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationConfig {
    /// How long the caller who creates a boleto is kept waiting for its bank; shorter than `attempt_timeout`.
    #[serde(with = "humantime_serde")]
    pub inline_deadline: Duration,
    /// Bank calls at a time for one bank account: 1 to 10,000.
    pub in_flight_max: u32,
    /// Bank calls begun per minute for one bank account: up to 1,000,000; 0 for as fast as it goes.
    pub rate_per_minute: u32,
    /// Boletos that may wait for one bank account; past them more are refused. Up to 10,000,000; 0 for no bound.
    pub backlog_max: u32,
    /// Attempts after which a boleto is left for an operator: 1 to 10,000.
    pub attempts_max: u32,
    /// The wait after the first attempt that did not end the work; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// The deadline of a whole attempt: signing in, looking, asking. 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// How long a bank that decides later is left before it is asked what came of it. 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub ask_again_after: Duration,
}

/// `[reconciliation]`: how banks are asked what was paid and taken off file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationConfig {
    /// Whether banks are asked.
    pub enabled: bool,
    /// From the end of one run of an account to the begin of its next: 1 s to 7 days.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How far before the last day asked for the next run begins, for what banks post late: up to 90 days.
    #[serde(with = "humantime_serde")]
    pub lookback: Duration,
    /// How far back a run begins at most, the first one of an account among them: 1 day to 5 years.
    #[serde(with = "humantime_serde")]
    pub history: Duration,
    /// Accounts of one bank that are asked about at a time: 1 to 1,000.
    pub in_flight_max: u32,
    /// The wait after the first attempt that was no whole run; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// Open boletos that one run asks about, of an account whose bank lists nothing: 1 to 1,000,000.
    pub look_ups_per_run_max: u32,
    /// The deadline of a whole run: 1 s to 1 day.
    #[serde(with = "humantime_serde")]
    pub run_timeout: Duration,
}

/// `[notification]`: how owners are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationConfig {
    /// Whether deliveries go out; their rows are written either way.
    pub enabled: bool,
    /// Deliveries under way at a time for one kind of channel: 1 to 10,000.
    pub in_flight_max: u32,
    /// Deliveries under way at a time for one endpoint: 1 to `in_flight_max`.
    pub per_endpoint_max: u32,
    /// Deliveries begun per minute for one endpoint: up to 1,000,000; 0 for as fast as it goes.
    pub per_endpoint_rate_per_minute: u32,
    /// The wait after the first delivery that was not taken; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// Attempts after which a delivery is a dead letter: 1 to 10,000.
    pub attempts_max: u32,
    /// How long an endpoint may fail before it is not told any more: 1 min to 1 year.
    #[serde(with = "humantime_serde")]
    pub disable_after: Duration,
    /// How long each try and its answer are kept: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub attempts_kept: Duration,
    /// The deadline of an attempt: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
}

/// `[supervision]`: how crashes are borne.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Restarts that are borne within `restarts_within`; one more parks a worker, or ends the process where the
    /// foundation crashes. 1 to 10,000.
    pub restarts_max: u32,
    /// The width of the window in which restarts are counted: 1 s to 1 day.
    #[serde(with = "humantime_serde")]
    pub restarts_within: Duration,
    /// The wait before the first restart; doubles with each crash that follows.
    #[serde(with = "humantime_serde")]
    pub backoff_base: Duration,
    /// The longest wait before a restart.
    #[serde(with = "humantime_serde")]
    pub backoff_cap: Duration,
    /// The wait before a parked worker is tried again; doubles from there.
    #[serde(with = "humantime_serde")]
    pub park_retry_base: Duration,
    /// The longest wait before a parked worker is tried again.
    #[serde(with = "humantime_serde")]
    pub park_retry_cap: Duration,
    /// Messages that an actor's mailbox holds: 1 to 1,000,000.
    pub mailbox: usize,
}
