//! Restart, stop, start, pause, resume, add and remove, by path.

use std::time::Duration;

use super::support::*;
use crate::supervision::{
    Address, Backoff, ChildSpec, ControlError, OnMeltdown, SendError, SpecError, Status, Strategy,
    SupervisorSpec, Tree,
};

async fn house(journal: &Journal) -> (Tree, Address<ProbeMessage>) {
    let (a, a_spec) = probe("a", journal);
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(a_spec)
        .child(ChildSpec::disabled("off", "not configured"));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::supervisor(inner).backoff(Backoff::NONE));
    (Tree::start(spec).await.unwrap(), a)
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_stopped_started_and_restarted() {
    let journal = Journal::default();
    let (tree, a) = house(&journal).await;
    tree.stop("inner/a").await.unwrap();
    assert_eq!(status(&tree, "inner/a"), Status::Stopped);
    assert_eq!(a.try_send(ProbeMessage::Fail), Err(SendError::Stopped));
    // Stopping and starting twice is no error.
    tree.stop("inner/a").await.unwrap();
    tree.start_child("inner/a").await.unwrap();
    tree.start_child("inner/a").await.unwrap();
    assert_eq!(ask(&a).await, 2);
    tree.restart("inner/a").await.unwrap();
    assert_eq!(ask(&a).await, 3);
    assert_eq!(journal.count("stopping a"), 2);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_operated_on_with_all_below_it() {
    let journal = Journal::default();
    let (tree, a) = house(&journal).await;
    tree.stop("inner").await.unwrap();
    assert_eq!(status(&tree, "inner/a"), Status::Stopped);
    assert_eq!(status(&tree, "inner/off"), Status::Disabled);
    assert_eq!(tree.restart("inner/a").await, Err(ControlError::SupervisorDown));
    tree.start_child("inner").await.unwrap();
    tree.restart("inner").await.unwrap();
    assert_eq!(ask(&a).await, 3);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_said() {
    let journal = Journal::default();
    let (tree, _) = house(&journal).await;
    assert_eq!(tree.stop("inner/x").await, Err(ControlError::NotFound("inner/x".into())));
    assert_eq!(tree.restart("root").await, Err(ControlError::Root));
    let disabled = ControlError::Disabled("not configured".into());
    assert_eq!(tree.start_child("inner/off").await, Err(disabled.clone()));
    assert_eq!(tree.restart("inner/off").await, Err(disabled));
    assert_eq!(tree.stop("inner/off").await, Ok(()));
    let node = tree.snapshot();
    let off = at(&node, "inner/off");
    assert_eq!((off.status, off.disabled_because.as_deref()), (Status::Disabled, Some("not configured")));
    tree.shutdown(LONG).await;
    assert_eq!(tree.restart("inner").await, Err(ControlError::SupervisorDown));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_told_and_goes_on_by_policy() {
    let journal = Journal::default();
    let (_, child) = scripted("a", &journal, |start| match start {
        2 => Start::Badly,
        _ => Start::Well,
    });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    let tree = Tree::start(spec).await.unwrap();
    tree.stop("a").await.unwrap();
    let failed = ControlError::Failed("told not to start".into());
    assert_eq!(tree.start_child("a").await, Err(failed));
    until_status(&tree, "a", Status::Running).await;
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_start_under_way_and_supersedes_it() {
    let journal = Journal::default();
    let (_, child) = scripted("a", &journal, |start| match start {
        1 => Start::Well,
        _ => Start::Never,
    });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    let tree = Tree::start(spec).await.unwrap();
    let other = tree.clone();
    let restart = tokio::spawn(async move { other.restart("a").await });
    until_status(&tree, "a", Status::Starting).await;
    tree.stop("a").await.unwrap();
    assert_eq!(restart.await.unwrap(), Err(ControlError::Superseded));
    assert_eq!(status(&tree, "a"), Status::Stopped);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_child_holds_down_what_depends_on_it() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("root", Strategy::RestForOne)
        .child(probe("a", &journal).1)
        .child(probe("b", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    tree.stop("a").await.unwrap();
    assert_eq!((status(&tree, "a"), status(&tree, "b")), (Status::Stopped, Status::Stopped));
    assert_eq!(journal.lines()[2..], ["stopping b", "gone b", "stopping a", "gone a"]);
    assert_eq!(tree.restart("b").await, Err(ControlError::Held));
    tree.start_child("a").await.unwrap();
    until_restarted(&tree, "b", 1).await;
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_ends_a_backoff_at_once() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .on_meltdown(OnMeltdown::Park { retry: constant(LONG) })
        .child(child.backoff(constant(LONG)));
    let tree = Tree::start(spec).await.unwrap();
    a.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::BackingOff).await;
    let before = tokio::time::Instant::now();
    tree.start_child("a").await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_worker_lets_its_messages_lie() {
    let journal = Journal::default();
    let (tree, a) = house(&journal).await;
    tree.pause("inner").unwrap();
    a.try_send(ProbeMessage::Note("handled")).unwrap();
    let answer = a.call(ProbeMessage::Ask, Duration::from_secs(5)).await;
    assert!(answer.is_err());
    assert!(at(&tree.snapshot(), "inner/a").paused);
    assert_eq!(journal.count("handled"), 0);
    tree.resume("inner").unwrap();
    assert_eq!(ask(&a).await, 1);
    assert_eq!(journal.count("handled"), 1);
    // A stop does not wait for a resume.
    tree.pause("inner/a").unwrap();
    a.try_send(ProbeMessage::Note("drained")).unwrap();
    assert!(tree.shutdown(LONG).await.overran.is_empty());
    assert_eq!(journal.count("drained"), 1);
}

#[tokio::test(start_paused = true)]
async fn children_come_and_go_up_to_the_limit() {
    let journal = Journal::default();
    let pool = SupervisorSpec::new("pool", Strategy::OneForOne).children_max(2);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::supervisor(pool).backoff(Backoff::NONE))
        .child(probe("worker", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    let (a, a_spec) = probe("a", &journal);
    assert_eq!(tree.add("pool", a_spec).await.unwrap().as_str(), "pool/a");
    assert_eq!(a.path().unwrap().as_str(), "pool/a");
    a.try_send(ProbeMessage::Fail).unwrap();
    until_restarted(&tree, "pool/a", 1).await;

    let again = tree.add("pool", probe("a", &journal).1).await;
    assert_eq!(again, Err(SpecError::DuplicateId("a".into()).into()));
    let bad = tree.add("pool", scripted("bad", &journal, |_| Start::Badly).1).await;
    assert_eq!(bad, Err(ControlError::Failed("told not to start".into())));
    assert!(tree.snapshot().find("pool/bad").is_none());
    tree.add("pool", probe("b", &journal).1).await.unwrap();
    let third = tree.add("pool", probe("c", &journal).1).await;
    assert_eq!(third, Err(ControlError::TooMany));
    assert!(matches!(tree.add("worker", probe("x", &journal).1).await, Err(ControlError::NotASupervisor(_))));

    tree.remove("pool/a").await.unwrap();
    assert!(tree.snapshot().find("pool/a").is_none());
    assert_eq!(a.try_send(ProbeMessage::Fail), Err(SendError::Stopped));
    tree.add("pool", probe("c", &journal).1).await.unwrap();
    tree.restart("pool").await.unwrap();
    assert!(at(&tree.snapshot(), "pool").children.is_empty());
    tree.shutdown(LONG).await;
}
