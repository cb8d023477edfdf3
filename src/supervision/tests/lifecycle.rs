//! Starting in order, rolling back, and stopping in reverse order: drain, stop, kill.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::support::*;
use crate::supervision::{
    Actor, ActorError, ChildSpec, Context, Ended, ExitClass, Kind, OnMeltdown, Shutdown, SpecError, Status,
    Strategy, SupervisorSpec, Tree, TreeError,
};

#[tokio::test(start_paused = true)]
async fn a_tree_starts_in_order_and_stops_in_reverse() {
    let journal = Journal::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(scripted("b", &journal, |_| Start::Slowly(Duration::from_secs(1))).1)
        .child(probe("c", &journal).1);
    let spec = SupervisorSpec::new("root", Strategy::RestForOne)
        .child(probe("a", &journal).1)
        .child(ChildSpec::supervisor(inner))
        .child(probe("d", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    assert_eq!(journal.lines(), ["start a", "start b", "start c", "start d"]);
    let root = tree.snapshot();
    assert_eq!(root.status, Status::Running);
    assert_eq!((at(&root, "inner").kind, at(&root, "inner/c").kind), (Kind::Supervisor, Kind::Worker));
    assert!(
        ["a", "inner", "inner/b", "inner/c", "d"]
            .iter()
            .all(|path| at(&root, path).status == Status::Running)
    );

    journal.clear();
    let report = tree.shutdown(LONG).await;
    assert!(report.in_time && report.overran.is_empty(), "{report:?}");
    let ends = ["d", "c", "b", "a"].map(|id| [format!("stopping {id}"), format!("gone {id}")]);
    assert_eq!(journal.lines(), ends.concat());
    assert_eq!(tree.ended().await, Ended::Closed);
    let root = tree.snapshot();
    assert!(
        ["root", "a", "inner", "inner/b", "d"].iter().all(|path| at(&root, path).status == Status::Stopped)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_rolls_back_what_had_started() {
    let journal = Journal::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForOne)
        .child(probe("b", &journal).1)
        .child(scripted("c", &journal, |_| Start::Badly).1);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(probe("a", &journal).1)
        .child(ChildSpec::supervisor(inner))
        .child(probe("d", &journal).1);
    let error = Tree::start(spec).await.err().unwrap();
    let TreeError::StartFailed { reason } = error else { panic!("{error:?}") };
    assert!(reason.contains("inner/c: told not to start"), "{reason}");
    let expected = ["start a", "start b", "stopping b", "gone b", "stopping a", "gone a"];
    assert_eq!(journal.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_is_given_up_in_time() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(scripted("a", &journal, |_| Start::Never).1.start_timeout(Duration::from_secs(7)));
    let begun = Instant::now();
    let error = Tree::start(spec).await.err().unwrap();
    assert!(error.to_string().contains("not ready within 7s"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_start_function_is_told_with_its_place() {
    let journal = Journal::default();
    let script = |start| if start == 1 { Start::InPanic } else { Start::Well };
    let park = OnMeltdown::Park { retry: constant(Duration::from_secs(9)) };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .on_meltdown(park)
        .child(scripted("a", &journal, script).1.backoff(constant(Duration::from_secs(1))))
        .child(probe("b", &journal).1);
    let tree = Tree::start(spec).await.unwrap();
    assert_eq!(status(&tree, "b"), Status::Running);
    until_restarted(&tree, "a", 1).await;
    let root = tree.snapshot();
    let exit = at(&root, "a").last_exit.as_ref().unwrap();
    assert_eq!((exit.class, exit.reason.as_str()), (ExitClass::StartFailed, "told to panic at the start"));
    assert!(exit.location.as_ref().unwrap().contains("support.rs:"));
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn queued_messages_are_handled_before_the_stop() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let tree = Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await;
    let tree = tree.unwrap();
    address.try_send(ProbeMessage::Note("first")).unwrap();
    address.try_send(ProbeMessage::Note("second")).unwrap();
    tree.shutdown(LONG).await;
    assert_eq!(journal.lines(), ["start a", "first", "second", "stopping a", "gone a"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_jumped_at_half_time_and_a_stuck_worker_killed_at_full_time() {
    let journal = Journal::default();
    let limit = Shutdown::Timeout(Duration::from_secs(10));
    let (stuck, stuck_spec) = probe("stuck", &journal);
    let (slow, slow_spec) = probe("slow", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(stuck_spec.shutdown(limit))
        .child(slow_spec.shutdown(limit));
    let tree = Tree::start(spec).await.unwrap();
    stuck.try_send(ProbeMessage::Hang).unwrap();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    slow.try_send(ProbeMessage::Wait { begun: begun.clone(), go_on: go_on.clone() }).unwrap();
    slow.try_send(ProbeMessage::Note("never handled")).unwrap();
    begun.notified().await;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(6)).await;
        go_on.notify_one();
    });
    let before = Instant::now();
    let report = tree.shutdown(LONG).await;
    assert_eq!(before.elapsed().as_secs(), 6 + 10);
    assert_eq!(report.overran.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["stuck"]);
    assert_eq!(journal.count("stopping slow"), 1);
    assert_eq!(journal.count("stopping stuck"), 0);
    assert_eq!(journal.count("never handled"), 0);
    assert_eq!(at(&tree.snapshot(), "stuck").last_exit.as_ref().unwrap().class, ExitClass::Killed);
}

#[tokio::test(start_paused = true)]
async fn a_brutal_stop_runs_nothing() {
    let journal = Journal::default();
    let child = probe("a", &journal).1.shutdown(Shutdown::Brutal);
    let tree = Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await;
    assert!(tree.unwrap().shutdown(LONG).await.overran.is_empty());
    assert_eq!(journal.count("stopping a"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_past_its_limit_kills_everything() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child.shutdown(Shutdown::Infinity));
    let tree = Tree::start(spec).await.unwrap();
    address.try_send(ProbeMessage::Hang).unwrap();
    let report = tree.shutdown(Duration::from_secs(3)).await;
    assert!(!report.in_time);
    assert_eq!(tree.ended().await, Ended::Killed);
    assert_eq!(status(&tree, "a"), Status::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_start_under_way() {
    let journal = Journal::default();
    let script = |start| if start == 1 { Start::Well } else { Start::Never };
    let (address, child) = scripted("a", &journal, script);
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).child(child.start_timeout(Duration::from_secs(60)));
    let tree = Tree::start(spec).await.unwrap();
    address.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::Starting).await;
    let before = Instant::now();
    assert!(tree.shutdown(LONG).await.in_time);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_tree_whose_starter_gave_up_closes_itself() {
    let journal = Journal::default();
    let gone = Arc::new(Notify::new());
    let notify = gone.clone();
    let (_, child) = ChildSpec::worker("last", move |_: Context<()>| {
        let notify = notify.clone();
        async move { Ok(Last(notify)) }
    });
    let slow = scripted("slow", &journal, |_| Start::Slowly(Duration::from_secs(5))).1;
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child).child(slow);
    assert!(tokio::time::timeout(Duration::from_secs(1), Tree::start(spec)).await.is_err());
    gone.notified().await;
    assert_eq!(journal.lines(), ["start slow", "stopping slow", "gone slow"]);
}

/// Tells when it is stopped.
struct Last(Arc<Notify>);

impl Actor for Last {
    type Message = ();

    async fn handle(&mut self, (): ()) -> Result<(), ActorError> {
        Ok(())
    }

    async fn stopping(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_backoff() {
    let journal = Journal::default();
    let (address, child) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child.backoff(constant(LONG)));
    let tree = Tree::start(spec).await.unwrap();
    address.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::BackingOff).await;
    let before = Instant::now();
    assert!(tree.shutdown(LONG).await.in_time);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(journal.count("start a"), 1);
}

#[tokio::test]
async fn ids_that_cannot_be_names_are_refused() {
    let journal = Journal::default();
    let with = |ids: &[&'static str]| {
        ids.iter().fold(SupervisorSpec::new("root", Strategy::OneForOne), |spec, id| {
            spec.child(probe(id, &journal).1)
        })
    };
    let refused = async |spec| Tree::start(spec).await.err().unwrap();
    let duplicate = |id: &str| TreeError::Spec(SpecError::DuplicateId(id.into()));
    assert_eq!(refused(with(&["a", "a"])).await, duplicate("a"));
    assert_eq!(refused(with(&["root"])).await, duplicate("root"));
    assert_eq!(refused(with(&["a/b"])).await, TreeError::Spec(SpecError::BadId("a/b".into())));
    let crowded = with(&["a", "b"]).children_max(1);
    assert_eq!(refused(crowded).await, TreeError::Spec(SpecError::TooManyChildren("root".into())));
    assert!(journal.lines().is_empty());
}
