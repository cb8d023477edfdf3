//! `bursar token`: makes, shows and revokes the tokens by which callers are known.
//!
//! **Owns** nothing; a secret is printed once and kept nowhere. **Fails** as the calls do. The first token of a house is made by
//! `--store URL`, which opens the store itself: whoever may open that may do anything.
//! **Limits**: as the service says; a token that is made without it holds at most ten years.

mod first;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::token;
use super::screen::Screen;
use super::table::{self, Column};
use crate::domain::access::Scope;
use crate::proto::access::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make one, and show it once
    Create(CreateArgs),
    /// List all, newest first
    List(ListArgs),
    /// Have one open nothing more, from now on
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Whose it is, in words
    #[arg(long)]
    name: String,
    /// What it may do, such as boleto.write, or admin for everything; may be repeated or joined by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true, value_parser = str::parse::<Scope>)]
    scopes: Vec<Scope>,
    /// How long it holds, such as 90days; the service's own span when absent
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
    /// Whose rows it sees; your own tenant's when absent
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// Open this store and make the token there, without a service: sqlite:PATH (nobody else may have it open) or postgres://…
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Only those of this tenant
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(super) struct RevokeArgs {
    /// The part between `bursar_` and the secret, as the list shows it
    prefix: String,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
}

/// What is shown once.
const SECRET: [Column; 1] = [Column::plain("token, shown only now", "/secret")];

/// Makes the first token of a house, where that is what is asked for; hands the command back where it is not.
pub(super) async fn without_service(
    command: TokenCommand,
    global: &Global,
    screen: &mut Screen,
) -> Result<Option<TokenCommand>, Failure> {
    match command {
        TokenCommand::Create(CreateArgs { store: Some(url), name, scopes, lifetime, tenant, reason }) => {
            let asked = first::Asked { url, name, scopes, lifetime, tenant, reason };
            let (made, secret) = first::create(asked, global.timeout).await?;
            show(Some(made), &secret, screen)?;
            Ok(None)
        }
        command => Ok(Some(command)),
    }
}

pub(super) async fn run(
    command: TokenCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => {
            let request = CreateTokenRequest {
                name: args.name,
                scopes: args.scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect(),
                lifetime: args.lifetime.map(|span| span.try_into().unwrap_or_default()),
                tenant_id: args.tenant,
                reason: args.reason,
            };
            let answer = connection.call(connection.tokens().create_token(request)).await?;
            show(answer.token, &answer.secret, screen)
        }
        TokenCommand::List(args) => list(args, connection, screen).await,
        TokenCommand::Revoke(args) => {
            let request = RevokeTokenRequest { prefix: args.prefix, reason: args.reason };
            let answer = connection.call(connection.tokens().revoke_token(request)).await?;
            show(answer.token, "", screen)
        }
    }
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let tenant_id = args.tenant.clone();
        let request = ListTokensRequest { tenant_id, page_size: args.page.page_size, page_token };
        let answer = connection.call(connection.tokens().list_tokens(request)).await?;
        let rows = answer.tokens.iter().map(token::token).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "tokens", &token::ROW, screen)
}

/// Shows a token, with its secret if it is new.
fn show(made: Option<Token>, secret: &str, screen: &mut Screen) -> Result<(), Failure> {
    let made = made.ok_or_else(Failure::empty_answer)?;
    let mut document = json!({ "token": token::token(&made) });
    if !secret.is_empty() {
        document["secret"] = Value::from(secret);
    }
    screen.show(&document, |document| {
        table::detail(&token::DETAIL, &document["token"]) + &table::detail(&SECRET, document)
    })
}
