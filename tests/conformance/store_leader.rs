//! What both databases must do with offices: one holder at a time, a new term for each, and none for the dead; and what
//! the holder of one does: forget what is old enough and nothing younger.

use std::time::Duration;

use bursar::domain::ids::RunnerId;
use bursar::store::runner::{RunnerBeat, RunnerLoad};
use bursar::store::{Store, StoreConfig};
use bursar::supervision::{ChildSpec, Strategy, SupervisorSpec, Tree};
use bursar::work::leader::{Leader, Offices};
use bursar::work::lease::{LeaseKeeper, Load};
use bursar::work::{Hints, Lease};
use tokio::time::timeout;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_notify::{PATIENCE, quiet};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, keyed, now, runner};

on_both_databases!(
    an_office_is_held_until_its_holder_is_gone,
    of_many_who_stand_at_once_one_gets_it,
    the_dead_take_nothing,
    a_process_holds_an_office_for_as_long_as_its_lease,
    a_beat_shows_how_much_there_is_to_do,
    old_requests_are_forgotten_and_nothing_younger,
    dead_processes_are_forgotten_and_no_living_one,
);

async fn stands(store: &Store, runner: RunnerId) -> Option<i64> {
    let held = store.stand_for_offices(&["clerk".to_owned()], runner, now()).await.expect("an answer");
    held.get("clerk").copied()
}

async fn an_office_is_held_until_its_holder_is_gone(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let first = runner(&store).await;
    assert_eq!(stands(&store, first).await, Some(1));
    assert_eq!(stands(&store, first).await, Some(1), "who holds it goes on in the same term");
    if kind == Kind::PostgreSql {
        let second = runner(&store).await;
        assert_eq!(stands(&store, second).await, None);
        store.leave_runner(second, now()).await.expect("an answer");
    }
    store.bury_runner(&RunnerBeat { id: first, beat: 0 }, now()).await.expect("an answer");
    let heir = runner(&store).await;
    assert_eq!(stands(&store, first).await, None, "the dead keep nothing");
    assert_eq!(stands(&store, heir).await, Some(2));
    store.leave_runner(heir, now()).await.expect("an answer");
    let last = runner(&store).await;
    assert_eq!(stands(&store, last).await, Some(3), "who leaves need not be missed first");
    let processes = store.processes(now()).await.expect("an answer");
    let offices: Vec<_> = processes.iter().filter(|process| !process.offices.is_empty()).collect();
    assert_eq!(offices.iter().map(|process| process.id).collect::<Vec<_>>(), [last]);
}

async fn of_many_who_stand_at_once_one_gets_it(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut runners = vec![runner(&store).await];
    if kind == Kind::PostgreSql {
        for _ in 1..8 {
            runners.push(runner(&store).await);
        }
    }
    let mut standing = tokio::task::JoinSet::new();
    for runner in runners.repeat(2) {
        let store = store.clone();
        standing.spawn(async move { stands(&store, runner).await.map(|term| (runner, term)) });
    }
    let mut holders: Vec<(RunnerId, i64)> = standing.join_all().await.into_iter().flatten().collect();
    holders.dedup();
    assert_eq!(holders.iter().map(|(_, term)| *term).collect::<Vec<_>>(), [1], "{holders:?}");
}

async fn the_dead_take_nothing(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let dead = runner(&store).await;
    store.leave_runner(dead, now()).await.expect("an answer");
    assert_eq!(stands(&store, dead).await, None);
    assert_eq!(stands(&store, RunnerId(Uuid::now_v7())).await, None, "nor do those who never came");
    let living = runner(&store).await;
    assert_eq!(stands(&store, living).await, Some(1));
}

async fn a_process_holds_an_office_for_as_long_as_its_lease(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    // Nothing happens by the clock within this test.
    let config = quiet();
    let (hints, lease) = (Hints::default(), Lease::new(&config));
    let offices = Offices::new(lease.clone());
    let office = offices.office("clerk");
    assert_eq!(office.holds(), None);
    let spec = SupervisorSpec::new("house", Strategy::RestForOne)
        .child(LeaseKeeper::spec(store.clone(), lease.clone(), hints.clone(), Load::default(), &config))
        .child(Leader::spec(store.clone(), offices, &hints, &config));
    let tree =
        Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(spec)));
    let tree = tree.await.expect("a tree");
    assert_eq!(office.holds(), Some(1), "taken at the start");
    // Somebody holds it for dead, and it finds out with its next beat: it enters again, and takes what is vacant.
    let identity = lease.holder().expect("a lease");
    store.leave_runner(identity, now()).await.expect("an answer");
    tree.restart("house/runner").await.expect("a restart");
    assert_eq!(timeout(PATIENCE, office.taken()).await.expect("it stands again"), 2);
    assert_ne!(lease.holder(), Some(identity));
    assert!(tree.shutdown(PATIENCE).await.in_time);
    assert_eq!(office.holds(), None, "laid down with the lease");
    let heir = runner(&store).await;
    assert_eq!(stands(&store, heir).await, Some(3));
}

async fn a_beat_shows_how_much_there_is_to_do(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = runner(&store).await;
    let load = RunnerLoad { seen_at: now(), in_hand: 3, places: 64 };
    assert!(store.beat_runner(id, load).await.expect("a beat"));
    let shown = store.processes(now()).await.expect("an answer").remove(0);
    assert_eq!((shown.heartbeat_at, shown.in_hand, shown.places), (Some(load.seen_at), 3, 64));
}

async fn old_requests_are_forgotten_and_nothing_younger(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let early = now() - Duration::from_secs(3_600);
    let mut drafts: Vec<_> =
        (0..5).map(|number| keyed(draft(&account), &format!("request-{number}"), b"body")).collect();
    for draft in &mut drafts[..3] {
        draft.now = early;
    }
    for created in store.create_boletos(&drafts[..3]).await {
        created.expect("made");
    }
    for created in store.create_boletos(&drafts[3..]).await {
        created.expect("made");
    }
    assert_eq!(store.forget_old_requests(early, 10).await.expect("an answer"), 0);
    let later = early + Duration::from_secs(1);
    assert_eq!(store.forget_old_requests(later, 2).await.expect("an answer"), 2);
    assert_eq!(store.forget_old_requests(later, 10).await.expect("an answer"), 1);
    for (number, draft) in drafts.iter().enumerate() {
        let request = draft.request.as_ref().expect("a name");
        let found = store.find_request(request).await.expect("an answer");
        assert_eq!(found.is_some(), number >= 3, "request {number}");
    }
}

async fn dead_processes_are_forgotten_and_no_living_one(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = Store::open(&StoreConfig { connections_max: 2, ..database.config() }).await.expect("a store");
    let (dead, died_at) = (runner(&store).await, now());
    store.leave_runner(dead, died_at).await.expect("an answer");
    let living = runner(&store).await;
    assert_eq!(store.forget_dead_runners(died_at, 10).await.expect("an answer"), 0);
    let later = now() + Duration::from_secs(3_600);
    assert_eq!(store.forget_dead_runners(later, 10).await.expect("an answer"), 1);
    assert!(store.beat_runner(living, RunnerLoad::default()).await.expect("a beat"));
    assert_eq!(store.processes(died_at).await.expect("an answer").len(), 1);
}
