//! Customers let their accounts be read while they are away. A run visits each of their banks once, asks for transactions before all
//! else, and whoever asks later sees how fresh everything is; a run that finds nothing new writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use bursar::proto::control::v1::{JobRun, JobRunState};
use bursar::proto::openbanking::v1::api_session;
use bursar::proto::openbanking::v1::freshness;
use bursar::proto::openbanking::v1::{
    ApiCall, EnableAccountRequest, PlanSyncRequest, SyncUserRequest, Transaction, UpdateUserRequest,
};
use bursar::sandbox::{AspspEntry, AspspStep};
use chrono::TimeDelta;
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::customers::{BERLIN, POLISH, iban};
use crate::support::house::{House, Opened, Refusal as _};

const BOTH: [&str; 2] = [BERLIN, POLISH];

/// So many items of one cent, two cents and so on, an hour from each other, the last an hour ago.
fn books(house: &Opened, at: &str, number: &str, items: i64) {
    let now = house.world().aspsp().now();
    for item in 1..=items {
        let made = now - TimeDelta::hours(items + 1 - item);
        house.aspsp(at).put_entry(number, AspspEntry::booked(&format!("item-{item}"), item, made));
    }
}

fn amounts(transactions: &[Transaction]) -> Vec<&str> {
    transactions.iter().map(|transaction| transaction.amount.as_str()).collect()
}

fn count(run: &JobRun, name: &str) -> i64 {
    run.counts.get(name).copied().unwrap_or_default()
}

/// Calls by their visits, in the order in which they were made.
fn by_session(calls: &[ApiCall]) -> BTreeMap<&str, Vec<&str>> {
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    calls.iter().for_each(|call| of.entry(&call.session_id).or_default().push(&call.endpoint));
    of
}

/// The replaced scheduler's own example: five users with two consents each, at two banks, in batches of five.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_users_with_two_consents_make_ten_sessions_within_one_interval() {
    for kind in [Kind::Sqlite, Kind::PostgreSql] {
        let house =
            House::new().on(kind).with_aspsps().with("timetable.sync_update.batch_size", "5").open().await;
        let customers = house.customers();
        for user in 0..5_u32 {
            let name = format!("user-{user}");
            customers.puts(&name).await;
            for (place, at) in (0..).zip(BOTH) {
                let number = iban(user * 2 + place);
                customers.allows(house.world(), &name, at, &[&number]).await;
                books(&house, at, &number, 3);
            }
        }
        // A second batch would begin two minutes later, which nobody here waits for.
        let run = customers.syncs().await;
        assert_eq!((run.state(), run.done, run.total), (JobRunState::Completed, 5, Some(5)), "{run:?}");
        let sessions = customers.sessions(&run).await;
        assert_eq!(sessions.len(), 10);
        let of: BTreeSet<(&str, &str)> =
            sessions.iter().map(|session| (session.user_id.as_str(), session.aspsp.as_str())).collect();
        assert_eq!(of.len(), 10, "one for each user and consent");
        for session in &sessions {
            assert_eq!((session.state(), session.source), (api_session::State::Ok, 3), "{session:?}");
            assert_eq!((session.run_id.as_str(), session.new_transactions), (run.id.as_str(), 3));
        }

        let calls = customers.calls(&run).await;
        for endpoints in by_session(&calls).values() {
            let first = |wanted: &[&str]| endpoints.iter().position(|endpoint| wanted.contains(endpoint));
            let read = first(&["transactions"]).expect("transactions were asked for");
            let rest = first(&["balances", "account_details"]).expect("and so was the rest");
            assert!(read < rest, "transactions come first: {endpoints:?}");
        }
        // Each request of ours is one of the banks' own, under one name, and none of them had anything wrong with it.
        let theirs: BTreeSet<String> =
            house.world().aspsp().calls().into_iter().filter_map(|call| call.request_id).collect();
        let ours: BTreeSet<String> = calls.iter().map(|call| call.request_id.clone()).collect();
        assert_eq!((ours.len(), &ours), (calls.len(), &theirs));
        assert!(calls.iter().all(|call| call.status == Some(200) && call.duration.is_some()), "{calls:?}");
        assert_eq!(house.world().aspsp().complaints(), [""; 0]);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_there_to_the_last_cent_and_says_how_fresh_it_is() {
    let house = House::new().with_aspsps().open().await;
    let customers = house.customers();
    customers.puts("anna").await;
    for (place, at) in (0..).zip(BOTH) {
        let number = iban(place);
        customers.allows(house.world(), "anna", at, &[&number]).await;
        books(&house, at, &number, 120);
    }
    assert!(
        customers.accounts("anna").await.iter().all(|account| account.aspsp == POLISH),
        "told with the consent"
    );
    let run = customers.syncs().await;
    assert_eq!(count(&run, "transactions_new"), 240, "{run:?}");
    for at in BOTH {
        let account = customers.account("anna", at).await;
        let freshness = account.freshness.clone().expect("freshness");
        assert_eq!((freshness.state(), freshness.reason.as_str()), (freshness::State::Fresh, ""));
        assert!(freshness.sync_time.is_some() && !freshness.is_partly_read);
        assert!(account.number.starts_with('*') || account.number.contains("**"), "{}", account.number);
        let booked = customers.booked(&account).await;
        let expected: Vec<String> =
            (1..=120).map(|cents| format!("{}.{:02}", cents / 100, cents % 100)).collect();
        let mut found = amounts(&booked);
        found.sort_by_key(|text| text.replace('.', "").parse::<i64>().expect("an amount"));
        assert_eq!(found, expected, "{at}");
        assert!(booked.is_sorted_by(|one, next| one.booked_on <= next.booked_on));
        let balances = customers.balances(&account).await;
        assert!(balances.iter().any(|balance| balance.amount == "72.60"), "{balances:?}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_finds_nothing_new_writes_no_transaction() {
    for kind in [Kind::Sqlite, Kind::PostgreSql] {
        let house = House::new().on(kind).with_aspsps().open().await;
        let customers = house.customers();
        customers.puts("anna").await;
        for (place, at) in (0..).zip(BOTH) {
            let number = iban(place);
            customers.allows(house.world(), "anna", at, &[&number]).await;
            books(&house, at, &number, 60);
        }
        customers.syncs().await;
        let mut before = Vec::new();
        for at in BOTH {
            before.push(customers.booked(&customers.account("anna", at).await).await);
        }
        let again = customers.syncs().await;
        assert_eq!(again.state(), JobRunState::Completed);
        assert_eq!(count(&again, "transactions_new") + count(&again, "transactions_changed"), 0, "{again:?}");
        for (at, before) in BOTH.into_iter().zip(before) {
            // The moment of the last change is part of it.
            assert_eq!(customers.booked(&customers.account("anna", at).await).await, before, "{at}");
        }

        let new = AspspEntry::booked("item-new", -4_200, house.world().aspsp().now());
        house.aspsp(BERLIN).put_entry(&iban(0), new);
        let third = customers.syncs().await;
        assert_eq!(count(&third, "transactions_new"), 1, "{third:?}");
        let booked = customers.booked(&customers.account("anna", BERLIN).await).await;
        assert_eq!((booked.len(), booked.last().expect("some").amount.as_str()), (61, "-42.00"));
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_customer_is_refreshed_at_once_and_asking_twice_begins_one_run() {
    let house = House::new().with_aspsps().open().await;
    let customers = house.customers();
    for (place, name) in (0..).zip(["anna", "bert"]) {
        customers.puts(name).await;
        customers.allows(house.world(), name, BERLIN, &[&iban(place)]).await;
    }
    let request = SyncUserRequest {
        request_id: "once".to_owned(),
        external_id: "anna".to_owned(),
        reason: "she asked".to_owned(),
    };
    let ask =
        async || customers.syncs.clone().sync_user(request.clone()).await.expect("a run").into_inner().run;
    let (run, same) = (ask().await.expect("a run"), ask().await.expect("a run"));
    assert_eq!(run.id, same.id);
    let ended = customers.sees_end(&run.id).await;
    assert_eq!((ended.state(), ended.done, ended.reason.as_str()), (JobRunState::Completed, 1, "she asked"));
    assert_eq!(customers.accounts("anna").await.len(), 1);
    assert_eq!(customers.accounts("bert").await.len(), 0, "nobody asked for his");
    let nobody = SyncUserRequest { request_id: String::new(), external_id: "nobody".to_owned(), ..request };
    let refused = customers.syncs.clone().sync_user(nobody).await.expect_err("there is nobody of that name");
    assert_eq!(refused.code(), Code::NotFound, "{}", refused.reason());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_their_permission_back_is_left_alone_and_so_is_an_account_that_is_not_wanted() {
    let house = House::new().with_aspsps().open().await;
    let customers = house.customers();
    for (place, name) in (0..).zip(["anna", "bert"]) {
        customers.puts(name).await;
        customers.allows(house.world(), name, POLISH, &[&iban(place)]).await;
    }
    let change = UpdateUserRequest {
        external_id: "anna".to_owned(),
        update_offline: Some(false),
        reason: "she wrote".to_owned(),
        ..UpdateUserRequest::default()
    };
    customers.users.clone().update_user(change).await.expect("a change");
    let account = customers.account("bert", POLISH).await;
    let enable =
        |enabled| EnableAccountRequest { id: account.id.clone(), enabled, reason: "he wrote".to_owned() };
    customers.accounts.clone().enable_account(enable(false)).await.expect("a change");

    let run = customers.syncs().await;
    let sessions = customers.sessions(&run).await;
    assert_eq!(sessions.len(), 1, "nobody asked by anna's consent: {sessions:?}");
    assert_eq!(house.aspsp(POLISH).asked(AspspStep::Transactions), 0);

    customers.accounts.clone().enable_account(enable(true)).await.expect("a change");
    let run = customers.syncs().await;
    assert_eq!(customers.sessions(&run).await[0].state(), api_session::State::Ok);
    assert_eq!(house.aspsp(POLISH).asked(AspspStep::Transactions), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_beforehand_what_a_run_would_ask() {
    let house = House::new().with_aspsps().with("timetable.sync_update.batch_size", "1").open().await;
    let customers = house.customers();
    for (place, name) in (0..).zip(["anna", "bert", "cleo"]) {
        customers.puts(name).await;
        customers.allows(house.world(), name, POLISH, &[&iban(place)]).await;
    }
    let request = PlanSyncRequest::default();
    let plan = customers.syncs.clone().plan_sync(request).await.expect("a plan").into_inner();
    assert_eq!((plan.users, plan.sessions, plan.batches, plan.more), (3, 3, 3, false), "{plan:?}");
    let (begin, last) = (plan.begin_time.expect("a time"), plan.last_batch_time.expect("a time"));
    assert_eq!(last.seconds - begin.seconds, 240, "two intervals of two minutes");
    // Transactions, those that wait, and the account with its balance.
    assert!(plan.calls == 9 && plan.consents_over_budget == 0, "{plan:?}");
    assert_eq!(plan.shares.len(), 1);
    assert!(plan.shares[0].is_configured);
    assert!(house.world().aspsp().calls().is_empty(), "nobody was asked");
    house.close().await;
}
