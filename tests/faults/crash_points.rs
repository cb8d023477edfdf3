//! The process ends at a step boundary, at each one that there is: before and after each commit, each claim, each call.
//!
//! A rehearsal lists the boundaries that the day has; then the same day is played once for each of them, in an empty
//! house with a new world. After the restart the boleto must settle without anybody asking, once.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::AssertUnwindSafe;

use bursar::sandbox::{Behaviour, Script};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::database::Kind;
use crate::judge;
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

/// Days played side by side: most of each is waiting.
const SIDE_BY_SIDE: usize = 4;
/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;

/// What the bank does to the first registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    Fair,
    /// It keeps the title, and its answer is lost.
    AnswerLost,
    /// The request is lost.
    RequestLost,
}

impl Day {
    fn write(self, script: &Script) {
        match self {
            Self::Fair => {}
            Self::AnswerLost => script.bank_register(Behaviour::accept_then_drop()),
            Self::RequestLost => script.bank_register(Behaviour::Reset),
        }
    }

    /// A fair day needs no polling, and without it the number of claims is the same every time.
    fn settings(self) -> &'static [&'static str] {
        if self == Self::Fair { &["work.poll_interval=10s"] } else { &[] }
    }

    /// Polling reaches this point any number of times, so that only a fair day enumerates it.
    fn enumerates(self, point: &str) -> bool {
        self == Self::Fair || point != "claim.after"
    }
}

/// A boundary: its name, and which time it is reached.
type Boundary = (String, usize);

async fn rehearse(kind: Kind, day: Day) -> Vec<Boundary> {
    let stage = Stage::open(kind).await;
    day.write(stage.world.script());
    let log = stage.file("points");
    let house =
        stage.house_with(day.settings(), &[("BURSAR_FAILPOINT_LOG", log.display().to_string())]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    Shop::of(&stage).trade(&channel).await.expect("a boleto");
    judge::all_is_well(&stage, house, 1).await;
    let points = std::fs::read_to_string(&log).expect("points were reached");
    stage.close().await;
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    let boundaries = points.lines().filter(|point| day.enumerates(point)).map(|point| {
        let times = reached.entry(point).or_default();
        *times += 1;
        (point.to_owned(), *times)
    });
    boundaries.collect()
}

/// Plays the day up to the boundary, and on after a restart. Returns whether the boundary was reached.
async fn crash(kind: Kind, day: Day, (point, time): &Boundary) -> bool {
    let stage = Stage::open(kind).await;
    day.write(stage.world.script());
    let shop = Shop::of(&stage);
    let armed = ("BURSAR_FAILPOINT", format!("{point}:{time}"));
    let mut house = stage.house_with(day.settings(), &[armed]).await;
    let acknowledged = play(&stage, &shop, &mut house).await;
    let status = house.program.ended().await;
    assert!(status.success() || status.signal() == Some(ABORTED), "{status}:\n{}", house.program.said());

    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    if let Some(id) = &acknowledged {
        assert!(found.iter().any(|boleto| boleto.id == *id), "an acknowledged boleto is lost");
    }
    if let Some(boleto) = found.first() {
        judge::owners_told(&stage, 1).await;
        if acknowledged.is_none() {
            let again = shop.trade(&channel).await.expect("the same boleto");
            assert_eq!(again.id, boleto.id, "the same request gives the same boleto");
        }
    } else {
        shop.trade(&channel).await.expect("a boleto");
    }
    judge::all_is_well(&stage, house, 1).await;
    stage.close().await;
    !status.success()
}

/// Makes a boleto and goes on until the process ends, at the boundary or because it was asked to at the end of the day.
/// Returns the boleto's id if the caller learnt it.
async fn play(stage: &Stage, shop: &Shop, house: &mut House) -> Option<String> {
    if !house.opened().await {
        return None;
    }
    let made = shop.trade(&house.channel().await?).await;
    let Ok(boleto) = made else {
        // Only a process that has ended may leave its caller without an answer.
        house.program.ended().await;
        return None;
    };
    tokio::select! {
        _ = house.program.ended() => return Some(boleto.id),
        () = judge::owners_told(stage, 1) => {}
    }
    // What the owner was told may not have been written down yet.
    crate::process::eventually("the end of all work or of the process", async || {
        if !house.program.runs() {
            return Some(());
        }
        shop::work(&house.channel().await?).await.ok()?.is_empty().then_some(())
    })
    .await;
    if house.program.runs() {
        house.program.signal("TERM");
    }
    Some(boleto.id)
}

async fn crash_everywhere(kind: Kind, day: Day) {
    let boundaries = rehearse(kind, day).await;
    assert!(boundaries.len() >= 10, "too few boundaries to be all: {boundaries:?}");
    let played = futures_util::stream::iter(&boundaries)
        .map(|boundary| async move {
            let played = AssertUnwindSafe(crash(kind, day, boundary)).catch_unwind().await;
            // The panic has said why; here is where.
            let reached = played.unwrap_or_else(|_| panic!("{kind:?}, {day:?}, crash at {boundary:?}"));
            (boundary, reached)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect::<Vec<_>>()
        .await;
    let missed: Vec<&Boundary> =
        played.iter().filter(|(_, reached)| !reached).map(|(boundary, _)| *boundary).collect();
    // Which of two actors claims first varies, and with it how often; a point's first time does not.
    assert!(missed.iter().all(|(_, time)| *time > 1), "never reached: {missed:?}");
    assert!(missed.len() * 5 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
}

macro_rules! days {
    ($($name:ident: $day:expr),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_everywhere(super::Kind::Sqlite, $day).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_everywhere(super::Kind::PostgreSql, $day).await;
            })*
        }
    };
}

days! {
    a_crash_at_any_step_of_a_fair_day_loses_and_repeats_nothing: super::Day::Fair,
    a_crash_at_any_step_after_the_banks_answer_was_lost_loses_and_repeats_nothing: super::Day::AnswerLost,
    a_crash_at_any_step_after_the_request_was_lost_loses_and_repeats_nothing: super::Day::RequestLost,
}
