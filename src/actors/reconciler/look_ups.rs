//! What a run does at a bank that lists nothing: asks about the account's open boletos, one by one.
//!
//! A run goes on where the one before it stopped and writes down slice by slice, with each slice how far it has come; so who
//! was asked longest ago comes next, and a crash costs one slice. At the end of the open boletos the round is over, and the
//! next run begins another.
//!
//! **Owns** a place of the account's registrations for as long as a call takes. **Fails** with the first call that fails; the
//! boleto that it was about is passed over until the next round, so that one which the bank cannot describe holds up no other.
//! **Limits**: one call at a time, `reconciliation.look_ups_per_run_max` of them a run, [`SLICE_MAX`] boletos in memory.

use std::time::Duration;

use chrono_tz::America::Sao_Paulo;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::run::{Cut, Run, told};
use crate::actors::bank_attempt;
use crate::connectors::banks::{Agreement, Bank as _, BankError, LookUp, LookUpRequest, Title, TitleState};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::reconciliation::{Fact, Happened};
use crate::domain::work::Claim;
use crate::messages::boleto_registrar;
use crate::messages::reconciler::{Position, reconciliation_work};
use crate::store::reconciliation::{Counts, RunChange};
use crate::store::reconciliation_apply::{Asked, Told};
use crate::work::Place;

/// Boletos asked about before what was found is written down: what a crash costs, and what a payment waits.
const SLICE_MAX: usize = 32;
/// Between two looks for a place. Registrations are woken when one is free, and so go first.
const PLACE_LOOK: Duration = Duration::from_millis(50);
/// Longer than the slowest rate takes for one call.
const PLACE_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What came of asking about some boletos, one after the other.
#[derive(Default)]
struct Found {
    told: Vec<Told>,
    /// How many were asked about, or passed over.
    done: usize,
    cut: Option<Cut>,
}

impl Run {
    /// Asks about open boletos, as many as a run may.
    pub(super) async fn look_up_open(&self, claim: &Claim, account: &BankAccount) -> Result<RunChange, Cut> {
        let store = &self.means.claimer.store;
        let today = store.now().with_timezone(&Sao_Paulo).date_naive();
        let mut position = Position::read(&claim.payload);
        let began = *position.began.get_or_insert(today);
        let mut left = self.means.config.get().look_ups_per_run_max as usize;
        let mut counts = Counts::default();
        let mut asked_until = None;
        while left > 0 {
            let limit = left.min(SLICE_MAX) as u64;
            let open = store.open_boletos(&claim.tenant_id, account.id, position.after, limit).await?;
            let Found { told, done, cut } = self.look_up_each(account, &open.boletos).await;
            let last = done.checked_sub(1).and_then(|last| open.boletos.get(last)).map(|last| last.id.0);
            position.after = if cut.is_none() { open.go_on_after.or(last) } else { last }.or(position.after);
            if done > 0 {
                counts = counts.plus(self.apply(claim, account, told, Some(position)).await?);
            }
            if let Some(cut) = cut {
                return Err(cut);
            }
            left -= done;
            if open.go_on_after.is_none() {
                // Each was asked about on the day on which the round began, or later.
                asked_until = Some(began);
                position = Position::default();
                break;
            }
        }
        let now = store.now();
        let mut next = reconciliation_work(account, now + self.means.config.get().every, now);
        next.payload = position.payload();
        Ok(RunChange::Done { asked_until, counts, next: Box::new(next) })
    }

    async fn look_up_each(&self, account: &BankAccount, boletos: &[Boleto]) -> Found {
        let mut found = Found::default();
        for boleto in boletos {
            let Some(place) = self.place(account).await else {
                found.cut = Some(Cut::NoPlace);
                return found;
            };
            let answer = self.look_up(account, boleto).await;
            drop(place);
            found.done += 1;
            match answer {
                Ok(answer) => {
                    let asked = Asked { boleto_id: boleto.id, version: boleto.version };
                    found.told.extend(fact(boleto, answer).map(|fact| told(fact, Some(asked))));
                }
                // The bank does not know it by anything that we have; nothing was asked.
                Err(error @ BankError::Unsupported { .. }) => {
                    debug!(boleto_id = %boleto.id, %error, "boleto not looked up");
                }
                Err(error) => {
                    found.cut = Some(Cut::Bank(error));
                    return found;
                }
            }
        }
        found
    }

    async fn look_up(&self, account: &BankAccount, boleto: &Boleto) -> Result<LookUp, BankError> {
        crate::failpoint::reached("bank.look_up.before");
        let answer = self.means.bank.look_up(&LookUpRequest { account, boleto }).await;
        crate::failpoint::reached("bank.look_up.after");
        if let Some(verdict) = bank_attempt::verdict(answer.as_ref().err()) {
            self.means.registrations.report(&queue(account), verdict);
        }
        answer
    }

    /// One of the account's places; nothing where none is free for long, as while its bank is away.
    async fn place(&self, account: &BankAccount) -> Option<Place> {
        let (queue, deadline) = (queue(account), Instant::now() + PLACE_PATIENCE);
        loop {
            let place = self.means.registrations.try_take_within(&queue);
            if place.is_some() || Instant::now() >= deadline {
                return place;
            }
            sleep(PLACE_LOOK).await;
        }
    }
}

/// The queue of the account's registrations, by which its places, its rate and its breaker are counted.
fn queue(account: &BankAccount) -> String {
    format!("{}{}", boleto_registrar::queue_prefix(account.provider.as_str()), account.id)
}

/// What an answer about an open boleto tells; nothing where the bank has not decided.
fn fact(boleto: &Boleto, answer: LookUp) -> Option<Fact> {
    let (happened, response_code) = match answer {
        LookUp::InProgress => return None,
        LookUp::NotFound => (Happened::NotOnFile, String::new()),
        LookUp::Refused(response) => (Happened::NotOnFile, response.code),
        LookUp::OnFile(title) => (happened(&title), title.response.code),
    };
    Some(Fact {
        nosso_numero: boleto.codes.nosso_numero.clone().unwrap_or_default(),
        bank_reference: boleto.bank_reference.clone(),
        happened,
        response_code,
    })
}

fn happened(title: &Title) -> Happened {
    if let Agreement::Differs(parts) = &title.agreement {
        return Happened::Differs { parts: parts.join(", ") };
    }
    match (title.state, title.paid, title.paid_on) {
        (TitleState::Settled, Some(total), Some(on)) => Happened::Paid { total, on },
        (TitleState::PartlyPaid, Some(total), Some(on)) => Happened::PartlyPaid { total, on },
        (TitleState::Settled | TitleState::PartlyPaid, ..) => Happened::PaidUnsaid,
        (TitleState::Cancelled, ..) => Happened::Cancelled { on: None },
        (TitleState::Open | TitleState::Other, ..) => Happened::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::boleto::BankResponse;
    use crate::domain::money::Cents;

    fn title(state: TitleState, paid: Option<i64>) -> Title {
        Title {
            response: BankResponse { code: "6".to_owned(), message: String::new() },
            state,
            agreement: Agreement::Agrees,
            barcode: None,
            nosso_numero: None,
            paid: paid.map(Cents),
            paid_on: chrono::NaiveDate::from_ymd_opt(2026, 11, 20),
            pix_emv: None,
        }
    }

    #[test]
    fn only_a_sum_and_a_day_make_a_payment() {
        let told = |state, paid| happened(&title(state, paid));
        assert!(matches!(told(TitleState::Settled, Some(7)), Happened::Paid { total: Cents(7), .. }));
        assert!(matches!(
            told(TitleState::PartlyPaid, Some(7)),
            Happened::PartlyPaid { total: Cents(7), .. }
        ));
        assert_eq!(told(TitleState::Settled, None), Happened::PaidUnsaid);
        let without_day = Title { paid_on: None, ..title(TitleState::Settled, Some(7)) };
        assert_eq!(happened(&without_day), Happened::PaidUnsaid);
        assert_eq!(told(TitleState::Cancelled, Some(7)), Happened::Cancelled { on: None });
        assert_eq!(told(TitleState::Open, None), Happened::Nothing);
        assert_eq!(told(TitleState::Other, Some(7)), Happened::Nothing, "a state that we do not know");
    }

    #[test]
    fn another_title_is_no_payment_of_ours() {
        let agreement = Agreement::Differs(vec!["amount", "due_date"]);
        let other = Title { agreement, ..title(TitleState::Settled, Some(7)) };
        assert_eq!(happened(&other), Happened::Differs { parts: "amount, due_date".to_owned() });
    }
}
