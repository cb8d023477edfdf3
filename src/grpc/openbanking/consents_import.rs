//! `ImportConsents`: consents with what lets us in by them, and the accounts that they are about.
//!
//! ```text
//! all checked ──► consents, a group a transaction ──► tokens, sealed for the ids that these have got ──► accounts
//! ```
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `SECRETS_NOT_KEPT` where tokens come in and nobody can seal them;
//! then nothing is written. What fails on the way is made good by the same call again: what is kept is not written twice.
//! **Limits**: a consent is seen by a run only with its tokens where a new one is told with some, but for the moment between two
//! transactions, in which its visit ends as one without tokens does.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{GROUP, aspsp, checked, checked_size, moment, name, tokens, users};
use crate::domain::ids::{AccountId, ConsentId, PsuUserId, TenantId};
use crate::domain::openbanking::account::AccountKey;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::domain::violation::Violation;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use crate::store::openbanking::account::AccountDraft;
use crate::store::openbanking::consent::{ConsentDraft, PutConsent};
use crate::store::openbanking::token::NewTokens;

/// What the law lets a bank be asked a day.
const FREQUENCY_DEFAULT: u32 = 4;
const FREQUENCY_MAX: i32 = 10_000;
const ACCOUNTS_MAX: usize = 1_000;
const PRIVILEGES_MAX: usize = 32;
const PRIVILEGE_CHARS_MAX: usize = 64;
const HISTORY_DAYS_MAX: i32 = 36_500;

/// A consent that breaks no rule of form.
struct Given {
    user: String,
    aspsp: String,
    external_id: String,
    status: ConsentStatus,
    valid_until: Option<DateTime<Utc>>,
    frequency: u32,
    tokens: Option<GivenTokens>,
    accounts: Vec<GivenAccount>,
}

struct GivenTokens {
    access: SecretString,
    refresh: Option<SecretString>,
    expires_at: Option<DateTime<Utc>>,
}

struct GivenAccount {
    key: AccountKey,
    name: Option<String>,
    resource_id: Option<String>,
    privileges: Vec<String>,
    history_days: Option<u32>,
}

pub(super) async fn import(
    gate: &Gate,
    request: proto::ImportConsentsRequest,
) -> Result<proto::ImportConsentsResponse, ApiError> {
    let house = gate.house_for_change()?;
    checked_size("consents", request.consents.len())?;
    let (tenant, now) = (gate.tenant()?, request::now());
    let mut violations = Vec::new();
    let mut given = Vec::with_capacity(request.consents.len());
    let mut names = HashSet::new();
    for (place, consent) in request.consents.into_iter().enumerate() {
        let field = |field: &str| format!("consents[{place}].{field}");
        let read = Given::read(consent, &field, &mut violations);
        if !names.insert((read.aspsp.clone(), read.external_id.clone())) {
            violations.push(Violation::new(field("external_id"), "named twice"));
        }
        given.push(read);
    }
    let whose = given.iter().enumerate();
    let whose =
        whose.map(|(place, one)| (format!("consents[{place}].user_external_id"), one.user.clone())).collect();
    let users = users(house, &tenant, whose, &mut violations).await?;
    checked(violations)?;
    if given.iter().any(|one| one.tokens.is_some()) {
        tokens::keeper(house)?;
    }
    let users: HashMap<String, PsuUserId> = users.into_iter().map(|(name, user)| (name, user.id)).collect();
    let mut results = Vec::with_capacity(given.len());
    for group in given.chunks(GROUP) {
        let drafts: Vec<ConsentDraft> = group.iter().map(|one| one.draft(&tenant, &users, now)).collect();
        let begin = results.len();
        for (one, put) in group.iter().zip(house.store.put_consents(&drafts).await) {
            results.push(consent(house, &tenant, one, put?, now).await?);
        }
        accounts(house, group, &drafts, &mut results[begin..]).await?;
    }
    Ok(proto::ImportConsentsResponse { results })
}

/// What became of one, its tokens among it.
async fn consent(
    house: &House,
    tenant: &TenantId,
    given: &Given,
    put: PutConsent,
    now: DateTime<Utc>,
) -> Result<proto::ImportConsentResult, ApiError> {
    let mut result = proto::ImportConsentResult { written: put.is_written, ..Default::default() };
    if put.is_anothers {
        result.another_users = true;
        return Ok(result);
    }
    result.id = put.id.to_string();
    let known = house.store.consent(tenant, put.id).await?.ok_or(ApiError::NotFound("CONSENT"))?;
    result.ended = known.status.has_ended();
    if let Some(told) = given.tokens.as_ref().filter(|_| !result.ended) {
        result.written |= keep(house, put.id, told, now).await?;
    }
    Ok(result)
}

/// The accounts of a group of consents that have not ended.
async fn accounts(
    house: &House,
    group: &[Given],
    consents: &[ConsentDraft],
    results: &mut [proto::ImportConsentResult],
) -> Result<(), ApiError> {
    let (mut drafts, mut places) = (Vec::new(), Vec::new());
    for (place, (given, consent)) in group.iter().zip(consents).enumerate() {
        // One that is another's has no id here.
        let Some(id) = results[place].id.parse().ok().filter(|_| !results[place].ended) else { continue };
        for account in &given.accounts {
            drafts.push(account.draft(consent, id));
            places.push(place);
        }
    }
    for (drafts, places) in drafts.chunks(GROUP).zip(places.chunks(GROUP)) {
        for (id, place) in house.store.put_accounts(drafts).await.into_iter().zip(places) {
            results[*place].account_ids.push(id?.to_string());
        }
    }
    Ok(())
}

/// Keeps tokens, unless they are kept. Whether they were not.
async fn keep(
    house: &House,
    id: ConsentId,
    told: &GivenTokens,
    now: DateTime<Utc>,
) -> Result<bool, ApiError> {
    let (keeper, purpose) = (tokens::keeper(house)?, tokens::of_consent(id));
    let kept = house.store.consent_tokens(id).await?;
    if kept.is_some_and(|kept| tokens::are_kept(keeper, &purpose, &kept, &told.access, told.refresh.as_ref()))
    {
        return Ok(false);
    }
    let seal = |token: &SecretString| tokens::seal(keeper, &purpose, token);
    let new = NewTokens {
        access_sealed: seal(&told.access)?,
        refresh_sealed: told.refresh.as_ref().map(seal).transpose()?,
        expires_at: told.expires_at,
    };
    // Of nobody's lease: whoever refreshes goes on, and what comes later counts.
    Ok(house.store.keep_tokens(id, 0, &new, now).await?.is_some())
}

impl Given {
    fn read(
        consent: proto::NewConsent,
        field: &impl Fn(&str) -> String,
        violations: &mut Vec<Violation>,
    ) -> Self {
        let status = match (consent.status, convert::status_from_proto(consent.status)) {
            (0, _) => ConsentStatus::Valid,
            (_, Some(status)) => status,
            (_, None) => {
                violations.push(Violation::new(field("status"), "is no status"));
                ConsentStatus::Valid
            }
        };
        let frequency = consent.frequency_per_day;
        if !(0..=FREQUENCY_MAX).contains(&frequency) {
            let rule = format!("1 to {FREQUENCY_MAX}, or 0 for {FREQUENCY_DEFAULT}");
            violations.push(Violation::new(field("frequency_per_day"), rule));
        }
        let frequency = u32::try_from(frequency).ok().filter(|frequency| *frequency > 0);
        if consent.accounts.len() > ACCOUNTS_MAX {
            violations.push(Violation::new(field("accounts"), format!("at most {ACCOUNTS_MAX}")));
        }
        let mut keys = HashSet::new();
        let mut accounts = Vec::new();
        for (place, account) in consent.accounts.into_iter().take(ACCOUNTS_MAX).enumerate() {
            let field = |name: &str| field(&format!("accounts[{place}].{name}"));
            let Some(account) = GivenAccount::read(account, &field, violations) else { continue };
            if !keys.insert(account.key.clone()) {
                violations.push(Violation::new(field("number"), "named twice"));
            }
            accounts.push(account);
        }
        Self {
            user: name(&field("user_external_id"), consent.user_external_id, violations),
            aspsp: aspsp(&field("aspsp"), consent.aspsp, violations),
            external_id: name(&field("external_id"), consent.external_id, violations),
            status,
            valid_until: moment(&field("valid_until_time"), consent.valid_until_time.as_ref(), violations),
            frequency: frequency.unwrap_or(FREQUENCY_DEFAULT),
            tokens: consent.tokens.and_then(|given| {
                GivenTokens::read(given, &|name| field(&format!("tokens.{name}")), violations)
            }),
            accounts,
        }
    }

    fn draft(
        &self,
        tenant: &TenantId,
        users: &HashMap<String, PsuUserId>,
        now: DateTime<Utc>,
    ) -> ConsentDraft {
        ConsentDraft {
            id: ConsentId(Uuid::now_v7()),
            tenant_id: tenant.clone(),
            user_id: users[&self.user],
            aspsp: self.aspsp.clone(),
            external_id: self.external_id.clone(),
            status: self.status,
            valid_until: self.valid_until,
            frequency_per_day: self.frequency,
            now,
        }
    }
}

impl GivenTokens {
    fn read(given: Tokens, field: &impl Fn(&str) -> String, violations: &mut Vec<Violation>) -> Option<Self> {
        let access = tokens::optional(&field("access_token"), given.access_token, violations);
        if access.is_none() {
            violations.push(Violation::new(field("access_token"), "required"));
        }
        let refresh = tokens::optional(&field("refresh_token"), given.refresh_token, violations);
        let expires_at = moment(&field("expire_time"), given.expire_time.as_ref(), violations);
        Some(Self { access: access?, refresh, expires_at })
    }
}

impl GivenAccount {
    fn read(
        account: AllowedAccount,
        field: &impl Fn(&str) -> String,
        violations: &mut Vec<Violation>,
    ) -> Option<Self> {
        let key = AccountKey::new(&account.number, &account.currency);
        if let Err(error) = &key {
            violations.push(Violation::new(field("number"), error.to_string()));
        }
        let history_days = account.history_days;
        if !(0..=HISTORY_DAYS_MAX).contains(&history_days) {
            violations.push(Violation::new(field("history_days"), format!("0 to {HISTORY_DAYS_MAX}")));
        }
        let words = &account.privileges;
        let is_word = |word: &String| {
            (1..=PRIVILEGE_CHARS_MAX).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if words.len() > PRIVILEGES_MAX || !words.iter().all(is_word) {
            let rule = format!("at most {PRIVILEGES_MAX} words of up to {PRIVILEGE_CHARS_MAX} letters");
            violations.push(Violation::new(field("privileges"), rule));
        }
        let mut text = |name: &str, text: String| {
            request::optional_text(&field(name), text, super::NAME_CHARS_MAX, violations)
        };
        let (name, resource_id) = (text("name", account.name), text("resource_id", account.resource_id));
        let mut privileges = account.privileges;
        privileges.sort_unstable();
        privileges.dedup();
        let history_days = u32::try_from(history_days).ok().filter(|days| *days > 0);
        Some(Self { key: key.ok()?, name, resource_id, privileges, history_days })
    }

    fn draft(&self, consent: &ConsentDraft, consent_id: ConsentId) -> AccountDraft {
        AccountDraft {
            id: AccountId(Uuid::now_v7()),
            tenant_id: consent.tenant_id.clone(),
            user_id: consent.user_id,
            consent_id,
            aspsp: consent.aspsp.clone(),
            key: self.key.clone(),
            name: self.name.clone(),
            resource_id: self.resource_id.clone(),
            privileges: self.privileges.clone(),
            history_days: self.history_days,
            now: consent.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_consent_is_said_at_once_and_never_a_token() {
        let wrong = proto::NewConsent {
            aspsp: "No Bank".to_owned(),
            status: 99,
            frequency_per_day: -1,
            tokens: Some(Tokens { refresh_token: "not one\u{7}".to_owned(), ..Tokens::default() }),
            accounts: vec![AllowedAccount {
                number: "PL61****2874".to_owned(),
                history_days: -1,
                privileges: vec![String::new()],
                ..AllowedAccount::default()
            }],
            ..proto::NewConsent::default()
        };
        let mut violations = Vec::new();
        Given::read(wrong, &|field| format!("consents[0].{field}"), &mut violations);
        let fields: Vec<&str> =
            violations.iter().map(|one| one.field.strip_prefix("consents[0].").unwrap()).collect();
        let expected = [
            "status",
            "frequency_per_day",
            "accounts[0].number",
            "accounts[0].history_days",
            "accounts[0].privileges",
            "user_external_id",
            "aspsp",
            "external_id",
            "tokens.access_token",
            "tokens.refresh_token",
            "tokens.refresh_token",
        ];
        assert_eq!(fields, expected);
        assert!(violations.iter().all(|one| !one.to_string().contains("not one")));
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let plain = proto::NewConsent {
            user_external_id: "u".to_owned(),
            aspsp: "bank-1".to_owned(),
            external_id: "c".to_owned(),
            ..proto::NewConsent::default()
        };
        let mut violations = Vec::new();
        let given = Given::read(plain, &str::to_owned, &mut violations);
        assert_eq!(violations, []);
        assert_eq!((given.status, given.frequency), (ConsentStatus::Valid, 4));
        assert!(given.tokens.is_none() && given.accounts.is_empty() && given.valid_until.is_none());
    }
}
