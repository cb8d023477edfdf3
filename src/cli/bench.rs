//! `bursar bench`.

use std::process::ExitCode;

use clap::Args;

/// What `bursar bench` takes.
#[derive(Args, Clone)]
pub struct BenchArgs {}

/// Measures.
pub async fn run(_args: BenchArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
