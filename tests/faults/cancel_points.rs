//! The process ends at a step boundary while a boleto is being cancelled, at each one that there is.
//!
//! A rehearsal lists the boundaries of a cancellation; then the same day is played once for each of them. After the
//! restart the caller asks again under the same name, and the boleto must be off file, once, with its owner told once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::panic::AssertUnwindSafe;

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{Boleto, BoletoStatus, CancelBoletoRequest};
use bursar::sandbox::{Behaviour, Effect, EffectKind, Party};
use futures_util::{FutureExt as _, StreamExt as _};
use sea_orm::Database;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

/// Days played side by side: most of each is waiting.
const SIDE_BY_SIDE: usize = 4;
/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;
/// Everything is told by a queue and a webhook.
const DESTINATIONS: usize = 2;

/// A boundary: its name, and which time it is reached.
type Boundary = (String, usize);

/// What the bank does to the first write-off; nothing for a fair day.
type Day = Option<fn() -> Behaviour>;

fn write(stage: &Stage, day: Day) {
    if let Some(behaviour) = day {
        stage.world.script().once(Party::BankWriteOff, behaviour());
    }
}

async fn cancel(channel: &Channel, id: &str) -> Option<Boleto> {
    let request = CancelBoletoRequest {
        request_id: "cancel-1".to_owned(),
        id: id.to_owned(),
        reason: "sold twice".to_owned(),
        ..CancelBoletoRequest::default()
    };
    BoletoServiceClient::new(channel.clone()).cancel_boleto(request).await.ok()?.into_inner().boleto
}

/// How many pieces of news have reached an owner.
fn told(effects: &[Effect]) -> usize {
    let keys: BTreeSet<(EffectKind, &str)> = effects
        .iter()
        .filter(|effect| matches!(effect.kind, EffectKind::OwnerSqs | EffectKind::OwnerWebhook))
        .map(|effect| (effect.kind, effect.key.as_str()))
        .collect();
    keys.len()
}

async fn owners_heard(stage: &Stage, news: usize) {
    let heard = |effects: &[Effect]| told(effects) >= news * DESTINATIONS;
    let waited = stage.world.wait_for_effects(heard, PATIENCE).await;
    assert!(waited.is_ok(), "{} of {news} pieces of news were heard of", told(&stage.world.effects()));
}

async fn is_cancelled(house: &House, id: &str) {
    eventually("a cancelled boleto", async || {
        let found = shop::boletos(&house.channel().await?).await.ok()?;
        let boleto = found.into_iter().find(|boleto| boleto.id == id)?;
        (boleto.status() == BoletoStatus::Cancelled).then_some(())
    })
    .await;
}

/// Judges a house whose one boleto was registered and taken off file, then ends it and judges what it leaves behind.
async fn all_is_well(stage: &Stage, house: House, id: &str) {
    is_cancelled(&house, id).await;
    owners_heard(stage, 2).await;
    judge::no_work_left(&house).await;
    house.close().await;
    let effects = stage.world.effects();
    let count = |kind: EffectKind| effects.iter().filter(|effect| effect.kind == kind).count();
    assert_eq!((count(EffectKind::BankRegistered), count(EffectKind::BankWrittenOff)), (1, 1));
    assert_eq!(told(&effects), 2 * DESTINATIONS, "registered and cancelled, each under one id");
    let connection = Database::connect(&stage.database_url).await.expect("a database without its house");
    for (what, question) in [
        ("work", "select count(*) as n from work"),
        ("dead letters", "select count(*) as n from work_archive where state <> 'completed'"),
        ("orders that are not done", "select count(*) as n from boleto_order where state <> 'done'"),
        ("deliveries that were not made", "select count(*) as n from delivery where state <> 'delivered'"),
    ] {
        assert_eq!(judge::count(&connection, question).await, 0, "{what} in the database");
    }
    let orders = "select count(*) as n from boleto_order";
    assert_eq!(judge::count(&connection, orders).await, 1, "the same request is one order");
    connection.close().await.expect("the database lets go");
}

/// Asks until there is an answer, as a caller does who gave the request a name; nothing once the process has ended.
async fn insist<T>(house: &mut House, mut ask: impl AsyncFnMut(Channel) -> Option<T>) -> Option<T> {
    eventually("an answer, or the end of the process", async || {
        if !house.program.runs() {
            return Some(None);
        }
        ask(house.channel().await?).await.map(Some)
    })
    .await
}

/// A house with a registered boleto whose owners know, and which has nothing else to do.
async fn furnished(stage: &Stage, variables: &[(&str, String)]) -> Option<(House, Boleto)> {
    let mut house = stage.house_with(&[], variables).await;
    if !house.opened().await {
        return None;
    }
    let shop = Shop::of(stage);
    let boleto = insist(&mut house, async |channel| shop.trade(&channel).await.ok()).await?;
    tokio::select! {
        _ = house.program.ended() => return None,
        () = owners_heard(stage, 1) => {}
    }
    Some((house, boleto))
}

/// The boundaries that a cancellation adds to a day, by how often each is reached before it.
async fn rehearse(kind: Kind, day: Day) -> Vec<Boundary> {
    let stage = Stage::open(kind).await;
    write(&stage, day);
    let log = stage.file("points");
    let variables = [("BURSAR_FAILPOINT_LOG", log.display().to_string())];
    let (house, boleto) = furnished(&stage, &variables).await.expect("a boleto");
    judge::no_work_left(&house).await;
    let points = || std::fs::read_to_string(&log).expect("points were reached");
    let before = points().lines().count();
    let channel = house.channel().await.expect("a house that listens");
    cancel(&channel, &boleto.id).await.expect("an order");
    all_is_well(&stage, house, &boleto.id).await;
    let all = points();
    stage.close().await;
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    let mut boundaries = Vec::new();
    for (place, point) in all.lines().enumerate() {
        let times = reached.entry(point).or_default();
        *times += 1;
        // Polling claims any number of times.
        if place >= before && point != "claim.after" {
            boundaries.push((point.to_owned(), *times));
        }
    }
    boundaries
}

/// Plays the day up to the boundary, and on after a restart. Returns whether the boundary was reached.
async fn crash(kind: Kind, day: Day, (point, time): &Boundary) -> bool {
    let stage = Stage::open(kind).await;
    write(&stage, day);
    let armed = [("BURSAR_FAILPOINT", format!("{point}:{time}"))];
    let mut crashed = false;
    if let Some((mut house, boleto)) = furnished(&stage, &armed).await {
        // The process may end before it answers.
        insist(&mut house, async |channel| cancel(&channel, &boleto.id).await).await;
        tokio::select! {
            status = house.program.ended() => crashed = status.signal() == Some(ABORTED),
            () = owners_heard(&stage, 2) => {}
        }
        if !crashed {
            house.program.signal("TERM");
            crashed = house.program.ended().await.signal() == Some(ABORTED);
        }
    }
    let (mut house, boleto) = furnished(&stage, &[]).await.expect("a house after the crash");
    let again = insist(&mut house, async |channel| cancel(&channel, &boleto.id).await).await;
    again.expect("the same answer to the same request");
    all_is_well(&stage, house, &boleto.id).await;
    stage.close().await;
    crashed
}

async fn crash_everywhere(kind: Kind, day: Day) {
    let boundaries = rehearse(kind, day).await;
    let names: BTreeSet<&str> = boundaries.iter().map(|(point, _)| point.as_str()).collect();
    let needed = ["bank.cancel.before", "bank.cancel.after", "order.settle.before", "order.settle.after"];
    assert!(needed.iter().all(|point| names.contains(point)), "{names:?}");
    let played = futures_util::stream::iter(&boundaries)
        .map(|boundary| async move {
            let played = AssertUnwindSafe(crash(kind, day, boundary)).catch_unwind().await;
            // The panic has said why; here is where.
            (boundary, played.unwrap_or_else(|_| panic!("{kind:?}, crash at {boundary:?}")))
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect::<Vec<_>>()
        .await;
    // Who commits first of two varies, and with it how often a point has been reached; those of the bank do not.
    let missed: Vec<&&Boundary> =
        played.iter().filter(|(_, reached)| !reached).map(|(boundary, _)| boundary).collect();
    assert!(missed.iter().all(|(point, _)| !needed.contains(&point.as_str())), "never reached: {missed:?}");
    assert!(missed.len() * 3 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
}

macro_rules! days {
    ($($name:ident: $day:expr),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_everywhere(super::Kind::Sqlite, $day).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_everywhere(super::Kind::PostgreSql, $day).await;
            })*
        }
    };
}

days! {
    a_crash_at_any_step_of_a_cancellation_loses_and_repeats_nothing: None,
    a_crash_after_the_banks_answer_to_it_was_lost_loses_and_repeats_nothing: Some(super::Behaviour::accept_then_drop),
}
