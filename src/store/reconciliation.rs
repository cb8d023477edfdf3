//! How far each bank account has been asked for payments, and the work that asks.
//!
//! An account has one live row of work at a time; the transaction that ends a run makes the row of the next one, so that
//! there is no gap in which an account is forgotten. How far it was asked moves with that end alone: a run that was cut
//! off is begun anew, and repeats itself harmlessly.
//!
//! **Fails** as the store does; a row that had moved on to another holder changes nothing ([`RunEnded`]).
//! **Limits**: one row an account, overwritten by each attempt; the archive of ended work keeps the runs before.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::work::{Claim, NewWork, WorkState};

/// What one run found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the bank told of that had happened.
    pub movements: i64,
    /// Payments that were new.
    pub payments: i64,
    /// Boletos that the bank had taken off file.
    pub cancellations: i64,
    /// Differences that were new.
    pub differences: i64,
}

/// How an account stands with its bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    pub bank_account_id: BankAccountId,
    /// The day up to which the bank was asked; none before the first whole run.
    pub asked_until: Option<NaiveDate>,
    /// When the last attempt ended; none before the first.
    pub last_run_at: Option<DateTime<Utc>>,
    /// Why the last attempt was no whole run.
    pub last_error: Option<String>,
    /// Whole runs.
    pub runs: i64,
    /// Of the last whole run.
    pub counts: Counts,
    /// Differences that nobody has settled.
    pub open_differences: i64,
    /// When the next attempt is due; none where nothing is to be asked.
    pub next_run_at: Option<DateTime<Utc>>,
}

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct RunEnd {
    pub claim: Claim,
    pub change: RunChange,
    pub now: DateTime<Utc>,
}

/// What it came to.
#[derive(Debug, Clone)]
pub enum RunChange {
    /// The bank told everything up to this day; none where it has more to tell at the next run.
    Done { asked_until: Option<NaiveDate>, counts: Counts, next: Box<NewWork> },
    /// It is to be begun anew.
    Later { run_at: DateTime<Utc>, error: String },
    /// There is nothing to ask any more.
    Moot,
}

/// What writing an end down did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnded {
    Done,
    /// The row had moved on to another holder: nothing was changed.
    LostLease,
}

/// The unique key of an account's work.
pub fn reconciliation_key(id: BankAccountId) -> String {
    format!("reconcile:{id}")
}

impl Counts {
    /// With what another slice came to.
    pub fn plus(self, other: Self) -> Self {
        Self {
            movements: self.movements + other.movements,
            payments: self.payments + other.payments,
            cancellations: self.cancellations + other.cancellations,
            differences: self.differences + other.differences,
        }
    }
}

impl Store {
    /// Writes the end of an attempt down.
    pub async fn end_reconciliation(&self, end: &RunEnd) -> Result<RunEnded, StoreError> {
        let (transaction, ended) = self
            .within(async {
                let transaction = self.begin().await?;
                let ended = self.end_reconciliation_in(&transaction, end).await?;
                Ok((transaction, ended))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(ended)
    }

    async fn end_reconciliation_in(
        &self,
        transaction: &DatabaseTransaction,
        end: &RunEnd,
    ) -> Result<RunEnded, StoreError> {
        let claim = &end.claim;
        let fate = match &end.change {
            RunChange::Done { .. } | RunChange::Moot => {
                Fate::End(Ending::of(claim, WorkState::Completed, None))
            }
            RunChange::Later { run_at, error } => Fate::Back(PutBack {
                id: claim.id,
                runner_id: claim.runner_id,
                fence: claim.fence,
                span: claim.span.clone(),
                state: WorkState::Retryable,
                run_at: *run_at,
                error: Some(error.clone()),
                attempt_counts: true,
                nothing_was_sent: false,
            }),
        };
        if !self.lead(transaction, std::iter::once(fate), end.now).await?.contains(&claim.id) {
            return Ok(RunEnded::LostLease);
        }
        match &end.change {
            RunChange::Done { asked_until, counts, next } => {
                self.keep_run(transaction, end, *asked_until, *counts).await?;
                self.insert_work(transaction, std::slice::from_ref(next)).await?;
            }
            RunChange::Later { error, .. } => self.keep_error(transaction, end, error).await?,
            RunChange::Moot => {}
        }
        Ok(RunEnded::Done)
    }

    async fn keep_run(
        &self,
        transaction: &DatabaseTransaction,
        end: &RunEnd,
        asked_until: Option<NaiveDate>,
        counts: Counts,
    ) -> Result<(), StoreError> {
        let upsert = self.statement(
            "insert into reconciliation (bank_account_id, tenant_id, asked_until, last_run_at_us, last_error, runs,
               movements, payments, cancellations, differences)
             values ($1, $2, $3, $4, null, 1, $5, $6, $7, $8)
             on conflict (bank_account_id) do update set
               asked_until = coalesce(excluded.asked_until, reconciliation.asked_until),
               last_run_at_us = excluded.last_run_at_us, last_error = null, runs = reconciliation.runs + 1,
               movements = excluded.movements, payments = excluded.payments,
               cancellations = excluded.cancellations, differences = excluded.differences",
            [
                Value::from(end.claim.subject_id),
                Value::from(end.claim.tenant_id.as_str()),
                Value::from(asked_until),
                Value::from(to_us(end.now)),
                Value::from(counts.movements),
                Value::from(counts.payments),
                Value::from(counts.cancellations),
                Value::from(counts.differences),
            ],
        );
        execute(transaction, upsert).await?;
        Ok(())
    }

    async fn keep_error(
        &self,
        transaction: &DatabaseTransaction,
        end: &RunEnd,
        error: &str,
    ) -> Result<(), StoreError> {
        let upsert = self.statement(
            "insert into reconciliation (bank_account_id, tenant_id, last_run_at_us, last_error, runs,
               movements, payments, cancellations, differences)
             values ($1, $2, $3, $4, 0, 0, 0, 0, 0)
             on conflict (bank_account_id) do update set last_run_at_us = excluded.last_run_at_us,
               last_error = excluded.last_error",
            [
                Value::from(end.claim.subject_id),
                Value::from(end.claim.tenant_id.as_str()),
                Value::from(to_us(end.now)),
                Value::from(error),
            ],
        );
        execute(transaction, upsert).await?;
        Ok(())
    }

    /// Makes the first rows of accounts that have none. Returns those that were made.
    pub async fn add_reconciliations(&self, items: Vec<NewWork>) -> Result<Vec<NewWork>, StoreError> {
        if items.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new().text("unique_key", items.iter().filter_map(|item| item.unique_key.clone()));
        // Asked first, for an insertion that meets a row of that key locks it.
        let find = " select r.unique_key from r join work on work.unique_key = r.unique_key";
        let statement = self.statement_over(rows, vec![], find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let known: Result<Vec<String>, _> = found.iter().map(|row| row.try_get("", "unique_key")).collect();
        let known = known?;
        let is_new = |item: &NewWork| item.unique_key.as_ref().is_none_or(|key| !known.contains(key));
        let missing: Vec<NewWork> = items.into_iter().filter(is_new).collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let made = self.insert_work_alone(&missing).await?;
        Ok(missing.into_iter().filter(|item| made.contains(&item.id)).collect())
    }

    /// Has an account's bank asked now. A run that is under way goes on and is not repeated.
    pub async fn ask_reconciliation(&self, work: &NewWork) -> Result<(), StoreError> {
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                if self.insert_work(&transaction, std::slice::from_ref(work)).await?.is_empty() {
                    let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
                    let find = self.statement(
                        &format!("select id from work where unique_key = $1 {lock}"),
                        [Value::from(work.unique_key.clone())],
                    );
                    if let Some(row) = transaction.query_one_raw(find).await? {
                        let id: Uuid = row.try_get("", "id")?;
                        self.hasten(&transaction, &[id], "asked for by hand", work.created_at).await?;
                    }
                }
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }

    /// How these accounts of a tenant stand, in their order.
    pub async fn reconciliations(
        &self,
        tenant: &TenantId,
        accounts: &[BankAccountId],
    ) -> Result<Vec<Reconciliation>, StoreError> {
        if accounts.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new()
            .uuid("id", accounts.iter().map(|account| account.0))
            .text("unique_key", accounts.iter().map(|account| reconciliation_key(*account)))
            .text("tenant_id", accounts.iter().map(|_| tenant.as_str().to_owned()));
        let find =
            " select r.id, c.asked_until, c.last_run_at_us, c.last_error, c.runs, c.movements, c.payments,
                c.cancellations, c.differences, w.run_at_us,
                (select count(*) from reconciliation_difference d where d.tenant_id = r.tenant_id
                   and d.bank_account_id = r.id and d.settled_at_us is null) as open_differences
              from r left join reconciliation c on c.bank_account_id = r.id and c.tenant_id = r.tenant_id
              left join work w on w.unique_key = r.unique_key";
        let statement = self.statement_over(rows, vec![], find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut read: Vec<Reconciliation> = found.iter().map(read).collect::<Result<_, _>>()?;
        read.sort_by_key(|one| accounts.iter().position(|account| *account == one.bank_account_id));
        Ok(read)
    }

    /// How one account of a tenant stands.
    pub async fn reconciliation(
        &self,
        tenant: &TenantId,
        account: BankAccountId,
    ) -> Result<Option<Reconciliation>, StoreError> {
        Ok(self.reconciliations(tenant, &[account]).await?.pop())
    }
}

fn read(row: &QueryResult) -> Result<Reconciliation, StoreError> {
    let count = |name: &str| -> Result<i64, StoreError> {
        Ok(row.try_get::<Option<i64>>("", name)?.unwrap_or_default())
    };
    let time = |name: &str| row.try_get::<Option<i64>>("", name)?.map(from_us).transpose();
    Ok(Reconciliation {
        bank_account_id: BankAccountId(row.try_get("", "id")?),
        asked_until: row.try_get("", "asked_until")?,
        last_run_at: time("last_run_at_us")?,
        last_error: row.try_get("", "last_error")?,
        runs: count("runs")?,
        counts: Counts {
            movements: count("movements")?,
            payments: count("payments")?,
            cancellations: count("cancellations")?,
            differences: count("differences")?,
        },
        open_differences: count("open_differences")?,
        next_run_at: time("run_at_us")?,
    })
}
