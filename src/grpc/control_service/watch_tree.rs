//! `WatchTree`: the tree at once, and again at each change.
//!
//! **Owns** nothing. **Fails** as draining when the server itself is about to stop, after the last picture of the tree.
//! **Limits**: a seat held inside the stream; changes within 100 ms of the last message become one; a slow reader holds
//! back only itself, and what it missed is in the next picture.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::caller;
use crate::grpc::convert::tree as convert;
use crate::grpc::gate::Gate;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::supervision::{self, Node, Tree};

/// The stream that a watcher gets.
pub(super) type Snapshots = Pin<Box<dyn Stream<Item = Result<proto::WatchTreeResponse, Status>> + Send>>;

type Sender = mpsc::Sender<Result<proto::WatchTreeResponse, Status>>;

/// Between two messages at least.
const APART: Duration = Duration::from_millis(100);
/// One message waits for a slow reader; the next picture is taken when it has gone.
const BUFFERED: usize = 1;
/// The server's own place in the tree; it is the last to stop.
const SERVER: &str = "api";

pub(super) fn watch(gate: &Gate, seat: StreamSeat) -> Result<Snapshots, ApiError> {
    let (sender, receiver) = mpsc::channel(BUFFERED);
    caller::spawn(follow(gate.tree()?.clone(), sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

async fn follow(tree: Tree, sender: Sender) {
    let mut changes = tree.changes();
    loop {
        // What has changed up to here is in the picture; what changes from here on is heard of.
        changes.mark_unchanged();
        let snapshot = tree.snapshot();
        let message = proto::WatchTreeResponse { root: Some(convert::to_proto(&snapshot)) };
        if sender.send(Ok(message)).await.is_err() {
            return;
        }
        if server_is_stopping(&snapshot) {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        let not_before = Instant::now() + APART;
        tokio::select! {
            () = sender.closed() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep_until(not_before).await;
    }
}

fn server_is_stopping(root: &Node) -> bool {
    use supervision::Status::{Melted, Stopped, Stopping};
    root.find(SERVER).is_some_and(|server| matches!(server.status, Stopping | Stopped | Melted))
}
