//! What the panes show of the service's answers.
//!
//! **Owns** nothing. **Fails** never: a value that we do not know is shown as its number, and what is missing as nothing.
//! **Limits**: every text passes [`safe`] here, once, so that nothing from outside can steer the terminal.

use prost_types::Timestamp;
use serde_json::Value;

use super::pace::Pace;
use crate::cli::render::{boleto, job, node, queue, transfer, work};
use crate::cli::table::{Cell, Column, Tint, safe};
use crate::proto::boleto::v1::{Boleto, BoletoStatus};
use crate::proto::control::v1::{BreakerState, Node, OpenBreaker, Queue, Schedule, Work, WorkState};
use crate::proto::transfer::v1::Transfer;
use crate::proto::transfer::v1::transfer::State;

/// One line of a pane.
#[derive(Debug, Clone)]
pub struct Row {
    /// By which it is found again in the next picture, and by which the service knows it.
    pub key: String,
    pub cells: Vec<Cell>,
    /// Everything that is known about it, a line for each thing.
    pub detail: Vec<String>,
}

impl Row {
    fn new(key: &str, cells: Vec<Cell>, detail: Vec<(&str, String)>) -> Self {
        Self { key: key.to_owned(), cells, detail: known(detail) }
    }

    /// A row out of a document, of which the second column says by its colour how it stands. The headings are the pane's.
    fn of(key: &str, document: &Value, columns: [Column; 5], tint: Option<Tint>, detail: &[Column]) -> Self {
        let cell =
            |(at, column): (usize, &Column)| Cell::tinted(column.of(document), tint.filter(|_| at == 1));
        let cells = columns.iter().enumerate().map(cell).collect();
        Self::new(key, cells, said(detail, document).collect())
    }

    /// Whether it has the text in it, in whatever case.
    pub fn contains(&self, lower_case: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(lower_case);
        has(&self.key) || self.cells.iter().any(|cell| has(cell.text()))
    }
}

/// What each column says of a document.
pub(super) fn said<'a>(
    columns: &'a [Column],
    document: &'a Value,
) -> impl Iterator<Item = (&'static str, String)> + 'a {
    columns.iter().map(|column| (column.title, column.of(document)))
}

/// A line for each thing that is known.
pub(super) fn known<'a>(said: impl IntoIterator<Item = (&'a str, String)>) -> Vec<String> {
    let told = said.into_iter().filter(|(_, text)| !text.is_empty());
    told.map(|(title, text)| format!("{title}: {}", safe(&text))).collect()
}

/// The branch, from its root on, each node below its parent.
pub fn tree(root: &Node) -> Vec<Row> {
    let mut rows = Vec::new();
    branch(root, 0, &mut rows);
    rows
}

/// Recursion ends with the tree: the service does not send one deeper than gRPC's own limit of nesting.
fn branch(node: &Node, depth: usize, rows: &mut Vec<Row>) {
    let mailbox = node::mailbox(node);
    let highest = match node.mailbox_depth_max {
        0 => String::new(),
        depth_max => depth_max.to_string(),
    };
    let uptime = node.uptime.as_ref().map_or_else(String::new, node::span);
    let exit = node.last_exit.as_ref().map_or_else(String::new, node::exit_text);
    let note = node::note(node);
    let said = [note.as_str(), exit.as_str()].into_iter().filter(|text| !text.is_empty());
    let status = node::status(node.status);
    let cells = vec![
        Cell::new(node::name(node, depth)),
        Cell::tinted(&status, node::tint(node)),
        Cell::new(node.restarts.to_string()),
        Cell::new(&mailbox),
        Cell::new(&uptime),
        Cell::new(said.collect::<Vec<_>>().join("; ")),
    ];
    let ended = node.last_exit.as_ref().map_or_else(String::new, |exit| moment(exit.time.as_ref()));
    let detail = vec![
        ("actor", node.path.clone()),
        ("status", status),
        ("note", note),
        ("last exit", exit),
        ("at", ended),
        ("restarts", node.restarts.to_string()),
        ("mailbox", mailbox),
        ("mailbox's highest", highest),
        ("uptime", uptime),
    ];
    rows.push(Row::new(&node.path, cells, detail));
    for child in &node.children {
        branch(child, depth + 1, rows);
    }
}

/// How many actors and supervisors need a look.
pub fn troubled(node: &Node) -> usize {
    usize::from(node::needs_a_look(node)) + node.children.iter().map(troubled).sum::<usize>()
}

/// The queues: what has waited longest first, then by name.
pub fn queues(mut queues: Vec<Queue>, pace: &Pace) -> Vec<Row> {
    let age = |queue: &Queue| queue.oldest_due_age.map_or((0, 0), |age| (age.seconds, age.nanos));
    queues.sort_by(|a, b| age(b).cmp(&age(a)).then_with(|| a.name.cmp(&b.name)));
    queues.iter().map(|queue| queue_row(queue, pace)).collect()
}

fn queue_row(queue: &Queue, pace: &Pace) -> Row {
    let oldest = queue.oldest_due_age.as_ref().map_or_else(String::new, node::span);
    let pace = match pace.of(&queue.name) {
        None => String::new(),
        // What rounds to nothing has no sign.
        Some(pace) if pace.abs() < 0.05 => "0".to_owned(),
        Some(pace) => format!("{pace:+.1}"),
    };
    let (state, tint) = queue_state(queue);
    let cells = vec![
        Cell::new(&queue.name),
        Cell::new(queue.available.to_string()),
        Cell::new((queue.scheduled + queue.retryable).to_string()),
        Cell::new(queue.running.to_string()),
        Cell::new(&oldest),
        Cell::new(&pace),
        Cell::tinted(&state, tint),
    ];
    let pause = queue.pause.as_ref();
    let detail = vec![
        ("queue", queue.name.clone()),
        ("due", queue.available.to_string()),
        ("not due yet", queue.scheduled.to_string()),
        ("to be tried again", queue.retryable.to_string()),
        ("in hand", queue.running.to_string()),
        ("has waited longest", oldest),
        ("grows a second by", pace),
        ("paused as", pause.map_or_else(String::new, |pause| pause.name.clone())),
        ("because", pause.map_or_else(String::new, |pause| pause.reason.clone())),
        ("since", pause.map_or_else(String::new, |pause| moment(pause.time.as_ref()))),
    ];
    Row::new(&queue.name, cells, detail)
}

/// What holds the queue back, if anything does.
fn queue_state(queue: &Queue) -> (String, Option<Tint>) {
    if let Some(pause) = &queue.pause {
        return (format!("paused: {}", pause.reason), Some(Tint::Yellow));
    }
    match &queue.breaker {
        Some(breaker) if breaker.state != i32::from(BreakerState::Closed) => {
            (format!("breaker {}", queue::breaker_state(breaker.state)), breaker_tint(breaker.state))
        }
        _ => ("flows".to_owned(), Some(Tint::Green)),
    }
}

/// The breakers that are not closed.
pub fn breakers(breakers: &[OpenBreaker]) -> Vec<Row> {
    let row = |open: &OpenBreaker| {
        let breaker = open.breaker.unwrap_or_default();
        let state = queue::breaker_state(breaker.state);
        let probe = moment(breaker.probe_time.as_ref());
        let cells = vec![
            Cell::new(&open.queue),
            Cell::tinted(&state, breaker_tint(breaker.state)),
            Cell::new(breaker.failures.to_string()),
            Cell::new(&probe),
        ];
        let detail = vec![
            ("queue", open.queue.clone()),
            ("breaker", state),
            ("failures in a row", breaker.failures.to_string()),
            ("next probe", probe),
        ];
        Row::new(&open.queue, cells, detail)
    };
    breakers.iter().map(row).collect()
}

fn breaker_tint(number: i32) -> Option<Tint> {
    match BreakerState::try_from(number).ok()? {
        BreakerState::Open => Some(Tint::Red),
        BreakerState::HalfOpen => Some(Tint::Yellow),
        BreakerState::Closed => Some(Tint::Green),
        BreakerState::Unspecified => None,
    }
}

/// The jobs of the timetable, as the service lists them.
pub fn timetable(schedules: &[Schedule]) -> Vec<Row> {
    schedules.iter().map(schedule).collect()
}

fn schedule(schedule: &Schedule) -> Row {
    let (state, tint) = match (&schedule.pause, schedule.enabled, schedule.is_done) {
        (Some(_), _, _) => ("paused", Some(Tint::Yellow)),
        (None, true, _) => ("on", Some(Tint::Green)),
        (None, false, true) => ("off", Some(Tint::Dim)),
        (None, false, false) => ("not done here", Some(Tint::Dim)),
    };
    let next = schedule.next.first().map_or_else(String::new, |slot| slot.local_time.clone());
    let run = schedule.live_run.as_ref();
    let under_way = run.map_or_else(String::new, |run| {
        let of = run.total.map_or_else(String::new, |total| format!("/{total}"));
        format!("{} {}{of} {}", job::state(run.state), run.done, run.note)
    });
    let every = schedule.every.as_ref().map_or_else(String::new, node::span);
    let cells = vec![
        Cell::new(&schedule.job),
        Cell::tinted(state, tint),
        Cell::new(&every),
        Cell::new(&next),
        Cell::new(under_way.trim_end()),
    ];
    let later = schedule.next.iter().map(|slot| slot.local_time.clone()).collect::<Vec<_>>().join(", ");
    let pause = schedule.pause.as_ref();
    let detail = vec![
        ("job", schedule.job.clone()),
        ("state", state.to_owned()),
        ("every", every),
        ("time zone", schedule.time_zone.clone()),
        ("overlap", schedule.overlap.clone()),
        ("next", later),
        ("run", run.map_or_else(String::new, |run| run.id.clone())),
        ("at", under_way),
        ("run's error", run.map_or_else(String::new, |run| run.error.clone())),
        ("paused because", pause.map_or_else(String::new, |pause| pause.reason.clone())),
        ("paused since", pause.map_or_else(String::new, |pause| moment(pause.time.as_ref()))),
    ];
    Row::new(&schedule.job, cells, detail)
}

/// Work that has failed, in the order in which it is given.
pub fn failing(work: &[Work]) -> Vec<Row> {
    work.iter().map(work_row).collect()
}

fn work_row(one: &Work) -> Row {
    let (state, tint, when) = match one.state() {
        WorkState::Discarded => ("dead letter".to_owned(), Some(Tint::Red), one.end_time.as_ref()),
        _ => (work::state(one.state), Some(Tint::Yellow), one.run_time.as_ref()),
    };
    let attempts = format!("{}/{}", one.attempt, one.attempts_max);
    let when = moment(when);
    let cells = vec![
        Cell::new(&one.kind),
        Cell::tinted(&state, tint),
        Cell::new(&attempts),
        Cell::new(&when),
        Cell::new(&one.last_error),
    ];
    let mut detail = vec![
        ("kind", one.kind.clone()),
        ("error", one.last_error.clone()),
        ("state", state),
        (if one.state() == WorkState::Discarded { "since" } else { "tried again" }, when),
        ("attempt", attempts),
        ("about", one.subject_id.clone()),
        ("queue", one.queue.clone()),
        ("work", one.id.clone()),
    ];
    for attempt in &one.attempts {
        let ended = moment(attempt.time.as_ref());
        detail.push(("tried", format!("{}, ended {ended}: {}", attempt.attempt, attempt.error)));
    }
    Row::new(&one.id, cells, detail)
}

/// Boletos, as the service lists them.
pub fn boletos(boletos: &[Boleto]) -> Vec<Row> {
    boletos.iter().map(boleto_row).collect()
}

fn boleto_row(one: &Boleto) -> Row {
    let columns = [
        Column::time("", "/create_time"),
        Column::plain("", "/status"),
        Column::reais("", "/amount_cents"),
        Column::plain("", "/due_date"),
        Column::plain("", "/reference_id"),
    ];
    let tint = match one.status() {
        BoletoStatus::Registered | BoletoStatus::Paid => Some(Tint::Green),
        BoletoStatus::Refused => Some(Tint::Red),
        BoletoStatus::NeedsReview => Some(Tint::Yellow),
        BoletoStatus::Cancelled => Some(Tint::Dim),
        BoletoStatus::Issued | BoletoStatus::PendingRegistration | BoletoStatus::Unspecified => None,
    };
    Row::of(&one.id, &boleto::boleto(one), columns, tint, &boleto::DETAIL)
}

/// Transfers, as the service lists them.
pub fn transfers(transfers: &[Transfer]) -> Vec<Row> {
    transfers.iter().map(transfer_row).collect()
}

fn transfer_row(one: &Transfer) -> Row {
    let columns = [
        Column::time("", "/record_time"),
        Column::plain("", "/state"),
        Column::plain("", "/answered"),
        Column::plain("", "/feed"),
        Column::plain("", "/key"),
    ];
    let tint = match one.state() {
        State::Done => Some(Tint::Green),
        State::Failed => Some(Tint::Red),
        State::Skipped | State::Erased => Some(Tint::Dim),
        State::Queued | State::Analysing | State::WritingBack | State::Unspecified => None,
    };
    Row::of(&one.id, &transfer::transfer(one), columns, tint, &transfer::DETAIL)
}

/// RFC 3339 in UTC, to the second; nothing where there is none.
pub(super) fn moment(time: Option<&Timestamp>) -> String {
    time.map_or_else(String::new, |time| Timestamp { nanos: 0, ..*time }.to_string())
}
