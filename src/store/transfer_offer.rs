//! What a feed offers becomes rows, in groups: seen twice is one.
//!
//! Most of what a feed offers after a reconnection is known already, so that known keys are looked for first and cost one read a
//! group. What two processes offer at the same moment is settled by the unique key: the one that comes second reads what the
//! first has written.
//!
//! **Owns** nothing. **Fails** as the store does, per offer. **Limits**: groups of the caller's lanes, up to 512 on SQLite, which
//! binds at most 32,766 values a statement.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::all;
use super::transfer::transfer_work_key;
use super::transfer_event::TransferNews;
use super::transfer_run::run_payload;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::{TenantId, TransferId, WorkId};
use crate::domain::transfer::judgement::Judgement;
use crate::domain::transfer::{TransferKey, TransferState};
use crate::domain::work::{NewWork, kind};

/// A record that a feed offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Of the transfer, should it be new.
    pub id: TransferId,
    pub tenant_id: TenantId,
    pub feed: String,
    pub key: TransferKey,
    pub judgement: Judgement,
    pub recorded_at: Option<DateTime<Utc>>,
    pub company_key: Option<String>,
    pub survey_key: Option<String>,
    pub person_key: Option<String>,
    pub user_key: Option<String>,
    pub alias_key: Option<TransferKey>,
    /// Where it waits for its analysis.
    pub queue: String,
    /// Smaller goes first; 0 for what a feed offers by itself.
    pub priority: i64,
    /// Attempts of its analysis at most.
    pub attempts_max: i64,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It was not known, and is in this state.
    New { id: TransferId, state: TransferState },
    /// It had been skipped, before any run, for a reason that holds no longer; it is queued now.
    QueuedAfterAll { id: TransferId },
    /// It is known, and nothing was changed.
    Known { id: TransferId, state: TransferState },
}

/// By what an offer is one.
type Name<'a> = (&'a str, &'a str, &'a str);

/// A transfer that was here before.
struct Known {
    id: TransferId,
    state: TransferState,
    run: i64,
}

/// The known ones by their names.
type KnownByName<'a> = HashMap<Name<'a>, Known>;

impl Store {
    /// Writes offers down: transfer, event, and the work of those that are to be analysed; owners are told of what is skipped
    /// or failed at once. Several offers of one key in one group are one: the last, for the feed said it last; the others hear
    /// that it is known.
    pub async fn offer_transfers(&self, items: &[Offer]) -> Vec<Result<Offered, StoreError>> {
        crate::failpoint::reached("transfer.offer.before");
        let offered = self.in_group(items, |store, transaction, items| {
            Box::pin(store.offer_transfer_group(transaction, items))
        });
        let offered = offered.await;
        crate::failpoint::reached("transfer.offer.after");
        offered
    }

    async fn offer_transfer_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Offer],
    ) -> Result<Vec<Offered>, StoreError> {
        let by_name: HashMap<Name<'_>, &Offer> = items.iter().map(|item| (item.name(), item)).collect();
        let offers: Vec<&Offer> =
            items.iter().filter(|item| std::ptr::eq(by_name[&item.name()], *item)).collect();
        let mut known = self.find_offered(transaction, &offers).await?;
        let unknown: Vec<&Offer> =
            offers.iter().copied().filter(|offer| !known.contains_key(&offer.name())).collect();
        let new = self.insert_transfers(transaction, &unknown).await?;
        let (new, came_second): (Vec<&Offer>, Vec<&Offer>) =
            unknown.into_iter().partition(|offer| new.contains(&offer.id));
        known.extend(self.find_offered(transaction, &came_second).await?);
        let wanted: Vec<(&Offer, &Known)> = offers
            .iter()
            .filter_map(|offer| Some((*offer, known.get(&offer.name())?)))
            .filter(|(offer, known)| offer.judgement == Judgement::Queue && known.waits_for_a_better_word())
            .collect();
        let wanted = self.queue_after_all(transaction, &wanted).await?;
        let mut work = Vec::new();
        for offer in new.iter().filter(|offer| offer.judgement == Judgement::Queue) {
            work.push(offer.work(offer.id)?);
        }
        for (offer, id, _) in &wanted {
            work.push(offer.work(*id)?);
        }
        self.insert_work(transaction, &work).await?;
        let after_all = wanted.iter().map(|(offer, id, version)| offer.news(*id, *version));
        let news = new.iter().map(|offer| offer.news(offer.id, 1)).chain(after_all).collect();
        self.note_transfers(transaction, news).await?;
        let mut offered: HashMap<TransferId, Offered> =
            new.iter().map(|offer| (offer.id, Offered::New { id: offer.id, state: offer.state() })).collect();
        offered.extend(wanted.iter().map(|(offer, id, _)| (offer.id, Offered::QueuedAfterAll { id: *id })));
        items.iter().map(|item| outcome(item, &offered, &known, by_name[&item.name()])).collect()
    }

    /// Which of these are known, and how they stand.
    async fn find_offered<'a>(
        &self,
        transaction: &DatabaseTransaction,
        offers: &[&'a Offer],
    ) -> Result<KnownByName<'a>, StoreError> {
        if offers.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = Rows::new()
            .integer("place", (0_i64..).take(offers.len()))
            .text("tenant_id", offers.iter().map(|offer| offer.tenant_id.as_str().to_owned()))
            .text("feed", offers.iter().map(|offer| offer.feed.clone()))
            .text("transfer_key", offers.iter().map(|offer| offer.key.as_str().to_owned()));
        let find = match self.kind() {
            StoreKind::PostgreSql => FIND_POSTGRES,
            StoreKind::Sqlite => FIND_SQLITE,
        };
        let mut known = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], find)).await? {
            let place: i64 = row.try_get("", "place")?;
            let offer = usize::try_from(place).ok().and_then(|place| offers.get(place));
            let offer = offer.ok_or_else(|| StoreError::unreadable("place", place))?;
            known.insert(offer.name(), Known::read(&row)?);
        }
        Ok(known)
    }

    /// Inserts transfers, and returns the ids of those that nobody else has inserted meanwhile. In the order of their names, so
    /// that two groups at once wait for each other in one direction only.
    async fn insert_transfers(
        &self,
        transaction: &DatabaseTransaction,
        offers: &[&Offer],
    ) -> Result<HashSet<TransferId>, StoreError> {
        if offers.is_empty() {
            return Ok(HashSet::new());
        }
        let mut offers = offers.to_vec();
        offers.sort_unstable_by_key(|offer| offer.name());
        let rows = Rows::new()
            .uuid("id", offers.iter().map(|offer| offer.id.0))
            .text("tenant_id", offers.iter().map(|offer| offer.tenant_id.as_str().to_owned()))
            .text("feed", offers.iter().map(|offer| offer.feed.clone()))
            .text("transfer_key", offers.iter().map(|offer| offer.key.as_str().to_owned()))
            .text("state", offers.iter().map(|offer| offer.state().as_str().to_owned()))
            .optional_text("reason", offers.iter().map(|offer| offer.reason().map(str::to_owned)))
            .optional_integer("recorded_at_us", offers.iter().map(|offer| offer.recorded_at.map(to_us)))
            .optional_text("company_key", offers.iter().map(|offer| offer.company_key.clone()))
            .optional_text("survey_key", offers.iter().map(|offer| offer.survey_key.clone()))
            .optional_text("person_key", offers.iter().map(|offer| offer.person_key.clone()))
            .optional_text("user_key", offers.iter().map(|offer| offer.user_key.clone()))
            .optional_text("alias_key", offers.iter().map(|offer| offer.alias_text()))
            .optional_text("traceparent", offers.iter().map(|offer| offer.traceparent.clone()))
            .integer("now_us", offers.iter().map(|offer| to_us(offer.now)));
        let insert = " insert into transfer (id, tenant_id, feed, transfer_key, state, reason, recorded_at_us, company_key,
                survey_key, person_key, user_key, alias_key, run, claims, tells_owners, version, traceparent, created_at_us,
                updated_at_us)
              select id, tenant_id, feed, transfer_key, state, reason, recorded_at_us, company_key, survey_key, person_key,
                user_key, alias_key, 0, 0, 1, 1, traceparent, now_us, now_us from r where true
              on conflict (tenant_id, feed, transfer_key) do nothing returning id";
        let inserted = all(transaction, self.statement_over(rows, vec![], insert)).await?;
        inserted.iter().map(|row| Ok(TransferId(row.try_get("", "id")?))).collect()
    }

    /// Queues transfers that had been skipped, unless somebody has done so meanwhile; returns them with their new versions.
    async fn queue_after_all<'a>(
        &self,
        transaction: &DatabaseTransaction,
        wanted: &[(&'a Offer, &Known)],
    ) -> Result<Vec<(&'a Offer, TransferId, i64)>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Rows::new()
            .uuid("id", wanted.iter().map(|(_, known)| known.id.0))
            .optional_integer("recorded_at_us", wanted.iter().map(|(offer, _)| offer.recorded_at.map(to_us)))
            .optional_text("company_key", wanted.iter().map(|(offer, _)| offer.company_key.clone()))
            .optional_text("survey_key", wanted.iter().map(|(offer, _)| offer.survey_key.clone()))
            .optional_text("person_key", wanted.iter().map(|(offer, _)| offer.person_key.clone()))
            .optional_text("user_key", wanted.iter().map(|(offer, _)| offer.user_key.clone()))
            .optional_text("alias_key", wanted.iter().map(|(offer, _)| offer.alias_text()))
            .optional_text("traceparent", wanted.iter().map(|(offer, _)| offer.traceparent.clone()))
            .integer("now_us", wanted.iter().map(|(offer, _)| to_us(offer.now)));
        // What the record says has changed with its judgement. Spelled so that no index of states is taken for a way to them.
        let update = " update transfer set state = 'queued', reason = null, recorded_at_us = r.recorded_at_us,
                company_key = r.company_key, survey_key = r.survey_key, person_key = r.person_key, user_key = r.user_key,
                alias_key = r.alias_key, traceparent = r.traceparent, version = transfer.version + 1,
                updated_at_us = r.now_us
              from r where transfer.id = r.id and {is_named}
                and case transfer.state when 'skipped' then transfer.run end = 0
              returning transfer.id, transfer.version";
        let update = update.replace("{is_named}", &self.is_of_slice("transfer.id"));
        let update = self.statement_over(rows, vec![], &update);
        let by_id: HashMap<TransferId, &'a Offer> =
            wanted.iter().map(|(offer, known)| (known.id, *offer)).collect();
        let mut queued = Vec::new();
        for row in all(transaction, update).await? {
            let id = TransferId(row.try_get("", "id")?);
            queued.push((by_id[&id], id, row.try_get("", "version")?));
        }
        Ok(queued)
    }
}

/// By the feed's key alone, which is in front of the unique index, and fenced in, so that no plan made while the table was empty
/// goes along another index or reads the table for the slice.
const FIND_POSTGRES: &str = " select r.place, t.id, t.state, t.run from r cross join lateral (
        select * from transfer where transfer_key = r.transfer_key and feed = r.feed offset 0
      ) t where t.tenant_id = r.tenant_id";
/// The order of a cross join is kept.
const FIND_SQLITE: &str = " select r.place, t.id, t.state, t.run from r cross join transfer t
      on t.transfer_key = r.transfer_key and t.feed = r.feed and t.tenant_id = r.tenant_id";

/// What one offer came to. `counted` is the one of its name that stands for all of the group.
fn outcome(
    item: &Offer,
    offered: &HashMap<TransferId, Offered>,
    known: &KnownByName<'_>,
    counted: &Offer,
) -> Result<Offered, StoreError> {
    let is_counted = std::ptr::eq(item, counted);
    match offered.get(&counted.id) {
        Some(offered) if is_counted => Ok(*offered),
        Some(Offered::New { id, state } | Offered::Known { id, state }) => {
            Ok(Offered::Known { id: *id, state: *state })
        }
        Some(Offered::QueuedAfterAll { id }) => Ok(Offered::Known { id: *id, state: TransferState::Queued }),
        None => {
            let known = known.get(&item.name());
            let known =
                known.ok_or_else(|| StoreError::Broken("an offer is neither new nor known".to_owned()))?;
            Ok(Offered::Known { id: known.id, state: known.state })
        }
    }
}

impl Known {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let state: String = row.try_get("", "state")?;
        Ok(Self {
            id: TransferId(row.try_get("", "id")?),
            state: TransferState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
            run: row.try_get("", "run")?,
        })
    }

    /// Whether it was skipped for what its record said, which may say otherwise now. After a run it is for somebody to decide.
    fn waits_for_a_better_word(&self) -> bool {
        self.state == TransferState::Skipped && self.run == 0
    }
}

impl Offer {
    fn name(&self) -> Name<'_> {
        (self.tenant_id.as_str(), &self.feed, self.key.as_str())
    }

    fn state(&self) -> TransferState {
        match self.judgement {
            Judgement::Queue => TransferState::Queued,
            Judgement::Skip(_) => TransferState::Skipped,
            Judgement::Fail(_) => TransferState::Failed,
        }
    }

    fn reason(&self) -> Option<&str> {
        match &self.judgement {
            Judgement::Queue => None,
            Judgement::Skip(reason) | Judgement::Fail(reason) => Some(reason),
        }
    }

    fn alias_text(&self) -> Option<String> {
        self.alias_key.as_ref().map(|key| key.as_str().to_owned())
    }

    fn work(&self, transfer_id: TransferId) -> Result<NewWork, StoreError> {
        Ok(NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: self.tenant_id.clone(),
            kind: kind::TRANSFER_ANALYSE,
            queue: self.queue.clone(),
            priority: self.priority,
            run_at: self.now,
            attempts_max: self.attempts_max,
            unique_key: Some(transfer_work_key(transfer_id)),
            subject_id: transfer_id.0,
            payload: run_payload(1)?,
            traceparent: self.traceparent.clone(),
            claimed_by: None,
            sent_at: None,
            created_at: self.now,
        })
    }

    fn news(&self, transfer_id: TransferId, version: i64) -> TransferNews {
        TransferNews {
            tenant_id: self.tenant_id.clone(),
            transfer_id,
            version,
            state: self.state(),
            reason: self.reason().map(str::to_owned),
            tells: true,
            endpoint_id: None,
            traceparent: self.traceparent.clone(),
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        }
    }
}
