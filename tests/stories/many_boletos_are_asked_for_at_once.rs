//! A shop asks for a thousand boletos in one call. It is answered when all are written, without waiting for any bank; each
//! has its own result, and one that is wrong disturbs no other.

use std::collections::BTreeSet;

use bursar::proto::boleto::v1::batch_create_result::Result as ItemResult;
use bursar::proto::boleto::v1::{
    Address, BankAccount, BankAccountResolution, BatchCreateBoletosRequest, BatchError, BoletoStatus,
    Charges, CreateBoletoRequest, CreateBoletoResponse, Discount, Fine, Guarantor, Interest, LatePayment,
    ListBoletosRequest, Payer, discount, fine, interest,
};
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use bursar::sandbox::{Behaviour, Party};
use prost::Message as _;
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account, eventually};

async fn asks(house: &Opened, requests: Vec<CreateBoletoRequest>) -> Result<Vec<ItemResult>, Status> {
    let request = BatchCreateBoletosRequest { requests };
    let answer = house.shop().boletos.batch_create_boletos(request).await?.into_inner();
    Ok(answer.results.into_iter().map(|result| result.result.expect("a result")).collect())
}

fn made(result: &ItemResult) -> &CreateBoletoResponse {
    match result {
        ItemResult::Created(answer) => answer,
        ItemResult::Error(error) => panic!("not made: {error:?}"),
    }
}

fn failed(result: &ItemResult) -> &BatchError {
    match result {
        ItemResult::Error(error) => error,
        ItemResult::Created(answer) => panic!("made: {answer:?}"),
    }
}

fn request(reference_id: &str) -> CreateBoletoRequest {
    a_boleto().called(reference_id).told_to_nobody().into_request()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_on_the_embedded_store() {
    a_thousand(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_on_postgresql() {
    a_thousand(Kind::PostgreSql).await;
}

async fn a_thousand(kind: Kind) {
    let house = House::new().on(kind).with("registration.in_flight_max", "8").open().await;
    // No bank answers before the batch does.
    house.script().always(Party::BankRegister, Behaviour::Hold);
    let requests = (0..1_000).map(|number| request(&format!("order-{number}"))).collect();
    let results = asks(&house, requests).await.expect("a thousand results");
    let mut numbers = BTreeSet::new();
    for (number, result) in results.iter().enumerate() {
        let answer = made(result);
        assert_eq!(answer.bank_account_resolution(), BankAccountResolution::Default);
        assert_eq!(answer.resolved_issuer.as_ref().expect("an issuer").bank_code, "001");
        let boleto = answer.boleto.as_ref().expect("a boleto");
        assert_eq!(
            (boleto.status(), boleto.reference_id.as_str()),
            (BoletoStatus::Issued, format!("order-{number}").as_str())
        );
        numbers.insert(boleto.nosso_numero.clone());
    }
    assert_eq!(numbers.len(), 1_000, "each has a number of its own");
    // Woken by the batch, the registrar takes as many as it may; a handful is proof enough of the others.
    house.bank().holds(8).await;
    house.script().clear(Party::BankRegister);
    house.script().release();
    eventually("boletos are registered", async || (house.bank().asked() >= 20).then_some(())).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_has_a_result_of_its_own() {
    let house = House::new().open().await;
    let mut wrong = request("wrong");
    (wrong.amount_cents, wrong.payer) = (0, None);
    let named = |cents: i64| {
        let wanted = a_boleto().of_cents(cents).asked_as("once").told_to_nobody();
        wanted.into_request()
    };
    let held = a_boleto().told_to_nobody().with(|request| request.hold_registration = true).into_request();
    let requests = vec![request("first"), wrong, named(100), named(100), named(200), held, request("last")];
    let results = asks(&house, requests).await.expect("results");
    assert_eq!(results.len(), 7);
    assert_eq!(made(&results[0]).boleto.as_ref().expect("a boleto").reference_id, "first");
    assert_eq!(made(&results[6]).boleto.as_ref().expect("a boleto").reference_id, "last");

    let error = failed(&results[1]);
    assert_eq!((error.code, error.reason.as_str()), (Code::InvalidArgument.into(), "INVALID_FIELDS"));
    let fields: Vec<&str> = error.violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["amount_cents", "payer"]);

    // The same name twice is two calls: one makes it, one is given it; another body is refused.
    let id = |result| made(result).boleto.as_ref().expect("a boleto").id.clone();
    assert_eq!(id(&results[2]), id(&results[3]));
    let error = failed(&results[4]);
    assert_eq!((error.code, error.reason.as_str()), (Code::AlreadyExists.into(), "REQUEST_ID_REUSED"));

    let held = id(&results[5]);
    house.operator().sees_all_work_done().await;
    assert_eq!(house.shop().gets(&held).await.status(), BoletoStatus::Issued);
    let (all, _) = house.shop().lists(ListBoletosRequest::default()).await.expect("a list");
    assert_eq!(all.len(), 4);
    let others = all.iter().filter(|boleto| boleto.id != held);
    assert!(others.into_iter().all(|boleto| boleto.status() == BoletoStatus::Registered));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_batch_again_makes_nothing_anew() {
    let house = House::new().open().await;
    let requests = |reference: &str| -> Vec<CreateBoletoRequest> {
        let named = (0..5).map(|number| a_boleto().asked_as(&format!("r-{number}")).called(reference));
        named.map(|wanted| wanted.told_to_nobody().into_request()).collect()
    };
    let ids = |results: &[ItemResult]| -> Vec<String> {
        results.iter().map(|result| made(result).boleto.as_ref().expect("a boleto").id.clone()).collect()
    };
    let first = asks(&house, requests("a")).await.expect("results");
    let again = asks(&house, requests("a")).await.expect("results");
    assert_eq!(ids(&first), ids(&again));
    let alone = house.shop().creates(a_boleto().asked_as("r-3").called("a").told_to_nobody()).await;
    assert_eq!(alone.id, ids(&first)[3], "a call alone and one of a batch are the same request");
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_a_size() {
    let house = House::new().open().await;
    let too_many = (0..1_001).map(|_| CreateBoletoRequest::default()).collect();
    for requests in [Vec::new(), too_many] {
        let status = asks(&house, requests).await.expect_err("a wrong size");
        assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, vec!["requests".to_owned()]));
    }
    house.close().await;
}

/// Every text at its limit, each letter of four bytes.
fn the_longest_request(queue_url: &str) -> CreateBoletoRequest {
    let long = |letters: usize| "\u{10400}".repeat(letters);
    let address = || Address {
        street: long(60),
        number: long(10),
        complement: long(40),
        district: long(40),
        city: long(40),
        state: "SP".to_owned(),
        postal_code: "01001000".to_owned(),
    };
    let percentage = "99.99999".to_owned();
    let until = |days: u64| (chrono::Utc::now().date_naive() + chrono::Days::new(days)).to_string();
    let discount =
        |days: u64| Discount { until: until(days), value: Some(discount::Value::AmountPerDayEarlyCents(1)) };
    CreateBoletoRequest {
        request_id: "r".repeat(128),
        bank_account_external_id: long(255),
        amount_cents: 9_999_999_999,
        due_date: until(5_000),
        payer: Some(Payer {
            name: long(60),
            tax_id: "11.222.333/0001-81".to_owned(),
            address: Some(address()),
        }),
        reference_id: long(255),
        token: long(255),
        instructions: long(165),
        queue_url: queue_url.to_owned(),
        charges: Some(Charges {
            fine: Some(Fine { value: Some(fine::Value::Percentage(percentage.clone())), after_days: 365 }),
            interest: Some(Interest {
                value: Some(interest::Value::PercentagePerMonth(percentage)),
                after_days: 365,
            }),
            discounts: (1..=3).map(|days| discount(days * 1_000)).collect(),
            abatement_cents: 1,
        }),
        guarantor: Some(Guarantor {
            name: long(60),
            tax_id: "529.982.247-25".to_owned(),
            address: Some(address()),
        }),
        late_payment: Some(LatePayment { accepted_days: 365 }),
        hold_registration: true,
        ..CreateBoletoRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_of_the_longest_fit_and_more_than_fits_is_refused() {
    let house = House::new().without_account().with("banks.development.enabled", "true").open().await;
    let external_id = "\u{10400}".repeat(255);
    let account = BankAccount { external_id, provider: "development".to_owned(), ..an_account() };
    house.operator().opens_without_credentials(account).await.expect("an account");
    // The longest name that a queue may have.
    let base = house.world().addresses().queue_url.clone();
    let queue_url = format!("{}/{}", base.rsplit_once('/').expect("a name").0, "q".repeat(80));
    let longest = the_longest_request(&queue_url);
    let named =
        |number: usize| CreateBoletoRequest { request_id: format!("{number:0>128}"), ..longest.clone() };
    let requests: Vec<CreateBoletoRequest> = (0..1_000).map(named).collect();
    let request = BatchCreateBoletosRequest { requests: requests.clone() };
    assert!(request.encoded_len() > 6_000_000, "{} bytes", request.encoded_len());
    let mut boletos = house.shop().boletos.max_decoding_message_size(64 * 1024 * 1024);
    let answer = boletos.batch_create_boletos(request).await.expect("a thousand results").into_inner();
    assert_eq!(answer.results.len(), 1_000);
    for result in answer.results {
        made(&result.result.expect("a result"));
    }

    let mut beyond = requests;
    beyond.extend_from_within(..400);
    let status = asks(&house, beyond).await.expect_err("longer than the limit");
    assert_eq!((status.code(), status.reason().as_str()), (Code::OutOfRange, "PROTOCOL"));
    let alone = CreateBoletoRequest { instructions: "x".repeat(2 * 1024 * 1024), ..longest.clone() };
    let status = house.shop().boletos.create_boleto(alone).await.expect_err("no batch");
    assert_eq!((status.code(), status.reason().as_str()), (Code::OutOfRange, "PROTOCOL"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_account_cannot_hold_is_told_item_by_item() {
    let house = House::new().with("registration.backlog_max", "3").open().await;
    // Nothing is taken from a queue that is held back, so that all that is let in waits.
    let held = PauseQueueRequest { name: "registration/".to_owned(), reason: "the bank rests".to_owned() };
    house.operator().control.clone().pause_queue(held).await.expect("a pause");
    let results = asks(&house, (0..10).map(|number| request(&number.to_string())).collect()).await;
    let results = results.expect("results");
    let (full, let_in): (Vec<_>, Vec<_>) =
        results.iter().partition(|result| matches!(result, ItemResult::Error(_)));
    assert!((1..=3).contains(&let_in.len()), "{} were let in where 3 may wait", let_in.len());
    assert!(full.iter().all(|result| failed(result).reason == "BACKLOG_FULL"));
    let resumed = ResumeQueueRequest { name: "registration/".to_owned(), ..Default::default() };
    house.operator().control.clone().resume_queue(resumed).await.expect("no pause");
    house.operator().sees_all_work_done().await;
    house.close().await;
}
