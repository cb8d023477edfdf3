//! The process ends between committing what a message asked for and deleting the message, and at the boundaries around it.
//! The message comes again, and the boleto is registered once.

use std::os::unix::process::ExitStatusExt as _;

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{ListWorkRequest, WorkState};
use bursar::sandbox::EffectKind;
use serde_json::json;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use crate::cluster::Cluster;
use crate::database::Kind;
use crate::judge;
use crate::process::eventually;
use crate::sender::Sender;
use crate::shop::{self, Shop};
use crate::stage::Stage;

/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;

async fn dead_letters(channel: &Channel) -> usize {
    let request = ListWorkRequest { states: vec![WorkState::Discarded.into()], ..ListWorkRequest::default() };
    let listed = ControlServiceClient::new(channel.clone()).list_work(request).await;
    listed.expect("a house that answers").into_inner().work.len()
}

async fn crash_at(kind: Kind, point: &str) {
    let stage = Stage::open(kind).await;
    let sender = Sender::with_queue(&stage.world).await;
    let queue = format!("ingress.boletos_to_register.queue_url={}", sender.queue_url);
    let visible = "ingress.boletos_to_register.visibility=2s";

    // The boleto is made by a house that reads no queue, and that never asks the bank.
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let made = Shop::of(&stage).hold_back(&channel).await.expect("a boleto");
    drop(channel);
    house.close().await;
    sender.sends(&json!({"boleto_id": made.id}).to_string()).await;
    sender.sends("no JSON").await;

    let armed = ("BURSAR_FAILPOINT", format!("{point}:1"));
    let mut house = stage.house_with(&[&queue, visible], &[armed]).await;
    let status = house.program.ended().await;
    assert_eq!(status.signal(), Some(ABORTED), "{status}:\n{}", house.program.said());

    let house = stage.house_with(&[&queue, visible], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    eventually("an empty queue", async || (sender.depth().await == (0, 0)).then_some(())).await;
    judge::no_work_left(&house).await;
    let channel = house.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].status(), BoletoStatus::Registered, "{:?}", found[0]);
    let effects = stage.world.effects();
    let count = |kind| effects.iter().filter(|effect| effect.kind == kind).count();
    assert_eq!((count(EffectKind::BankRegistered), count(EffectKind::BankDuplicateRefused)), (1, 0));
    assert_eq!(dead_letters(&channel).await, 1, "poison is kept once, however often it came");
    drop(channel);
    house.close().await;
    stage.close().await;
}

macro_rules! points {
    ($($name:ident: $point:literal),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::Sqlite, $point).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::PostgreSql, $point).await;
            })*
        }
    };
}

points! {
    a_crash_before_the_commit: "commit.before",
    a_crash_after_the_commit: "commit.after",
    a_crash_before_the_deletion: "ingress.delete.before",
    a_crash_after_the_deletion: "ingress.delete.after",
}

/// The database goes away while messages come in: none is deleted before its work is committed, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_for_a_database_that_is_away() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let sender = Sender::with_queue(&stage.world).await;
    let queue = format!("ingress.boletos_to_register.queue_url={}", sender.queue_url);
    let house = stage.house_with(&[&queue, "ingress.boletos_to_register.visibility=4s"], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let made = Shop::of(&stage).hold_back(&channel).await.expect("a boleto");

    cluster.crash().await;
    house.healthy("", NotServing).await;
    sender.sends(&json!({"boleto_id": made.id}).to_string()).await;
    sender.sends("no JSON").await;
    // Whoever was waiting at the queue has both now, and cannot write either down.
    house
        .program
        .line(|line| line.contains("message left on its queue"))
        .await
        .expect("a message that is left");
    let (visible, hidden) = sender.depth().await;
    assert_eq!(visible + hidden, 2, "nothing is deleted while nothing is written down");

    cluster.come_back().await;
    eventually("an empty queue", async || (sender.depth().await == (0, 0)).then_some(())).await;
    judge::no_work_left(&house).await;
    let found = shop::boletos(&house.channel().await.expect("a house")).await.expect("an answer");
    assert_eq!(found[0].status(), BoletoStatus::Registered);
    let effects = stage.world.effects();
    assert_eq!(effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count(), 1);
    assert_eq!(dead_letters(&channel).await, 1);
    drop(channel);
    house.close().await;
    stage.close().await;
}
