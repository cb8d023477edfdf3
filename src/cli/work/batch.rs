//! `bursar work retry --all` and `cancel --all`: work steered by a filter, slice by slice until nothing is left to do.
//!
//! **Fails** as a call does, after saying how much had been done before. **Limits**: 1,000 rows a slice.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::work::state_parser;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column};
use crate::proto::control::v1::{BatchCancelWorkRequest, BatchRetryWorkRequest, WorkFilter, WorkState};

/// Which work, besides one by its id.
#[derive(Args, Clone)]
pub(in crate::cli) struct FilterArgs {
    /// All that match, instead of one
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
    /// Any of these; may be repeated or joined by commas
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state_parser(), conflicts_with = "id")]
    states: Vec<WorkState>,
    /// Such as boleto.register
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "id")]
    kind: String,
    /// Its whole name
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "id")]
    queue: String,
    /// What it is about, such as a boleto's id
    #[arg(
        long = "subject",
        value_name = "ID",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "id"
    )]
    subject_id: String,
}

const RETRIED: [Column; 3] = [
    Column::plain("retried", "/retried"),
    Column::plain("left in hand", "/in_hand"),
    Column::plain("left, superseded", "/superseded"),
];

const CANCELLED: [Column; 2] =
    [Column::plain("cancelled", "/cancelled"), Column::plain("left in hand", "/in_hand")];

/// What a slice came to.
struct Slice {
    done: i32,
    /// Rows that were left as they are; of the last slice, for each sees all of them.
    left: Value,
    more: bool,
}

impl FilterArgs {
    fn filter(self) -> WorkFilter {
        let states = self.states.into_iter().map(i32::from).collect();
        WorkFilter { states, kind: self.kind, queue: self.queue, subject_id: self.subject_id }
    }
}

pub(in crate::cli) async fn retry(
    args: FilterArgs,
    reason: String,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = BatchRetryWorkRequest { filter: Some(args.filter()), reason, limit: 0 };
    let (done, left) = slice_by_slice(screen, "retried", async || {
        let answer = connection.call(connection.control().batch_retry_work(request.clone())).await?;
        let left = json!({ "in_hand": answer.in_hand, "superseded": answer.superseded });
        Ok(Slice { done: answer.retried, left, more: answer.more })
    })
    .await?;
    let document = json!({ "retried": done, "in_hand": left["in_hand"], "superseded": left["superseded"] });
    screen.show(&document, |document| table::detail(&RETRIED, document))
}

pub(in crate::cli) async fn cancel(
    args: FilterArgs,
    reason: String,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = BatchCancelWorkRequest { filter: Some(args.filter()), reason, limit: 0 };
    let (done, left) = slice_by_slice(screen, "cancelled", async || {
        let answer = connection.call(connection.control().batch_cancel_work(request.clone())).await?;
        let left = json!({ "in_hand": answer.in_hand });
        Ok(Slice { done: answer.cancelled, left, more: answer.more })
    })
    .await?;
    let document = json!({ "cancelled": done, "in_hand": left["in_hand"] });
    screen.show(&document, |document| table::detail(&CANCELLED, document))
}

/// Runs slices until one leaves nothing to do. One that did nothing is the last, whatever it says of more.
async fn slice_by_slice(
    screen: &mut Screen,
    what: &str,
    mut slice: impl AsyncFnMut() -> Result<Slice, Failure>,
) -> Result<(i64, Value), Failure> {
    let mut done = 0;
    loop {
        match slice().await {
            Ok(this) => {
                done += i64::from(this.done);
                if !this.more || this.done == 0 {
                    return Ok((done, this.left));
                }
            }
            Err(failure) => {
                if done > 0 {
                    screen.remark(&format!("{what} before this: {done}"));
                }
                return Err(failure);
            }
        }
    }
}
