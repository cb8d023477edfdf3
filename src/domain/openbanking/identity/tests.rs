//! What banks do with their ids, one by one and all at once.

use proptest::prelude::*;

use super::*;

fn marks(id: &str, day: u32, amount: i64) -> Marks {
    Marks {
        ids: vec![id.to_owned()],
        booked_on: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
        amount,
        currency: "PLN".to_owned(),
        counterparty: "Shop".to_owned(),
        text: "Coffee".to_owned(),
        balance_after: None,
    }
}

fn counts(known: &[Marks], delivered: &[Marks]) -> (usize, usize, usize) {
    let matched = match_window(known, delivered);
    (matched.same.len(), matched.new.len(), matched.missing.len())
}

#[test]
fn known_ones_are_known_by_their_ids_whatever_else_changed() {
    let known = [marks("a", 1, -500), marks("b", 1, -500)];
    let mut delivered = [marks(" b ", 1, -500), marks("a", 1, -500)];
    delivered[1].text = "COFFEE, card 1".to_owned();
    assert_eq!(match_window(&known, &delivered).same, [(0, 1), (1, 0)]);
}

#[test]
fn blank_and_reissued_ids_double_nothing() {
    let known = [marks("a", 1, -500), marks(" ", 2, -300)];
    assert_eq!(counts(&known, &[marks("z", 1, -500), marks("", 2, -300)]), (2, 0, 0));
}

#[test]
fn equal_transactions_on_one_day_are_as_many_as_there_are() {
    let twins = [marks("", 1, -500), marks("", 1, -500)];
    assert_eq!(counts(&[], &twins), (0, 2, 0));
    assert_eq!(counts(&twins[..1], &twins), (1, 1, 0));
    assert_eq!(counts(&twins, &twins), (2, 0, 0));
    assert_eq!(counts(&[marks("a", 1, -500)], &[marks("a", 1, -500), marks("b", 1, -500)]), (1, 1, 0));
    let with = |balance| Marks { balance_after: Some(balance), ..marks("", 1, -500) };
    assert_eq!(
        match_window(&[with(100), with(50)], &[with(50), with(0)]),
        Matched { same: vec![(1, 0)], new: vec![1], missing: vec![0] }
    );
}

#[test]
fn an_id_of_two_transactions_is_none() {
    let both = [marks("same", 1, -500), marks("same", 2, -700)];
    assert_eq!(counts(&[], &both), (0, 2, 0));
    assert_eq!(counts(&both, &both), (2, 0, 0));
    assert_eq!(
        counts(&[marks("same", 1, -500)], &[marks("same", 3, -900)]),
        (0, 1, 1),
        "the id is used again"
    );
}

#[test]
fn a_page_that_comes_twice_brings_nothing_new() {
    let page = [marks("a", 1, -500), marks("b", 1, -500)];
    let twice = [page.clone(), page.clone()].concat();
    assert_eq!(counts(&[], &twice), (0, 2, 0));
    assert_eq!(counts(&page, &twice), (2, 0, 0));
}

#[test]
fn what_is_missing_is_said() {
    let known = [marks("a", 1, -500), marks("b", 2, -500)];
    assert_eq!(match_window(&known, &known[1..]).missing, [0]);
}

/// How a bank tells its ids in one delivery.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Stable,
    Blank,
    Reissued,
    OneForAll,
}

fn told(truth: &[Marks], habit: Habit, delivery: usize, from: u32, until: u32, again: bool) -> Vec<Marks> {
    let day = |marks: &Marks| chrono::Datelike::day(&marks.booked_on);
    let window: Vec<(usize, &Marks)> =
        truth.iter().enumerate().filter(|(_, marks)| (from..=until).contains(&day(marks))).collect();
    // Equal transactions under one id, and nothing beside them, cannot be told from a page that came twice.
    let all_alike = window.iter().all(|(_, marks)| *marks == window[0].1);
    let habit = if all_alike && matches!(habit, Habit::OneForAll) { Habit::Blank } else { habit };
    let tell = |(place, marks): (usize, &Marks)| {
        let id = match habit {
            Habit::Stable => format!("id-{place}"),
            Habit::Blank => " ".to_owned(),
            Habit::Reissued => format!("id-{place}-{delivery}"),
            Habit::OneForAll => "0".to_owned(),
        };
        Marks { ids: vec![id], text: marks.text.to_uppercase(), ..marks.clone() }
    };
    let mut list: Vec<Marks> = window.into_iter().map(tell).collect();
    if again && matches!(habit, Habit::Stable | Habit::Reissued) {
        // A page came twice.
        let page: Vec<Marks> = list.iter().take(3).cloned().collect();
        list.extend(page);
    }
    let turn = delivery % list.len().max(1);
    list.rotate_left(turn);
    list
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_hundred_deliveries_double_nothing_and_lose_nothing(
        days_and_amounts in prop::collection::vec((1_u32..12, 1_i64..4), 1..40),
        deliveries in prop::collection::vec(
            (prop_oneof![Just(Habit::Stable), Just(Habit::Blank), Just(Habit::Reissued), Just(Habit::OneForAll)],
             1_u32..12, 0_u32..12, any::<bool>()), 100),
    ) {
        let truth: Vec<Marks> = days_and_amounts.iter().map(|(day, amount)| marks("", *day, -amount)).collect();
        let mut kept: Vec<Marks> = Vec::new();
        let mut covered = HashSet::new();
        for (number, (habit, from, length, again)) in deliveries.into_iter().enumerate() {
            let until = from + length;
            covered.extend(from..=until);
            let day = |marks: &Marks| chrono::Datelike::day(&marks.booked_on);
            let (window, rest): (Vec<Marks>, Vec<Marks>) =
                kept.into_iter().partition(|marks| (from..=until).contains(&day(marks)));
            let delivered = told(&truth, habit, number, from, until, again);
            let matched = match_window(&window, &delivered);
            kept = rest;
            prop_assert!(matched.missing.is_empty(), "the bank told everything: {matched:?}");
            kept.extend(matched.same.iter().map(|(_, delivered_place)| delivered[*delivered_place].clone()));
            kept.extend(matched.new.iter().map(|place| delivered[*place].clone()));
        }
        let summed = |list: &[Marks]| {
            let mut pairs: Vec<(NaiveDate, i64)> = list.iter().map(|marks| (marks.booked_on, marks.amount)).collect();
            pairs.sort_unstable();
            pairs
        };
        let due: Vec<Marks> = truth.into_iter().filter(|marks| covered.contains(&chrono::Datelike::day(&marks.booked_on))).collect();
        prop_assert_eq!(summed(&kept), summed(&due));
    }
}
