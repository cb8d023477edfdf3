//! What both databases must do with work: claim it once, end it under its fence, give back what a dead process had.

use std::time::Duration;

use bursar::domain::boleto::BankResponse;
use bursar::domain::boleto::status::Status;
use bursar::domain::ids::{EventId, RunnerId};
use bursar::domain::work::{Claim, WorkState, kind};
use bursar::store::Store;
use bursar::store::boleto::BoletoDraft;
use bursar::store::boleto_settle::{Change, Settled, Settlement};
use bursar::store::runner::{RunnerBeat, RunnerLoad};
use bursar::store::work::{ClaimRequest, Ending, PutBack, end_of_prefix};
use bursar::store::work_steer::{RegisterAgain, Steered, WorkFilter};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

on_both_databases!(
    due_work_is_claimed_once_each_by_two_at_once,
    a_full_queue_hides_no_other,
    only_the_holder_of_the_fence_ends_a_row,
    a_dead_process_claims_nothing_and_its_rows_return,
    waiting_work_is_promoted_when_it_is_due,
    what_goes_back_unstarted_keeps_its_attempts,
    a_decision_ends_the_work_and_changes_the_boleto_in_one,
    an_open_outcome_leaves_the_boleto_pending_and_the_work_waiting,
    a_lost_lease_changes_nothing,
    one_live_row_a_unique_key,
    operators_steer_what_nobody_has_in_hand,
    a_dead_letter_lives_again,
    a_boleto_is_registered_again_only_while_it_is_open,
    ended_work_is_forgotten_but_no_dead_letter,
);

struct Bench {
    _database: TestDatabase,
    store: Store,
    runner: RunnerId,
    drafts: Vec<BoletoDraft>,
}

async fn bench(kind: Kind, boletos: usize) -> Bench {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let drafts: Vec<BoletoDraft> = (0..boletos).map(|_| draft(&account)).collect();
    for created in store.create_boletos(&drafts).await {
        created.expect("made");
    }
    let runner = runner(&store).await;
    Bench { _database: database, store, runner, drafts }
}

fn claim_all(runner_id: RunnerId) -> ClaimRequest {
    ClaimRequest {
        runner_id,
        queue_from: "registration/banco_do_brasil/".to_owned(),
        queue_until: end_of_prefix("registration/banco_do_brasil/"),
        free_per_queue: 1000,
        busy: vec![],
        tenants_full: vec![],
        kind: kind::BOLETO_REGISTER,
        limit: 1000,
    }
}

fn back(claim: &Claim, state: WorkState, wait: Duration, attempt_counts: bool) -> PutBack {
    PutBack {
        id: claim.id,
        runner_id: claim.runner_id,
        fence: claim.fence,
        span: claim.span.clone(),
        state,
        run_at: now() + wait,
        error: Some("why".to_owned()),
        attempt_counts,
        nothing_was_sent: false,
    }
}

async fn due_work_is_claimed_once_each_by_two_at_once(kind: Kind) {
    let bench = bench(kind, 40).await;
    let requests = (0..8).map(|_| ClaimRequest { limit: 7, ..claim_all(bench.runner) });
    let mut claimers = tokio::task::JoinSet::new();
    for request in requests {
        let store = bench.store.clone();
        claimers.spawn(async move { store.claim(&request).await.expect("claims") });
    }
    let mut claimed: Vec<Claim> = claimers.join_all().await.into_iter().flatten().collect();
    claimed.extend(bench.store.claim(&claim_all(bench.runner)).await.expect("claims"));
    let mut ids: Vec<_> = claimed.iter().map(|claim| claim.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((claimed.len(), ids.len()), (40, 40));
    assert!(claimed.iter().all(|claim| claim.attempt == 1 && claim.fence == 1));
    assert!(bench.store.claim(&claim_all(bench.runner)).await.expect("claims").is_empty());
}

async fn a_full_queue_hides_no_other(kind: Kind) {
    let bench = bench(kind, 5).await;
    let other = bank_account("2222222");
    bench.store.create_bank_account(&other, 1, None).await.expect("an account");
    bench.store.create_boletos(&[draft(&other), draft(&other)]).await;
    let full = bench.drafts[0].work.queue.clone();
    let request = ClaimRequest { busy: vec![(full, 1)], free_per_queue: 10, ..claim_all(bench.runner) };
    let claimed = bench.store.claim(&request).await.expect("claims");
    let of_full = claimed.iter().filter(|claim| claim.queue == bench.drafts[0].work.queue).count();
    assert_eq!((of_full, claimed.len()), (1, 3));
    let elsewhere = ClaimRequest {
        queue_from: "delivery/".to_owned(),
        queue_until: end_of_prefix("delivery/"),
        ..claim_all(bench.runner)
    };
    assert!(bench.store.claim(&elsewhere).await.expect("claims").is_empty());
}

async fn only_the_holder_of_the_fence_ends_a_row(kind: Kind) {
    let bench = bench(kind, 1).await;
    let claim = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    let stale = Ending { fence: claim.fence - 1, ..Ending::of(&claim, WorkState::Completed, None) };
    assert!(bench.store.end_alone(&[stale], now()).await.expect("an answer").is_empty());
    let ending = Ending::of(&claim, WorkState::Completed, None);
    assert_eq!(
        bench.store.end_alone(std::slice::from_ref(&ending), now()).await.expect("an answer").len(),
        1
    );
    assert!(bench.store.end_alone(&[ending], now()).await.expect("an answer").is_empty(), "ended once");
    let view = bench.store.work(claim.id).await.expect("a store").expect("kept in the archive");
    assert_eq!((view.state, view.attempt), (WorkState::Completed, 1));
}

async fn a_dead_process_claims_nothing_and_its_rows_return(kind: Kind) {
    let bench = bench(kind, 3).await;
    let claimed = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    assert!(bench.store.beat_runner(bench.runner, RunnerLoad::default()).await.expect("a beat"));
    let seen = RunnerBeat { id: bench.runner, beat: 0 };
    let early = bench.store.bury_runner(&seen, now()).await.expect("an answer");
    assert!(!early.buried, "it has beaten since it was seen");
    let burial = bench.store.bury_runner(&RunnerBeat { beat: 1, ..seen }, now()).await.expect("an answer");
    assert_eq!((burial.buried, burial.rows_returned), (true, 3));
    assert!(
        !bench.store.beat_runner(bench.runner, RunnerLoad::default()).await.expect("an answer"),
        "dead is final"
    );
    assert!(bench.store.claim(&claim_all(bench.runner)).await.expect("an answer").is_empty());
    let stale = Ending::of(&claimed[0], WorkState::Completed, None);
    assert!(bench.store.end_alone(&[stale], now()).await.expect("an answer").is_empty());
    let heir = RunnerId(Uuid::now_v7());
    bench.store.enter_runner(heir, "heir", now()).await.expect("a runner");
    let again = bench.store.claim(&claim_all(heir)).await.expect("claims");
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|claim| claim.attempt == 2 && claim.fence == 2));
    assert!(again.iter().all(|claim| claim.earlier_span.is_none()), "no span of a process that died is told");
}

async fn waiting_work_is_promoted_when_it_is_due(kind: Kind) {
    let bench = bench(kind, 2).await;
    let claims = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    let soon = back(&claims[0], WorkState::Retryable, Duration::from_secs(60), true);
    let later = back(&claims[1], WorkState::Scheduled, Duration::from_secs(3600), false);
    assert_eq!(bench.store.put_back_alone(&[soon.clone(), later]).await.expect("an answer").len(), 2);
    assert!(bench.store.promote_due(now()).await.expect("an answer").is_empty());
    assert_eq!(bench.store.next_due().await.expect("an answer"), Some(soon.run_at));
    let queues = bench.store.promote_due(soon.run_at).await.expect("an answer");
    assert_eq!(queues, [claims[0].queue.clone()]);
    let again = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].attempt), (claims[0].id, 2));
    assert_eq!(again[0].last_error.as_deref(), Some("why"));
}

async fn what_goes_back_unstarted_keeps_its_attempts(kind: Kind) {
    let bench = bench(kind, 1).await;
    let claim = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    let unstarted = back(&claim, WorkState::Available, Duration::ZERO, false);
    bench.store.put_back_alone(std::slice::from_ref(&unstarted)).await.expect("an answer");
    assert!(bench.store.put_back_alone(&[unstarted]).await.expect("an answer").is_empty(), "given back once");
    let again = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    assert_eq!((again.attempt, again.fence), (1, 2));
}

fn decided(claim: &Claim, status: Status) -> Settlement {
    Settlement {
        claim: claim.clone(),
        event_id: EventId(Uuid::now_v7()),
        change: Change::Decided {
            status,
            response: Some(BankResponse { code: "48".to_owned(), message: "não".to_owned() }),
            given: Box::default(),
        },
        delivery_attempts_max: 30,
        now: now(),
    }
}

async fn a_decision_ends_the_work_and_changes_the_boleto_in_one(kind: Kind) {
    let bench = bench(kind, 2).await;
    let claims = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    let items = [decided(&claims[0], Status::Registered), decided(&claims[1], Status::Refused)];
    for result in bench.store.settle_registrations(&items).await {
        assert_eq!(result.expect("settled"), Settled::Done { version: Some(2) });
    }
    for (claim, status) in claims.iter().zip([Status::Registered, Status::Refused]) {
        let id = bursar::domain::ids::BoletoId(claim.subject_id);
        let read = bench.store.boleto(&claim.tenant_id, id).await.expect("a store").expect("a boleto").boleto;
        assert_eq!((read.status, read.version), (status, 2));
        assert_eq!(read.bank_response.map(|response| response.code).as_deref(), Some("48"));
        assert!(bench.store.registration_ended_by(claim).await.expect("an answer"));
    }
    assert!(bench.store.list_work(&WorkFilter::default(), None, 10).await.expect("a list").is_empty());
}

async fn an_open_outcome_leaves_the_boleto_pending_and_the_work_waiting(kind: Kind) {
    let bench = bench(kind, 1).await;
    let claim = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    let open = |claim: &Claim| Settlement {
        change: Change::Open {
            run_at: now() + Duration::from_secs(5),
            state: WorkState::Retryable,
            error: "no answer".to_owned(),
            attempt_counts: true,
            nothing_was_sent: false,
            bank_reference: None,
        },
        ..decided(claim, Status::Registered)
    };
    let first = bench.store.settle_registrations(&[open(&claim)]).await.remove(0).expect("settled");
    assert_eq!(first, Settled::Done { version: Some(2) });
    bench.store.promote_due(now() + Duration::from_secs(60)).await.expect("promoted");
    let again = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    let second = bench.store.settle_registrations(&[open(&again)]).await.remove(0).expect("settled");
    assert_eq!(second, Settled::Done { version: None }, "pending already: no second event");
    let draft = &bench.drafts[0];
    let read =
        bench.store.boleto(&draft.tenant_id, draft.id).await.expect("a store").expect("a boleto").boleto;
    assert_eq!((read.status, read.version), (Status::PendingRegistration, 2));
}

async fn a_lost_lease_changes_nothing(kind: Kind) {
    let bench = bench(kind, 2).await;
    let claims = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    let mut stale = claims[0].clone();
    stale.fence -= 1;
    let items = [decided(&stale, Status::Refused), decided(&claims[1], Status::Registered)];
    let results = bench.store.settle_registrations(&items).await;
    assert_eq!(*results[0].as_ref().expect("an answer"), Settled::LostLease);
    assert_eq!(*results[1].as_ref().expect("an answer"), Settled::Done { version: Some(2) });
    let id = bursar::domain::ids::BoletoId(stale.subject_id);
    let read = bench.store.boleto(&stale.tenant_id, id).await.expect("a store").expect("a boleto").boleto;
    assert_eq!((read.status, read.version), (Status::Issued, 1));
}

async fn one_live_row_a_unique_key(kind: Kind) {
    let bench = bench(kind, 1).await;
    let mut work = bench.drafts[0].work.clone();
    work.id = bursar::domain::ids::WorkId(Uuid::now_v7());
    assert_eq!(bench.store.register_again(&work).await.expect("an answer"), RegisterAgain::Asked);
    let live = bench.store.list_work(&WorkFilter::default(), None, 10).await.expect("a list");
    assert_eq!(live.iter().map(|view| view.id).collect::<Vec<_>>(), [bench.drafts[0].work.id]);
}

async fn operators_steer_what_nobody_has_in_hand(kind: Kind) {
    let bench = bench(kind, 2).await;
    let one = ClaimRequest { limit: 1, ..claim_all(bench.runner) };
    let running = bench.store.claim(&one).await.expect("claims").remove(0);
    let waiting =
        bench.drafts.iter().map(|draft| draft.work.id).find(|id| *id != running.id).expect("another");
    assert_eq!(bench.store.cancel_work(running.id, "no", now()).await.expect("an answer"), Steered::Running);
    assert_eq!(bench.store.retry_work(running.id, "now", now()).await.expect("an answer"), Steered::Running);
    assert_eq!(bench.store.retry_work(waiting, "now", now()).await.expect("an answer"), Steered::Done);
    assert_eq!(bench.store.cancel_work(waiting, "mistake", now()).await.expect("an answer"), Steered::Done);
    let view = bench.store.work(waiting).await.expect("a store").expect("kept");
    assert_eq!((view.state, view.last_error.as_deref()), (WorkState::Cancelled, Some("mistake")));
    let ended = Steered::Ended(WorkState::Cancelled);
    assert_eq!(bench.store.retry_work(waiting, "now", now()).await.expect("an answer"), ended);
    let unknown = bursar::domain::ids::WorkId(Uuid::now_v7());
    assert_eq!(bench.store.cancel_work(unknown, "x", now()).await.expect("an answer"), Steered::NotFound);
    let filter =
        WorkFilter { states: vec![WorkState::Running, WorkState::Cancelled], ..WorkFilter::default() };
    assert_eq!(bench.store.list_work(&filter, None, 10).await.expect("a list").len(), 2);
}

async fn a_dead_letter_lives_again(kind: Kind) {
    let bench = bench(kind, 1).await;
    let claim = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    let given_up = Settlement {
        change: Change::GivenUp { error: "attempts spent".to_owned() },
        ..decided(&claim, Status::Registered)
    };
    bench.store.settle_registrations(&[given_up]).await.remove(0).expect("settled");
    let view = bench.store.work(claim.id).await.expect("a store").expect("a dead letter");
    assert_eq!((view.state, view.last_error.as_deref()), (WorkState::Discarded, Some("attempts spent")));
    assert_eq!(
        bench.store.retry_work(claim.id, "bank is back", now()).await.expect("an answer"),
        Steered::Done
    );
    let again = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    assert_eq!((again.id, again.attempt, again.fence), (claim.id, 1, claim.fence + 1));
    assert!(again.sent_at.is_some(), "what may have been sent is looked up first");
}

async fn a_boleto_is_registered_again_only_while_it_is_open(kind: Kind) {
    let bench = bench(kind, 1).await;
    let claim = bench.store.claim(&claim_all(bench.runner)).await.expect("claims").remove(0);
    bench
        .store
        .settle_registrations(&[decided(&claim, Status::Registered)])
        .await
        .remove(0)
        .expect("settled");
    let work = bench.drafts[0].work.clone();
    let answer = bench.store.register_again(&work).await.expect("an answer");
    assert_eq!(answer, RegisterAgain::NotOpen(Status::Registered));
    let mut unknown = work;
    unknown.subject_id = Uuid::now_v7();
    assert_eq!(bench.store.register_again(&unknown).await.expect("an answer"), RegisterAgain::NotFound);
}

async fn ended_work_is_forgotten_but_no_dead_letter(kind: Kind) {
    let bench = bench(kind, 2).await;
    let claims = bench.store.claim(&claim_all(bench.runner)).await.expect("claims");
    let endings = [
        Ending::of(&claims[0], WorkState::Completed, None),
        Ending::of(&claims[1], WorkState::Discarded, Some("spent".to_owned())),
    ];
    bench.store.end_alone(&endings, now()).await.expect("ended");
    let later = now() + Duration::from_secs(1);
    assert_eq!(bench.store.forget_ended_work(later, 100).await.expect("an answer"), 1);
    assert!(bench.store.work(claims[0].id).await.expect("a store").is_none());
    assert!(bench.store.work(claims[1].id).await.expect("a store").is_some());
}
