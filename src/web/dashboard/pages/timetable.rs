//! The timetable: when each job runs next, and how its runs went.

use serde_json::{Value, json};

use super::{Fields, each, field, part};
use crate::proto::control::v1::{ListJobRunsRequest, ListSchedulesRequest, TriggerJobRequest};
use crate::web::dashboard::api::{Trouble, Visitor, told};
use crate::web::dashboard::view;

const SLOTS: i32 = 3;
const RUNS: i32 = 20;

pub async fn timetable(visitor: &Visitor, query: &Fields) -> Result<Value, Trouble> {
    let (mut schedules, mut runs) = (visitor.control()?, visitor.control()?);
    let (schedules, runs) = tokio::join!(
        schedules.list_schedules(ListSchedulesRequest { next_max: SLOTS }),
        runs.list_job_runs(ListJobRunsRequest { page_size: RUNS, ..ListJobRunsRequest::default() }),
    );
    let schedules = part(told(schedules), |told| each(&told.schedules, view::schedule))?;
    let runs = part(told(runs), |told| each(&told.runs, view::run))?;
    // A form that is sent twice begins one run.
    let request_id = uuid::Uuid::new_v4().to_string();
    Ok(json!({ "schedules": schedules, "runs": runs, "request_id": request_id, "begun": query.get("begun") }))
}

/// Begins a run now.
pub async fn run_now(visitor: &Visitor, form: &Fields) -> Result<(), Trouble> {
    let asked = TriggerJobRequest {
        job: field(form, "job"),
        reason: field(form, "reason"),
        request_id: field(form, "request_id"),
        ..TriggerJobRequest::default()
    };
    told(visitor.control()?.trigger_job(asked).await).map(drop)
}
