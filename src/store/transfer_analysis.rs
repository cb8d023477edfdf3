//! The analysis of a transfer, as its holder writes it down: the begin of a run, each answer, the end.
//!
//! Every verb begins at the row of work, which must still be held; the transfer's own row is locked after it. An answer is written
//! down as soon as it has an outcome, so that whoever goes on after a crash asks about the others only. A row of work names the
//! run that it is for ([`super::transfer_run`]): a dead letter that somebody retries when another run has begun meanwhile is of no use to
//! anybody, and ends without a trace.
//!
//! **Owns** nothing. **Fails** as the store does; a row that had moved on to another holder changes nothing. **Limits**: groups of
//! the caller's lanes. A run has one analyzer and one formula: where they are others than when it began, a new run begins.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::raw_answer::{PackedRaw, pack};
use super::recorded_answer::{NewAnswer, NewRaw};
use super::transaction::execute;
use super::transfer::Transfer;
use super::{Store, StoreError, to_us};
use crate::domain::analysis::Outcome;
use crate::domain::ids::{EndpointId, TransferId};
use crate::domain::transfer::{TransferKey, TransferState};
use crate::domain::work::Claim;

/// A run about to begin, or to go on.
#[derive(Debug, Clone)]
pub struct AnalysisBegin {
    /// Its subject is the transfer.
    pub claim: Claim,
    pub analyzer: &'static str,
    pub formula: Option<&'static str>,
    pub now: DateTime<Utc>,
}

/// Where a run stands.
#[derive(Debug, Clone)]
pub struct AnalysisBegun {
    /// Its `claims` is the number for this attempt's claim at the feed.
    pub transfer: Transfer,
    /// Answers of this run that have an outcome, by position; those that were given up are not among them and may be asked again.
    pub answers: Vec<KeptAnswer>,
}

/// An answer with its outcome, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    pub position: u32,
    pub outcome: Outcome,
    /// Where the vendor tells, whatever the outcome.
    pub segments: Option<u32>,
    pub vendor_id: Option<String>,
    /// In which attempt at the transfer the outcome came.
    pub attempt: i64,
    pub raw_answer_id: Option<Uuid>,
    pub ended_at: DateTime<Utc>,
}

/// Outcomes that have come in, of one transfer.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub claim: Claim,
    pub run: u32,
    pub answers: Vec<KeptAnswer>,
    /// The vendor's own words, by the ids that the answers name. Compressed before they are kept.
    pub raw: Vec<(Uuid, Bytes)>,
    pub now: DateTime<Utc>,
}

/// What an attempt came to.
#[derive(Debug, Clone)]
pub struct AnalysisSettlement {
    pub claim: Claim,
    pub change: AnalysisChange,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// How it ends.
#[derive(Debug, Clone)]
pub enum AnalysisChange {
    /// Every answer has an outcome: the run has its result, and the feed is to be told.
    Analysed {
        result: String,
        has_fillers: bool,
        /// Who is told beside the subscriptions.
        endpoint_id: Option<EndpointId>,
        write_back_queue: String,
        write_back_attempts_max: i64,
    },
    /// Another attempt.
    Later { run_at: DateTime<Utc>, error: String, attempt_counts: bool },
    /// No attempts are left, or none would help.
    Failed {
        reason: String,
        /// The answers without an outcome, where they are known.
        given_up: Vec<KeptAnswer>,
        /// Who is told beside the subscriptions, where that is known by now.
        endpoint_id: Option<EndpointId>,
    },
    /// There is nothing to analyse after all. Where the transfer has been erased or has ended otherwise, or the row is for another
    /// run than its newest, the row ends and nothing else changes.
    Skipped { reason: String },
}

/// What writing an end down did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferSettled {
    Done,
    /// The row had moved on to another holder: nothing was changed.
    LostLease,
}

/// What a begin is, for a row of work that names this run.
enum Course {
    Begin,
    GoOn,
}

impl Course {
    /// Nothing where the row is of no use any more. What has failed goes on: somebody has had its dead letter retried.
    fn of(transfer: &Transfer, named: u32) -> Option<Self> {
        match transfer.state {
            TransferState::Queued | TransferState::Failed if named == transfer.run + 1 => Some(Self::Begin),
            TransferState::Analysing | TransferState::Failed if named == transfer.run => Some(Self::GoOn),
            _ => None,
        }
    }
}

impl Store {
    /// Begins a run, or goes on with it: the transfer is analysing, its claim number has grown. Nothing where the row had moved on,
    /// or is of no use: the transfer is gone or erased, or the row is for another run than its newest. Such a row is the caller's to
    /// end, as skipped.
    pub async fn begin_analysis(&self, begin: &AnalysisBegin) -> Result<Option<AnalysisBegun>, StoreError> {
        self.begin_analyses(std::slice::from_ref(begin)).await.pop().unwrap_or(Ok(None))
    }

    /// The same for many, in one transaction: whoever has many slots begins often, and waits for each commit.
    pub async fn begin_analyses(
        &self,
        items: &[AnalysisBegin],
    ) -> Vec<Result<Option<AnalysisBegun>, StoreError>> {
        let begun = self
            .in_group(items, |store, transaction, items| {
                Box::pin(store.begin_analysis_group(transaction, items))
            })
            .await;
        crate::failpoint::reached("analysis.begin.after");
        begun
    }

    async fn begin_analysis_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[AnalysisBegin],
    ) -> Result<Vec<Option<AnalysisBegun>>, StoreError> {
        let mut begun = Vec::with_capacity(items.len());
        for item in items {
            begun.push(self.begin_analysis_in(transaction, item).await?);
        }
        crate::failpoint::reached("analysis.begin.before");
        Ok(begun)
    }

    async fn begin_analysis_in(
        &self,
        transaction: &DatabaseTransaction,
        begin: &AnalysisBegin,
    ) -> Result<Option<AnalysisBegun>, StoreError> {
        let Some(named) = self.run_of_held(transaction, &begin.claim).await? else { return Ok(None) };
        let id = TransferId(begin.claim.subject_id);
        let Some(before) = self.lock_transfer(transaction, &begin.claim.tenant_id, id).await? else {
            return Ok(None);
        };
        let begins = match Course::of(&before, named) {
            None => return Ok(None),
            Some(Course::Begin) => true,
            Some(Course::GoOn) => !self.is_run_of(transaction, begin, before.run).await?,
        };
        let changes = begins || before.state != TransferState::Analysing;
        let transfer = Transfer {
            state: TransferState::Analysing,
            reason: None,
            questions: before.questions.filter(|_| !begins),
            run: before.run + u32::from(begins),
            claims: before.claims + 1,
            version: before.version + i64::from(changes),
            updated_at: begin.now,
            ..before
        };
        self.write_begin(transaction, &transfer).await?;
        let answers = if begins {
            self.insert_run(transaction, begin, &transfer).await?;
            vec![]
        } else {
            self.reopen_run(transaction, &transfer).await?;
            let kept = self.answers_in(transaction, &transfer.tenant_id, id, transfer.run).await?;
            kept.into_iter().filter(|answer| !matches!(answer.outcome, Outcome::GaveUp { .. })).collect()
        };
        if begins && named != transfer.run {
            self.rename_run(transaction, &begin.claim, transfer.run).await?;
        }
        if changes {
            self.note_transfers(transaction, vec![transfer.news(&begin.claim, begin.now)]).await?;
        }
        Ok(Some(AnalysisBegun { transfer, answers }))
    }

    /// Writes down of how many questions a run is, and whose audio it hears. False where the row had moved on. Answers to questions
    /// that are no longer asked are no part of the run.
    pub async fn keep_questions(
        &self,
        claim: &Claim,
        questions: u32,
        audio_key: &TransferKey,
    ) -> Result<bool, StoreError> {
        let (transaction, kept) = self
            .within(async {
                let transaction = self.begin().await?;
                let kept = self.keep_questions_in(&transaction, claim, questions, audio_key).await?;
                Ok((transaction, kept))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(kept)
    }

    async fn keep_questions_in(
        &self,
        transaction: &DatabaseTransaction,
        claim: &Claim,
        questions: u32,
        audio_key: &TransferKey,
    ) -> Result<bool, StoreError> {
        if self.run_of_held(transaction, claim).await?.is_none() {
            return Ok(false);
        }
        let update = self.statement(
            "update transfer set questions = $3 where id = $1 and tenant_id = $2 and state = 'analysing' returning run",
            [
                Value::from(claim.subject_id),
                Value::from(claim.tenant_id.as_str()),
                Value::from(i64::from(questions)),
            ],
        );
        let Some(row) = transaction.query_one_raw(update).await? else { return Ok(false) };
        let run: i64 = row.try_get("", "run")?;
        let of_run = [Value::from(claim.subject_id), Value::from(run)];
        let update = self.statement(
            "update transfer_run set audio_key = $3 where transfer_id = $1 and number = $2",
            of_run.clone().into_iter().chain([Value::from(audio_key.as_str())]),
        );
        execute(transaction, update).await?;
        let delete = self.statement(
            "delete from recorded_answer where transfer_id = $1 and run = $2 and position >= $3",
            of_run.into_iter().chain([Value::from(i64::from(questions))]),
        );
        execute(transaction, delete).await?;
        Ok(true)
    }

    /// Writes outcomes down, one answer per checkpoint or several; false for a row that had moved on. The same position twice is
    /// one, but for one that had been given up, which the new outcome replaces.
    pub async fn keep_answers(&self, items: &[Checkpoint]) -> Vec<Result<bool, StoreError>> {
        // Before the transaction, so that nobody waits for a lock while something is compressed.
        let packed = match pack(items.iter().map(|item| item.raw.clone()).collect()).await {
            Ok(packed) => packed,
            Err(error) => return items.iter().map(|_| Err(error.clone())).collect(),
        };
        let items: Vec<Packed<'_>> =
            items.iter().zip(packed).map(|(checkpoint, raw)| Packed { checkpoint, raw }).collect();
        let kept = self
            .in_group(&items, |store, transaction, items| {
                Box::pin(store.keep_answer_group(transaction, items))
            })
            .await;
        crate::failpoint::reached("analysis.keep.after");
        kept
    }

    async fn keep_answer_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Packed<'_>],
    ) -> Result<Vec<bool>, StoreError> {
        let claims: Vec<&Claim> = items.iter().map(|item| &item.checkpoint.claim).collect();
        let held = self.held(transaction, &claims).await?;
        let is_held = |item: &&Packed<'_>| held.contains(&item.checkpoint.claim.id);
        let answers: Vec<NewAnswer<'_>> =
            items.iter().filter(is_held).flat_map(|item| item.checkpoint.new_answers()).collect();
        // What no answer came to rest on is not kept: somebody was faster, with words of their own.
        let wanted = self.insert_answers(transaction, &answers).await?;
        let raw = items.iter().filter(is_held).flat_map(Packed::new_raw);
        let raw: Vec<NewRaw<'_>> = raw.filter(|new| wanted.contains(&new.raw.id)).collect();
        self.insert_raw_answers(transaction, &raw).await?;
        crate::failpoint::reached("analysis.keep.before");
        Ok(items.iter().map(|item| is_held(&item)).collect())
    }
}

/// A checkpoint with the vendor's words compressed.
struct Packed<'a> {
    checkpoint: &'a Checkpoint,
    raw: Vec<PackedRaw>,
}

impl Packed<'_> {
    fn new_raw(&self) -> impl Iterator<Item = NewRaw<'_>> {
        let Checkpoint { claim, now, .. } = self.checkpoint;
        self.raw.iter().map(|raw| NewRaw {
            tenant_id: &claim.tenant_id,
            transfer_id: claim.subject_id,
            raw,
            created_at_us: to_us(*now),
        })
    }
}

impl Checkpoint {
    fn new_answers(&self) -> impl Iterator<Item = NewAnswer<'_>> {
        self.answers.iter().map(|answer| NewAnswer {
            tenant_id: &self.claim.tenant_id,
            transfer_id: self.claim.subject_id,
            run: self.run,
            answer,
        })
    }
}
