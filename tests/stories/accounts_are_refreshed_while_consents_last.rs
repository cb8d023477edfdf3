//! A consent ends: by its own date, by its customer, by the bank, by an operator, or because its tokens are taken no more. Its owner hears
//! of it ahead where that is possible and once in any case, and the bank is never asked by it again.

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::consent::Status;
use bursar::proto::openbanking::v1::{RevokeConsentRequest, api_session};
use bursar::sandbox::{AspspAccount, AspspCall, AspspConsent, AspspStep};
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::database::Kind;
use crate::support::house::customers::{Allowed, BERLIN, POLISH, iban};
use crate::support::house::{House, Opened, eventually};

const BOTH: [&str; 2] = [BERLIN, POLISH];

/// A customer with one account at a bank, whose consent ends then as far as this house knows.
async fn allows(house: &Opened, name: &str, at: &'static str, until: Option<DateTime<Utc>>) -> Allowed {
    let number = iban(u32::try_from(name.len()).expect("a short name") * 2 + u32::from(at == POLISH));
    house.aspsp(at).put_account(AspspAccount::in_zloty(&number));
    let consent = AspspConsent::of(format!("{name}-{at}"), &[&number], house.world().aspsp().now());
    let customers = house.customers();
    customers.puts(name).await;
    customers.allows_as(house.world(), name, at, consent, until).await
}

/// Waits until a consent stands so.
async fn stands(house: &Opened, allowed: &Allowed, status: Status) -> String {
    eventually(&format!("a consent that is {status:?}"), async || {
        let consent = house.customers().consent(allowed).await;
        (consent.status() == status).then_some(consent.reason)
    })
    .await
}

/// The types of what was told of a consent.
fn told(house: &Opened, allowed: &Allowed) -> Vec<String> {
    house.owner().heard_of(&allowed.id).iter().map(|told| told.text("event_type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_ends_soon_is_told_ahead_and_one_that_has_ended_is_told_once_and_never_used() {
    for kind in [Kind::Sqlite, Kind::PostgreSql] {
        let house = House::new().on(kind).with_aspsps().open().await;
        house.operator().subscribes_webhook(&["consent.*"]).await;
        let now = Utc::now();
        let soon = allows(&house, "anna", BERLIN, Some(now + TimeDelta::days(5))).await;
        let ended = allows(&house, "bertram", POLISH, Some(now - TimeDelta::minutes(1))).await;
        let later = allows(&house, "cleopatra", POLISH, Some(now + TimeDelta::days(60))).await;
        let heard = house.owner().hears_of(&soon.id, 1).await;
        assert_eq!(
            (heard[0].text("event_type"), &heard[0].body["data"]["days_left"]),
            ("consent.expiring", &5.into())
        );
        house.owner().hears_of(&ended.id, 1).await;
        assert_eq!(told(&house, &ended), ["consent.expired"]);
        stands(&house, &ended, Status::Expired).await;

        let run = house.customers().syncs().await;
        assert_eq!(run.state(), JobRunState::Completed);
        assert_eq!(house.customers().session(&run, &ended).await, None, "nobody visits by it");
        let asked = house.world().aspsp().calls();
        assert!(asked.iter().all(|call| call.consent.as_deref() != Some(ended.name.as_str())), "{asked:?}");
        for used in [&soon, &later] {
            let session = house.customers().session(&run, used).await.expect("a visit");
            assert_eq!(session.state(), api_session::State::Ok);
        }
        // Another process tells nothing twice: by the time that it has looked, all that there is to tell has been told.
        let house = house.leave().await.open().await;
        let sooner = allows(&house, "dominique-x", BERLIN, Some(now + TimeDelta::hours(3))).await;
        house.owner().hears_of(&sooner.id, 1).await;
        assert_eq!(
            (told(&house, &soon).len(), told(&house, &ended).len(), told(&house, &later).len()),
            (1, 1, 0)
        );
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_taken_back_at_the_bank_is_noticed_and_told_once() {
    for at in BOTH {
        let house = House::new().with_aspsps().open().await;
        house.operator().subscribes_webhook(&["consent.*", "sync.*"]).await;
        let customers = house.customers();
        let revoked = allows(&house, "anna", at, None).await;
        let good = allows(&house, "bertram", at, None).await;
        customers.syncs().await;
        house.aspsp(at).set_consent_status(&revoked.name, Some("revokedByPsu"));
        let run = customers.syncs().await;
        assert_eq!(run.state(), JobRunState::Completed, "the others were refreshed: {run:?}");
        let session = customers.session(&run, &revoked).await.expect("a visit");
        assert_eq!(session.state(), api_session::State::Failed, "{session:?}");
        assert_eq!(customers.session(&run, &good).await.expect("a visit").state(), api_session::State::Ok);
        let reason = stands(&house, &revoked, Status::Revoked).await;
        assert!(!reason.is_empty());
        house.owner().hears_of(&revoked.id, 1).await;
        let account = customers.account("anna", at).await;
        let freshness = account.freshness.expect("freshness");
        assert!(!freshness.reason.is_empty(), "{freshness:?}");

        let before = house.world().aspsp().calls().len();
        let run = customers.syncs().await;
        assert_eq!(customers.session(&run, &revoked).await, None);
        let since = house.world().aspsp().calls().split_off(before);
        assert!(since.iter().all(|call| call.consent.as_deref() != Some(revoked.name.as_str())), "{since:?}");
        assert_eq!(told(&house, &revoked), ["consent.revoked"]);
        assert!(told(&house, &good).is_empty());
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_an_operator_ends_is_used_no_more() {
    let house = House::new().with_aspsps().open().await;
    house.operator().subscribes_webhook(&["consent.*"]).await;
    let customers = house.customers();
    let allowed = allows(&house, "anna", BERLIN, None).await;
    let request = RevokeConsentRequest {
        request_id: "once".to_owned(),
        id: allowed.id.clone(),
        reason: "she wrote to us".to_owned(),
    };
    for _ in 0..2 {
        let answer = customers.consents.clone().revoke_consent(request.clone()).await.expect("an answer");
        assert_eq!(answer.into_inner().consent.expect("a consent").status(), Status::Revoked);
    }
    let heard = house.owner().hears_of(&allowed.id, 1).await;
    assert!(!heard[0].body.to_string().contains("she wrote"), "those words are not for the owner: {heard:?}");
    let run = customers.syncs().await;
    assert!(customers.sessions(&run).await.is_empty());
    assert!(house.world().aspsp().calls().is_empty());
    assert_eq!(told(&house, &allowed), ["consent.revoked"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_the_bank_rotates_is_kept_across_restarts() {
    for (kind, at) in [(Kind::Sqlite, BERLIN), (Kind::PostgreSql, POLISH)] {
        let mut house = House::new().on(kind).with_aspsps().open().await;
        let allowed = allows(&house, "anna", at, None).await;
        for round in 0..3 {
            // Each refresh uses up the token of the one before.
            house.aspsp(at).end_access(&allowed.name);
            let run = house.customers().syncs().await;
            let session = house.customers().session(&run, &allowed).await.expect("a visit");
            assert_eq!(session.state(), api_session::State::Ok, "round {round} at {at}: {session:?}");
            house = house.leave().await.open().await;
        }
        assert_eq!(
            house.world().aspsp().count(|call| call.step == AspspStep::Token && call.status == 200),
            3
        );
        assert_eq!(
            house.world().aspsp().count(|call| call.step == AspspStep::Token && call.status != 200),
            0
        );
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_token_is_taken_any_more_the_owner_is_asked_for_another_consent() {
    for at in BOTH {
        let house = House::new().with_aspsps().open().await;
        house.operator().subscribes_webhook(&["consent.*"]).await;
        let customers = house.customers();
        let allowed = allows(&house, "anna", at, None).await;
        house.aspsp(at).end_tokens(&allowed.name);
        let run = customers.syncs().await;
        let session = customers.session(&run, &allowed).await.expect("a visit");
        assert_eq!(session.state(), api_session::State::Failed);
        let heard = house.owner().hears_of(&allowed.id, 1).await;
        assert_eq!(heard[0].text("event_type"), "consent.revoked");
        let reason = heard[0].body["data"]["reason"].as_str().expect("a reason");
        assert!(reason.starts_with("tokens_refused"), "{reason}");
        customers.syncs().await;

        // The customer has allowed it again, under another name.
        let number = iban(4 * 2 + u32::from(at == POLISH));
        let consent = AspspConsent::of(format!("again-{at}"), &[&number], house.world().aspsp().now());
        let again = customers.allows_as(house.world(), "anna", at, consent, None).await;
        let run = customers.syncs().await;
        assert_eq!(customers.session(&run, &again).await.expect("a visit").state(), api_session::State::Ok);
        assert_eq!(told(&house, &allowed), ["consent.revoked"]);
        assert_eq!(customers.accounts("anna").await.len(), 1, "it is the same account");
        let told = |call: &AspspCall| call.step == AspspStep::Transactions && call.status == 200;
        assert_eq!(house.world().aspsp().count(told), 1);
        house.close().await;
    }
}
