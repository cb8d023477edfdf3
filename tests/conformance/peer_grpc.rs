//! The API as a stranger meets it: an outside client that learns everything from reflection.

use std::collections::BTreeSet;

use bursar::grpc::status::DOMAIN;
use bursar::proto::DESCRIPTOR_SET;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::peers::{Verdict, judge};
use crate::small_house::{SmallHouse, a_boleto, due_date};

const SERVICE: &str = "bursar.boleto.v1.BoletoService";

async fn asks(house: &SmallHouse, act: &str, input: &str) -> Verdict {
    judge("grpc_client.py", &[&house.address.to_string(), act], input).await
}

/// Makes calls one after the other and returns their answers; the judge found no breach of the API's word.
async fn calls(house: &SmallHouse, calls: Value) -> Vec<Value> {
    let answers = asks(house, "call", &calls.to_string()).await.approved();
    answers.as_array().expect("a list").clone()
}

fn call(method: &str, request: Value) -> Value {
    json!({"method": format!("bursar.boleto.v1.{method}"), "request": request})
}

#[track_caller]
fn response(answer: &Value) -> &Value {
    assert_eq!(answer["ok"], true, "{answer}");
    &answer["response"]
}

/// Code, reason and the fields that are named.
fn refusal(answer: &Value) -> (&str, &str, Vec<&str>) {
    let violations = answer["violations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = violations.iter().filter_map(|violation| violation["field"].as_str()).collect();
    (answer["code"].as_str().unwrap_or_default(), answer["reason"].as_str().unwrap_or_default(), fields)
}

/// Every service of our protos with its methods, as the compiler wrote them down.
fn our_services() -> Vec<(String, BTreeSet<String>)> {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("what the build wrote").file;
    let named = files.iter().flat_map(|file| {
        file.service.iter().map(|service| {
            let methods = service.method.iter().map(|method| method.name().to_owned()).collect();
            (format!("{}.{}", file.package(), service.name()), methods)
        })
    });
    named.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_tells_every_service_alike_in_both_versions_and_all_are_healthy() {
    let house = SmallHouse::open(&[]).await;
    let told = asks(&house, "services", "").await.approved();
    let healthy = asks(&house, "health", "").await.approved();
    assert_eq!(told["v1"], told["v1alpha"]);
    let ours = our_services();
    assert_eq!(ours.len(), 12);
    for (service, methods) in ours {
        let told: BTreeSet<String> = serde_json::from_value(told["v1"][&service].clone())
            .unwrap_or_else(|_| panic!("{service} is not told"));
        assert_eq!(told, methods, "{service}");
        assert_eq!(healthy[&service], "SERVING", "{service}");
    }
    assert_eq!(healthy[""], "SERVING");
    for service in ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(told["v1alpha"].get(service).is_some(), "{told}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_makes_finds_and_reads_boletos() {
    let house = SmallHouse::open(&[]).await;
    let account = house.outside.bank_account();
    let account = json!({
        "display_name": account.display_name,
        "beneficiary": {"name": "Loja Exemplo Ltda", "tax_id": "11.222.333/0001-81"},
        "banco_do_brasil": {"convenio": "3128557", "carteira": "17", "variacao": "019"},
        "provider": account.provider,
        "credentials": account.credentials,
        "is_default": true,
    });
    let boleto = boleto_request("the-first");
    let other = {
        let mut other = boleto.clone();
        other["amount_cents"] = json!("12591");
        other
    };
    let answers = calls(
        &house,
        json!([
            call("BankAccountService/CreateBankAccount", json!({"bank_account": account})),
            call("BoletoService/CreateBoleto", boleto.clone()),
            call("BoletoService/CreateBoleto", boleto),
            call("BoletoService/CreateBoleto", other),
            call("BoletoService/ListBoletos", json!({"reference_id": "pedido 7"})),
        ]),
    )
    .await;
    let account_id = &response(&answers[0])["bank_account"]["id"];
    let made = &response(&answers[1])["boleto"];
    assert_eq!(made["bank_account_id"], *account_id);
    assert_eq!(response(&answers[1])["bank_account_resolution"], "BANK_ACCOUNT_RESOLUTION_DEFAULT");
    assert_eq!((&made["status"], &made["payable"]), (&json!("BOLETO_STATUS_REGISTERED"), &json!(true)));
    assert_eq!(made["amount_cents"], "12590");
    assert_eq!(response(&answers[2])["boleto"], *made, "the same request, the same boleto");
    assert_eq!(refusal(&answers[3]), ("ALREADY_EXISTS", "REQUEST_ID_REUSED", vec![]));
    assert_eq!(response(&answers[4])["boletos"], json!([made]));

    let line = made["linha_digitavel"].as_str().expect("a line");
    let answers = calls(
        &house,
        json!([
            call("BoletoService/GetBoleto", json!({"id": made["id"]})),
            call("BoletoService/ParseBoleto", json!({"code": line})),
            call("BoletoService/ParseBoleto", json!({"code": made["barcode"]})),
            call("BoletoService/WatchBoletos", json!({"cursor": "0"})),
        ]),
    )
    .await;
    assert_eq!(response(&answers[0])["boleto"], *made);
    for answer in &answers[1..3] {
        let parsed = response(answer);
        assert_eq!(parsed["valid"], true, "{parsed}");
        assert_eq!(parsed["cobranca"]["bank_code"], "001");
        assert_eq!(parsed["cobranca"]["amount_cents"], "12590");
        assert_eq!(parsed["cobranca"]["linha_digitavel"], *line);
    }
    assert_eq!(answers[3]["responses"][0]["changes"][0]["boleto_id"], made["id"]);
    house.close().await;
}

fn boleto_request(request_id: &str) -> Value {
    let payer = a_boleto().payer.expect("a payer");
    let address = payer.address.expect("an address");
    json!({
        "request_id": request_id,
        "amount_cents": "12590",
        "due_date": due_date(),
        "payer": {
            "name": payer.name,
            "tax_id": payer.tax_id,
            "address": {
                "street": address.street,
                "number": address.number,
                "district": address.district,
                "city": address.city,
                "state": address.state,
                "postal_code": address.postal_code,
            },
        },
        "reference_id": "pedido 7",
        "notification_opt_out": true,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_reads_from_each_error_what_to_do() {
    let house = SmallHouse::furnished(&[("api.message_bytes_max", "65536")]).await;
    let everything_wrong = json!({
        "request_id": "has a blank\u{7}",
        "bank_account_external_id": "nobody's",
        "amount_cents": "0",
        "due_date": "2001-01-01",
        "payer": {"tax_id": "52998224724", "address": {"state": "XX", "postal_code": "1"}},
        "reference_id": "x".repeat(256),
    });
    let fields = [
        "request_id",
        "bank_account_external_id",
        "amount_cents",
        "due_date",
        "payer.name",
        "payer.tax_id",
        "payer.address.street",
        "payer.address.number",
        "payer.address.district",
        "payer.address.city",
        "payer.address.state",
        "payer.address.postal_code",
        "reference_id",
        "queue_url",
    ];
    let mut bad = call("BoletoService/CreateBoleto", everything_wrong);
    bad["expect_fields"] = json!(fields);
    let mut empty = call("BoletoService/CreateBoleto", json!({}));
    empty["expect_fields"] = json!(["amount_cents", "due_date", "payer", "queue_url"]);
    let mut bare = call("BankAccountService/CreateBankAccount", json!({}));
    bare["expect_fields"] = json!([
        "bank_account.display_name",
        "bank_account.beneficiary.name",
        "bank_account.beneficiary.tax_id",
        "bank_account.issuer",
        "bank_account.provider",
    ]);
    let nobody = Uuid::now_v7().to_string();
    let answers = calls(
        &house,
        json!([
            bad,
            empty,
            bare,
            call("BoletoService/GetBoleto", json!({"id": nobody})),
            call("BoletoService/GetBoleto", json!({"id": "x"})),
            call("BankAccountService/GetBankAccount", json!({"external_id": "nobody's"})),
            call("BoletoService/ListBoletos", json!({"page_token": "x"})),
            call("BoletoService/ListBoletos", json!({"page_size": -1})),
            call("BoletoService/RegisterBoleto", json!({"id": nobody})),
            call("BoletoService/CreateBoleto", json!({"instructions": "x".repeat(65_536)})),
        ]),
    )
    .await;
    for answer in &answers[..3] {
        assert_eq!(refusal(answer).1, "INVALID_FIELDS", "{answer}");
    }
    let mut named = refusal(&answers[0]).2;
    named.sort_unstable();
    let mut wanted = fields.to_vec();
    wanted.sort_unstable();
    assert_eq!(named, wanted, "each wrong field once, and no other");
    assert_eq!(refusal(&answers[3]), ("NOT_FOUND", "BOLETO_NOT_FOUND", vec![]));
    assert_eq!(refusal(&answers[4]), ("INVALID_ARGUMENT", "INVALID_FIELDS", vec!["id"]));
    assert_eq!(refusal(&answers[5]), ("NOT_FOUND", "BANK_ACCOUNT_NOT_FOUND", vec![]));
    assert_eq!(refusal(&answers[6]), ("INVALID_ARGUMENT", "INVALID_FIELDS", vec!["page_token"]));
    assert_eq!(refusal(&answers[7]), ("INVALID_ARGUMENT", "INVALID_FIELDS", vec!["page_size"]));
    assert_eq!(refusal(&answers[8]), ("NOT_FOUND", "BOLETO_NOT_FOUND", vec![]));
    assert_eq!(refusal(&answers[9]), ("OUT_OF_RANGE", "PROTOCOL", vec![]));
    for answer in &answers {
        assert_eq!(answer["domain"], DOMAIN, "{answer}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_learns_what_is_wrong_with_what_it_asks_about_transfers() {
    let house = SmallHouse::open(&[]).await;
    let ask = |method: &str, request: Value, fields: Value| {
        let method = format!("bursar.transfer.v1.TransferService/{method}");
        json!({"method": method, "request": request, "expect_fields": fields})
    };
    let nobody = Uuid::now_v7().to_string();
    let wrong = json!([
        ask("GetTransfer", json!({}), json!(["id"])),
        ask("FindTransfer", json!({"key": "a/b"}), json!(["key"])),
        ask(
            "ListTransfers",
            json!({"filter": {"state": 99, "reason": "a\u{7}"}}),
            json!(["filter.state", "filter.reason"])
        ),
        ask("ProcessTransfer", json!({}), json!(["key"])),
        ask("ReprocessTransfer", json!({"limit": -1}), json!(["id", "reason", "limit"])),
        ask("GetAnalysis", json!({"run": -1, "positions": [1]}), json!(["id", "run", "positions"])),
        ask("WatchTransfers", json!({"cursor": "x", "transfer_id": "x"}), json!(["cursor", "transfer_id"])),
        ask("EraseTransfer", json!({"request_id": "has a blank"}), json!(["id", "reason", "request_id"])),
        ask("ListTransferChanges", json!({}), json!(["id"])),
    ]);
    for answer in calls(&house, wrong).await {
        assert_eq!(
            (refusal(&answer).0, refusal(&answer).1),
            ("INVALID_ARGUMENT", "INVALID_FIELDS"),
            "{answer}"
        );
    }
    let absent = json!([
        ask("GetTransfer", json!({"id": nobody}), json!([])),
        ask("GetAnalysis", json!({"id": nobody}), json!([])),
        ask("ListTransferChanges", json!({"id": nobody}), json!([])),
        ask("EraseTransfer", json!({"id": nobody, "reason": "asked for"}), json!([])),
        ask("ReprocessTransfer", json!({"id": nobody, "reason": "asked for"}), json!([])),
    ]);
    for answer in calls(&house, absent).await {
        assert_eq!(refusal(&answer), ("NOT_FOUND", "TRANSFER_NOT_FOUND", vec![]), "{answer}");
    }
    let answers = calls(
        &house,
        json!([
            ask("FindTransfer", json!({"key": "a"}), json!([])),
            ask("ProcessTransfer", json!({"key": "a", "feed": "forms"}), json!([])),
            ask("ListTransfers", json!({}), json!([])),
            ask("ListFeeds", json!({}), json!([])),
            ask("WatchTransfers", json!({"cursor": "0"}), json!([])),
        ]),
    )
    .await;
    for answer in &answers[..2] {
        assert_eq!(refusal(answer), ("NOT_FOUND", "FEED_NOT_FOUND", vec![]), "{answer}");
    }
    assert_eq!((response(&answers[2]), response(&answers[3])), (&json!({}), &json!({})));
    assert!(answers[4]["responses"][0]["cursor"].is_string(), "{}", answers[4]);
    house.close().await;
}

/// A question to a service of open banking.
fn ask_open_banking(method: &str, request: Value, fields: Value) -> Value {
    let method = format!("bursar.openbanking.v1.{method}");
    json!({"method": method, "request": request, "expect_fields": fields})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_learns_what_is_wrong_with_what_it_asks_about_open_banking() {
    let house = SmallHouse::open(&[]).await;
    let nobody = Uuid::now_v7().to_string();
    let wrong = json!([
        ask_open_banking("UserService/PutUsers", json!({}), json!(["users"])),
        ask_open_banking("UserService/PutUsers", json!({"users": [{}]}), json!(["users[0].external_id"])),
        ask_open_banking("UserService/GetUser", json!({}), json!(["external_id"])),
        ask_open_banking(
            "UserService/UpdateUser",
            json!({}),
            json!(["external_id", "update_offline", "reason"])
        ),
        ask_open_banking(
            "UserService/EraseUser",
            json!({"request_id": "a b"}),
            json!(["external_id", "reason", "request_id"])
        ),
        ask_open_banking(
            "ConsentService/ImportConsents",
            json!({"consents": [{"aspsp": "No Bank", "tokens": {}, "accounts": [{"number": "*"}]}]}),
            json!([
                "consents[0].user_external_id",
                "consents[0].aspsp",
                "consents[0].external_id",
                "consents[0].tokens.access_token",
                "consents[0].accounts[0].number"
            ])
        ),
        ask_open_banking("ConsentService/RevokeConsent", json!({"id": "x"}), json!(["id", "reason"])),
        ask_open_banking("AccountService/GetAccount", json!({"reason": "\u{7}"}), json!(["id", "reason"])),
        ask_open_banking(
            "AccountService/ListTransactions",
            json!({"from": "2026-02-30", "until": "x"}),
            json!(["account_id", "from", "until"])
        ),
        ask_open_banking(
            "AccountService/StreamTransactions",
            json!({"account_id": "x"}),
            json!(["account_id"])
        ),
        ask_open_banking("SyncService/SyncUser", json!({}), json!(["external_id", "reason"])),
        ask_open_banking("SyncService/PlanSync", json!({"users_max": -1}), json!(["users_max"])),
        ask_open_banking(
            "SyncService/ListSessions",
            json!({"consent_id": nobody, "run_id": nobody}),
            json!(["run_id"])
        ),
        ask_open_banking("SyncService/ListCalls", json!({}), json!(["session_id"])),
        ask_open_banking(
            "PaymentService/TrackPayments",
            json!({"payments": [{}]}),
            json!(["payments[0].aspsp"])
        ),
        ask_open_banking("PaymentService/GetPayment", json!({}), json!(["id"])),
        ask_open_banking(
            "PaymentService/ListPayments",
            json!({"state": 99, "parent_id": "x"}),
            json!(["state", "parent_id"])
        ),
        ask_open_banking("PaymentService/WatchPayments", json!({}), json!(["ids"])),
        ask_open_banking(
            "PaymentService/ResolvePayment",
            json!({"version": -1}),
            json!(["id", "version", "state", "reason"])
        ),
    ]);
    for answer in calls(&house, wrong).await {
        assert_eq!(
            (refusal(&answer).0, refusal(&answer).1),
            ("INVALID_ARGUMENT", "INVALID_FIELDS"),
            "{answer}"
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_is_told_of_what_open_banking_does_not_know() {
    let house = SmallHouse::open(&[]).await;
    let nobody = Uuid::now_v7().to_string();
    let absent = [
        ("UserService/GetUser", json!({"external_id": "nobody"}), "USER_NOT_FOUND"),
        ("UserService/EraseUser", json!({"external_id": "nobody", "reason": "r"}), "USER_NOT_FOUND"),
        ("ConsentService/GetConsent", json!({"id": nobody}), "CONSENT_NOT_FOUND"),
        ("ConsentService/RevokeConsent", json!({"id": nobody, "reason": "r"}), "CONSENT_NOT_FOUND"),
        ("AccountService/GetAccount", json!({"id": nobody}), "ACCOUNT_NOT_FOUND"),
        ("AccountService/EnableAccount", json!({"id": nobody, "reason": "r"}), "ACCOUNT_NOT_FOUND"),
        ("AccountService/StreamTransactions", json!({"account_id": nobody}), "ACCOUNT_NOT_FOUND"),
        ("SyncService/SyncUser", json!({"external_id": "nobody", "reason": "r"}), "USER_NOT_FOUND"),
        ("PaymentService/GetPayment", json!({"id": nobody}), "PAYMENT_NOT_FOUND"),
        ("PaymentService/WatchPayments", json!({"ids": [nobody]}), "PAYMENT_NOT_FOUND"),
        (
            "PaymentService/ResolvePayment",
            json!({"id": nobody, "state": "STATE_DONE", "reason": "r"}),
            "PAYMENT_NOT_FOUND",
        ),
    ];
    let asked: Vec<Value> = absent
        .iter()
        .map(|(method, request, _)| ask_open_banking(method, request.clone(), json!([])))
        .collect();
    for (answer, (.., reason)) in calls(&house, json!(asked)).await.iter().zip(&absent) {
        assert_eq!(refusal(answer), ("NOT_FOUND", *reason, vec![]), "{answer}");
    }
    let lists = ["UserService/ListUsers", "ConsentService/ListConsents", "AccountService/ListAccounts"];
    let lists = lists.into_iter().chain(["SyncService/ListSessions", "SyncService/ListAspsps"]);
    let asked: Vec<Value> = lists
        .chain(["PaymentService/ListPayments"])
        .map(|method| ask_open_banking(method, json!({}), json!([])))
        .collect();
    for answer in calls(&house, json!(asked)).await {
        assert_eq!(response(&answer), &json!({}), "{answer}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_serves_is_told_so_like_every_error() {
    let house = SmallHouse::open(&[]).await;
    for path in [format!("/{SERVICE}/NoSuchMethod"), "/bursar.boleto.v1.NoSuchService/GetBoleto".to_owned()] {
        let status = unserved(&house, &path).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("{path}: no ErrorInfo"));
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("PROTOCOL", DOMAIN));
    }
    house.close().await;
}

/// A call that reflection would not let the judge make.
async fn unserved(house: &SmallHouse, path: &str) -> Status {
    let mut client = Grpc::new(house.channel.clone());
    client.ready().await.expect("a connection");
    let path: PathAndQuery = path.parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), path, codec).await.expect_err("nobody serves it")
}
