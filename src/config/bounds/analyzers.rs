//! Between what the settings of analyzers must lie.
//!
//! **Owns** nothing: a part of the table of [`super`], in the order of `config/default.toml`.

use super::Rule::{self, Count, Span, Text, Texts};
use super::{HOUR, KIB, MIB, MINUTE, MS, SECOND};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("analyzers.connect_timeout", Span(10 * MS, 10 * MINUTE)),
    ("analyzers.body_max_bytes", Count(KIB, 64 * MIB)),
    ("analyzers.nemesysco_ra7.timeout.min", Span(45 * SECOND, HOUR)),
    ("analyzers.nemesysco_ra7.timeout.per_length", Count(1, 100)),
    ("analyzers.nemesysco_ra7.timeout.max", Span(45 * SECOND, 6 * HOUR)),
    ("analyzers.nemesysco_container.background_noise", Count(0, 100_000)),
    ("analyzers.nemesysco_container.segment_length_max_s", Count(1, 3)),
    ("analyzers.nemesysco_container.analyze_type", Count(1, 5)),
    ("analyzers.nemesysco_container.timeout.min", Span(45 * SECOND, HOUR)),
    ("analyzers.nemesysco_container.timeout.per_length", Count(1, 100)),
    ("analyzers.nemesysco_container.timeout.max", Span(45 * SECOND, 6 * HOUR)),
    ("analyzers.nemesysco_cloud.service_flags", Text),
    ("analyzers.nemesysco_cloud.power", Count(10, 40)),
    ("analyzers.nemesysco_cloud.questions_max", Count(1, 100)),
    ("analyzers.nemesysco_cloud.row_id", Text),
    ("analyzers.nemesysco_cloud.timeout.min", Span(45 * SECOND, HOUR)),
    ("analyzers.nemesysco_cloud.timeout.per_length", Count(1, 100)),
    ("analyzers.nemesysco_cloud.timeout.max", Span(45 * SECOND, 6 * HOUR)),
    ("analyzers.emotion_logic.background_noise", Count(0, 100_000)),
    ("analyzers.emotion_logic.refused_codes", Texts),
    ("analyzers.emotion_logic.paused_codes", Texts),
    ("analyzers.emotion_logic.timeout.min", Span(45 * SECOND, HOUR)),
    ("analyzers.emotion_logic.timeout.per_length", Count(1, 100)),
    ("analyzers.emotion_logic.timeout.max", Span(45 * SECOND, 6 * HOUR)),
];
