//! An operator has Prometheus ask the house how it is. Whatever the alerts and the dashboards look at is there, in words that
//! Prometheus's own tools accept; it tells of nobody, and asking costs the store next to nothing.

mod labels;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bursar::proto::boleto::v1::GetBoletoRequest;
use bursar::proto::control::v1::JobRunState;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::canary;
use crate::support::house::customers::{BERLIN, iban};
use crate::support::house::{House, Opened, a_boleto, eventually};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
/// Words of PromQL that look like metrics and are none of ours.
const PREFIXES: [&str; 5] = ["bursar_", "rpc_", "http_", "db_", "process_"];
/// Labels that begin as metrics do.
const LABELS: [&str; 6] = [
    "rpc_service",
    "rpc_method",
    "rpc_grpc_status_code",
    "http_request_method",
    "http_response_status_code",
    "db_system_name",
];

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

async fn opened() -> Opened {
    let settings = House::new().with_aspsps().with("metrics.listen", "127.0.0.1:0");
    let mut surroundings = settings.with("metrics.sample_every", "1s").prepare().await;
    surroundings.has_account = true;
    surroundings.open().await
}

async fn scraped(house: &Opened, accept: &str) -> (String, String) {
    let url = format!("http://{}/metrics", house.metrics());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(url).header("accept", accept).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let content_type = answer.headers()["content-type"].to_str().expect("ASCII").to_owned();
    let text = answer.text().await.expect("a text");
    canary::saw(&text);
    (content_type, text)
}

/// Every word that is a metric's name, of an expression or of a whole file.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && !LABELS.contains(word))
        .collect()
}

/// Every expression of a dashboard (JSON) or of rules (YAML, each with the rule around it).
fn expressions(text: &str) -> Vec<String> {
    let Ok(dashboard) = serde_json::from_str::<serde_json::Value>(text) else {
        let rules: Vec<String> = text.split("- alert: ").skip(1).map(str::to_owned).collect();
        assert!(rules.len() >= 15, "{rules:?}");
        return rules;
    };
    let (mut found, mut waiting) = (Vec::new(), vec![&dashboard]);
    while let Some(value) = waiting.pop() {
        if let Some(expression) = value.get("expr").and_then(serde_json::Value::as_str) {
            found.push(expression.to_owned());
        }
        waiting.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        waiting.extend(value.as_array().into_iter().flatten());
    }
    assert!(found.len() >= 15, "{found:?}");
    found
}

/// The sample names of an exposition.
fn samples(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

fn value(text: &str, start: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    line.split(" # ").next()?.rsplit(' ').next()?.parse().ok()
}

async fn promtool(folder: &Path, arguments: &[&str], input: &str) -> String {
    let program = std::env::var("BURSAR_TEST_PROMTOOL")
        .expect("BURSAR_TEST_PROMTOOL names a program; the README's test command sets it");
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    stdin.write_all(input.as_bytes()).await.expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_alerts_and_dashboards_look_at_is_there() {
    let house = opened().await;
    let boleto = house.shop().creates(a_boleto()).await;
    house.owner().hears(&boleto.id, 1).await;
    let customers = house.customers();
    customers.puts("user-0").await;
    customers.allows(house.world(), "user-0", BERLIN, &[&iban(0)]).await;
    assert_eq!(customers.syncs().await.state(), JobRunState::Completed);

    // A job's end is seen with the next sample.
    let success = "bursar_job_last_success_timestamp_seconds{job_name=\"sync_update\"}";
    let text = eventually("a sample with the job's end", async || {
        let (content_type, text) = scraped(&house, OPEN_METRICS).await;
        assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
        value(&text, success).map(|_| text)
    })
    .await;
    assert!(text.ends_with("# EOF\n"));
    let (there, with_labels) = (samples(&text), labels::labels(&text));
    for file in ["alerts/bursar.rules.yml", "grafana/office.json", "grafana/engine.json"] {
        let looked_at = std::fs::read_to_string(files().join(file)).expect("a file of the repository");
        let missing: Vec<&str> = names(&looked_at).into_iter().filter(|name| !there.contains(name)).collect();
        assert!(missing.is_empty(), "{file} looks at {missing:?}, and there is only: {there:#?}");
        let without: Vec<String> =
            expressions(&looked_at).iter().flat_map(|one| labels::missing(one, &with_labels)).collect();
        assert!(without.is_empty(), "{file}: {without:?}");
    }

    assert_eq!(value(&text, "bursar_ready "), Some(1.0));
    assert_eq!(value(&text, "bursar_lease_held "), Some(1.0));
    let created = "rpc_server_duration_seconds_count{rpc_service=\"bursar.boleto.v1.BoletoService\",\
                   rpc_method=\"CreateBoleto\",rpc_grpc_status_code=\"0\"}";
    assert!(value(&text, created).is_some_and(|count| count >= 1.0), "{text}");
    assert!(
        text.contains("http_client_request_duration_seconds_count{connector=\"banco_do_brasil\""),
        "{text}"
    );
    for secret in [boleto.id.as_str(), &boleto.nosso_numero, "Maria", "127.0.0.1", "user-0", &iban(0)] {
        assert!(!text.contains(secret), "{secret} stands in: {text}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_accepts_the_metrics_the_rules_and_their_tests() {
    let house = opened().await;
    let boleto = house.shop().creates(a_boleto()).await;
    house.owner().hears(&boleto.id, 1).await;
    let (content_type, text) = scraped(&house, "*/*").await;
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    let said = promtool(&files(), &["check", "metrics"], &text).await;
    assert_eq!(said.trim(), "", "nothing to be said against any of them");
    promtool(&files().join("alerts"), &["check", "rules", "bursar.rules.yml"], "").await;
    promtool(&files().join("alerts"), &["test", "rules", "bursar.test.yml"], "").await;
    house.close().await;
}

#[test]
fn every_alert_is_tested_and_leads_to_its_page() {
    let read = |name: &str| std::fs::read_to_string(files().join("alerts").join(name)).expect(name);
    let (rules, tests, pages) = (read("bursar.rules.yml"), read("bursar.test.yml"), read("RUNBOOK.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in &alerts {
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts:\n")),
            "{alert} is never heard"
        );
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts: []")),
            "{alert} is never silent"
        );
        assert!(rules.contains(&format!("runbook_url: RUNBOOK.md#{}\n", alert.to_lowercase())), "{alert}");
        let page = pages.split("\n## ").find(|page| page.starts_with(&format!("{alert}\n")));
        let page = page.unwrap_or_else(|| panic!("no page of {alert}"));
        for part in ["**Means**", "**Look**", "**Do**"] {
            assert!(page.contains(part), "{alert}: no {part}");
        }
    }
    let headings = pages.matches("\n## ").count();
    assert_eq!(headings, alerts.len(), "a page for each alert, and for nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_asks_the_store_once_in_a_while_and_hostile_names_make_no_series() {
    let house = House::new()
        .without_account()
        .with("metrics.listen", "127.0.0.1:0")
        .with("metrics.sample_every", "10min")
        .open()
        .await;
    let (_, first) = scraped(&house, OPEN_METRICS).await;
    for number in 0..50 {
        let path = format!("/bursar.boleto.v1.BoletoService/Hostile{number}");
        let mut client = Grpc::new(house.channel());
        client.ready().await.expect("a connection");
        let codec = ProstCodec::<GetBoletoRequest, GetBoletoRequest>::default();
        let path = PathAndQuery::try_from(path).expect("a path");
        let refused = client.unary(Request::new(GetBoletoRequest::default()), path, codec).await;
        assert!(matches!(
            refused.expect_err("no such method").code(),
            Code::Unimplemented | Code::PermissionDenied
        ));
    }
    let (_, last) = scraped(&house, OPEN_METRICS).await;
    // The house opened before the first scrape, so that its store was there to be asked.
    assert_eq!(
        (value(&first, "bursar_store_samples_total"), value(&last, "bursar_store_samples_total")),
        (Some(1.0), Some(1.0))
    );
    assert!(!last.contains("Hostile"), "{last}");
    // One method that is called other, under no more codes than gRPC has, whatever else runs in this process.
    let others = last.lines().filter(|line| {
        line.starts_with("rpc_server_duration_seconds_count") && line.contains("rpc_method=\"other\"")
    });
    assert!((1..=17).contains(&others.count()), "{last}");
    house.close().await;
}
