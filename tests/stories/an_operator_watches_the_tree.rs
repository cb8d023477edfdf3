//! An operator keeps the tree in sight: a picture at once, another whenever something has changed, until the house closes.

use bursar::proto::control::v1::{Node, NodeStatus, WatchTreeRequest, WatchTreeResponse};
use tonic::{Code, Status, Streaming};

use crate::support::house::{House, Operator, PATIENCE, Refusal as _, eventually};

const NOTIFIER: &str = "house/workers/notifiers/sqs";

async fn watches(operator: &Operator) -> Result<Streaming<WatchTreeResponse>, Status> {
    Ok(operator.control.clone().watch_tree(WatchTreeRequest {}).await?.into_inner())
}

async fn next(stream: &mut Streaming<WatchTreeResponse>) -> Result<Node, Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("news in time")?;
    Ok(message.expect("no end without a word").root.expect("a root"))
}

fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    if node.path == path {
        return Some(node);
    }
    node.children.iter().find_map(|child| find(child, path))
}

/// Reads on until the actor has this status in the picture.
async fn sees(stream: &mut Streaming<WatchTreeResponse>, path: &str, status: NodeStatus) {
    loop {
        let root = next(stream).await.expect("a picture");
        if find(&root, path).expect("the actor").status() == status {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_seen_until_the_house_closes() {
    let house = House::new().open().await;
    let operator = house.operator();
    let mut stream = watches(&operator).await.expect("a stream");
    let first = next(&mut stream).await.expect("a picture at once");
    assert_eq!(find(&first, NOTIFIER).expect("the notifier").status(), NodeStatus::Running);
    assert_eq!((first.path.as_str(), first.children.len()), ("root", 3));

    operator.stops(NOTIFIER).await.expect("a stopped actor");
    sees(&mut stream, NOTIFIER, NodeStatus::Stopped).await;
    operator.starts(NOTIFIER).await.expect("a started actor");
    sees(&mut stream, NOTIFIER, NodeStatus::Running).await;

    let closing = house.closing();
    sees(&mut stream, "house", NodeStatus::Stopped).await;
    let ended = loop {
        if let Err(status) = next(&mut stream).await {
            break status;
        }
    };
    assert_eq!((ended.code(), ended.reason().as_str()), (Code::Unavailable, "DRAINING"));
    closing.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_at_once_are_few_pictures() {
    let house = House::new().open().await;
    let operator = house.operator();
    let mut stream = watches(&operator).await.expect("a stream");
    next(&mut stream).await.expect("a picture at once");
    const RESTARTS: usize = 40;
    let before = operator.actor(NOTIFIER).await.restarts;
    let last = before + i64::try_from(RESTARTS).expect("a small number");
    let restarting = tokio::spawn({
        let operator = operator.clone();
        async move {
            for _ in 0..RESTARTS {
                operator.restarts(NOTIFIER).await.expect("a restarted actor");
            }
        }
    });
    // The time of the pictures is the server's own affair; that none is like the one before shows that none is in vain.
    let mut pictures = Vec::new();
    loop {
        let root = next(&mut stream).await.expect("a picture");
        let node = find(&root, NOTIFIER).expect("the notifier").clone();
        let done = node.restarts == last && node.status() == NodeStatus::Running;
        pictures.push(node);
        if done {
            break;
        }
    }
    restarting.await.expect("no panic");
    // Each restart changes the status three times at least: stopping, starting, running.
    assert!(pictures.len() < 3 * RESTARTS, "{} pictures of {RESTARTS} restarts", pictures.len());
    drop(stream);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_too_often_is_told_to_wait() {
    let house =
        House::new().with("api.streams_max", "1").with("api.streams_per_caller_max", "1").open().await;
    let operator = house.operator();
    let stream = watches(&operator).await.expect("a stream");
    let refused = watches(&operator).await.expect_err("one is open");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::ResourceExhausted, "TOO_MANY_STREAMS"));
    drop(stream);
    let again = eventually("a place is free again", async || watches(&operator).await.ok()).await;
    drop(again);
    house.close().await;
}
