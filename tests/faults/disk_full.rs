//! The disk under the database fills up while shops ask, and has room again later.
//!
//! Callers are told to come back, nobody is told that it is our fault, the process lives, and with the room everything
//! goes on by itself.
//!
//! Each test starts itself again in a mount namespace of its own, where a small file system lies under the database.
//! **Fails** in words where the machine allows no such namespace. **Limits**: [`DISK_BYTES`]; the world and its ledger
//! stay on the large disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use tokio::process::Command;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::judge;
use crate::process::eventually;
use crate::shop::Shop;
use crate::stage::Stage;

/// Says to the inner run where its small disk is.
const DISK: &str = "BURSAR_FAULTS_SMALL_DISK";
/// Room for a new PostgreSQL cluster (some 40 MiB) and a little more; SQLite needs a tenth.
const DISK_BYTES: usize = 96 * 1024 * 1024;
const BOLETOS: usize = 400;
/// Boletos made before the disk fills up.
const BEFORE: usize = 20;
/// Refusals after which there is room again.
const REFUSALS: usize = 30;
/// Shops that ask at the same time.
const SHOPS: usize = 16;

/// Who the inner run is to be: `initdb` refuses to run as root, also as the root of a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Anybody,
    Ourselves,
}

/// The small disk, in the inner run. In the outer one: runs the test of this name in a namespace that has it, then gives
/// nothing.
async fn small_disk(test: &str, who: As) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let disk = std::env::temp_dir().join(format!("bursar-disk-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&disk).expect("a folder to mount on");
    let us = std::env::current_exe().expect("a test that knows its program");
    let (user, group) = (identity("-u").await, identity("-g").await);
    let is_root = user == "0";
    let ways: &[&str] = match (who, is_root) {
        (As::Ourselves, true) => &["-m"],
        (As::Ourselves, false) | (As::Anybody, false) => &["-rm"],
        (As::Anybody, true) => &["-rm", "-m"],
    };
    let back = if who == As::Ourselves && !is_root {
        format!("unshare --user --map-user={user} --map-group={group} ")
    } else {
        String::new()
    };
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES},mode=1777 none \"$0\"");
    for way in ways {
        let try_it = unshare(way, &mount, &disk).output().await.expect("unshare, of util-linux");
        if !try_it.status.success() {
            continue;
        }
        let script = format!("{mount} && exec {back}\"$1\" \"$2\" --exact --nocapture");
        let mut inner = unshare(way, &script, &disk);
        inner.arg(us).arg(format!("disk_full::{test}")).env(DISK, &disk).kill_on_drop(true);
        let ran = inner.output().await.expect("unshare, of util-linux");
        std::fs::remove_dir(&disk).expect("a folder on which nothing is mounted here");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("1 passed"), "the inner run tried nothing:\n{said}");
        return None;
    }
    panic!(
        "this machine lets us mount no file system of our own (tried unshare {ways:?}); allow user namespaces, or run \
         the tests as root with CAP_SYS_ADMIN"
    );
}

fn unshare(way: &str, script: &str, disk: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args([way, "sh", "-c", script]).arg(disk);
    command
}

async fn identity(which: &str) -> String {
    let said = Command::new("id").arg(which).output().await.expect("id, of coreutils");
    String::from_utf8(said.stdout).expect("a number").trim().to_owned()
}

/// Takes all the room that is left, to the last block.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("a file on the small disk");
    let mut block = 1 << 20;
    while block >= 512 {
        if let Err(error) = file.write_all(&vec![0x5a; block]) {
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
            block /= 2;
        }
    }
    ballast
}

fn is_told_to_come_back(status: &Status) {
    assert!(matches!(status.code(), Code::Unavailable | Code::ResourceExhausted), "{status:?}");
    let details = status.get_error_details();
    assert!(details.retry_info().is_some(), "when to come back: {status:?}");
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("STORE_UNAVAILABLE"));
}

/// A working day in which the disk is full for a while.
async fn the_disk_fills_up(stage: Stage, disk: &Path) {
    let shop = Shop::of(&stage);
    let mut house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    for number in 0..BEFORE {
        eventually("a boleto", async || shop.create(&channel, number).await.ok()).await;
    }
    let ballast = fill(disk);
    let refusals = AtomicUsize::new(0);
    let ask = async |number| {
        eventually("an answer to a shop", async || match shop.create(&channel, number).await {
            Ok(_) => Some(()),
            Err(status) => {
                is_told_to_come_back(&status);
                if refusals.fetch_add(1, Ordering::Relaxed) + 1 == REFUSALS {
                    std::fs::remove_file(&ballast).expect("the ballast");
                }
                None
            }
        })
        .await;
    };
    futures_util::stream::iter(BEFORE..BOLETOS).for_each_concurrent(SHOPS, ask).await;
    let refusals = refusals.into_inner();
    assert!(refusals >= REFUSALS, "{refusals} refusals: the disk was never full");
    assert!(house.program.runs(), "the process has ended");
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_costs_time_and_nothing_else() {
    let name = "a_full_disk_under_sqlite_costs_time_and_nothing_else";
    let Some(disk) = small_disk(name, As::Anybody).await else { return };
    let stage = Stage::on(format!("sqlite:{}", disk.join("bursar.db").display())).await;
    the_disk_fills_up(stage, &disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgresql_costs_time_and_nothing_else() {
    let name = "a_full_disk_under_postgresql_costs_time_and_nothing_else";
    let Some(disk) = small_disk(name, As::Ourselves).await else { return };
    let cluster = Cluster::start_in(&disk).await;
    let stage = Stage::on(cluster.url.clone()).await;
    the_disk_fills_up(stage, &disk).await;
}
