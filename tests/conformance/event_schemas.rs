//! Every event that an owner can be told of, as a whole house tells it, judged by its JSON Schema.

use std::collections::BTreeSet;

use bursar::domain::event::{ENDPOINT_TEST, OF_OPEN_BANKING, types_for_owners};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, Endpoint, SqsDestination, TestEndpointRequest, WebhookDestination,
};
use bursar::sandbox::{Behaviour, FIREBASE_BUCKET, Party};
use bursar::store::connect;
use bursar::store::pool;
use chrono::{Days, TimeDelta, Utc};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::peers::{PATIENCE, Verdict, judge};
use crate::small_house::{SmallHouse, a_boleto};

const README: &str = include_str!("../../README.md");
const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/bursar/notification/v1/events");

/// Every type that there is.
fn catalogue() -> BTreeSet<String> {
    types_for_owners().into_iter().chain([ENDPOINT_TEST.to_owned()]).collect()
}

/// Every type that the house of this test can tell; those of open banking are judged as the store tells them.
fn told_here() -> BTreeSet<String> {
    catalogue().into_iter().filter(|name| !OF_OPEN_BANKING.contains(&name.as_str())).collect()
}

async fn judged(bodies: &[String]) -> Verdict {
    judge("event_schema.py", &[SCHEMAS], &bodies.join("\n")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_that_there_is_arrives_as_its_schema_says() {
    let house = SmallHouse::furnished_with_feed().await;
    let endpoints = NotificationServiceClient::new(house.channel.clone());
    let queue =
        Destination::Sqs(SqsDestination { queue_url: house.outside.world.addresses().queue_url.clone() });
    let all = subscribes(&endpoints, queue, "*").await;
    everything_becomes_of_boletos(&house).await;
    transfers_come_to_every_end(&house);
    an_endpoint_says_that_it_is_gone(&house, &endpoints).await;
    // Last, for it leaves a counter behind that gives out what was given out.
    one_comes_into_review(&house).await;
    let test = TestEndpointRequest { id: all.id, ..Default::default() };
    endpoints.clone().test_endpoint(test).await.expect("a test");

    let bodies = bodies_of_all_types(&house).await;
    let faults = judged(&bodies).await.approved();
    for (body, fault) in bodies.iter().zip(faults.as_array().expect("a list")) {
        assert_eq!(*fault, Value::Null, "{body}");
    }
    mutations_are_found(&bodies).await;
    house.close().await;
}

async fn subscribes(
    endpoints: &NotificationServiceClient<tonic::transport::Channel>,
    destination: Destination,
    event_type: &str,
) -> Endpoint {
    let endpoint = Endpoint {
        destination: Some(destination),
        event_types: vec![event_type.to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    let made = endpoints.clone().create_endpoint(request).await.expect("a subscription");
    made.into_inner().endpoint.expect("an endpoint in the answer")
}

async fn everything_becomes_of_boletos(house: &SmallHouse) {
    let mut boletos = BoletoServiceClient::new(house.channel.clone());
    let script = house.outside.world.script();
    // The first number of the account, which the other account is given once more below.
    let first = house.creates(a_boleto()).await;
    assert_eq!(first.status(), BoletoStatus::Registered);
    let later = (Utc::now().date_naive() + Days::new(20)).to_string();
    let amend = |id: &str| boleto::AmendBoletoRequest {
        id: id.to_owned(),
        due_date: later.clone(),
        reason: "agreed by telephone".to_owned(),
        ..boleto::AmendBoletoRequest::default()
    };
    script.once(Party::BankAmend, Behaviour::refuse("77"));
    boletos.amend_boleto(amend(&first.id)).await.expect("an order that is refused");
    boletos.amend_boleto(amend(&first.id)).await.expect("an order that is carried out");
    let cancel = boleto::CancelBoletoRequest {
        id: first.id.clone(),
        reason: "sold twice".to_owned(),
        ..boleto::CancelBoletoRequest::default()
    };
    boletos.cancel_boleto(cancel).await.expect("cancelled");
    boletos.record_payment(payment_of(&first.id)).await.expect("written down beside it");
    let nameless = boleto::CreateBoletoRequest { reference_id: String::new(), ..a_boleto() };
    let paid = house.creates(nameless).await;
    boletos.record_payment(payment_of(&paid.id)).await.expect("paid");
    script.bank_register(Behaviour::refuse("48"));
    assert_eq!(house.creates(a_boleto()).await.status(), BoletoStatus::Refused);
}

fn payment_of(id: &str) -> boleto::RecordPaymentRequest {
    boleto::RecordPaymentRequest {
        id: id.to_owned(),
        paid_amount_cents: 12_590,
        payment_id: format!("cash desk, {id}"),
        ..boleto::RecordPaymentRequest::default()
    }
}

/// One is analysed, one cannot be, and one is not to be.
fn transfers_come_to_every_end(house: &SmallHouse) {
    let feed = house.outside.world.firebase();
    let put = |path: &str, value: Value| feed.put(path, value).unwrap_or_else(|why| panic!("{path}: {why}"));
    let record = |survey: &str, hours: i64| {
        let recorded = Utc::now() - TimeDelta::hours(hours);
        json!({
            "date": recorded.format("%Y/%m/%d - %H:%M:%S").to_string(),
            "key_empresa": "-NsampleCompany00001",
            "key_encuesta": survey,
            "key_persona": "-NsamplePerson000001",
            "processed": false,
            "resultado": "",
        })
    };
    put("Encuestas/-NsampleSurvey/cuestionario", json!([{"tipo": "pregunta"}, {"tipo": "pregunta"}]));
    // In the second nobody speaks.
    let spoken = [&[0; 44][..], b"somebody says something"].concat();
    for (place, recording) in [spoken, vec![0; 400]].into_iter().enumerate() {
        feed.put_audio(FIREBASE_BUCKET, &format!("cloud/-NsampleDone/{place}.wav"), recording);
    }
    put("Transfer/-NsampleDone", record("-NsampleSurvey", 1));
    put("Transfer/-NsampleFailed", record("-NsampleNoSurvey", 1));
    put("Transfer/-NsampleSkipped", record("-NsampleSurvey", 1_000));
}

/// A counter that was set back gives out a number that the bank knows under another amount.
async fn one_comes_into_review(house: &SmallHouse) {
    let database = pool::connect(connect::default_url(house.outside.folder.path())).await;
    let database = database.expect("a second connection");
    let back = "update nosso_numero_range set next_sequence = 1";
    database.execute_unprepared(back).await.expect("a counter set back");
    database.close().await.expect("closed");
    let account = boleto::BankAccount {
        external_id: "another".to_owned(),
        is_default: false,
        ..house.outside.bank_account()
    };
    let request = boleto::CreateBankAccountRequest {
        bank_account: Some(account),
        ..boleto::CreateBankAccountRequest::default()
    };
    BankAccountServiceClient::new(house.channel.clone())
        .create_bank_account(request)
        .await
        .expect("an account");
    let request = boleto::CreateBoletoRequest {
        amount_cents: 12_591,
        bank_account_external_id: "another".to_owned(),
        ..a_boleto()
    };
    assert_eq!(house.creates(request).await.status(), BoletoStatus::NeedsReview);
}

/// A receiver that wants nothing more is not told any more, and whoever else listens hears of that.
async fn an_endpoint_says_that_it_is_gone(
    house: &SmallHouse,
    endpoints: &NotificationServiceClient<tonic::transport::Channel>,
) {
    let script = house.outside.world.script();
    script.always(Party::Webhook, Behaviour::status(410));
    let secret = house.outside.folder.secret("hook", "whsec_a25vd24gdG8gZXZlcnlib2R5LCBmb3IgdGVzdHM=");
    let hook = WebhookDestination {
        url: house.outside.world.addresses().webhook_url.clone(),
        secrets: vec![secret],
        ..WebhookDestination::default()
    };
    subscribes(endpoints, Destination::Webhook(hook), "boleto.registered").await;
    assert_eq!(house.creates(a_boleto()).await.status(), BoletoStatus::Registered);
}

/// Waits until each type of event has arrived, and returns all that did.
async fn bodies_of_all_types(house: &SmallHouse) -> Vec<String> {
    let world = &house.outside.world;
    let missing = |seen: &BTreeSet<String>| told_here().difference(seen).cloned().collect::<Vec<_>>();
    let told = || -> Vec<String> {
        let messages = world.messages().into_iter();
        messages.filter(|message| message.channel == "sqs").map(|message| message.body).collect()
    };
    let types = |bodies: &[String]| -> BTreeSet<String> {
        let parsed = bodies.iter().map(|body| serde_json::from_str::<Value>(body).expect("JSON"));
        parsed.map(|body| body["event_type"].as_str().expect("a type").to_owned()).collect()
    };
    let all_came = |_: &[bursar::sandbox::Effect]| missing(&types(&told())).is_empty();
    let waited = world.wait_for_effects(all_came, PATIENCE).await;
    let seen = types(&told());
    assert!(waited.is_ok(), "never came: {:?}; came: {seen:?}", missing(&seen));
    assert_eq!(seen, told_here(), "nothing comes that is not in the catalogue");
    told()
}

/// The judge is one that can say no.
async fn mutations_are_found(bodies: &[String]) {
    let change = |body: &String, change: fn(&mut serde_json::Map<String, Value>)| {
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        change(body.as_object_mut().expect("an object"));
        body.to_string()
    };
    let changes: [fn(&mut serde_json::Map<String, Value>); 5] = [
        |body| drop(body.insert("payer".to_owned(), Value::from("Maria Exemplo"))),
        |body| drop(body.insert("event_id".to_owned(), Value::from("the first"))),
        |body| drop(body.insert("occurred_at".to_owned(), Value::from("2026-11-22 02:28:02"))),
        |body| drop(body.insert("version".to_owned(), Value::from("2"))),
        |body| drop(body.remove("schema")),
    ];
    let of_transfers: [fn(&mut serde_json::Map<String, Value>); 4] = [
        |body| body["data"]["person_name"] = Value::from("Maria Exemplo"),
        |body| body["data"]["vendor_risk_scores"] = json!([38, 4]),
        |body| body["data"]["state"] = Value::from("queued"),
        |body| body["data"]["run"] = Value::Null,
    ];
    let transfers = || bodies.iter().filter(|body| body.contains("\"bursar.transfer.v1\""));
    assert_eq!(transfers().count(), 3);
    let of_any = changes.iter().flat_map(|one| bodies.iter().map(|body| change(body, *one)));
    let of_those = of_transfers.iter().flat_map(|one| transfers().map(|body| change(body, *one)));
    let mutated: Vec<String> = of_any.chain(of_those).collect();
    let faults = judged(&mutated).await.approved();
    let faults = faults.as_array().expect("a list");
    assert_eq!(faults.len(), mutated.len());
    for (body, fault) in mutated.iter().zip(faults) {
        assert!(fault.is_string(), "let through: {body}");
    }
}

#[test]
fn the_readme_names_the_types_of_the_catalogue_and_no_others() {
    let table = README.lines().skip_while(|line| !line.starts_with("| event type |")).skip(2);
    let cells = table.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    let named: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(named, catalogue());
}

#[test]
fn the_schemas_name_the_types_of_the_catalogue_and_no_others() {
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(SCHEMAS).expect("a folder of schemas") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let types = schema.pointer("/properties/event_type/enum").expect("a list of types");
        named.extend(
            types.as_array().expect("a list").iter().map(|name| name.as_str().expect("text").to_owned()),
        );
    }
    assert_eq!(named, catalogue());
}
