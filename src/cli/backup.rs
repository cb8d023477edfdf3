//! `bursar backup`: a copy of the embedded store, made while the house is open.
//!
//! **Owns** nothing. **Fails** leaving no copy that is not whole. **Limits**: SQLite; as long as the disk takes.

use std::path::PathBuf;

use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};
use tonic::Code;

use super::args::SettingsArgs;
use super::config::{probe::store_of, refused};
use super::failure::Failure;
use super::screen::Screen;
use super::table::plain;
use crate::config::Config;
use crate::store::backup::{BackupError, backup};
use crate::store::connect::OpenError;

#[derive(Args)]
pub(super) struct BackupArgs {
    /// The folder that takes the copy
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn run(args: BackupArgs, screen: &mut Screen) -> Result<(), Failure> {
    let config = Config::load(&args.settings.sources()).map_err(refused)?;
    let copied = backup(&store_of(&config), &args.to, Utc::now()).await.map_err(not_copied)?;
    let document = json!({
        "file": copied.file.display().to_string(),
        "bytes": copied.bytes,
        "schema": copied.schema,
    });
    screen.show(&document, text)
}

fn text(document: &Value) -> String {
    let (file, bytes, schema) =
        (plain(&document["file"]), plain(&document["bytes"]), plain(&document["schema"]));
    format!(
        "{file}: {bytes} bytes, schema {schema}, read back and found whole\n\
         to restore it, stop the house, put it in the place of its database (without the -wal and -shm of the old one), start, \
         and have each bank account's numbers moved past the bank's by `bursar account resync`\n"
    )
}

fn not_copied(error: BackupError) -> Failure {
    let code = match &error {
        BackupError::Open(OpenError::Store(error)) if error.is_transient() => Code::Unavailable,
        BackupError::Open(_) => Code::Internal,
        BackupError::NoStore(_) => Code::NotFound,
        BackupError::Taken(_) => Code::AlreadyExists,
        BackupError::NotEmbedded | BackupError::NotAStore(_) | BackupError::File { .. } => {
            Code::FailedPrecondition
        }
        BackupError::Damaged(_) => Code::DataLoss,
    };
    Failure::found(code, error.to_string())
}
