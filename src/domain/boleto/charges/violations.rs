//! Which rules a boleto's charges break, all at once.
//!
//! **Owns** nothing. **Fails** never: a broken rule is an answer.
//! **Limits**: an amount and a due date that are wrong themselves are told elsewhere; what depends on such an amount
//! is then not judged here. A discount per day grows with every day that a payment is early; it is judged by the
//! least that it gives, because nobody knows yet when the payment will come.

use chrono::NaiveDate;

use super::{
    AFTER_DAYS_MAX, Charges, DISCOUNTS_MAX, Discount, DiscountValue, Fine, FineValue, Interest,
    InterestValue, days_between,
};
use crate::domain::money::{Cents, Rounding};
use crate::domain::violation::Violation;

/// What is found, with the path that leads to it.
struct Found<'a> {
    prefix: &'a str,
    violations: Vec<Violation>,
}

impl Charges {
    /// Every rule that the charges of a boleto of this amount and due date break, with paths from `prefix.` on.
    pub fn violations(&self, prefix: &str, amount: Cents, due_date: NaiveDate) -> Vec<Violation> {
        let mut found = Found { prefix, violations: Vec::new() };
        if let Some(fine) = self.fine {
            found.fine(fine);
        }
        if let Some(interest) = self.interest {
            found.interest(interest);
        }
        if let Some(abatement) = self.abatement {
            found.amount("abatement_cents", abatement);
        }
        found.discounts(&self.discounts, due_date);
        if amount.fits_a_boleto() {
            found.remainder(self, amount, due_date);
        }
        found.violations
    }
}

impl Found<'_> {
    fn add(&mut self, path: &str, rule: impl Into<String>) {
        self.violations.push(Violation::new(format!("{}.{path}", self.prefix), rule));
    }

    fn amount(&mut self, path: &str, amount: Cents) {
        if !amount.fits_a_boleto() {
            self.add(path, format!("from {} to {} cents", Cents::BOLETO_MIN.0, Cents::BOLETO_MAX.0));
        }
    }

    fn after_days(&mut self, path: &str, after_days: u16) {
        if !(1..=AFTER_DAYS_MAX).contains(&after_days) {
            self.add(path, format!("from 1 to {AFTER_DAYS_MAX} days after the due date"));
        }
    }

    fn fine(&mut self, fine: Fine) {
        if let FineValue::Amount(amount) = fine.value {
            self.amount("fine.amount_cents", amount);
        }
        self.after_days("fine.after_days", fine.after_days);
    }

    fn interest(&mut self, interest: Interest) {
        if let InterestValue::AmountPerDay(amount) = interest.value {
            self.amount("interest.amount_per_day_cents", amount);
        }
        self.after_days("interest.after_days", interest.after_days);
    }

    fn discounts(&mut self, discounts: &[Discount], due_date: NaiveDate) {
        if discounts.len() > DISCOUNTS_MAX {
            self.add("discounts", format!("at most {DISCOUNTS_MAX}"));
        }
        // Those beyond the limit are not looked at, so that a long list does not make a long answer.
        let mut before: Option<&Discount> = None;
        for (index, discount) in discounts.iter().take(DISCOUNTS_MAX).enumerate() {
            match discount.value {
                DiscountValue::Amount(amount) => {
                    self.amount(&format!("discounts[{index}].amount_cents"), amount);
                }
                DiscountValue::AmountPerDayEarly(amount) => {
                    self.amount(&format!("discounts[{index}].amount_per_day_early_cents"), amount);
                }
                DiscountValue::Percentage(_) => {}
            }
            let until = format!("discounts[{index}].until");
            if discount.until > due_date {
                self.add(&until, "not after the due date");
            }
            if before.is_some_and(|before| before.until >= discount.until) {
                self.add(&until, "later than the discount before it");
            }
            before = Some(discount);
        }
    }

    /// The amount must exceed discount and abatement together, and nobody may gain by paying later.
    fn remainder(&mut self, charges: &Charges, amount: Cents, due_date: NaiveDate) {
        let abatement = charges.abatement.unwrap_or_default();
        // One that is negative is told already, and taking it off would make more of the amount.
        let basis = Cents(amount.0.saturating_sub(abatement.0.max(0)));
        if basis <= Cents::ZERO {
            self.add("abatement_cents", "less than the amount");
            return;
        }
        let discounts = &charges.discounts[..charges.discounts.len().min(DISCOUNTS_MAX)];
        for (index, discount) in discounts.iter().enumerate() {
            let days_early = days_between(discount.until, due_date).max(1);
            let gives_all = |rounding| discount.value.of(basis, days_early, rounding) >= basis;
            if Rounding::ALL.into_iter().any(gives_all) {
                self.add(&format!("discounts[{index}]"), "with the abatement less than the amount");
            }
        }
        for (index, pair) in discounts.windows(2).enumerate() {
            if pair[0].until < pair[1].until && gains(&pair[0], &pair[1], basis, due_date) {
                let rule = "no more than the discount before it gives on its last day";
                self.add(&format!("discounts[{}]", index + 1), rule);
            }
        }
    }
}

/// Whether the later discount gives more on its first day than the earlier one on its last. Both roundings are tried,
/// because the bank account that decides may change.
fn gains(earlier: &Discount, later: &Discount, basis: Cents, due_date: NaiveDate) -> bool {
    let last_day = days_between(earlier.until, due_date);
    let first_day = last_day.saturating_sub(1);
    Rounding::ALL.into_iter().any(|rounding| {
        later.value.of(basis, first_day, rounding) > earlier.value.of(basis, last_day, rounding)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMOUNT: Cents = Cents(10_000);

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn discount(until: &str, value: DiscountValue) -> Discount {
        Discount { until: date(until), value }
    }

    fn percentage(text: &str) -> DiscountValue {
        DiscountValue::Percentage(text.parse().unwrap())
    }

    fn fields(charges: &Charges, amount: Cents) -> Vec<String> {
        let found = charges.violations("charges", amount, date("2027-01-20"));
        found.into_iter().map(|violation| violation.field).collect()
    }

    fn with_discounts(discounts: Vec<Discount>) -> Charges {
        Charges { discounts, ..Charges::default() }
    }

    #[test]
    fn what_is_agreed_soundly_breaks_nothing() {
        assert!(fields(&Charges::default(), AMOUNT).is_empty());
        let charges = Charges {
            // Above the 2 % of consumer relations, which not all are.
            fine: Some(Fine { value: FineValue::Percentage("10".parse().unwrap()), after_days: 365 }),
            interest: Some(Interest { value: InterestValue::AmountPerDay(Cents(1)), after_days: 1 }),
            discounts: vec![
                discount("2027-01-10", percentage("10")),
                discount("2027-01-15", percentage("5")),
                discount("2027-01-20", DiscountValue::AmountPerDayEarly(Cents(50))),
            ],
            abatement: Some(Cents(1_000)),
        };
        assert_eq!(charges.violations("charges", AMOUNT, date("2027-01-20")), []);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let charges = Charges {
            fine: Some(Fine { value: FineValue::Amount(Cents(0)), after_days: 0 }),
            interest: Some(Interest { value: InterestValue::AmountPerDay(Cents(-1)), after_days: 366 }),
            discounts: vec![
                discount("2027-01-15", DiscountValue::Amount(Cents(0))),
                discount("2027-01-15", DiscountValue::AmountPerDayEarly(Cents(10_000_000_000))),
                discount("2027-01-21", percentage("100")),
                discount("2027-01-01", DiscountValue::Amount(Cents(0))),
            ],
            abatement: Some(Cents(0)),
        };
        let expected = [
            "charges.fine.amount_cents",
            "charges.fine.after_days",
            "charges.interest.amount_per_day_cents",
            "charges.interest.after_days",
            "charges.abatement_cents",
            "charges.discounts",
            "charges.discounts[0].amount_cents",
            "charges.discounts[1].amount_per_day_early_cents",
            "charges.discounts[1].until",
            "charges.discounts[2].until",
            "charges.discounts[1]",
            "charges.discounts[2]",
        ];
        assert_eq!(fields(&charges, AMOUNT), expected);
    }

    #[test]
    fn something_must_be_left_to_pay() {
        let abated = |cents| Charges { abatement: Some(Cents(cents)), ..Charges::default() };
        assert!(fields(&abated(9_999), AMOUNT).is_empty());
        assert_eq!(fields(&abated(10_000), AMOUNT), ["charges.abatement_cents"]);
        let both = |cents| Charges {
            abatement: Some(Cents(4_000)),
            ..with_discounts(vec![discount("2027-01-10", DiscountValue::Amount(Cents(cents)))])
        };
        assert!(fields(&both(5_999), AMOUNT).is_empty());
        assert_eq!(fields(&both(6_000), AMOUNT), ["charges.discounts[0]"]);
        // Ten days early at least, so ten times as much.
        let per_day = |cents| {
            with_discounts(vec![discount("2027-01-10", DiscountValue::AmountPerDayEarly(Cents(cents)))])
        };
        assert!(fields(&per_day(999), AMOUNT).is_empty());
        assert_eq!(fields(&per_day(1_000), AMOUNT), ["charges.discounts[0]"]);
    }

    #[test]
    fn whoever_pays_later_gets_no_more() {
        let pair = |first, second| {
            with_discounts(vec![discount("2027-01-10", first), discount("2027-01-15", second)])
        };
        let refused = ["charges.discounts[1]"];
        let amount = |cents| DiscountValue::Amount(Cents(cents));
        let per_day = |cents| DiscountValue::AmountPerDayEarly(Cents(cents));
        assert!(fields(&pair(amount(500), percentage("5")), AMOUNT).is_empty());
        assert_eq!(fields(&pair(amount(499), percentage("5")), AMOUNT), refused);
        // Nine days early on the day after the first one ends.
        assert!(fields(&pair(amount(900), per_day(100)), AMOUNT).is_empty());
        assert_eq!(fields(&pair(amount(899), per_day(100)), AMOUNT), refused);
        // Ten days early on its last day.
        assert!(fields(&pair(per_day(50), amount(500)), AMOUNT).is_empty());
        assert_eq!(fields(&pair(per_day(50), amount(501)), AMOUNT), refused);
    }

    #[test]
    fn an_amount_that_is_wrong_itself_is_told_elsewhere() {
        let charges = Charges { abatement: Some(Cents(5)), ..Charges::default() };
        assert!(fields(&charges, Cents(0)).is_empty());
        assert!(fields(&charges, Cents(i64::MIN)).is_empty());
    }
}
