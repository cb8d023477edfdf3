//! `bursar account list`: lists the bank accounts.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::bank_account;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::ListBankAccountsRequest;

pub(super) async fn run(args: PageArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args, async |page_token| {
        let request = ListBankAccountsRequest { page_size: args.page_size, page_token };
        let answer = connection.call(connection.bank_accounts().list_bank_accounts(request)).await?;
        Ok(Page {
            rows: answer.bank_accounts.iter().map(bank_account::bank_account).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    paging::show(page, "bank_accounts", &bank_account::ROW, screen)
}
