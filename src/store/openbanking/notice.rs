//! The end of consents, and what their owners hear of it: ahead, and once.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what is looked at is what has something to tell, along an index; a
//! slice at a time, each a transaction of its own, and several processes share them out.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use uuid::Uuid;

use super::consent::{COLUMNS, Consent, read};
use super::news::News;
use crate::domain::ids::{ConsentId, TenantId};
use crate::domain::openbanking::consent::{ConsentStatus, Notice, next_notice, notice_at};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, StoreKind, to_us};

/// Why a consent has ended by its clock.
const ITS_END: &str = "its_end: it was valid until then";

/// A consent that has ended before its end.
#[derive(Debug, Clone)]
pub struct ConsentEnd {
    pub id: ConsentId,
    pub tenant_id: TenantId,
    /// Expired or revoked.
    pub status: ConsentStatus,
    /// A name up to a colon, then words for people.
    pub reason: String,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What a look at the consents came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noticed {
    pub warned: u64,
    pub expired: u64,
    /// There may be more.
    pub more: bool,
}

impl Store {
    /// Ends consents, and tells their owners in the same transaction. False for one that had ended, or is not there: it is told of
    /// once.
    pub async fn end_consents(&self, items: &[ConsentEnd]) -> Vec<Result<bool, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.end_consent_group(transaction, items))
        })
        .await
    }

    pub(super) async fn end_consent_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[ConsentEnd],
    ) -> Result<Vec<bool>, StoreError> {
        if items.is_empty() {
            return Ok(vec![]);
        }
        let mut sorted: Vec<&ConsentEnd> = items.iter().collect();
        sorted.sort_unstable_by_key(|item| item.id.0);
        sorted.dedup_by_key(|item| item.id);
        self.hold_consents(transaction, sorted.iter().map(|item| item.id.0)).await?;
        let rows = Rows::new()
            .uuid("id", sorted.iter().map(|item| item.id.0))
            .text("tenant_id", sorted.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("status", sorted.iter().map(|item| item.status.as_str().to_owned()))
            .text("reason", sorted.iter().map(|item| item.reason.clone()))
            .integer("now_us", sorted.iter().map(|item| to_us(item.now)));
        let update = format!(
            " update consent set status = r.status, reason = r.reason, notice_at_us = null, refreshing_until_us = null,
                version = consent.version + 1, updated_at_us = r.now_us
              from r where consent.id = r.id and consent.tenant_id = r.tenant_id and {}
                and consent.status in ('received', 'valid')
              returning {}",
            self.is_of_slice("consent.id"),
            COLUMNS.replace("c.", "consent.")
        );
        let ended = all(transaction, self.statement_over(rows, vec![], &update)).await?;
        let ended: Vec<Consent> = ended.iter().map(read).collect::<Result<_, _>>()?;
        let is_ended = |id: ConsentId| ended.iter().any(|consent| consent.id == id);
        // The second of two that name one consent hears that it had ended.
        let mut told = std::collections::HashSet::new();
        let outcomes = items.iter().map(|item| is_ended(item.id) && told.insert(item.id)).collect();
        let news = ended.iter().filter_map(|consent| {
            let item = sorted.iter().find(|item| item.id == consent.id)?;
            Some(News {
                subject: consent.clone(),
                traceparent: item.traceparent.clone(),
                delivery_attempts_max: item.delivery_attempts_max,
                now: item.now,
            })
        });
        self.forget_means_of(transaction, ended.iter().map(|consent| consent.id)).await?;
        self.tell_owners(transaction, news.collect()).await?;
        Ok(outcomes)
    }

    /// What lets us in by an ended consent is kept no longer, nor how often it may be used.
    pub(super) async fn forget_means_of(
        &self,
        transaction: &DatabaseTransaction,
        consents: impl IntoIterator<Item = ConsentId>,
    ) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = consents.into_iter().map(|id| id.0).collect();
        if ids.is_empty() {
            return Ok(());
        }
        for (table, column) in
            [("consent_token", "consent_id"), ("back_off", "consent_id"), ("quota", "holder_id")]
        {
            let rows = Rows::new().uuid("id", ids.iter().copied());
            let forget = format!(" delete from {table} where {}", self.is_of_slice(column));
            execute(transaction, self.statement_over(rows, vec![], &forget)).await?;
        }
        Ok(())
    }

    /// Warns of consents that end in 14, 7 and 1 days, and ends those whose end has come; `limit` of them at most.
    pub async fn notice_consents(
        &self,
        now: DateTime<Utc>,
        limit: i64,
        delivery_attempts_max: i64,
    ) -> Result<Noticed, StoreError> {
        let (transaction, noticed) = self
            .within(async {
                let transaction = self.begin().await?;
                let noticed = self.notice_in(&transaction, now, limit, delivery_attempts_max).await?;
                Ok((transaction, noticed))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(noticed)
    }

    async fn notice_in(
        &self,
        transaction: &DatabaseTransaction,
        now: DateTime<Utc>,
        limit: i64,
        delivery_attempts_max: i64,
    ) -> Result<Noticed, StoreError> {
        // What another process has in hand is that one's to tell.
        let lock =
            if self.kind() == StoreKind::PostgreSql { "for no key update of c skip locked" } else { "" };
        let find = self.statement(
            &format!(
                "select {COLUMNS} from consent c where c.notice_at_us is not null and c.notice_at_us <= $1
                 order by c.notice_at_us, c.id limit $2 {lock}"
            ),
            [Value::from(to_us(now)), Value::from(limit)],
        );
        let due = all(transaction, find).await?;
        let due: Vec<Consent> = due.iter().map(read).collect::<Result<_, _>>()?;
        let mut noticed = Noticed {
            more: i64::try_from(due.len()).is_ok_and(|count| count >= limit),
            ..Noticed::default()
        };
        let (mut ending, mut warned) = (Vec::new(), Vec::new());
        for consent in due {
            // One without an end has nothing to tell, ever.
            let next = consent.valid_until.map_or(DateTime::<Utc>::MAX_UTC, |end| next_notice(end, now));
            match consent.valid_until.and_then(|end| notice_at(end, now)) {
                Some(Notice::Expired) => ending.push(consent.end_by_its_clock(delivery_attempts_max, now)),
                Some(Notice::Expiring { .. }) | None => warned.push((consent, next)),
            }
        }
        let ended = self.end_consent_group(transaction, &ending).await?;
        noticed.expired = ended.into_iter().filter(|ended| *ended).count() as u64;
        noticed.warned = self.warn_of(transaction, warned, delivery_attempts_max, now).await?;
        Ok(noticed)
    }

    async fn warn_of(
        &self,
        transaction: &DatabaseTransaction,
        warned: Vec<(Consent, DateTime<Utc>)>,
        delivery_attempts_max: i64,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        if warned.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new()
            .uuid("id", warned.iter().map(|(consent, _)| consent.id.0))
            .integer("notice_at_us", warned.iter().map(|(_, next)| to_us(*next)));
        let update = format!(
            " update consent set notice_at_us = r.notice_at_us, version = consent.version + 1, updated_at_us = $1
              from r where consent.id = r.id and {}",
            self.is_of_slice("consent.id")
        );
        execute(transaction, self.statement_over(rows, vec![Value::from(to_us(now))], &update)).await?;
        // Of one that nobody has allowed yet there is nothing to be sorry for.
        let told = warned.into_iter().filter(|(consent, _)| {
            consent.status == ConsentStatus::Valid
                && consent.valid_until.and_then(|end| notice_at(end, now)).is_some()
        });
        let news: Vec<News<Consent>> = told
            .map(|(consent, _)| News {
                subject: Consent { version: consent.version + 1, ..consent },
                traceparent: None,
                delivery_attempts_max,
                now,
            })
            .collect();
        let count = news.len() as u64;
        self.tell_owners(transaction, news).await?;
        Ok(count)
    }

    /// When there is something to tell of a consent next; none where there is nothing.
    pub async fn next_consent_notice(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let find = "select notice_at_us from consent where notice_at_us is not null order by notice_at_us, id limit 1";
        let statement = self.statement(find, []);
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(|row| super::moment(row, "notice_at_us")).transpose()
    }
}

impl Consent {
    fn end_by_its_clock(&self, delivery_attempts_max: i64, now: DateTime<Utc>) -> ConsentEnd {
        ConsentEnd {
            id: self.id,
            tenant_id: self.tenant_id.clone(),
            status: ConsentStatus::Expired,
            reason: ITS_END.to_owned(),
            traceparent: None,
            delivery_attempts_max,
            now,
        }
    }
}
