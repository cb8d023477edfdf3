//! What a running house takes over from its sources, and what waits for the next start.
//!
//! The list of keys below is the only one: what it does not name waits for a restart, and is told so. Whoever adds a key to it
//! also has somebody follow it (`messages::reload`).
//!
//! **Owns** nothing. **Fails** never: both sides have been checked whole before they come here.
//! **Limits**: an entry with a name of the operator's own is neither added nor taken away while the house is open, but for
//! `work.queues`, which is taken over whole.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::schema;
use super::{Config, Loaded};

/// Keys that are taken over; one that ends in a dot stands for every key of its table, and one of the table that shows the keys of
/// every entry for those of each entry.
pub const LIVE: [&str; 51] = [
    "limits.",
    "api.streams_max",
    "api.streams_per_caller_max",
    "api.requests_in_flight_max",
    "api.control_in_flight_max",
    "api.batches_in_flight_max",
    "api.calls_per_connection_max",
    "api.connections_max",
    "api.connections_per_address_max",
    "access.failures_per_minute_max",
    "work.tenants.",
    "breaker.",
    "registration.in_flight_max",
    "registration.rate_per_minute",
    "registration.backlog_max",
    "reconciliation.every",
    "reconciliation.in_flight_max",
    "reconciliation.look_ups_per_run_max",
    "notification.in_flight_max",
    "notification.per_endpoint_max",
    "notification.per_endpoint_rate_per_minute",
    "transfers.analysis.slots",
    "transfers.analysis.per_company_max",
    "transfers.analysis.per_company_rate_per_minute",
    "transfers.write_back.in_flight_max",
    "openbanking.sync.in_flight_max",
    "openbanking.payments.in_flight_max",
    "openbanking.aspsp.limits.in_flight_max",
    "openbanking.aspsp.limits.rate_per_minute",
    "timetable.payment_update.enabled",
    "timetable.payment_update.every",
    "timetable.payment_update.anchor",
    "timetable.payment_update.time_zone",
    "timetable.payment_update.reach",
    "timetable.payment_update.overlap",
    "timetable.payment_update.catch_up",
    "timetable.payment_update.catch_up_window",
    "timetable.payment_update.jitter",
    "timetable.sync_update.enabled",
    "timetable.sync_update.every",
    "timetable.sync_update.anchor",
    "timetable.sync_update.time_zone",
    "timetable.sync_update.reach",
    "timetable.sync_update.overlap",
    "timetable.sync_update.catch_up",
    "timetable.sync_update.catch_up_window",
    "timetable.sync_update.jitter",
    "telemetry.log_level",
    "telemetry.trace_filter",
    "telemetry.sample_ratio",
    // Shown by the keys of `work.tenants`, and taken over whole.
    "work.queues.",
];

/// The table whose entries come and go while the house is open.
const QUEUES: [&str; 2] = ["work", "queues"];

/// A key whose value has changed. Only keys of [`LIVE`] are told with their values, none of which is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    /// As TOML; none where the key was not there.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What a reload comes to.
#[derive(Clone)]
pub struct Reloaded {
    /// What is in effect from here on.
    pub loaded: Loaded,
    /// What differs from before, by key.
    pub taken: Vec<Change>,
    /// The keys that the sources say otherwise and that wait for a restart, in order.
    pub waiting: Vec<String>,
}

/// Whether a running house takes over a key, written with dots.
pub fn is_live(key: &str) -> bool {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    is_live_path(&path)
}

impl Loaded {
    /// This configuration with what may be taken over from another.
    pub fn take_over(&self, read: &Self) -> Reloaded {
        let mut merged = self.merged.clone();
        for (path, value) in schema::flatten(read.merged.clone()) {
            if is_live_path(&path) && holds_its_table(&self.merged, &path) {
                schema::put(&mut merged, &path, value);
            }
        }
        replace_queues(&mut merged, &read.merged);
        let config = schema::extract::<Config>(&merged)
            .expect("two configurations that hold differ here in keys that none of the others depends on, as a test says");
        let taken = differences(&self.config, &config).into_values().collect();
        let waiting = differences(&config, &read.config).into_keys().collect();
        let loaded = Self { config, origins: read.origins.clone(), merged };
        Reloaded { loaded, taken, waiting }
    }
}

fn is_live_path(path: &[String]) -> bool {
    let key = schema::canonical(path).join(".");
    let of_queues = path.len() >= QUEUES.len() && path.iter().zip(QUEUES).all(|(part, known)| part == known);
    of_queues || LIVE.iter().any(|live| key == *live || (live.ends_with('.') && key.starts_with(live)))
}

/// Whether the table in which a key stands is there already: an entry that is new waits whole.
fn holds_its_table(merged: &Table, path: &[String]) -> bool {
    let Some((_, front)) = path.split_last() else { return false };
    front.iter().try_fold(merged, |table, key| table.get(key)?.as_table()).is_some()
}

fn replace_queues(merged: &mut Table, read: &Table) {
    let [work, queues] = QUEUES;
    let read = read.get(work).and_then(|work| work.get(queues)).cloned();
    if let (Some(read), Some(Value::Table(work))) = (read, merged.get_mut(work)) {
        work.insert(queues.to_owned(), read);
    }
}

/// The keys in which two configurations differ, by what they mean and not by how they are written.
fn differences(before: &Config, after: &Config) -> BTreeMap<String, Change> {
    let (mut before, after) = (settings(before), settings(after));
    let mut found = BTreeMap::new();
    for (path, value) in after {
        let known = before.remove(&path);
        if known.as_ref() != Some(&value) {
            note(&mut found, &path, known, Some(value));
        }
    }
    for (path, value) in before {
        note(&mut found, &path, Some(value), None);
    }
    found
}

fn settings(config: &Config) -> BTreeMap<Vec<String>, Value> {
    let flat = schema::flatten(config.as_table()).into_iter();
    flat.filter(|(_, value)| value.as_table().is_none_or(|table| !table.is_empty())).collect()
}

fn note(found: &mut BTreeMap<String, Change>, path: &[String], before: Option<Value>, after: Option<Value>) {
    let shown = |value: Option<Value>| value.filter(|_| is_live_path(path)).map(|value| value.to_string());
    let key = path.join(".");
    found.insert(key.clone(), Change { key, before: shown(before), after: shown(after) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Schema;
    use crate::config::{DEFAULT_TOML, Sources, bounds};

    fn loaded(settings: &[(&str, &str)]) -> Loaded {
        let fold = |sources: Sources, (key, value): &(&str, &str)| sources.with(key, *value);
        Config::load_whole(&settings.iter().fold(Sources::default(), fold)).unwrap()
    }

    #[test]
    fn every_key_of_the_list_is_there_and_stands_in_the_manual() {
        let schema = Schema::of_defaults();
        let known: Vec<String> =
            schema::flatten(schema.defaults().clone()).into_iter().map(|(path, _)| path.join(".")).collect();
        let (_, told) = DEFAULT_TOML.split_once("# Taken over by a reload:").expect("the manual's list");
        let (told, _) = told.split_once("\n\n").expect("the list's end");
        let mut told: Vec<&str> = told
            .split(|letter: char| !(letter.is_alphanumeric() || "._*".contains(letter)))
            .map(|word| word.trim_end_matches('.').trim_end_matches('*'))
            // Entries with names of the operator's own are told of beside the table that shows their keys.
            .filter(|word| word.contains('.') && *word != "openbanking.aspsps")
            .collect();
        let mut live = LIVE.to_vec();
        told.sort_unstable();
        live.sort_unstable();
        assert_eq!(told, live, "the manual's list, and the program's");
        for live in LIVE {
            let is_there = known.iter().any(|key| key == live || format!("{key}.").starts_with(live));
            assert!(is_there, "{live} is no key");
        }
    }

    #[test]
    fn no_relation_binds_a_key_that_is_taken_over_to_one_that_waits() {
        for (key, other) in bounds::related() {
            assert_eq!(is_live(key), is_live(other), "{key} and {other}");
        }
    }

    #[test]
    fn limits_and_schedules_are_taken_over_and_the_rest_waits() {
        let before = loaded(&[("work.queues.slow.in_flight_max", "2")]);
        let read = loaded(&[
            ("work.queues.quick.rate_per_minute", "60"),
            ("breaker.failures_max", "3"),
            ("timetable.sync_update.every", "4h"),
            ("timetable.sync_update.batch_size", "11"),
            ("api.listen", "127.0.0.1:7499"),
            ("openbanking.aspsps.north.limits.in_flight_max", "3"),
            ("openbanking.aspsps.north.base_url", "https://north.example/psd2"),
        ]);
        let reloaded = before.take_over(&read);
        let taken: Vec<&str> = reloaded.taken.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(
            taken,
            [
                "breaker.failures_max",
                "timetable.sync_update.every",
                "work.queues.quick.in_flight_max",
                "work.queues.quick.rate_per_minute",
                "work.queues.slow.in_flight_max",
                "work.queues.slow.rate_per_minute",
            ]
        );
        assert_eq!(reloaded.taken[0].before.as_deref(), Some("10"));
        assert_eq!(reloaded.taken[0].after.as_deref(), Some("3"));
        let config = &reloaded.loaded.config;
        assert!(config.work.queues.contains_key("quick") && !config.work.queues.contains_key("slow"));
        assert_eq!(config.timetable.sync_update.batch_size, 10);
        assert!(config.openbanking.aspsps.is_empty(), "an entry comes whole, or not at all");
        let waiting = |key: &str| reloaded.waiting.iter().any(|waiting| waiting == key);
        assert!(waiting("api.listen") && waiting("timetable.sync_update.batch_size"));
        assert!(waiting("openbanking.aspsps.north.base_url"));
        // Told again the next time, and nothing is taken over twice.
        let again = reloaded.loaded.take_over(&read);
        assert!(again.taken.is_empty() && again.waiting == reloaded.waiting);
    }

    #[test]
    fn what_is_written_otherwise_and_means_the_same_has_not_changed() {
        let reloaded = loaded(&[]).take_over(&loaded(&[("breaker.wait_cap", "60s")]));
        assert!(reloaded.taken.is_empty() && reloaded.waiting.is_empty());
    }

    #[test]
    fn limits_of_an_entry_that_is_there_are_taken_over() {
        let north = |limit| {
            loaded(&[
                ("openbanking.aspsps.north.base_url", "https://north.example/psd2"),
                ("openbanking.aspsps.north.limits.in_flight_max", limit),
            ])
        };
        let reloaded = north("3").take_over(&north("5"));
        assert_eq!(reloaded.loaded.config.openbanking.aspsps["north"].limits.in_flight_max, 5);
        assert!(reloaded.waiting.is_empty(), "{:?}", reloaded.waiting);
        let gone = north("3").take_over(&loaded(&[]));
        assert!(gone.taken.is_empty() && !gone.waiting.is_empty());
    }
}
