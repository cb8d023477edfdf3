//! The vendors' own words: kept compressed, read under an audit, forgotten in time.
//!
//! **Owns** a compressor for each thread that packs. **Fails** as the store does; a body that cannot be read back is said to be
//! broken, never guessed.
//! **Limits**: a body is at most what its analyzer lets an answer be; what is older than it is kept goes in slices.

use std::cell::RefCell;
use std::io::Read as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::ids::{TenantId, TransferId};

/// What is packed or unpacked without leaving the thread, in bytes: about a millisecond.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;
/// Room for what is packed, at least.
const PACKED_BYTES_MIN: usize = 256;

thread_local! {
    /// Some 300 KiB that are zeroed when they are made, which costs as much as packing an answer does.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), true));
}

/// A vendor's answer, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptRaw {
    pub id: Uuid,
    pub body: Bytes,
    pub created_at: DateTime<Utc>,
}

/// Who reads an analysis, and why.
#[derive(Debug, Clone)]
pub struct AnalysisRead {
    /// Of the record in the audit.
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub transfer_id: TransferId,
    /// Which operation it is, by its method.
    pub method: &'static str,
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// A vendor's answer as it is kept.
pub(super) struct PackedRaw {
    pub id: Uuid,
    pub body: Vec<u8>,
    /// Before it was compressed.
    pub body_bytes: i64,
}

impl Store {
    /// Writes down that somebody reads an analysis: before it is handed out, and not at all if that fails.
    pub async fn audit_analysis_read(&self, read: &AnalysisRead) -> Result<(), StoreError> {
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                let deed = Deed {
                    id: read.id,
                    tenant_id: &read.tenant_id,
                    method: read.method,
                    subject_id: read.transfer_id.0,
                    reason: &read.reason,
                    // Reading changes nothing.
                    before: "null".to_owned(),
                    after: "null".to_owned(),
                    traceparent: read.traceparent.as_deref(),
                    now: read.now,
                };
                self.record_deed(&transaction, deed).await?;
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }

    /// These bodies of a tenant, as far as they are kept, in the order of their ids.
    pub async fn raw_answers(&self, tenant: &TenantId, ids: &[Uuid]) -> Result<Vec<KeptRaw>, StoreError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new().uuid("id", ids.iter().copied());
        let find = format!(
            " select id, body, body_bytes, created_at_us from raw_answer where {} and tenant_id = $1",
            self.is_of_slice("id")
        );
        let statement = self.statement_over(rows, vec![Value::from(tenant.as_str())], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let mut packed: Vec<(PackedRaw, DateTime<Utc>)> = found.iter().map(read).collect::<Result<_, _>>()?;
        // Not by the database, which would go along the key and read it all.
        packed.sort_by_key(|(raw, _)| raw.id);
        let size = packed.iter().map(|(raw, _)| usize::try_from(raw.body_bytes).unwrap_or(usize::MAX));
        let size = size.fold(0, usize::saturating_add);
        off_the_thread(size, move || packed.into_iter().map(unpacked).collect()).await
    }

    /// Forgets bodies from before then, a slice of `limit` at most; returns how many.
    pub async fn forget_raw_answers(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let oldest = "select id from raw_answer where created_at_us < $1 order by created_at_us limit $2";
        let is_oldest = match self.kind() {
            StoreKind::PostgreSql => format!("id = any(array({oldest}))"),
            StoreKind::Sqlite => format!("id in ({oldest})"),
        };
        let statement = self.statement(
            &format!("delete from raw_answer where {is_oldest}"),
            [Value::from(to_us(before)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}

/// Compresses bodies, one list for each that is given.
pub(super) async fn pack(lists: Vec<Vec<(Uuid, Bytes)>>) -> Result<Vec<Vec<PackedRaw>>, StoreError> {
    let size = lists.iter().flatten().map(|(_, body)| body.len()).fold(0, usize::saturating_add);
    let pack_list = |list: Vec<(Uuid, Bytes)>| list.into_iter().map(packed).collect();
    off_the_thread(size, move || lists.into_iter().map(pack_list).collect()).await
}

/// Works on so many bytes where it keeps nobody waiting.
async fn off_the_thread<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if bytes <= AT_ONCE_BYTES_MAX {
        return work();
    }
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| StoreError::Broken(format!("compression: {error}")))?
}

fn packed((id, body): (Uuid, Bytes)) -> Result<PackedRaw, StoreError> {
    let body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
    let packed = COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        compressed(compressor, &body)
    });
    Ok(PackedRaw { id, body: packed?, body_bytes })
}

fn compressed(compressor: &mut Compress, body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut packed = Vec::with_capacity(body.len() / 4 + PACKED_BYTES_MIN);
    loop {
        // A body is in memory, so that what was read of it fits.
        let read = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
        let status = compressor.compress_vec(&body[read..], &mut packed, FlushCompress::Finish);
        match status.map_err(|error| StoreError::Broken(format!("compression: {error}")))? {
            Status::StreamEnd => return Ok(packed),
            // Only what is written to is too short.
            Status::Ok | Status::BufError => packed.reserve(packed.capacity()),
        }
    }
}

fn unpacked((raw, created_at): (PackedRaw, DateTime<Utc>)) -> Result<KeptRaw, StoreError> {
    let expected = u64::try_from(raw.body_bytes).map_err(|_| StoreError::unreadable("raw answer", raw.id))?;
    let mut body = Vec::new();
    // One byte more than there should be tells a body that grew from one that is whole, and bounds both.
    let read = ZlibDecoder::new(raw.body.as_slice()).take(expected.saturating_add(1)).read_to_end(&mut body);
    match read {
        Ok(_) if body.len() as u64 == expected => {
            Ok(KeptRaw { id: raw.id, body: Bytes::from(body), created_at })
        }
        Ok(_) => Err(StoreError::unreadable("raw answer", format!("{} is of another length", raw.id))),
        Err(error) => Err(StoreError::unreadable("raw answer", format!("{}: {error}", raw.id))),
    }
}

fn read(row: &QueryResult) -> Result<(PackedRaw, DateTime<Utc>), StoreError> {
    let raw = PackedRaw {
        id: row.try_get("", "id")?,
        body: row.try_get("", "body")?,
        body_bytes: row.try_get("", "body_bytes")?,
    };
    Ok((raw, from_us(row.try_get("", "created_at_us")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_packed_comes_back_and_what_is_damaged_is_said_to_be() {
        // What cannot be packed takes more room than is made for it at first.
        let noise: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let bodies = [
            Bytes::new(),
            Bytes::from(noise),
            Bytes::from_static(b"{\"a\":1}"),
            Bytes::from(vec![7; 3 * AT_ONCE_BYTES_MAX]),
        ];
        let list = bodies.iter().map(|body| (Uuid::now_v7(), body.clone())).collect();
        let mut lists = pack(vec![list, vec![]]).await.unwrap();
        assert!(lists.pop().unwrap().is_empty());
        for (raw, body) in lists.remove(0).into_iter().zip(bodies) {
            assert!(
                unpacked((PackedRaw { id: raw.id, body: raw.body.clone(), body_bytes: 8 }, Utc::now()))
                    .is_err()
            );
            let damaged = raw.body[..raw.body.len() - 5].to_vec();
            let damaged = PackedRaw { id: raw.id, body: damaged, body_bytes: raw.body_bytes };
            assert!(body.is_empty() || unpacked((damaged, Utc::now())).is_err());
            assert!(unpacked((raw, Utc::now())).unwrap().body == body);
        }
    }
}
