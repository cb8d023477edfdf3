//! `bursar store`: moves everything from one database into another, while no house is open on either.
//!
//! **Owns** nothing. **Fails** in the terms of the other commands: a state that does not allow it (rows at the target, a
//! source in use, another schema version) is a conflict. An address may hold a password, so none is said back, not even
//! by the parser of arguments. **Limits**: `--timeout` is for each statement.

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::Code;

use super::Global;
use super::failure::Failure;
use super::screen::Screen;
use super::table::{self, Column};
use crate::store::connect::OpenError;
use crate::store::copy::{self, Copied, CopyError};
use crate::store::{StoreConfig, StoreError};

/// One that reads, one that looks on, and one to spare.
const CONNECTIONS: u32 = 3;

#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Move everything into an empty database, all or nothing; both must be closed
    Copy(CopyArgs),
}

#[derive(Args)]
pub(super) struct CopyArgs {
    /// What is copied: sqlite:PATH or postgres://…; it stays as it is
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where to: postgres://… or sqlite:PATH; a password may also come by PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "URL")]
    to: String,
}

const TABLES: [Column; 3] = [
    Column::plain("TABLE", "/table"),
    Column::plain("ROWS", "/rows"),
    Column::plain("CHECKSUM", "/checksum"),
];

pub(super) async fn run(command: StoreCommand, global: &Global, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        StoreCommand::Copy(args) => copy(args, global, screen).await,
    }
}

async fn copy(args: CopyArgs, global: &Global, screen: &mut Screen) -> Result<(), Failure> {
    let config = |url| StoreConfig { url, connections_max: CONNECTIONS, timeout: global.timeout };
    let copied = copy::copy(&config(args.from), &config(args.to), Utc::now()).await.map_err(refused)?;
    screen.show(&document(&copied), text)
}

fn document(copied: &Copied) -> Value {
    let tables = copied.tables.iter();
    let tables: Vec<Value> = tables
        .map(|table| json!({ "table": table.name, "rows": table.rows, "checksum": table.checksum }))
        .collect();
    json!({
        "tables": tables,
        "rows": copied.tables.iter().map(|table| table.rows).sum::<u64>(),
        "runners_buried": copied.runners_buried,
        "work_returned": copied.work_returned,
        "store_id": copied.store_id,
    })
}

fn text(document: &Value) -> String {
    let tables = document["tables"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = table::rows(&TABLES, tables);
    text.push_str(&format!("\n{} rows copied, read back and found to be the same\n", document["rows"]));
    if document["runners_buried"] != 0 {
        text.push_str(&format!(
            "processes that had not ended in good order: {}; rows of work they had in hand, to be claimed again: {}\n",
            document["runners_buried"], document["work_returned"]
        ));
    }
    text
}

fn refused(error: CopyError) -> Failure {
    let code = match &error {
        CopyError::UnknownUrl(_) | CopyError::TwoFiles => Code::InvalidArgument,
        CopyError::NoSource(_) => Code::NotFound,
        CopyError::NotAStore
        | CopyError::VersionsDiffer { .. }
        | CopyError::InUse(_)
        | CopyError::NotEmpty(_)
        | CopyError::SchemasDiffer(_) => Code::FailedPrecondition,
        CopyError::Altered { .. } => Code::DataLoss,
        CopyError::Open { error, .. } => of_opening(error),
        CopyError::Store { error, .. } => of_store(error),
    };
    Failure::found(code, error.to_string())
}

/// Why a store was not opened.
pub(super) fn opening(error: &OpenError) -> Failure {
    Failure::found(of_opening(error), error.to_string())
}

fn of_opening(error: &OpenError) -> Code {
    match error {
        OpenError::UnknownUrl(_) | OpenError::UnreadableUrl(_) => Code::InvalidArgument,
        OpenError::InUse(_) | OpenError::SchemaTooNew { .. } | OpenError::Forgetful { .. } => {
            Code::FailedPrecondition
        }
        OpenError::File { .. } => Code::Unknown,
        OpenError::Store(error) => of_store(error),
    }
}

fn of_store(error: &StoreError) -> Code {
    if error.is_transient() { Code::Unavailable } else { Code::Internal }
}
