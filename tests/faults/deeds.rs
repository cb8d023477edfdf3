//! The process ends at a step boundary while something is done with a boleto that the bank has on file: cancelling,
//! amending, reconciling, deciding.
//!
//! A rehearsal lists the boundaries that the deed adds to a day; then the same day is played once for each of them. After
//! the restart the caller asks again under the same name. The deed must be done, once, and its owner told once.
//!
//! **Owns** nothing. **Fails** a test with what it found.

use std::collections::BTreeSet;
use std::fmt;

use bursar::proto::boleto::v1::Boleto;
use bursar::sandbox::{Effect, EffectKind};
use bursar::store::pool;
use tonic::transport::Channel;

use crate::boundaries::{self, Boundary, Day};
use crate::database::Kind;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

/// Everything is told by a queue and a webhook.
const DESTINATIONS: usize = 2;
/// Told of what became of the boleto when it was made, and of the deed.
const NEWS: usize = 2;
/// The row of work that waits for its hour in every house that asks banks for payments.
const TIMETABLE: &str = "boleto.reconcile";

/// What must not be in the database of a house that has ended in good order.
const NOT_THERE: [(&str, &str); 4] = [
    ("work", "select count(*) as n from work where kind <> 'boleto.reconcile'"),
    ("dead letters", "select count(*) as n from work_archive where state <> 'completed'"),
    ("orders that are not done", "select count(*) as n from boleto_order where state <> 'done'"),
    ("deliveries that were not made", "select count(*) as n from delivery where state <> 'delivered'"),
];

/// Something that is done with a boleto.
pub trait Deed: Copy + fmt::Debug {
    /// Settings of the house, over the usual ones.
    const SETTINGS: &'static [&'static str] = &[];
    /// The boundaries that are the deed's own: every play reaches them.
    const NEEDED: &'static [&'static str];
    /// What the outside has accepted in the end, and how often.
    const EFFECTS: &'static [(EffectKind, usize)];
    /// What is counted in the database in the end: what it is, the question, the answer.
    const LEFT: &'static [(&'static str, &'static str, i64)];

    /// Sees to what there must be before the house opens, and to what will happen.
    async fn prepare(self, _stage: &Stage) {}

    /// Sees to what there must be before the deed, once however often it is called. Nothing when there was no answer.
    async fn begin(self, _stage: &Stage, _channel: &Channel, _boleto: &Boleto) -> Option<()> {
        Some(())
    }

    /// Asks for the deed, under the same name each time. Nothing when there was no answer.
    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()>;

    /// Whether the boleto shows that it is done.
    fn is_done(self, boleto: &Boleto) -> bool;
}

impl<D: Deed> Day for D {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        self.prepare(&stage).await;
        let (house, boleto) = furnished(&stage, self, &[boundaries::logged(&stage)]).await.expect("a boleto");
        quiet(&house).await;
        let before = boundaries::reached(&stage).len();
        let channel = house.channel().await.expect("a house that listens");
        self.ask(&channel, &boleto).await.expect("an answer");
        all_is_well(&stage, house, self, &boleto.id).await;
        let points = boundaries::reached(&stage);
        stage.close().await;
        // Polling claims any number of times.
        boundaries::enumerate(&points, before, |point| point != "claim.after")
    }

    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool {
        let stage = Stage::open(kind).await;
        self.prepare(&stage).await;
        let mut crashed = false;
        if let Some((mut house, boleto)) = furnished(&stage, self, &[boundaries::armed(boundary)]).await {
            // The process may end before it answers.
            insist(&mut house, async |channel| self.ask(&channel, &boleto).await).await;
            tokio::select! {
                status = house.program.ended() => crashed = boundaries::has_aborted(status),
                () = owners_heard(&stage, NEWS) => {}
            }
            if !crashed {
                house.program.signal("TERM");
                crashed = boundaries::has_aborted(house.program.ended().await);
            }
        }
        let (mut house, boleto) = furnished(&stage, self, &[]).await.expect("a house after the crash");
        let again = insist(&mut house, async |channel| self.ask(&channel, &boleto).await).await;
        again.expect("the same answer to the same request");
        all_is_well(&stage, house, self, &boleto.id).await;
        stage.close().await;
        crashed
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        let names: BTreeSet<&str> = boundaries.iter().map(|(point, _)| point.as_str()).collect();
        assert!(D::NEEDED.iter().all(|point| names.contains(point)), "{names:?}");
        // Who commits first of two varies, and with it how often a point has been reached; the deed's own do not.
        assert!(
            missed.iter().all(|(point, _)| !D::NEEDED.contains(&point.as_str())),
            "never reached: {missed:?}"
        );
        assert!(missed.len() * 3 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
    }
}

/// How many pieces of news have reached an owner.
fn told(effects: &[Effect]) -> usize {
    let keys: BTreeSet<(EffectKind, &str)> = effects
        .iter()
        .filter(|effect| matches!(effect.kind, EffectKind::OwnerSqs | EffectKind::OwnerWebhook))
        .map(|effect| (effect.kind, effect.key.as_str()))
        .collect();
    keys.len()
}

async fn owners_heard(stage: &Stage, news: usize) {
    let heard = |effects: &[Effect]| told(effects) >= news * DESTINATIONS;
    let waited = stage.world.wait_for_effects(heard, PATIENCE).await;
    assert!(waited.is_ok(), "{} of {news} pieces of news were heard of", told(&stage.world.effects()));
}

/// Waits until nothing is left to do but what waits for its hour.
async fn quiet(house: &House) {
    eventually("the end of all work", async || {
        let work = shop::work(&house.channel().await?).await.ok()?;
        work.iter().all(|work| work.kind == TIMETABLE && work.runner_id.is_empty()).then_some(())
    })
    .await;
}

/// Judges a house in which the deed was asked for, then ends it and judges what it leaves behind.
async fn all_is_well<D: Deed>(stage: &Stage, house: House, deed: D, id: &str) {
    eventually("the deed", async || {
        let found = shop::boletos(&house.channel().await?).await.ok()?;
        let boleto = found.into_iter().find(|boleto| boleto.id == id)?;
        deed.is_done(&boleto).then_some(())
    })
    .await;
    owners_heard(stage, NEWS).await;
    quiet(&house).await;
    house.close().await;
    let effects = stage.world.effects();
    for (kind, times) in D::EFFECTS {
        let found = effects.iter().filter(|effect| effect.kind == *kind).count();
        assert_eq!(found, *times, "{kind:?} in the ledger: {effects:?}");
    }
    assert_eq!(told(&effects), NEWS * DESTINATIONS, "each piece of news under one id");
    let connection = pool::connect(&stage.database_url).await.expect("a database without its house");
    for (what, question) in NOT_THERE {
        assert_eq!(judge::count(&connection, question).await, 0, "{what} in the database");
    }
    for (what, question, times) in D::LEFT {
        assert_eq!(judge::count(&connection, question).await, *times, "{what} in the database");
    }
    connection.close().await.expect("the database lets go");
}

/// Asks until there is an answer, as a caller does who gave the request a name; nothing once the process has ended.
async fn insist<T>(house: &mut House, mut ask: impl AsyncFnMut(Channel) -> Option<T>) -> Option<T> {
    eventually("an answer, or the end of the process", async || {
        if !house.program.runs() {
            return Some(None);
        }
        ask(house.channel().await?).await.map(Some)
    })
    .await
}

/// A house with a boleto whose owners know what became of it, and in which the deed can be asked for; nothing when the
/// process has ended meanwhile.
async fn furnished<D: Deed>(stage: &Stage, deed: D, variables: &[(&str, String)]) -> Option<(House, Boleto)> {
    let mut house = stage.house_with(D::SETTINGS, variables).await;
    if !house.opened().await {
        return None;
    }
    let shop = Shop::of(stage);
    let boleto = insist(&mut house, async |channel| shop.trade(&channel).await.ok()).await?;
    tokio::select! {
        _ = house.program.ended() => return None,
        () = owners_heard(stage, 1) => {}
    }
    insist(&mut house, async |channel| deed.begin(stage, &channel, &boleto).await).await?;
    Some((house, boleto))
}
