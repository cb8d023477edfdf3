//! `bursar openbanking payment`: follows payments to their end at the bank.
//!
//! **Fails** as the calls do; watching exits by how they ended: with the code of what has failed where one was not done, and as a
//! conflict where one is unresolved. **Limits**: an interrupt (Ctrl-C) ends the watching alone.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use super::many;
use crate::cli::connection::Connection;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::hand::HandArgs;
use crate::cli::input::openbanking::PaymentInput;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::openbanking as render;
use crate::cli::screen::Screen;
use crate::cli::table::{self, plain, safe};
use crate::proto::openbanking::v1::payment::State;
use crate::proto::openbanking::v1::{
    GetPaymentRequest, ListPaymentsRequest, NewPayment, Payment, ResolvePaymentRequest, TrackPaymentsRequest,
    WatchPaymentsRequest, WatchPaymentsResponse,
};

#[derive(Subcommand)]
pub(in crate::cli) enum PaymentCommand {
    /// Have payments followed: JSON lines with the field names of NewPayment
    Track {
        /// The file; - reads standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Show one
    Show(ShowArgs),
    /// List payments, newest first; those of a bundle oldest first
    List(Box<ListArgs>),
    /// Show each as it stands and at each change, until all have ended; exits by how they ended
    Watch {
        #[arg(required = true, num_args = 1..=100)]
        ids: Vec<String>,
    },
    /// End one of which no bank says how it ended
    Resolve(ResolveArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("one").required(true).args(["id", "external_id"])))]
pub(in crate::cli) struct ShowArgs {
    id: Option<String>,
    /// The bank's name for it, instead of its id
    #[arg(long, value_name = "NAME", requires = "aspsp")]
    external_id: Option<String>,
    /// The bank
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    aspsp: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    /// In this state
    #[arg(long, value_parser = render::payment_state_parser())]
    state: Option<State>,
    /// At this bank
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    aspsp: String,
    /// Of this customer, by the owner's name for them
    #[arg(long = "user", value_name = "NAME", default_value = "", hide_default_value = true)]
    user_external_id: String,
    /// Of this bundle or recurring payment
    #[arg(
        long = "parent",
        value_name = "ID",
        default_value = "",
        hide_default_value = true,
        conflicts_with_all = ["state", "aspsp", "user_external_id"]
    )]
    parent_id: String,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(in crate::cli) struct ResolveArgs {
    id: String,
    /// What it is: done, rejected or cancelled; a bundle also mixed
    #[arg(long = "as", value_name = "STATE", value_parser = render::payment_state_parser())]
    state: State,
    /// The version that was read; 0 for whatever it is
    #[arg(long, default_value_t = 0)]
    version: i64,
    #[command(flatten)]
    hand: HandArgs,
}

pub(super) async fn run(
    command: PaymentCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        PaymentCommand::Track { file } => track(file, connection, screen).await,
        PaymentCommand::Show(args) => {
            let request = GetPaymentRequest {
                id: args.id.unwrap_or_default(),
                aspsp: args.aspsp.unwrap_or_default(),
                external_id: args.external_id.unwrap_or_default(),
            };
            show(connection.call(connection.payments().get_payment(request)).await?.payment, screen)
        }
        PaymentCommand::List(args) => list(*args, connection, screen).await,
        PaymentCommand::Watch { ids } => watch(ids, connection, screen).await,
        PaymentCommand::Resolve(args) => resolve(args, connection, screen).await,
    }
}

async fn track(file: PathBuf, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    many::send::<PaymentInput, NewPayment>(&file, "writing payments", screen, async |call, screen| {
        let many::Call { things: payments, lines } = call;
        let names: Vec<String> = payments.iter().map(|payment| payment.external_id.clone()).collect();
        let request = TrackPaymentsRequest { payments };
        let answer = connection.call(connection.payments().track_payments(request)).await?;
        for ((line, name), result) in lines.into_iter().zip(names).zip(answer.results) {
            let told = json!({
                "line": line,
                "external_id": name,
                "id": result.id,
                "is_new": result.is_new,
                "state": render::payment_state(result.state),
            });
            screen.show_line(&told, |told| {
                let text = |field: &str| safe(&plain(&told[field]));
                let became = if told["is_new"] == true { "followed" } else { "followed already" };
                let [line, id, name, state] = ["line", "id", "external_id", "state"].map(text);
                format!("{line}  {id}  {name}  {state}  {became}")
            })?;
        }
        Ok(())
    })
    .await
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListPaymentsRequest {
            state: args.state.map_or(0, i32::from),
            aspsp: args.aspsp.clone(),
            user_external_id: args.user_external_id.clone(),
            parent_id: args.parent_id.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.payments().list_payments(request)).await?;
        let rows = answer.payments.iter().map(render::payment).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "payments", &render::PAYMENT_ROW, screen)
}

async fn watch(ids: Vec<String>, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = WatchPaymentsRequest { ids };
    let stream = connection.call(connection.payments().watch_payments(request)).await?;
    tokio::select! {
        outcome = follow(stream, screen) => outcome,
        // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
        Ok(()) = tokio::signal::ctrl_c() => {
            Err(Failure::found(Code::Cancelled, "interrupted; the payments are followed all the same"))
        }
    }
}

async fn follow(mut stream: Streaming<WatchPaymentsResponse>, screen: &mut Screen) -> Result<(), Failure> {
    let (mut open, mut not_done, mut unresolved) = (std::collections::BTreeSet::new(), 0_u64, 0_u64);
    while let Some(answer) = stream.message().await? {
        let Some(payment) = answer.payment else { continue };
        match payment.state() {
            State::InProgress | State::Unspecified => {
                open.insert(payment.id.clone());
            }
            ended => {
                open.remove(&payment.id);
                unresolved += u64::from(ended == State::Unresolved);
                not_done += u64::from(!matches!(ended, State::Done | State::Unresolved));
            }
        }
        screen.show_line(&json!({ "payment": render::payment(&payment) }), line)?;
    }
    if !open.is_empty() {
        return Err(Failure::found(Code::Unavailable, "the service ended the stream"));
    }
    match (not_done, unresolved) {
        (0, 0) => Ok(()),
        (0, unresolved) => {
            let message = format!("{unresolved} unresolved: no bank says how they ended");
            Err(Failure::found(Code::FailedPrecondition, message))
        }
        (not_done, _) => {
            let message = format!("{not_done} ended without being done");
            Err(Failure::ended(Exit::Failed, message))
        }
    }
}

fn line(answer: &Value) -> String {
    let payment = &answer["payment"];
    let fields = ["update_time", "id", "aspsp", "external_id", "state", "raw_status", "reason"];
    let texts = fields.map(|field| safe(&plain(&payment[field])));
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  ")
}

async fn resolve(args: ResolveArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.hand.request_id();
    let request = ResolvePaymentRequest {
        request_id: request_id.clone(),
        id: args.id,
        version: args.version,
        state: args.state.into(),
        reason: args.hand.reason,
    };
    let answer = connection.call(connection.payments().resolve_payment(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?.payment, screen)
}

fn show(payment: Option<Payment>, screen: &mut Screen) -> Result<(), Failure> {
    let payment = payment.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "payment": render::payment(&payment) });
    screen.show(&document, |document| table::detail(&render::PAYMENT, &document["payment"]))
}
