//! What both databases must do when a customer is to be forgotten: nothing of theirs is found in any table, whatever was known of
//! them, and whoever is at their bank at that moment brings nothing of it back.

use bursar::domain::ids::{AccountId, ConsentId, PsuUserId, TenantId};
use bursar::domain::openbanking::account::AccountKey;
use bursar::domain::openbanking::payment::{PaymentKind, PaymentState};
use bursar::store::openbanking::account::AccountDraft;
use bursar::store::openbanking::apply::{Applied, BalanceTold, BookedTold, PendingTold, Told};
use bursar::store::openbanking::back_off::BackOff;
use bursar::store::openbanking::consent::ConsentDraft;
use bursar::store::openbanking::erase::{UserErased, UserErasure};
use bursar::store::openbanking::page::{PageDraft, PageKept};
use bursar::store::openbanking::payment::PaymentDraft;
use bursar::store::openbanking::session::{SessionEnd, VisitState};
use bursar::store::request_key::RequestKey;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::bank_scene::{
    ATTEMPTS, BANK, BankScene, account, booked, consent, day, payment, tokens, told_of, visit,
};
use crate::on_both_databases;
use crate::store_openbanking_payments::answer;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    an_erased_customer_is_found_in_no_table,
    what_is_the_owners_stays_without_a_name,
    a_visit_that_goes_on_brings_nothing_back,
    a_visit_at_the_same_moment_leaves_nothing_behind,
    a_customer_is_erased_once,
);

/// In every text of hers there is this, and in no other.
const HERS: &str = "annas";

fn erasure(name: &str) -> UserErasure {
    UserErasure {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        external_id: name.to_owned(),
        request: None,
        reason: "asked for by letter".to_owned(),
        traceparent: None,
        now: now(),
    }
}

async fn erase(scene: &BankScene, name: &str) -> UserErased {
    scene.store.erase_psu_user(&erasure(name)).await.expect("a store")
}

fn hers(what: &str) -> String {
    format!("{HERS} {what}")
}

fn hers_account(of: PsuUserId, by: ConsentId) -> AccountDraft {
    AccountDraft {
        key: AccountKey { number: hers("number"), currency: "PLN".to_owned() },
        name: Some(hers("savings")),
        resource_id: Some(hers("resource")),
        ..account(of, by, "another")
    }
}

fn hers_told(on: AccountId) -> Told {
    let booked = BookedTold {
        counterparty: hers("shop"),
        remittance: hers("coffee"),
        details: format!("{{\"iban\":\"{HERS}\"}}"),
        ..booked(&hers("id"), 1, -500)
    };
    let pending = PendingTold {
        entered_on: None,
        amount: -1,
        currency: "PLN".to_owned(),
        counterparty: hers("baker"),
        remittance: hers("bread"),
        details: format!("{{\"iban\":\"{HERS}\"}}"),
    };
    let balance = BalanceTold { kind: hers("balance"), amount: 7, currency: "PLN".to_owned(), as_of: None };
    Told {
        pending: Some(vec![pending]),
        balances: vec![balance],
        details: Some(format!("{{\"owner\":\"{HERS}\"}}")),
        ..told_of(on, vec![booked])
    }
}

fn hers_page(on: AccountId) -> PageDraft {
    PageDraft {
        tenant_id: TenantId::default(),
        account_id: on,
        number: 0,
        from: day(1),
        until: day(30),
        next_cursor: hers("cursor"),
        booked: vec![BookedTold { remittance: hers("page"), ..booked("b", 2, -1) }],
        pending: vec![],
        now: now(),
    }
}

/// Everything that can be known of a customer.
async fn known(scene: &BankScene) -> (PsuUserId, ConsentId, AccountId) {
    let store = &scene.store;
    let user = scene.user(&hers("name")).await;
    let by = scene.consent(user, &hers("consent")).await;
    store.keep_tokens(by, 0, &tokens(HERS), now()).await.expect("kept");
    let on = store.put_accounts(&[hers_account(user, by)]).await.remove(0).expect("an account");
    scene.told(hers_told(on)).await;
    assert_eq!(store.keep_account_page(&hers_page(on)).await.expect("a store"), PageKept::Kept);
    store.accounts_stale(&[(on, hers("reason"))], now()).await.expect("stale");
    let back_off = BackOff {
        consent_id: by,
        tenant_id: TenantId::default(),
        aspsp: BANK.to_owned(),
        endpoint: "transactions".to_owned(),
        blocked_until: now() + TimeDelta::days(1),
        reason: hers("words"),
        set_at: now(),
    };
    store.set_back_offs(&[back_off]).await.expect("set");
    let mut ends_soon = consent(user, &hers("other consent"));
    ends_soon.valid_until = Some(now() + TimeDelta::days(1));
    scene.puts_consent(ends_soon).await;
    store.notice_consents(now(), 10, ATTEMPTS).await.expect("a look");
    let visit = visit(user, by, Uuid::now_v7());
    store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
    let end = SessionEnd {
        id: visit.id,
        state: VisitState::Failed,
        reason: Some("unavailable: no answer".to_owned()),
        news: 0,
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    };
    assert!(store.close_api_sessions(&[end]).await.remove(0).expect("a store"));
    (user, by, on)
}

async fn hers_left(scene: &BankScene) -> Vec<String> {
    scene.database.everything().await.into_iter().filter(|row| row.contains(HERS)).collect()
}

async fn an_erased_customer_is_found_in_no_table(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (anna, by, on) = known(&scene).await;
    let (_, _, others) = scene.an_account("berta").await;
    scene.told(told_of(others, vec![booked("b", 1, -500)])).await;
    let of_anna =
        |name: &str| PaymentDraft { user_id: Some(anna), reference_id: Some(hers("order")), ..payment(name) };
    scene.tracks(of_anna("open")).await;
    let done = scene.tracks(of_anna("done")).await;
    scene.store.settle_payments(&[answer(done, "ACSC")]).await.remove(0).expect("a store");
    // Some of it has been told, and some has not.
    assert_eq!(scene.delivers().await, 3);
    let late = scene.tracks(of_anna("late")).await;
    scene.store.settle_payments(&[answer(late, "RJCT")]).await.remove(0).expect("a store");
    let tables: std::collections::BTreeSet<String> = hers_left(&scene)
        .await
        .iter()
        .map(|row| row.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    let expected = [
        "account",
        "account_page",
        "account_transaction",
        "back_off",
        "balance",
        "consent",
        "consent_account",
        "consent_token",
        "payment",
        "pending_transaction",
        "psu_user",
        "subject_event",
    ];
    assert_eq!(tables.iter().map(String::as_str).collect::<Vec<_>>(), expected, "there is much to erase");
    assert_eq!(erase(&scene, &hers("name")).await, UserErased::Done);
    assert!(hers_left(&scene).await.is_empty(), "{:?}", hers_left(&scene).await);
    // Not by their numbers either, but for what is kept for a time and the record of it.
    let mut left: Vec<String> = Vec::new();
    for row in scene.database.everything().await {
        let compact = row.replace('-', "").to_lowercase();
        let names = [by.0, on.0].map(|id| id.simple().to_string());
        if names.iter().any(|name| compact.contains(name)) {
            left.push(row.split(' ').next().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(left, ["api_session"]);
    assert!(scene.bodies().await.is_empty(), "what was not told yet is not told any more");
    assert_eq!((scene.count("account").await, scene.count("consent").await), (1, 1), "the other customer's");
    assert_eq!(scene.count("account_transaction").await, 1);
    let names = scene.texts("select external_id as text from psu_user order by external_id").await;
    assert_eq!(names, ["berta".to_owned(), format!("erased:{anna}")]);
}

async fn what_is_the_owners_stays_without_a_name(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (anna, ..) = known(&scene).await;
    let bundle = PaymentDraft { kind: PaymentKind::Bundle, user_id: Some(anna), ..payment("bundle") };
    let bundle = scene.tracks(bundle).await;
    let child = PaymentDraft { parent_id: Some(bundle), user_id: Some(anna), ..payment("child") };
    let child = scene.tracks(child).await;
    assert_eq!(erase(&scene, &hers("name")).await, UserErased::Done);
    for id in [bundle, child] {
        let seen = scene.payment(id).await;
        assert_eq!((seen.state, seen.user_id, &seen.reference_id), (PaymentState::InProgress, None, &None));
        assert!(seen.token_sealed.is_some(), "it is followed to its end");
    }
    let answers = [answer(child, "ACSC"), answer(bundle, "PART")];
    for one in scene.store.settle_payments(&answers).await {
        one.expect("a store");
    }
    let bodies = scene.bodies().await;
    assert_eq!(bodies.len(), 2, "of its end its owner is told");
    assert!(bodies.iter().all(|(_, body)| !body.to_string().contains(HERS)));
}

/// Somebody is at her bank when she is erased, and does not know it.
async fn a_visit_that_goes_on_brings_nothing_back(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (anna, by, on) = known(&scene).await;
    assert_eq!(erase(&scene, &hers("name")).await, UserErased::Done);
    let before = scene.database.everything().await;
    let store = &scene.store;
    let again = hers_account(anna, by);
    let id = store.put_accounts(std::slice::from_ref(&again)).await.remove(0).expect("a store");
    for account in [on, id] {
        let applied = store.apply_told(&[hers_told(account)]).await.remove(0).expect("a store");
        assert_eq!(applied, Applied::Gone);
        assert_eq!(store.keep_account_page(&hers_page(account)).await.expect("a store"), PageKept::Gone);
    }
    let draft = consent(anna, &hers("third consent"));
    assert!(!store.put_consents(&[draft]).await.remove(0).expect("a store").is_written);
    assert_eq!(store.keep_tokens(by, 1, &tokens(HERS), now()).await.expect("a store"), None);
    assert_eq!(store.accounts_stale(&[(on, hers("reason"))], now()).await.expect("a store"), 0);
    assert_eq!(scene.database.everything().await, before);
    // A payment is the owner's, and is followed all the same; nobody's from now on.
    let late = PaymentDraft { user_id: Some(anna), reference_id: Some(hers("order")), ..payment("late") };
    let late = scene.payment(scene.tracks(late).await).await;
    assert_eq!((late.state, late.user_id, late.reference_id), (PaymentState::InProgress, None, None));
}

async fn a_visit_at_the_same_moment_leaves_nothing_behind(kind: Kind) {
    let scene = BankScene::set(kind).await;
    for number in 0..20 {
        let name = hers(&number.to_string());
        let user = scene.user(&name).await;
        let by = scene.consent(user, &name).await;
        let store = scene.store.clone();
        let visits = tokio::spawn(async move {
            let another = ConsentDraft { user_id: user, ..consent(user, &hers(&format!("late {number}"))) };
            store.put_consents(&[another]).await.remove(0).expect("a store");
            let on = store.put_accounts(&[hers_account(user, by)]).await.remove(0).expect("a store");
            store.apply_told(&[hers_told(on)]).await.remove(0).expect("a store");
        });
        let store = scene.store.clone();
        let tracks = tokio::spawn(async move {
            let name = format!("late {number}");
            let late =
                PaymentDraft { user_id: Some(user), reference_id: Some(hers("order")), ..payment(&name) };
            store.track_payments(&[late]).await.remove(0).expect("a store");
        });
        let store = scene.store.clone();
        let erases = tokio::spawn(async move { store.erase_psu_user(&erasure(&name)).await });
        visits.await.expect("no panic");
        tracks.await.expect("no panic");
        assert_eq!(erases.await.expect("no panic").expect("nobody was sacrificed"), UserErased::Done);
    }
    assert!(hers_left(&scene).await.is_empty(), "{:?}", hers_left(&scene).await);
    let named = "select external_id as text from payment where user_id is not null";
    assert!(scene.texts(named).await.is_empty() && scene.count("payment").await == 20);
}

async fn a_customer_is_erased_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let (anna, ..) = known(&scene).await;
    let request = |body: &[u8]| {
        Some(RequestKey {
            tenant_id: TenantId::default(),
            method: "EraseUser",
            request_id: "once".to_owned(),
            body_hash: body.to_vec(),
        })
    };
    let asked = UserErasure { request: request(b"a"), ..erasure(&hers("name")) };
    let erases = async |asked: &UserErasure| scene.store.erase_psu_user(asked).await.expect("a store");
    assert_eq!(erases(&asked).await, UserErased::Done);
    assert_eq!(erases(&UserErasure { id: Uuid::now_v7(), ..asked.clone() }).await, UserErased::Before);
    let other = UserErasure { id: Uuid::now_v7(), request: request(b"b"), ..asked };
    assert_eq!(erases(&other).await, UserErased::OtherBody);
    assert_eq!(erase(&scene, &hers("name")).await, UserErased::NotFound);
    assert_eq!(erase(&scene, &format!("erased:{anna}")).await, UserErased::NotFound);
    let audited = scene.texts("select method || ': ' || reason as text from audit").await;
    assert_eq!(audited, ["EraseUser: asked for by letter"]);
}
