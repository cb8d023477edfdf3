//! Crashes and bad days, with real processes: the program is started, killed, starved of its database and asked to end,
//! while the world outlives it in the test's own process and judges by its effects ledger.
//!
//! Needs the feature `failpoints` (the program must be told where to end itself) and a PostgreSQL server, as the README's
//! test command provides them.

#[cfg(not(feature = "failpoints"))]
compile_error!("the fault tests crash the program at named points: build them with --features failpoints");

#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/database.rs"]
mod database;
#[path = "../support/process.rs"]
mod process;

mod cluster;
mod crash_points;
mod database_away;
mod drain;
mod held_calls;
mod hung_up_callers;
mod judge;
mod random_kills;
mod refusals;
mod shop;
mod stage;
mod two_processes;
