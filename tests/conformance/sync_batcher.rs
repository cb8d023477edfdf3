//! The job that refreshes accounts, whole, against the sandbox's banks in both languages and on both databases.

use std::time::Duration;

use bursar::domain::ids::{PsuUserId, TenantId};
use bursar::domain::openbanking::consent::ConsentStatus;
use bursar::domain::openbanking::pacing::Pacing;
use bursar::messages::jobs::{EndWanted, JobEnd};
use bursar::sandbox::{AspspComeBack, AspspEntry, AspspRules, AspspStep, Behaviour, PageTrap};
use chrono::TimeDelta;

use crate::on_both_databases;
use crate::peers::PATIENCE;
use crate::support::database::Kind;
use crate::sync_scene::{BERLIN, POLISH, Ran, SyncScene, iban};

on_both_databases!(
    accounts_are_refreshed_in_both_languages,
    a_bank_that_wants_no_more_is_left_alone,
    a_bank_that_is_closed_for_an_hour_is_left_alone_for_it,
    a_set_that_was_cut_off_goes_on_at_its_cursor,
    pages_that_lead_astray_are_seen_through,
    tokens_are_refreshed_and_rotated_ones_kept,
    consents_that_have_ended_are_told_once_and_not_asked_by,
    five_customers_with_two_consents_are_ten_visits,
    a_run_that_was_stopped_goes_on_without_a_second_visit,
    one_dead_bank_fails_its_own_visits_alone,
    the_service_in_between_is_asked_once_a_customer,
);

const BANKS: [&str; 2] = [BERLIN, POLISH];

async fn both(scene: &SyncScene, items: i64) -> Vec<PsuUserId> {
    let mut users = Vec::new();
    for (number, bank) in (1..).zip(BANKS) {
        let user = scene.user(bank).await;
        scene.customer(user, bank, number, items).await;
        users.push(user);
    }
    users
}

async fn accounts_are_refreshed_in_both_languages(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    let users = both(&scene, 120).await;
    for (number, bank) in (1..).zip(BANKS) {
        let waits = AspspEntry::pending("later", -500, scene.now(), scene.now() + TimeDelta::hours(1));
        scene.at(bank).put_entry(&iban(number), waits);
    }
    let first = scene.runs().await.completed();
    assert_eq!(first.ends(), [("ok", None), ("ok", None)]);
    assert_eq!((first.count("transactions_new"), first.count("users_synced")), (240, 2));
    assert_eq!((first.run.progress.done, first.run.progress.total), (2, Some(2)));
    assert_eq!(first.run.progress.position, None);
    for user in &users {
        let account = scene.account_of(*user).await;
        let booked = scene.transactions_of(&account).await;
        assert_eq!(booked.len(), 120);
        let sum: i64 = booked.iter().map(|kept| kept.told.amount).sum();
        let balances = scene.store().balances(&TenantId::default(), account.id).await.expect("a store");
        let booked_now = balances.iter().find(|balance| balance.kind.to_lowercase().contains("book"));
        assert_eq!(booked_now.expect("it").amount, sum);
        let pending =
            scene.store().pending_transactions(&TenantId::default(), account.id).await.expect("a store");
        assert_eq!(pending.iter().map(|told| told.amount).collect::<Vec<_>>(), [-5_000]);
        assert!(account.synced_at.is_some() && account.details.is_some() && account.stale.is_none());
    }
    // Three pages are one access.
    assert_eq!(first.asked("transactions"), 6);
    let counted = |ran: &Ran| ran.calls.iter().filter(|call| call.status == Some(200)).count();
    assert_eq!(counted(&first), first.calls.len());
    assert_eq!(scene.world.aspsp().calls().len(), first.calls.len());
    let second = scene.runs().await.completed();
    let written = ["new", "changed", "missing"].map(|what| second.count(&format!("transactions_{what}")));
    assert_eq!((written, second.count("users_synced")), ([0; 3], 2));
    // Neither the list of accounts nor details are asked for again; PolishAPI tells balances with them.
    assert_eq!((second.asked("accounts"), second.asked("token_refresh")), (0, 0));
    assert_eq!((second.asked("account_details"), second.asked("balances")), (1, 1));
    scene.close().await;
}

async fn a_bank_that_wants_no_more_is_left_alone(kind: Kind) {
    let mut scene = SyncScene::set(kind).await;
    // We believe that there are more than the bank says.
    scene.config.aspsps.values_mut().for_each(|entry| entry.quota.limit = 100);
    let users = both(&scene, 3).await;
    scene.runs().await.completed();
    for (place, come_back) in [AspspComeBack::Header, AspspComeBack::Words].into_iter().enumerate() {
        let rules = AspspRules { signatures: true, reads_max: Some(1), come_back, ..AspspRules::default() };
        scene.at(BANKS[place]).set_rules(rules);
    }
    let limited = scene.runs().await;
    assert!(matches!(limited.end, JobEnd::RateLimited { .. }), "{:?}", limited.end);
    assert_eq!(limited.count("sessions_rate_limited"), 2);
    assert_eq!(limited.asked("transactions"), 2);
    // The next run asks nobody, for nobody has been told otherwise.
    let before = scene.world.aspsp().calls().len();
    let again = scene.runs().await;
    assert!(matches!(again.end, JobEnd::RateLimited { .. }), "{:?} {:?}", again.end, again.ends());
    assert_eq!(again.asked("transactions"), 0);
    let asked = scene.world.aspsp().calls().split_off(before);
    assert!(asked.iter().all(|call| call.step != AspspStep::Transactions), "{asked:?}");
    let account = scene.account_of(users[0]).await;
    assert!(account.stale.expect("a reason").0.starts_with("rate_limited"));
    assert!(!scene.bank.news().await.iter().any(|news| news.starts_with("sync.")), "it is no failure");
    scene.close().await;
}

async fn a_bank_that_is_closed_for_an_hour_is_left_alone_for_it(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    both(&scene, 3).await;
    for bank in BANKS {
        scene.at(bank).once(AspspStep::Transactions, Behaviour::status_retry_after(503, 3_600));
    }
    let closed = scene.runs().await;
    assert!(matches!(closed.end, JobEnd::RateLimited { .. }), "{:?} {:?}", closed.end, closed.ends());
    assert_eq!((closed.count("sessions_rate_limited"), closed.asked("transactions")), (2, 2));
    // It would answer again by now, which nobody has been told.
    let again = scene.runs().await;
    assert_eq!(again.asked("transactions"), 0, "{:?}", again.ends());
    scene.close().await;
}

async fn a_set_that_was_cut_off_goes_on_at_its_cursor(kind: Kind) {
    let mut scene = SyncScene::set(kind).await;
    // A bank may count what is pending as one of the same accesses.
    scene.config.sync.pending = false;
    let users = both(&scene, 120).await;
    for bank in BANKS {
        scene.at(bank).once(AspspStep::Transactions, Behaviour::Normal);
        scene.at(bank).once(AspspStep::Transactions, Behaviour::status(503));
    }
    let cut = scene.runs().await.completed();
    assert_eq!(cut.count("sessions_failed"), 2, "{:?}", cut.ends());
    for user in &users {
        let account = scene.account_of(*user).await;
        assert_eq!(scene.transactions_of(&account).await.len(), 0, "half a set is none");
        assert!(
            account.unfinished.is_some()
                && account.stale.expect("a reason").0.starts_with("aspsp_unavailable")
        );
    }
    let next = scene.runs().await.completed();
    assert_eq!((next.count("sessions_ok"), next.count("transactions_new")), (2, 240), "{:?}", next.ends());
    // The first page came in the run before, and the set is one access.
    assert_eq!(next.asked("transactions"), 4);
    let fresh = scene.world.aspsp().count(|call| call.counted && call.step == AspspStep::Transactions);
    assert_eq!(fresh, 2);
    for user in &users {
        let account = scene.account_of(*user).await;
        assert!(account.unfinished.is_none() && account.stale.is_none());
        assert_eq!(scene.transactions_of(&account).await.len(), 120);
    }
    scene.close().await;
}

async fn pages_that_lead_astray_are_seen_through(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    let users = both(&scene, 120).await;
    let traps = |trap: &PageTrap| {
        for (number, bank) in (1..).zip(BANKS) {
            scene.at(bank).set_trap(&iban(number), Some(trap.clone()));
        }
    };
    traps(&PageTrap::NextIsSelf { page: 1 });
    let circles = scene.runs().await.completed();
    assert_eq!(circles.count("sessions_failed"), 2, "{:?}", circles.ends());
    for trap in [PageTrap::Repeated { page: 1 }, PageTrap::Empty { page: 1 }] {
        traps(&trap);
        let seen = scene.runs().await.completed();
        assert_eq!(seen.count("sessions_ok"), 2, "{trap:?} {:?}", seen.ends());
        for user in &users {
            let account = scene.account_of(*user).await;
            assert_eq!(scene.transactions_of(&account).await.len(), 120, "{trap:?}");
        }
    }
    scene.close().await;
}

async fn tokens_are_refreshed_and_rotated_ones_kept(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    let mut consents = Vec::new();
    for (number, bank) in (1..).zip(BANKS) {
        let user = scene.user(bank).await;
        consents.push(scene.customer(user, bank, number, 3).await);
        // The bank takes it no more, and nobody has told us.
        scene.at(bank).end_access(&format!("consent-{number}"));
    }
    let refused = scene.runs().await.completed();
    assert_eq!(
        (refused.count("sessions_ok"), refused.asked("token_refresh")),
        (2, 2),
        "{:?}",
        refused.ends()
    );
    for consent in &consents {
        let kept = scene.store().consent_tokens(*consent).await.expect("a store").expect("tokens");
        assert_eq!(kept.version, 2);
    }
    // By the rotated ones it goes on, and again: they were kept.
    for (number, bank) in (1..).zip(BANKS) {
        scene.at(bank).end_access(&format!("consent-{number}"));
    }
    let rotated = scene.runs().await.completed();
    assert_eq!(
        (rotated.count("sessions_ok"), rotated.asked("token_refresh")),
        (2, 2),
        "{:?}",
        rotated.ends()
    );
    for (number, bank) in (1..).zip(BANKS) {
        scene.at(bank).end_tokens(&format!("consent-{number}"));
    }
    let ended = scene.runs().await.completed();
    assert_eq!(ended.count("sessions_failed"), 2, "{:?}", ended.ends());
    for consent in &consents {
        assert_eq!(scene.kept_consent(*consent).await.status, ConsentStatus::Revoked);
    }
    let news = scene.bank.news().await;
    assert_eq!(news.iter().filter(|news| *news == "consent.revoked").count(), 2, "{news:?}");
    let nobody = scene.runs().await.completed();
    assert_eq!((nobody.sessions.len(), nobody.calls.len()), (0, 0));
    scene.close().await;
}

async fn consents_that_have_ended_are_told_once_and_not_asked_by(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    let mut consents = Vec::new();
    for (number, bank) in (1..).zip(BANKS) {
        let user = scene.user(bank).await;
        consents.push(scene.customer(user, bank, number, 3).await);
        scene.at(bank).set_consent_status(&format!("consent-{number}"), Some("revokedByPsu"));
    }
    let revoked = scene.runs().await.completed();
    assert_eq!(revoked.count("sessions_failed"), 2, "{:?}", revoked.ends());
    // Berlin Group can be asked about the consent itself.
    assert_eq!(revoked.asked("consent_status"), 1);
    for consent in &consents {
        assert_eq!(scene.kept_consent(*consent).await.status, ConsentStatus::Revoked);
    }
    let nobody = scene.runs().await.completed();
    assert_eq!((nobody.sessions.len(), nobody.calls.len()), (0, 0));
    let news = scene.bank.news().await;
    assert_eq!(news.iter().filter(|news| *news == "consent.revoked").count(), 2, "{news:?}");
    scene.close().await;
}

async fn five_customers_with_two_consents_are_ten_visits(kind: Kind) {
    let mut scene = SyncScene::set(kind).await;
    scene.pacing = Pacing { batch_size: 5, batch_interval: Duration::from_mins(2), eager: false };
    let mut users = Vec::new();
    for place in 0..5 {
        let user = scene.user(&format!("user-{place}")).await;
        for (number, bank) in (1..).zip(BANKS) {
            scene.customer(user, bank, place * 2 + number, 2).await;
        }
        users.push(user);
    }
    let ran = scene.runs().await.completed();
    assert_eq!(ran.sessions.len(), 10);
    assert!(ran.sessions.iter().all(|session| session.source == 3));
    assert_eq!((ran.count("sessions_ok"), ran.count("users_synced")), (10, 5), "{:?}", ran.ends());
    // One customer more is asked for by name, and no other.
    let one = scene.runs_for(&users[..1]).await.completed();
    assert_eq!(one.sessions.len(), 2);
    assert!(one.sessions.iter().all(|session| session.user_id == users[0]));
    assert_eq!((one.count("transactions_new"), one.run.progress.total), (0, Some(1)));
    scene.close().await;
}

async fn a_run_that_was_stopped_goes_on_without_a_second_visit(kind: Kind) {
    let mut scene = SyncScene::set(kind).await;
    scene.pacing = Pacing { batch_size: 1, batch_interval: Duration::from_hours(1), eager: false };
    for number in 1..=3 {
        let user = scene.user(&format!("user-{number}")).await;
        scene.customer(user, BERLIN, number, 2).await;
    }
    let (context, wanted) = scene.begins(None).await;
    let again = context.clone();
    // The second batch is an hour away: whoever stops it need not wait for that.
    let stop = async {
        loop {
            let run = scene.store().job_run(again.run.id).await.expect("a store").expect("a run");
            if run.progress.note.as_deref().is_some_and(|note| note.contains("batch 2 of 3, at")) {
                break wanted.send_replace(Some(EndWanted::Stopping));
            }
            tokio::task::yield_now().await;
        }
    };
    let stop = async { tokio::time::timeout(PATIENCE, stop).await.expect("the wait for the second batch") };
    let (first, _) = tokio::join!(scene.goes_on(context), stop);
    assert_eq!((first.end, first.sessions.len()), (JobEnd::Interrupted, 1));
    scene.pacing.batch_interval = Duration::from_millis(1);
    let rest = scene.goes_on(scene.begins_again(&again).await).await.completed();
    assert_eq!((rest.sessions.len(), rest.count("sessions_ok")), (3, 3), "{:?}", rest.ends());
    assert_eq!((rest.run.progress.done, rest.count("users_synced")), (3, 3));
    scene.close().await;
}

async fn one_dead_bank_fails_its_own_visits_alone(kind: Kind) {
    let scene = SyncScene::set(kind).await;
    let users = both(&scene, 3).await;
    scene.at(POLISH).shut().await;
    let ran = scene.runs().await.completed();
    assert_eq!((ran.count("sessions_ok"), ran.count("sessions_failed")), (1, 1), "{:?}", ran.ends());
    assert_eq!(ran.count("users_synced"), 1);
    assert_eq!(scene.transactions_of(&scene.account_of(users[0]).await).await.len(), 3);
    let failed = ran.ends().into_iter().find(|(state, _)| *state == "failed").expect("one");
    assert!(failed.1.expect("a reason").starts_with("aspsp_unavailable"), "{failed:?}");
    assert!(scene.bank.news().await.iter().any(|news| news.starts_with("sync.")), "its owner hears of it");
    // Nothing that was not sent counts.
    let holder = ran.sessions.iter().find(|session| session.user_id == users[1]).expect("a visit").consent_id;
    let counted =
        scene.store().accesses_of(holder.0, scene.now() - TimeDelta::days(1)).await.expect("a store");
    assert_eq!(counted.len(), 0);
    scene.close().await;
}

async fn the_service_in_between_is_asked_once_a_customer(kind: Kind) {
    let mut scene = SyncScene::set(kind).await;
    scene.asks_the_service();
    let user = scene.user("user-1").await;
    for (number, bank) in (1..).zip(BANKS) {
        scene.customer(user, bank, number, 2).await;
    }
    let ran = scene.runs().await.completed();
    assert_eq!((ran.sessions.len(), ran.calls.len()), (2, 1));
    assert_eq!((ran.count("sessions_ok"), ran.count("users_synced")), (2, 1), "{:?}", ran.ends());
    scene.at(BERLIN).once(AspspStep::Refresh, Behaviour::status_retry_after(429, 9));
    let limited = scene.runs().await;
    assert!(matches!(limited.end, JobEnd::RateLimited { .. }), "{:?}", limited.end);
    assert_eq!(limited.ends().iter().filter(|(state, _)| *state == "rate_limited").count(), 2);
    scene.close().await;
}
