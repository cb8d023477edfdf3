//! Between what the settings of open banking must lie, and how they must stand to each other.
//!
//! **Owns** nothing: parts of the tables of [`super`], in the order of `config/default.toml`. What is said of
//! `openbanking.aspsp` holds for each of `openbanking.aspsps`.

use super::Rule::{self, Count, Span, Text};
use super::relations::Order::AtMost;
use super::relations::Relation;
use super::{DAY, HOUR, KIB, MIB, MINUTE, MS, SECOND};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("openbanking.sync.idle_min", Span(0, 31 * DAY)),
    ("openbanking.sync.overlap_days", Count(0, 365)),
    ("openbanking.sync.pages_max", Count(1, 100_000)),
    ("openbanking.sync.in_flight_max", Count(1, 10_000)),
    ("openbanking.sync.details_every", Span(0, 31 * DAY)),
    ("openbanking.sync.token_ahead", Span(0, DAY)),
    ("openbanking.sync.token_lease", Span(SECOND, HOUR)),
    ("openbanking.payments.young_until", Span(0, 365 * DAY)),
    ("openbanking.payments.then_every", Span(MINUTE, 31 * DAY)),
    ("openbanking.payments.given_up_after", Span(DAY, 3_653 * DAY)),
    ("openbanking.payments.in_flight_max", Count(1, 10_000)),
    ("openbanking.payments.group_max", Count(1, 1_000)),
    ("openbanking.retention.calls_kept", Span(MINUTE, 3_653 * DAY)),
    ("openbanking.retention.sessions_kept", Span(MINUTE, 3_653 * DAY)),
    ("openbanking.retention.accesses_kept", Span(32 * DAY, 3_653 * DAY)),
    ("openbanking.retention.payments_kept", Span(MINUTE, 3_653 * DAY)),
    ("openbanking.aspsp.timeout", Span(10 * MS, 10 * MINUTE)),
    ("openbanking.aspsp.body_max_bytes", Count(KIB, 256 * MIB)),
    ("openbanking.aspsp.page_size", Count(0, 10_000)),
    ("openbanking.aspsp.history_days_max", Count(1, 3_653)),
    ("openbanking.aspsp.limits.in_flight_max", Count(1, 10_000)),
    ("openbanking.aspsp.limits.rate_per_minute", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.limit", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.length", Span(MINUTE, 31 * DAY)),
    ("openbanking.aspsp.quota.endpoints.accounts", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.endpoints.account_details", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.endpoints.balances", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.endpoints.transactions", Count(0, 1_000_000)),
    ("openbanking.aspsp.quota.endpoints.holds", Count(0, 1_000_000)),
    ("openbanking.aspsp.berlin_group.payment_product", Text),
    ("openbanking.aspsp.polish_api.version", Text),
    ("openbanking.aspsp.polish_api.path", Text),
    ("openbanking.aspsp.polish_api.language", Text),
    ("openbanking.aspsp.polish_api.payments_max", Count(1, 1_000)),
    ("openbanking.internal_api.path", Text),
    ("openbanking.internal_api.timeout", Span(10 * MS, 10 * MINUTE)),
    ("openbanking.internal_api.body_max_bytes", Count(KIB, 256 * MIB)),
];

pub(super) const RELATIONS: &[Relation] = &[(
    "openbanking.payments.young_until",
    AtMost,
    "openbanking.payments.given_up_after",
    "who is given up is not young",
)];
