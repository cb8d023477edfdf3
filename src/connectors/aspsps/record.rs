//! What is kept of every call, and the answer beside it.
//!
//! **Owns** nothing. **Fails** never: a call that came to nothing has a record as well, and one that was not made says so.
//! **Limits**: eight headers about limits of up to 128 bytes, ids of up to 128 bytes; no body, no token, no address.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AspspError;

const HEADERS_MAX: usize = 8;
const VALUE_BYTES_MAX: usize = 128;

/// What an ASPSP is asked, whatever its standard calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    ConsentStatus,
    Accounts,
    AccountDetails,
    Balances,
    /// Booked ones, or booked and pending ones together.
    Transactions,
    TransactionsPending,
    TransactionsScheduled,
    TransactionsRejected,
    TransactionsCancelled,
    Holds,
    Payment,
    Payments,
    Bundle,
    Recurring,
    TokenRefresh,
    /// The replaced scheduler's own route, which asks the bank itself.
    RefreshActiveAccounts,
}

impl Operation {
    /// The name in the store, where quotas are counted by it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsentStatus => "consent_status",
            Self::Accounts => "accounts",
            Self::AccountDetails => "account_details",
            Self::Balances => "balances",
            Self::Transactions => "transactions",
            Self::TransactionsPending => "transactions_pending",
            Self::TransactionsScheduled => "transactions_scheduled",
            Self::TransactionsRejected => "transactions_rejected",
            Self::TransactionsCancelled => "transactions_cancelled",
            Self::Holds => "holds",
            Self::Payment => "payment",
            Self::Payments => "payments",
            Self::Bundle => "bundle",
            Self::Recurring => "recurring",
            Self::TokenRefresh => "token_refresh",
            Self::RefreshActiveAccounts => "refresh_active_accounts",
        }
    }
}

/// One call, as it becomes a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub operation: Operation,
    /// What the standard calls it: `getTransactionsDone`, `GET /accounts/{account-id}/balances`.
    pub method: &'static str,
    pub begun_at: DateTime<Utc>,
    /// Until the answer had been read, or until it was given up.
    pub duration: Duration,
    /// Whether the ASPSP may have seen it, so that it counts against a quota.
    pub may_have_been_sent: bool,
    /// The status of the answer; none where none came.
    pub status: Option<u16>,
    /// Our own id, another one for each call.
    pub request_id: Uuid,
    /// The id that the answer repeats.
    pub answer_request_id: Option<String>,
    /// Headers that tell of limits, by their names in small letters.
    pub rate_limits: Vec<(String, String)>,
    /// `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// The length of the answer's body, as it is read.
    pub answer_bytes: usize,
}

impl CallRecord {
    /// A call that begins now.
    pub(super) fn new(operation: Operation, method: &'static str, request_id: Uuid) -> Self {
        Self {
            operation,
            method,
            begun_at: Utc::now(),
            duration: Duration::ZERO,
            may_have_been_sent: false,
            status: None,
            request_id,
            answer_request_id: None,
            rate_limits: Vec::new(),
            retry_after: None,
            answer_bytes: 0,
        }
    }

    /// Keeps what the headers tell of limits.
    pub(super) fn keep_limits(&mut self, headers: &HeaderMap) {
        let of_limits = |name: &str| name.contains("ratelimit") || name.contains("rate-limit");
        let found = headers.iter().filter(|(name, _)| of_limits(name.as_str()));
        let kept = found.filter_map(|(name, value)| Some((name.as_str(), short(value.to_str().ok()?)?)));
        self.rate_limits = kept.map(|(name, value)| (name.to_owned(), value)).take(HEADERS_MAX).collect();
    }

    /// Keeps the id that the answer repeats.
    pub(super) fn keep_answer_id(&mut self, id: Option<&str>) {
        self.answer_request_id = id.and_then(short);
    }
}

fn short(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= VALUE_BYTES_MAX).then(|| text.to_owned())
}

/// What a call came to, and its record.
#[derive(Debug, Clone)]
pub struct Told<T> {
    pub call: CallRecord,
    pub outcome: Result<T, AspspError>,
}

impl<T> Told<T> {
    /// A call that is not made.
    pub(super) fn unsent(call: CallRecord, error: AspspError) -> Self {
        Self { call, outcome: Err(error) }
    }

    /// Reads the answer, if there is one.
    pub(super) fn read<U>(
        mut self,
        read: impl FnOnce(T, &mut CallRecord) -> Result<U, AspspError>,
    ) -> Told<U> {
        let outcome = self.outcome.and_then(|answer| read(answer, &mut self.call));
        Told { call: self.call, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_headers_tell_of_limits_is_kept_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-ratelimit-remaining", "3"),
            ("http_x_ratelimit_account_success_reset", "35273"),
            ("x-rate-limit-limit", " 4 "),
            ("ratelimit-policy", ""),
            ("set-cookie", "ratelimit=1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers.insert("ratelimit", "x".repeat(500).parse().unwrap());
        let mut call = CallRecord::new(Operation::Balances, "balances", Uuid::nil());
        call.keep_limits(&headers);
        call.rate_limits.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            call.rate_limits,
            [
                pair("http_x_ratelimit_account_success_reset", "35273"),
                pair("x-rate-limit-limit", "4"),
                pair("x-ratelimit-remaining", "3"),
            ]
        );
        assert!(!call.may_have_been_sent);
    }
}
