//! What Emotion Logic answers, as far as it is known.
//!
//! Known is that an emotion's average level stands at `data.reports.<channel>.profile.<emotion>.averageLevel`. The envelope
//! around it is not: what says that it failed, or holds no such level, is no analysis.
//!
//! **Owns** nothing. Pure: bytes in, an answer or an [`AnalyzerError`] out.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::connectors::analyzers::call::{FEW, ONCE, object, unreadable};
use crate::connectors::analyzers::{Analysis, AnalyzerError, RawAnswer};
use crate::domain::analysis::Outcome;

use super::config::EmotionLogicConfig;

/// Reads an answer.
pub(super) fn read(body: &Bytes, config: &EmotionLogicConfig) -> Result<Analysis, AnalyzerError> {
    let object = object(body)?;
    if let Some(error) = complaint(&object, body, config) {
        return Err(error);
    }
    if !has_level(&object) {
        return Err(unreadable("the answer holds no level of any emotion", ONCE, body));
    }
    let answer = Value::Object(object);
    let segments = match config.segments_at.as_str() {
        "" => None,
        pointer => match answer.pointer(pointer) {
            Some(Value::Array(segments)) => Some(u32::try_from(segments.len()).unwrap_or(u32::MAX)),
            _ => return Err(unreadable("the answer holds no segments where they should be", ONCE, body)),
        },
    };
    Ok(Analysis {
        outcome: Outcome::Measured { segments: segments.unwrap_or_default() },
        segments,
        raw: RawAnswer(body.clone()),
        vendor_id: None,
    })
}

fn complaint(
    object: &Map<String, Value>,
    body: &Bytes,
    config: &EmotionLogicConfig,
) -> Option<AnalyzerError> {
    let failed = object.get("success").is_some_and(|success| *success != Value::Bool(true));
    let error = object.get("error").filter(|error| !error.is_null());
    if !failed && error.is_none() {
        return None;
    }
    let Some(code) = error.and_then(|error| error.get("code")).and_then(code) else {
        return Some(unreadable("the vendor says that it failed", FEW, body));
    };
    let reason = format!("the vendor's code {code}");
    Some(if config.refused_codes.contains(&code) {
        AnalyzerError::Refused { reason }
    } else if config.paused_codes.contains(&code) {
        AnalyzerError::Paused { reason }
    } else {
        unreadable(reason, FEW, body)
    })
}

/// A code that can be shown: a number, or a word short enough to hold nothing else.
fn code(code: &Value) -> Option<String> {
    match code {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            (text.len() <= 32 && !text.is_empty() && text.bytes().all(plain)).then(|| text.clone())
        }
        _ => None,
    }
}

fn has_level(object: &Map<String, Value>) -> bool {
    let reports = object.get("data").and_then(|data| data.get("reports")).and_then(Value::as_object);
    let level = |emotion: &Value| emotion.get("averageLevel").is_some_and(Value::is_number);
    let measured = |report: &Value| {
        report.get("profile").and_then(Value::as_object).is_some_and(|profile| profile.values().any(level))
    };
    reports.is_some_and(|reports| reports.values().any(measured))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn success() -> Value {
        json!({"success": true, "data": {"reports": {"channel-0": {"profile": {
            "stress": {"averageLevel": 11},
            "hesitation": {"averageLevel": 17},
        }}}, "list": [{"channel": 0}, {"channel": 0}]}})
    }

    fn read_value(value: &Value, config: &EmotionLogicConfig) -> Result<Analysis, AnalyzerError> {
        read(&Bytes::from(value.to_string()), config)
    }

    #[test]
    fn levels_are_measured_and_never_a_score() {
        let config = EmotionLogicConfig::default();
        let analysis = read_value(&success(), &config).unwrap();
        assert_eq!((analysis.outcome.name(), analysis.outcome.score()), ("measured", None));
        assert_eq!(analysis.segments, None);
        assert_eq!(analysis.raw.0, Bytes::from(success().to_string()));
        let counted = EmotionLogicConfig { segments_at: "/data/list".to_owned(), ..config.clone() };
        assert_eq!(read_value(&success(), &counted).unwrap().outcome, Outcome::Measured { segments: 2 });
        let astray = EmotionLogicConfig { segments_at: "/data/reports".to_owned(), ..config };
        assert!(matches!(
            read_value(&success(), &astray),
            Err(AnalyzerError::Unreadable { again_max: ONCE, .. })
        ));
    }

    #[test]
    fn what_is_no_success_is_sorted_by_the_operator_s_codes() {
        let config = EmotionLogicConfig {
            refused_codes: vec!["17".to_owned()],
            paused_codes: vec!["no-credit".to_owned()],
            ..EmotionLogicConfig::default()
        };
        let of = |said: Value| read_value(&said, &config).unwrap_err();
        let failed =
            |code: Value| json!({"success": false, "error": {"code": code, "message": "sample text"}});
        assert!(matches!(of(failed(json!(0))), AnalyzerError::Unreadable { again_max: FEW, .. }));
        assert!(matches!(of(failed(json!(17))), AnalyzerError::Refused { .. }));
        assert!(matches!(of(failed(json!("no-credit"))), AnalyzerError::Paused { .. }));
        assert!(!of(failed(json!("a person's name"))).to_string().contains("person"));
        assert!(matches!(of(json!({"success": false})), AnalyzerError::Unreadable { .. }));
        assert!(matches!(of(json!({"error": "no"})), AnalyzerError::Unreadable { .. }));
        let mut both = success();
        both["success"] = json!("yes");
        assert!(matches!(of(both), AnalyzerError::Unreadable { .. }));
        for nothing in [
            json!({}),
            json!({"success": true, "data": {"reports": {}}}),
            json!({"success": true, "data": {"reports": {"channel-0": {"profile": {}}}}}),
            json!({"success": true, "data": {"reports": {"channel-0": {"profile": {"stress": {"averageLevel": "11"}}}}}}),
        ] {
            assert!(matches!(of(nothing), AnalyzerError::Unreadable { again_max: ONCE, .. }));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_are_an_analysis(body: Vec<u8>, cut in 0_usize..200) {
            let config = EmotionLogicConfig::default();
            prop_assert!(read(&Bytes::from(body), &config).is_err());
            let whole = success().to_string();
            if cut < whole.len() {
                prop_assert!(read(&Bytes::from(whole.into_bytes()[..cut].to_vec()), &config).is_err());
            }
        }
    }
}
