//! How much one connection may ask of the house at a time, and how long it may keep the house waiting for a message.
//!
//! A call counts from its first header until its answer has left, so that neither messages that never come nor answers that
//! nobody reads pile up; other connections keep their places meanwhile.
//!
//! **Owns** the count of each connection. **Fails** a call past it with `RESOURCE_EXHAUSTED`, and one whose message is not
//! there in time with `DEADLINE_EXCEEDED`. **Limits**: `api.calls_per_connection_max`, `api.message_timeout`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::transport::server::TcpConnectInfo;

use super::config::ApiConfig;
use super::status::ApiError;

/// What connections have under way; clones are the same.
#[derive(Clone)]
pub struct Patience {
    calls_max: usize,
    message_timeout: Duration,
    under_way: Arc<Mutex<HashMap<Option<SocketAddr>, usize>>>,
}

/// The place of one call.
struct Place {
    patience: Patience,
    connection: Option<SocketAddr>,
}

impl Patience {
    pub fn new(config: &ApiConfig) -> Self {
        Self {
            calls_max: config.calls_per_connection_max as usize,
            message_timeout: config.message_timeout,
            under_way: Arc::default(),
        }
    }

    fn take(&self, connection: Option<SocketAddr>) -> Option<Place> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let own = under_way.get(&connection).copied().unwrap_or(0);
        if own >= self.calls_max {
            return None;
        }
        under_way.insert(connection, own + 1);
        Some(Place { patience: self.clone(), connection })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.patience.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = under_way.get_mut(&self.connection) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.connection);
            }
        }
    }
}

/// Runs one call.
pub async fn bear(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let Some(place) = patience.take(connection) else {
        return Status::from(ApiError::TooManyRequests).into_http();
    };
    // Reflection asks in a stream, which may stay open between two questions; every call of ours sends one message.
    let request = match request.uri().path().starts_with("/bursar.") {
        true => {
            let limit = patience.message_timeout;
            request.map(|body| Body::new(Awaited { body, limit, deadline: None }))
        }
        false => request,
    };
    next.run(request).await.map(|body| Body::new(Placed { body, _place: place }))
}

/// A message that has to come in time.
struct Awaited {
    body: Body,
    limit: Duration,
    /// From the first moment in which it was not there.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(Status::deadline_exceeded("the message did not come in time").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer that holds the place of its call until it has left or nobody wants it any more.
struct Placed {
    body: Body,
    _place: Place,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_connection_has_its_share_and_an_answer_that_has_left_gives_its_place_back() {
        let patience = Patience::new(&ApiConfig { calls_per_connection_max: 2, ..Config::default().api });
        let greedy = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
        let first = patience.take(greedy).expect("a place");
        let second = patience.take(greedy).expect("another");
        assert!(patience.take(greedy).is_none());
        let other = patience.take(None).expect("others have places of their own");
        let answer = Placed { body: Body::empty(), _place: first };
        assert!(answer.is_end_stream() && patience.take(greedy).is_none(), "held as long as the answer");
        drop((answer, second, other));
        assert!(patience.under_way.lock().unwrap().is_empty(), "nothing is kept of those who have gone");
    }
}
