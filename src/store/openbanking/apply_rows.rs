//! The statements by which what banks have told is written down: a few a group, whatever it holds.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: [`ROWS_MAX`] rows a statement, because SQLite binds at most 32,766
//! values.

use std::collections::{HashMap, HashSet};

use sea_orm::{DatabaseTransaction, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::apply::{Held, PendingTold, Plan, Told};
use super::known::KnownTransaction;
use crate::domain::ids::AccountId;
use crate::store::boleto::to_json;
use crate::store::rows::Rows;
use crate::store::transaction::execute;
use crate::store::{Store, StoreError, to_us};

/// Rows of one statement, of up to 16 columns.
const ROWS_MAX: usize = 1_024;

impl Store {
    pub(super) async fn write_transactions(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
        plans: &HashMap<AccountId, Plan<'_>>,
    ) -> Result<(), StoreError> {
        let planned = || items.iter().filter_map(|item| Some((*item, plans.get(&item.account_id)?)));
        self.insert_new(transaction, planned()).await?;
        let changed: Vec<(&KnownTransaction, i64)> = planned()
            .flat_map(|(item, plan)| plan.changed.iter().map(|known| (known, to_us(item.now))))
            .collect();
        for slice in changed.chunks(ROWS_MAX) {
            self.update_changed(transaction, slice).await?;
        }
        let missing: Vec<(Uuid, i64)> =
            planned().flat_map(|(item, plan)| plan.missing.iter().map(|id| (*id, to_us(item.now)))).collect();
        for slice in missing.chunks(ROWS_MAX) {
            let rows = Rows::new()
                .uuid("id", slice.iter().map(|(id, _)| *id))
                .integer("now_us", slice.iter().map(|(_, now)| *now));
            let update = format!(
                " update account_transaction set missing_since_us = r.now_us, updated_at_us = r.now_us
                  from r where account_transaction.id = r.id and {} and account_transaction.missing_since_us is null",
                self.is_of_slice("account_transaction.id")
            );
            execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        }
        Ok(())
    }

    async fn insert_new<'a>(
        &self,
        transaction: &DatabaseTransaction,
        planned: impl Iterator<Item = (&'a Told, &'a Plan<'a>)>,
    ) -> Result<(), StoreError> {
        let new: Vec<_> =
            planned.flat_map(|(item, plan)| plan.new.iter().map(move |told| (item, *told))).collect();
        for slice in new.chunks(ROWS_MAX) {
            let ids: Vec<String> =
                slice.iter().map(|(_, told)| to_json(&told.bank_ids)).collect::<Result<_, _>>()?;
            let rows = Rows::new()
                .uuid("id", slice.iter().map(|_| Uuid::now_v7()))
                .text("tenant_id", slice.iter().map(|(item, _)| item.tenant_id.as_str().to_owned()))
                .uuid("account_id", slice.iter().map(|(item, _)| item.account_id.0))
                .date("booked_on", slice.iter().map(|(_, told)| told.booked_on))
                .optional_date("value_on", slice.iter().map(|(_, told)| told.value_on))
                .integer("amount", slice.iter().map(|(_, told)| told.amount))
                .text("currency", slice.iter().map(|(_, told)| told.currency.clone()))
                .text("bank_ids", ids)
                .text("counterparty", slice.iter().map(|(_, told)| told.counterparty.clone()))
                .text("remittance", slice.iter().map(|(_, told)| told.remittance.clone()))
                .optional_integer("balance_after", slice.iter().map(|(_, told)| told.balance_after))
                .text("details", slice.iter().map(|(_, told)| told.details.clone()))
                .integer("now_us", slice.iter().map(|(item, _)| to_us(item.now)));
            let insert = " insert into account_transaction (id, tenant_id, account_id, booked_on, value_on, amount, currency,
                    bank_ids, counterparty, remittance, balance_after, details, created_at_us, updated_at_us)
                  select id, tenant_id, account_id, booked_on, value_on, amount, currency, bank_ids, counterparty, remittance,
                    balance_after, details, now_us, now_us from r";
            execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        }
        Ok(())
    }

    async fn update_changed(
        &self,
        transaction: &DatabaseTransaction,
        slice: &[(&KnownTransaction, i64)],
    ) -> Result<(), StoreError> {
        let ids: Vec<String> =
            slice.iter().map(|(known, _)| to_json(&known.bank_ids)).collect::<Result<_, _>>()?;
        let rows = Rows::new()
            .uuid("id", slice.iter().map(|(known, _)| known.id))
            .date("booked_on", slice.iter().map(|(known, _)| known.booked_on))
            .optional_date("value_on", slice.iter().map(|(known, _)| known.value_on))
            .integer("amount", slice.iter().map(|(known, _)| known.amount))
            .text("currency", slice.iter().map(|(known, _)| known.currency.clone()))
            .text("bank_ids", ids)
            .text("counterparty", slice.iter().map(|(known, _)| known.counterparty.clone()))
            .text("remittance", slice.iter().map(|(known, _)| known.remittance.clone()))
            .optional_integer("balance_after", slice.iter().map(|(known, _)| known.balance_after))
            .text("details", slice.iter().map(|(known, _)| known.details.clone()))
            .integer("now_us", slice.iter().map(|(_, now)| *now));
        let update = format!(
            " update account_transaction set booked_on = r.booked_on, value_on = r.value_on, amount = r.amount,
                currency = r.currency, bank_ids = r.bank_ids, counterparty = r.counterparty, remittance = r.remittance,
                balance_after = r.balance_after, details = r.details, missing_since_us = null, updated_at_us = r.now_us
              from r where account_transaction.id = r.id and {}",
            self.is_of_slice("account_transaction.id")
        );
        execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        Ok(())
    }

    /// Puts what is pending now in the place of what was, where it is other; returns for which accounts.
    pub(super) async fn replace_pending(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
        held: &HashMap<AccountId, Held>,
    ) -> Result<HashSet<AccountId>, StoreError> {
        let mut others: Vec<(&Told, &Vec<PendingTold>, String)> = Vec::new();
        for item in items {
            let Some(pending) = &item.pending else { continue };
            let digest = digest(pending)?;
            if held[&item.account_id].digest.as_deref().unwrap_or_default() != digest {
                others.push((item, pending, digest));
            }
        }
        if others.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = || {
            Rows::new()
                .uuid("id", others.iter().map(|(item, ..)| item.account_id.0))
                .text("digest", others.iter().map(|(.., digest)| digest.clone()))
        };
        let forget = format!(" delete from pending_transaction where {}", self.is_of_slice("account_id"));
        execute(transaction, self.statement_over(rows(), vec![], &forget)).await?;
        let note = format!(
            " update account set pending_digest = r.digest from r where account.id = r.id and {}",
            self.is_of_slice("account.id")
        );
        execute(transaction, self.statement_over(rows(), vec![], &note)).await?;
        let told: Vec<(&Told, i64, &PendingTold)> = others
            .iter()
            .flat_map(|(item, told, _)| (0_i64..).zip(told.iter()).map(|(place, one)| (*item, place, one)))
            .collect();
        for slice in told.chunks(ROWS_MAX) {
            let rows = Rows::new()
                .uuid("account_id", slice.iter().map(|(item, ..)| item.account_id.0))
                .integer("place", slice.iter().map(|(_, place, _)| *place))
                .text("tenant_id", slice.iter().map(|(item, ..)| item.tenant_id.as_str().to_owned()))
                .optional_date("entered_on", slice.iter().map(|(.., one)| one.entered_on))
                .integer("amount", slice.iter().map(|(.., one)| one.amount))
                .text("currency", slice.iter().map(|(.., one)| one.currency.clone()))
                .text("counterparty", slice.iter().map(|(.., one)| one.counterparty.clone()))
                .text("remittance", slice.iter().map(|(.., one)| one.remittance.clone()))
                .text("details", slice.iter().map(|(.., one)| one.details.clone()));
            let insert = " insert into pending_transaction (account_id, place, tenant_id, entered_on, amount, currency,
                    counterparty, remittance, details)
                  select account_id, place, tenant_id, entered_on, amount, currency, counterparty, remittance, details from r";
            execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        }
        Ok(others.iter().map(|(item, ..)| item.account_id).collect())
    }

    pub(super) async fn write_balances(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
    ) -> Result<(), StoreError> {
        let mut told: Vec<_> =
            items.iter().flat_map(|item| item.balances.iter().map(move |told| (*item, told))).collect();
        // A bank that tells one twice means the last.
        let mut seen = HashSet::new();
        told.reverse();
        told.retain(|(item, told)| seen.insert((item.account_id, told.kind.as_str())));
        told.sort_unstable_by_key(|(item, told)| (item.account_id.0, told.kind.clone()));
        for slice in told.chunks(ROWS_MAX) {
            let rows = Rows::new()
                .uuid("account_id", slice.iter().map(|(item, _)| item.account_id.0))
                .text("kind", slice.iter().map(|(_, told)| told.kind.clone()))
                .text("tenant_id", slice.iter().map(|(item, _)| item.tenant_id.as_str().to_owned()))
                .integer("amount", slice.iter().map(|(_, told)| told.amount))
                .text("currency", slice.iter().map(|(_, told)| told.currency.clone()))
                .optional_integer("as_of_us", slice.iter().map(|(_, told)| told.as_of.map(to_us)))
                .integer("now_us", slice.iter().map(|(item, _)| to_us(item.now)));
            let upsert = " insert into balance (account_id, kind, tenant_id, amount, currency, as_of_us, updated_at_us)
                  select account_id, kind, tenant_id, amount, currency, as_of_us, now_us from r where true
                  on conflict (account_id, kind) do update set amount = excluded.amount, currency = excluded.currency,
                    as_of_us = excluded.as_of_us, updated_at_us = excluded.updated_at_us
                  where balance.amount <> excluded.amount or balance.currency <> excluded.currency
                    or coalesce(balance.as_of_us, 0) <> coalesce(excluded.as_of_us, 0)";
            execute(transaction, self.statement_over(rows, vec![], upsert)).await?;
        }
        Ok(())
    }

    /// Moves the accounts on: what was asked has come as a whole, and no pages of it are kept any more.
    pub(super) async fn note_synced(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&Told],
        held: &HashMap<AccountId, Held>,
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let through = |item: &&Told| item.booked.as_ref().map(|(_, until, _)| *until);
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.account_id.0))
            .optional_date("through", items.iter().map(through))
            .optional_text("details", items.iter().map(|item| item.details.clone()))
            .integer("now_us", items.iter().map(|item| to_us(item.now)));
        // Balances and details alone make an account no fresher.
        let update = format!(
            " update account set
                synced_at_us = case when r.through is null then account.synced_at_us else r.now_us end,
                synced_through = case when r.through is null then account.synced_through
                  when account.synced_through is null or account.synced_through < r.through then r.through
                  else account.synced_through end,
                page_cursor = case when r.through is null then account.page_cursor end,
                page_from = case when r.through is null then account.page_from end,
                page_until = case when r.through is null then account.page_until end,
                stale_reason = case when r.through is null then account.stale_reason end,
                stale_since_us = case when r.through is null then account.stale_since_us end,
                details = coalesce(r.details, account.details),
                details_at_us = case when r.details is null then account.details_at_us else r.now_us end,
                updated_at_us = r.now_us
              from r where account.id = r.id and {}",
            self.is_of_slice("account.id")
        );
        execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        let whole = items.iter().filter(|item| item.booked.is_some() && held[&item.account_id].has_pages);
        let whole: Vec<Uuid> = whole.map(|item| item.account_id.0).collect();
        if whole.is_empty() {
            return Ok(());
        }
        let forget = format!(" delete from account_page where {}", self.is_of_slice("account_id"));
        let statement = self.statement_over(Rows::new().uuid("id", whole), Vec::<Value>::new(), &forget);
        execute(transaction, statement).await?;
        Ok(())
    }
}

/// Tells one snapshot from another, in whatever order the bank tells it; none at all is empty text.
fn digest(pending: &[PendingTold]) -> Result<String, StoreError> {
    if pending.is_empty() {
        return Ok(String::new());
    }
    let mut texts: Vec<String> = pending.iter().map(to_json).collect::<Result<_, _>>()?;
    texts.sort_unstable();
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
