//! Every form of answer that is known, and what must never come of those that are none.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connectors::analyzers::call::NEVER;

/// The names of the columns, as far as any row goes.
const COLUMNS: &str = "GlobalSeg#;Seg#;TOPIC;Channel;StartPos;EndPos;OnlineLVA;OfflineLVA;Risk1;Risk2;RiskOZ;OZ1/OZ2/OZ3;Energy;\
    Content;Upset;Angry;Stressed;COGLevel;EMOLevel;Concentration;Anticipation;Hesitation;EmoBalance;IThink;Imagin;SAF;OCA;\
    EmoCogRatio;ExtremeEmotion;CogHighLowBalance;VoiceEnergy;LVARiskStress;LVAGLBStress;LVAEmoStress;LVACOGStress;LVAENRStress;\
    AVJ;CHL";
const CALIBRATING: &str = "SEG1;0001;TQ1;C0;0.35;1.90;Calibrating... (-2);<OFFC01>;0;0; 4;1/1/402;3;0;0;0;1;21;17;7;3;18;33;4;2;1;\
    571;58;2;61;911 / 940;0;0;0;0;0";
const LOW: &str = "SEG2;0002;TQ1;C0;2.10;4.05;Low Risk (0);SUBJECT NOT SURE (4);2;101; 31;2/1/588;2;1;0;0;4;12;20;11;6;16;27;0;5;3;\
    602;71;3;54;873 / 902;101;88;97;104;110";

/// An answer of RA7 with these segments and rows.
pub(in crate::connectors::analyzers) fn ra7(segments: &[&str], rows: &[&str]) -> Value {
    let lines: Vec<&str> = std::iter::once(COLUMNS).chain(segments.iter().copied()).collect();
    json!({
        "Status": "OK",
        "nmsID": "00000000-0000-4000-8000-0000000000a1",
        "Ver": "0.0.0-sample",
        "Data": {"SEG": lines, "RISKREPQ": rows, "NEW": {"kept": true}},
    })
}

pub(in crate::connectors::analyzers) fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn only(value: &Value) -> Result<Analysis, AnalyzerError> {
    Ra7::read(&bytes(value)).and_then(Ra7::only)
}

/// What a body is, in a word.
fn kind(body: &[u8]) -> (&'static str, Option<u32>) {
    match Ra7::read(&Bytes::copy_from_slice(body)).and_then(Ra7::only) {
        Ok(analysis) => (analysis.outcome.name(), None),
        Err(AnalyzerError::Unavailable { .. }) => ("unavailable", None),
        Err(AnalyzerError::Refused { .. }) => ("refused", None),
        Err(AnalyzerError::Paused { .. }) => ("paused", None),
        Err(AnalyzerError::Unreadable { again_max, .. }) => ("unreadable", Some(again_max)),
        Err(AnalyzerError::OutcomeUnknown { .. }) => ("unknown", None),
        Err(AnalyzerError::Misconfigured { .. }) => ("misconfigured", None),
    }
}

#[test]
fn a_risk_is_scored_and_the_answer_stays_as_it_came() {
    let body = bytes(&ra7(&[CALIBRATING, LOW, LOW], &["TQ1;C0;3;14.67;62"]));
    let analysis = Ra7::read(&body).and_then(Ra7::only).unwrap();
    assert_eq!(analysis.outcome.score(), Some(38));
    assert_eq!(analysis.segments, Some(3));
    assert_eq!(analysis.raw.0, body);
    assert_eq!(analysis.vendor_id.as_deref(), Some("00000000-0000-4000-8000-0000000000a1"));
    assert!(!format!("{analysis:?}").contains("Low Risk"));
}

#[test]
fn silence_is_told_from_a_failure() {
    assert_eq!(only(&ra7(&[], &[])).unwrap().outcome, Outcome::NoSpeech);
    let mut empty = ra7(&[], &[]);
    empty["Data"]["SEG"] = json!([]);
    assert_eq!(only(&empty).unwrap().outcome, Outcome::NoSpeech);
    assert_eq!(kind(ra7(&[LOW], &[]).to_string().as_bytes()), ("unreadable", Some(ONCE)));
    empty["Data"].as_object_mut().unwrap().remove("SEG");
    assert_eq!(kind(empty.to_string().as_bytes()), ("unreadable", Some(ONCE)));
}

#[test]
fn each_form_of_error_is_told_apart() {
    let e2 = json!({"userID": "sample-user", "action": "analyze",
        "error": "User sample-user is not allowed to do analyze"});
    for (said, expected) in [
        (json!({"API Error": "Invalid Input"}), ("refused", None)),
        (json!({"API Error": "something new"}), ("refused", None)),
        (json!({"API Error": 7}), ("refused", None)),
        (json!({"API Error": "No Action"}), ("misconfigured", None)),
        (json!({"API Error": "Unknown Action"}), ("misconfigured", None)),
        (json!({"API Error": "Invalid Action"}), ("misconfigured", None)),
        (json!({"API Error": "No URL"}), ("misconfigured", None)),
        (json!({"API Error": "No key"}), ("misconfigured", None)),
        (json!({"API Error": "No License"}), ("paused", None)),
        (e2, ("paused", None)),
        (json!({"Error": " Server is not answering"}), ("unavailable", None)),
        (json!({"Error": " "}), ("unavailable", None)),
        (json!({"Error": "Engine X is not answering"}), ("unavailable", None)),
        (json!({}), ("unreadable", Some(FEW))),
        (json!({"Server Answer": "Invalid Request"}), ("misconfigured", None)),
        (json!({"Status": "ERROR", "nmsID": "x", "Ver": "0", "Data": {}}), ("unreadable", Some(FEW))),
        (json!({"Status": "OK", "Data": {"SEG": [], "RISKREPQ": ["TQ1;C0;3"]}}), ("unreadable", Some(ONCE))),
        (
            json!({"Status": "OK", "Data": {"SEG": [], "RISKREPQ": ["TQ1;C0;3;1.00;62.0"]}}),
            ("unreadable", Some(ONCE)),
        ),
        (
            json!({"Status": "OK", "Data": {"SEG": [], "RISKREPQ": ["TQ1;C0;0;0.00;0"]}}),
            ("unreadable", Some(ONCE)),
        ),
        (json!({"Status": "OK", "Data": {"SEG": [], "RISKREPQ": [62]}}), ("unreadable", Some(ONCE))),
        (json!({"Status": "OK", "Data": {"SEG": []}}), ("unreadable", Some(ONCE))),
        (json!({"Status": "OK"}), ("unreadable", Some(FEW))),
        (json!({"Error Message": "engine 7"}), ("unreadable", Some(FEW))),
        (json!(["TQ1;C0;3;14.67;62"]), ("unreadable", Some(FEW))),
        (json!(62), ("unreadable", Some(FEW))),
    ] {
        assert_eq!(kind(said.to_string().as_bytes()), expected, "{said}");
    }
    for body in [
        "<html><body><h1>502 Bad Gateway</h1></body></html>",
        "",
        " \r\n",
        "{\"Status\": \"OK\", \"Da",
        "\u{feff}{}",
    ] {
        assert_eq!(kind(body.as_bytes()), ("unavailable", None), "{body}");
    }
    assert_eq!(kind(b"{\"Status\": \"O\xe9\"}"), ("unavailable", None));
    assert_ne!(ONCE, NEVER);
}

#[test]
fn no_error_repeats_what_the_vendor_said() {
    let said = json!({"userID": "sample-user", "error": "User sample-user is not allowed"});
    let error = only(&said).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sample-user"));
    let said = json!({"API Error": "no file at https://audio.example/?token=x"});
    assert!(!only(&said).unwrap_err().to_string().contains("audio"));
}

#[test]
fn two_rows_for_one_question_are_no_answer() {
    let rows = ["TQ1;C0;3;14.67;62", "TQ1;C1;3;14.67;62"];
    assert_eq!(kind(ra7(&[LOW], &rows).to_string().as_bytes()), ("unreadable", Some(ONCE)));
}

#[test]
fn answers_to_several_questions_are_matched_and_not_counted_off() {
    let ids = ["TQ1", "TQ2", "TQ3"].map(str::to_owned);
    let second = LOW.replace("TQ1", "TQ2");
    // In another order than they were asked in, and one without a row.
    let body = bytes(&ra7(&[LOW, &second, &second], &["TQ2;C0;2;31.00;10", "TQ1;C0;1;31.00;62"]));
    let each = Ra7::read(&body).unwrap().each(&ids).unwrap();
    assert_eq!(each[0].as_ref().unwrap().outcome.score(), Some(38));
    assert_eq!(each[1].as_ref().unwrap().outcome.score(), Some(90));
    assert_eq!(each[1].as_ref().unwrap().segments, Some(2));
    assert!(matches!(&each[2], Err(AnalyzerError::Unreadable { again_max: FEW, .. })));

    let extra = bytes(&ra7(&[LOW], &["TQ1;C0;1;31.00;62", "TQ9;C0;1;31.00;62"]));
    assert!(Ra7::read(&extra).unwrap().each(&ids).is_err());
    let doubled = bytes(&ra7(&[LOW], &["TQ1;C0;1;31.00;62", "TQ1;C1;1;31.00;62", "TQ2;C0;1;31.00;62"]));
    let each = Ra7::read(&doubled).unwrap().each(&ids[..2]).unwrap();
    assert!(matches!(&each[0], Err(AnalyzerError::Unreadable { .. })));
    assert_eq!(each[1].as_ref().unwrap().outcome.score(), Some(38));

    let silent = Ra7::read(&bytes(&ra7(&[], &[]))).unwrap().each(&ids).unwrap();
    assert!(silent.iter().all(|one| one.as_ref().unwrap().outcome == Outcome::NoSpeech));
    let rowless = Ra7::read(&bytes(&ra7(&[LOW], &[]))).unwrap().each(&ids).unwrap();
    assert!(rowless.iter().all(Result::is_err));
}

/// An answer of the engines that measure.
pub(in crate::connectors::analyzers) fn native(report: &str) -> Value {
    json!({
        "Meta Data": {"File": "0.wav", "Channels": 1, "Length": 6.1},
        "Segments": [{"Segment": 1, "Channel": 0, "Start": 0.4, "End": 1.9, "Online LVA": "Low Risk (0)"}],
        "SummaryLine": {"Channel: 0": {"Segments": 1}},
        report: {"Channel: 0": {"CL Stress": 21, "Discomfort": 9, "Report": {}, "Analyze": {}, "Tags": []}},
        "Error Message": "",
    })
}

#[test]
fn an_engine_without_a_formula_only_measures() {
    for report in ["LVA7 Report", "QA7 Report"] {
        let body = bytes(&native(report));
        let analysis = measured(&body, report).unwrap();
        assert_eq!(analysis.outcome, Outcome::Measured { segments: 1 });
        assert_eq!(analysis.outcome.score(), None);
        assert_eq!(analysis.raw.0, body);
        assert!(measured(&body, "RA7 Report").is_err());
        let mut failed = native(report);
        failed["Error Message"] = json!("engine 7");
        assert!(matches!(
            measured(&bytes(&failed), report),
            Err(AnalyzerError::Unreadable { again_max: FEW, .. })
        ));
        failed.as_object_mut().unwrap().remove("Segments");
        failed["Error Message"] = json!(null);
        assert!(matches!(
            measured(&bytes(&failed), report),
            Err(AnalyzerError::Unreadable { again_max: ONCE, .. })
        ));
    }
    assert_eq!(kind(native("LVA7 Report").to_string().as_bytes()), ("unreadable", Some(FEW)));
    assert!(measured(&bytes(&ra7(&[LOW], &["TQ1;C0;1;31.00;62"])), "LVA7 Report").is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic_or_are_a_number(body: Vec<u8>, text in "[\\{\\}\\[\\]\",:;a-zA-Z0-9 ]{0,200}") {
        for body in [Bytes::from(body), Bytes::from(text)] {
            if let Ok(analysis) = Ra7::read(&body).and_then(Ra7::only) {
                prop_assert!(analysis.outcome.score().is_none(), "{:?}", body);
            }
            prop_assert!(measured(&body, "LVA7 Report").is_err());
        }
    }

    #[test]
    fn an_answer_that_complains_is_no_number(key in "API Error|error|Error|Server Answer", said in ".{0,20}") {
        let mut answer = ra7(&[LOW], &["TQ1;C0;1;31.00;62"]);
        prop_assert_eq!(only(&answer).unwrap().outcome.score(), Some(38));
        answer[key] = json!(said);
        prop_assert!(only(&answer).is_err());
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_number(cut in 0_usize..900) {
        let whole = ra7(&[LOW], &["TQ1;C0;1;31.00;62"]).to_string();
        prop_assume!(cut < whole.len());
        prop_assert_eq!(kind(&whole.as_bytes()[..cut]), ("unavailable", None));
    }

    #[test]
    fn only_a_whole_number_up_to_100_is_a_risk(risk in "[0-9.+ -]{0,6}") {
        let scored = only(&ra7(&[LOW], &[&format!("TQ1;C0;1;31.00;{risk}")])).ok().and_then(|one| one.outcome.score());
        let plain = risk.trim();
        let whole = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
        let expected = if whole { plain.parse::<u64>().ok().filter(|risk| *risk <= 100) } else { None };
        prop_assert_eq!(scored.map(u64::from), expected.map(|risk| 100 - risk.clamp(5, 95)));
    }
}
