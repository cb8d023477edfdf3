//! `bursar transfer`: finds, has processed, follows and reads recorded questionings.
//!
//! **Fails** as the calls do. **Limits**: a key stands in one feed; `--feed` says in which where there are several.

mod analysis;
mod changes;
mod erase;
mod export;
mod feeds;
mod filter;
mod find;
mod list;
mod process;
mod reprocess;
mod watch;

use clap::{ArgGroup, Args, Subcommand};

use super::connection::Connection;
use super::failure::Failure;
use super::screen::Screen;
use crate::proto::transfer::v1::GetTransferRequest;

#[derive(Subcommand)]
pub(super) enum TransferCommand {
    /// Say what is known of a key, here and in its feed
    Find(find::FindArgs),
    /// Have one analysed now, ahead of the queue, and show each step; exits by its end
    Process(process::ProcessArgs),
    /// Have one that has ended, or all that a filter finds, analysed once more
    Reprocess(Box<reprocess::ReprocessArgs>),
    /// List transfers, newest first
    List(Box<list::ListArgs>),
    /// Follow changes as they are committed, a line for each, until interrupted
    Watch(watch::WatchArgs),
    /// Show what was measured, answer by answer; kept for the audit
    #[command(alias = "get-analysis")]
    Analysis(analysis::AnalysisArgs),
    /// Write the files of the service before this one for each that a filter finds
    Export(Box<export::ExportArgs>),
    /// Take away everything of one but that it was there
    Erase(erase::EraseArgs),
    /// Show everything that happened to one
    Changes(changes::ChangesArgs),
    /// List the feeds, and how the process that answers stands with them
    Feeds,
}

pub(super) async fn run(
    command: TransferCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        TransferCommand::Find(args) => find::run(args, connection, screen).await,
        TransferCommand::Process(args) => process::run(args, connection, screen).await,
        TransferCommand::Reprocess(args) => reprocess::run(*args, connection, screen).await,
        TransferCommand::List(args) => list::run(*args, connection, screen).await,
        TransferCommand::Watch(args) => watch::run(args, connection, screen).await,
        TransferCommand::Analysis(args) => analysis::run(args, connection, screen).await,
        TransferCommand::Export(args) => export::run(*args, connection, screen).await,
        TransferCommand::Erase(args) => erase::run(args, connection, screen).await,
        TransferCommand::Changes(args) => changes::run(args, connection, screen).await,
        TransferCommand::Feeds => feeds::run(connection, screen).await,
    }
}

/// A key in a feed.
#[derive(Args)]
struct Keyed {
    /// Its key in its feed
    // Keys that Firebase makes begin with a hyphen.
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// Which feed; needed where there are several
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    feed: String,
}

/// One transfer that is known here.
#[derive(Args)]
#[command(group(ArgGroup::new("one").required(true).args(["key", "id"])))]
struct One {
    /// Its key in its feed
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
    /// Its id, instead of its key
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Which feed the key is of; needed where there are several
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true, conflicts_with = "id")]
    feed: String,
}

impl One {
    /// Its id; one that is named by its key is looked up.
    async fn id(self, connection: &Connection) -> Result<String, Failure> {
        match (self.id, self.key) {
            (Some(id), _) => Ok(id),
            (None, key) => id_of(key.unwrap_or_default(), self.feed, connection).await,
        }
    }
}

/// The id of what is known under a key.
async fn id_of(key: String, feed: String, connection: &Connection) -> Result<String, Failure> {
    let request = GetTransferRequest { id: String::new(), key, feed };
    let answer = connection.call(connection.transfers().get_transfer(request)).await?;
    Ok(answer.transfer.ok_or_else(Failure::empty_answer)?.id)
}
