//! From NATS's errors to what the caller does next.
//!
//! **Owns** nothing. **Fails** towards trying again: what is not known to be final is not final.
//!
//! | what happened | what it is |
//! |---|---|
//! | no stream listens to the subject, JetStream is off, a stream that is sealed or another than expected | misconfigured |
//! | sign-in refused, a certificate that is not trusted, a server without TLS, no permission for the subject | misconfigured |
//! | longer than the server, the stream or our own settings let | refused |
//! | the stream is full (`discard: new`), out of storage, the cluster has no leader, any other code | unavailable |
//! | no connection | unavailable |
//! | no acknowledgement in time, or the connection broke before it | unknown |

use std::error::Error as StdError;
use std::io;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::{ConnectError, ConnectErrorKind, jetstream};

use crate::connectors::channels::ChannelError;

/// Of what another side says, so much is kept.
const REASON_CHARS_MAX: usize = 200;

pub(super) fn misconfigured(reason: impl Into<String>) -> ChannelError {
    ChannelError::Misconfigured { reason: reason.into() }
}

pub(super) fn unavailable(reason: impl Into<String>) -> ChannelError {
    ChannelError::Unavailable { retry_after: None, reason: reason.into() }
}

pub(super) fn unknown(reason: impl Into<String>) -> ChannelError {
    ChannelError::OutcomeUnknown { reason: reason.into() }
}

/// No connection came about; nothing was sent.
pub(super) fn of_connect(error: &ConnectError) -> ChannelError {
    let reason = format!("no connection to NATS: {}", error.kind());
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => misconfigured(reason),
        _ => match find::<rustls::Error>(error) {
            // The other side is somebody else, wants somebody else, or speaks no TLS: no waiting mends that.
            Some(
                tls @ (rustls::Error::InvalidCertificate(_)
                | rustls::Error::AlertReceived(_)
                | rustls::Error::InvalidMessage(_)),
            ) => misconfigured(format!("no connection to NATS: {tls}")),
            _ => unavailable(reason),
        },
    }
}

/// The message was not handed to the connection; nothing was sent.
pub(super) fn of_publish(error: &PublishError) -> ChannelError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => {
            ChannelError::Refused { reason: "the message is longer than the server takes".to_owned() }
        }
        _ => unavailable("the connection to NATS takes no message"),
    }
}

/// The message was handed over, and no good acknowledgement came.
pub(super) fn of_ack(error: &PublishError) -> ChannelError {
    match error.kind() {
        PublishErrorKind::StreamNotFound => misconfigured("no stream of JetStream listens to the subject"),
        PublishErrorKind::TimedOut => unknown("no acknowledgement in time"),
        PublishErrorKind::BrokenPipe => unknown("the connection broke before the acknowledgement"),
        _ => match find::<jetstream::Error>(error) {
            Some(answer) => of_answer(answer.error_code(), &answer.to_string()),
            // What came was no acknowledgement that anybody can read.
            None => unknown("the acknowledgement cannot be read"),
        },
    }
}

/// The stream's own word for why it did not take the message.
fn of_answer(code: ErrorCode, said: &str) -> ChannelError {
    let said: String =
        said.chars().filter(|character| !character.is_control()).take(REASON_CHARS_MAX).collect();
    let reason = format!("JetStream answered {}: {said}", code.0);
    match code {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            ChannelError::Refused { reason }
        }
        ErrorCode::STREAM_NOT_FOUND
        | ErrorCode::STREAM_NOT_MATCH
        | ErrorCode::STREAM_MISMATCH
        | ErrorCode::STREAM_SEALED
        | ErrorCode::JETSTREAM_NOT_ENABLED
        | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
        | ErrorCode::NO_ACCOUNT => ChannelError::Misconfigured { reason },
        _ => ChannelError::Unavailable { retry_after: None, reason },
    }
}

/// The first cause of this type. An error of the operating system hides its cause from the usual walk.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        let hidden = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = hidden.and_then(|hidden| hidden.downcast_ref()) {
            return Some(found);
        }
        cause = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u64) -> ChannelError {
        let text = format!(r#"{{"code":503,"err_code":{code},"description":"as it is"}}"#);
        let answer: jetstream::Error = serde_json::from_str(&text).unwrap();
        of_ack(&PublishError::with_source(PublishErrorKind::Other, answer))
    }

    #[test]
    fn codes_of_streams_say_what_to_do_next() {
        for code in [10_054, 10_097] {
            assert!(matches!(answered(code), ChannelError::Refused { .. }), "{code}");
        }
        for code in [10_039, 10_059, 10_060, 10_076, 10_109] {
            assert!(matches!(answered(code), ChannelError::Misconfigured { .. }), "{code}");
        }
        for code in [10_002, 10_008, 10_009, 10_023, 10_028, 10_047, 10_077, 99_999] {
            assert!(matches!(answered(code), ChannelError::Unavailable { .. }), "{code}");
        }
        let ChannelError::Unavailable { reason, .. } = answered(10_077) else { panic!("asked above") };
        assert!(reason.starts_with("JetStream answered 10077: ") && reason.contains("as it is"), "{reason}");
    }

    #[test]
    fn what_was_sent_without_an_answer_is_unknown_and_what_was_not_sent_is_not() {
        let ack = |kind| of_ack(&PublishError::new(kind));
        assert!(matches!(ack(PublishErrorKind::TimedOut), ChannelError::OutcomeUnknown { .. }));
        assert!(matches!(ack(PublishErrorKind::BrokenPipe), ChannelError::OutcomeUnknown { .. }));
        assert!(matches!(ack(PublishErrorKind::Other), ChannelError::OutcomeUnknown { .. }));
        assert!(matches!(ack(PublishErrorKind::StreamNotFound), ChannelError::Misconfigured { .. }));
        let publish = |kind| of_publish(&PublishError::new(kind));
        assert!(matches!(publish(PublishErrorKind::Other), ChannelError::Unavailable { .. }));
        assert!(matches!(publish(PublishErrorKind::MaxPayloadExceeded), ChannelError::Refused { .. }));
    }

    #[test]
    fn a_connection_that_is_refused_for_who_we_are_is_for_a_person() {
        let kind = |kind| of_connect(&ConnectError::new(kind));
        assert!(matches!(kind(ConnectErrorKind::AuthorizationViolation), ChannelError::Misconfigured { .. }));
        assert!(matches!(kind(ConnectErrorKind::Dns), ChannelError::Unavailable { .. }));
        let distrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, distrusted);
        let error = ConnectError::with_source(ConnectErrorKind::Io, error);
        assert!(matches!(of_connect(&error), ChannelError::Misconfigured { .. }));
        let gone = ConnectError::with_source(
            ConnectErrorKind::Io,
            io::Error::from(io::ErrorKind::ConnectionRefused),
        );
        assert!(matches!(of_connect(&gone), ChannelError::Unavailable { .. }));
    }
}
