//! `bursar boleto link` and `unlink`: an address by which a payer sees the boleto, and the end of all of them.
//!
//! **Owns** the request id when the caller gives none. **Limits**: the address is told once; a request that is repeated is
//! answered without it.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::render::FormatName;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::{CreateDocumentLinkRequest, DocumentFormat, RevokeDocumentLinksRequest};

#[derive(Args)]
pub(in crate::cli) struct LinkArgs {
    id: String,
    /// How long it holds, such as 7days; documents.links.lifetime when absent
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
    /// The one format that it shows; all of them when absent
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// The same id and request make one link; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct UnlinkArgs {
    id: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

pub(super) async fn link(
    args: LinkArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = CreateDocumentLinkRequest {
        request_id: request_id.clone(),
        id: args.id,
        format: args.format.map_or(DocumentFormat::Unspecified, DocumentFormat::from).into(),
        // A longer one than a message can hold is longer than any that is taken, too.
        lifetime: args.lifetime.map(|span| prost_types::Duration::try_from(span).unwrap_or_default()),
    };
    let answer = connection.call(connection.boletos().create_document_link(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let link = answer.link.ok_or_else(|| Failure::empty_answer().with_request_id(&request_id))?;
    let document = json!({
        "link": boleto::link(&link),
        "url": answer.url,
        "request_id": request_id,
    });
    screen.show(&document, |document| table::detail(&boleto::LINK, document))
}

pub(super) async fn unlink(
    args: UnlinkArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = RevokeDocumentLinksRequest { request_id: request_id.clone(), id: args.id };
    let answer = connection.call(connection.boletos().revoke_document_links(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let document = json!({ "revoked": answer.revoked, "request_id": request_id });
    screen.show(&document, |_| format!("{} links revoked\n", answer.revoked))
}
