//! What Nemesysco's engines answer, on whichever way they were asked.
//!
//! Complaints come with status 200 and are told apart by their keys, before anything else is looked at; the case of a key
//! counts, since `error` and `Error` mean different things. The texts behind the keys vary, and may hold our user id, so that
//! only the known ones of the request's own faults are told apart, and none is repeated.
//!
//! **Owns** nothing. Pure: bytes in, an answer or an [`AnalyzerError`] out.
//! **Fails** with an error for whatever is not surely an analysis: a failure never becomes a number.
//! **Limits**: of RA7 one row of risk a question counts; research columns, unknown sections and segments' codes are kept in
//! the raw answer and not read.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::domain::analysis::Outcome;
use crate::domain::analysis::formula::{VendorRisk, read_risk_rows};

use super::call::{FEW, ONCE, object, unavailable, unreadable};
use super::{Analysis, AnalyzerError, RawAnswer};

/// Of a site's own errors: faults of what we ask, not of the answer that we ask about.
const OUR_FAULTS: [&str; 5] = ["No Action", "Unknown Action", "Invalid Action", "No URL", "No key"];
/// The column of a segment that names its topic and question.
const TOPIC_COLUMN: usize = 2;

/// The object that a vendor answered, if it holds no complaint.
pub(super) fn read(body: &Bytes) -> Result<Map<String, Value>, AnalyzerError> {
    let object = object(body)?;
    match complaint(&object, body) {
        Some(error) => Err(error),
        None => Ok(object),
    }
}

fn complaint(object: &Map<String, Value>, body: &Bytes) -> Option<AnalyzerError> {
    if let Some(said) = object.get("API Error") {
        return Some(of_site(said.as_str().map(str::trim).unwrap_or_default()));
    }
    if object.contains_key("error") {
        return Some(AnalyzerError::Paused { reason: "this user may not do that at the site".to_owned() });
    }
    if object.contains_key("Error") {
        return Some(unavailable("the site has an error, or its engine does not answer"));
    }
    if object.contains_key("Server Answer") {
        return Some(AnalyzerError::Misconfigured {
            reason: "the site's server refuses the request".to_owned(),
        });
    }
    if object.get("Error Message").is_some_and(|said| !is_blank(said)) {
        return Some(unreadable("the engine answers with an error message", FEW, body));
    }
    object.is_empty().then(|| unreadable("the site could not read the result", FEW, body))
}

fn of_site(said: &str) -> AnalyzerError {
    if said == "No License" {
        return AnalyzerError::Paused { reason: "the site has no licence".to_owned() };
    }
    match OUR_FAULTS.into_iter().find(|fault| *fault == said) {
        Some(fault) => AnalyzerError::Misconfigured { reason: format!("the site says: {fault}") },
        None => AnalyzerError::Refused { reason: "the site takes the input for invalid".to_owned() },
    }
}

fn is_blank(said: &Value) -> bool {
    said.is_null() || said.as_str().is_some_and(|text| text.trim().is_empty())
}

/// An answer of RA7, in which nothing is amiss so far.
#[derive(Debug)]
pub(super) struct Ra7 {
    body: Bytes,
    vendor_id: Option<String>,
    /// One text for each topic and question with speech.
    rows: Vec<String>,
    /// The topic and question of each segment; nothing where the answer has no such section.
    segments: Option<Vec<String>>,
}

impl Ra7 {
    /// Reads an answer.
    pub(super) fn read(body: &Bytes) -> Result<Self, AnalyzerError> {
        let mut object = read(body)?;
        if object.get("Status").and_then(Value::as_str) != Some("OK") {
            return Err(unreadable("the vendor's status is not OK", FEW, body));
        }
        let Some(Value::Object(mut data)) = object.remove("Data") else {
            return Err(unreadable("the answer holds no data", FEW, body));
        };
        let rows = match data.remove("RISKREPQ") {
            Some(rows) => {
                texts(rows).ok_or_else(|| unreadable("the rows of risk are no texts", ONCE, body))?
            }
            None => return Err(unreadable("the answer holds no rows of risk", ONCE, body)),
        };
        let segments = match data.remove("SEG") {
            Some(lines) => {
                let lines =
                    texts(lines).ok_or_else(|| unreadable("the segments are no texts", ONCE, body))?;
                // The first line names the columns. Rows are shorter than it, and may be so.
                Some(lines.iter().skip(1).map(|line| field(line, TOPIC_COLUMN).to_owned()).collect())
            }
            None => None,
        };
        let vendor_id = object.get("nmsID").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { body: body.clone(), vendor_id, rows, segments })
    }

    /// The analysis of a call about one question.
    pub(super) fn only(self) -> Result<Analysis, AnalyzerError> {
        let rows: Vec<&str> = self.rows.iter().map(String::as_str).collect();
        let segments = self.segments.as_ref().map(|segments| count(segments.len()));
        let outcome = self.outcome(&rows, self.segments.as_deref().map(<[String]>::len))?;
        Ok(self.analysis(outcome, segments))
    }

    /// The analyses of a call about several questions, each by the id that its row and its segments carry.
    ///
    /// Where nobody speaks in any recording there is no row at all. A question without a row beside others that have one may be
    /// one without speech or one that was not analysed: it is left unread, so that it is asked about again without the others.
    pub(super) fn each(&self, ids: &[String]) -> Result<Vec<Result<Analysis, AnalyzerError>>, AnalyzerError> {
        let stranger = |id: &str| !ids.iter().any(|known| known == id);
        if self.rows.iter().any(|row| stranger(field(row, 0))) {
            // Whose risk that is nobody knows; neither is it known whose the others are, then.
            return Err(unreadable("there is a row of risk for no question of ours", ONCE, &self.body));
        }
        let silent = self.rows.is_empty();
        Ok(ids
            .iter()
            .map(|id| {
                let rows: Vec<&str> =
                    self.rows.iter().map(String::as_str).filter(|row| field(row, 0) == id).collect();
                if rows.is_empty() && !silent {
                    return Err(unreadable("there is no row of risk for the question", FEW, &self.body));
                }
                let spoken = |segments: &Vec<String>| segments.iter().filter(|topic| *topic == id).count();
                // Without any row, segments of whatever question speak against silence.
                let segments = self.segments.as_ref();
                let seen = if silent { segments.map(Vec::len) } else { segments.map(spoken) };
                let outcome = self.outcome(&rows, seen)?;
                Ok(self.analysis(outcome, seen.map(count)))
            })
            .collect())
    }

    fn outcome(&self, rows: &[&str], segments: Option<usize>) -> Result<Outcome, AnalyzerError> {
        let unreadable = |reason: &str| unreadable(reason, ONCE, &self.body);
        match read_risk_rows(rows) {
            Ok(Some(risk)) if risk.segments() == 0 => Err(unreadable("the risk rests on no segment")),
            Ok(Some(risk)) => Ok(Outcome::Scored(risk)),
            Ok(None) if segments == Some(0) => Ok(Outcome::NoSpeech),
            Ok(None) if segments.is_none() => Err(unreadable("there are neither segments nor a risk")),
            Ok(None) => Err(unreadable("there are segments of speech and no risk")),
            Err(error) => Err(unreadable(&error.to_string())),
        }
    }

    fn analysis(&self, outcome: Outcome, segments: Option<u32>) -> Analysis {
        let of_risk = match &outcome {
            Outcome::Scored(risk) => Some(VendorRisk::segments(*risk)),
            _ => None,
        };
        Analysis {
            outcome,
            segments: segments.or(of_risk),
            raw: RawAnswer(self.body.clone()),
            vendor_id: self.vendor_id.clone(),
        }
    }
}

/// The analysis by an engine that measures and gives no risk; `report` is the section that only this engine writes.
pub(super) fn measured(body: &Bytes, report: &str) -> Result<Analysis, AnalyzerError> {
    let object = read(body)?;
    if !object.get(report).is_some_and(Value::is_object) {
        return Err(unreadable(format!("the answer holds no {report}"), ONCE, body));
    }
    let Some(Value::Array(segments)) = object.get("Segments") else {
        return Err(unreadable("the answer holds no segments", ONCE, body));
    };
    let segments = count(segments.len());
    Ok(Analysis {
        outcome: Outcome::Measured { segments },
        segments: Some(segments),
        raw: RawAnswer(body.clone()),
        vendor_id: None,
    })
}

/// The texts of a list of nothing else.
fn texts(list: Value) -> Option<Vec<String>> {
    let Value::Array(list) = list else { return None };
    let text = |element| if let Value::String(text) = element { Some(text) } else { None };
    list.into_iter().map(text).collect()
}

fn field(line: &str, column: usize) -> &str {
    line.split(';').nth(column).unwrap_or_default().trim()
}

fn count(segments: usize) -> u32 {
    u32::try_from(segments).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests;
