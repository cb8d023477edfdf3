//! Claims beside a vendor that does not answer: its queues are left alone, those that nobody has claimed from yet among them, and one
//! row of all of them goes as a probe.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bursar::domain::ids::{TenantId, WorkId};
use bursar::domain::work::{NewWork, RetryPolicy, kind};
use bursar::store::Store;
use bursar::supervision::{Strategy, SupervisorSpec, Tree};
use bursar::work::ahead::Turn;
use bursar::work::breaker::{BreakerConfig, Verdict};
use bursar::work::config::QueueLimit;
use bursar::work::lease::{LeaseKeeper, Load};
use bursar::work::places::of_two_parts;
use bursar::work::tenants::Tenants;
use bursar::work::{ClaimGuard, Claimer, Held, Hints, Lease, Limits, Place, Places, Returns};
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_notify::{PATIENCE, quiet};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::now;

on_both_databases!(
    queues_of_a_vendor_that_is_held_back_are_left_alone,
    one_row_of_all_queues_of_a_vendor_is_its_probe,
);

const DOWN: [&str; 3] = ["analysis/down/t/one", "analysis/down/t/three", "analysis/down/t/two"];
const UP: [&str; 3] = ["analysis/among/t/one", "analysis/up/t/one", "analysis/up/t/two"];

fn work(queue: &str) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: kind::TRANSFER_ANALYSE,
        queue: queue.to_owned(),
        priority: 0,
        run_at: now(),
        attempts_max: 5,
        unique_key: None,
        subject_id: Uuid::now_v7(),
        payload: "{}".to_owned(),
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now(),
    }
}

/// A process that claims for vendors, with a row in each of the queues, after the vendor `down` has failed to answer.
struct Process {
    _database: TestDatabase,
    store: Store,
    claimer: Claimer,
    tree: Tree,
}

impl Process {
    async fn open(kind: Kind, wait: Duration) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let (store, config, hints) = (database.open().await, quiet(), Hints::default());
        let (lease, held) = (Lease::new(&config), Held::default());
        let load = Load::new(held.clone(), 100);
        let keeper = LeaseKeeper::spec(store.clone(), lease.clone(), hints.clone(), load, &config);
        let tree = Tree::start(SupervisorSpec::new("house", Strategy::OneForOne).child(keeper)).await;
        let breaker = BreakerConfig { failures_max: 1, wait_base: wait, wait_cap: wait };
        let per_queue = QueueLimit { in_flight_max: 100, rate_per_minute: 0 };
        let limits = Limits { party_of: of_two_parts, ..Limits::uniform(per_queue, 100, breaker) };
        let places = Places::new(limits, Tenants::default(), Arc::new(Notify::new()));
        let policy = RetryPolicy { base: PATIENCE, cap: PATIENCE };
        let claimer = Claimer {
            store: store.clone(),
            lease,
            returns: Returns::open(store.clone(), hints, held, policy),
            places,
            kind: kind::TRANSFER_ANALYSE,
            queue_prefix: "analysis/".to_owned(),
            batch: 10,
            turn: Turn::default(),
        };
        let rows: Vec<NewWork> = DOWN.iter().chain(&UP).map(|queue| work(queue)).collect();
        assert_eq!(store.insert_work_alone(&rows).await.expect("inserted").len(), rows.len());
        claimer.places.report(DOWN[0], Verdict::Failed);
        Self { _database: database, store, claimer, tree: tree.expect("a lease") }
    }

    async fn claims(&self) -> Vec<(ClaimGuard, Place)> {
        self.claimer.claim().await.expect("an answer")
    }

    /// Claims until so many rows have come.
    async fn claims_until(&self, rows: usize) -> Vec<(ClaimGuard, Place)> {
        let claimed = async {
            let mut claimed = vec![];
            while claimed.len() < rows {
                claimed.extend(self.claims().await);
                tokio::task::yield_now().await;
            }
            claimed
        };
        timeout(PATIENCE, claimed).await.expect("as many rows")
    }

    async fn waiting(&self, queue: &str) -> u32 {
        self.store.count_waiting(queue, 10).await.expect("a count")
    }

    async fn close(self) {
        self.tree.shutdown(PATIENCE).await;
        self.store.close().await.expect("closed");
    }
}

fn queues(claims: &[(ClaimGuard, Place)]) -> BTreeSet<String> {
    claims.iter().map(|(guard, _)| guard.claim().queue.clone()).collect()
}

/// Leaves rows as they are: the store goes away with its test.
fn let_go(claims: Vec<(ClaimGuard, Place)>) {
    for (guard, _) in claims {
        guard.settled();
    }
}

async fn queues_of_a_vendor_that_is_held_back_are_left_alone(kind: Kind) {
    let process = Process::open(kind, PATIENCE * 100).await;
    let claimed = process.claims_until(UP.len()).await;
    assert_eq!(queues(&claimed), UP.map(str::to_owned).into());
    assert!(process.claims().await.is_empty());
    for queue in DOWN {
        assert_eq!(
            process.waiting(queue).await,
            1,
            "{queue}: claimed and given back would be in nobody's hand later"
        );
    }
    let_go(claimed);
    process.close().await;
}

async fn one_row_of_all_queues_of_a_vendor_is_its_probe(kind: Kind) {
    let process = Process::open(kind, Duration::from_millis(10)).await;
    let claimed = process.claims_until(UP.len() + 1).await;
    let all = queues(&claimed);
    let probes: Vec<&str> = DOWN.into_iter().filter(|queue| all.contains(*queue)).collect();
    assert_eq!((probes.len(), all.len()), (1, UP.len() + 1), "{all:?}");
    assert!(process.claims().await.is_empty(), "nobody else until it is answered");
    process.claimer.places.report(probes[0], Verdict::Answered);
    let the_rest = process.claims_until(2).await;
    assert_eq!(the_rest.len(), 2);
    let_go(the_rest);
    let_go(claimed);
    process.close().await;
}
