//! What both databases must do with the analysis of a transfer and with telling its feed: each answer kept once, nothing written
//! under a lease that is lost, and owners told once, when the feed has the result.

use bursar::domain::analysis::Outcome;
use bursar::domain::ids::{TenantId, TransferId, WorkId};
use bursar::domain::transfer::TransferState;
use bursar::domain::work::{Claim, NewWork, kind};
use bursar::store::raw_answer::AnalysisRead;
use bursar::store::transfer::{Transfer, transfer_work_key};
use bursar::store::transfer_analysis::{
    AnalysisBegin, AnalysisChange, Checkpoint, KeptAnswer, TransferSettled,
};
use bursar::store::transfer_list::TransferSeen;
use bursar::store::transfer_write_back::WriteBackChange;
use bursar::store::work_steer::Steered;
use bytes::Bytes;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::endpoint;
use crate::support::database::Kind;
use crate::support::drafts::now;
use crate::transfer_scene::{
    FORMULA, Scene, analysed, answer, begin, gave_up, key, later, no_speech, offer, queue, scored,
    settlement, skipped,
};

on_both_databases!(
    a_run_goes_on_with_the_answers_that_it_has,
    an_answer_kept_twice_is_one_and_what_was_given_up_is_replaced,
    several_transfers_are_kept_and_settled_in_one_group,
    who_has_lost_the_lease_changes_nothing,
    owners_are_told_once_when_the_feed_has_the_result,
    a_dead_letter_that_is_retried_goes_on_with_its_run,
    what_is_skipped_has_ended_and_a_row_of_no_use_ends_alone,
    another_analyzer_begins_another_run,
    the_vendors_words_are_read_under_an_audit_and_forgotten_in_time,
);

async fn a_run_goes_on_with_the_answers_that_it_has(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    let begun = scene.begins(&claim).await.expect("a run");
    assert_eq!(begun.transfer, scene.is(id).await, "what is told is what was written");
    let Transfer { state, run, claims, version, questions, .. } = begun.transfer;
    assert_eq!((state, run, claims, version, questions), (TransferState::Analysing, 1, 1, 2, None));
    assert_eq!(begun.answers, []);
    assert!(scene.store.keep_questions(&claim, 8, &key("audio")).await.expect("a store"));
    let raw = (Uuid::now_v7(), Bytes::from_static(b"{\"risk\":62}"));
    let named = |answer: KeptAnswer| KeptAnswer { raw_answer_id: Some(raw.0), ..answer };
    let refused = Outcome::VendorRefused { reason: "too short".to_owned() };
    let unreadable = Outcome::Unreadable { reason: "no row".to_owned() };
    let mut answers = vec![
        named(scored(0, 62)),
        KeptAnswer {
            segments: Some(7),
            vendor_id: Some("v-1".to_owned()),
            ..answer(1, Outcome::Measured { segments: 7 })
        },
        no_speech(2),
        answer(3, Outcome::AudioMissing),
        named(KeptAnswer { segments: Some(2), attempt: 3, ..answer(4, refused) }),
        answer(5, unreadable),
        answer(6, Outcome::Unreadable { reason: String::new() }),
        gave_up(7),
    ];
    for part in answers.chunks(3) {
        assert!(scene.keeps(&claim, 1, part.to_vec(), vec![raw.clone()]).await);
    }
    let again = scene.passes_on(&claim, kind::TRANSFER_ANALYSE).await;
    let begun = scene.begins(&again).await.expect("the same run");
    let Transfer { state, run, claims, version, questions, .. } = begun.transfer;
    assert_eq!((state, run, claims, version, questions), (TransferState::Analysing, 1, 2, 2, Some(8)));
    answers.pop();
    assert_eq!(begun.answers, answers, "all but the one that was given up");
    assert_eq!(
        scene.texts("select tenant_id as text from raw_answer").await,
        ["default"],
        "one row for all of them"
    );
    let seen = scene.sees(id).await;
    let run = seen.run.expect("a run");
    assert_eq!((run.audio_key, run.formula.as_deref()), (Some(key("audio")), Some(FORMULA)));
    // The questionnaire was changed meanwhile: what is no longer asked is no part of the run.
    assert!(scene.store.keep_questions(&again, 2, &key("audio")).await.expect("a store"));
    assert_eq!(scene.begins(&again).await.expect("the same run").answers, answers[..2]);
}

async fn an_answer_kept_twice_is_one_and_what_was_given_up_is_replaced(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    scene.begins(&claim).await.expect("a run");
    let raw = |text: &'static str| (Uuid::now_v7(), Bytes::from_static(text.as_bytes()));
    let (first, second) = (raw("first"), raw("second"));
    let resting_on =
        |answer: KeptAnswer, raw: &(Uuid, Bytes)| KeptAnswer { raw_answer_id: Some(raw.0), ..answer };
    let kept = resting_on(scored(0, 62), &first);
    for _ in 0..2 {
        assert!(scene.keeps(&claim, 1, vec![kept.clone(), gave_up(1)], vec![first.clone()]).await);
    }
    // Somebody was slower: its outcome is not taken, and what it rests on is not kept.
    assert!(scene.keeps(&claim, 1, vec![resting_on(scored(0, 5), &second)], vec![second.clone()]).await);
    let replaced = scored(1, 10);
    assert!(scene.keeps(&claim, 1, vec![gave_up(1), replaced.clone(), no_speech(1)], vec![]).await);
    assert!(scene.keeps(&claim, 1, vec![gave_up(1)], vec![]).await, "an outcome is not given up any more");
    let tenant = TenantId::default();
    let answers = scene.store.answers(&tenant, TransferId(claim.subject_id), 1).await.expect("answers");
    assert_eq!(answers, [kept, replaced]);
    let bodies = scene.store.raw_answers(&tenant, &[second.0, first.0]).await.expect("bodies");
    assert!(bodies.iter().map(|kept| (kept.id, kept.body.clone())).eq([first]));
}

async fn several_transfers_are_kept_and_settled_in_one_group(kind: Kind) {
    let scene = Scene::set(kind).await;
    let names: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    scene.offer(&names.iter().map(|name| offer(name)).collect::<Vec<_>>()).await;
    let claims = scene.claims(kind::TRANSFER_ANALYSE).await;
    assert_eq!(claims.len(), 40);
    for claim in &claims {
        scene.begins(claim).await.expect("a run");
    }
    let lost = &claims[7];
    scene.passes_on(lost, kind::TRANSFER_ANALYSE).await;
    let is_held = |claim: &Claim| claim.id != lost.id;
    let items: Vec<Checkpoint> = claims
        .iter()
        .map(|claim| Checkpoint {
            claim: claim.clone(),
            run: 1,
            answers: vec![scored(0, 62)],
            raw: vec![(Uuid::now_v7(), Bytes::from(vec![7; 4_000]))],
            now: now(),
        })
        .collect();
    let kept: Vec<bool> = scene.store.keep_answers(&items).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(kept, claims.iter().map(is_held).collect::<Vec<_>>());
    let change = |number: usize| match number % 4 {
        0 => analysed("38"),
        1 => later(),
        2 => AnalysisChange::Failed {
            reason: "gave_up: away".to_owned(),
            given_up: vec![gave_up(1)],
            endpoint_id: None,
        },
        _ => skipped(),
    };
    let items: Vec<_> =
        claims.iter().enumerate().map(|(number, claim)| settlement(claim, change(number))).collect();
    let settled = scene.store.settle_analyses(&items).await;
    let mut states = std::collections::BTreeMap::new();
    for (number, (claim, settled)) in claims.iter().zip(settled).enumerate() {
        assert_eq!(settled.unwrap() == TransferSettled::Done, is_held(claim));
        let seen = scene.sees(TransferId(claim.subject_id)).await;
        let answered = seen.answered;
        assert_eq!(answered, u32::from(is_held(claim)) + u32::from(number % 4 == 2), "{number}");
        *states.entry(seen.transfer.state.as_str()).or_insert(0) += 1;
    }
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        [("analysing", 11), ("failed", 10), ("skipped", 9), ("writing_back", 10)]
    );
    assert_eq!(scene.claims(kind::TRANSFER_WRITE_BACK).await.len(), 10);
    let mut told = scene.told().await;
    told.sort_unstable();
    assert_eq!(told, [vec!["transfer.failed"; 10], vec!["transfer.skipped"; 9]].concat());
}

async fn who_has_lost_the_lease_changes_nothing(kind: Kind) {
    let scene = Scene::set(kind).await;
    let store = &scene.store;
    let lost = scene.in_hand("one").await;
    scene.begins(&lost).await.expect("a run");
    let held = scene.passes_on(&lost, kind::TRANSFER_ANALYSE).await;
    let before = scene.everything().await;
    assert!(scene.begins(&lost).await.is_none());
    assert!(!store.keep_questions(&lost, 3, &key("audio")).await.expect("a store"));
    let raw = (Uuid::now_v7(), Bytes::from_static(b"words"));
    let kept = KeptAnswer { raw_answer_id: Some(raw.0), ..scored(0, 62) };
    assert!(!scene.keeps(&lost, 1, vec![kept], vec![raw]).await);
    let given_up = AnalysisChange::Failed {
        reason: "gave_up: away".to_owned(),
        given_up: vec![gave_up(0)],
        endpoint_id: None,
    };
    for change in [analysed("38"), later(), given_up, skipped()] {
        assert_eq!(scene.settles(&lost, change).await, TransferSettled::LostLease);
    }
    assert_eq!(scene.everything().await, before);
    scene.analyses(&held).await;
    let lost = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    scene.passes_on(&lost, kind::TRANSFER_WRITE_BACK).await;
    let before = scene.everything().await;
    assert!(scene.writes_back(&lost).await.is_none());
    let run_at = now() + TimeDelta::hours(1);
    for change in [
        WriteBackChange::Written,
        WriteBackChange::Gone,
        WriteBackChange::Later { run_at, error: "away".to_owned(), attempt_counts: true },
        WriteBackChange::Failed { reason: "refused".to_owned() },
    ] {
        assert_eq!(scene.has_told(&lost, change).await, TransferSettled::LostLease);
    }
    assert_eq!(scene.everything().await, before);
}

async fn owners_are_told_once_when_the_feed_has_the_result(kind: Kind) {
    let scene = Scene::set(kind).await;
    let own = scene.store.ensure_endpoint(&endpoint("own", &[])).await.expect("an endpoint");
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    scene.begins(&claim).await.expect("a run");
    scene.store.keep_questions(&claim, 1, &key("audio")).await.expect("a store");
    scene.keeps(&claim, 1, vec![no_speech(0)], vec![]).await;
    // One answer without a score: its result is empty, and a result all the same.
    let AnalysisChange::Analysed { write_back_queue, .. } = analysed("") else { unreachable!() };
    let change = AnalysisChange::Analysed {
        result: String::new(),
        has_fillers: true,
        endpoint_id: Some(own.id),
        write_back_queue,
        write_back_attempts_max: 7,
    };
    assert_eq!(scene.settles(&claim, change.clone()).await, TransferSettled::Done);
    assert_eq!(scene.settles(&claim, change).await, TransferSettled::LostLease, "the row has ended");
    assert_eq!(scene.told().await, [""; 0], "the feed does not know yet");
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    assert_eq!(claim.attempts_max, 7);
    let begun = scene.writes_back(&claim).await.expect("something to tell");
    assert_eq!((begun.result.as_str(), begun.analyzer.as_str()), ("", "nemesysco_ra7"));
    assert_eq!((begun.transfer.claims, begun.transfer.endpoint_id), (2, Some(own.id)));
    let run_at = now() - TimeDelta::seconds(1);
    let later = WriteBackChange::Later { run_at, error: "away".to_owned(), attempt_counts: true };
    assert_eq!(scene.has_told(&claim, later).await, TransferSettled::Done);
    scene.store.promote_due(now()).await.expect("a store");
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    assert_eq!((claim.attempt, scene.writes_back(&claim).await.expect("again").transfer.claims), (2, 3));
    assert_eq!(scene.has_told(&claim, WriteBackChange::Written).await, TransferSettled::Done);
    assert_eq!(scene.has_told(&claim, WriteBackChange::Written).await, TransferSettled::LostLease);
    assert_eq!(scene.told().await, ["transfer.done"]);
    let owed = "select state as text from delivery";
    assert_eq!(scene.texts(owed).await, ["pending", "pending"], "who subscribed, and the account's own");
    let TransferSeen { transfer, run, .. } = scene.sees(id).await;
    let run = run.expect("a run");
    assert_eq!((transfer.state, transfer.reason, transfer.version), (TransferState::Done, None, 4));
    assert_eq!((run.result.as_deref(), run.has_fillers), (Some(""), true));
    assert_eq!((run.write_back.as_deref(), run.ended_at.is_some()), (Some("written"), true));
    let changes = scene.store.transfer_changes_of(&TenantId::default(), id).await.expect("changes");
    let states: Vec<&str> = changes.iter().map(|change| change.state.as_str()).collect();
    assert_eq!(states, ["queued", "analysing", "writing_back", "done"]);
}

async fn a_dead_letter_that_is_retried_goes_on_with_its_run(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    scene.begins(&claim).await.expect("a run");
    scene.store.keep_questions(&claim, 2, &key("audio")).await.expect("a store");
    scene.keeps(&claim, 1, vec![scored(0, 62)], vec![]).await;
    let change = AnalysisChange::Failed {
        reason: "gave_up: away".to_owned(),
        given_up: vec![gave_up(1)],
        endpoint_id: None,
    };
    assert_eq!(scene.settles(&claim, change).await, TransferSettled::Done);
    let TransferSeen { transfer, run, answered } = scene.sees(id).await;
    assert_eq!((transfer.state, transfer.reason.as_deref()), (TransferState::Failed, Some("gave_up: away")));
    assert_eq!((run.expect("a run").ended_at.is_some(), answered), (true, 2));
    let retry = async || {
        let dead = scene.dead_letters().await.remove(0);
        let steered = scene.store.retry_work(dead, "the vendor is back", now()).await.expect("a store");
        assert_eq!(steered, Steered::Done);
    };
    retry().await;
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    let begun = scene.begins(&claim).await.expect("the same run");
    assert_eq!((begun.transfer.run, begun.transfer.state), (1, TransferState::Analysing));
    assert_eq!((begun.transfer.reason, begun.answers.len()), (None, 1));
    assert_eq!(scene.sees(id).await.run.expect("a run").ended_at, None);
    scene.keeps(&claim, 1, vec![scored(1, 10)], vec![]).await;
    assert_eq!(scene.settles(&claim, analysed("38|90")).await, TransferSettled::Done);
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    scene.writes_back(&claim).await.expect("something to tell");
    let change = WriteBackChange::Failed { reason: "the feed refused".to_owned() };
    assert_eq!(scene.has_told(&claim, change).await, TransferSettled::Done);
    let TransferSeen { transfer, run, .. } = scene.sees(id).await;
    assert_eq!(transfer.reason.as_deref(), Some("not_written_back: the feed refused"));
    assert_eq!(run.expect("a run").result.as_deref(), Some("38|90"), "the run keeps its result");
    retry().await;
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    let begun = scene.writes_back(&claim).await.expect("something to tell");
    assert_eq!((begun.result.as_str(), begun.transfer.state), ("38|90", TransferState::WritingBack));
    assert_eq!(scene.has_told(&claim, WriteBackChange::Gone).await, TransferSettled::Done);
    let TransferSeen { transfer, run, .. } = scene.sees(id).await;
    assert!(transfer.reason.is_some_and(|reason| reason.starts_with("deleted: ")));
    assert_eq!(
        (transfer.state, run.expect("a run").write_back.as_deref()),
        (TransferState::Done, Some("gone"))
    );
    assert_eq!(scene.told().await, ["transfer.failed", "transfer.failed", "transfer.done"]);
    assert!(scene.dead_letters().await.is_empty());
}

async fn what_is_skipped_has_ended_and_a_row_of_no_use_ends_alone(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("skipped").await;
    scene.begins(&claim).await.expect("a run");
    assert_eq!(scene.settles(&claim, skipped()).await, TransferSettled::Done);
    let TransferSeen { transfer, run, .. } = scene.sees(TransferId(claim.subject_id)).await;
    assert_eq!((transfer.state, run.expect("a run").ended_at.is_some()), (TransferState::Skipped, true));
    let done = scene.has_done("done").await;
    let told = scene.told().await;
    let before = (scene.is(done).await, scene.sees(done).await.run);
    // As somebody would make it by hand, or an older dead letter would be: for a run that is over, and for none that was ever made.
    for run in [1, 3] {
        for kind in [kind::TRANSFER_ANALYSE, kind::TRANSFER_WRITE_BACK] {
            let stale = NewWork {
                id: WorkId(Uuid::now_v7()),
                tenant_id: TenantId::default(),
                kind,
                queue: if kind == kind::TRANSFER_ANALYSE {
                    queue()
                } else {
                    "write_back/default/feed".to_owned()
                },
                priority: 0,
                run_at: now(),
                attempts_max: 3,
                unique_key: Some(transfer_work_key(done)),
                subject_id: done.0,
                payload: format!("{{\"run\":{run}}}"),
                traceparent: None,
                claimed_by: None,
                sent_at: None,
                created_at: now(),
            };
            assert_eq!(scene.store.insert_work_alone(&[stale]).await.expect("a store").len(), 1);
            let claim = scene.claims(kind).await.remove(0);
            let settled = if kind == kind::TRANSFER_ANALYSE {
                assert!(scene.begins(&claim).await.is_none());
                scene.settles(&claim, skipped()).await
            } else {
                assert!(scene.writes_back(&claim).await.is_none());
                scene.has_told(&claim, WriteBackChange::Gone).await
            };
            assert_eq!(settled, TransferSettled::Done, "the row has ended");
        }
    }
    assert_eq!((scene.is(done).await, scene.sees(done).await.run), before);
    assert_eq!(scene.told().await, told);
    assert!(scene.dead_letters().await.is_empty());
}

async fn another_analyzer_begins_another_run(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    let id = TransferId(claim.subject_id);
    scene.begins(&claim).await.expect("a run");
    scene.keeps(&claim, 1, vec![scored(0, 62)], vec![]).await;
    let other = AnalysisBegin { analyzer: "emotion_logic", formula: None, ..begin(&claim) };
    for _ in 0..2 {
        let begun = scene.store.begin_analysis(&other).await.expect("a store").expect("a run");
        assert_eq!(
            (begun.transfer.run, begun.answers),
            (2, vec![]),
            "answers of one run are of one analyzer"
        );
    }
    let measured = answer(0, Outcome::Measured { segments: 4 });
    scene.keeps(&claim, 2, vec![KeptAnswer { segments: Some(4), ..measured }], vec![]).await;
    assert_eq!(scene.settles(&claim, analysed("")).await, TransferSettled::Done);
    let claim = scene.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
    assert_eq!(scene.writes_back(&claim).await.expect("something to tell").analyzer, "emotion_logic");
    assert_eq!(scene.has_told(&claim, WriteBackChange::Written).await, TransferSettled::Done);
    let runs = scene.store.transfer_runs(&TenantId::default(), id).await.expect("runs");
    let analyzers: Vec<_> = runs.iter().map(|run| (run.analyzer.as_str(), run.result.as_deref())).collect();
    assert_eq!(analyzers, [("nemesysco_ra7", None), ("emotion_logic", Some(""))]);
    assert!(runs.iter().all(|run| run.ended_at.is_some()));
    let first = scene.store.answers(&TenantId::default(), id, 1).await.expect("answers");
    assert_eq!(first.len(), 1, "what the first had found is kept with it");
}

async fn the_vendors_words_are_read_under_an_audit_and_forgotten_in_time(kind: Kind) {
    let scene = Scene::set(kind).await;
    let claim = scene.in_hand("one").await;
    scene.begins(&claim).await.expect("a run");
    // Words that repeat themselves, and so many that they are packed off the thread.
    let bodies: Vec<(Uuid, Bytes)> =
        (0_u8..3).map(|number| (Uuid::now_v7(), Bytes::from(vec![b'a' + number; 90_000]))).collect();
    let begin = now();
    for (position, raw) in (0..).zip(&bodies) {
        let item = Checkpoint {
            claim: claim.clone(),
            run: 1,
            answers: vec![KeptAnswer { raw_answer_id: Some(raw.0), ..scored(position, 62) }],
            raw: vec![raw.clone()],
            now: begin + TimeDelta::days(i64::from(position)),
        };
        assert!(scene.store.keep_answers(&[item]).await.remove(0).expect("a store"));
    }
    let (tenant, ids) = (TenantId::default(), bodies.iter().rev().map(|(id, _)| *id).collect::<Vec<_>>());
    let read = scene.store.raw_answers(&tenant, &ids).await.expect("bodies");
    assert!(
        read.iter().map(|kept| (kept.id, kept.body.clone())).eq(bodies.clone()),
        "in the order of their ids"
    );
    let packed = scene.texts("select cast(sum(length(body)) as text) as text from raw_answer").await;
    assert!(packed[0].parse::<u64>().expect("a number") < 3_000, "{packed:?}");
    let other = TenantId::parse("other").expect("a tenant");
    assert!(scene.store.raw_answers(&other, &ids).await.expect("a store").is_empty());
    assert!(scene.store.raw_answers(&tenant, &[]).await.expect("a store").is_empty());
    let forget = async |days, limit| {
        scene.store.forget_raw_answers(begin + TimeDelta::days(days), limit).await.expect("a store")
    };
    assert_eq!((forget(0, 10).await, forget(2, 1).await, forget(2, 10).await), (0, 1, 1));
    let read = scene.store.raw_answers(&tenant, &ids).await.expect("bodies");
    assert!(read.iter().map(|kept| kept.id).eq([bodies[2].0]));
    let reading = AnalysisRead {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        transfer_id: TransferId(claim.subject_id),
        method: "GetAnalysis",
        reason: "a complaint".to_owned(),
        traceparent: None,
        now: now(),
    };
    scene.store.audit_analysis_read(&reading).await.expect("a record");
    let audit = "select method || ': ' || reason as text from audit";
    assert_eq!(scene.texts(audit).await, ["GetAnalysis: a complaint"]);
    assert!(scene.store.audit_analysis_read(&reading).await.is_err(), "what is not written down is not read");
}
