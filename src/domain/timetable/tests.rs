//! Timetables over every zone and day of ten years, and the sums of single ones.

use std::collections::BTreeSet;

use chrono::Timelike as _;
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn table(every: Duration, anchor: (u32, u32), zone: Tz, reach: Reach) -> Timetable {
    Timetable::new(every, NaiveTime::from_hms_opt(anchor.0, anchor.1, 0).unwrap(), zone, reach).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn local_times(timetable: &Timetable, from: &str, until: &str) -> Vec<String> {
    let fires = timetable.between(at(from), at(until));
    fires.map(|fire| fire.at.with_timezone(&timetable.zone).format("%m-%d %H:%M").to_string()).collect()
}

#[test]
fn both_readings_of_every_eight_hours_from_noon() {
    let (from, until) = ("2026-11-22T00:00:00Z", "2026-11-23T23:59:00Z");
    let all_day = table(8 * HOUR, (12, 0), Tz::UTC, Reach::AllDay);
    assert_eq!(
        local_times(&all_day, from, until),
        ["11-22 04:00", "11-22 12:00", "11-22 20:00", "11-23 04:00", "11-23 12:00", "11-23 20:00"]
    );
    let until_midnight = table(8 * HOUR, (12, 0), Tz::UTC, Reach::UntilMidnight);
    assert_eq!(
        local_times(&until_midnight, from, until),
        ["11-22 12:00", "11-22 20:00", "11-23 12:00", "11-23 20:00"]
    );
    let payments = table(6 * HOUR, (12, 0), Tz::UTC, Reach::AllDay);
    assert_eq!(
        local_times(&payments, "2026-11-21T23:59:59Z", "2026-11-22T23:00:00Z"),
        ["11-22 00:00", "11-22 06:00", "11-22 12:00", "11-22 18:00"]
    );
    let weekly = table(7 * 24 * HOUR, (3, 30), Tz::UTC, Reach::AllDay);
    assert_eq!(
        local_times(&weekly, from, "2026-12-10T00:00:00Z"),
        ["11-26 03:30", "12-03 03:30"],
        "1970-01-01 was a Thursday"
    );
}

#[test]
fn a_period_that_would_drift_is_refused() {
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap();
    let new = |every, reach| Timetable::new(every, noon, Tz::UTC, reach);
    assert_eq!(new(7 * HOUR, Reach::AllDay), Err(NoTimetable::DoesNotDivideTheDay));
    assert!(new(7 * HOUR, Reach::UntilMidnight).is_ok());
    assert_eq!(new(25 * HOUR, Reach::AllDay), Err(NoTimetable::NoWholeDays));
    assert_eq!(new(367 * 24 * HOUR, Reach::AllDay), Err(NoTimetable::NoWholeDays));
    for bad in
        [Duration::ZERO, Duration::from_secs(30), Duration::from_secs(90), Duration::from_millis(60_001)]
    {
        assert_eq!(new(bad, Reach::AllDay), Err(NoTimetable::NoWholeMinutes), "{bad:?}");
    }
    assert_eq!(new(Duration::MAX, Reach::AllDay), Err(NoTimetable::NoWholeMinutes));
    assert_eq!(new(Duration::from_secs(u64::MAX / 60 * 60), Reach::AllDay), Err(NoTimetable::NoWholeDays));
}

#[test]
fn what_was_missed_is_caught_up_as_agreed() {
    let timetable = table(HOUR, (0, 0), Tz::UTC, Reach::AllDay);
    let (since, now) = (at("2026-11-22T06:00:00Z"), at("2026-11-22T12:00:30Z"));
    let hours = |fires: &[Fire]| fires.iter().map(|fire| fire.at.hour()).collect::<Vec<_>>();
    let due = |catch_up, window| {
        let due = timetable.due(since, now, catch_up, window, Duration::from_mins(1));
        (hours(&due.missed), hours(&due.run))
    };
    let long = 24 * HOUR;
    assert_eq!(due(CatchUp::All, long), (vec![], vec![7, 8, 9, 10, 11, 12]));
    assert_eq!(due(CatchUp::Latest, long), (vec![7, 8, 9, 10, 11], vec![12]));
    assert_eq!(due(CatchUp::None, long), (vec![7, 8, 9, 10, 11], vec![12]), "the last is on time");
    assert_eq!(due(CatchUp::All, 2 * HOUR + Duration::from_mins(5)), (vec![7, 8, 9], vec![10, 11, 12]));
    let late = at("2026-11-22T12:30:00Z");
    let none = timetable.due(since, late, CatchUp::None, long, Duration::from_mins(1));
    assert_eq!((none.missed.len(), none.run.len()), (6, 0));
    let latest = timetable.due(since, late, CatchUp::Latest, Duration::from_mins(10), Duration::from_mins(1));
    assert_eq!((latest.missed.len(), latest.run.len()), (6, 0), "nothing lies in the window");
    assert_eq!(timetable.due(now, now, CatchUp::All, long, HOUR), Due::default());
}

#[test]
fn a_slot_is_found_again() {
    let timetable = table(6 * HOUR, (12, 0), chrono_tz::Europe::Warsaw, Reach::AllDay);
    for fire in timetable.fires_after(at("2027-03-27T12:00:00Z")).take(12) {
        assert_eq!(timetable.fire_of(fire.slot), Some(fire));
    }
    let beyond = Slot { date: NaiveDate::from_ymd_opt(2027, 3, 28).unwrap(), place: 4 };
    assert_eq!(timetable.fire_of(beyond), None);
}

#[test]
fn jitter_stays_the_same_and_within_its_bound() {
    let most = Duration::from_mins(10);
    let all: BTreeSet<Duration> =
        (0..1_000).map(|number| jitter(&format!("consent-{number}"), most)).collect();
    assert!(all.len() > 990 && all.iter().all(|one| *one < most));
    assert!(all.iter().any(|one| *one < most / 10) && all.iter().any(|one| *one > most * 9 / 10));
    assert_eq!(jitter("a", most), jitter("a", most));
    assert_eq!(jitter("a", Duration::ZERO), Duration::ZERO);
}

/// Every slot of every local date from `first` to `last` is there once, in an order in which no moment lies before another, and a
/// slot lies where the wall clock shows it, or behind the gap that skips it.
fn check(timetable: &Timetable, first: NaiveDate, last: NaiveDate) {
    let zone = timetable.zone;
    let begin = (first.and_time(NaiveTime::MIN) - TimeDelta::days(2)).and_utc();
    let fires = timetable.fires_after(begin).skip_while(|fire| fire.slot.date < first);
    let mut expected = first.iter_days().take_while(|date| *date <= last).flat_map(|date| {
        timetable
            .times_of(date)
            .into_iter()
            .zip(0..)
            .map(move |(minute, place)| (Slot { date, place }, minute))
    });
    let mut before = begin;
    for fire in fires {
        let Some((slot, minute)) = expected.next() else { return };
        assert_eq!(fire.slot, slot, "{zone}");
        assert!(fire.at >= before, "{zone}: {fire:?} lies before the slot before it");
        before = fire.at;
        let wanted = slot.date.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute));
        let shown = fire.at.with_timezone(&zone).naive_local();
        if shown == wanted {
            let an_hour_ago = (fire.at - TimeDelta::hours(1)).with_timezone(&zone).naive_local();
            assert!(an_hour_ago != wanted, "{zone}: {fire:?} is the second of two");
        } else {
            let shortly_before = (fire.at - TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
            assert!(shortly_before < wanted && wanted < shown, "{zone}: {fire:?} is shown as {shown}");
        }
    }
    panic!("{zone}: the timetable ends");
}

#[test]
fn no_slot_is_lost_or_doubled_in_any_zone_on_any_day_of_ten_years() {
    let (first, last) = ("2026-01-01".parse().unwrap(), "2035-12-31".parse().unwrap());
    let halves: Vec<&[Tz]> = TZ_VARIANTS.chunks(TZ_VARIANTS.len().div_ceil(2)).collect();
    std::thread::scope(|scope| {
        for zones in halves {
            scope.spawn(move || {
                for zone in zones {
                    check(&table(8 * HOUR, (2, 30), *zone, Reach::AllDay), first, last);
                    for date in first.iter_days().take_while(|date| *date <= last) {
                        if changes(*zone, date) {
                            let quarters = table(HOUR / 4, (0, 0), *zone, Reach::AllDay);
                            check(&quarters, date.pred_opt().unwrap(), date.succ_opt().unwrap());
                        }
                    }
                }
            });
        }
    });
}

/// Whether the clocks of a zone change in the course of a local date.
fn changes(zone: Tz, date: NaiveDate) -> bool {
    use chrono::{Offset as _, TimeZone as _};

    let offset = |date: NaiveDate| zone.offset_from_utc_datetime(&date.and_time(NaiveTime::MIN)).fix();
    offset(date.pred_opt().unwrap()) != offset(date.succ_opt().unwrap())
}

proptest! {
    #[test]
    fn the_next_slot_always_comes_and_is_the_next(
        zone in 0..TZ_VARIANTS.len(), second in 1_700_000_000_i64..2_000_000_000, divisor in 0_usize..8,
        anchor in 0_u32..1_440, reach in prop_oneof![Just(Reach::AllDay), Just(Reach::UntilMidnight)],
    ) {
        let minutes = [1, 15, 60, 360, 480, 720, 1_440, 10_080][divisor];
        let every = Duration::from_secs(minutes * 60);
        let timetable = table(every, (anchor / 60, anchor % 60), TZ_VARIANTS[zone], reach);
        let moment = DateTime::from_timestamp(second, 0).unwrap();
        let next = timetable.next_after(moment).unwrap();
        prop_assert!(next.at > moment);
        let longest = timetable.period().max(Duration::from_hours(24)) + Duration::from_hours(26);
        prop_assert!((next.at - moment).to_std().unwrap() <= longest);
        let again: Vec<Fire> = timetable.between(moment, next.at).collect();
        prop_assert!(again.iter().all(|fire| fire.at == next.at) && again[0] == next);
        // Whoever begins a moment earlier finds the same.
        prop_assert_eq!(timetable.fires_after(moment - TimeDelta::seconds(1)).find(|fire| fire.at > moment), Some(next));
    }
}
