//! An operator looks for a questioning, has it analysed at once and follows it step by step; learns why one waits; has many analysed
//! once more; reads what was measured, which is written down; and watches it all go by.

use std::collections::BTreeSet;

use bursar::proto::transfer::v1::get_analysis_request::Form;
use bursar::proto::transfer::v1::process_transfer_response::Step;
use bursar::proto::transfer::v1::reprocess_transfer_request::Which;
use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::*;
use bursar::sandbox::{Behaviour, Party, VendorName};
use bursar::store::pool;
use chrono::{TimeDelta, Utc};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tonic::{Code, Status, Streaming};

use crate::support::database::Kind;
use crate::support::house::feed::a_record;
use crate::support::house::{House, Opened, PATIENCE, Refusal as _, eventually};

const KEY: &str = "-Nsample0000000000A1";
const OLD: &str = "-Nsample0000000000A2";
const VENDOR: Party = Party::Vendor(VendorName::Ra7);

/// A house that knows a feed and does not listen to it: what it takes in, somebody asks for.
fn house() -> House {
    House::new().with_feed("main").with("transfers.feeds.main.enabled", "false")
}

async fn processes(
    house: &Opened,
    key: &str,
    follow: bool,
) -> Result<Streaming<ProcessTransferResponse>, Status> {
    let request = ProcessTransferRequest { key: key.to_owned(), feed: String::new(), follow };
    Ok(house.operator().transfers.clone().process_transfer(request).await?.into_inner())
}

async fn next(stream: &mut Streaming<ProcessTransferResponse>) -> Option<Step> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a step in time");
    message.expect("a step").and_then(|message| message.step)
}

/// All steps, the last of which is the end.
async fn steps(mut stream: Streaming<ProcessTransferResponse>) -> (Vec<Step>, Transfer) {
    let mut steps = Vec::new();
    while let Some(step) = next(&mut stream).await {
        if let Step::End(end) = step {
            assert!(next(&mut stream).await.is_none(), "nothing comes behind the end");
            return (steps, end);
        }
        steps.push(step);
    }
    panic!("no end behind {steps:?}");
}

/// What somebody reads of steps, in their order.
fn told(steps: &[Step]) -> Vec<String> {
    let tell = |step: &Step| match step {
        Step::Change(change) => change.r#type.clone(),
        Step::Answer(answer) => format!("answer {} {:?}", answer.position, answer.outcome()),
        Step::Wait(_) => "wait".to_owned(),
        Step::End(_) => "end".to_owned(),
    };
    steps.iter().map(tell).collect()
}

/// How often the audit says that a method was used on a transfer.
async fn audited(house: &Opened, id: &str, method: &str) -> i64 {
    let connection = pool::connect(house.database_url()).await.expect("the database");
    let count = "select count(*) as n from audit where subject_id = $1 and method = $2";
    let id: uuid::Uuid = id.parse().expect("an id");
    let values = [id.into(), method.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), count, values);
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    connection.close().await.expect("the database lets go");
    row.try_get("", "n").expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_found_processed_and_followed_to_its_end() {
    let house = house().open().await;
    let operator = house.operator();
    let result = house.feed().offers(KEY, 2);
    let unseen = operator.finds_transfer(KEY).await;
    assert_eq!((unseen.transfer, unseen.in_feed, unseen.processed_in_feed), (None, Some(true), Some(false)));
    let nowhere = operator.finds_transfer("-Nnowhere").await;
    assert_eq!((nowhere.transfer, nowhere.in_feed), (None, Some(false)));
    let refused = processes(&house, "-Nnowhere", true).await.expect_err("there is none");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::NotFound, "TRANSFER_NOT_FOUND"));

    let (all, end) = steps(processes(&house, KEY, false).await.expect("it is taken in")).await;
    let expected = [
        "transfer.queued",
        "transfer.analysing",
        "answer 0 Scored",
        "answer 1 Scored",
        "transfer.writing_back",
        "transfer.done",
    ];
    assert_eq!(told(&all), expected);
    assert_eq!((end.state(), end.answered, end.questions), (State::Done, 2, 2));
    let run = end.run.as_ref().expect("a run");
    assert_eq!((run.result.as_str(), run.write_back.as_str()), (result.as_str(), "written"));
    assert_eq!(house.feed().record(KEY)["resultado"], result);

    let again = processes(&house, KEY, false).await.expect_err("it is done");
    assert_eq!((again.code(), again.reason().as_str()), (Code::FailedPrecondition, "TRANSFER_ENDED"));
    let (none, same) = steps(processes(&house, KEY, true).await.expect("its end is told")).await;
    assert_eq!((none.len(), &same), (0, &end));
    assert_eq!(audited(&house, &end.id, "ProcessTransfer").await, 2, "each that was told of the analysis");

    let request = GetTransferRequest { key: KEY.to_owned(), ..GetTransferRequest::default() };
    let plain = operator.transfers.clone().get_transfer(request).await.expect("it is here").into_inner();
    let plain = plain.transfer.and_then(|transfer| transfer.run).expect("a run");
    assert_eq!(plain.result, "", "who reads scores is written down, and here nobody is");
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_learns_why_it_waits_and_may_have_it_tried_now() {
    let house = house()
        .with("transfers.analysis.retry_base", "1h")
        .with("transfers.analysis.retry_cap", "1h")
        .open()
        .await;
    house.script().always(VENDOR, Behaviour::status(503));
    let result = house.feed().offers(KEY, 1);
    let mut stream = processes(&house, KEY, false).await.expect("it is taken in");
    let wait = loop {
        match next(&mut stream).await.expect("it has not ended") {
            Step::Wait(wait) => break wait,
            step => assert!(matches!(step, Step::Change(_)), "{step:?}"),
        }
    };
    assert!(!wait.reason.is_empty() && wait.next_attempt_time.is_some(), "{wait:?}");
    // Whoever leaves ends the showing alone.
    drop(stream);
    let found = house.operator().finds_transfer(KEY).await;
    assert_eq!(found.transfer.as_ref().map(Transfer::state), Some(State::Analysing));
    assert_eq!(
        (found.last_error.as_str(), found.next_attempt_time),
        (wait.reason.as_str(), wait.next_attempt_time)
    );
    let refused = processes(&house, KEY, false).await.expect_err("it is under way");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::FailedPrecondition, "TRANSFER_UNDER_WAY"));

    house.script().clear(VENDOR);
    let (_, end) = steps(processes(&house, KEY, true).await.expect("it is followed")).await;
    assert_eq!(end.state(), State::Done, "nobody waited for an hour");
    assert_eq!(end.run.expect("a run").result, result);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

/// A record of four days ago.
fn an_old_record() -> Value {
    let mut record = a_record(1);
    record["date"] = json!((Utc::now() - TimeDelta::days(4)).timestamp());
    record
}

fn of_the_old_ones(dry_run: bool) -> ReprocessTransferRequest {
    let filter = TransferFilter { reason: "too_old".to_owned(), ..TransferFilter::default() };
    ReprocessTransferRequest {
        which: Some(Which::Filter(filter)),
        dry_run,
        reason: "the clock was wrong".to_owned(),
        ..ReprocessTransferRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_skipped_is_listed_counted_and_analysed_after_all() {
    let house = house().open().await;
    let mut client = house.operator().transfers;
    let result = house.feed().offers_record(OLD, 1, an_old_record());
    let (all, end) = steps(processes(&house, OLD, false).await.expect("it is taken in")).await;
    assert_eq!(told(&all), ["transfer.skipped"]);
    assert_eq!(end.state(), State::Skipped);
    assert!(end.reason.starts_with("too_old: ") && end.run.is_none(), "{end:?}");

    let nothing = ReprocessTransferRequest { limit: 100_001, ..of_the_old_ones(true) };
    let nothing =
        ReprocessTransferRequest { which: Some(Which::Filter(TransferFilter::default())), ..nothing };
    let refused = client.reprocess_transfer(nothing).await.expect_err("all of the house");
    assert_eq!(refused.fields(), ["filter", "limit"]);
    let counted = client.reprocess_transfer(of_the_old_ones(true)).await.expect("a count").into_inner();
    assert_eq!((counted.transfers, counted.more), (1, false));
    assert_eq!(house.operator().finds_transfer(OLD).await.transfer, Some(end.clone()), "nothing was changed");
    let taken_up = client.reprocess_transfer(of_the_old_ones(false)).await.expect("they have ended");
    assert_eq!(taken_up.into_inner().transfers, 1);
    let done = house.operator().sees_transfer(OLD, State::Done).await;
    assert_eq!(done.run.expect("a run").result, result);

    house.feed().offers(KEY, 1);
    steps(processes(&house, KEY, false).await.expect("it is taken in")).await;
    house.operator().sees_all_work_done().await;
    let pages = pages(&house).await;
    assert_eq!(pages, [KEY, OLD], "newest first, one a page");
    house.close().await;
}

/// The keys of all that are done, from pages of one.
async fn pages(house: &Opened) -> Vec<String> {
    let (mut keys, mut page_token) = (Vec::new(), String::new());
    loop {
        let filter = Some(TransferFilter { state: State::Done.into(), ..TransferFilter::default() });
        let request = ListTransfersRequest { filter, page_size: 1, page_token };
        let page = house.operator().transfers.clone().list_transfers(request).await.expect("a page");
        let page = page.into_inner();
        assert!(page.transfers.iter().all(|one| one.run.as_ref().is_some_and(|run| run.result.is_empty())));
        keys.extend(page.transfers.into_iter().map(|one| one.key));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return keys;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_an_analysis_is_written_down_and_what_is_erased_is_read_no_more() {
    let house = house().open().await;
    let mut client = house.operator().transfers;
    house.feed().offers(KEY, 2);
    let (_, end) = steps(processes(&house, KEY, false).await.expect("it is taken in")).await;
    house.operator().sees_all_work_done().await;
    let asks = |form: Form, run: i32| GetAnalysisRequest {
        id: end.id.clone(),
        run,
        form: form.into(),
        reason: "a complaint".to_owned(),
        ..GetAnalysisRequest::default()
    };
    let plain = client.get_analysis(asks(Form::Unspecified, 0)).await.expect("an analysis").into_inner();
    assert_eq!((plain.answers.len(), plain.raw_answers.len(), plain.document.as_str()), (2, 0, ""));
    let raw = client.get_analysis(asks(Form::Raw, 1)).await.expect("an analysis").into_inner();
    assert_eq!(raw.raw_answers.iter().map(|raw| raw.positions.clone()).collect::<Vec<_>>(), [[0], [1]]);
    let body: Value = serde_json::from_slice(&raw.raw_answers[0].body).expect("as the vendor said it");
    assert!(body["Data"].is_object(), "{body}");
    let second = GetAnalysisRequest { positions: vec![1], ..asks(Form::Raw, 0) };
    let second = client.get_analysis(second).await.expect("an analysis").into_inner();
    assert_eq!(second.raw_answers, raw.raw_answers[1..]);
    let legacy = client.get_analysis(asks(Form::Legacy, 0)).await.expect("an analysis").into_inner();
    let document: Value = serde_json::from_str(&legacy.document).expect("JSON");
    assert_eq!((&document["uid_trans"], legacy.text.lines().count()), (&json!(KEY), 2));
    let missing = client.get_analysis(asks(Form::Raw, 2)).await.expect_err("one run");
    assert_eq!(missing.reason(), "RUN_NOT_FOUND");
    assert_eq!(audited(&house, &end.id, "GetAnalysis").await, 4, "each reading, and none that found nothing");

    let before = audited(&house, &end.id, "FindTransfer").await;
    house.operator().finds_transfer(KEY).await;
    assert_eq!(audited(&house, &end.id, "FindTransfer").await, before + 1);
    house.operator().erases(&end.id).await.expect("nothing works on it");
    let gone = client.get_analysis(asks(Form::Raw, 0)).await.expect_err("it is erased");
    assert_eq!(gone.reason(), "RUN_NOT_FOUND");
    let refused = processes(&house, KEY, false).await.expect_err("it is erased");
    assert_eq!(refused.reason(), "TRANSFER_ERASED");
    house.operator().erases(&end.id).await.expect("it is so already");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_by_in_their_order_and_a_watch_goes_on_where_it_stopped() {
    changes_go_by(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_by_in_their_order_on_postgresql_too() {
    changes_go_by(Kind::PostgreSql).await;
}

async fn changes_go_by(kind: Kind) {
    let house = house().on(kind).open().await;
    let mut client = house.operator().transfers;
    house.feed().offers(KEY, 1);
    let (_, end) = steps(processes(&house, KEY, false).await.expect("it is taken in")).await;
    let from = |cursor: &str| WatchTransfersRequest { cursor: cursor.to_owned(), ..Default::default() };
    let watch = async |cursor: &str, wanted: usize| {
        let stream = house.operator().transfers.clone().watch_transfers(from(cursor)).await;
        let mut stream = stream.expect("a watch").into_inner();
        let mut changes: Vec<TransferChange> = Vec::new();
        while changes.len() < wanted {
            let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("news in time");
            changes.extend(message.expect("a message").expect("it goes on").changes);
        }
        changes
    };
    let all = watch("0", 4).await;
    let types: Vec<&str> = all.iter().map(|change| change.r#type.as_str()).collect();
    let expected = ["transfer.queued", "transfer.analysing", "transfer.writing_back", "transfer.done"];
    assert_eq!(types, expected);
    assert_eq!(all.iter().map(|change| change.version).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let ids: BTreeSet<&str> = all.iter().map(|change| change.event_id.as_str()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
    assert_eq!(watch(&all[1].cursor, 2).await, all[2..]);
    let listed = client.list_transfer_changes(ListTransferChangesRequest { id: end.id.clone() }).await;
    assert_eq!(listed.expect("its changes").into_inner().changes, all);
    let elsewhere = client.watch_transfers(from("somewhere-0-1")).await.expect_err("no place here");
    assert_eq!(elsewhere.reason(), "CURSOR_OF_ANOTHER_STORE");

    let feeds = client.list_feeds(ListFeedsRequest {}).await.expect("the feeds").into_inner().feeds;
    let names: Vec<(&str, i64)> = feeds.iter().map(|feed| (feed.name.as_str(), feed.open)).collect();
    assert_eq!(names, [("main", 0)]);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_cannot_be_asked_hides_nothing_of_what_is_known() {
    let house = House::new()
        .with_feed("main")
        .with("transfers.feeds.gone.enabled", "false")
        .with("transfers.feeds.gone.firebase_rtdb.database_url", "http://127.0.0.1:1")
        .with("transfers.feeds.gone.firebase_rtdb.credentials.emulator", "true")
        .with("transfers.feeds.gone.firebase_rtdb.allow_loopback", "true")
        .open()
        .await;
    let mut client = house.operator().transfers;
    let find = |feed: &str| FindTransferRequest { key: KEY.to_owned(), feed: feed.to_owned() };
    let unnamed = client.find_transfer(find("")).await.expect_err("there are two feeds");
    assert_eq!((unnamed.code(), unnamed.fields()), (Code::InvalidArgument, vec!["feed".to_owned()]));
    let unknown = client.find_transfer(find("other")).await.expect_err("there is none");
    assert_eq!(unknown.reason(), "FEED_NOT_FOUND");
    let silent = client.find_transfer(find("gone")).await.expect("an answer").into_inner();
    assert_eq!((silent.transfer, silent.in_feed), (None, None));
    assert!(!silent.feed_error.is_empty());
    let request = ProcessTransferRequest { key: KEY.to_owned(), feed: "gone".to_owned(), follow: false };
    let refused = client.process_transfer(request).await.expect_err("nobody answers there");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::Unavailable, "FEED_UNAVAILABLE"));
    assert!(refused.retry_after().is_some());

    house.feed().offers(KEY, 1);
    let seen = eventually("the transfer is done", async || {
        let found = client.clone().find_transfer(find("main")).await.ok()?.into_inner();
        found.transfer.filter(|transfer| transfer.state() == State::Done)
    })
    .await;
    assert_eq!(seen.feed, "main");
    house.operator().sees_all_work_done().await;
    house.close().await;
}
