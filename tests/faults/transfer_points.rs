//! The process ends at a step boundary of a transfer's way from its offer to its owners' news, at each one that there is. After the
//! restart nobody has to ask: every answer is heard, at most once more than needed, the feed has the result and no claim, and
//! each owner has one piece of news.

use std::collections::BTreeSet;

use bursar::sandbox::{Behaviour, FirebaseStep, Party, VendorName};

use crate::boundaries::{self, Boundary, Day, days};
use crate::database::Kind;
use crate::recordings::{self, Offered};
use crate::stage::Stage;

/// What the outside does on that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Fair,
    /// The vendor hears the first answer, and what it says is lost; so is what the feed says to the result.
    WordsLost,
}

const KEY: &str = "-Nsample0000000000A1";
const ANSWERS: usize = 2;
/// Before the write of the result there are the claims of the analysis and of the write-back.
const WRITES_BEFORE: usize = 2;
/// What every play must come by.
const NEEDED: [&str; 20] = [
    "transfer.offer.before",
    "transfer.offer.after",
    "analysis.begin.before",
    "analysis.begin.after",
    "feed.claim.before",
    "feed.claim.after",
    "vendor.analyse.before",
    "vendor.analyse.after",
    "analysis.keep.before",
    "analysis.keep.after",
    "analysis.settle.before",
    "analysis.settle.after",
    "write_back.begin.before",
    "write_back.begin.after",
    "feed.write_back.before",
    "feed.write_back.after",
    "write_back.settle.before",
    "write_back.settle.after",
    "channel.deliver.before",
    "channel.deliver.after",
];

/// How the steps begin at which something outside is asked, or what it said is kept.
const AROUND_WORDS: [&str; 4] = ["vendor.", "analysis.keep.", "feed.write_back.", "write_back.settle."];

impl Transfer {
    fn offer(self, stage: &Stage) -> Vec<Offered> {
        let script = stage.world.script();
        if self == Self::WordsLost {
            script.once(Party::Vendor(VendorName::Ra7), Behaviour::accept_then_drop());
            let write = Party::Firebase(FirebaseStep::Write);
            (0..WRITES_BEFORE).for_each(|_| script.once(write, Behaviour::Normal));
            script.once(write, Behaviour::accept_then_drop());
        }
        vec![Offered::on(stage, KEY, ANSWERS)]
    }

    /// The steps that such a day is about: where words are lost, those on both sides of them.
    fn needed(self) -> impl Iterator<Item = &'static str> {
        let is_about = move |point: &&str| {
            self == Self::Fair || AROUND_WORDS.iter().any(|beginning| point.starts_with(beginning))
        };
        NEEDED.into_iter().filter(is_about)
    }

    /// How often more than needed: once for the crash, and once for what was lost.
    fn once_more(self) -> usize {
        if self == Self::Fair { 1 } else { 2 }
    }
}

impl Day for Transfer {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        let house = recordings::opened(&stage, &[], &[boundaries::logged(&stage)]).await;
        let offered = self.offer(&stage);
        recordings::all_is_well(&stage, house, &offered, self.once_more() - 1).await;
        let points = boundaries::reached(&stage);
        stage.close().await;
        boundaries::enumerate(&points, 0, |point| self.needed().any(|needed| needed == point))
    }

    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool {
        let stage = Stage::open(kind).await;
        let mut house = recordings::opened(&stage, &[], &[boundaries::armed(boundary)]).await;
        let offered = self.offer(&stage);
        let mut status = None;
        tokio::select! {
            ended = house.program.ended() => status = Some(ended),
            () = recordings::owners_told(&stage, offered.len()) => {}
        }
        if status.is_none() {
            house.program.signal("TERM");
            status = Some(house.program.ended().await);
        }
        let crashed = status.is_some_and(boundaries::has_aborted);
        let house = recordings::house(&stage, &[], &[]).await;
        assert!(house.opened().await, "{}", house.program.said());
        recordings::all_is_well(&stage, house, &offered, self.once_more()).await;
        stage.close().await;
        crashed
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        let names: BTreeSet<&str> = boundaries.iter().map(|(point, _)| point.as_str()).collect();
        assert_eq!(names, self.needed().collect(), "these are the steps");
        // How often a step is taken varies with what is done side by side; that it is taken does not.
        assert!(missed.iter().all(|(_, time)| *time > 1), "never reached: {missed:?}");
        assert!(missed.len() * 5 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
    }
}

days! {
    a_crash_at_any_step_of_a_transfer_loses_nothing_and_tells_once: super::Transfer::Fair,
    a_crash_at_any_step_of_a_transfer_whose_words_are_lost_loses_nothing_and_tells_once: super::Transfer::WordsLost,
}
