//! How things stand in the store: what waits in the queues and since when, dead letters, consents by when they end, jobs by their runs.
//!
//! **Owns** nothing. **Fails** as the store does, as a whole. **Limits**: [`QUEUES_MAX`] queues; queues that carry an id or a
//! name of somebody's are told as their family.

use chrono::{DateTime, Utc};

use super::standing::timestamp;
use crate::domain::work::queue::ROOTS;
use crate::messages::House;
use crate::metrics::{OTHER, Reading, Series};
use crate::store::StoreError;
use crate::store::gauges::JobGauge;

/// More than that are as good as all of them: what is told is sums.
const QUEUES_MAX: u64 = 10_000;
/// Of this root the second part is a tenant's name.
const OF_TENANTS: &str = "write_back";

/// Readings of the store.
pub(super) async fn readings(house: &House) -> Result<Vec<Reading>, StoreError> {
    let now = house.store.now();
    let mut readings = queues(house, now).await?;
    readings.push(dead_letters(house).await?);
    readings.push(consents(house, now).await?);
    readings.extend(jobs(house, now).await?);
    Ok(readings)
}

/// What a queue is called in metrics: the first two parts of its name, which are the program's and its configuration's.
pub(super) fn family(queue: &str) -> String {
    let mut parts = queue.split('/');
    let root = parts.next().unwrap_or_default();
    if !ROOTS.iter().any(|known| known.strip_suffix('/') == Some(root)) {
        return OTHER.to_owned();
    }
    let is_name = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    match parts.next().filter(is_name) {
        Some(second) if root != OF_TENANTS => format!("{root}/{second}"),
        _ => root.to_owned(),
    }
}

/// The families of which there is something to tell even when nothing waits there.
fn families(house: &House) -> impl Iterator<Item = String> {
    let registrations = house.registrars.keys().map(|provider| format!("registration/{}", provider.as_str()));
    let deliveries = house.channels.keys().map(|kind| format!("delivery/{}", kind.as_str()));
    registrations.chain(deliveries)
}

async fn queues(house: &House, now: DateTime<Utc>) -> Result<Vec<Reading>, StoreError> {
    let mut work =
        Reading::gauge("bursar_queue_work", "Work by where it waits, or runs, and in which state.");
    let mut paused = Reading::gauge("bursar_queue_paused", "Queues that an operator holds back.");
    let mut oldest = Reading::gauge(
        "bursar_queue_oldest_due_seconds",
        "How long the oldest work has waited since it was due; paused queues are left out.",
    );
    for family in families(house) {
        work.add([("queue", &family), ("state", "available")], 0.0);
        paused.add([("queue", &family)], 0.0);
        oldest.add([("queue", &family)], 0.0);
    }
    for queue in house.store.queues(QUEUES_MAX, None, now).await? {
        let family = family(&queue.name);
        for (state, count) in [
            ("available", queue.available),
            ("scheduled", queue.scheduled),
            ("retryable", queue.retryable),
            ("running", queue.running),
        ] {
            work.add([("queue", &family), ("state", state)], count as f64);
        }
        paused.add([("queue", &family)], f64::from(u8::from(queue.pause.is_some())));
        let waited = queue.oldest_due_at.filter(|_| queue.pause.is_none());
        let waited = waited.and_then(|due| (now - due).to_std().ok()).unwrap_or_default().as_secs_f64();
        longest(&mut oldest, &family, waited);
    }
    Ok(vec![work, paused, oldest])
}

/// Raises the family's age to this one where it is older.
fn longest(reading: &mut Reading, family: &str, seconds: f64) {
    reading.add([("queue", family)], 0.0);
    let is_it = |series: &&mut Series| series.labels.iter().any(|(_, value)| value == family);
    if let Some(series) = reading.series.iter_mut().find(is_it) {
        series.value = series.value.max(seconds);
    }
}

async fn dead_letters(house: &House) -> Result<Reading, StoreError> {
    let mut reading = Reading::gauge(
        "bursar_dead_letters",
        "Work that was given up, until somebody revives or forgets it.",
    );
    for family in families(house) {
        reading.add([("queue", &family)], 0.0);
    }
    for (queue, letters) in house.store.dead_letter_counts().await? {
        reading.add([("queue", &family(&queue))], letters as f64);
    }
    Ok(reading)
}

async fn jobs(house: &House, now: DateTime<Utc>) -> Result<Vec<Reading>, StoreError> {
    let mut readings = JobReadings::default();
    for gauge in house.store.job_gauges().await? {
        // A job of an older configuration has a row and no timetable.
        if let Some(entry) = house.jobs.find(&gauge.job) {
            let next = entry.timetable.next_after(gauge.looked_until).map(|fire| fire.at);
            let overdue = next.and_then(|at| (now - at).to_std().ok()).unwrap_or_default().as_secs_f64();
            let period = entry.timetable.period().as_secs_f64();
            readings.put(&gauge, entry.is_at_work(), overdue, period);
        }
    }
    Ok(readings.0.into())
}

async fn consents(house: &House, now: DateTime<Utc>) -> Result<Reading, StoreError> {
    let held = house.store.consent_gauge(now).await?;
    let mut reading = Reading::gauge(
        "bursar_consents",
        "Consents that hold, of all tenants, each by the shortest of these times within which it ends.",
    );
    for (within, count) in
        [("1d", held.within_day), ("7d", held.within_week), ("30d", held.within_month), ("later", held.later)]
    {
        reading.put([("ends_within", within)], count as f64);
    }
    Ok(reading)
}

/// The readings of jobs, in the order in which they are put.
struct JobReadings([Reading; 8]);

impl Default for JobReadings {
    fn default() -> Self {
        let gauge = Reading::gauge;
        Self([
            gauge("bursar_job_enabled", "Whether the job is done by its timetable here, and not paused."),
            gauge("bursar_job_period_seconds", "The longest time between two of its slots."),
            gauge(
                "bursar_job_overdue_seconds",
                "For how long a slot has come that nobody has decided about.",
            ),
            gauge("bursar_job_missed_slots", "Slots that were passed over, of those that are remembered."),
            gauge(
                "bursar_job_last_success_timestamp_seconds",
                "When its last run was completed, since 1970; left out until one was.",
            ),
            gauge(
                "bursar_job_last_failure_timestamp_seconds",
                "When its last failed run ended, since 1970; 0: none that is remembered.",
            ),
            gauge("bursar_job_last_duration_seconds", "How long its last completed run took."),
            gauge("bursar_job_last_state", "In which state its newest run is; always 1."),
        ])
    }
}

impl JobReadings {
    fn put(&mut self, gauge: &JobGauge, is_at_work: bool, overdue: f64, period: f64) {
        let [enabled, of_period, of_overdue, missed, success, failure, took, state] = &mut self.0;
        let job = [("job_name", gauge.job.as_str())];
        let runs = is_at_work && gauge.enabled && !gauge.paused;
        enabled.put(job, f64::from(u8::from(runs)));
        of_period.put(job, period);
        // A paused timetable is decided about as well: its slots are passed over.
        of_overdue.put(job, if runs { overdue } else { 0.0 });
        missed.put(job, gauge.missed as f64);
        if let Some(at) = gauge.completed_at {
            success.put(job, timestamp(&at));
        }
        failure.put(job, gauge.failed_at.map_or(0.0, |at| timestamp(&at)));
        if let Some(us) = gauge.took_us {
            took.put(job, us as f64 / 1_000_000.0);
        }
        if let Some(name) = &gauge.state {
            state.put([("job_name", gauge.job.as_str()), ("state", name)], 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::metrics::calls;
    use crate::metrics::exposition::{self, Format};

    #[test]
    fn a_queue_is_told_without_its_ids() {
        let account = uuid::Uuid::from_u128(7);
        for (queue, told) in [
            (format!("registration/itau/{account}"), "registration/itau"),
            (format!("delivery/webhook/{account}"), "delivery/webhook"),
            ("analysis/nemesysco_ra7/a tenant/João".to_owned(), "analysis/nemesysco_ra7"),
            ("write_back/a-tenant/feed".to_owned(), "write_back"),
            ("aspsp/João".to_owned(), "aspsp"),
            ("jobs/sync_update".to_owned(), "jobs/sync_update"),
            ("delivery/".to_owned(), "delivery"),
            ("made up/by/somebody".to_owned(), OTHER),
            (String::new(), OTHER),
        ] {
            assert_eq!(family(&queue), told, "{queue}");
        }
    }

    #[test]
    fn a_job_that_was_never_completed_is_told_without_a_success() {
        let looked_until = DateTime::from_timestamp(10_800, 0).unwrap();
        let failed = JobGauge {
            job: "sync_update".to_owned(),
            enabled: true,
            paused: false,
            looked_until,
            state: Some("failed".to_owned()),
            completed_at: None,
            took_us: None,
            failed_at: DateTime::from_timestamp(7_200, 0),
            missed: 0,
        };
        let mut readings = JobReadings::default();
        readings.put(&failed, true, 0.0, 3_600.0);
        let told: Vec<(&str, f64)> = readings
            .0
            .iter()
            .flat_map(|reading| reading.series.iter().map(|series| (reading.name, series.value)))
            .collect();
        // As the test of BursarJobNotDone has them.
        let expected = [
            ("bursar_job_enabled", 1.0),
            ("bursar_job_period_seconds", 3_600.0),
            ("bursar_job_overdue_seconds", 0.0),
            ("bursar_job_missed_slots", 0.0),
            ("bursar_job_last_failure_timestamp_seconds", 7_200.0),
            ("bursar_job_last_state", 1.0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn whatever_the_store_fails_with_was_there_at_0_before() {
        calls::store_called("stored_test", Duration::ZERO, "done");
        let text = exposition::write(Format::Classic, Arc::from([])).unwrap();
        let kinds: [fn(String) -> StoreError; 3] =
            [StoreError::Unavailable, StoreError::CommitUnknown, StoreError::Broken];
        for kind in kinds.map(|of| of(String::new()).kind()) {
            let series = format!("{{db_system_name=\"stored_test\",outcome=\"{kind}\"}} 0\n");
            assert!(text.contains(&format!("db_client_operation_duration_seconds_count{series}")), "{text}");
        }
    }

    #[test]
    fn the_age_of_a_family_is_that_of_its_oldest() {
        let mut reading = Reading::gauge("bursar_ages", "Ages.");
        for (family, age) in [("a", 3.0), ("a", 7.0), ("b", 1.0), ("a", 2.0)] {
            longest(&mut reading, family, age);
        }
        let ages: Vec<f64> = reading.series.iter().map(|series| series.value).collect();
        assert_eq!(ages, [7.0, 1.0]);
    }
}
