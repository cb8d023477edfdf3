//! `bursar job`: sees the timetable and the runs of its jobs; begins, pauses, repeats and cancels them.
//!
//! **Fails** as not found for a job that there is not, as a conflict where another run lives, and with the codes of a failed or
//! cancelled run when one is followed. **Limits**: an interrupt (Ctrl-C) ends the following alone; the run goes on.

pub(super) mod follow;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use prost_types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::job;
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::{
    BackfillJobRequest, CancelJobRunRequest, GetScheduleRequest, JobRunState, ListJobRunsRequest,
    ListSchedulesRequest, PauseScheduleRequest, ResumeScheduleRequest, TriggerJobRequest,
};

#[derive(Subcommand)]
pub(super) enum JobCommand {
    /// List the jobs with their next slots
    List,
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show the next slots of every job, in local time and UTC
    Next {
        /// Slots of each
        #[arg(long, default_value_t = 5)]
        count: i32,
    },
    /// Show one job: its next slots, and what became of those before
    Show {
        /// Such as sync-update
        job: String,
        /// Slots to come, and as many that were
        #[arg(long, default_value_t = 5)]
        count: i32,
    },
    /// Begin a run now
    Run(RunArgs),
    /// Run no slot until it is resumed; what runs is finished
    Pause {
        job: String,
        /// Kept with the pause
        #[arg(long)]
        reason: String,
    },
    /// Run slots again, from now on
    Resume {
        job: String,
        /// Why; kept for the audit
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Run the slots of a time that were not run, one after the other
    Backfill(BackfillArgs),
    /// End a run
    Cancel {
        /// The execution id
        id: String,
        /// Kept with the run
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(super) struct RunsArgs {
    /// Only runs of this job
    #[arg(long, default_value = "", hide_default_value = true)]
    job: String,
    /// Only runs in this state
    #[arg(long, value_parser = job::state_parser())]
    state: Option<JobRunState>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// Such as payment-update
    job: String,
    /// Show how far it comes, until it has ended
    #[arg(long)]
    follow: bool,
    /// Even while another run of the job lives
    #[arg(long)]
    allow_overlap: bool,
    #[command(flatten)]
    wish: WishArgs,
}

/// Why somebody wants runs, and under which request.
#[derive(Args)]
struct WishArgs {
    /// Kept with the run
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// The same id and request begin nothing again and give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl WishArgs {
    /// The request's id: the caller's, or a new one.
    fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }
}

#[derive(Args)]
pub(super) struct BackfillArgs {
    job: String,
    /// Slots behind this moment, RFC 3339, such as 2027-03-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    after: DateTime<Utc>,
    /// Up to and with this one, which lies in the past
    #[arg(long, value_name = "TIME")]
    until: DateTime<Utc>,
    /// Count only
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wish: WishArgs,
}

pub(super) async fn run(
    command: JobCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut control = connection.control();
    match command {
        JobCommand::List => list(connection, screen).await,
        JobCommand::Runs(args) => runs(args, connection, screen).await,
        JobCommand::Next { count } => next(count, connection, screen).await,
        JobCommand::Show { job, count } => show(job, count, connection, screen).await,
        JobCommand::Run(args) => begin(args, connection, screen).await,
        JobCommand::Pause { job, reason } => {
            let answer =
                connection.call(control.pause_schedule(PauseScheduleRequest { job, reason })).await?;
            let pause = answer.pause.ok_or_else(Failure::empty_answer)?;
            let document = json!({ "pause": job::pause(&pause) });
            screen.show(&document, |document| table::detail(&job::PAUSE, &document["pause"]))
        }
        JobCommand::Resume { job, reason } => {
            let answer =
                connection.call(control.resume_schedule(ResumeScheduleRequest { job, reason })).await?;
            screen.show(&json!({ "was_paused": answer.was_paused }), |_| {
                if answer.was_paused { "resumed\n".to_owned() } else { "was not paused\n".to_owned() }
            })
        }
        JobCommand::Backfill(args) => backfill(args, connection, screen).await,
        JobCommand::Cancel { id, reason } => {
            let answer = connection.call(control.cancel_job_run(CancelJobRunRequest { id, reason })).await?;
            let run = answer.run.ok_or_else(Failure::empty_answer)?;
            show_run(&json!({ "run": job::run(&run) }), screen)
        }
    }
}

async fn list(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = ListSchedulesRequest { next_max: 0 };
    let answer = connection.call(connection.control().list_schedules(request)).await?;
    let rows: Vec<Value> = answer.schedules.iter().map(job::schedule).collect();
    screen.show(&json!({ "schedules": rows }), |_| table::rows(&job::ROW, &rows))
}

async fn next(count: i32, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = ListSchedulesRequest { next_max: count };
    let answer = connection.call(connection.control().list_schedules(request)).await?;
    let mut rows: Vec<Value> = Vec::new();
    for schedule in &answer.schedules {
        for slot in &schedule.next {
            let mut row = job::slot(slot);
            row["job"] = json!(schedule.job);
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row["time"].as_str().unwrap_or_default().to_owned());
    screen.show(&json!({ "next": rows }), |_| table::rows(&job::NEXT, &rows))
}

async fn show(job: String, count: i32, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = GetScheduleRequest { job, next_max: count };
    let answer = connection.call(connection.control().get_schedule(request)).await?;
    let schedule = answer.schedule.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "schedule": job::schedule(&schedule) });
    screen.show(&document, |document| {
        let schedule = &document["schedule"];
        let slots = |name: &str| {
            table::rows(&job::SLOT, schedule[name].as_array().map(Vec::as_slice).unwrap_or_default())
        };
        let detail = table::detail(&job::DETAIL, schedule);
        format!("{detail}\nto come\n{}\nbefore\n{}", slots("next"), slots("past"))
    })
}

async fn runs(args: RunsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListJobRunsRequest {
            page_size: args.page.page_size,
            page_token,
            job: args.job.clone(),
            state: args.state.map(i32::from).unwrap_or_default(),
        };
        let answer = connection.call(connection.control().list_job_runs(request)).await?;
        Ok(Page { rows: answer.runs.iter().map(job::run).collect(), next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "runs", &job::RUN_ROW, screen)
}

async fn begin(args: RunArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let RunArgs { job, follow, allow_overlap, wish } = args;
    let request_id = wish.request_id();
    let request =
        TriggerJobRequest { job, reason: wish.reason, allow_overlap, request_id: request_id.clone() };
    let answer = connection.call(connection.control().trigger_job(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let run = answer.run.ok_or_else(Failure::empty_answer)?;
    if follow {
        return follow::run(run.id, connection, screen).await;
    }
    show_run(&json!({ "run": job::run(&run) }), screen)
}

async fn backfill(args: BackfillArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let BackfillArgs { job, after, until, dry_run, wish } = args;
    let (after, until) = (Some(timestamp(after)), Some(timestamp(until)));
    let request_id = wish.request_id();
    let reason = wish.reason;
    let request = BackfillJobRequest { job, after, until, dry_run, reason, request_id: request_id.clone() };
    let answer = connection.call(connection.control().backfill_job(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let document = json!({
        "slots": answer.slots,
        "run_before": answer.run_before,
        "runs": answer.runs,
        "run_ids": answer.run_ids,
    });
    screen.show(&document, |_| {
        let would = if dry_run { "would be" } else { "are" };
        let told = format!("{} slots, {} run before", answer.slots, answer.run_before);
        format!("{told}; {} {would} run now\n", answer.runs)
    })
}

fn show_run(document: &Value, screen: &mut Screen) -> Result<(), Failure> {
    screen.show(document, |document| table::detail(&job::RUN, &document["run"]))
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: at.timestamp(), nanos }
}
