//! What both databases must do with what banks tell of accounts: double nothing, lose nothing, and write nothing that is known.

use bursar::domain::ids::{AccountId, TenantId};
use bursar::store::openbanking::apply::{Applied, BalanceTold, BookedTold, Counts, PendingTold, Told};
use bursar::store::openbanking::page::{PageDraft, PageKept};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use crate::bank_scene::{BankScene, booked, day, later, told_of};
use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    what_is_new_is_kept_and_what_is_known_is_not_written,
    what_changes_is_changed_and_what_a_bank_leaves_out_stays,
    what_does_not_come_is_missing_until_it_comes_again,
    what_is_pending_is_replaced_as_a_whole,
    balances_and_details_alone_make_nothing_fresh,
    an_unfinished_set_waits_for_its_last_page,
    pages_that_do_not_follow_are_not_kept,
    many_accounts_are_one_group,
    an_account_that_is_gone_takes_nothing,
    two_that_tell_of_one_account_at_once_double_nothing,
    what_is_told_twice_in_one_group_is_taken_over_once,
    two_that_keep_one_page_at_once_keep_it_once,
    a_hundred_deliveries_in_any_shape_double_nothing_and_lose_nothing,
);

fn counts(new: u64, changed: u64, missing: u64, same: u64) -> Counts {
    Counts { new, changed, missing, same, pending_changed: false }
}

fn pending(amount: i64) -> PendingTold {
    PendingTold {
        entered_on: Some(day(20)),
        amount,
        currency: "PLN".to_owned(),
        counterparty: "Shop".to_owned(),
        remittance: "Coffee".to_owned(),
        details: "{}".to_owned(),
    }
}

async fn kept(scene: &BankScene, account: AccountId) -> Vec<BookedTold> {
    let days = (day(1), day(30));
    let kept = scene.store.transactions(&TenantId::default(), account, days, None, 10_000).await;
    kept.expect("a page").into_iter().map(|one| one.told).collect()
}

/// Every row of what is booked and pending, to the last column.
async fn rows(scene: &BankScene) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["account_transaction", "pending_transaction", "balance"] {
        let columns = if scene.database.url.starts_with("postgres") {
            format!("select row_to_json(t)::text as text from {table} t")
        } else {
            let columns =
                scene.texts(&format!("select name as text from pragma_table_info('{table}')")).await;
            let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
            format!("select {} as text from {table}", quoted.join(" || ',' || "))
        };
        rows.extend(scene.texts(&columns).await);
    }
    rows.sort_unstable();
    rows
}

async fn what_is_new_is_kept_and_what_is_known_is_not_written(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let told = vec![booked("a", 1, -500), booked("b", 1, -500), booked("", 2, 12_345)];
    let first = Told {
        pending: Some(vec![pending(-700)]),
        balances: vec![BalanceTold {
            kind: "interimBooked".to_owned(),
            amount: 5,
            currency: "PLN".to_owned(),
            as_of: None,
        }],
        ..told_of(account, told.clone())
    };
    assert_eq!(scene.told(first.clone()).await, Counts { pending_changed: true, ..counts(3, 0, 0, 0) });
    let before = rows(&scene).await;
    assert_eq!(before.len(), 5);
    let again = Told { now: later(first.now, 60), ..first };
    assert_eq!(scene.told(again.clone()).await, counts(0, 0, 0, 3));
    assert_eq!(rows(&scene).await, before, "not a row was written, or it would say when");
    let seen =
        scene.store.account(&TenantId::default(), account).await.expect("a store").expect("an account");
    assert_eq!((seen.synced_at, seen.synced_through), (Some(again.now), Some(day(30))));
    assert!(kept(&scene, account).await == told);
}

async fn what_changes_is_changed_and_what_a_bank_leaves_out_stays(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let full = BookedTold { balance_after: Some(99_000), value_on: Some(day(2)), ..booked("a", 1, -500) };
    scene.told(told_of(account, vec![full.clone()])).await;
    let bare = BookedTold { counterparty: " ".to_owned(), ..booked("a", 1, -500) };
    assert_eq!(scene.told(told_of(account, vec![bare])).await, counts(0, 0, 0, 1));
    let other = BookedTold { remittance: "Coffee, card 1".to_owned(), ..booked("a", 1, -500) };
    assert_eq!(scene.told(told_of(account, vec![other.clone()])).await, counts(0, 1, 0, 0));
    let after = BookedTold { remittance: other.remittance, ..full };
    assert!(kept(&scene, account).await == [after]);
}

async fn what_does_not_come_is_missing_until_it_comes_again(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    scene.told(told_of(account, vec![booked("a", 1, -500), booked("b", 20, -600)])).await;
    let late = |booked| Told { booked: Some((day(10), day(30), booked)), ..told_of(account, vec![]) };
    assert_eq!(scene.told(late(vec![])).await, counts(0, 0, 1, 0), "of the first nothing was asked");
    let missing = "select count(*) || '' as text from account_transaction where missing_since_us is not null";
    assert_eq!(scene.texts(missing).await, ["1"]);
    let before = rows(&scene).await;
    assert_eq!(scene.told(late(vec![])).await, counts(0, 0, 1, 0));
    assert_eq!(rows(&scene).await, before, "what is missing is not said twice");
    assert_eq!(scene.told(late(vec![booked("b", 20, -600)])).await, counts(0, 1, 0, 0));
    assert_eq!(scene.texts(missing).await, ["0"]);
    assert_eq!(kept(&scene, account).await.len(), 2);
}

async fn what_is_pending_is_replaced_as_a_whole(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let tells = |amounts: &[i64]| Told {
        pending: Some(amounts.iter().map(|amount| pending(*amount)).collect()),
        ..told_of(account, vec![])
    };
    let amounts = async || -> Vec<i64> {
        let told = scene.store.pending_transactions(&TenantId::default(), account).await.expect("a store");
        told.iter().map(|one| one.amount).collect()
    };
    assert!(!scene.told(tells(&[])).await.pending_changed, "nothing in the place of nothing");
    assert!(scene.told(tells(&[-1, -2, -2])).await.pending_changed);
    assert_eq!(amounts().await, [-1, -2, -2]);
    assert!(!scene.told(tells(&[-2, -1, -2])).await.pending_changed, "another order is no other snapshot");
    assert!(scene.told(tells(&[-2])).await.pending_changed);
    assert_eq!(amounts().await, [-2]);
    assert!(scene.told(tells(&[])).await.pending_changed);
    assert!(amounts().await.is_empty());
}

async fn balances_and_details_alone_make_nothing_fresh(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let stale = [(account, "rate_limited: asked too often".to_owned())];
    assert_eq!(scene.store.accounts_stale(&stale, now()).await.expect("a store"), 1);
    assert_eq!(scene.store.accounts_stale(&stale, now()).await.expect("a store"), 0, "said before");
    let balance = |amount| BalanceTold {
        kind: "expected".to_owned(),
        amount,
        currency: "PLN".to_owned(),
        as_of: Some(now()),
    };
    let details = Told {
        booked: None,
        balances: vec![balance(1), balance(2)],
        details: Some("{\"product\":\"Konto\"}".to_owned()),
        ..told_of(account, vec![])
    };
    scene.told(details).await;
    let tenant = TenantId::default();
    let seen = scene.store.account(&tenant, account).await.expect("a store").expect("an account");
    assert_eq!((seen.synced_at, seen.details.as_deref()), (None, Some("{\"product\":\"Konto\"}")));
    assert_eq!(seen.stale.expect("stale").0, "rate_limited: asked too often");
    let balances = scene.store.balances(&tenant, account).await.expect("a store");
    assert_eq!(balances.iter().map(|told| told.amount).collect::<Vec<_>>(), [2], "the last of one kind");
    scene.told(told_of(account, vec![])).await;
    let seen = scene.store.account(&tenant, account).await.expect("a store").expect("an account");
    assert!(seen.stale.is_none() && seen.synced_at.is_some());
}

fn page(account: AccountId, number: i64, cursor: &str, booked: Vec<BookedTold>) -> PageDraft {
    PageDraft {
        tenant_id: TenantId::default(),
        account_id: account,
        number,
        from: day(1),
        until: day(30),
        next_cursor: cursor.to_owned(),
        booked,
        pending: vec![],
        now: now(),
    }
}

async fn an_unfinished_set_waits_for_its_last_page(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let tenant = TenantId::default();
    for (number, cursor, id) in [(0, "page-2", "a"), (1, "page-3", "b")] {
        let kept =
            scene.store.keep_account_page(&page(account, number, cursor, vec![booked(id, 1, -1)])).await;
        assert_eq!(kept.expect("a store"), PageKept::Kept);
    }
    assert!(kept(&scene, account).await.is_empty(), "nothing is read by half");
    let seen = scene.store.account(&tenant, account).await.expect("a store").expect("an account");
    let unfinished = seen.unfinished.expect("unfinished");
    assert_eq!((unfinished.cursor.as_str(), unfinished.from, unfinished.until), ("page-3", day(1), day(30)));
    let pages = scene.store.kept_account_pages(&tenant, account).await.expect("pages");
    let cursors: Vec<&str> = pages.iter().map(|page| page.next_cursor.as_str()).collect();
    assert_eq!(cursors, ["page-2", "page-3"]);
    assert!(pages.iter().all(|page| page.pending.is_empty()));
    let mut read: Vec<_> = pages.into_iter().flat_map(|page| page.booked).collect();
    assert_eq!(read.len(), 2);
    read.push(booked("c", 2, -1));
    assert_eq!(scene.told(told_of(account, read)).await, counts(3, 0, 0, 0));
    let seen = scene.store.account(&tenant, account).await.expect("a store").expect("an account");
    assert_eq!(seen.unfinished, None);
    assert_eq!(scene.store.kept_account_pages(&tenant, account).await.expect("pages").len(), 0);
}

async fn pages_that_do_not_follow_are_not_kept(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let keeps = async |number: i64, id: &str| {
        let kept =
            scene.store.keep_account_page(&page(account, number, "next", vec![booked(id, 1, -1)])).await;
        kept.expect("a store")
    };
    assert_eq!(keeps(1, "b").await, PageKept::OutOfOrder);
    assert_eq!(keeps(0, "a").await, PageKept::Kept);
    assert_eq!(keeps(1, "b").await, PageKept::Kept);
    assert_eq!(keeps(1, "b").await, PageKept::OutOfOrder, "it has come before");
    assert_eq!(keeps(0, "z").await, PageKept::Kept, "begun anew");
    let tenant = TenantId::default();
    assert_eq!(scene.store.kept_account_pages(&tenant, account).await.expect("pages").len(), 1);
    scene.store.forget_account_pages(&tenant, account).await.expect("forgotten");
    assert_eq!(scene.store.kept_account_pages(&tenant, account).await.expect("pages").len(), 0);
    let nobody = scene.store.keep_account_page(&page(AccountId(Uuid::now_v7()), 0, "x", vec![])).await;
    assert_eq!(nobody.expect("a store"), PageKept::Gone);
}

async fn many_accounts_are_one_group(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    let mut told = Vec::new();
    for number in 0..20 {
        let account = scene.account(user, consent, &format!("PL{number:026}")).await;
        // More rows than a statement takes.
        let booked = (0..120).map(|place| booked(&format!("{number}-{place}"), place % 28 + 1, -1)).collect();
        told.push(told_of(account, booked));
    }
    for (round, expected) in [(0, counts(120, 0, 0, 0)), (1, counts(0, 0, 0, 120))] {
        for applied in scene.store.apply_told(&told).await {
            assert_eq!(applied.expect("a store"), Applied::Done(expected), "round {round}");
        }
    }
}

async fn an_account_that_is_gone_takes_nothing(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let nobody = told_of(AccountId(Uuid::now_v7()), vec![booked("a", 1, -1)]);
    let others = Told {
        tenant_id: TenantId::parse("other").expect("a tenant"),
        ..told_of(account, vec![booked("a", 1, -1)])
    };
    let applied = scene.store.apply_told(&[nobody, others]).await;
    for one in applied {
        assert_eq!(one.expect("a store"), Applied::Gone);
    }
    assert!(kept(&scene, account).await.is_empty());
}

async fn two_that_tell_of_one_account_at_once_double_nothing(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    let told = told_of(account, (0..50).map(|place| booked("", place % 28 + 1, i64::from(place))).collect());
    let tell = || {
        let (store, told) = (scene.store.clone(), told.clone());
        tokio::spawn(async move { store.apply_told(&[told]).await.remove(0).expect("a store") })
    };
    let both = [tell(), tell()];
    let mut new = 0;
    for one in both {
        let Applied::Done(counts) = one.await.expect("no panic") else { panic!("it is there") };
        new += counts.new;
    }
    assert_eq!(new, 50);
    assert_eq!(kept(&scene, account).await.len(), 50);
}

async fn what_is_told_twice_in_one_group_is_taken_over_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (user, by, one) = scene.an_account("anna").await;
    let other = scene.account(user, by, "another").await;
    let told = |account, ids: &[&str]| told_of(account, ids.iter().map(|id| booked(id, 1, -1)).collect());
    // Two consents show the same account, and their visits end at once.
    let group = [told(one, &["a", "b"]), told(other, &["z"]), told(one, &["a", "b", "c"])];
    let group = group.map(|told| Told { pending: Some(vec![pending(-5)]), ..told });
    let mut applied = Vec::new();
    for outcome in scene.store.apply_told(&group).await {
        match outcome.expect("a store") {
            Applied::Done(counts) => applied.push((counts.new, counts.same, counts.pending_changed)),
            Applied::Gone => panic!("it is there"),
        }
    }
    assert_eq!(applied, [(2, 0, true), (1, 0, true), (1, 2, false)]);
    assert_eq!((scene.count("account_transaction").await, scene.count("pending_transaction").await), (4, 2));
}

async fn two_that_keep_one_page_at_once_keep_it_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (.., account) = scene.an_account("anna").await;
    for number in 0..10 {
        let keep = || {
            let (store, page) =
                (scene.store.clone(), page(account, number, "next", vec![booked("a", 1, -1)]));
            tokio::spawn(async move { store.keep_account_page(&page).await.expect("a store") })
        };
        let both = [keep(), keep()];
        let mut kept = Vec::new();
        for one in both {
            kept.push(one.await.expect("no panic"));
        }
        // The first begins the set anew, whoever was there.
        let expected = if number == 0 { 2 } else { 1 };
        assert_eq!(kept.iter().filter(|one| **one == PageKept::Kept).count(), expected, "page {number}");
    }
    assert_eq!(scene.count("account_page").await, 10);
}

/// How a bank tells the same day once more.
#[derive(Debug, Clone)]
struct Retelling {
    /// The first days that are asked about.
    from: u32,
    /// Which of the ids are blank, which are others than before.
    blank: Vec<bool>,
    reissued: Vec<bool>,
    backwards: bool,
    /// The first page comes twice.
    repeats: bool,
}

fn retellings() -> impl Strategy<Value = Vec<Retelling>> {
    let one = (
        1_u32..10,
        prop::collection::vec(any::<bool>(), 12),
        prop::collection::vec(any::<bool>(), 12),
        any::<bool>(),
        any::<bool>(),
    );
    let one = one.prop_map(|(from, blank, reissued, backwards, repeats)| Retelling {
        from,
        blank,
        reissued,
        backwards,
        repeats,
    });
    prop::collection::vec(one, 10)
}

/// Ten times ten.
async fn a_hundred_deliveries_in_any_shape_double_nothing_and_lose_nothing(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for case in 0..10 {
        let (.., account) = scene.an_account(&format!("customer {case}")).await;
        let strategy = (prop::collection::vec((1_u32..10, 1_i64..4), 12), retellings());
        let (truth, retellings) = strategy.new_tree(&mut runner).expect("a case").current();
        let truth: Vec<BookedTold> = truth
            .iter()
            .zip(0..)
            .map(|((day, amount), place)| booked(&format!("id-{place}"), *day, *amount))
            .collect();
        scene.told(told_of(account, truth.clone())).await;
        for (round, how) in retellings.iter().enumerate() {
            let told = retold(&truth, how, round);
            let asked = Told { booked: Some((day(how.from), day(30), told)), ..told_of(account, vec![]) };
            let counts = scene.told(asked).await;
            assert_eq!((counts.new, counts.missing), (0, 0), "{how:?} of {case}");
        }
        let mut kept: Vec<_> =
            kept(&scene, account).await.iter().map(|one| (one.booked_on, one.amount)).collect();
        let mut expected: Vec<_> = truth.iter().map(|one| (one.booked_on, one.amount)).collect();
        kept.sort_unstable();
        expected.sort_unstable();
        assert_eq!(kept, expected);
    }
}

fn retold(truth: &[BookedTold], how: &Retelling, round: usize) -> Vec<BookedTold> {
    let mut told: Vec<BookedTold> = truth
        .iter()
        .enumerate()
        .filter(|(_, one)| one.booked_on >= day(how.from))
        .map(|(place, one)| {
            let id = match (how.blank[place], how.reissued[place]) {
                (true, _) => " ".to_owned(),
                (_, true) => format!("round {round} id-{place}"),
                _ => one.bank_ids[0].clone(),
            };
            BookedTold { bank_ids: vec![id], ..one.clone() }
        })
        .collect();
    if how.backwards {
        told.reverse();
    }
    if how.repeats {
        // Only what has an id can be known to have come before.
        let again: Vec<_> = told.iter().filter(|one| one.bank_ids[0] != " ").take(3).cloned().collect();
        told.extend(again);
    }
    told
}
