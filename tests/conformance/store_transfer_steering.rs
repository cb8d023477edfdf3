//! What both databases must do when people decide about transfers: queued again once, with earlier runs kept, and erased so that
//! nothing of it is found anywhere.

use bursar::domain::ids::{TenantId, TransferId, WorkId};
use bursar::domain::transfer::TransferState;
use bursar::domain::work::{Claim, WorkState, kind};
use bursar::store::raw_answer::AnalysisRead;
use bursar::store::request_key::RequestKey;
use bursar::store::transfer_analysis::{KeptAnswer, TransferSettled};
use bursar::store::transfer_list::TransferFilter;
use bursar::store::transfer_offer::{Offer, Offered};
use bursar::store::transfer_steer::{Again, ReprocessedMany, SLICE, TransferDecision, TransferSteered};
use bursar::store::transfer_write_back::WriteBackChange;
use bursar::store::work::ClaimRequest;
use bursar::store::work_steer::{Steered, WorkFilter, WorkView};
use bytes::Bytes;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::{claim_of, deliveries};
use crate::support::database::Kind;
use crate::support::drafts::now;
use crate::transfer_scene::{
    PERSON, Scene, analysed, failed, key, later, no_speech, offer, queue, scored, settlement, skipped,
};

on_both_databases!(
    what_has_ended_is_analysed_once_more_and_its_earlier_run_is_kept,
    the_same_request_queues_once_and_many_at_once_begin_one_run,
    a_dead_letter_of_an_earlier_run_is_out_of_date,
    all_that_a_filter_finds_is_queued_again_oldest_first,
    what_lost_its_work_by_hand_is_begun_anew,
    what_waits_is_done_now_and_ahead_of_others,
    of_an_erased_transfer_nothing_is_left_but_that_it_was_there,
    what_is_being_worked_on_is_not_erased,
);

/// What a vendor said, which must not be found once it was erased.
const WORDS: &str = "words of the vendor alone";

impl Scene {
    async fn reprocesses(&self, decision: &TransferDecision, tells_owners: bool) -> TransferSteered {
        let again = Again { tells_owners, ..again() };
        self.store.reprocess_transfer(decision, &again, &queue_of).await.expect("a store")
    }

    async fn reprocesses_many(&self, filter: &TransferFilter, limit: i64, dry_run: bool) -> ReprocessedMany {
        let (decision, again) = (decision(TransferId(Uuid::nil())), again());
        let many = self.store.reprocess_transfers(&decision, filter, &again, &queue_of, limit, dry_run);
        many.await.expect("a store")
    }

    async fn erases(&self, id: TransferId) -> TransferSteered {
        self.store.erase_transfer(&decision(id)).await.expect("a store")
    }

    /// The live rows of work that are no deliveries.
    async fn waiting(&self) -> Vec<WorkView> {
        let filter = WorkFilter { kind: Some(kind::TRANSFER_ANALYSE.to_owned()), ..WorkFilter::default() };
        self.store.list_work(&filter, None, 2_000).await.expect("a list")
    }

    /// What comes first.
    async fn next(&self) -> Claim {
        let request = ClaimRequest { limit: 1, ..claim_of("analysis/", kind::TRANSFER_ANALYSE, self.runner) };
        self.store.claim(&request).await.expect("a claim").remove(0)
    }

    async fn retries(&self, id: WorkId) -> Steered {
        self.store.retry_work(id, "once more", now()).await.expect("a store")
    }

    async fn records(&self) -> Vec<String> {
        self.texts(
            "select method || ': ' || reason as text from audit where method <> 'RetryWork' order by id",
        )
        .await
    }

    async fn has_failed(&self, name: &str) -> TransferId {
        let claim = self.in_hand(name).await;
        self.begins(&claim).await.expect("a run");
        assert_eq!(self.settles(&claim, failed("gave_up: away")).await, TransferSettled::Done);
        TransferId(claim.subject_id)
    }
}

fn again() -> Again {
    Again { tells_owners: false, attempts_max: 9, priority: -50 }
}

fn queue_of(feed: &str, company: Option<&str>) -> Option<String> {
    assert!(company.is_none_or(|company| company == "company"));
    (feed == "feed").then(queue)
}

fn decision(id: TransferId) -> TransferDecision {
    TransferDecision {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        transfer_id: id,
        request: None,
        reason: "the vendor had a bad day".to_owned(),
        traceparent: None,
        now: now(),
    }
}

fn named(id: TransferId, request_id: &str, body: &str) -> TransferDecision {
    let key = RequestKey {
        tenant_id: TenantId::default(),
        method: "Steer",
        request_id: request_id.to_owned(),
        body_hash: body.as_bytes().to_vec(),
    };
    TransferDecision { request: Some(key), ..decision(id) }
}

async fn what_has_ended_is_analysed_once_more_and_its_earlier_run_is_kept(kind: Kind) {
    let scene = Scene::set(kind).await;
    let id = scene.has_done("one").await;
    let before = scene.is(id).await;
    assert_eq!(scene.reprocesses(&decision(id), false).await, TransferSteered::Done);
    let queued = scene.is(id).await;
    assert_eq!((queued.state, queued.version, queued.run), (TransferState::Queued, before.version + 1, 1));
    let changes = scene.store.transfer_changes_of(&TenantId::default(), id).await.expect("changes");
    let last = changes.last().expect("a change");
    assert_eq!(
        (last.state, last.reason.as_deref()),
        (TransferState::Queued, Some("the vendor had a bad day"))
    );
    assert_eq!(scene.records().await, ["ReprocessTransfer: the vendor had a bad day"]);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    assert_eq!(claim.attempts_max, 9);
    let begun = scene.begins(&claim).await.expect("a run");
    assert_eq!((begun.transfer.run, begun.transfer.questions, begun.answers), (2, None, vec![]));
    assert!(scene.store.keep_questions(&claim, 1, &key("audio")).await.expect("a store"));
    scene.keeps(&claim, 2, vec![scored(0, 10)], vec![]).await;
    assert_eq!(scene.settles(&claim, analysed("90")).await, TransferSettled::Done);
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    assert_eq!(scene.writes_back(&claim).await.expect("something to tell").result, "90");
    assert_eq!(scene.has_told(&claim, WriteBackChange::Written).await, TransferSettled::Done);
    assert_eq!(scene.told().await, ["transfer.done"], "of the first run; nobody wanted the second told");
    assert_eq!(scene.reprocesses(&decision(id), true).await, TransferSteered::Done);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    scene.begins(&claim).await.expect("a run");
    assert_eq!(scene.settles(&claim, skipped()).await, TransferSettled::Done);
    assert_eq!(scene.told().await, ["transfer.done", "transfer.skipped"]);
    let runs = scene.store.transfer_runs(&TenantId::default(), id).await.expect("runs");
    let kept: Vec<_> = runs.iter().map(|run| (run.number, run.result.as_deref(), run.tells_owners)).collect();
    assert_eq!(kept, [(1, Some("38|"), true), (2, Some("90"), false), (3, None, true)]);
    let answers = scene.store.answers(&TenantId::default(), id, 1).await.expect("answers");
    assert_eq!(answers.iter().map(|kept| kept.outcome.name()).collect::<Vec<_>>(), ["scored", "no_speech"]);
    let elsewhere =
        TransferDecision { tenant_id: TenantId::parse("other").expect("a tenant"), ..decision(id) };
    assert_eq!(scene.reprocesses(&elsewhere, false).await, TransferSteered::NotFound);
}

async fn the_same_request_queues_once_and_many_at_once_begin_one_run(kind: Kind) {
    let scene = Scene::set(kind).await;
    let id = scene.has_done("one").await;
    assert_eq!(scene.reprocesses(&named(id, "a", "body"), false).await, TransferSteered::Done);
    assert_eq!(scene.reprocesses(&named(id, "a", "body"), false).await, TransferSteered::Before);
    assert_eq!(scene.reprocesses(&named(id, "a", "other"), false).await, TransferSteered::OtherBody);
    let waits = TransferSteered::NotNow(TransferState::Queued);
    assert_eq!(scene.reprocesses(&named(id, "b", "body"), false).await, waits);
    assert_eq!((scene.waiting().await.len(), scene.records().await.len()), (1, 1));
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    scene.begins(&claim).await.expect("a run");
    // What came to nothing has left no name behind: it may be asked for once more.
    let under_way = TransferSteered::NotNow(TransferState::Analysing);
    assert_eq!(scene.reprocesses(&named(id, "b", "body"), false).await, under_way);
    assert_eq!(scene.settles(&claim, failed("gave_up: away")).await, TransferSettled::Done);
    let decisions: Vec<TransferDecision> = (0..8).map(|_| decision(id)).collect();
    let steered =
        futures_util::future::join_all(decisions.iter().map(|decision| scene.reprocesses(decision, false)))
            .await;
    let done = steered.iter().filter(|steered| **steered == TransferSteered::Done).count();
    assert_eq!((done, scene.waiting().await.len(), scene.records().await.len()), (1, 1, 2));
    assert!(steered.iter().all(|steered| [TransferSteered::Done, waits].contains(steered)), "{steered:?}");
}

async fn a_dead_letter_of_an_earlier_run_is_out_of_date(kind: Kind) {
    let scene = Scene::set(kind).await;
    let id = scene.has_failed("one").await;
    let dead = scene.dead_letters().await.remove(0);
    assert_eq!(scene.reprocesses(&decision(id), true).await, TransferSteered::Done);
    assert!(scene.dead_letters().await.is_empty(), "nobody needs it any more");
    assert_eq!(scene.retries(dead).await, Steered::Ended(WorkState::Cancelled));
    // One that is retried first is the transfer's work, and nothing begins beside it.
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    scene.begins(&claim).await.expect("a run");
    assert_eq!(scene.settles(&claim, failed("gave_up: away")).await, TransferSettled::Done);
    let dead = scene.dead_letters().await.remove(0);
    assert_eq!(scene.retries(dead).await, Steered::Done);
    let failed = TransferSteered::NotNow(TransferState::Failed);
    assert_eq!(scene.reprocesses(&decision(id), true).await, failed);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    assert_eq!(scene.begins(&claim).await.expect("the same run").transfer.run, 2);
}

async fn all_that_a_filter_finds_is_queued_again_oldest_first(kind: Kind) {
    let scene = Scene::set(kind).await;
    let count = usize::try_from(SLICE).expect("a number") * 2 + 30;
    let offers: Vec<Offer> = (0..count).map(|number| offer(&format!("t{number:03}"))).collect();
    let ids = scene.offer(&offers).await;
    let elsewhere = Offer { feed: "forgotten".to_owned(), ..offer("elsewhere") };
    let elsewhere = scene.offer(&[elsewhere]).await[0];
    let claims = scene.claims(kind::TRANSFER_ANALYSE).await;
    let ends: Vec<_> = claims.iter().map(|claim| settlement(claim, failed("gave_up: away"))).collect();
    for settled in scene.store.settle_analyses(&ends).await {
        assert_eq!(settled.expect("a store"), TransferSettled::Done);
    }
    scene.offer(&[offer("waits")]).await;
    let filter = TransferFilter { reason: Some("gave_up".to_owned()), ..TransferFilter::default() };
    let before = scene.everything().await;
    let many = |transfers: i64, more| ReprocessedMany { transfers, more };
    assert_eq!(scene.reprocesses_many(&filter, 120, true).await, many(120, true));
    assert_eq!(scene.reprocesses_many(&filter, 1_000, true).await, many(count as i64, false));
    assert_eq!(scene.reprocesses_many(&filter, count as i64, true).await, many(count as i64, false));
    assert_eq!(scene.everything().await, before, "counting changes nothing");
    assert_eq!(scene.reprocesses_many(&filter, 120, false).await, many(120, true));
    let queued = async || -> Vec<TransferId> {
        let mut queued: Vec<TransferId> =
            scene.waiting().await.iter().map(|work| TransferId(work.subject_id)).collect();
        queued.sort_unstable();
        queued
    };
    assert_eq!(queued().await[..120], ids[..120], "oldest first");
    assert_eq!(queued().await.len(), 121, "with the one that waited before");
    assert_eq!(scene.reprocesses_many(&filter, 1_000, false).await, many(count as i64 - 120, false));
    assert_eq!(queued().await[..count], ids);
    assert_eq!(scene.reprocesses_many(&filter, 1_000, false).await, many(0, false), "none of them has ended");
    assert_eq!(scene.is(elsewhere).await.state, TransferState::Failed, "nobody knows where it would wait");
    assert_eq!(scene.records().await, ["ReprocessTransfers: the vendor had a bad day"; 4]);
    assert_eq!(scene.dead_letters().await.len(), 1);
    let person = TransferFilter { person_key: Some(PERSON.to_owned()), ..TransferFilter::default() };
    assert_eq!(scene.reprocesses_many(&person, 10, true).await, many(0, false));
}

async fn what_lost_its_work_by_hand_is_begun_anew(kind: Kind) {
    let scene = Scene::set(kind).await;
    let id = scene.offer(&[offer("one")]).await[0];
    let waits = TransferSteered::NotNow(TransferState::Queued);
    assert_eq!(scene.reprocesses(&decision(id), true).await, waits);
    let work = scene.waiting().await[0].id;
    let cancelled = scene.store.cancel_work(work, "a mistake", now()).await.expect("a store");
    assert_eq!(cancelled, Steered::Done);
    assert_eq!(scene.reprocesses(&decision(id), true).await, TransferSteered::Done);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    assert_eq!(scene.begins(&claim).await.expect("a run").transfer.run, 1);
}

async fn what_waits_is_done_now_and_ahead_of_others(kind: Kind) {
    let scene = Scene::set(kind).await;
    let ids = scene.offer(&[offer("one"), offer("two"), offer("three")]).await;
    let tenant = TenantId::default();
    let hasten = async |tenant: &TenantId, id| {
        scene.store.hasten_transfer(tenant, id, -100, now()).await.expect("a store")
    };
    assert!(hasten(&tenant, ids[2]).await);
    assert!(!hasten(&TenantId::parse("other").expect("a tenant"), ids[1]).await);
    let claim = scene.next().await;
    assert_eq!(TransferId(claim.subject_id), ids[2]);
    assert!(!hasten(&tenant, ids[2]).await, "somebody has it in hand");
    assert_eq!(scene.settles(&claim, later()).await, TransferSettled::Done);
    assert!(hasten(&tenant, ids[2]).await, "its next attempt waits no longer");
    assert_eq!(TransferId(scene.next().await.subject_id), ids[2]);
    assert_eq!(scene.claims(kind::TRANSFER_ANALYSE).await.len(), 2);
    let done = scene.has_done("four").await;
    assert!(!hasten(&tenant, done).await, "nothing of it waits");
}

async fn of_an_erased_transfer_nothing_is_left_but_that_it_was_there(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    scene.begins(&claim).await.expect("a run");
    assert!(scene.store.keep_questions(&claim, 2, &key("-Naudio")).await.expect("a store"));
    let raw = (Uuid::now_v7(), Bytes::from(WORDS));
    let answers = vec![KeptAnswer { raw_answer_id: Some(raw.0), ..scored(0, 62) }, no_speech(1)];
    scene.keeps(&claim, 1, answers, vec![raw.clone()]).await;
    assert_eq!(scene.settles(&claim, failed(&format!("gave_up: {WORDS}"))).await, TransferSettled::Done);
    let reading = AnalysisRead {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        transfer_id: id,
        method: "GetAnalysis",
        reason: "a complaint".to_owned(),
        traceparent: None,
        now: now(),
    };
    scene.store.audit_analysis_read(&reading).await.expect("a record");
    // It was looked for by its person, queued again, and tried once more; its news wait to be sent.
    let by_person = TransferFilter { person_key: Some(PERSON.to_owned()), ..TransferFilter::default() };
    assert_eq!(scene.reprocesses_many(&by_person, 10, false).await.transfers, 1);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    scene.begins(&claim).await.expect("a run");
    assert_eq!(scene.settles(&claim, later()).await, TransferSettled::Done);
    let holds = |rows: &[String], text: &str| rows.iter().any(|row| row.contains(text));
    let before = scene.everything().await;
    assert!(holds(&before, PERSON) && holds(&before, WORDS) && holds(&before, "-Naudio"));
    let version = scene.is(id).await.version;
    assert_eq!(scene.erases(id).await, TransferSteered::Done);
    let erased = scene.is(id).await;
    assert_eq!((erased.state, erased.version, erased.run), (TransferState::Erased, version + 1, 0));
    assert_eq!((&erased.key, &erased.person_key, &erased.company_key), (&key("one"), &None, &None));
    assert_eq!((erased.recorded_at, &erased.alias_key, &erased.reason), (None, &None, &None));
    let after = scene.everything().await;
    for gone in [PERSON, WORDS, "-Nuser", "-Nalias", "-Naudio", "-Nsurvey"] {
        assert!(!holds(&after, gone), "{gone}: {after:#?}");
    }
    for table in ["transfer_run", "recorded_answer", "raw_answer"] {
        assert!(!after.iter().any(|row| row.starts_with(&format!("{table} "))), "{table}");
    }
    assert!(deliveries(&scene.store, scene.runner).await.is_empty(), "nothing is sent of it");
    assert_eq!(scene.texts("select state as text from delivery").await, ["cancelled"]);
    assert!(scene.waiting().await.is_empty() && scene.dead_letters().await.is_empty());
    assert_eq!(scene.records().await.last().expect("a record"), "EraseTransfer: the vendor had a bad day");
    // Its key is known for good, and nothing brings it back.
    let offered = scene.store.offer_transfers(&[offer("one")]).await.remove(0).expect("a store");
    assert_eq!(offered, Offered::Known { id, state: TransferState::Erased });
    let erased = TransferSteered::NotNow(TransferState::Erased);
    assert_eq!(scene.erases(id).await, erased);
    assert_eq!(scene.reprocesses(&decision(id), true).await, erased);
    assert_eq!(scene.reprocesses_many(&TransferFilter::default(), 10, true).await.transfers, 0);
}

async fn what_is_being_worked_on_is_not_erased(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    let before = scene.everything().await;
    assert_eq!(scene.erases(id).await, TransferSteered::NotNow(TransferState::Queued));
    assert_eq!(scene.everything().await, before);
    scene.begins(&claim).await.expect("a run");
    assert_eq!(scene.erases(id).await, TransferSteered::NotNow(TransferState::Analysing));
    assert_eq!(scene.erases(TransferId(Uuid::now_v7())).await, TransferSteered::NotFound);
    assert_eq!(scene.settles(&claim, failed("gave_up: away")).await, TransferSettled::Done);
    // Told already: what was sent is the owner's, and is not told again.
    let sent = deliveries(&scene.store, scene.runner).await;
    assert_eq!(sent.len(), 1);
    let steered = async |body| scene.store.erase_transfer(&named(id, "erase", body)).await.expect("a store");
    assert_eq!(steered("body").await, TransferSteered::Done);
    assert_eq!(steered("body").await, TransferSteered::Before);
    assert_eq!(steered("other").await, TransferSteered::OtherBody);
    assert_eq!(scene.texts("select data as text from subject_event").await, ["{}"]);
    assert!(scene.dead_letters().await.is_empty());
}
