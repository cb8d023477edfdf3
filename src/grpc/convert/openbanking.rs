//! Customers, consents, accounts, what stands on them, visits and payments.
//!
//! A number in full and the details of an account are for those alone whose reading was written down: [`account_masked`] leaves
//! them out.

use std::time::Duration;

use super::timestamp;
use crate::domain::mask::Personal;
use crate::domain::openbanking::account::Thousandths;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::domain::openbanking::payment::{PaymentKind, PaymentState, Vocabulary};
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::api_session::State as SessionState;
use crate::proto::openbanking::v1::consent::Status;
use crate::proto::openbanking::v1::payment::{Kind, State, Vocabulary as Words};
use crate::store::openbanking::account::Account;
use crate::store::openbanking::apply::{BalanceTold, PendingTold};
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::list::KeptTransaction;
use crate::store::openbanking::payment::Payment;
use crate::store::openbanking::session::{ApiCall, ApiSession, VisitState};
use crate::store::openbanking::user::PsuUser;

pub fn user(user: &PsuUser) -> proto::User {
    proto::User {
        id: user.id.to_string(),
        external_id: user.external_id.clone(),
        update_offline: user.update_offline,
        active: user.active,
        sync_time: user.last_synced_at.map(timestamp),
        endpoint_id: user.endpoint_id.map(|id| id.to_string()).unwrap_or_default(),
        erase_time: user.erased_at.map(timestamp),
        create_time: Some(timestamp(user.created_at)),
        update_time: Some(timestamp(user.updated_at)),
        version: user.version,
    }
}

pub fn consent(consent: &Consent) -> proto::Consent {
    proto::Consent {
        id: consent.id.to_string(),
        user_id: consent.user_id.to_string(),
        aspsp: consent.aspsp.clone(),
        external_id: consent.external_id.clone(),
        status: status(consent.status).into(),
        reason: consent.reason.clone().unwrap_or_default(),
        valid_until_time: consent.valid_until.map(timestamp),
        frequency_per_day: i32::try_from(consent.frequency_per_day).unwrap_or(i32::MAX),
        has_tokens: consent.token_version > 0 && !consent.status.has_ended(),
        failing_since_time: consent.failing_since.map(timestamp),
        create_time: Some(timestamp(consent.created_at)),
        update_time: Some(timestamp(consent.updated_at)),
        version: consent.version,
    }
}

/// An account for everybody.
pub fn account_masked(account: &Account, freshness: proto::Freshness) -> proto::Account {
    let number = Personal::Account.mask(&account.key.number).unwrap_or_default();
    proto::Account { number, details: String::new(), ..account_in_full(account, freshness) }
}

/// An account for those whose reading was written down.
pub fn account_in_full(account: &Account, freshness: proto::Freshness) -> proto::Account {
    proto::Account {
        id: account.id.to_string(),
        user_id: account.user_id.to_string(),
        aspsp: account.aspsp.clone(),
        number: account.key.number.clone(),
        currency: account.key.currency.clone(),
        name: account.name.clone().unwrap_or_default(),
        enabled: account.enabled,
        gone_time: account.gone_at.map(timestamp),
        freshness: Some(freshness),
        details: account.details.clone().unwrap_or_default(),
        details_time: account.details_at.map(timestamp),
        create_time: Some(timestamp(account.created_at)),
        update_time: Some(timestamp(account.updated_at)),
    }
}

pub fn balance(balance: &BalanceTold) -> proto::Balance {
    proto::Balance {
        kind: balance.kind.clone(),
        amount: amount(balance.amount),
        currency: balance.currency.clone(),
        as_of_time: balance.as_of.map(timestamp),
    }
}

pub fn transaction(kept: &KeptTransaction) -> proto::Transaction {
    let told = &kept.told;
    proto::Transaction {
        id: kept.id.to_string(),
        bank_ids: told.bank_ids.clone(),
        booked_on: told.booked_on.to_string(),
        value_on: told.value_on.map(|day| day.to_string()).unwrap_or_default(),
        amount: amount(told.amount),
        currency: told.currency.clone(),
        counterparty: told.counterparty.clone(),
        remittance: told.remittance.clone(),
        balance_after: told.balance_after.map(amount).unwrap_or_default(),
        details: told.details.clone(),
        missing_since_time: kept.missing_since.map(timestamp),
        create_time: Some(timestamp(kept.created_at)),
        update_time: Some(timestamp(kept.updated_at)),
    }
}

pub fn pending(told: &PendingTold) -> proto::PendingTransaction {
    proto::PendingTransaction {
        entered_on: told.entered_on.map(|day| day.to_string()).unwrap_or_default(),
        amount: amount(told.amount),
        currency: told.currency.clone(),
        counterparty: told.counterparty.clone(),
        remittance: told.remittance.clone(),
        details: told.details.clone(),
    }
}

fn amount(thousandths: i64) -> String {
    Thousandths(thousandths).to_string()
}

pub fn session(session: &ApiSession) -> proto::ApiSession {
    proto::ApiSession {
        id: session.id.to_string(),
        run_id: session.run_id.to_string(),
        consent_id: session.consent_id.to_string(),
        user_id: session.user_id.to_string(),
        aspsp: session.aspsp.clone(),
        source: i32::try_from(session.source).unwrap_or_default(),
        state: session_state(session.state).into(),
        reason: session.reason.clone().unwrap_or_default(),
        new_transactions: session.news,
        start_time: Some(timestamp(session.started_at)),
        end_time: session.ended_at.map(timestamp),
    }
}

pub fn call(call: &ApiCall) -> proto::ApiCall {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    proto::ApiCall {
        id: call.id.to_string(),
        session_id: call.session_id.map(|id| id.to_string()).unwrap_or_default(),
        run_id: call.run_id.map(|id| id.to_string()).unwrap_or_default(),
        aspsp: call.aspsp.clone(),
        endpoint: call.endpoint.clone(),
        account_id: call.account_id.map(|id| id.to_string()).unwrap_or_default(),
        request_id: call.request_id.map(|id| id.to_string()).unwrap_or_default(),
        status: call.status.map(i32::from),
        duration: Some(super::duration(Duration::from_micros(
            u64::try_from(call.duration_us).unwrap_or_default(),
        ))),
        limits: text(&call.limits),
        error: text(&call.error),
        send_time: Some(timestamp(call.sent_at)),
    }
}

pub fn payment(payment: &Payment) -> proto::Payment {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    proto::Payment {
        id: payment.id.to_string(),
        aspsp: payment.aspsp.clone(),
        kind: kind(payment.kind).into(),
        product: payment.product.clone(),
        external_id: payment.external_id.clone(),
        is_our_name: payment.is_our_name,
        parent_id: payment.parent_id.map(|id| id.to_string()).unwrap_or_default(),
        user_id: payment.user_id.map(|id| id.to_string()).unwrap_or_default(),
        reference_id: text(&payment.reference_id),
        state: payment_state(payment.state).into(),
        raw_status: text(&payment.raw_status),
        vocabulary: vocabulary(payment.vocabulary).into(),
        is_unknown: payment.is_unknown,
        is_unverifiable: payment.is_unverifiable,
        asks_children: payment.asks_children,
        reason: text(&payment.reason),
        ask_time: payment.asked_at.map(timestamp),
        asks: payment.asks,
        next_ask_time: (payment.state == PaymentState::InProgress).then(|| timestamp(payment.next_ask_at)),
        endpoint_id: payment.endpoint_id.map(|id| id.to_string()).unwrap_or_default(),
        made_time: Some(timestamp(payment.made_at)),
        create_time: Some(timestamp(payment.created_at)),
        update_time: Some(timestamp(payment.updated_at)),
        end_time: payment.ended_at.map(timestamp),
        version: payment.version,
    }
}

fn status(status: ConsentStatus) -> Status {
    match status {
        ConsentStatus::Received => Status::Received,
        ConsentStatus::Valid => Status::Valid,
        ConsentStatus::Expired => Status::Expired,
        ConsentStatus::Revoked => Status::Revoked,
    }
}

/// The status of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn status_from_proto(number: i32) -> Option<ConsentStatus> {
    let wanted = Status::try_from(number).ok()?;
    ConsentStatus::ALL.into_iter().find(|known| status(*known) == wanted)
}

fn session_state(state: VisitState) -> SessionState {
    match state {
        VisitState::Open => SessionState::Open,
        VisitState::Ok => SessionState::Ok,
        VisitState::Failed => SessionState::Failed,
        VisitState::RateLimited => SessionState::RateLimited,
        VisitState::Cancelled => SessionState::Cancelled,
    }
}

pub fn payment_state(state: PaymentState) -> State {
    match state {
        PaymentState::InProgress => State::InProgress,
        PaymentState::Done => State::Done,
        PaymentState::Rejected => State::Rejected,
        PaymentState::Cancelled => State::Cancelled,
        PaymentState::Mixed => State::Mixed,
        PaymentState::Unresolved => State::Unresolved,
    }
}

/// The state of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn payment_state_from_proto(number: i32) -> Option<PaymentState> {
    let wanted = State::try_from(number).ok()?;
    PaymentState::ALL.into_iter().find(|known| payment_state(*known) == wanted)
}

fn kind(kind: PaymentKind) -> Kind {
    match kind {
        PaymentKind::Single => Kind::Single,
        PaymentKind::Bundle => Kind::Bundle,
        PaymentKind::Recurring => Kind::Recurring,
    }
}

/// The kind of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn kind_from_proto(number: i32) -> Option<PaymentKind> {
    let wanted = Kind::try_from(number).ok()?;
    PaymentKind::ALL.into_iter().find(|known| kind(*known) == wanted)
}

fn vocabulary(vocabulary: Vocabulary) -> Words {
    match vocabulary {
        Vocabulary::Iso20022 => Words::Iso20022,
        Vocabulary::PolishPayment => Words::PolishPayment,
        Vocabulary::PolishBundle => Words::PolishBundle,
        Vocabulary::PolishRecurring => Words::PolishRecurring,
    }
}

/// The vocabulary of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn vocabulary_from_proto(number: i32) -> Option<Vocabulary> {
    let wanted = Words::try_from(number).ok()?;
    Vocabulary::ALL.into_iter().find(|known| vocabulary(*known) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_told_and_read_back_and_nothing_else_is() {
        for known in ConsentStatus::ALL {
            assert_eq!(status_from_proto(status(known).into()), Some(known));
        }
        for known in PaymentState::ALL {
            assert_eq!(payment_state_from_proto(payment_state(known).into()), Some(known));
        }
        for known in PaymentKind::ALL {
            assert_eq!(kind_from_proto(kind(known).into()), Some(known));
        }
        for known in Vocabulary::ALL {
            assert_eq!(vocabulary_from_proto(vocabulary(known).into()), Some(known));
        }
        for nothing in [0, 99, -1] {
            assert_eq!((status_from_proto(nothing), payment_state_from_proto(nothing)), (None, None));
            assert_eq!((kind_from_proto(nothing), vocabulary_from_proto(nothing)), (None, None));
        }
    }
}
