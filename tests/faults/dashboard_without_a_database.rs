//! The database goes away while an operator looks at the dashboard: what is known in memory is shown all the same, what only the
//! database knows is said to be away, whoever is signed in stays so, and all of it comes back by itself. Whatever is logged meanwhile,
//! at the finest level, no line of it holds the token that somebody has signed in with, nor their session.

use bursar::store::{Store, StoreConfig};
use chrono::TimeDelta;
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;

use crate::callers;
use crate::cluster::Cluster;
use crate::process::{PATIENCE, eventually};
use crate::stage::{House, Stage};

const SETTINGS: [&str; 6] = [
    "dashboard.enabled=true",
    "dashboard.listen=127.0.0.1:0",
    "access.mode=tokens",
    "telemetry.log_level=trace",
    "work.fence_after=30s",
    "work.reap_after=1h",
];

/// Where the dashboard is, as the log says.
async fn dashboard(house: &House) -> String {
    let is_it = |line: &str| line.contains("\"pages listening\"") && line.contains("\"dashboard\"");
    let line = house.program.line(is_it).await.expect("pages");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    format!("http://{}", line["fields"]["address"].as_str().expect("an address"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_is_shown_without_a_database_and_nobody_is_signed_out() {
    bursar::connectors::http::install_crypto_provider();
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let mut house = stage.house_with(&SETTINGS, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let config = StoreConfig { url: cluster.url.clone(), ..bursar::config::Config::default().store };
    let store = Store::open(&config).await.expect("a store");
    let token = callers::make(&store, "default", "control.read", TimeDelta::hours(1)).await;
    callers::leave(store).await;

    let pages = dashboard(&house).await;
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
    let browser = client.build().expect("a browser");
    let form = browser.post(format!("{pages}/sign-in")).header(ORIGIN, &pages);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let let_in = form.body(format!("token={}", token.reveal())).send().await.expect("an answer");
    let cookie = let_in.headers().get(SET_COOKIE).expect("a cookie").to_str().expect("ASCII");
    let cookie = cookie.split(';').next().expect("a name and a value").to_owned();
    let looks = async || {
        let page = browser.get(&pages).header(COOKIE, &cookie).send().await.expect("an answer");
        (page.status().as_u16(), page.text().await.expect("a text"))
    };
    let (status, page) = looks().await;
    assert!(status == 200 && page.contains(">foundation</th>") && page.contains("Nothing waits"), "{page}");

    cluster.crash().await;
    let (status, page) = looks().await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(">foundation</th>"), "the tree is known in memory: {page}");
    assert!(
        !page.contains("Nothing waits") && page.contains("class=\"trouble\""),
        "nobody knows the queues: {page}"
    );

    cluster.come_back().await;
    eventually("the queues again", async || {
        let (status, page) = looks().await;
        (status == 200 && page.contains("Nothing waits")).then_some(())
    })
    .await;
    let (_, session) = cookie.split_once('=').expect("a value");
    for secret in [token.reveal().as_str(), session] {
        assert_eq!(house.program.find(|line| line.contains(secret)), None);
    }
    house.program.signal("TERM");
    assert!(house.program.ended().await.success(), "{}", house.program.said());
    stage.close().await;
}
