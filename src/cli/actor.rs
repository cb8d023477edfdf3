//! `bursar actor`: restarts, stops, starts, pauses and resumes an actor, or a supervisor with its whole branch; gives a pool more
//! or fewer slots.

use clap::{Args, Subcommand};
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::render::node;
use super::screen::Screen;
use super::table::{self, Column};
use crate::proto::control::v1::{
    PauseActorRequest, ResizePoolRequest, RestartActorRequest, ResumeActorRequest, StartActorRequest,
    StopActorRequest,
};

/// What is shown of a pool that was resized.
const POOL: [Column; 4] = [
    Column::plain("pool", "/pool"),
    Column::plain("slots before", "/slots_before"),
    Column::plain("slots", "/slots"),
    Column::plain("in hand", "/in_hand"),
];

#[derive(Subcommand)]
pub(super) enum ActorCommand {
    /// End it in good order and start it again
    Restart(PathArgs),
    /// End it in good order; it stays down until it is started
    Stop(PathArgs),
    /// Start what was stopped
    Start(PathArgs),
    /// Have it leave its messages lying; what it has in hand goes on
    Pause(PathArgs),
    /// Have it take its messages up again
    Resume(PathArgs),
    /// Have a pool work on more or fewer things at a time, until the process ends; what it has in hand goes on
    Resize(ResizeArgs),
}

#[derive(Args)]
pub(super) struct PathArgs {
    /// Such as house/workers/notifiers, as `bursar ps --paths` shows it
    path: String,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Args)]
pub(super) struct ResizeArgs {
    /// `analysis`, the one pool there is: transfers that are analysed at a time
    pool: String,
    /// 1 to 10,000; the configuration's `transfers.analysis.slots` holds again in the next process
    slots: i32,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(
    command: ActorCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut control = connection.control();
    let node = match command {
        ActorCommand::Restart(PathArgs { path, reason }) => {
            connection.call(control.restart_actor(RestartActorRequest { path, reason })).await?.node
        }
        ActorCommand::Stop(PathArgs { path, reason }) => {
            connection.call(control.stop_actor(StopActorRequest { path, reason })).await?.node
        }
        ActorCommand::Start(PathArgs { path, reason }) => {
            connection.call(control.start_actor(StartActorRequest { path, reason })).await?.node
        }
        ActorCommand::Pause(PathArgs { path, reason }) => {
            connection.call(control.pause_actor(PauseActorRequest { path, reason })).await?.node
        }
        ActorCommand::Resume(PathArgs { path, reason }) => {
            connection.call(control.resume_actor(ResumeActorRequest { path, reason })).await?.node
        }
        ActorCommand::Resize(args) => return resize(args, connection, screen).await,
    };
    let node = node.ok_or_else(Failure::empty_answer)?;
    let colour = screen.colour();
    screen.show(&json!({ "node": node::node(&node) }), |_| node::tree(&node, true, colour))
}

async fn resize(args: ResizeArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let ResizeArgs { pool, slots, reason } = args;
    let request = ResizePoolRequest { pool: pool.clone(), slots, reason };
    let resized = connection.call(connection.control().resize_pool(request)).await?;
    let document = json!({
        "pool": pool,
        "slots_before": resized.slots_before,
        "slots": resized.slots,
        "in_hand": resized.in_hand,
    });
    screen.show(&document, |document| table::rows(&POOL, std::slice::from_ref(document)))
}
