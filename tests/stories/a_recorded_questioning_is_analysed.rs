//! Somebody records a questioning. Its answers are analysed one after the other, the feed is told what came of them, and then those
//! who want to know. Where a recording has no score there is no number, whatever the reason; and a vendor that is away costs nothing
//! but time.

use bursar::proto::control::v1::{BreakerState, GetTreeRequest};
use bursar::proto::transfer::v1::answer::Outcome;
use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{
    Behaviour, EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, Effect, EffectKind, Party, Times, VendorName,
};
use serde_json::{Value, json};

use crate::support::database::Kind;
use crate::support::house::feed::a_record;
use crate::support::house::{House, Opened, PATIENCE, Surroundings, eventually};

const VENDOR: Party = Party::Vendor(VendorName::Ra7);
const KEY: &str = "-Nsample0000000000A1";
const OTHER: &str = "-Nsample0000000000A2";

/// What came of each answer, with its score.
async fn outcomes(house: &Opened, key: &str) -> Vec<(Outcome, Option<i32>)> {
    let found = house.operator().finds_transfer(key).await;
    found.answers.iter().map(|answer| (answer.outcome(), answer.vendor_risk_score)).collect()
}

fn place(effects: &[Effect], what: &str, is_it: impl Fn(&Effect) -> bool) -> usize {
    effects.iter().position(is_it).unwrap_or_else(|| panic!("{what} in {effects:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_has_the_scores_and_owners_hear_of_it_once_on_sqlite() {
    the_feed_has_the_scores_and_owners_hear_of_it_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_has_the_scores_and_owners_hear_of_it_once_on_postgresql() {
    the_feed_has_the_scores_and_owners_hear_of_it_once(Kind::PostgreSql).await;
}

async fn the_feed_has_the_scores_and_owners_hear_of_it_once(kind: Kind) {
    let house = House::new().on(kind).with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers(KEY, 3);
    let record = house.feed().is_told(KEY).await;
    assert_eq!((&record["resultado"], &record["codec"]), (&json!(result), &json!("nemesysco_ra7")));
    let news = house.feed().owners_hear(KEY, 1).await;
    house.operator().sees_all_work_done().await;

    let scores: Vec<i32> = result.split('|').map(|score| score.parse().expect("a number")).collect();
    let (event, data) = (&news[0]["event_type"], &news[0]["data"]);
    assert_eq!((event, &data["vendor_risk_scores"]), (&json!("transfer.done"), &json!(scores)));
    assert_eq!((&data["feed"], &data["run"], &data["questions"]), (&json!("main"), &json!(1), &json!(3)));
    let expected: Vec<_> = scores.into_iter().map(|score| (Outcome::Scored, Some(score))).collect();
    assert_eq!(outcomes(&house, KEY).await, expected);

    assert_eq!(house.feed().database().read("claims"), Value::Null, "the claim was given back");
    assert_eq!((house.feed().analysed(KEY), house.feed().told(KEY)), (3, 1));
    assert_eq!(house.feed().news(KEY).len(), 1);
    let effects = house.world().effects();
    let claimed = place(&effects, "a claim", |effect| effect.kind == EffectKind::FeedClaimed);
    let heard = place(&effects, "an analysis", |effect| effect.kind == EffectKind::VendorAnalysed);
    let told = place(&effects, "a result", |effect| effect.detail["fields"]["processed"] == true);
    let owner = place(&effects, "a webhook", |effect| effect.kind == EffectKind::OwnerWebhook);
    assert!(claimed < heard && heard < told && told < owner, "{effects:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_score_has_no_number() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    // Nobody speaks in the second, the third was never stored in full, and the vendor takes no input that it calls invalid.
    house.feed().keeps_recordings(KEY, 4);
    house.feed().keeps(KEY, 1, vec![0; 400]);
    house.feed().keeps(KEY, 2, vec![7; 10]);
    house.script().add(VENDOR, Behaviour::refuse("E1"), Times::Count(1));
    house.feed().puts(&format!("Transfer/{KEY}"), a_record(4));
    let record = house.feed().is_told(KEY).await;
    let news = house.feed().owners_hear(KEY, 1).await;
    let answers = outcomes(&house, KEY).await;
    let kinds: Vec<Outcome> = answers.iter().map(|(outcome, _)| *outcome).collect();
    let (refused, no_speech) = (Outcome::VendorRefused, Outcome::NoSpeech);
    assert_eq!((kinds[0], kinds[1], kinds[3]), (refused, no_speech, Outcome::Scored));
    assert_ne!(kinds[2], Outcome::Scored);
    assert!(answers[..3].iter().all(|(_, score)| score.is_none()), "{answers:?}");
    let last = answers[3].1.expect("a score");
    assert_eq!(record["resultado"], format!("|||{last}"));
    assert_eq!(news[0]["data"]["vendor_risk_scores"], json!([null, null, null, last]));
    assert_eq!(news[0]["data"]["has_fillers"], false);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_is_missing_is_missing_and_readers_of_old_find_their_filler() {
    let house = House::new().with_feed("main").with("transfers.feeds.main.legacy_score", "true").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers(OTHER, 2);
    house.feed().puts(&format!("Transfer/{KEY}"), a_record(2));
    assert_eq!(house.feed().is_told(KEY).await["resultado"], "40|40");
    let news = house.feed().owners_hear(KEY, 1).await;
    assert_eq!(news[0]["data"]["has_fillers"], true);
    assert_eq!(news[0]["data"]["vendor_risk_scores"], json!([null, null]), "a filler is no score");
    assert_eq!(outcomes(&house, KEY).await, [(Outcome::AudioMissing, None), (Outcome::AudioMissing, None)]);
    assert_eq!(house.feed().is_told(OTHER).await["resultado"], result);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_is_away_costs_time_alone_and_no_answer_is_asked_for_twice() {
    let house = House::new()
        .with_feed("main")
        .with("transfers.analysis.attempts_max", "2")
        .with("breaker.failures_max", "3")
        .with("breaker.wait_base", "50ms")
        .with("breaker.wait_cap", "100ms")
        .open()
        .await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    house.script().add(VENDOR, Behaviour::Normal, Times::Count(1));
    house.script().always(VENDOR, Behaviour::status(503));
    let result = house.feed().offers(KEY, 3);
    house.world().wait_for_asked(VENDOR, 2, PATIENCE).await.expect("the second answer is asked about");
    let mut other = a_record(1);
    other["key_empresa"] = json!("-NsampleCompany00002");
    let result_of_other = house.feed().offers_record(OTHER, 1, other);
    let breaker = eventually("the vendor's breaker is open", async || {
        let tree = house.operator().control.clone().get_tree(GetTreeRequest {}).await.expect("the tree");
        tree.into_inner().open_breakers.into_iter().next()
    })
    .await;
    assert_eq!(breaker.queue, "analysis/nemesysco_ra7/", "one for all of the vendor's queues");
    assert_ne!(breaker.breaker.expect("its state").state(), BreakerState::Closed);
    // More often than there are attempts: each time the vendor said that it is away, and none of them counts.
    let asked = house.script().asked(VENDOR);
    house.world().wait_for_asked(VENDOR, asked + 3, PATIENCE).await.expect("it is probed");
    assert!(house.feed().news(KEY).is_empty() && house.feed().news(OTHER).is_empty(), "nothing has ended");

    house.script().clear(VENDOR);
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    assert_eq!(house.feed().is_told(OTHER).await["resultado"], result_of_other);
    house.operator().sees_all_work_done().await;
    assert_eq!((house.feed().analysed(KEY), house.feed().analysed(OTHER)), (3, 1), "each recording once");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_nobody_can_analyse_is_given_up_and_says_what_there_was_on_sqlite() {
    what_nobody_can_analyse_is_given_up(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_nobody_can_analyse_is_given_up_and_says_what_there_was_on_postgresql() {
    what_nobody_can_analyse_is_given_up(Kind::PostgreSql).await;
}

async fn what_nobody_can_analyse_is_given_up(kind: Kind) {
    let settings = House::new().on(kind).with_feed("main").with("transfers.analysis.attempts_max", "2");
    let house = settings.open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    house.script().add(VENDOR, Behaviour::Normal, Times::Count(1));
    // Nobody knows what became of the second question, again and again.
    house.script().always(VENDOR, Behaviour::Reset);
    let result = house.feed().offers(KEY, 3);
    let failed = house.operator().sees_transfer(KEY, State::Failed).await;
    assert!(failed.reason.starts_with("gave_up: "), "{}", failed.reason);
    let first: i32 = result.split('|').next().expect("a first score").parse().expect("a number");
    let gave_up = (Outcome::GaveUp, None);
    assert_eq!(outcomes(&house, KEY).await, [(Outcome::Scored, Some(first)), gave_up, gave_up]);
    let news = house.feed().owners_hear(KEY, 1).await;
    assert_eq!(
        (&news[0]["event_type"], &news[0]["data"]["result"]),
        (&json!("transfer.failed"), &json!(null))
    );
    assert_eq!(house.feed().record(KEY)["processed"], false, "the feed is not told of what there is not");
    house.operator().sees_all_work_done().await;
    assert_eq!(house.feed().database().read("claims"), Value::Null, "the claim was given back");

    house.script().clear(VENDOR);
    house.operator().reprocesses(&failed.id, true, "").await.expect("it has ended");
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_has_its_own_record_told_what_was_heard_elsewhere() {
    let house = House::new().with_feed("main").open().await;
    let with_alias = |alias: &str, questions| {
        let mut record = a_record(questions);
        record["key"] = json!(alias);
        record
    };
    // The one that is heard has more questions, and was processed long ago.
    let result = house.feed().keeps_recordings(OTHER, 3);
    let mut heard = a_record(3);
    heard["processed"] = json!(true);
    heard["resultado"] = json!("77|77|77");
    house.feed().puts(&format!("Transfer/{OTHER}"), heard.clone());
    house.feed().puts(&format!("Transfer/{KEY}"), with_alias(OTHER, 1));
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    let done = house.operator().sees_transfer(KEY, State::Done).await;
    assert_eq!((done.questions, done.alias_key.as_str()), (3, OTHER));
    assert_eq!(done.run.expect("a run").audio_key, OTHER);
    assert_eq!(house.feed().record(OTHER), heard, "what is heard is left alone");

    for (key, alias, why) in [
        ("-NsampleNowhere", "-NsampleNobody", "to no record"),
        ("-NsampleChain", KEY, "further than is followed"),
    ] {
        house.feed().puts(&format!("Transfer/{key}"), with_alias(alias, 1));
        let failed = house.operator().sees_transfer(key, State::Failed).await;
        assert!(failed.reason.starts_with("alias: ") && failed.reason.contains(why), "{}", failed.reason);
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

/// A secret that a vendor knows, in a file of the surroundings.
fn keeps_secret(surroundings: &Surroundings, name: &str, value: &str) -> String {
    let reference = surroundings.secret(name);
    std::fs::write(reference.trim_start_matches("file:"), value).expect("a secret's file");
    reference
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_persons_agreement_nothing_is_sent_to_who_wants_it() {
    let surroundings = House::new()
        .with_feed("main")
        .with("transfers.feeds.main.analyzer", "emotion_logic")
        .with("transfers.feeds.main.consent_field", "consentimiento")
        .prepare()
        .await;
    let key = keeps_secret(&surroundings, "emotion-logic-key", EMOTION_LOGIC_KEY);
    let password = keeps_secret(&surroundings, "emotion-logic-password", EMOTION_LOGIC_PASSWORD);
    let house = surroundings
        .with("analyzers.emotion_logic.api_key", &key)
        .with("analyzers.emotion_logic.api_key_password", &password)
        .open()
        .await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    house.feed().offers(KEY, 2);
    let skipped = house.operator().sees_transfer(KEY, State::Skipped).await;
    assert!(skipped.reason.starts_with("no_consent: "), "{}", skipped.reason);
    assert_eq!(house.feed().owners_hear(KEY, 1).await[0]["event_type"], "transfer.skipped");
    // By hand neither: an operator cannot agree for somebody else.
    house.operator().reprocesses(&skipped.id, false, "").await.expect("it has ended");
    house.operator().sees_all_work_done().await;
    assert_eq!(
        house.operator().finds_transfer(KEY).await.transfer.map(|one| one.state()),
        Some(State::Skipped)
    );
    assert_eq!(house.script().asked(Party::Vendor(VendorName::EmotionLogic)), 0);

    let mut agreed = a_record(2);
    agreed["consentimiento"] = json!(true);
    house.feed().offers_record(OTHER, 2, agreed);
    let record = house.feed().is_told(OTHER).await;
    assert_eq!(record["resultado"], "|", "measured, and no formula makes a score of it");
    let measured = (Outcome::Measured, None);
    assert_eq!(outcomes(&house, OTHER).await, [measured, measured]);
    house.operator().sees_all_work_done().await;
    house.close().await;
}
