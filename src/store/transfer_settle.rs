//! How attempts at transfers end: the ack leads, and only what it held moves on, with its run, its events and its next work.
//!
//! **Owns** nothing. **Fails** as the store does; a row that had moved on to another holder changes nothing, and neither does a
//! transfer that is no longer where the attempt had found it. **Limits**: groups of the caller's lanes, a transfer once in each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use super::recorded_answer::NewAnswer;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::transfer::transfer_work_key;
use super::transfer_analysis::{AnalysisChange, AnalysisSettlement, TransferSettled};
use super::transfer_event::TransferNews;
use super::transfer_run::{run_named, run_payload};
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, to_us};
use crate::domain::ids::{EndpointId, TransferId, WorkId};
use crate::domain::transfer::TransferState;
use crate::domain::work::{Claim, NewWork, WorkState, kind};

/// Where an attempt to analyse must have found its transfer. Another analyzer may have begun a newer run under the same row.
const WAS_ANALYSING: &str =
    "((transfer.state = 'queued' and transfer.run = r.run - 1 and r.state <> 'writing_back')
      or (transfer.state = 'analysing' and transfer.run >= r.run))";
/// Where an attempt to write back must have found it.
pub(super) const WAS_WRITING_BACK: &str = "transfer.state = 'writing_back' and transfer.run = r.run";

/// What the end of an attempt makes of its transfer.
pub(super) struct Ended<'a> {
    pub claim: &'a Claim,
    pub state: TransferState,
    pub reason: Option<String>,
    /// Of the whole run, with whether fillers stand in it, where it has just become known.
    pub result: Option<(&'a str, bool)>,
    /// Who is told beside the subscriptions: of a run that has its result nobody else, of another whoever was told before.
    pub endpoint_id: Option<EndpointId>,
    /// How the write-back ended.
    pub write_back: Option<&'static str>,
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// A transfer that has moved on.
struct Moved {
    version: i64,
    run: u32,
    tells_owners: bool,
    endpoint_id: Option<EndpointId>,
}

impl Store {
    /// Writes the ends of attempts down, with events, the work of the write-back, and the owners' deliveries of what failed or was
    /// skipped.
    pub async fn settle_analyses(
        &self,
        items: &[AnalysisSettlement],
    ) -> Vec<Result<TransferSettled, StoreError>> {
        let settled = self
            .in_group(items, |store, transaction, items| {
                Box::pin(store.settle_analysis_group(transaction, items))
            })
            .await;
        crate::failpoint::reached("analysis.settle.after");
        settled
    }

    async fn settle_analysis_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[AnalysisSettlement],
    ) -> Result<Vec<TransferSettled>, StoreError> {
        let now = items.first().map_or_else(Utc::now, |item| item.now);
        let held = self.lead(transaction, items.iter().map(AnalysisSettlement::fate), now).await?;
        let held_items: Vec<&AnalysisSettlement> =
            items.iter().filter(|item| held.contains(&item.claim.id)).collect();
        let ended: Vec<Ended<'_>> = held_items.iter().filter_map(|item| item.ended()).collect();
        let runs = self.end_attempts(transaction, &ended, WAS_ANALYSING).await?;
        let run_of = |item: &AnalysisSettlement| runs.get(&item.claim.subject_id).copied();
        let given_up: Vec<NewAnswer<'_>> = held_items
            .iter()
            .filter_map(|item| Some((item, run_of(item)?)))
            .flat_map(|(item, run)| item.given_up(run))
            .collect();
        self.insert_answers(transaction, &given_up).await?;
        let next: Vec<NewWork> = held_items
            .iter()
            .filter_map(|item| item.write_back_work(run_of(item)?))
            .collect::<Result<_, _>>()?;
        if self.insert_work(transaction, &next).await?.len() != next.len() {
            // The row that has just ended had the key to itself.
            return Err(StoreError::Broken("a transfer has two rows of work".to_owned()));
        }
        crate::failpoint::reached("analysis.settle.before");
        Ok(items.iter().map(|item| TransferSettled::of(held.contains(&item.claim.id))).collect())
    }

    /// Moves transfers on that are where the attempts had found them, ends their runs, and tells. Returns the runs by transfer.
    pub(super) async fn end_attempts(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Ended<'_>],
        condition: &str,
    ) -> Result<HashMap<Uuid, u32>, StoreError> {
        if items.is_empty() {
            return Ok(HashMap::new());
        }
        let moved = self.move_transfers(transaction, items, condition).await?;
        let items: Vec<(&Ended<'_>, &Moved)> =
            items.iter().filter_map(|item| Some((item, moved.get(&item.claim.subject_id)?))).collect();
        self.end_runs(transaction, &items).await?;
        let news = items.iter().map(|(item, moved)| item.news(moved)).collect();
        self.note_transfers(transaction, news).await?;
        Ok(items.iter().map(|(item, moved)| (item.claim.subject_id, moved.run)).collect())
    }

    async fn move_transfers(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Ended<'_>],
        condition: &str,
    ) -> Result<HashMap<Uuid, Moved>, StoreError> {
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.claim.subject_id))
            .integer("run", items.iter().map(|item| i64::from(run_named(&item.claim.payload))))
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .optional_text("reason", items.iter().map(|item| item.reason.clone()))
            .optional_uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.map(|id| id.0)))
            .integer("updated_at_us", items.iter().map(|item| to_us(item.now)));
        let update = format!(
            " update transfer set state = r.state, reason = r.reason, version = transfer.version + 1,
                endpoint_id = case when r.state = 'writing_back' then r.endpoint_id
                  else coalesce(r.endpoint_id, transfer.endpoint_id) end,
                updated_at_us = r.updated_at_us
              from r where transfer.id = r.id and {} and {condition}
              returning transfer.id, transfer.version, transfer.run, transfer.tells_owners, transfer.endpoint_id",
            self.is_of_slice("transfer.id")
        );
        let mut moved = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &update)).await? {
            let run: i64 = row.try_get("", "run")?;
            let one = Moved {
                version: row.try_get("", "version")?,
                run: u32::try_from(run).map_err(|_| StoreError::unreadable("run", run))?,
                tells_owners: row.try_get::<i64>("", "tells_owners")? == 1,
                endpoint_id: row.try_get::<Option<Uuid>>("", "endpoint_id")?.map(EndpointId),
            };
            moved.insert(row.try_get("", "id")?, one);
        }
        Ok(moved)
    }

    async fn end_runs(
        &self,
        transaction: &DatabaseTransaction,
        items: &[(&Ended<'_>, &Moved)],
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let has_ended = |item: &Ended<'_>| (!item.state.is_open()).then(|| to_us(item.now));
        // A result may be empty, which is not the same as none.
        let rows = Rows::new()
            .uuid("id", items.iter().map(|(item, _)| item.claim.subject_id))
            .integer("number", items.iter().map(|(_, moved)| i64::from(moved.run)))
            .integer("has_result", items.iter().map(|(item, _)| i64::from(item.result.is_some())))
            .text("result", items.iter().map(|(item, _)| item.result.map_or("", |(text, _)| text).to_owned()))
            .integer(
                "fillers",
                items.iter().map(|(item, _)| item.result.map_or(0, |(_, has)| i64::from(has))),
            )
            .optional_text("write_back", items.iter().map(|(item, _)| item.write_back.map(str::to_owned)))
            .optional_integer("ended_at_us", items.iter().map(|(item, _)| has_ended(item)));
        let update = format!(
            " update transfer_run set
                result = case when r.has_result = 1 then r.result else transfer_run.result end,
                has_fillers = case when r.has_result = 1 then r.fillers else transfer_run.has_fillers end,
                write_back = coalesce(r.write_back, transfer_run.write_back), ended_at_us = r.ended_at_us
              from r where transfer_run.transfer_id = r.id and {} and transfer_run.number = r.number",
            self.is_of_slice("transfer_run.transfer_id")
        );
        execute(transaction, self.statement_over(rows, vec![], &update)).await?;
        Ok(())
    }
}

impl TransferSettled {
    pub(super) fn of(is_held: bool) -> Self {
        if is_held { Self::Done } else { Self::LostLease }
    }
}

impl Ended<'_> {
    fn news(&self, moved: &Moved) -> TransferNews {
        TransferNews {
            tenant_id: self.claim.tenant_id.clone(),
            transfer_id: TransferId(self.claim.subject_id),
            version: moved.version,
            state: self.state,
            reason: self.reason.clone(),
            tells: moved.tells_owners,
            endpoint_id: moved.endpoint_id,
            traceparent: self.claim.traceparent.clone(),
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        }
    }
}

/// The fate of a row to which its attempt must be made once more.
pub(super) fn later(claim: &Claim, run_at: DateTime<Utc>, error: &str, attempt_counts: bool) -> Fate {
    Fate::Back(PutBack {
        id: claim.id,
        runner_id: claim.runner_id,
        fence: claim.fence,
        span: claim.span.clone(),
        state: WorkState::Retryable,
        run_at,
        error: Some(error.to_owned()),
        attempt_counts,
        nothing_was_sent: false,
    })
}

impl AnalysisSettlement {
    fn fate(&self) -> Fate {
        match &self.change {
            AnalysisChange::Analysed { .. } | AnalysisChange::Skipped { .. } => {
                Fate::End(Ending::of(&self.claim, WorkState::Completed, None))
            }
            AnalysisChange::Failed { reason, .. } => {
                Fate::End(Ending::of(&self.claim, WorkState::Discarded, Some(reason.clone())))
            }
            AnalysisChange::Later { run_at, error, attempt_counts } => {
                later(&self.claim, *run_at, error, *attempt_counts)
            }
        }
    }

    /// Nothing where the transfer stays as it is.
    fn ended(&self) -> Option<Ended<'_>> {
        let (state, reason, result, endpoint_id) = match &self.change {
            AnalysisChange::Analysed { result, has_fillers, endpoint_id, .. } => {
                (TransferState::WritingBack, None, Some((result.as_str(), *has_fillers)), *endpoint_id)
            }
            AnalysisChange::Failed { reason, endpoint_id, .. } => {
                (TransferState::Failed, Some(reason), None, *endpoint_id)
            }
            AnalysisChange::Skipped { reason } => (TransferState::Skipped, Some(reason), None, None),
            AnalysisChange::Later { .. } => return None,
        };
        Some(Ended {
            claim: &self.claim,
            state,
            reason: reason.cloned(),
            result,
            endpoint_id,
            write_back: None,
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        })
    }

    fn given_up(&self, run: u32) -> impl Iterator<Item = NewAnswer<'_>> {
        let given_up = match &self.change {
            AnalysisChange::Failed { given_up, .. } => given_up.as_slice(),
            _ => &[],
        };
        given_up.iter().map(move |answer| NewAnswer {
            tenant_id: &self.claim.tenant_id,
            transfer_id: self.claim.subject_id,
            run,
            answer,
        })
    }

    fn write_back_work(&self, run: u32) -> Option<Result<NewWork, StoreError>> {
        let AnalysisChange::Analysed { write_back_queue, write_back_attempts_max, .. } = &self.change else {
            return None;
        };
        let work = |payload| NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: self.claim.tenant_id.clone(),
            kind: kind::TRANSFER_WRITE_BACK,
            queue: write_back_queue.clone(),
            priority: 0,
            run_at: self.now,
            attempts_max: *write_back_attempts_max,
            unique_key: Some(transfer_work_key(TransferId(self.claim.subject_id))),
            subject_id: self.claim.subject_id,
            payload,
            traceparent: self.claim.traceparent.clone(),
            claimed_by: None,
            sent_at: None,
            created_at: self.now,
        };
        Some(run_payload(run).map(work))
    }
}
