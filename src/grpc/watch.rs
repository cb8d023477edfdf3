//! Watching: changes in the order in which they were committed, resumable after each, whatever it is that changes.
//!
//! **Owns** how a cursor is written: the store's own name and a place in its stream of changes; the cursor itself is the
//! caller's. **Fails** with `CURSOR_OF_ANOTHER_STORE` when that name is not this store's, for a place means nothing
//! elsewhere; with the store's trouble, after which the caller goes on from its last cursor.
//! **Limits**: a seat held inside the stream; 256 changes a message; a slow reader holds back only itself.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::gate::Gate;
use super::seats::StreamSeat;
use super::status::ApiError;
use crate::caller;
use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::store::boleto_watch::ChangeCursor;
use crate::store::{Store, StoreError};

/// The stream that a watcher gets.
pub(super) type Answers<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

const CHANGES_MAX: i64 = 256;
/// Messages that wait for a slow reader; the next is read from the store when one has gone.
const BUFFERED: usize = 4;

/// What is watched.
pub(super) trait Watched: Send + Sync + 'static {
    type Change: Send + Sync;
    type Answer: Send + 'static;

    /// The end of its stream of changes as it stands.
    fn head(store: &Store) -> impl Future<Output = Result<ChangeCursor, StoreError>> + Send;

    /// Changes after a place, oldest first.
    fn after(
        &self,
        store: &Store,
        tenant: &TenantId,
        place: ChangeCursor,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<Self::Change>, StoreError>> + Send;

    /// Says that this process has changed one.
    fn changes(house: &House) -> watch::Receiver<u64>;

    /// Where a change stands.
    fn place(change: &Self::Change) -> ChangeCursor;

    /// An answer with these changes, each with its cursor, and where to go on.
    fn answer(changes: Vec<(Self::Change, String)>, cursor: String) -> Self::Answer;
}

/// Where a watch begins.
#[derive(Debug, PartialEq, Eq)]
enum Start<'a> {
    Now,
    TheBeginning,
    After { store_id: &'a str, place: ChangeCursor },
}

impl<'a> Start<'a> {
    /// What a caller's cursor says; none for text that is no cursor.
    fn read(text: &'a str) -> Option<Self> {
        match text {
            "" => return Some(Self::Now),
            "0" => return Some(Self::TheBeginning),
            _ => {}
        }
        let (store_id, place) = text.split_once('-')?;
        let (transaction_id, seq) = place.split_once('-')?;
        let place = ChangeCursor { transaction_id: transaction_id.parse().ok()?, seq: seq.parse().ok()? };
        (!store_id.is_empty()).then_some(Self::After { store_id, place })
    }
}

pub(super) fn cursor_text(store_id: &str, place: ChangeCursor) -> String {
    format!("{store_id}-{}-{}", place.transaction_id, place.seq)
}

/// Opens a watch from a caller's cursor on. `violations` are what is wrong with the rest of the request.
pub(super) async fn open<W: Watched>(
    gate: &Gate,
    watched: W,
    cursor: &str,
    mut violations: Vec<Violation>,
    seat: StreamSeat,
) -> Result<Answers<W::Answer>, ApiError> {
    let house = gate.house()?;
    let from = Start::read(cursor);
    if from.is_none() {
        violations.push(Violation::new("cursor", "is not one of this stream's"));
    }
    let Some(from) = from.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let place = match from {
        Start::Now => W::head(&house.store).await?,
        Start::TheBeginning => ChangeCursor::default(),
        Start::After { store_id, place } if store_id == house.store.store_id() => place,
        Start::After { .. } => return Err(ApiError::CursorOfAnotherStore),
    };
    let (sender, receiver) = mpsc::channel(BUFFERED);
    caller::spawn(follow(gate.clone(), gate.tenant()?, watched, place, sender));
    let stream = ReceiverStream::new(receiver).map(move |answer| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        answer
    });
    Ok(Box::pin(stream))
}

async fn follow<W: Watched>(
    gate: Gate,
    tenant: TenantId,
    watched: W,
    mut place: ChangeCursor,
    sender: mpsc::Sender<Result<W::Answer, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let text = |place| cursor_text(house.store.store_id(), place);
    let mut changes = W::changes(house);
    // The first answer says from where the watch goes on, before anything has changed.
    let mut says_where = true;
    loop {
        let found = match watched.after(&house.store, &tenant, place, CHANGES_MAX).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        place = found.last().map_or(place, W::place);
        let is_at_the_end = found.is_empty();
        if says_where || !is_at_the_end {
            let found = found.into_iter().map(|change| {
                let cursor = text(W::place(&change));
                (change, cursor)
            });
            if sender.send(Ok(W::answer(found.collect(), text(place)))).await.is_err() {
                return;
            }
            says_where = false;
        }
        if is_at_the_end {
            if gate.readiness().is_draining() {
                let _ = sender.send(Err(ApiError::Draining.into())).await;
                return;
            }
            tokio::select! {
                () = sender.closed() => return,
                _ = tokio::time::timeout(gate.limits().watch_poll, changes.changed()) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_with_its_store() {
        let place = ChangeCursor { transaction_id: 42, seq: 7 };
        let text = cursor_text("5f3e", place);
        assert_eq!(Start::read(&text), Some(Start::After { store_id: "5f3e", place }));
        assert_eq!(Start::read(""), Some(Start::Now));
        assert_eq!(Start::read("0"), Some(Start::TheBeginning));
    }

    #[test]
    fn what_is_no_cursor_is_told_from_what_is() {
        // The third has no store: it could be anybody's.
        for text in ["nonsense", "5f3e-42", "42-7", "-42-7", "5f3e-x-7", "5f3e-42-7-9"] {
            assert_eq!(Start::read(text), None, "{text}");
        }
    }
}
