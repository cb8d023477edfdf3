//! Who is started again, when, and in which order.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::support::*;
use crate::supervision::{
    Actor, ActorError, Address, AutoShutdown, Backoff, ChildSpec, Context, Ended, ExitClass, Restart,
    SendError, Shutdown, Status, Strategy, SupervisorSpec, Tree,
};

fn one(child: ChildSpec) -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).child(child)
}

/// Three probes under one supervisor.
async fn trio(
    strategy: Strategy,
    journal: &Journal,
    change: impl Fn(ChildSpec) -> ChildSpec,
) -> (Tree, [Address<ProbeMessage>; 3]) {
    let mut spec = SupervisorSpec::new("root", strategy);
    let addresses = ["a", "b", "c"].map(|id| {
        let (address, child) = probe(id, journal);
        let grown = std::mem::replace(&mut spec, SupervisorSpec::new("none", strategy));
        spec = grown.child(change(child));
        address
    });
    let tree = Tree::start(spec).await.unwrap();
    journal.clear();
    (tree, addresses)
}

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_and_a_kill_are_all_restarted() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(one(child.restart(Restart::Transient))).await.unwrap();
    let ends = [
        (ProbeMessage::Fail, ExitClass::Error, "told to fail"),
        (ProbeMessage::Panic, ExitClass::Panic, "told to panic"),
        (ProbeMessage::Kill, ExitClass::Killed, "killed"),
    ];
    for (restarts, (message, class, reason)) in (1u32..).zip(ends) {
        address.try_send(message).unwrap();
        until_restarted(&tree, "a", restarts).await;
        let root = tree.snapshot();
        let exit = at(&root, "a").last_exit.as_ref().unwrap();
        assert_eq!((exit.class, exit.reason.as_str()), (class, reason));
        let panicked = class == ExitClass::Panic;
        assert_eq!(exit.location.as_ref().is_some_and(|at| at.contains("support.rs:")), panicked);
        assert_eq!(exit.backtrace.is_some(), panicked);
        assert_eq!(ask(&address).await, restarts as usize + 1);
    }
    assert_eq!(at(&tree.snapshot(), "a").failures, 2, "who is killed has not failed at a message");
    // None of these is a graceful end, and each incarnation was gone before the next one began.
    assert_eq!(journal.count("stopping a"), 0);
    assert_eq!(journal.lines(), ["start a", "gone a"].repeat(4)[..7]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_that_is_killed_is_gone_before_the_next_one_starts() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(one(child)).await.unwrap();
    address.call(ProbeMessage::Cell, LONG).await.unwrap().kill();
    until_restarted(&tree, "a", 1).await;
    assert_eq!(journal.lines(), ["start a", "gone a", "start a"]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_takes_its_children_with_it_and_comes_back_with_them() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne).child(child);
    let inner = ChildSpec::supervisor(inner).backoff(Backoff::NONE);
    let tree = Tree::start(one(inner)).await.unwrap();
    tree.node.find("inner").unwrap().supervisor().unwrap().kill();
    until_restarted(&tree, "inner", 1).await;
    assert_eq!(ask(&address).await, 2);
    assert_eq!(journal.lines(), ["start a", "gone a", "start a"]);
    let root = tree.snapshot();
    assert_eq!(at(&root, "inner").last_exit.as_ref().unwrap().class, ExitClass::Killed);
    assert_eq!(at(&root, "inner/a").status, Status::Running);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_normal_end_restarts_the_permanent_alone() {
    for (restart, again) in
        [(Restart::Permanent, true), (Restart::Transient, false), (Restart::Temporary, false)]
    {
        let journal = Journal::default();
        let (address, child) = probe("a", &journal);
        let tree = Tree::start(one(child.restart(restart))).await.unwrap();
        address.try_send(ProbeMessage::Stop).unwrap();
        if again {
            until_restarted(&tree, "a", 1).await;
        } else {
            until_status(&tree, "a", Status::Stopped).await;
            assert_eq!(address.try_send(ProbeMessage::Fail), Err(SendError::Stopped));
        }
        assert_eq!(journal.count("stopping a"), 1);
        tree.shutdown(LONG).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_not_restarted_after_a_failure_either() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(one(child.restart(Restart::Temporary))).await.unwrap();
    address.try_send(ProbeMessage::Panic).unwrap();
    until_status(&tree, "a", Status::Stopped).await;
    tree.shutdown(LONG).await;
    assert_eq!(journal.count("start a"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_for_one_leaves_the_siblings_alone() {
    let journal = Journal::default();
    let (tree, [_, b, _]) = trio(Strategy::OneForOne, &journal, |child| child).await;
    b.try_send(ProbeMessage::Fail).unwrap();
    until_restarted(&tree, "b", 1).await;
    assert_eq!(journal.lines(), ["gone b", "start b"]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_keeps_dependants_down_during_the_backoff() {
    let journal = Journal::default();
    let wait = Duration::from_secs(30);
    let (tree, [a, b, c]) = trio(Strategy::RestForOne, &journal, |child| child.backoff(constant(wait))).await;
    let before = Instant::now();
    b.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "b", Status::BackingOff).await;
    until_status(&tree, "c", Status::BackingOff).await;
    assert_eq!(journal.lines(), ["gone b", "stopping c", "gone c"]);
    assert_eq!(c.try_send(ProbeMessage::Note("lost")), Err(SendError::Restarting));
    until_restarted(&tree, "c", 1).await;
    assert_eq!(before.elapsed(), wait);
    assert_eq!(journal.lines()[3..], ["start b", "start c"]);
    assert_eq!((ask(&a).await, ask(&b).await, ask(&c).await), (1, 2, 2));
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_waits_for_a_busy_sibling_and_ends_it_by_force() {
    let journal = Journal::default();
    let limit = Shutdown::Timeout(Duration::from_secs(4));
    let (tree, [a, b, _]) = trio(Strategy::OneForAll, &journal, |child| child.shutdown(limit)).await;
    a.try_send(ProbeMessage::Hang).unwrap();
    let before = Instant::now();
    b.try_send(ProbeMessage::Fail).unwrap();
    until_restarted(&tree, "c", 1).await;
    assert_eq!(before.elapsed().as_secs(), 4);
    let expected = ["gone b", "stopping c", "gone c", "gone a", "start a", "start b", "start c"];
    assert_eq!(journal.lines(), expected);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn two_that_fail_together_are_one_restart() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForAll).intensity(1, LONG);
    let (a, a_spec) = probe("a", &journal);
    let (b, b_spec) = probe("b", &journal);
    let tree = Tree::start(spec.child(a_spec).child(b_spec)).await.unwrap();
    a.try_send(ProbeMessage::Fail).unwrap();
    b.try_send(ProbeMessage::Panic).unwrap();
    until(&tree, |root| {
        ["a", "b"].iter().all(|path| at(root, path).restarts == 1 && at(root, path).status == Status::Running)
    })
    .await;
    assert_eq!((ask(&a).await, ask(&b).await), (2, 2));
    assert_eq!(journal.count("start a") + journal.count("start b"), 4);
    tree.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads_no_two_incarnations_overlap_and_calm_returns() {
    let journal = Journal::default();
    let mut spec = SupervisorSpec::new("root", Strategy::OneForAll).intensity(10_000, LONG);
    let mut addresses = Vec::new();
    for id in ["a", "b", "c"] {
        let (address, child) = probe(id, &journal);
        addresses.push(address);
        spec = spec.child(child);
    }
    let tree = Tree::start(spec).await.unwrap();
    for round in 0..300 {
        let trouble = [ProbeMessage::Fail, ProbeMessage::Panic, ProbeMessage::Kill, ProbeMessage::Stop];
        let trouble = trouble.into_iter().nth(round % 4).unwrap();
        addresses[round % 3].send_timeout(trouble, LONG).await.unwrap();
    }
    // One that is stopped holds all others down, so this is the moment at which all trouble is over.
    tree.stop("a").await.unwrap();
    until(&tree, |root| root.children.iter().all(|child| child.status == Status::Stopped)).await;
    tree.start_child("a").await.unwrap();
    until_status(&tree, "c", Status::Running).await;
    for address in &addresses {
        ask(address).await;
    }
    tree.shutdown(LONG).await;
    for id in ["a", "b", "c"] {
        let (start, gone) = (format!("start {id}"), format!("gone {id}"));
        let lives: Vec<_> =
            journal.lines().into_iter().filter(|line| *line == start || *line == gone).collect();
        assert!(lives.chunks(2).all(|life| life == [start.clone(), gone.clone()]), "{lives:?}");
    }
}

/// An actor whose first incarnation takes its time to go.
struct Sticky {
    journal: Journal,
    release: Option<std::sync::mpsc::Receiver<()>>,
}

impl Actor for Sticky {
    type Message = ();

    async fn handle(&mut self, (): ()) -> Result<(), ActorError> {
        Err("told to fail".into())
    }
}

impl Drop for Sticky {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            // Lets the runtime know that this thread is blocked, or what it had next in hand would wait too.
            tokio::task::block_in_place(|| release.recv()).unwrap();
            self.journal.note("gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incarnation_starts_only_when_the_one_before_has_been_dropped() {
    let (let_go, release) = std::sync::mpsc::channel();
    let (release, journal) = (Mutex::new(Some(release)), Journal::default());
    let notes = journal.clone();
    let (address, child) = ChildSpec::worker("sticky", move |_: Context<()>| {
        let (journal, release) = (notes.clone(), release.lock().unwrap().take());
        journal.note("start");
        async move { Ok(Sticky { journal, release }) }
    });
    let tree = Tree::start(one(child.backoff(Backoff::NONE))).await.unwrap();
    address.try_send(()).unwrap();
    until_status(&tree, "sticky", Status::Starting).await;
    assert_eq!(journal.lines(), ["start"]);
    let_go.send(()).unwrap();
    until_restarted(&tree, "sticky", 1).await;
    assert_eq!(journal.lines(), ["start", "gone", "start"]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_week_of_backoff_passes_in_no_time() {
    let journal = Journal::default();
    let hour = Duration::from_secs(3_600);
    let backoff = Backoff { base: hour, factor: 2.0, cap: 24 * hour, jitter: 0.0, reset_after: 1_000 * hour };
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(one(child.backoff(backoff))).await.unwrap();
    let before = Instant::now();
    for restarts in 1..=11 {
        address.try_send(ProbeMessage::Fail).unwrap();
        until_restarted(&tree, "a", restarts).await;
    }
    let hours = [1u32, 2, 4, 8, 16, 24, 24, 24, 24, 24, 24].iter().sum::<u32>();
    assert!(hours > 7 * 24);
    assert_eq!(before.elapsed(), hours * hour);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_stayed_up_long_enough_begins_its_backoff_anew() {
    let journal = Journal::default();
    let second = Duration::from_secs(1);
    let backoff = Backoff { base: second, factor: 10.0, cap: LONG, jitter: 0.0, reset_after: 100 * second };
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(one(child.backoff(backoff))).await.unwrap();
    let mut waits = Vec::new();
    for (restarts, up_s) in (1..).zip([0, 0, 100]) {
        tokio::time::advance(up_s * second).await;
        let before = Instant::now();
        address.try_send(ProbeMessage::Fail).unwrap();
        until_restarted(&tree, "a", restarts).await;
        waits.push(before.elapsed().as_secs());
    }
    assert_eq!(waits, [1, 10, 1]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_significant_child_ends_its_supervisor() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(a_spec.restart(Restart::Transient).significant(true))
        .child(probe("b", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    a.try_send(ProbeMessage::Stop).unwrap();
    assert_eq!(tree.ended().await, Ended::Closed);
    assert_eq!(journal.count("stopping b"), 1);
}
