//! Marks and looks as pure functions of what claims brought and how long they took.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CHEAP, COMMIT_LAG, LANES_MAX, PAUSE_TIMES, RUSH, Reach, Turn};
use crate::domain::ids::{RunnerId, TenantId, WorkId};
use crate::domain::work::{Claim, a_claim};
use crate::store::work::{ClaimRequest, Lane, Skimmed};

const QUEUE: &str = "test/a";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000 + second, 0).expect("a time")
}

/// Long after everything here.
fn late() -> DateTime<Utc> {
    at(1_000_000)
}

fn lane(queue: &str, priority: i64, second: i64) -> Lane {
    Lane { queue: queue.to_owned(), priority, run_at: at(second), id: WorkId(Uuid::from_u128(1)) }
}

fn request(limit: i64) -> ClaimRequest {
    ClaimRequest {
        runner_id: RunnerId(Uuid::nil()),
        kind: "test",
        queue_from: "test/".to_owned(),
        queue_until: "test0".to_owned(),
        free_per_queue: 100,
        busy: vec![],
        tenants_full: vec![],
        limit,
    }
}

/// A row claimed in each of these lanes.
fn claims(reached: Vec<Lane>) -> Skimmed {
    let claim = |lane: &Lane| Claim { id: lane.id, queue: lane.queue.clone(), ..a_claim() };
    Skimmed { claims: reached.iter().map(claim).collect(), reached }
}

/// From which second on the only lane is looked at.
fn mark(turn: &Turn) -> DateTime<Utc> {
    let lanes = turn.lanes(&request(10), late());
    assert_eq!(lanes.len(), 1);
    lanes[0].run_at
}

#[test]
fn each_priority_of_a_queue_has_its_own_mark_and_only_those_asked_for_are_told() {
    let turn = Turn::default();
    let reached = vec![lane(QUEUE, 5, 10), lane(QUEUE, 0, 20), lane("test/b", 0, 30)];
    turn.claimed(&request(10), &claims(reached));
    let told = turn.lanes(&request(10), late());
    assert_eq!(told, [lane(QUEUE, 0, 20), lane(QUEUE, 5, 10), lane("test/b", 0, 30)]);
    let other = ClaimRequest { queue_from: "test/b".to_owned(), ..request(10) };
    assert_eq!(turn.lanes(&other, late()), [lane("test/b", 0, 30)]);
}

#[test]
fn what_may_just_be_committing_is_looked_at_again() {
    let turn = Turn::default();
    turn.claimed(&request(10), &claims(vec![lane(QUEUE, 0, 20)]));
    let now = at(20) + COMMIT_LAG / 2;
    assert_eq!(turn.lanes(&request(10), now)[0].run_at, now - COMMIT_LAG);
    assert_eq!(turn.lanes(&request(10), now + COMMIT_LAG)[0].run_at, at(20));
}

#[test]
fn what_was_found_behind_a_mark_is_gone_through_and_then_passed_over() {
    let turn = Turn::default();
    turn.claimed(&request(10), &claims(vec![lane(QUEUE, 0, 50)]));
    // One row was room for, so more may follow it.
    turn.claimed(&request(1), &claims(vec![lane(QUEUE, 0, 10)]));
    assert_eq!(mark(&turn), at(10));
    let full = ClaimRequest { busy: vec![(QUEUE.to_owned(), 1)], ..request(10) };
    turn.claimed(&full, &claims(vec![lane(QUEUE, 0, 11)]));
    assert_eq!(mark(&turn), at(11), "the queue had one place");
    turn.claimed(&request(10), &claims(vec![]));
    assert_eq!(mark(&turn), at(50), "nothing is left before that");
    turn.claimed(&request(10), &claims(vec![lane(QUEUE, 0, 12)]));
    assert_eq!(mark(&turn), at(50), "there was room for more");
}

#[test]
fn a_mark_does_not_move_where_a_tenant_had_no_place() {
    let turn = Turn::default();
    let request = ClaimRequest { tenants_full: vec![TenantId::default()], ..request(10) };
    turn.claimed(&request, &claims(vec![lane(QUEUE, 0, 50)]));
    assert!(turn.lanes(&request, late()).is_empty());
}

#[test]
fn too_many_lanes_are_forgotten() {
    let turn = Turn::default();
    let lanes = |count: usize| (0..count).map(|name| lane(&format!("test/{name}"), 0, 1)).collect();
    turn.claimed(&request(1_000), &claims(lanes(LANES_MAX)));
    assert_eq!(turn.lanes(&request(10), late()).len(), LANES_MAX);
    turn.claimed(&request(1_000), &claims(lanes(LANES_MAX + 1)));
    assert!(turn.lanes(&request(10), late()).is_empty());
}

#[test]
fn looks_from_the_beginning_go_on_while_they_are_cheap_or_everything_is_slow() {
    let (turn, now) = (Turn::default(), Instant::now());
    turn.looked(Reach::Everything, 100, now, CHEAP);
    assert!(turn.may_look_at_everything(now));
    for _ in 0..3 {
        turn.looked(Reach::Everything, 0, now, CHEAP * 10);
        assert!(!turn.may_look_at_everything(now), "first it is seen how long others take");
        turn.looked(Reach::Ahead, 0, now, CHEAP * 5);
        assert!(turn.may_look_at_everything(now), "the whole machine is slow");
    }
}

#[test]
fn claims_that_come_back_full_go_on_ahead_for_a_moment() {
    let (turn, now) = (Turn::default(), Instant::now());
    turn.filled(Reach::Ahead, now);
    assert!(!turn.should_look_ahead(now), "all has not been looked at");
    turn.looked(Reach::Everything, 100, now, CHEAP);
    turn.filled(Reach::Everything, now);
    assert!(turn.should_look_ahead(now) && turn.may_look_at_everything(now), "where there is room left");
    turn.filled(Reach::Ahead, now + RUSH / 2);
    assert!(!turn.should_look_ahead(now + RUSH));
    turn.looked(Reach::Everything, 1, now, CHEAP);
    assert!(!turn.should_look_ahead(now), "it did not come back full");
}

#[test]
fn looks_that_are_dear_twice_running_are_spaced_out_until_they_are_cheap_again() {
    let (turn, now) = (Turn::default(), Instant::now());
    turn.looked(Reach::Everything, 0, now, CHEAP * 11);
    turn.looked(Reach::Ahead, 0, now, CHEAP / 2);
    assert!(turn.may_look_at_everything(now), "once is no finding");
    turn.looked(Reach::Everything, 0, now, CHEAP * 11);
    turn.looked(Reach::Ahead, 0, now, CHEAP / 2);
    let again = now + CHEAP * 10 * PAUSE_TIMES;
    assert!(!turn.may_look_at_everything(again - Duration::from_nanos(1)));
    assert!(turn.may_look_at_everything(again));
    turn.looked(Reach::Everything, 0, again, CHEAP * 11);
    turn.looked(Reach::Ahead, 0, again, CHEAP / 2);
    assert!(!turn.may_look_at_everything(again), "still so");
    let later = again + CHEAP * 10 * PAUSE_TIMES;
    turn.looked(Reach::Everything, 0, later, CHEAP);
    assert!(turn.may_look_at_everything(later), "the transaction has ended");
}
