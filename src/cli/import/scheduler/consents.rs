//! Consents, without what lets us in by them.
//!
//! **Owns** nothing. **Fails** per record: a customer who is not known, or a name that is another customer's consent's.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::csv::Record;
use super::{Import, Kind, aspsp, moment, name, of_store};
use crate::cli::failure::Failure;
use crate::domain::ids::ConsentId;
use crate::domain::openbanking::consent::ConsentStatus;
use crate::store::openbanking::consent::ConsentDraft;

/// What the law lets a bank be asked a day.
const FREQUENCY_DEFAULT: u32 = 4;
const FREQUENCY_MAX: u32 = 10_000;

pub(super) struct Consents;

pub(super) struct Item {
    user: String,
    aspsp: String,
    external_id: String,
    status: ConsentStatus,
    valid_until: Option<DateTime<Utc>>,
    frequency: u32,
}

impl Kind for Consents {
    const NAME: &'static str = "consent";
    const WORDS: &'static str = "reading consents";
    const COLUMNS: &'static [&'static str] = &["user_id", "aspsp", "consent_id"];
    type Item = Item;

    fn read(record: &Record<'_>, _import: &Import<'_>) -> Result<(Item, Option<String>), Vec<String>> {
        let mut reasons = Vec::new();
        let status = match record.get("status") {
            "" => Some(ConsentStatus::Valid),
            word => ConsentStatus::parse(&word.to_lowercase()),
        };
        if status.is_none() {
            reasons.push("status: received, valid, expired or revoked".to_owned());
        }
        let frequency = match record.get("frequency_per_day") {
            "" => Some(FREQUENCY_DEFAULT),
            number => number.parse().ok().filter(|number| (1..=FREQUENCY_MAX).contains(number)),
        };
        if frequency.is_none() {
            reasons.push(format!("frequency_per_day: 1 to {FREQUENCY_MAX}"));
        }
        let item = Item {
            user: name(record, "user_id", &mut reasons),
            aspsp: aspsp(record, &mut reasons),
            external_id: name(record, "consent_id", &mut reasons),
            status: status.unwrap_or(ConsentStatus::Valid),
            valid_until: moment(record, "valid_until", &mut reasons),
            frequency: frequency.unwrap_or(FREQUENCY_DEFAULT),
        };
        if reasons.is_empty() { Ok((item, None)) } else { Err(reasons) }
    }

    async fn write(import: &Import<'_>, items: &[Item]) -> Result<Vec<Result<bool, String>>, Failure> {
        let names: Vec<String> = items.iter().map(|item| item.user.clone()).collect();
        let users = import.store.psu_users_named(&import.tenant, &names).await;
        let users = users.map_err(|error| of_store(&error))?;
        let mut named = HashSet::new();
        let mut refused = Vec::with_capacity(items.len());
        let mut drafts = Vec::with_capacity(items.len());
        for item in items {
            let user = users.get(&item.user).filter(|user| user.erased_at.is_none());
            let is_first = named.insert((item.aspsp.as_str(), item.external_id.as_str()));
            let (Some(user), true) = (user, is_first) else {
                refused.push(Some(match is_first {
                    // In a rehearsal nobody of these files is there yet.
                    true if import.dry_run => "user_id: not known before this import".to_owned(),
                    true => "user_id: no such customer".to_owned(),
                    false => "consent_id: named twice".to_owned(),
                }));
                continue;
            };
            refused.push(None);
            drafts.push(ConsentDraft {
                id: ConsentId(Uuid::now_v7()),
                tenant_id: import.tenant.clone(),
                user_id: user.id,
                aspsp: item.aspsp.clone(),
                external_id: item.external_id.clone(),
                status: item.status,
                valid_until: item.valid_until,
                frequency_per_day: item.frequency,
                now: import.now,
            });
        }
        let mut put = Vec::with_capacity(drafts.len());
        if import.dry_run {
            let names: Vec<(String, String)> =
                drafts.iter().map(|draft| (draft.aspsp.clone(), draft.external_id.clone())).collect();
            let known = import.store.consents_named_at(&import.tenant, &names).await;
            let known = known.map_err(|error| of_store(&error))?;
            put.extend(names.iter().map(|name| Ok(!known.contains_key(name))));
        } else {
            for outcome in import.store.put_consents(&drafts).await {
                let outcome = outcome.map_err(|error| of_store(&error))?;
                put.push(match outcome.is_anothers {
                    true => Err("consent_id: another customer's consent has this name".to_owned()),
                    false => Ok(outcome.is_written),
                });
            }
        }
        let mut put = put.into_iter();
        Ok(refused.into_iter().map(|why| why.map_or_else(|| put.next().unwrap_or(Ok(false)), Err)).collect())
    }
}
