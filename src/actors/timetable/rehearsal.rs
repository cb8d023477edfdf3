//! A job for fault tests alone: it counts to a number, writes each step down outside, and goes on where it was cut off.
//!
//! There is one where `BURSAR_REHEARSAL=file:steps` says so, in a program that was built with `failpoints`. The file is the outside:
//! a test reads from it which run did which step in which attempt.
//!
//! **Owns** the file's end. **Fails** the run when the file cannot be written. **Limits**: a step may be done twice, never left out.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;

use crate::domain::job::{Overlap, Progress};
use crate::domain::timetable::{CatchUp, Reach, Timetable};
use crate::messages::jobs::{Job, JobContext, JobEnd, JobEntry};

/// The job's name.
pub const NAME: &str = "rehearsal";

/// Between two steps; a hold file beside the journal makes the run stand where it is.
const STEP: Duration = Duration::from_millis(5);

/// The job.
pub struct Rehearsal {
    file: PathBuf,
    steps: i64,
}

/// The one that the environment asks for, every minute.
pub fn of_environment() -> Vec<JobEntry> {
    let asked = || {
        let text = std::env::var("BURSAR_REHEARSAL").ok()?;
        let (file, steps) = text.rsplit_once(':')?;
        entry(Rehearsal::job(file.into(), steps.parse().ok()?))
    };
    asked().into_iter().collect()
}

/// Its place in the list: every minute, and what was missed is run one after the other.
pub fn entry(job: Arc<dyn Job>) -> Option<JobEntry> {
    let every = Duration::from_mins(1);
    let timetable = Timetable::new(every, NaiveTime::MIN, chrono_tz::UTC, Reach::AllDay).ok()?;
    Some(JobEntry {
        name: NAME.to_owned(),
        job: Some(job),
        timetable,
        enabled: true,
        overlap: Overlap::Skip,
        catch_up: CatchUp::All,
        catch_up_window: Duration::from_hours(1),
        jitter: Duration::ZERO,
    })
}

impl Rehearsal {
    /// One that writes its steps to this file.
    pub fn job(file: PathBuf, steps: i64) -> Arc<dyn Job> {
        Arc::new(Self { file, steps })
    }

    fn write(&self, context: &JobContext, step: i64) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        // One write a line, so that lines of several processes stay whole.
        file.write_all(format!("{} {} {step}\n", context.run.id, context.attempt()).as_bytes())
    }

    fn is_held(&self) -> bool {
        self.file.with_extension("hold").exists()
    }
}

#[async_trait::async_trait]
impl Job for Rehearsal {
    fn start_message(&self) -> &'static str {
        "Job rehearsal started"
    }

    async fn run(&self, context: JobContext) -> JobEnd {
        let position = context.run.progress.position.as_deref().and_then(|text| text.parse().ok());
        for step in position.unwrap_or(0)..self.steps {
            if let Err(error) = self.write(&context, step) {
                return JobEnd::Failed { error: error.kind().to_string() };
            }
            let done = step + 1;
            let progress = Progress {
                done,
                total: Some(self.steps),
                counts: [("steps".to_owned(), done)].into(),
                note: Some(format!("step {done}")),
                position: Some(done.to_string()),
            };
            if context.report(&progress).await.is_err() {
                return JobEnd::Interrupted;
            }
            loop {
                tokio::select! {
                    _ = context.end_wanted() => return JobEnd::Interrupted,
                    () = tokio::time::sleep(STEP) => {}
                }
                if !self.is_held() {
                    break;
                }
            }
        }
        JobEnd::Completed
    }
}
