//! What owners can be told of: which kinds of subjects there are, which events, and who wants to hear of which.
//!
//! **Owns** nothing. **Fails** with the rule that a subscription broke. **Limits**: the type of an event begins with its
//! subject's kind and a dot; what a filter asks for never changes during a subject's life.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::boleto::event::EventType;
use super::boleto::status::Status;
use super::openbanking::payment::PaymentState;
use super::violation::Violation;

/// The types wanted by one endpoint, at most.
pub const EVENT_TYPES_MAX: usize = 32;
/// The rules of one endpoint, at most.
pub const FILTERS_MAX: usize = 8;
/// The values of one rule, at most.
pub const FILTER_VALUES_MAX: usize = 100;
/// The characters of one value, at most: as many as a reference of the caller's may have.
pub const FILTER_VALUE_CHARS_MAX: usize = 255;

/// What an event may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    Boleto,
    /// An owner's destination itself.
    Endpoint,
    /// A recorded questioning.
    Transfer,
    /// A payment that a bank is asked about.
    Payment,
    /// What a customer has allowed at a bank.
    Consent,
    /// A visit at a bank by a consent.
    Sync,
}

impl SubjectKind {
    /// Every kind there is.
    pub const ALL: [Self; 6] =
        [Self::Boleto, Self::Endpoint, Self::Transfer, Self::Payment, Self::Consent, Self::Sync];

    /// The kind's name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boleto => "boleto",
            Self::Endpoint => "endpoint",
            Self::Transfer => "transfer",
            Self::Payment => "payment",
            Self::Consent => "consent",
            Self::Sync => "sync",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What can be asked about its subjects in a filter.
    pub fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Boleto => &["bank_account_id", "reference_id"],
            Self::Endpoint => &[],
            Self::Transfer => &["feed", "company_key", "person_key"],
            Self::Payment | Self::Consent | Self::Sync => &["aspsp", "user_id"],
        }
    }
}

/// An endpoint is not told any more, because it failed for too long or said that it is gone.
pub const ENDPOINT_DISABLED: &str = "endpoint.disabled";
/// Sent on request only, to see whether an endpoint takes it.
pub const ENDPOINT_TEST: &str = "endpoint.test";

/// A transfer's feed has its result.
pub const TRANSFER_DONE: &str = "transfer.done";
/// A transfer was given up.
pub const TRANSFER_FAILED: &str = "transfer.failed";
/// A transfer is not analysed.
pub const TRANSFER_SKIPPED: &str = "transfer.skipped";

/// What owners are told of transfers; more happens to them than that.
pub const OF_TRANSFERS: [&str; 3] = [TRANSFER_DONE, TRANSFER_FAILED, TRANSFER_SKIPPED];

/// A bank says that a payment was settled.
pub const PAYMENT_DONE: &str = "payment.done";
/// A bank says that it does not make a payment.
pub const PAYMENT_REJECTED: &str = "payment.rejected";
/// A payment was taken back.
pub const PAYMENT_CANCELLED: &str = "payment.cancelled";
/// The payments of a bundle have ended, some one way and some another.
pub const PAYMENT_MIXED: &str = "payment.mixed";
/// Nobody has said how a payment ended, and it is asked about no more.
pub const PAYMENT_UNRESOLVED: &str = "payment.unresolved";
/// A consent ends soon.
pub const CONSENT_EXPIRING: &str = "consent.expiring";
/// A consent has come to its end.
pub const CONSENT_EXPIRED: &str = "consent.expired";
/// A consent was taken back, or its bank lets nobody in by it any more.
pub const CONSENT_REVOKED: &str = "consent.revoked";
/// A customer's accounts could not be read; told when it begins, and not again before it went well.
pub const SYNC_FAILED: &str = "sync.failed";

/// What owners are told of open banking.
pub const OF_OPEN_BANKING: [&str; 9] = [
    PAYMENT_DONE,
    PAYMENT_REJECTED,
    PAYMENT_CANCELLED,
    PAYMENT_MIXED,
    PAYMENT_UNRESOLVED,
    CONSENT_EXPIRING,
    CONSENT_EXPIRED,
    CONSENT_REVOKED,
    SYNC_FAILED,
];

/// What is told of a payment that has come to that state; nothing while it is in progress.
pub fn payment_event(state: PaymentState) -> Option<&'static str> {
    match state {
        PaymentState::InProgress => None,
        PaymentState::Done => Some(PAYMENT_DONE),
        PaymentState::Rejected => Some(PAYMENT_REJECTED),
        PaymentState::Cancelled => Some(PAYMENT_CANCELLED),
        PaymentState::Mixed => Some(PAYMENT_MIXED),
        PaymentState::Unresolved => Some(PAYMENT_UNRESOLVED),
    }
}

/// Every type that an endpoint can ask for, in the order in which they are documented.
pub fn types_for_owners() -> Vec<String> {
    let of_boletos =
        Status::ALL.map(EventType::Became).into_iter().chain(EventType::OF_THEIR_OWN.map(|(own, _)| own));
    of_boletos
        .filter(|event_type| event_type.is_for_owners())
        .map(EventType::name)
        .chain([ENDPOINT_DISABLED].into_iter().chain(OF_TRANSFERS).chain(OF_OPEN_BANKING).map(str::to_owned))
        .collect()
}

/// Whether an endpoint can ask for it: a type, every type of a kind as `boleto.*`, or `*`.
pub fn can_be_asked_for(pattern: &str) -> bool {
    pattern == "*"
        || pattern.strip_suffix(".*").is_some_and(|kind| SubjectKind::parse(kind).is_some())
        || types_for_owners().iter().any(|name| name == pattern)
}

/// A rule about the subject: one of `values` must be the attribute's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    pub attribute: String,
    pub values: Vec<String>,
}

/// What is wrong with the filters of an endpoint that wants these events, by field.
pub fn filter_violations(filters: &[EventFilter], event_types: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    if filters.len() > FILTERS_MAX {
        violations.push(Violation::new("filters", format!("at most {FILTERS_MAX}")));
        return violations;
    }
    let is_of = |kind: &SubjectKind, wanted: &String| {
        wanted == "*" || wanted.split_once('.').is_some_and(|(of, _)| of == kind.as_str())
    };
    let kinds =
        SubjectKind::ALL.into_iter().filter(|kind| event_types.iter().any(|wanted| is_of(kind, wanted)));
    let known: Vec<&str> = kinds.flat_map(|kind| kind.attributes().iter().copied()).collect();
    for (index, EventFilter { attribute, values }) in filters.iter().enumerate() {
        if !known.contains(&attribute.as_str()) {
            let rule = match known.is_empty() {
                true => "these events have no attribute to be filtered by".to_owned(),
                false => format!("one of {}", known.join(", ")),
            };
            violations.push(Violation::new(format!("filters[{index}].attribute"), rule));
            continue;
        }
        if !(1..=FILTER_VALUES_MAX).contains(&values.len()) {
            let rule = format!("1 to {FILTER_VALUES_MAX}");
            violations.push(Violation::new(format!("filters[{index}].values"), rule));
            continue;
        }
        for (place, value) in values.iter().enumerate() {
            let rule = match attribute.as_str() {
                "bank_account_id" if value.parse::<Uuid>().is_err() => "must be a UUID".to_owned(),
                _ if !(1..=FILTER_VALUE_CHARS_MAX).contains(&value.chars().count()) => {
                    format!("1 to {FILTER_VALUE_CHARS_MAX} characters")
                }
                _ => continue,
            };
            violations.push(Violation::new(format!("filters[{index}].values[{place}]"), rule));
        }
    }
    violations
}

/// Whether a subject with these attributes is wanted: every rule must hold, and one about an attribute that the subject does
/// not have does not.
pub fn is_wanted(filters: &[EventFilter], attributes: &[(&str, String)]) -> bool {
    filters.iter().all(|filter| {
        attributes.iter().any(|(name, value)| {
            *name == filter.attribute && filter.values.iter().any(|wanted| wanted == value)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_belongs_to_a_kind_and_can_be_asked_for() {
        let all = types_for_owners();
        assert!(all.len() > 8);
        for name in &all {
            let (kind, _) = name.split_once('.').unwrap();
            assert!(SubjectKind::parse(kind).is_some(), "{name}");
            assert!(can_be_asked_for(name), "{name}");
        }
        for pattern in ["*", "boleto.*", "endpoint.*", "transfer.*", "payment.*", "consent.*", "sync.*"] {
            assert!(can_be_asked_for(pattern), "{pattern}");
        }
        let no_news = ["boleto.issued", "transfer.queued", "payment.in_progress", ENDPOINT_TEST];
        for bad in ["", "boleto", "boleto.", "nothing.*", "boleto.*.x", "**"].into_iter().chain(no_news) {
            assert!(!can_be_asked_for(bad), "{bad}");
        }
    }

    #[test]
    fn a_filter_asks_for_what_the_events_have() {
        let rule = |attribute: &str, values: &[&str]| EventFilter {
            attribute: attribute.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let fields = |filters: &[EventFilter], wanted: &str| -> Vec<String> {
            filter_violations(filters, &[wanted.to_owned()]).into_iter().map(|v| v.field).collect()
        };
        let account = "0190f1d0-0000-7000-8000-000000000001";
        let good = [rule("bank_account_id", &[account]), rule("reference_id", &["a", "b"])];
        for wanted in ["boleto.registered", "boleto.*", "*"] {
            assert!(fields(&good, wanted).is_empty(), "{wanted}");
        }
        for wanted in ["endpoint.*", "transfer.*"] {
            assert_eq!(fields(&good, wanted), ["filters[0].attribute", "filters[1].attribute"], "{wanted}");
        }
        let of_transfers =
            [rule("feed", &["main"]), rule("company_key", &["-Nsample"]), rule("person_key", &["-Nsample"])];
        for wanted in ["transfer.done", "transfer.*", "*"] {
            assert!(fields(&of_transfers, wanted).is_empty(), "{wanted}");
        }
        assert_eq!(fields(&of_transfers[..1], "boleto.*"), ["filters[0].attribute"]);
        let of_banks = [rule("aspsp", &["bank"]), rule("user_id", &["customer-1"])];
        for wanted in ["payment.done", "consent.*", "sync.failed", "*"] {
            assert!(fields(&of_banks, wanted).is_empty(), "{wanted}");
        }
        let bad =
            [rule("payer", &["a"]), rule("bank_account_id", &[account, "x"]), rule("reference_id", &[])];
        assert_eq!(fields(&bad, "*"), ["filters[0].attribute", "filters[1].values[1]", "filters[2].values"]);
        assert_eq!(fields(&[rule("reference_id", &[""])], "*"), ["filters[0].values[0]"]);
        assert_eq!(fields(&vec![good[0].clone(); FILTERS_MAX + 1], "*"), ["filters"]);
    }

    #[test]
    fn every_rule_must_hold_and_one_value_of_it_is_enough() {
        let rule = |attribute: &str, values: &[&str]| EventFilter {
            attribute: attribute.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let boleto = [("bank_account_id", "a".to_owned()), ("reference_id", "order-1".to_owned())];
        assert!(is_wanted(&[], &boleto));
        assert!(is_wanted(&[rule("bank_account_id", &["b", "a"])], &boleto));
        assert!(!is_wanted(&[rule("bank_account_id", &["b"])], &boleto));
        let both = [rule("bank_account_id", &["a"]), rule("reference_id", &["order-2"])];
        assert!(!is_wanted(&both, &boleto));
        assert!(!is_wanted(&[rule("reference_id", &["order-1"])], &boleto[..1]));
    }
}
