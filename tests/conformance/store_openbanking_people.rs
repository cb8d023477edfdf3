//! What both databases must do about customers and their consents: whose turn it is, what they allow, and what is left of them.

use bursar::domain::ids::{AccountId, PsuUserId, TenantId};
use bursar::domain::openbanking::consent::ConsentStatus;
use bursar::domain::openbanking::pacing::interleaved;
use bursar::store::openbanking::consent::ConsentDraft;
use bursar::store::openbanking::notice::Noticed;
use bursar::store::openbanking::user::{DueOrder, DueUser, UserChange, UserChanged, UserDraft};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::bank_scene::{ATTEMPTS, BankScene, account, consent, later, user};
use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    what_is_brought_in_twice_is_one,
    least_recently_synced_go_first_and_nobody_is_met_twice,
    a_seed_makes_an_order_of_all,
    who_takes_the_permission_back_is_not_asked_about,
    accounts_are_known_by_their_numbers,
    an_owner_is_warned_ahead_and_told_of_the_end_once,
    two_that_look_at_consents_at_once_tell_once,
    a_consent_is_its_customers_and_nobody_elses,
);

async fn put(scene: &BankScene, draft: UserDraft) -> (PsuUserId, bool) {
    let put = scene.store.put_psu_users(&[draft]).await.remove(0).expect("a store");
    (put.id, put.is_written)
}

async fn what_is_brought_in_twice_is_one(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let first = UserDraft { last_synced_at: Some(now()), ..user("anna") };
    assert_eq!(put(&scene, first.clone()).await, (first.id, true));
    assert_eq!(put(&scene, UserDraft { last_synced_at: None, ..user("anna") }).await, (first.id, false));
    assert_eq!(put(&scene, UserDraft { update_offline: false, ..user("anna") }).await, (first.id, true));
    let tenant = TenantId::default();
    let seen = scene.store.psu_user_named(&tenant, "anna").await.expect("a store").expect("a customer");
    assert_eq!((seen.update_offline, seen.last_synced_at, seen.version), (false, first.last_synced_at, 2));

    let draft = consent(first.id, "consent");
    let puts = async |draft: &ConsentDraft| {
        let put = scene.store.put_consents(std::slice::from_ref(draft)).await.remove(0).expect("a store");
        (put.id, put.is_written)
    };
    assert_eq!(puts(&draft).await, (draft.id, true));
    assert_eq!(
        puts(&ConsentDraft { id: consent(first.id, "").id, ..draft.clone() }).await,
        (draft.id, false)
    );
    let ended = ConsentDraft { status: ConsentStatus::Revoked, ..draft.clone() };
    assert_eq!(puts(&ended).await, (draft.id, true));
    assert_eq!(puts(&draft).await, (draft.id, false), "what has ended does not begin again");
    let page = scene.store.consents(&tenant, Some(first.id), None, 10).await.expect("a page");
    assert_eq!(page.iter().map(|one| one.status).collect::<Vec<_>>(), [ConsentStatus::Revoked]);
}

/// Customers with a consent each, synced so many seconds ago.
async fn customers(scene: &BankScene, ago: &[i64]) -> Vec<PsuUserId> {
    let mut ids = Vec::new();
    for (number, ago) in ago.iter().enumerate() {
        let draft = UserDraft {
            last_synced_at: (*ago > 0).then(|| later(now(), -ago)),
            ..user(&format!("customer {number}"))
        };
        let (id, _) = put(scene, draft).await;
        let aspsp = ["a", "b"][number % 2].to_owned();
        scene.puts_consent(ConsentDraft { aspsp, ..consent(id, &format!("consent {number}")) }).await;
        ids.push(id);
    }
    ids
}

/// All whose turn it is, page by page; each of a page is synced before the next is read.
async fn all_due(scene: &BankScene, began: DateTime<Utc>, order: DueOrder, page: i64) -> Vec<DueUser> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let due = scene.store.due_psu_users(began, began, order, after, page).await.expect("a page");
        let Some(last) = due.last() else { return all };
        after = Some((last.place, last.id));
        let ids: Vec<PsuUserId> = due.iter().map(|one| one.id).collect();
        scene.store.psu_users_synced(&ids[..1], later(began, 1)).await.expect("synced");
        all.extend(due);
    }
}

async fn least_recently_synced_go_first_and_nobody_is_met_twice(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let ids = customers(&scene, &[300, 0, 100, 200, 400]).await;
    put(&scene, UserDraft { active: false, ..user("asleep") }).await;
    put(&scene, user("without a consent")).await;
    let (late, _) = put(&scene, user("late")).await;
    let over = ConsentDraft { valid_until: Some(later(now(), -1)), ..consent(late, "over") };
    scene.puts_consent(over).await;
    let all = all_due(&scene, now(), DueOrder::LeastRecentlySynced, 2).await;
    let order = [ids[1], ids[4], ids[0], ids[3], ids[2]];
    assert_eq!(all.iter().map(|one| one.id).collect::<Vec<_>>(), order);
    let banks = interleaved(all, |one| &one.aspsp);
    let banks: Vec<&str> = banks.iter().map(|one| one.aspsp.as_str()).collect();
    assert_eq!(banks, ["b", "a", "b", "a", "a"]);
    let recent = later(now(), -250);
    let due = scene.store.due_psu_users(recent, now(), DueOrder::LeastRecentlySynced, None, 10).await;
    let due: Vec<PsuUserId> = due.expect("a page").into_iter().map(|one| one.id).collect();
    assert_eq!(due, [ids[4]], "the others were synced too lately by now");
}

async fn a_seed_makes_an_order_of_all(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let mut ids = customers(&scene, &[0; 25]).await;
    let began = now();
    let mut orders = Vec::new();
    for seed in [1, 1, 2, u64::MAX] {
        let due = scene.store.due_psu_users(began, began, DueOrder::Shuffled { seed }, None, 100).await;
        orders.push(due.expect("a page").into_iter().map(|one| one.id).collect::<Vec<_>>());
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
    let mut paged: Vec<_> = all_due(&scene, later(began, 10), DueOrder::Shuffled { seed: 2 }, 4)
        .await
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(paged, orders[2]);
    paged.sort_unstable();
    ids.sort_unstable();
    assert_eq!(paged, ids);
}

async fn who_takes_the_permission_back_is_not_asked_about(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let ids = customers(&scene, &[0, 0]).await;
    let began = now();
    let due = scene.store.due_psu_users(began, began, DueOrder::LeastRecentlySynced, None, 10).await;
    assert_eq!(due.expect("a page").len(), 2);
    let change = UserChange {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        external_id: "customer 0".to_owned(),
        update_offline: Some(false),
        active: None,
        request: None,
        reason: "asked for by letter".to_owned(),
        traceparent: None,
        now: now(),
    };
    match scene.store.change_psu_user(&change).await.expect("a store") {
        UserChanged::Done(after) => assert_eq!((after.update_offline, after.version), (false, 2)),
        other => panic!("{other:?}"),
    }
    let batch = scene.store.psu_users_to_sync(&ids).await.expect("a batch");
    assert_eq!(batch.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[1]]);
    let consents = scene.store.valid_consents(&[ids[1]], now()).await.expect("consents");
    assert_eq!(consents.len(), 1);
    let none = scene.store.valid_consents(&[ids[1]], now() + TimeDelta::days(91)).await.expect("consents");
    assert!(none.is_empty(), "never called after its end");
    let audited = scene.texts("select method || ': ' || reason as text from audit").await;
    assert_eq!(audited, ["UpdateUser: asked for by letter"]);
    let nobody = UserChange { id: Uuid::now_v7(), external_id: "nobody".to_owned(), ..change };
    assert_eq!(scene.store.change_psu_user(&nobody).await.expect("a store"), UserChanged::NotFound);
}

async fn accounts_are_known_by_their_numbers(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (user, first, id) = scene.an_account("anna").await;
    let second = scene.consent(user, "another consent").await;
    let mut draft = account(user, second, "PL61 1090 1014 0000 0712 1981 2874");
    draft.resource_id = Some("another name".to_owned());
    let again = scene.store.put_accounts(&[draft, account(user, second, "other")]).await;
    let again: Vec<AccountId> = again.into_iter().map(|one| one.expect("a store")).collect();
    assert_eq!(again[0], id);
    let allowed = scene.store.allowed_accounts(&[first, second]).await.expect("accounts");
    assert_eq!(allowed.len(), 3);
    let names: Vec<_> =
        allowed.iter().filter(|one| one.account.id == id).map(|one| one.resource_id.clone()).collect();
    assert_eq!(names, [Some("resource-1".to_owned()), Some("another name".to_owned())]);
    assert_eq!(allowed[0].privileges, ["ais:getTransactionsDone"]);
    let tenant = TenantId::default();
    assert_eq!(scene.store.accounts_gone(&[id], now()).await.expect("gone"), 1);
    assert!(scene.store.enable_account(&tenant, again[1], false, now()).await.expect("a store"));
    assert!(scene.store.allowed_accounts(&[first, second]).await.expect("accounts").is_empty());
    assert!(scene.store.enable_account(&tenant, id, true, now()).await.expect("a store"));
    assert_eq!(scene.store.allowed_accounts(&[first, second]).await.expect("accounts").len(), 2);
    assert!(
        !scene.store.enable_account(&tenant, AccountId(Uuid::now_v7()), true, now()).await.expect("a store")
    );
}

async fn an_owner_is_warned_ahead_and_told_of_the_end_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let end = now() + TimeDelta::days(90);
    let id = scene.puts_consent(ConsentDraft { valid_until: Some(end), ..consent(user, "consent") }).await;
    scene.puts_consent(ConsentDraft { valid_until: None, ..consent(user, "endless") }).await;
    let looks = async |at| scene.store.notice_consents(at, 100, ATTEMPTS).await.expect("a look");
    let nothing = Noticed::default();
    assert_eq!(looks(end - TimeDelta::days(15)).await, nothing);
    assert_eq!(scene.store.next_consent_notice().await.expect("a store"), Some(end - TimeDelta::days(14)));
    for days in [14, 7, 1] {
        let at = end - TimeDelta::days(days);
        assert_eq!(looks(at).await, Noticed { warned: 1, ..nothing });
        assert_eq!(looks(at).await, nothing, "once");
    }
    assert_eq!(looks(end).await, Noticed { expired: 1, ..nothing });
    assert_eq!(looks(end + TimeDelta::days(1)).await, nothing);
    let expected = ["consent.expiring", "consent.expiring", "consent.expiring", "consent.expired"];
    assert_eq!(scene.news().await, expected);
    let seen = scene.store.consent(&TenantId::default(), id).await.expect("a store").expect("a consent");
    assert_eq!(seen.status, ConsentStatus::Expired);
    assert_eq!(scene.store.next_consent_notice().await.expect("a store"), None);
}

async fn two_that_look_at_consents_at_once_tell_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    for number in 0..10 {
        let valid_until = Some(now() + TimeDelta::days(if number % 2 == 0 { 3 } else { -1 }));
        scene.puts_consent(ConsentDraft { valid_until, ..consent(user, &format!("consent {number}")) }).await;
    }
    let looks = || {
        let store = scene.store.clone();
        tokio::spawn(async move { store.notice_consents(now(), 100, ATTEMPTS).await.expect("a look") })
    };
    let (mut warned, mut expired) = (0, 0);
    for look in [looks(), looks(), looks()] {
        let noticed = look.await.expect("no panic");
        warned += noticed.warned;
        expired += noticed.expired;
    }
    assert_eq!((warned, expired), (5, 5));
    assert_eq!(scene.news().await.len(), 10);
}

async fn a_consent_is_its_customers_and_nobody_elses(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (anna, berta) = (scene.user("anna").await, scene.user("berta").await);
    let of_anna = scene.consent(anna, "consent").await;
    let puts = async |draft| scene.store.put_consents(&[draft]).await.remove(0).expect("a store");
    let draft = ConsentDraft { status: ConsentStatus::Revoked, ..consent(berta, "consent") };
    let put = puts(draft).await;
    assert_eq!((put.id, put.is_written, put.is_anothers), (of_anna, false, true));
    let nobody = consent(PsuUserId(Uuid::now_v7()), "of nobody");
    let put = puts(nobody.clone()).await;
    assert_eq!((put.id, put.is_written, put.is_anothers), (nobody.id, false, false));
    // By a consent of hers nobody else's accounts are allowed, nor by one that there is not.
    for (of, by) in [(berta, of_anna), (anna, nobody.id)] {
        let draft = account(of, by, "number");
        let id = scene.store.put_accounts(std::slice::from_ref(&draft)).await.remove(0).expect("a store");
        assert_eq!(id, draft.id);
    }
    assert_eq!((scene.count("consent").await, scene.count("account").await), (1, 0));
    // The same twice in one group is one, on both databases.
    let twice = [user("carla"), user("carla")];
    let put = scene.store.put_psu_users(&twice).await;
    let ids: Vec<PsuUserId> = put.into_iter().map(|one| one.expect("a store").id).collect();
    assert_eq!(ids, [twice[0].id; 2]);
    let twice = [account(anna, of_anna, "number"), account(anna, of_anna, "number")];
    let put = scene.store.put_accounts(&twice).await;
    let ids: Vec<AccountId> = put.into_iter().map(|one| one.expect("a store")).collect();
    assert_eq!(ids, [twice[0].id; 2]);
}
