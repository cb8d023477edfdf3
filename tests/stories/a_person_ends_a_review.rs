//! The bank has something that does not agree with what we hold. A person looks, decides, and says why; what they decided
//! stands in the boleto's history and in the audit, and the owner is told.

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::store::pool;
use sea_orm::{ConnectionTrait as _, Statement};
use tonic::Code;

use crate::support::database::{Kind, TestDatabase};
use crate::support::house::{House, Opened, Refusal as _, a_boleto, a_resolution};

/// A house with a boleto in review: its bank remembers another amount under the same number.
async fn with_a_review(kind: Kind) -> (Opened, Boleto) {
    let house = House::new().on(kind).open().await;
    house.shop().creates(a_boleto()).await;
    let mut surroundings = house.leave().await;
    surroundings.database = TestDatabase::create(kind).await;
    surroundings.has_account = true;
    let house = surroundings.open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(12_591)).await;
    assert_eq!(boleto.status(), BoletoStatus::NeedsReview);
    (house, boleto)
}

/// The records about a boleto, oldest first.
async fn audited(url: &str) -> Vec<(String, String, String)> {
    let connection = pool::connect(url).await.expect("the database of the house");
    let find = "select reason, before, after from audit where method = 'ResolveBoleto' order by id";
    let statement = Statement::from_string(connection.get_database_backend(), find);
    let rows = connection.query_all_raw(statement).await.expect("an answer");
    connection.close().await.expect("the database lets go");
    let text = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).expect("a text");
    rows.iter().map(|row| (text(row, "reason"), text(row, "before"), text(row, "after"))).collect()
}

async fn decide(kind: Kind, resolution: BoletoStatus) {
    let (house, boleto) = with_a_review(kind).await;
    let shop = house.shop();
    let mut request = a_resolution(&boleto.id, resolution, "the bank's desk says so");
    request.request_id = "review-1".to_owned();
    request.version = boleto.version;
    let resolved = shop.resolves(request.clone()).await.expect("resolved");
    assert_eq!((resolved.status(), resolved.version), (resolution, boleto.version + 1));
    assert_eq!(resolved.payable, resolution == BoletoStatus::Registered);
    assert_eq!(shop.resolves(request).await.expect("the same answer"), resolved);
    let told = house.owner().hears(&boleto.id, 2).await;
    let short = resolution.as_str_name().trim_start_matches("BOLETO_STATUS_").to_lowercase();
    assert_eq!(told[1].text("status"), short);
    let changes = shop.reads_history(&boleto.id).await.changes;
    assert_eq!(changes.last().expect("a change").reason, "the bank's desk says so");
    let status = shop.resolves(a_resolution(&boleto.id, resolution, "again")).await.expect_err("decided");
    assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "NOT_IN_REVIEW"));
    let surroundings = house.leave().await;
    let before = format!(r#"{{"status":"needs_review","version":{}}}"#, boleto.version);
    let after = format!(r#"{{"status":"{short}","version":{}}}"#, resolved.version);
    let records = audited(&surroundings.database.url).await;
    assert_eq!(records, [("the bank's desk says so".to_owned(), before, after)]);
    surroundings.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_registered_by_their_word() {
    decide(Kind::Sqlite, BoletoStatus::Registered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_refused_by_their_word() {
    decide(Kind::PostgreSql, BoletoStatus::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_cancelled_by_their_word() {
    decide(Kind::PostgreSql, BoletoStatus::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_is_needed_and_some_decisions_are_none() {
    let (house, boleto) = with_a_review(Kind::Sqlite).await;
    let shop = house.shop();
    let bad = a_resolution(&boleto.id, BoletoStatus::Paid, "");
    assert_eq!(shop.resolves(bad).await.expect_err("two faults").fields(), ["reason", "resolution"]);
    let mut stale = a_resolution(&boleto.id, BoletoStatus::Refused, "looked");
    stale.version = boleto.version + 7;
    assert_eq!(shop.resolves(stale).await.expect_err("another version").reason(), "VERSION_CHANGED");
    let status = shop.cancels(&boleto.id, "sold twice").await.expect_err("a review comes first");
    assert_eq!(status.reason(), "CANCEL_NOT_OPEN");
    assert_eq!(shop.gets(&boleto.id).await, boleto, "nothing has changed");
    house.close().await;
}
