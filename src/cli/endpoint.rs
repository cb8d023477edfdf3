//! `bursar endpoint`: keeps the destinations that owners are told at.

mod destination;
mod rotate;
mod steer;
mod update;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use self::destination::{DestinationFlags, filter};
use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::endpoint;
use super::screen::Screen;
use super::table::{self, Column};
use crate::proto::notification::v1::{
    CreateEndpointRequest, Endpoint, EventFilter, GetEndpointRequest, ListEndpointsRequest,
};

#[derive(Subcommand)]
pub(super) enum EndpointCommand {
    /// Subscribe a queue, a webhook, a mailbox or a subject to events
    Create(Box<CreateArgs>),
    /// List all
    List(PageArgs),
    /// Show one
    Get { id: String },
    /// Change where it is, which events it wants, or of which subjects
    Update(Box<update::UpdateArgs>),
    /// Send nothing more to it
    Disable(steer::SwitchArgs),
    /// Send to it again
    Enable(steer::SwitchArgs),
    /// Make a new secret for a webhook, and show it once
    RotateSecret(rotate::RotateArgs),
    /// Send it a test event now, and show what it answers
    Test(steer::TestArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("destination").required(true)))]
pub(super) struct CreateArgs {
    #[command(flatten)]
    destination: DestinationFlags,
    /// Such as boleto.registered or transfer.done, or * for all; may be repeated or joined by commas
    #[arg(long = "event-type", value_name = "TYPE", value_delimiter = ',', required = true)]
    event_types: Vec<String>,
    /// Only subjects with one of these values, such as bank_account_id=ID,ID; may be repeated, and all must hold
    #[arg(long = "filter", value_name = "ATTRIBUTE=VALUES", value_parser = filter)]
    filters: Vec<EventFilter>,
}

/// What is shown once of a secret that the service made.
const SECRET: [Column; 1] = [Column::plain("secret, shown only now", "/secret")];

pub(super) async fn run(
    command: EndpointCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut endpoints = connection.endpoints();
    let endpoint = match command {
        EndpointCommand::List(args) => return list(args, connection, screen).await,
        EndpointCommand::Test(args) => return steer::test(args, connection, screen).await,
        EndpointCommand::RotateSecret(args) => return rotate::rotate(args, connection, screen).await,
        EndpointCommand::Create(args) => return create(*args, connection, screen).await,
        EndpointCommand::Get { id } => {
            connection.call(endpoints.get_endpoint(GetEndpointRequest { id })).await?.endpoint
        }
        EndpointCommand::Update(args) => update::run(*args, connection).await?,
        EndpointCommand::Disable(args) => steer::disable(args, connection).await?,
        EndpointCommand::Enable(args) => steer::enable(args, connection).await?,
    };
    show(endpoint, "", screen)
}

async fn create(args: CreateArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let CreateArgs { destination, event_types, filters } = args;
    let destination = destination.into_destination();
    let endpoint = Endpoint { destination, event_types, filters, ..Endpoint::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    let answer = connection.call(connection.endpoints().create_endpoint(request)).await?;
    show(answer.endpoint, &answer.secret, screen)
}

/// Shows the one endpoint of an answer, with the secret that came with it.
fn show(endpoint: Option<Endpoint>, secret: &str, screen: &mut Screen) -> Result<(), Failure> {
    let endpoint = endpoint.ok_or_else(Failure::empty_answer)?;
    let mut document = json!({ "endpoint": endpoint::endpoint(&endpoint) });
    if !secret.is_empty() {
        document["secret"] = Value::from(secret);
    }
    screen.show(&document, |document| {
        table::detail(&endpoint::DETAIL, &document["endpoint"]) + &table::detail(&SECRET, document)
    })
}

async fn list(args: PageArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args, async |page_token| {
        let request = ListEndpointsRequest { page_size: args.page_size, page_token };
        let answer = connection.call(connection.endpoints().list_endpoints(request)).await?;
        Ok(Page {
            rows: answer.endpoints.iter().map(endpoint::endpoint).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    paging::show(page, "endpoints", &endpoint::ROW, screen)
}
