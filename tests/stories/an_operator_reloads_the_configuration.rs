//! An operator changes the configuration of an open house. Limits and timetables hold at once, what is wrong changes nothing, and
//! what has to wait for a restart is told.

use std::path::PathBuf;

use bursar::cli::house;
use bursar::config::{Config, Sources};
use bursar::messages::Reload;
use bursar::proto::access::v1::ListAuditRequest;
use bursar::proto::access::v1::audit_service_client::AuditServiceClient;
use bursar::proto::boleto::v1::{BoletoStatus, ListBoletosRequest};
use bursar::proto::control::v1::{GetScheduleRequest, ReloadConfigRequest, ReloadConfigResponse};
use bursar::sandbox::{Behaviour, Party};
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::reconciliation::{self, a_listed_account};
use crate::support::house::{House, Opened, PATIENCE, Refusal as _, a_boleto, eventually};

/// A house that answers before the bank has decided.
fn quick(kind: Kind) -> House {
    House::new().on(kind).with("registration.inline_deadline", "20ms")
}

/// An open house with a file of its own, which says `text` at first.
async fn opens(house: House, text: &str) -> (Opened, PathBuf) {
    let surroundings = house.prepare().await;
    let file = surroundings.file("bursar.toml");
    std::fs::write(&file, text).expect("the file");
    let sources = Sources { file: Some(file.clone()), ..surroundings.sources() };
    let loaded = Config::load_whole(&sources).unwrap_or_else(|errors| panic!("{errors}"));
    let config = loaded.config.clone();
    let opened = house::open_reloadable(&config, &Reload::of(sources, loaded)).await.expect("an open house");
    (surroundings.moved_in(opened).await, file)
}

async fn reloads(house: &Opened, check_only: bool) -> Result<ReloadConfigResponse, Status> {
    Ok(house
        .operator()
        .control
        .reload_config(ReloadConfigRequest { check_only, ..Default::default() })
        .await?
        .into_inner())
}

fn keys(answer: &ReloadConfigResponse) -> Vec<&str> {
    answer.taken.iter().map(|change| change.key.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_raised_is_obeyed_on_the_embedded_store() {
    a_limit_that_is_raised_is_obeyed(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_raised_is_obeyed_on_postgresql() {
    a_limit_that_is_raised_is_obeyed(Kind::PostgreSql).await;
}

async fn a_limit_that_is_raised_is_obeyed(kind: Kind) {
    let (house, file) =
        opens(quick(kind), "registration.in_flight_max = 1\nlimits.page_size_default = 2").await;
    house.script().always(Party::BankRegister, Behaviour::Hold);
    for _ in 0..3 {
        house.shop().creates(a_boleto()).await;
    }
    house.world().wait_for_held(1, PATIENCE).await.expect("one call at a time");
    std::fs::write(&file, "registration.in_flight_max = 3\nlimits.page_size_default = 3").expect("the file");
    let answer = reloads(&house, true).await.expect("a look");
    assert_eq!(keys(&answer), ["limits.page_size_default", "registration.in_flight_max"]);
    assert_eq!((answer.taken[1].before.as_str(), answer.taken[1].after.as_str()), ("1", "3"));
    assert_eq!(listed(&house).await, 2, "looked at only");

    reloads(&house, false).await.expect("a reload");
    house.world().wait_for_held(3, PATIENCE).await.expect("three calls at a time");
    assert_eq!(listed(&house).await, 3);
    let again = reloads(&house, false).await.expect("a reload");
    assert!(again.taken.is_empty() && again.waiting.is_empty(), "{again:?}");

    let request = ListAuditRequest { method: "ReloadConfig".to_owned(), ..ListAuditRequest::default() };
    let records = AuditServiceClient::new(house.channel()).list_audit(request).await.expect("the audit");
    let records = records.into_inner().records;
    assert_eq!(records.len(), 1, "one change, one record: {records:?}");
    assert!(records[0].before.contains(r#""registration.in_flight_max":"1""#), "{records:?}");
    assert!(records[0].after.contains(r#""registration.in_flight_max":"3""#), "{records:?}");

    house.script().clear(Party::BankRegister);
    house.script().release();
    house.operator().sees_all_work_done().await;
    house.close().await;
}

/// Boletos on a page of the size that the house gives by itself.
async fn listed(house: &Opened) -> usize {
    let request = ListBoletosRequest::default();
    let answer = house.shop().boletos.list_boletos(request).await.expect("boletos").into_inner();
    answer.boletos.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_faults_changes_nothing_and_all_of_them_are_told() {
    let (house, file) = opens(House::new(), "").await;
    std::fs::write(&file, "limits.page_size_default = 7\nwork.lanes = 0\nbreaker.failures_maxx = 3")
        .expect("the file");
    let refused = reloads(&house, false).await.expect_err("two faults");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.fields(), ["breaker.failures_maxx", "work.lanes"]);
    std::fs::remove_file(&file).expect("the file goes away");
    let refused = reloads(&house, false).await.expect_err("there is no file");
    assert_eq!(refused.fields(), ["configuration"]);
    // The one good change of the bad file was not taken either.
    std::fs::write(&file, "").expect("the file");
    let answer = reloads(&house, false).await.expect("all is as it was");
    assert!(answer.taken.is_empty() && answer.waiting.is_empty(), "{answer:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_moved_has_other_slots_and_what_waits_for_a_restart_is_told() {
    let every_hour = "[timetable.payment_update]\nevery = \"1h\"\nanchor = \"00:30\"\ntime_zone = \"UTC\"\n";
    let (house, file) = opens(House::new(), every_hour).await;
    let minutes = async |house: &Opened| -> Vec<String> {
        let request = GetScheduleRequest { job: "payment_update".to_owned(), next_max: 4 };
        let answer = house.operator().control.get_schedule(request).await.expect("a schedule").into_inner();
        let next = answer.schedule.expect("a schedule").next;
        next.iter().map(|slot| slot.local_time[14..16].to_owned()).collect()
    };
    assert_eq!(minutes(&house).await, ["30", "30", "30", "30"]);
    let moved = "[timetable.payment_update]\nevery = \"12h\"\nanchor = \"00:47\"\ntime_zone = \"UTC\"\n[work]\nlanes = 2\n";
    std::fs::write(&file, moved).expect("the file");
    let answer = reloads(&house, false).await.expect("a reload");
    assert_eq!(keys(&answer), ["timetable.payment_update.anchor", "timetable.payment_update.every"]);
    assert_eq!(answer.waiting, ["work.lanes"]);
    assert_eq!(minutes(&house).await, ["47", "47", "47", "47"]);
    let again = reloads(&house, false).await.expect("a reload");
    assert!(again.taken.is_empty() && again.waiting == ["work.lanes"], "told for as long as it waits");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_calls_and_streams_are_let_in_as_a_reload_says() {
    let limits = |calls: u32, streams: u32| {
        format!(
            "[api]\nrequests_in_flight_max = {calls}\nstreams_max = {streams}\nstreams_per_caller_max = {streams}\n"
        )
    };
    let (house, file) = opens(House::new(), &limits(1, 1)).await;
    let shop = house.shop();
    house.script().always(Party::BankRegister, Behaviour::Hold);
    let asks = || {
        let shop = house.shop();
        tokio::spawn(async move { shop.creates(a_boleto()).await })
    };
    let mut asked = vec![asks()];
    house.bank().holds(1).await;
    assert_eq!(shop.tries(a_boleto()).await.expect_err("one call").reason(), "TOO_MANY_REQUESTS");

    std::fs::write(&file, limits(2, 2)).expect("the file");
    let answer = reloads(&house, false).await.expect("a reload");
    let taken = ["api.requests_in_flight_max", "api.streams_max", "api.streams_per_caller_max"];
    assert_eq!(keys(&answer), taken);
    assert!(answer.waiting.is_empty(), "{answer:?}");
    asked.push(asks());
    house.bank().holds(2).await;
    assert_eq!(shop.tries(a_boleto()).await.expect_err("two calls").reason(), "TOO_MANY_REQUESTS");
    house.script().clear(Party::BankRegister);
    house.script().release();
    for asked in asked {
        assert_eq!(asked.await.expect("no panic").status(), BoletoStatus::Registered);
    }

    // Fewer again: whoever is in stays, and nobody comes after them.
    let streams = (shop.watches("", "").await.expect("one"), shop.watches("", "").await.expect("another"));
    std::fs::write(&file, limits(2, 1)).expect("the file");
    reloads(&house, false).await.expect("a reload");
    let third = shop.watches("", "").await.expect_err("there are more than there may be");
    assert_eq!(third.reason(), "TOO_MANY_STREAMS");
    drop(streams);
    let _only = eventually("a place is free", async || shop.watches("", "").await.ok()).await;
    assert_eq!(shop.watches("", "").await.expect_err("the only one").reason(), "TOO_MANY_STREAMS");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_run_about_payments_comes_when_a_reload_says() {
    let every = |every: &str| format!("reconciliation.every = \"{every}\"");
    let asking = House::new().without_account().with("reconciliation.enabled", "true");
    let (house, file) = opens(asking, &every("7days")).await;
    let operator = house.operator();
    let account = operator.opens(a_listed_account()).await.expect("an account");
    // Its first run comes by itself, and would be taken for the one that is asked for.
    eventually("the first run", async || (reconciliation::stands(&operator).await.runs > 0).then_some(()))
        .await;
    let hours_until_next = async || {
        let known = reconciliation::run(&operator, &account).await;
        let seconds = |time: Option<prost_types::Timestamp>| time.expect("a time").seconds;
        // The two are taken one after the other.
        (seconds(known.next_run_time) - seconds(known.last_run_time) + 1_800) / 3_600
    };
    assert_eq!(hours_until_next().await, 7 * 24);
    std::fs::write(&file, every("2h")).expect("the file");
    assert_eq!(keys(&reloads(&house, false).await.expect("a reload")), ["reconciliation.every"]);
    assert_eq!(hours_until_next().await, 2);
    house.close().await;
}
