//! The settings of the scheduler that this program replaces, read from the environment as they are.
//!
//! Its names are matched whatever their letters' case, as its own framework did; two spellings that disagree are refused. They go
//! over a file's settings and below our own variables, and each is told with the key that takes its place.
//!
//! **Owns** nothing. **Fails** with a [`Problem`] per variable that is out of its bounds, which are named. **Limits**: its documented
//! bounds; hour 0 and minute 60 are understood as that scheduler's prose says, with a warning.

use std::collections::BTreeMap;

use toml::Value;

use super::error::Problem;
use super::source::Setting;
use crate::actors::config::timetable::{PAYMENT_UPDATE, SYNC_UPDATE};

/// How its names begin, in lower case.
const PREFIX: &str = "schedulerservicestartupconfig__jobs__dailyjobs__";

const JOBS: [(&str, &str); 2] = [("syncupdate", SYNC_UPDATE), ("paymentupdate", PAYMENT_UPDATE)];

/// What was understood.
#[derive(Default)]
pub(super) struct Legacy {
    /// What goes below everything that anybody says in our own words.
    pub implied: Vec<Setting>,
    /// What goes over a file.
    pub said: Vec<Setting>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
}

/// Whether a variable is one of its.
pub(super) fn is_legacy(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with(PREFIX)
}

/// What an operator is to be told about variables of the replaced scheduler, each with the key that takes its place.
pub fn warnings(env: &[(String, String)]) -> Vec<String> {
    read(env).warnings
}

/// Reads its variables.
pub(super) fn read(env: &[(String, String)]) -> Legacy {
    let mut legacy = Legacy::default();
    // By name in lower case: the name as it was written, and the value.
    let mut found: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (name, value) in env {
        let lower = name.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix(PREFIX) else { continue };
        let other = found.insert(rest.to_owned(), (name, value.trim()));
        if let Some((other, _)) = other.filter(|(_, known)| *known != value.trim()) {
            let reason = format!("disagrees with {other}, which is the same name in other letters");
            legacy.problems.push(Problem::bad(name.clone(), "environment", reason));
        }
    }
    for (job, table) in JOBS {
        let mut variables = Variables { found: &mut found, job, table, legacy: &mut legacy };
        variables.switch();
        variables.time_of_day();
        if table == SYNC_UPDATE {
            variables.whole("jobarguments__batchsize", "batch_size", Value::Integer);
            variables.whole("jobarguments__batchinterval", "batch_interval", |count| {
                Value::String(format!("{count}min"))
            });
        }
    }
    for (name, _) in found.into_values() {
        legacy
            .warnings
            .push(format!("{name} is no setting that the replaced scheduler had; it is passed over"));
    }
    legacy
}

/// The variables of one job.
struct Variables<'a, 'b> {
    found: &'a mut BTreeMap<String, (&'b str, &'b str)>,
    job: &'static str,
    table: &'static str,
    legacy: &'a mut Legacy,
}

impl<'b> Variables<'_, 'b> {
    fn take(&mut self, rest: &str) -> Option<(&'b str, &'b str)> {
        self.found.remove(&format!("{}__{rest}", self.job))
    }

    fn setting(&self, key: &str, value: Value, name: &str) -> Setting {
        let path = ["timetable", self.table, key].map(str::to_owned).to_vec();
        Setting { path, value, origin: format!("variable {name}"), line: None }
    }

    fn say(&mut self, key: &str, value: Value, name: &str) {
        let table = self.table;
        self.legacy.warnings.push(format!(
            "{name} is a setting of the replaced scheduler and still holds; timetable.{table}.{key} takes its place"
        ));
        let setting = self.setting(key, value, name);
        self.legacy.said.push(setting);
    }

    fn refuse(&mut self, name: &str, reason: &str) {
        self.legacy.problems.push(Problem::bad(name, "environment", reason));
    }

    /// A job that is configured at all runs, unless it says that it is disabled.
    fn switch(&mut self) {
        let begin = format!("{}__", self.job);
        let any = self.found.iter().find(|(rest, _)| rest.starts_with(&begin)).map(|(_, (name, _))| *name);
        if let Some(name) = any {
            let implied = self.setting("enabled", Value::Boolean(true), name);
            self.legacy.implied.push(implied);
        }
        let Some((name, value)) = self.take("disabled") else { return };
        match value.to_ascii_lowercase().as_str() {
            "true" => self.say("enabled", Value::Boolean(false), name),
            "false" => self.say("enabled", Value::Boolean(true), name),
            _ => self.refuse(name, "must be true or false"),
        }
    }

    fn time_of_day(&mut self) {
        let (hour, minute) = (self.take("timeofday__hour"), self.take("timeofday__minute"));
        let (Some((name, _)), hour_text, minute_text) =
            (hour.or(minute), hour.map_or("12", |(_, text)| text), minute.map_or("0", |(_, text)| text))
        else {
            return;
        };
        let names = [hour, minute].map(|variable| variable.map(|(name, _)| name));
        let [hour_name, minute_name] = names.map(|own| own.unwrap_or(name));
        let (read_hour, read_minute) = (whole(hour_text), whole(minute_text));
        let hour_fits = read_hour.is_some_and(|hour| hour <= 24);
        let minute_fits = read_minute.is_some_and(|minute| minute <= 60);
        if !hour_fits {
            self.refuse(hour_name, "must be a whole number from 1 to 24");
        }
        if !minute_fits {
            self.refuse(minute_name, "must be a whole number from 0 to 60");
        }
        let (Some(hour), Some(minute), true, true) = (read_hour, read_minute, hour_fits, minute_fits) else {
            return;
        };
        if hour == 0 {
            let told = format!(
                "{hour_name} is 0, which lies below its bounds of 1 to 24; it is read as 24, which is 00:00"
            );
            self.legacy.warnings.push(told);
        }
        if minute == 60 {
            let told = format!("{minute_name} is 60, which is read as the next hour's first minute");
            self.legacy.warnings.push(told);
        }
        let minutes = (hour * 60 + minute) % (24 * 60);
        let anchor = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        for name in names.into_iter().flatten() {
            self.say("anchor", Value::String(anchor.clone()), name);
        }
    }

    fn whole(&mut self, rest: &str, key: &str, value: impl Fn(i64) -> Value) {
        let Some((name, text)) = self.take(rest) else { return };
        match whole(text).filter(|count| *count >= 1) {
            Some(count) => self.say(key, value(count), name),
            None => self.refuse(name, "must be a whole number, at least 1"),
        }
    }
}

/// Digits and nothing else.
fn whole(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Sources};

    const ROOT: &str = "SchedulerServiceStartupConfig__Jobs__DailyJobs__";

    fn load(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let env = pairs.iter().map(|(name, value)| {
            let name = if name.starts_with("BURSAR") { (*name).to_owned() } else { format!("{ROOT}{name}") };
            (name, (*value).to_owned())
        });
        let sources = Sources { env: env.collect(), ..Sources::default() };
        Config::load(&sources).map_err(|errors| errors.to_string())
    }

    fn anchor(hour: &str, minute: &str) -> Result<String, String> {
        let pairs = [("paymentUpdate__timeOfDay__hour", hour), ("paymentUpdate__timeOfDay__minute", minute)];
        load(&pairs).map(|config| config.timetable.payment_update.anchor.format("%H:%M").to_string())
    }

    #[test]
    fn every_setting_is_read_whatever_its_letters() {
        let config = load(&[
            ("syncUpdate__disabled", "False"),
            ("SYNCUPDATE__timeofday__HOUR", "9"),
            ("syncUpdate__timeOfDay__minute", "30"),
            ("syncUpdate__jobArguments__batchSize", "25"),
            ("syncUpdate__jobArguments__batchInterval", "5"),
            ("paymentUpdate__disabled", "TRUE"),
        ])
        .unwrap()
        .timetable;
        let sync = &config.sync_update;
        assert!(sync.job.enabled && !config.payment_update.enabled);
        assert_eq!(sync.job.anchor.format("%H:%M").to_string(), "09:30");
        assert_eq!((sync.batch_size, sync.batch_interval), (25, Duration::from_mins(5)));
    }

    #[test]
    fn hours_and_minutes_are_read_to_their_bounds_and_no_further() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(anchor("24", "0"), ok("00:00"));
        assert_eq!(anchor("0", "0"), ok("00:00"));
        assert_eq!(anchor("24", "60"), ok("01:00"));
        assert_eq!(anchor("1", "59"), ok("01:59"));
        for (hour, minute, bound) in [
            ("25", "0", "1 to 24"),
            ("-1", "0", "1 to 24"),
            ("12.5", "0", "1 to 24"),
            ("12", "61", "0 to 60"),
            ("12", "1e1", "0 to 60"),
        ] {
            let text = anchor(hour, minute).unwrap_err();
            assert!(text.contains(bound), "{hour}:{minute}: {text}");
        }
    }

    #[test]
    fn sizes_that_are_no_whole_number_from_one_on_are_refused() {
        for text in ["0", "-3", "2.0", "1e1", "", "99999999999999999999"] {
            for name in ["batchSize", "batchInterval"] {
                let told = load(&[(&format!("syncUpdate__jobArguments__{name}"), text)]).unwrap_err();
                assert!(told.contains("at least 1") && told.contains(name), "{text}: {told}");
            }
        }
        let told = load(&[("syncUpdate__jobArguments__batchSize", "1000001")]).unwrap_err();
        assert!(told.contains("1 to 1000000"), "{told}");
    }

    #[test]
    fn two_spellings_that_disagree_are_refused_and_two_that_agree_are_one() {
        let twice = |other: &str| load(&[("syncUpdate__disabled", "true"), ("SyncUpdate__Disabled", other)]);
        assert!(twice("true").is_ok());
        assert!(twice("false").unwrap_err().contains("disagrees"));
    }

    #[test]
    fn our_own_variable_goes_over_it_and_a_job_that_is_configured_runs() {
        let hour = ("syncUpdate__timeOfDay__hour", "9");
        assert!(load(&[hour]).unwrap().timetable.sync_update.job.enabled);
        let own = ("BURSAR__TIMETABLE__SYNC_UPDATE__ENABLED", "false");
        assert!(!load(&[hour, own]).unwrap().timetable.sync_update.job.enabled);
    }

    #[test]
    fn each_is_told_with_its_new_key() {
        let env = [(format!("{ROOT}syncUpdate__jobArguments__batchSize"), "5".to_owned())];
        let told = warnings(&env);
        assert!(told.len() == 1 && told[0].contains("timetable.sync_update.batch_size"), "{told:?}");
        let env = [(format!("{ROOT}syncUpdate__timeOfDay__second"), "5".to_owned())];
        assert!(warnings(&env)[0].contains("passed over"));
    }
}
