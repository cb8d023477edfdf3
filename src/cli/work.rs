//! `bursar work`: sees and steers what waits, runs or has ended in the durable engine.

mod batch;

use clap::{Args, Subcommand};
use serde_json::json;

use self::batch::FilterArgs;
use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::work;
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::{
    CancelWorkRequest, GetWorkRequest, ListWorkRequest, RetryWorkRequest, Work, WorkState,
};

#[derive(Subcommand)]
pub(super) enum WorkCommand {
    /// List work, newest first: what lives, or what is in the states that are named
    List(ListArgs),
    /// Show one
    Get { id: String },
    /// Make waiting work due now, and a dead letter live again: one, or with --all what matches
    Retry {
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        #[command(flatten)]
        filter: FilterArgs,
        /// Kept with the work
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// End work that nobody has in hand: one, or with --all what matches
    Cancel {
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        #[command(flatten)]
        filter: FilterArgs,
        /// Kept with the work
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Any of these; may be repeated or joined by commas
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = work::state_parser())]
    states: Vec<WorkState>,
    /// Such as boleto.register
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    queue: String,
    /// What it is about, such as a boleto's id
    #[arg(long = "subject", value_name = "ID", default_value = "", hide_default_value = true)]
    subject_id: String,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(
    command: WorkCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut control = connection.control();
    let work = match command {
        WorkCommand::List(args) => return list(args, connection, screen).await,
        WorkCommand::Get { id } => connection.call(control.get_work(GetWorkRequest { id })).await?.work,
        WorkCommand::Retry { filter, reason, .. } if filter.all => {
            return batch::retry(filter, reason, connection, screen).await;
        }
        WorkCommand::Cancel { filter, reason, .. } if filter.all => {
            return batch::cancel(filter, reason, connection, screen).await;
        }
        WorkCommand::Retry { id, reason, .. } => {
            let id = id.unwrap_or_default();
            connection.call(control.retry_work(RetryWorkRequest { id, reason })).await?.work
        }
        WorkCommand::Cancel { id, reason, .. } => {
            let id = id.unwrap_or_default();
            connection.call(control.cancel_work(CancelWorkRequest { id, reason })).await?.work
        }
    };
    show(work, screen)
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListWorkRequest {
            page_size: args.page.page_size,
            page_token,
            states: args.states.iter().map(|state| i32::from(*state)).collect(),
            kind: args.kind.clone(),
            queue: args.queue.clone(),
            subject_id: args.subject_id.clone(),
        };
        let answer = connection.call(connection.control().list_work(request)).await?;
        Ok(Page {
            rows: answer.work.iter().map(work::work).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    paging::show(page, "work", &work::ROW, screen)
}

fn show(work: Option<Work>, screen: &mut Screen) -> Result<(), Failure> {
    let work = work.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "work": work::work(&work) });
    screen.show(&document, |document| {
        let detail = table::detail(&work::DETAIL, &document["work"]);
        let attempts = document["work"]["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        match attempts {
            [] => detail,
            attempts => format!("{detail}\n{}", table::rows(&work::ATTEMPT, attempts)),
        }
    })
}
