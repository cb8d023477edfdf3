//! Payments that were written down.

use super::timestamp;
use crate::domain::boleto::payment::Payment;
use crate::proto::boleto::v1 as proto;

pub fn to_proto(payment: &Payment) -> proto::Payment {
    proto::Payment {
        id: payment.id.to_string(),
        amount_cents: payment.amount.0,
        paid_on: payment.paid_on.to_string(),
        partial: payment.is_partial,
        source: payment.source.as_str().to_owned(),
        payment_id: payment.external_id.clone(),
        bank_response_code: payment.response_code.clone().unwrap_or_default(),
        create_time: Some(timestamp(payment.created_at)),
    }
}
