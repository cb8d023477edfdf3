//! The rows of recorded answers that have an outcome, and of the vendors' words that they rest on.
//!
//! **Owns** nothing. **Fails** as the store does; an outcome that cannot be read back is said to be broken, never guessed.
//! **Limits**: the caller's groups. The same position twice is one; only what had been given up is replaced. Words that no answer
//! rests on are not kept.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::raw_answer::PackedRaw;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::transfer_analysis::KeptAnswer;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::analysis::Outcome;
use crate::domain::analysis::formula::VendorRisk;
use crate::domain::ids::{TenantId, TransferId};

/// An answer about to be written down, and whose it is.
pub(super) struct NewAnswer<'a> {
    pub tenant_id: &'a TenantId,
    pub transfer_id: Uuid,
    pub run: u32,
    pub answer: &'a KeptAnswer,
}

/// A vendor's words about to be written down.
pub(super) struct NewRaw<'a> {
    pub tenant_id: &'a TenantId,
    pub transfer_id: Uuid,
    pub raw: &'a PackedRaw,
    pub created_at_us: i64,
}

impl Store {
    /// Writes answers down. One that has an outcome already stays as it is, unless it had been given up. Returns the ids of the
    /// vendors' words on which those rest that were written.
    pub(super) async fn insert_answers(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewAnswer<'_>],
    ) -> Result<HashSet<Uuid>, StoreError> {
        let items = once_each(items);
        if items.is_empty() {
            return Ok(HashSet::new());
        }
        let outcomes = || items.iter().map(|item| &item.answer.outcome);
        let rows = Rows::new()
            .uuid("transfer_id", items.iter().map(|item| item.transfer_id))
            .integer("run", items.iter().map(|item| i64::from(item.run)))
            .integer("position", items.iter().map(|item| i64::from(item.answer.position)))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("outcome", outcomes().map(|outcome| outcome.name().to_owned()))
            .optional_integer("vendor_risk", outcomes().map(vendor_risk))
            .optional_integer("segments", items.iter().map(|item| segments(item.answer)))
            .optional_text("reason", outcomes().map(|outcome| outcome.reason().map(str::to_owned)))
            .optional_text("vendor_id", items.iter().map(|item| item.answer.vendor_id.clone()))
            .integer("attempt", items.iter().map(|item| item.answer.attempt))
            .optional_uuid("raw_answer_id", items.iter().map(|item| item.answer.raw_answer_id))
            .integer("ended_at_us", items.iter().map(|item| to_us(item.answer.ended_at)));
        let upsert = " insert into recorded_answer (transfer_id, run, position, tenant_id, outcome, vendor_risk, segments,
                reason, vendor_id, attempt, raw_answer_id, ended_at_us)
              select transfer_id, run, position, tenant_id, outcome, vendor_risk, segments,
                reason, vendor_id, attempt, raw_answer_id, ended_at_us from r where true
              on conflict (transfer_id, run, position) do update set outcome = excluded.outcome,
                vendor_risk = excluded.vendor_risk, segments = excluded.segments, reason = excluded.reason,
                vendor_id = excluded.vendor_id, attempt = excluded.attempt, raw_answer_id = excluded.raw_answer_id,
                ended_at_us = excluded.ended_at_us
              where recorded_answer.outcome = 'gave_up' returning raw_answer_id";
        let written = all(transaction, self.statement_over(rows, vec![], upsert)).await?;
        let raw_ids: Result<Vec<Option<Uuid>>, _> =
            written.iter().map(|row| row.try_get("", "raw_answer_id")).collect();
        Ok(raw_ids?.into_iter().flatten().collect())
    }

    /// Writes vendors' words down, each once.
    pub(super) async fn insert_raw_answers(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewRaw<'_>],
    ) -> Result<(), StoreError> {
        let by_id: HashMap<Uuid, &NewRaw<'_>> = items.iter().map(|item| (item.raw.id, item)).collect();
        if by_id.is_empty() {
            return Ok(());
        }
        let items: Vec<&NewRaw<'_>> = by_id.into_values().collect();
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.raw.id))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .uuid("transfer_id", items.iter().map(|item| item.transfer_id))
            .bytes("body", items.iter().map(|item| item.raw.body.clone()))
            .integer("body_bytes", items.iter().map(|item| item.raw.body_bytes))
            .integer("created_at_us", items.iter().map(|item| item.created_at_us));
        let insert = " insert into raw_answer (id, tenant_id, transfer_id, body, body_bytes, created_at_us)
              select id, tenant_id, transfer_id, body, body_bytes, created_at_us from r where true on conflict do nothing";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// The answers of a run that have an outcome, by position; those given up among them.
    pub(super) async fn answers_in(
        &self,
        connection: &impl ConnectionTrait,
        tenant: &TenantId,
        id: TransferId,
        run: u32,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        let find = self.statement(
            "select position, outcome, vendor_risk, segments, reason, vendor_id, attempt, raw_answer_id, ended_at_us
             from recorded_answer where transfer_id = $1 and run = $2 and tenant_id = $3 order by position",
            [Value::from(id.0), Value::from(i64::from(run)), Value::from(tenant.as_str())],
        );
        all(connection, find).await?.iter().map(read_answer).collect()
    }
}

/// Each position once, for no statement may change one row twice: the first that is not given up.
fn once_each<'a, 'b>(items: &'b [NewAnswer<'a>]) -> Vec<&'b NewAnswer<'a>> {
    let mut places: HashMap<(Uuid, u32, u32), usize> = HashMap::new();
    let mut once: Vec<&NewAnswer<'a>> = Vec::with_capacity(items.len());
    for item in items {
        match places.get(&(item.transfer_id, item.run, item.answer.position)) {
            None => {
                places.insert((item.transfer_id, item.run, item.answer.position), once.len());
                once.push(item);
            }
            Some(&place) => {
                if matches!(once[place].answer.outcome, Outcome::GaveUp { .. }) {
                    once[place] = item;
                }
            }
        }
    }
    once
}

fn vendor_risk(outcome: &Outcome) -> Option<i64> {
    match outcome {
        Outcome::Scored(risk) => Some(i64::from(risk.risk())),
        _ => None,
    }
}

fn segments(answer: &KeptAnswer) -> Option<i64> {
    match answer.outcome {
        Outcome::Scored(risk) => Some(i64::from(risk.segments())),
        Outcome::Measured { segments } => Some(i64::from(segments)),
        _ => answer.segments.map(i64::from),
    }
}

fn read_answer(row: &QueryResult) -> Result<KeptAnswer, StoreError> {
    let name: String = row.try_get("", "outcome")?;
    let unreadable = || StoreError::unreadable("outcome", &name);
    let reason = row.try_get::<Option<String>>("", "reason")?.unwrap_or_default();
    let segments: Option<i64> = row.try_get("", "segments")?;
    let segments = segments.map(u32::try_from).transpose().map_err(|_| unreadable())?;
    let risk: Option<i64> = row.try_get("", "vendor_risk")?;
    let risk = risk.map(u8::try_from).transpose().map_err(|_| unreadable())?;
    let outcome = match name.as_str() {
        "scored" => {
            let kept = risk.zip(segments).and_then(|(risk, segments)| VendorRisk::kept(risk, segments));
            Outcome::Scored(kept.ok_or_else(unreadable)?)
        }
        "measured" => Outcome::Measured { segments: segments.ok_or_else(unreadable)? },
        "no_speech" => Outcome::NoSpeech,
        "audio_missing" => Outcome::AudioMissing,
        "vendor_refused" => Outcome::VendorRefused { reason },
        "unreadable" => Outcome::Unreadable { reason },
        "gave_up" => Outcome::GaveUp { reason },
        _ => return Err(unreadable()),
    };
    let position: i64 = row.try_get("", "position")?;
    Ok(KeptAnswer {
        position: u32::try_from(position).map_err(|_| StoreError::unreadable("position", position))?,
        outcome,
        segments,
        vendor_id: row.try_get("", "vendor_id")?,
        attempt: row.try_get("", "attempt")?,
        raw_answer_id: row.try_get("", "raw_answer_id")?,
        ended_at: from_us(row.try_get("", "ended_at_us")?)?,
    })
}
