//! What a stage needs for transfers, and how what came of them is judged: by the world's ledger, and by what lies in the database.
//!
//! **Owns** nothing. **Fails** a test with what it found. **Limits**: one feed, told at a webhook and by mail.

use std::collections::{BTreeMap, BTreeSet};

use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::sandbox::{Effect, EffectKind, VENDOR_AUTH};
use bursar::store::pool;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::Value;

use crate::feed::{self, Feed};
use crate::judge;
use crate::process::PATIENCE;
use crate::stage::{House, Stage, WEBHOOK_SECRET};

const VENDOR: &str = "FAULTS_VENDOR";
/// Where owners are told: the webhook and the mailbox.
const DESTINATIONS: [EffectKind; 2] = [EffectKind::OwnerWebhook, EffectKind::OwnerMail];

/// A transfer that was offered, and what has to come of it.
#[derive(Clone)]
pub struct Offered {
    pub key: String,
    pub answers: usize,
    pub result: String,
}

impl Offered {
    /// Has a transfer recorded on the stage.
    pub fn on(stage: &Stage, key: &str, answers: usize) -> Self {
        let result = Feed(&stage.world).offers(key, answers);
        Self { key: key.to_owned(), answers, result }
    }
}

/// Opens a house that follows the feed, with these settings over the usual ones.
pub async fn house(stage: &Stage, more: &[&str], variables: &[(&'static str, String)]) -> House {
    let of_feed = feed::settings(stage.world.addresses(), "main", &format!("env:{VENDOR}"));
    let mut settings: Vec<String> =
        of_feed.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    for key in ["transfers.analysis", "transfers.write_back"] {
        settings.extend([format!("{key}.retry_base=50ms"), format!("{key}.retry_cap=200ms")]);
    }
    for wait in [
        "transfers.feed.firebase_rtdb.reconnect_base=10ms",
        "transfers.feed.firebase_rtdb.reconnect_cap=100ms",
    ] {
        settings.push(wait.to_owned());
    }
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let variables: Vec<(&str, String)> =
        variables.iter().cloned().chain([(VENDOR, VENDOR_AUTH.to_owned())]).collect();
    stage.house_with(&settings, &variables).await
}

/// Opens a house that follows the feed, and has everything about transfers told at the webhook and by mail.
pub async fn opened(stage: &Stage, more: &[&str], variables: &[(&'static str, String)]) -> House {
    let house = house(stage, more, variables).await;
    assert!(house.opened().await, "{}", house.program.said());
    subscribe_at(stage, &house).await;
    house
}

/// The same before anybody follows the feed.
pub async fn subscribe(stage: &Stage) {
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    subscribe_at(stage, &house).await;
    house.close().await;
}

async fn subscribe_at(stage: &Stage, house: &House) {
    let channel = house.channel().await.expect("a house that listens");
    let webhook = notification::WebhookDestination {
        url: stage.world.addresses().webhook_url.clone(),
        secrets: vec![WEBHOOK_SECRET.to_owned()],
        ..Default::default()
    };
    let mail =
        notification::MailDestination { address: "owner@example.com".to_owned(), ..Default::default() };
    for destination in [Destination::Webhook(webhook), Destination::Mail(mail)] {
        let endpoint = notification::Endpoint {
            destination: Some(destination),
            event_types: vec!["transfer.*".to_owned()],
            ..notification::Endpoint::default()
        };
        let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
        let made = NotificationServiceClient::new(channel.clone()).create_endpoint(request).await;
        made.expect("a subscription");
    }
}

/// How many pieces of news have reached both destinations.
fn told(effects: &[Effect]) -> usize {
    let keys = |kind: EffectKind| -> BTreeSet<&str> {
        effects.iter().filter(|effect| effect.kind == kind).map(|effect| effect.key.as_str()).collect()
    };
    let [webhook, mail] = DESTINATIONS.map(keys);
    webhook.intersection(&mail).count()
}

/// Waits, asking nobody, until owners were told of so many ends.
pub async fn owners_told(stage: &Stage, ends: usize) {
    let waited = stage.world.wait_for_effects(|effects| told(effects) >= ends, PATIENCE * 2).await;
    if waited.is_err() {
        let told = told(&stage.world.effects());
        panic!("{told} of {ends} ends were told; left:\n{}", left(&stage.database_url).await);
    }
}

/// What a failed test shows of the database.
async fn left(url: &str) -> String {
    let Ok(connection) = pool::connect(url).await else { return "no database".to_owned() };
    let question = "select 'work ' || kind || ' ' || state || ', attempt ' || cast(attempt as text) || ', last error: '
            || coalesce(last_error, 'none') as line from work
        union all select 'ended: ' || kind || ' ' || state || ', ' || coalesce(last_error, 'no error') from work_archive
            where state <> 'completed'
        union all select 'transfers ' || state || ' ' || coalesce(reason, '') || ': ' || cast(count(*) as text)
            from transfer group by state, reason
        limit 30";
    let statement = Statement::from_string(connection.get_database_backend(), question);
    let rows = connection.query_all_raw(statement).await.expect("an answer");
    let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "line").expect("a text")).collect();
    lines.join("\n")
}

/// Judges a house whose transfers must all be done, then ends it and judges what it leaves behind. `once_more` is how often one
/// recording may have been analysed beyond what was needed, and its result written.
pub async fn all_is_well(stage: &Stage, house: House, offered: &[Offered], once_more: usize) {
    owners_told(stage, offered.len()).await;
    judge::no_work_left(&house).await;
    house.close().await;
    by_the_feed(stage, offered);
    by_the_ledger(&stage.world.effects(), offered, once_more);
    by_the_database(&stage.database_url, offered).await;
}

fn by_the_feed(stage: &Stage, offered: &[Offered]) {
    let feed = Feed(&stage.world);
    for Offered { key, result, .. } in offered {
        let record = feed.record(key);
        assert_eq!(
            (&record["processed"], &record["resultado"]),
            (&true.into(), &result.as_str().into()),
            "{key}"
        );
        assert_eq!(record["status"], "resultado", "what is not ours stays");
    }
    assert_eq!(feed.database().read("claims"), Value::Null, "a claim is left behind");
}

fn by_the_ledger(effects: &[Effect], offered: &[Offered], once_more: usize) {
    let mut analysed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut written: BTreeMap<&str, usize> = BTreeMap::new();
    for effect in effects {
        match effect.kind {
            EffectKind::VendorAnalysed => *analysed.entry(&effect.key).or_default() += 1,
            EffectKind::FeedWritten if effect.detail["fields"]["processed"] == true => {
                *written.entry(&effect.key).or_default() += 1;
                let of =
                    offered.iter().find(|offered| offered.key == effect.key).expect("a transfer of ours");
                assert_eq!(effect.detail["fields"]["resultado"], of.result, "every write is the same");
            }
            _ => {}
        }
    }
    let answers: usize = offered.iter().map(|offered| offered.answers).sum();
    assert_eq!(analysed.len(), answers, "every recording was heard: {analysed:?}");
    assert!(analysed.values().all(|times| (1..=1 + once_more).contains(times)), "{analysed:?}");
    assert_eq!(written.len(), offered.len(), "{written:?}");
    assert!(written.values().all(|times| (1..=1 + once_more).contains(times)), "{written:?}");
    for kind in DESTINATIONS {
        let events: BTreeSet<&str> =
            effects.iter().filter(|effect| effect.kind == kind).map(|effect| effect.key.as_str()).collect();
        assert_eq!(events.len(), offered.len(), "one piece of news an end: {events:?}");
    }
}

/// What must not be in a database whose house has ended in good order.
const NOT_THERE: [(&str, &str); 6] = [
    ("work", "select count(*) as n from work"),
    ("dead letters", "select count(*) as n from work_archive where state <> 'completed'"),
    ("deliveries that were not made", "select count(*) as n from delivery where state <> 'delivered'"),
    (
        "transfers that are not done in their first run",
        "select count(*) as n from transfer where state <> 'done' or run <> 1",
    ),
    (
        "transfers without the event of their version",
        "select count(*) as n from transfer where not exists (select 1 from transfer_event
            where transfer_event.transfer_id = transfer.id and transfer_event.version = transfer.version)",
    ),
    (
        "vendors' answers that no answer names",
        "select count(*) as n from raw_answer where not exists (select 1 from recorded_answer
            where recorded_answer.raw_answer_id = raw_answer.id)",
    ),
];

async fn by_the_database(url: &str, offered: &[Offered]) {
    let connection = pool::connect(url).await.expect("a database without its house");
    for (what, question) in NOT_THERE {
        assert_eq!(judge::count(&connection, question).await, 0, "{what} in the database");
    }
    let answers: usize = offered.iter().map(|offered| offered.answers).sum();
    for (question, times) in [
        ("select count(*) as n from transfer", offered.len()),
        ("select count(*) as n from transfer_run where write_back = 'written'", offered.len()),
        ("select count(*) as n from recorded_answer where outcome = 'scored'", answers),
        ("select count(*) as n from transfer_event where event_type = 'transfer.queued'", offered.len()),
        ("select count(*) as n from transfer_event where event_type = 'transfer.done'", offered.len()),
        ("select count(*) as n from subject_event", offered.len()),
    ] {
        assert_eq!(judge::count(&connection, question).await, times as i64, "{question}");
    }
    connection.close().await.expect("the database lets go");
}
