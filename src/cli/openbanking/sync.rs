//! `bursar openbanking sync`: refreshes a customer's accounts now, says what a run would do, and shows the visits at banks.
//!
//! **Fails** as the calls do; one that is followed by how its run ended. **Limits**: the banks' quotas hold whoever wants a run.

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::hand::HandArgs;
use crate::cli::job::follow;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::progress;
use crate::cli::render::{job, openbanking as render};
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::openbanking::v1::{
    ListAspspsRequest, ListCallsRequest, ListSessionsRequest, PlanSyncRequest, SyncUserRequest,
};

#[derive(Subcommand)]
pub(in crate::cli) enum SyncCommand {
    /// Refresh one customer's accounts now, within the banks' quotas
    User(UserArgs),
    /// Say what a run would do, without asking any bank
    Plan(PlanArgs),
    /// List visits at banks: newest first, those of a run oldest first
    Sessions(SessionsArgs),
    /// List the requests of a visit or of a run, oldest first
    Calls(CallsArgs),
}

#[derive(Args)]
pub(in crate::cli) struct UserArgs {
    /// The owner's name for them
    external_id: String,
    /// Show how far it comes, until it has ended
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    hand: HandArgs,
}

#[derive(Args)]
pub(in crate::cli) struct PlanArgs {
    /// A run that begins then, RFC 3339; absent for now
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// Customers that are looked at, at most
    #[arg(long, value_name = "N", default_value_t = 2_400, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    users_max: i32,
}

#[derive(Args)]
pub(in crate::cli) struct SessionsArgs {
    /// By this consent
    #[arg(long = "consent", value_name = "ID", default_value = "", hide_default_value = true)]
    consent_id: String,
    /// Of this run
    #[arg(
        long = "run",
        value_name = "ID",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "consent_id"
    )]
    run_id: String,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
#[command(group(ArgGroup::new("of").required(true).args(["session_id", "run_id"])))]
pub(in crate::cli) struct CallsArgs {
    /// Of this visit
    #[arg(long = "session", value_name = "ID")]
    session_id: Option<String>,
    /// Of this run
    #[arg(long = "run", value_name = "ID")]
    run_id: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(
    command: SyncCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        SyncCommand::User(args) => user(args, connection, screen).await,
        SyncCommand::Plan(args) => plan(args, connection, screen).await,
        SyncCommand::Sessions(args) => sessions(args, connection, screen).await,
        SyncCommand::Calls(args) => calls(args, connection, screen).await,
    }
}

async fn user(args: UserArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request_id = args.hand.request_id();
    let request = SyncUserRequest {
        request_id: request_id.clone(),
        external_id: args.external_id,
        reason: args.hand.reason,
    };
    let answer = connection.call(connection.syncs().sync_user(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let run = answer.run.ok_or_else(Failure::empty_answer)?;
    if args.follow {
        return follow::run(run.id, connection, screen).await;
    }
    let document = json!({ "run": job::run(&run) });
    screen.show(&document, |document| table::detail(&job::RUN, &document["run"]))
}

async fn plan(args: PlanArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let begin_time = args.at.map(|at| Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    });
    let request = PlanSyncRequest { begin_time, users_max: args.users_max };
    let mut syncs = connection.syncs();
    let answer = progress::while_waiting("planning", connection.call(syncs.plan_sync(request)), screen);
    let plan = render::plan(&answer.await?);
    screen.show(&plan, |plan| {
        let rows = |name: &str| plan[name].as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
        let detail = table::detail(&render::PLAN, plan);
        let shares = table::rows(&render::SHARE, &rows("shares"));
        let over = rows("over_budget");
        match over.is_empty() {
            true => format!("{detail}\n{shares}"),
            false => format!("{detail}\n{shares}\n{}", table::rows(&render::OVER_BUDGET, &over)),
        }
    })
}

async fn sessions(args: SessionsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListSessionsRequest {
            consent_id: args.consent_id.clone(),
            run_id: args.run_id.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.syncs().list_sessions(request)).await?;
        let rows = answer.sessions.iter().map(render::session).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "sessions", &render::SESSION, screen)
}

async fn calls(args: CallsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListCallsRequest {
            session_id: args.session_id.clone().unwrap_or_default(),
            run_id: args.run_id.clone().unwrap_or_default(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.syncs().list_calls(request)).await?;
        let rows = answer.calls.iter().map(render::call).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "calls", &render::CALL, screen)
}

pub(super) async fn aspsps(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let answer = connection.call(connection.syncs().list_aspsps(ListAspspsRequest {})).await?;
    let rows: Vec<Value> = answer.aspsps.iter().map(render::aspsp).collect();
    screen.show(&json!({ "aspsps": rows }), |_| table::rows(&render::ASPSP, &rows))
}
