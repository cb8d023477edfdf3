//! What both databases must do with the audit: one chain however many write at once, and no tampering that goes unnoticed.

use std::collections::BTreeSet;
use std::sync::Arc;

use bursar::caller::{self, Caller};
use bursar::domain::access::Scopes;
use bursar::domain::audit::{Break, Chain, ChainHash, Flaw, Record};
use bursar::domain::ids::TenantId;
use bursar::store::Store;
use bursar::store::audit_act::Act;
use bursar::store::audit_chain::{Verification, Verified};
use bursar::store::audit_list::{AuditFilter, Subject};
use bursar::store::pool;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::now;

on_both_databases!(
    deeds_at_once_become_one_chain,
    tampering_is_found_where_it_was_done,
    what_the_database_alone_cannot_tell_is_found_by_a_hash_that_was_kept,
    records_from_before_the_chain_are_counted_and_not_vouched_for,
    a_deed_is_its_caller_s_and_the_house_s_where_nobody_asked,
    records_are_found_by_who_what_and_when,
);

const RECORDS: i64 = 6;

fn somebody(name: &str, tenant: &str) -> Arc<Caller> {
    let tenant_id = TenantId::parse(tenant).expect("a tenant");
    Arc::new(Caller { tenant_id, name: name.to_owned(), scopes: Scopes::all() })
}

fn act(subject: &str) -> Act {
    Act {
        method: "RestartActor",
        subject: Subject::Named(subject.to_owned()),
        reason: String::new(),
        before: json!({ "status": "running" }),
        after: json!({ "asked": "RestartActor" }),
        now: now(),
    }
}

async fn verified(store: &Store, expected: Option<Chain>) -> Verified {
    let all = Verification { after: Chain::START, expected, records_max: i64::MAX };
    store.verify_audit(&all).await.expect("an answer")
}

async fn records(store: &Store, filter: &AuditFilter) -> Vec<Record> {
    store.audit_records(None, filter, None, 1_000).await.expect("records")
}

/// Does to the database what no verb of ours does.
async fn tamper(database: &TestDatabase, statements: &[&str]) {
    let connection = pool::connect(&database.url).await.expect("a second connection");
    for statement in statements {
        connection
            .execute_unprepared(statement)
            .await
            .unwrap_or_else(|error| panic!("{error} in {statement}"));
    }
    connection.close().await.expect("the database lets go");
}

/// A store with a chain of [`RECORDS`] records.
async fn with_a_chain(kind: Kind) -> (TestDatabase, Store) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    for number in 0..RECORDS {
        store.audit_act(act(&format!("house/{number}"))).await.expect("written down");
    }
    (database, store)
}

async fn deeds_at_once_become_one_chain(kind: Kind) {
    const WRITERS: i64 = 8;
    const EACH: i64 = 10;
    let database = TestDatabase::furnished(kind).await;
    // Two processes where the database lets two in.
    let mut stores = vec![database.open().await];
    if kind == Kind::PostgreSql {
        stores.push(database.open().await);
    }
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores[usize::try_from(writer).expect("a place") % stores.len()].clone();
        writing.spawn(async move {
            for number in 0..EACH / 2 {
                // One with rows of its own to lock before, and one without.
                let queue = format!("delivery/{}/", (writer + number) % 3);
                store.pause_queue(&queue, "for the test", now()).await.expect("paused");
                store.audit_act(act("house")).await.expect("written down");
            }
        });
    }
    while let Some(ended) = writing.join_next().await {
        ended.expect("a writer that ended well");
    }
    let found = verified(&stores[0], None).await;
    assert_eq!((found.records, found.broken, found.is_complete), (WRITERS * EACH, None, true));
    let places: BTreeSet<Option<i64>> =
        records(&stores[0], &AuditFilter::default()).await.iter().map(|record| record.sequence).collect();
    assert_eq!(places.len(), usize::try_from(WRITERS * EACH).expect("a count"), "each has its own place");

    // Followed in steps, it is the same chain.
    let (mut after, mut steps) = (Chain::START, 0);
    loop {
        let step = Verification { after, expected: None, records_max: 33 };
        let step = stores[0].verify_audit(&step).await.expect("an answer");
        assert_eq!(step.broken, None);
        (after, steps) = (step.until, steps + 1);
        if step.is_complete {
            break;
        }
    }
    assert_eq!((after, steps), (found.until, 3));
    for store in stores {
        store.close().await.expect("closed");
    }
}

async fn tampering_is_found_where_it_was_done(kind: Kind) {
    let (database, store) = with_a_chain(kind).await;
    let zeros = ChainHash::START.to_string();
    let rewritten_head = format!("update audit_head set hash = '{zeros}'");
    let cases: [(&str, &[&str], (i64, Flaw)); 11] = [
        ("another reason", &["update audit set reason = 'x' where sequence = 3"], (3, Flaw::Changed)),
        ("nobody did it", &["update audit set actor = null where sequence = 3"], (3, Flaw::Changed)),
        ("another name", &["update audit set subject = 'x' where sequence = 1"], (1, Flaw::Changed)),
        ("at another time", &["update audit set at_us = at_us + 1 where sequence = 3"], (3, Flaw::Changed)),
        ("another tenant", &["update audit set tenant_id = 'other' where sequence = 6"], (6, Flaw::Changed)),
        ("its hash taken away", &["update audit set hash = null where sequence = 2"], (2, Flaw::Changed)),
        ("taken out", &["delete from audit where sequence = 3"], (3, Flaw::Missing)),
        ("the last one taken out", &["delete from audit where sequence = 6"], (6, Flaw::Missing)),
        (
            "two swapped",
            &[
                "update audit set sequence = 1000 where sequence = 3",
                "update audit set sequence = 3 where sequence = 4",
                "update audit set sequence = 4 where sequence = 1000",
            ],
            (3, Flaw::OutOfPlace),
        ),
        (
            "taken out, and the gap closed",
            &[
                "delete from audit where sequence = 5",
                "update audit set sequence = 5 where sequence = 6",
                "update audit_head set sequence = 5",
            ],
            (5, Flaw::OutOfPlace),
        ),
        ("another head", &[&rewritten_head], (6, Flaw::Head)),
    ];
    tamper(
        &database,
        &["create table kept as select * from audit", "create table kept_head as select * from audit_head"],
    )
    .await;
    for (what, statements, (sequence, flaw)) in cases {
        tamper(&database, statements).await;
        let found = verified(&store, None).await;
        let broken = found.broken.unwrap_or_else(|| panic!("{what} went unnoticed"));
        assert_eq!((broken.sequence, broken.flaw), (sequence, flaw), "{what}");
        assert!(!found.is_complete, "{what}");
        tamper(
            &database,
            &[
                "delete from audit",
                "insert into audit select * from kept",
                "delete from audit_head",
                "insert into audit_head select * from kept_head",
            ],
        )
        .await;
        assert_eq!(verified(&store, None).await.broken, None, "{what}, undone");
    }
    store.close().await.expect("closed");
}

async fn what_the_database_alone_cannot_tell_is_found_by_a_hash_that_was_kept(kind: Kind) {
    let (database, store) = with_a_chain(kind).await;
    let kept = verified(&store, None).await.until;
    assert_eq!(verified(&store, Some(kept)).await.broken, None);
    // The last record and every trace of it.
    tamper(
        &database,
        &[
            "update audit_head set sequence = 5, hash = (select hash from audit where sequence = 5)",
            "delete from audit where sequence = 6",
        ],
    )
    .await;
    assert_eq!(verified(&store, None).await.broken, None, "nothing here tells of it any more");
    let gone = Break { sequence: 6, id: None, flaw: Flaw::Missing };
    assert_eq!(verified(&store, Some(kept)).await.broken, Some(gone));
    // Somebody writes on as if nothing had been.
    store.audit_act(act("house/other")).await.expect("written down");
    let broken = verified(&store, Some(kept)).await.broken.expect("another record in its place");
    assert_eq!((broken.sequence, broken.flaw), (6, Flaw::Unexpected));
    // Whoever goes on from where they were before finds it too.
    let since = Verification { after: kept, expected: None, records_max: 10 };
    let broken = store.verify_audit(&since).await.expect("an answer").broken.expect("another chain");
    assert_eq!(broken.flaw, Flaw::Head);
    // What lies before where the chain is followed from is not looked at, so that nobody is told that it is as it was.
    for before in [Chain { sequence: kept.sequence - 1, ..kept }, Chain { hash: ChainHash::START, ..kept }] {
        let unanswerable = Verification { after: kept, expected: Some(before), records_max: 10 };
        assert!(store.verify_audit(&unanswerable).await.is_err(), "{before:?}");
    }
    store.close().await.expect("closed");
}

async fn records_from_before_the_chain_are_counted_and_not_vouched_for(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    assert_eq!(verified(&store, None).await.until, Chain::START, "an empty audit holds");
    store.audit_act(act("house")).await.expect("written down");
    // As the version before writes them, also beside this one.
    let id = |kind: Kind| match kind {
        Kind::Sqlite => "randomblob(16)",
        Kind::PostgreSql => "gen_random_uuid()",
    };
    let write = format!(
        "insert into audit (id, tenant_id, at_us, method, subject_id, reason, before, after, traceparent)
         values ({0}, 'default', 1, 'ResolveBoleto', {0}, 'before', 'null', 'null', null)",
        id(kind)
    );
    tamper(&database, &[&write, &write]).await;
    store.audit_act(act("house")).await.expect("written down");
    let found = verified(&store, None).await;
    assert_eq!((found.records, found.outside, found.is_complete), (2, 2, true));
    let by_nobody = records(&store, &AuditFilter::default()).await;
    let by_nobody = by_nobody.iter().filter(|record| record.sequence.is_none() && record.actor.is_none());
    assert_eq!(by_nobody.count(), 2);
    // A place that the chain does not reach is no place in it.
    let hidden = write
        .replace("insert into audit (", "insert into audit (sequence, ")
        .replace("values (", "values (0, ");
    tamper(&database, &[&hidden, &hidden.replace("values (0, ", "values (-7, ")]).await;
    let found = verified(&store, None).await;
    assert_eq!((found.records, found.outside, found.broken), (2, 4, None));
    store.close().await.expect("closed");
}

async fn a_deed_is_its_caller_s_and_the_house_s_where_nobody_asked(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    caller::within(somebody("token:abc", "shop"), async {
        store.pause_queue("delivery/a/", "in the call", now()).await.expect("paused");
        // A task of its own is no part of the call until it is let run within its caller.
        let lost = store.clone();
        let lost = async move { lost.pause_queue("delivery/b/", "in a task", now()).await };
        tokio::spawn(lost).await.expect("ended").expect("paused");
    })
    .await;
    let found = records(&store, &AuditFilter::default()).await;
    let told: BTreeSet<(&str, &str, &str)> = found
        .iter()
        .map(|record| {
            let actor = record.actor.as_deref().expect("an actor");
            (record.subject.as_deref().expect("a name"), actor, record.tenant_id.as_str())
        })
        .collect();
    let expected = [("delivery/a/", "token:abc", "shop"), ("delivery/b/", caller::HOUSE, "default")];
    assert_eq!(told, BTreeSet::from(expected));
    store.close().await.expect("closed");
}

async fn records_are_found_by_who_what_and_when(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (id, began) = (Uuid::now_v7(), now());
    for (who, tenant, subject) in [
        ("token:one", "default", Subject::Named("house/a".to_owned())),
        ("token:one", "shop", Subject::Id(id)),
        ("token:two", "shop", Subject::Named("house/a".to_owned())),
    ] {
        let act = Act { subject, ..act("") };
        caller::within(somebody(who, tenant), store.audit_act(act)).await.expect("written down");
    }
    let actor = |name: &str| AuditFilter { actor: Some(name.to_owned()), ..AuditFilter::default() };
    let named = Some(Subject::Named("house/a".to_owned()));
    let filters = [
        (actor("token:one"), 2),
        (actor("token:none"), 0),
        (AuditFilter { method: Some("RestartActor".to_owned()), ..AuditFilter::default() }, 3),
        (AuditFilter { subject: Some(Subject::Id(id)), ..AuditFilter::default() }, 1),
        (AuditFilter { subject: named.clone(), ..AuditFilter::default() }, 2),
        (AuditFilter { subject: named, ..actor("token:two") }, 1),
        (AuditFilter { from: Some(began), ..AuditFilter::default() }, 3),
        (AuditFilter { until: Some(began), ..AuditFilter::default() }, 0),
    ];
    for (filter, count) in filters {
        assert_eq!(records(&store, &filter).await.len(), count, "{filter:?}");
    }
    let shop = TenantId::parse("shop").expect("a tenant");
    let newest = store.audit_records(Some(&shop), &AuditFilter::default(), None, 1).await.expect("a page");
    assert_eq!(newest[0].actor.as_deref(), Some("token:two"));
    let before = Some(newest[0].id);
    let rest = store.audit_records(Some(&shop), &AuditFilter::default(), before, 10).await.expect("a page");
    assert_eq!(rest.iter().map(|record| record.subject_id).collect::<Vec<_>>(), [id]);
    store.close().await.expect("closed");
}
