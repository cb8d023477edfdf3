//! What `AmendBoleto` and `CancelBoleto` have in common: place an order, wait for its end as long as the caller may be
//! kept, and tell.
//!
//! **Owns** nothing: a caller that hangs up changes nothing once the order is written. **Fails** as [`Placed`] says. A
//! request that was made before is answered with what came of it.
//! **Limits**: the caller waits `registration.inline_deadline` at most; the order goes on without it.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::convert::boleto as convert;
use super::convert::order;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::order::{Order, OrderState, Wish};
use crate::domain::ids::{BoletoId, EventId, OrderId, TenantId, WorkId};
use crate::domain::violation::Violation;
use crate::domain::work::{NewWork, kind};
use crate::messages::House;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::boleto_clerk::queue_prefix;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_order::{OrderDraft, OrderPayload, Placed, order_key};
use crate::store::request_key::RequestKey;

/// How often an end is looked for that another process may have written.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What every order says of itself.
pub(super) struct Asked {
    pub id: Option<BoletoId>,
    /// 0 for whatever it is.
    pub version: i64,
    pub reason: String,
    pub key: Option<RequestKey>,
}

impl Asked {
    /// Reads what every request has that changes one boleto by somebody's word.
    pub fn read(
        id: &str,
        version: i64,
        reason: String,
        key: Option<RequestKey>,
        violations: &mut Vec<Violation>,
    ) -> Self {
        if id.is_empty() {
            violations.push(Violation::new("id", "required"));
        }
        let id = request::optional_id("id", id, violations);
        if version < 0 {
            violations.push(Violation::new("version", "must not be negative"));
        }
        let reason = request::reason(reason, violations);
        Self { id, version, reason, key }
    }
}

/// What came of the same request before, if it was made.
pub(super) async fn made_before(
    gate: &Gate,
    house: &House,
    id: BoletoId,
    key: Option<&RequestKey>,
) -> Result<Option<(proto::Boleto, Option<proto::BoletoOrder>)>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    match house.store.find_request(key).await? {
        None => Ok(None),
        Some(earlier) if !earlier.same_body => Err(ApiError::RequestIdReused),
        Some(earlier) => Ok(Some(outcome(gate, house, id, OrderId(earlier.resource_id)).await?)),
    }
}

/// Places an order and tells what became of it.
pub(super) async fn place(
    gate: &Gate,
    house: &House,
    boleto: &Boleto,
    asked: Asked,
    wish: Wish,
    bank_cannot: Option<String>,
) -> Result<(proto::Boleto, Option<proto::BoletoOrder>), ApiError> {
    let account = account(house, boleto).await?;
    let draft = draft(house, &gate.tenant()?, &account, boleto.id, asked, wish, bank_cannot)?;
    let id = match house.store.place_order(&draft).await? {
        Placed::Ordered => {
            house.hints.there_is_work(&draft.work.queue);
            draft.id
        }
        Placed::CancelledAtOnce => {
            house.hints.there_is_work("delivery/");
            house.changes.send_modify(|count| *count += 1);
            draft.id
        }
        Placed::Before(id) => id,
        Placed::OtherBody => return Err(ApiError::RequestIdReused),
        Placed::NotFound => return Err(ApiError::NotFound("BOLETO")),
        Placed::VersionChanged { version } => return Err(ApiError::VersionChanged { version }),
        Placed::OrderPending => return Err(ApiError::OrderPending),
        Placed::NotSupported(why) => return Err(ApiError::NotSupportedByBank(why)),
        Placed::NotOpen(status) => {
            return Err(match draft.wish {
                Wish::Amend(_) => ApiError::AmendNotOpen(status),
                Wish::Cancel => ApiError::CancelNotOpen(status),
            });
        }
    };
    outcome(gate, house, boleto.id, id).await
}

/// The account under which a boleto was issued.
pub(super) async fn account(house: &House, boleto: &Boleto) -> Result<std::sync::Arc<BankAccount>, ApiError> {
    let key = AccountKey::Id(boleto.bank_account_id);
    let account = house.accounts.find(&boleto.tenant_id, &key).await?;
    account.ok_or(ApiError::NotFound("BANK_ACCOUNT"))
}

/// A boleto with what the bank has been asked to do with it and has not done yet.
pub(super) async fn with_pending(gate: &Gate, boleto: &Boleto) -> Result<proto::Boleto, ApiError> {
    let mut answer = convert::to_proto(boleto);
    if !boleto.status.is_final() {
        let pending = gate.house()?.store.pending_order(&boleto.tenant_id, boleto.id).await?;
        answer.pending_order = pending.as_ref().map(order::to_proto);
    }
    Ok(answer)
}

fn draft(
    house: &House,
    tenant: &TenantId,
    account: &BankAccount,
    boleto_id: BoletoId,
    asked: Asked,
    wish: Wish,
    bank_cannot: Option<String>,
) -> Result<OrderDraft, ApiError> {
    let (id, now) = (OrderId(Uuid::now_v7()), request::now());
    let payload = serde_json::to_string(&OrderPayload { order_id: id });
    let work = NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: tenant.clone(),
        kind: kind::BOLETO_ORDER,
        queue: format!("{}{}", queue_prefix(account.provider.as_str()), account.id),
        priority: 0,
        run_at: now,
        attempts_max: house.registration_attempts_max,
        unique_key: Some(order_key(boleto_id)),
        subject_id: boleto_id.0,
        payload: payload.map_err(|error| ApiError::Internal(error.to_string()))?,
        traceparent: crate::telemetry::traceparent(),
        claimed_by: None,
        sent_at: None,
        created_at: now,
    };
    Ok(OrderDraft {
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: tenant.clone(),
        boleto_id,
        version: asked.version,
        request: asked.key,
        wish,
        reason: asked.reason,
        bank_cannot,
        work,
        delivery_attempts_max: house.delivery_attempts_max,
        now,
    })
}

/// The boleto and the order, when that has ended or the caller is not to be kept any longer. No order where none was
/// needed.
async fn outcome(
    gate: &Gate,
    house: &House,
    boleto_id: BoletoId,
    id: OrderId,
) -> Result<(proto::Boleto, Option<proto::BoletoOrder>), ApiError> {
    let deadline = Instant::now() + gate.inline_deadline();
    let mut changes = house.changes.subscribe();
    let is_pending = |order: &Order| order.state == OrderState::Pending;
    let order = loop {
        let order = house.store.order(&gate.tenant()?, boleto_id, id).await?;
        if !order.as_ref().is_some_and(is_pending) || Instant::now() >= deadline {
            break order;
        }
        let next_look = (Instant::now() + LOOK_EVERY).min(deadline);
        let _ = tokio::time::timeout_at(next_look, changes.changed()).await;
    };
    let boleto = super::boleto_service::find(gate, boleto_id).await?;
    Ok((with_pending(gate, &boleto).await?, order.as_ref().map(order::to_proto)))
}
