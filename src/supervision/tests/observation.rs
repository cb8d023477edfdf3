//! What can be seen of a tree from outside, and of a message in a trace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::Status as OtelStatus;
use tokio::sync::Notify;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::support::*;
use crate::supervision::{Status, Strategy, SupervisorSpec, Tree};
use crate::telemetry;

#[tokio::test(start_paused = true)]
async fn a_stuck_worker_is_told_from_a_busy_and_an_idle_one() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(child.stuck_after(Duration::from_secs(30)).mailbox(8));
    let tree = Tree::start(spec).await.unwrap();
    tokio::time::advance(Duration::from_secs(100)).await;
    let root = tree.snapshot();
    let node = at(&root, "a");
    assert_eq!(node.uptime, Some(Duration::from_secs(100)));
    assert_eq!((node.in_flight_for, node.stuck), (None, false));

    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    a.try_send(ProbeMessage::Wait { begun: begun.clone(), go_on: go_on.clone() }).unwrap();
    a.try_send(ProbeMessage::Note("next")).unwrap();
    begun.notified().await;
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(!at(&tree.snapshot(), "a").stuck);
    tokio::time::advance(Duration::from_secs(1)).await;
    let root = tree.snapshot();
    let node = at(&root, "a");
    assert!(node.stuck);
    assert_eq!(node.in_flight_for, Some(Duration::from_secs(31)));
    let mailbox = node.mailbox.unwrap();
    assert_eq!((mailbox.depth, mailbox.high_water, mailbox.capacity), (2, 2, Some(8)));

    go_on.notify_one();
    ask(&a).await;
    assert!(!at(&tree.snapshot(), "a").stuck);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn every_change_of_a_status_is_announced() {
    let journal = Journal::default();
    let second = Duration::from_secs(1);
    // The start takes a moment, because changes that nobody had time to look at between are one.
    let (a, child) = scripted("a", &journal, move |_| Start::Slowly(second));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(child.backoff(constant(Duration::from_secs(1))));
    let tree = Tree::start(spec).await.unwrap();
    let mut changes = tree.changes();
    changes.mark_unchanged();
    a.try_send(ProbeMessage::Fail).unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&Status::Running) {
        changes.changed().await.unwrap();
        seen.push(status(&tree, "a"));
    }
    assert_eq!(seen, [Status::BackingOff, Status::Starting, Status::Running]);
    tree.shutdown(LONG).await;
}

/// A span's name, and its parent's.
type Lineage = (&'static str, Option<&'static str>);

/// Keeps every new span.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Lineage>>>);

impl<S> tracing_subscriber::Layer<S> for Spans
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, context: LayerContext<'_, S>) {
        let parent = attributes.parent().and_then(|id| context.span(id)).map(|span| span.name());
        self.0.lock().unwrap().push((attributes.metadata().name(), parent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_handled_in_a_span_below_its_senders() {
    let journal = Journal::default();
    let (a, child) = probe("a", &journal);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(child);
    let tree = Tree::start(spec).await.unwrap();
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info_span!("sender").in_scope(|| a.try_send(ProbeMessage::Note("x")).unwrap());
    ask(&a).await;
    let seen = spans.0.lock().unwrap().clone();
    let handled = seen.iter().filter(|(name, _)| *name == "actor.handle").collect::<Vec<_>>();
    assert_eq!(handled, [&("actor.handle", Some("sender")), &("actor.handle", None)]);
    tree.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_message_that_ended_an_incarnation_says_how() {
    for (message, kind) in [(ProbeMessage::Fail, "error"), (ProbeMessage::Panic, "panic")] {
        let journal = Journal::default();
        let (a, child) = probe("a", &journal);
        let tree = Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await.unwrap();
        let (subscriber, kept) = telemetry::tests::keeping();
        let _guard = tracing::subscriber::set_default(subscriber);
        a.try_send(message).unwrap();
        until_restarted(&tree, "a", 1).await;
        assert_eq!(kept.span("actor.handle").status, OtelStatus::error(kind));
        tree.shutdown(LONG).await;
    }
}
