//! A payment in progress, for the tests of this folder.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::ids::{PaymentId, TenantId};
use crate::domain::openbanking::payment::{PaymentKind, PaymentState, Vocabulary};
use crate::store::openbanking::payment::Payment;

/// So many days from some morning.
pub fn at(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + days * 86_400, 0).unwrap()
}

/// A single payment at a Berlin Group bank, made on that day and never asked about.
pub fn payment(made: i64) -> Payment {
    Payment {
        id: PaymentId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        user_id: None,
        aspsp: "bank".to_owned(),
        kind: PaymentKind::Single,
        vocabulary: Vocabulary::Iso20022,
        product: "payments/sepa-credit-transfers".to_owned(),
        external_id: "payment-1".to_owned(),
        is_our_name: false,
        parent_id: None,
        reference_id: None,
        state: PaymentState::InProgress,
        raw_status: None,
        is_unknown: false,
        is_unverifiable: false,
        asks_children: false,
        reason: None,
        asked_at: None,
        asks: 0,
        next_ask_at: at(made),
        token_sealed: Some("v1.key.token".to_owned()),
        endpoint_id: None,
        traceparent: None,
        version: 1,
        made_at: at(made),
        created_at: at(made),
        updated_at: at(made),
        ended_at: None,
    }
}
