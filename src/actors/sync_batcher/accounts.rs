//! About which accounts a visit asks.
//!
//! Berlin Group lists them; the list is asked for when none is known, when one has no name at the bank yet or is not found by it, and
//! when the details are due. PolishAPI masks the numbers in its list, so that the numbers are those of the token's grant; what is not
//! known of a new one is asked for by itself.
//!
//! **Owns** nothing. **Fails** with a [`Stop`] where there is nothing to ask about. **Limits**: [`PAGES_MAX`] pages of a list; an
//! account without a number in full, such as a card's, is passed over. A list that is not whole makes nothing gone.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use tracing::{info, warn};
use uuid::Uuid;

use super::calls::{Stop, Trouble, ask};
use super::rest;
use super::tokens::Needed;
use super::visit::{InHand, Visit};
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::{Account, AccountDetails, Aspsp as _, Cursor, GrantedAccount, Operation};
use crate::domain::ids::AccountId;
use crate::domain::openbanking::account::AccountKey;
use crate::domain::openbanking::pages::PageGuard;
use crate::store::openbanking::account::AccountDraft;

/// Pages of one list, at most.
const PAGES_MAX: u32 = 100;
/// What may be read again and again of nothing: all that is granted is for one use.
const SINGLE: &str = "scopeUsageLimit:single";
/// What is left of an account that a grant does not name any more.
const NOT_GRANTED: &str = "not_granted";
/// How the reason begins where a bank knows no such account.
const NOT_FOUND: &str = "not_found";

/// The words of PolishAPI for what may be read.
pub(super) const DONE: &str = "ais:getTransactionsDone";
pub(super) const PENDING: &str = "ais:getTransactionsPending";
pub(super) const HOLDS: &str = "ais:getHolds";
pub(super) const ACCOUNT: &str = "ais:getAccount";

impl Visit {
    /// Learns about which accounts to ask, as far as that is due.
    pub async fn know_accounts(&mut self) -> Result<(), Stop> {
        let learnt = match self.standard {
            Standard::BerlinGroup if self.is_list_due() && !self.was_listed() => self.list().await,
            Standard::BerlinGroup => Ok(()),
            Standard::PolishApi => self.know_granted().await,
        };
        if let Err(trouble) = learnt {
            // Where some are known, those are asked about.
            let is_needed = self.accounts.is_empty();
            self.endure(trouble, None, is_needed)?;
        }
        if self.accounts.is_empty() && self.trouble.is_none() && !self.is_held_back {
            return Err(Stop::Failed("no_accounts: the consent lets no account be read".to_owned()));
        }
        Ok(())
    }

    /// Whether the list was taken over before the run was cut off.
    fn was_listed(&self) -> bool {
        !self.accounts.is_empty() && self.before.told(Operation::Accounts, None)
    }

    /// Whether the list or the details were asked for longer ago than they should be.
    fn is_list_due(&self) -> bool {
        let has_nameless = self.accounts.iter().any(|account| account.allowed.resource_id.is_none());
        // The bank did not know it by its name the last time: it may be gone, or be called otherwise.
        let is_lost = |account: &InHand| {
            account.allowed.account.stale.as_ref().is_some_and(|(reason, _)| reason.starts_with(NOT_FOUND))
        };
        let has_lost = self.accounts.iter().any(is_lost);
        let newest = self.accounts.iter().filter_map(|account| account.allowed.account.details_at).max();
        self.accounts.is_empty() || has_nameless || has_lost || self.is_due(newest)
    }

    /// Whether what was told then is to be asked for again.
    pub fn is_due(&self, told_at: Option<DateTime<Utc>>) -> bool {
        let every =
            TimeDelta::from_std(self.run.means.config.get().sync.details_every).unwrap_or(TimeDelta::MAX);
        let due = told_at.and_then(|at| at.checked_add_signed(every));
        told_at.is_none() || due.is_some_and(|due| due <= self.run.now())
    }

    async fn list(&mut self) -> Result<(), Trouble> {
        let connector = self.desk.connector().clone();
        let mut guard = PageGuard::new(PAGES_MAX);
        let (mut listed, mut cursor) = (Vec::new(), None::<Cursor>);
        loop {
            let page = ask!(self, Operation::Accounts, None, cursor.is_some(), access => connector.accounts(&access, cursor.as_ref()));
            let next = page.next.as_ref().map(Cursor::to_text);
            guard.see(None, next.as_deref()).map_err(|astray| Trouble::of(format!("pages: {astray}")))?;
            listed.extend(page.accounts);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let drafts: Vec<AccountDraft> =
            listed.into_iter().filter_map(|account| self.draft_of_listed(account)).collect();
        let keys: Vec<AccountKey> = drafts.iter().map(|draft| draft.key.clone()).collect();
        self.put(drafts).await?;
        self.reread().await?;
        let store = &self.run.means.store;
        let is_gone = |account: &InHand| !keys.contains(&account.allowed.account.key);
        let gone: Vec<AccountId> =
            self.accounts.iter().filter(|account| is_gone(account)).map(InHand::id).collect();
        if !gone.is_empty() {
            info!(count = gone.len(), "accounts that the bank does not list any more");
            self.run.patiently(|| store.accounts_gone(&gone, self.run.now())).await?;
            self.accounts.retain(|account| !gone.contains(&account.id()));
        }
        Ok(())
    }

    fn draft_of_listed(&self, account: Account) -> Option<AccountDraft> {
        let is_usable = account.status.as_deref().is_none_or(|status| status == "enabled");
        let number = account.iban.as_deref().or(account.number.as_deref()).unwrap_or_default();
        let key = AccountKey::new(number, account.currency.as_deref().unwrap_or_default());
        let Ok(key) = key.inspect_err(|why| warn!(%why, "an account that the bank lists is passed over"))
        else {
            return None;
        };
        if !is_usable {
            return None;
        }
        let mut draft = self.draft(key, account.name);
        draft.resource_id = account.resource_id;
        Some(draft)
    }

    fn draft(&self, key: AccountKey, name: Option<String>) -> AccountDraft {
        AccountDraft {
            id: AccountId(Uuid::now_v7()),
            tenant_id: self.consent.tenant_id.clone(),
            user_id: self.consent.user_id,
            consent_id: self.consent.id,
            aspsp: self.consent.aspsp.clone(),
            key,
            name,
            resource_id: None,
            privileges: Vec::new(),
            history_days: None,
            now: self.run.now(),
        }
    }

    async fn put(&self, drafts: Vec<AccountDraft>) -> Result<Vec<AccountId>, Stop> {
        let run = &self.run;
        let put = drafts.into_iter().map(|draft| async move {
            run.patiently(|| run.lanes.accounts.run(draft.clone())).await.map_err(Stop::from)
        });
        join_all(put).await.into_iter().collect()
    }

    /// What may be asked about from here on.
    async fn reread(&mut self) -> Result<(), Stop> {
        let (store, ids) = (&self.run.means.store, [self.consent.id]);
        let allowed = self.run.patiently(|| store.allowed_accounts(&ids)).await?;
        self.accounts = allowed.into_iter().map(InHand::new).collect();
        Ok(())
    }

    /// The accounts that the token was granted for.
    async fn know_granted(&mut self) -> Result<(), Trouble> {
        if self.accounts.is_empty() && self.granted.is_none() {
            // A grant is told with a token alone.
            if let Some(seen) = self.token.as_ref().map(|token| token.version) {
                self.refresh(seen, Needed::Now).await?;
            }
        }
        let Some(granted) = self.granted.take() else { return Ok(()) };
        let granted: Vec<(String, GrantedAccount)> = granted
            .accounts
            .into_iter()
            .filter_map(|account| Some((plain(account.number.as_deref()?), account)))
            .collect();
        let mut drafts = Vec::new();
        for account in &self.accounts {
            let known = &account.allowed.account;
            let now = granted.iter().find(|(number, _)| *number == known.key.number);
            let mut draft = self.draft(known.key.clone(), known.name.clone());
            draft.resource_id = account.allowed.resource_id.clone();
            (draft.privileges, draft.history_days) = match now {
                Some((_, granted)) => privileges(granted),
                None => (vec![NOT_GRANTED.to_owned()], account.allowed.history_days),
            };
            drafts.push(draft);
        }
        let is_new =
            |number: &String| self.accounts.iter().all(|known| known.allowed.account.key.number != *number);
        let new: Vec<(String, GrantedAccount)> =
            granted.into_iter().filter(|(number, _)| is_new(number)).collect();
        let mut learnt = Vec::new();
        for (number, granted) in new {
            let (privileges, history_days) = privileges(&granted);
            if !privileges.iter().any(|word| word == ACCOUNT) {
                warn!("an account is granted whose currency may not be asked for");
                continue;
            }
            let id = AccountId(Uuid::now_v7());
            let details = match self.ask_details(id, &number).await {
                Ok(details) => details,
                Err(Trouble::Stop(stop)) => return Err(stop.into()),
                Err(trouble) => {
                    self.endure(trouble, None, true)?;
                    continue;
                }
            };
            let currency = details.account.currency.as_deref().unwrap_or_default();
            let Ok(key) = AccountKey::new(&number, currency) else { continue };
            let mut draft = self.draft(key.clone(), details.account.name.clone());
            (draft.id, draft.privileges, draft.history_days) = (id, privileges, history_days);
            drafts.push(draft);
            learnt.push((key, details));
        }
        self.put(drafts).await?;
        self.reread().await?;
        for (key, details) in learnt {
            let place = self.accounts.iter().position(|account| account.allowed.account.key == key);
            if let Some(place) = place {
                self.take_details(place, details).await?;
            }
        }
        Ok(())
    }

    /// Asks about an account that is not known yet, under the id that it is to have.
    async fn ask_details(&mut self, id: AccountId, number: &str) -> Result<AccountDetails, Trouble> {
        let connector = self.desk.connector().clone();
        Ok(
            ask!(self, Operation::AccountDetails, Some(id), false, access => connector.account(&access, number)),
        )
    }

    /// Whether this may be read of an account, again and again.
    pub fn may_read(&self, place: usize, word: &str) -> bool {
        let words = &self.accounts[place].allowed.privileges;
        self.standard == Standard::BerlinGroup || words.is_empty() || words.iter().any(|known| known == word)
    }

    async fn take_details(&mut self, place: usize, details: AccountDetails) -> Result<(), Trouble> {
        self.accounts[place].has_details = true;
        self.apply(rest::told_of(self, place, Some(&details.account), &details.balances)).await.map(drop)
    }
}

/// As a number stands in its account's key.
fn plain(number: &str) -> String {
    number.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase()
}

/// What a grant lets be read again and again, and how far back.
fn privileges(granted: &GrantedAccount) -> (Vec<String>, Option<u32>) {
    let repeatable = || granted.privileges.iter().filter(|privilege| privilege.is_repeatable);
    let mut words: Vec<String> = repeatable().map(|privilege| privilege.operation.clone()).collect();
    words.sort_unstable();
    if words.is_empty() {
        words.push(SINGLE.to_owned());
    }
    let done = repeatable().find(|privilege| privilege.operation == DONE);
    (words, done.and_then(|privilege| privilege.history_days_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::aspsps::Privilege;

    #[test]
    fn what_is_good_for_one_use_is_of_no_use() {
        let privilege = |operation: &str, is_repeatable, history_days_max| Privilege {
            operation: operation.to_owned(),
            is_repeatable,
            history_days_max,
        };
        let granted = |privileges| GrantedAccount { number: None, privileges };
        let some = granted(vec![privilege(DONE, true, Some(400)), privilege(ACCOUNT, false, None)]);
        assert_eq!(privileges(&some), (vec![DONE.to_owned()], Some(400)));
        let single = granted(vec![privilege(DONE, false, Some(400))]);
        assert_eq!(privileges(&single), (vec![SINGLE.to_owned()], None));
        assert_eq!(plain(" pl61 1090 "), "PL611090");
    }
}
