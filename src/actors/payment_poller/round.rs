//! One bank's part of a run: page after page of what is due, and as many calls at a time as it may be.
//!
//! **Owns** the calls under way; dropped with the run, they are aborted, and what was not settled is asked about again.
//! **Fails** with a [`Stop`]; a bank that cannot be asked is no failure. **Limits**: a page and `in_flight_max` calls in memory.

use std::collections::{BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument as _, error, info, warn};

use super::plan::{Ask, plan};
use super::reading::shown;
use super::{PAGE_ROWS, Shared, Stop};
use crate::connectors::aspsps::Aspsp as _;
use crate::domain::ids::PaymentId;
use crate::messages::aspsps::{AspspDesk, HeldBack};
use crate::store::openbanking::outcome::Answer;
use crate::store::openbanking::payment::Payment;

/// So long a round waits at most for a bank that has stopped answering, before it is left for the run.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether it answers again.
const PROBE_WAIT: Duration = Duration::from_millis(50);
/// Words of a round that are told of at most.
const WORDS_MAX: usize = 32;

/// One bank's part of a run.
pub(super) struct Round {
    pub shared: Arc<Shared>,
    pub aspsp: String,
    /// Set once nothing more is asked of the bank in this run.
    halt: watch::Sender<bool>,
    /// Set once the bank has said that it has no call for several payments.
    pub(super) groups_off: watch::Sender<bool>,
    /// Set once it has been told that tokens cannot be opened.
    without_key: watch::Sender<bool>,
    /// Since when the bank has not answered, as far as anybody here has asked.
    away_since: Mutex<Option<Instant>>,
    /// Words that nobody knows and that have been told of.
    words: Mutex<BTreeSet<String>>,
    /// Payments of this round that were dealt with.
    dealt_with: watch::Sender<i64>,
}

impl Round {
    pub fn new(shared: Arc<Shared>, aspsp: String) -> Arc<Self> {
        Arc::new(Self {
            shared,
            aspsp,
            halt: watch::channel(false).0,
            groups_off: watch::channel(false).0,
            without_key: watch::channel(false).0,
            away_since: Mutex::default(),
            words: Mutex::default(),
            dealt_with: watch::channel(0).0,
        })
    }

    /// Asks the bank about everything that is due.
    pub async fn go(self: Arc<Self>) -> Result<(), Stop> {
        let shared = self.shared.clone();
        let store = &shared.means.store;
        let due = shared.patiently(|| store.count_payments_due(&self.aspsp, shared.began)).await?;
        shared.tally.expect(due);
        if let Some(desk) = self.desk()
            && !self.rests().await?
        {
            self.ask_all(&desk).await?;
        }
        if shared.context.is_wanted().is_err() {
            return Err(Stop::EndWanted);
        }
        self.give_up_overdue().await?;
        shared.tally.bank_done(&self.aspsp, due - *self.dealt_with.borrow());
        Ok(())
    }

    fn desk(&self) -> Option<AspspDesk> {
        let desk = self.shared.means.aspsps.find(&self.aspsp).cloned();
        if desk.is_none() {
            warn!(aspsp = self.aspsp, "payments are due at a bank that is not configured");
            self.shared.tally.bank_left(&self.aspsp, "not_configured");
        }
        desk
    }

    /// Whether the bank has said, in this run or before, that it is to be left alone now.
    async fn rests(&self) -> Result<bool, Stop> {
        let store = &self.shared.means.store;
        let rest = self.shared.patiently(|| store.aspsp_rest(&self.aspsp, store.now())).await?;
        if let Some(rest) = &rest {
            info!(aspsp = self.aspsp, until = %rest.blocked_until, "bank left alone about payments, as it has asked for");
            self.shared.tally.bank_rests();
            self.shared.tally.bank_left(&self.aspsp, "left_alone");
        }
        Ok(rest.is_some())
    }

    async fn ask_all(self: &Arc<Self>, desk: &AspspDesk) -> Result<(), Stop> {
        let (config, store) = (&self.shared.means.config, &self.shared.means.store);
        let in_flight_max = || config.get().in_flight_max.max(1) as usize;
        let bank_max = desk.connector().capabilities().payments_max;
        let mut calls: JoinSet<Vec<Ask>> = JoinSet::new();
        let mut waiting = VecDeque::new();
        let mut after = None;
        let mut is_last = false;
        while !self.is_over() {
            if waiting.is_empty() && !is_last {
                let (page, config) = (self.page(after).await?, config.get());
                after = page.last().map(behind);
                is_last = page.len() < PAGE_ROWS as usize;
                let group_max =
                    if *self.groups_off.borrow() { 1 } else { bank_max.min(config.group_max as usize) };
                let plan = plan(page, config.ladder(), group_max, store.now());
                self.dealt_with(plan.waiting);
                self.shared.tally.count("waiting", plan.waiting);
                self.give_up(plan.given_up).await;
                waiting.extend(plan.asks);
            }
            while calls.len() < in_flight_max()
                && let Some(ask) = waiting.pop_front()
            {
                calls.spawn(self.clone().ask(desk.clone(), ask).in_current_span());
            }
            // A page that is handed out is followed by the next before its last call has come back.
            if calls.len() < in_flight_max() && !is_last {
                continue;
            }
            match calls.join_next().await {
                Some(ended) => waiting.extend(followed_by(ended)),
                None => return Ok(()),
            }
        }
        // What has been sent is heard, so that no answer is lost by a halt; what is to follow it is for the next run.
        while let Some(ended) = calls.join_next().await {
            drop(followed_by(ended));
        }
        Ok(())
    }

    async fn page(&self, after: Option<(DateTime<Utc>, PaymentId)>) -> Result<Vec<Payment>, Stop> {
        let Shared { means, began, .. } = &*self.shared;
        let read = || means.store.payments_due(&self.aspsp, *began, after, PAGE_ROWS);
        let page = self.shared.patiently(read).await?;
        crate::failpoint::reached("payment.page.after");
        Ok(page)
    }

    /// Ends what is past its time and could not be asked about all the while.
    async fn give_up_overdue(self: &Arc<Self>) -> Result<(), Stop> {
        let Shared { means, began, .. } = &*self.shared;
        let made_before = means.config.get().overdue_before(means.store.now());
        let mut after = None;
        while self.shared.context.is_wanted().is_ok() {
            let read = || means.store.payments_overdue(&self.aspsp, *began, made_before, after, PAGE_ROWS);
            let page = self.shared.patiently(read).await?;
            let Some(last) = page.last() else { break };
            after = Some(behind(last));
            self.give_up(page).await;
        }
        Ok(())
    }

    async fn give_up(self: &Arc<Self>, payments: Vec<Payment>) {
        let mut settling = JoinSet::new();
        for payment in payments {
            let round = self.clone();
            let settle = async move {
                round.settle(&payment, round.given_up(), None).await;
                round.dealt_with(1);
            };
            settling.spawn(settle.in_current_span());
        }
        while let Some(ended) = settling.join_next().await {
            if let Some(panic) = ended.err().and_then(|end| end.try_into_panic().ok()) {
                resume_unwind(panic);
            }
        }
    }

    /// Whether nothing more is asked of the bank now.
    pub fn is_over(&self) -> bool {
        *self.halt.borrow() || self.shared.context.is_wanted().is_err()
    }

    /// Waits until that is so.
    pub async fn over(&self) {
        let mut halt = self.halt.subscribe();
        tokio::select! {
            // The sender lives as long as the round does.
            _ = halt.wait_for(|halted| *halted) => {}
            _ = self.shared.context.end_wanted() => {}
        }
    }

    /// Leaves the bank for this run: `why` names the reason in notes and counts. What comes behind the first reason is its consequence,
    /// as a breaker that opens over what the bank has said is, and no reason of its own.
    pub fn halt(&self, why: &'static str, words: &dyn std::fmt::Display) {
        if self.halt.send_replace(true) {
            return;
        }
        warn!(aspsp = self.aspsp, why, reason = %words, "bank left for this run");
        self.shared.tally.bank_left(&self.aspsp, why);
    }

    /// How long to wait for a bank that is said not to answer until then, or while somebody finds out; nothing once this has gone on
    /// for too long.
    pub fn patience(&self, until: Option<DateTime<Utc>>) -> Option<Duration> {
        let now = Instant::now();
        let since = *self.away_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        let wait = until.map_or(PROBE_WAIT, |until| (until - Utc::now()).to_std().unwrap_or_default());
        let wait = wait.max(PROBE_WAIT);
        (now + wait <= since + PATIENCE).then_some(wait)
    }

    /// The bank has answered.
    pub fn is_back(&self) {
        *self.away_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Somebody else keeps the bank from being asked.
    pub fn held_back(&self, held: &HeldBack) {
        let why = match held {
            HeldBack::Paused { .. } => "paused",
            HeldBack::Unavailable { .. } => "unavailable",
        };
        self.halt(why, held);
    }

    /// The bank takes no groups.
    pub fn groups_off(&self, words: &dyn std::fmt::Display) {
        if !self.groups_off.send_replace(true) {
            warn!(aspsp = self.aspsp, reason = %words, "bank asked about payments one by one");
        }
    }

    /// Whether nobody has been told yet that tokens cannot be opened.
    pub fn is_first_without_key(&self) -> bool {
        !self.without_key.send_replace(true)
    }

    /// So many payments that were due need nothing more in this run.
    pub fn dealt_with(&self, payments: i64) {
        self.dealt_with.send_modify(|count| *count += payments);
        self.shared.tally.payments_done(payments);
    }

    /// Says that the bank has used a word that nobody knows.
    pub fn alarm(&self, payment: &Payment, word: &str) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() < WORDS_MAX && words.insert(word.to_owned()) {
            let (payment_id, vocabulary) = (payment.id, payment.vocabulary.as_str());
            let word = shown(word);
            error!(aspsp = self.aspsp, %payment_id, vocabulary, word, "nobody knows this word for a payment's status");
        }
    }

    /// What is said of a payment of which no bank has said the end.
    pub fn given_up(&self) -> Answer {
        let days = self.shared.means.config.get().given_up_after.as_secs() / 86_400;
        let reason = format!("age_limit: after {days} days no bank has said how it ended");
        Answer::GivenUp { reason }
    }
}

fn behind(payment: &Payment) -> (DateTime<Utc>, PaymentId) {
    (payment.next_ask_at, payment.id)
}

/// What is to be asked behind a call.
fn followed_by(ended: Result<Vec<Ask>, JoinError>) -> Vec<Ask> {
    ended.unwrap_or_else(|end| match end.try_into_panic() {
        // A bug: whoever runs the job hears of it as if it had happened there.
        Ok(panic) => resume_unwind(panic),
        Err(_) => vec![],
    })
}
