//! The two files that the service before this one left of every transfer, for those who read them: its numbers as JSON, and the
//! vendor's answers as text.
//!
//! The JSON holds, keys sorted and indented by four blanks: `fecha`, when it was recorded, as records say it, in the feed's zone;
//! `raw_data`, the list of the vendor risk scores in the order of the questions; `resume`, the same joined by `|`, **as risks**: there
//! it was always `100 − score`, so that the two run opposite ways and nobody may hold one for the other; `uid_trans`, the
//! transfer's own key. Which names the file had is known for certain, what stood in `fecha` and `raw_data` is not.
//!
//! **Owns** nothing; pure. **Fails** nowhere. **Limits**: an answer without a score is `null` in the list and empty in `resume`;
//! only a run that wrote fillers back has them here too, and a filler is no score.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

use crate::domain::analysis::{LEGACY_FILLER, Outcome};

const TIME_FORM: &str = "%Y/%m/%d - %H:%M:%S";

/// What the files tell of one run.
pub struct LegacyTransfer<'a> {
    /// The transfer's own key, not that of its alias.
    pub key: &'a str,
    pub recorded_at: Option<DateTime<Utc>>,
    /// The feed's.
    pub zone: Tz,
    /// Of the questionnaire; answers that have no outcome yet keep their places.
    pub questions: u32,
    /// Outcomes by position, in any order.
    pub answers: &'a [(u32, &'a Outcome)],
    /// Whether the run wrote fillers back.
    pub has_fillers: bool,
}

impl LegacyTransfer<'_> {
    /// The JSON, which ends without a new line.
    pub fn document(&self) -> String {
        let scores = self.scores();
        let risk = |score: &Option<u8>| score.map_or_else(String::new, |score| (100 - score).to_string());
        let at = self.recorded_at.map(|at| at.with_timezone(&self.zone).format(TIME_FORM).to_string());
        let document = json!({
            "fecha": at,
            "raw_data": scores,
            "resume": scores.iter().map(risk).collect::<Vec<_>>().join("|"),
            "uid_trans": self.key,
        });
        indented(&document)
    }

    fn scores(&self) -> Vec<Option<u8>> {
        let by_position: BTreeMap<u32, &Outcome> = self.answers.iter().copied().collect();
        let score = |position| {
            let outcome = by_position.get(&position)?;
            outcome.score().or_else(|| self.has_fillers.then_some(LEGACY_FILLER))
        };
        (0..self.questions).map(score).collect()
    }
}

/// The text: the vendor's answers as they came, in the order of the questions that they are about, one line end behind each.
pub fn text(bodies: &[&[u8]]) -> String {
    bodies.iter().map(|body| format!("{}\n", String::from_utf8_lossy(body).trim_end())).collect()
}

/// Keys come sorted, for that is the order in which a JSON object is kept here.
fn indented(document: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    match document.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // Memory takes every byte and every key is text, so that this cannot be; it would only lose its looks.
        Err(_) => document.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::analysis::formula::VendorRisk;

    fn scored(risk: u8) -> Outcome {
        Outcome::Scored(VendorRisk::kept(risk, 3).unwrap())
    }

    fn document(answers: &[(u32, &Outcome)], questions: u32, has_fillers: bool) -> String {
        let transfer = LegacyTransfer {
            key: "-Nsample0000000000A1",
            recorded_at: Some("2026-01-15T13:20:30Z".parse().unwrap()),
            zone: chrono_tz::America::Sao_Paulo,
            questions,
            answers,
            has_fillers,
        };
        transfer.document()
    }

    #[test]
    fn the_json_has_sorted_keys_four_blanks_and_risks_in_its_resume() {
        let written = document(&[(1, &scored(100)), (0, &scored(62))], 2, false);
        let expected = r#"{
    "fecha": "2026/01/15 - 10:20:30",
    "raw_data": [
        38,
        5
    ],
    "resume": "62|95",
    "uid_trans": "-Nsample0000000000A1"
}"#;
        assert_eq!(written, expected);
    }

    #[test]
    fn what_has_no_score_is_null_and_never_a_number() {
        let gave_up = Outcome::GaveUp { reason: "no answer".to_owned() };
        let answers = [(0, &scored(62)), (1, &Outcome::NoSpeech), (3, &gave_up)];
        let written: Value = serde_json::from_str(&document(&answers, 5, false)).unwrap();
        assert_eq!(written["raw_data"], json!([38, null, null, null, null]));
        assert_eq!(written["resume"], "62||||");
        let nothing: Value = serde_json::from_str(&document(&[], 0, false)).unwrap();
        assert_eq!((&nothing["raw_data"], &nothing["resume"]), (&json!([]), &json!("")));
    }

    #[test]
    fn fillers_stand_where_the_run_wrote_them_and_not_where_nothing_came_yet() {
        let answers = [(0, &scored(62)), (1, &Outcome::NoSpeech)];
        let written: Value = serde_json::from_str(&document(&answers, 3, true)).unwrap();
        assert_eq!(written["raw_data"], json!([38, 40, null]));
        assert_eq!(written["resume"], "62|60|");
    }

    #[test]
    fn a_time_that_nobody_knows_is_null() {
        let transfer = LegacyTransfer {
            key: "a",
            recorded_at: None,
            zone: Tz::UTC,
            questions: 0,
            answers: &[],
            has_fillers: false,
        };
        let written: Value = serde_json::from_str(&transfer.document()).unwrap();
        assert_eq!(written["fecha"], Value::Null);
    }

    #[test]
    fn the_text_is_what_the_vendor_said() {
        assert_eq!(
            text(&[b"{\"Status\": \"OK\"}\n", b"not \xff JSON"]),
            "{\"Status\": \"OK\"}\nnot \u{fffd} JSON\n"
        );
        assert_eq!(text(&[]), "");
    }
}
