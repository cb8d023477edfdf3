//! What happened to transfers, written down in the transaction of the change: every change for those who watch, and what somebody
//! outside may want to know for the owners.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: a slice names a transfer once, and after its row has been changed,
//! for what owners are told is read from there: keys and numbers, never a name or an address. Versions that owners are not told
//! of are gaps to them.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use serde::Serialize;
use uuid::Uuid;

use super::announce::{Announcement, SubjectEvent};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::analysis::formula::VendorRisk;
use crate::domain::event::{OF_TRANSFERS, SubjectKind};
use crate::domain::ids::{EndpointId, TenantId, TransferId};
use crate::domain::transfer::TransferState;

/// A change of a transfer.
#[derive(Debug, Clone)]
pub(super) struct TransferNews {
    pub tenant_id: TenantId,
    pub transfer_id: TransferId,
    /// After the change.
    pub version: i64,
    /// After the change; it names the event.
    pub state: TransferState,
    pub reason: Option<String>,
    /// Whether owners are told, where it is something that owners are told of at all.
    pub tells: bool,
    /// Who is told beside the subscriptions.
    pub endpoint_id: Option<EndpointId>,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What is read of a transfer and its newest run for its owners. The scores come as text, for both databases can make that.
const READ: &str =
    "select t.id, t.feed, t.transfer_key, t.run, t.questions, t.recorded_at_us, t.company_key, t.person_key,
        u.analyzer, u.formula, u.result, u.has_fillers,
        (select {joined} from recorded_answer a where a.transfer_id = t.id and a.run = t.run
          and a.outcome = 'scored' and a.vendor_risk is not null) as risks
      from transfer t";

/// What owners are told, in the words of `bursar.transfer.v1`.
#[derive(Serialize)]
struct ForOwners {
    feed: String,
    key: String,
    state: &'static str,
    reason: Option<String>,
    run: i64,
    analyzer: Option<String>,
    formula: Option<String>,
    result: Option<String>,
    /// One place a question; null where an answer has no score, and as a whole where nobody has counted the questions.
    vendor_risk_scores: Option<Vec<Option<u8>>>,
    questions: Option<i64>,
    has_fillers: bool,
    recorded_at: Option<String>,
    company_key: Option<String>,
    person_key: Option<String>,
}

impl Store {
    /// Writes changes down that have been made to the transfers' rows, and announces to owners what they are to know.
    pub(super) async fn note_transfers(
        &self,
        transaction: &DatabaseTransaction,
        news: Vec<TransferNews>,
    ) -> Result<(), StoreError> {
        if news.is_empty() {
            return Ok(());
        }
        // Whoever watches and who is told know a change by the same id.
        let news: Vec<(Uuid, TransferNews)> = news.into_iter().map(|item| (Uuid::now_v7(), item)).collect();
        let rows = Rows::new()
            .uuid("id", news.iter().map(|(id, _)| *id))
            .text("tenant_id", news.iter().map(|(_, item)| item.tenant_id.as_str().to_owned()))
            .uuid("transfer_id", news.iter().map(|(_, item)| item.transfer_id.0))
            .integer("version", news.iter().map(|(_, item)| item.version))
            .text("event_type", news.iter().map(|(_, item)| item.event_type()))
            .text("state", news.iter().map(|(_, item)| item.state.as_str().to_owned()))
            .optional_text("reason", news.iter().map(|(_, item)| item.reason.clone()))
            .integer("occurred_at_us", news.iter().map(|(_, item)| to_us(item.now)));
        let insert = " insert into transfer_event
                (id, tenant_id, transfer_id, version, event_type, state, reason, occurred_at_us)
              select id, tenant_id, transfer_id, version, event_type, state, reason, occurred_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        let told: Vec<(Uuid, TransferNews)> =
            news.into_iter().filter(|(_, item)| item.tells && item.is_for_owners()).collect();
        self.tell_owners_of_transfers(transaction, told).await
    }

    async fn tell_owners_of_transfers(
        &self,
        transaction: &DatabaseTransaction,
        told: Vec<(Uuid, TransferNews)>,
    ) -> Result<(), StoreError> {
        if told.is_empty() {
            return Ok(());
        }
        let joined = match self.kind() {
            StoreKind::PostgreSql => "string_agg(a.position || ':' || a.vendor_risk, ',')",
            StoreKind::Sqlite => "group_concat(a.position || ':' || a.vendor_risk, ',')",
        };
        let rows = Rows::new().uuid("id", told.iter().map(|(_, item)| item.transfer_id.0));
        let (read, run) = (READ.replace("{joined}", joined), self.newest_run());
        let read = format!(" {read} {run} where {}", self.is_of_slice("t.id"));
        let found = all(transaction, self.statement_over(rows, vec![], &read)).await?;
        let mut known: HashMap<Uuid, &QueryResult> = HashMap::with_capacity(found.len());
        for row in &found {
            known.insert(row.try_get("", "id")?, row);
        }
        let mut events = Vec::with_capacity(told.len());
        for (id, item) in told {
            let row = known.get(&item.transfer_id.0).ok_or_else(|| {
                StoreError::Broken(format!("news of transfer {} that is not there", item.transfer_id))
            })?;
            let data = super::boleto::to_json(&ForOwners::read(row, &item)?)?;
            events.push(SubjectEvent { id, data, news: item.announcement() });
        }
        self.tell_events(transaction, events).await
    }
}

impl TransferNews {
    fn event_type(&self) -> String {
        format!("{}.{}", SubjectKind::Transfer.as_str(), self.state.as_str())
    }

    /// What lies between a transfer's beginning and its end is for those who watch.
    fn is_for_owners(&self) -> bool {
        OF_TRANSFERS.contains(&self.event_type().as_str())
    }

    fn announcement(self) -> Announcement {
        Announcement {
            event_type: self.event_type(),
            tenant_id: self.tenant_id,
            subject_kind: SubjectKind::Transfer,
            subject_id: self.transfer_id.0,
            version: self.version,
            endpoint_id: self.endpoint_id.map(|id| id.0),
            traceparent: self.traceparent,
            attempts_max: self.delivery_attempts_max,
            now: self.now,
        }
    }
}

impl ForOwners {
    fn read(row: &QueryResult, news: &TransferNews) -> Result<Self, StoreError> {
        let questions: Option<i64> = row.try_get("", "questions")?;
        let risks: Option<String> = row.try_get("", "risks")?;
        let recorded_at: Option<i64> = row.try_get("", "recorded_at_us")?;
        let recorded_at = recorded_at.map(from_us).transpose()?;
        Ok(Self {
            feed: row.try_get("", "feed")?,
            key: row.try_get("", "transfer_key")?,
            state: news.state.as_str(),
            reason: news.reason.clone(),
            run: row.try_get("", "run")?,
            analyzer: row.try_get("", "analyzer")?,
            formula: row.try_get("", "formula")?,
            result: row.try_get("", "result")?,
            vendor_risk_scores: questions.map(|count| scores(count, risks.as_deref())).transpose()?,
            questions,
            has_fillers: row.try_get::<Option<i64>>("", "has_fillers")? == Some(1),
            recorded_at: recorded_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            company_key: row.try_get("", "company_key")?,
            person_key: row.try_get("", "person_key")?,
        })
    }
}

/// The vendor risk scores by position, from `position:risk` joined by commas.
fn scores(questions: i64, risks: Option<&str>) -> Result<Vec<Option<u8>>, StoreError> {
    let unreadable = || StoreError::unreadable("vendor risks", risks.unwrap_or_default());
    let mut scores = vec![None; usize::try_from(questions).map_err(|_| unreadable())?];
    for part in risks.into_iter().flat_map(|risks| risks.split(',')) {
        let (position, risk) = part.split_once(':').ok_or_else(unreadable)?;
        let position: usize = position.parse().map_err(|_| unreadable())?;
        let risk = risk.parse().ok().and_then(|risk| VendorRisk::kept(risk, 0)).ok_or_else(unreadable)?;
        *scores.get_mut(position).ok_or_else(unreadable)? = Some(risk.score());
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_stand_in_their_places_and_nothing_stands_for_what_has_none() {
        assert_eq!(scores(4, Some("2:62,0:5")).unwrap(), [Some(95), None, Some(38), None]);
        assert_eq!(scores(2, None).unwrap(), [None, None]);
        assert!(scores(0, None).unwrap().is_empty());
        for bad in ["", "1", "a:1", "1:101", "2:5", "0:-1"] {
            assert!(scores(2, Some(bad)).is_err(), "{bad:?}");
        }
    }
}
