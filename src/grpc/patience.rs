//! How much one connection may ask of the house at a time, and how long it may keep the house waiting for a message.
//!
//! A call counts from its first header until its answer has left, so that neither messages that never come nor answers that
//! nobody reads pile up; other connections keep their seats meanwhile.
//!
//! **Owns** nothing. **Fails** a call past its connection's share with `RESOURCE_EXHAUSTED`, and one whose message is not there in time
//! with `DEADLINE_EXCEEDED`. **Limits**: `api.calls_per_connection_max`, `api.message_timeout`.

use std::pin::Pin;
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
use super::seats::{ApiSeats, Peer};
use super::status::ApiError;
use crate::seats::Seat;

/// What connections have under way, and how long they may take to say it; clones are the same.
#[derive(Clone)]
pub struct Patience {
    message_timeout: Duration,
    seats: ApiSeats,
}

impl Patience {
    pub fn new(config: &ApiConfig, seats: &ApiSeats) -> Self {
        Self { message_timeout: config.message_timeout, seats: seats.clone() }
    }
}

/// Runs one call.
pub async fn bear(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let Some(seat) = patience.seats.own_call(connection) else {
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
    next.run(request).await.map(|body| Body::new(Seated { body, _seat: seat }))
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

/// An answer that holds the seat of its call until it has left or nobody wants it any more.
struct Seated {
    body: Body,
    _seat: Seat<Peer>,
}

impl HttpBody for Seated {
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
    use std::net::SocketAddr;

    use super::*;
    use crate::config::Config;

    #[test]
    fn an_answer_holds_its_seat_until_it_has_left() {
        let seats = ApiSeats::new(&ApiConfig { calls_per_connection_max: 2, ..Config::default().api });
        let greedy = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
        let first = seats.own_call(greedy).expect("a seat");
        let _second = seats.own_call(greedy).expect("another");
        let answer = Seated { body: Body::empty(), _seat: first };
        assert!(answer.is_end_stream() && seats.own_call(greedy).is_none());
        assert!(seats.own_call(None).is_some(), "others have seats of their own");
        drop(answer);
        assert!(seats.own_call(greedy).is_some());
    }
}
