//! What is owed for a boleto on a date.
//!
//! **Owns** nothing. Whole cents only; each charge is rounded once, by the rule that is passed in.
//! **Fails** never: charges that break a rule give a sum all the same, at the nearest amounts that there are.
//! **Limits**: an estimate of what the bank will ask, not its answer. Payments that were made already are taken off
//! the total and do not lessen the charges, as nobody says on which day they came.

use chrono::NaiveDate;

use super::charges::{Charges, Discount, days_between};
use crate::domain::business_days::Calendar;
use crate::domain::money::{Cents, Rounding};

/// What is owed on a date, and how it comes about:
/// `total = principal - abatement - discount + fine + interest - paid`, but never below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The day of the payment.
    pub on: NaiveDate,
    /// The boleto's nominal amount.
    pub principal: Cents,
    pub abatement: Cents,
    pub discount: Cents,
    pub fine: Cents,
    pub interest: Cents,
    /// What was paid already.
    pub paid: Cents,
    pub total: Cents,
    /// Calendar days since the due date; 0 until the effective due date has passed.
    pub days_late: u32,
    /// The last day on which it can be paid without charges: the due date or the next business day.
    pub effective_due_date: NaiveDate,
}

/// What is owed `on` a date for a boleto of this amount and due date, of which something may be paid already.
///
/// A boleto that is due on a weekend or a holiday is paid without charges on the next business day (Lei 7.089/1983
/// art. 1; Código Civil art. 132 §1). Paid later than that, it is late since its own due date.
///
/// Percentages are of the amount without the abatement: that is taken off under no condition, so what remains is
/// what is owed, and nobody is late with more than they owe.
pub fn quote(
    amount: Cents,
    due_date: NaiveDate,
    charges: &Charges,
    on: NaiveDate,
    already_paid: Cents,
    rounding: Rounding,
    calendar: &Calendar,
) -> Quote {
    let effective_due_date = calendar.next_business_day(due_date);
    let days_late = if on > effective_due_date { days_between(due_date, on) } else { 0 };
    let abatement = charges.abatement.unwrap_or_default().clamp(Cents::ZERO, amount.max(Cents::ZERO));
    let basis = Cents(amount.0.saturating_sub(abatement.0)).max(Cents::ZERO);
    let discount = discount_on(&charges.discounts, due_date, on).map_or(Cents::ZERO, |discount| {
        discount.value.of(basis, days_between(on, due_date), rounding).clamp(Cents::ZERO, basis)
    });
    let fine = charges
        .fine
        .filter(|fine| charged_days(days_late, fine.after_days) > 0)
        .map_or(Cents::ZERO, |fine| fine.value.of(basis, rounding));
    let interest = charges.interest.map_or(Cents::ZERO, |interest| {
        interest.value.of(basis, charged_days(days_late, interest.after_days), rounding)
    });
    let owed = sum([amount, fine, interest]) - sum([abatement, discount, already_paid]);
    let total = Cents::saturating(owed).max(Cents::ZERO);
    Quote {
        on,
        principal: amount,
        abatement,
        discount,
        fine,
        interest,
        paid: already_paid,
        total,
        days_late,
        effective_due_date,
    }
}

/// The one discount that applies: of those that are still given, the one that ends first. None is given after the due
/// date, even to who may still pay without charges: the law spares the delay, and the discount was for being early.
fn discount_on(discounts: &[Discount], due_date: NaiveDate, on: NaiveDate) -> Option<&Discount> {
    let given = discounts.iter().filter(|discount| on <= discount.until && on <= due_date);
    given.min_by_key(|discount| discount.until)
}

/// For how many of the days late a charge counts that begins so many days after the due date.
fn charged_days(days_late: u32, after_days: u16) -> u32 {
    // The first day counts itself; a charge cannot begin on the due date.
    (days_late + 1).saturating_sub(u32::from(after_days.max(1)))
}

fn sum(amounts: [Cents; 3]) -> i128 {
    amounts.iter().map(|amount| i128::from(amount.0)).sum()
}

#[cfg(test)]
mod tests;
