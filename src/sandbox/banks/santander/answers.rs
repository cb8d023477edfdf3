//! What Santander answers: a registration, a bill, errors.
//!
//! **Owns** nothing.
//! **Fails** with 404 for a bill that is not on file.
//! **Limits**: every kind of query gets the same bill with all that is known; the real one splits it. A title paid by Pix
//! is shown as written off, with the description that says so.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Registration, bare_number};
use super::{Santander, Slip};
use crate::sandbox::banks::desk::{Call, play};
use crate::sandbox::banks::file::{PaidBy, State as TitleState, Title};
use crate::sandbox::banks::rules::text_of_reais as reais;
use crate::sandbox::banks::schema::{NumberOrText, read_query};
use crate::sandbox::script::Act;

const KINDS: [&str; 5] = ["default", "duplicate", "bankslip", "settlement", "registry"];
const BY_PIX: &str = "BAIXA DE PAGAMENTO VIA PIX";

/// One entry of `_errors`.
pub struct Fault {
    pub code: String,
    pub field: String,
    pub text: String,
}

impl Fault {
    pub fn new(code: &str, field: &str, text: &str) -> Self {
        Fault { code: code.into(), field: field.into(), text: text.into() }
    }
}

/// The bank's one shape of error.
pub fn errors(status: StatusCode, message: &str, faults: &[Fault]) -> Response {
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| json!({"_code": fault.code, "_field": fault.field, "_message": fault.text}))
        .collect();
    let body = json!({
        "_errorCode": status.as_u16(),
        "_message": message,
        "_details": "",
        "_timestamp": Utc::now().to_rfc3339(),
        "_traceId": format!("{:016x}", rand::random::<u64>()),
        "_errors": faults,
    });
    (status, Json(body)).into_response()
}

/// The ledger is broken, so nothing may be called done.
pub fn not_recorded() -> Response {
    errors(StatusCode::SERVICE_UNAVAILABLE, "effect not recorded", &[])
}

/// The answer to a registration.
pub fn registered(slip: &Slip, request: &Registration, today: NaiveDate) -> Value {
    let codes = slip.codes();
    let mut answer = json!({
        "environment": request.environment,
        "nsuCode": request.nsu_code,
        "nsuDate": request.nsu_date,
        "covenantCode": request.covenant_code.text(),
        "bankNumber": slip.checked.bank_number,
        "clientNumber": request.client_number,
        "dueDate": request.due_date,
        "issueDate": request.issue_date,
        "nominalValue": request.nominal_value,
        "documentKind": request.document_kind,
        "barCode": codes.barcode,
        "digitableLine": codes.line,
        "entryDate": today,
    });
    if let Some(pix) = slip.pix() {
        answer["qrCodePix"] = json!(pix.emv);
        answer["qrCodeUrl"] = json!(pix.url);
        answer["txId"] = json!(pix.tx_id);
    }
    answer
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BillQuery {
    tipo_consulta: Option<String>,
}

/// `GET /bills/{covenant}.{bankNumber}`.
pub async fn bill(State(bank): State<Arc<Santander>>, Path(id): Path<String>, call: Call) -> Response {
    play(bank, Act::LookUp, call, async move |bank: Arc<Santander>, call: Call, refuse: Option<String>| {
        if let Err(refusal) = bank.let_in(&call) {
            return *refusal;
        }
        if let Some(code) = refuse {
            return errors(StatusCode::BAD_REQUEST, "refused", &[Fault::new(&code, "", "refused")]);
        }
        let kind = read_query::<BillQuery>(&call.uri).map(|query| query.tipo_consulta.unwrap_or_default());
        if !kind.is_some_and(|kind| kind.is_empty() || KINDS.contains(&kind.as_str())) {
            return errors(StatusCode::BAD_REQUEST, "tipoConsulta", &[]);
        }
        match number_of(&id).and_then(|number| bank.desk.file.find(&number)) {
            Some(title) => Json(shown(&title)).into_response(),
            None => errors(StatusCode::NOT_FOUND, "bill not found", &[]),
        }
    })
    .await
}

/// The file's key of a bill's address.
fn number_of(id: &str) -> Option<String> {
    let (covenant, number) = id.split_once('.')?;
    let covenant = NumberOrText::Text(covenant.to_owned()).digits()?;
    let title = bare_number(&NumberOrText::Text(number.to_owned()))?;
    Some(format!("{covenant}.{title}"))
}

fn shown(title: &Title<Slip>) -> Value {
    let (slip, checked) = (&title.paper, &title.paper.checked);
    let codes = slip.codes();
    let by_pix = title.last_payment().is_some_and(|paid| paid.by == PaidBy::Pix);
    let status = match title.state {
        TitleState::Open => "ATIVO",
        TitleState::Paid if by_pix => "BAIXADO",
        TitleState::Paid => "LIQUIDADO",
        TitleState::WrittenOff => "BAIXADO",
    };
    let settlements: Vec<_> = title
        .payments
        .iter()
        .filter(|paid| paid.by == PaidBy::Boleto)
        .map(|paid| json!({"settlementDate": paid.on, "settlementValue": reais(paid.cents)}))
        .collect();
    let mut write_offs: Vec<_> = title
        .payments
        .iter()
        .filter(|paid| paid.by == PaidBy::Pix)
        .map(|paid| write_off(paid.on, paid.cents, BY_PIX))
        .collect();
    if title.state == TitleState::WrittenOff {
        write_offs.push(write_off(title.moved_on, 0, "BAIXA POR SOLICITACAO DO BENEFICIARIO"));
    }
    json!({
        "covenantCode": format!("{:07}", checked.covenant),
        "beneficiaryCode": format!("{:07}", checked.covenant),
        "bankNumber": checked.bank_number,
        "status": status,
        "dueDate": checked.due,
        "issueDate": checked.issued,
        "entryDate": title.registered_on,
        "nominalValue": reais(checked.cents),
        "deductionValue": reais(checked.deduction_cents),
        "paidValue": reais(title.paid_cents()),
        "payerDocumentNumber": checked.payer_document,
        "barCode": codes.barcode,
        "digitableLine": codes.line,
        "qrCodePix": slip.pix().map(|pix| pix.emv),
        "settlementData": settlements,
        "writeOffData": write_offs,
    })
}

fn write_off(on: NaiveDate, cents: u64, text: &str) -> Value {
    json!({"writeOffDate": on, "writeOffValue": reais(cents), "writeOffDescription": text})
}
