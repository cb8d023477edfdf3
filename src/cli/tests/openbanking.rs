//! Open banking, as whoever looks after it sees it.

use std::path::PathBuf;

use serde_json::Value;

use super::scripted::openbanking::{ANA, TAKEN};
use super::scripted::{Shown, house};
use super::{Exit, json_of, taken};

/// A file that goes with its test.
struct File(PathBuf);

impl File {
    fn of(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bursar-lines-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A file of this test's own that stays harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn what_is_asked_for_names_what_it_is_about_and_why() {
    assert!(taken(&["openbanking", "user", "update", ANA, "--update-offline", "false", "--reason", "r"]));
    assert!(taken(&["ob", "user", "list", "--all"]), "it has a short name");
    assert!(!taken(&["ob", "user", "update", ANA, "--reason", "r"]), "what is to change?");
    assert!(!taken(&["ob", "user", "update", ANA, "--update-offline", "yes", "--reason", "r"]));
    assert!(!taken(&["ob", "user", "erase", ANA, "--yes"]), "a reason is required");
    assert!(!taken(&["ob", "consent", "import"]) && !taken(&["ob", "consent", "revoke", "c", "--yes"]));
    assert!(taken(&["ob", "account", "transactions", "a", "--from", "2026-11-01", "--stream"]));
    assert!(!taken(&["ob", "account", "transactions", "a", "--from", "yesterday"]));
    assert!(!taken(&["ob", "account", "transactions", "a", "--stream", "--all"]));
    assert!(!taken(&["ob", "sync", "sessions", "--consent", "c", "--run", "r"]));
    assert!(!taken(&["ob", "sync", "calls"]), "of what?");
    assert!(!taken(&["ob", "sync", "plan", "--users-max", "10001"]));
    assert!(taken(&["ob", "payment", "show", "--aspsp", "bank-a", "--external-id", "p"]));
    assert!(!taken(&["ob", "payment", "show", "--external-id", "p"]), "at which bank?");
    assert!(!taken(&["ob", "payment", "list", "--parent", "p", "--state", "done"]));
    assert!(!taken(&["ob", "payment", "resolve", "p", "--as", "DONE", "--reason", "r"]));
    assert!(!taken(&["ob", "payment", "watch"]));
    assert!(taken(&["import", "scheduler", "--users", "u.csv", "--dry-run"]));
    assert!(!taken(&["import", "scheduler", "--dry-run"]), "of which file?");
}

#[tokio::test]
async fn customers_are_written_from_a_file_line_by_line() {
    let house = house().await;
    let file = File::of("{\"external_id\":\"a\",\"update_offline\":true}\n\n{\"external_id\":\"b\"}\n");
    let put = ["ob", "user", "put", "--file", &file.path()];
    let Shown { exit, out, err } = house.shows(&put).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(out, "1  id-a  a  written\n3  id-b  b  as it was\n");
    let lines = house.shows(&[&put[..], &["--json"]].concat()).await.out;
    let written: Vec<Value> = lines.lines().map(|line| json_of(line)["written"].clone()).collect();
    assert_eq!(written, [true, false]);

    let misspelt = File::of("{\"external_id\":\"a\"}\n{\"externalid\":\"secret\"}\n");
    let Shown { exit, out, err } = house.shows(&["ob", "user", "put", "--file", &misspelt.path()]).await;
    assert_eq!((exit, out.as_str()), (Exit::InvalidInput, ""), "nothing was sent");
    assert!(err.contains("request 2") && !err.contains("secret"), "{err}");
}

#[tokio::test]
async fn nothing_that_cannot_be_taken_back_is_done_without_a_word() {
    let house = house().await;
    let erase = ["ob", "user", "erase", ANA, "--reason", "asked for"];
    let revoke = ["ob", "consent", "revoke", "c", "--reason", "asked for"];
    for command in [erase, revoke] {
        let Shown { exit, out, err } = house.shows(&command).await;
        assert_eq!((exit, out.as_str()), (Exit::Conflict, ""));
        assert!(err.contains("give --yes"), "{err}");
        let done = house.shows(&[&command[..], &["--yes"]].concat()).await;
        assert_eq!((done.exit, done.err.as_str()), (Exit::Success, ""));
    }
    let nobody = house.shows(&["ob", "user", "erase", "nobody", "--reason", "r", "--yes"]).await;
    assert_eq!(nobody.exit, Exit::NotFound);
    assert!(nobody.err.contains("--request-id"), "it says how to ask again safely: {}", nobody.err);
    let off = ["ob", "user", "update", ANA, "--update-offline", "false", "--reason", "r", "--json"];
    assert_eq!(json_of(&house.shows(&off).await.out)["user"]["update_offline"], false);
}

#[tokio::test]
async fn a_consent_that_is_anothers_is_told_and_the_rest_is_taken() {
    let house = house().await;
    let line =
        |name: &str| format!("{{\"user_external_id\":\"ana\",\"aspsp\":\"b\",\"external_id\":\"{name}\"}}\n");
    let file = File::of(&[line("mine"), line(TAKEN)].concat());
    let Shown { exit, out, err } = house.shows(&["ob", "consent", "import", "--file", &file.path()]).await;
    assert_eq!(exit, Exit::Conflict);
    assert_eq!(out, "1  c  mine  written\n2  c  taken  as it was  is another customer's\n");
    assert!(err.contains("1 not taken"), "{err}");
    let listed = house.shows(&["ob", "consent", "list", "--user", ANA]).await.out;
    assert!(listed.contains("expired"), "{listed}");
}

#[tokio::test]
async fn an_account_says_how_fresh_it_is_and_its_bank_cannot_steer_the_terminal() {
    let house = house().await;
    let out = house.shows(&["ob", "account", "list"]).await.out;
    assert!(out.contains("****2874") && out.contains("rate_limited: until noon"), "{out}");
    let out = house.shows(&["ob", "account", "show", "a", "--reason", "a complaint"]).await.out;
    assert!(out.contains("closingBooked") && out.contains("7.00"), "{out}");
    let out = house.shows(&["ob", "account", "balances", "a"]).await.out;
    assert_eq!(out, "none\nstale, rate_limited: until noon\n");
    let out = house.shows(&["ob", "account", "transactions", "a", "--stream"]).await.out;
    assert_eq!(out, "2026-11-22  -12.50  PLN  Kiosk [2J\n2026-11-22  3.00  PLN  Kiosk [2J\n");
    let page = json_of(&house.shows(&["ob", "account", "transactions", "a", "--json"]).await.out);
    assert_eq!(page["transactions"][0]["amount"], "-12.50");
    let pending = json_of(&house.shows(&["ob", "account", "pending", "a", "--json"]).await.out);
    assert_eq!(pending["freshness"]["state"], "stale");
    let disabled = house.shows(&["ob", "account", "disable", "a", "--reason", "r", "--json"]).await.out;
    assert_eq!(json_of(&disabled)["account"]["enabled"], false);
}

#[tokio::test]
async fn a_sync_is_begun_followed_planned_and_looked_into() {
    let house = house().await;
    let begin = ["ob", "sync", "user", ANA, "--reason", "asked for"];
    let out = house.shows(&begin).await.out;
    assert!(out.contains("sync_update") && out.contains("running"), "{out}");
    let followed = house.shows(&[&begin[..], &["--follow"]].concat()).await;
    assert_eq!(followed.exit, Exit::Success, "{}", followed.err);
    assert!(followed.out.contains("completed"), "{}", followed.out);
    let out = house.shows(&["ob", "sync", "plan"]).await.out;
    assert!(out.contains("bank-a") && out.contains("NOT BEFORE") && out.contains("balances"), "{out}");
    let sessions = house.shows(&["ob", "sync", "sessions", "--run", "r"]).await.out;
    assert!(sessions.contains("rate_limited"), "{sessions}");
    let calls = json_of(&house.shows(&["ob", "sync", "calls", "--session", "s", "--json"]).await.out);
    assert_eq!(calls["calls"][0]["status"], 429);
    let aspsps = house.shows(&["ob", "aspsps"]).await.out;
    assert!(aspsps.contains("bank-a") && aspsps.contains("open"), "{aspsps}");
}

#[tokio::test]
async fn payments_are_followed_and_watching_exits_by_how_they_ended() {
    let house = house().await;
    let file = File::of("{\"aspsp\":\"bank-a\",\"external_id\":\"p-1\",\"kind\":\"bundle\"}\n");
    let out = house.shows(&["ob", "payment", "track", "--file", &file.path()]).await.out;
    assert_eq!(out, "1  p-1  p-1  in_progress  followed\n");
    for (ids, exit, words) in [
        (&["done"][..], Exit::Success, ""),
        (&["done", "rejected"], Exit::Failed, "1 ended without being done"),
        (&["unresolved"], Exit::Conflict, "1 unresolved"),
        (&["done", "goes-on"], Exit::Unavailable, "ended the stream"),
    ] {
        let Shown { exit: found, out, err } = house.shows(&[&["ob", "payment", "watch"], ids].concat()).await;
        assert_eq!((found, out.lines().count()), (exit, 2 * ids.len()), "{ids:?}: {err}");
        assert!(err.contains(words), "{ids:?}: {err}");
    }
    let listed = house.shows(&["ob", "payment", "list", "--state", "unresolved", "--json"]).await.out;
    assert_eq!(json_of(&listed)["payments"][0]["state"], "unresolved");
    let resolve =
        ["ob", "payment", "resolve", "p", "--as", "rejected", "--reason", "the bank wrote", "--json"];
    assert_eq!(json_of(&house.shows(&resolve).await.out)["payment"]["state"], "rejected");
    let shown = house.shows(&["ob", "payment", "show", "done"]).await.out;
    assert!(shown.contains("bank-a") && shown.contains("done"), "{shown}");
}
