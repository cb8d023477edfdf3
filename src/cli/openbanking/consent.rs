//! `bursar openbanking consent`: what customers have allowed at their banks.
//!
//! **Fails** as the calls do; revoking fails without `--yes`, for a consent that has ended stays ended. An import in which some are
//! another customer's exits as a conflict, and has taken the others.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tonic::Code;

use super::many;
use super::user::words;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::hand::HandArgs;
use crate::cli::input::openbanking::ConsentInput;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::openbanking as render;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::openbanking::v1::{
    Consent, GetConsentRequest, ImportConsentsRequest, ListConsentsRequest, NewConsent, RevokeConsentRequest,
};

#[derive(Subcommand)]
pub(in crate::cli) enum ConsentCommand {
    /// Write consents down with their tokens and accounts: JSON lines with the field names of NewConsent
    Import {
        /// The file; - reads standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List consents, newest first
    List(ListArgs),
    /// Show one
    Show { id: String },
    /// End one here; its owner is told, and the bank is not
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    /// Of this customer, by the owner's name for them
    #[arg(long = "user", value_name = "NAME", default_value = "", hide_default_value = true)]
    user_external_id: String,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(in crate::cli) struct RevokeArgs {
    id: String,
    /// Do it; a consent that has ended stays ended
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    hand: HandArgs,
}

pub(super) async fn run(
    command: ConsentCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        ConsentCommand::Import { file } => import(file, connection, screen).await,
        ConsentCommand::List(args) => list(args, connection, screen).await,
        ConsentCommand::Show { id } => {
            let request = GetConsentRequest { id };
            show(connection.call(connection.consents().get_consent(request)).await?.consent, screen)
        }
        ConsentCommand::Revoke(args) => revoke(args, connection, screen).await,
    }
}

async fn import(file: PathBuf, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let mut of_others = 0_u64;
    many::send::<ConsentInput, NewConsent>(&file, "writing consents", screen, async |call, screen| {
        let many::Call { things: consents, lines } = call;
        let names: Vec<String> = consents.iter().map(|consent| consent.external_id.clone()).collect();
        let request = ImportConsentsRequest { consents };
        let answer = connection.call(connection.consents().import_consents(request)).await?;
        for ((line, name), result) in lines.into_iter().zip(names).zip(answer.results) {
            of_others += u64::from(result.another_users);
            let told = json!({
                "line": line,
                "external_id": name,
                "id": result.id,
                "written": result.written,
                "another_users": result.another_users,
                "ended": result.ended,
                "account_ids": result.account_ids,
            });
            screen.show_line(&told, |told| match (told["another_users"] == true, told["ended"] == true) {
                (true, _) => format!("{}  is another customer's", words(told, "/external_id")),
                (_, true) => format!("{}  has ended", words(told, "/external_id")),
                _ => words(told, "/external_id"),
            })?;
        }
        Ok(())
    })
    .await?;
    if of_others == 0 {
        return Ok(());
    }
    let message = format!("{of_others} not taken: the bank's names for them are those of other customers'");
    Err(Failure::found(Code::AlreadyExists, message))
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListConsentsRequest {
            user_external_id: args.user_external_id.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.consents().list_consents(request)).await?;
        let rows = answer.consents.iter().map(render::consent).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "consents", &render::CONSENT_ROW, screen)
}

async fn revoke(args: RevokeArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    if !args.yes {
        let message = "a consent that has ended stays ended; give --yes to end it";
        return Err(Failure::found(Code::FailedPrecondition, message));
    }
    let request_id = args.hand.request_id();
    let request =
        RevokeConsentRequest { request_id: request_id.clone(), id: args.id, reason: args.hand.reason };
    let answer = connection.call(connection.consents().revoke_consent(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?.consent, screen)
}

fn show(consent: Option<Consent>, screen: &mut Screen) -> Result<(), Failure> {
    let consent = consent.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "consent": render::consent(&consent) });
    screen.show(&document, |document| table::detail(&render::CONSENT, &document["consent"]))
}
