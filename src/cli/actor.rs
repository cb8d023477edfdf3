//! `bursar actor`: restarts, stops, starts, pauses and resumes an actor, or a supervisor with its whole branch.

use clap::{Args, Subcommand};
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::render::node;
use super::screen::Screen;
use crate::proto::control::v1::{
    PauseActorRequest, RestartActorRequest, ResumeActorRequest, StartActorRequest, StopActorRequest,
};

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
}

#[derive(Args)]
pub(super) struct PathArgs {
    /// Such as root.house.workers.notifiers, as `bursar ps --paths` shows it
    path: String,
}

pub(super) async fn run(
    command: ActorCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut control = connection.control();
    let node = match command {
        ActorCommand::Restart(PathArgs { path }) => {
            connection.call(control.restart_actor(RestartActorRequest { path })).await?.node
        }
        ActorCommand::Stop(PathArgs { path }) => {
            connection.call(control.stop_actor(StopActorRequest { path })).await?.node
        }
        ActorCommand::Start(PathArgs { path }) => {
            connection.call(control.start_actor(StartActorRequest { path })).await?.node
        }
        ActorCommand::Pause(PathArgs { path }) => {
            connection.call(control.pause_actor(PauseActorRequest { path })).await?.node
        }
        ActorCommand::Resume(PathArgs { path }) => {
            connection.call(control.resume_actor(ResumeActorRequest { path })).await?.node
        }
    };
    let node = node.ok_or_else(Failure::empty_answer)?;
    let colour = screen.colour();
    screen.show(&json!({ "node": node::node(&node) }), |_| node::tree(&node, true, colour))
}
