//! A timetable is replaced by another while the house is open: what had come is still run, what the new one would have had before is
//! not, and no slot of it is lost because an earlier time had its place in the day.

use std::sync::Arc;

use bursar::actors::timetable::Means;
use bursar::actors::timetable::look::look;
use bursar::domain::job::Overlap;
use bursar::domain::timetable::{CatchUp, Reach, Timetable};
use bursar::messages::jobs::JobEntry;
use bursar::store::Store;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::{EVERY, begin, entry, keeper, runs};
use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};

on_both_databases!(a_timetable_that_is_moved_begins_then_and_loses_no_slot_of_its_own);

fn minutes(minutes: i64) -> DateTime<Utc> {
    begin() + TimeDelta::minutes(minutes)
}

/// The job's entry with hourly slots through this minute.
fn hourly_at(minute: u32) -> JobEntry {
    let anchor = NaiveTime::from_hms_opt(0, minute, 0).expect("a time");
    let timetable = Timetable::new(EVERY, anchor, chrono_tz::Europe::Warsaw, Reach::AllDay);
    JobEntry {
        timetable: timetable.expect("an hour divides the day"),
        ..entry(Overlap::Allow, CatchUp::Latest)
    }
}

async fn run_at(store: &Store) -> Vec<i64> {
    let fires = runs(store).await.into_iter().map(|run| run.fire.expect("a slot's run").at);
    fires.map(|at| (at - begin()).num_minutes()).collect()
}

async fn a_timetable_that_is_moved_begins_then_and_loses_no_slot_of_its_own(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut means = keeper(&store, &hourly_at(0), begin());
    let looks_at = async |means: &mut Means, at: DateTime<Utc>| {
        means.now = Arc::new(move || at);
        look(means).await.expect("a look");
    };
    looks_at(&mut means, begin()).await;
    // Its slot half an hour later has come and nobody has looked; the other's, at five past, would have come too.
    means.jobs.reschedule(hourly_at(5), minutes(40));
    looks_at(&mut means, minutes(45)).await;
    assert_eq!(run_at(&store).await, [30], "the old one's, and none of the new one's before it held");
    looks_at(&mut means, minutes(96)).await;
    assert_eq!(run_at(&store).await, [30, 95]);
    // At twenty to it has the place in the day that five past had.
    means.jobs.reschedule(hourly_at(40), minutes(110));
    looks_at(&mut means, minutes(131)).await;
    assert_eq!(run_at(&store).await, [30, 95, 130]);
    looks_at(&mut means, minutes(132)).await;
    assert_eq!(run_at(&store).await, [30, 95, 130], "once");
    let next_life = keeper(&store, &hourly_at(40), minutes(133));
    look(&next_life).await.expect("a look");
    assert_eq!(run_at(&store).await, [30, 95, 130], "nor by who comes after");
}
