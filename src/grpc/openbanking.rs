//! Open banking over gRPC: customers, consents, accounts, visits at banks, payments. A service a subject, a file a verb or two.
//!
//! **Owns** nothing. **Fails** as the status table says; a batch that breaks a rule is refused whole, with every violation by its place.
//! **Limits**: batches of [`BATCH_MAX`]; a customer is named by their owner's name for them. What stands on an account is told to
//! whom the audit names; tokens come in and never go out.

pub(super) mod account_service;
mod accounts;
mod aspsps;
pub(super) mod consent_service;
mod consents;
mod consents_import;
mod freshness;
pub(super) mod payment_service;
mod payments;
mod payments_track;
mod payments_watch;
mod plan;
pub(super) mod sync_service;
mod sync_user;
mod tokens;
mod transactions;
pub(super) mod user_service;
mod users;
mod visits;

use std::collections::{HashMap, HashSet};

use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::ids::{EndpointId, TenantId};
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::store::openbanking::user::PsuUser;

/// Things of one batch.
const BATCH_MAX: usize = 1_000;
/// Things of one transaction: short, so that nobody waits long for it.
const GROUP: usize = 250;
/// Characters of a name, the owner's or the bank's.
const NAME_CHARS_MAX: usize = 255;
/// Letters of a bank's name in the configuration.
const ASPSP_BYTES_MAX: usize = 63;

/// Checks how large a batch is.
fn checked_size(field: &str, size: usize) -> Result<(), ApiError> {
    if (1..=BATCH_MAX).contains(&size) {
        return Ok(());
    }
    Err(ApiError::field(field, &format!("1 to {BATCH_MAX}")))
}

/// A name that may not be left out.
fn name(field: &str, text: String, violations: &mut Vec<Violation>) -> String {
    let name = request::optional_text(field, text, NAME_CHARS_MAX, violations);
    if name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        violations.push(Violation::new(field, "required"));
    }
    name.unwrap_or_default()
}

/// The name of a bank as the configuration may have it.
fn aspsp(field: &str, text: String, violations: &mut Vec<Violation>) -> String {
    let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
    if !(1..=ASPSP_BYTES_MAX).contains(&text.len()) || !text.bytes().all(fits) {
        violations.push(Violation::new(field, format!("1 to {ASPSP_BYTES_MAX} of a-z, 0-9, _ and -")));
    }
    text
}

/// A moment that may be left out.
fn moment(
    field: &str,
    at: Option<&prost_types::Timestamp>,
    violations: &mut Vec<Violation>,
) -> Option<chrono::DateTime<chrono::Utc>> {
    let read = super::convert::moment(at?);
    if read.is_none() {
        violations.push(Violation::new(field, "is no time"));
    }
    read
}

/// An id that may not be left out.
fn required_id<T: std::str::FromStr>(field: &str, text: &str, violations: &mut Vec<Violation>) -> Option<T> {
    if text.is_empty() {
        violations.push(Violation::new(field, "required"));
    }
    request::optional_id(field, text, violations)
}

fn checked(violations: Vec<Violation>) -> Result<(), ApiError> {
    if violations.is_empty() { Ok(()) } else { Err(ApiError::Invalid(violations)) }
}

/// A customer who is there, by the owner's name for them.
async fn user(gate: &Gate, external_id: &str) -> Result<PsuUser, ApiError> {
    if external_id.is_empty() {
        return Err(ApiError::field("external_id", "required"));
    }
    let found = gate.house()?.store.psu_user_named(&gate.tenant()?, external_id).await?;
    found.filter(|user| user.erased_at.is_none()).ok_or(ApiError::NotFound("USER"))
}

/// The customer whom a filter names; none for an empty name.
async fn user_of_filter(gate: &Gate, external_id: &str) -> Result<Option<PsuUser>, ApiError> {
    match external_id {
        "" => Ok(None),
        name => user(gate, name).await.map(Some),
    }
}

/// The customers of these names; each that is nobody's is a violation.
async fn users(
    house: &House,
    tenant: &TenantId,
    names: Vec<(String, String)>,
    violations: &mut Vec<Violation>,
) -> Result<HashMap<String, PsuUser>, ApiError> {
    let wanted: HashSet<String> = names.iter().map(|(_, name)| name.clone()).collect();
    let mut found = house.store.psu_users_named(tenant, &wanted.into_iter().collect::<Vec<_>>()).await?;
    found.retain(|_, user| user.erased_at.is_none());
    for (field, name) in names {
        if !found.contains_key(&name) {
            violations.push(Violation::new(field, "no such customer"));
        }
    }
    Ok(found)
}

/// Checks that endpoints are there that somebody names; one that is disabled may be named, for it can be enabled.
async fn check_endpoints(
    house: &House,
    tenant: &TenantId,
    named: Vec<(String, EndpointId)>,
    violations: &mut Vec<Violation>,
) -> Result<(), ApiError> {
    let mut known: HashMap<EndpointId, bool> = HashMap::new();
    for (field, id) in named {
        let is_there = match known.get(&id) {
            Some(is_there) => *is_there,
            None => {
                let found = house.store.endpoint(id).await?;
                let is_there = found.is_some_and(|endpoint| endpoint.tenant_id == *tenant);
                known.insert(id, is_there);
                is_there
            }
        };
        if !is_there {
            violations.push(Violation::new(field, "no such endpoint"));
        }
    }
    Ok(())
}

/// Rows of a page and one more, by which is seen whether there is another.
fn one_more(size: u64) -> i64 {
    i64::try_from(size.saturating_add(1)).unwrap_or(i64::MAX)
}
