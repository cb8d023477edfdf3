//! Writes answers down, and what follows from them: when a payment is asked about next, and that one past its age is unresolved.
//!
//! **Owns** nothing. **Fails** softly: an answer that the store does not take is asked for again in the next run.
//! **Limits**: waits for the store for as long as the run lives; the rows of one payment are written one after the other.

use chrono::{DateTime, Utc};
use tracing::error;

use super::AWAY_WAIT;
use super::reading::new_name;
use super::round::Round;
use crate::connectors::aspsps::PaymentTold;
use crate::domain::ids::{PaymentId, TenantId};
use crate::domain::openbanking::payment::Meaning;
use crate::store::StoreError;
use crate::store::openbanking::outcome::{Answer, Answered, PaymentAnswer};
use crate::store::openbanking::payment::Payment;

/// A payment about which something is written down.
pub(super) struct About<'a> {
    pub id: PaymentId,
    pub tenant_id: &'a TenantId,
    pub made_at: DateTime<Utc>,
    pub traceparent: Option<&'a str>,
    /// The bank's name for it, where that was not known.
    pub external_id: Option<String>,
}

impl Round {
    /// Settles an answer about a payment that was due.
    pub async fn settle(&self, payment: &Payment, answer: Answer, told: Option<&PaymentTold>) {
        if let Answer::Status { raw, meaning: Meaning::Unknown } = &answer {
            self.alarm(payment, raw);
        }
        let about = About {
            id: payment.id,
            tenant_id: &payment.tenant_id,
            made_at: payment.made_at,
            traceparent: payment.traceparent.as_deref(),
            external_id: told.and_then(|told| new_name(payment, told)),
        };
        let now = self.shared.means.store.now();
        let next = self.shared.means.config.get().ladder().next_ask(payment.made_at, now);
        self.settle_about(&about, answer, next, now).await;
    }

    /// Settles an answer, and gives the payment up if it is past its age and still in progress.
    pub async fn settle_about(
        &self,
        about: &About<'_>,
        answer: Answer,
        next: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let config = self.shared.means.config.get();
        let is_past = config.is_past(about.made_at, now);
        // Should we not come to the end of this, the next run does: the last question is asked once.
        let next = if is_past { now } else { next };
        let is_end = matches!(answer, Answer::GivenUp { .. });
        let is_answer = !matches!(answer, Answer::Nothing { .. });
        let answered = self.write(self.answer(about, answer, next, now)).await;
        let is_patience_over = is_answer || about.made_at < config.overdue_before(now);
        if is_past && !is_end && is_patience_over && answered == Some(Answered::InProgress) {
            self.write(self.answer(about, self.given_up(), now, now)).await;
        }
    }

    fn answer(
        &self,
        about: &About<'_>,
        answer: Answer,
        next_ask_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> PaymentAnswer {
        // The owner sees the news in the trace in which the payment came, and others in the run's.
        let traceparent = about.traceparent.unwrap_or(&self.shared.context.run.traceparent);
        PaymentAnswer {
            id: about.id,
            tenant_id: about.tenant_id.clone(),
            answer,
            external_id: about.external_id.clone(),
            next_ask_at,
            traceparent: Some(traceparent.to_owned()),
            delivery_attempts_max: self.shared.means.delivery_attempts_max,
            now,
        }
    }

    async fn write(&self, answer: PaymentAnswer) -> Option<Answered> {
        let means = &self.shared.means;
        crate::failpoint::reached("payment.settle.before");
        let settled = self.until_taken(|| self.shared.settlements.run(answer.clone())).await;
        crate::failpoint::reached("payment.settle.after");
        match settled {
            Ok(answered) => {
                self.shared.tally.settled(&answer.answer, answered);
                if matches!(answered, Answered::Ended(_)) {
                    means.hints.there_is_work("delivery/");
                }
                means.changes.send_modify(|count| *count += 1);
                Some(answered)
            }
            Err(error) => {
                error!(payment_id = %answer.id, %error, "answer about a payment cannot be written down");
                self.shared.tally.count("not_written", 1);
                None
            }
        }
    }

    /// Has the store take something, however long it is away: whoever wants the run's end waits for what has been heard, as long
    /// as it waits for anything.
    pub async fn until_taken<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        write: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        loop {
            match write().await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "answer about a payment not written down yet");
                    tokio::time::sleep(AWAY_WAIT).await;
                }
                taken => return taken,
            }
        }
    }
}
