//! `kill -9` again and again at moments of chance, while shops go on asking for boletos: of the one process on SQLite, and
//! of one of three on PostgreSQL.
//!
//! A shop that got no answer asks again under the same name, at the next process that it knows, as shops do. Whatever was
//! acknowledged is there in the end, every boleto is registered once, and its owner told, well within a minute of the
//! last restart.
//!
//! **Limits**: 20 kills and 2,000 boletos in all, as [`ON_SQLITE`] and [`ON_POSTGRESQL`] share them. For a longer run,
//! `BURSAR_FAULTS_BOLETOS` and `BURSAR_FAULTS_KILLS` say how many each of the two gets, for example
//! `BURSAR_FAULTS_BOLETOS=20000 BURSAR_FAULTS_KILLS=200 .ci/test -- --test faults random_kills`.

use std::collections::BTreeMap;

use bursar::sandbox::{Effect, EffectKind};
use tokio::sync::watch;
use tonic::Code;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

/// Shops that ask at the same time.
const SHOPS: usize = 32;

/// Longer than a busy machine's bank leaves a call lying of which the caller was killed: what arrives later than the house
/// is told to expect is sent twice, and the bank has to refuse it.
const SETTLE_AFTER: &str = "banks.banco_do_brasil.settle_after=5s";

/// What one test does.
struct Plan {
    kind: Kind,
    processes: usize,
    boletos: usize,
    kills: usize,
}

const ON_SQLITE: Plan = Plan { kind: Kind::Sqlite, processes: 1, boletos: 800, kills: 8 };
const ON_POSTGRESQL: Plan = Plan { kind: Kind::PostgreSql, processes: 3, boletos: 1_200, kills: 12 };

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// The processes, and the ways in that the shops know.
struct Houses {
    houses: Vec<House>,
    doors: watch::Sender<Vec<Channel>>,
}

impl Houses {
    async fn open(stage: &Stage, processes: usize) -> Self {
        let (mut houses, mut doors) = (Vec::new(), Vec::new());
        for _ in 0..processes {
            let (house, door) = open(stage).await;
            houses.push(house);
            doors.push(door);
        }
        Self { houses, doors: watch::Sender::new(doors) }
    }

    /// Kills any of them and starts another in its place.
    async fn kill_one(&mut self, stage: &Stage) {
        let unlucky = rand::random_range(0..self.houses.len());
        self.houses[unlucky].program.kill().await;
        let (house, door) = open(stage).await;
        self.houses[unlucky] = house;
        self.doors.send_modify(|doors| doors[unlucky] = door);
    }
}

async fn open(stage: &Stage) -> (House, Channel) {
    let house = stage.house_with(&[SETTLE_AFTER], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let door = house.channel().await.expect("a house that listens");
    (house, door)
}

/// Asks for a boleto until there is an answer, whichever process gives it. Returns its id.
async fn ask(shop: &Shop, doors: &watch::Receiver<Vec<Channel>>, number: usize) -> String {
    let mut tried = 0;
    eventually("an answer to a shop", async || {
        let door = {
            let doors = doors.borrow();
            doors[(number + tried) % doors.len()].clone()
        };
        tried += 1;
        match shop.create(&door, number).await {
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

fn registered(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count()
}

async fn killed_under_load(usual: Plan) {
    let boletos = number("BURSAR_FAULTS_BOLETOS", usual.boletos);
    let kills = number("BURSAR_FAULTS_KILLS", usual.kills);
    let stage = Stage::open(usual.kind).await;
    let shop = Shop::of(&stage);
    let mut houses = Houses::open(&stage, usual.processes).await;
    let doors = houses.doors.subscribe();
    let first_door = doors.borrow()[0].clone();
    shop.furnish(&first_door).await.expect("a bank account");

    let asking = async {
        use futures_util::StreamExt as _;
        let ask = async |number| (number, ask(&shop, &doors, number).await);
        futures_util::stream::iter(0..boletos)
            .map(ask)
            .buffer_unordered(SHOPS)
            .collect::<BTreeMap<usize, String>>()
            .await
    };
    let killing = async {
        for kill in 1..=kills {
            // Somewhere in this part of the day; how much the bank has by then says where.
            let part = boletos / (kills + 1);
            let at = part * kill + rand::random_range(0..part.max(1)) / 2;
            let is_time = |effects: &[Effect]| registered(effects) >= at;
            if stage.world.wait_for_effects(is_time, PATIENCE).await.is_err() {
                let said: Vec<String> = houses.houses.iter().map(|house| house.program.said()).collect();
                panic!("kill {kill}: the bank does not go on registering; they said:\n{}", said.join("\n"));
            }
            houses.kill_one(&stage).await;
        }
    };
    let (acknowledged, ()) = tokio::join!(asking, killing);

    // The patience of this wait is half of the minute within which all must be settled.
    judge::owners_told(&stage, boletos).await;
    let last = houses.houses.pop().expect("a process at least");
    let channel = last.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    let by_order: BTreeMap<&str, &str> =
        found.iter().map(|boleto| (boleto.reference_id.as_str(), boleto.id.as_str())).collect();
    for (number, id) in &acknowledged {
        assert_eq!(by_order.get(format!("order-{number}").as_str()), Some(&id.as_str()), "boleto {number}");
    }
    for house in houses.houses {
        house.close().await;
    }
    judge::all_is_well(&stage, last, boletos).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_one_process_on_sqlite_lose_and_repeat_nothing() {
    killed_under_load(ON_SQLITE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_three_processes_on_postgresql_lose_and_repeat_nothing() {
    killed_under_load(ON_POSTGRESQL).await;
}
