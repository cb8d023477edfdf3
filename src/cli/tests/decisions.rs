//! Orders to banks and decisions of people, as whoever gives them sees what came of it.

use serde_json::json;

use super::scripted::decisions::{PAID, SLOW};
use super::scripted::{Shown, house};
use super::{Exit, json_of, taken};

#[tokio::test]
async fn an_amendment_shows_the_order_above_the_boleto() {
    let house = house().await;
    let amend = ["boleto", "amend", "b", "--reason", "one week more", "--due-date", "2027-01-20"];
    let Shown { exit, out, err } = house.shows(&amend).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let (order, boleto) = out.split_once("\nid ").expect("the order, then the boleto");
    assert!(order.starts_with("order ") && order.contains("amend"), "{out}");
    assert!(order.contains("done") && order.contains("one week more"), "{out}");
    assert!(boleto.contains("2027-01-20") && boleto.contains("R$ 125.90"), "{out}");

    let terms = ["--amount-cents", "9900", "--fine-percentage", "2", "--request-id", "r-1", "--json"];
    let document = json_of(&house.shows(&[&amend[..], &terms].concat()).await.out);
    assert_eq!(document["request_id"], "r-1");
    assert_eq!(document["order"]["state"], "done");
    assert_eq!(document["boleto"]["amount_cents"], 9_900);
    assert_eq!(document["boleto"]["charges"]["fine"]["percentage"], "2");
    let bare = house.shows(&[&amend[..], &["--no-charges", "--json"]].concat()).await.out;
    assert_ne!(
        json_of(&bare)["boleto"]["charges"],
        json!(null),
        "none are asked for, and not left as they are"
    );
    assert!(!taken(&["boleto", "amend", "b", "--amount-cents", "1"]), "a reason is required");
}

#[tokio::test]
async fn an_order_that_comes_too_late_is_a_conflict_that_may_be_asked_about_again() {
    let house = house().await;
    for verb in ["amend", "cancel"] {
        let late = ["boleto", verb, PAID, "--reason", "r", "--request-id", "r-2", "--version", "2"];
        let Shown { exit, out, err } = house.shows(&late).await;
        assert_eq!((exit, out.as_str()), (Exit::Conflict, ""), "{verb}");
        assert!(err.contains("BOLETO_NOT_OPEN") && err.contains("--request-id r-2"), "{err}");
        let err = house.shows(&[&late[..], &["--json"]].concat()).await.err;
        let error = &json_of(&err)["error"];
        assert_eq!(error["reason"], "BOLETO_NOT_OPEN");
        assert_eq!(error["request_id"], "r-2");
    }
}

#[tokio::test]
async fn a_cancellation_is_done_or_pending_and_says_which() {
    let house = house().await;
    let Shown { exit, out, .. } = house.shows(&["boleto", "cancel", "b", "--reason", "sold twice"]).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.contains("sold twice") && out.contains("cancelled"), "{out}");
    let slow = ["boleto", "cancel", SLOW, "--reason", "sold twice", "--json"];
    let Shown { exit, out, .. } = house.shows(&slow).await;
    let document = json_of(&out);
    assert_eq!((exit, document["order"]["state"].clone()), (Exit::Success, json!("pending")));
    assert_eq!(document["boleto"]["status"], "registered", "the bank has not decided");
    let made = document["request_id"].as_str().and_then(|id| id.parse::<uuid::Uuid>().ok());
    assert!(made.is_some(), "under this it may be asked for again: {out}");
}

#[tokio::test]
async fn a_person_ends_a_review() {
    let house = house().await;
    let resolve = ["boleto", "resolve", "b", "--as", "refused", "--reason", "the bank said so by phone"];
    let Shown { exit, out, .. } = house.shows(&resolve).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.starts_with("id ") && out.contains("refused"), "{out}");
    let document = json_of(&house.shows(&[&resolve[..], &["--json"]].concat()).await.out);
    assert_eq!(document["boleto"]["status"], "refused");
    let late = ["boleto", "resolve", PAID, "--as", "registered", "--reason", "r", "--request-id", "r-3"];
    let Shown { exit, err, .. } = house.shows(&late).await;
    assert!(exit == Exit::Conflict && err.contains("--request-id r-3"), "{err}");
    assert!(!taken(&["boleto", "resolve", "b", "--as", "elsewhere", "--reason", "r"]));
}

#[tokio::test]
async fn a_history_is_changes_then_payments_then_orders() {
    let house = house().await;
    let Shown { exit, out, .. } = house.shows(&["boleto", "history", "b"]).await;
    assert_eq!(exit, Exit::Success);
    let headings = ["WHEN ", "\nPAID ON ", "\nORDERED "].map(|heading| out.find(heading));
    assert!(headings.iter().all(Option::is_some) && headings.is_sorted(), "{out}");
    for part in ["boleto.registered  by hand", "R$ 50.00", "pix-1", "one week more"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let document = json_of(&house.shows(&["boleto", "history", "b", "--json"]).await.out);
    assert_eq!(document["changes"][1]["event_type"], "boleto.registered");
    assert_eq!(document["payments"][0]["amount_cents"], 5_000);
    assert_eq!(document["orders"][0]["kind"], "amend");
    assert_eq!(house.shows(&["boleto", "history", PAID]).await.exit, Exit::Conflict);
}

#[tokio::test]
async fn a_payer_is_erased_by_whoever_means_it() {
    let house = house().await;
    let erase = ["boleto", "erase", "b", "--reason", "asked for by the person"];
    let Shown { exit, out, err } = house.shows(&erase).await;
    assert_eq!((exit, out.as_str()), (Exit::Conflict, ""), "nothing brings it back: {err}");
    assert!(err.contains("--yes"), "{err}");
    let document = json_of(&house.shows(&[&erase[..], &["--yes", "--json"]].concat()).await.out);
    assert_eq!((&document["boleto"]["id"], &document["boleto"]["erased"]), (&json!("b"), &json!(true)));
    assert_eq!(document["boleto"]["payer"], json!(null));
    assert!(!taken(&["boleto", "erase", "b", "--yes"]), "a reason is required");
}

#[tokio::test]
async fn a_reload_shows_what_was_taken_over_and_what_waits() {
    let house = house().await;
    let Shown { exit, out, err } = house.shows(&["config", "reload"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    for word in ["breaker.failures_max", "10", "3", "waits for the next start: api.listen"] {
        assert!(out.contains(word), "{word} in {out}");
    }
    let document = json_of(&house.shows(&["config", "reload", "--check", "--json"]).await.out);
    assert_eq!(document["taken"][0], json!({"key": "breaker.failures_max", "before": "10", "after": "3"}));
    assert_eq!((&document["check_only"], &document["waiting"]), (&json!(true), &json!(["api.listen"])));
}
