//! `bursar audit` as its users meet it.

use serde_json::json;
use uuid::Uuid;

use super::scripted::{Shown, house, nobody};
use super::{Exit, json_of, taken};
use crate::domain::audit::ChainHash;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::{Store, StoreConfig};

#[tokio::test]
async fn records_are_listed_by_what_is_asked_for() {
    let house = house().await;
    let list = ["audit", "list", "--actor", "token:a", "--method", "PauseQueue", "--subject", "delivery/"];
    let Shown { exit, out, .. } = house.shows(&list).await;
    assert_eq!(exit, Exit::Success);
    for word in ["token:a", "PauseQueue", "delivery/", "maintenance", "paused=no", "paused=yes"] {
        assert!(out.contains(word), "{word} in {out}");
    }
    let document = json_of(&house.shows(&[&list[..], &["--json"]].concat()).await.out);
    assert_eq!(document["records"][0]["after"], json!({ "paused": true }));
}

#[tokio::test]
async fn a_chain_is_followed_to_its_end_and_one_that_does_not_hold_is_a_failure() {
    let house = house().await;
    let Shown { exit, out, .. } = house.shows(&["audit", "verify", "--json"]).await;
    let document = json_of(&out);
    let told = (&document["records"], &document["sequence"], &document["records_outside"]);
    assert_eq!((exit, told), (Exit::Success, (&json!(3), &json!(3), &json!(4))));
    let kept = "f".repeat(64);
    let Shown { exit, out, err } = house.shows(&["audit", "verify", "--expect", &kept, "--at", "3"]).await;
    assert_eq!(exit, Exit::Failure, "{out}");
    assert!(err.contains("does not hold at 3") && err.contains("another hash"), "{err}");
    assert!(!taken(&["audit", "verify", "--expect", &kept]), "of which record?");
    assert!(!taken(&["audit", "verify", "--expect", "abc", "--at", "3"]));
}

#[tokio::test]
async fn a_closed_store_is_verified_without_a_service() {
    let folder = std::env::temp_dir().join(format!("bursar-cli-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("bursar.db").display());
    let timeout = std::time::Duration::from_secs(20);
    let store = Store::open(&StoreConfig { url: url.clone(), connections_max: 2, timeout }).await.unwrap();
    for _ in 0..2 {
        let act = Act {
            method: "Drain",
            subject: Subject::Named("process".to_owned()),
            reason: String::new(),
            before: json!(null),
            after: json!(null),
            now: store.now(),
        };
        store.audit_act(act).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let nobody = nobody().await;
    let verify = ["audit", "verify", "--store", &url, "--json"];
    let Shown { exit, out, err } = nobody.shows(&verify).await;
    assert_eq!(exit, Exit::Success, "{err}");
    let document = json_of(&out);
    assert_eq!((&document["records"], &document["break"]), (&json!(2), &json!(null)));
    let hash = document["hash"].as_str().unwrap();
    let kept = nobody.shows(&[&verify[..], &["--expect", hash, "--at", "2"]].concat()).await;
    assert_eq!(kept.exit, Exit::Success, "{}", kept.err);
    let other = ChainHash::START.to_string();
    let other = nobody.shows(&[&verify[..], &["--expect", &other, "--at", "2"]].concat()).await;
    assert_eq!(other.exit, Exit::Failure);
    assert_eq!(json_of(&other.out)["break"]["flaw"], json!("unexpected"));
    // Left behind, it only costs the system's own cleaning.
    let _ = std::fs::remove_dir_all(&folder);
}
