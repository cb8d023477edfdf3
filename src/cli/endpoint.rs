//! `bursar endpoint`: keeps the destinations that owners are told at.

use clap::{Args, Subcommand};
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::endpoint;
use super::screen::Screen;
use super::table;
use crate::proto::notification::v1::endpoint::Destination;
use crate::proto::notification::v1::{
    CreateEndpointRequest, Endpoint, GetEndpointRequest, ListEndpointsRequest, SqsDestination,
    WebhookDestination,
};

#[derive(Subcommand)]
pub(super) enum EndpointCommand {
    /// Subscribe a queue or a webhook to events
    Create(CreateArgs),
    /// List all
    List(PageArgs),
    /// Show one
    Get { id: String },
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// A queue of the Simple Queue Service
    #[arg(long, value_name = "URL", required_unless_present = "webhook_url", conflicts_with = "webhook_url")]
    queue_url: Option<String>,
    /// A receiver of Standard Webhooks
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Where the webhook's secret is kept, such as env:NAME or file:path; two during a rotation
    #[arg(long = "secret", value_name = "REFERENCE", conflicts_with = "queue_url")]
    secrets: Vec<String>,
    /// Such as boleto.registered, or * for all; may be repeated or joined by commas
    #[arg(long = "event-type", value_name = "TYPE", value_delimiter = ',', required = true)]
    event_types: Vec<String>,
}

impl CreateArgs {
    fn into_endpoint(self) -> Endpoint {
        let sqs = self.queue_url.map(|queue_url| Destination::Sqs(SqsDestination { queue_url }));
        let secrets = self.secrets;
        let webhook = self.webhook_url.map(|url| Destination::Webhook(WebhookDestination { url, secrets }));
        Endpoint { destination: sqs.or(webhook), event_types: self.event_types, ..Endpoint::default() }
    }
}

pub(super) async fn run(
    command: EndpointCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut endpoints = connection.endpoints();
    let endpoint = match command {
        EndpointCommand::List(args) => return list(args, connection, screen).await,
        EndpointCommand::Get { id } => {
            connection.call(endpoints.get_endpoint(GetEndpointRequest { id })).await?.endpoint
        }
        EndpointCommand::Create(args) => {
            let request = CreateEndpointRequest { endpoint: Some(args.into_endpoint()) };
            connection.call(endpoints.create_endpoint(request)).await?.endpoint
        }
    };
    let endpoint = endpoint.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "endpoint": endpoint::endpoint(&endpoint) });
    screen.show(&document, |document| table::detail(&endpoint::DETAIL, &document["endpoint"]))
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
