//! Owners hear of the end of what they have allowed ahead of it, and once, however many look.

use std::time::Duration;

use bursar::actors::consent_watcher::{Means, OFFICE, look};
use bursar::config::Config;
use bursar::domain::openbanking::consent::ConsentStatus;
use bursar::store::openbanking::consent::ConsentDraft;
use bursar::work::leader::Offices;
use bursar::work::{Hints, Lease};
use chrono::TimeDelta;

use crate::bank_scene::{ATTEMPTS, BankScene, consent};
use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::drafts::now;

on_both_databases!(owners_are_warned_and_told_of_the_end_once);

const POLL_INTERVAL: Duration = Duration::from_secs(1);

fn means(scene: &BankScene) -> Means {
    Means {
        store: scene.store.clone(),
        office: Offices::new(Lease::new(&Config::default().work)).office(OFFICE),
        hints: Hints::default(),
        delivery_attempts_max: ATTEMPTS,
        poll_interval: POLL_INTERVAL,
    }
}

async fn owners_are_warned_and_told_of_the_end_once(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let means = means(&scene);
    assert_eq!(look(&means).await.expect("a look"), Duration::MAX, "there is nothing to tell, ever");
    let of = scene.user("somebody").await;
    let ends = |name: &str, after: TimeDelta| {
        let status = ConsentStatus::Valid;
        ConsentDraft { valid_until: Some(now() + after), status, ..consent(of, name) }
    };
    // More than one transaction tells of.
    for number in 0..205 {
        scene.puts_consent(ends(&format!("soon {number}"), TimeDelta::days(6))).await;
    }
    scene.puts_consent(ends("over", TimeDelta::seconds(-1))).await;
    scene.puts_consent(ends("far", TimeDelta::days(80))).await;
    assert_eq!(look(&means).await.expect("a look"), POLL_INTERVAL, "others may be at it too");
    let mut news = scene.news().await;
    news.sort();
    let expected = [vec!["consent.expired"; 1], vec!["consent.expiring"; 205]].concat();
    assert_eq!(news, expected);
    let until_next = look(&means).await.expect("a look");
    assert!(
        until_next > Duration::from_hours(24 * 4) && until_next <= Duration::from_hours(24 * 5),
        "{until_next:?}"
    );
    assert_eq!(scene.news().await.len(), 206, "nobody is told twice");
}
