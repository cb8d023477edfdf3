//! The machine's rules, one at a time: late, stale and crossing events.

use std::time::Duration;

use crate::supervision::machine::{
    ChildKey, ChildPolicy, Command, Event, Machine, Operation, Outcome, Policy, Refusal, Status, Tick, Ticket,
};
use crate::supervision::{AutoShutdown, Backoff, ExitClass, Intensity, OnMeltdown, Restart, Strategy};

pub fn policy(strategy: Strategy, on_meltdown: OnMeltdown, max: u32) -> Policy {
    Policy {
        strategy,
        intensity: Intensity { max, within: Duration::from_secs(60) },
        on_meltdown,
        auto_shutdown: AutoShutdown::Never,
        children_max: 100,
    }
}

pub fn permanent() -> ChildPolicy {
    ChildPolicy { restart: Restart::Permanent, significant: false, backoff: Backoff::NONE, disabled: false }
}

pub fn at(seconds: u64) -> Tick {
    Tick { now: Duration::from_secs(seconds), roll: 0.5 }
}

fn started(key: u32, generation: u64) -> Event {
    Event::Started { key: ChildKey(key), generation }
}

fn failed(key: u32, generation: u64) -> Event {
    Event::Ended { key: ChildKey(key), generation, class: ExitClass::Error }
}

fn start(key: u32, generation: u64) -> Command {
    Command::Start { key: ChildKey(key), generation }
}

fn stop(key: u32, generation: u64) -> Command {
    Command::Stop { key: ChildKey(key), generation, starting: false }
}

/// The commands without those that only show a status.
fn step(machine: &mut Machine, seconds: u64, event: Event) -> Vec<Command> {
    let mut commands = machine.step(at(seconds), event);
    commands.retain(|command| !matches!(command, Command::Show { .. }));
    commands
}

fn running(policy: Policy, children: u32) -> Machine {
    let mut machine = Machine::new(policy, (0..children).map(|_| permanent()));
    assert_eq!(step(&mut machine, 0, Event::Open), [start(0, 1)]);
    for key in 0..children - 1 {
        assert_eq!(step(&mut machine, 0, started(key, 1)), [start(key + 1, 1)]);
    }
    assert_eq!(step(&mut machine, 0, started(children - 1, 1)), [Command::Ready]);
    machine
}

#[test]
fn events_of_older_generations_are_ignored() {
    let mut machine = running(policy(Strategy::OneForOne, OnMeltdown::Escalate, 3), 2);
    assert_eq!(step(&mut machine, 1, failed(0, 1)), [start(0, 2)]);
    assert_eq!(step(&mut machine, 1, failed(0, 1)), []);
    assert_eq!(step(&mut machine, 1, started(0, 1)), []);
    assert_eq!(step(&mut machine, 1, started(0, 2)), []);
    assert_eq!(step(&mut machine, 1, failed(9, 1)), []);
}

#[test]
fn an_empty_supervisor_is_ready_and_closes_at_once() {
    let mut machine = Machine::new(policy(Strategy::OneForAll, OnMeltdown::Escalate, 3), []);
    assert_eq!(step(&mut machine, 0, Event::Open), [Command::Ready]);
    assert_eq!(step(&mut machine, 0, Event::Close), [Command::Finish(Outcome::Closed)]);
    assert_eq!(step(&mut machine, 0, Event::Close), []);
}

#[test]
fn ends_come_before_the_backoff_and_the_backoff_before_the_starts() {
    let slow = ChildPolicy {
        backoff: Backoff {
            base: Duration::from_secs(10),
            factor: 1.0,
            cap: Duration::from_secs(10),
            jitter: 0.0,
            reset_after: Duration::from_secs(100),
        },
        ..permanent()
    };
    let mut machine = Machine::new(
        policy(Strategy::OneForAll, OnMeltdown::Escalate, 3),
        [slow.clone(), slow.clone(), slow],
    );
    step(&mut machine, 0, Event::Open);
    for key in 0..3 {
        step(&mut machine, 0, started(key, 1));
    }
    assert_eq!(step(&mut machine, 5, failed(1, 1)), [stop(2, 1)]);
    assert_eq!(machine.next_wake(Duration::from_secs(5)), None);
    // The sibling that fails instead of stopping is part of the same restart.
    assert_eq!(step(&mut machine, 7, failed(2, 1)), [stop(0, 1)]);
    assert_eq!(step(&mut machine, 20, failed(0, 1)), []);
    assert_eq!(machine.next_wake(Duration::from_secs(20)), Some(Duration::from_secs(30)));
    assert_eq!(step(&mut machine, 29, Event::Wake), []);
    assert_eq!(step(&mut machine, 30, Event::Wake), [start(0, 2)]);
    assert_eq!(step(&mut machine, 30, started(0, 2)), [start(1, 2)]);
    assert_eq!(step(&mut machine, 30, started(1, 2)), [start(2, 2)]);
}

#[test]
fn a_failure_during_a_group_start_stops_what_had_come_up() {
    let mut machine = running(policy(Strategy::RestForOne, OnMeltdown::Escalate, 9), 3);
    assert_eq!(step(&mut machine, 1, failed(0, 1)), [stop(2, 1)]);
    assert_eq!(step(&mut machine, 1, failed(2, 1)), [stop(1, 1)]);
    assert_eq!(step(&mut machine, 1, failed(1, 1)), [start(0, 2)]);
    assert_eq!(step(&mut machine, 1, started(0, 2)), [start(1, 2)]);
    // The one that is starting ends with nothing to drain, then the group begins again.
    let stop_starting = Command::Stop { key: ChildKey(1), generation: 2, starting: true };
    assert_eq!(step(&mut machine, 2, failed(0, 2)), [stop_starting]);
    assert_eq!(step(&mut machine, 2, failed(1, 2)), [start(0, 3)]);
}

#[test]
fn a_close_during_a_restart_starts_nothing_more() {
    let mut machine = running(policy(Strategy::OneForOne, OnMeltdown::Escalate, 9), 2);
    assert_eq!(step(&mut machine, 1, failed(1, 1)), [start(1, 2)]);
    let stop_starting = Command::Stop { key: ChildKey(1), generation: 2, starting: true };
    assert_eq!(step(&mut machine, 1, Event::Close), [stop_starting]);
    assert_eq!(step(&mut machine, 1, started(1, 2)), []);
    assert_eq!(step(&mut machine, 1, failed(1, 2)), [stop(0, 1)]);
    assert_eq!(step(&mut machine, 1, failed(0, 1)), [Command::Finish(Outcome::Closed)]);
}

#[test]
fn a_child_that_fails_while_the_supervisor_closes_is_awaited_no_more() {
    let mut machine = running(policy(Strategy::OneForOne, OnMeltdown::Escalate, 9), 3);
    assert_eq!(step(&mut machine, 1, Event::Close), [stop(2, 1)]);
    assert_eq!(step(&mut machine, 1, failed(0, 1)), []);
    assert_eq!(step(&mut machine, 1, failed(2, 1)), [stop(1, 1)]);
    assert_eq!(step(&mut machine, 1, failed(1, 1)), [Command::Finish(Outcome::Closed)]);
}

#[test]
fn every_ticket_is_settled_when_the_supervisor_goes() {
    let mut machine = running(policy(Strategy::OneForOne, OnMeltdown::Escalate, 9), 2);
    let ask =
        |key, operation, ticket| Event::Control { key: ChildKey(key), operation, ticket: Ticket(ticket) };
    assert_eq!(step(&mut machine, 1, ask(0, Operation::Restart, 1)), [stop(0, 1)]);
    let closing = Command::Settle { ticket: Ticket(1), result: Err(Refusal::Closing) };
    assert_eq!(step(&mut machine, 1, Event::Close), [stop(1, 1), closing]);
    let refused = Command::Settle { ticket: Ticket(2), result: Err(Refusal::Closing) };
    assert_eq!(step(&mut machine, 1, ask(1, Operation::Stop, 2)), [refused]);
}

#[test]
fn a_restart_is_no_failure_and_brings_back_a_temporary_child() {
    let temporary = ChildPolicy { restart: Restart::Temporary, ..permanent() };
    let mut machine = Machine::new(policy(Strategy::OneForOne, OnMeltdown::Escalate, 0), [temporary]);
    step(&mut machine, 0, Event::Open);
    step(&mut machine, 0, started(0, 1));
    for generation in 1..5 {
        let ticket = Ticket(generation);
        let event = Event::Control { key: ChildKey(0), operation: Operation::Restart, ticket };
        assert_eq!(step(&mut machine, 1, event), [stop(0, generation)]);
        assert_eq!(step(&mut machine, 1, failed(0, generation)), [start(0, generation + 1)]);
        let settled = Command::Settle { ticket, result: Ok(()) };
        assert_eq!(step(&mut machine, 1, started(0, generation + 1)), [settled]);
    }
}

#[test]
fn one_that_failed_while_a_sibling_is_kept_down_is_shown_as_stopped_and_comes_back_with_it() {
    let mut machine = running(policy(Strategy::OneForAll, OnMeltdown::Escalate, 3), 2);
    assert_eq!(step(&mut machine, 1, failed(1, 1)), [stop(0, 1)]);
    let wish = |operation, ticket| Event::Control { key: ChildKey(0), operation, ticket: Ticket(ticket) };
    let shown = |key| Command::Show { key: ChildKey(key), status: Status::Stopped };
    assert_eq!(machine.step(at(1), wish(Operation::Stop, 7)), [shown(1)], "nobody is about to start it");
    let commands =
        machine.step(at(1), Event::Ended { key: ChildKey(0), generation: 1, class: ExitClass::Normal });
    assert!(commands.contains(&shown(0)), "{commands:?}");
    assert!(commands.contains(&Command::Settle { ticket: Ticket(7), result: Ok(()) }), "{commands:?}");
    assert_eq!(step(&mut machine, 60, Event::Wake), [], "time alone brings nobody back");
    assert_eq!(step(&mut machine, 61, wish(Operation::Start, 8)), [start(0, 2)]);
    let up = [Command::Settle { ticket: Ticket(8), result: Ok(()) }, start(1, 2)];
    let commands = step(&mut machine, 61, started(0, 2));
    assert!(up.iter().all(|command| commands.contains(command)), "{commands:?}");
}

#[test]
fn a_disabled_child_is_shown_and_nothing_else() {
    let disabled = ChildPolicy { disabled: true, ..permanent() };
    let mut machine = Machine::new(policy(Strategy::OneForAll, OnMeltdown::Escalate, 3), [disabled]);
    let show = Command::Show { key: ChildKey(0), status: Status::Disabled };
    assert_eq!(machine.step(at(0), Event::Open), [show, Command::Ready]);
}
