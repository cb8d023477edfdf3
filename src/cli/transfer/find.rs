//! `bursar transfer find`: what is known of a key, here and in its feed.
//!
//! **Fails** as not found for a key that is nowhere, and as unavailable for one that is not here while its feed cannot be asked.
//! **Limits**: whoever is told scores is kept for the audit.

use clap::Args;
use serde_json::{Value, json};
use tonic::Code;

use super::Keyed;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::{time, transfer};
use crate::cli::screen::Screen;
use crate::cli::table::{self, safe};
use crate::proto::transfer::v1::{FindTransferRequest, FindTransferResponse};

#[derive(Args)]
pub(in crate::cli) struct FindArgs {
    #[command(flatten)]
    keyed: Keyed,
}

pub(super) async fn run(args: FindArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let Keyed { key, feed } = args.keyed;
    let request = FindTransferRequest { key, feed };
    let found = connection.call(connection.transfers().find_transfer(request)).await?;
    let document = document(&found);
    let failure = match (&found.transfer, found.in_feed) {
        (None, Some(false)) => {
            Failure::found(Code::NotFound, "neither the service nor the feed knows this key")
        }
        (None, None) => {
            let why = format!("the service does not know this key: {}", found.feed_error);
            Failure::found(Code::Unavailable, why)
        }
        _ => return screen.show(&document, text),
    };
    if screen.is_json() {
        screen.show(&document, text)?;
    }
    Err(failure)
}

fn document(found: &FindTransferResponse) -> Value {
    json!({
        "transfer": found.transfer.as_ref().map(transfer::transfer),
        "runs": found.runs.iter().map(transfer::run).collect::<Vec<_>>(),
        "answers": found.answers.iter().map(transfer::answer).collect::<Vec<_>>(),
        "in_feed": found.in_feed,
        "processed_in_feed": found.processed_in_feed,
        "last_error": found.last_error,
        "next_attempt_time": time(found.next_attempt_time.as_ref()),
        "feed_error": found.feed_error,
    })
}

fn text(document: &Value) -> String {
    let mut text = match document["transfer"].is_null() {
        true => "never seen: nobody has taken it in yet\n".to_owned(),
        false => table::detail(&transfer::DETAIL, &document["transfer"]),
    };
    let feed = match (document["in_feed"].as_bool(), document["processed_in_feed"].as_bool()) {
        (None, _) => format!("could not be asked: {}", table::plain(&document["feed_error"])),
        (Some(false), _) => "holds it no longer".to_owned(),
        (Some(true), Some(true)) => "holds it, processed".to_owned(),
        (Some(true), Some(false)) => "holds it, not processed".to_owned(),
        (Some(true), None) => "holds it and does not say whether it is processed".to_owned(),
    };
    text.push_str(&format!("the feed {}\n", safe(&feed)));
    for (name, field) in [("last error", "last_error"), ("next attempt", "next_attempt_time")] {
        let said = table::plain(&document[field]);
        if !said.is_empty() {
            text.push_str(&format!("{name}: {}\n", safe(&said)));
        }
    }
    for (field, columns) in [("runs", &transfer::RUN[..]), ("answers", &transfer::ANSWER[..])] {
        let rows = document[field].as_array().map(Vec::as_slice).unwrap_or_default();
        if !rows.is_empty() {
            text.push_str(&format!("\n{}", table::rows(columns, rows)));
        }
    }
    text
}
