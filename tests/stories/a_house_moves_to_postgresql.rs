//! A house has outgrown its file. It is stopped, moved to PostgreSQL by one command, and opened there: nobody who sells,
//! pays or keeps the house can tell, but for cursors of watchers, which are refused rather than misread.

use bursar::proto::boleto::v1::{Boleto, BoletoChange, BoletoStatus, ListBoletosRequest};
use bursar::proto::control::v1::{Work, WorkState};
use bursar::sandbox::{Behaviour, Party};
use serde_json::Value;
use tonic::Code;

use crate::support::database::{Kind, TestDatabase};
use crate::support::house::{House, Opened, PATIENCE, Refusal as _, Shop, a_boleto};

/// What others know of a house.
#[derive(Debug, PartialEq)]
struct Known {
    boletos: Vec<Boleto>,
    work: Vec<Work>,
    /// Without their cursors.
    changes: Vec<BoletoChange>,
}

impl Known {
    async fn of(house: &Opened) -> Self {
        let (shop, operator) = (house.shop(), house.operator());
        let (boletos, _) = shop.lists(ListBoletosRequest::default()).await.expect("a list");
        let states = [WorkState::Retryable, WorkState::Completed, WorkState::Cancelled, WorkState::Discarded];
        let mut work = Vec::new();
        for listed in operator.work(&states).await {
            work.push(operator.gets_work(&listed.id).await.expect("work"));
        }
        let (mut changes, _) = changes_from(&shop, "0").await;
        changes.iter_mut().for_each(|change| change.cursor.clear());
        Self { boletos, work, changes }
    }
}

/// The first message of a watch: its changes and where to go on.
async fn changes_from(shop: &Shop, cursor: &str) -> (Vec<BoletoChange>, String) {
    let mut stream = shop.watches(cursor, "").await.expect("a stream");
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("news");
    let message = message.expect("no error").expect("no end");
    (message.changes, message.cursor)
}

/// A house on a file whose bank has a first number of ours on file already, and which comes back to nobody within an hour.
async fn open() -> Opened {
    let settings = ["registration.retry_base", "registration.retry_cap", "notification.retry_base"];
    let settings = [&settings[..], &["notification.retry_cap"]].concat();
    let house = settings.into_iter().fold(House::new(), |house, key| house.with(key, "1h")).open().await;
    house.shop().creates(a_boleto().of_cents(1).told_to_nobody()).await;
    let mut surroundings = house.leave().await;
    surroundings.database = TestDatabase::create(Kind::Sqlite).await;
    surroundings.has_account = true;
    surroundings.open().await
}

/// Runs the command as its users do.
async fn copies(from: &TestDatabase, to: &TestDatabase) -> Value {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_bursar"))
        .args(["store", "copy", "--json", "--timeout", "20s", "--from", &from.url, "--to", &to.url])
        .output()
        .await
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_tell() {
    let house = open().await;
    let (shop, operator) = (house.shop(), house.operator());
    let reviewed = shop.creates(a_boleto()).await;
    assert_eq!(reviewed.status(), BoletoStatus::NeedsReview);
    let registered = shop.creates(a_boleto().asked_as("order-1").called("pedido 1")).await;
    house.script().bank_register(Behaviour::refuse("48"));
    let refused = shop.creates(a_boleto()).await;
    assert_eq!(refused.status(), BoletoStatus::Refused);
    operator.sees_all_work_done().await;
    house.script().always(Party::Sqs, Behaviour::status(503));
    let untold = shop.creates(a_boleto()).await;
    operator.finds_work_in(&untold.id, WorkState::Retryable).await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let waiting = shop.creates(a_boleto()).await;
    let work = operator.finds_work_in(&waiting.id, WorkState::Retryable).await;
    let dropped = shop.creates(a_boleto()).await;
    let unwanted = operator.finds_work_in(&dropped.id, WorkState::Retryable).await;
    operator.cancels(&unwanted.id, "the shop has closed").await.expect("cancelled work");
    assert_eq!(
        [&waiting, &dropped].map(Boleto::status),
        [BoletoStatus::PendingRegistration, BoletoStatus::PendingRegistration]
    );

    let before = Known::of(&house).await;
    assert_eq!((before.boletos.len(), before.work.len()), (6, 10), "{:?}", before.work);
    let (_, cursor) = changes_from(&shop, "").await;
    let two = ListBoletosRequest { page_size: 2, ..ListBoletosRequest::default() };
    let (_, page_token) = shop.lists(two.clone()).await.expect("a page");
    drop((shop, operator));
    let mut surroundings = house.leave().await;
    let file = std::mem::replace(&mut surroundings.database, TestDatabase::create(Kind::PostgreSql).await);
    let said = copies(&file, &surroundings.database).await;
    let rows = |name: &str| {
        let tables = said["tables"].as_array().expect("tables");
        tables.iter().find(|table| table["table"] == name).map(|table| table["rows"].clone())
    };
    assert_eq!((rows("boleto"), rows("bank_account")), (Some(6.into()), Some(1.into())), "{said}");

    let house = surroundings.open().await;
    let (shop, operator) = (house.shop(), house.operator());
    assert_eq!(Known::of(&house).await, before);
    let second = ListBoletosRequest { page_token, ..two };
    let (page, _) = shop.lists(second).await.expect("the page after one of the old house");
    assert_eq!(page, before.boletos[2..4]);
    let misplaced = shop.watches(&cursor, "").await.expect_err("a place in another store");
    assert_eq!(
        (misplaced.code(), misplaced.reason().as_str()),
        (Code::FailedPrecondition, "CURSOR_OF_ANOTHER_STORE")
    );

    // The request is known, and numbers go on where they were.
    assert_eq!(shop.creates(a_boleto().asked_as("order-1").called("pedido 1")).await, registered);
    let other = shop.tries(a_boleto().of_cents(1).asked_as("order-1")).await.expect_err("another body");
    assert_eq!(other.reason(), "REQUEST_ID_REUSED");
    house.script().clear_all();
    let number = |boleto: &Boleto| boleto.nosso_numero.parse::<u64>().expect("a number");
    let next = shop.creates(a_boleto()).await;
    assert_eq!(number(&next), before.boletos.iter().map(number).max().expect("boletos") + 1);

    // What waited is done, and told of.
    operator.retries(&work.id, "the bank is back").await.expect("hastened work");
    let told = operator.finds_work(&untold.id, &[]).await;
    operator.retries(&told[0].id, "the queue is back").await.expect("hastened work");
    shop.sees(&waiting.id, BoletoStatus::Registered).await;
    for boleto in [&untold, &waiting, &next] {
        assert_eq!(house.owner().hears(&boleto.id, 1).await[0].text("status"), "registered");
        house.bank().keeps_one(boleto);
    }
    operator.sees_all_work_done().await;
    let again = shop.registers_again(&dropped.id).await.expect("a boleto whose work was cancelled");
    assert_eq!(again.status(), BoletoStatus::Registered);
    operator.sees_all_work_done().await;
    house.close().await;
}
