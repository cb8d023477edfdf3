//! What both databases must do with what feeds offer: take each record in once, put it where it is analysed, tell who wants to know.

use std::collections::BTreeSet;

use bursar::domain::ids::{EndpointId, TenantId, TransferId};
use bursar::domain::transfer::judgement::Judgement;
use bursar::domain::transfer::{TransferKey, TransferState};
use bursar::domain::work::{WorkState, kind};
use bursar::store::Store;
use bursar::store::delivery::{DueDelivery, EventContent};
use bursar::store::transfer::{analysis_queue, transfer_work_key};
use bursar::store::transfer_list::{OpenTransfers, TransferAttempt};
use bursar::store::transfer_offer::{Offer, Offered};
use bursar::store::work::Ending;
use bursar::store::work_steer::{WorkFilter, WorkView};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::{claim_of, deliveries, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    what_is_offered_waits_for_its_analysis,
    what_is_seen_twice_is_one,
    the_last_word_of_a_group_counts,
    a_group_may_be_large,
    the_same_records_offered_by_many_at_once_are_taken_in_once,
    what_was_skipped_is_queued_once_its_record_says_otherwise,
    an_offer_that_cannot_be_written_fails_alone,
    owners_are_told_of_what_is_not_analysed,
    what_waits_and_what_went_wrong_is_told,
    what_is_open_is_counted_by_feed,
);

pub fn key(text: &str) -> TransferKey {
    TransferKey::parse(text).expect("a key")
}

/// An offer of the feed `recordings` that is to be analysed.
pub fn offer(name: &str) -> Offer {
    let tenant_id = TenantId::default();
    Offer {
        id: TransferId(Uuid::now_v7()),
        queue: analysis_queue("sandbox", &tenant_id, Some("company-1")),
        tenant_id,
        feed: "recordings".to_owned(),
        key: key(name),
        judgement: Judgement::Queue,
        recorded_at: Some(now() - chrono::Duration::hours(1)),
        company_key: Some("company-1".to_owned()),
        survey_key: Some("survey-1".to_owned()),
        person_key: Some(format!("person of {name}")),
        user_key: None,
        alias_key: None,
        priority: 0,
        attempts_max: 7,
        delivery_attempts_max: 30,
        traceparent: None,
        now: now(),
    }
}

pub fn skipped(name: &str) -> Offer {
    Offer { judgement: Judgement::Skip("too_old: recorded too long ago".to_owned()), ..offer(name) }
}

pub fn failed(name: &str) -> Offer {
    Offer { judgement: Judgement::Fail("unreadable: no object".to_owned()), ..offer(name) }
}

pub async fn offered(store: &Store, offers: &[Offer]) -> Vec<Offered> {
    store.offer_transfers(offers).await.into_iter().map(|offered| offered.expect("taken in")).collect()
}

async fn all_work(store: &Store) -> Vec<WorkView> {
    store.list_work(&WorkFilter::default(), None, 1_000).await.expect("a list")
}

/// The events of a transfer: version, type, reason.
async fn history(store: &Store, id: TransferId) -> Vec<(i64, String, Option<String>)> {
    let changes = store.transfer_changes_of(&TenantId::default(), id).await.expect("changes");
    changes.into_iter().map(|change| (change.version, change.event_type, change.reason)).collect()
}

async fn what_is_offered_waits_for_its_analysis(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let full = Offer {
        user_key: Some("user-1".to_owned()),
        alias_key: Some(key("-Nother")),
        priority: 3,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..offer("-Nfull")
    };
    let bare = Offer {
        recorded_at: None,
        company_key: None,
        survey_key: None,
        person_key: None,
        queue: analysis_queue("sandbox", &TenantId::default(), None),
        ..offer("-Nbare")
    };
    let outcomes = offered(&store, &[full.clone(), bare.clone()]).await;
    let new = |offer: &Offer| Offered::New { id: offer.id, state: TransferState::Queued };
    assert_eq!(outcomes, [new(&full), new(&bare)]);

    for offer in [&full, &bare] {
        let seen = store.transfer(&offer.tenant_id, offer.id).await.expect("a store").expect("a transfer");
        let by_key = store.transfer_by_key(&offer.tenant_id, &offer.feed, &offer.key).await;
        assert_eq!(by_key.expect("a store").as_ref(), Some(&seen));
        assert_eq!((seen.run, seen.answered), (None, 0));
        let read = seen.transfer;
        assert_eq!((read.id, &read.key, &read.feed), (offer.id, &offer.key, &offer.feed));
        assert_eq!((read.state, read.reason, read.version), (TransferState::Queued, None, 1));
        assert_eq!((read.recorded_at, read.created_at), (offer.recorded_at, offer.now));
        assert_eq!((&read.company_key, &read.survey_key), (&offer.company_key, &offer.survey_key));
        assert_eq!((&read.person_key, &read.user_key), (&offer.person_key, &offer.user_key));
        assert_eq!((&read.alias_key, &read.traceparent), (&offer.alias_key, &offer.traceparent));
        assert_eq!((read.run, read.claims, read.questions), (0, 0, None));
        assert!(read.tells_owners);
        assert_eq!(history(&store, offer.id).await, [(1, "transfer.queued".to_owned(), None)]);
    }
    let stranger = TenantId::parse("another").expect("a tenant");
    assert!(store.transfer(&stranger, full.id).await.expect("a store").is_none());
    assert!(store.transfer_by_key(&stranger, &full.feed, &full.key).await.expect("a store").is_none());

    let runner = runner(&store).await;
    let claims = store.claim(&claim_of("analysis/", kind::TRANSFER_ANALYSE, runner)).await.expect("claims");
    assert_eq!(claims.len(), 2);
    for offer in [&full, &bare] {
        let claim = claims.iter().find(|claim| claim.subject_id == offer.id.0).expect("its work");
        assert_eq!((&claim.queue, claim.attempts_max), (&offer.queue, offer.attempts_max));
        assert_eq!((&claim.tenant_id, &claim.traceparent), (&offer.tenant_id, &offer.traceparent));
        let payload: Value = serde_json::from_str(&claim.payload).expect("JSON");
        assert_eq!(payload, json!({"run": 1}));
    }
    assert_eq!(full.queue, "analysis/sandbox/default/company-1");
    assert_eq!(bare.queue, "analysis/sandbox/default/-");
    assert_eq!(transfer_work_key(full.id), format!("transfer:{}", full.id));
}

async fn what_is_seen_twice_is_one(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let first = offer("-N1");
    let known = Offered::Known { id: first.id, state: TransferState::Queued };
    assert_eq!(
        offered(&store, std::slice::from_ref(&first)).await,
        [Offered::New { id: first.id, state: TransferState::Queued }]
    );
    // Later, beside others, and with another judgement: it is on its way.
    let other = offer("-N2");
    let outcomes = offered(&store, &[offer("-N1"), other.clone(), skipped("-N1"), first.clone()]).await;
    let new = Offered::New { id: other.id, state: TransferState::Queued };
    assert_eq!(outcomes, [known, new, known, known]);
    // Another feed's and another tenant's of that key are others, and so is a key in other letters.
    let of_feed = Offer { feed: "more".to_owned(), ..offer("-N1") };
    let of_tenant = Offer { tenant_id: TenantId::parse("another").expect("a tenant"), ..offer("-N1") };
    let outcomes = offered(&store, &[of_feed, of_tenant, offer("-n1")]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Offered::New { .. })), "{outcomes:?}");
    assert_eq!(all_work(&store).await.len(), 5);
    assert_eq!(history(&store, first.id).await.len(), 1);
}

async fn the_last_word_of_a_group_counts(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let last = offer("-N1");
    let group = [skipped("-N1"), offer("-N2"), offer("-N1"), last.clone()];
    let outcomes = offered(&store, &group).await;
    let queued = TransferState::Queued;
    assert_eq!(
        outcomes,
        [
            Offered::Known { id: last.id, state: queued },
            Offered::New { id: group[1].id, state: queued },
            Offered::Known { id: last.id, state: queued },
            Offered::New { id: last.id, state: queued },
        ]
    );
    let subjects: BTreeSet<Uuid> = all_work(&store).await.iter().map(|row| row.subject_id).collect();
    assert_eq!(subjects, BTreeSet::from([group[1].id.0, last.id.0]));
}

async fn a_group_may_be_large(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let offers: Vec<Offer> = (0..512).map(|number| offer(&format!("-N{number}"))).collect();
    let outcomes = offered(&store, &offers).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Offered::New { .. })));
    let again = offered(&store, &offers).await;
    assert!(again.iter().all(|outcome| matches!(outcome, Offered::Known { .. })));
    let open = store.open_transfers(&TenantId::default(), "recordings").await.expect("a count");
    assert_eq!(open.open, 512);
}

async fn the_same_records_offered_by_many_at_once_are_taken_in_once(kind: Kind) {
    const RECORDS: usize = 200;
    let database = TestDatabase::furnished(kind).await;
    // Two processes where the database lets two in.
    let stores = match kind {
        Kind::PostgreSql => vec![database.open().await, database.open().await],
        Kind::Sqlite => vec![database.open().await],
    };
    let mut offering = tokio::task::JoinSet::new();
    for place in 0..4 {
        let store = stores[place % stores.len()].clone();
        offering.spawn(async move {
            let mut names: Vec<String> = (0..RECORDS).map(|number| format!("-N{number}")).collect();
            // In orders of their own, so that they would wait for each other in a circle.
            names.rotate_left(place * 50);
            if place % 2 == 1 {
                names.reverse();
            }
            let mut outcomes = Vec::new();
            for group in names.chunks(64) {
                let offers: Vec<Offer> = group.iter().map(|name| offer(name)).collect();
                outcomes.extend(store.offer_transfers(&offers).await);
            }
            outcomes
        });
    }
    let outcomes: Vec<Offered> = offering
        .join_all()
        .await
        .into_iter()
        .flatten()
        .map(|outcome| outcome.expect("nobody waits in a circle"))
        .collect();
    assert_eq!(outcomes.len(), 4 * RECORDS);
    let ids = |new: bool| -> Vec<TransferId> {
        let id = |outcome: &Offered| match outcome {
            Offered::New { id, .. } => new.then_some(*id),
            Offered::Known { id, state: TransferState::Queued } => (!new).then_some(*id),
            other => panic!("{other:?}"),
        };
        outcomes.iter().filter_map(id).collect()
    };
    let new = BTreeSet::from_iter(ids(true));
    assert_eq!((ids(true).len(), new.len()), (RECORDS, RECORDS));
    assert_eq!(BTreeSet::from_iter(ids(false)), new, "who came second knows the one that came first");
    let subjects: BTreeSet<TransferId> =
        all_work(&stores[0]).await.iter().map(|row| TransferId(row.subject_id)).collect();
    assert_eq!(subjects, new);
}

async fn what_was_skipped_is_queued_once_its_record_says_otherwise(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let tenant = TenantId::default();
    let group = [skipped("-Nskipped"), failed("-Nfailed")];
    let outcomes = offered(&store, &group).await;
    let (skipped_id, failed_id) = (group[0].id, group[1].id);
    assert_eq!(
        outcomes,
        [
            Offered::New { id: skipped_id, state: TransferState::Skipped },
            Offered::New { id: failed_id, state: TransferState::Failed },
        ]
    );
    assert!(all_work(&store).await.is_empty());
    // For another reason, or for none that helps.
    let other = Judgement::Skip("no_consent: the record does not say it".to_owned());
    let outcomes =
        offered(&store, &[Offer { judgement: other, ..offer("-Nskipped") }, offer("-Nfailed")]).await;
    assert_eq!(
        outcomes,
        [
            Offered::Known { id: skipped_id, state: TransferState::Skipped },
            Offered::Known { id: failed_id, state: TransferState::Failed },
        ]
    );
    let seen = store.transfer(&tenant, skipped_id).await.expect("a store").expect("a transfer").transfer;
    assert_eq!((seen.version, seen.reason.as_deref()), (1, Some("too_old: recorded too long ago")));

    let better = Offer { company_key: Some("company-2".to_owned()), priority: 2, ..offer("-Nskipped") };
    let outcomes = offered(&store, &[better.clone(), skipped("-Nfailed")]).await;
    assert_eq!(
        outcomes,
        [
            Offered::QueuedAfterAll { id: skipped_id },
            Offered::Known { id: failed_id, state: TransferState::Failed }
        ]
    );
    let seen = store.transfer(&tenant, skipped_id).await.expect("a store").expect("a transfer").transfer;
    assert_eq!((seen.state, seen.version, seen.reason), (TransferState::Queued, 2, None));
    assert_eq!((seen.company_key, seen.updated_at), (better.company_key, better.now));
    let work = all_work(&store).await;
    assert_eq!(work.iter().map(|row| row.subject_id).collect::<Vec<_>>(), [skipped_id.0]);
    let events = [
        (1, "transfer.skipped".to_owned(), Some("too_old: recorded too long ago".to_owned())),
        (2, "transfer.queued".to_owned(), None),
    ];
    assert_eq!(history(&store, skipped_id).await, events);
    let outcomes = offered(&store, &[offer("-Nskipped")]).await;
    assert_eq!(outcomes, [Offered::Known { id: skipped_id, state: TransferState::Queued }]);
}

async fn an_offer_that_cannot_be_written_fails_alone(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut offers: Vec<Offer> = (0..64).map(|number| offer(&format!("-N{number}"))).collect();
    // One id for two records is what no verb expects.
    offers[41].id = offers[7].id;
    let results = store.offer_transfers(&offers).await;
    let wrong: Vec<usize> = (0..64).filter(|&index| results[index].is_err()).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0] == 7 || wrong[0] == 41);
    let open = store.open_transfers(&TenantId::default(), "recordings").await.expect("a count");
    assert_eq!((open.open, all_work(&store).await.len()), (63, 63));
}

async fn owners_are_told_of_what_is_not_analysed(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let mut wanting: Vec<EndpointId> = Vec::new();
    for (name, types) in [
        ("all", vec!["transfer.*"]),
        ("skips", vec!["transfer.skipped"]),
        ("others", vec!["boleto.*", "transfer.done"]),
    ] {
        wanting.push(store.ensure_endpoint(&endpoint(name, &types)).await.expect("an endpoint").id);
    }
    let group = [offer("-Nqueued"), skipped("-Nskipped"), failed("-Nfailed")];
    offered(&store, &group).await;
    let claims = deliveries(&store, runner).await;
    let due: Vec<DueDelivery> =
        store.due_deliveries(&claims).await.expect("deliveries").into_iter().flatten().collect();
    let told: BTreeSet<(EndpointId, Uuid, &str)> = due
        .iter()
        .flat_map(|due| due.events.iter().map(|event| (due.endpoint_id, due.subject_id, &*event.event_type)))
        .collect();
    let expected = [
        (wanting[0], group[1].id.0, "transfer.skipped"),
        (wanting[1], group[1].id.0, "transfer.skipped"),
        (wanting[0], group[2].id.0, "transfer.failed"),
    ];
    assert_eq!(told, BTreeSet::from(expected));
    let news = due.iter().find(|due| due.subject_id == group[1].id.0).expect("news").events[0].clone();
    let changes = store.transfer_changes_of(&TenantId::default(), group[1].id).await.expect("changes");
    assert_eq!((news.id, news.version), (changes[0].id.0, 1), "who watches and who is told hear the same");
    let EventContent::Data(data) = news.content else { panic!("{news:?}") };
    let recorded_at = group[1].recorded_at.expect("a time");
    let expected = json!({
        "feed": "recordings",
        "key": "-Nskipped",
        "state": "skipped",
        "reason": "too_old: recorded too long ago",
        "run": 0,
        "analyzer": null,
        "formula": null,
        "result": null,
        "vendor_risk_scores": null,
        "questions": null,
        "has_fillers": false,
        "recorded_at": recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "company_key": "company-1",
        "person_key": "person of -Nskipped",
    });
    assert_eq!(serde_json::from_str::<Value>(&data).expect("JSON"), expected);
    // Seen again, nobody hears of it again; queued after all, neither.
    offered(&store, &[skipped("-Nskipped"), failed("-Nfailed")]).await;
    offered(&store, &[offer("-Nskipped")]).await;
    assert!(deliveries(&store, runner).await.is_empty());
}

async fn what_waits_and_what_went_wrong_is_told(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let tenant = TenantId::default();
    let runner = runner(&store).await;
    let waiting = offer("-N1");
    let done_with = skipped("-N2");
    offered(&store, &[waiting.clone(), done_with.clone()]).await;
    let attempt = async |id| store.transfer_attempt(&tenant, id).await.expect("an answer");
    assert_eq!(attempt(done_with.id).await, TransferAttempt::default());
    let due = TransferAttempt { last_error: None, attempt: 0, next_at: Some(waiting.now) };
    assert_eq!(attempt(waiting.id).await, due);
    let request = claim_of("analysis/", kind::TRANSFER_ANALYSE, runner);
    let claim = store.claim(&request).await.expect("claims").remove(0);
    assert_eq!(attempt(waiting.id).await, TransferAttempt { attempt: 1, next_at: None, ..due.clone() });
    let dead = Ending::of(&claim, WorkState::Discarded, Some("the vendor is down".to_owned()));
    store.end_alone(&[dead], now()).await.expect("ended");
    let failed =
        TransferAttempt { last_error: Some("the vendor is down".to_owned()), attempt: 1, next_at: None };
    assert_eq!(attempt(waiting.id).await, failed);
    let stranger = TenantId::parse("another").expect("a tenant");
    let unknown = store.transfer_attempt(&stranger, waiting.id).await.expect("an answer");
    assert_eq!(unknown, TransferAttempt::default());
}

async fn what_is_open_is_counted_by_feed(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let tenant = TenantId::default();
    let open = async |feed: &str| store.open_transfers(&tenant, feed).await.expect("a count");
    assert_eq!(open("recordings").await, OpenTransfers::default());
    let oldest = offer("-N1");
    let newer = Offer { now: oldest.now + chrono::Duration::seconds(5), ..offer("-N2") };
    let elsewhere = Offer { feed: "more".to_owned(), ..offer("-N3") };
    offered(&store, &[newer, oldest.clone(), elsewhere, skipped("-N4"), failed("-N5")]).await;
    assert_eq!(open("recordings").await, OpenTransfers { open: 2, oldest_at: Some(oldest.now) });
    assert_eq!(open("more").await.open, 1);
}
