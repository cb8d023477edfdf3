//! Persons are shown to those who may read of them, and to nobody else: every method that tells something of a person is called by
//! somebody who wants masks, and by somebody who reads in clear. What the one sees the other must not, wherever in the answer it stands.

use std::collections::BTreeSet;

use bursar::access::policy::Policy;
use bursar::caller;
use bursar::proto::DESCRIPTOR_SET;
use bursar::proto::boleto::v1::{
    AmendBoletoRequest, BatchCreateBoletosRequest, CancelBoletoRequest, CreateBoletoRequest,
    ExportBoletosRequest, GetBoletoHistoryRequest, GetBoletoRequest, Guarantor, ListBoletosRequest,
    RecordPaymentRequest, RegisterBoletoRequest,
};
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, DisableEndpointRequest, EnableEndpointRequest, Endpoint, GetEndpointRequest,
    ListEndpointsRequest, MailDestination, UpdateEndpointRequest,
};
use bursar::proto::openbanking::v1::{
    Account, EnableAccountRequest, GetAccountRequest, ListAccountsRequest, ListPendingTransactionsRequest,
    ListTransactionsRequest, StreamTransactionsRequest,
};
use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::{
    EraseTransferRequest, FindTransferRequest, GetTransferRequest, ListTransfersRequest,
    ProcessTransferRequest, ReprocessTransferRequest, reprocess_transfer_request,
};
use bursar::sandbox::AspspEntry;
use chrono::TimeDelta;
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

use crate::support::answers::answers;
use crate::support::canary;
use crate::support::house::customers::{BERLIN, iban};
use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account};

const BOLETOS: &str = "bursar.boleto.v1.BoletoService";
const ENDPOINTS: &str = "bursar.notification.v1.NotificationService";
const ACCOUNTS: &str = "bursar.openbanking.v1.AccountService";
const TRANSFERS: &str = "bursar.transfer.v1.TransferService";

const NAME: &str = "Zuleica Canário";
const TAX_ID: &str = "39053344705";
const STREET: &str = "Travessa do Rouxinol";
const CITY: &str = "Itaquaquecetuba";
const POSTAL_CODE: &str = "08570000";
const GUARANTOR: &str = "Benedito Sabiá";
const MAILBOX: &str = "zuleica.canario";
const OTHER: &str = "Ludmila Kanarkowa";
const PURPOSE: &str = "rent of the yellow house";
const BANKED: [&str; 2] = [OTHER, PURPOSE];
const PERSON: [&str; 6] = [NAME, TAX_ID, STREET, CITY, POSTAL_CODE, GUARANTOR];

/// A method with a message for it, and what its answer tells of persons to those who may read it.
struct Ask {
    path: String,
    message: Vec<u8>,
    tells: Vec<String>,
}

fn ask(service: &str, method: &str, message: &impl Message, tells: &[&str]) -> Ask {
    let tells = tells.iter().map(|text| (*text).to_owned()).collect();
    Ask { path: format!("/{service}/{method}"), message: message.encode_to_vec(), tells }
}

/// A boleto that tells as much of its payer as any.
fn wanted() -> CreateBoletoRequest {
    let boleto = a_boleto().told_to_nobody().with(|request| {
        let payer = request.payer.get_or_insert_default();
        payer.name = NAME.to_owned();
        payer.tax_id = TAX_ID.to_owned();
        let address = payer.address.get_or_insert_default();
        address.street = STREET.to_owned();
        address.city = CITY.to_owned();
        address.postal_code = POSTAL_CODE.to_owned();
        request.guarantor =
            Some(Guarantor { name: GUARANTOR.to_owned(), tax_id: TAX_ID.to_owned(), address: None });
        request.instructions = format!("for {NAME}");
    });
    boleto.into_request()
}

async fn issues(house: &Opened, held: bool) -> String {
    let request = CreateBoletoRequest { hold_registration: held, ..wanted() };
    let made = house.shop().boletos.clone().create_boleto(request).await.expect("a boleto");
    made.into_inner().boleto.expect("a boleto in the answer").id
}

/// Everything that is asked about boletos; what can be done only once is done to a boleto of its own.
async fn about_boletos(house: &Opened) -> Vec<Ask> {
    let id = issues(house, false).await;
    let held = issues(house, true).await;
    let (amended, cancelled, paid) =
        (issues(house, false).await, issues(house, false).await, issues(house, false).await);
    let reason = "asked for".to_owned();
    let payment = RecordPaymentRequest {
        id: paid,
        payment_id: Uuid::now_v7().to_string(),
        paid_amount_cents: 1,
        partial: true,
        ..RecordPaymentRequest::default()
    };
    let due_date = wanted().due_date.parse::<chrono::NaiveDate>().expect("a date") + TimeDelta::days(1);
    let amend = AmendBoletoRequest {
        id: amended,
        reason: reason.clone(),
        due_date: due_date.to_string(),
        ..AmendBoletoRequest::default()
    };
    let cancel = CancelBoletoRequest { id: cancelled, reason, ..CancelBoletoRequest::default() };
    let batch = BatchCreateBoletosRequest { requests: vec![wanted(), wanted()] };
    vec![
        ask(BOLETOS, "CreateBoleto", &wanted(), &PERSON),
        ask(BOLETOS, "GetBoleto", &GetBoletoRequest { id: id.clone() }, &PERSON),
        ask(BOLETOS, "ListBoletos", &ListBoletosRequest::default(), &PERSON),
        ask(BOLETOS, "ExportBoletos", &ExportBoletosRequest::default(), &PERSON),
        ask(BOLETOS, "BatchCreateBoletos", &batch, &PERSON),
        ask(BOLETOS, "RegisterBoleto", &RegisterBoletoRequest { id: held }, &PERSON),
        ask(BOLETOS, "AmendBoleto", &amend, &PERSON),
        ask(BOLETOS, "CancelBoleto", &cancel, &PERSON),
        ask(BOLETOS, "RecordPayment", &payment, &PERSON),
        ask(BOLETOS, "GetBoletoHistory", &GetBoletoHistoryRequest { id }, &[]),
    ]
}

fn mailbox(name: &str) -> Endpoint {
    let address = format!("{MAILBOX}.{name}@example.com");
    Endpoint {
        destination: Some(Destination::Mail(MailDestination { address, language: "en".to_owned() })),
        event_types: vec!["endpoint.*".to_owned()],
        ..Endpoint::default()
    }
}

async fn about_endpoints(house: &Opened, round: &str) -> Vec<Ask> {
    let request = CreateEndpointRequest { endpoint: Some(mailbox(&format!("{round}.1"))) };
    let made = house.operator().endpoints.clone().create_endpoint(request).await.expect("an endpoint");
    let id = made.into_inner().endpoint.expect("an endpoint in the answer").id;
    let create = CreateEndpointRequest { endpoint: Some(mailbox(&format!("{round}.2"))) };
    let reason = "asked for".to_owned();
    let moved = Endpoint { id: id.clone(), ..mailbox(&format!("{round}.3")) };
    let update =
        UpdateEndpointRequest { endpoint: Some(moved), reason: reason.clone(), ..Default::default() };
    let disable = DisableEndpointRequest { id: id.clone(), reason: reason.clone(), ..Default::default() };
    let enable = EnableEndpointRequest { id: id.clone(), reason, ..Default::default() };
    vec![
        ask(ENDPOINTS, "CreateEndpoint", &create, &[MAILBOX]),
        ask(ENDPOINTS, "GetEndpoint", &GetEndpointRequest { id }, &[MAILBOX]),
        ask(ENDPOINTS, "ListEndpoints", &ListEndpointsRequest::default(), &[MAILBOX]),
        ask(ENDPOINTS, "UpdateEndpoint", &update, &[MAILBOX]),
        ask(ENDPOINTS, "DisableEndpoint", &disable, &[MAILBOX]),
        ask(ENDPOINTS, "EnableEndpoint", &enable, &[MAILBOX]),
    ]
}

/// A customer's account with something booked and something that waits.
async fn an_account_at_a_bank(house: &Opened) -> Account {
    let customers = house.customers();
    let number = iban(1);
    customers.puts("ana").await;
    customers.allows(house.world(), "ana", BERLIN, &[&number]).await;
    let now = house.world().aspsp().now();
    let hour = TimeDelta::hours(1);
    for entry in
        [AspspEntry::booked("a", 100, now - hour), AspspEntry::pending("b", 200, now - hour, now + hour)]
    {
        let entry = AspspEntry { text: PURPOSE.to_owned(), other_name: OTHER.to_owned(), ..entry };
        house.aspsp(BERLIN).put_entry(&number, entry);
    }
    customers.syncs().await;
    customers.account("ana", BERLIN).await
}

fn about_accounts(account: &Account) -> Vec<Ask> {
    let account_id = account.id.clone();
    let enable =
        EnableAccountRequest { id: account_id.clone(), enabled: true, reason: "asked for".to_owned() };
    let get = GetAccountRequest { id: account_id.clone(), ..GetAccountRequest::default() };
    let list = ListTransactionsRequest { account_id: account_id.clone(), ..Default::default() };
    let stream = StreamTransactionsRequest { account_id: account_id.clone(), ..Default::default() };
    let pending = ListPendingTransactionsRequest { account_id, ..Default::default() };
    vec![
        ask(ACCOUNTS, "ListAccounts", &ListAccountsRequest::default(), &[]),
        ask(ACCOUNTS, "EnableAccount", &enable, &[]),
        ask(ACCOUNTS, "GetAccount", &get, &[&iban(1)]),
        ask(ACCOUNTS, "ListTransactions", &list, &BANKED),
        ask(ACCOUNTS, "StreamTransactions", &stream, &BANKED),
        ask(ACCOUNTS, "ListPendingTransactions", &pending, &BANKED),
    ]
}

/// Each transfer in which a state has to change is one of its own.
async fn about_transfers(house: &Opened, round: &str) -> Vec<Ask> {
    let mut ids = Vec::new();
    let mut results = Vec::new();
    for place in 0..3 {
        let key = format!("-Npersonal00000{round}{place}");
        results.push(house.feed().offers(&key, 12));
        house.feed().is_told(&key).await;
        ids.push((house.operator().sees_transfer(&key, State::Done).await.id, key));
    }
    let [(id, key), (again, _), (erased, _)] = <[_; 3]>::try_from(ids).expect("three");
    let reprocess = ReprocessTransferRequest {
        which: Some(reprocess_transfer_request::Which::Id(again)),
        reason: "heard wrongly".to_owned(),
        ..ReprocessTransferRequest::default()
    };
    let erase = EraseTransferRequest { id: erased, reason: "asked for".to_owned(), ..Default::default() };
    let find = FindTransferRequest { key: key.clone(), ..Default::default() };
    let process = ProcessTransferRequest { key, follow: true, ..Default::default() };
    vec![
        ask(TRANSFERS, "GetTransfer", &GetTransferRequest { id, ..Default::default() }, &[]),
        ask(TRANSFERS, "ListTransfers", &ListTransfersRequest::default(), &[]),
        ask(TRANSFERS, "FindTransfer", &find, &[&results[0]]),
        ask(TRANSFERS, "ProcessTransfer", &process, &[&results[0]]),
        ask(TRANSFERS, "ReprocessTransfer", &reprocess, &[]),
        ask(TRANSFERS, "EraseTransfer", &erase, &[]),
    ]
}

fn is_in(text: &str, messages: &[Vec<u8>]) -> bool {
    messages.iter().any(|message| message.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Methods that are not asked here: the first ends a review, which takes a bank that has something else on file, and answers with a boleto
/// as others do; the second answers with a boleto of which nobody is left; the third knows no secret of a mailbox.
const NOT_ASKED: [(&str, &str); 3] =
    [(BOLETOS, "ResolveBoleto"), (BOLETOS, "EraseBoleto"), (ENDPOINTS, "RotateEndpointSecret")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_about_a_person_is_masked_for_whoever_wants_masks() {
    let house = House::new().with_feed("main").with_aspsps().open().await;
    for (kind, value) in
        [("name", NAME), ("name", GUARANTOR), ("name", OTHER), ("street", STREET), ("purpose", PURPOSE)]
    {
        canary::plants(kind, value);
    }
    house.operator().opens(an_account()).await.expect("a bank account");
    let account = an_account_at_a_bank(&house).await;
    let reads_in_clear: [(&str, MetadataValue<Ascii>); 0] = [];
    let wants_masks = [(caller::MASKED, MetadataValue::from_static("1"))];
    let mut asked = BTreeSet::new();
    for (round, metadata) in [("a", &reads_in_clear[..]), ("b", &wants_masks[..])] {
        let mut asks = about_boletos(&house).await;
        asks.extend(about_endpoints(&house, round).await);
        asks.extend(about_accounts(&account));
        asks.extend(about_transfers(&house, round).await);
        let whole: BTreeSet<String> = asks.iter().flat_map(|ask| ask.tells.clone()).collect();
        for Ask { path, message, tells } in asks {
            let answer = answers(&house.channel(), &path, message, metadata).await;
            let answer = answer.unwrap_or_else(|status| panic!("{path}: {status:?}"));
            if metadata.is_empty() {
                let missing: Vec<&String> = tells.iter().filter(|text| !is_in(text, &answer)).collect();
                assert!(missing.is_empty(), "{path} in clear tells nothing of {missing:?}");
            } else {
                let told: Vec<&String> = whole.iter().filter(|text| is_in(text, &answer)).collect();
                assert!(told.is_empty(), "{path} tells {told:?}");
                assert!(tells.is_empty() || answer.iter().any(|message| !message.is_empty()), "{path}");
            }
            asked.insert(path);
        }
    }
    let policy = Policy::of(DESCRIPTOR_SET);
    let mut left: BTreeSet<String> = policy
        .rules()
        .filter(|(path, rule)| rule.personal.is_some() && rule.also.is_none() && !asked.contains(*path))
        .map(|(path, _)| path.to_owned())
        .collect();
    for (service, method) in NOT_ASKED {
        assert!(left.remove(&format!("/{service}/{method}")), "{method} is asked after all");
    }
    assert!(left.is_empty(), "never asked: {left:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_masked_cannot_be_written_back() {
    let house = House::new().open().await;
    let mut request = wanted();
    request.payer.get_or_insert_default().name = "Z*** C***".to_owned();
    let refused = house.shop().boletos.clone().create_boleto(request).await.expect_err("a mask");
    assert_eq!(
        (refused.reason().as_str(), refused.fields()),
        ("INVALID_FIELDS", vec!["payer.name".to_owned()])
    );

    let request = CreateEndpointRequest { endpoint: Some(mailbox("1")) };
    let made = house.operator().endpoints.clone().create_endpoint(request).await.expect("an endpoint");
    let mut seen = made.into_inner().endpoint.expect("an endpoint in the answer");
    let address = "z***@example.com".to_owned();
    seen.destination = Some(Destination::Mail(MailDestination { address, language: "en".to_owned() }));
    let update = UpdateEndpointRequest { endpoint: Some(seen), ..UpdateEndpointRequest::default() };
    let refused = house.operator().endpoints.clone().update_endpoint(update).await.expect_err("a mask");
    assert_eq!(refused.reason(), "INVALID_FIELDS");
    house.close().await;
}
