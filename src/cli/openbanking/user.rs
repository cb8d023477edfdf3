//! `bursar openbanking user`: the customers whose accounts and payments are followed.
//!
//! **Fails** as the calls do; erasing fails without `--yes`, for nothing brings it back.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::many;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::hand::{ErasureArgs, HandArgs};
use crate::cli::input::openbanking::UserInput;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::openbanking as render;
use crate::cli::screen::Screen;
use crate::cli::table::{self, plain, safe};
use crate::proto::openbanking::v1::{
    EraseUserRequest, GetUserRequest, ListUsersRequest, NewUser, PutUsersRequest, UpdateUserRequest, User,
};

#[derive(Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Write customers down, or what has changed about them: JSON lines with the field names of NewUser
    Put {
        /// The file; - reads standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List customers, newest first
    List(PageArgs),
    /// Show one
    Show {
        /// The owner's name for them
        external_id: String,
    },
    /// Change what one has allowed
    Update(UpdateArgs),
    /// Take away everything of one but that there was one
    Erase(EraseArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true).args(["update_offline", "active"])))]
pub(in crate::cli) struct UpdateArgs {
    /// The owner's name for them
    external_id: String,
    /// Whether their accounts may be read while they are away
    #[arg(long, value_name = "true|false")]
    update_offline: Option<bool>,
    /// Whether they are a customer still
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    #[command(flatten)]
    hand: HandArgs,
}

#[derive(Args)]
pub(in crate::cli) struct EraseArgs {
    /// The owner's name for them
    external_id: String,
    #[command(flatten)]
    erasure: ErasureArgs,
}

pub(super) async fn run(
    command: UserCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        UserCommand::Put { file } => put(file, connection, screen).await,
        UserCommand::List(page) => list(page, connection, screen).await,
        UserCommand::Show { external_id } => {
            let request = GetUserRequest { external_id };
            show(connection.call(connection.users().get_user(request)).await?.user, screen)
        }
        UserCommand::Update(args) => update(args, connection, screen).await,
        UserCommand::Erase(args) => erase(args, connection, screen).await,
    }
}

async fn put(file: PathBuf, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    many::send::<UserInput, NewUser>(&file, "writing customers", screen, async |call, screen| {
        let many::Call { things: users, lines } = call;
        let names: Vec<String> = users.iter().map(|user| user.external_id.clone()).collect();
        let answer = connection.call(connection.users().put_users(PutUsersRequest { users })).await?;
        for ((line, name), result) in lines.into_iter().zip(names).zip(answer.results) {
            let (id, written) = (result.id, result.written);
            let told = json!({ "line": line, "external_id": name, "id": id, "written": written });
            screen.show_line(&told, |told| words(told, "/external_id"))?;
        }
        Ok(())
    })
    .await
}

/// A line of what became of one: its line, its id, its name, and whether anything was new about it.
pub(super) fn words(told: &Value, name: &str) -> String {
    let text = |pointer: &str| safe(&told.pointer(pointer).map(plain).unwrap_or_default());
    let became = if told["written"] == true { "written" } else { "as it was" };
    format!("{}  {}  {}  {became}", text("/line"), text("/id"), text(name))
}

async fn list(args: PageArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args, async |page_token| {
        let request = ListUsersRequest { page_size: args.page_size, page_token };
        let answer = connection.call(connection.users().list_users(request)).await?;
        let rows = answer.users.iter().map(render::user).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "users", &render::USER_ROW, screen)
}

async fn update(args: UpdateArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.hand.request_id();
    let request = UpdateUserRequest {
        request_id: request_id.clone(),
        external_id: args.external_id,
        update_offline: args.update_offline,
        active: args.active,
        reason: args.hand.reason,
    };
    let answer = connection.call(connection.users().update_user(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?.user, screen)
}

async fn erase(args: EraseArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let hand = args.erasure.confirmed()?;
    let request_id = hand.request_id();
    let request = EraseUserRequest {
        request_id: request_id.clone(),
        external_id: args.external_id,
        reason: hand.reason,
    };
    let answer = connection.call(connection.users().erase_user(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let time = answer.erase_time.map(|time| time.to_string());
    screen.show(&json!({ "erase_time": time }), |_| "erased\n".to_owned())
}

fn show(user: Option<User>, screen: &mut Screen) -> Result<(), Failure> {
    let user = user.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "user": render::user(&user) });
    screen.show(&document, |document| table::detail(&render::USER, &document["user"]))
}
