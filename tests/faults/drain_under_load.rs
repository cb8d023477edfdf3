//! A process with five hundred calls at a slow bank is asked to end, while another on the same database goes on.
//!
//! What is in hand ends; what had not begun is taken by the other at once; nothing is held, asked twice or lost.
//! Nobody is missed within most of these tests (`work.reap_after` is an hour), so that only what is given back can be
//! taken.
//!
//! **Limits**: 500 calls in hand and 100 boletos that wait for a place, on PostgreSQL; `drain.rs` has what a drain says
//! and how it ends on SQLite.

use std::time::{Duration, Instant};

use bursar::sandbox::{Behaviour, Party, Times};
use bursar::store::pool;
use futures_util::StreamExt as _;
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use crate::database::Kind;
use crate::judge::{self, count};
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::{House, Stage};

const IN_HAND: usize = 500;
const WAITING: usize = 100;
/// Shops that ask at the same time.
const SHOPS: usize = 200;
/// A drain that is cut off takes milliseconds; a busy machine may be slower.
const AT_ONCE: Duration = Duration::from_secs(10);

const SETTINGS: [&str; 7] = [
    "registration.in_flight_max=500",
    // So that neither a busy machine costs an answer or a lease, nor a long wait a call.
    "store.timeout=7s",
    "work.fence_after=30min",
    "work.reap_after=1h",
    "banks.banco_do_brasil.timeout=40s",
    "registration.inline_deadline=100ms",
    "work.drain_timeout=25s",
];

/// A house of which the bank holds five hundred calls in this way, and a hundred more boletos that wait for a place.
async fn five_hundred_in_hand(settings: &[&str], behaviour: Behaviour) -> (Stage, Shop, House) {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let settings: Vec<&str> = SETTINGS.iter().chain(settings).copied().collect();
    let house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().add(Party::BankRegister, behaviour, Times::Count(IN_HAND as u32));
    futures_util::stream::iter(0..IN_HAND + WAITING)
        .for_each_concurrent(SHOPS, async |number| {
            shop.create(&channel, number).await.expect("a boleto that waits for its bank");
        })
        .await;
    stage.world.wait_for_held(IN_HAND, PATIENCE).await.expect("calls that the bank holds");
    (stage, shop, house)
}

async fn another(stage: &Stage, settings: &[&str]) -> House {
    let settings: Vec<&str> = SETTINGS.iter().chain(settings).copied().collect();
    let house = stage.house_with(&settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

async fn registrations(stage: &Stage, condition: &str) -> i64 {
    let connection = pool::connect(&stage.database_url).await.expect("the database");
    let question = format!("select count(*) as n from work where kind = 'boleto.register' and {condition}");
    let found = count(&connection, &question).await;
    connection.close().await.expect("the database lets go");
    found
}

async fn is_draining(house: &House) {
    house.program.signal("TERM");
    house.program.line(|line| line.contains("draining")).await.expect("a word about the drain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_takes_at_once_what_a_draining_one_had_not_begun() {
    let (stage, _, mut first) = five_hundred_in_hand(&[], Behaviour::Hold).await;
    let untouched = "state = 'available' and sent_at_us is null and attempt = 0";
    assert_eq!(registrations(&stage, untouched).await, WAITING as i64, "what waits for a place");
    is_draining(&first).await;
    first.healthy("", NotServing).await;

    // The first still has its calls in hand when the other has done all the rest.
    let second = another(&stage, &[]).await;
    judge::owners_told(&stage, WAITING).await;
    assert_eq!(stage.world.script().held(), IN_HAND, "calls that the bank still holds");
    assert_eq!(
        registrations(&stage, "state = 'running'").await,
        IN_HAND as i64,
        "what the first has in hand"
    );
    assert!(first.program.runs(), "the first has ended with calls in hand");

    stage.world.script().release();
    let status = first.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", first.program.said());
    judge::all_is_well(&stage, second, IN_HAND + WAITING).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + WAITING) as u64, "each once");
    assert_eq!(stage.world.script().asked(Party::BankLookUp), 0, "no answer was lost");
    stage.close().await;
}

/// Places become free and are taken again at the very moment of the signal: what was claimed and had not begun goes back
/// as if it had never been claimed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_and_not_begun_goes_back_untouched() {
    let (stage, _, mut first) = five_hundred_in_hand(&[], Behaviour::Hold).await;
    stage.world.script().release();
    first.program.signal("TERM");
    let status = first.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", first.program.said());
    assert_eq!(registrations(&stage, "state = 'running'").await, 0, "nothing is held");
    let unsent = registrations(&stage, "sent_at_us is null").await;
    let untouched = "state = 'available' and sent_at_us is null and attempt = 0";
    assert_eq!(registrations(&stage, untouched).await, unsent, "an attempt that was never made was counted");
    let begun = stage.world.script().asked(Party::BankRegister);
    assert_eq!(
        begun + unsent as u64,
        (IN_HAND + WAITING) as u64,
        "begun or left, and nothing between the two"
    );

    let second = another(&stage, &[]).await;
    judge::all_is_well(&stage, second, IN_HAND + WAITING).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + WAITING) as u64, "each once");
    stage.close().await;
}

/// The bank does not answer within the limit: the calls are given up, and the other process looks before it asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_of_five_hundred_silent_calls_ends_within_its_limit() {
    let limit = ["work.drain_timeout=500ms"];
    let (stage, _, mut first) = five_hundred_in_hand(&limit, Behaviour::Hang).await;
    let asked = Instant::now();
    first.program.signal("TERM");
    let status = first.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", first.program.said());
    assert!(asked.elapsed() < AT_ONCE, "a drain of 500 ms took {:?}", asked.elapsed());
    assert_eq!(registrations(&stage, "state = 'running'").await, 0, "nothing is held");
    assert_eq!(registrations(&stage, "sent_at_us is not null").await, IN_HAND as i64, "what was asked");
    assert_eq!(registrations(&stage, "sent_at_us is null").await, WAITING as i64, "what had not begun");

    let second = another(&stage, &[]).await;
    judge::all_is_well(&stage, second, IN_HAND + WAITING).await;
    stage.close().await;
}

/// Now means now: nothing is given back, and the other process has to miss the first before it takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_five_hundred_calls_now_and_loses_none() {
    let (stage, _, mut first) = five_hundred_in_hand(&[], Behaviour::accept_then_hold()).await;
    is_draining(&first).await;
    let asked = Instant::now();
    first.program.signal("TERM");
    let status = first.program.ended().await;
    assert_eq!(status.code(), Some(1), "{}", first.program.said());
    assert!(asked.elapsed() < AT_ONCE, "now took {:?}", asked.elapsed());

    let second = another(&stage, &["work.fence_after=8s", "work.reap_after=10s"]).await;
    judge::all_is_well(&stage, second, IN_HAND + WAITING).await;
    // The bank had kept them all before the end: a look finds them, and nobody asks again.
    assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + WAITING) as u64, "each once");
    stage.close().await;
}
