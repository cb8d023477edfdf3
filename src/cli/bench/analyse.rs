//! How close a pool comes to the least time that a vendor leaves it, and what an answer costs.
//!
//! A vendor of the sandbox takes its time for each answer; the ideal is that all slots wait for it without a pause. The transfers are
//! taken in while their queue is paused; the clock runs from its release until the vendor has analysed the last answer. Claims,
//! reads, checkpoints and write-backs are all done meanwhile, and the processor time is that of everything until the last feed is
//! told.
//!
//! **Owns** nothing. **Fails** when not every transfer is done in the end. **Limits**: one round; where the transfers are no multiple of
//! the slots, the last ones leave some idle, which the ideal does not know.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use super::intake::{Control, fill, reconciled};
use super::load::CpuMs;
use super::process::LedgerTail;
use super::report::{Begun, Bound, Row};
use super::site::{Service, Site, World, settings};
use super::{Bench, Store, remark};
use crate::cli::sandbox::transfers::{FEED, VendorSecrets, settings as feed_settings};
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use crate::proto::transfer::v1::ListFeedsRequest;
use crate::proto::transfer::v1::transfer_service_client::TransferServiceClient;
use crate::sandbox::{Behaviour, FIREBASE_BUCKET, Party, Times, VENDOR_AUTH, VendorName, ledger};

/// Transfers under analysis at a time.
const SLOTS: usize = 64;
/// What the vendor takes for an answer.
const VENDOR_TIME: Duration = Duration::from_millis(200);
/// Answers of one transfer.
const QUESTIONS: usize = 10;
const QUEUES: &str = "analysis/";
/// Within what the service must ask for the stream, and take everything in.
const BEGIN_PATIENCE: Duration = Duration::from_secs(120);
/// So many times the ideal time are borne.
const END_PATIENCE_TIMES: u32 = 10;
const LOOK: Duration = Duration::from_millis(20);
/// What a line of the effects ledger says when a vendor has analysed a recording.
const ANALYSED: &str = "\"vendor.analysed\"";
/// The time, through the ideal.
const TIMES_IDEAL_MAX: f64 = 1.05;
/// Processor time of the service, an answer.
const CPU_MS_MAX: f64 = 0.5;

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let world = World::start(&site).await?;
    let control = Control::at(&world.addresses);
    let transfers = bench.args.answers.div_ceil(QUESTIONS);
    let answers = transfers * QUESTIONS;
    remark(&format!("putting {transfers} transfers of {QUESTIONS} answers into the feed"));
    furnish(&control, transfers).await?;
    control.hold().await?;
    let mut set = feed_settings(&world.addresses, &secrets(&site.folder)?);
    let slots = [("slots", SLOTS), ("per_company_max", SLOTS)];
    set.extend(slots.map(|(key, value)| (format!("transfers.analysis.{key}"), value.to_string())));
    set.extend(bench.args.set.iter().cloned());
    let service = Service::start(&site, &settings(&site, None, false), &set).await?;
    let channel = service.connect(1).await?.remove(0);
    let mut steering = ControlServiceClient::new(channel.clone());
    let pause = PauseQueueRequest { name: QUEUES.to_owned(), reason: "a benchmark".to_owned() };
    steering.pause_queue(pause).await?;
    timeout(BEGIN_PATIENCE, control.somebody_waits()).await.context("nobody listened in time")??;
    control.let_in().await?;
    timeout(BEGIN_PATIENCE, reconciled(&channel)).await.context("not taken in in time")??;
    let latency = Behaviour::Latency { ms: u64::try_from(VENDOR_TIME.as_millis())? };
    let party = Party::Vendor(VendorName::Ra7);
    control.post("script", json!({"party": party, "behaviour": latency, "times": Times::Always})).await?;

    remark(&format!("having {answers} answers analysed on {}", store.name()));
    let ideal = VENDOR_TIME.mul_f64(answers as f64 / SLOTS as f64);
    let meters = service.meters(bench, &site, Some(&world));
    let (before, started) = (meters.read(), Instant::now());
    steering.resume_queue(ResumeQueueRequest { name: QUEUES.to_owned(), ..Default::default() }).await?;
    let patience = ideal * END_PATIENCE_TIMES;
    let ledger = site.folder.join(ledger::FILE_NAME);
    timeout(patience, analysed(&ledger, answers)).await.context("not analysed in time")?;
    let took = started.elapsed();
    timeout(patience, told(&channel)).await.context("not written back in time")??;
    let (after, done) = (meters.read(), started.elapsed());
    service.close().await?;

    let each = |now: Option<Duration>, then: Option<Duration>| {
        Some(now?.saturating_sub(then?).as_secs_f64() * 1e3 / answers as f64)
    };
    let cpu_ms = CpuMs {
        service: each(after.service, before.service),
        world: each(after.world, before.world),
        database: each(after.database, before.database),
        client: None,
    };
    let times_ideal = took.as_secs_f64() / ideal.as_secs_f64();
    let note = format!(
        "{SLOTS} slots, {} ms an answer; {:.2} s, ideally {:.2} s; every feed told after {:.2} s",
        VENDOR_TIME.as_millis(),
        took.as_secs_f64(),
        ideal.as_secs_f64(),
        done.as_secs_f64(),
    );
    let rate = answers as f64 / took.as_secs_f64();
    let service_ms = cpu_ms.service;
    let row = Row::new("answers analysed", store.name(), "/s", &[rate], &begun);
    let row = Row { cpu_ms, ..row }.note(note);
    let row = row.goal("times the ideal time", Bound::AtMost(TIMES_IDEAL_MAX), Some(times_ideal));
    Ok(vec![row.goal("ms of processor time an answer", Bound::AtMost(CPU_MS_MAX), service_ms)])
}

/// What the world's vendors know us by, in a file.
fn secrets(folder: &Path) -> anyhow::Result<VendorSecrets> {
    let path = folder.join("vendor");
    std::fs::write(&path, VENDOR_AUTH).context("cannot write the vendor's secret")?;
    let reference = || format!("file:{}", path.display());
    Ok(VendorSecrets {
        auth: reference(),
        emotion_logic_key: reference(),
        emotion_logic_password: reference(),
    })
}

/// Records that are all heard in one place, so that few recordings do for many.
async fn furnish(control: &Control, transfers: usize) -> anyhow::Result<()> {
    const HEARD: &str = "-NbenchHeard";
    const SURVEY: &str = "-NbenchSurvey0000001";
    let questions = vec![json!({"tipo": "pregunta"}); QUESTIONS];
    let path = format!("Encuestas/{SURVEY}/cuestionario");
    control.post("firebase/put", json!({"path": path, "value": questions})).await?;
    for position in 0..QUESTIONS {
        let recording = [&[0; 44][..], format!("the answer number {position}").as_bytes()].concat();
        let object = format!("cloud/{HEARD}/{position}.wav");
        control.post_audio(FIREBASE_BUCKET, &object, recording).await?;
    }
    let heard = json!({"key_encuesta": SURVEY, "processed": true});
    control.post("firebase/put", json!({"path": format!("Transfer/{HEARD}"), "value": heard})).await?;
    fill(control, transfers, &|record: &mut Value| record["key"] = json!(HEARD)).await
}

/// Waits until the vendor has analysed so many answers.
async fn analysed(ledger: &Path, answers: usize) {
    let mut tail = LedgerTail::of(ledger.to_owned(), ANALYSED);
    while tail.count() < answers as u64 {
        sleep(LOOK).await;
    }
}

/// Waits until nothing of the feed is open any more.
async fn told(channel: &Channel) -> anyhow::Result<()> {
    let mut transfers = TransferServiceClient::new(channel.clone());
    loop {
        let feeds = transfers.list_feeds(ListFeedsRequest {}).await?.into_inner().feeds;
        let feed = feeds.into_iter().find(|feed| feed.name == FEED).context("the feed is not there")?;
        if feed.open == 0 {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
