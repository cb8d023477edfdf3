//! `WatchBoletos`: changes in the order in which they were committed, resumable after each.
//!
//! **Owns** how a cursor is written: the store's own name and a place in its stream of changes; the cursor itself is the
//! caller's. **Fails** with `CURSOR_OF_ANOTHER_STORE` when that name is not this store's, for a place means nothing
//! elsewhere; with the store's trouble, after which the caller goes on from its
//! last cursor. **Limits**: a permit held inside the stream; 256 changes a message; a slow reader holds back only itself.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use super::streams::StreamPermit;
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_watch::ChangeCursor;

/// The stream that a watcher gets.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<proto::WatchBoletosResponse, Status>> + Send>>;

const CHANGES_MAX: i64 = 256;
/// Messages that wait for a slow reader; the next is read from the store when one has gone.
const BUFFERED: usize = 4;

/// Where a watch begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    Now,
    TheBeginning,
    After { store_id: &'a str, place: ChangeCursor },
}

impl<'a> Start<'a> {
    /// What a caller's cursor says; none for text that is no cursor.
    pub(super) fn read(text: &'a str) -> Option<Self> {
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

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchBoletosRequest,
    permit: StreamPermit,
) -> Result<Changes, ApiError> {
    let house = gate.house()?;
    let mut violations = Vec::new();
    let boleto = request::optional_id("boleto_id", &request.boleto_id, &mut violations);
    let from = Start::read(&request.cursor);
    if from.is_none() {
        violations.push(Violation::new("cursor", "is not one of this stream's"));
    }
    let Some(from) = from.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let cursor = match from {
        Start::Now => house.store.change_head().await?,
        Start::TheBeginning => ChangeCursor::default(),
        Start::After { store_id, place } if store_id == house.store.store_id() => place,
        Start::After { .. } => return Err(ApiError::CursorOfAnotherStore),
    };
    let (sender, receiver) = mpsc::channel(BUFFERED);
    tokio::spawn(follow(gate.clone(), boleto, cursor, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The permit lives as long as the stream does.
        let _ = &permit;
        message
    });
    Ok(Box::pin(stream))
}

async fn follow(
    gate: Gate,
    boleto: Option<BoletoId>,
    mut cursor: ChangeCursor,
    sender: mpsc::Sender<Result<proto::WatchBoletosResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let tenant = gate.tenant();
    let text = |place| cursor_text(house.store.store_id(), place);
    let mut changes = house.changes.subscribe();
    // The first message says from where the watch goes on, before anything has changed.
    let mut says_where = true;
    loop {
        let found = match house.store.changes_after(&tenant, boleto, cursor, CHANGES_MAX).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        cursor = found.last().map_or(cursor, |change| change.cursor);
        if says_where || !found.is_empty() {
            let message = proto::WatchBoletosResponse {
                changes: found
                    .iter()
                    .map(|change| convert::change_to_proto(change, text(change.cursor)))
                    .collect(),
                cursor: text(cursor),
            };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
            says_where = false;
        }
        if found.is_empty() {
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
