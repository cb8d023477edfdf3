//! When a job runs: by the wall clock of a named zone, with an answer for the hours that a change of the clocks skips or repeats.
//!
//! A fire is a slot: a local date and a place in that date's list of times. The slot is its identity, so that neither a repeated
//! hour nor a second process doubles it. A time in a skipped hour is the first moment behind the gap; a time in a repeated hour is
//! the first of the two. Two slots may fall on one moment: they stay two slots, and what runs then is the overlap's business.
//!
//! **Owns** nothing; the zone's rules are those of the tz database that the program was built with. **Fails** with
//! [`NoTimetable`]. **Limits**: times are whole minutes; there are at most 1,440 slots a day; what is asked about lies between the
//! years 1900 and 2200.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::wall_clock;

const MINUTES_A_DAY: u32 = 24 * 60;
/// Behind so many local dates a next slot has come, whatever the clocks did: the longest period, and the dates that a zone skipped.
const DATES_LOOKED_THROUGH: u64 = PERIOD_DAYS_MAX as u64 + 4;
/// Days of one period, at most.
const PERIOD_DAYS_MAX: u32 = 366;

/// At what times of the day a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    every: Every,
    anchor_minute: u32,
    zone: Tz,
}

/// How often, from the anchor on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    /// Round the clock: every so many minutes, which divide the day.
    Cycle { minutes: u32 },
    /// From the anchor to the end of the day.
    Window { minutes: u32 },
    /// At the anchor of every so many days, counted from 1970-01-01.
    Days { days: u32 },
}

/// How far the times of a day reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Round the clock, through the anchor.
    AllDay,
    /// From the anchor to midnight, then again from the next day's anchor.
    UntilMidnight,
}

/// Why there is no such timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTimetable {
    #[error("a period is whole minutes, at least one")]
    NoWholeMinutes,
    #[error(
        "a period below a day must divide it, or the times would be others each day: 8h does, 7h does not"
    )]
    DoesNotDivideTheDay,
    #[error("a period above a day is whole days, at most 366")]
    NoWholeDays,
}

/// One time at which a job is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fire {
    /// When.
    pub at: DateTime<Utc>,
    pub slot: Slot,
}

/// Which time of which day, by the wall clock; unique within a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub date: NaiveDate,
    /// From 0, in the order of the day's times.
    pub place: u32,
}

/// What becomes of slots that nobody ran when they were due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// They are passed over.
    None,
    /// The newest is run, the others are passed over.
    Latest,
    /// All are run, oldest first.
    All,
}

/// What is to be done about the slots that have come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// To be run, oldest first.
    pub run: Vec<Fire>,
    /// Passed over: to be written down as missed, oldest first.
    pub missed: Vec<Fire>,
}

impl Timetable {
    /// A job that runs `every` so often, at times that go through `anchor` by the wall clock of `zone`.
    ///
    /// # Errors
    /// [`NoTimetable`].
    pub fn new(every: Duration, anchor: NaiveTime, zone: Tz, reach: Reach) -> Result<Self, NoTimetable> {
        use chrono::Timelike as _;

        let minutes = every.as_secs() / 60;
        if minutes == 0 || Duration::from_secs(minutes * 60) != every {
            return Err(NoTimetable::NoWholeMinutes);
        }
        let a_day = u64::from(MINUTES_A_DAY);
        let every = match (reach, u32::try_from(minutes)) {
            (Reach::UntilMidnight, Ok(minutes)) if minutes < MINUTES_A_DAY => Every::Window { minutes },
            (Reach::AllDay, Ok(minutes)) if minutes < MINUTES_A_DAY => {
                if !MINUTES_A_DAY.is_multiple_of(minutes) {
                    return Err(NoTimetable::DoesNotDivideTheDay);
                }
                Every::Cycle { minutes }
            }
            _ => match u32::try_from(minutes / a_day) {
                Ok(days) if minutes.is_multiple_of(a_day) && days <= PERIOD_DAYS_MAX => Every::Days { days },
                _ => return Err(NoTimetable::NoWholeDays),
            },
        };
        Ok(Self { every, anchor_minute: anchor.hour() * 60 + anchor.minute(), zone })
    }

    /// By whose wall clock.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// From one slot to the next by the wall clock, where the days do not come between.
    pub fn period(&self) -> Duration {
        let minutes = match self.every {
            Every::Cycle { minutes } | Every::Window { minutes } => minutes,
            Every::Days { days } => days * MINUTES_A_DAY,
        };
        Duration::from_secs(u64::from(minutes) * 60)
    }

    /// The first slot behind a moment.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<Fire> {
        self.fires_after(moment).next()
    }

    /// The slots behind a moment, up to and with another.
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Fire> {
        self.fires_after(after).take_while(move |fire| fire.at <= until)
    }

    /// The slots behind a moment, in the order of their moments; slots of one moment in the order of the wall clock.
    pub fn fires_after(&self, moment: DateTime<Utc>) -> impl Iterator<Item = Fire> {
        // A slot that was moved out of a gap may lie on the date before the moment's own.
        let first = moment.with_timezone(&self.zone).date_naive().checked_sub_days(Days::new(2));
        let dates = first.into_iter().flat_map(|first| first.iter_days());
        let mut barren = 0;
        dates
            .map_while(move |date| {
                let times = self.times_of(date);
                // No period is so long; whatever a date's arithmetic does, the search ends.
                barren = if times.is_empty() { barren + 1 } else { 0 };
                (barren <= DATES_LOOKED_THROUGH).then_some((date, times))
            })
            .flat_map(move |(date, times)| {
                let zone = self.zone;
                times.into_iter().zip(0..).filter_map(move |(minute, place)| {
                    Some(Fire { at: moment_of(date, minute, zone)?, slot: Slot { date, place } })
                })
            })
            .skip_while(move |fire| fire.at <= moment)
    }

    /// When a slot is, if there is such a one.
    pub fn fire_of(&self, slot: Slot) -> Option<Fire> {
        let minute = *self.times_of(slot.date).get(slot.place as usize)?;
        Some(Fire { at: moment_of(slot.date, minute, self.zone)?, slot })
    }

    /// What is to be done now about the slots behind `since`, the last that was looked at. What is older than `window` is missed
    /// whatever the policy; a slot that is younger than `grace` is no missed one yet and is run in any case.
    pub fn due(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        catch_up: CatchUp,
        window: Duration,
        grace: Duration,
    ) -> Due {
        let age = |fire: &Fire| (now - fire.at).to_std().unwrap_or_default();
        // What lies before the window is missed; there is no use in counting a year's slots one by one.
        let window_begins =
            TimeDelta::from_std(window).ok().and_then(|window| now.checked_sub_signed(window));
        let (old, mut young): (Vec<Fire>, Vec<Fire>) = self
            .between(since, now)
            .partition(|fire| window_begins.is_some_and(|begins| fire.at < begins) && age(fire) > grace);
        let mut missed = old;
        let keep_from = match catch_up {
            CatchUp::All => 0,
            CatchUp::Latest => young.len().saturating_sub(1),
            CatchUp::None => young.iter().position(|fire| age(fire) <= grace).unwrap_or(young.len()),
        };
        let run = young.split_off(keep_from);
        missed.extend(young);
        Due { run, missed }
    }

    /// The times of a local date, in minutes from its midnight.
    fn times_of(&self, date: NaiveDate) -> Vec<u32> {
        let anchor = self.anchor_minute;
        match self.every {
            Every::Cycle { minutes } => (anchor % minutes..MINUTES_A_DAY).step_by(minutes as usize).collect(),
            Every::Window { minutes } => (anchor..MINUTES_A_DAY).step_by(minutes as usize).collect(),
            Every::Days { days } => {
                let since_epoch = (date - NaiveDate::default()).num_days();
                if since_epoch.rem_euclid(i64::from(days)) == 0 { vec![anchor] } else { vec![] }
            }
        }
    }
}

fn moment_of(date: NaiveDate, minute: u32, zone: Tz) -> Option<DateTime<Utc>> {
    wall_clock::moment(date.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute)), zone)
}

/// How much later than its moment a slot is begun, so that not everybody calls at the full hour: always the same for a name, and
/// never more than `most`.
pub fn jitter(name: &str, most: Duration) -> Duration {
    let digest = Sha256::digest(name);
    let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    most.mul_f64(share)
}

#[cfg(test)]
mod tests;
