//! `bursar boleto export`: every boleto that a filter finds, oldest first, a line for each.
//!
//! **Fails** as the stream does, and says after which boleto to go on.
//! **Limits**: one message in memory. CSV as RFC 4180 has it, with a heading and the payer's name; JSON lines have all there is.

use clap::{Args, ValueEnum};
use serde_json::Value;
use tonic::Streaming;

use super::list::FilterArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::{ExportBoletosRequest, ExportBoletosResponse};

/// What stands in a line of CSV, by its place in the document.
const CSV: [&str; 19] = [
    "/id",
    "/status",
    "/payable",
    "/overdue",
    "/amount_cents",
    "/due_date",
    "/paid_amount_cents",
    "/paid_on",
    "/nosso_numero",
    "/barcode",
    "/linha_digitavel",
    "/reference_id",
    "/token",
    "/payer/name",
    "/payer/tax_id",
    "/bank_account_id",
    "/version",
    "/create_time",
    "/update_time",
];

#[derive(Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Go on after this boleto
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    after_id: String,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) async fn run(
    args: ExportArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut last = args.after_id.clone();
    let request = ExportBoletosRequest {
        filter: Some(args.filter.request()),
        after_id: args.after_id,
        reason: args.reason,
    };
    let stream = connection.call(connection.boletos().export_boletos(request)).await?;
    // A part that goes on behind another one has its heading there already.
    if args.format == Format::Csv && last.is_empty() {
        screen.write_bytes(heading().as_bytes())?;
    }
    let result = write_down(stream, args.format, &mut last, screen).await;
    if matches!(result, Err(Failure::Told(_))) && !last.is_empty() {
        screen.remark(&format!("to go on from here, give --after-id {last}"));
    }
    result
}

async fn write_down(
    mut stream: Streaming<ExportBoletosResponse>,
    format: Format,
    last: &mut String,
    screen: &mut Screen,
) -> Result<(), Failure> {
    while let Some(answer) = stream.message().await? {
        for boleto in &answer.boletos {
            let document = boleto::boleto(boleto);
            let line = match format {
                Format::Jsonl => format!("{document}\n"),
                Format::Csv => line(&document),
            };
            screen.write_bytes(line.as_bytes())?;
            last.clone_from(&boleto.id);
        }
    }
    Ok(())
}

fn heading() -> String {
    let names: Vec<String> = CSV.iter().map(|pointer| pointer[1..].replace('/', "_")).collect();
    format!("{}\r\n", names.join(","))
}

fn line(document: &Value) -> String {
    let fields: Vec<String> =
        CSV.iter().map(|pointer| document.pointer(pointer).map(field).unwrap_or_default()).collect();
    format!("{}\r\n", fields.join(","))
}

/// A value as programs read it: nothing for what is absent.
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::boleto::v1::{Boleto, Payer};

    #[test]
    fn a_line_has_a_field_for_each_name_and_quotes_what_would_part_it() {
        let payer = Payer { name: "Silva, \"Zé\" & Filhos".to_owned(), ..Payer::default() };
        let made = Boleto {
            id: "b".to_owned(),
            amount_cents: 100,
            payer: Some(payer),
            reference_id: "two\nlines".to_owned(),
            ..Boleto::default()
        };
        let line = line(&boleto::boleto(&made));
        assert!(line.starts_with("b,unspecified,false,false,100,,0,,") && line.ends_with("\r\n"), "{line}");
        assert!(line.contains(",\"two\nlines\",,\"Silva, \"\"Zé\"\" & Filhos\",,"), "{line}");
        assert!(heading().contains(",payer_name,payer_tax_id,"));
    }

    #[test]
    fn every_name_is_in_the_document() {
        let document = boleto::boleto(&Boleto { payer: Some(Payer::default()), ..Boleto::default() });
        for pointer in CSV {
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
