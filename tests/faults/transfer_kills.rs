//! Processes are killed again and again while transfers are analysed and written back, wherever they happen to be. Each kill costs
//! what was in hand and no more: no answer is lost, none is heard more often than there were kills, and owners hear of each end once.

use bursar::sandbox::{Behaviour, Effect, EffectKind, Party, VendorName};

use crate::database::Kind;
use crate::process::PATIENCE;
use crate::recordings::{self, Offered};
use crate::stage::{House, Stage};

const TRANSFERS: usize = 16;
const ANSWERS: usize = 3;
const KILLS: usize = 4;
/// Enough slots for everything to be in hand at once, and somebody's claim to be taken over soon.
const SETTINGS: [&str; 2] = ["transfers.analysis.slots=6", "transfers.analysis.per_company_max=6"];

async fn opened(stage: &Stage) -> House {
    let house = recordings::house(stage, &SETTINGS, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

/// Waits until so many recordings have been heard.
async fn heard(stage: &Stage, recordings: usize) {
    let count = |effects: &[Effect]| {
        effects.iter().filter(|effect| effect.kind == EffectKind::VendorAnalysed).count()
    };
    let waited = stage.world.wait_for_effects(|effects| count(effects) >= recordings, PATIENCE).await;
    assert!(waited.is_ok(), "{} of {recordings} recordings were heard", count(&stage.world.effects()));
}

/// `houses` processes on one database, of which the eldest is killed each time.
async fn killed_again_and_again(kind: Kind, houses: usize) {
    let stage = Stage::open(kind).await;
    recordings::subscribe(&stage).await;
    let vendor = Party::Vendor(VendorName::Ra7);
    stage.world.script().always(vendor, Behaviour::Latency { ms: 40 });
    let offered: Vec<Offered> =
        (0..TRANSFERS).map(|number| Offered::on(&stage, &format!("-Nsample{number:02}"), ANSWERS)).collect();
    let mut running = Vec::new();
    for _ in 0..houses {
        running.push(opened(&stage).await);
    }
    for kill in 1..=KILLS {
        heard(&stage, kill * TRANSFERS * ANSWERS / (KILLS + 2)).await;
        running.remove(0).program.kill().await;
        running.push(opened(&stage).await);
    }
    let last = running.pop().expect("a house that lives");
    recordings::owners_told(&stage, TRANSFERS).await;
    for house in running {
        house.close().await;
    }
    recordings::all_is_well(&stage, last, &offered, KILLS).await;
    let effects = stage.world.effects();
    let heard = effects.iter().filter(|effect| effect.kind == EffectKind::VendorAnalysed).count();
    // A process has six transfers in hand, and of each one answer that is asked about and one that is being kept.
    assert!(heard <= TRANSFERS * ANSWERS + KILLS * 6 * 2, "{heard} recordings were heard");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_that_is_killed_again_and_again_loses_nothing() {
    killed_again_and_again(Kind::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_killed_one_after_the_other_lose_nothing() {
    killed_again_and_again(Kind::PostgreSql, 2).await;
}
