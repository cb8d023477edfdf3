//! Somebody steered the house all morning. Afterwards an operator reads who did what to what and why, once each, and that nobody has
//! changed the record of it.

use std::sync::Arc;
use std::time::Duration;

use bursar::cli::house;
use bursar::domain::job::Overlap;
use bursar::domain::timetable::{CatchUp, Reach, Timetable};
use bursar::domain::token::ApiToken;
use bursar::messages::jobs::{Job, JobContext, JobEnd, JobEntry};
use bursar::proto::access::v1::audit_service_client::AuditServiceClient;
use bursar::proto::access::v1::{AuditRecord, ListAuditRequest, VerifyAuditRequest, VerifyAuditResponse};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1 as control;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{Work, WorkState};
use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::sandbox::{Behaviour, Party};
use chrono::{NaiveTime, TimeDelta, Utc};
use prost_types::Timestamp;
use serde_json::Value;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::support::callers::{self, Showing};
use crate::support::database::Kind;
use crate::support::house::{BASE_URL, House, Opened, a_boleto, an_account, eventually};

type Way = InterceptedService<Channel, Showing>;

const JOB: &str = "keep_watch";
const REGISTRAR: &str = "house/workers/registrars/banco_do_brasil";
const QUEUE: &str = "delivery/sqs/";
const WHY: &str = "for the story";

/// Goes on until somebody wants it to end.
struct KeepingWatch;

#[async_trait::async_trait]
impl Job for KeepingWatch {
    fn start_message(&self) -> &'static str {
        "Job keepWatch started"
    }

    async fn run(&self, context: JobContext) -> JobEnd {
        context.end_wanted().await;
        JobEnd::Interrupted
    }
}

/// Somebody with a token, and the audit beside them.
struct Desk {
    house: Opened,
    actor: String,
    way: Way,
    /// Records that have been read.
    read: i64,
}

impl Desk {
    async fn open(kind: Kind) -> Self {
        let surroundings = House::new()
            .on(kind)
            .without_account()
            .with("access.mode", "tokens")
            .with("registration.retry_base", "1h")
            .with("registration.retry_cap", "2h")
            .with("registration.inline_deadline", "10ms")
            .with("breaker.failures_max", "1000")
            .with("documents.links.enabled", "true")
            .with("documents.links.address", "127.0.0.1:0")
            .with("documents.links.base_url", BASE_URL)
            .prepare()
            .await;
        let store = surroundings.database.open().await;
        let token: ApiToken = callers::make(&store, "default", "admin", TimeDelta::hours(1)).await;
        store.open_schedule(JOB, true, store.now()).await.expect("a timetable");
        store.close().await.expect("closed");
        drop(store);
        let anchor = NaiveTime::from_hms_opt(0, 30, 0).expect("a time");
        let timetable =
            Timetable::new(Duration::from_mins(60), anchor, chrono_tz::Europe::Warsaw, Reach::AllDay);
        let entry = JobEntry {
            name: JOB.to_owned(),
            job: Some(Arc::new(KeepingWatch)),
            timetable: timetable.expect("an hour divides the day"),
            enabled: false,
            overlap: Overlap::QueueOne,
            catch_up: CatchUp::None,
            catch_up_window: Duration::from_hours(24),
            jitter: Duration::ZERO,
        };
        let opened = house::open_with(&surroundings.config(), vec![entry]).await.expect("an open house");
        let house = surroundings.moved_in(opened).await;
        let way = InterceptedService::new(house.channel(), Showing::token(&token));
        let mut desk = Self { house, actor: format!("token:{}", token.prefix()), way, read: 0 };
        // The token itself was made by hand.
        desk.read = desk.verifies().await.sequence;
        desk
    }

    fn audit(&self) -> AuditServiceClient<Way> {
        AuditServiceClient::new(self.way.clone())
    }

    fn control(&self) -> ControlServiceClient<Way> {
        ControlServiceClient::new(self.way.clone())
    }

    fn boletos(&self) -> BoletoServiceClient<Way> {
        BoletoServiceClient::new(self.way.clone())
    }

    fn accounts(&self) -> BankAccountServiceClient<Way> {
        BankAccountServiceClient::new(self.way.clone())
    }

    fn endpoints(&self) -> NotificationServiceClient<Way> {
        NotificationServiceClient::new(self.way.clone())
    }

    async fn verifies(&self) -> VerifyAuditResponse {
        let answer = self.audit().verify_audit(VerifyAuditRequest::default()).await;
        let verified = answer.expect("an answer").into_inner();
        assert!(verified.complete && verified.r#break.is_none(), "{verified:?}");
        verified
    }

    /// The records that have come since somebody last read, oldest first.
    async fn reads(&mut self) -> Vec<AuditRecord> {
        let until = self.verifies().await.sequence;
        let page_size = i32::try_from(until - self.read).expect("few records");
        let request = ListAuditRequest { page_size, ..ListAuditRequest::default() };
        let mut records = match page_size {
            0 => vec![],
            _ => self.audit().list_audit(request).await.expect("records").into_inner().records,
        };
        records.reverse();
        self.read = until;
        records
    }

    /// That one thing was done since, this to that, by whoever has the token.
    async fn finds(&mut self, method: &str, subject: &str) -> AuditRecord {
        let mut found = self.reads().await;
        let record = found.pop().unwrap_or_else(|| panic!("{method} is not in the audit"));
        assert_eq!(found, [], "{method} is there once");
        let told = (record.actor.as_str(), record.method.as_str(), record.subject.as_str());
        assert_eq!(told, (self.actor.as_str(), method, subject));
        for side in [&record.before, &record.after] {
            let side: Value =
                serde_json::from_str(side).unwrap_or_else(|error| panic!("{error}: {record:?}"));
            assert!(side.is_object() || side.is_null(), "{record:?}");
        }
        assert_ne!(record.before, record.after, "{record:?}");
        record
    }

    /// The same of somebody who said why.
    async fn finds_why(&mut self, method: &str, subject: &str) {
        let record = self.finds(method, subject).await;
        assert_eq!(record.reason, WHY, "{method}");
    }

    /// Makes a boleto that its bank does not take, and waits until its work waits.
    async fn leaves_work_waiting(&self) -> (boleto::Boleto, Work) {
        let request = a_boleto().told_to_nobody().into_request();
        let made = self.boletos().create_boleto(request).await.expect("a boleto").into_inner();
        let made = made.boleto.expect("a boleto in the answer");
        let work = eventually("work that waits", async || {
            let request = control::ListWorkRequest {
                subject_id: made.id.clone(),
                states: vec![WorkState::Retryable.into()],
                ..control::ListWorkRequest::default()
            };
            self.control().list_work(request).await.expect("work").into_inner().work.pop()
        })
        .await;
        (made, work)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deed_is_there_once_on_the_embedded_store() {
    every_deed_is_there_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deed_is_there_once_on_postgresql() {
    every_deed_is_there_once(Kind::PostgreSql).await;
}

async fn every_deed_is_there_once(kind: Kind) {
    let mut desk = Desk::open(kind).await;
    queues_and_actors(&mut desk).await;
    jobs(&mut desk).await;
    accounts_and_endpoints(&mut desk).await;
    boletos_and_their_work(&mut desk).await;

    desk.control().drain(control::DrainRequest { reason: WHY.to_owned() }).await.expect("a wish");
    desk.finds_why("Drain", "process").await;
    desk.house.drain_wished().await;
    desk.house.close().await;
}

async fn queues_and_actors(desk: &mut Desk) {
    let (name, reason) = (QUEUE.to_owned(), WHY.to_owned());
    desk.control()
        .pause_queue(control::PauseQueueRequest { name: name.clone(), reason })
        .await
        .expect("paused");
    let record = desk.finds("PauseQueue", QUEUE).await;
    assert_eq!((record.reason.as_str(), record.tenant_id.as_str()), (WHY, "default"));
    assert!(record.time.is_some(), "{record:?}");
    for _ in 0..2 {
        desk.control()
            .resume_queue(control::ResumeQueueRequest { name: name.clone(), reason: WHY.to_owned() })
            .await
            .expect("an answer");
    }
    desk.finds_why("ResumeQueue", QUEUE).await;

    let path = || REGISTRAR.to_owned();
    desk.control()
        .pause_actor(control::PauseActorRequest { path: path(), reason: WHY.to_owned() })
        .await
        .expect("paused");
    desk.finds_why("PauseActor", REGISTRAR).await;
    desk.control()
        .resume_actor(control::ResumeActorRequest { path: path(), reason: WHY.to_owned() })
        .await
        .expect("going on");
    desk.finds_why("ResumeActor", REGISTRAR).await;
    desk.control()
        .restart_actor(control::RestartActorRequest { path: path(), reason: WHY.to_owned() })
        .await
        .expect("restarted");
    desk.finds_why("RestartActor", REGISTRAR).await;
    desk.control()
        .stop_actor(control::StopActorRequest { path: path(), reason: WHY.to_owned() })
        .await
        .expect("stopped");
    desk.finds_why("StopActor", REGISTRAR).await;
    desk.control()
        .start_actor(control::StartActorRequest { path: path(), reason: WHY.to_owned() })
        .await
        .expect("started");
    desk.finds_why("StartActor", REGISTRAR).await;
    // What is refused before anything is done leaves no record.
    let nobody = control::RestartActorRequest { path: "house/nobody".to_owned(), ..Default::default() };
    desk.control().restart_actor(nobody).await.expect_err("no such actor");
    assert_eq!(desk.reads().await, []);
}

async fn jobs(desk: &mut Desk) {
    let (job, reason) = (|| JOB.to_owned(), || WHY.to_owned());
    let pause = control::PauseScheduleRequest { job: job(), reason: reason() };
    desk.control().pause_schedule(pause).await.expect("paused");
    desk.finds_why("PauseSchedule", JOB).await;
    desk.control()
        .resume_schedule(control::ResumeScheduleRequest { job: job(), reason: WHY.to_owned() })
        .await
        .expect("resumed");
    desk.finds_why("ResumeSchedule", JOB).await;
    let trigger = control::TriggerJobRequest {
        job: job(),
        reason: reason(),
        request_id: "morning".to_owned(),
        ..control::TriggerJobRequest::default()
    };
    for _ in 0..2 {
        desk.control().trigger_job(trigger.clone()).await.expect("begun, or begun before");
    }
    desk.finds("TriggerJob", JOB).await;
    let run = desk.control().trigger_job(trigger).await.expect("begun before").into_inner().run;
    let id = run.expect("a run in the answer").id;
    let now = Utc::now().timestamp();
    let moment = |hours: i64| Some(Timestamp { seconds: now - hours * 3_600, nanos: 0 });
    let backfill = control::BackfillJobRequest {
        job: job(),
        after: moment(2),
        until: moment(0),
        reason: reason(),
        ..control::BackfillJobRequest::default()
    };
    desk.control().backfill_job(backfill).await.expect("backfilled");
    desk.finds("BackfillJob", JOB).await;
    let cancel = control::CancelJobRunRequest { id: id.clone(), reason: reason() };
    desk.control().cancel_job_run(cancel).await.expect("asked to end");
    desk.finds("CancelJobRun", &id).await;
}

async fn accounts_and_endpoints(desk: &mut Desk) {
    let account = desk.house.operator().with_credentials(an_account());
    let create = boleto::CreateBankAccountRequest {
        bank_account: Some(account),
        ..boleto::CreateBankAccountRequest::default()
    };
    let made = desk.accounts().create_bank_account(create).await.expect("an account").into_inner();
    let made = made.bank_account.expect("an account in the answer");
    let record = desk.finds("CreateBankAccount", &made.id).await;
    assert!(!record.after.contains("Loja") && !record.after.contains("11222333000181"), "{record:?}");
    let mut named = boleto::BankAccount { display_name: "another".to_owned(), ..made.clone() };
    named.beneficiary.as_mut().expect("a beneficiary").name = "Outra Loja Ltda".to_owned();
    let update = boleto::UpdateBankAccountRequest { bank_account: Some(named), reason: WHY.to_owned() };
    desk.accounts().update_bank_account(update).await.expect("updated");
    let record = desk.finds("UpdateBankAccount", &made.id).await;
    let changed = r#""changed":["display_name","beneficiary.name"]"#;
    assert!(record.after.contains(changed) && !record.after.contains("Outra"), "{record:?}");
    assert_eq!(record.reason, WHY);

    let webhook = notification::WebhookDestination {
        url: desk.house.world().addresses().webhook_url.clone(),
        secrets: vec![desk.house.operator().webhook_secret().to_owned()],
        ..notification::WebhookDestination::default()
    };
    let endpoint = notification::Endpoint {
        destination: Some(Destination::Webhook(webhook)),
        event_types: vec!["boleto.registered".to_owned()],
        ..notification::Endpoint::default()
    };
    let create = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
    let made = desk.endpoints().create_endpoint(create).await.expect("an endpoint").into_inner();
    let made = made.endpoint.expect("an endpoint in the answer");
    let record = desk.finds("CreateEndpoint", &made.id).await;
    assert!(!record.after.contains("http"), "no address: {record:?}");
    let changed = notification::Endpoint {
        id: made.id.clone(),
        event_types: vec!["boleto.*".to_owned()],
        ..notification::Endpoint::default()
    };
    let update = notification::UpdateEndpointRequest {
        endpoint: Some(changed),
        update_mask: Some(prost_types::FieldMask { paths: vec!["event_types".to_owned()] }),
        reason: WHY.to_owned(),
        ..notification::UpdateEndpointRequest::default()
    };
    desk.endpoints().update_endpoint(update).await.expect("changed");
    assert_eq!(desk.finds("UpdateEndpoint", &made.id).await.reason, WHY);
    let disable = notification::DisableEndpointRequest {
        id: made.id.clone(),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    desk.endpoints().disable_endpoint(disable).await.expect("disabled");
    desk.finds("DisableEndpoint", &made.id).await;
}

async fn boletos_and_their_work(desk: &mut Desk) {
    desk.house.script().always(Party::BankRegister, Behaviour::status(500));
    let (made, work) = desk.leaves_work_waiting().await;
    let (_, other) = desk.leaves_work_waiting().await;
    assert_eq!(desk.reads().await, [], "what a shop does all day is no deed by hand");

    let cancel = control::CancelWorkRequest { id: other.id.clone(), reason: WHY.to_owned() };
    desk.control().cancel_work(cancel).await.expect("cancelled");
    let record = desk.finds("CancelWork", &other.id).await;
    assert!(record.before.contains("retryable") && record.after.contains("cancelled"), "{record:?}");
    let retry = control::RetryWorkRequest { id: work.id.clone(), reason: WHY.to_owned() };
    desk.control().retry_work(retry).await.expect("retried");
    desk.finds("RetryWork", &work.id).await;

    let filter = || control::WorkFilter { subject_id: made.id.clone(), ..control::WorkFilter::default() };
    let cancels = async || {
        let cancel =
            control::BatchCancelWorkRequest { filter: Some(filter()), reason: WHY.to_owned(), limit: 0 };
        let answer = desk.control().batch_cancel_work(cancel).await.expect("an answer").into_inner();
        (answer.cancelled == 1).then_some(())
    };
    eventually("the work is waiting and is cancelled", cancels).await;
    desk.finds("BatchCancelWork", "work").await;

    let link = boleto::CreateDocumentLinkRequest { id: made.id.clone(), ..Default::default() };
    desk.boletos().create_document_link(link).await.expect("a link");
    desk.finds("CreateDocumentLink", &made.id).await;
    let revoke = boleto::RevokeDocumentLinksRequest { id: made.id.clone(), ..Default::default() };
    desk.boletos().revoke_document_links(revoke).await.expect("revoked");
    desk.finds("RevokeDocumentLinks", &made.id).await;

    let export = boleto::ExportBoletosRequest::default();
    let mut stream = desk.boletos().export_boletos(export).await.expect("an export").into_inner();
    let mut boletos = 0;
    while let Some(message) = stream.message().await.expect("a message") {
        boletos += message.boletos.len();
    }
    assert_eq!(boletos, 2);
    let told = desk.reads().await;
    let subjects: Vec<&str> = told.iter().map(|record| record.subject.as_str()).collect();
    assert_eq!((told.len(), subjects[0]), (2, subjects[1]));
    assert!(told.iter().all(|record| record.method == "ExportBoletos" && record.actor == desk.actor));
    let ended: Value = serde_json::from_str(&told[1].after).expect("JSON");
    assert_eq!((ended["boletos"].as_u64(), ended["ended"].as_str()), (Some(2), Some("complete")));
}
