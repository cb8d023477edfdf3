//! The process ends between the mail server's word and writing it down, and right before the message leaves. The message
//! comes again under the same Message-ID in the one case, and once in the other; the world's ledger counts.

use std::os::unix::process::ExitStatusExt as _;

use bursar::proto::boleto::v1::Boleto;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::proto::notification::v1::{CreateEndpointRequest, Endpoint, MailDestination, endpoint};
use bursar::sandbox::EffectKind;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;
/// The others' deliveries, which would reach the same points.
const OTHERS: [&str; 2] = ["delivery/sqs/", "delivery/webhook/"];

async fn subscribe(channel: &Channel) {
    let destination =
        MailDestination { address: "owner@example.com".to_owned(), ..MailDestination::default() };
    let endpoint = Endpoint {
        destination: Some(endpoint::Destination::Mail(destination)),
        event_types: vec!["*".to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    NotificationServiceClient::new(channel.clone()).create_endpoint(request).await.expect("a subscription");
}

/// How often each of the boleto's messages was taken, by their Message-ID.
fn taken(stage: &Stage, boleto: &Boleto) -> Vec<String> {
    let about = |message: &bursar::sandbox::ReceivedMessage| {
        message.channel == "mail" && message.attributes.get("Bursar-Subject") == Some(&boleto.id)
    };
    let messages = stage.world.messages().into_iter().filter(about);
    messages.map(|mut message| message.attributes.remove("Message-ID").expect("it has one")).collect()
}

async fn crash_at(kind: Kind, point: &str, times: usize) {
    let stage = Stage::open(kind).await;
    let shop = Shop::of(&stage);
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    subscribe(&channel).await;
    let mut control = ControlServiceClient::new(channel.clone());
    for name in OTHERS {
        let request = PauseQueueRequest { name: name.to_owned(), reason: "only mail goes out".to_owned() };
        control.pause_queue(request).await.expect("a pause");
    }
    drop((channel, control));
    house.close().await;

    let armed = ("BURSAR_FAILPOINT", format!("{point}:1"));
    let mut house = stage.house_with(&[], &[armed]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    // The answer may be lost with the process.
    let _ = shop.create(&channel, 1).await;
    let status = house.program.ended().await;
    assert_eq!(status.signal(), Some(ABORTED), "{status}:\n{}", house.program.said());

    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let boleto = shop.create(&channel, 1).await.expect("the same boleto");
    let mailed = |effects: &[bursar::sandbox::Effect]| {
        effects.iter().filter(|effect| effect.kind == EffectKind::OwnerMail).count()
    };
    let waited = stage.world.wait_for_effects(|effects| mailed(effects) >= times, PATIENCE).await;
    waited.expect("the owner is told");
    let mut control = ControlServiceClient::new(channel.clone());
    for name in OTHERS {
        control
            .resume_queue(ResumeQueueRequest { name: name.to_owned(), ..Default::default() })
            .await
            .expect("no pause");
    }
    judge::no_work_left(&house).await;
    let ids = taken(&stage, &boleto);
    assert_eq!(ids.len(), times, "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "one event is one Message-ID: {ids:?}");
    assert_eq!(mailed(&stage.world.effects()), times);
    drop((channel, control));
    house.close().await;
    stage.close().await;
}

macro_rules! points {
    ($($name:ident: $point:literal => $times:literal),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::Sqlite, $point, $times).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::PostgreSql, $point, $times).await;
            })*
        }
    };
}

points! {
    a_crash_before_the_message_leaves: "channel.deliver.before" => 1,
    a_crash_after_the_servers_word: "channel.deliver.after" => 2,
}
