//! `bursar transfer list`: finds transfers by what somebody remembers of them.

use clap::Args;

use super::filter::FilterArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::proto::transfer::v1::ListTransfersRequest;

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let filter = Some(args.filter.filter());
        let request = ListTransfersRequest { filter, page_size: args.page.page_size, page_token };
        let answer = connection.call(connection.transfers().list_transfers(request)).await?;
        let rows = answer.transfers.iter().map(transfer::transfer).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "transfers", &transfer::ROW, screen)
}
