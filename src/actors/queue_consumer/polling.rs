//! The consumer's two conversations with its queue: waiting for messages, and deleting those that are done with.
//!
//! **Owns** nothing. **Fails** never: a queue that is away is reported to its breaker, a message that was not deleted comes
//! again and changes nothing the second time.
//! **Limits**: one receipt under way at a time, for as many messages as there are places free; ten deletions a call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::Means;
use crate::messages::QueueConsumerMessage;
use crate::messages::queue_consumer::QUEUE;
use crate::supervision::Address;
use crate::work::Place;
use crate::work::breaker::Verdict;

const DELETIONS_MAX: usize = 10;

/// Receives for as long as the consumer lives.
pub(super) async fn poll(
    means: Arc<Means>,
    myself: Address<QueueConsumerMessage>,
    mut closing: watch::Receiver<bool>,
) {
    tokio::select! {
        biased;
        // An incarnation that was dropped says the same as one that is closing.
        _ = closing.wait_for(|closing| *closing) => {}
        () = receive_for_ever(&means, &myself) => {}
    }
}

async fn receive_for_ever(means: &Means, myself: &Address<QueueConsumerMessage>) {
    loop {
        let mut places = if may_receive(means).await { take_places(means) } else { Vec::new() };
        if places.is_empty() {
            wait_for_an_opening(means).await;
            continue;
        }
        match means.source.receive(places.len()).await {
            Ok(messages) => {
                means.places.report(QUEUE, Verdict::Answered);
                // Places that no message came for go back at the end of this round.
                let received: Vec<_> =
                    messages.into_iter().map_while(|message| Some((message, places.pop()?))).collect();
                if received.is_empty() && means.config.wait.is_zero() {
                    // A queue that does not wait itself is not to be asked without a pause.
                    tokio::time::sleep(means.poll_interval).await;
                } else if !received.is_empty()
                    && myself.send(QueueConsumerMessage::Received(received)).await.is_err()
                {
                    // This incarnation has ended; what it had received comes again.
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "no messages received");
                means.places.report(QUEUE, Verdict::Failed);
            }
        }
    }
}

/// Whether nobody holds the queue back, and the store is there to take something in.
async fn may_receive(means: &Means) -> bool {
    match means.claimer.store.queue_pauses().await {
        Ok(pauses) => !pauses.iter().any(|pause| pause.covers(QUEUE)),
        Err(_) => false,
    }
}

fn take_places(means: &Means) -> Vec<Place> {
    let place = || means.places.try_take(QUEUE, &means.config.tenant);
    std::iter::from_fn(place).take(means.config.batch as usize).collect()
}

async fn wait_for_an_opening(means: &Means) {
    let look_again = Instant::now() + means.poll_interval.max(Duration::from_millis(1));
    let opening = means.places.next_opening().map_or(look_again, |opening| opening.min(look_again));
    let _ = timeout_at(opening, means.freed.notified()).await;
}

/// Deletes for as long as there may be something to delete.
pub(super) async fn delete(means: Arc<Means>, mut done: mpsc::Receiver<String>) {
    let mut receipts = Vec::with_capacity(DELETIONS_MAX);
    while done.recv_many(&mut receipts, DELETIONS_MAX).await > 0 {
        crate::failpoint::reached("ingress.delete.before");
        for deleted in means.source.delete(&receipts).await {
            if let Err(error) = deleted {
                warn!(%error, "message not deleted: it will come again");
            }
        }
        crate::failpoint::reached("ingress.delete.after");
        receipts.clear();
    }
}
