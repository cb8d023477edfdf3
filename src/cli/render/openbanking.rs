//! Customers, consents, accounts, visits and payments of open banking.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{duration, short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::openbanking::v1::api_session::State as SessionState;
use crate::proto::openbanking::v1::consent::Status;
use crate::proto::openbanking::v1::freshness::State as FreshnessState;
use crate::proto::openbanking::v1::payment::{Kind, State, Vocabulary};
use crate::proto::openbanking::v1::plan_sync_response::{OverBudget, Share};
use crate::proto::openbanking::v1::{
    Account, ApiCall, ApiSession, Aspsp, Balance, Consent, Freshness, Payment, PendingTransaction,
    PlanSyncResponse, Transaction, User,
};

/// Every state that a payment may be in, by its short name.
pub const PAYMENT_STATES: [&str; 6] = ["in_progress", "done", "rejected", "cancelled", "mixed", "unresolved"];

const STATE_PREFIX: &str = "STATE_";

pub const USER_ROW: [Column; 6] = [
    Column::plain("CUSTOMER", "/external_id"),
    Column::plain("OFFLINE", "/update_offline"),
    Column::plain("ACTIVE", "/active"),
    Column::time("SYNCED", "/sync_time"),
    Column::time("CREATED", "/create_time"),
    Column::plain("ID", "/id"),
];

pub const USER: [Column; 9] = [
    Column::plain("id", "/id"),
    Column::plain("customer", "/external_id"),
    Column::plain("may be read offline", "/update_offline"),
    Column::plain("active", "/active"),
    Column::time("synced", "/sync_time"),
    Column::plain("endpoint", "/endpoint_id"),
    Column::time("erased", "/erase_time"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

pub const CONSENT_ROW: [Column; 7] = [
    Column::plain("ID", "/id"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("CONSENT", "/external_id"),
    Column::plain("STATUS", "/status"),
    Column::time("UNTIL", "/valid_until_time"),
    Column::time("FAILING SINCE", "/failing_since_time"),
    Column::plain("REASON", "/reason"),
];

pub const CONSENT: [Column; 12] = [
    Column::plain("id", "/id"),
    Column::plain("customer's id", "/user_id"),
    Column::plain("aspsp", "/aspsp"),
    Column::plain("the bank's name for it", "/external_id"),
    Column::plain("status", "/status"),
    Column::plain("reason", "/reason"),
    Column::time("valid until", "/valid_until_time"),
    Column::plain("accesses a day", "/frequency_per_day"),
    Column::plain("has tokens", "/has_tokens"),
    Column::time("failing since", "/failing_since_time"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

pub const ACCOUNT_ROW: [Column; 8] = [
    Column::plain("ID", "/id"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("NUMBER", "/number"),
    Column::plain("CURRENCY", "/currency"),
    Column::plain("FRESHNESS", "/freshness/state"),
    Column::time("SYNCED", "/freshness/sync_time"),
    Column::plain("THROUGH", "/freshness/synced_through"),
    Column::plain("REASON", "/freshness/reason"),
];

pub const ACCOUNT: [Column; 15] = [
    Column::plain("id", "/id"),
    Column::plain("customer's id", "/user_id"),
    Column::plain("aspsp", "/aspsp"),
    Column::plain("number", "/number"),
    Column::plain("currency", "/currency"),
    Column::plain("name", "/name"),
    Column::plain("enabled", "/enabled"),
    Column::time("gone since", "/gone_time"),
    Column::plain("freshness", "/freshness/state"),
    Column::plain("reason", "/freshness/reason"),
    Column::time("since", "/freshness/since_time"),
    Column::time("synced", "/freshness/sync_time"),
    Column::plain("known through", "/freshness/synced_through"),
    Column::plain("partly read", "/freshness/is_partly_read"),
    Column::plain("details", "/details"),
];

pub const BALANCE: [Column; 4] = [
    Column::plain("BALANCE", "/kind"),
    Column::plain("AMOUNT", "/amount"),
    Column::plain("CURRENCY", "/currency"),
    Column::time("AS OF", "/as_of_time"),
];

pub const TRANSACTION: [Column; 6] = [
    Column::plain("BOOKED", "/booked_on"),
    Column::plain("AMOUNT", "/amount"),
    Column::plain("CURRENCY", "/currency"),
    Column::plain("WITH", "/counterparty"),
    Column::plain("FOR", "/remittance"),
    Column::time("MISSING SINCE", "/missing_since_time"),
];

pub const PENDING: [Column; 5] = [
    Column::plain("ENTERED", "/entered_on"),
    Column::plain("AMOUNT", "/amount"),
    Column::plain("CURRENCY", "/currency"),
    Column::plain("WITH", "/counterparty"),
    Column::plain("FOR", "/remittance"),
];

pub const SESSION: [Column; 7] = [
    Column::plain("ID", "/id"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("STATE", "/state"),
    Column::plain("NEW", "/new_transactions"),
    Column::time("STARTED", "/start_time"),
    Column::time("ENDED", "/end_time"),
    Column::plain("REASON", "/reason"),
];

pub const CALL: [Column; 6] = [
    Column::time("SENT", "/send_time"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("ENDPOINT", "/endpoint"),
    Column::plain("STATUS", "/status"),
    Column::plain("TOOK", "/duration"),
    Column::plain("ERROR", "/error"),
];

pub const ASPSP: [Column; 6] = [
    Column::plain("ASPSP", "/name"),
    Column::plain("STANDARD", "/standard"),
    Column::plain("IN FLIGHT", "/in_flight"),
    Column::plain("OF", "/in_flight_max"),
    Column::plain("BREAKER", "/breaker"),
    Column::plain("PAUSED", "/pause_reason"),
];

pub const PLAN: [Column; 8] = [
    Column::plain("customers", "/users"),
    Column::plain("more than looked at", "/more"),
    Column::plain("sessions", "/sessions"),
    Column::plain("calls", "/calls"),
    Column::plain("batches", "/batches"),
    Column::time("begins", "/begin_time"),
    Column::time("last batch begins", "/last_batch_time"),
    Column::plain("consents over budget", "/consents_over_budget"),
];

pub const SHARE: [Column; 4] = [
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("SESSIONS", "/sessions"),
    Column::plain("CALLS", "/calls"),
    Column::plain("CONFIGURED", "/is_configured"),
];

pub const OVER_BUDGET: [Column; 4] = [
    Column::plain("CONSENT", "/consent_id"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("ENDPOINT", "/endpoint"),
    Column::time("NOT BEFORE", "/until_time"),
];

pub const PAYMENT_ROW: [Column; 8] = [
    Column::plain("ID", "/id"),
    Column::plain("ASPSP", "/aspsp"),
    Column::plain("PAYMENT", "/external_id"),
    Column::plain("KIND", "/kind"),
    Column::plain("STATE", "/state"),
    Column::plain("BANK SAYS", "/raw_status"),
    Column::time("ASKED", "/ask_time"),
    Column::plain("REASON", "/reason"),
];

pub const PAYMENT: [Column; 21] = [
    Column::plain("id", "/id"),
    Column::plain("aspsp", "/aspsp"),
    Column::plain("kind", "/kind"),
    Column::plain("product", "/product"),
    Column::plain("the bank's name for it", "/external_id"),
    Column::plain("reference", "/reference_id"),
    Column::plain("one of", "/parent_id"),
    Column::plain("customer's id", "/user_id"),
    Column::plain("state", "/state"),
    Column::plain("the bank says", "/raw_status"),
    Column::plain("nobody knows that word", "/is_unknown"),
    Column::plain("cannot be asked about", "/is_unverifiable"),
    Column::plain("reason", "/reason"),
    Column::time("asked", "/ask_time"),
    Column::plain("times", "/asks"),
    Column::time("next", "/next_ask_time"),
    Column::time("made", "/made_time"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
    Column::time("ended", "/end_time"),
    Column::plain("version", "/version"),
];

pub fn user(user: &User) -> Value {
    json!({
        "id": user.id,
        "external_id": user.external_id,
        "update_offline": user.update_offline,
        "active": user.active,
        "sync_time": time(user.sync_time.as_ref()),
        "endpoint_id": user.endpoint_id,
        "erase_time": time(user.erase_time.as_ref()),
        "create_time": time(user.create_time.as_ref()),
        "update_time": time(user.update_time.as_ref()),
        "version": user.version,
    })
}

pub fn consent(consent: &Consent) -> Value {
    json!({
        "id": consent.id,
        "user_id": consent.user_id,
        "aspsp": consent.aspsp,
        "external_id": consent.external_id,
        "status": status(consent.status),
        "reason": consent.reason,
        "valid_until_time": time(consent.valid_until_time.as_ref()),
        "frequency_per_day": consent.frequency_per_day,
        "has_tokens": consent.has_tokens,
        "failing_since_time": time(consent.failing_since_time.as_ref()),
        "create_time": time(consent.create_time.as_ref()),
        "update_time": time(consent.update_time.as_ref()),
        "version": consent.version,
    })
}

pub fn account(account: &Account) -> Value {
    json!({
        "id": account.id,
        "user_id": account.user_id,
        "aspsp": account.aspsp,
        "number": account.number,
        "currency": account.currency,
        "name": account.name,
        "enabled": account.enabled,
        "gone_time": time(account.gone_time.as_ref()),
        "freshness": account.freshness.as_ref().map(freshness),
        "details": account.details,
        "details_time": time(account.details_time.as_ref()),
        "create_time": time(account.create_time.as_ref()),
        "update_time": time(account.update_time.as_ref()),
    })
}

pub fn freshness(freshness: &Freshness) -> Value {
    let name = FreshnessState::try_from(freshness.state).ok().map(|state| state.as_str_name());
    json!({
        "state": short(freshness.state, STATE_PREFIX, name),
        "reason": freshness.reason,
        "since_time": time(freshness.since_time.as_ref()),
        "sync_time": time(freshness.sync_time.as_ref()),
        "synced_through": freshness.synced_through,
        "is_partly_read": freshness.is_partly_read,
    })
}

pub fn balance(balance: &Balance) -> Value {
    json!({
        "kind": balance.kind,
        "amount": balance.amount,
        "currency": balance.currency,
        "as_of_time": time(balance.as_of_time.as_ref()),
    })
}

pub fn transaction(transaction: &Transaction) -> Value {
    json!({
        "id": transaction.id,
        "bank_ids": transaction.bank_ids,
        "booked_on": transaction.booked_on,
        "value_on": transaction.value_on,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "counterparty": transaction.counterparty,
        "remittance": transaction.remittance,
        "balance_after": transaction.balance_after,
        "details": transaction.details,
        "missing_since_time": time(transaction.missing_since_time.as_ref()),
        "create_time": time(transaction.create_time.as_ref()),
        "update_time": time(transaction.update_time.as_ref()),
    })
}

pub fn pending(transaction: &PendingTransaction) -> Value {
    json!({
        "entered_on": transaction.entered_on,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "counterparty": transaction.counterparty,
        "remittance": transaction.remittance,
        "details": transaction.details,
    })
}

pub fn session(session: &ApiSession) -> Value {
    let name = SessionState::try_from(session.state).ok().map(|state| state.as_str_name());
    json!({
        "id": session.id,
        "run_id": session.run_id,
        "consent_id": session.consent_id,
        "user_id": session.user_id,
        "aspsp": session.aspsp,
        "source": session.source,
        "state": short(session.state, STATE_PREFIX, name),
        "reason": session.reason,
        "new_transactions": session.new_transactions,
        "start_time": time(session.start_time.as_ref()),
        "end_time": time(session.end_time.as_ref()),
    })
}

pub fn call(call: &ApiCall) -> Value {
    json!({
        "id": call.id,
        "session_id": call.session_id,
        "run_id": call.run_id,
        "aspsp": call.aspsp,
        "endpoint": call.endpoint,
        "account_id": call.account_id,
        "request_id": call.request_id,
        "status": call.status,
        "duration": duration(call.duration.as_ref()),
        "limits": call.limits,
        "error": call.error,
        "send_time": time(call.send_time.as_ref()),
    })
}

pub fn aspsp(aspsp: &Aspsp) -> Value {
    let quotas: Vec<Value> = aspsp
        .quotas
        .iter()
        .map(|quota| json!({ "endpoint": quota.endpoint, "limit": quota.limit, "window": quota.window }))
        .collect();
    json!({
        "name": aspsp.name,
        "standard": aspsp.standard,
        "operations": aspsp.operations,
        "in_flight_max": aspsp.in_flight_max,
        "in_flight": aspsp.in_flight,
        "breaker": aspsp.breaker,
        "pause_reason": aspsp.pause_reason,
        "quotas": quotas,
    })
}

pub fn plan(plan: &PlanSyncResponse) -> Value {
    let over_budget = |over: &OverBudget| {
        json!({
            "consent_id": over.consent_id,
            "aspsp": over.aspsp,
            "endpoint": over.endpoint,
            "until_time": time(over.until_time.as_ref()),
        })
    };
    let share = |share: &Share| {
        json!({
            "aspsp": share.aspsp,
            "sessions": share.sessions,
            "calls": share.calls,
            "is_configured": share.is_configured,
        })
    };
    json!({
        "users": plan.users,
        "more": plan.more,
        "sessions": plan.sessions,
        "calls": plan.calls,
        "batches": plan.batches,
        "begin_time": time(plan.begin_time.as_ref()),
        "last_batch_time": time(plan.last_batch_time.as_ref()),
        "consents_over_budget": plan.consents_over_budget,
        "over_budget": plan.over_budget.iter().map(over_budget).collect::<Vec<_>>(),
        "shares": plan.shares.iter().map(share).collect::<Vec<_>>(),
    })
}

pub fn payment(payment: &Payment) -> Value {
    let kind = Kind::try_from(payment.kind).ok().map(|kind| kind.as_str_name());
    let vocabulary = Vocabulary::try_from(payment.vocabulary).ok().map(|words| words.as_str_name());
    json!({
        "id": payment.id,
        "aspsp": payment.aspsp,
        "kind": short(payment.kind, "KIND_", kind),
        "product": payment.product,
        "external_id": payment.external_id,
        "is_our_name": payment.is_our_name,
        "parent_id": payment.parent_id,
        "user_id": payment.user_id,
        "reference_id": payment.reference_id,
        "state": payment_state(payment.state),
        "raw_status": payment.raw_status,
        "vocabulary": short(payment.vocabulary, "VOCABULARY_", vocabulary),
        "is_unknown": payment.is_unknown,
        "is_unverifiable": payment.is_unverifiable,
        "asks_children": payment.asks_children,
        "reason": payment.reason,
        "ask_time": time(payment.ask_time.as_ref()),
        "asks": payment.asks,
        "next_ask_time": time(payment.next_ask_time.as_ref()),
        "endpoint_id": payment.endpoint_id,
        "made_time": time(payment.made_time.as_ref()),
        "create_time": time(payment.create_time.as_ref()),
        "update_time": time(payment.update_time.as_ref()),
        "end_time": time(payment.end_time.as_ref()),
        "version": payment.version,
    })
}

fn status(number: i32) -> String {
    short(number, "STATUS_", Status::try_from(number).ok().map(|status| status.as_str_name()))
}

/// A state's short name.
pub fn payment_state(number: i32) -> String {
    short(number, STATE_PREFIX, State::try_from(number).ok().map(|state| state.as_str_name()))
}

/// Reads the short name of a payment's state.
pub fn payment_state_parser() -> impl TypedValueParser<Value = State> {
    short_name_parser(&PAYMENT_STATES, STATE_PREFIX, State::from_str_name)
}
