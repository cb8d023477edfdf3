//! `bursar boleto render`: writes a boleto as a document that can be printed, shown and paid.
//!
//! **Fails** as an output that cannot be written. **Limits**: a file that is there already is written over.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::{DocumentFormat, RenderBoletoRequest};

#[derive(Args)]
pub(in crate::cli) struct RenderArgs {
    id: String,
    #[arg(long, value_enum, default_value_t = FormatName::Pdf)]
    format: FormatName,
    /// Where to; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FormatName {
    Pdf,
    Png,
    Svg,
    Html,
}

impl From<FormatName> for DocumentFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Pdf => Self::Pdf,
            FormatName::Png => Self::Png,
            FormatName::Svg => Self::Svg,
            FormatName::Html => Self::Html,
        }
    }
}

pub(super) async fn run(
    args: RenderArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = RenderBoletoRequest { id: args.id, format: DocumentFormat::from(args.format).into() };
    let answer = connection.call(connection.boletos().render_boleto(request)).await?;
    if args.output == Path::new("-") {
        return screen.write_bytes(&answer.content);
    }
    std::fs::write(&args.output, &answer.content)?;
    let written = json!({
        "content_type": answer.content_type,
        "bytes": answer.content.len(),
        "version": answer.version,
        "output": args.output.display().to_string(),
    });
    screen.show(&written, |_| {
        format!("{}: {} bytes of {}\n", args.output.display(), answer.content.len(), answer.content_type)
    })
}
