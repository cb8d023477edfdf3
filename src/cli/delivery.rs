//! `bursar delivery`: shows what owners were told and what they answered, and sends again or no more.
//!
//! **Fails** as the calls do. **Limits**: a page of one state may be empty although there is more behind it; pages are fetched
//! until one has something to show. What is recovered goes on for as long as `--timeout` lets it: whoever asks again goes on
//! where it was cut off.

use clap::{ArgGroup, Args, Subcommand};
use prost_types::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::delivery;
use super::screen::Screen;
use super::table;
use crate::proto::notification::v1::delivery::State;
use crate::proto::notification::v1::{
    CancelDeliveryRequest, Delivery, ListDeliveriesRequest, ListDeliveryAttemptsRequest,
    RecoverDeliveriesRequest, ResendDeliveryRequest,
};

#[derive(Subcommand)]
pub(super) enum DeliveryCommand {
    /// List how far an endpoint has been told about each subject, or each endpoint about one
    List(ListArgs),
    /// Show what was tried of one and what was answered, newest first
    Attempts(AttemptsArgs),
    /// Send one event once more, or what one has not sent yet, now
    Resend(ResendArgs),
    /// Send everything that was given up for an endpoint since a time
    Recover(RecoverArgs),
    /// Send no more of what one has not sent yet
    Cancel(CancelArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("of").required(true).multiple(true).args(["endpoint_id", "subject_id"])))]
pub(super) struct ListArgs {
    #[arg(long = "endpoint", value_name = "ID", default_value = "", hide_default_value = true)]
    endpoint_id: String,
    /// What they are about, such as a boleto's id
    #[arg(long = "subject", value_name = "ID", default_value = "", hide_default_value = true)]
    subject_id: String,
    /// Only in this state
    #[arg(long, value_parser = delivery::state_parser())]
    state: Option<State>,
    #[command(flatten)]
    page: PageArgs,
}

/// Which one.
#[derive(Args)]
struct One {
    /// The endpoint's id
    endpoint_id: String,
    /// What it is about, such as a boleto's id
    subject_id: String,
}

/// By whose word.
#[derive(Args)]
struct Word {
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl Word {
    fn request_id(&mut self) -> String {
        self.request_id.get_or_insert_with(|| Uuid::now_v7().to_string()).clone()
    }
}

#[derive(Args)]
pub(super) struct AttemptsArgs {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(super) struct ResendArgs {
    #[command(flatten)]
    one: One,
    /// This event, whether it was taken or not; without it everything that was not taken yet
    #[arg(long = "event", value_name = "ID", default_value = "", hide_default_value = true)]
    event_id: String,
    #[command(flatten)]
    word: Word,
}

#[derive(Args)]
pub(super) struct RecoverArgs {
    /// The endpoint's id
    endpoint_id: String,
    /// Given up then or later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    since: Timestamp,
    #[command(flatten)]
    word: Word,
}

#[derive(Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    word: Word,
}

pub(super) async fn run(
    command: DeliveryCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        DeliveryCommand::List(args) => list(args, connection, screen).await,
        DeliveryCommand::Attempts(args) => attempts(args, connection, screen).await,
        DeliveryCommand::Resend(args) => resend(args, connection, screen).await,
        DeliveryCommand::Recover(args) => recover(args, connection, screen).await,
        DeliveryCommand::Cancel(args) => cancel(args, connection, screen).await,
    }
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |mut page_token| {
        loop {
            let request = ListDeliveriesRequest {
                endpoint_id: args.endpoint_id.clone(),
                subject_id: args.subject_id.clone(),
                state: args.state.map_or(0, i32::from),
                page_size: args.page.page_size,
                page_token,
            };
            let answer = connection.call(connection.endpoints().list_deliveries(request)).await?;
            page_token = answer.next_page_token;
            if !answer.deliveries.is_empty() || page_token.is_empty() {
                let rows = answer.deliveries.iter().map(delivery::delivery).collect();
                return Ok(Page { rows, next_page_token: page_token });
            }
        }
    })
    .await?;
    paging::show(page, "deliveries", &delivery::ROW, screen)
}

async fn attempts(args: AttemptsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let One { endpoint_id, subject_id } = args.one;
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListDeliveryAttemptsRequest {
            endpoint_id: endpoint_id.clone(),
            subject_id: subject_id.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.endpoints().list_delivery_attempts(request)).await?;
        let rows = answer.attempts.iter().map(delivery::attempt).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "attempts", &delivery::ATTEMPT, screen)
}

async fn resend(mut args: ResendArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.word.request_id();
    let request = ResendDeliveryRequest {
        endpoint_id: args.one.endpoint_id,
        subject_id: args.one.subject_id,
        event_id: args.event_id,
        reason: args.word.reason,
        request_id: request_id.clone(),
    };
    let answer = connection.call(connection.endpoints().resend_delivery(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?.delivery, screen)
}

async fn recover(mut args: RecoverArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.word.request_id();
    let request = RecoverDeliveriesRequest {
        endpoint_id: args.endpoint_id,
        since: Some(args.since),
        reason: args.word.reason,
        request_id: request_id.clone(),
    };
    let answer = connection.call(connection.endpoints().recover_deliveries(request)).await;
    let recovered = answer.map_err(|failure| failure.with_request_id(&request_id))?.recovered;
    screen.show(&json!({ "recovered": recovered }), |_| format!("recovered  {recovered}\n"))
}

async fn cancel(mut args: CancelArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.word.request_id();
    let request = CancelDeliveryRequest {
        endpoint_id: args.one.endpoint_id,
        subject_id: args.one.subject_id,
        reason: args.word.reason,
        request_id: request_id.clone(),
    };
    let answer = connection.call(connection.endpoints().cancel_delivery(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?.delivery, screen)
}

fn show(delivery: Option<Delivery>, screen: &mut Screen) -> Result<(), Failure> {
    let delivery = delivery.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "delivery": delivery::delivery(&delivery) });
    screen.show(&document, |document| table::detail(&delivery::DETAIL, &document["delivery"]))
}
