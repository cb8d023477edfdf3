//! What a bank's answers mean for an order. Pure: what is asked next is decided by the attempt.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a payment is written down where the bank tells its amount and its day;
//! what it does not tell is not guessed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::actors::bank_attempt::cut;
use crate::connectors::banks::{Agreement, Title, TitleState};
use crate::domain::boleto::amendment::{AmendPart, Amendment};
use crate::domain::boleto::order::{Order, OrderState, Wish};
use crate::domain::boleto::payment::{Payment, PaymentSource};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::money::Cents;
use crate::domain::reconciliation::Happened;
use crate::store::boleto_order_settle::{Effect, OrderChange};

/// What the boleto's own status leaves to be done.
pub(super) enum Next {
    /// The bank has it: ask.
    Ask,
    /// Nobody knows whether the bank has it: look.
    Look,
    /// Its registration goes on; what comes of it comes first.
    Wait,
    /// There is nothing to ask.
    End(OrderChange),
}

/// What the boleto's status means for an order. `registration_lives` was read before the boleto was.
pub(super) fn next(order: &Order, boleto: &Boleto, registration_lives: bool) -> Next {
    let refused = |code: &str, words: &str| {
        Next::End(ended(OrderState::Refused, Some(ours(code, words)), Effect::None))
    };
    match (boleto.status, &order.wish) {
        (Status::Registered, _) => Next::Ask,
        (Status::Issued | Status::PendingRegistration, Wish::Cancel) if registration_lives => Next::Wait,
        (Status::Issued | Status::PendingRegistration, Wish::Cancel) => Next::Look,
        (Status::Issued | Status::PendingRegistration, Wish::Amend(_)) => {
            refused("not_registered", "the bank has not decided about it yet")
        }
        (Status::Cancelled, Wish::Cancel) => Next::End(ended(OrderState::Done, None, Effect::None)),
        (Status::Cancelled, Wish::Amend(_)) => refused("cancelled", "it has been cancelled"),
        (Status::Paid, _) => refused("paid", "it has been paid"),
        (Status::Refused, _) => refused("refused", "the bank had refused it; there is nothing on file"),
        (Status::NeedsReview, _) => refused("needs_review", "it needs a person's decision first"),
    }
}

/// Whether the bank's description of a title ends the order by itself, or nothing where it is open.
pub(super) fn ended_at_the_bank(
    order: &Order,
    boleto: &Boleto,
    title: &Title,
    now: DateTime<Utc>,
) -> Option<OrderChange> {
    let response = Some(title.response.clone());
    match (title.state, &order.wish) {
        (TitleState::Cancelled, Wish::Cancel) => Some(ended(OrderState::Done, response, Effect::Cancelled)),
        (TitleState::Cancelled, Wish::Amend(_)) => {
            Some(ended(OrderState::Refused, response, Effect::Cancelled))
        }
        (TitleState::Settled, _) => {
            let effect =
                payment(boleto, title, now).map_or(Effect::None, |found| Effect::Paid(Box::new(found)));
            Some(ended(OrderState::Refused, response, effect))
        }
        (TitleState::Open | TitleState::PartlyPaid | TitleState::Other, _) => None,
    }
}

/// What was paid beyond what is known, as far as the bank tells. Its name is the one that a reconciliation would give it, so
/// that whoever hears of it second writes nothing down.
fn payment(boleto: &Boleto, title: &Title, now: DateTime<Utc>) -> Option<Payment> {
    let (paid, paid_on) = (title.paid?, title.paid_on?);
    let amount = Some(Cents(paid.0 - boleto.paid.0)).filter(|amount| amount.0 > 0)?;
    Some(Payment {
        id: Uuid::now_v7(),
        boleto_id: boleto.id,
        amount,
        paid_on,
        is_partial: false,
        source: PaymentSource::Bank,
        external_id: Happened::Paid { total: paid, on: paid_on }.payment()?.0,
        response_code: Some(title.response.code.clone()),
        created_at: now,
    })
}

/// Whether a look tells an amended title from one that is not: banks show amount and due date, and little else.
pub(super) fn shows(amendment: &Amendment, boleto: &Boleto) -> bool {
    amendment.parts(boleto).iter().any(|part| matches!(part, AmendPart::Amount | AmendPart::DueDate))
}

/// The boleto with what the bank gave with its amended title; nothing where the new codes are still to come.
pub(super) fn with_codes(mut amended: Boleto, title: &Title) -> Option<Boleto> {
    if title.agreement != Agreement::Agrees {
        return None;
    }
    if amended.codes.barcode.is_none() {
        amended.codes.barcode = Some(title.barcode?);
    }
    if title.pix_emv.is_some() {
        amended.pix_emv.clone_from(&title.pix_emv);
    }
    Some(amended)
}

pub(super) fn ended(state: OrderState, response: Option<BankResponse>, effect: Effect) -> OrderChange {
    OrderChange::Ended { state, response: response.map(cut), effect }
}

pub(super) fn refused(response: BankResponse) -> OrderChange {
    ended(OrderState::Refused, Some(response), Effect::None)
}

/// What we say where no bank was asked.
pub(super) fn ours(code: &str, words: &str) -> BankResponse {
    BankResponse { code: code.to_owned(), message: words.to_owned() }
}

#[cfg(test)]
mod tests;
