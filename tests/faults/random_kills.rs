//! `kill -9` again and again at moments of chance, while shops go on asking for boletos.
//!
//! A shop that got no answer asks again under the same name, as shops do. Whatever was acknowledged is there in the end,
//! every boleto is registered once, and its owner told.
//!
//! **Limits**: 240 boletos and 5 kills; `BURSAR_FAULTS_BOLETOS` and `BURSAR_FAULTS_KILLS` make it longer.

use std::collections::BTreeMap;

use bursar::sandbox::EffectKind;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tonic::Code;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::Stage;

/// Shops that ask at the same time.
const SHOPS: usize = 16;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// Asks for a boleto until there is an answer, whichever process gives it. Returns its id.
async fn ask(shop: &Shop, house: &watch::Receiver<Channel>, number: usize) -> String {
    eventually("an answer to a shop", async || {
        let channel = house.borrow().clone();
        match shop.create(&channel, number).await {
            Ok(boleto) => Some(boleto.id),
            // What a killed process leaves its callers with, as their end of the connection tells it.
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) => {
                None
            }
            Err(status) => panic!("boleto {number}: {status:?}"),
        }
    })
    .await
}

async fn killed_under_load(kind: Kind) {
    let boletos = number("BURSAR_FAULTS_BOLETOS", 240);
    let kills = number("BURSAR_FAULTS_KILLS", 5);
    let stage = Stage::open(kind).await;
    let shop = Shop::of(&stage);
    let mut house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let (open, doors) = watch::channel(channel);

    let asking = futures_util::stream::iter(0..boletos)
        .map(|number| {
            let (shop, doors) = (&shop, &doors);
            async move { (number, ask(shop, doors, number).await) }
        })
        .buffer_unordered(SHOPS)
        .collect::<BTreeMap<usize, String>>();
    let killing = async {
        for kill in 1..=kills {
            // Somewhere in this part of the day; how much the bank has by then says where.
            let part = boletos / (kills + 1);
            let at = part * kill + rand::random_range(0..part.max(1)) / 2;
            let registered = |effects: &[bursar::sandbox::Effect]| {
                effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count() >= at
            };
            stage.world.wait_for_effects(registered, PATIENCE).await.expect("the bank goes on registering");
            house.program.kill().await;
            house = stage.house().await;
            assert!(house.opened().await, "{}", house.program.said());
            open.send_replace(house.channel().await.expect("a house that listens"));
        }
    };
    let (acknowledged, ()) = tokio::join!(asking, killing);

    judge::owners_told(&stage, boletos).await;
    let channel = house.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    let by_order: BTreeMap<&str, &str> =
        found.iter().map(|boleto| (boleto.reference_id.as_str(), boleto.id.as_str())).collect();
    for (number, id) in &acknowledged {
        assert_eq!(by_order.get(format!("order-{number}").as_str()), Some(&id.as_str()), "boleto {number}");
    }
    judge::all_is_well(&stage, house, boletos).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_repeat_nothing_on_sqlite() {
    killed_under_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_repeat_nothing_on_postgresql() {
    killed_under_load(Kind::PostgreSql).await;
}
