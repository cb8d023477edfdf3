//! A company moves from the service before to this one, with boletos that no bank had registered yet. The house opens on
//! what was imported: those that waited are registered, under the numbers that their payers hold; those that were
//! registered are left alone; and new boletos go on behind all of them.

#[expect(dead_code, reason = "the story fills the other database with rows of its own")]
#[path = "../conformance/import_superbowleto/before.rs"]
mod before;

use std::collections::BTreeSet;

use bursar::domain::boleto::issuer::Issuer;
use bursar::domain::money::Cents;
use bursar::proto::boleto::v1::{Boleto, BoletoStatus, CreateBankAccountRequest, ListBoletosRequest};
use bursar::sandbox::EffectKind;
use chrono::NaiveDate;
use serde_json::{Value, json};
use tokio::process::Command;

use self::before::{Before, a_row, with};
use crate::support::database::{Kind, TestDatabase};
use crate::support::house::{House, Opened, Surroundings, a_boleto};

/// What the service before had an account with, by its own names: external id, issuer, agency, account, wallet.
const ACCOUNTS: [[&str; 5]; 3] = [
    ["pagarme", "bradesco", "3381", "9721", "26"],
    ["by the gateway", "boleto-api-bradesco-shopfacil", "3381", "9721", "26"],
    ["at Caixa", "boleto-api-caixa", "3337", "1103388", "14"],
];
/// Under each account: two that wait, and one that is registered.
const WAITING: [i64; 2] = [1, 2];
const REGISTERED: i64 = 3;

/// On what day all of them are due, as the rows say it.
const DUE: &str = "2031-05-20";

/// The number of an account's boleto; the service before counted all of them in one row.
fn title(account: usize, number: i64) -> i64 {
    1_000 + 10 * account as i64 + number
}

/// Its amount, by which the bank's ledger tells it from all others.
fn cents(title: i64) -> i64 {
    50_000 + title
}

fn name(account: usize, number: i64) -> String {
    format!("bol_{account}_{number}")
}

/// A boleto of the service before, whose owner listens at the world's queue.
fn row(account: usize, number: i64, queue_url: &str) -> Value {
    let [external_id, issuer, agency, issuer_account, wallet] = ACCOUNTS[account];
    let title = title(account, number);
    let there = a_row(&name(account, number), title);
    let waits = with(
        there,
        json!({
            "external_id": external_id, "issuer": issuer, "issuer_agency": agency, "issuer_account": issuer_account,
            "issuer_wallet": wallet, "amount": cents(title), "queue_url": queue_url, "barcode": null,
            "status": "pending_registration", "issuer_response_code": null,
        }),
    );
    if number != REGISTERED {
        return waits;
    }
    let (agency, code) = (agency.to_owned(), issuer_account.to_owned());
    let rules = match issuer {
        "boleto-api-caixa" => Issuer::Caixa { beneficiary: code, agency: Some(agency) },
        _ => Issuer::Bradesco { agency, account: code, carteira: wallet.to_owned() },
    };
    let due: NaiveDate = DUE.parse().expect("a date");
    let codes = rules.compose(title, Cents(cents(title)), due).expect("codes");
    let barcode = codes.barcode.expect("a barcode");
    with(waits, json!({"status": "registered", "issuer_response_code": "0", "barcode": barcode.as_str()}))
}

/// Runs the command as its users do, into the database of a house that is still to be opened.
async fn imports(before: &Before, place: &Surroundings) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    command
        .args(["import", "superbowleto", "--json", "--from", &before.url])
        .args(["--beneficiary-name", "Loja Exemplo Ltda", "--beneficiary-tax-id", "11.222.333/0001-81"])
        .args(["--set", &format!("store.url={}", place.database.url)])
        .args(["--set", "channels.sqs.endpoint=http://127.0.0.1:9", "--set", "channels.sqs.region=us-east-1"])
        .args(["--set", r#"channels.sqs.egress.schemes=["http"]"#, "--set", "channels.sqs.egress.ports=[]"])
        .args(["--set", r#"channels.sqs.egress.hosts=["127.0.0.1"]"#])
        .args(["--set", "channels.sqs.egress.allow_loopback=true"]);
    for (credential, secret) in [
        ("bradesco_apiregistro.merchant_id", "client-id"),
        ("bradesco_apiregistro.api_key", "client-secret"),
        ("boleto_api.username", "client-id"),
        ("boleto_api.password", "client-secret"),
        ("boleto_api.bank_username", "inner-user"),
        ("boleto_api.bank_password", "inner-password"),
    ] {
        command.args(["--credential", &format!("{credential}={}", place.secret(secret))]);
    }
    let output = command.output().await.expect("the program runs");
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaint}");
    let documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter().filter_map(Result::ok);
    documents.last().expect("a summary")
}

/// The one boleto of an amount.
async fn of_cents(house: &Opened, cents: i64) -> Boleto {
    let (boletos, _) = house.shop().lists(ListBoletosRequest::default()).await.expect("a list");
    let mut found = boletos.into_iter().filter(|boleto| boleto.amount_cents == cents);
    found.next().unwrap_or_else(|| panic!("no boleto of {cents} cents"))
}

/// What banks keep of an amount.
fn titles(house: &Opened, cents: i64) -> usize {
    let effects = house.world().effects();
    let of_it = |kind| effects.iter().filter(move |effect| effect.kind == kind);
    of_it(EffectKind::BankRegistered).filter(|effect| effect.detail["amount_cents"] == json!(cents)).count()
}

/// Surroundings in which the bank has one of those that wait on file already: the service before had asked for it, and
/// never learnt what came of it.
async fn where_an_answer_was_lost(kind: Kind) -> Surroundings {
    let place = House::new().on(kind).without_account().prepare().await;
    let mut account = place.accounts_elsewhere();
    account.retain(|account| account.provider == "bradesco_apiregistro");
    let house = place.open().await;
    let request = CreateBankAccountRequest {
        bank_account: account.pop(),
        first_sequence: Some(title(0, WAITING[0])),
        ..CreateBankAccountRequest::default()
    };
    house.operator().accounts.clone().create_bank_account(request).await.expect("an account");
    let asked = a_boleto().of_cents(cents(title(0, WAITING[0]))).told_to_nobody().with(|request| {
        request.due_date = DUE.to_owned();
        request.bank_account_external_id = "sandbox-bradesco-apiregistro".to_owned();
    });
    assert_eq!(house.shop().creates(asked).await.status(), BoletoStatus::Registered);
    let mut place = house.leave().await;
    place.database = TestDatabase::create(kind).await;
    place
}

async fn the_move(kind: Kind) {
    let before = Before::create().await;
    let place = where_an_answer_was_lost(kind).await;
    let queue_url = place.world.addresses().queue_url.clone();
    for (account, configuration) in ACCOUNTS.into_iter().enumerate() {
        before.knows(configuration).await;
        for number in WAITING.into_iter().chain([REGISTERED]) {
            before.holds(&row(account, number, &queue_url)).await;
        }
    }
    let summary = imports(&before, &place).await;
    assert_eq!(summary["boletos"]["refused"], json!(0), "{summary}");
    assert_eq!(summary["registrations"], json!(ACCOUNTS.len() * WAITING.len()), "{summary}");
    before.remove().await;

    let house = place.open().await;
    for (account, [external_id, ..]) in ACCOUNTS.into_iter().enumerate() {
        for number in WAITING {
            let title = title(account, number);
            let waiting = of_cents(&house, cents(title)).await;
            let registered = house.shop().sees(&waiting.id, BoletoStatus::Registered).await;
            assert!(registered.payable && registered.barcode.len() == 44, "{external_id}: {registered:?}");
            assert!(registered.nosso_numero.ends_with(&title.to_string()), "{external_id}: {registered:?}");
            assert_eq!(titles(&house, cents(title)), 1, "{external_id}");
            // Its owner knows it by the id that it always had.
            let told = house.owner().hears(&name(account, number), 1).await;
            assert_eq!(told[0].text("status"), "registered", "{external_id}");
        }
        let decided = of_cents(&house, cents(title(account, REGISTERED))).await;
        assert_eq!(
            (decided.version, titles(&house, decided.amount_cents)),
            (1, 0),
            "{external_id}: {decided:?}"
        );
        assert_eq!(house.owner().heard(&name(account, REGISTERED)).len(), 0, "{external_id}");
    }
    let mut given_out = BTreeSet::new();
    for (account, [external_id, ..]) in ACCOUNTS.into_iter().enumerate() {
        let named = |request: &mut bursar::proto::boleto::v1::CreateBoletoRequest| {
            request.bank_account_external_id = external_id.to_owned();
        };
        let fresh = house.shop().creates(a_boleto().with(named)).await;
        assert_eq!(fresh.status(), BoletoStatus::Registered, "{external_id}");
        let digits = &fresh.nosso_numero[fresh.nosso_numero.len() - 9..];
        let number: i64 = digits.parse().expect("a number");
        assert!(number > title(account, REGISTERED), "{external_id}: {number}");
        assert!(given_out.insert(fresh.nosso_numero.clone()), "{external_id}: {number} again");
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_registered_and_what_was_registered_is_left_alone_on_the_embedded_store() {
    the_move(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_registered_and_what_was_registered_is_left_alone_on_postgresql() {
    the_move(Kind::PostgreSql).await;
}
