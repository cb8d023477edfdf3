//! The process is asked to end: what is in hand is finished, what has not begun is left for others, nothing is held.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bursar::sandbox::{Behaviour, Party};
use bursar::store::pool;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::database::Kind;
use crate::judge::{self, count};
use crate::process::{PATIENCE, Program, eventually};
use crate::shop::Shop;
use crate::stage::{House, Stage};

/// A busy machine may be slow to end a process; a drain that waits for nobody takes milliseconds.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A house in which the bank holds two calls in this way, and two more boletos wait for a place.
async fn two_held_and_two_waiting(settings: &[&str], behaviour: Behaviour) -> (Stage, Shop, House) {
    let stage = Stage::open(Kind::Sqlite).await;
    let shop = Shop::of(&stage);
    let settings: Vec<&str> = ["registration.in_flight_max=2"].iter().chain(settings).copied().collect();
    let house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, behaviour);
    for number in 0..4 {
        shop.create(&channel, number).await.expect("a boleto that waits for its bank");
    }
    stage.world.wait_for_held(2, PATIENCE).await.expect("calls that the bank holds");
    (stage, shop, house)
}

async fn work_in(stage: &Stage, condition: &str) -> i64 {
    let connection = pool::connect(&stage.database_url).await.expect("a database without its house");
    let found = count(&connection, &format!("select count(*) as n from work where {condition}")).await;
    connection.close().await.expect("the database lets go");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_finishes_what_is_in_hand_and_leaves_the_rest_to_be_claimed() {
    let (stage, shop, mut house) = two_held_and_two_waiting(&[], Behaviour::Hold).await;
    let channel = house.channel().await.expect("a house that listens");
    house.program.signal("TERM");
    house.program.line(|line| line.contains("draining")).await.expect("a word about the drain");
    // Whoever asks now is told to go elsewhere, for as long as anybody listens.
    eventually("a refusal", async || {
        let status = shop.create(&channel, 9).await.err()?;
        let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
        (status.code() == Code::Unavailable && reason.as_deref() == Some("DRAINING")).then_some(())
    })
    .await;
    stage.world.script().release();
    let status = house.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", house.program.said());
    assert_eq!(stage.world.script().asked(Party::BankRegister), 2, "nothing new was begun");
    assert_eq!(work_in(&stage, "state = 'running'").await, 0, "nothing is held");
    let untouched = "kind = 'boleto.register' and state = 'available' and sent_at_us is null and attempt = 0";
    assert_eq!(work_in(&stage, untouched).await, 2, "what had not begun can be claimed at once");
    assert_eq!(work_in(&stage, "kind = 'boleto.register'").await, 2, "what was in hand is decided");

    stage.world.script().clear_all();
    let house = stage.house().await;
    judge::all_is_well(&stage, house, 4).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_within_its_limit_when_the_bank_does_not_answer() {
    let limits = ["work.drain_timeout=300ms", "banks.banco_do_brasil.settle_after=0s"];
    let (stage, _, mut house) = two_held_and_two_waiting(&limits, Behaviour::Hang).await;
    let asked = Instant::now();
    house.program.signal("TERM");
    let status = house.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", house.program.said());
    assert!(asked.elapsed() < AT_ONCE, "a drain of 300 ms took {:?}", asked.elapsed());
    assert_eq!(work_in(&stage, "state = 'running'").await, 0, "nothing is held");
    assert_eq!(work_in(&stage, "kind = 'boleto.register'").await, 4, "nothing is lost");
    assert_eq!(work_in(&stage, "sent_at_us is not null").await, 2, "what was asked is remembered");

    stage.world.script().clear_all();
    let house = stage.house().await;
    judge::all_is_well(&stage, house, 4).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_process_now() {
    let (stage, _, mut house) = two_held_and_two_waiting(&["work.drain_timeout=1h"], Behaviour::Hang).await;
    house.program.signal("TERM");
    house.program.line(|line| line.contains("draining")).await.expect("a word about the drain");
    assert!(house.program.runs(), "the drain waits for the bank");
    let asked = Instant::now();
    house.program.signal("TERM");
    let status = house.program.ended().await;
    assert_eq!(status.code(), Some(1), "{}", house.program.said());
    assert!(asked.elapsed() < AT_ONCE, "now took {:?}", asked.elapsed());

    stage.world.script().clear_all();
    let house = stage.house().await;
    judge::all_is_well(&stage, house, 4).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_sandbox_ends_quietly_and_its_world_with_it() {
    let folder = std::env::temp_dir().join(format!("bursar-faults-{}", uuid::Uuid::now_v7()));
    let folder_text = folder.display().to_string();
    let arguments = ["sandbox", "--json", "--listen", "127.0.0.1:0", "--data-dir", &folder_text];
    let mut program = Program::start(&arguments, &[]);
    let line = program.line(|line| line.contains("\"outside\"")).await;
    let Some(line) = line else { panic!("no sandbox opened:\n{}", program.said()) };
    let shown: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
    let url = shown["outside"]["control_url"].as_str().expect("the world's address");
    let world: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    TcpStream::connect(world).await.expect("the world listens");
    let ledger = shown["ledger"].as_str().expect("the ledger's file").to_owned();
    eventually("the first boleto in the ledger", async || {
        std::fs::read_to_string(&ledger).ok()?.contains("owner.webhook").then_some(())
    })
    .await;

    program.signal("INT");
    let status = program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", program.said());
    assert!(TcpStream::connect(world).await.is_err(), "the world's process is still there");
    std::fs::remove_dir_all(&folder).expect("a folder that nobody uses");
}

/// The world must not outlive a sandbox that could not say goodbye.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sandbox_takes_its_world_with_it() {
    let folder = std::env::temp_dir().join(format!("bursar-faults-{}", uuid::Uuid::now_v7()));
    let folder_text = folder.display().to_string();
    let arguments = ["sandbox", "--json", "--no-demo", "--listen", "127.0.0.1:0", "--data-dir", &folder_text];
    let mut program = Program::start(&arguments, &[]);
    let line = program.line(|line| line.contains("\"outside\"")).await.expect("a sandbox");
    let shown: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
    let url = shown["outside"]["control_url"].as_str().expect("the world's address");
    let world: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    program.kill().await;
    eventually("the end of the world", async || TcpStream::connect(world).await.is_err().then_some(())).await;
    std::fs::remove_dir_all(&folder).expect("a folder that nobody uses");
}
