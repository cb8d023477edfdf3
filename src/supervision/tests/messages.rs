//! Sending to a worker that is full, away or gone, and what becomes of what was queued.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::support::*;
use crate::supervision::{Address, CallError, ChildSpec, SendError, Status, Strategy, SupervisorSpec, Tree};

const SECOND: Duration = Duration::from_secs(1);

async fn one(child: ChildSpec) -> Tree {
    Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await.unwrap()
}

/// Makes the worker busy and gives the bell that frees it.
async fn occupy(address: &Address<ProbeMessage>) -> Arc<Notify> {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let message = ProbeMessage::Wait { begun: begun.clone(), go_on: go_on.clone() };
    address.try_send(message).unwrap();
    begun.notified().await;
    go_on
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_says_so_and_a_place_is_waited_for() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let tree = one(child.mailbox(2)).await;
    let go_on = occupy(&a).await;
    a.try_send(ProbeMessage::Note("second")).unwrap();
    assert_eq!((a.depth(), a.high_water()), (2, 2));
    assert_eq!(a.try_send(ProbeMessage::Note("x")), Err(SendError::Full));
    assert_eq!(a.send_timeout(ProbeMessage::Note("x"), SECOND).await, Err(SendError::Full));
    let sender = a.clone();
    let third = tokio::spawn(async move { sender.send(ProbeMessage::Note("third")).await });
    tokio::task::yield_now().await;
    go_on.notify_one();
    third.await.unwrap().unwrap();
    ask(&a).await;
    assert_eq!(journal.lines()[1..], ["second", "third"]);
    assert_eq!(a.high_water(), 2);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_behind_a_crash_is_dropped_with_its_places() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let tree = one(child.mailbox(3)).await;
    let go_on = occupy(&a).await;
    a.try_send(ProbeMessage::Fail).unwrap();
    a.try_send(ProbeMessage::Note("lost")).unwrap();
    let sender = a.clone();
    let waiting = tokio::spawn(async move { sender.send(ProbeMessage::Note("lost too")).await });
    let sender = a.clone();
    let patient = tokio::spawn(async move { sender.send_timeout(ProbeMessage::Note("kept"), SECOND).await });
    tokio::task::yield_now().await;
    go_on.notify_one();
    until_restarted(&tree, "a", 1).await;
    // Who waits for a place is told of the crash; who waits for a restart too gets through.
    assert_eq!(waiting.await.unwrap(), Err(SendError::Restarting));
    assert_eq!(patient.await.unwrap(), Ok(()));
    assert_eq!(ask(&a).await, 2);
    assert_eq!(a.depth(), 0);
    assert_eq!(journal.lines(), ["start a", "gone a", "start a", "kept"]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_told_at_once_or_waited_for() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let tree = one(child.backoff(constant(10 * SECOND))).await;
    a.try_send(ProbeMessage::Fail).unwrap();
    until_status(&tree, "a", Status::BackingOff).await;
    assert_eq!(a.try_send(ProbeMessage::Note("x")), Err(SendError::Restarting));
    assert_eq!(a.send(ProbeMessage::Note("x")).await, Err(SendError::Restarting));
    let short = a.send_timeout(ProbeMessage::Note("x"), SECOND).await;
    assert_eq!(short, Err(SendError::Restarting));
    let unsent = a.call(ProbeMessage::Ask, SECOND).await;
    assert_eq!(unsent, Err(CallError::NotSent(SendError::Restarting)));
    assert_eq!(a.send_timeout(ProbeMessage::Note("kept"), 20 * SECOND).await, Ok(()));
    assert_eq!(ask(&a).await, 2);
    assert_eq!(journal.lines(), ["start a", "gone a", "start a", "kept"]);
    tree.shutdown(LONG).await;
    assert_eq!(a.send_timeout(ProbeMessage::Note("x"), LONG).await, Err(SendError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_dropped_or_out_of_time() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let tree = one(child).await;
    assert_eq!(a.call(ProbeMessage::Ask, SECOND).await, Ok(1));
    assert_eq!(a.call(ProbeMessage::Ask, Duration::MAX).await, Ok(1));
    assert_eq!(a.call(ProbeMessage::Drop, SECOND).await, Err(CallError::Dropped));
    let go_on = occupy(&a).await;
    assert_eq!(a.call(ProbeMessage::Ask, SECOND).await, Err(CallError::TimedOut));
    go_on.notify_one();
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_exists_before_its_tree_and_a_start_may_write_to_itself() {
    use crate::supervision::{Actor, ActorError, Context};

    struct Eager(Journal);
    impl Actor for Eager {
        type Message = &'static str;
        async fn handle(&mut self, message: &'static str) -> Result<(), ActorError> {
            self.0.note(message);
            Ok(())
        }
    }
    let journal = Journal::default();
    let notes = journal.clone();
    let (address, child) = ChildSpec::worker("eager", move |context: Context<&'static str>| {
        let notes = notes.clone();
        async move {
            context.myself.try_send("from the start")?;
            Ok(Eager(notes))
        }
    });
    assert_eq!(address.try_send("too early"), Err(SendError::Restarting));
    let tree = one(child).await;
    tree.shutdown(LONG).await;
    assert_eq!(journal.lines(), ["from the start"]);
}
