//! What banks answer about payments, written down: an end is an end, whoever comes second, and owners are told of it in the same
//! transaction.
//!
//! A bundle of which the bank says that its children are to be asked ends with the last of them, in the transaction in which that
//! one ends.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what has ended changes no more by anything that a bank says; locks
//! are taken children first, parents behind them, each in the order of ids.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::news::News;
use super::payment::{COLUMNS, Payment, read, state_of};
use super::rounds;
use crate::domain::ids::{PaymentId, TenantId};
use crate::domain::openbanking::payment::{Meaning, PaymentState, state_of_children};
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, to_us};

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The bank's word, and what it means.
    Status { raw: String, meaning: Meaning },
    /// Its token is not taken, or the bank does not know it: nothing is known, and nothing is guessed.
    Unverifiable { reason: String },
    /// No answer, or none that says anything: it is asked about again.
    Nothing { reason: String },
    /// Past the age limit.
    GivenUp { reason: String },
}

/// An answer about one payment.
#[derive(Debug, Clone)]
pub struct PaymentAnswer {
    pub id: PaymentId,
    pub tenant_id: TenantId,
    pub answer: Answer,
    /// The bank's name for it, where that was not known.
    pub external_id: Option<String>,
    /// Due in every run that begins behind it.
    pub next_ask_at: DateTime<Utc>,
    pub traceparent: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It goes on.
    InProgress,
    /// It has ended by this, or is unresolved by it.
    Ended(PaymentState),
    /// It had ended before, and nothing was changed.
    Before(PaymentState),
    NotFound,
}

/// What a payment is from now on.
pub(super) struct Change<'a> {
    item: &'a PaymentAnswer,
    state: PaymentState,
    raw_status: Option<&'a str>,
    is_unknown: bool,
    is_unverifiable: bool,
    asks_children: bool,
    reason: Option<&'a str>,
    was_asked: bool,
}

/// In which order payments are locked, before their ids.
pub(super) const CHILDREN_FIRST: &str = "case when p.parent_id is null then 1 else 0 end";

impl Store {
    /// Writes answers down. Of two about one payment the first is written, and what it has ended is ended for the second.
    pub async fn settle_payments(&self, items: &[PaymentAnswer]) -> Vec<Result<Answered, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.settle_payment_group(transaction, items))
        })
        .await
    }

    async fn settle_payment_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[PaymentAnswer],
    ) -> Result<Vec<Answered>, StoreError> {
        let mut answered = vec![Answered::NotFound; items.len()];
        for round in rounds(items, |item| item.id) {
            let named: Vec<&PaymentAnswer> = round.iter().map(|place| &items[*place]).collect();
            for (place, one) in round.into_iter().zip(self.settle_round(transaction, &named).await?) {
                answered[place] = one;
            }
        }
        Ok(answered)
    }

    async fn settle_round(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&PaymentAnswer],
    ) -> Result<Vec<Answered>, StoreError> {
        let before = self.lock_payments(transaction, items.iter().map(|item| item.id.0)).await?;
        let of =
            |item: &PaymentAnswer| before.get(&item.id).filter(|payment| payment.tenant_id == item.tenant_id);
        let mut changes = Vec::new();
        for item in items {
            let Some(payment) = of(item).filter(|payment| payment.state == PaymentState::InProgress) else {
                continue;
            };
            changes.push(item.change(payment));
        }
        let changed = self.write_changes(transaction, &changes).await?;
        let mut ended: HashMap<PaymentId, PaymentState> = HashMap::new();
        let mut news = Vec::new();
        for payment in changed.into_iter().filter(|payment| payment.state != PaymentState::InProgress) {
            ended.insert(payment.id, payment.state);
            let item = items.iter().find(|item| item.id == payment.id);
            news.extend(item.map(|item| item.news(payment)));
        }
        let parents = self.end_parents(transaction, &changes, &news).await?;
        ended.extend(parents.iter().map(|item| (item.subject.id, item.subject.state)));
        news.extend(parents);
        self.tell_owners(transaction, news).await?;
        let answered = |item: &PaymentAnswer| match of(item) {
            None => Answered::NotFound,
            Some(payment) if payment.state != PaymentState::InProgress => Answered::Before(payment.state),
            Some(_) => ended.get(&item.id).map_or(Answered::InProgress, |state| Answered::Ended(*state)),
        };
        Ok(items.iter().map(|item| answered(item)).collect())
    }

    /// Holds payments and those whose children they are until the transaction ends, and returns them all: children first and then
    /// the others, each in the order of ids, so that nobody is ever waited for in both directions.
    pub(super) async fn lock_payments(
        &self,
        transaction: &DatabaseTransaction,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashMap<PaymentId, Payment>, StoreError> {
        // Whose child a payment is never changes, so that it can be looked up before anything is held.
        let find = format!(
            ", held(id) as (
                select id from r union select p.parent_id from payment p where {} and p.parent_id is not null
              )
              select {COLUMNS} from payment p where {} order by {CHILDREN_FIRST}, p.id {}",
            self.is_of_slice("p.id"),
            self.is_id_of("held", "p.id"),
            self.for_update()
        );
        let found = all(transaction, self.statement_over(Rows::new().uuid("id", ids), vec![], &find)).await?;
        found.iter().map(|row| read(row).map(|payment| (payment.id, payment))).collect()
    }

    async fn write_changes(
        &self,
        transaction: &DatabaseTransaction,
        changes: &[Change<'_>],
    ) -> Result<Vec<Payment>, StoreError> {
        if changes.is_empty() {
            return Ok(vec![]);
        }
        let flag = |of: fn(&Change<'_>) -> bool| changes.iter().map(move |change| i64::from(of(change)));
        let ended =
            |change: &Change<'_>| (change.state != PaymentState::InProgress).then(|| to_us(change.item.now));
        let rows = Rows::new()
            .uuid("id", changes.iter().map(|change| change.item.id.0))
            .text("state", changes.iter().map(|change| change.state.as_str().to_owned()))
            .optional_text("raw_status", changes.iter().map(|change| change.raw_status.map(str::to_owned)))
            .integer("is_unknown", flag(|change| change.is_unknown))
            .integer("is_unverifiable", flag(|change| change.is_unverifiable))
            .integer("asks_children", flag(|change| change.asks_children))
            .optional_text("reason", changes.iter().map(|change| change.reason.map(str::to_owned)))
            .integer("was_asked", flag(|change| change.was_asked))
            .integer("is_final", flag(|change| change.state.is_final()))
            .integer("next_us", changes.iter().map(|change| to_us(change.item.next_ask_at)))
            .optional_text("external_id", changes.iter().map(|change| change.item.external_id.clone()))
            .integer("now_us", changes.iter().map(|change| to_us(change.item.now)))
            .optional_integer("ended_at_us", changes.iter().map(ended));
        // A name that another payment has already is not taken over: it would be one too many, and the answer would be lost.
        let is_free = "r.external_id is not null and not exists (
                select 1 from payment o where o.external_id = r.external_id and o.aspsp = payment.aspsp
                  and o.tenant_id = payment.tenant_id and o.id <> payment.id)";
        // Nobody needs the token of what has ended.
        let update = format!(
            " update payment set state = r.state, raw_status = coalesce(r.raw_status, payment.raw_status),
                is_unknown = r.is_unknown, is_unverifiable = r.is_unverifiable, asks_children = r.asks_children,
                reason = r.reason, asked_at_us = case when r.was_asked = 1 then r.now_us else payment.asked_at_us end,
                asks = payment.asks + r.was_asked, next_ask_at_us = r.next_us,
                external_id = case when {is_free} then r.external_id else payment.external_id end,
                is_our_name = case when {is_free} then 0 else payment.is_our_name end,
                token_sealed = case when r.is_final = 1 then null else payment.token_sealed end,
                version = payment.version + 1, updated_at_us = r.now_us, ended_at_us = r.ended_at_us
              from r where payment.id = r.id and {} and payment.state = 'in_progress' returning {}",
            self.is_of_slice("payment.id"),
            COLUMNS.replace("p.", "payment.")
        );
        all(transaction, self.statement_over(rows, vec![], &update)).await?.iter().map(read).collect()
    }

    /// Ends the bundles of which this was the last child, and those that say that their children have ended already.
    pub(super) async fn end_parents(
        &self,
        transaction: &DatabaseTransaction,
        changes: &[Change<'_>],
        ended: &[News<Payment>],
    ) -> Result<Vec<News<Payment>>, StoreError> {
        let of_children = ended.iter().filter_map(|news| Some((news.subject.parent_id?, news)));
        // By whose answer each would end.
        let mut told: HashMap<PaymentId, (Option<String>, i64, DateTime<Utc>)> = of_children
            .map(|(parent, news)| (parent, (news.traceparent.clone(), news.delivery_attempts_max, news.now)))
            .collect();
        for change in changes.iter().filter(|change| change.asks_children) {
            let item = change.item;
            told.insert(item.id, (item.traceparent.clone(), item.delivery_attempts_max, item.now));
        }
        if told.is_empty() {
            return Ok(vec![]);
        }
        let parents = self.lock_payments(transaction, told.keys().map(|id| id.0)).await?;
        let waiting: Vec<&Payment> = parents
            .values()
            .filter(|parent| parent.state == PaymentState::InProgress && parent.asks_children)
            .collect();
        let mut children = self.states_of_children(transaction, &waiting).await?;
        let mut ends = Vec::new();
        for parent in waiting {
            let state = state_of_children(&children.remove(&parent.id).unwrap_or_default());
            let Some((_, _, now)) = told.get(&parent.id) else { continue };
            if state.is_final() {
                ends.push((parent.id, state, *now));
            }
        }
        let ended = self.write_ends(transaction, &ends).await?;
        let news = ended.into_iter().filter_map(|payment| {
            let (traceparent, delivery_attempts_max, now) = told.get(&payment.id)?.clone();
            Some(News { subject: payment, traceparent, delivery_attempts_max, now })
        });
        Ok(news.collect())
    }

    async fn states_of_children(
        &self,
        transaction: &DatabaseTransaction,
        parents: &[&Payment],
    ) -> Result<HashMap<PaymentId, Vec<PaymentState>>, StoreError> {
        let mut states: HashMap<PaymentId, Vec<PaymentState>> = HashMap::new();
        if parents.is_empty() {
            return Ok(states);
        }
        let rows = Rows::new().uuid("id", parents.iter().map(|parent| parent.id.0));
        // As many as there are states, however many the children.
        let find = format!(
            " select p.parent_id, p.state from payment p where {} and p.parent_id is not null group by p.parent_id, p.state",
            self.is_of_slice("p.parent_id")
        );
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            states.entry(PaymentId(row.try_get("", "parent_id")?)).or_default().push(state_of(&row)?);
        }
        Ok(states)
    }

    async fn write_ends(
        &self,
        transaction: &DatabaseTransaction,
        ends: &[(PaymentId, PaymentState, DateTime<Utc>)],
    ) -> Result<Vec<Payment>, StoreError> {
        if ends.is_empty() {
            return Ok(vec![]);
        }
        let rows = Rows::new()
            .uuid("id", ends.iter().map(|(id, ..)| id.0))
            .text("state", ends.iter().map(|(_, state, _)| state.as_str().to_owned()))
            .integer("now_us", ends.iter().map(|(.., now)| to_us(*now)));
        let update = format!(
            " update payment set state = r.state, token_sealed = null, version = payment.version + 1, updated_at_us = r.now_us,
                ended_at_us = r.now_us
              from r where payment.id = r.id and {} and payment.state = 'in_progress' returning {}",
            self.is_of_slice("payment.id"),
            COLUMNS.replace("p.", "payment.")
        );
        let ended: Result<_, _> = all(transaction, self.statement_over(rows, vec![], &update))
            .await?
            .iter()
            .map(|row: &QueryResult| read(row))
            .collect();
        ended
    }
}

impl PaymentAnswer {
    fn change(&self, payment: &Payment) -> Change<'_> {
        let mut change = Change {
            item: self,
            state: PaymentState::InProgress,
            raw_status: None,
            is_unknown: payment.is_unknown,
            is_unverifiable: payment.is_unverifiable,
            asks_children: payment.asks_children,
            reason: None,
            was_asked: true,
        };
        match &self.answer {
            Answer::Status { raw, meaning } => {
                change.raw_status = Some(raw);
                change.is_unverifiable = false;
                change.is_unknown = *meaning == Meaning::Unknown;
                change.asks_children = *meaning == Meaning::AskChildren;
                if let Meaning::State(state) = meaning {
                    change.state = *state;
                }
            }
            Answer::Unverifiable { reason } => {
                change.is_unverifiable = true;
                change.reason = Some(reason);
            }
            Answer::Nothing { reason } => change.reason = Some(reason),
            Answer::GivenUp { reason } => {
                change.state = PaymentState::Unresolved;
                change.reason = Some(reason);
                change.was_asked = false;
            }
        }
        change
    }

    fn news(&self, payment: Payment) -> News<Payment> {
        News {
            subject: payment,
            traceparent: self.traceparent.clone(),
            delivery_attempts_max: self.delivery_attempts_max,
            now: self.now,
        }
    }
}
