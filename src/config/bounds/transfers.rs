//! Between what the settings of transfers must lie, and how they must stand to each other.
//!
//! **Owns** nothing: parts of the tables of [`super`], in the order of `config/default.toml`. What is said of
//! `transfers.feed` holds for each of `transfers.feeds`.

use super::Rule::{self, Count, Span, Text};
use super::relations::Order::{AtMost, Below};
use super::relations::Relation;
use super::{DAY, HOUR, KIB, MIB, MINUTE, MS, SECOND};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("transfers.analysis.slots", Count(1, 10_000)),
    ("transfers.analysis.per_company_max", Count(1, 10_000)),
    ("transfers.analysis.per_company_rate_per_minute", Count(0, 1_000_000)),
    ("transfers.analysis.attempts_max", Count(1, 10_000)),
    ("transfers.analysis.attempt_timeout", Span(MINUTE, DAY)),
    ("transfers.analysis.retry_base", Span(MS, HOUR)),
    ("transfers.analysis.retry_cap", Span(MS, DAY)),
    ("transfers.analysis.raw_answers_kept", Span(DAY, 3_653 * DAY)),
    ("transfers.write_back.in_flight_max", Count(1, 10_000)),
    ("transfers.write_back.attempts_max", Count(1, 10_000)),
    ("transfers.write_back.attempt_timeout", Span(SECOND, HOUR)),
    ("transfers.write_back.retry_base", Span(MS, HOUR)),
    ("transfers.write_back.retry_cap", Span(MS, DAY)),
    ("transfers.feed.tenant", Text),
    ("transfers.feed.age_max", Span(MINUTE, 3_653 * DAY)),
    ("transfers.feed.clock_tolerance", Span(0, DAY)),
    ("transfers.feed.alias_chain_max", Count(1, 10)),
    ("transfers.feed.claim_lease", Span(MINUTE, DAY)),
    ("transfers.feed.firebase_rtdb.zone", Text),
    ("transfers.feed.firebase_rtdb.timeout", Span(10 * MS, 10 * MINUTE)),
    ("transfers.feed.firebase_rtdb.idle_timeout", Span(100 * MS, HOUR)),
    ("transfers.feed.firebase_rtdb.token_leeway", Span(0, HOUR)),
    ("transfers.feed.firebase_rtdb.reconnect_base", Span(MS, HOUR)),
    ("transfers.feed.firebase_rtdb.reconnect_cap", Span(MS, HOUR)),
    ("transfers.feed.firebase_rtdb.listener_patience", Span(10 * MS, 10 * MINUTE)),
    ("transfers.feed.firebase_rtdb.event_bytes_max", Count(KIB, 256 * MIB)),
    ("transfers.feed.firebase_rtdb.answer_bytes_max", Count(KIB, 256 * MIB)),
    ("transfers.feed.firebase_rtdb.group_records_max", Count(1, 10_000)),
    ("transfers.feed.firebase_rtdb.backlog_interval", Span(10 * MS, 7 * DAY)),
    ("transfers.feed.firebase_rtdb.paths.transfers", Text),
    ("transfers.feed.firebase_rtdb.paths.claims", Text),
    ("transfers.feed.firebase_rtdb.paths.questionnaires", Text),
    ("transfers.feed.firebase_rtdb.paths.people", Text),
    ("transfers.feed.firebase_rtdb.paths.companies", Text),
    ("transfers.feed.firebase_rtdb.paths.users", Text),
    ("transfers.feed.firebase_rtdb.audio.expires_after", Span(SECOND, 7 * DAY)),
];

pub(super) const RELATIONS: &[Relation] = &[
    (
        "analyzers.nemesysco_ra7.timeout.min",
        AtMost,
        "analyzers.nemesysco_ra7.timeout.max",
        "deadlines grow from the one to the other",
    ),
    (
        "analyzers.nemesysco_container.timeout.min",
        AtMost,
        "analyzers.nemesysco_container.timeout.max",
        "deadlines grow from the one to the other",
    ),
    (
        "analyzers.nemesysco_cloud.timeout.min",
        AtMost,
        "analyzers.nemesysco_cloud.timeout.max",
        "deadlines grow from the one to the other",
    ),
    (
        "analyzers.emotion_logic.timeout.min",
        AtMost,
        "analyzers.emotion_logic.timeout.max",
        "deadlines grow from the one to the other",
    ),
    (
        "analyzers.nemesysco_ra7.timeout.max",
        Below,
        "transfers.analysis.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "analyzers.nemesysco_container.timeout.max",
        Below,
        "transfers.analysis.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "analyzers.nemesysco_cloud.timeout.max",
        Below,
        "transfers.analysis.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "analyzers.emotion_logic.timeout.max",
        Below,
        "transfers.analysis.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "transfers.analysis.retry_base",
        AtMost,
        "transfers.analysis.retry_cap",
        "waits grow from the one to the other",
    ),
    (
        "transfers.write_back.retry_base",
        AtMost,
        "transfers.write_back.retry_cap",
        "waits grow from the one to the other",
    ),
    (
        "transfers.write_back.attempt_timeout",
        Below,
        "transfers.feed.claim_lease",
        "what is written back is claimed until it is written",
    ),
    (
        "transfers.feed.firebase_rtdb.timeout",
        Below,
        "transfers.write_back.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "transfers.feed.firebase_rtdb.reconnect_base",
        AtMost,
        "transfers.feed.firebase_rtdb.reconnect_cap",
        "waits grow from the one to the other",
    ),
];
