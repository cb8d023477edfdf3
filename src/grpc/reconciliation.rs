//! `ReconcileBankAccount`, `ListReconciliations`, `ListDifferences` and `SettleDifference`: what banks say was paid, held
//! against what is written down here.
//!
//! **Owns** nothing: a run goes on without its caller. **Fails** with `NOT_SUPPORTED_BY_BANK` where the bank cannot be asked,
//! and with `RECONCILIATION_DISABLED` where the operator does not want it. **Limits**: the caller of a run waits
//! `registration.inline_deadline` at most. A run that is under way when one is asked for is waited for and not repeated.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::boleto_service::split_page;
use super::convert::reconciliation as convert;
use super::gate::Gate;
use super::page_token;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::{Bank as _, ReconciledBy};
use crate::domain::bank_account::BankAccount;
use crate::domain::ids::BankAccountId;
use crate::messages::House;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::reconciler::reconciliation_work;
use crate::proto::boleto::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::difference::{DifferenceFilter, DifferenceSettled, SettleDraft};
use crate::store::reconciliation::Reconciliation;

const LIST: &str = "ListReconciliations";
/// How often an end is looked for that another process may have written.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn reconcile(
    gate: &Gate,
    request: proto::ReconcileBankAccountRequest,
) -> Result<proto::ReconcileBankAccountResponse, ApiError> {
    let reason = request::only_reason(request.reason)?;
    let house = gate.house_for_change()?;
    let id: BankAccountId = request::id("id", &request.id)?;
    let found = house.accounts.find(&gate.tenant()?, &AccountKey::Id(id)).await?;
    let account = found.ok_or(ApiError::NotFound("BANK_ACCOUNT"))?;
    if !house.reconciles {
        return Err(ApiError::ReconciliationDisabled);
    }
    let reconciled_by = reconciled_by(house, &account);
    if reconciled_by == ReconciledBy::Nothing {
        let why = format!("{} cannot be asked what was paid", account.provider.as_str());
        return Err(ApiError::NotSupportedByBank(why));
    }
    let before = known(gate, house, id).await?;
    let now = house.store.now();
    let mut work = reconciliation_work(&account, now, now);
    work.traceparent = crate::telemetry::traceparent();
    let act = Act {
        method: "ReconcileBankAccount",
        subject: Subject::Id(id.0),
        reason,
        before: json!({ "runs": before.runs }),
        after: json!({ "asked": "a run now" }),
        now,
    };
    house.store.audit_act(act).await?;
    house.store.ask_reconciliation(&work).await?;
    house.hints.there_is_work(&work.queue);
    let deadline = Instant::now() + gate.inline_deadline();
    let mut changes = house.changes.subscribe();
    loop {
        let now = known(gate, house, id).await?;
        let has_ended = now.runs != before.runs;
        let has_failed = now.last_error.is_some() && now.last_run_at != before.last_run_at;
        if has_ended || has_failed || Instant::now() >= deadline {
            let reconciliation = Some(convert::to_proto(&now, reconciled_by));
            return Ok(proto::ReconcileBankAccountResponse { reconciliation, pending: !has_ended });
        }
        let next_look = (Instant::now() + LOOK_EVERY).min(deadline);
        let _ = tokio::time::timeout_at(next_look, changes.changed()).await;
    }
}

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListReconciliationsRequest,
) -> Result<proto::ListReconciliationsResponse, ApiError> {
    let house = gate.house()?;
    let size = gate.page_size(request.page_size)?;
    let before = page_token::read(&LIST, &request.page_token)?.map(BankAccountId);
    let found = house.store.bank_accounts(&gate.tenant()?, before, size + 1).await?;
    let (page, next) = split_page(&found, size, |account| account.id.0, &LIST);
    let ids: Vec<BankAccountId> = page.iter().map(|account| account.id).collect();
    let known = house.store.reconciliations(&gate.tenant()?, &ids).await?;
    let pairs = page.iter().zip(&known);
    let reconciliations =
        pairs.map(|(account, known)| convert::to_proto(known, reconciled_by(house, account)));
    Ok(proto::ListReconciliationsResponse {
        reconciliations: reconciliations.collect(),
        next_page_token: next,
    })
}

pub(super) async fn differences(
    gate: &Gate,
    request: proto::ListDifferencesRequest,
) -> Result<proto::ListDifferencesResponse, ApiError> {
    let house = gate.house()?;
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let account = request::optional_id("bank_account_id", &request.bank_account_id, &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    let filter = DifferenceFilter { bank_account_id: account, settled_too: request.settled_too };
    let before = page_token::read(&filter, &request.page_token)?;
    let found = house.store.differences(&gate.tenant()?, filter, before, size + 1).await?;
    let (page, next) = split_page(&found, size, |difference| difference.id, &filter);
    let differences = page.iter().map(convert::difference).collect();
    Ok(proto::ListDifferencesResponse { differences, next_page_token: next })
}

pub(super) async fn settle(
    gate: &Gate,
    request: proto::SettleDifferenceRequest,
) -> Result<proto::SettleDifferenceResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let reason = request::reason(request.reason, &mut violations);
    let id: Option<Uuid> = request::optional_id("id", &request.id, &mut violations);
    let Some(id) = id.filter(|_| violations.is_empty()) else {
        if request.id.is_empty() {
            violations.push(crate::domain::violation::Violation::new("id", "required"));
        }
        return Err(ApiError::Invalid(violations));
    };
    let draft = SettleDraft {
        audit_id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        id,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    let difference = match house.store.settle_difference(&draft).await? {
        DifferenceSettled::Done(difference) => difference,
        // The same word a second time is no second settlement.
        DifferenceSettled::Before(difference)
            if difference.settled.as_ref().is_some_and(|(_, reason)| *reason == draft.reason) =>
        {
            difference
        }
        DifferenceSettled::Before(_) => return Err(ApiError::DifferenceSettled),
        DifferenceSettled::NotFound => return Err(ApiError::NotFound("DIFFERENCE")),
    };
    Ok(proto::SettleDifferenceResponse { difference: Some(convert::difference(&difference)) })
}

fn reconciled_by(house: &House, account: &BankAccount) -> ReconciledBy {
    let registrar = house.registrars.get(&account.provider);
    registrar
        .map_or(ReconciledBy::Nothing, |registrar| registrar.connector.capabilities(account).reconciled_by)
}

async fn known(gate: &Gate, house: &House, id: BankAccountId) -> Result<Reconciliation, ApiError> {
    let known = house.store.reconciliation(&gate.tenant()?, id).await?;
    known.ok_or_else(|| ApiError::Internal(format!("no answer about bank account {id}")))
}
