//! From the answers of Bradesco's own APIs to what the caller does next.
//!
//! **Owns** nothing. **Fails** towards the unknown: only a code that a table has, under a status that fits it, decides.

use serde::Deserialize;
use serde_json::Value;

use super::codes::{Class, Table};
use crate::connectors::banks::basic::unknown;
use crate::connectors::banks::{BankError, values};
use crate::connectors::http::Answer;
use crate::domain::boleto::BankResponse;

/// What either API answers; of the boleto only ShopFacil speaks.
#[derive(Deserialize)]
struct AnswerBody {
    status: Option<StatusBody>,
    boleto: Option<IssuedBody>,
}

#[derive(Deserialize)]
struct StatusBody {
    /// A number or text.
    codigo: Option<Value>,
    mensagem: Option<Value>,
}

/// A boleto as the bank made it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(in crate::connectors::banks) struct IssuedBody {
    pub linha_digitavel: Option<String>,
    pub url_acesso: Option<String>,
}

/// What the bank said, and what it made, where it says that it has registered.
pub(in crate::connectors::banks) fn registered(
    answer: &Answer,
    table: Table,
) -> Result<(BankResponse, IssuedBody), BankError> {
    let body: AnswerBody =
        serde_json::from_slice(&answer.body).map_err(|_| unknown(answer, "unreadable answer"))?;
    let status = body.status.ok_or_else(|| unknown(answer, "answer without a status"))?;
    let code = status.codigo.and_then(values::text);
    let code = code.ok_or_else(|| unknown(answer, "answer without a code"))?;
    let message = status.mensagem.and_then(values::text).unwrap_or_default();
    let success = answer.status.is_success();
    // What else is wrong with a request says nothing about the boleto, whatever stands in its body.
    let decides = success || matches!(answer.status.as_u16(), 400 | 409 | 422);
    let class = table.class(&code);
    let response = BankResponse { code, message };
    match class {
        Class::Registered if success => Ok((response, body.boleto.unwrap_or_default())),
        Class::OnFile if decides => Err(BankError::AlreadyOnFile { response }),
        Class::Refused if decides => Err(BankError::Refused { response }),
        _ => Err(unknown(answer, &format!("code {}", response.code))),
    }
}
