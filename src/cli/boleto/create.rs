//! `bursar boleto create`: issues a boleto, from flags or from a whole request as JSON.
//!
//! **Owns** the request id when the caller gives none; it is shown with the result and with every failure, for
//! under it the same request may be sent again without a second boleto.
//! **Limits**: the rules are the service's alone, so that all violations come from one place and at once.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::terms::{ChargeFlags, TermFlags};
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::input;
use crate::cli::input::boleto::{BoletoInput, PayerInput};
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column};
use crate::proto::boleto::v1::{Address, CreateBoletoRequest, CreateBoletoResponse, Payer};

#[derive(Args)]
pub(in crate::cli) struct CreateArgs {
    /// The whole request as JSON, with the field names of CreateBoletoRequest; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["BoletoFlags", "PayerFlags", "ChargeFlags", "TermFlags"])]
    file: Option<PathBuf>,
    /// The same id and request give the same boleto; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    boleto: BoletoFlags,
    #[command(flatten)]
    payer: PayerFlags,
    #[command(flatten)]
    charges: ChargeFlags,
    #[command(flatten)]
    terms: TermFlags,
}

#[derive(Args)]
struct BoletoFlags {
    /// From 1 to 9999999999
    #[arg(long, value_name = "CENTS", allow_negative_numbers = true)]
    amount_cents: Option<i64>,
    /// YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    due_date: Option<String>,
    /// The tenant's default account when neither this nor the next is given
    #[arg(long, value_name = "ID")]
    bank_account_id: Option<String>,
    /// The account by its owner's own name for it
    #[arg(long, value_name = "ID")]
    bank_account_external_id: Option<String>,
    /// The owner's own name for the boleto
    #[arg(long, value_name = "ID")]
    reference_id: Option<String>,
    /// The owner's own token, for finding it again
    #[arg(long)]
    token: Option<String>,
    /// Printed for the payer
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// The queue to tell
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// Nobody is to be told
    #[arg(long)]
    notification_opt_out: bool,
}

#[derive(Args)]
struct PayerFlags {
    /// The payer as JSON, with the field names of Payer; - reads standard input. Keeps personal data out of the
    /// list of processes, unlike the flags
    #[arg(long, value_name = "FILE")]
    payer_file: Option<PathBuf>,
    #[arg(long, value_name = "NAME", conflicts_with = "payer_file")]
    payer_name: Option<String>,
    /// CPF or CNPJ, with or without punctuation
    #[arg(long, value_name = "NUMBER", conflicts_with = "payer_file")]
    payer_tax_id: Option<String>,
    #[arg(long, value_name = "TEXT", conflicts_with = "payer_file")]
    payer_street: Option<String>,
    #[arg(long, value_name = "TEXT", conflicts_with = "payer_file")]
    payer_number: Option<String>,
    #[arg(long, value_name = "TEXT", conflicts_with = "payer_file")]
    payer_complement: Option<String>,
    #[arg(long, value_name = "TEXT", conflicts_with = "payer_file")]
    payer_district: Option<String>,
    #[arg(long, value_name = "TEXT", conflicts_with = "payer_file")]
    payer_city: Option<String>,
    /// Two letters
    #[arg(long, value_name = "UF", conflicts_with = "payer_file")]
    payer_state: Option<String>,
    /// CEP, eight digits
    #[arg(long, value_name = "CEP", conflicts_with = "payer_file")]
    payer_postal_code: Option<String>,
}

impl CreateArgs {
    fn into_request(self) -> Result<CreateBoletoRequest, Failure> {
        let mut request = match self.file {
            Some(file) => {
                let read = CreateBoletoRequest::try_from(input::read::<BoletoInput>(&file, None)?);
                read.map_err(|why| Failure::found(Code::InvalidArgument, why))?
            }
            None => {
                let hold_registration = self.terms.hold_registration;
                let (guarantor, late_payment) = self.terms.read()?;
                CreateBoletoRequest {
                    payer: self.payer.into_payer()?,
                    charges: self.charges.into_charges(),
                    guarantor,
                    late_payment,
                    hold_registration,
                    ..self.boleto.into_request()
                }
            }
        };
        if let Some(request_id) = self.request_id {
            request.request_id = request_id;
        } else if request.request_id.is_empty() {
            request.request_id = Uuid::now_v7().to_string();
        }
        Ok(request)
    }
}

impl BoletoFlags {
    fn into_request(self) -> CreateBoletoRequest {
        CreateBoletoRequest {
            request_id: String::new(),
            bank_account_id: self.bank_account_id.unwrap_or_default(),
            bank_account_external_id: self.bank_account_external_id.unwrap_or_default(),
            amount_cents: self.amount_cents.unwrap_or_default(),
            due_date: self.due_date.unwrap_or_default(),
            payer: None,
            reference_id: self.reference_id.unwrap_or_default(),
            token: self.token.unwrap_or_default(),
            instructions: self.instructions.unwrap_or_default(),
            queue_url: self.queue_url.unwrap_or_default(),
            notification_opt_out: self.notification_opt_out,
            ..CreateBoletoRequest::default()
        }
    }
}

impl PayerFlags {
    /// The payer, if anything at all is said about one.
    fn into_payer(self) -> Result<Option<Payer>, Failure> {
        if let Some(file) = self.payer_file {
            return Ok(Some(input::read::<PayerInput>(&file, Some("payer"))?.into()));
        }
        let address = Address {
            street: self.payer_street.unwrap_or_default(),
            number: self.payer_number.unwrap_or_default(),
            complement: self.payer_complement.unwrap_or_default(),
            district: self.payer_district.unwrap_or_default(),
            city: self.payer_city.unwrap_or_default(),
            state: self.payer_state.unwrap_or_default(),
            postal_code: self.payer_postal_code.unwrap_or_default(),
        };
        let payer = Payer {
            name: self.payer_name.unwrap_or_default(),
            tax_id: self.payer_tax_id.unwrap_or_default(),
            address: Some(address).filter(|address| *address != Address::default()),
        };
        Ok(Some(payer).filter(|payer| *payer != Payer::default()))
    }
}

pub(super) async fn run(
    args: CreateArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = args.into_request()?;
    let request_id = request.request_id.clone();
    let answer = connection.call(connection.boletos().create_boleto(request)).await;
    show(answer.map_err(|failure| failure.with_request_id(&request_id))?, &request_id, screen)
}

fn show(answer: CreateBoletoResponse, request_id: &str, screen: &mut Screen) -> Result<(), Failure> {
    let boleto = answer.boleto.ok_or_else(|| Failure::empty_answer().with_request_id(request_id))?;
    let document = json!({
        "boleto": boleto::boleto(&boleto),
        "bank_account_resolution": boleto::resolution(answer.bank_account_resolution),
        "resolved_issuer": answer.resolved_issuer.as_ref().map(boleto::resolved_issuer),
        "request_id": request_id,
    });
    screen.show(&document, |document| {
        let made = [
            Column::plain("account found by", "/bank_account_resolution"),
            Column::plain("because", "/resolved_issuer/reason"),
            Column::plain("issued under", "/resolved_issuer/bank_code"),
            Column::plain("agency", "/resolved_issuer/agency"),
            Column::plain("account", "/resolved_issuer/account"),
            Column::plain("carteira", "/resolved_issuer/carteira"),
            Column::plain("request id", "/request_id"),
        ];
        table::detail(&boleto::DETAIL, &document["boleto"]) + &table::detail(&made, document)
    })
}
