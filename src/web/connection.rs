//! One connection: its requests one after the other, within the listener's limits.
//!
//! **Owns** the socket. **Fails** by closing it; whoever sends too slowly, too much or nonsense harms only itself.
//! **Limits**: the head of a request must be there in time and no longer than allowed, which bounds idle connections too;
//! after [`Limits::connection_timeout`] the answer in hand is finished within [`PARTING`] and the connection ends, so that
//! a slow reader holds its seat no longer than that.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::listener::{Limits, Site};

/// What an answer in hand is given when its connection has to end.
pub const PARTING: Duration = Duration::from_secs(2);
/// Browsers send twenty.
const HEADERS_MAX: usize = 64;
/// What is read of somebody who is turned away.
const HEARD_BYTES_MAX: usize = 16 * 1_024;
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nCache-Control: no-store, private\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 36\r\nConnection: close\r\n\r\n\
    Muitos acessos. Tente de novo logo.\n";

/// Serves one connection until it ends, its time is over, or `closing` says so.
pub async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    limits: Limits,
    site: impl Site,
    mut closing: watch::Receiver<bool>,
) {
    // Answers are small and whole; a socket that cannot be told so is slower and nothing else.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max)
        .max_headers(HEADERS_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = sleep(limits.connection_timeout) => None,
        // The sender goes only with the listener.
        _ = closing.wait_for(|closing| *closing) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(PARTING, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // What was sent is not repeated: it may hold a token.
        debug!(timeout = error.is_timeout(), parse = error.is_parse(), "connection ended early");
    }
}

/// Tells somebody who has no seat that there is none.
pub async fn turn_away(mut stream: TcpStream) {
    let parting = async {
        stream.write_all(BUSY).await?;
        stream.shutdown().await?;
        // To close on unread bytes would take the answer back.
        let mut heard = 0;
        let mut bytes = [0; 1_024];
        while heard < HEARD_BYTES_MAX {
            match stream.read(&mut bytes).await? {
                0 => break,
                more => heard += more,
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whoever goes without waiting for the answer does not need it.
    let _ = timeout(PARTING, parting).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_for_all_seats_taken_is_as_long_as_it_says() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
