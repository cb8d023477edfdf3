//! Customers: who they are, and whether their accounts may be read while they are away.
//!
//! **Owns** nothing. **Fails** per record. **Limits**: the permission is a person's, so that nothing but exactly `true` is taken for it.

use uuid::Uuid;

use super::csv::Record;
use super::{Import, Kind, moment, name, of_store};
use crate::cli::failure::Failure;
use crate::domain::ids::PsuUserId;
use crate::store::openbanking::user::UserDraft;

/// The only word for yes.
const YES: &str = "true";
const NO: &str = "false";

pub(super) struct Users;

impl Kind for Users {
    const NAME: &'static str = "user";
    const WORDS: &'static str = "reading customers";
    const COLUMNS: &'static [&'static str] = &["user_id", "update_offline"];
    type Item = UserDraft;

    fn read(record: &Record<'_>, import: &Import<'_>) -> Result<(UserDraft, Option<String>), Vec<String>> {
        let mut reasons = Vec::new();
        let external_id = name(record, "user_id", &mut reasons);
        if external_id.starts_with("erased:") {
            reasons.push("user_id: must not begin with erased:".to_owned());
        }
        let last_synced_at = moment(record, "last_synced_at", &mut reasons);
        if last_synced_at.is_some_and(|at| at > import.now) {
            reasons.push("last_synced_at: lies in the future".to_owned());
        }
        let said = record.get("update_offline");
        let note = (!["", YES, NO].contains(&said)).then(|| {
            "update_offline: neither true nor false, which was taken for no; only exactly true is yes"
                .to_owned()
        });
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let draft = UserDraft {
            id: PsuUserId(Uuid::now_v7()),
            tenant_id: import.tenant.clone(),
            external_id,
            update_offline: said == YES,
            active: record.get("active") != NO,
            last_synced_at,
            endpoint_id: None,
            now: import.now,
        };
        Ok((draft, note))
    }

    async fn write(import: &Import<'_>, items: &[UserDraft]) -> Result<Vec<Result<bool, String>>, Failure> {
        let first_of =
            |at: usize| items[..at].iter().all(|before| before.external_id != items[at].external_id);
        let own: Vec<UserDraft> =
            (0..items.len()).filter(|at| first_of(*at)).map(|at| items[at].clone()).collect();
        let mut outcomes = Vec::with_capacity(items.len());
        if import.dry_run {
            let names: Vec<String> = own.iter().map(|item| item.external_id.clone()).collect();
            let known = import.store.psu_users_named(&import.tenant, &names).await;
            let known = known.map_err(|error| of_store(&error))?;
            let is_new = |item: &UserDraft| !known.contains_key(&item.external_id);
            outcomes.extend(own.iter().map(|item| Ok(is_new(item))));
        } else {
            for put in import.store.put_psu_users(&own).await {
                outcomes.push(Ok(put.map_err(|error| of_store(&error))?.is_written));
            }
        }
        // Two records of one customer in a group cannot both be right.
        let mut outcomes = outcomes.into_iter();
        let twice = || Err("user_id: named twice".to_owned());
        let of = |at: usize| if first_of(at) { outcomes.next().unwrap_or_else(twice) } else { twice() };
        Ok((0..items.len()).map(of).collect())
    }
}
