//! The engine's protocol, walked through in every order of steps and mishaps: claim, reap, ack, commits of unknown fate.
//!
//! The protocol is the one of `store/work.rs`, `store/runner.rs` and `work/`; the databases are held to it by
//! `engine_machine.rs`. What the outside party accepts is counted, and it refuses nothing: it can only be looked up.
//!
//! **Owns** the model alone: no database, no clock. **Fails** with the rule that broke and the shortest way there. A rule
//! left out must be missed, or the model would prove nothing. **Limits**: what is walked through has few processes, rows
//! and mishaps; "not found" is trusted past the attempt's own time and the longest delay of a request.

mod attempts;
mod checker;
mod protocol;
mod state;

use checker::walk;
use protocol::{Protocol, Rule, Violation};

fn holds(processes: usize, rows: usize, mishaps: u8, slow_beats: usize) {
    let protocol = Protocol { processes, rows, slow_beats, mishaps, without: None };
    match walk(&protocol) {
        Ok(walk) => {
            println!("{protocol:?}: {} states, {} steps, {} ends", walk.states, walk.steps, walk.ends);
            assert!(walk.ends > 0, "nothing ever ends in this model");
        }
        Err(fault) => panic!("the protocol has a hole: {fault}"),
    }
}

/// Walks through the protocol without `rule`; it must go wrong, and in this way.
fn is_missed(rule: Rule, expected: Violation) {
    // One mishap does for what two processes get wrong, and keeps the walk short where nothing but the end is missed.
    let protocol = Protocol { processes: 2, rows: 1, slow_beats: 1, mishaps: 1, without: Some(rule) };
    match walk(&protocol) {
        Ok(walk) => panic!("nothing goes wrong without {rule:?}: {walk:?}"),
        Err(fault) => {
            println!("without {rule:?}: {fault}\n");
            assert_eq!(fault.violation, expected, "without {rule:?} something else goes wrong: {fault}");
        }
    }
}

#[test]
fn two_processes_keep_one_row_through_two_mishaps() {
    holds(2, 1, 2, 0);
}

#[test]
fn two_processes_with_slow_heartbeats_keep_one_row() {
    holds(2, 1, 1, 2);
}

#[test]
fn three_processes_keep_one_row_through_one_mishap() {
    holds(3, 1, 1, 0);
}

#[test]
fn one_process_keeps_two_rows_through_one_mishap() {
    holds(1, 2, 1, 0);
}

macro_rules! every_rule_is_missed {
    ($($test:ident: $rule:ident => $violation:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            is_missed(Rule::$rule, Violation::$violation);
        })*
    };
}

every_rule_is_missed! {
    an_ack_without_its_fence_has_two_holders: FenceInTheAck => TwoHoldersWhoseAckWouldSucceed,
    a_row_reaped_by_its_age_is_taken_from_who_has_it: ReapByHeartbeatNotByAge => WorkTakenFromWhoTrustsItsLease,
    who_does_not_fence_itself_asks_in_the_name_of_the_dead: SelfFence => AskedInTheNameOfTheDead,
    a_lease_counted_from_the_answer_outlives_its_holder: LeaseFromTheSendingOfTheBeat => TrustInALeaseThatIsBuried,
    a_beat_revives_the_dead_unless_dead_is_final: DeadIsFinal => BeatOfTheDead,
    a_claim_under_the_dead_is_nobodys: ClaimNeedsTheLiving => RunsUnderTheDead,
    an_effect_without_its_mark_is_done_twice: MarkBeforeTheEffect => DoneTwice,
    who_does_not_look_does_it_twice: LookBeforeAskingAgain => DoneTwice,
    not_found_counts_from_the_bytes_not_from_the_mark: SettleCountsTheAttemptsTime => DoneTwice,
    who_does_not_read_again_calls_its_own_end_a_theft: RereadAfterAnUnknownCommit => WrittenDownButCalledLost,
    who_believes_an_unknown_commit_calls_done_what_is_not: DoubtAnUnknownCommit => CalledDoneButNotWrittenDown,
    what_nobody_holds_stays_for_ever_unless_it_is_looked_for: ReturnWhatNobodyHolds => RowLost,
}
