//! The world as a process of its own, started by the house.
//!
//! **Owns** the process's stdout, on which it says its addresses in one line of JSON, and its stdin, whose end
//! means that the parent has gone.
//! **Fails** when the world cannot open.
//! **Limits**: it ends at the end of stdin, SIGINT or SIGTERM, whichever comes first.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{SandboxError, World, WorldOptions};

/// Opens the world, prints its addresses, serves until the parent or a signal ends it.
///
/// # Errors
/// As [`World::open`]; also when stdout is closed, because then nobody can learn the addresses.
pub async fn run_process(options: WorldOptions) -> Result<(), SandboxError> {
    // Signals are caught before anybody learns that we are here, so that none ends us half-way.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let world = World::open(options).await?;
    let mut line = serde_json::to_vec(world.addresses()).map_err(std::io::Error::from)?;
    line.push(b'\n');
    {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()?;
    }
    tokio::select! {
        _ = parent_gone()? => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    world.close().await;
    Ok(())
}

/// Reads stdin to its end on a thread of its own, which cannot be cancelled and does not need to be.
fn parent_gone() -> Result<oneshot::Receiver<()>, SandboxError> {
    let (gone, end) = oneshot::channel();
    std::thread::Builder::new().name("sandbox-stdin".into()).spawn(move || {
        // A stdin that cannot be read any more has ended too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // The process may be ending already for another reason.
        let _ = gone.send(());
    })?;
    Ok(end)
}
