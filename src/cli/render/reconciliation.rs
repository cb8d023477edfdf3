//! How accounts stand with their banks, and in what they disagree.

use serde_json::{Value, json};

use super::time;
use crate::cli::table::Column;
use crate::proto::boleto::v1::{Difference, Reconciliation};

/// What a list shows of each account.
pub const ROW: [Column; 10] = [
    Column::plain("ACCOUNT", "/bank_account_id"),
    Column::plain("ASKED BY", "/reconciled_by"),
    Column::plain("ASKED UNTIL", "/asked_until"),
    Column::time("LAST RUN", "/last_run_time"),
    Column::plain("TOLD", "/movements"),
    Column::plain("PAYMENTS", "/payments"),
    Column::plain("CANCELLED", "/cancellations"),
    Column::plain("OPEN DIFFERENCES", "/open_differences"),
    Column::time("NEXT RUN", "/next_run_time"),
    Column::plain("ERROR", "/last_error"),
];

/// What a list shows of each difference.
pub const DIFFERENCE: [Column; 7] = [
    Column::plain("ID", "/id"),
    Column::plain("KIND", "/kind"),
    Column::plain("TITLE", "/subject"),
    Column::plain("BOLETO", "/boleto_id"),
    Column::plain("DETAIL", "/detail"),
    Column::time("FOUND", "/find_time"),
    Column::plain("SETTLED", "/settle_reason"),
];

/// An account's standing as a document.
pub fn reconciliation(it: &Reconciliation) -> Value {
    json!({
        "bank_account_id": it.bank_account_id,
        "supported": it.supported,
        "reconciled_by": it.reconciled_by,
        "asked_until": it.asked_until,
        "last_run_time": time(it.last_run_time.as_ref()),
        "last_error": it.last_error,
        "runs": it.runs,
        "movements": it.movements,
        "payments": it.payments,
        "cancellations": it.cancellations,
        "differences": it.differences,
        "open_differences": it.open_differences,
        "next_run_time": time(it.next_run_time.as_ref()),
    })
}

/// A difference as a document.
pub fn difference(it: &Difference) -> Value {
    json!({
        "id": it.id,
        "bank_account_id": it.bank_account_id,
        "boleto_id": it.boleto_id,
        "subject": it.subject,
        "kind": it.kind,
        "detail": it.detail,
        "find_time": time(it.find_time.as_ref()),
        "settle_time": time(it.settle_time.as_ref()),
        "settle_reason": it.settle_reason,
    })
}
