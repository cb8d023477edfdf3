//! `bursar config reload`: the running service reads its configuration again.
//!
//! **Fails** with everything that is wrong with it; then nothing has changed. **Limits**: the process that answers, by its own file,
//! environment and command line; each process on a store is asked for itself.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column, plain};
use crate::proto::control::v1::{ReloadConfigRequest, SettingChange};

#[derive(Args)]
pub(in crate::cli) struct ReloadArgs {
    /// Say what would be taken over, and change nothing
    #[arg(long)]
    check: bool,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

const TAKEN: [Column; 3] =
    [Column::plain("KEY", "/key"), Column::plain("BEFORE", "/before"), Column::plain("AFTER", "/after")];

pub(super) async fn run(
    args: ReloadArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = ReloadConfigRequest { check_only: args.check, reason: args.reason };
    let answer = connection.call(connection.control().reload_config(request)).await?;
    let taken: Vec<Value> = answer.taken.iter().map(change).collect();
    let document = json!({ "check_only": args.check, "taken": taken, "waiting": answer.waiting });
    screen.show(&document, |_| {
        let mut text = match taken.is_empty() {
            true => "nothing to take over\n".to_owned(),
            false => table::rows(&TAKEN, &taken),
        };
        for key in &answer.waiting {
            text.push_str(&format!("waits for the next start: {}\n", plain(&json!(key))));
        }
        text
    })
}

fn change(change: &SettingChange) -> Value {
    json!({ "key": change.key, "before": change.before, "after": change.after })
}
