//! `bursar audit`: who did what, and that nobody has changed the record of it.
//!
//! **Owns** nothing. **Fails** as the calls do; a chain that does not hold is shown and is a failure. **Limits**: the chain is followed
//! some records a call, each within `--timeout`.

mod verify;

use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::Global;
use super::connection::Connection;
use super::failure::Failure;
use super::paging::{self, Page, PageArgs};
use super::render::audit;
use super::screen::Screen;
use crate::proto::access::v1::ListAuditRequest;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// List who did what, newest first
    List(ListArgs),
    /// Follow the chain of hashes through all records, and show the last one's hash: keep that elsewhere
    Verify(verify::VerifyArgs),
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Only what they did, such as token:PREFIX
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    actor: String,
    /// Only this, such as PauseQueue
    #[arg(long, value_name = "METHOD", default_value = "", hide_default_value = true)]
    method: String,
    /// Only what was done to this: an id, or the name of an actor, a queue or a job
    #[arg(long, value_name = "SUBJECT", default_value = "", hide_default_value = true)]
    subject: String,
    /// Only what was done then or later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    from: Option<Timestamp>,
    /// Only what was done before that, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    until: Option<Timestamp>,
    /// Only of this tenant
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    #[command(flatten)]
    page: PageArgs,
}

/// Verifies a closed store, where that is what is asked for; hands the command back where it is not.
pub(super) async fn without_service(
    command: AuditCommand,
    global: &Global,
    screen: &mut Screen,
) -> Result<Option<AuditCommand>, Failure> {
    match command {
        AuditCommand::Verify(args) if args.store.is_some() => {
            verify::in_store(args, global.timeout, screen).await?;
            Ok(None)
        }
        command => Ok(Some(command)),
    }
}

pub(super) async fn run(
    command: AuditCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        AuditCommand::List(args) => list(args, connection, screen).await,
        AuditCommand::Verify(args) => verify::at_service(args, connection, screen).await,
    }
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListAuditRequest {
            tenant_id: args.tenant.clone(),
            actor: args.actor.clone(),
            method: args.method.clone(),
            subject: args.subject.clone(),
            time_from: args.from,
            time_until: args.until,
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.audit().list_audit(request)).await?;
        let rows = answer.records.iter().map(audit::record).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "records", &audit::ROW, screen)
}
