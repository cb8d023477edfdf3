//! Accounts with their freshness, and what stands on them.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `ACCOUNT_NOT_FOUND`. **Limits**: a list masks numbers and leaves
//! out details; whoever is told more is written down before.

use tracing::info;
use uuid::Uuid;

use super::{checked, freshness, one_more, required_id, user_of_filter};
use crate::domain::ids::AccountId;
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::account::Account;
use crate::store::openbanking::hand::{AccountRead, AccountSwitch};

/// An account whose reading is written down.
pub(super) struct Reading {
    pub account: Account,
    pub freshness: proto::Freshness,
}

pub(super) async fn list(
    gate: &Gate,
    request: &proto::ListAccountsRequest,
) -> Result<proto::ListAccountsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let of = user_of_filter(gate, &request.user_external_id).await?.map(|user| user.id);
    let filter = ("accounts", of);
    let after = page_token::read(&filter, &request.page_token)?.map(AccountId);
    let found = gate.house()?.store.accounts(&gate.tenant()?, of, after, one_more(size)).await?;
    let (page, next_page_token) = split_page(&found, size, |account| account.id.0, &filter);
    let fresh = freshness_of(gate, page).await?;
    let accounts =
        page.iter().zip(fresh).map(|(account, freshness)| convert::account_masked(account, freshness));
    Ok(proto::ListAccountsResponse { accounts: accounts.collect(), next_page_token })
}

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetAccountRequest,
) -> Result<proto::GetAccountResponse, ApiError> {
    let reading = read(gate, "GetAccount", ("id", &request.id), request.reason, Vec::new()).await?;
    let balances = gate.house()?.store.balances(&gate.tenant()?, reading.account.id).await?;
    Ok(proto::GetAccountResponse {
        account: Some(convert::account_in_full(&reading.account, reading.freshness)),
        balances: balances.iter().map(convert::balance).collect(),
    })
}

pub(super) async fn balances(
    gate: &Gate,
    request: proto::ListBalancesRequest,
) -> Result<proto::ListBalancesResponse, ApiError> {
    let named = ("account_id", request.account_id.as_str());
    let reading = read(gate, "ListBalances", named, request.reason, Vec::new()).await?;
    let balances = gate.house()?.store.balances(&gate.tenant()?, reading.account.id).await?;
    Ok(proto::ListBalancesResponse {
        balances: balances.iter().map(convert::balance).collect(),
        freshness: Some(reading.freshness),
    })
}

pub(super) async fn enable(
    gate: &Gate,
    request: proto::EnableAccountRequest,
) -> Result<proto::EnableAccountResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let id = required_id("id", &request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let Some(account_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let switch = AccountSwitch {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        account_id,
        enabled: request.enabled,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    if !house.store.switch_account(&switch).await? {
        return Err(ApiError::NotFound("ACCOUNT"));
    }
    info!(%account_id, enabled = request.enabled, "account switched by hand");
    let account = found(gate, account_id).await?;
    let freshness = freshness_of(gate, std::slice::from_ref(&account)).await?.pop();
    let account = convert::account_masked(&account, freshness.unwrap_or_default());
    Ok(proto::EnableAccountResponse { account: Some(account) })
}

/// Finds an account and writes down that it is read: before anything is handed out. `violations` are what is wrong with the rest of
/// the request.
pub(super) async fn read(
    gate: &Gate,
    method: &'static str,
    (field, id): (&str, &str),
    reason: String,
    mut violations: Vec<Violation>,
) -> Result<Reading, ApiError> {
    let house = gate.house()?;
    let id = required_id(field, id, &mut violations);
    let reason = request::optional_reason(reason, &mut violations);
    let Some(account_id) = id else { return Err(ApiError::Invalid(violations)) };
    checked(violations)?;
    let account = found(gate, account_id).await?;
    let read = AccountRead {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        account_id,
        method,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    house.store.audit_account_read(&read).await?;
    let freshness = freshness_of(gate, std::slice::from_ref(&account)).await?.pop();
    Ok(Reading { account, freshness: freshness.unwrap_or_default() })
}

async fn found(gate: &Gate, id: AccountId) -> Result<Account, ApiError> {
    let found = gate.house()?.store.account(&gate.tenant()?, id).await?;
    found.ok_or(ApiError::NotFound("ACCOUNT"))
}

/// How fresh these are, in their order.
async fn freshness_of(gate: &Gate, accounts: &[Account]) -> Result<Vec<proto::Freshness>, ApiError> {
    let (house, now) = (gate.house()?, request::now());
    let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let prospects = house.store.prospects_of(&ids, now).await?;
    let period = freshness::period(house);
    let of = |account: &Account| freshness::of(account, prospects.get(&account.id).copied(), period, now);
    Ok(accounts.iter().map(of).collect())
}
