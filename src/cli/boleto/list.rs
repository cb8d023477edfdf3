//! `bursar boleto list`: finds boletos.

use clap::Args;
use prost_types::Timestamp;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::{BoletoStatus, ListBoletosRequest};

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// Which boletos.
#[derive(Args)]
pub(super) struct FilterArgs {
    /// Any of these; may be repeated or joined by commas
    #[arg(
        long = "status",
        value_name = "STATUS",
        value_delimiter = ',',
        value_parser = boleto::status_parser()
    )]
    statuses: Vec<BoletoStatus>,
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    bank_account_id: String,
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    nosso_numero: String,
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    reference_id: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    token: String,
    /// Created then or later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    create_time_from: Option<Timestamp>,
    /// Created before then, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    create_time_until: Option<Timestamp>,
    /// Due that day or later, YYYY-MM-DD
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    due_date_from: String,
    /// Due that day or earlier, YYYY-MM-DD
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    due_date_until: String,
}

impl FilterArgs {
    /// The filter, with the fields of a page left open.
    pub(super) fn request(&self) -> ListBoletosRequest {
        ListBoletosRequest {
            statuses: self.statuses.iter().map(|status| i32::from(*status)).collect(),
            bank_account_id: self.bank_account_id.clone(),
            nosso_numero: self.nosso_numero.clone(),
            reference_id: self.reference_id.clone(),
            token: self.token.clone(),
            create_time_from: self.create_time_from,
            create_time_until: self.create_time_until,
            due_date_from: self.due_date_from.clone(),
            due_date_until: self.due_date_until.clone(),
            ..ListBoletosRequest::default()
        }
    }
}

pub(super) async fn run(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let page_size = args.page.page_size;
        let request = ListBoletosRequest { page_size, page_token, ..args.filter.request() };
        let answer = connection.call(connection.boletos().list_boletos(request)).await?;
        Ok(Page {
            rows: answer.boletos.iter().map(boleto::boleto).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    paging::show(page, "boletos", &boleto::ROW, screen)
}
