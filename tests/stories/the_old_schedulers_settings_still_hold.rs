//! Somebody moves from the replaced scheduler with the variables of its container as they are. They hold, each is told with the key that
//! takes its place, and what is out of bounds is refused before anything runs.
//!
//! The program itself is asked, in an environment of the story's own.

use std::process::Command;

use serde_json::Value;

const ROOT: &str = "SchedulerServiceStartupConfig__Jobs__DailyJobs__";

/// What `bursar config check` says in an environment: its exit code, its document and its words on the other stream.
fn checks(variables: &[(&str, &str)]) -> (Option<i32>, Value, String) {
    let variables = variables.iter().map(|(name, value)| match name.starts_with("BURSAR") {
        true => ((*name).to_owned(), *value),
        false => (format!("{ROOT}{name}"), *value),
    });
    let output = Command::new(env!("CARGO_BIN_EXE_bursar"))
        .args(["--json", "config", "check"])
        .env_clear()
        .envs(variables)
        .output()
        .expect("the program runs");
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), document, String::from_utf8(output.stderr).expect("text"))
}

/// At which times of the day a job begins next, as it is shown.
fn times(document: &Value, job: &str) -> Vec<String> {
    let jobs = document["timetable"]["jobs"].as_array().expect("jobs");
    let job = jobs.iter().find(|one| one["job"] == job).expect("the job");
    assert_eq!(job["enabled"], true, "a job that is configured runs");
    let local = job["next"].as_array().expect("slots").iter().map(|slot| slot["local_time"].as_str());
    let mut times: Vec<String> = local.map(|text| text.expect("a time")[11..16].to_owned()).collect();
    times.sort();
    times.dedup();
    times
}

#[test]
fn the_variables_hold_and_each_is_told_with_the_key_that_takes_its_place() {
    let (code, document, _) = checks(&[
        ("syncUpdate__disabled", "false"),
        ("syncUpdate__timeOfDay__hour", "9"),
        ("SYNCUPDATE__TIMEOFDAY__MINUTE", "30"),
        ("syncUpdate__jobArguments__batchSize", "5"),
        ("syncUpdate__jobArguments__batchInterval", "1"),
        ("paymentUpdate__timeOfDay__hour", "0"),
        ("paymentUpdate__timeOfDay__minute", "15"),
        ("paymentUpdate__disabled", "False"),
    ]);
    assert_eq!(code, Some(0));
    assert_eq!(times(&document, "sync_update"), ["01:30", "09:30", "17:30"]);
    assert_eq!(times(&document, "payment_update"), ["00:15", "06:15", "12:15", "18:15"]);
    assert_eq!(document["timetable"]["users_per_period"], 8 * 60 * 5);
    let told = document["warnings"].to_string();
    for key in
        ["sync_update.enabled", "sync_update.anchor", "sync_update.batch_size", "sync_update.batch_interval"]
            .iter()
            .chain(&["payment_update.enabled", "payment_update.anchor"])
    {
        assert!(told.contains(&format!("timetable.{key} takes its place")), "{key}: {told}");
    }
    assert!(told.contains("it is read as 24"), "{told}");
}

#[test]
fn what_is_out_of_its_bounds_is_refused_all_at_once_with_the_bound() {
    let (code, document, said) = checks(&[
        ("syncUpdate__timeOfDay__hour", "25"),
        ("syncUpdate__timeOfDay__minute", "61"),
        ("syncUpdate__jobArguments__batchSize", "2.5"),
        ("syncUpdate__jobArguments__batchInterval", "0"),
        ("paymentUpdate__disabled", "perhaps"),
    ]);
    assert_eq!((code, document), (Some(3), Value::Null));
    for part in ["1 to 24", "0 to 60", "batchSize", "batchInterval", "at least 1", "true or false"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let twice = [("syncUpdate__disabled", "true"), ("SyncUpdate__Disabled", "false")];
    let (code, _, said) = checks(&twice);
    assert_eq!(code, Some(3));
    assert!(said.contains("disagrees"), "{said}");
}

#[test]
fn our_own_variables_go_over_it_and_what_falls_together_is_told() {
    let hours = [("syncUpdate__timeOfDay__hour", "9"), ("paymentUpdate__timeOfDay__hour", "9")];
    let (code, document, _) = checks(&hours);
    assert_eq!(code, Some(0));
    assert!(document["warnings"].to_string().contains("both jobs begin at"), "{document}");
    let own = [hours[0], hours[1], ("BURSAR__TIMETABLE__PAYMENT_UPDATE__ANCHOR", "10:30")];
    let (_, document, _) = checks(&own);
    assert_eq!(times(&document, "payment_update"), ["04:30", "10:30", "16:30", "22:30"]);
    assert!(!document["warnings"].to_string().contains("both jobs begin at"), "{document}");
}
