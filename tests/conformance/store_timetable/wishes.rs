//! What somebody wants is begun once, however often it is asked for; what is old is forgotten.

use bursar::domain::ids::TenantId;
use bursar::domain::job::{Overlap, RunState, SlotOutcome};
use bursar::domain::timetable::CatchUp;
use bursar::store::job_run_end::{AttemptChange, AttemptEnd};
use bursar::store::job_run_wish::{Backfill, Backfilled, Triggered};
use bursar::store::request_key::RequestKey;
use bursar::store::schedule_decide::SlotDecision;
use uuid::Uuid;

use super::{JOB, begin, entry, hours, looks, one_claim, outcomes, planned, runs, states, wishes};
use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::runner;

on_both_databases!(who_asks_twice_begins_once, what_is_old_is_forgotten_and_what_lives_is_not);

fn request(method: &'static str, body: u8) -> RequestKey {
    let request_id = "r-1".to_owned();
    RequestKey { tenant_id: TenantId::default(), method, request_id, body_hash: vec![body] }
}

async fn who_asks_twice_begins_once(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let entry = entry(Overlap::Skip, CatchUp::None);
    let key = request("TriggerJob", 1);
    assert_eq!(wishes(&store, Overlap::Skip, Some(&key)).await, Triggered::Begun);
    let first = runs(&store).await.remove(0);
    // Before anybody asks whether another run lives.
    assert_eq!(wishes(&store, Overlap::Skip, Some(&key)).await, Triggered::Before(first.id));
    let other = request("TriggerJob", 2);
    assert_eq!(wishes(&store, Overlap::Allow, Some(&other)).await, Triggered::OtherBody);
    let refused = RequestKey { request_id: "r-2".to_owned(), ..key.clone() };
    assert_eq!(wishes(&store, Overlap::Skip, Some(&refused)).await, Triggered::Overlaps(first.id));
    assert_eq!(
        wishes(&store, Overlap::Allow, Some(&refused)).await,
        Triggered::Begun,
        "a refusal keeps no name"
    );

    looks(&store, &entry, begin()).await;
    looks(&store, &entry, hours(3)).await;
    let backfill = |body: u8| Backfill {
        id: Uuid::now_v7(),
        decision: SlotDecision {
            job: JOB.to_owned(),
            looked_until: None,
            slots: planned(&entry, hours(3)),
            overlap: entry.overlap,
            now: hours(3),
        },
        reason: "they were missed".to_owned(),
        request: Some(request("BackfillJob", body)),
    };
    let Backfilled::Done(made) = store.backfill_job(&backfill(1)).await.expect("an answer") else {
        panic!("a first request makes its runs")
    };
    assert_eq!(made.len(), 3);
    let again = store.backfill_job(&backfill(1)).await.expect("an answer");
    assert_eq!(again, Backfilled::Before(made.clone()));
    assert_eq!(store.backfill_job(&backfill(2)).await.expect("an answer"), Backfilled::OtherBody);
    let told: Vec<_> = runs(&store).await.into_iter().filter(|run| made.contains(&run.id)).collect();
    assert!(told.iter().all(|run| run.reason.as_deref() == Some("they were missed")), "{told:?}");
    assert_eq!(runs(&store).await.len(), 5);
}

async fn what_is_old_is_forgotten_and_what_lives_is_not(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let entry = entry(Overlap::Skip, CatchUp::All);
    looks(&store, &entry, begin()).await;
    looks(&store, &entry, hours(3)).await;
    let claim = one_claim(&store, runner).await;
    let change = AttemptChange::Ended { state: RunState::Completed, error: None };
    let end = AttemptEnd { claim, job: JOB.to_owned(), change, now: hours(4) };
    assert!(store.end_attempt(&end).await.expect("an answer"));

    assert_eq!(store.forget_job_runs(hours(4), 10).await.expect("an answer"), 0, "it is not older");
    assert_eq!(store.forget_slots(begin(), 10).await.expect("an answer"), 0);
    assert_eq!(store.forget_slots(hours(2), 1).await.expect("an answer"), 1, "a slice at a time");
    assert_eq!(store.forget_slots(hours(2), 10).await.expect("an answer"), 1);
    assert_eq!(store.forget_job_runs(hours(100), 10).await.expect("an answer"), 1);
    assert_eq!(states(&store).await, [RunState::Queued, RunState::Waiting]);
    assert_eq!(outcomes(&store).await, [SlotOutcome::Run]);
    looks(&store, &entry, hours(3)).await;
    assert_eq!(outcomes(&store).await.len(), 1, "what was forgotten does not come again");
}
