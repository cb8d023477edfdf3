//! Two tenants have a feed each, in one database. The same key is two transfers, each is told to its own tenant alone, and within a
//! tenant to whom it concerns. A feed that nobody follows any more still has done what it had offered.

use bursar::proto::control::v1::WorkState;
use bursar::proto::notification::v1::EventFilter;
use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::{FindTransferRequest, ListFeedsRequest};
use bursar::sandbox::{Behaviour, Party, VendorName};
use serde_json::json;

use crate::support::house::feed::a_record;
use crate::support::house::{House, eventually};

const KEY: &str = "-Nsample0000000000A1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_of_two_tenants_is_two_transfers() {
    let house = House::new()
        .with_feed("main")
        .with_feed("other")
        .with("transfers.feeds.other.tenant", "acme")
        .with("transfers.feeds.other.firebase_rtdb.paths.transfers", "Acme/Transfer")
        .with("transfers.feeds.other.firebase_rtdb.paths.claims", "Acme/claims")
        .prepare()
        .await;
    house.world.firebase().set_index("Acme/Transfer", Some("processed"));
    let house = house.open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers(KEY, 2);
    house.feed().puts(&format!("Acme/Transfer/{KEY}"), a_record(2));
    house.feed().puts("Acme/Transfer/-NsampleAcme", json!({"processed": false}));

    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    eventually("the other feed is told", async || {
        let record = house.feed().database().read(&format!("Acme/Transfer/{KEY}"));
        (record["processed"] == true && record["resultado"] == result).then_some(())
    })
    .await;
    house.operator().sees_all_work_done().await;
    // The same recordings, heard once for each of them.
    assert_eq!(house.feed().analysed(KEY), 4);
    let news = house.feed().owners_hear(KEY, 1).await;
    let feeds: Vec<_> = news.iter().map(|news| news["data"]["feed"].as_str()).collect();
    assert_eq!(feeds, [Some("main")], "another tenant's owners hear of another tenant's transfers");
    assert!(house.feed().news("-NsampleAcme").is_empty());

    let mut transfers = house.operator().transfers;
    let ours = transfers.list_feeds(ListFeedsRequest {}).await.expect("feeds").into_inner().feeds;
    assert_eq!(ours.iter().map(|feed| feed.name.as_str()).collect::<Vec<_>>(), ["main"]);
    let theirs = FindTransferRequest { key: KEY.to_owned(), feed: "other".to_owned() };
    transfers.find_transfer(theirs).await.expect_err("a feed of somebody else's");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_hears_of_the_transfers_that_concern_them() {
    let house = House::new().with_feed("main").open().await;
    let concern = |rules: &[(&str, &str)]| -> Vec<EventFilter> {
        let rule = |(attribute, value): &(&str, &str)| EventFilter {
            attribute: (*attribute).to_owned(),
            values: vec![(*value).to_owned()],
        };
        rules.iter().map(rule).collect()
    };
    let owners = [
        (
            "company",
            concern(&[("company_key", "-NsampleCompany00001")]),
            vec!["-NsampleOne", "-NsampleSkipped"],
        ),
        ("person", concern(&[("person_key", "-NsamplePerson000002"), ("feed", "main")]), vec!["-NsampleTwo"]),
        ("boletos", concern(&[("reference_id", "-NsampleCompany00001")]), vec![]),
        ("elsewhere", concern(&[("feed", "other")]), vec![]),
    ];
    for (name, filters, _) in &owners {
        let url = house.world().addresses().webhook_url.replace("/hooks/", &format!("/hooks/{name}-"));
        house.operator().subscribes_webhook_at(&url, &["*"], filters.clone()).await;
    }
    let mut skipped = a_record(1);
    skipped["date"] = json!("yesterday");
    let mut two = a_record(1);
    two["key_empresa"] = json!("-NsampleCompany00002");
    two["key_persona"] = json!("-NsamplePerson000002");
    house.feed().offers_record("-NsampleSkipped", 1, skipped);
    house.feed().offers("-NsampleOne", 1);
    house.feed().offers_record("-NsampleTwo", 1, two);
    for key in ["-NsampleOne", "-NsampleTwo", "-NsampleSkipped"] {
        assert_eq!(house.feed().owners_hear(key, 1).await.len(), 1, "{key}");
    }
    house.operator().sees_all_work_done().await;
    for (name, _, concerned) in owners {
        let told = house.world().messages().into_iter().filter(|message| message.destination.contains(name));
        let mut keys: Vec<String> = told
            .map(|message| serde_json::from_str::<serde_json::Value>(&message.body).expect("JSON"))
            .map(|body| body["data"]["key"].as_str().expect("a key").to_owned())
            .collect();
        keys.sort();
        assert_eq!(keys, concerned, "{name}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_not_followed_any_more_has_done_what_it_offered() {
    let house = House::new()
        .with_feed("main")
        .with("transfers.analysis.retry_base", "1h")
        .with("transfers.analysis.retry_cap", "1h")
        .open()
        .await;
    house.script().always(Party::Vendor(VendorName::Ra7), Behaviour::status(503));
    let result = house.feed().offers(KEY, 1);
    let known = house.operator().sees_transfer(KEY, State::Analysing).await;
    house.operator().finds_work_in(&known.id, WorkState::Retryable).await;
    let surroundings = house.leave().await;

    surroundings.world.script().clear_all();
    let house = surroundings.with("transfers.feeds.main.enabled", "false").open().await;
    house.feed().offers("-NsampleUnseen", 1);
    let waiting = house.operator().finds_work_in(&known.id, WorkState::Retryable).await;
    house.operator().retries(&waiting.id, "the vendor is back").await.expect("it waits");
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    house.operator().sees_all_work_done().await;
    assert!(house.operator().finds_transfer("-NsampleUnseen").await.transfer.is_none(), "nobody listens");
    house.close().await;
}
