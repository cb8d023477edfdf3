//! Visits at banks: one for each consent in each run, and every request of it.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: a run and a consent have one visit, however often the run is begun
//! again, so that a crash doubles nothing. That visits by a consent fail is told its owner when it begins, and again after one
//! that came to a good end; a bank that wants to be left alone for a while is no failure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::news::News;
use super::{moment, moment_or_none, tenant_of};
use crate::domain::ids::{AccountId, ApiSessionId, ConsentId, PsuUserId, TenantId};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// The `sessionSource` of what a timetable does while nobody is present.
pub const SOURCE_TIMETABLE: i64 = 3;

pub(super) const COLUMNS: &str = "s.id, s.tenant_id, s.run_id, s.consent_id, s.user_id, s.aspsp, s.source, s.state, s.reason, s.news, \
     s.started_at_us, s.ended_at_us";

/// How a visit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisitState {
    Open,
    Ok,
    Failed,
    /// The bank wants to be left alone for a while: neither ok nor failed.
    RateLimited,
    Cancelled,
}

/// A visit at a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSession {
    pub id: ApiSessionId,
    pub tenant_id: TenantId,
    pub run_id: Uuid,
    pub consent_id: ConsentId,
    pub user_id: PsuUserId,
    pub aspsp: String,
    pub source: i64,
    pub state: VisitState,
    pub reason: Option<String>,
    /// Booked transactions that were new.
    pub news: i64,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// What a visit came to.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    pub id: ApiSessionId,
    pub state: VisitState,
    /// A name up to a colon, then words for people.
    pub reason: Option<String>,
    pub news: i64,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// One request to a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    pub id: Uuid,
    pub tenant_id: TenantId,
    /// None where a payment was asked about.
    pub session_id: Option<ApiSessionId>,
    pub run_id: Option<Uuid>,
    pub aspsp: String,
    pub endpoint: String,
    pub account_id: Option<AccountId>,
    pub request_id: Option<Uuid>,
    /// Of HTTP; none where there was no answer.
    pub status: Option<u16>,
    pub duration_us: i64,
    /// JSON of the headers that speak of limits.
    pub limits: Option<String>,
    pub error: Option<String>,
    pub sent_at: DateTime<Utc>,
}

/// A request of a visit, as far as it says how far the visit had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitCall {
    pub endpoint: String,
    pub account_id: Option<AccountId>,
    /// Something came of it.
    pub is_good: bool,
    pub sent_at: DateTime<Utc>,
}

impl VisitState {
    /// Every state there is.
    pub const ALL: [Self; 5] = [Self::Open, Self::Ok, Self::Failed, Self::RateLimited, Self::Cancelled];

    /// Its name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl Store {
    /// Opens visits, and returns each as it stands: the one that there was where the run has been there before. What is brought in
    /// from elsewhere may have ended already.
    pub async fn open_api_sessions(&self, items: &[ApiSession]) -> Vec<Result<ApiSession, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.open_session_group(transaction, items))
        })
        .await
    }

    async fn open_session_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[ApiSession],
    ) -> Result<Vec<ApiSession>, StoreError> {
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .uuid("run_id", items.iter().map(|item| item.run_id))
            .uuid("consent_id", items.iter().map(|item| item.consent_id.0))
            .uuid("user_id", items.iter().map(|item| item.user_id.0))
            .text("aspsp", items.iter().map(|item| item.aspsp.clone()))
            .integer("source", items.iter().map(|item| item.source))
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .optional_text("reason", items.iter().map(|item| item.reason.clone()))
            .integer("news", items.iter().map(|item| item.news))
            .integer("started_at_us", items.iter().map(|item| to_us(item.started_at)))
            .optional_integer("ended_at_us", items.iter().map(|item| item.ended_at.map(to_us)));
        let insert = " insert into api_session (id, tenant_id, run_id, consent_id, user_id, aspsp, source, state, reason, news,
                started_at_us, ended_at_us)
              select id, tenant_id, run_id, consent_id, user_id, aspsp, source, state, reason, news, started_at_us, ended_at_us
              from r where true order by run_id, consent_id on conflict (run_id, consent_id) do nothing";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.consent_id.0))
            .uuid("run_id", items.iter().map(|item| item.run_id));
        let find = format!(
            " select {COLUMNS} from api_session s where s.run_id {} and {}",
            self.is_one_of("run_id"),
            self.is_of_slice("s.consent_id")
        );
        let mut known = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            let session = read(&row)?;
            known.insert((session.run_id, session.consent_id), session);
        }
        let of = |item: &ApiSession| {
            let session = known.get(&(item.run_id, item.consent_id)).cloned();
            session.ok_or_else(|| StoreError::Broken("a visit is neither new nor known".to_owned()))
        };
        items.iter().map(of).collect()
    }

    /// Ends visits. False for one that had ended before.
    pub async fn close_api_sessions(&self, items: &[SessionEnd]) -> Vec<Result<bool, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.close_session_group(transaction, items))
        })
        .await
    }

    async fn close_session_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[SessionEnd],
    ) -> Result<Vec<bool>, StoreError> {
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .optional_text("reason", items.iter().map(|item| item.reason.clone()))
            .integer("news", items.iter().map(|item| item.news))
            .integer("ended_at_us", items.iter().map(|item| to_us(item.now)));
        let update = format!(
            " update api_session set state = r.state, reason = r.reason, news = r.news, ended_at_us = r.ended_at_us
              from r where api_session.id = r.id and {} and api_session.state = 'open' returning {}",
            self.is_of_slice("api_session.id"),
            COLUMNS.replace("s.", "api_session.")
        );
        let ended = all(transaction, self.statement_over(rows, vec![], &update)).await?;
        let ended: Vec<ApiSession> = ended.iter().map(read).collect::<Result<_, _>>()?;
        let failing = self.note_how_consents_fare(transaction, &ended).await?;
        // One visit by a consent tells of it, should several have failed at once.
        let mut tells = failing;
        let news = ended.iter().filter_map(|session| {
            if session.state != VisitState::Failed || !tells.remove(&session.consent_id) {
                return None;
            }
            let item = items.iter().find(|item| item.id == session.id)?;
            Some(News {
                subject: session.clone(),
                traceparent: item.traceparent.clone(),
                delivery_attempts_max: item.delivery_attempts_max,
                now: item.now,
            })
        });
        self.tell_owners(transaction, news.collect()).await?;
        let is_ended = |id: ApiSessionId| ended.iter().any(|session| session.id == id);
        // The second of two that name one visit hears that it had ended.
        let mut told = HashSet::new();
        Ok(items.iter().map(|item| is_ended(item.id) && told.insert(item.id)).collect())
    }

    /// Moves since when consents fail, and returns those that have begun to.
    async fn note_how_consents_fare(
        &self,
        transaction: &DatabaseTransaction,
        ended: &[ApiSession],
    ) -> Result<HashSet<ConsentId>, StoreError> {
        let mut said: Vec<(Uuid, bool, i64)> = ended
            .iter()
            .filter_map(|session| {
                let failed = match session.state {
                    VisitState::Failed => true,
                    VisitState::Ok => false,
                    VisitState::Open | VisitState::RateLimited | VisitState::Cancelled => return None,
                };
                Some((session.consent_id.0, failed, session.ended_at.map_or(0, to_us)))
            })
            .collect();
        said.sort_unstable();
        said.dedup_by_key(|(id, ..)| *id);
        if said.is_empty() {
            return Ok(HashSet::new());
        }
        self.hold_consents(transaction, said.iter().map(|(id, ..)| *id)).await?;
        let rows = Rows::new()
            .uuid("id", said.iter().map(|(id, ..)| *id))
            .integer("failed", said.iter().map(|(_, failed, _)| i64::from(*failed)))
            .integer("at_us", said.iter().map(|(.., at)| *at));
        // Only where it is news: most go well as they did before.
        let update = format!(
            " update consent set failing_since_us = case when r.failed = 1 then r.at_us end
              from r where consent.id = r.id and {} and (case when consent.failing_since_us is null then 0 else 1 end) <> r.failed
              returning consent.id, consent.failing_since_us",
            self.is_of_slice("consent.id")
        );
        let changed = all(transaction, self.statement_over(rows, vec![], &update)).await?;
        let mut failing = HashSet::new();
        for row in &changed {
            if moment_or_none(row, "failing_since_us")?.is_some() {
                failing.insert(ConsentId(row.try_get("", "id")?));
            }
        }
        Ok(failing)
    }

    /// The requests of a visit so far, in the order in which they were made.
    pub async fn calls_of_visit(&self, id: ApiSessionId) -> Result<Vec<VisitCall>, StoreError> {
        let find =
            "select endpoint, account_id, error, sent_at_us from api_call where session_id = $1 order by id";
        let statement = self.statement(find, [Value::from(id.0)]);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        let read = |row: &QueryResult| {
            let account: Option<Uuid> = row.try_get("", "account_id")?;
            let error: Option<String> = row.try_get("", "error")?;
            Ok(VisitCall {
                endpoint: row.try_get("", "endpoint")?,
                account_id: account.map(AccountId),
                is_good: error.is_none(),
                sent_at: moment(row, "sent_at_us")?,
            })
        };
        found.iter().map(read).collect()
    }

    /// Writes requests down, in one statement. One that was written before is left as it is.
    pub async fn record_api_calls(&self, items: &[ApiCall]) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .optional_uuid("session_id", items.iter().map(|item| item.session_id.map(|id| id.0)))
            .optional_uuid("run_id", items.iter().map(|item| item.run_id))
            .text("aspsp", items.iter().map(|item| item.aspsp.clone()))
            .text("endpoint", items.iter().map(|item| item.endpoint.clone()))
            .optional_uuid("account_id", items.iter().map(|item| item.account_id.map(|id| id.0)))
            .optional_uuid("request_id", items.iter().map(|item| item.request_id))
            .optional_integer("status", items.iter().map(|item| item.status.map(i64::from)))
            .integer("duration_us", items.iter().map(|item| item.duration_us))
            .optional_text("limits", items.iter().map(|item| item.limits.clone()))
            .optional_text("error", items.iter().map(|item| item.error.clone()))
            .integer("sent_at_us", items.iter().map(|item| to_us(item.sent_at)));
        let insert = " insert into api_call (id, tenant_id, session_id, run_id, aspsp, endpoint, account_id, request_id, status,
                duration_us, limits, error, sent_at_us)
              select id, tenant_id, session_id, run_id, aspsp, endpoint, account_id, request_id, status, duration_us, limits,
                error, sent_at_us from r where true on conflict (id) do nothing";
        let statement = self.statement_over(rows, vec![], insert);
        self.within(async { execute(&self.inner.writer, statement).await }).await.map(|_| ())
    }
}

pub(super) fn read(row: &QueryResult) -> Result<ApiSession, StoreError> {
    let state: String = row.try_get("", "state")?;
    Ok(ApiSession {
        id: ApiSessionId(row.try_get("", "id")?),
        tenant_id: tenant_of(row)?,
        run_id: row.try_get("", "run_id")?,
        consent_id: ConsentId(row.try_get("", "consent_id")?),
        user_id: PsuUserId(row.try_get("", "user_id")?),
        aspsp: row.try_get("", "aspsp")?,
        source: row.try_get("", "source")?,
        state: VisitState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        reason: row.try_get("", "reason")?,
        news: row.try_get("", "news")?,
        started_at: moment(row, "started_at_us")?,
        ended_at: moment_or_none(row, "ended_at_us")?,
    })
}
