//! What both databases must do with whom a transfer was told to when it is erased: of its user nothing is left, and of owners nothing
//! that they said.

use std::time::Duration;

use bursar::domain::ids::{EndpointId, EventId, TenantId, TransferId};
use bursar::domain::transfer::TransferState;
use bursar::domain::work::{Claim, WorkState, kind};
use bursar::store::delivery::{AttemptOutcome, DeliveryAttempt, DeliveryChange, DeliverySettlement};
use bursar::store::endpoint::StoredEndpoint;
use bursar::store::pool;
use bursar::store::transfer_analysis::{AnalysisChange, TransferSettled};
use bursar::store::transfer_steer::{TransferDecision, TransferSteered};
use bursar::store::transfer_write_back::WriteBackChange;
use chrono::TimeDelta;
use sea_orm::{ConnectOptions, ConnectionTrait, Statement};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::deliveries;
use crate::support::database::Kind;
use crate::support::drafts::now;
use crate::transfer_scene::{Scene, analysed, offer};

on_both_databases!(
    its_user_s_address_goes_with_the_last_transfer_that_names_it,
    while_its_user_is_being_told_it_is_not_erased,
    a_sending_that_goes_on_leaves_no_words,
);

const ADDRESS: &str = "anna@example.com";
/// What a receiver answered.
const WORDS: &str = "no such customer: anna";

impl Scene {
    /// The mailbox of a user, as the house enters it.
    async fn mailbox(&self) -> EndpointId {
        let destination = serde_json::json!({ "mail": { "address": ADDRESS } }).to_string();
        let endpoint =
            StoredEndpoint::new(TenantId::default(), "mail", destination, ADDRESS.to_owned(), now());
        self.store.ensure_endpoint(&endpoint).await.expect("an endpoint").id
    }

    /// The whole life of one whose user is told; its news wait.
    async fn has_done_for(&self, name: &str, user: Option<EndpointId>) -> TransferId {
        let claim = self.in_hand(name).await;
        self.begins(&claim).await.expect("a run");
        let mut change = analysed("38|");
        if let AnalysisChange::Analysed { endpoint_id, .. } = &mut change {
            *endpoint_id = user;
        }
        assert_eq!(self.settles(&claim, change).await, TransferSettled::Done);
        let claim = self.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
        assert!(self.writes_back(&claim).await.is_some());
        assert_eq!(self.has_told(&claim, WriteBackChange::Written).await, TransferSettled::Done);
        TransferId(claim.subject_id)
    }

    async fn forgets(&self, id: TransferId) -> TransferSteered {
        let decision = TransferDecision {
            id: Uuid::now_v7(),
            tenant_id: TenantId::default(),
            transfer_id: id,
            request: None,
            reason: "asked for by the person".to_owned(),
            traceparent: None,
            now: now(),
        };
        self.store.erase_transfer(&decision).await.expect("a store")
    }

    /// Whoever was told answers.
    async fn is_answered(&self, claims: &[Claim], change: DeliveryChange) {
        let due = self.store.due_deliveries(claims).await.expect("what is due");
        for (claim, due) in claims.iter().zip(due) {
            let endpoint_id = due.expect("a delivery").endpoint_id;
            let attempt = DeliveryAttempt {
                id: Uuid::now_v7(),
                event_id: EventId(Uuid::now_v7()),
                event_type: "transfer.analysed".to_owned(),
                version: 1,
                started_at: now(),
                ended_at: now(),
                outcome: AttemptOutcome::Refused,
                status: None,
                answer: Some(format!("{WORDS} {ADDRESS}")),
                provider_message_id: None,
                is_resend: false,
            };
            let settlement = DeliverySettlement {
                claim: claim.clone(),
                endpoint_id,
                sent_version: if matches!(change, DeliveryChange::Delivered) { 100 } else { 0 },
                wanted_version: 100,
                answer: format!("{WORDS} {ADDRESS}"),
                resend: None,
                attempts: vec![attempt],
                change: change.clone(),
                now: now(),
            };
            assert!(matches!(self.store.settle_deliveries(&[settlement]).await[0], Ok(true)));
        }
    }

    async fn rows_with(&self, text: &str) -> Vec<String> {
        self.everything().await.into_iter().filter(|row| row.contains(text)).collect()
    }
}

async fn its_user_s_address_goes_with_the_last_transfer_that_names_it(kind: Kind) {
    let scene = Scene::set(kind).await;
    let mailbox = scene.mailbox().await;
    let first = scene.has_done_for("one", Some(mailbox)).await;
    let second = scene.has_done_for("two", Some(mailbox)).await;
    let claims = deliveries(&scene.store, scene.runner).await;
    assert_eq!(claims.len(), 4, "its user and its owner, of each");
    scene.is_answered(&claims, DeliveryChange::Delivered).await;
    assert!(scene.rows_with(WORDS).await.len() > 4);
    assert_eq!(scene.forgets(first).await, TransferSteered::Done);
    assert!(scene.store.endpoint(mailbox).await.expect("a store").is_some(), "another names it");
    let left = "select cast(count(*) as text) as text from delivery where subject_kind = 'transfer'";
    assert_eq!(scene.texts(left).await, ["3"]);
    assert_eq!(scene.forgets(second).await, TransferSteered::Done);
    for gone in [ADDRESS, WORDS] {
        let rows = scene.rows_with(gone).await;
        assert!(rows.is_empty(), "{rows:#?}");
    }
    assert_eq!(scene.texts(left).await, ["2"], "that their owner was told stays");
    // The same user is told of the next one all the same.
    let again = scene.mailbox().await;
    assert_ne!(again, mailbox);
    scene.has_done_for("three", Some(again)).await;
    assert_eq!(deliveries(&scene.store, scene.runner).await.len(), 2);
}

async fn while_its_user_is_being_told_it_is_not_erased(kind: Kind) {
    let scene = Scene::set(kind).await;
    let mailbox = scene.mailbox().await;
    let id = scene.has_done_for("one", Some(mailbox)).await;
    let claims = deliveries(&scene.store, scene.runner).await;
    let before = scene.everything().await;
    assert_eq!(scene.forgets(id).await, TransferSteered::NotNow(TransferState::Done));
    assert_eq!(scene.everything().await, before);
    let run_at = now() + TimeDelta::hours(1);
    let later = DeliveryChange::Later { run_at, state: WorkState::Retryable, attempt_counts: true };
    scene.is_answered(&claims, later).await;
    assert_eq!(scene.forgets(id).await, TransferSteered::Done);
    for gone in [ADDRESS, WORDS] {
        let rows = scene.rows_with(gone).await;
        assert!(rows.is_empty(), "{rows:#?}");
    }
}

async fn a_sending_that_goes_on_leaves_no_words(kind: Kind) {
    let later = DeliveryChange::Later { run_at: now(), state: WorkState::Retryable, attempt_counts: true };
    for change in [DeliveryChange::Delivered, DeliveryChange::GivenUp, later] {
        let scene = Scene::set(kind).await;
        let id = scene.has_done_for("one", None).await;
        let claims = deliveries(&scene.store, scene.runner).await;
        assert_eq!(claims.len(), 1);
        assert_eq!(scene.forgets(id).await, TransferSteered::Done);
        scene.is_answered(&claims, change.clone()).await;
        let rows = scene.rows_with(WORDS).await;
        assert!(rows.is_empty(), "{change:?}: {rows:#?}");
        assert!(scene.dead_letters().await.is_empty(), "{change:?}");
        assert!(deliveries(&scene.store, scene.runner).await.is_empty(), "{change:?}");
    }
}

/// Somebody ends its work and makes more of it in the moment in which it is erased.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_made_while_it_is_erased_is_not_cut_off() {
    let scene = Scene::set(Kind::PostgreSql).await;
    let id = scene.offer(&[offer("one")]).await.remove(0);
    let alone = ConnectOptions::new(&scene.database.url).max_connections(1).to_owned();
    let other = pool::connect(alone).await.expect("a second connection");
    for statement in [
        "begin",
        "create temporary table ended as select * from work",
        "delete from work",
        "insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence, unique_key, subject_id,
           payload, created_at_us)
         select gen_random_uuid(), tenant_id, 'transfer.write_back', queue, priority, run_at_us, 'running', attempt, attempts_max,
           fence, unique_key, subject_id, payload, created_at_us from ended",
    ] {
        other.execute_unprepared(statement).await.expect("done");
    }
    let watch = pool::connect(&scene.database.url).await.expect("a third connection");
    let erasing = async { scene.forgets(id).await };
    let committing = async {
        let waits = Statement::from_string(
            watch.get_database_backend(),
            "select 1 as one from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        let look = async {
            while watch.query_one_raw(waits.clone()).await.expect("an answer").is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("the erasure waits");
        other.execute_unprepared("commit").await.expect("committed");
    };
    let (erased, ()) = tokio::join!(erasing, committing);
    assert_eq!(erased, TransferSteered::NotNow(TransferState::Queued));
}
