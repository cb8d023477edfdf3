//! The calls of a round: each in its turn at the bank's desk, each with its row, and none while the bank is to be left alone.
//!
//! **Owns** the tokens while a call is made. **Fails** by settling what a failure says about the payment, or by leaving it for the
//! next run. **Limits**: a group that comes to nothing as a whole is asked about one by one, so that one payment spoils it at most
//! once: a bank that refuses every group costs one call more than it has payments in it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tracing::{error, warn};

use super::plan::{Ask, alone};
use super::reading::{GroupFate, fate_of_group, key, of_error, of_told};
use super::round::Round;
use crate::actors::aspsp_calls::{CallOf, row};
use crate::connectors::aspsps::{Aspsp as _, AspspError, CallRecord, PaymentKey, PaymentTold, Told};
use crate::connectors::secret::sealed::{SealError, Sealed};
use crate::domain::ids::TenantId;
use crate::domain::openbanking::payment::PaymentKind;
use crate::messages::aspsps::{AspspDesk, HeldBack, Turn};
use crate::store::openbanking::outcome::Answer;
use crate::store::openbanking::payment::Payment;

/// The bank is left alone, or the run is to end: nothing is known of the payment, and nothing is written.
pub(super) struct Left;

/// The token by which a payment was started.
pub(super) enum Token {
    /// There is none; whether one is needed is the standard's to say.
    None,
    Opened(SecretString),
    /// What lies in the store can never be opened.
    Damaged(String),
    /// We have no key for it now.
    NoKey,
}

impl Round {
    /// Asks what is to be asked, and settles it; returns what is to be asked behind it.
    pub async fn ask(self: Arc<Self>, desk: AspspDesk, ask: Ask) -> Vec<Ask> {
        match ask {
            Ask::Group(payments) => return self.ask_group(&desk, payments).await,
            Ask::Bundle(payment) => self.ask_bundle(&desk, &payment).await,
            Ask::Single(payment) | Ask::Recurring(payment) => self.ask_alone(&desk, &payment).await,
        }
        vec![]
    }

    async fn ask_alone(&self, desk: &AspspDesk, payment: &Payment) {
        let Some(token) = self.usable_token(payment).await else { return };
        let key = key(payment, token.as_ref());
        let (connector, tenant) = (desk.connector(), &payment.tenant_id);
        let told = if payment.kind == PaymentKind::Recurring {
            self.call(desk, tenant, || connector.recurring(&key)).await
        } else {
            self.call(desk, tenant, || connector.payment(&key)).await
        };
        if let Ok(told) = told {
            self.hear(payment, told.outcome).await;
        }
    }

    async fn ask_group(&self, desk: &AspspDesk, payments: Vec<Payment>) -> Vec<Ask> {
        let mut asked = Vec::with_capacity(payments.len());
        for payment in payments {
            if let Some(Some(token)) = self.usable_token(&payment).await {
                asked.push((payment, token));
            }
        }
        if *self.groups_off.borrow() || asked.len() < 2 {
            return asked.into_iter().map(|(payment, _)| alone(payment)).collect();
        }
        let tenant = asked[0].0.tenant_id.clone();
        let keys: Vec<PaymentKey<'_>> =
            asked.iter().map(|(payment, token)| key(payment, Some(token))).collect();
        let connector = desk.connector();
        let told = self.call(desk, &tenant, || connector.payments(&keys)).await;
        drop(keys);
        let payments: Vec<Payment> = asked.into_iter().map(|(payment, _)| payment).collect();
        match told.map(|told| told.outcome) {
            Err(Left) => vec![],
            Ok(Ok(results)) => self.hear_group(payments, results).await,
            Ok(Err(error)) => self.hear_no_group(payments, &error).await,
        }
    }

    async fn hear_group(
        &self,
        payments: Vec<Payment>,
        results: Vec<Result<PaymentTold, AspspError>>,
    ) -> Vec<Ask> {
        let mut behind = Vec::new();
        let mut heard = Vec::new();
        for (payment, result) in payments.into_iter().zip(results) {
            match result {
                // Left out of the answer: asked about alone, the bank says why.
                Err(AspspError::NotFound { .. }) => behind.push(alone(payment)),
                outcome => heard.push((payment, outcome)),
            }
        }
        // Together, so that they become one group of the store's.
        let hearing = heard.iter().map(|(payment, outcome)| self.hear(payment, outcome.clone()));
        futures_util::future::join_all(hearing).await;
        behind
    }

    async fn hear_no_group(&self, payments: Vec<Payment>, error: &AspspError) -> Vec<Ask> {
        match fate_of_group(error) {
            GroupFate::NoGroups => self.groups_off(error),
            GroupFate::Alone => {
                warn!(aspsp = self.aspsp, %error, "a group of payments is asked about one by one")
            }
            GroupFate::OfEach => {
                let hearing = payments.iter().map(|payment| self.hear(payment, Err(error.clone())));
                futures_util::future::join_all(hearing).await;
                return vec![];
            }
        }
        payments.into_iter().map(alone).collect()
    }

    /// Settles what was said about a payment that was asked about.
    pub async fn hear(&self, payment: &Payment, outcome: Result<PaymentTold, AspspError>) {
        let (answer, told) = match &outcome {
            Ok(told) => (Some(of_told(payment, told)), Some(told)),
            Err(error) => (of_error(error), None),
        };
        if let Some(answer) = answer {
            self.settle(payment, answer, told).await;
            self.dealt_with(1);
        }
    }

    /// Makes one call in its turn. Whatever came of it has its row, and has been heeded.
    pub async fn call<T, F: Future<Output = Told<T>>>(
        &self,
        desk: &AspspDesk,
        tenant: &TenantId,
        ask: impl FnOnce() -> F,
    ) -> Result<Told<T>, Left> {
        let turn = self.turn(desk).await?;
        crate::failpoint::reached("payment.call.before");
        let told = ask().await;
        crate::failpoint::reached("payment.call.after");
        let error = told.outcome.as_ref().err();
        // Before the turn is another's: who waits behind it does not ask a bank that wants to be left alone.
        if let Some(error) = error {
            self.heed(error, &told.call);
        }
        turn.heard(&told);
        if told.call.status.is_some() {
            self.is_back();
        }
        if told.call.may_have_been_sent {
            self.shared.tally.called(error, told.call.status);
            self.write_down(tenant, &told.call, error).await;
        }
        if let Some(error) = error
            && let Some(wait) = error.retry_after()
        {
            self.rest(wait, error).await;
        }
        Ok(told)
    }

    /// Waits for a turn; a moment also for a bank that does not answer just now, so that a stumble does not cost it the run.
    async fn turn(&self, desk: &AspspDesk) -> Result<Turn, Left> {
        loop {
            let entered = tokio::select! {
                biased;
                () = self.over() => return Err(Left),
                entered = desk.enter() => entered,
            };
            let wait = match &entered {
                Err(HeldBack::Unavailable { until }) => self.patience(*until),
                _ => None,
            };
            match (entered, wait) {
                (Ok(turn), _) => return Ok(turn),
                (Err(held), None) => {
                    self.held_back(&held);
                    return Err(Left);
                }
                (Err(_), Some(wait)) => tokio::select! {
                    () = self.over() => return Err(Left),
                    () = tokio::time::sleep(wait) => {}
                },
            }
        }
    }

    async fn write_down(&self, tenant: &TenantId, call: &CallRecord, error: Option<&AspspError>) {
        let of = CallOf {
            tenant_id: tenant.clone(),
            session_id: None,
            run_id: Some(self.shared.context.run.id.0),
            aspsp: self.aspsp.clone(),
            account_id: None,
        };
        let row = row(of, call, error);
        // An end that is wanted meanwhile costs the row and not the answer.
        let written = self.shared.patiently(|| self.shared.calls.run(row.clone())).await;
        if written.is_err() {
            warn!(aspsp = self.aspsp, "a call has no row");
        }
    }

    /// Leaves the bank alone if it says so, or if nothing can be sent to it at all.
    fn heed(&self, error: &AspspError, call: &CallRecord) {
        match error {
            _ if error.is_put_off() => self.halt("left_alone", error),
            AspspError::Misconfigured { .. } if !call.may_have_been_sent => self.halt("misconfigured", error),
            _ => {}
        }
    }

    /// Writes down for how long the bank wants to be left alone.
    async fn rest(&self, wait: Duration, error: &AspspError) {
        let store = &self.shared.means.store;
        let (now, reason) = (store.now(), error.to_string());
        let until = TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
        let until = until.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let rest = || store.rest_aspsp(&self.aspsp, until, &reason, now);
        // An end that is wanted meanwhile costs one more call, in the next run.
        if self.shared.patiently(rest).await.is_err() {
            warn!(aspsp = self.aspsp, "how long the bank wants to be left alone is not written down");
        }
    }

    /// The token, where the payment has one; nothing if it cannot be asked about, which has been settled then.
    pub async fn usable_token(&self, payment: &Payment) -> Option<Option<SecretString>> {
        match self.token(payment) {
            Token::None => Some(None),
            Token::Opened(token) => Some(Some(token)),
            Token::Damaged(reason) => {
                self.settle(payment, Answer::Unverifiable { reason }, None).await;
                self.dealt_with(1);
                None
            }
            Token::NoKey => None,
        }
    }

    fn token(&self, payment: &Payment) -> Token {
        let Some(sealed) = &payment.token_sealed else { return Token::None };
        match self.shared.means.secrets.open(&purpose(payment), &Sealed::from(sealed.clone())) {
            Ok(token) => Token::Opened(token),
            Err(error @ (SealError::Damaged | SealError::TooLong)) => {
                Token::Damaged(format!("token_damaged: {error}"))
            }
            Err(error) => {
                if self.is_first_without_key() {
                    error!(aspsp = self.aspsp, %error, "tokens of payments cannot be opened: somebody has to correct this");
                }
                self.shared.tally.bank_left(&self.aspsp, "tokens_not_opened");
                Token::NoKey
            }
        }
    }
}

/// For what a payment's token is sealed.
pub(super) fn purpose(payment: &Payment) -> String {
    format!("payment:{}", payment.id)
}
