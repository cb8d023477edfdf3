//! The effects ledger: what the outside accepted or refused, one line of JSON each, by which tests judge.
//!
//! **Owns** `effects.jsonl` and the thread that appends to it. Whatever waits goes into one write and one sync
//! (group commit), and only then are the effects visible and their requests answered.
//! **Fails** an effect that cannot be written, and cuts half-written bytes off again; the next may succeed.
//! **Limits**: a group holds at most 1,024 requests. [`read`] forgives one torn last line, which is what a kill leaves.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use super::outside::News;

/// The ledger's name in the data directory.
pub const FILE_NAME: &str = "effects.jsonl";

const GROUP_MAX: usize = 1_024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EffectKind {
    /// The bank keeps the title from now on.
    #[serde(rename = "bank.registered")]
    BankRegistered,
    /// The bank said no for a reason of its own.
    #[serde(rename = "bank.refused")]
    BankRefused,
    /// The bank was asked to register a title that it already keeps.
    #[serde(rename = "bank.duplicate_refused")]
    BankDuplicateRefused,
    /// The bank changed the title.
    #[serde(rename = "bank.amended")]
    BankAmended,
    /// A payer paid the title, or a part of it.
    #[serde(rename = "bank.paid")]
    BankPaid,
    /// The bank cancelled the title.
    #[serde(rename = "bank.written_off")]
    BankWrittenOff,
    /// An owner's queue took a message.
    #[serde(rename = "owner.sqs")]
    OwnerSqs,
    /// An owner's webhook took a message.
    #[serde(rename = "owner.webhook")]
    OwnerWebhook,
    /// The mail server took a message for an owner's address.
    #[serde(rename = "owner.mail")]
    OwnerMail,
    /// An owner's stream took a message.
    #[serde(rename = "owner.nats")]
    OwnerNats,
    /// An owner's stream was sent a message that it had, and knew it by its id.
    #[serde(rename = "owner.nats_duplicate")]
    OwnerNatsDuplicate,
    /// The transfers' database took a write to a record.
    #[serde(rename = "feed.written")]
    FeedWritten,
    /// The transfers' database took a claim on a record.
    #[serde(rename = "feed.claimed")]
    FeedClaimed,
    /// A claim was not taken, because another version of it was there.
    #[serde(rename = "feed.claim_refused")]
    FeedClaimRefused,
    /// A claim was taken away.
    #[serde(rename = "feed.claim_released")]
    FeedClaimReleased,
    /// A vendor analysed a recording.
    #[serde(rename = "vendor.analysed")]
    VendorAnalysed,
    /// A bank of open banking told something that counts as a read without the account's holder.
    #[serde(rename = "aspsp.read")]
    AspspRead,
    /// A bank told that a payment has come to its end.
    #[serde(rename = "aspsp.payment_told")]
    AspspPaymentTold,
    /// A bank gave new tokens for a refresh token.
    #[serde(rename = "aspsp.token_refreshed")]
    AspspTokenRefreshed,
    /// A bank was shown a refresh token that was spent.
    #[serde(rename = "aspsp.token_reused")]
    AspspTokenReused,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// When the outside decided it.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: EffectKind,
    /// Business key: `convenio+numero` at Banco do Brasil, `bank:agreement+number` at the others, `boleto_id+event_id` at
    /// an owner, a record's key in the transfers' database, a recording's object at a vendor, `bank:consent` or
    /// `bank:payment` in open banking.
    pub key: String,
    /// The rest, free of personal data.
    pub detail: Value,
}

impl Effect {
    pub(super) fn now(kind: EffectKind, key: String, detail: Value) -> Self {
        Effect { at: Utc::now(), kind, key, detail }
    }
}

/// The effect could not be made durable, so it must not be answered as done.
#[derive(Debug, thiserror::Error)]
#[error("the effect could not be recorded")]
pub(super) struct NotRecorded;

enum Order {
    Keep(Vec<Effect>, oneshot::Sender<bool>),
    Close(oneshot::Sender<()>),
}

/// The writing end.
pub(super) struct Ledger {
    path: PathBuf,
    orders: mpsc::Sender<Order>,
    kept: Arc<Mutex<Vec<Effect>>>,
}

impl Ledger {
    /// Opens or makes the file, cutting off a torn last line, and starts the writer.
    pub fn open(data_dir: &Path, sync: bool, news: News) -> io::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let path = data_dir.join(FILE_NAME);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let length = whole_lines_length(&mut file)?;
        file.set_len(length)?;
        file.sync_all()?;
        File::open(data_dir)?.sync_all()?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (orders, inbound) = mpsc::channel();
        let writer =
            Writer { file, length, sync, kept: kept.clone(), news, line: Vec::with_capacity(16 * 1024) };
        std::thread::Builder::new().name("sandbox-ledger".into()).spawn(move || writer.run(&inbound))?;
        Ok(Ledger { path, orders, kept })
    }

    /// Makes the effects durable. They are handed over before the first await, so a caller that hangs up
    /// after its request was decided cannot take them back.
    pub async fn record(&self, effects: Vec<Effect>) -> Result<(), NotRecorded> {
        let (done, kept) = oneshot::channel();
        self.orders.send(Order::Keep(effects, done)).map_err(|_| NotRecorded)?;
        if kept.await.unwrap_or(false) { Ok(()) } else { Err(NotRecorded) }
    }

    /// The effects of this world's life, in the order in which they were written.
    pub fn kept(&self) -> MutexGuard<'_, Vec<Effect>> {
        // The lock is only ever held around pushes and reads, which leave the list whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the writer after everything handed over before.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Order::Close(done)).is_ok() {
            // The writer may have ended already, which is what was asked for.
            let _ = ended.await;
        }
    }
}

struct Writer {
    file: File,
    length: u64,
    sync: bool,
    kept: Arc<Mutex<Vec<Effect>>>,
    news: News,
    line: Vec<u8>,
}

impl Writer {
    fn run(mut self, orders: &mpsc::Receiver<Order>) {
        let mut group = Vec::new();
        while let Ok(first) = orders.recv() {
            let mut closing = None;
            for order in std::iter::once(first).chain(orders.try_iter()) {
                match order {
                    Order::Keep(effects, done) => group.push((effects, done)),
                    Order::Close(done) => closing = Some(done),
                }
                if closing.is_some() || group.len() == GROUP_MAX {
                    break;
                }
            }
            self.keep(&mut group);
            if let Some(done) = closing {
                // Nobody may be waiting any more; the end is the same.
                let _ = done.send(());
                return;
            }
        }
    }

    fn keep(&mut self, group: &mut Vec<(Vec<Effect>, oneshot::Sender<bool>)>) {
        if group.is_empty() {
            return;
        }
        let written = self.append(group);
        if let Err(error) = &written {
            tracing::error!(%error, "effects ledger not written");
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = Vec::with_capacity(group.len());
        for (effects, done) in group.drain(..) {
            if written.is_ok() {
                kept.extend(effects);
            }
            waiting.push(done);
        }
        drop(kept);
        for done in waiting {
            // A caller that hung up changes nothing.
            let _ = done.send(written.is_ok());
        }
        self.news.spread();
    }

    fn append(&mut self, group: &[(Vec<Effect>, oneshot::Sender<bool>)]) -> io::Result<()> {
        self.line.clear();
        for effect in group.iter().flat_map(|(effects, _)| effects) {
            serde_json::to_writer(&mut self.line, effect)?;
            self.line.push(b'\n');
        }
        let written = self
            .file
            .write_all(&self.line)
            .and_then(|()| if self.sync { self.file.sync_data() } else { Ok(()) });
        match &written {
            Ok(()) => self.length += self.line.len() as u64,
            // Half a line in the middle would spoil every later one for the reader.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// The length of the part that ends with a line feed.
fn whole_lines_length(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1))
}

/// Reads a ledger, also that of a process which was killed: a last line without its end is left out.
///
/// # Errors
/// When the file cannot be read, or a line other than the torn last one is not an effect.
pub fn read(path: &Path) -> io::Result<Vec<Effect>> {
    let bytes = std::fs::read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(io::Error::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::client::TempDir;

    fn effect(key: &str) -> Effect {
        Effect::now(EffectKind::BankRegistered, key.into(), json!({"amount_cents": 1}))
    }

    #[tokio::test]
    async fn what_is_recorded_can_be_read_after_a_torn_end() {
        let dir = TempDir::new();
        let ledger = Ledger::open(dir.path(), true, News::new()).unwrap();
        ledger.record(vec![effect("a"), effect("b")]).await.unwrap();
        let seen = ledger.kept().clone();
        ledger.close().await;
        let mut file = OpenOptions::new().append(true).open(ledger.path()).unwrap();
        file.write_all(b"{\"at\":\"2026-11-2").unwrap();
        assert_eq!(read(ledger.path()).unwrap(), seen);

        // A new world on the same file starts on a line of its own.
        let again = Ledger::open(dir.path(), true, News::new()).unwrap();
        again.record(vec![effect("c")]).await.unwrap();
        let keys: Vec<_> = read(again.path()).unwrap().into_iter().map(|effect| effect.key).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn many_at_once_all_arrive_and_each_is_answered() {
        let dir = TempDir::new();
        let ledger = Arc::new(Ledger::open(dir.path(), true, News::new()).unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..300 {
            let ledger = ledger.clone();
            tasks.spawn(async move { ledger.record(vec![effect(&n.to_string())]).await });
        }
        while let Some(recorded) = tasks.join_next().await {
            recorded.unwrap().unwrap();
        }
        let mut keys: Vec<u32> =
            read(ledger.path()).unwrap().into_iter().map(|effect| effect.key.parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..300).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_closed_ledger_records_nothing() {
        let dir = TempDir::new();
        let ledger = Ledger::open(dir.path(), true, News::new()).unwrap();
        ledger.close().await;
        assert!(ledger.record(vec![effect("late")]).await.is_err());
        assert!(read(ledger.path()).unwrap().is_empty());
    }

    #[test]
    fn a_spoilt_line_in_the_middle_is_an_error() {
        let dir = TempDir::new();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, b"not json\n{}\n").unwrap();
        assert!(read(&path).is_err());
    }
}
