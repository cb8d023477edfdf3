//! `bursar queue`: sees the queues, holds them back, and lets them go on.

use clap::Subcommand;
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::queue;
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::{ListQueuesRequest, PauseQueueRequest, ResumeQueueRequest};

#[derive(Subcommand)]
pub(super) enum QueueCommand {
    /// List the queues in which something lives, and those that are paused
    List(PageArgs),
    /// Have no process claim from a queue; what is in hand is finished
    Pause {
        /// Such as delivery/sqs/ for all queues below it, or the whole name of one
        name: String,
        /// Kept with the pause
        #[arg(long)]
        reason: String,
    },
    /// Let processes claim from a queue again
    Resume {
        /// The name as it was paused
        name: String,
        /// Why; kept for the audit
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

pub(super) async fn run(
    command: QueueCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut control = connection.control();
    match command {
        QueueCommand::List(args) => list(args, connection, screen).await,
        QueueCommand::Pause { name, reason } => {
            let answer = connection.call(control.pause_queue(PauseQueueRequest { name, reason })).await?;
            let pause = answer.pause.ok_or_else(Failure::empty_answer)?;
            let document = json!({ "pause": queue::pause(&pause) });
            screen.show(&document, |document| table::detail(&queue::PAUSE, &document["pause"]))
        }
        QueueCommand::Resume { name, reason } => {
            let answer = connection.call(control.resume_queue(ResumeQueueRequest { name, reason })).await?;
            screen.show(&json!({ "was_paused": answer.was_paused }), |_| {
                if answer.was_paused { "resumed\n".to_owned() } else { "was not paused\n".to_owned() }
            })
        }
    }
}

async fn list(args: PageArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args, async |page_token| {
        let request = ListQueuesRequest { page_size: args.page_size, page_token };
        let answer = connection.call(connection.control().list_queues(request)).await?;
        Ok(Page {
            rows: answer.queues.iter().map(queue::queue).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    paging::show(page, "queues", &queue::ROW, screen)
}
