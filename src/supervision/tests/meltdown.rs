//! Past the intensity: parked or escalated, and nobody else harmed.

use std::time::Duration;

use tokio::time::Instant;

use super::support::*;
use crate::supervision::{
    Backoff, ChildSpec, Ended, OnMeltdown, SendError, Status, Strategy, SupervisorSpec, Tree,
};

fn park(wait: Duration) -> OnMeltdown {
    OnMeltdown::Park { retry: constant(wait) }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_parked_and_its_siblings_serve() {
    let journal = Journal::default();
    let (a, a_spec) = scripted("a", &journal, |start| match start {
        1 | 4 => Start::Well,
        _ => Start::Badly,
    });
    let (b, b_spec) = probe("b", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(1, Duration::from_secs(60))
        .on_meltdown(park(Duration::from_secs(300)))
        .child(a_spec)
        .child(b_spec);
    let tree = Tree::start(spec).await.unwrap();
    let before = Instant::now();
    a.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::Melted).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(a.try_send(ProbeMessage::Fail), Err(SendError::Restarting));
    assert_eq!(ask(&b).await, 1);
    // The third start fails on the first retry, the fourth goes well on the second.
    until_status(&tree, "a", Status::Running).await;
    assert_eq!(before.elapsed(), Duration::from_secs(600));
    assert_eq!((ask(&a).await, ask(&b).await), (4, 1));
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_child_is_on_probation_until_it_has_stayed_up() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let retry = Backoff { reset_after: Duration::from_secs(50), ..constant(Duration::from_secs(10)) };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(0, Duration::from_secs(1))
        .on_meltdown(OnMeltdown::Park { retry })
        .child(a_spec);
    let tree = Tree::start(spec).await.unwrap();
    for restarts in 1..=2 {
        a.try_send(ProbeMessage::Fail).unwrap();
        until_status(&tree, "a", Status::Melted).await;
        until_restarted(&tree, "a", restarts).await;
    }
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn each_child_of_a_parking_supervisor_has_its_own_count() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let (b, b_spec) = probe("b", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(1, LONG)
        .on_meltdown(park(LONG))
        .child(a_spec)
        .child(b_spec);
    let tree = Tree::start(spec).await.unwrap();
    a.try_send(ProbeMessage::Fail).unwrap();
    b.try_send(ProbeMessage::Fail).unwrap();
    until_restarted(&tree, "a", 1).await;
    until_restarted(&tree, "b", 1).await;
    a.try_send(ProbeMessage::Panic).unwrap();
    until_status(&tree, "a", Status::Melted).await;
    assert_eq!(status(&tree, "b"), Status::Running);
    tree.start_child("a").await.unwrap();
    assert_eq!(ask(&a).await, 3);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn dependants_of_a_parked_child_stay_down_with_it() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::RestForOne)
        .intensity(0, LONG)
        .on_meltdown(park(Duration::from_secs(20)))
        .child(a_spec)
        .child(probe("b", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    a.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::Melted).await;
    until_status(&tree, "b", Status::BackingOff).await;
    until_restarted(&tree, "b", 1).await;
    assert_eq!(journal.lines()[2..], ["gone a", "stopping b", "gone b", "start a", "start b"]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn an_escalation_restarts_the_supervisor_from_above() {
    let journal = Journal::default();
    let (b, b_spec) = probe("b", &journal);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .intensity(0, LONG)
        .child(probe("a", &journal).1)
        .child(b_spec)
        .child(probe("c", &journal).1);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::supervisor(inner).backoff(Backoff::NONE));
    let tree = Tree::start(spec).await.unwrap();
    journal.clear();
    b.try_send(ProbeMessage::Panic).unwrap();
    until_restarted(&tree, "inner", 1).await;
    let expected = ["gone b", "stopping c", "gone c", "stopping a", "gone a"];
    assert_eq!(journal.lines()[..5], expected);
    assert_eq!(journal.lines()[5..], ["start a", "start b", "start c"]);
    let root = tree.snapshot();
    let exit = at(&root, "inner").last_exit.as_ref().unwrap();
    assert_eq!(exit.reason, "too many failures, last of inner/b: told to panic");
    // The address was made before the tree and has outlived the supervisor of its worker.
    assert_eq!(ask(&b).await, 2);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_root_that_can_bear_no_more_says_why() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(2, Duration::from_secs(5))
        .child(a_spec)
        .child(probe("b", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    for restarts in 1..=2 {
        a.try_send(ProbeMessage::Fail).unwrap();
        until_restarted(&tree, "a", restarts).await;
    }
    a.try_send(ProbeMessage::Fail).unwrap();
    let Ended::Melted { reason } = tree.ended().await else { panic!("not melted") };
    assert_eq!(reason, "too many failures, last of a: told to fail");
    assert_eq!(status(&tree, "root"), Status::Melted);
    assert_eq!(journal.count("stopping b"), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_far_apart_are_borne_for_ever() {
    let journal = Journal::default();
    let (a, a_spec) = probe("a", &journal);
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).intensity(1, Duration::from_secs(5)).child(a_spec);
    let tree = Tree::start(spec).await.unwrap();
    for restarts in 1..=20 {
        a.try_send(ProbeMessage::Fail).unwrap();
        until_restarted(&tree, "a", restarts).await;
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    tree.shutdown(LONG).await;
}
