//! The wall clock jumps by an hour, forward and back, under a process at work; the monotonic clock goes on.
//!
//! No lease is stolen, nobody is asked again and again, and what waits for its next attempt does not wait an hour longer.
//!
//! The program runs under libfaketime (Debian's package `faketime`, brought by `.ci/peers`), which shifts its wall clock
//! alone, by a file that the test rewrites. **Fails** without that library.

use std::path::PathBuf;

use bursar::sandbox::{Behaviour, Party};
use bursar::store::pool;

use crate::database::Kind;
use crate::judge::{self, count};
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

const HOUR: i64 = 3_600;
const BOLETOS: usize = 20;
/// Waits so long that no retry is due within a test, but for a clock that jumped.
const LONG_WAITS: [&str; 2] = ["registration.retry_base=9min", "registration.retry_cap=10min"];
/// A lease that a busy machine does not cost, and that a jump of an hour would; and no breaker, which would hide a storm.
const SETTINGS: [&str; 4] =
    ["store.timeout=10s", "work.fence_after=20s", "work.reap_after=25s", "breaker.failures_max=10000"];

/// A process's own wall clock.
struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// One that goes right.
    fn new(stage: &Stage) -> Self {
        let clock = Self { file: stage.file("wall-clock") };
        clock.is_ahead_by(0);
        clock
    }

    /// Jumps to where it differs by so many seconds from everybody else's.
    fn is_ahead_by(&self, seconds: i64) {
        // Renamed into place, so that nobody reads half of it.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{seconds:+}\n")).expect("a file for the clock");
        std::fs::rename(&draft, &self.file).expect("a file for the clock");
    }

    /// What a program needs in order to go by it.
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}

/// The library for programs with threads, wherever this machine's Debian puts it.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a folder of libraries");
    let places = folders.flatten().map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    places
        .chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")])
        .find(|place| place.exists())
        .expect("libfaketime, of Debian's package faketime: run .ci/peers")
}

async fn house_by(stage: &Stage, clock: &WallClock, settings: &[&str]) -> House {
    let settings: Vec<&str> = SETTINGS.iter().chain(settings).copied().collect();
    let house = stage.house_with(&settings, &clock.variables()).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

async fn ask_database(stage: &Stage, question: &str) -> i64 {
    let connection = pool::connect(&stage.database_url).await.expect("a second look at the database");
    let found = count(&connection, question).await;
    connection.close().await.expect("the database lets go");
    found
}

/// Waits until every living process has beaten a few times more; none may have been buried.
async fn leases_hold(stage: &Stage, processes: i64) {
    let beats = "select cast(min(beat) as bigint) as n from runner where state = 'alive'";
    let before = ask_database(stage, beats).await;
    eventually("more heartbeats", async || (ask_database(stage, beats).await >= before + 8).then_some(()))
        .await;
    let buried = "select count(*) as n from runner where state <> 'alive'";
    assert_eq!(ask_database(stage, buried).await, 0, "processes held for dead");
    let alive = "select count(*) as n from runner where state = 'alive'";
    assert_eq!(ask_database(stage, alive).await, processes, "processes");
}

/// Every boleto, made and answered as pending.
async fn make(shop: &Shop, house: &House, numbers: std::ops::Range<usize>) {
    let channel = house.channel().await.expect("a house that listens");
    futures_util::future::join_all(numbers.map(|number| {
        let channel = &channel;
        async move { shop.create(channel, number).await.expect("a boleto") }
    }))
    .await;
}

/// The bank is away and each boleto's next attempt is minutes off. A clock that leaps ahead brings it forward once at
/// most, and one that falls back not at all.
async fn a_jump_is_no_storm(kind: Kind) {
    let stage = Stage::open(kind).await;
    let clock = WallClock::new(&stage);
    let house = house_by(&stage, &clock, &LONG_WAITS).await;
    let shop = Shop::of(&stage);
    shop.furnish(&house.channel().await.expect("a house that listens")).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, Behaviour::status(503));
    make(&shop, &house, 0..BOLETOS).await;
    stage
        .world
        .wait_for_asked(Party::BankRegister, BOLETOS as u64, PATIENCE)
        .await
        .expect("a first attempt each");

    for (jump, ahead) in [HOUR, -HOUR, HOUR, 0].into_iter().enumerate() {
        clock.is_ahead_by(ahead);
        leases_hold(&stage, 1).await;
        let leaps = jump / 2 + 1;
        let asked = stage.world.script().asked(Party::BankRegister);
        assert!(asked <= (BOLETOS * (1 + leaps)) as u64, "{asked} calls after {leaps} leaps ahead");
    }
    assert_eq!(
        shop::work(&house.channel().await.expect("a house that listens")).await.expect("work").len(),
        BOLETOS
    );
    house.close().await;

    stage.world.script().clear_all();
    stage.close().await;
}

/// Waits are short, and the clock falls back an hour while many wait: none of them waits that hour.
async fn a_jump_holds_nothing_back(kind: Kind) {
    let stage = Stage::open(kind).await;
    let clock = WallClock::new(&stage);
    let house = house_by(&stage, &clock, &[]).await;
    let shop = Shop::of(&stage);
    shop.furnish(&house.channel().await.expect("a house that listens")).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, Behaviour::status(503));
    make(&shop, &house, 0..BOLETOS).await;
    let mut made = BOLETOS;
    for ahead in [HOUR, -HOUR, 0] {
        clock.is_ahead_by(ahead);
        make(&shop, &house, made..made + BOLETOS).await;
        made += BOLETOS;
        // Every boleto has been tried again since, so that each waits by the new clock.
        let asked = stage.world.script().asked(Party::BankRegister);
        let again = asked + 2 * made as u64;
        stage.world.wait_for_asked(Party::BankRegister, again, PATIENCE).await.expect("attempts go on");
        leases_hold(&stage, 1).await;
    }
    stage.world.script().clear_all();
    judge::all_is_well(&stage, house, made).await;
    stage.close().await;
}

/// One of two processes on a database is an hour ahead, then an hour behind. Neither buries the other, and what the one
/// makes wait neither comes early nor late by the other's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_whose_clocks_differ_by_an_hour_go_by_one_clock() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let clock = WallClock::new(&stage);
    let jumping = house_by(&stage, &clock, &[]).await;
    let steady = stage.house_with(&SETTINGS, &[]).await;
    assert!(steady.opened().await, "{}", steady.program.said());
    let shop = Shop::of(&stage);
    shop.furnish(&steady.channel().await.expect("a house that listens")).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, Behaviour::status(503));
    let mut made = 0;
    for ahead in [HOUR, -HOUR] {
        clock.is_ahead_by(ahead);
        make(&shop, &jumping, made..made + BOLETOS).await;
        make(&shop, &steady, made + BOLETOS..made + 2 * BOLETOS).await;
        made += 2 * BOLETOS;
        let again = stage.world.script().asked(Party::BankRegister) + 2 * made as u64;
        stage.world.wait_for_asked(Party::BankRegister, again, PATIENCE).await.expect("attempts go on");
        leases_hold(&stage, 2).await;
    }
    // Signed messages say when they were signed, and owners refuse those of another hour.
    clock.is_ahead_by(0);
    stage.world.script().clear_all();
    judge::owners_told(&stage, made).await;
    jumping.close().await;
    judge::all_is_well(&stage, steady, made).await;
    stage.close().await;
}

macro_rules! on_both_databases {
    ($($check:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Kind::Sqlite).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Kind::PostgreSql).await;
            })*
        }
    };
}

on_both_databases!(a_jump_is_no_storm, a_jump_holds_nothing_back);
