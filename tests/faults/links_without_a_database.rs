//! A payer opens a link while the database is away: they are told when to come back, and once it is there again the same
//! address shows the document. Whatever is logged meanwhile, at the finest level, no line of it holds the link's token.

use std::time::Duration;

use bursar::proto::boleto::v1::CreateDocumentLinkRequest;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::process::{PATIENCE, eventually};
use crate::shop::Shop;
use crate::stage::{House, Stage};

const BASE_URL: &str = "https://pay.example";
const SETTINGS: [&str; 7] = [
    "documents.links.enabled=true",
    "documents.links.address=127.0.0.1:0",
    "documents.links.base_url=https://pay.example",
    "documents.links.rate_per_second=0",
    "telemetry.log_level=trace",
    "work.fence_after=30s",
    "work.reap_after=1h",
];

/// Where the pages are, as the log says.
async fn pages(house: &House) -> String {
    let line = house.program.line(|line| line.contains("\"pages listening\"")).await.expect("pages");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    line["fields"]["address"].as_str().expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_is_told_to_come_back_and_no_log_holds_the_token() {
    bursar::connectors::http::install_crypto_provider();
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let house = stage.house_with(&SETTINGS, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    let boleto = shop.hold_back(&channel).await.expect("a boleto");
    let request = CreateDocumentLinkRequest { id: boleto.id, ..CreateDocumentLinkRequest::default() };
    let answer = BoletoServiceClient::new(channel.clone()).create_document_link(request).await;
    let url = answer.expect("a link").into_inner().url;
    let path = url.strip_prefix(BASE_URL).expect("what the proxy shows");
    let token = path.strip_prefix("/d/").expect("a link's path").to_owned();
    let pages = pages(&house).await;
    let browser = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a browser");
    let opens = async || {
        let answer = browser.get(format!("http://{pages}{path}")).send().await.expect("an answer");
        let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), wait)
    };
    assert_eq!(opens().await, (StatusCode::OK, None));

    cluster.crash().await;
    for _ in 0..3 {
        let (status, wait) = opens().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let wait: u64 = wait.expect("a time to wait").parse().expect("seconds");
        assert!(Duration::from_secs(wait) <= PATIENCE);
    }
    cluster.come_back().await;
    eventually("the document", async || (opens().await.0 == StatusCode::OK).then_some(())).await;

    // Nonsense around the token is not repeated either.
    let mut stream = TcpStream::connect(&pages).await.expect("a connection");
    let nonsense = format!("GET {path} HTTP/9.9\r\n\r\n");
    stream.write_all(nonsense.as_bytes()).await.expect("it is sent");
    let mut bytes = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    closed.expect("it is closed in time").expect("it is read");

    // The finest that there is to be said about a connection has been said.
    let ended = house.program.line(|line| line.contains("connection ended early")).await;
    assert!(ended.is_some(), "{}", house.program.said());
    let told = house.program.find(|line| line.contains(&token));
    assert_eq!(told, None);
    house.close().await;
    stage.close().await;
}
