//! The timetable and the runs of its jobs, as an operator sees them.

use serde_json::json;

use super::scripted::jobs::{BUSY, JOB};
use super::scripted::{Shown, house, nobody};
use super::{Exit, json_of, taken};

#[test]
fn what_holds_a_job_back_or_ends_a_run_is_given_a_reason() {
    assert!(!taken(&["job", "pause", JOB]) && taken(&["job", "pause", JOB, "--reason", "r"]));
    assert!(!taken(&["job", "cancel", "r"]) && taken(&["job", "cancel", "r", "--reason", "r"]));
    assert!(taken(&["job", "run", JOB]), "whoever begins one need not say why");
    let time = ["job", "backfill", JOB, "--after", "2027-03-01T00:00:00Z"];
    assert!(!taken(&time), "until when?");
    assert!(taken(&[&time[..], &["--until", "2027-03-02T00:00:00Z", "--dry-run"]].concat()));
    assert!(!taken(&["job", "backfill", JOB, "--after", "yesterday", "--until", "today"]));
    assert!(
        taken(&["job", "runs", "--state", "rate_limited"]) && !taken(&["job", "runs", "--state", "late"])
    );
    assert!(!taken(&["trace"]), "of what?");
}

#[tokio::test]
async fn slots_are_shown_soonest_first_and_what_became_of_those_before() {
    let house = house().await;
    let next = json_of(&house.shows(&["job", "next", "--json"]).await.out);
    assert_eq!(
        [&next["next"][0]["job"], &next["next"][1]["job"]],
        [&json!("payment_update"), &json!(JOB)],
        "whatever the order of the jobs"
    );
    let Shown { exit, out, .. } = house.shows(&["job", "list"]).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.contains("America/Sao_Paulo") && out.contains(" 8h "), "{out}");
    let out = house.shows(&["job", "show", JOB]).await.out;
    let (_, before) = out.split_once("before").expect("what became of slots");
    assert!(before.contains("missed") && before.contains("2026-11-22T12:00:00-03:00"), "{out}");
    assert_eq!(house.shows(&["job", "show", "shear"]).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn a_run_that_is_followed_ends_the_command_as_it_ends() {
    let house = house().await;
    for (end, exit) in [
        ("completed", Exit::Success),
        ("failed", Exit::Failed),
        ("cancelled", Exit::Conflict),
        ("rate_limited", Exit::Exhausted),
        ("endless", Exit::Unavailable),
    ] {
        let run = ["job", "run", JOB, "--follow", "--reason", end];
        let shown = house.shows(&run).await;
        assert_eq!(shown.exit, exit, "{end}: {}", shown.err);
        if end != "endless" {
            assert!(shown.out.contains(end), "{end}: {}", shown.out);
        }
    }
    let run = ["job", "run", JOB, "--follow", "--reason", "completed", "--json"];
    let out = house.shows(&run).await.out;
    let done: Vec<_> = out.lines().map(|line| json_of(line)["run"]["done"].clone()).collect();
    assert_eq!(done, [1, 3, 4].map(|done| json!(done)), "a line for each step");
}

#[tokio::test]
async fn a_job_that_runs_already_is_a_conflict_that_may_be_asked_about_again() {
    let house = house().await;
    let Shown { exit, err, .. } = house.shows(&["job", "run", BUSY, "--request-id", "r-1"]).await;
    assert_eq!(exit, Exit::Conflict);
    assert!(err.contains("JOB_RUNS") && err.contains("--request-id r-1"), "{err}");
    let Shown { exit, out, .. } = house.shows(&["job", "run", BUSY, "--allow-overlap"]).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.contains("running"), "{out}");
    assert_eq!(nobody().await.shows(&["job", "run", JOB]).await.exit, Exit::Unavailable);
}

#[tokio::test]
async fn a_backfill_says_what_it_did_or_would_do() {
    let house = house().await;
    let time = ["--after", "2027-03-01T00:00:00Z", "--until", "2027-03-02T00:00:00Z"];
    let backfill = [&["job", "backfill", JOB], &time[..]].concat();
    assert_eq!(house.shows(&backfill).await.out, "3 slots, 1 run before; 2 are run now\n");
    let dry = [&backfill[..], &["--dry-run"]].concat();
    assert_eq!(house.shows(&dry).await.out, "3 slots, 1 run before; 2 would be run now\n");
    let document = json_of(&house.shows(&[&backfill[..], &["--json"]].concat()).await.out);
    assert_eq!(document["run_ids"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_timetable_is_held_back_and_a_run_ended() {
    let house = house().await;
    let out = house.shows(&["job", "pause", JOB, "--reason", "the bank moves house"]).await.out;
    assert!(out.contains("the bank moves house"), "{out}");
    assert_eq!(house.shows(&["job", "resume", JOB]).await.out, "was not paused\n");
    let out = house.shows(&["job", "cancel", "r", "--reason", "too early"]).await.out;
    assert!(out.contains("too early"), "{out}");
    let all = json_of(&house.shows(&["job", "runs", "--all", "--json"]).await.out);
    let states: Vec<_> = all["runs"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect();
    assert_eq!(states, ["running", "failed"].map(|state| json!(state)));
}

#[tokio::test]
async fn a_run_is_found_by_the_id_of_its_log_lines_and_by_that_of_its_trace() {
    let house = house().await;
    for id in ["0190b0c0-0000-7000-8000-000000000001", "0190b0c0000070008000000000000001"] {
        let document = json_of(&house.shows(&["trace", id, "--json"]).await.out);
        assert_eq!(document["run"]["id"], "0190b0c0-0000-7000-8000-000000000001");
    }
    assert_eq!(house.shows(&["trace", "lost"]).await.exit, Exit::InvalidInput);
}
