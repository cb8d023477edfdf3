//! `GetAnalysis`: what was measured in one run, answer by answer.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `RUN_NOT_FOUND` for a run that never was or is erased, and not at
//! all once anything is handed out: who reads is written down before, or nobody reads. **Limits**: the vendor's own words are there
//! for as long as they are kept, at most [`RAW_BYTES_MAX`] in an answer.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use uuid::Uuid;

use super::erase::required_id;
use super::{audit_read, convert, feed_of, found};
use crate::documents::legacy_transfer::{LegacyTransfer, text};
use crate::domain::ids::TransferId;
use crate::domain::transfer::QUESTIONS_MAX;
use crate::domain::violation::Violation;
use crate::grpc::convert::timestamp;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::transfer::v1 as proto;
use crate::proto::transfer::v1::get_analysis_request::Form;
use crate::proto::transfer::v1::get_analysis_response::RawAnswer;
use crate::store::raw_answer::KeptRaw;
use crate::store::transfer_analysis::KeptAnswer;
use crate::store::transfer_list::{TransferRun, TransferSeen};

const METHOD: &str = "GetAnalysis";
const RAW_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bodies read at once: few, for each may be long.
const RAW_AT_ONCE: usize = 16;

/// What a caller asks for.
struct Asked {
    id: TransferId,
    /// 0 for the newest.
    run: u32,
    form: Form,
    reason: String,
    /// Empty for all.
    positions: Vec<u32>,
}

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetAnalysisRequest,
) -> Result<proto::GetAnalysisResponse, ApiError> {
    let asked = Asked::read(request)?;
    let (house, tenant) = (gate.house()?, gate.tenant()?);
    let seen = found(gate, asked.id).await?;
    let runs = house.store.transfer_runs(&tenant, asked.id).await?;
    let run = match asked.run {
        0 => runs.last(),
        number => runs.iter().find(|run| run.number == number),
    };
    let run = run.ok_or(ApiError::NotFound("RUN"))?;
    audit_read(gate, house, asked.id, METHOD, asked.reason.clone()).await?;
    let answers = house.store.answers(&tenant, asked.id, run.number).await?;
    let mut response = proto::GetAnalysisResponse {
        run: Some(convert::run_to_proto(run)),
        answers: answers.iter().map(convert::answer).collect(),
        ..proto::GetAnalysisResponse::default()
    };
    if asked.form == Form::Unspecified {
        return Ok(response);
    }
    let raw = raw(gate, house, &asked, &answers).await?;
    if asked.form == Form::Raw {
        response.raw_answers = raw.iter().map(raw_to_proto).collect();
    } else {
        let bodies: Vec<&[u8]> = raw.iter().map(|(_, kept)| kept.body.as_ref()).collect();
        response.document = document(house, &seen, run, &answers);
        response.text = text(&bodies);
    }
    Ok(response)
}

impl Asked {
    fn read(request: proto::GetAnalysisRequest) -> Result<Self, ApiError> {
        let mut violations = Vec::new();
        let id = required_id(&request.id, &mut violations);
        let run = u32::try_from(request.run);
        if run.is_err() {
            violations.push(Violation::new("run", "must not be negative"));
        }
        let form = Form::try_from(request.form);
        if form.is_err() {
            violations.push(Violation::new("form", "no form of an analysis"));
        }
        let reason = request::optional_reason(request.reason, &mut violations);
        let positions = positions(&request.positions, &mut violations);
        if form.is_ok_and(|form| form != Form::Raw) && !positions.is_empty() {
            violations.push(Violation::new("positions", "go with FORM_RAW"));
        }
        match (id, run, form) {
            (Some(id), Ok(run), Ok(form)) if violations.is_empty() => {
                Ok(Self { id, run, form, reason, positions })
            }
            _ => Err(ApiError::Invalid(violations)),
        }
    }
}

fn positions(asked: &[i32], violations: &mut Vec<Violation>) -> Vec<u32> {
    if asked.len() > QUESTIONS_MAX {
        violations.push(Violation::new("positions", format!("at most {QUESTIONS_MAX}")));
        return Vec::new();
    }
    let mut positions = Vec::with_capacity(asked.len());
    for (index, number) in asked.iter().enumerate() {
        match u32::try_from(*number) {
            Ok(position) => positions.push(position),
            Err(_) => {
                violations.push(Violation::new(format!("positions[{index}]"), "must not be negative"));
            }
        }
    }
    positions
}

/// The vendor's words with the positions that they are about, in the order of these.
async fn raw(
    gate: &Gate,
    house: &House,
    asked: &Asked,
    answers: &[KeptAnswer],
) -> Result<Vec<(Vec<u32>, KeptRaw)>, ApiError> {
    let mut about: BTreeMap<Uuid, Vec<u32>> = BTreeMap::new();
    for answer in answers {
        if let Some(id) = answer.raw_answer_id {
            about.entry(id).or_default().push(answer.position);
        }
    }
    about.retain(|_, positions| {
        asked.positions.is_empty() || positions.iter().any(|position| asked.positions.contains(position))
    });
    let ids: Vec<Uuid> = about.keys().copied().collect();
    let (mut found, mut bytes) = (Vec::with_capacity(ids.len()), 0);
    for some in ids.chunks(RAW_AT_ONCE) {
        for kept in house.store.raw_answers(&gate.tenant()?, some).await? {
            bytes += kept.body.len();
            if bytes > RAW_BYTES_MAX {
                return Err(too_long(asked.form));
            }
            found.push((about.remove(&kept.id).unwrap_or_default(), kept));
        }
    }
    found.sort_by_key(|(positions, _)| positions.iter().min().copied());
    Ok(found)
}

fn too_long(form: Form) -> ApiError {
    match form {
        Form::Raw => ApiError::field("positions", "the vendor's answers are longer than 32 MiB; name fewer"),
        _ => ApiError::field(
            "form",
            "the vendor's answers are longer than 32 MiB; have them by FORM_RAW and positions",
        ),
    }
}

fn raw_to_proto((positions, kept): &(Vec<u32>, KeptRaw)) -> RawAnswer {
    RawAnswer {
        positions: positions.iter().filter_map(|position| i32::try_from(*position).ok()).collect(),
        body: kept.body.to_vec(),
        end_time: Some(timestamp(kept.created_at)),
    }
}

/// The JSON of the service before this one.
fn document(house: &House, seen: &TransferSeen, run: &TransferRun, answers: &[KeptAnswer]) -> String {
    let outcomes: Vec<_> = answers.iter().map(|answer| (answer.position, &answer.outcome)).collect();
    let answered = outcomes.iter().map(|(position, _)| position + 1).max().unwrap_or_default();
    // How many questions there are is known of the newest run alone; an earlier one had as many as it has answers.
    let questions = match seen.transfer.questions {
        Some(questions) if run.number == seen.transfer.run => questions.max(answered),
        _ => answered,
    };
    let legacy = LegacyTransfer {
        key: seen.transfer.key.as_str(),
        recorded_at: seen.transfer.recorded_at,
        zone: feed_of(house, seen).map_or(Tz::UTC, |feed| feed.terms.zone),
        questions,
        answers: &outcomes,
        has_fillers: run.has_fillers,
    };
    legacy.document()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_what_is_asked_for_is_said_at_once() {
        let wrong = proto::GetAnalysisRequest {
            run: -1,
            form: Form::Legacy.into(),
            reason: "r".repeat(256),
            positions: vec![0, -1],
            ..proto::GetAnalysisRequest::default()
        };
        let Err(ApiError::Invalid(violations)) = Asked::read(wrong) else { panic!("it was taken") };
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["id", "run", "reason", "positions[1]", "positions"]);
        let id = Uuid::nil().to_string();
        let raw = proto::GetAnalysisRequest {
            id,
            form: Form::Raw.into(),
            positions: vec![2],
            ..proto::GetAnalysisRequest::default()
        };
        assert_eq!(Asked::read(raw).map(|asked| asked.positions).ok(), Some(vec![2]));
    }
}
