//! Endpoints and deliveries, as whoever keeps them sees them.

use serde_json::json;

use super::scripted::notifications::{AWAY, GONE};
use super::scripted::{Shown, house};
use super::{Exit, json_of, taken};

#[test]
fn what_is_asked_for_names_what_it_is_about_and_why() {
    assert!(taken(&[
        "endpoint",
        "create",
        "--queue-url",
        "q",
        "--event-type",
        "*",
        "--filter",
        "reference_id=a"
    ]));
    assert!(!taken(&["endpoint", "create", "--event-type", "*"]), "a destination is required");
    assert!(!taken(&["endpoint", "create", "--queue-url", "q", "--mail-address", "m", "--event-type", "*"]));
    assert!(!taken(&["endpoint", "update", "e"]), "something is to change");
    assert!(
        !taken(&["endpoint", "disable", "e"]) && !taken(&["endpoint", "enable", "e"]),
        "a reason is required"
    );
    assert!(!taken(&["delivery", "list"]), "of whom?");
    assert!(taken(&["delivery", "list", "--endpoint", "e", "--subject", "b", "--state", "given_up"]));
    assert!(!taken(&["delivery", "list", "--endpoint", "e", "--state", "lost"]));
    assert!(
        !taken(&["delivery", "resend", "e", "b"]) && !taken(&["delivery", "cancel", "e", "--reason", "r"])
    );
    assert!(!taken(&["delivery", "recover", "e", "--reason", "r"]), "since when?");
    assert!(!taken(&["delivery", "recover", "e", "--since", "yesterday", "--reason", "r"]));
}

#[tokio::test]
async fn a_secret_that_the_service_made_is_shown_once() {
    let house = house().await;
    let create =
        ["endpoint", "create", "--webhook-url", "https://shop.example/hook", "--event-type", "boleto.*"];
    let Shown { exit, out, err } = house.shows(&create).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.ends_with("secret, shown only now  whsec_made\n"), "{out}");
    let own = house.shows(&[&create[..], &["--secret", "env:HOOK", "--json"]].concat()).await.out;
    assert_eq!(json_of(&own).get("secret"), None);
}

#[tokio::test]
async fn an_endpoint_is_changed_and_switched() {
    let house = house().await;
    let update = [
        "endpoint",
        "update",
        "e",
        "--nats-subject",
        "owners.shop",
        "--event-type",
        "boleto.paid,boleto.refused",
    ];
    let document = json_of(&house.shows(&[&update[..], &["--json"]].concat()).await.out);
    assert_eq!(document["endpoint"]["nats"]["subject"], "owners.shop");
    assert_eq!(document["endpoint"]["event_types"], json!(["boleto.paid", "boleto.refused"]));
    let stale = [&update[..], &["--etag", "3", "--request-id", "r-1"]].concat();
    let Shown { exit, err, .. } = house.shows(&stale).await;
    assert_eq!(exit, Exit::Conflict);
    assert!(err.contains("--request-id r-1"), "{err}");
    let out = house.shows(&["endpoint", "disable", "e", "--reason", "moving"]).await.out;
    assert!(out.contains("disabled") && out.contains("moving"), "{out}");
    let enable = ["endpoint", "enable", "e", "--reason", "moved", "--json"];
    assert_eq!(json_of(&house.shows(&enable).await.out)["endpoint"]["disabled"], false);
}

#[tokio::test]
async fn a_test_fails_as_the_endpoint_does() {
    let house = house().await;
    for (id, exit, outcome) in [
        ("e", Exit::Success, "accepted"),
        (AWAY, Exit::Unavailable, "unavailable"),
        (GONE, Exit::Conflict, "gone"),
    ] {
        let shown = house.shows(&["endpoint", "test", id]).await;
        assert_eq!(shown.exit, exit, "{id}");
        assert!(shown.out.contains(outcome) && shown.out.contains("endpoint.test"), "{}", shown.out);
        let document = json_of(&house.shows(&["endpoint", "test", id, "--json"]).await.out);
        assert_eq!(document["attempt"]["outcome"], outcome);
    }
}

#[tokio::test]
async fn a_page_that_shows_nothing_is_not_the_end_of_a_list() {
    let house = house().await;
    let list = ["delivery", "list", "--endpoint", "e", "--state", "given_up"];
    let Shown { exit, out, .. } = house.shows(&list).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.lines().count() == 2 && out.contains("given_up") && !out.contains("--page-token"), "{out}");
    let attempts = house.shows(&["delivery", "attempts", "e", "b"]).await.out;
    assert!(
        attempts.contains("refused") && attempts.contains("404") && attempts.contains("yes"),
        "{attempts}"
    );
}

#[tokio::test]
async fn deliveries_are_sent_again_and_no_more() {
    let house = house().await;
    let resend = ["delivery", "resend", "e", "b", "--reason", "lost", "--json"];
    assert_eq!(json_of(&house.shows(&resend).await.out)["delivery"]["state"], "pending");
    let off = ["delivery", "resend", GONE, "b", "--event", "v", "--reason", "lost", "--request-id", "r-2"];
    let Shown { exit, err, .. } = house.shows(&off).await;
    assert_eq!(exit, Exit::Conflict);
    assert!(err.contains("--request-id r-2"), "{err}");
    let recover = ["delivery", "recover", "e", "--since", "1970-01-01T00:00:07Z", "--reason", "back"];
    assert_eq!(house.shows(&recover).await.out, "recovered  7\n");
    let document = json_of(&house.shows(&[&recover[..], &["--json"]].concat()).await.out);
    assert_eq!(document, json!({"recovered": 7}));
    let out = house.shows(&["delivery", "cancel", "e", "b", "--reason", "sold twice"]).await.out;
    assert!(out.contains("cancelled") && out.contains("wanted version  3"), "{out}");
}
