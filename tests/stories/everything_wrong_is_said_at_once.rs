//! A shop sends a request with mistakes in it. It is told all of them at once, by field; nothing is written and nobody is
//! asked.

use bursar::proto::boleto::v1::{Address, CreateBoletoRequest, GetBoletoRequest, ListBoletosRequest, Payer};
use bursar::proto::control::v1::WorkState;
use tonic::Code;

use crate::support::house::{House, Opened, Refusal as _, a_boleto};

type Mistake = fn(&mut CreateBoletoRequest);

/// Each mistake alone, and the field that must be named.
const MISTAKES: &[(&str, &str, Mistake)] = &[
    ("no amount", "amount_cents", |request| request.amount_cents = 0),
    ("a negative amount", "amount_cents", |request| request.amount_cents = -1),
    ("more than ten digits", "amount_cents", |request| request.amount_cents = 10_000_000_000),
    ("no due date", "due_date", |request| request.due_date.clear()),
    ("no date at all", "due_date", |request| request.due_date = "2031-02-30".to_owned()),
    ("another form of date", "due_date", |request| request.due_date = "1/2/2031".to_owned()),
    ("a date of long ago", "due_date", |request| request.due_date = "2001-01-01".to_owned()),
    ("a date too far ahead", "due_date", |request| request.due_date = "2061-01-01".to_owned()),
    ("no payer", "payer", |request| request.payer = None),
    ("no name", "payer.name", |request| payer(request).name.clear()),
    ("a name that is too long", "payer.name", |request| payer(request).name = "x".repeat(61)),
    ("a wrong CPF", "payer.tax_id", |request| payer(request).tax_id = "529.982.247-26".to_owned()),
    ("a CPF of one digit", "payer.tax_id", |request| payer(request).tax_id = "11111111111".to_owned()),
    ("a wrong CNPJ", "payer.tax_id", |request| payer(request).tax_id = "11.222.333/0001-82".to_owned()),
    ("neither CPF nor CNPJ", "payer.tax_id", |request| payer(request).tax_id = "123".to_owned()),
    ("no address", "payer.address", |request| payer(request).address = None),
    ("no street", "payer.address.street", |request| address(request).street.clear()),
    ("no number", "payer.address.number", |request| address(request).number.clear()),
    ("no district", "payer.address.district", |request| address(request).district.clear()),
    ("no city", "payer.address.city", |request| address(request).city.clear()),
    ("no state", "payer.address.state", |request| address(request).state.clear()),
    ("a state that is none", "payer.address.state", |request| address(request).state = "XX".to_owned()),
    ("no CEP", "payer.address.postal_code", |request| address(request).postal_code.clear()),
    ("a short CEP", "payer.address.postal_code", |request| address(request).postal_code = "0100".to_owned()),
    ("an unknown account", "bank_account_id", |request| {
        request.bank_account_id = "00000000-0000-7000-8000-000000000000".to_owned();
    }),
    ("an account that is no id", "bank_account_id", |request| request.bank_account_id = "7".to_owned()),
    ("an unknown external id", "bank_account_external_id", |request| {
        request.bank_account_external_id = "nobody's".to_owned();
    }),
    ("two names for the account", "bank_account_external_id", |request| {
        request.bank_account_id = "00000000-0000-7000-8000-000000000000".to_owned();
        request.bank_account_external_id = "shop".to_owned();
    }),
    ("a long reference", "reference_id", |request| request.reference_id = "x".repeat(256)),
    ("a long token", "token", |request| request.token = "x".repeat(256)),
    ("long instructions", "instructions", |request| request.instructions = "x".repeat(166)),
    ("control characters", "reference_id", |request| request.reference_id = "a\u{7}b".to_owned()),
    ("a long request id", "request_id", |request| request.request_id = "x".repeat(129)),
    ("a request id with a blank", "request_id", |request| request.request_id = "order 1".to_owned()),
    ("nobody to tell", "queue_url", |request| request.queue_url.clear()),
    ("told and not told", "queue_url", |request| request.notification_opt_out = true),
    ("a queue elsewhere", "queue_url", |request| {
        request.queue_url = "http://queues.example/000000000000/owner".to_owned();
    }),
    ("a queue that is no URL", "queue_url", |request| request.queue_url = "owner".to_owned()),
];

fn payer(request: &mut CreateBoletoRequest) -> &mut Payer {
    request.payer.as_mut().expect("a payer")
}

fn address(request: &mut CreateBoletoRequest) -> &mut Address {
    payer(request).address.as_mut().expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_named_by_its_field() {
    let house = House::new().open().await;
    let queue_url = house.world().addresses().queue_url.clone();
    for (mistake, field, make) in MISTAKES {
        let wanted = a_boleto().told_to_queue(&queue_url).with(make);
        let status = house.shop().tries(wanted).await.expect_err(mistake);
        assert_eq!((status.code(), status.reason().as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert_eq!(status.fields(), [*field], "{mistake}");
    }
    nothing_was_done(house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mistakes_are_named_together() {
    let house = House::new().without_account().open().await;
    let wanted = a_boleto().of_cents(0).told_to_subscribers().with(|request| {
        request.request_id = "order 1".to_owned();
        request.due_date = "tomorrow".to_owned();
        request.reference_id = "x".repeat(256);
        request.token = "x".repeat(256);
        request.instructions = "x".repeat(166);
        payer(request).tax_id = "1".to_owned();
        let address = address(request);
        address.street.clear();
        address.number.clear();
        address.district.clear();
        address.city.clear();
        address.state = "ZZ".to_owned();
        address.postal_code.clear();
    });
    let status = house.shop().tries(wanted).await.expect_err("a request with many mistakes");
    let all = [
        "amount_cents",
        "bank_account_id",
        "due_date",
        "instructions",
        "payer.address.city",
        "payer.address.district",
        "payer.address.number",
        "payer.address.postal_code",
        "payer.address.state",
        "payer.address.street",
        "payer.tax_id",
        "queue_url",
        "reference_id",
        "request_id",
        "token",
    ];
    assert_eq!(status.fields(), all);
    nothing_was_done(house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edges_of_what_is_allowed_are_allowed() {
    let house = House::new().open().await;
    let edges = [
        a_boleto().of_cents(1).due_in(0),
        a_boleto().of_cents(9_999_999_999).due_in(5_500),
        a_boleto().with(|request| payer(request).tax_id = "11222333000181".to_owned()),
        a_boleto().with(|request| payer(request).name = "é".repeat(60)),
        a_boleto().asked_as(&"x".repeat(128)).called(&"ç".repeat(255)),
    ];
    for edge in edges {
        let boleto = house.shop().creates(edge).await;
        assert!(boleto.payable, "{boleto:?}");
    }
    let late = house.shop().tries(a_boleto().due_in(5_501)).await.expect_err("a day too far");
    assert_eq!(late.fields(), ["due_date"]);
    let early = house.shop().tries(a_boleto().due_in(-1)).await.expect_err("yesterday");
    assert_eq!(early.fields(), ["due_date"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boleto_that_is_not_there_is_not_found() {
    let house = House::new().open().await;
    let mut boletos = house.shop().boletos;
    let id = "00000000-0000-7000-8000-000000000000".to_owned();
    let status = boletos.get_boleto(GetBoletoRequest { id: id.clone() }).await.expect_err("no such boleto");
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));
    let status = house.shop().registers_again(&id).await.expect_err("no such boleto");
    assert_eq!(status.reason(), "BOLETO_NOT_FOUND");
    let status = boletos.get_boleto(GetBoletoRequest { id: "7".to_owned() }).await.expect_err("no id");
    assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, vec!["id".to_owned()]));
    house.close().await;
}

async fn nothing_was_done(house: Opened) {
    let (rows, _) = house.shop().lists(ListBoletosRequest::default()).await.expect("a list");
    assert!(rows.is_empty(), "{rows:?}");
    let ended = [WorkState::Completed, WorkState::Cancelled, WorkState::Discarded];
    assert!(house.operator().work(&[]).await.is_empty() && house.operator().work(&ended).await.is_empty());
    assert!(house.world().counts().values().all(|asked| *asked == 0), "{:?}", house.world().counts());
    house.close().await;
}
