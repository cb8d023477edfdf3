//! `CreateBoleto`: check everything, write once, have it registered at once if there is a place, and answer in time.
//!
//! **Owns** nothing: a caller that hangs up changes nothing once the row is written. **Fails** with every violation at
//! once. A request that was made before is answered with what came of it, before anything that depends on today's date
//! or configuration can refuse it.
//! **Limits**: the caller waits `registration.inline_deadline` at most; the bank call goes on without it. One that holds
//! the registration back waits for nothing.

mod check;

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use self::check::{Checked, Found, Owner, check};
pub(super) use self::check::{Subscriptions, check_due_date};
use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::{Bank as _, CodesFrom};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BoletoId, EventId, TenantId};
use crate::domain::work::NewWork;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::{BoletoRegistrarMessage, FreshRegistration, House, Registrar, boleto_registrar};
use crate::proto::boleto::v1 as proto;
use crate::store::boleto::{BoletoDraft, Created, DraftCodes, Notify};
use crate::store::endpoint::StoredEndpoint;
use crate::store::request_key::RequestKey;
use crate::work::{ClaimGuard, Place};

const METHOD: &str = "CreateBoleto";
/// How often somebody else's decision is looked for when it may be made in another process.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);
/// Why an account is the one when it was found for a request of long ago.
const FOUND_BEFORE: &str = "it was found when the same request was made before";

/// What a request comes to before anything is written.
pub(super) enum Prepared {
    /// A boleto to be made, and the account under which it is.
    New(Box<BoletoDraft>, Found),
    /// The same request made this one before.
    Before(BoletoId),
}

pub(super) async fn create(
    gate: &Gate,
    request: proto::CreateBoletoRequest,
) -> Result<proto::CreateBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let tenant = gate.tenant()?;
    let hold = request.hold_registration;
    let (mut draft, found) = match prepare(house, &tenant, request, &Subscriptions::default()).await? {
        Prepared::New(draft, found) => (draft, found),
        Prepared::Before(id) => return answer_before(gate, house, id, hold).await,
    };
    // With a place free and the lease held, the row is made as this process's own and attempted at once.
    let registrar = registrar(house, &found.account)?;
    let place = if hold { None } else { registrar.places.try_take(&draft.work.queue, &tenant) };
    if place.is_none() && !hold && !house.backlogs.has_room(&draft.work.queue).await? {
        let id = made_before(house, draft.request.as_ref(), ApiError::BacklogFull).await?;
        return answer_before(gate, house, id, hold).await;
    }
    if place.is_some() {
        draft.work.claimed_by = house.lease.holder();
        draft.work.sent_at = draft.work.claimed_by.map(|_| house.store.now());
    }
    let queue = draft.work.queue.clone();
    match house.creations.run(*draft).await? {
        (Created::New { boleto, .. }, _) if hold => Ok(answer(&boleto, &found)),
        (Created::New { boleto, .. }, guard) => {
            if guard.is_none() {
                // No place was free here, and the claim loop is woken when one is; another process may have some now.
                house.hints.there_is_work_elsewhere(&queue);
            }
            let boleto = register(gate, house, *boleto, guard, place).await?;
            Ok(answer(&boleto, &found))
        }
        (Created::Before(id), _) => {
            drop(place);
            answer_before(gate, house, id, hold).await
        }
        (Created::OtherBody, _) => Err(ApiError::RequestIdReused),
        (Created::NotIssued(error), _) => Err(ApiError::NotIssued(error)),
    }
}

/// Checks a request and finds everything that its boleto is made of; the numbers come when it is written.
pub(super) async fn prepare(
    house: &House,
    tenant: &TenantId,
    mut request: proto::CreateBoletoRequest,
    subscriptions: &Subscriptions,
) -> Result<Prepared, ApiError> {
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(tenant, METHOD, &request_id, &request, &mut violations);
    let checked = match check(house, tenant, request, subscriptions, violations).await {
        Ok(checked) => checked,
        Err(error @ ApiError::Invalid(_)) => {
            return made_before(house, key.as_ref(), error).await.map(Prepared::Before);
        }
        Err(error) => return Err(error),
    };
    let notify = notify(house, tenant, &checked.owner).await?;
    let account = &checked.found.account;
    let codes = match registrar(house, account)?.connector.capabilities(account).codes {
        CodesFrom::Us => DraftCodes::All,
        CodesFrom::BankUnderOurNumber => DraftCodes::NumberAlone,
        CodesFrom::Bank => DraftCodes::None,
    };
    let (draft, found) = draft(house, tenant, checked, codes, key, notify);
    Ok(Prepared::New(Box::new(draft), found))
}

fn registrar<'a>(house: &'a House, account: &BankAccount) -> Result<&'a Registrar, ApiError> {
    let registrar = house.registrars.get(&account.provider);
    registrar.ok_or_else(|| ApiError::Internal(format!("no registrar for {}", account.provider.as_str())))
}

/// What is said of a boleto that was just made.
pub(super) fn answer(boleto: &Boleto, found: &Found) -> proto::CreateBoletoResponse {
    proto::CreateBoletoResponse {
        boleto: Some(convert::to_proto(boleto)),
        bank_account_resolution: found.resolution.into(),
        resolved_issuer: Some(resolved_issuer(&found.account, &found.reason)),
    }
}

/// What is said of a boleto that the same request made before, once it is decided or the caller is not to be kept longer.
async fn answer_before(
    gate: &Gate,
    house: &House,
    id: BoletoId,
    hold: bool,
) -> Result<proto::CreateBoletoResponse, ApiError> {
    let boleto = match hold {
        true => super::boleto_service::find(gate, id).await?,
        false => wait_as_the_first_did(gate, house, id).await?,
    };
    known(house, &boleto).await
}

/// What is said of a boleto that the same request made before, as it is.
pub(super) async fn known(house: &House, boleto: &Boleto) -> Result<proto::CreateBoletoResponse, ApiError> {
    let key = AccountKey::Id(boleto.bank_account_id);
    let account = house.accounts.find(&boleto.tenant_id, &key).await?;
    Ok(proto::CreateBoletoResponse {
        boleto: Some(convert::to_proto(boleto)),
        bank_account_resolution: proto::BankAccountResolution::Unspecified.into(),
        resolved_issuer: account.map(|account| resolved_issuer(&account, FOUND_BEFORE)),
    })
}

fn resolved_issuer(account: &BankAccount, reason: &str) -> proto::ResolvedIssuer {
    let issuer = &account.issuer;
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    proto::ResolvedIssuer {
        provider: account.provider.as_str().to_owned(),
        bank_code: issuer.bank_code().to_owned(),
        agency: text(issuer.agency()),
        account: text(issuer.account()),
        carteira: text(issuer.carteira()),
        reason: reason.to_owned(),
    }
}

/// What came of the same request before; if there was none, it is refused as it stands.
pub(super) async fn made_before(
    house: &House,
    key: Option<&RequestKey>,
    refusal: ApiError,
) -> Result<BoletoId, ApiError> {
    let Some(key) = key else { return Err(refusal) };
    match house.store.find_request(key).await? {
        None => Err(refusal),
        Some(earlier) if !earlier.same_body => Err(ApiError::RequestIdReused),
        Some(earlier) => Ok(BoletoId(earlier.resource_id)),
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
            let channel = destination.kind().as_str();
            let endpoint = StoredEndpoint::new(tenant.clone(), channel, text, target.clone(), request::now());
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
    codes: DraftCodes,
    request: Option<RequestKey>,
    notify: Notify,
) -> (BoletoDraft, Found) {
    let now = request::now();
    let id = BoletoId(Uuid::now_v7());
    let account = &checked.found.account;
    let draft = BoletoDraft {
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: tenant.clone(),
        request,
        bank_account_id: account.id,
        issuer: account.issuer.clone(),
        codes,
        amount: checked.amount,
        due_date: checked.due_date,
        terms: checked.terms,
        payer: checked.payer,
        instructions: checked.instructions,
        reference_id: checked.reference_id,
        token: checked.token,
        notify,
        work: registration_work(house, account, id, now),
        hold_registration: checked.hold_registration,
        now,
    };
    (draft, checked.found)
}

/// The work of having a boleto registered, due now.
pub(super) fn registration_work(
    house: &House,
    account: &BankAccount,
    id: BoletoId,
    now: DateTime<Utc>,
) -> NewWork {
    boleto_registrar::registration_work(account, id, house.registration_attempts_max, now)
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
    house.store.mark_pending(&gate.tenant()?, id, EventId(Uuid::now_v7()), request::now()).await?;
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
