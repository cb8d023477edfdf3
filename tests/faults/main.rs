//! Crashes and bad days, with real processes: the program is started, killed, starved of its database and asked to end,
//! while the world outlives it in the test's own process and judges by its effects ledger.
//!
//! Needs the feature `failpoints` (the program must be told where to end itself) and a PostgreSQL server, as the README's
//! test command provides them.

/// Without the feature nothing here can be tried; that is a failure and not a silence.
#[cfg(not(feature = "failpoints"))]
#[test]
fn the_program_is_built_with_its_fail_points() {
    panic!("the fault tests crash the program at named points: run them with --features failpoints");
}

#[cfg(feature = "failpoints")]
#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/callers.rs"]
mod callers;
#[cfg(feature = "failpoints")]
#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/house/customers.rs"]
mod customers;
#[cfg(feature = "failpoints")]
#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/database.rs"]
mod database;
#[cfg(feature = "failpoints")]
#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/house/feed.rs"]
mod feed;
#[cfg(feature = "failpoints")]
#[path = "../support/process.rs"]
mod process;
#[cfg(feature = "failpoints")]
#[path = "../support/proxy.rs"]
mod proxy;
#[cfg(feature = "failpoints")]
#[path = "../support/sender.rs"]
mod sender;

#[cfg(feature = "failpoints")]
mod amend_points;
#[cfg(feature = "failpoints")]
mod backup;
#[cfg(feature = "failpoints")]
mod bank_customers;
#[cfg(feature = "failpoints")]
mod boundaries;
#[cfg(feature = "failpoints")]
mod cancel_points;
#[cfg(feature = "failpoints")]
mod clock_jumps;
#[cfg(feature = "failpoints")]
mod cluster;
#[cfg(feature = "failpoints")]
mod commit_fate;
#[cfg(feature = "failpoints")]
mod crash_points;
#[cfg(feature = "failpoints")]
mod dashboard_without_a_database;
#[cfg(feature = "failpoints")]
mod database_away;
#[cfg(feature = "failpoints")]
mod decision_points;
#[cfg(feature = "failpoints")]
mod deeds;
#[cfg(feature = "failpoints")]
mod deliveries_outlive;
#[cfg(feature = "failpoints")]
mod disk_full;
#[cfg(feature = "failpoints")]
mod drain;
#[cfg(feature = "failpoints")]
mod drain_under_load;
#[cfg(feature = "failpoints")]
mod feed_outlives;
#[cfg(feature = "failpoints")]
mod held_calls;
#[cfg(feature = "failpoints")]
mod hostile_http2;
#[cfg(feature = "failpoints")]
mod hung_up_callers;
#[cfg(feature = "failpoints")]
mod judge;
#[cfg(feature = "failpoints")]
mod links_without_a_database;
#[cfg(feature = "failpoints")]
mod load;
#[cfg(feature = "failpoints")]
mod look_ups_crash;
#[cfg(feature = "failpoints")]
mod mail_crash;
#[cfg(feature = "failpoints")]
mod missed_process;
#[cfg(feature = "failpoints")]
mod one_leader;
#[cfg(feature = "failpoints")]
mod one_run_per_slot;
#[cfg(feature = "failpoints")]
mod payment_points;
#[cfg(feature = "failpoints")]
mod postgres_restarts;
#[cfg(feature = "failpoints")]
mod queue_crash;
#[cfg(feature = "failpoints")]
mod random_kills;
#[cfg(feature = "failpoints")]
mod raw_http2;
#[cfg(feature = "failpoints")]
mod reconcile_points;
#[cfg(feature = "failpoints")]
mod recordings;
#[cfg(feature = "failpoints")]
mod refusals;
#[cfg(feature = "failpoints")]
mod reload;
#[cfg(feature = "failpoints")]
mod restore;
#[cfg(feature = "failpoints")]
mod shop;
#[cfg(feature = "failpoints")]
mod side_by_side;
#[cfg(feature = "failpoints")]
mod silent_connection;
#[cfg(feature = "failpoints")]
mod stage;
#[cfg(feature = "failpoints")]
mod stream_crash;
#[cfg(feature = "failpoints")]
mod sync_points;
#[cfg(feature = "failpoints")]
mod tokens_without_a_database;
#[cfg(feature = "failpoints")]
mod transfer_bad_days;
#[cfg(feature = "failpoints")]
mod transfer_kills;
#[cfg(feature = "failpoints")]
mod transfer_points;
#[cfg(feature = "failpoints")]
mod two_processes;

/// What the feed outside waits with, as everything here does.
#[cfg(feature = "failpoints")]
use process::eventually;
