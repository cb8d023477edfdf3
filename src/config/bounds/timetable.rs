//! Between what the settings of the timetable must lie.
//!
//! **Owns** nothing: a part of the table of [`super`], in the order of `config/default.toml`.

use super::Rule::{self, Count, Span};
use super::{DAY, HOUR, MINUTE, MS};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("timetable.runs_kept", Span(DAY, 3_653 * DAY)),
    ("timetable.payment_update.every", Span(MINUTE, 366 * DAY)),
    ("timetable.payment_update.catch_up_window", Span(MINUTE, 366 * DAY)),
    ("timetable.payment_update.jitter", Span(0, HOUR)),
    ("timetable.sync_update.every", Span(MINUTE, 366 * DAY)),
    ("timetable.sync_update.catch_up_window", Span(MINUTE, 366 * DAY)),
    ("timetable.sync_update.jitter", Span(0, HOUR)),
    ("timetable.sync_update.batch_size", Count(1, 1_000_000)),
    ("timetable.sync_update.batch_interval", Span(10 * MS, DAY)),
];
