//! How accounts stand with their banks, and in what they disagree.

use super::timestamp;
use crate::connectors::banks::ReconciledBy;
use crate::proto::boleto::v1 as proto;
use crate::store::difference::Difference;
use crate::store::reconciliation::Reconciliation;

pub fn to_proto(known: &Reconciliation, reconciled_by: ReconciledBy) -> proto::Reconciliation {
    proto::Reconciliation {
        bank_account_id: known.bank_account_id.to_string(),
        supported: reconciled_by != ReconciledBy::Nothing,
        reconciled_by: reconciled_by.as_str().to_owned(),
        asked_until: known.asked_until.map(|day| day.to_string()).unwrap_or_default(),
        last_run_time: known.last_run_at.map(timestamp),
        last_error: known.last_error.clone().unwrap_or_default(),
        runs: known.runs,
        movements: known.counts.movements,
        payments: known.counts.payments,
        cancellations: known.counts.cancellations,
        differences: known.counts.differences,
        open_differences: known.open_differences,
        next_run_time: known.next_run_at.map(timestamp),
    }
}

pub fn difference(difference: &Difference) -> proto::Difference {
    let settled = difference.settled.as_ref();
    proto::Difference {
        id: difference.id.to_string(),
        bank_account_id: difference.bank_account_id.to_string(),
        boleto_id: difference.boleto_id.map(|id| id.to_string()).unwrap_or_default(),
        subject: difference.subject.clone(),
        kind: difference.kind.clone(),
        detail: difference.detail.clone(),
        find_time: Some(timestamp(difference.found_at)),
        settle_time: settled.map(|(at, _)| timestamp(*at)),
        settle_reason: settled.map(|(_, reason)| reason.clone()).unwrap_or_default(),
    }
}
