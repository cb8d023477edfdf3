//! A store in which transfers are analysed and written back, for the tests of both databases.

use bursar::domain::analysis::Outcome;
use bursar::domain::analysis::formula::VendorRisk;
use bursar::domain::ids::{RunnerId, TenantId, TransferId, WorkId};
use bursar::domain::transfer::TransferKey;
use bursar::domain::transfer::judgement::Judgement;
use bursar::domain::work::{Claim, WorkState, kind};
use bursar::store::Store;
use bursar::store::transfer::{Transfer, analysis_queue, write_back_queue};
use bursar::store::transfer_analysis::{
    AnalysisBegin, AnalysisBegun, AnalysisChange, AnalysisSettlement, Checkpoint, KeptAnswer, TransferSettled,
};
use bursar::store::transfer_list::TransferSeen;
use bursar::store::transfer_offer::{Offer, Offered};
use bursar::store::transfer_write_back::{WriteBackBegun, WriteBackChange, WriteBackSettlement};
use bursar::store::work::{ClaimRequest, PutBack};
use bursar::store::work_steer::WorkFilter;
use bytes::Bytes;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::store_deliveries::{claim_of, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

/// Whom a transfer is about, as the feed knows them.
pub const PERSON: &str = "-Nperson00000000001";
pub const FORMULA: &str = "risk-5-95-v1";

/// A store with a process that takes work, and somebody who wants to hear of transfers.
pub struct Scene {
    pub database: TestDatabase,
    pub store: Store,
    pub runner: RunnerId,
}

impl Scene {
    pub async fn set(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let runner = runner(&store).await;
        store.ensure_endpoint(&endpoint("hook", &["transfer.*"])).await.expect("an endpoint");
        Self { database, store, runner }
    }

    /// Queues a transfer, and has it in hand.
    pub async fn in_hand(&self, key: &str) -> Claim {
        self.offer(&[offer(key)]).await;
        self.claims(kind::TRANSFER_ANALYSE).await.remove(0)
    }

    pub async fn offer(&self, offers: &[Offer]) -> Vec<TransferId> {
        let offered = self.store.offer_transfers(offers).await.into_iter();
        let id = |offered| match offered {
            Ok(Offered::New { id, .. }) => id,
            other => panic!("not new: {other:?}"),
        };
        offered.map(id).collect()
    }

    pub async fn claims(&self, kind: &'static str) -> Vec<Claim> {
        let prefix = if kind == kind::TRANSFER_ANALYSE { "analysis/" } else { "write_back/" };
        let request = claim_of(prefix, kind, self.runner);
        let request = ClaimRequest { free_per_queue: 1_000, limit: 1_000, ..request };
        self.store.claim(&request).await.expect("claims")
    }

    pub async fn begins(&self, claim: &Claim) -> Option<AnalysisBegun> {
        self.store.begin_analysis(&begin(claim)).await.expect("a store")
    }

    /// Has a transfer in hand analysed, and leaves its write-back waiting.
    pub async fn analyses(&self, claim: &Claim) -> AnalysisBegun {
        let begun = self.begins(claim).await.expect("a run");
        assert!(self.store.keep_questions(claim, 2, &key("audio")).await.expect("a store"));
        assert!(self.keeps(claim, begun.transfer.run, vec![scored(0, 62), no_speech(1)], vec![]).await);
        assert_eq!(self.settles(claim, analysed("38|")).await, TransferSettled::Done);
        begun
    }

    /// The whole life of one.
    pub async fn has_done(&self, key: &str) -> TransferId {
        let claim = self.in_hand(key).await;
        self.analyses(&claim).await;
        let claim = self.claims(kind::TRANSFER_WRITE_BACK).await.remove(0);
        assert!(self.writes_back(&claim).await.is_some());
        assert_eq!(self.has_told(&claim, WriteBackChange::Written).await, TransferSettled::Done);
        TransferId(claim.subject_id)
    }

    pub async fn keeps(
        &self,
        claim: &Claim,
        run: u32,
        answers: Vec<KeptAnswer>,
        raw: Vec<(Uuid, Bytes)>,
    ) -> bool {
        let item = Checkpoint { claim: claim.clone(), run, answers, raw, now: now() };
        self.store.keep_answers(&[item]).await.remove(0).expect("a store")
    }

    pub async fn settles(&self, claim: &Claim, change: AnalysisChange) -> TransferSettled {
        self.store.settle_analyses(&[settlement(claim, change)]).await.remove(0).expect("a store")
    }

    pub async fn writes_back(&self, claim: &Claim) -> Option<WriteBackBegun> {
        self.store.begin_write_back(claim, now()).await.expect("a store")
    }

    pub async fn has_told(&self, claim: &Claim, change: WriteBackChange) -> TransferSettled {
        let item =
            WriteBackSettlement { claim: claim.clone(), change, delivery_attempts_max: 30, now: now() };
        self.store.settle_write_backs(&[item]).await.remove(0).expect("a store")
    }

    pub async fn sees(&self, id: TransferId) -> TransferSeen {
        self.store.transfer(&TenantId::default(), id).await.expect("a store").expect("a transfer")
    }

    pub async fn is(&self, id: TransferId) -> Transfer {
        self.sees(id).await.transfer
    }

    /// What owners were told, in its order.
    pub async fn told(&self) -> Vec<String> {
        self.texts("select event_type as text from subject_event order by version").await
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.database.texts(sql).await
    }

    /// Every row of every table, as text.
    pub async fn everything(&self) -> Vec<String> {
        self.database.everything().await
    }

    /// Takes a row from whoever has it in hand, who does not know it, for somebody else.
    pub async fn passes_on(&self, claim: &Claim, kind: &'static str) -> Claim {
        let back = PutBack {
            id: claim.id,
            runner_id: claim.runner_id,
            fence: claim.fence,
            span: claim.span.clone(),
            state: WorkState::Available,
            run_at: now(),
            error: None,
            attempt_counts: false,
            nothing_was_sent: true,
        };
        assert_eq!(self.store.put_back_alone(&[back]).await.expect("a store").len(), 1);
        let taken = self.claims(kind).await.remove(0);
        assert_eq!((taken.id, taken.fence), (claim.id, claim.fence + 1));
        taken
    }

    pub async fn dead_letters(&self) -> Vec<WorkId> {
        let filter = WorkFilter { states: vec![WorkState::Discarded], ..WorkFilter::default() };
        self.store.list_work(&filter, None, 2_000).await.expect("a list").iter().map(|row| row.id).collect()
    }
}

pub fn key(text: &str) -> TransferKey {
    TransferKey::parse(text).expect("a key")
}

pub fn queue() -> String {
    analysis_queue("nemesysco_ra7", &TenantId::default(), Some("company"))
}

pub fn offer(name: &str) -> Offer {
    Offer {
        id: TransferId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        feed: "feed".to_owned(),
        key: key(name),
        judgement: Judgement::Queue,
        recorded_at: Some(now()),
        company_key: Some("company".to_owned()),
        survey_key: Some("-Nsurvey0000000001".to_owned()),
        person_key: Some(PERSON.to_owned()),
        user_key: Some("-Nuser0000000000001".to_owned()),
        alias_key: Some(key("-Nalias000000000001")),
        queue: queue(),
        priority: 0,
        attempts_max: 20,
        delivery_attempts_max: 30,
        traceparent: None,
        now: now(),
    }
}

pub fn begin(claim: &Claim) -> AnalysisBegin {
    AnalysisBegin { claim: claim.clone(), analyzer: "nemesysco_ra7", formula: Some(FORMULA), now: now() }
}

pub fn settlement(claim: &Claim, change: AnalysisChange) -> AnalysisSettlement {
    AnalysisSettlement { claim: claim.clone(), change, delivery_attempts_max: 30, now: now() }
}

pub fn analysed(result: &str) -> AnalysisChange {
    AnalysisChange::Analysed {
        result: result.to_owned(),
        has_fillers: false,
        endpoint_id: None,
        write_back_queue: write_back_queue(&TenantId::default(), "feed"),
        write_back_attempts_max: 30,
    }
}

pub fn failed(reason: &str) -> AnalysisChange {
    AnalysisChange::Failed { reason: reason.to_owned(), given_up: vec![], endpoint_id: None }
}

pub fn later() -> AnalysisChange {
    let run_at = now() + TimeDelta::hours(1);
    AnalysisChange::Later { run_at, error: "away".to_owned(), attempt_counts: true }
}

pub fn skipped() -> AnalysisChange {
    AnalysisChange::Skipped { reason: "deleted: the record is gone".to_owned() }
}

pub fn answer(position: u32, outcome: Outcome) -> KeptAnswer {
    KeptAnswer {
        position,
        outcome,
        segments: None,
        vendor_id: None,
        attempt: 1,
        raw_answer_id: None,
        ended_at: now(),
    }
}

pub fn scored(position: u32, risk: u8) -> KeptAnswer {
    let outcome = Outcome::Scored(VendorRisk::kept(risk, 3).expect("a risk"));
    KeptAnswer { segments: Some(3), ..answer(position, outcome) }
}

pub fn no_speech(position: u32) -> KeptAnswer {
    answer(position, Outcome::NoSpeech)
}

pub fn gave_up(position: u32) -> KeptAnswer {
    answer(position, Outcome::GaveUp { reason: "the vendor was away".to_owned() })
}
