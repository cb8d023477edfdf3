//! Which days are business days, judged by published dates and by Easter as another program calculates it.
//!
//! **Owns** nothing. **Fails** by panicking. **Limits**: Easter is compared for the years 2000 to 2100.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    easter: Vec<NaiveDate>,
    movable: Vec<Movable>,
}

#[derive(Deserialize)]
struct Movable {
    carnaval: [NaiveDate; 2],
    good_friday: NaiveDate,
    corpus_christi: NaiveDate,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/fixtures/charge_vectors.json")).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn easter_falls_where_others_see_it() {
    let expected = vectors().easter;
    let found: Vec<_> = (2000..=2100).map(|year| easter(year).unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_movable_holidays_of_the_published_years_are_known() {
    let calendar = Calendar::national();
    let years = vectors().movable;
    assert_eq!(years.len(), 2);
    for year in years {
        for day in [year.carnaval[0], year.carnaval[1], year.good_friday, year.corpus_christi] {
            assert!(calendar.is_holiday(day), "{day}");
            assert!(!calendar.is_business_day(day), "{day}");
        }
        // Ash Wednesday and the Thursday before Easter have business, if fewer hours of it.
        assert!(calendar.is_business_day(year.carnaval[1].succ_opt().unwrap()));
        assert!(calendar.is_business_day(year.good_friday.pred_opt().unwrap()));
    }
}

#[test]
fn a_year_has_its_thirteen_holidays() {
    let calendar = Calendar::national();
    let holidays: Vec<_> =
        date("2027-01-01").iter_days().take(365).filter(|day| calendar.is_holiday(*day)).collect();
    let expected = [
        "2027-01-01",
        "2027-02-08",
        "2027-02-09",
        "2027-03-26",
        "2027-04-21",
        "2027-05-01",
        "2027-05-27",
        "2027-09-07",
        "2027-10-12",
        "2027-11-02",
        "2027-11-15",
        "2027-11-20",
        "2027-12-25",
    ];
    assert_eq!(holidays, expected.map(date));
}

#[test]
fn the_twentieth_of_november_is_national_since_2024() {
    let calendar = Calendar::national();
    assert!(calendar.is_business_day(date("2023-11-20")));
    assert!(!calendar.is_business_day(date("2024-11-20")));
    assert_eq!(calendar.next_business_day(date("2026-11-20")), date("2026-11-23"));
}

#[test]
fn a_business_day_is_its_own_next_one() {
    let calendar = Calendar::national();
    assert_eq!(calendar.next_business_day(date("2027-01-18")), date("2027-01-18"));
    assert_eq!(calendar.next_business_day(date("2027-01-17")), date("2027-01-18"));
    // Saturday, Sunday, then Carnaval's two days.
    assert_eq!(calendar.next_business_day(date("2027-02-06")), date("2027-02-10"));
}

#[test]
fn the_last_day_of_the_year_is_a_holiday_for_who_says_so() {
    let friday = date("2027-12-31");
    assert!(Calendar::national().is_business_day(friday));
    let calendar = Calendar::with_extra([friday]);
    assert_eq!(calendar.next_business_day(friday), date("2028-01-03"));
}

#[test]
fn business_days_are_counted_from_the_day_after() {
    let calendar = Calendar::national();
    for (from, count, to) in [
        ("2027-02-05", 0, "2027-02-05"),
        ("2027-02-05", 1, "2027-02-10"),
        ("2027-02-06", 0, "2027-02-10"),
        ("2027-02-06", 1, "2027-02-10"),
        ("2027-02-06", 2, "2027-02-11"),
        ("2027-12-30", 2, "2028-01-03"),
    ] {
        assert_eq!(calendar.add_business_days(date(from), count), date(to), "{from} + {count}");
    }
}

#[test]
fn the_ends_of_the_calendar_are_no_panic() {
    let calendar = Calendar::with_extra([NaiveDate::MAX]);
    assert_eq!(calendar.next_business_day(NaiveDate::MAX), NaiveDate::MAX);
    assert_eq!(calendar.add_business_days(NaiveDate::MAX, u16::MAX), NaiveDate::MAX);
    assert!(calendar.next_business_day(NaiveDate::MIN) >= NaiveDate::MIN);
}

proptest! {
    #[test]
    fn the_next_business_day_is_the_first_one(day in 0_u64..36_890, extra in proptest::collection::vec(0_u64..12, 0..6)) {
        let start = date("2000-01-01") + chrono::Days::new(day);
        let calendar = Calendar::with_extra(extra.into_iter().map(|ahead| start + chrono::Days::new(ahead)));
        let next = calendar.next_business_day(start);
        prop_assert!(calendar.is_business_day(next));
        prop_assert!(start.iter_days().take_while(|day| *day < next).all(|day| !calendar.is_business_day(day)));
    }

    #[test]
    fn counting_on_is_counting_at_once(day in 0_u64..36_500, first in 1_u16..40, second in 1_u16..40) {
        let calendar = Calendar::national();
        let start = date("2000-01-01") + chrono::Days::new(day);
        let halfway = calendar.add_business_days(start, first);
        let arrived = calendar.add_business_days(start, first + second);
        prop_assert_eq!(calendar.add_business_days(halfway, second), arrived);
        prop_assert!((arrived - start).num_days() >= i64::from(first + second));
    }
}
