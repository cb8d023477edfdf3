//! `bursar transfer analysis`: what was measured in one run of a transfer, answer by answer.
//!
//! **Fails** as the call does. **Limits**: each reading is kept for the audit; with `--raw` or `--legacy` the bare words are printed,
//! and nothing but them.

use clap::Args;
use serde_json::{Value, json};

use super::One;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table::{self, safe_lines};
use crate::proto::transfer::v1::get_analysis_request::Form;
use crate::proto::transfer::v1::{GetAnalysisRequest, GetAnalysisResponse};

#[derive(Args)]
pub(in crate::cli) struct AnalysisArgs {
    #[command(flatten)]
    one: One,
    /// Which run; the newest when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    run: Option<i32>,
    /// With the vendor's answers as they came
    #[arg(long, conflicts_with = "legacy")]
    raw: bool,
    /// As the service before this one wrote it
    #[arg(long)]
    legacy: bool,
    /// With --raw: only the vendor's answer to this one; may be repeated or joined by commas
    #[arg(long = "position", value_name = "N", value_delimiter = ',', requires = "raw", value_parser = clap::value_parser!(i32).range(0..))]
    positions: Vec<i32>,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(
    args: AnalysisArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let form = match (args.raw, args.legacy) {
        (true, _) => Form::Raw,
        (_, true) => Form::Legacy,
        _ => Form::Unspecified,
    };
    let request = GetAnalysisRequest {
        id: args.one.id(connection).await?,
        run: args.run.unwrap_or_default(),
        form: form.into(),
        reason: args.reason,
        positions: args.positions,
    };
    let answer = connection.call(connection.transfers().get_analysis(request)).await?;
    screen.show(&document(&answer, form), |document| text(document, form))
}

fn document(answer: &GetAnalysisResponse, form: Form) -> Value {
    let mut document = json!({
        "run": answer.run.as_ref().map(transfer::run),
        "answers": answer.answers.iter().map(transfer::answer).collect::<Vec<_>>(),
        "raw_answers": answer.raw_answers.iter().map(transfer::raw_answer).collect::<Vec<_>>(),
        "document": null,
        "text": null,
    });
    if form == Form::Legacy {
        (document["document"], document["text"]) = (json!(answer.document), json!(answer.text));
    }
    document
}

fn text(document: &Value, form: Form) -> String {
    let rows = |field: &str| document[field].as_array().cloned().unwrap_or_default();
    match form {
        Form::Unspecified => {
            let run = table::rows(&transfer::RUN, std::slice::from_ref(&document["run"]));
            format!("{run}\n{}", table::rows(&transfer::ANSWER, &rows("answers")))
        }
        // A vendor may not steer the terminal either.
        Form::Raw => {
            let bodies = rows("raw_answers");
            let bodies = bodies.iter().map(|raw| format!("{}\n", safe_lines(&table::plain(&raw["body"]))));
            bodies.collect()
        }
        Form::Legacy => format!("{}\n", table::plain(&document["document"])),
    }
}
