//! The way to the mail server: a socket, and TLS on it from the start or after STARTTLS.
//!
//! STARTTLS is spoken here and not by the library: its reader keeps what came before the handshake, and so takes what
//! somebody on the way slipped in for the server's own words.
//!
//! **Owns** the socket. **Fails** as unavailable while nobody answers, as misconfigured where TLS is refused, missing or not
//! to be believed. **Limits**: the caller's deadline; an answer of 16 KiB.

use std::fmt;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::ChannelError;
use super::answer::{self, Refusal};

const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// A connection on which the server's greeting is the next thing to be read.
pub(super) struct Wire {
    /// The greeting, where it came before the handshake.
    heard: Cursor<Vec<u8>>,
    stream: Stream,
    peer: SocketAddr,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// A connection without TLS.
    pub(super) async fn plain(host: &str, port: u16) -> Result<Self, ChannelError> {
        let (stream, peer) = connect(host, port).await?;
        Ok(Self { heard: Cursor::default(), stream: Stream::Plain(stream), peer })
    }

    /// A connection with TLS from the first byte.
    pub(super) async fn tls(host: &str, port: u16, tls: Arc<ClientConfig>) -> Result<Self, ChannelError> {
        let (stream, peer) = connect(host, port).await?;
        let stream = shake_hands(host, stream, tls).await?;
        Ok(Self { heard: Cursor::default(), stream: Stream::Tls(stream), peer })
    }

    /// A connection on which TLS was asked for in the open.
    pub(super) async fn starttls(
        host: &str,
        port: u16,
        hello_name: &str,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, ChannelError> {
        let (stream, peer) = connect(host, port).await?;
        let mut open = BufReader::new(stream);
        let greeting = ask(&mut open, "").await?;
        let offers = ask(&mut open, &format!("EHLO {hello_name}\r\n")).await?;
        let offered = offers
            .lines()
            .skip(1)
            .any(|line| line.get(4..).is_some_and(|word| word.trim_end().eq_ignore_ascii_case("STARTTLS")));
        if !offered {
            let reason = "the mail server offers no STARTTLS".to_owned();
            return Err(ChannelError::Misconfigured { reason });
        }
        ask(&mut open, "STARTTLS\r\n").await?;
        if !open.buffer().is_empty() {
            let reason = "the mail server said more before TLS than it was asked".to_owned();
            return Err(ChannelError::Misconfigured { reason });
        }
        let stream = shake_hands(host, open.into_inner(), tls).await?;
        Ok(Self { heard: Cursor::new(greeting.into_bytes()), stream: Stream::Tls(stream), peer })
    }
}

async fn connect(host: &str, port: u16) -> Result<(TcpStream, SocketAddr), ChannelError> {
    let connected = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    };
    connected.await.map_err(|error: io::Error| answer::unavailable(format!("no connection: {error}")))
}

async fn shake_hands(
    host: &str,
    stream: TcpStream,
    tls: Arc<ClientConfig>,
) -> Result<Box<TlsStream<TcpStream>>, ChannelError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ChannelError::Misconfigured {
        reason: "the mail server's name cannot stand in a certificate".to_owned(),
    })?;
    match TlsConnector::from(tls).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        // What the two of us cannot agree about stays so; a line that breaks meanwhile does not.
        Err(error) if error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => {
            Err(ChannelError::Misconfigured { reason: format!("no TLS with the mail server: {error}") })
        }
        Err(error) => Err(answer::unavailable(format!("no TLS with the mail server: {error}"))),
    }
}

/// Says something, unless it is empty, and reads a positive answer to its last line.
async fn ask(open: &mut BufReader<TcpStream>, command: &str) -> Result<String, ChannelError> {
    let broke = |error: io::Error| answer::unavailable(format!("the connection broke: {error}"));
    open.get_mut().write_all(command.as_bytes()).await.map_err(broke)?;
    let mut text = String::new();
    loop {
        let begin = text.len();
        let left = ANSWER_BYTES_MAX.saturating_sub(begin as u64);
        let read = open.take(left).read_line(&mut text).await.map_err(broke)?;
        if read == 0 || !text.ends_with('\n') {
            return Err(answer::unavailable("the connection ended within an answer".to_owned()));
        }
        let line = &text[begin..];
        let is_coded = line.len() > 3 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit);
        if !is_coded {
            return Err(answer::unavailable("what answered does not speak SMTP".to_owned()));
        }
        if line.as_bytes()[3] == b'-' {
            continue;
        }
        return match line.as_bytes()[0] {
            b'2' => Ok(text),
            _ => Err(Refusal::read(line).of_server()),
        };
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A cursor over bytes in memory always answers; at its end the socket does.
        let heard = io::Read::read(&mut self.heard, into.initialize_unfilled())?;
        if heard > 0 {
            into.advance(heard);
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("peer", &self.peer).finish_non_exhaustive()
    }
}
