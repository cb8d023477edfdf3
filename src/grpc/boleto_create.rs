//! `CreateBoleto`: check everything, write once, have it registered at once if there is a place, and answer in time.
//!
//! **Owns** nothing: a caller that hangs up changes nothing once the row is written. **Fails** with every violation at
//! once. A request that was made before is answered with what came of it, before anything that depends on today's date
//! or configuration can refuse it.
//! **Limits**: the caller waits `registration.inline_deadline` at most; the bank call goes on without it.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::Bank as _;
use crate::connectors::channels::{Channel as _, ChannelKind, Destination};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::due_date_factor::DAYS_AHEAD_MAX;
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BoletoId, EndpointId, EventId, TenantId, WorkId};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::violation::Violation;
use crate::domain::work::{NewWork, kind};
use crate::messages::bank_accounts::AccountKey;
use crate::messages::boleto_registrar::queue_prefix;
use crate::messages::{BoletoRegistrarMessage, FreshRegistration, House};
use crate::proto::boleto::v1 as proto;
use crate::store::boleto::{BoletoDraft, Created, Notify};
use crate::store::endpoint::StoredEndpoint;
use crate::store::request_key::RequestKey;
use crate::work::{ClaimGuard, Place};

const METHOD: &str = "CreateBoleto";
const TEXT_CHARS_MAX: usize = 255;
const INSTRUCTIONS_CHARS_MAX: usize = 165;
/// How often somebody else's decision is looked for when it may be made in another process.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// A request that breaks no rule.
struct Checked {
    account: Arc<BankAccount>,
    resolution: proto::BankAccountResolution,
    amount: Cents,
    due_date: NaiveDate,
    payer: Payer,
    reference_id: Option<String>,
    token: Option<String>,
    instructions: Option<String>,
    owner: Owner,
}

/// Whom the request wants told.
enum Owner {
    Queue(Destination, String),
    Subscriptions,
    Nobody,
}

pub(super) async fn create(
    gate: &Gate,
    mut request: proto::CreateBoletoRequest,
) -> Result<proto::CreateBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let tenant = gate.tenant();
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&tenant, METHOD, &request_id, &request, &mut violations);
    let checked = match check(house, &tenant, request, violations).await {
        Ok(checked) => checked,
        Err(error @ ApiError::Invalid(_)) => return made_before(gate, house, key.as_ref(), error).await,
        Err(error) => return Err(error),
    };
    let resolution = checked.resolution;
    let notify = notify(house, &tenant, &checked.owner).await?;
    let account = checked.account.clone();
    let registrar = house
        .registrars
        .get(&account.provider)
        .ok_or_else(|| ApiError::Internal(format!("no registrar for {}", account.provider.as_str())))?;
    let mut draft = draft(house, &tenant, checked, key, notify);
    // With a place free and the lease held, the row is made as this process's own and attempted at once.
    let place = registrar.places.try_take(&draft.work.queue, &tenant);
    if place.is_none() && !house.backlogs.has_room(&draft.work.queue).await? {
        return made_before(gate, house, draft.request.as_ref(), ApiError::BacklogFull).await;
    }
    if place.is_some() {
        draft.work.claimed_by = house.lease.holder();
        draft.work.sent_at = draft.work.claimed_by.map(|_| house.store.now());
    }
    let queue = draft.work.queue.clone();
    match house.creations.run(draft).await? {
        (Created::New { boleto, .. }, guard) => {
            if guard.is_none() {
                // No place was free here, and the claim loop is woken when one is; another process may have some now.
                house.hints.there_is_work_elsewhere(&queue);
            }
            let boleto = register(gate, house, *boleto, guard, place).await?;
            Ok(answer(&boleto, resolution))
        }
        (Created::Before(id), _) => {
            drop(place);
            Ok(answer(&wait_as_the_first_did(gate, house, id).await?, resolution))
        }
        (Created::OtherBody, _) => Err(ApiError::RequestIdReused),
        (Created::NotIssued(error), _) => Err(ApiError::NotIssued(error)),
    }
}

fn answer(boleto: &Boleto, resolution: proto::BankAccountResolution) -> proto::CreateBoletoResponse {
    proto::CreateBoletoResponse {
        boleto: Some(convert::to_proto(boleto)),
        bank_account_resolution: resolution.into(),
    }
}

/// What came of the same request before; if there was none, it is refused as it stands.
async fn made_before(
    gate: &Gate,
    house: &House,
    key: Option<&RequestKey>,
    refusal: ApiError,
) -> Result<proto::CreateBoletoResponse, ApiError> {
    let Some(key) = key else { return Err(refusal) };
    match house.store.find_request(key).await? {
        None => Err(refusal),
        Some(earlier) if !earlier.same_body => Err(ApiError::RequestIdReused),
        Some(earlier) => {
            let boleto = wait_as_the_first_did(gate, house, BoletoId(earlier.resource_id)).await?;
            Ok(answer(&boleto, proto::BankAccountResolution::Unspecified))
        }
    }
}

async fn check(
    house: &House,
    tenant: &TenantId,
    request: proto::CreateBoletoRequest,
    mut violations: Vec<Violation>,
) -> Result<Checked, ApiError> {
    let amount = Cents(request.amount_cents);
    if !amount.fits_a_boleto() {
        violations.push(Violation::new("amount_cents", "from 1 to 9999999999"));
    }
    let due_date = check_due_date(&request.due_date, &mut violations);
    let payer = convert::payer_from_proto(request.payer, &mut violations);
    let reference_id =
        request::optional_text("reference_id", request.reference_id, TEXT_CHARS_MAX, &mut violations);
    let token = request::optional_text("token", request.token, TEXT_CHARS_MAX, &mut violations);
    let instructions =
        request::optional_text("instructions", request.instructions, INSTRUCTIONS_CHARS_MAX, &mut violations);
    let owner =
        check_owner(house, tenant, &request.queue_url, request.notification_opt_out, &mut violations).await?;
    let found = find_account(
        house,
        tenant,
        &request.bank_account_id,
        &request.bank_account_external_id,
        &mut violations,
    )
    .await?;
    if let (Some((account, _)), Some(payer)) = (&found, &payer)
        && let Some(registrar) = house.registrars.get(&account.provider)
        && let Err(violation) = registrar.connector.supports(payer)
    {
        violations.push(violation);
    }
    match (due_date, payer, owner, found) {
        (Some(due_date), Some(payer), Some(owner), Some((account, resolution))) if violations.is_empty() => {
            Ok(Checked {
                account,
                resolution,
                amount,
                due_date,
                payer,
                reference_id,
                token,
                instructions,
                owner,
            })
        }
        _ => Err(ApiError::Invalid(violations)),
    }
}

fn check_due_date(text: &str, violations: &mut Vec<Violation>) -> Option<NaiveDate> {
    if text.is_empty() {
        violations.push(Violation::new("due_date", "required, YYYY-MM-DD"));
        return None;
    }
    let date = request::optional_date("due_date", text, violations)?;
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    let days_ahead = (date - today).num_days();
    if days_ahead < 0 {
        violations.push(Violation::new("due_date", "must not be in the past (America/Sao_Paulo)"));
    } else if days_ahead > DAYS_AHEAD_MAX {
        violations.push(Violation::new("due_date", format!("at most {DAYS_AHEAD_MAX} days ahead")));
    }
    Some(date)
}

async fn check_owner(
    house: &House,
    tenant: &TenantId,
    queue_url: &str,
    opt_out: bool,
    violations: &mut Vec<Violation>,
) -> Result<Option<Owner>, ApiError> {
    if opt_out {
        if !queue_url.is_empty() {
            violations.push(Violation::new("queue_url", "must be empty with notification_opt_out"));
        }
        return Ok(Some(Owner::Nobody));
    }
    if queue_url.is_empty() {
        if house.store.has_subscription(tenant).await? {
            return Ok(Some(Owner::Subscriptions));
        }
        let rule = "required unless a subscription wants boleto events or notification_opt_out is set";
        violations.push(Violation::new("queue_url", rule));
        return Ok(None);
    }
    // A URL's reader passes over what it would not send; what is stored is what was given.
    if queue_url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        violations.push(Violation::new("queue_url", "no blanks and no control characters"));
        return Ok(None);
    }
    let destination = Destination::Sqs { queue_url: queue_url.to_owned(), region: None };
    if let Some(channel) = house.channels.get(&ChannelKind::Sqs) {
        violations.extend(channel.check(tenant, &destination));
    }
    Ok(Some(Owner::Queue(destination, queue_url.to_owned())))
}

async fn find_account(
    house: &House,
    tenant: &TenantId,
    id: &str,
    external_id: &str,
    violations: &mut Vec<Violation>,
) -> Result<Option<(Arc<BankAccount>, proto::BankAccountResolution)>, ApiError> {
    let (field, key, resolution) = match (id, external_id) {
        ("", "") => ("bank_account_id", AccountKey::Default, proto::BankAccountResolution::Default),
        ("", name) => {
            let key = AccountKey::ExternalId(name.to_owned());
            ("bank_account_external_id", key, proto::BankAccountResolution::ExternalId)
        }
        (text, "") => match request::optional_id("bank_account_id", text, violations) {
            Some(id) => ("bank_account_id", AccountKey::Id(id), proto::BankAccountResolution::Id),
            None => return Ok(None),
        },
        _ => {
            let rule = "must be empty with bank_account_id";
            violations.push(Violation::new("bank_account_external_id", rule));
            return Ok(None);
        }
    };
    match house.accounts.find(tenant, &key).await? {
        Some(account) => Ok(Some((account, resolution))),
        None => {
            let rule = match key {
                AccountKey::Default => "required: there is no default bank account",
                _ => "no such bank account",
            };
            violations.push(Violation::new(field, rule));
            Ok(None)
        }
    }
}

async fn notify(house: &House, tenant: &TenantId, owner: &Owner) -> Result<Notify, ApiError> {
    match owner {
        Owner::Nobody => Ok(Notify::Nobody),
        Owner::Subscriptions => Ok(Notify::Owner(None)),
        Owner::Queue(destination, target) => {
            let known = house.queues.find(tenant, target);
            if let Some(id) = known {
                return Ok(Notify::Owner(Some(id)));
            }
            let text =
                serde_json::to_string(destination).map_err(|error| ApiError::Internal(error.to_string()))?;
            let endpoint = StoredEndpoint {
                id: EndpointId(Uuid::now_v7()),
                tenant_id: tenant.clone(),
                channel: destination.kind().as_str().to_owned(),
                destination: text,
                target: target.clone(),
                event_types: vec![],
                disabled: None,
                created_at: request::now(),
            };
            let id = house.store.ensure_endpoint(&endpoint).await?.id;
            house.queues.keep(tenant, target, id);
            Ok(Notify::Owner(Some(id)))
        }
    }
}

fn draft(
    house: &House,
    tenant: &TenantId,
    checked: Checked,
    request: Option<RequestKey>,
    notify: Notify,
) -> BoletoDraft {
    let now = request::now();
    let id = BoletoId(Uuid::now_v7());
    BoletoDraft {
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: tenant.clone(),
        request,
        bank_account_id: checked.account.id,
        issuer: checked.account.issuer.clone(),
        amount: checked.amount,
        due_date: checked.due_date,
        payer: checked.payer,
        instructions: checked.instructions,
        reference_id: checked.reference_id,
        token: checked.token,
        notify,
        work: registration_work(house, &checked.account, id, now),
        now,
    }
}

/// The work of having a boleto registered, due now.
pub(super) fn registration_work(
    house: &House,
    account: &BankAccount,
    id: BoletoId,
    now: DateTime<Utc>,
) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: account.tenant_id.clone(),
        kind: kind::BOLETO_REGISTER,
        queue: format!("{}{}", queue_prefix(account.provider.as_str()), account.id),
        priority: 0,
        run_at: now,
        attempts_max: house.registration_attempts_max,
        unique_key: Some(format!("register:{id}")),
        subject_id: id.0,
        payload: "{}".to_owned(),
        traceparent: crate::telemetry::traceparent(),
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
}

/// Has the registrar attempt a boleto that was just made, and waits for it as long as the caller may be kept.
async fn register(
    gate: &Gate,
    house: &House,
    boleto: Boleto,
    guard: Option<ClaimGuard>,
    place: Option<Place>,
) -> Result<Boleto, ApiError> {
    let id = boleto.id;
    let attempted = match (guard, place) {
        (Some(guard), Some(place)) => attempt(gate, house, &boleto, guard, place).await,
        // No place was free, or there is no lease: the claim loop takes it when it can.
        _ => None,
    };
    match attempted {
        Some(boleto) => Ok(boleto),
        None => pending(gate, house, id).await,
    }
}

async fn attempt(
    gate: &Gate,
    house: &House,
    boleto: &Boleto,
    guard: ClaimGuard,
    place: Place,
) -> Option<Boleto> {
    let account =
        house.accounts.find(&boleto.tenant_id, &AccountKey::Id(boleto.bank_account_id)).await.ok()??;
    let registrar = house.registrars.get(&account.provider)?;
    let (reply, answer) = oneshot::channel();
    let fresh = FreshRegistration { guard, place, boleto: boleto.clone(), reply };
    // A registrar that is down or full drops the guard, and the row goes back for whoever is up next.
    registrar.address.try_send(BoletoRegistrarMessage::Register(Box::new(fresh))).ok()?;
    tokio::time::timeout(gate.inline_deadline(), answer).await.ok()?.ok()
}

/// The caller is not kept longer: what the bank has not decided is pending.
async fn pending(gate: &Gate, house: &House, id: BoletoId) -> Result<Boleto, ApiError> {
    house.store.mark_pending(&gate.tenant(), id, EventId(Uuid::now_v7()), request::now()).await?;
    super::boleto_service::find(gate, id).await
}

/// A boleto that somebody else had made, when it is decided or the caller is not to be kept any longer.
async fn wait_as_the_first_did(gate: &Gate, house: &House, id: BoletoId) -> Result<Boleto, ApiError> {
    // The caller before this one was told that it is pending, and so is this one.
    let was_told = |boleto: &Boleto| boleto.status == Status::PendingRegistration && boleto.version > 1;
    wait_until(gate, house, id, was_told).await
}

/// A boleto that is being attempted, when it is decided or the caller is not to be kept any longer.
pub(super) async fn wait_for_decision(gate: &Gate, house: &House, id: BoletoId) -> Result<Boleto, ApiError> {
    wait_until(gate, house, id, |_| false).await
}

async fn wait_until(
    gate: &Gate,
    house: &House,
    id: BoletoId,
    is_enough: impl Fn(&Boleto) -> bool,
) -> Result<Boleto, ApiError> {
    let deadline = Instant::now() + gate.inline_deadline();
    let mut changes = house.changes.subscribe();
    loop {
        let boleto = super::boleto_service::find(gate, id).await?;
        if !boleto.status.awaits_registration() || is_enough(&boleto) || Instant::now() >= deadline {
            return Ok(boleto);
        }
        let next_look = (Instant::now() + LOOK_EVERY).min(deadline);
        let _ = tokio::time::timeout_at(next_look, changes.changed()).await;
    }
}
