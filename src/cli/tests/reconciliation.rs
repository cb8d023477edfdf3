//! What banks say was paid, in what they and we disagree, and counters that move ahead, as an operator sees them.

use serde_json::json;

use super::scripted::accounts::{ASKED, OPEN};
use super::scripted::{Shown, house};
use super::{Exit, json_of, taken};

#[tokio::test]
async fn every_account_that_can_be_asked_is_asked_and_the_others_are_shown() {
    let house = house().await;
    let Shown { exit, out, err } = house.shows(&["boleto", "reconcile"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("ACCOUNT ") && lines[0].contains("ASKED BY"), "{out}");
    assert!(lines[1].starts_with(ASKED) && lines[1].contains("look_up"), "{out}");
    assert!(lines[2].starts_with("dumb") && lines[2].contains("none"), "{out}");
    assert!(out.contains("paid_cancelled") && out.contains("here it is cancelled"), "{out}");

    let document = json_of(&house.shows(&["boleto", "reconcile", "--json"]).await.out);
    let known = &document["reconciliations"];
    assert_eq!((known[0]["runs"].clone(), known[0]["payments"].clone()), (json!(1), json!(2)));
    assert_eq!((known[1]["runs"].clone(), known[1]["supported"].clone()), (json!(0), json!(false)));
    assert_eq!(document["differences"][0]["id"], OPEN);
}

#[tokio::test]
async fn one_account_is_asked_alone_and_one_that_cannot_be_is_a_conflict() {
    let house = house().await;
    let document = json_of(&house.shows(&["boleto", "reconcile", "--account", ASKED, "--json"]).await.out);
    assert_eq!(document["reconciliations"].as_array().map(Vec::len), Some(1));
    let Shown { exit, out, err } = house.shows(&["boleto", "reconcile", "--account", "dumb"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Conflict, ""));
    assert!(err.contains("cannot be asked"), "{err}");
    let Shown { exit, out, .. } = house.shows(&["boleto", "reconcile", "--differences"]).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.starts_with("ID ") && !out.contains("ASKED BY"), "nobody is asked: {out}");
    assert!(!taken(&["boleto", "reconcile", "--watch", "--differences"]));
}

#[tokio::test]
async fn differences_are_listed_page_by_page_and_settled() {
    let house = house().await;
    let open = json_of(&house.shows(&["boleto", "differences", "--json"]).await.out);
    assert_eq!(open["differences"][0]["id"], OPEN);
    assert_eq!(open["next_page_token"], "");
    let all = ["boleto", "differences", "--settled-too", "--all"];
    let Shown { exit, out, .. } = house.shows(&all).await;
    assert_eq!((exit, out.lines().count()), (Exit::Success, 3), "a heading and two: {out}");
    let last = out.lines().last().unwrap_or_default();
    assert!(last.starts_with("old") && last.ends_with("refunded"), "{out}");
    let text = house.shows(&all[..3]).await.out;
    assert!(text.ends_with("more: --page-token 2\n"), "{text}");

    let settle = ["boleto", "settle", OPEN, "--reason", "refunded by hand"];
    let Shown { exit, out, .. } = house.shows(&settle).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.starts_with("ID ") && out.contains("refunded by hand"), "{out}");
    let document = json_of(&house.shows(&[&settle[..], &["--json"]].concat()).await.out);
    assert_eq!(document["difference"]["settle_reason"], "refunded by hand");
    assert_eq!(house.shows(&["boleto", "settle", "gone", "--reason", "r"]).await.exit, Exit::NotFound);
    assert!(!taken(&["boleto", "settle", OPEN]), "a reason is required");
}

#[tokio::test]
async fn a_counter_is_moved_past_the_banks_highest_or_so_far_ahead() {
    let house = house().await;
    let past = ["account", "resync", "a", "--past", "500", "--reason", "restored"];
    let Shown { exit, out, .. } = house.shows(&past).await;
    assert_eq!(exit, Exit::Success);
    let next = out.lines().find(|line| line.starts_with("next sequence"));
    assert!(next.is_some_and(|line| line.ends_with(" 501")), "{out}");
    let ahead = ["account", "resync", "a", "--ahead", "20", "--reason", "restored", "--json"];
    assert_eq!(json_of(&house.shows(&ahead).await.out)["bank_account"]["next_sequence"], 120);
    let number = ["account", "resync", "a", "--past", "22222220000000001"];
    let foreign = [&number[..], &["--reason", "r", "--request-id", "r-4"]].concat();
    let Shown { exit, err, .. } = house.shows(&foreign).await;
    assert!(exit == Exit::InvalidInput && err.contains("--request-id r-4"), "{err}");
    assert!(!taken(&["account", "resync", "a", "--reason", "r"]), "past or ahead");
    assert!(!taken(&["account", "resync", "a", "--past", "1", "--ahead", "1", "--reason", "r"]));
}
