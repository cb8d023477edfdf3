//! The process ends at a step boundary, at each one that there is: before and after each commit, each claim, each call.
//!
//! A rehearsal lists the boundaries that the day has; then the same day is played once for each of them, in an empty
//! house with a new world. After the restart the boleto must settle without anybody asking, once.

use bursar::sandbox::{Behaviour, Script};

use crate::boundaries::{self, Boundary, days};
use crate::database::Kind;
use crate::judge;
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

/// What the bank does to the first registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registration {
    Fair,
    /// It keeps the title, and its answer is lost.
    AnswerLost,
    /// The request is lost.
    RequestLost,
}

impl Registration {
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

impl boundaries::Day for Registration {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        self.write(stage.world.script());
        let house = stage.house_with(self.settings(), &[boundaries::logged(&stage)]).await;
        assert!(house.opened().await, "{}", house.program.said());
        let channel = house.channel().await.expect("a house that listens");
        Shop::of(&stage).trade(&channel).await.expect("a boleto");
        judge::all_is_well(&stage, house, 1).await;
        let points = boundaries::reached(&stage);
        stage.close().await;
        boundaries::enumerate(&points, 0, |point| self.enumerates(point))
    }

    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool {
        let stage = Stage::open(kind).await;
        self.write(stage.world.script());
        let shop = Shop::of(&stage);
        let mut house = stage.house_with(self.settings(), &[boundaries::armed(boundary)]).await;
        let acknowledged = play(&stage, &shop, &mut house).await;
        let status = house.program.ended().await;
        let aborted = boundaries::has_aborted(status);
        assert!(status.success() || aborted, "{status}:\n{}", house.program.said());

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
        aborted
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        assert!(boundaries.len() >= 10, "too few boundaries to be all: {boundaries:?}");
        // Which of two actors claims first varies, and with it how often; a point's first time does not.
        assert!(missed.iter().all(|(_, time)| *time > 1), "never reached: {missed:?}");
        assert!(missed.len() * 5 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
    }
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

days! {
    a_crash_at_any_step_of_a_fair_day_loses_and_repeats_nothing: super::Registration::Fair,
    a_crash_at_any_step_after_the_banks_answer_was_lost_loses_and_repeats_nothing: super::Registration::AnswerLost,
    a_crash_at_any_step_after_the_request_was_lost_loses_and_repeats_nothing: super::Registration::RequestLost,
}
