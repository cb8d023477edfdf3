//! The steps of one transfer, as they happen: changes of its state, answers with an outcome, waits, and at last its end.
//!
//! The store is looked at whenever this process has changed a transfer, and every `limits.watch_poll` for what others do.
//!
//! **Owns** what it has told. **Fails** with the store's trouble and while draining; the transfer goes on without its follower.
//! **Limits**: a seat held inside the stream; two looks are [`APART`] at least; a slow reader holds back only itself.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::convert;
use crate::caller;
use crate::domain::ids::{TenantId, TransferId};
use crate::grpc::convert::timestamp;
use crate::grpc::gate::Gate;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::grpc::watch::cursor_text;
use crate::messages::House;
use crate::proto::transfer::v1 as proto;
use crate::proto::transfer::v1::process_transfer_response::{Step, Wait};
use crate::store::Store;
use crate::store::transfer_list::{TransferAttempt, TransferSeen};

/// The stream that whoever asked gets.
pub(super) type Steps = Pin<Box<dyn Stream<Item = Result<proto::ProcessTransferResponse, Status>> + Send>>;

/// Between two looks at least: with many answers a second nobody reads faster.
const APART: Duration = Duration::from_millis(50);
/// Steps that wait for a slow reader.
const BUFFERED: usize = 16;

/// Follows a transfer from behind a version on.
pub(super) fn follow(gate: &Gate, id: TransferId, version: i64, seat: StreamSeat) -> Result<Steps, ApiError> {
    let (sender, receiver) = mpsc::channel(BUFFERED);
    let follower = Follower { tenant: gate.tenant()?, id, version, answers: BTreeMap::new(), waited: None };
    caller::spawn(tell(gate.clone(), follower, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

/// The one step of a transfer that has ended.
pub(super) fn ended(seen: &TransferSeen) -> Steps {
    let end = Step::End(convert::with_result(seen));
    Box::pin(tokio_stream::once(Ok(proto::ProcessTransferResponse { step: Some(end) })))
}

async fn tell(
    gate: Gate,
    mut follower: Follower,
    sender: mpsc::Sender<Result<proto::ProcessTransferResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let mut changes = house.transfers.changes.subscribe();
    loop {
        let not_before = Instant::now() + APART;
        // What has changed up to here is seen by this look.
        changes.mark_unchanged();
        let steps = match follower.look(house).await {
            Ok(steps) => steps,
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        };
        let is_quiet = steps.is_empty();
        for step in steps {
            let is_end = matches!(step, Step::End(_));
            let message = proto::ProcessTransferResponse { step: Some(step) };
            if sender.send(Ok(message)).await.is_err() || is_end {
                return;
            }
        }
        if is_quiet && gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            _ = tokio::time::timeout(gate.limits().watch_poll, changes.changed()) => {}
        }
        tokio::time::sleep_until(not_before).await;
    }
}

/// What has been told of a transfer.
struct Follower {
    tenant: TenantId,
    id: TransferId,
    /// Of the last change.
    version: i64,
    /// The outcomes, by run and position: one that was given up may be followed by another.
    answers: BTreeMap<(u32, u32), &'static str>,
    /// The last wait, by its attempt and its end.
    waited: Option<(i64, DateTime<Utc>)>,
}

impl Follower {
    /// What is new, in the order in which it happened.
    async fn look(&mut self, house: &House) -> Result<Vec<Step>, ApiError> {
        let store = &house.store;
        let seen = store.transfer(&self.tenant, self.id).await?.ok_or(ApiError::NotFound("TRANSFER"))?;
        // In this order: a change that is read here has no answer before it that is not there yet.
        let mut steps = self.changes(store, &seen).await?;
        steps.extend(self.new_answers(store, &seen).await?);
        steps.sort_by_key(|(at, place, _)| (*at, *place));
        let mut steps: Vec<Step> = steps.into_iter().map(|(_, _, step)| step).collect();
        if seen.transfer.state.is_open() {
            let attempt = store.transfer_attempt(&self.tenant, self.id).await?;
            steps.extend(self.wait(attempt));
        } else {
            steps.push(Step::End(convert::with_result(&seen)));
        }
        Ok(steps)
    }

    async fn changes(&mut self, store: &Store, seen: &TransferSeen) -> Result<Vec<Dated>, ApiError> {
        if seen.transfer.version <= self.version {
            return Ok(Vec::new());
        }
        let changes = store.transfer_changes_of(&self.tenant, self.id).await?;
        let new = changes.iter().filter(|change| change.version > self.version);
        let steps = new.map(|change| {
            let cursor = cursor_text(store.store_id(), change.cursor);
            (change.occurred_at, Place::Change(change.version), Step::Change(convert::change(change, cursor)))
        });
        let steps = steps.collect();
        self.version = changes.last().map_or(self.version, |change| change.version.max(self.version));
        Ok(steps)
    }

    async fn new_answers(&mut self, store: &Store, seen: &TransferSeen) -> Result<Vec<Dated>, ApiError> {
        let run = seen.transfer.run;
        if run == 0 || seen.answered == 0 {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for answer in store.answers(&self.tenant, self.id, run).await? {
            let outcome = answer.outcome.name();
            if self.answers.insert((run, answer.position), outcome) != Some(outcome) {
                let place = Place::Answer(answer.position);
                steps.push((answer.ended_at, place, Step::Answer(convert::answer(&answer))));
            }
        }
        Ok(steps)
    }

    fn wait(&mut self, attempt: TransferAttempt) -> Option<Step> {
        let (reason, next_at) = (attempt.last_error?, attempt.next_at?);
        let wait = (attempt.attempt, next_at);
        if self.waited.replace(wait) == Some(wait) {
            return None;
        }
        Some(Step::Wait(Wait {
            reason,
            next_attempt_time: Some(timestamp(next_at)),
            attempt: i32::try_from(attempt.attempt).unwrap_or(i32::MAX),
        }))
    }
}

/// A step, when it happened, and where it goes among those of the same moment.
type Dated = (DateTime<Utc>, Place, Step);

/// The last answer and the change that it led to may have one time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Answer(u32),
    Change(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower() -> Follower {
        let (tenant, id) = (TenantId::default(), TransferId(uuid::Uuid::nil()));
        Follower { tenant, id, version: 0, answers: BTreeMap::new(), waited: None }
    }

    #[test]
    fn a_wait_is_told_once_and_the_next_one_again() {
        let mut follower = follower();
        let at = Utc::now();
        let waits = |attempt, error: Option<&str>, next_at| TransferAttempt {
            last_error: error.map(str::to_owned),
            attempt,
            next_at,
        };
        assert_eq!(follower.wait(waits(0, None, Some(at))), None, "nothing went wrong yet");
        assert_eq!(follower.wait(waits(1, Some("away"), None)), None, "it is being worked on");
        let told = follower.wait(waits(1, Some("away"), Some(at)));
        assert!(matches!(told, Some(Step::Wait(wait)) if wait.reason == "away" && wait.attempt == 1));
        assert_eq!(follower.wait(waits(1, Some("away"), Some(at))), None);
        assert!(follower.wait(waits(1, Some("away"), Some(at + Duration::from_secs(1)))).is_some());
        assert!(follower.wait(waits(2, Some("away"), Some(at))).is_some());
    }

    #[test]
    fn of_one_moment_the_answer_goes_before_the_change_that_it_led_to() {
        assert!(Place::Answer(7) < Place::Change(1));
        assert!(Place::Change(1) < Place::Change(2));
    }
}
