//! The `bursar` program: reads the arguments, starts the runtime, runs one command.
//!
//! **Owns** the async runtime. **Fails** with an exit code that `bursar --help` lists.
//! **Limits**: as many worker threads as there are cores.

use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Context;
use bursar::cli::{self, Cli};
use clap::Parser;

/// A sixth of the service's time under load was spent in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Clap ends the process itself, with 2 for wrong usage and 0 for help.
    let arguments = Cli::parse();
    run(arguments).unwrap_or_else(|error| {
        eprintln!("bursar: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: Cli) -> anyhow::Result<ExitCode> {
    let workers = available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let code = runtime.block_on(cli::run(arguments));
    // A read of standard input cannot be cancelled, so nobody waits for a thread that sits in one.
    runtime.shutdown_background();
    code
}
