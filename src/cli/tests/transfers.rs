//! Recorded questionings, as whoever looks after them sees them.

use serde_json::{Value, json};

use super::scripted::transfers::{DONE, ERASED, LOST, OLD, SILENT, UNSEEN};
use super::scripted::{Shown, house};
use super::{Exit, json_of, taken};

#[test]
fn what_is_asked_for_names_what_it_is_about_and_why() {
    assert!(taken(&["transfer", "find", DONE, "--feed", "forms", "--json"]), "a key may begin with a hyphen");
    assert!(!taken(&["transfer", "find"]) && !taken(&["transfer", "process"]));
    assert!(taken(&["transfer", "process", DONE, "--follow"]));
    assert!(!taken(&["transfer", "reprocess", DONE, "--yes"]), "a reason is required");
    assert!(taken(&["transfer", "reprocess", DONE, "--reason", "r", "--feed", "forms"]));
    assert!(taken(&["transfer", "reprocess", "--state", "failed", "--reason", "r", "--dry-run"]));
    assert!(!taken(&["transfer", "reprocess", DONE, "--state", "failed", "--reason", "r"]));
    assert!(!taken(&["transfer", "reprocess", "--state", "failed", "--reason", "r", "--limit", "100001"]));
    assert!(!taken(&["transfer", "list", "--state", "DONE"]));
    assert!(taken(&["transfer", "list", "--person", "-Nperson", "--recorded-from", "2026-01-15T00:00:00Z"]));
    assert!(!taken(&["transfer", "analysis", DONE, "--raw", "--legacy"]));
    assert!(!taken(&["transfer", "analysis", DONE, "--position", "1"]), "of raw answers only");
    assert!(taken(&["transfer", "get-analysis", "--id", "i", "--raw", "--position", "0,2", "--run", "1"]));
    assert!(!taken(&["transfer", "changes", DONE, "--id", "i"]) && !taken(&["transfer", "changes"]));
    assert!(!taken(&["transfer", "erase", DONE, "--yes"]), "a reason is required");
    assert!(!taken(&["transfer", "export", "--state", "done"]), "to where?");
}

#[tokio::test]
async fn what_is_nowhere_is_told_from_what_nobody_has_seen_and_from_what_is_here() {
    let house = house().await;
    let done = house.shows(&["transfer", "find", DONE]).await;
    assert_eq!((done.exit, done.err.as_str()), (Exit::Success, ""));
    assert!(done.out.contains("the feed holds it, processed\n"), "{}", done.out);
    assert!(done.out.contains("VENDOR RISK SCORE") && done.out.contains("no_speech"), "{}", done.out);
    let document = json_of(&house.shows(&["transfer", "find", DONE, "--json"]).await.out);
    assert_eq!(document["answers"][0]["vendor_risk_score"], 38);
    assert_eq!(document["answers"][1]["vendor_risk_score"], Value::Null, "no failure is a number");

    let lost = house.shows(&["transfer", "find", LOST]).await.out;
    assert!(lost.contains("gave_up: ") && lost.contains("last error: the vendor does not answer"), "{lost}");
    let unseen = house.shows(&["transfer", "find", UNSEEN]).await;
    assert_eq!(unseen.exit, Exit::Success);
    assert!(unseen.out.starts_with("never seen") && unseen.out.contains("not processed"), "{}", unseen.out);
    for (key, exit) in [("-Nnowhere", Exit::NotFound), (SILENT, Exit::Unavailable)] {
        let shown = house.shows(&["transfer", "find", key]).await;
        assert_eq!((shown.exit, shown.out.as_str()), (exit, ""), "{}", shown.err);
        let document = json_of(&house.shows(&["transfer", "find", key, "--json"]).await.out);
        assert_eq!(document["transfer"], Value::Null);
    }
}

#[tokio::test]
async fn a_process_is_read_step_by_step_and_exits_by_its_end() {
    let house = house().await;
    let shown = house.shows(&["transfer", "process", DONE, "--follow"]).await;
    assert_eq!((shown.exit, shown.err.as_str()), (Exit::Success, ""));
    let golden = "\
analysing
attempt 1 ended  the vendor is away  next
answer 0  scored  vendor risk score 38  segments 3
answer 1  no_speech
end  done  vendor risk scores 38|
";
    assert_eq!(shown.out.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>(), golden);

    let lines = house.shows(&["transfer", "process", DONE, "--follow", "--json"]).await.out;
    let steps: Vec<String> =
        lines.lines().filter_map(|line| json_of(line).as_object()?.keys().next().cloned()).collect();
    assert_eq!(steps, ["change", "wait", "answer", "answer", "end"]);

    let ends = [
        (DONE, Exit::Conflict, "the transfer is done"),
        (OLD, Exit::Skipped, "was skipped: too_old"),
        (LOST, Exit::Failed, "has failed: gave_up"),
        (ERASED, Exit::Conflict, "was erased"),
        (UNSEEN, Exit::Unavailable, "the transfer goes on"),
        ("-Nnowhere", Exit::NotFound, "not found"),
    ];
    for (key, exit, words) in ends {
        let Shown { exit: found, err, .. } = house.shows(&["transfer", "process", key]).await;
        assert_eq!(found, exit, "{key}: {err}");
        assert!(err.contains(words), "{key}: {err}");
    }
}

#[tokio::test]
async fn nothing_is_analysed_once_more_without_a_word() {
    let house = house().await;
    let one = ["transfer", "reprocess", DONE, "--reason", "new formula"];
    let Shown { exit, out, err } = house.shows(&one).await;
    assert_eq!(exit, Exit::Conflict);
    assert!(out.contains("done") && err.contains("give --yes"), "{out}{err}");
    let out = house.shows(&[&one[..], &["--yes"]].concat()).await.out;
    assert!(out.contains("queued"), "{out}");

    let many = ["transfer", "reprocess", "--state", "failed", "--reason", "r", "--limit", "7", "--json"];
    let counted = house.shows(&[&many[..], &["--dry-run"]].concat()).await;
    let document = json!({"transfers": 7, "more": true, "dry_run": true, "transfer": null});
    assert_eq!((counted.exit, json_of(&counted.out)), (Exit::Success, document));
    let done = house.shows(&[&many[..], &["--yes"]].concat()).await;
    assert_eq!(json_of(&done.out)["dry_run"], false);
    let nowhere = ["transfer", "reprocess", "-Nnowhere", "--reason", "r", "--yes"];
    assert_eq!(house.shows(&nowhere).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn transfers_are_listed_and_their_changes_and_feeds_shown() {
    let house = house().await;
    let all = json_of(&house.shows(&["transfer", "list", "--all", "--json"]).await.out);
    let keys: Vec<&Value> = all["transfers"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, [DONE, OLD, LOST]);
    let one = house.shows(&["transfer", "list", "--state", "skipped"]).await.out;
    assert!(one.contains("too_old") && one.ends_with("more: --page-token 2\n"), "{one}");
    let changes = house.shows(&["transfer", "changes", DONE]).await.out;
    assert!(changes.contains("transfer.queued") && changes.contains("transfer.done"), "{changes}");
    let feeds = house.shows(&["transfer", "feeds"]).await.out;
    assert!(feeds.contains("lost") && feeds.contains("no route"), "{feeds}");

    let Shown { exit, out, err } = house.shows(&["transfer", "watch", "--json"]).await;
    assert_eq!((exit, out.lines().count()), (Exit::Unavailable, 2));
    assert!(err.starts_with("to go on from here, give --cursor c3\n"), "{err}");
}

#[tokio::test]
async fn an_analysis_is_shown_in_the_form_that_is_asked_for() {
    let house = house().await;
    let plain = house.shows(&["transfer", "analysis", DONE]).await.out;
    assert!(plain.contains("VENDOR RISK SCORE") && plain.contains("38"), "{plain}");
    let raw = house.shows(&["transfer", "analysis", DONE, "--raw"]).await.out;
    assert_eq!(raw, "{\"Status\": \"OK\"} [2J\n", "a vendor cannot steer the terminal");
    let document = json_of(&house.shows(&["transfer", "analysis", DONE, "--raw", "--json"]).await.out);
    assert_eq!(document["raw_answers"][0]["body"], "{\"Status\": \"OK\"}\u{1b}[2J");
    assert_eq!(house.shows(&["transfer", "analysis", DONE, "--legacy"]).await.out, "{}\n");
    assert_eq!(house.shows(&["transfer", "analysis", "-Nnowhere"]).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn an_export_writes_each_once_and_leaves_what_is_there() {
    let house = house().await;
    let folder = std::env::temp_dir().join(format!("bursar-export-{}", uuid::Uuid::now_v7()));
    let out = folder.display().to_string();
    let export = ["transfer", "export", "--out", &out, "--json"];
    let first = house.shows(&export).await;
    let counts = |written: i32, left: i32| json!({"written": written, "left": left, "without_run": 2});
    assert_eq!((first.exit, json_of(&first.out)), (Exit::Success, counts(1, 0)), "{}", first.err);
    assert_eq!(json_of(&house.shows(&export).await.out), counts(0, 1));
    assert_eq!(json_of(&house.shows(&[&export[..], &["--force"]].concat()).await.out), counts(1, 0));
    let mut kinds: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().extension().unwrap().to_string_lossy().into_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["json", "txt"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn nothing_is_erased_without_a_word() {
    let house = house().await;
    let erase = ["transfer", "erase", DONE, "--reason", "the person asked for it"];
    let Shown { exit, out, err } = house.shows(&erase).await;
    assert_eq!((exit, out.as_str()), (Exit::Conflict, ""));
    assert!(err.contains("give --yes"), "{err}");
    let erased = house.shows(&[&erase[..], &["--yes", "--json"]].concat()).await;
    assert_eq!(json_of(&erased.out)["transfer"]["state"], "erased");
}
