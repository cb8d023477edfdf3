//! One of two processes is missed by the other with work in hand, and is none the wiser: parted from their database, or
//! frozen (SIGSTOP). Then it goes on.
//!
//! What the bank answered it meanwhile is not written down under the old identity. The other takes its work over and looks
//! before it asks; the first comes back under a new identity.

use bursar::sandbox::{Behaviour, Party};
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::proxy::Proxy;
use crate::shop::Shop;
use crate::stage::{House, Stage};

const IN_HAND: usize = 6;
const LATER: usize = 24;

/// By the time that it is missed the parted process has fenced itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parted_process_fences_itself_and_comes_back_as_another() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let parted = format!("store.url={}", line.url);
    let first = stage.house_with(&[&parted], &[]).await;
    let mut pair = Pair::with_work_in_hand(&stage, first).await;
    line.fall_silent();
    pair.first_is_missed(&stage).await;
    line.come_back();
    pair.first_comes_back(&stage).await;
    pair.all_is_well(stage).await;
}

/// The frozen process wakes up believing that no time has passed. Its clock says otherwise before it does anything, and
/// its row says that it is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_wakes_up_fenced_and_comes_back_as_another() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let first = stage.house().await;
    let mut pair = Pair::with_work_in_hand(&stage, first).await;
    pair.first.program.signal("STOP");
    // The answers lie at its door when it wakes up.
    pair.first_is_missed(&stage).await;
    pair.first.program.signal("CONT");
    pair.first_comes_back(&stage).await;
    pair.all_is_well(stage).await;
}

/// The one that will be missed and the one that will miss it.
struct Pair {
    shop: Shop,
    first: House,
    second: House,
    door: Channel,
}

impl Pair {
    /// Opens the second when the bank holds what the first asked. Of that, the bank keeps every other title.
    async fn with_work_in_hand(stage: &Stage, first: House) -> Self {
        let shop = Shop::of(stage);
        assert!(first.opened().await, "{}", first.program.said());
        let door = first.channel().await.expect("a house that listens");
        shop.furnish(&door).await.expect("a bank account");
        for number in 0..IN_HAND {
            let behaviour = if number % 2 == 0 { Behaviour::Hang } else { Behaviour::accept_then_hold() };
            stage.world.script().once(Party::BankRegister, behaviour);
        }
        let made = (0..IN_HAND).map(|number| shop.create(&door, number));
        futures_util::future::try_join_all(made).await.expect("boletos that wait for their bank");
        stage.world.wait_for_held(IN_HAND, PATIENCE).await.expect("calls that the bank holds");
        let second = stage.house().await;
        assert!(second.opened().await, "{}", second.program.said());
        Self { shop, first, second, door }
    }

    /// Waits until the second has buried the first and settled what it had; the bank's answers come too late.
    async fn first_is_missed(&mut self, stage: &Stage) {
        self.second.program.line(|line| line.contains("dead process buried")).await.expect("a burial");
        stage.world.script().release();
        judge::owners_told(stage, IN_HAND).await;
    }

    /// Waits until the first has learnt of its death, and has both do something more.
    async fn first_comes_back(&mut self, stage: &Stage) {
        let is_new = |line: &str| line.contains("entering again under a new identity");
        self.first.program.line(is_new).await.expect("a process that learns of its death");
        let doors = [self.door.clone(), self.second.channel().await.expect("a house that listens")];
        load::ask_for(&self.shop, &doors, IN_HAND..IN_HAND + LATER).await;
        assert!(self.first.program.runs(), "the process has ended");
        judge::owners_told(stage, IN_HAND + LATER).await;
    }

    /// Those that the bank had kept were looked up, and only the others asked for again.
    async fn all_is_well(self, stage: Stage) {
        self.first.close().await;
        judge::all_is_well(&stage, self.second, IN_HAND + LATER).await;
        assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + IN_HAND / 2 + LATER) as u64);
        stage.close().await;
    }
}
