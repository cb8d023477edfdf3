//! What both databases must do for whoever looks for transfers, or watches them.

use std::time::Duration;

use bursar::domain::ids::{TenantId, TransferId};
use bursar::domain::transfer::TransferState;
use bursar::domain::transfer::judgement::Judgement;
use bursar::domain::work::kind;
use bursar::store::Store;
use bursar::store::boleto_watch::ChangeCursor;
use bursar::store::pool;
use bursar::store::transfer_analysis::AnalysisBegin;
use bursar::store::transfer_list::TransferFilter;
use bursar::store::transfer_offer::{Offer, Offered};
use sea_orm::{ConnectionTrait, TransactionTrait};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::claim_of;
use crate::store_transfers::{failed, key, offer, offered, skipped};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition,
    every_filter_finds_what_it_names,
    the_newest_run_is_what_is_asked_about,
    changes_are_seen_once_and_in_order,
);

async fn found(
    store: &Store,
    filter: &TransferFilter,
    after: Option<TransferId>,
    limit: i64,
) -> Vec<TransferId> {
    let page = store.transfers(&TenantId::default(), filter, after, limit).await.expect("a page");
    page.into_iter().map(|seen| seen.transfer.id).collect()
}

async fn pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let recorded = now() - chrono::Duration::days(1);
    let of_place = |place: i64| {
        // Recorded in another order than they were offered.
        let recorded_at = Some(recorded + chrono::Duration::seconds(place * 7 % 25));
        let name = format!("-N{place}");
        Offer { recorded_at, ..if place % 3 == 0 { skipped(&name) } else { offer(&name) } }
    };
    let mut offers = Vec::new();
    for place in 0..25 {
        offers.push(of_place(place));
    }
    let stranger = Offer { tenant_id: TenantId::parse("another").expect("a tenant"), ..offer("-Nstranger") };
    offered(&store, &[offers.as_slice(), &[stranger]].concat()).await;
    let none = TransferFilter::default;
    let filters = [
        none(),
        TransferFilter { recorded_from: Some(recorded), ..none() },
        TransferFilter { state: Some(TransferState::Skipped), ..none() },
        TransferFilter { reason: Some("too_old".to_owned()), ..none() },
        TransferFilter { company_key: Some("company-1".to_owned()), ..none() },
    ];
    for filter in filters {
        let of_reason = filter.state.is_some() || filter.reason.is_some();
        let expected: Vec<TransferId> = offers
            .iter()
            .rev()
            .filter(|offer| !of_reason || offer.judgement != Judgement::Queue)
            .map(|offer| offer.id)
            .collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = found(&store, &filter, after, 4).await;
            assert!(page.len() <= 4);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn every_filter_finds_what_it_names(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let other = offer("-Nother");
    let wanted = Offer {
        feed: "more".to_owned(),
        judgement: Judgement::Skip("no_consent: 100% sure".to_owned()),
        recorded_at: other.recorded_at.map(|at| at + chrono::Duration::hours(2)),
        alias_key: Some(key("-Nalias")),
        person_key: Some("person-7".to_owned()),
        company_key: Some("company-7".to_owned()),
        ..offer("-Nwanted")
    };
    let never = Offer { recorded_at: None, ..failed("-Nnever") };
    offered(&store, &[other.clone(), wanted.clone(), never]).await;
    let none = TransferFilter::default;
    let at = wanted.recorded_at;
    let just_behind = at.map(|at| at + chrono::Duration::microseconds(1));
    let all_of_it = TransferFilter {
        feed: Some("more".to_owned()),
        state: Some(TransferState::Skipped),
        reason: Some("no_consent".to_owned()),
        alias_key: Some("-Nalias".to_owned()),
        person_key: Some("person-7".to_owned()),
        company_key: Some("company-7".to_owned()),
        recorded_from: at,
        recorded_until: just_behind,
        ..none()
    };
    let finding = [
        TransferFilter { feed: all_of_it.feed.clone(), ..none() },
        TransferFilter { state: all_of_it.state, ..none() },
        TransferFilter { reason: all_of_it.reason.clone(), ..none() },
        TransferFilter { reason: Some("no_consent: 100%".to_owned()), ..none() },
        TransferFilter { alias_key: all_of_it.alias_key.clone(), ..none() },
        TransferFilter { person_key: all_of_it.person_key.clone(), ..none() },
        TransferFilter { company_key: all_of_it.company_key.clone(), ..none() },
        TransferFilter { state: all_of_it.state, company_key: all_of_it.company_key.clone(), ..none() },
        TransferFilter { recorded_from: at, ..none() },
        TransferFilter {
            recorded_from: other.recorded_at,
            recorded_until: just_behind,
            feed: all_of_it.feed.clone(),
            ..none()
        },
        all_of_it.clone(),
    ];
    for filter in &finding {
        assert_eq!(found(&store, filter, None, 10).await, [wanted.id], "{filter:?}");
    }
    let nothing = [
        TransferFilter { feed: Some("mor".to_owned()), ..none() },
        TransferFilter { state: Some(TransferState::Done), ..none() },
        // The beginning is meant as it is written, and the whole of it.
        TransferFilter { reason: Some("no%".to_owned()), ..none() },
        TransferFilter { reason: Some("consent".to_owned()), ..none() },
        TransferFilter { reason: Some("No_consent".to_owned()), ..none() },
        TransferFilter { recorded_from: just_behind, ..none() },
        TransferFilter { recorded_until: other.recorded_at, ..none() },
        TransferFilter { state: Some(TransferState::Failed), ..all_of_it.clone() },
        TransferFilter { analyzer: Some("sandbox".to_owned()), ..none() },
    ];
    for filter in &nothing {
        assert!(found(&store, filter, None, 10).await.is_empty(), "{filter:?}");
    }
    let until = TransferFilter { recorded_until: at, ..none() };
    assert_eq!(found(&store, &until, None, 10).await, [other.id], "its end is not part of a range");
}

async fn the_newest_run_is_what_is_asked_about(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let offers = [offer("-N1"), offer("-N2"), offer("-N3")];
    offered(&store, &offers).await;
    let mut claims =
        store.claim(&claim_of("analysis/", kind::TRANSFER_ANALYSE, runner)).await.expect("claims");
    claims.sort_by_key(|claim| claim.subject_id);
    for (claim, analyzer) in claims[..2].iter().zip(["one", "two"]) {
        let formula = (analyzer == "one").then_some("a-formula");
        let begin = AnalysisBegin { claim: claim.clone(), analyzer, formula, now: now() };
        let begun = store.begin_analysis(&begin).await.expect("a store").expect("begun");
        assert_eq!((begun.transfer.run, begun.transfer.state), (1, TransferState::Analysing));
    }
    let none = TransferFilter::default;
    let by_analyzer = |name: &str| TransferFilter { analyzer: Some(name.to_owned()), ..none() };
    assert_eq!(found(&store, &by_analyzer("one"), None, 10).await, [offers[0].id]);
    assert_eq!(found(&store, &by_analyzer("two"), None, 10).await, [offers[1].id]);
    let by_formula = TransferFilter { formula: Some("a-formula".to_owned()), ..none() };
    assert_eq!(found(&store, &by_formula, None, 10).await, [offers[0].id]);

    let tenant = TenantId::default();
    let seen = store.transfer(&tenant, offers[0].id).await.expect("a store").expect("a transfer");
    let run = seen.run.expect("a run");
    assert_eq!((run.number, run.analyzer.as_str(), run.formula.as_deref()), (1, "one", Some("a-formula")));
    assert_eq!((run.result.as_deref(), run.has_fillers, run.ended_at), (None, false, None));
    assert!(run.tells_owners);
    assert_eq!(store.transfer_runs(&tenant, offers[0].id).await.expect("runs"), [run]);
    assert!(store.transfer_runs(&tenant, offers[2].id).await.expect("runs").is_empty());
    let stranger = TenantId::parse("another").expect("a tenant");
    assert!(store.transfer_runs(&stranger, offers[0].id).await.expect("runs").is_empty());
    assert!(store.answers(&tenant, offers[0].id, 1).await.expect("answers").is_empty());
    assert_eq!(found(&store, &none(), None, 10).await.len(), 3);
}

async fn changes_are_seen_once_and_in_order(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let tenant = TenantId::default();
    let before: Vec<Offer> = (0..3).map(|number| skipped(&format!("-N{number}"))).collect();
    offered(&store, &before).await;
    let head = store.transfer_change_head().await.expect("a head");
    let after: Vec<Offer> = (0..5).map(|number| offer(&format!("-N{number}"))).collect();
    let outcomes = offered(&store, &after).await;
    let id = |outcome: &Offered| match *outcome {
        Offered::New { id, .. } | Offered::QueuedAfterAll { id } | Offered::Known { id, .. } => id,
    };
    let version = |version: i64| move |id: TransferId| (id, version);
    let mut expected: Vec<(TransferId, i64)> = before.iter().map(|offer| offer.id).map(version(2)).collect();
    expected.extend(outcomes[3..].iter().map(id).map(version(1)));
    // Another test's transaction on the same server holds the stream back for a moment, and the head with it: what was before may
    // be seen again, but nothing is passed over.
    let (mut seen, mut cursor) = (Vec::new(), head);
    let all_of_it = async {
        while !expected.iter().all(|change| seen.contains(change)) {
            let page = store.transfer_changes_after(&tenant, None, cursor, 2).await.expect("changes");
            cursor = page.last().map_or(cursor, |change| change.cursor);
            assert!(page.iter().all(|change| change.feed == "recordings"));
            seen.extend(page.iter().map(|change| (change.transfer_id, change.version)));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all_of_it).await.expect("in time");
    let (of_after, of_before) = (seen.split_off(seen.len() - expected.len()), seen);
    assert!(of_after.iter().all(|change| expected.contains(change)), "{of_before:?} {of_after:?}");
    assert!(
        of_before.iter().all(|(id, version)| *version == 1 && before.iter().any(|offer| offer.id == *id))
    );
    let beginning = ChangeCursor::default();
    let one = store.transfer_changes_after(&tenant, Some(before[1].id), beginning, 100).await;
    let of_one = store.transfer_changes_of(&tenant, before[1].id).await.expect("changes");
    assert_eq!(one.expect("changes"), of_one);
    assert_eq!(of_one.iter().map(|change| change.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(of_one[0].key, before[1].key);
    assert_ne!(of_one[0].id.0, Uuid::nil());
    let stranger = TenantId::parse("another").expect("a tenant");
    assert!(store.transfer_changes_after(&stranger, None, beginning, 100).await.expect("changes").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_not_passed_over() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let tenant = TenantId::default();
    let first = offer("-Nfirst");
    offered(&store, std::slice::from_ref(&first)).await;
    let head = store.transfer_change_head().await.expect("a head");
    let beside = pool::connect(database.url.as_str()).await.expect("a second connection");
    let late = beside.begin().await.expect("a transaction");
    let insert = format!(
        "insert into transfer_event (id, tenant_id, transfer_id, version, event_type, state, occurred_at_us)
         values (gen_random_uuid(), 'default', '{}', 2, 'transfer.analysing', 'analysing', 0)",
        first.id
    );
    late.execute_unprepared(&insert).await.expect("an event");
    let second = offer("-Nsecond");
    offered(&store, std::slice::from_ref(&second)).await;
    // Another test's transaction on the same server may have held the head back, so that the first change is seen once more.
    let news = async || -> Vec<(TransferId, i64)> {
        let page = store.transfer_changes_after(&tenant, None, head, 10).await.expect("changes");
        let seen = page.iter().map(|change| (change.transfer_id, change.version));
        seen.filter(|change| *change != (first.id, 1)).collect()
    };
    assert!(news().await.is_empty(), "what began before may still be committed");
    late.commit().await.expect("committed at last");
    let both = async {
        loop {
            let seen = news().await;
            if seen.len() == 2 {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    // Tests beside this one may have transactions of some length open on the same server.
    let seen = tokio::time::timeout(Duration::from_secs(120), both).await.expect("in time");
    assert_eq!(seen, [(first.id, 2), (second.id, 1)]);
    beside.close().await.expect("closed");
}
