//! Settings of the timetable, and what they come to: the next times, the capacity, and what falls together.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone. **Fails** at start, with every fault under
//! its whole key. **Limits**: a later job is one more table here and one more entry in [`TimetableConfig::jobs`].

use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::job::Overlap;
use crate::domain::openbanking::pacing::Pacing;
use crate::domain::timetable::{CatchUp, Fire, NoTimetable, Reach, Timetable};

/// The job that asks what became of payments.
pub const PAYMENT_UPDATE: &str = "payment_update";
/// The job that refreshes accounts.
pub const SYNC_UPDATE: &str = "sync_update";

/// Slots in which two jobs are looked at for falling together: a day of every minute.
const COLLISION_FIRES_MAX: usize = 1_440;

/// `[timetable]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimetableConfig {
    /// How long runs that have ended, and slots, are kept: 1 day to 3653 days.
    #[serde(with = "humantime_serde")]
    pub runs_kept: Duration,
    pub payment_update: JobConfig,
    pub sync_update: SyncUpdateConfig,
}

/// A table of `[timetable]`: when a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobConfig {
    /// Whether its slots are run.
    pub enabled: bool,
    /// From one slot to the next by the wall clock: 1 min to 1 day, dividing the day, or whole days up to 366.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// A time of the day through which the slots go.
    #[serde(with = "time_of_day")]
    pub anchor: NaiveTime,
    /// By whose wall clock.
    #[serde(with = "zone")]
    pub time_zone: Tz,
    pub reach: ReachSetting,
    pub overlap: OverlapSetting,
    pub catch_up: CatchUpSetting,
    /// Slots older than this are never caught up with: 1 min to 366 days.
    #[serde(with = "humantime_serde")]
    pub catch_up_window: Duration,
    /// At most so much later than its slot a run begins: up to 1 h.
    #[serde(with = "humantime_serde")]
    pub jitter: Duration,
}

/// `[timetable.sync_update]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncUpdateConfig {
    #[serde(flatten)]
    pub job: JobConfig,
    /// Users of one batch: 1 to 1,000,000.
    pub batch_size: u32,
    /// From the start of one batch to the start of the next: 10 ms to 1 day.
    #[serde(with = "humantime_serde")]
    pub batch_interval: Duration,
    /// Whether a batch that ends early is followed at once.
    pub eager: bool,
}

macro_rules! setting {
    ($(#[$meta:meta])* $name:ident => $meaning:ty { $($variant:ident => $value:expr),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($variant),+
        }

        impl From<$name> for $meaning {
            fn from(setting: $name) -> Self {
                match setting {
                    $($name::$variant => $value),+
                }
            }
        }
    };
}

setting!(
    /// How far the times of a day reach.
    ReachSetting => Reach { AllDay => Reach::AllDay, UntilMidnight => Reach::UntilMidnight }
);
setting!(
    /// What becomes of a slot whose job still runs.
    OverlapSetting => Overlap { Skip => Overlap::Skip, QueueOne => Overlap::QueueOne, Allow => Overlap::Allow }
);
setting!(
    /// What becomes of slots that nobody ran when they were due.
    CatchUpSetting => CatchUp { None => CatchUp::None, Latest => CatchUp::Latest, All => CatchUp::All }
);

impl JobConfig {
    /// The timetable.
    ///
    /// # Errors
    /// A period that has no stable times.
    pub fn timetable(&self) -> Result<Timetable, NoTimetable> {
        Timetable::new(self.every, self.anchor, self.time_zone, self.reach.into())
    }
}

impl SyncUpdateConfig {
    /// How a run is cut into batches.
    pub fn pacing(&self) -> Pacing {
        Pacing { batch_size: self.batch_size, batch_interval: self.batch_interval, eager: self.eager }
    }
}

/// What the settings come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub jobs: Vec<JobOutlook>,
    /// Users whose batches begin within one period of `sync_update`.
    pub users_per_period: u64,
    /// When the jobs that are enabled begin at the same moment within the next day, the first of it.
    pub collision: Option<DateTime<Utc>>,
}

/// One job's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutlook {
    pub name: &'static str,
    pub enabled: bool,
    pub zone: Tz,
    /// The next slots.
    pub next: Vec<Fire>,
}

impl TimetableConfig {
    /// Every job with its table, by name.
    pub fn jobs(&self) -> [(&'static str, &JobConfig); 2] {
        [(PAYMENT_UPDATE, &self.payment_update), (SYNC_UPDATE, &self.sync_update.job)]
    }

    /// What is wrong, each with its key.
    pub fn faults(&self) -> Vec<(String, String)> {
        let fault = |(name, job): (&str, &JobConfig)| {
            let fault = job.timetable().err()?;
            Some((format!("timetable.{name}.every"), fault.to_string()))
        };
        self.jobs().into_iter().filter_map(fault).collect()
    }

    /// What the settings come to from a moment on, with so many slots a job.
    pub fn outlook(&self, now: DateTime<Utc>, slots: usize) -> Outlook {
        let timetables: Vec<_> = self
            .jobs()
            .into_iter()
            .filter_map(|(name, job)| Some((name, job, job.timetable().ok()?)))
            .collect();
        let jobs = timetables.iter().map(|(name, job, timetable)| JobOutlook {
            name,
            enabled: job.enabled,
            zone: job.time_zone,
            next: timetable.fires_after(now).take(slots).collect(),
        });
        let tomorrow = now + chrono::TimeDelta::days(1);
        let moments = |timetable: &Timetable| -> Vec<DateTime<Utc>> {
            timetable.between(now, tomorrow).take(COLLISION_FIRES_MAX).map(|fire| fire.at).collect()
        };
        let collision = match timetables.as_slice() {
            [(_, one, first), (_, other, second)] if one.enabled && other.enabled => {
                let others = moments(second);
                moments(first).into_iter().find(|at| others.contains(at))
            }
            _ => None,
        };
        let period = self.sync_update.job.timetable().map(|timetable| timetable.period());
        Outlook {
            jobs: jobs.collect(),
            users_per_period: self.sync_update.pacing().capacity(period.unwrap_or_default()),
            collision,
        }
    }
}

mod time_of_day {
    use super::{Deserialize, Deserializer, NaiveTime, Serializer};

    const FORM: &str = "%H:%M";

    pub fn serialize<S: Serializer>(time: &NaiveTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.format(FORM))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = text.len() == 5;
        let time = NaiveTime::parse_from_str(&text, FORM).ok().filter(|_| fits);
        time.ok_or_else(|| serde::de::Error::custom("must be a time of the day from 00:00 to 23:59"))
    }
}

mod zone {
    use super::{Deserialize, Deserializer, Serializer, Tz};

    pub fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom("must be a zone of the IANA tz database, such as Europe/Warsaw")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn the_defaults_are_the_legacy_ones() {
        let config = Config::default().timetable;
        let now = at("2026-11-23T00:00:00Z");
        let outlook = config.outlook(now, 3);
        let told: Vec<(&str, Vec<String>)> = outlook
            .jobs
            .iter()
            .map(|job| (job.name, job.next.iter().map(|fire| fire.at.format("%H:%M").to_string()).collect()))
            .collect();
        // Noon in Warsaw is eleven in the winter.
        let fires = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        let expected = [
            (PAYMENT_UPDATE, fires(["05:00", "11:00", "17:00"])),
            (SYNC_UPDATE, fires(["03:00", "11:00", "19:00"])),
        ];
        assert_eq!(told, expected);
        assert_eq!(outlook.users_per_period, 2_400);
        assert!(outlook.jobs.iter().all(|job| job.enabled));
    }

    #[test]
    fn both_jobs_at_noon_are_told() {
        let mut config = Config::default().timetable;
        let collision = |config: &TimetableConfig| config.outlook(at("2026-11-23T00:00:00Z"), 1).collision;
        assert_eq!(collision(&config), Some(at("2026-11-23T11:00:00Z")));
        config.payment_update.enabled = false;
        assert_eq!(collision(&config), None, "one alone meets nobody");
    }

    #[test]
    fn a_period_without_stable_times_a_zone_and_a_time_that_are_none_are_refused() {
        let sources = Sources::default()
            .with("timetable.sync_update.every", "7h")
            .with("timetable.payment_update.time_zone", "Europe/Warschau")
            .with("timetable.payment_update.anchor", "24:00");
        let text = Config::load(&sources).unwrap_err().to_string();
        for part in ["timetable.sync_update.every", "must divide it", "IANA", "00:00 to 23:59"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
