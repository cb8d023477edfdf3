//! Payments that settle step by step, one by one, in bundles, and again and again.
//!
//! **Owns** the payments of a bank.
//! **Fails** never.
//! **Limits**: a status is the Berlin Group's code; PolishAPI is told the word that stands for it. What is neither is told
//! as it is, by both.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A payment that a test puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspPayment {
    /// What the bank calls it.
    pub id: String,
    /// What its initiator calls it.
    pub tpp_id: String,
    /// The consent whose token may ask; without it anybody may whom a Berlin Group bank knows by
    /// the certificate, and by PolishAPI nobody.
    #[serde(default)]
    pub consent: Option<String>,
    /// Such as `payments` or `bulk-payments`.
    #[serde(default = "payments")]
    pub service: String,
    /// Such as `sepa-credit-transfers`.
    #[serde(default = "sepa")]
    pub product: String,
    /// How it settles, in the order of time.
    pub steps: Vec<AspspPaymentStep>,
    /// It is carried out on a later day.
    #[serde(default)]
    pub future_dated: bool,
}

fn payments() -> String {
    "payments".to_owned()
}

fn sepa() -> String {
    "sepa-credit-transfers".to_owned()
}

/// A status from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspPaymentStep {
    /// Milliseconds after it was put there.
    pub after_ms: u64,
    /// Such as `ACSC`.
    pub status: String,
}

impl AspspPayment {
    /// Received at once, then so; each status after so long.
    pub fn settling(id: &str, steps: &[(Duration, &str)]) -> Self {
        let step = |(after, status): &(Duration, &str)| AspspPaymentStep {
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            status: (*status).to_owned(),
        };
        let first = (Duration::ZERO, "RCVD");
        AspspPayment {
            id: id.to_owned(),
            tpp_id: format!("tpp-{id}"),
            consent: None,
            service: payments(),
            product: sepa(),
            steps: std::iter::once(&first).chain(steps).map(step).collect(),
            future_dated: false,
        }
    }
}

/// Several payments that were given as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspBundle {
    /// What the bank calls it.
    pub id: String,
    /// What its initiator calls it.
    pub tpp_id: String,
    /// The consent whose token may ask.
    pub consent: String,
    /// The payments in it, by the bank's names.
    pub payments: Vec<String>,
}

/// A payment that is made again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspRecurring {
    /// What the bank calls it.
    pub id: String,
    /// What its initiator calls it.
    pub tpp_id: String,
    /// The consent whose token may ask.
    pub consent: String,
    /// How it goes on; the words are PolishAPI's own: `submitted`, `inProgress`, `cancelled`, `close`.
    pub steps: Vec<AspspPaymentStep>,
}

/// Something that is on file since a moment.
pub struct Filed<T> {
    pub what: T,
    since: DateTime<Utc>,
}

impl<T> Filed<T> {
    fn status<'a>(&self, steps: &'a [AspspPaymentStep], now: DateTime<Utc>) -> &'a str {
        let age_ms = u64::try_from((now - self.since).num_milliseconds()).unwrap_or_default();
        let reached = steps.iter().rfind(|step| step.after_ms <= age_ms);
        reached.or(steps.first()).map_or("RCVD", |step| &step.status)
    }
}

impl Filed<AspspPayment> {
    pub fn code(&self, now: DateTime<Utc>) -> &str {
        self.status(&self.what.steps, now)
    }
}

impl Filed<AspspRecurring> {
    pub fn word(&self, now: DateTime<Utc>) -> &str {
        self.status(&self.what.steps, now)
    }
}

/// Whether nothing comes after this.
pub fn is_final(code: &str) -> bool {
    matches!(code, "ACSC" | "ACCC" | "RJCT" | "CANC")
}

/// PolishAPI's word for a code.
pub fn word(code: &str) -> &str {
    match code {
        "RCVD" => "submitted",
        "PDNG" | "ACTC" | "ACCP" | "ACFC" | "ACWC" | "ACWP" | "ACSP" | "PATC" => "pending",
        "ACSC" | "ACCC" => "done",
        "RJCT" => "rejected",
        "CANC" => "cancelled",
        other => other,
    }
}

/// By which of its names something is asked for; the bank's own goes before.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub id: Option<&'a str>,
    pub tpp_id: Option<&'a str>,
}

/// All that is on file.
#[derive(Default)]
pub struct Payments {
    payments: HashMap<String, Filed<AspspPayment>>,
    by_tpp_id: HashMap<String, String>,
    bundles: Vec<Filed<AspspBundle>>,
    recurring: Vec<Filed<AspspRecurring>>,
}

impl Payments {
    pub fn put(&mut self, what: AspspPayment, since: DateTime<Utc>) {
        self.by_tpp_id.insert(what.tpp_id.clone(), what.id.clone());
        self.payments.insert(what.id.clone(), Filed { what, since });
    }

    pub fn put_bundle(&mut self, what: AspspBundle, since: DateTime<Utc>) {
        self.bundles.push(Filed { what, since });
    }

    pub fn put_recurring(&mut self, what: AspspRecurring, since: DateTime<Utc>) {
        self.recurring.push(Filed { what, since });
    }

    /// From now on it is so; false where there is no such payment.
    pub fn settle(&mut self, id: &str, status: &str, now: DateTime<Utc>) -> bool {
        let Some(filed) = self.payments.get_mut(id) else { return false };
        filed.since = now;
        filed.what.steps = vec![AspspPaymentStep { after_ms: 0, status: status.to_owned() }];
        true
    }

    pub fn find(&self, named: Named) -> Option<&Filed<AspspPayment>> {
        let id = named.id.or_else(|| self.by_tpp_id.get(named.tpp_id?).map(String::as_str))?;
        self.payments.get(id)
    }

    pub fn bundle(&self, named: Named) -> Option<&AspspBundle> {
        let is_it = |bundle: &&Filed<AspspBundle>| is_named(named, &bundle.what.id, &bundle.what.tpp_id);
        self.bundles.iter().find(is_it).map(|filed| &filed.what)
    }

    pub fn recurring(&self, named: Named) -> Option<&Filed<AspspRecurring>> {
        self.recurring.iter().find(|filed| is_named(named, &filed.what.id, &filed.what.tpp_id))
    }

    /// What is to be said of a bundle with these in it.
    pub fn bundle_word(codes: &[&str]) -> &'static str {
        let all = |wanted: fn(&str) -> bool| codes.iter().all(|code| wanted(code));
        if !codes.iter().any(|code| is_final(code)) {
            "inProgress"
        } else if all(|code| matches!(code, "ACSC" | "ACCC")) {
            "done"
        } else if all(|code| matches!(code, "RJCT" | "CANC")) {
            "cancelled"
        } else {
            "partiallyDone"
        }
    }
}

fn is_named(named: Named, id: &str, tpp_id: &str) -> bool {
    named.id.map_or(named.tpp_id == Some(tpp_id), |named| named == id)
}
