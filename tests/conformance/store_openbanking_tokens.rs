//! What both databases must do with the tokens of consents: one asks at a time, and what a bank has given is never lost.

use std::time::Duration;

use bursar::domain::ids::{ConsentId, TenantId};
use bursar::domain::openbanking::consent::ConsentStatus;
use bursar::store::openbanking::consent::ConsentDraft;
use bursar::store::openbanking::notice::ConsentEnd;
use bursar::store::openbanking::token::{AfterRefusal, KEPT_MAX, KeptTokens, NewTokens, Refresh};

use crate::bank_scene::{ATTEMPTS, BankScene, consent, later, tokens};
use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(
    one_process_refreshes_at_a_time,
    a_lease_that_has_ended_is_anybodys,
    what_a_bank_has_given_is_kept_whoever_asked,
    what_was_before_goes_when_what_came_after_has_been_of_use,
    a_bank_that_gives_no_new_refresh_token_leaves_the_old_one_good,
    when_all_are_refused_the_consent_ends_and_its_owner_is_told_once,
    an_ended_consent_lets_nobody_in,
    what_is_over_by_its_clock_is_not_refreshed,
    a_consent_that_is_told_to_have_ended_lets_nobody_in,
);

const LEASE: Duration = Duration::from_secs(30);

async fn with_tokens(scene: &BankScene) -> ConsentId {
    let user = scene.user("anna").await;
    let consent = scene.consent(user, "consent").await;
    assert_eq!(scene.store.keep_tokens(consent, 0, &tokens("1"), now()).await.expect("kept"), Some(1));
    consent
}

async fn begin(scene: &BankScene, consent: ConsentId, seen: i64) -> Refresh {
    scene.store.begin_token_refresh(consent, seen, LEASE, now()).await.expect("a store")
}

fn begun(refresh: Refresh) -> (i64, KeptTokens) {
    match refresh {
        Refresh::Begun { fence, tokens } => (fence, tokens),
        other => panic!("not begun: {other:?}"),
    }
}

async fn newest(scene: &BankScene, consent: ConsentId) -> KeptTokens {
    scene.store.consent_tokens(consent).await.expect("a store").expect("tokens")
}

async fn one_process_refreshes_at_a_time(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let store = scene.store.clone();
            tokio::spawn(async move { store.begin_token_refresh(consent, 1, LEASE, now()).await })
        })
        .collect();
    let (mut fences, mut waiting) = (Vec::new(), 0);
    for one in tries {
        match one.await.expect("no panic").expect("a store") {
            Refresh::Begun { fence, .. } => fences.push(fence),
            Refresh::UnderWay { .. } => waiting += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((fences.as_slice(), waiting), ([1].as_slice(), 7));
    assert_eq!(scene.store.keep_tokens(consent, 1, &tokens("2"), now()).await.expect("kept"), Some(2));
    match begin(&scene, consent, 1).await {
        Refresh::Done(tokens) => assert_eq!(tokens.version, 2, "somebody has done it"),
        other => panic!("{other:?}"),
    }
    assert_eq!(begun(begin(&scene, consent, 2).await).0, 2, "the lease has ended with the answer");
    scene.store.leave_token_refresh(consent, 2).await.expect("left");
    assert_eq!(begun(begin(&scene, consent, 2).await).0, 3);
}

async fn a_lease_that_has_ended_is_anybodys(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let at = now();
    let begins = async |at| scene.store.begin_token_refresh(consent, 1, LEASE, at).await.expect("a store");
    assert_eq!(begun(begins(at).await).0, 1);
    assert_eq!(begins(later(at, 29)).await, Refresh::UnderWay { until: later(at, 30) });
    assert_eq!(begun(begins(later(at, 30)).await).0, 2);
    scene.store.leave_token_refresh(consent, 1).await.expect("not its lease any more");
    assert!(matches!(begins(later(at, 31)).await, Refresh::UnderWay { .. }));
}

async fn what_a_bank_has_given_is_kept_whoever_asked(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let at = now();
    let slow = begun(scene.store.begin_token_refresh(consent, 1, LEASE, at).await.expect("a store"));
    let quick =
        begun(scene.store.begin_token_refresh(consent, 1, LEASE, later(at, 60)).await.expect("a store"));
    // Both have asked with the same token; the bank has heard the slow one first, and refuses the quick one.
    assert_eq!(scene.store.keep_tokens(consent, slow.0, &tokens("2"), now()).await.expect("kept"), Some(2));
    let after = scene.store.token_refresh_refused(consent, quick.1.version, quick.0, ATTEMPTS, now()).await;
    match after.expect("a store") {
        AfterRefusal::Try(left) => assert_eq!(left.refresh_sealed, tokens("2").refresh_sealed),
        other => panic!("what the bank has given is lost: {other:?}"),
    }
    assert_eq!(newest(&scene, consent).await.version, 2);
    let still =
        scene.store.consent(&TenantId::default(), consent).await.expect("a store").expect("a consent");
    assert_eq!(still.status, ConsentStatus::Valid);
}

async fn what_was_before_goes_when_what_came_after_has_been_of_use(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let count = "select count(*) || '' as text from consent_token";
    for version in 2..=3 {
        let name = version.to_string();
        scene.store.keep_tokens(consent, 0, &tokens(&name), now()).await.expect("kept");
    }
    assert_eq!(scene.texts(count).await, ["3"], "nothing is forgotten before the newest was of use");
    assert_eq!(scene.store.tokens_proved(consent, 3).await.expect("a store"), 2);
    assert_eq!(newest(&scene, consent).await.version, 3);
    for version in 4..=20 {
        let name = version.to_string();
        scene.store.keep_tokens(consent, 0, &tokens(&name), now()).await.expect("kept");
    }
    assert_eq!(scene.texts(count).await, [KEPT_MAX.to_string()]);
}

async fn a_bank_that_gives_no_new_refresh_token_leaves_the_old_one_good(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    for version in 2..=10 {
        let bare = NewTokens { refresh_sealed: None, ..tokens(&version.to_string()) };
        scene.store.keep_tokens(consent, 0, &bare, now()).await.expect("kept");
        scene.store.tokens_proved(consent, version).await.expect("a store");
        let newest = newest(&scene, consent).await;
        assert_eq!((newest.version, newest.refresh_sealed), (version, tokens("1").refresh_sealed));
    }
    let left = scene.texts("select version || '' as text from consent_token order by version").await;
    assert_eq!(left, ["1", "10"], "those between are of no use to anybody");
}

async fn when_all_are_refused_the_consent_ends_and_its_owner_is_told_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let refuses = async |version, fence| {
        scene.store.token_refresh_refused(consent, version, fence, ATTEMPTS, now()).await.expect("a store")
    };
    let (fence, tokens) = begun(begin(&scene, consent, 1).await);
    assert_eq!(refuses(tokens.version, fence).await, AfterRefusal::Ended);
    assert_eq!(refuses(tokens.version, fence).await, AfterRefusal::Before);
    assert_eq!(begin(&scene, consent, 1).await, Refresh::Impossible);
    let seen = scene.store.consent(&TenantId::default(), consent).await.expect("a store").expect("a consent");
    assert_eq!(seen.status, ConsentStatus::Revoked);
    assert!(seen.reason.expect("a reason").starts_with("tokens_refused: "));
    assert_eq!(scene.news().await, ["consent.revoked"]);
    assert_eq!(scene.texts("select count(*) || '' as text from consent_token").await, ["0"]);
}

async fn an_ended_consent_lets_nobody_in(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let consent = with_tokens(&scene).await;
    let end = ConsentEnd {
        id: consent,
        tenant_id: TenantId::default(),
        status: ConsentStatus::Revoked,
        reason: "withdrawn: by the customer".to_owned(),
        traceparent: None,
        delivery_attempts_max: ATTEMPTS,
        now: now(),
    };
    let ended = scene.store.end_consents(&[end.clone(), end.clone()]).await;
    let ended: Vec<bool> = ended.into_iter().map(|one| one.expect("a store")).collect();
    assert_eq!(ended, [true, false]);
    assert_eq!(begin(&scene, consent, 1).await, Refresh::Impossible);
    assert_eq!(scene.store.consent_tokens(consent).await.expect("a store"), None);
    assert!(!scene.store.end_consents(&[end]).await.remove(0).expect("a store"));
    assert_eq!(scene.news().await, ["consent.revoked"]);
    // Whoever asked meanwhile brings what nobody may use any more.
    assert_eq!(scene.store.keep_tokens(consent, 0, &tokens("late"), now()).await.expect("a store"), None);
    assert_eq!(scene.count("consent_token").await, 0);
}

async fn what_is_over_by_its_clock_is_not_refreshed(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let ends = later(now(), 60);
    let consent =
        scene.puts_consent(ConsentDraft { valid_until: Some(ends), ..consent(user, "consent") }).await;
    scene.store.keep_tokens(consent, 0, &tokens("1"), now()).await.expect("kept");
    let begins = async |at| scene.store.begin_token_refresh(consent, 1, LEASE, at).await.expect("a store");
    assert_eq!(begins(ends).await, Refresh::Impossible);
    assert_eq!(begun(begins(later(ends, -1)).await).0, 1);
}

async fn a_consent_that_is_told_to_have_ended_lets_nobody_in(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let user = scene.user("anna").await;
    let draft = consent(user, "consent");
    let id = scene.puts_consent(draft.clone()).await;
    scene.store.keep_tokens(id, 0, &tokens("1"), now()).await.expect("kept");
    scene.puts_consent(ConsentDraft { status: ConsentStatus::Revoked, ..draft }).await;
    assert_eq!(scene.count("consent_token").await, 0);
    assert_eq!(begin(&scene, id, 1).await, Refresh::Impossible);
}
