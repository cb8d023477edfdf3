//! The client protocol of NATS, as its public documentation has it: what a client says, and what it is told.
//!
//! **Owns** nothing. **Fails** with the server's own `-ERR` words, after which the connection ends, as the real one's does.
//! **Limits**: a control line of 4,096 bytes, a payload of 1 MiB, headers included.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};

const CONTROL_LINE_MAX: usize = 4_096;
/// What a client is told that it may send.
pub(super) const PAYLOAD_MAX: usize = 1024 * 1024;
const VERSION_LINE: &str = "NATS/1.0";

/// What a client says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Connect(Box<Connect>),
    Ping,
    Pong,
    Subscribe { subject: String, sid: String },
    Unsubscribe { sid: String },
    Publish(Publish),
}

/// How a client introduces itself. Every field that clients are documented to send, and no other.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    pub verbose: bool,
    pedantic: bool,
    tls_required: bool,
    auth_token: Option<String>,
    user: Option<String>,
    pass: Option<String>,
    name: Option<String>,
    lang: String,
    version: String,
    protocol: Option<u8>,
    echo: Option<bool>,
    sig: Option<String>,
    jwt: Option<String>,
    nkey: Option<String>,
    no_responders: Option<bool>,
    headers: Option<bool>,
}

/// A message.
#[derive(Debug, PartialEq)]
pub(super) struct Publish {
    pub subject: String,
    pub reply: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The server says so and hangs up.
    #[error("{0}")]
    Protocol(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

use WireError::Protocol;

/// Reads the next thing that a client says; nothing at the end.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Said>, WireError> {
    let mut line = Vec::new();
    let read = (&mut *from).take(CONTROL_LINE_MAX as u64).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or(Protocol("Maximum Control Line Exceeded"))?;
    let line = std::str::from_utf8(line).map_err(|_| Protocol("Unknown Protocol Operation"))?;
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let said = match (verb.to_ascii_uppercase().as_str(), words.as_slice()) {
        ("PING", []) => Said::Ping,
        ("PONG", []) => Said::Pong,
        ("CONNECT", _) => {
            let connect = serde_json::from_str(rest).map_err(|_| Protocol("Invalid CONNECT"))?;
            Said::Connect(Box::new(connect))
        }
        ("SUB", [subject, sid] | [subject, _, sid]) => {
            Said::Subscribe { subject: (*subject).to_owned(), sid: (*sid).to_owned() }
        }
        ("UNSUB", [sid] | [sid, _]) => Said::Unsubscribe { sid: (*sid).to_owned() },
        ("PUB", [subject, reply @ .., length]) => {
            let body = payload(from, size(length)?).await?;
            publish(subject, reply, BTreeMap::new(), body)?
        }
        ("HPUB", [subject, reply @ .., head, length]) => {
            let (head, length) = (size(head)?, size(length)?);
            let mut body = payload(from, length).await?;
            if head > body.len() {
                return Err(Protocol("Unknown Protocol Operation"));
            }
            let rest = body.split_off(head);
            publish(subject, reply, headers(&body)?, rest)?
        }
        _ => return Err(Protocol("Unknown Protocol Operation")),
    };
    Ok(Some(said))
}

fn size(text: &str) -> Result<usize, WireError> {
    let size = text.parse().map_err(|_| Protocol("Unknown Protocol Operation"))?;
    if size > PAYLOAD_MAX { Err(Protocol("Maximum Payload Violation")) } else { Ok(size) }
}

async fn payload(from: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>, WireError> {
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes).await?;
    if bytes.split_off(length) != b"\r\n" {
        return Err(Protocol("Unknown Protocol Operation"));
    }
    Ok(bytes)
}

fn publish(
    subject: &str,
    reply: &[&str],
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
) -> Result<Said, WireError> {
    let reply = match reply {
        [] => None,
        [reply] => Some((*reply).to_owned()),
        _ => return Err(Protocol("Unknown Protocol Operation")),
    };
    let fits = |subject: &str| !subject.split('.').any(|token| matches!(token, "" | "*" | ">"));
    if !fits(subject) || !reply.as_deref().is_none_or(fits) {
        return Err(Protocol("Invalid Publish Subject"));
    }
    Ok(Said::Publish(Publish { subject: subject.to_owned(), reply, headers, body }))
}

/// `NATS/1.0`, then a line for each header, then an empty one.
fn headers(bytes: &[u8]) -> Result<BTreeMap<String, String>, WireError> {
    let malformed = || Protocol("Unknown Protocol Operation");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let text = text.strip_prefix(VERSION_LINE).and_then(|text| text.strip_suffix("\r\n\r\n"));
    let lines = text.ok_or_else(malformed)?.split("\r\n").filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// What a server says first.
pub(super) fn info() -> Vec<u8> {
    let info = json!({
        "server_id": "SANDBOX",
        "server_name": "sandbox",
        "version": "2.11.0",
        "proto": 1,
        "go": "",
        "host": "127.0.0.1",
        "port": 4222,
        "headers": true,
        "max_payload": PAYLOAD_MAX,
        "jetstream": true,
    });
    format!("INFO {info}\r\n").into_bytes()
}

/// A message to a subscription.
pub(super) fn message(subject: &str, sid: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("MSG {subject} {sid} {}\r\n", body.len());
    [head.as_bytes(), body, b"\r\n"].concat()
}

/// Word that nobody listens to what was asked.
pub(super) fn no_responders(subject: &str, sid: &str) -> Vec<u8> {
    let head = format!("{VERSION_LINE} 503\r\n\r\n");
    format!("HMSG {subject} {sid} {0} {0}\r\n{head}\r\n", head.len()).into_bytes()
}

/// The word before the connection ends.
pub(super) fn error(words: &str) -> Vec<u8> {
    format!("-ERR '{words}'\r\n").into_bytes()
}

/// JetStream's acknowledgement.
pub(super) fn ack(stream: &str, sequence: u64, is_duplicate: bool) -> Value {
    let mut ack = json!({"stream": stream, "seq": sequence});
    if is_duplicate {
        ack["duplicate"] = json!(true);
    }
    ack
}

/// JetStream's refusal.
pub(super) fn refusal(code: u64, err_code: u64, description: &str) -> Value {
    json!({"error": {"code": code, "err_code": err_code, "description": description}})
}

/// Whether a subscription's subject, which may have wildcards, means this one.
pub(super) fn matches(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(token), Some(other)) if token == "*" || token == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> Result<Vec<Said>, WireError> {
        let mut all = Vec::new();
        while let Some(said) = read(&mut bytes).await? {
            all.push(said);
        }
        Ok(all)
    }

    fn message(reply: Option<&str>, headers: &[(&str, &str)], body: &str) -> Said {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Said::Publish(Publish {
            subject: "a.b".into(),
            reply: reply.map(str::to_owned),
            headers: headers.iter().map(owned).collect(),
            body: body.into(),
        })
    }

    #[tokio::test]
    async fn the_documented_lines_are_read() {
        let said = b"PING\r\nping\r\nSUB _INBOX.x.* 1\r\nSUB a.> group 2\r\nUNSUB 2 1\r\n\
            PUB a.b 2\r\nhi\r\nPUB a.b _INBOX.x.1 4\r\n\r\nno\r\n\
            HPUB a.b _INBOX.x.2 21 23\r\nNATS/1.0\r\nA: b:c \r\n\r\n{}\r\n";
        let sub = |subject: &str, sid: &str| Said::Subscribe { subject: subject.into(), sid: sid.into() };
        let expected = vec![
            Said::Ping,
            Said::Ping,
            sub("_INBOX.x.*", "1"),
            sub("a.>", "2"),
            Said::Unsubscribe { sid: "2".into() },
            message(None, &[], "hi"),
            message(Some("_INBOX.x.1"), &[], "\r\nno"),
            message(Some("_INBOX.x.2"), &[("A", "b:c")], "{}"),
        ];
        assert_eq!(read_all(said).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn what_is_not_the_protocol_ends_the_connection() {
        let long = format!("PUB {} 2\r\nhi\r\n", "a".repeat(5_000));
        for bad in [
            "GET / HTTP/1.1\r\n",
            "PING\n",
            "CONNECT {}\r\n",
            "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"x\",\"version\":\"1\",\"mars\":1}\r\n",
            "PUB a..b 2\r\nhi\r\n",
            "PUB a.* 2\r\nhi\r\n",
            "PUB a b c 2\r\nhi\r\n",
            "PUB a 2\r\nhi!\r\n",
            "PUB a 1048577\r\n",
            "PUB a many\r\n",
            "PUB a 5\r\nhi",
            "HPUB a 30 4\r\nNATS\r\n",
            "HPUB a 8 8\r\nHTTP/1.0\r\n",
            &long,
        ] {
            assert!(read_all(bad.as_bytes()).await.is_err(), "{bad}");
        }
    }

    #[test]
    fn wildcards_mean_one_token_or_the_rest() {
        for (pattern, subject) in
            [("a.b", "a.b"), ("a.*", "a.b"), ("*.b", "a.b"), ("a.>", "a.b.c"), (">", "a")]
        {
            assert!(matches(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in [("a.b", "a.c"), ("a.*", "a.b.c"), ("a.*", "a"), ("a.>", "a"), ("a", "a.b")]
        {
            assert!(!matches(pattern, subject), "{pattern} {subject}");
        }
    }
}
