//! The audit as a chain: each record carries a hash over itself and over the hash of the one before.
//!
//! Whoever keeps one hash elsewhere can tell later whether anything up to it was changed, taken out, put in or moved. Within the
//! database alone the chain shows what was done to records without working the hashes out anew; only the hash that is kept
//! elsewhere shows the rest.
//!
//! **Owns** nothing. **Fails** with the first break ([`Break`]). **Limits**: records from before the chain have no place in it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Grows when records are encoded in another way, so that no record of one way is taken for one of another.
const ENCODING: &[u8] = b"bursar.audit.1";

/// A SHA-256 hash, written as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first record.
    pub const START: Self = Self([0; 32]);
}

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// It is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 lower-case hexadecimal digits")]
pub struct NoHash;

impl FromStr for ChainHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err(NoHash);
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

/// Something that somebody did, as it stands in the audit. Nothing in it is interpreted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place, counted from 1; none for a record from before the chain.
    pub sequence: Option<i64>,
    pub id: Uuid,
    pub tenant_id: String,
    /// Microseconds since 1970 UTC.
    pub at_us: i64,
    /// Who; none for a record from before the chain.
    pub actor: Option<String>,
    /// The method that was called, without its service.
    pub method: String,
    /// What it was done to; nil for what has a name and no id.
    pub subject_id: Uuid,
    /// What it was done to, where that has a name and no id: an actor, a queue, a job.
    pub subject: Option<String>,
    /// In their own words; empty where nobody asks for any.
    pub reason: String,
    /// JSON.
    pub before: Option<String>,
    /// JSON.
    pub after: Option<String>,
    pub traceparent: Option<String>,
}

impl Record {
    /// The hash of this record behind another's.
    pub fn hash_after(&self, previous: ChainHash) -> ChainHash {
        ChainHash(Sha256::digest(self.encoded(previous)).into())
    }

    /// The bytes that are hashed. Numbers and ids have one length each, and before each text stands whether it is there and how
    /// long it is, so that no two records have the same bytes.
    fn encoded(&self, previous: ChainHash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(ENCODING);
        bytes.extend_from_slice(&previous.0);
        bytes.extend_from_slice(&self.sequence.unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.at_us.to_be_bytes());
        bytes.extend_from_slice(self.subject_id.as_bytes());
        let texts = [
            Some(&self.tenant_id),
            self.actor.as_ref(),
            Some(&self.method),
            self.subject.as_ref(),
            Some(&self.reason),
            self.before.as_ref(),
            self.after.as_ref(),
            self.traceparent.as_ref(),
        ];
        for text in texts {
            match text {
                None => bytes.push(0),
                Some(text) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes
    }
}

/// A record with the hashes that are kept beside it; as text, for they too may have been changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub record: Record,
    pub previous_hash: String,
    pub hash: String,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing has this place.
    Missing,
    /// It is not what followed the one before it: one of the two was moved, put in, or replaced.
    OutOfPlace,
    /// It is not what was written.
    Changed,
    /// The chain's last record is another than the house has kept in mind.
    Head,
    /// The record at the place that was asked for has another hash than the one that was kept.
    Unexpected,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    pub sequence: i64,
    /// Of the record that has that place now, if any has.
    pub id: Option<Uuid>,
    pub flaw: Flaw,
}

/// How far a chain was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The place of the last record; 0 before the first.
    pub sequence: i64,
    /// Of the last record.
    pub hash: ChainHash,
}

impl Chain {
    /// Before the first record.
    pub const START: Self = Self { sequence: 0, hash: ChainHash::START };

    /// Gives a new record the next place, and goes on to it.
    pub fn append(&mut self, mut record: Record) -> Link {
        let previous = self.hash;
        record.sequence = Some(self.sequence + 1);
        *self = Self { sequence: self.sequence + 1, hash: record.hash_after(previous) };
        Link { record, previous_hash: previous.to_string(), hash: self.hash.to_string() }
    }

    /// Goes on to the next record, if it is the one that was written there.
    ///
    /// # Errors
    /// The break; the chain then stays where it is.
    pub fn follow(&mut self, link: &Link) -> Result<(), Break> {
        let sequence = self.sequence + 1;
        let found = |flaw| Break { sequence, id: Some(link.record.id), flaw };
        if link.record.sequence != Some(sequence) {
            return Err(Break { sequence, id: None, flaw: Flaw::Missing });
        }
        if link.previous_hash != self.hash.to_string() {
            return Err(found(Flaw::OutOfPlace));
        }
        let hash = link.record.hash_after(self.hash);
        if link.hash != hash.to_string() {
            return Err(found(Flaw::Changed));
        }
        *self = Self { sequence, hash };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
