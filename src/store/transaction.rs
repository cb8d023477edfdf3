//! One transaction of a verb, and what to do when a group of items does not go through.
//!
//! **Fails** as a whole: an expected conflict is data, so an error here is trouble with the database or a poison item.
//! Trouble is handed on for every item; a poison item is found by halving, and it alone fails.

use std::pin::Pin;

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement};

use super::{Store, StoreError};

/// A verb's work on one slice, inside the transaction that it is given.
pub(super) type Group<'a, O> = Pin<Box<dyn Future<Output = Result<Vec<O>, StoreError>> + Send + 'a>>;
/// A verb over slices of `I`.
type Verb<I, O> = for<'a> fn(&'a Store, &'a DatabaseTransaction, &'a [I]) -> Group<'a, O>;

impl Store {
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        Ok(self.inner.writer.begin().await?)
    }

    /// Runs `verb` over all items in one transaction; when it is broken, over halves, until the poison item is alone.
    pub(super) async fn in_group<I, O>(&self, items: &[I], verb: Verb<I, O>) -> Vec<Result<O, StoreError>> {
        let mut results = Vec::with_capacity(items.len());
        // Slices still to be run, the next one last, so that results come out in the order of the items.
        let mut waiting = vec![items];
        while let Some(slice) = waiting.pop() {
            if slice.is_empty() {
                continue;
            }
            match self.once(slice, verb).await {
                Ok(outcomes) => {
                    debug_assert_eq!(outcomes.len(), slice.len(), "one result per item");
                    results.extend(outcomes.into_iter().map(Ok));
                }
                Err(StoreError::Broken(_)) if slice.len() > 1 => {
                    let (first, second) = slice.split_at(slice.len() / 2);
                    waiting.push(second);
                    waiting.push(first);
                }
                Err(error) => results.extend(slice.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    async fn once<I, O>(&self, slice: &[I], verb: Verb<I, O>) -> Result<Vec<O>, StoreError> {
        let (transaction, outcomes) = self
            .within(async {
                let transaction = self.begin().await?;
                let outcomes = verb(self, &transaction, slice).await?;
                Ok((transaction, outcomes))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(outcomes)
    }

    pub(super) async fn commit(&self, transaction: DatabaseTransaction) -> Result<(), StoreError> {
        crate::failpoint::reached("commit.before");
        let committed = self.within(async { Ok(transaction.commit().await?) }).await;
        crate::failpoint::reached("commit.after");
        committed.map_err(StoreError::at_commit)
    }
}

pub(super) async fn all(
    connection: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<QueryResult>, StoreError> {
    Ok(connection.query_all_raw(statement).await?)
}

pub(super) async fn execute(
    connection: &impl ConnectionTrait,
    statement: Statement,
) -> Result<u64, StoreError> {
    Ok(connection.execute_raw(statement).await?.rows_affected())
}
