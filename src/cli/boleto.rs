//! `bursar boleto`: issues, finds, follows and reads boletos.

mod amend;
mod batch;
mod cancel;
mod create;
mod differences;
mod erase;
mod export;
mod get;
mod history;
mod link;
mod list;
mod order;
mod parse;
mod quote;
mod reconcile;
mod record_payment;
mod register;
mod render;
mod resolve;
mod terms;
mod watch;

use clap::Subcommand;
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::render::boleto;
use super::screen::Screen;
use super::table;
use crate::proto::boleto::v1::Boleto;

#[derive(Subcommand)]
pub(super) enum BoletoCommand {
    /// Issue a boleto and have it registered with its bank
    Create(Box<create::CreateArgs>),
    /// Issue the boletos of a file, many in a call
    Batch(batch::BatchArgs),
    /// Show one
    Get { id: String },
    /// List boletos, newest first
    List(Box<list::ListArgs>),
    /// Write every boleto that a filter finds as JSON lines or CSV, oldest first
    Export(Box<export::ExportArgs>),
    /// Write down a payment
    RecordPayment(Box<record_payment::RecordPaymentArgs>),
    /// Show what is owed on a day
    Quote(quote::QuoteArgs),
    /// Write one as PDF, PNG, SVG or HTML
    Render(render::RenderArgs),
    /// Make an address by which a payer sees one, where documents.links.enabled is set
    Link(link::LinkArgs),
    /// Have all such addresses of one end now
    Unlink(link::UnlinkArgs),
    /// Ask the bank again now instead of at the next attempt
    Register { id: String },
    /// Have the bank change its amount, due date or charges, as far as the bank can
    Amend(Box<amend::AmendArgs>),
    /// Take one off file (baixa)
    Cancel(order::OrderArgs),
    /// Take away who was to pay one that has ended, for good
    Erase(erase::EraseArgs),
    /// End a review by a person's decision
    Resolve(resolve::ResolveArgs),
    /// Ask banks now what was paid and taken off file, and show in what they and we disagree
    Reconcile(reconcile::ReconcileArgs),
    /// List in what banks and we disagree, newest first
    Differences(differences::DifferencesArgs),
    /// Say that a difference has been looked at
    Settle(differences::SettleArgs),
    /// Show everything that happened to one
    History { id: String },
    /// Read and check a line or barcode of any bank
    Parse(parse::ParseArgs),
    /// Follow changes as they are committed, a line for each, until interrupted
    Watch(watch::WatchArgs),
}

pub(super) async fn run(
    command: BoletoCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        BoletoCommand::Create(args) => create::run(*args, connection, screen).await,
        BoletoCommand::Batch(args) => batch::run(args, connection, screen).await,
        BoletoCommand::Get { id } => get::run(id, connection, screen).await,
        BoletoCommand::List(args) => list::run(*args, connection, screen).await,
        BoletoCommand::Export(args) => export::run(*args, connection, screen).await,
        BoletoCommand::RecordPayment(args) => record_payment::run(*args, connection, screen).await,
        BoletoCommand::Quote(args) => quote::run(args, connection, screen).await,
        BoletoCommand::Render(args) => render::run(args, connection, screen).await,
        BoletoCommand::Link(args) => link::link(args, connection, screen).await,
        BoletoCommand::Unlink(args) => link::unlink(args, connection, screen).await,
        BoletoCommand::Register { id } => register::run(id, connection, screen).await,
        BoletoCommand::Amend(args) => amend::run(*args, connection, screen).await,
        BoletoCommand::Cancel(args) => cancel::run(args, connection, screen).await,
        BoletoCommand::Erase(args) => erase::run(args, connection, screen).await,
        BoletoCommand::Resolve(args) => resolve::run(args, connection, screen).await,
        BoletoCommand::Reconcile(args) => reconcile::run(args, connection, screen).await,
        BoletoCommand::Differences(args) => differences::run(args, connection, screen).await,
        BoletoCommand::Settle(args) => differences::settle(args, connection, screen).await,
        BoletoCommand::History { id } => history::run(id, connection, screen).await,
        BoletoCommand::Parse(args) => parse::run(args, connection, screen).await,
        BoletoCommand::Watch(args) => watch::run(args, connection, screen).await,
    }
}

/// Shows the one boleto of an answer.
fn show(boleto: Option<Boleto>, screen: &mut Screen) -> Result<(), Failure> {
    let boleto = boleto.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "boleto": boleto::boleto(&boleto) });
    screen.show(&document, |document| table::detail(&boleto::DETAIL, &document["boleto"]))
}
