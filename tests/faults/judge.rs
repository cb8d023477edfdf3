//! Judges what came of a bad day: by the world's ledger, by what the house says, and by what lies in its database.
//!
//! **Owns** nothing. **Fails** a test with what it found. **Limits**: it judges boletos that the bank was to register.

use std::collections::{BTreeMap, BTreeSet};

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::{Effect, EffectKind};
use bursar::store::pool;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use crate::process::{PATIENCE, eventually};
use crate::shop;
use crate::stage::{House, Stage};

/// How many boletos have been told of, at the queue and at the webhook.
fn told(effects: &[Effect]) -> usize {
    let keys = |kind: EffectKind| -> BTreeSet<&str> {
        effects.iter().filter(|effect| effect.kind == kind).map(|effect| effect.key.as_str()).collect()
    };
    keys(EffectKind::OwnerSqs).intersection(&keys(EffectKind::OwnerWebhook)).count()
}

/// Waits, asking nobody, until the owners of so many boletos have been told, at both destinations.
pub async fn owners_told(stage: &Stage, boletos: usize) {
    let waited = stage.world.wait_for_effects(|effects| told(effects) >= boletos, PATIENCE).await;
    if waited.is_err() {
        let told = told(&stage.world.effects());
        panic!("{told} of {boletos} owners were told; work left:\n{}", work_left(&stage.database_url).await);
    }
}

/// What a failed test shows of the work in the database.
async fn work_left(url: &str) -> String {
    let Ok(connection) = pool::connect(url).await else { return "no database".to_owned() };
    let question = "select kind || ' ' || state || ', attempt ' || cast(attempt as text) || ', last error: '
            || coalesce(last_error, 'none') as line from work
        union all select 'ended: ' || kind || ' ' || state || ', ' || coalesce(last_error, 'no error') from work_archive
            where state <> 'completed'
        union all select 'boletos ' || status || ': ' || cast(count(*) as text) from boleto group by status
        union all select 'deliveries ' || channel || ' ' || state || ' v' || cast(sent_version as text) || ': '
            || cast(count(*) as text) from delivery join endpoint on endpoint.id = delivery.endpoint_id
            group by channel, state, sent_version
        limit 30";
    let statement = Statement::from_string(connection.get_database_backend(), question);
    let rows = connection.query_all_raw(statement).await.expect("an answer");
    let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "line").expect("a text")).collect();
    lines.join("\n")
}

/// Waits until the house has no work left that lives.
pub async fn no_work_left(house: &House) {
    eventually("the end of all work", async || {
        shop::work(&house.channel().await?).await.ok()?.is_empty().then_some(())
    })
    .await;
}

/// Judges a house in which so many boletos were made and must have been registered, then ends it and judges what it
/// leaves behind.
pub async fn all_is_well(stage: &Stage, house: House, boletos: usize) {
    owners_told(stage, boletos).await;
    no_work_left(&house).await;
    let channel = house.channel().await.expect("a house that listens");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    assert_eq!(found.len(), boletos, "boletos in the house");
    for boleto in &found {
        assert_eq!(boleto.status(), BoletoStatus::Registered, "{boleto:?}");
        assert!(boleto.payable, "{boleto:?}");
    }
    by_the_ledger(&stage.world.effects(), &found.iter().map(|boleto| boleto.id.clone()).collect());
    house.close().await;
    by_the_database(&stage.database_url, boletos).await;
}

fn by_the_ledger(effects: &[Effect], boletos: &BTreeSet<String>) {
    let mut registered: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events: BTreeMap<(EffectKind, &str), BTreeSet<&str>> = BTreeMap::new();
    for effect in effects {
        match effect.kind {
            EffectKind::BankRegistered => *registered.entry(&effect.key).or_default() += 1,
            EffectKind::OwnerSqs | EffectKind::OwnerWebhook => {
                let (boleto, event) = effect.key.split_once('+').expect("a boleto and an event");
                events.entry((effect.kind, boleto)).or_default().insert(event);
            }
            // A duplicate that the bank had to refuse is one that we should not have sent.
            other => panic!("{other:?} in the ledger: {effect:?}"),
        }
    }
    assert_eq!(registered.len(), boletos.len(), "titles at the bank: {registered:?}");
    assert!(registered.values().all(|times| *times == 1), "registered twice: {registered:?}");
    for boleto in boletos {
        let at = |kind| events.get(&(kind, boleto.as_str())).cloned().unwrap_or_default();
        let (queue, webhook) = (at(EffectKind::OwnerSqs), at(EffectKind::OwnerWebhook));
        assert_eq!(queue.len(), 1, "one event, under one id, at the queue: {events:?}");
        assert_eq!(queue, webhook, "the same event at both destinations");
    }
}

/// What must not be in a database whose house has ended in good order.
const NOT_THERE: [(&str, &str); 5] = [
    ("work", "select count(*) as n from work"),
    ("dead letters", "select count(*) as n from work_archive where state <> 'completed'"),
    ("deliveries that were not made", "select count(*) as n from delivery where state <> 'delivered'"),
    (
        "boletos without the event of their version",
        "select count(*) as n from boleto where not exists (select 1 from boleto_event
            where boleto_event.boleto_id = boleto.id and boleto_event.version = boleto.version)",
    ),
    (
        "events without a boleto",
        "select count(*) as n from boleto_event where not exists (select 1 from boleto where boleto.id = boleto_event.boleto_id)",
    ),
];

async fn by_the_database(url: &str, boletos: usize) {
    let connection = pool::connect(url).await.expect("a database without its house");
    for (what, question) in NOT_THERE {
        assert_eq!(count(&connection, question).await, 0, "{what} in the database");
    }
    assert_eq!(count(&connection, "select count(*) as n from boleto").await, boletos as i64);
    assert_eq!(
        count(&connection, "select count(*) as n from request_key where method = 'CreateBoleto'").await,
        boletos as i64
    );
    if url.starts_with("sqlite:") {
        let statement = Statement::from_string(connection.get_database_backend(), "pragma integrity_check");
        let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
        assert_eq!(row.try_get::<String>("", "integrity_check").expect("a text"), "ok");
        // Where several may live, one that was killed lives on until it is missed.
        assert_eq!(count(&connection, "select count(*) as n from runner where state = 'alive'").await, 0);
    }
    connection.close().await.expect("the database lets go");
}

/// The number that a question is answered with.
pub async fn count(connection: &DatabaseConnection, question: &str) -> i64 {
    let statement = Statement::from_string(connection.get_database_backend(), question);
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get("", "n").expect("a number")
}
