//! The audit as the chain that it is: how a record gets its place, and whether all of them still have theirs.
//!
//! **Owns** the row of the chain's head. It is the last lock of every transaction that takes it: whoever holds it waits for
//! nothing but the commit, so that records wait for each other no longer than a commit takes, and never in a circle. Whoever
//! writes a record therefore writes it after everything else; a transaction with several of them takes the lock once.
//! **Fails** with the store's trouble; a head that cannot be read stops every deed that is to be recorded.
//! **Limits**: one record after the other, over all processes, a commit each. Nothing is forgotten.

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};

use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind};
use crate::domain::audit::{Break, Chain, ChainHash, Flaw, Link, Record};

/// Columns of a record, as [`read_record`] reads them.
pub(super) const COLUMNS: &str =
    "id, tenant_id, at_us, actor, method, subject_id, subject, reason, before, after, traceparent, sequence";
/// Records in memory at a time.
const PAGE: i64 = 500;

/// Where to follow the chain from, and what is known of it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// Up to where somebody has followed it before.
    pub after: Chain,
    /// A place and the hash that was kept of it elsewhere, behind that.
    pub expected: Option<Chain>,
    /// Records to look at, at most.
    pub records_max: i64,
}

impl Verification {
    /// Whether what is expected can be found: what lies before is not followed, so that nothing could be said about it.
    pub fn is_answerable(&self) -> bool {
        self.expected.is_none_or(|it| it.sequence > self.after.sequence || it == self.after)
    }
}

/// What came of following the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records looked at that are as they were written.
    pub records: i64,
    /// Up to where the chain holds.
    pub until: Chain,
    /// The first place where it does not.
    pub broken: Option<Break>,
    /// Whether the end of the chain was reached.
    pub is_complete: bool,
    /// Records that are no part of the chain: from before it, from an older process beside it, or put where it does not reach. Counted at
    /// its end alone.
    pub outside: i64,
}

/// The chain's end, as two rows tell of it that ought to agree.
struct End {
    head: Chain,
    last: i64,
}

impl Store {
    /// Gives a record its place in the chain: the last thing that a transaction does.
    pub(super) async fn append_record(
        &self,
        transaction: &DatabaseTransaction,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut chain = self.lock_head(transaction).await?;
        let Link { record, previous_hash, hash } = chain.append(record);
        let insert = self.statement(
            "insert into audit (id, tenant_id, at_us, actor, method, subject_id, subject, reason, before, after, traceparent,
               sequence, previous_hash, hash)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            [
                Value::from(record.id),
                Value::from(record.tenant_id),
                Value::from(record.at_us),
                Value::from(record.actor),
                Value::from(record.method),
                Value::from(record.subject_id),
                Value::from(record.subject),
                Value::from(record.reason),
                Value::from(record.before),
                Value::from(record.after),
                Value::from(record.traceparent),
                Value::from(record.sequence),
                Value::from(previous_hash),
                Value::from(hash.as_str()),
            ],
        );
        execute(transaction, insert).await?;
        let update = self.statement(
            "update audit_head set sequence = $1, hash = $2 where id = 1",
            [Value::from(chain.sequence), Value::from(hash)],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    /// The chain's end, which nobody else goes on from until the transaction ends.
    async fn lock_head(&self, transaction: &DatabaseTransaction) -> Result<Chain, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = format!("select sequence, hash from audit_head where id = 1 {lock}");
        if let Some(row) = transaction.query_one_raw(self.statement(&find, [])).await? {
            return read_head(&row);
        }
        // The first record of all: whoever loses the race waits here for the winner, and goes on from what that one wrote.
        let make = self.statement(
            "insert into audit_head (id, sequence, hash) values (1, 0, $1) on conflict (id) do nothing",
            [Value::from(ChainHash::START.to_string())],
        );
        execute(transaction, make).await?;
        let row = transaction.query_one_raw(self.statement(&find, [])).await?;
        read_head(&row.ok_or_else(|| StoreError::unreadable("audit head", "no row after its making"))?)
    }

    /// Follows the chain, page by page, up to a limit. What is written meanwhile is a later call's.
    pub async fn verify_audit(&self, verification: &Verification) -> Result<Verified, StoreError> {
        let Verification { after, expected, records_max } = *verification;
        let mut chain = after;
        let stopped = |chain: Chain, broken| Verified {
            records: chain.sequence - after.sequence,
            until: chain,
            broken,
            is_complete: false,
            outside: 0,
        };
        if !verification.is_answerable() {
            return Err(StoreError::Broken(
                "a hash to be found lies before where the chain is followed from".to_owned(),
            ));
        }
        let end = self.audit_end().await?;
        let until = end.head.sequence.min(after.sequence.saturating_add(records_max));
        while chain.sequence < until {
            let links = self.links_after(chain.sequence, PAGE.min(until - chain.sequence)).await?;
            if links.is_empty() {
                let gone = Break { sequence: chain.sequence + 1, id: None, flaw: Flaw::Missing };
                return Ok(stopped(chain, Some(gone)));
            }
            for link in &links {
                if let Err(found) = chain.follow(link) {
                    return Ok(stopped(chain, Some(found)));
                }
                if expected.is_some_and(|it| it.sequence == chain.sequence && it.hash != chain.hash) {
                    let id = Some(link.record.id);
                    let found = Break { sequence: chain.sequence, id, flaw: Flaw::Unexpected };
                    return Ok(stopped(chain, Some(found)));
                }
            }
        }
        if chain.sequence < end.head.sequence {
            return Ok(stopped(chain, None));
        }
        let broken = at_its_end(&end, chain, expected);
        let outside = if broken.is_none() { self.records_outside().await? } else { 0 };
        Ok(Verified { is_complete: broken.is_none(), outside, ..stopped(chain, broken) })
    }

    async fn audit_end(&self) -> Result<End, StoreError> {
        let find = self.statement(
            "select coalesce((select max(sequence) from audit), 0) as last,
               (select sequence from audit_head where id = 1) as sequence,
               (select hash from audit_head where id = 1) as hash",
            [],
        );
        // By the writer: a replica may not know yet what a caller has just done.
        let rows = self.within(async { all(&self.inner.writer, find).await }).await?;
        let row = rows.first().ok_or_else(|| StoreError::unreadable("audit head", "no row came back"))?;
        let known: Option<i64> = row.try_get("", "sequence")?;
        let head = if known.is_some() { read_head(row)? } else { Chain::START };
        Ok(End { head, last: row.try_get("", "last")? })
    }

    async fn links_after(&self, sequence: i64, limit: i64) -> Result<Vec<Link>, StoreError> {
        let find = self.statement(
            &format!(
                "select {COLUMNS}, previous_hash, hash from audit where sequence > $1 order by sequence limit $2"
            ),
            [Value::from(sequence), Value::from(limit)],
        );
        let rows = self.within(async { all(&self.inner.writer, find).await }).await?;
        rows.iter().map(read_link).collect()
    }

    async fn records_outside(&self) -> Result<i64, StoreError> {
        let count =
            self.statement("select count(*) as total from audit where sequence is null or sequence < 1", []);
        let rows = self.within(async { all(self.reader(), count).await }).await?;
        let row = rows.first().ok_or_else(|| StoreError::unreadable("count", "no row came back"))?;
        Ok(row.try_get("", "total")?)
    }
}

/// What is wrong with a chain that holds as far as it goes.
fn at_its_end(end: &End, chain: Chain, expected: Option<Chain>) -> Option<Break> {
    let found = |sequence, flaw| Some(Break { sequence, id: None, flaw });
    if chain.sequence > end.head.sequence || end.last > end.head.sequence {
        // Records that the head knows nothing of; or fewer of them than somebody has seen before.
        return found(end.head.sequence + 1, Flaw::Head);
    }
    if chain.hash != end.head.hash {
        return found(chain.sequence, Flaw::Head);
    }
    match expected {
        Some(expected) if expected.sequence > chain.sequence => found(chain.sequence + 1, Flaw::Missing),
        Some(expected) if expected.sequence == chain.sequence && expected.hash != chain.hash => {
            found(chain.sequence, Flaw::Unexpected)
        }
        _ => None,
    }
}

fn read_head(row: &QueryResult) -> Result<Chain, StoreError> {
    let hash: String = row.try_get("", "hash")?;
    let hash = hash.parse().map_err(|error| StoreError::unreadable("audit head", error))?;
    Ok(Chain { sequence: row.try_get("", "sequence")?, hash })
}

pub(super) fn read_record(row: &QueryResult) -> Result<Record, StoreError> {
    Ok(Record {
        sequence: row.try_get("", "sequence")?,
        id: row.try_get("", "id")?,
        tenant_id: row.try_get("", "tenant_id")?,
        at_us: row.try_get("", "at_us")?,
        actor: row.try_get("", "actor")?,
        method: row.try_get("", "method")?,
        subject_id: row.try_get("", "subject_id")?,
        subject: row.try_get("", "subject")?,
        reason: row.try_get("", "reason")?,
        before: row.try_get("", "before")?,
        after: row.try_get("", "after")?,
        traceparent: row.try_get("", "traceparent")?,
    })
}

fn read_link(row: &QueryResult) -> Result<Link, StoreError> {
    let text = |column: &str| -> Result<String, StoreError> {
        let text: Option<String> = row.try_get("", column)?;
        Ok(text.unwrap_or_default())
    };
    Ok(Link { record: read_record(row)?, previous_hash: text("previous_hash")?, hash: text("hash")? })
}
