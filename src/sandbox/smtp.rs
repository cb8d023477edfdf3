//! A mail server that takes messages for every owner, written from RFC 5321 and its kin, and stricter than any: what it lets
//! through, the others let through too.
//!
//! It offers STARTTLS, wants a sign-in behind it before anything else, and refuses what smuggling is made of: a line feed
//! without its carriage return, a line of more than 998 bytes, a byte that is no ASCII, a header that is there twice.
//!
//! **Owns** nothing; what came is in the inbox. **Fails** an effect that cannot be recorded with 451.
//! **Limits**: messages of 1 MiB, 100 recipients each; a command of 1,000 bytes; one sign-in.
//!
//! A script's behaviours are told in the protocol's own way, at the greeting, at each recipient, and at a message's end:
//! `status` is an answer with that code, `refuse` a 550 of that text, `html` and `garbage` are no answer at all, `empty` ends
//! the connection quietly, `reset` and `hang` do not.

mod letter;
mod play;
mod session;
mod talk;

use std::sync::Arc;

use axum::serve::Listener as _;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::line::Door;
use super::outside::Outside;
use session::Desk;

/// Who may hand messages in.
pub const MAIL_USERNAME: &str = "sandbox-mailer";
/// What it shows for that.
pub const MAIL_PASSWORD: &str = "sandbox-mailer-secret";

/// Serves whoever comes in by this door, until the world closes.
pub(super) fn serve(
    mut door: Door,
    outside: Arc<Outside>,
    tls: Arc<ServerConfig>,
    closing: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let mut closed = closing.subscribe();
    let desk = Arc::new(Desk { outside, tls: TlsAcceptor::from(tls) });
    tokio::spawn(async move {
        // Dropped with this task, and every connection with it.
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                (wire, line) = door.accept() => {
                    sessions.spawn(session::serve(desk.clone(), wire, line));
                }
                Some(_) = sessions.join_next() => {}
                // What the borrow guards is of no interest, and it may not be held while we wait.
                is_closed = async { closed.wait_for(|closed| *closed).await.is_ok() } => {
                    if is_closed {
                        return;
                    }
                    // A world that was dropped without being closed keeps serving until its runtime ends.
                    std::future::pending::<()>().await;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests;
