//! Joins items that arrive at the same time into groups, and runs one group after the other.
//!
//! A lane runs a group when it is idle; what arrives meanwhile is the next group. There is no timer: alone, an item waits
//! for nothing, and under load the groups grow by themselves. A patient lane has its first item wait a moment for others: for
//! items behind which nobody stands still.
//!
//! **Owns** its queue. **Fails** per item; a verb that panics fails its group and no other.
//! **Limits**: `group_max` items a group, four groups waiting; who comes later waits for a place.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::store::StoreError;

type Results<O> = Vec<Result<O, StoreError>>;
type Verb<I, O> = Arc<dyn Fn(Arc<[I]>) -> Pin<Box<dyn Future<Output = Results<O>> + Send>> + Send + Sync>;

struct Waiting<I, O> {
    item: I,
    span: Span,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

/// A lane, or several of the same kind side by side; clones are handles to the same.
pub struct Lane<I, O> {
    entry: mpsc::Sender<Waiting<I, O>>,
}

impl<I, O> Clone for Lane<I, O> {
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone() }
    }
}

impl<I: Send + Sync + 'static, O: Send + 'static> Lane<I, O> {
    /// Opens `width` lanes that share one queue. They end with their last handle.
    pub fn open<F>(
        name: &'static str,
        width: usize,
        group_max: usize,
        verb: impl Fn(Arc<[I]>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Results<O>> + Send + 'static,
    {
        Self::open_patient(name, width, group_max, Duration::ZERO, verb)
    }

    /// The same, where the first item of a group waits so long for others.
    pub fn open_patient<F>(
        name: &'static str,
        width: usize,
        group_max: usize,
        wait: Duration,
        verb: impl Fn(Arc<[I]>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Results<O>> + Send + 'static,
    {
        let (entry, exit) = mpsc::channel(group_max * 4);
        let exit = Arc::new(tokio::sync::Mutex::new(exit));
        let verb: Verb<I, O> = Arc::new(move |group| Box::pin(verb(group)));
        for _ in 0..width {
            tokio::spawn(run(name, exit.clone(), group_max, wait, verb.clone()));
        }
        Self { entry }
    }

    /// Runs one item with whatever else is there.
    ///
    /// # Errors
    /// What the verb says of this item.
    pub async fn run(&self, item: I) -> Result<O, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { item, span: Span::current(), reply };
        if self.entry.send(waiting).await.is_err() {
            return Err(StoreError::Unavailable("the house is closing".to_owned()));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Broken("the group's verb panicked".to_owned())))
    }
}

async fn run<I: Send + Sync + 'static, O: Send + 'static>(
    name: &'static str,
    exit: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting<I, O>>>>,
    group_max: usize,
    wait: Duration,
    verb: Verb<I, O>,
) {
    let mut group = Vec::with_capacity(group_max);
    loop {
        {
            let mut exit = exit.lock().await;
            if exit.recv_many(&mut group, group_max).await == 0 {
                return;
            }
            if !wait.is_zero() && group.len() < group_max {
                tokio::time::sleep(wait).await;
                while group.len() < group_max
                    && let Ok(waiting) = exit.try_recv()
                {
                    group.push(waiting);
                }
            }
        }
        let mut items = Vec::with_capacity(group.len());
        let mut replies = Vec::with_capacity(group.len());
        let span = tracing::info_span!("store.group", verb = name, items = group.len());
        for waiting in group.drain(..) {
            let context = waiting.span.context().span().span_context().clone();
            if context.is_valid() {
                span.add_link(context);
            }
            items.push(waiting.item);
            replies.push(waiting.reply);
        }
        // In a task of its own, so that a panic ends that task and not this lane.
        let results = tokio::spawn(verb(items.into()).instrument(span)).await;
        if let Ok(results) = results {
            for (reply, result) in replies.into_iter().zip(results) {
                // A caller that hung up has its row all the same.
                let _ = reply.send(result);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_arrives_while_a_group_runs_is_the_next_group() {
        let gate = Arc::new(Semaphore::new(0));
        let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let lane = {
            let (gate, sizes) = (gate.clone(), sizes.clone());
            Lane::open("test", 1, 4, move |group: Arc<[u32]>| {
                let (gate, sizes) = (gate.clone(), sizes.clone());
                async move {
                    sizes.lock().expect("no panic holds it").push(group.len());
                    gate.acquire().await.expect("never closed").forget();
                    group.iter().map(|item| Ok(item * 2)).collect()
                }
            })
        };
        let mut callers = tokio::task::JoinSet::new();
        for item in 0..10 {
            let lane = lane.clone();
            callers.spawn(async move { lane.run(item).await.expect("an answer") });
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        let mut answers = callers.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, (0..10).map(|item| item * 2).collect::<Vec<_>>());
        let sizes = sizes.lock().expect("no panic holds it").clone();
        assert_eq!(sizes[0], 1, "the first waits for nobody");
        assert_eq!(sizes.iter().sum::<usize>(), 10);
        assert!(sizes.iter().all(|size| *size <= 4));
        assert!(sizes.len() <= 4, "{sizes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_patient_lane_waits_for_others() {
        let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let lane = {
            let sizes = sizes.clone();
            Lane::open_patient("test", 1, 4, Duration::from_millis(10), move |group: Arc<[u32]>| {
                sizes.lock().expect("no panic holds it").push(group.len());
                async move { group.iter().map(|item| Ok(*item)).collect() }
            })
        };
        let begun = tokio::time::Instant::now();
        let later = async {
            // The lane has taken the first meanwhile.
            tokio::time::advance(Duration::from_millis(5)).await;
            tokio::join!(lane.run(2), lane.run(3))
        };
        let (first, (second, third)) = tokio::join!(lane.run(1), later);
        assert_eq!([first, second, third].map(|answer| answer.expect("an answer")), [1, 2, 3]);
        assert!(begun.elapsed() >= Duration::from_millis(10), "it waited by the clock of the test");
        assert_eq!(lane.run(4).await.expect("an answer"), 4);
        assert_eq!(*sizes.lock().expect("no panic holds it"), [3, 1]);
    }

    #[tokio::test]
    async fn a_panic_fails_its_group_and_no_other() {
        let lane = Lane::open("test", 1, 8, |group: Arc<[u32]>| async move {
            assert!(group[0] != 13, "unlucky");
            group.iter().map(|item| Ok(*item)).collect()
        });
        assert!(matches!(lane.run(13).await, Err(StoreError::Broken(_))));
        assert_eq!(lane.run(7).await.expect("an answer"), 7);
    }
}
