//! What a stage needs for banks of open banking: a house that knows them, and a run of a job that goes on across a crash.
//!
//! **Owns** nothing. **Fails** a test with what it waited for. **Limits**: one run a stage.

use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{GetJobRunRequest, JobRun, JobRunState, TriggerJobRequest};
use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;

use tonic::Code;

use crate::boundaries;
use crate::customers;
use crate::process::eventually;
use crate::stage::{House, Stage, WEBHOOK_SECRET};

const SEALING: &str = "FAULTS_SEALING";
/// Thirty-two bytes that everybody knows, for tests.
const SEALING_KEY: &str = "a25vd24gdG8gZXZlcnlib2R5LCBmb3IgdGVzdHMhISE=";

/// Opens a house that knows the world's banks.
pub async fn house(stage: &Stage, variables: &[(&'static str, String)]) -> House {
    let mut settings = customers::settings(stage.world.addresses());
    let folder = serde_json::json!([stage.file("").display().to_string()]).to_string();
    settings.push(("secrets.folders".to_owned(), folder));
    settings.push(("secrets.key".to_owned(), format!("env:{SEALING}")));
    // Whoever goes on with a token that a dead process was refreshing waits for so long.
    settings.push(("openbanking.sync.token_lease".to_owned(), "1s".to_owned()));
    let settings: Vec<String> = settings.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let variables: Vec<(&str, String)> =
        variables.iter().cloned().chain([(SEALING, SEALING_KEY.to_owned())]).collect();
    let house = stage.house_with(&settings, &variables).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

/// Whoever keeps customers in a house that listens.
pub async fn customers(house: &House) -> customers::Customers {
    customers::Customers::over(house.channel().await.expect("a house that listens"))
}

/// Has the webhook told of these.
pub async fn subscribe(stage: &Stage, house: &House, event_types: &[&str]) {
    let webhook = notification::WebhookDestination {
        url: stage.world.addresses().webhook_url.clone(),
        secrets: vec![WEBHOOK_SECRET.to_owned()],
        ..Default::default()
    };
    let endpoint = notification::Endpoint {
        destination: Some(Destination::Webhook(webhook)),
        event_types: event_types.iter().map(|name| (*name).to_owned()).collect(),
        ..notification::Endpoint::default()
    };
    let channel = house.channel().await.expect("a house that listens");
    let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
    let client = NotificationServiceClient::new(channel);
    customers::answered("a subscription", async || client.clone().create_endpoint(request.clone()).await)
        .await;
}

/// Has a job run under a name, so that asking again begins no other run. Nothing when nobody answers.
pub async fn begins(house: &House, job: &str, name: &str) -> Option<JobRun> {
    let request = TriggerJobRequest {
        job: job.to_owned(),
        reason: "a test wants it".to_owned(),
        request_id: name.to_owned(),
        ..TriggerJobRequest::default()
    };
    let mut control = ControlServiceClient::new(house.channel().await?);
    match control.trigger_job(request).await {
        Ok(begun) => begun.into_inner().run,
        // Only a house that is not there, or no more, has no answer.
        Err(status) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) => None,
        Err(status) => panic!("no run: {status}"),
    }
}

/// The end of the run of that name: as it was, or nothing once the process has ended.
pub async fn run_of(house: &mut House, job: &str, name: &str) -> Option<JobRun> {
    eventually("the end of the run, or of the process", async || {
        if !house.program.runs() {
            return Some(None);
        }
        let begun = begins(house, job, name).await?;
        let mut control = ControlServiceClient::new(house.channel().await?);
        let run = control.get_job_run(GetJobRunRequest { id: begun.id }).await.ok()?.into_inner().run?;
        use JobRunState::{Queued, Running, Waiting};
        (!matches!(run.state(), Waiting | Queued | Running)).then_some(Some(run))
    })
    .await
}

/// Ends a house that is still there, and says whether it had ended itself at a boundary.
pub async fn leaves(mut house: House) -> bool {
    if house.program.runs() {
        house.program.signal("TERM");
    }
    let status = house.program.ended().await;
    let crashed = boundaries::has_aborted(status);
    assert!(crashed || status.success(), "{status}:\n{}", house.program.said());
    crashed
}
