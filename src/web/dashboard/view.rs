//! The protocol's messages as what templates show.
//!
//! **Owns** nothing. **Fails** never: a value of an enum that we do not know is shown as its number.

use chrono::{DateTime, Utc};
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};

use crate::proto::control::v1::{
    Breaker, BreakerState, JobRun, JobRunCause, JobRunState, Node, NodeKind, NodeStatus, OpenBreaker, Queue,
    Schedule, Slot, SlotOutcome, Work, WorkState,
};

/// An exit is news for so long, in seconds.
const NEWS: f64 = 60.0;
/// Fewer messages in a mailbox are an actor at work.
const MAIL_WORTH_A_WORD: i64 = 10;
/// A message that is in hand for less, in seconds, is on its way.
const IN_HAND_WORTH_A_WORD: f64 = 1.0;

/// A point in time, RFC 3339 in UTC, or nothing.
pub fn time(time: Option<&Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// A span in seconds, or nothing.
pub fn seconds(span: Option<&Duration>) -> Value {
    span.map_or(Value::Null, |span| json!(span.seconds as f64 + f64::from(span.nanos) / 1e9))
}

/// The name of an enum's value in words: `BOLETO_STATUS_NEEDS_REVIEW` is `needs review`.
pub fn words(number: i32, prefix: &str, name: Option<&'static str>) -> String {
    let name = name.and_then(|name| name.strip_prefix(prefix));
    name.map_or_else(|| number.to_string(), |name| name.to_ascii_lowercase().replace('_', " "))
}

/// How long ago that was, in seconds.
fn ago(time: Option<&Timestamp>, now: DateTime<Utc>) -> Option<f64> {
    let time = time?;
    Some(
        (now.timestamp() - time.seconds) as f64
            + (f64::from(now.timestamp_subsec_nanos()) - f64::from(time.nanos)) / 1e9,
    )
}

/// The tree as rows, each with its depth, how many of them are well, held or on their way, and which are down.
pub fn tree(root: &Node, now: DateTime<Utc>) -> Value {
    let mut rows = Vec::new();
    branch(root, 0, now, &mut rows);
    let of = |mood: &str| rows.iter().filter(|row| row["mood"] == mood).collect::<Vec<_>>();
    let count = |mood: &str| of(mood).len();
    json!({
        "good": count("good"), "warn": count("warn"), "busy": count("busy"), "down": of("bad"), "rows": rows,
    })
}

/// Recursion ends with the tree: it came by gRPC, which allows no deeper nesting.
fn branch(node: &Node, depth: usize, now: DateTime<Utc>, rows: &mut Vec<Value>) {
    let (state, mood) = standing(node);
    let is_supervisor = node.kind == i32::from(NodeKind::Supervisor);
    let exit = node.last_exit.as_ref().map(|exit| {
        let age = ago(exit.time.as_ref(), now);
        json!({
            "kind": exit.kind.replace('_', " "),
            "reason": exit.reason,
            "location": exit.location,
            "time": time(exit.time.as_ref()),
            "ago": age.unwrap_or_default().max(0.0),
            "is_news": age.is_some_and(|age| age < NEWS) && exit.kind != "normal",
        })
    });
    rows.push(json!({
        "path": node.path,
        "name": node.path.rsplit('/').next().unwrap_or_default(),
        "depth": depth.min(8),
        "is_supervisor": is_supervisor,
        "state": state,
        "mood": mood,
        "restarts": node.restarts,
        "exit": exit,
        "mailbox": (node.mailbox_depth >= MAIL_WORTH_A_WORD).then_some(node.mailbox_depth),
        "uptime": seconds(node.uptime.as_ref()),
        "in_flight": seconds(node.in_flight.as_ref()).as_f64().filter(|spent| *spent >= IN_HAND_WORTH_A_WORD),
        "note": node.note,
    }));
    for child in &node.children {
        branch(child, depth + 1, now, rows);
    }
}

/// How a node stands, in a word, and whether that is good, bad, worth a look, on its way, or nothing to speak of.
fn standing(node: &Node) -> (String, &'static str) {
    let has_note = |wanted: &str| node.note.split("; ").any(|note| note == wanted);
    let (word, mood) = match node.status() {
        NodeStatus::Running if has_note("stuck") => ("stuck", "bad"),
        NodeStatus::Running if has_note("paused") => ("paused", "warn"),
        NodeStatus::Running => ("running", "good"),
        NodeStatus::Starting => ("starting", "busy"),
        NodeStatus::Stopping => ("stopping", "busy"),
        NodeStatus::BackingOff => ("restarting", "bad"),
        NodeStatus::Melted => ("parked", "bad"),
        NodeStatus::Stopped => ("stopped", "warn"),
        NodeStatus::Disabled => ("disabled", "off"),
        NodeStatus::Unspecified => return (node.status.to_string(), "warn"),
    };
    (word.to_owned(), mood)
}

pub fn queue(queue: &Queue) -> Value {
    let depth = queue.available + queue.scheduled + queue.retryable;
    json!({
        "name": queue.name,
        "depth": depth,
        "available": queue.available,
        "scheduled": queue.scheduled,
        "retryable": queue.retryable,
        "running": queue.running,
        "oldest": seconds(queue.oldest_due_age.as_ref()),
        "ended_last_minute": queue.ended_last_minute,
        "pause": queue.pause.as_ref().map(|pause| {
            json!({ "name": pause.name, "reason": pause.reason, "time": time(pause.time.as_ref()) })
        }),
        "breaker": queue.breaker.as_ref().map(breaker),
    })
}

pub fn open_breaker(open: &OpenBreaker) -> Value {
    json!({ "queue": open.queue, "breaker": open.breaker.as_ref().map(breaker) })
}

fn breaker(breaker: &Breaker) -> Value {
    let mood = match breaker.state() {
        BreakerState::Closed => "good",
        BreakerState::Open => "bad",
        _ => "warn",
    };
    let name = BreakerState::try_from(breaker.state).ok().map(|state| state.as_str_name());
    json!({
        "state": words(breaker.state, "BREAKER_STATE_", name),
        "mood": mood,
        "failures": breaker.failures,
        "probe": time(breaker.probe_time.as_ref()),
    })
}

pub fn work(work: &Work) -> Value {
    let name = WorkState::try_from(work.state).ok().map(|state| state.as_str_name());
    let attempts = work.attempts.iter().map(|attempt| {
        json!({
            "attempt": attempt.attempt,
            "time": time(attempt.time.as_ref()),
            "runner_id": attempt.runner_id,
            "error": attempt.error,
        })
    });
    // Whose page there is for what it is about.
    let subject_page = match work.kind.split('.').next() {
        Some("boleto") => Some("boletos"),
        Some("transfer") => Some("transfers"),
        _ => None,
    };
    json!({
        "id": work.id,
        "kind": work.kind,
        "queue": work.queue,
        "state": words(work.state, "WORK_STATE_", name),
        "is_dead_letter": work.state() == WorkState::Discarded,
        "attempt": work.attempt,
        "attempts_max": work.attempts_max,
        "run_time": time(work.run_time.as_ref()),
        "subject_id": work.subject_id,
        "subject_page": subject_page,
        "last_error": work.last_error,
        "create_time": time(work.create_time.as_ref()),
        "end_time": time(work.end_time.as_ref()),
        "trace_id": work.traceparent.split('-').nth(1).unwrap_or_default(),
        "runner_id": work.runner_id,
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

pub fn schedule(schedule: &Schedule) -> Value {
    let (state, mood) = match (&schedule.pause, schedule.enabled) {
        (Some(_), _) => ("paused", "warn"),
        (None, true) => ("on", "good"),
        (None, false) => ("off", "off"),
    };
    json!({
        "job": schedule.job,
        "state": state,
        "mood": mood,
        "is_done": schedule.is_done,
        "every": seconds(schedule.every.as_ref()),
        "time_zone": schedule.time_zone,
        "pause": schedule.pause.as_ref().map(|pause| {
            json!({ "reason": pause.reason, "time": time(pause.time.as_ref()) })
        }),
        "next": schedule.next.iter().map(slot).collect::<Vec<_>>(),
        "live_run": schedule.live_run.as_ref().map(run),
    })
}

fn slot(slot: &Slot) -> Value {
    let name = SlotOutcome::try_from(slot.outcome).ok().map(|outcome| outcome.as_str_name());
    json!({
        "time": time(slot.time.as_ref()),
        "local_time": slot.local_time,
        "outcome": words(slot.outcome, "SLOT_OUTCOME_", name),
    })
}

pub fn run(run: &JobRun) -> Value {
    let state = JobRunState::try_from(run.state).ok().map(|state| state.as_str_name());
    let cause = JobRunCause::try_from(run.cause).ok().map(|cause| cause.as_str_name());
    let mood = match run.state() {
        JobRunState::Completed => "good",
        JobRunState::Failed => "bad",
        JobRunState::Cancelled | JobRunState::RateLimited => "warn",
        JobRunState::Running => "busy",
        _ => "off",
    };
    json!({
        "id": run.id,
        "job": run.job,
        "state": words(run.state, "JOB_RUN_STATE_", state),
        "mood": mood,
        "cause": words(run.cause, "JOB_RUN_CAUSE_", cause),
        "slot": run.slot.as_ref().map(slot),
        "done": run.done,
        "total": run.total,
        "note": run.note,
        "error": run.error,
        "reason": run.reason,
        "create_time": time(run.create_time.as_ref()),
        "start_time": time(run.start_time.as_ref()),
        "end_time": time(run.end_time.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::control::v1::Exit;

    #[test]
    fn a_node_is_red_while_it_is_down_and_its_exit_is_news_for_a_minute() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00.5Z".parse().unwrap();
        let exit = Exit {
            kind: "panic".to_owned(),
            time: Some(Timestamp { seconds: now.timestamp() - 59, nanos: 0 }),
            ..Exit::default()
        };
        let leaf = |status: NodeStatus, note: &str| Node {
            path: "house/workers/a".to_owned(),
            status: status.into(),
            note: note.to_owned(),
            last_exit: Some(exit.clone()),
            ..Node::default()
        };
        let children = vec![
            leaf(NodeStatus::Running, ""),
            leaf(NodeStatus::BackingOff, ""),
            leaf(NodeStatus::Melted, "tried again in 5s"),
            leaf(NodeStatus::Running, "x; paused"),
            leaf(NodeStatus::Running, "paused; stuck"),
            leaf(NodeStatus::Disabled, "not configured"),
            leaf(NodeStatus::Starting, ""),
        ];
        let root = Node { status: NodeStatus::Running.into(), children, ..Node::default() };
        let tree = tree(&root, now);
        let said: Vec<String> = (0..8)
            .map(|row| {
                let row = &tree["rows"][row];
                format!("{} {}", row["state"].as_str().unwrap(), row["mood"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            said,
            [
                "running good",
                "running good",
                "restarting bad",
                "parked bad",
                "paused warn",
                "stuck bad",
                "disabled off",
                "starting busy"
            ]
        );
        assert_eq!((&tree["good"], &tree["warn"], &tree["busy"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(tree["down"].as_array().unwrap().len(), 3);
        let row = &tree["rows"][1];
        assert_eq!(
            (&row["name"], &row["depth"], &row["exit"]["ago"]),
            (&json!("a"), &json!(1), &json!(59.5))
        );
        assert_eq!(row["exit"]["is_news"], json!(true));
        let later = super::tree(&root, now + chrono::TimeDelta::seconds(1));
        assert_eq!(later["rows"][1]["exit"]["is_news"], json!(false));
    }

    #[test]
    fn a_value_of_a_newer_protocol_is_shown_as_its_number() {
        assert_eq!(words(99, "X_", None), "99");
        assert_eq!(words(1, "BOLETO_STATUS_", Some("BOLETO_STATUS_NEEDS_REVIEW")), "needs review");
    }
}
