//! Banks tell the same thing in many ways: what waited is booked under another name, names are blank or new every time, two purchases are
//! the same to the last letter, pages come twice or empty or lead back to themselves. Nothing is doubled by it, and nothing lost.

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::{Account, Transaction, api_session, freshness};
use bursar::sandbox::{AspspEntry, AspspIds, AspspRules, AspspStep, Behaviour, PageTrap};
use chrono::TimeDelta;

use crate::support::database::Kind;
use crate::support::house::customers::{Allowed, BERLIN, POLISH, iban};
use crate::support::house::{House, Opened};

const BOTH: [&str; 2] = [BERLIN, POLISH];

/// A customer with one account at a bank of small pages.
async fn opens(kind: Kind, at: &'static str) -> (Opened, Allowed, String) {
    let house = House::new().on(kind).with_aspsps().open().await;
    house.aspsp(at).set_rules(AspspRules { page_size: 4, ..AspspRules::default() });
    let number = iban(7);
    house.customers().puts("anna").await;
    let allowed = house.customers().allows(house.world(), "anna", at, &[&number]).await;
    (house, allowed, number)
}

fn entry(house: &Opened, item: i64) -> AspspEntry {
    let made = house.world().aspsp().now() - TimeDelta::hours(40 - item);
    AspspEntry::booked(&format!("item-{item}"), item, made)
}

/// What is booked, as whoever reads it finds it, and what there is no more of at the bank.
async fn booked(house: &Opened, at: &str) -> (Account, Vec<Transaction>) {
    let customers = house.customers();
    let account = customers.account("anna", at).await;
    let booked = customers.booked(&account).await;
    (account, booked.into_iter().filter(|transaction| transaction.missing_since_time.is_none()).collect())
}

fn cents(transactions: &[Transaction]) -> Vec<i64> {
    let cents = |text: &str| text.replace('.', "").parse::<i64>().expect("an amount");
    let mut all: Vec<i64> = transactions.iter().map(|transaction| cents(&transaction.amount)).collect();
    all.sort_unstable();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_a_picture_that_the_next_one_replaces_and_is_booked_once() {
    for at in BOTH {
        let (house, _, number) = opens(Kind::Sqlite, at).await;
        let customers = house.customers();
        let now = house.world().aspsp().now();
        let books_at = now + TimeDelta::minutes(30);
        house.aspsp(at).put_entry(&number, AspspEntry::pending("coffee", -450, now, books_at));
        house
            .aspsp(at)
            .put_entry(&number, AspspEntry::pending("petrol", -9_000, now, now + TimeDelta::days(9)));
        customers.syncs().await;
        let (account, before) = booked(&house, at).await;
        let waiting = customers.pending(&account).await;
        assert_eq!((before.len(), waiting.len()), (0, 2), "{at}");

        // One is booked, the other is never heard of again.
        house.world().aspsp().move_on(std::time::Duration::from_secs(3_600));
        house.aspsp(at).take_entry(&number, "petrol");
        for _ in 0..2 {
            customers.syncs().await;
            let (account, now) = booked(&house, at).await;
            assert_eq!((cents(&now), customers.pending(&account).await.len()), (vec![-450], 0), "{at}");
        }
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn true_twins_are_two_and_names_that_are_blank_missing_or_new_make_nobody_double() {
    for (kind, at) in [(Kind::Sqlite, BERLIN), (Kind::PostgreSql, POLISH)] {
        for names in [
            [AspspIds::Stable, AspspIds::Blank, AspspIds::Stable],
            [AspspIds::Blank, AspspIds::Absent, AspspIds::Blank],
            [AspspIds::Reissued(1), AspspIds::Reissued(2), AspspIds::Reissued(3)],
        ] {
            let (house, _, number) = opens(kind, at).await;
            for item in [1, 2, 2, 2, 3, 4, 4, 5] {
                house.aspsp(at).put_entry(&number, entry(&house, item));
            }
            for (round, ids) in names.into_iter().enumerate() {
                house.aspsp(at).set_ids(&number, ids);
                let run = house.customers().syncs().await;
                assert_eq!(run.state(), JobRunState::Completed);
                let (_, now) = booked(&house, at).await;
                assert_eq!(cents(&now), [1, 2, 2, 2, 3, 4, 4, 5], "round {round} of {names:?} at {at}");
            }
            house.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_come_twice_or_empty_are_read_to_the_end() {
    for (kind, at) in [(Kind::PostgreSql, BERLIN), (Kind::Sqlite, POLISH)] {
        for trap in
            [PageTrap::Repeated { page: 1 }, PageTrap::Repeated { page: 2 }, PageTrap::Empty { page: 1 }]
        {
            let (house, allowed, number) = opens(kind, at).await;
            (1..=15).for_each(|item| house.aspsp(at).put_entry(&number, entry(&house, item)));
            house.aspsp(at).set_trap(&number, Some(trap.clone()));
            let run = house.customers().syncs().await;
            let session = house.customers().session(&run, &allowed).await.expect("a visit");
            assert_eq!(session.state(), api_session::State::Ok, "{trap:?} at {at}: {session:?}");
            let (account, now) = booked(&house, at).await;
            assert_eq!(cents(&now), (1..=15).collect::<Vec<_>>(), "{trap:?} at {at}");
            assert_eq!(account.freshness.expect("freshness").state(), freshness::State::Fresh);
            house.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_leads_astray_or_breaks_off_moves_nothing_and_is_whole_the_next_time() {
    for at in BOTH {
        let (house, allowed, number) = opens(Kind::Sqlite, at).await;
        let customers = house.customers();
        (1..=5).for_each(|item| house.aspsp(at).put_entry(&number, entry(&house, item)));
        customers.syncs().await;
        (6..=15).for_each(|item| house.aspsp(at).put_entry(&number, entry(&house, item)));

        house.aspsp(at).set_trap(&number, Some(PageTrap::NextIsSelf { page: 1 }));
        let run = customers.syncs().await;
        let session = customers.session(&run, &allowed).await.expect("a visit");
        assert_eq!(session.state(), api_session::State::Failed, "{session:?}");
        let (account, now) = booked(&house, at).await;
        assert_eq!(cents(&now), [1, 2, 3, 4, 5], "half a set moves nothing");
        let freshness = account.freshness.expect("freshness");
        assert_eq!(freshness.state(), freshness::State::Stale, "{freshness:?}");
        assert!(!freshness.reason.is_empty() && freshness.sync_time.is_some(), "{freshness:?}");

        // Then the bank says something that nobody can read, in the middle of the set.
        house.aspsp(at).set_trap(&number, None);
        house.aspsp(at).once(AspspStep::Transactions, Behaviour::Normal);
        house.aspsp(at).once(AspspStep::Transactions, Behaviour::Garbage);
        customers.syncs().await;
        assert_eq!(cents(&booked(&house, at).await.1), [1, 2, 3, 4, 5]);

        customers.syncs().await;
        let (account, now) = booked(&house, at).await;
        assert_eq!(cents(&now), (1..=15).collect::<Vec<_>>(), "{at}");
        assert_eq!(account.freshness.expect("freshness").state(), freshness::State::Fresh);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bank_takes_back_is_marked_and_not_forgotten() {
    let (house, _, number) = opens(Kind::Sqlite, BERLIN).await;
    let customers = house.customers();
    (1..=3).for_each(|item| house.aspsp(BERLIN).put_entry(&number, entry(&house, item)));
    customers.syncs().await;
    house.aspsp(BERLIN).take_entry(&number, "item-2");
    customers.syncs().await;
    let (account, now) = booked(&house, BERLIN).await;
    assert_eq!(cents(&now), [1, 3]);
    assert_eq!(cents(&customers.booked(&account).await), [1, 2, 3], "it is still there to be read");
    house.close().await;
}
