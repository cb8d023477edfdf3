//! `bursar boleto batch`: issues the boletos of a file, a request a line, and says a line what became of each.
//!
//! **Owns** how the file is cut into calls. **Fails** when some were not issued; what was issued stays issued. A line with a
//! `request_id` may be sent again, so that a file that was cut off is simply run again.
//! **Limits**: lines as [`Lines`] has them; a call of 1,000 requests or 768 KiB, whichever is met first, below what the service takes.

use std::path::PathBuf;

use clap::Args;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;

use crate::cli::connection::Connection;
use crate::cli::exit::code_name;
use crate::cli::failure::Failure;
use crate::cli::input::boleto::BoletoInput;
use crate::cli::input::lines::Lines;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table::{plain, safe};
use crate::proto::boleto::v1::batch_create_result::Result as ItemResult;
use crate::proto::boleto::v1::{
    BatchCreateBoletosRequest, BatchCreateResult, BatchError, CreateBoletoRequest,
};

const REQUESTS_MAX: usize = 1_000;
const CALL_BYTES_MAX: usize = 768 * 1024;

#[derive(Args)]
pub(in crate::cli) struct BatchArgs {
    /// JSON lines with the field names of CreateBoletoRequest; - reads standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Requests on their way, with the lines that they stand in.
#[derive(Default)]
struct Call {
    requests: Vec<CreateBoletoRequest>,
    lines: Vec<usize>,
    bytes: usize,
}

pub(super) async fn run(
    args: BatchArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut lines = Lines::open(&args.file)?;
    let (mut call, mut not_issued) = (Call::default(), 0);
    while let Some((number, request)) = lines.next::<BoletoInput>()? {
        let request = CreateBoletoRequest::try_from(request);
        let request = request.map_err(|why| lines.refused(number, why))?;
        if call.is_full_with(&request) {
            not_issued += std::mem::take(&mut call).send(connection, screen).await?;
        }
        call.push(request, number);
    }
    not_issued += call.send(connection, screen).await?;
    if not_issued == 0 {
        return Ok(());
    }
    let message = format!("{not_issued} not issued; what is wrong with each stands in its line");
    Err(Failure::found(Code::InvalidArgument, message))
}

impl Call {
    fn is_full_with(&self, request: &CreateBoletoRequest) -> bool {
        self.requests.len() == REQUESTS_MAX || self.bytes + request.encoded_len() > CALL_BYTES_MAX
    }

    fn push(&mut self, request: CreateBoletoRequest, line: usize) {
        self.bytes += request.encoded_len();
        self.requests.push(request);
        self.lines.push(line);
    }

    /// Has them issued, shows what became of each, and returns how many were not.
    async fn send(self, connection: &Connection, screen: &mut Screen) -> Result<usize, Failure> {
        let Self { requests, lines, .. } = self;
        if requests.is_empty() {
            return Ok(0);
        }
        let request = BatchCreateBoletosRequest { requests };
        let answer = connection.call(connection.boletos().batch_create_boletos(request)).await?;
        if answer.results.len() != lines.len() {
            return Err(Failure::empty_answer());
        }
        let mut not_issued = 0;
        for (line, result) in lines.into_iter().zip(answer.results) {
            not_issued += usize::from(!matches!(result.result, Some(ItemResult::Created(_))));
            screen.show_line(&told(line, &result), words)?;
        }
        Ok(not_issued)
    }
}

fn told(line: usize, result: &BatchCreateResult) -> Value {
    let (made, error) = match &result.result {
        Some(ItemResult::Created(answer)) => (answer.boleto.as_ref().map(boleto::boleto), None),
        Some(ItemResult::Error(error)) => (None, Some(error_of(error))),
        None => (None, None),
    };
    json!({ "line": line, "boleto": made, "error": error })
}

fn error_of(error: &BatchError) -> Value {
    let violations: Vec<Value> = error
        .violations
        .iter()
        .map(|one| json!({ "field": one.field, "description": one.description }))
        .collect();
    json!({
        "code": code_name(Code::from_i32(error.code)),
        "reason": error.reason,
        "message": error.message,
        "violations": violations,
    })
}

fn words(told: &Value) -> String {
    let text = |pointer: &str| safe(&told.pointer(pointer).map(plain).unwrap_or_default());
    let line = text("/line");
    if told["error"].is_null() {
        return format!(
            "{line}  {}  {}  {}",
            text("/boleto/id"),
            text("/boleto/status"),
            text("/boleto/linha_digitavel")
        );
    }
    format!("{line}  {}: {}", text("/error/reason"), text("/error/message"))
}
