//! The process is killed while a stream has the message and the process has no acknowledgement. The message comes again
//! under the same id, by which the stream knows it: told twice, kept once.

use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::sandbox::{Behaviour, Effect, EffectKind, Party};

use crate::database::Kind;
use crate::judge;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

fn keys(effects: &[Effect], kind: EffectKind) -> Vec<String> {
    effects.iter().filter(|effect| effect.kind == kind).map(|effect| effect.key.clone()).collect()
}

async fn killed_before_the_acknowledgement(kind: Kind) {
    let stage = Stage::open(kind).await;
    let servers = format!("channels.nats.servers=[\"{}\"]", stage.world.addresses().nats_url);
    let settings = [servers.as_str(), "channels.nats.require_tls=false"];
    let mut house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let endpoint = notification::Endpoint {
        destination: Some(notification::endpoint::Destination::Nats(notification::NatsDestination {
            subject: "owners.acme".to_owned(),
        })),
        event_types: vec!["boleto.registered".to_owned()],
        ..notification::Endpoint::default()
    };
    let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
    NotificationServiceClient::new(channel.clone()).create_endpoint(request).await.expect("a subscription");
    stage.world.script().once(Party::Nats, Behaviour::accept_then_hold());
    let made = Shop::of(&stage).trade(&channel).await.expect("a boleto");
    stage.world.wait_for_held(1, PATIENCE).await.expect("the stream has it and says nothing");
    drop(channel);
    house.program.kill().await;
    let first = keys(&stage.world.effects(), EffectKind::OwnerNats);
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with(&made.id), "{first:?}");

    let house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let repeated = |effects: &[Effect]| !keys(effects, EffectKind::OwnerNatsDuplicate).is_empty();
    stage.world.wait_for_effects(repeated, PATIENCE).await.expect("it comes again");
    judge::no_work_left(&house).await;
    let effects = stage.world.effects();
    assert_eq!(keys(&effects, EffectKind::OwnerNatsDuplicate), first, "once more, under the same id");
    assert_eq!(keys(&effects, EffectKind::OwnerNats), first);
    let kept: Vec<_> =
        stage.world.messages().into_iter().filter(|message| message.channel == "nats").collect();
    assert_eq!(kept.len(), 1);
    house.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    killed_before_the_acknowledgement(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    killed_before_the_acknowledgement(Kind::PostgreSql).await;
}
