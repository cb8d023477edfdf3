//! What it costs to take in a long backlog of a feed, and whether memory stays flat.
//!
//! A Firebase in a process of its own holds `--records` records. The service asks for its stream and is kept waiting; the clock
//! runs from the moment at which it is let in until its log says that everything that was offered has been taken in. Analyses are
//! held back, so that none is measured with it. The service is then started anew, and the same backlog, all of it known, taken in
//! once more. It is asked for the state of the feed, for which it reads all that is open, only when the clock has stopped and its
//! memory has been read: an earlier bench asked fifty times a second, and measured that beside the intake.
//!
//! **Owns** nothing. **Fails** when not every record is there in the end. **Limits**: one round, for a record is new once.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use super::process::resident_mib;
use super::report::{Begun, Bound, Row};
use super::site::{Service, Site, World, settings};
use super::{Bench, Store, remark};
use crate::cli::sandbox::transfers::{FEED, VendorSecrets, settings as feed_settings};
use crate::proto::control::v1::PauseQueueRequest;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::transfer::v1::transfer_service_client::TransferServiceClient;
use crate::proto::transfer::v1::{Feed, ListFeedsRequest};
use crate::sandbox::{Addresses, Behaviour, FirebaseStep, Party, Times};

/// Records that are put into the database at a time.
const CHUNK: usize = 1_000;
/// Companies that they are of.
const COMPANIES: usize = 50;
/// Within what the service must ask for the stream.
const BEGIN_PATIENCE: Duration = Duration::from_secs(30);
/// Within what everything must have been taken in.
const END_PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(20);
/// What the service says when it has looked through all that the feed offers, and what it is told so that it says it.
const RECONCILED: &str = "feed reconciled";
const LOG_LEVEL: &str = "warn,bursar::grpc::api=info,bursar::actors::transfer_listener=info";
/// Records a second, on the embedded store.
const RATE_MIN: f64 = 8_000.0;
/// What it may take of memory beyond what the service has when it is idle, in MiB.
const FLAT_MIB: f64 = 64.0;
/// No vendor is asked for anything.
const NO_SECRET: &str = "env:BURSAR_BENCH_CLIENT_ID";

/// One backlog, taken in.
struct Taken {
    rate: f64,
    idle_mib: Option<f64>,
    peak_mib: Option<f64>,
}

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let world = World::start(&site).await?;
    let control = Control::at(&world.addresses);
    remark(&format!("putting {} records into the feed", bench.args.records));
    fill(&control, bench.args.records, &|_| ()).await?;
    let config = settings(&site, None, false);
    let secret = || NO_SECRET.to_owned();
    let secrets =
        VendorSecrets { auth: secret(), emotion_logic_key: secret(), emotion_logic_password: secret() };
    let mut set = feed_settings(&world.addresses, &secrets);
    set.push(("telemetry.log_level".to_owned(), LOG_LEVEL.to_owned()));
    set.extend(bench.args.set.iter().cloned());

    remark(&format!("taking them in on {}", store.name()));
    let first = take_in(bench, &site, &control, &config, &set).await?;
    let again = take_in(bench, &site, &control, &config, &set).await?;
    let name = store.name();
    let row = |measure, taken: &Taken| {
        let above = taken.peak_mib.zip(taken.idle_mib).map(|(peak, idle)| peak - idle);
        let note = format!(
            "{} records; resident {:.1} MiB before",
            bench.args.records,
            taken.idle_mib.unwrap_or(f64::NAN)
        );
        Row::new(measure, name, "records/s", &[taken.rate], &begun).resident(taken.peak_mib).note(note).goal(
            "MiB at the peak beyond idle",
            Bound::AtMost(FLAT_MIB),
            above,
        )
    };
    let new = row("intake of a backlog, all new", &first);
    let new = if store == Store::Sqlite { new.result_goal(Bound::AtLeast(RATE_MIN)) } else { new };
    Ok(vec![new, row("the same backlog again", &again)])
}

/// Starts a service, lets it in once it stands idle, and waits until everything has been taken in.
async fn take_in(
    bench: &Bench,
    site: &Site,
    control: &Control,
    config: &str,
    set: &[(String, String)],
) -> anyhow::Result<Taken> {
    control.hold().await?;
    let mut service = Service::start(site, config, set).await?;
    let channel = service.connect(1).await?.remove(0);
    let pause = PauseQueueRequest { name: "analysis/".to_owned(), reason: "a benchmark".to_owned() };
    ControlServiceClient::new(channel.clone()).pause_queue(pause).await?;
    timeout(BEGIN_PATIENCE, control.somebody_waits()).await.context("nobody listened in time")??;
    let idle_mib = resident_mib(service.pid(), false);
    let started = Instant::now();
    control.let_in().await?;
    timeout(END_PATIENCE, service.says(RECONCILED)).await.context("not taken in in time")??;
    let rate = bench.args.records as f64 / started.elapsed().as_secs_f64();
    let peak_mib = resident_mib(service.pid(), true);
    let feed = reconciled(&channel).await?;
    let wanted = i64::try_from(bench.args.records)?;
    ensure!(feed.records == wanted, "{} of {wanted} records were told", feed.records);
    ensure!(feed.open == wanted, "{} of {wanted} records were taken in", feed.open);
    service.close().await?;
    Ok(Taken { rate, idle_mib, peak_mib })
}

/// Waits until the service has looked through all that the feed offers.
pub(super) async fn reconciled(channel: &Channel) -> anyhow::Result<Feed> {
    let mut transfers = TransferServiceClient::new(channel.clone());
    loop {
        let feeds = transfers.list_feeds(ListFeedsRequest {}).await?.into_inner().feeds;
        let feed = feeds.into_iter().find(|feed| feed.name == FEED).context("the feed is not there")?;
        if feed.reconcile_time.is_some() {
            return Ok(feed);
        }
        sleep(LOOK).await;
    }
}

/// Puts records into the database, each as `change` leaves it.
pub(super) async fn fill(
    control: &Control,
    records: usize,
    change: &(dyn Fn(&mut Value) + Sync),
) -> anyhow::Result<()> {
    let date = Utc::now().format("%Y/%m/%d - %H:%M:%S").to_string();
    let named = |number: usize| {
        let mut record = record(number, &date);
        change(&mut record);
        (format!("-Nbench{number:014}"), record)
    };
    for first in (0..records).step_by(CHUNK) {
        let chunk: serde_json::Map<String, Value> = (first..records.min(first + CHUNK)).map(named).collect();
        control.post("firebase/patch", json!({"path": "Transfer", "value": chunk})).await?;
    }
    Ok(())
}

/// The world's other door.
pub(super) struct Control {
    url: String,
    client: reqwest::Client,
}

impl Control {
    pub fn at(outside: &Addresses) -> Self {
        crate::connectors::http::install_crypto_provider();
        crate::connectors::http::install_crypto_provider();
        Self { url: outside.control_url.clone(), client: reqwest::Client::new() }
    }

    /// Whoever asks for a stream waits.
    pub async fn hold(&self) -> anyhow::Result<()> {
        let party = Party::Firebase(FirebaseStep::Stream);
        self.post("script", json!({"party": party, "behaviour": Behaviour::Hold, "times": Times::Count(1)}))
            .await
    }

    pub async fn let_in(&self) -> anyhow::Result<()> {
        self.post("clear", json!({})).await?;
        self.post("release", json!({})).await
    }

    pub async fn somebody_waits(&self) -> anyhow::Result<()> {
        loop {
            let counts = self.client.get(format!("{}/counts", self.url)).send().await?.text().await?;
            let counts: Value = serde_json::from_str(&counts)?;
            if counts["held"].as_u64().is_some_and(|held| held > 0) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Keeps a recording.
    pub async fn post_audio(&self, bucket: &str, object: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let mut url = reqwest::Url::parse(&format!("{}/firebase/audio", self.url))?;
        url.query_pairs_mut().append_pair("bucket", bucket).append_pair("object", object);
        self.client.post(url).body(bytes).send().await?.error_for_status()?;
        Ok(())
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<()> {
        let asked = self.client.post(format!("{}/{path}", self.url));
        let asked = asked.header("content-type", "application/json").body(body.to_string());
        asked.send().await?.error_for_status().with_context(|| format!("the world refused {path}"))?;
        Ok(())
    }
}

/// As a producer writes it.
fn record(number: usize, date: &str) -> Value {
    json!({
        "date": date,
        "key_empresa": format!("-NbenchCompany{:06}", number % COMPANIES),
        "key_encuesta": "-NbenchSurvey0000001",
        "key_persona": format!("-NbenchPerson{number:07}"),
        "key_usuario": "-NbenchUser000000001",
        "processed": false,
        "resultado": "0|0|0",
        "status": "resultado",
        "visto": false,
    })
}
