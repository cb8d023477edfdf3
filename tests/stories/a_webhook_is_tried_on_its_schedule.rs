//! A receiver is away for a day. It is tried at once, then after five seconds, five minutes, half an hour and so on, eight times in
//! all; then the message is a dead letter.

use std::time::Duration;

use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, Party};
use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;

use crate::support::house::{House, a_boleto, eventually};

/// What is promised, in seconds.
const WAITS: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
/// By how much the machine's clock and the store's may differ.
const CLOCKS: TimeDelta = TimeDelta::seconds(2);

fn moment(time: Option<Timestamp>) -> DateTime<Utc> {
    let time = time.expect("a time");
    let nanos = u32::try_from(time.nanos).expect("a part of a second");
    DateTime::from_timestamp(time.seconds, nanos).expect("a moment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_attempts_and_then_a_dead_letter() {
    let schedule = r#"["5s", "5min", "30min", "2h", "5h", "10h", "10h"]"#;
    let house = House::new().with("channels.webhook.retry_waits", schedule).open().await;
    let operator = house.operator();
    operator.subscribes_webhook(&["*"]).await;
    house.script().always(Party::Webhook, Behaviour::saying(503, "closed for the day"));
    let mut before = Utc::now();
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    for (place, wait) in WAITS.iter().enumerate() {
        let attempt = i32::try_from(place + 1).expect("a small number");
        let work = eventually(&format!("attempt {attempt} has failed"), async || {
            let waiting = operator.finds_work(&boleto.id, &[WorkState::Retryable]).await.pop()?;
            (waiting.attempt == attempt).then_some(waiting)
        })
        .await;
        let wait = Duration::from_secs(*wait);
        let (due, now) = (moment(work.run_time), Utc::now());
        let (earliest, latest) = (before + wait - CLOCKS, now + wait.mul_f64(1.1) + CLOCKS);
        assert!(due >= earliest && due <= latest, "attempt {attempt}: {due} of {earliest} to {latest}");
        assert!(work.last_error.contains("status 503: closed for the day"), "{}", work.last_error);
        before = Utc::now();
        operator.retries(&work.id, "the test does not wait").await.expect("made due now");
    }
    let letter = operator.finds_work_in(&boleto.id, WorkState::Discarded).await;
    assert_eq!(letter.attempt, 8);
    assert_eq!(house.script().asked(Party::Webhook), 8);
    house.close().await;
}
