//! Owners are being told when the process ends between their acknowledgement and ours, or the database goes away. Whoever was
//! told may be told again, under the same event id; nobody is left out.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;

use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use bursar::sandbox::{Effect, EffectKind};
use tonic::transport::Channel;

use crate::cluster::Cluster;
use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;
const BOLETOS: usize = 200;
const DELIVERIES: &str = "delivery/";

async fn pause(channel: &Channel, name: &str) {
    let request = PauseQueueRequest { name: name.to_owned(), reason: "one after the other".to_owned() };
    ControlServiceClient::new(channel.clone()).pause_queue(request).await.expect("a pause");
}

async fn resume(channel: &Channel, name: &str) {
    let request = ResumeQueueRequest { name: name.to_owned(), ..Default::default() };
    ControlServiceClient::new(channel.clone()).resume_queue(request).await.expect("an end of the pause");
}

/// How often each boleto's event arrived in one way.
fn arrivals(effects: &[Effect], kind: EffectKind) -> BTreeMap<String, usize> {
    let mut arrivals = BTreeMap::new();
    for effect in effects.iter().filter(|effect| effect.kind == kind) {
        *arrivals.entry(effect.key.clone()).or_default() += 1;
    }
    arrivals
}

/// The process ends when this receiver has taken the message and nobody has written that down.
async fn told_twice(kind: Kind, crashing: EffectKind) {
    let (first, second) = match crashing {
        EffectKind::OwnerSqs => ("delivery/sqs/", "delivery/webhook/"),
        _ => ("delivery/webhook/", "delivery/sqs/"),
    };
    let stage = Stage::open(kind).await;
    let shop = Shop::of(&stage);
    let armed = ("BURSAR_FAILPOINT", "channel.deliver.after:1".to_owned());
    let mut house = stage.house_with(&[], &[armed]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    pause(&channel, second).await;
    // The process may end before it answers; the boleto is asked for again below.
    let _ = shop.trade(&channel).await;
    let status = house.program.ended().await;
    assert_eq!(status.signal(), Some(ABORTED), "{status}:\n{}", house.program.said());
    let before = arrivals(&stage.world.effects(), crashing);
    assert_eq!(before.values().copied().collect::<Vec<_>>(), [1], "taken, and not written down: {before:?}");

    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.trade(&channel).await.expect("the same boleto");
    let again = |effects: &[Effect]| arrivals(effects, crashing).values().any(|times| *times >= 2);
    let waited = stage.world.wait_for_effects(again, PATIENCE).await;
    assert!(waited.is_ok(), "{first} was not told again: {:?}", stage.world.effects());
    resume(&channel, second).await;
    drop(channel);
    judge::all_is_well(&stage, house, 1).await;
    let effects = stage.world.effects();
    let twice: Vec<usize> = arrivals(&effects, crashing).into_values().collect();
    assert_eq!(twice, [2], "the same event id, once for each side of the crash");
    let other =
        if crashing == EffectKind::OwnerSqs { EffectKind::OwnerWebhook } else { EffectKind::OwnerSqs };
    assert_eq!(
        arrivals(&effects, other).into_values().collect::<Vec<_>>(),
        [1],
        "who saw no crash is told once"
    );
    stage.close().await;
}

macro_rules! channels {
    ($($name:ident: $kind:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::told_twice(super::Kind::Sqlite, super::EffectKind::$kind).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::told_twice(super::Kind::PostgreSql, super::EffectKind::$kind).await;
            })*
        }
    };
}

channels! {
    a_crash_after_a_queue_took_it_tells_the_queue_twice: OwnerSqs,
    a_crash_after_a_webhook_took_it_tells_the_webhook_twice: OwnerWebhook,
}

/// All are registered before the first owner is told, so that the restarts meet nothing but deliveries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_restarts_of_the_database_while_owners_are_told_leave_nobody_out() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let shop = Shop::of(&stage);
    let house = stage.house_with(&["notification.per_endpoint_max=8"], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    pause(&channel, DELIVERIES).await;
    load::ask_for(&shop, std::slice::from_ref(&channel), 0..BOLETOS).await;
    load::registered(&stage, BOLETOS).await;
    let told = |effects: &[Effect]| {
        let kinds = [EffectKind::OwnerSqs, EffectKind::OwnerWebhook];
        kinds.iter().map(|kind| arrivals(effects, *kind).len()).sum::<usize>()
    };
    assert_eq!(told(&stage.world.effects()), 0, "nobody is told while deliveries are paused");
    resume(&channel, DELIVERIES).await;
    for restart in 1..=3 {
        let is_time = |effects: &[Effect]| told(effects) >= restart * BOLETOS / 4;
        stage.world.wait_for_effects(is_time, PATIENCE).await.expect("owners go on being told");
        cluster.restart().await;
    }
    drop(channel);
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}
