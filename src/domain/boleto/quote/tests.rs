//! What is owed on a date, judged by vectors that another program calculated in exact fractions, and by properties.
//!
//! **Owns** nothing. **Fails** by panicking. **Limits**: dates from 2000 to 2100; the vectors' own `about` explains
//! where their figures come from.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::domain::boleto::charges::{DiscountValue, Fine, FineValue, Interest, InterestValue, Percent};

#[derive(Deserialize)]
struct Vectors {
    quotes: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    amount: Cents,
    due_date: NaiveDate,
    charges: Charges,
    on: NaiveDate,
    #[serde(default)]
    already_paid: Cents,
    rounding: Rounding,
    #[serde(default)]
    extra_holidays: Vec<NaiveDate>,
    expected: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    effective_due_date: NaiveDate,
    days_late: u32,
    abatement: Cents,
    discount: Cents,
    fine: Cents,
    interest: Cents,
    total: Cents,
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

/// What consumer contracts usually say: 2 % once and 1 % a month.
fn usual() -> Charges {
    Charges {
        fine: Some(Fine { value: FineValue::Percentage(percent("2")), after_days: 1 }),
        interest: Some(Interest { value: InterestValue::PercentagePerMonth(percent("1")), after_days: 1 }),
        ..Charges::default()
    }
}

#[test]
fn the_published_example_comes_out_to_the_cent() {
    let on = |rounding| {
        let calendar = Calendar::national();
        quote(
            Cents(10_000),
            date("2027-01-11"),
            &usual(),
            date("2027-01-16"),
            Cents::ZERO,
            rounding,
            &calendar,
        )
    };
    let truncated = on(Rounding::Truncate);
    assert_eq!((truncated.fine, truncated.interest, truncated.total), (Cents(200), Cents(16), Cents(10_216)));
    let half_even = on(Rounding::HalfEven);
    assert_eq!((half_even.fine, half_even.interest, half_even.total), (Cents(200), Cents(17), Cents(10_217)));
}

#[test]
fn every_vector_comes_out_to_the_cent() {
    let text = include_str!("../../../../tests/fixtures/charge_vectors.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    for vector in &vectors.quotes {
        let calendar = Calendar::with_extra(vector.extra_holidays.iter().copied());
        let name = &vector.name;
        assert_eq!(vector.charges.violations("charges", vector.amount, vector.due_date), [], "{name}");
        let quote = quote(
            vector.amount,
            vector.due_date,
            &vector.charges,
            vector.on,
            vector.already_paid,
            vector.rounding,
            &calendar,
        );
        let found = Expected {
            effective_due_date: quote.effective_due_date,
            days_late: quote.days_late,
            abatement: quote.abatement,
            discount: quote.discount,
            fine: quote.fine,
            interest: quote.interest,
            total: quote.total,
        };
        assert_eq!(found, vector.expected, "{name}");
        assert_eq!((quote.on, quote.principal, quote.paid), (vector.on, vector.amount, vector.already_paid));
    }
    assert_eq!(vectors.quotes.len(), 69);
}

#[test]
fn amounts_that_nobody_may_issue_are_no_panic() {
    let most = Cents(i64::MAX);
    let charges = Charges {
        fine: Some(Fine { value: FineValue::Amount(most), after_days: 0 }),
        interest: Some(Interest { value: InterestValue::AmountPerDay(most), after_days: 0 }),
        discounts: vec![Discount {
            until: NaiveDate::MAX,
            value: DiscountValue::AmountPerDayEarly(Cents(i64::MIN)),
        }],
        abatement: Some(Cents(i64::MIN)),
    };
    let extremes = [NaiveDate::MIN, NaiveDate::MAX];
    for amount in [i64::MIN, -1, 0, i64::MAX].map(Cents) {
        for paid in [i64::MIN, i64::MAX].map(Cents) {
            for (due_date, on) in extremes.into_iter().flat_map(|due| extremes.map(|on| (due, on))) {
                let calendar = Calendar::national();
                let quote = quote(amount, due_date, &charges, on, paid, Rounding::HalfEven, &calendar);
                assert!(quote.total >= Cents::ZERO);
            }
        }
    }
}

#[test]
fn terms_that_a_new_due_date_has_overtaken_take_nothing_and_add_nothing() {
    let charges = Charges {
        fine: Some(Fine { value: FineValue::Amount(Cents(500)), after_days: 0 }),
        interest: Some(Interest { value: InterestValue::AmountPerDay(Cents(33)), after_days: 0 }),
        discounts: vec![Discount { until: date("2027-01-31"), value: DiscountValue::Amount(Cents(700)) }],
        ..Charges::default()
    };
    let calendar = Calendar::national();
    let on = |day| {
        let due_date = date("2027-01-11");
        quote(Cents(10_000), due_date, &charges, date(day), Cents::ZERO, Rounding::Truncate, &calendar).total
    };
    assert_eq!(on("2027-01-11"), Cents(9_300));
    // Late is late, whatever the discount says; and a day late is one day, not two.
    assert_eq!(on("2027-01-12"), Cents(10_533));
}

/// Any day from 2000 to 2100.
fn any_date() -> impl Strategy<Value = NaiveDate> {
    (0_u64..36_890).prop_map(|days| date("2000-01-01") + chrono::Days::new(days))
}

fn any_percent() -> impl Strategy<Value = Percent> {
    (1_u32..=10_000_000).prop_map(|units| Percent::from_units(units).unwrap())
}

fn any_amount() -> impl Strategy<Value = Cents> {
    prop_oneof![1_i64..=100, 1_i64..=1_000_000, 1_i64..=9_999_999_999].prop_map(Cents)
}

fn any_rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(&Rounding::ALL[..])
}

prop_compose! {
    fn any_late_charges()(
        fine in prop_oneof![any_amount().prop_map(FineValue::Amount), any_percent().prop_map(FineValue::Percentage)],
        interest in prop_oneof![
            any_amount().prop_map(InterestValue::AmountPerDay),
            any_percent().prop_map(InterestValue::PercentagePerMonth),
        ],
        fine_after in 1_u16..=365,
        interest_after in 1_u16..=365,
        parts in 0_u8..4,
    ) -> Charges {
        Charges {
            fine: (parts & 1 == 0).then_some(Fine { value: fine, after_days: fine_after }),
            interest: (parts & 2 == 0).then_some(Interest { value: interest, after_days: interest_after }),
            ..Charges::default()
        }
    }
}

prop_compose! {
    /// A discount by the days between its end and the due date, and its value in parts of the amount.
    fn any_discount(amount: Cents, due_date: NaiveDate)(
        ends_before in 0_u64..60,
        kind in 0_u8..3,
        units in 1_u32..5_000_000,
    ) -> Discount {
        let part = Percent::from_units(units).unwrap();
        let cents = part.of(amount, Rounding::Truncate).max(Cents(1));
        let value = match kind {
            0 => DiscountValue::Percentage(part),
            1 => DiscountValue::Amount(cents),
            _ => DiscountValue::AmountPerDayEarly(Cents((cents.0 / 60).max(1))),
        };
        Discount { until: due_date - chrono::Days::new(ends_before), value }
    }
}

prop_compose! {
    fn any_boleto()(amount in any_amount(), due_date in any_date())(
        mut discounts in prop::collection::vec(any_discount(amount, due_date), 0..=3),
        late in any_late_charges(),
        abatement in prop::option::of(1..=amount.0),
        amount in Just(amount),
        due_date in Just(due_date),
    ) -> (Cents, NaiveDate, Charges) {
        discounts.sort_by_key(|discount| discount.until);
        let mut charges = Charges { abatement: abatement.map(Cents), discounts, ..late };
        // What breaks a rule is taken out, so that what remains is a boleto that could be issued.
        while !charges.violations("charges", amount, due_date).is_empty() {
            if charges.discounts.pop().is_none() {
                charges.abatement = None;
            }
        }
        (amount, due_date, charges)
    }
}

proptest! {
    #[test]
    fn whoever_pays_later_never_pays_less(
        (amount, due_date, charges) in any_boleto(),
        from in -90_i64..500,
        later in 1_i64..90,
        rounding in any_rounding(),
    ) {
        let calendar = Calendar::national();
        let on = |days| {
            let day = due_date + chrono::TimeDelta::days(days);
            quote(amount, due_date, &charges, day, Cents::ZERO, rounding, &calendar).total
        };
        prop_assert!(on(from) <= on(from + later));
    }

    #[test]
    fn the_parts_make_the_total(
        (amount, due_date, charges) in any_boleto(),
        on in any_date(),
        paid in 0_i64..=9_999_999_999,
        rounding in any_rounding(),
    ) {
        let calendar = Calendar::national();
        let quote = quote(amount, due_date, &charges, on, Cents(paid), rounding, &calendar);
        let owed = amount.0 - quote.abatement.0 - quote.discount.0 + quote.fine.0 + quote.interest.0;
        prop_assert_eq!(quote.total.0, (owed - paid).max(0));
        prop_assert!(quote.abatement.0 + quote.discount.0 <= amount.0);
        let late = on > quote.effective_due_date;
        prop_assert_eq!(quote.days_late > 0, late);
        // Nobody has both at once, and before the due date has passed nobody has the second.
        let other = if late { quote.discount } else { Cents(quote.fine.0 + quote.interest.0) };
        prop_assert_eq!(other, Cents::ZERO);
    }

    #[test]
    fn paying_in_parts_is_paying_at_once(
        (amount, due_date, charges) in any_boleto(),
        on in any_date(),
        first in 0_i64..5_000_000_000,
        second in 0_i64..5_000_000_000,
        rounding in any_rounding(),
    ) {
        let calendar = Calendar::national();
        let after = |paid| quote(amount, due_date, &charges, on, Cents(paid), rounding, &calendar).total.0;
        prop_assert_eq!(after(first + second), (after(first) - second).max(0));
    }

    #[test]
    fn interest_of_a_stretch_is_that_of_its_parts(
        amount in any_amount(),
        rate in any_percent(),
        first in 0_u32..4_000,
        second in 0_u32..4_000,
    ) {
        let interest = |days| InterestValue::PercentagePerMonth(rate).of(amount, days, Rounding::Truncate).0;
        prop_assert!((0..=1).contains(&(interest(first + second) - interest(first) - interest(second))));
    }
}
