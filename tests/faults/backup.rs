//! The disk is lost, and the house goes on from a copy that was made while it was open. What was done by then is not done again.

use std::path::Path;

use bursar::sandbox::{Behaviour, EffectKind, Party};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::{PATIENCE, Program};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

const BOLETOS: usize = 12;

/// Has a copy made beside the open house, and says where it is.
async fn copied(stage: &Stage) -> String {
    let (to, config) = (stage.file("copies"), stage.file("bursar.toml"));
    let arguments = ["backup", "--json", "--config"].map(Path::new);
    let arguments: Vec<&Path> =
        arguments.into_iter().chain([config.as_path(), Path::new("--to"), to.as_path()]).collect();
    let mut backup = Program::start(&arguments, &[]);
    assert!(backup.ended().await.success(), "{}", backup.said());
    let folder = std::fs::read_dir(&to).expect("a folder of copies");
    let names: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(names.len(), 1, "one copy and nothing half written: {names:?}");
    names[0].display().to_string()
}

/// Loses the house and its disk, and opens another on the copy.
async fn restored(stage: &Stage, mut house: House, copy: &str) -> House {
    house.program.kill().await;
    let database = stage.database_url.trim_start_matches("sqlite:");
    for end in ["", "-wal", "-shm"] {
        // The write-ahead log may have been empty and gone.
        let _ = std::fs::remove_file(format!("{database}{end}"));
    }
    std::fs::copy(copy, database).expect("the copy in its place");
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_before_the_copy_is_not_done_again() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    load::ask_for(&shop, &[channel], 0..BOLETOS).await;
    judge::owners_told(&stage, BOLETOS).await;
    judge::no_work_left(&house).await;
    let copy = copied(&stage).await;
    let house = restored(&stage, house, &copy).await;
    let channel = house.channel().await.expect("a house that listens");
    // Whoever asks again gets the boleto that they have.
    load::ask_for(&shop, &[channel], 0..BOLETOS).await;
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_the_copy_is_looked_for_before_it_is_asked_again() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, Behaviour::Hold);
    shop.create(&channel, 1).await.expect("a boleto that is pending");
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
    let copy = copied(&stage).await;
    stage.world.script().clear(Party::BankRegister);
    stage.world.script().release();
    judge::owners_told(&stage, 1).await;
    let house = restored(&stage, house, &copy).await;
    judge::no_work_left(&house).await;
    let channel = house.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    assert!(found.len() == 1 && found[0].payable, "{found:?}");
    let is_registered = |effects: &[bursar::sandbox::Effect]| {
        effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count() == 1
    };
    stage.world.wait_for_effects(is_registered, PATIENCE).await.expect("registered once");
    house.close().await;
    stage.close().await;
}
