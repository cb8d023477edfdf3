//! Places under every bound.

use std::time::Duration;

use super::*;

fn places(limits: Limits, freed: &Arc<Notify>) -> Places {
    Places::new(limits, Tenants::default(), freed.clone())
}

fn limits(in_flight_max: u32, rate_per_minute: u32, total_max: usize) -> Limits {
    let second = Duration::from_secs(1);
    let breaker = BreakerConfig { failures_max: 2, wait_base: second, wait_cap: second };
    Limits::uniform(QueueLimit { in_flight_max, rate_per_minute }, total_max, breaker)
}

fn take(places: &Places, queue: &str) -> Option<Place> {
    places.try_take(queue, &TenantId::default())
}

#[tokio::test]
async fn a_full_queue_leaves_room_for_others_and_a_freed_place_wakes_who_waits() {
    let freed = Arc::new(Notify::new());
    let places = places(limits(2, 0, 3), &freed);
    let first = take(&places, "a").expect("a place");
    let _second = take(&places, "a").expect("a place");
    assert!(take(&places, "a").is_none());
    assert_eq!(places.busy(), [("a".to_owned(), 0)]);
    let _other = take(&places, "b").expect("a place");
    assert!(take(&places, "c").is_none(), "three in all");
    drop(first);
    freed.notified().await;
    assert_eq!(places.free(), 1);
    assert!(take(&places, "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_rate_lets_a_second_worth_through_and_then_one_at_a_time() {
    let places = places(limits(100, 120, 100), &Arc::default());
    assert_eq!(places.free_by_default(), 2);
    drop((take(&places, "a").expect("a token"), take(&places, "a").expect("a token")));
    assert!(take(&places, "a").is_none(), "nothing is in hand, and the tokens are spent");
    assert_eq!(places.busy(), [("a".to_owned(), 0)]);
    assert!(take(&places, "b").is_some(), "another queue has its own");
    tokio::time::sleep_until(places.next_opening().expect("a token is on its way")).await;
    assert!(take(&places, "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_party_that_does_not_answer_holds_back_its_own_queue_until_a_probe_is_answered() {
    let freed = Arc::new(Notify::new());
    let places = places(limits(10, 0, 10), &freed);
    for _ in 0..2 {
        let place = take(&places, "bank").expect("a place");
        places.report("bank", Verdict::Failed);
        drop(place);
    }
    assert!(take(&places, "bank").is_none());
    assert!(take(&places, "other").is_some());
    tokio::time::sleep_until(places.next_opening().expect("a probe is due some time")).await;
    let probe = take(&places, "bank").expect("a probe");
    assert!(take(&places, "bank").is_none(), "one is enough");
    places.report("bank", Verdict::Answered);
    freed.notified().await;
    drop(probe);
    assert!(take(&places, "bank").is_some());
    assert!(places.standings().iter().all(|standing| standing.breaker == BreakerState::Closed));
}

#[test]
fn a_queue_may_have_a_limit_of_its_own() {
    let mut limits = limits(5, 0, 10);
    limits.queues.insert("slow".to_owned(), QueueLimit { in_flight_max: 1, rate_per_minute: 0 });
    let places = places(limits, &Arc::default());
    assert_eq!(places.busy(), [("slow".to_owned(), 1)], "said to the claim before anything is in hand");
    let _one = take(&places, "slow").expect("a place");
    assert!(take(&places, "slow").is_none());
}

#[tokio::test]
async fn other_limits_hold_from_here_on_and_what_is_in_hand_counts() {
    let freed = Arc::new(Notify::new());
    let places = places(limits(1, 0, 10), &freed);
    let first = take(&places, "bank").expect("a place");
    assert!(take(&places, "bank").is_none());
    places.set_limits(limits(2, 0, 10));
    freed.notified().await;
    let second = take(&places, "bank").expect("one more than before");
    places.set_limits(limits(1, 0, 10));
    drop(second);
    assert!(take(&places, "bank").is_none(), "the first still counts");
    drop(first);
    assert!(take(&places, "bank").is_some());
    assert_eq!(places.limit_of("bank").in_flight_max, 1);
}

#[test]
fn a_number_of_places_that_somebody_chose_stays_until_it_is_set_anew() {
    let places = places(limits(5, 0, 10), &Arc::default());
    places.resize(3);
    places.set_limits(limits(4, 0, 10));
    assert_eq!(places.total_max(), 3);
    places.set_limits(limits(4, 0, 8));
    assert_eq!(places.total_max(), 8);
}

/// Two vendors below one root, each with companies of its own.
fn of_vendors(freed: &Arc<Notify>) -> Places {
    places(Limits { party_of: of_two_parts, ..limits(10, 0, 10) }, freed)
}

#[test]
fn a_party_is_named_by_the_beginning_of_its_queues() {
    assert_eq!(of_two_parts("analysis/vendor/tenant/company"), "analysis/vendor/");
    assert_eq!(of_two_parts("analysis/vendor"), "analysis/vendor");
    assert_eq!(of_two_parts("analysis"), "analysis");
    assert_eq!(each_its_own("registration/bank/account"), "registration/bank/account");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_answer_holds_back_every_queue_of_its_own_and_no_other() {
    let freed = Arc::new(Notify::new());
    let places = of_vendors(&freed);
    let first = take(&places, "analysis/down/t/one").expect("a place");
    let second = take(&places, "analysis/down/t/two").expect("a place");
    places.report("analysis/down/t/one", Verdict::Failed);
    assert!(places.held_back().is_empty(), "one failure is none");
    places.report("analysis/down/t/two", Verdict::Failed);
    assert_eq!(places.held_back(), [("analysis/down/".to_owned(), 0)]);
    let mut busy = places.busy();
    busy.sort();
    assert_eq!(busy, [("analysis/down/t/one".to_owned(), 0), ("analysis/down/t/two".to_owned(), 0)]);
    drop((first, second));
    assert!(places.busy().is_empty(), "a queue in which nothing is in hand is covered by its party");
    assert!(take(&places, "analysis/down/t/three").is_none(), "one that nobody knew");
    assert!(take(&places, "analysis/up/t/one").is_some());
    assert!(
        places
            .standings()
            .iter()
            .any(|standing| standing.queue == "analysis/down/" && standing.failures == 2)
    );
    tokio::time::sleep_until(places.next_opening().expect("a probe is due some time")).await;
    assert_eq!(places.held_back(), [("analysis/down/".to_owned(), 1)]);
    let probe = take(&places, "analysis/down/t/three").expect("a probe");
    assert!(take(&places, "analysis/down/t/one").is_none(), "one probe is enough, whichever queue it is of");
    assert_eq!(places.held_back(), [("analysis/down/".to_owned(), 0)]);
    drop(probe);
    assert_eq!(places.held_back(), [("analysis/down/".to_owned(), 1)], "it has proved nothing");
    let probe = take(&places, "analysis/down/t/one").expect("another probe");
    places.report("analysis/down/t/one", Verdict::Answered);
    freed.notified().await;
    assert!(places.held_back().is_empty());
    assert!(take(&places, "analysis/down/t/two").is_some());
    drop(probe);
}

#[tokio::test]
async fn a_pool_is_resized_while_it_works_and_the_sum_follows() {
    let (freed, sum) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(5)));
    let places = places(limits(10, 0, 2), &freed);
    places.count_in(&sum);
    assert_eq!(sum.load(Ordering::Relaxed), 7);
    let held = (take(&places, "a").expect("a place"), take(&places, "a").expect("a place"));
    assert!(take(&places, "a").is_none());
    assert_eq!(places.resize(3), Resized { before: 2, in_hand: 2 });
    freed.notified().await;
    let third = take(&places, "a").expect("a place");
    assert_eq!(places.resize(1), Resized { before: 3, in_hand: 3 });
    assert_eq!((places.free(), places.total_max(), sum.load(Ordering::Relaxed)), (0, 1, 6));
    drop((held, third));
    let _one = take(&places, "a").expect("a place");
    assert!(take(&places, "a").is_none(), "there is one place now");
}
