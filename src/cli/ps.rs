//! `bursar ps`: the tree of supervisors and actors, once or at each change, and the processes that share the store.
//!
//! **Fails** as unavailable when the service ends the watch. **Limits**: an interrupt (Ctrl-C) ends a watch in good order;
//! `--timeout` bounds its opening only.

use clap::Args;
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use super::connection::Connection;
use super::failure::Failure;
use super::render::{node, process, queue};
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::{GetTreeRequest, ListProcessesRequest, WatchTreeRequest, WatchTreeResponse};

#[derive(Args)]
pub(super) struct PsArgs {
    /// Show whole paths, as the actor commands take them, instead of an indented tree
    #[arg(long)]
    paths: bool,
    /// Show every process on the store above the tree: its heartbeat, its work in hand, its offices with their terms
    #[arg(long)]
    all: bool,
    /// Show the tree again at each change, until an interrupt; with --json a line for each
    #[arg(long, conflicts_with = "all")]
    watch: bool,
}

pub(super) async fn run(args: PsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    if args.watch {
        return watch(args.paths, connection, screen).await;
    }
    let processes = match args.all {
        true => Some(processes(connection).await?),
        false => None,
    };
    let answer = connection.call(connection.control().get_tree(GetTreeRequest {})).await?;
    let root = answer.root.ok_or_else(Failure::empty_answer)?;
    let breakers: Vec<Value> = answer.open_breakers.iter().map(queue::open_breaker).collect();
    let mut document = json!({ "root": node::node(&root), "open_breakers": breakers });
    let mut parts = vec![node::tree(&root, args.paths, screen.colour())];
    if let Some(processes) = processes {
        parts.insert(0, table::rows(&process::ROW, &processes));
        document["processes"] = Value::Array(processes);
    }
    if !breakers.is_empty() {
        parts.push(table::rows(&queue::OPEN_BREAKER, &breakers));
    }
    screen.show(&document, |_| parts.join("\n"))
}

async fn processes(connection: &Connection) -> Result<Vec<Value>, Failure> {
    let answer = connection.call(connection.control().list_processes(ListProcessesRequest {})).await?;
    Ok(answer.processes.iter().map(process::process).collect())
}

async fn watch(paths: bool, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let stream = connection.call(connection.control().watch_tree(WatchTreeRequest {})).await?;
    tokio::select! {
        result = follow(stream, paths, screen) => result,
        // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn follow(
    mut stream: Streaming<WatchTreeResponse>,
    paths: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let colour = screen.colour();
    while let Some(answer) = stream.message().await? {
        let root = answer.root.ok_or_else(Failure::empty_answer)?;
        let document = json!({ "root": node::node(&root) });
        screen.redraw(&document, |_| node::tree(&root, paths, colour))?;
    }
    Err(Failure::found(Code::Unavailable, "the service ended the stream"))
}
