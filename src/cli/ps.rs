//! `bursar ps`: the tree of supervisors and actors.

use clap::Args;
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::render::node;
use super::screen::Screen;
use crate::proto::control::v1::GetTreeRequest;

#[derive(Args)]
pub(super) struct PsArgs {
    /// Show whole paths, as the actor commands take them, instead of an indented tree
    #[arg(long)]
    paths: bool,
}

pub(super) async fn run(args: PsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let answer = connection.call(connection.control().get_tree(GetTreeRequest {})).await?;
    let root = answer.root.ok_or_else(Failure::empty_answer)?;
    let colour = screen.colour();
    screen.show(&json!({ "root": node::node(&root) }), |_| node::tree(&root, args.paths, colour))
}
