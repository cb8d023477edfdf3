//! What answers tell of persons: masked for those who may not read it, written down for those who may.
//!
//! Both happen here, behind all handlers, because here it is known who asks and what the protocol says of the method: no handler has to
//! think of it, clients and what runs in the same process are not concerned, and an answer that tells nothing of anybody is passed on
//! untouched. Where everybody may do everything nobody is known, so that a record would name nobody; nothing is written down there.
//!
//! **Owns** nothing. **Fails** closed: an answer that cannot be read or written down is handed to nobody. **Limits**: of one answer
//! [`IDS_MAX`] ids are written down, with the number of all.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use serde_json::{Value, json};
use tonic::Status;

use super::request;
use super::status::ApiError;
use crate::access::personal::Shape;
use crate::access::policy::Policy;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::{Store, StoreError};

const IDS_MAX: usize = 100;
/// The subject of a record about many.
const SEVERAL: &str = "several";
/// Before each message: whether it is compressed, and how long it is (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

/// What a method answers that tells something of persons.
pub(super) struct PersonalAnswer<'a> {
    pub policy: &'a Arc<Policy>,
    /// Of each of its messages.
    pub shape: Shape,
    /// As the audit names it.
    pub method: &'static str,
    pub streams: bool,
}

impl PersonalAnswer<'_> {
    /// The same with persons masked, message by message as it leaves.
    pub fn masked(&self, response: Response) -> Response {
        let (policy, shape) = (self.policy.clone(), self.shape);
        response.map(|body| Body::new(Masked { body, policy, shape, waiting: BytesMut::new() }))
    }

    /// The same once it is written down whom it tells of; at once where it tells of nobody. A stream is written down as it begins.
    pub async fn written_down(&self, store: &Store, response: Response) -> Response {
        // An error is told in the head and tells of nobody.
        if response.headers().contains_key("grpc-status") {
            return response;
        }
        if self.streams {
            return match store.audit_act(self.act(Subject::Named(SEVERAL.to_owned()), Value::Null)).await {
                Ok(()) => response,
                Err(error) => refused(error),
            };
        }
        let (head, body) = response.into_parts();
        let Ok(collected) = body.collect().await else { return broken().into_http() };
        let trailers = collected.trailers().cloned();
        let bytes = collected.to_bytes();
        let told = match whole_message(&bytes).map(|message| self.policy.personal().told(self.shape, message))
        {
            // Without a message it is an error, which its trailers tell.
            None if bytes.is_empty() => Vec::new(),
            Some(Ok(told)) => told.into_iter().collect(),
            None | Some(Err(_)) => return broken().into_http(),
        };
        if let Some((subject, ids)) = of_whom(&told)
            && let Err(error) = store.audit_act(self.act(subject, ids)).await
        {
            return refused(error);
        }
        let body = Full::new(bytes).with_trailers(async move { trailers.map(Ok) });
        Response::from_parts(head, Body::new(body))
    }

    /// That it is read.
    fn act(&self, subject: Subject, after: Value) -> Act {
        Act {
            method: self.method,
            subject,
            reason: String::new(),
            // Reading changes nothing.
            before: Value::Null,
            after,
            now: request::now(),
        }
    }
}

/// One by its id, several by their number, with their ids beside it; nothing where there is nobody.
fn of_whom(told: &[String]) -> Option<(Subject, Value)> {
    match told {
        [] => None,
        [one] => {
            let subject = one.parse().map_or_else(|_| Subject::Named(one.clone()), Subject::Id);
            Some((subject, Value::Null))
        }
        many => {
            let ids = json!({ "read": many.len(), "ids": many.iter().take(IDS_MAX).collect::<Vec<_>>() });
            Some((Subject::Named(SEVERAL.to_owned()), ids))
        }
    }
}

fn refused(error: StoreError) -> Response {
    Status::from(ApiError::Store(error)).into_http()
}

fn broken() -> Status {
    ApiError::Internal("an answer about persons that cannot be read".to_owned()).into()
}

/// The one message that an answer consists of.
fn whole_message(bytes: &[u8]) -> Option<&[u8]> {
    let length = length_of(bytes).ok()??;
    bytes.get(PREFIX_BYTES..).filter(|message| message.len() == length)
}

/// How long the message is that begins here, once that is there.
fn length_of(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    // Nothing of ours compresses; what is compressed could not be looked into.
    if compressed != 0 {
        return Err(broken());
    }
    Ok(Some(u32::from_be_bytes(length) as usize))
}

/// An answer whose messages are masked one by one.
struct Masked {
    body: Body,
    policy: Arc<Policy>,
    shape: Shape,
    /// What has come of a message that is not whole yet.
    waiting: BytesMut,
}

impl Masked {
    /// Whatever messages are whole, masked.
    fn whole(&mut self) -> Result<Bytes, Status> {
        let mut out = BytesMut::new();
        while let Some(length) = length_of(&self.waiting)? {
            if self.waiting.len() < PREFIX_BYTES + length {
                break;
            }
            self.waiting.advance(PREFIX_BYTES);
            let message = self.waiting.split_to(length);
            let message = self.policy.personal().mask(self.shape, &message).map_err(|_| broken())?;
            let length = u32::try_from(message.len()).map_err(|_| broken())?;
            out.reserve(PREFIX_BYTES + message.len());
            out.put_u8(0);
            out.put_u32(length);
            out.put_slice(&message);
        }
        Ok(out.freeze())
    }
}

impl HttpBody for Masked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            self.waiting.extend_from_slice(&data);
            match self.whole() {
                Ok(whole) if whole.is_empty() => {}
                Ok(whole) => return Poll::Ready(Some(Ok(Frame::data(whole)))),
                Err(status) => return Poll::Ready(Some(Err(axum::Error::new(status)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use prost::Message as _;
    use uuid::Uuid;

    use super::*;
    use crate::proto::DESCRIPTOR_SET;
    use crate::proto::boleto::v1::{Boleto, ExportBoletosResponse, Payer};

    fn message(name: &str) -> Vec<u8> {
        let payer = Payer { name: name.to_owned(), ..Payer::default() };
        let boletos = vec![Boleto { payer: Some(payer), ..Boleto::default() }];
        let encoded = ExportBoletosResponse { boletos }.encode_to_vec();
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(encoded.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(&encoded);
        framed
    }

    /// What leaves of an answer that comes in pieces of so many bytes.
    async fn leaves(bytes: &[u8], piece: usize) -> Result<Bytes, axum::Error> {
        let pieces: Vec<Result<Bytes, Infallible>> =
            bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let policy = Arc::new(Policy::of(DESCRIPTOR_SET));
        let shape = policy.rule("/bursar.boleto.v1.BoletoService/ExportBoletos").unwrap().personal.unwrap();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let answer = PersonalAnswer { policy: &policy, shape, method: "ExportBoletos", streams: true };
        answer.masked(Response::new(body)).into_body().collect().await.map(|all| all.to_bytes())
    }

    #[tokio::test]
    async fn messages_are_masked_however_they_are_cut() {
        let bytes = [message("Maria Exemplo"), message("Ana"), vec![0; PREFIX_BYTES]].concat();
        let expected = [message("M*** E***"), message("A***"), vec![0; PREFIX_BYTES]].concat();
        for piece in [1, 2, 7, 64, bytes.len()] {
            assert_eq!(leaves(&bytes, piece).await.unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_looked_into_does_not_leave() {
        let mut compressed = message("Maria Exemplo");
        compressed[0] = 1;
        assert!(leaves(&compressed, compressed.len()).await.is_err());
        assert!(leaves(&[0, 0, 0, 0, 2, 0x0a, 0x05], 7).await.is_err());
    }

    #[test]
    fn one_is_named_by_its_id_and_many_are_counted() {
        let id = Uuid::from_u128(7);
        assert_eq!(of_whom(&[]), None);
        assert_eq!(of_whom(&[id.to_string()]), Some((Subject::Id(id), Value::Null)));
        let many: Vec<String> = (0..150).map(|number| number.to_string()).collect();
        let (subject, ids) = of_whom(&many).unwrap();
        assert_eq!((subject, ids["read"].as_u64()), (Subject::Named(SEVERAL.to_owned()), Some(150)));
        assert_eq!(ids["ids"].as_array().map(Vec::len), Some(IDS_MAX));
    }
}
