//! A bank may be asked four times a day and no more. Whoever has asked too often is told to wait, and is left alone for as long, also by
//! a process that was not there when it was told.

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::{PlanSyncRequest, api_session, freshness};
use bursar::sandbox::{AspspComeBack, AspspConsent, AspspRules, AspspStep};

use crate::support::database::Kind;
use crate::support::house::House;
use crate::support::house::customers::{BERLIN, POLISH, bank, iban};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_wants_to_be_left_alone_is_left_alone_across_a_restart() {
    for (kind, at, come_back) in [
        (Kind::Sqlite, BERLIN, AspspComeBack::Header),
        (Kind::Sqlite, POLISH, AspspComeBack::Words),
        (Kind::PostgreSql, POLISH, AspspComeBack::Header),
        (Kind::PostgreSql, BERLIN, AspspComeBack::Silence),
    ] {
        let house = House::new().on(kind).with_aspsps().open().await;
        let customers = house.customers();
        customers.puts("anna").await;
        let allowed = customers.allows(house.world(), "anna", at, &[&iban(1)]).await;
        // The bank has counted calls of which this house knows nothing.
        let none = AspspRules { reads_max: Some(0), come_back, ..AspspRules::default() };
        house.aspsp(at).set_rules(none);
        let run = customers.syncs().await;
        assert_eq!(run.state(), JobRunState::RateLimited, "neither done nor failed: {run:?}");
        let session = customers.session(&run, &allowed).await.expect("a visit");
        assert_eq!(session.state(), api_session::State::RateLimited);
        assert!(session.reason.starts_with("rate_limited"), "{session:?}");
        let asked = house.world().aspsp().calls().len();

        // Now it would answer, but it has said when to come again.
        let surroundings = house.leave().await;
        bank(&surroundings.world, at).set_rules(AspspRules::default());
        let house = surroundings.open().await;
        let customers = house.customers();
        let run = customers.syncs().await;
        assert_eq!(run.state(), JobRunState::RateLimited, "{at} {come_back:?} {run:?}");
        assert_eq!(house.world().aspsp().calls().len(), asked, "{at} {come_back:?}: it was asked again");
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_consent_allows_is_never_overdrawn_and_the_bank_never_has_to_say_so() {
    for kind in [Kind::Sqlite, Kind::PostgreSql] {
        let house = House::new().on(kind).with_aspsps().open().await;
        let customers = house.customers();
        customers.puts("anna").await;
        let mut allowed = Vec::new();
        for (place, at) in (0..).zip([BERLIN, POLISH]) {
            let number = iban(place);
            house.aspsp(at).put_account(bursar::sandbox::AspspAccount::in_zloty(&number));
            let consent = AspspConsent::of(format!("twice-{at}"), &[&number], house.world().aspsp().now());
            let consent = AspspConsent { frequency_per_day: 2, ..consent };
            allowed.push(customers.allows_as(house.world(), "anna", at, consent, None).await);
        }
        for _ in 0..2 {
            assert_eq!(customers.syncs().await.state(), JobRunState::Completed);
        }
        let plan =
            customers.syncs.clone().plan_sync(PlanSyncRequest::default()).await.expect("a plan").into_inner();
        assert_eq!(plan.consents_over_budget, 2, "{plan:?}");

        // A third and a fourth run of the day ask for nothing that is counted, across a restart too.
        let counted = |world: &bursar::sandbox::World| world.aspsp().count(|call| call.counted);
        let before = counted(house.world());
        let run = customers.syncs().await;
        assert_eq!(run.state(), JobRunState::RateLimited, "{run:?}");
        for allowed in &allowed {
            let session = customers.session(&run, allowed).await.expect("a visit");
            assert_eq!(session.state(), api_session::State::RateLimited, "{session:?}");
        }
        let house = house.leave().await.open().await;
        let customers = house.customers();
        customers.syncs().await;
        assert_eq!(counted(house.world()), before);
        assert_eq!(house.world().aspsp().count(|call| call.status == 429), 0, "the bank never had to say so");
        for at in [BERLIN, POLISH] {
            let freshness = customers.account("anna", at).await.freshness.expect("freshness");
            assert!(freshness.sync_time.is_some(), "{freshness:?}");
            assert_eq!(freshness.state() == freshness::State::Stale, !freshness.reason.is_empty());
        }
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_used_up_quota_holds_nobody_else_back() {
    let house = House::new().with_aspsps().open().await;
    let customers = house.customers();
    let mut allowed = Vec::new();
    for (place, (name, frequency_per_day)) in (0..).zip([("anna", 1), ("bert", 4)]) {
        customers.puts(name).await;
        let number = iban(place);
        house.aspsp(BERLIN).put_account(bursar::sandbox::AspspAccount::in_zloty(&number));
        let consent = AspspConsent::of(format!("of-{name}"), &[&number], house.world().aspsp().now());
        let consent = AspspConsent { frequency_per_day, ..consent };
        allowed.push(customers.allows_as(house.world(), name, BERLIN, consent, None).await);
    }
    customers.syncs().await;
    let asked = house.aspsp(BERLIN).asked(AspspStep::Transactions);
    let run = customers.syncs().await;
    assert_eq!(run.state(), JobRunState::Completed, "somebody was refreshed: {run:?}");
    let states =
        [&allowed[0], &allowed[1]].map(async |by| customers.session(&run, by).await.expect("one").state());
    let [first, second] = states;
    assert_eq!((first.await, second.await), (api_session::State::RateLimited, api_session::State::Ok));
    assert!(house.aspsp(BERLIN).asked(AspspStep::Transactions) > asked);
    house.close().await;
}
