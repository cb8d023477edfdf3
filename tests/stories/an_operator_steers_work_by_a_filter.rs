//! A bank was away for too long, and many registrations have become dead letters or wait for hours. An operator has them all
//! tried again, or ends them, by what they have in common.

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::proto::control::v1::{
    BatchCancelWorkRequest, BatchCancelWorkResponse, BatchRetryWorkRequest, BatchRetryWorkResponse,
    WorkFilter, WorkState,
};
use bursar::sandbox::{Behaviour, Party};
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Operator, Refusal as _, a_boleto, eventually};

async fn retries(
    operator: &Operator,
    filter: WorkFilter,
    limit: i32,
) -> Result<BatchRetryWorkResponse, Status> {
    let request =
        BatchRetryWorkRequest { filter: Some(filter), reason: "the bank is back".to_owned(), limit };
    Ok(operator.control.clone().batch_retry_work(request).await?.into_inner())
}

async fn cancels(
    operator: &Operator,
    filter: WorkFilter,
    limit: i32,
) -> Result<BatchCancelWorkResponse, Status> {
    let request = BatchCancelWorkRequest { filter: Some(filter), reason: "sold twice".to_owned(), limit };
    Ok(operator.control.clone().batch_cancel_work(request).await?.into_inner())
}

fn in_states(states: &[WorkState]) -> WorkFilter {
    let states = states.iter().map(|state| i32::from(*state)).collect();
    WorkFilter { states, ..WorkFilter::default() }
}

/// Boletos whose bank does not take them.
async fn creates(house: &Opened, boletos: usize) -> Vec<Boleto> {
    let mut made = Vec::new();
    for _ in 0..boletos {
        made.push(house.shop().creates(a_boleto().told_to_nobody()).await);
    }
    made
}

/// Waits until so much work is in this state.
async fn sees(operator: &Operator, state: WorkState, rows: usize) {
    eventually(&format!("{rows} rows {state:?}"), async || {
        (operator.work(&[state]).await.len() == rows).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_live_again_slice_by_slice_on_the_embedded_store() {
    dead_letters_live_again_slice_by_slice(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_live_again_slice_by_slice_on_postgresql() {
    dead_letters_live_again_slice_by_slice(Kind::PostgreSql).await;
}

async fn dead_letters_live_again_slice_by_slice(kind: Kind) {
    let house = House::new()
        .on(kind)
        .with("registration.attempts_max", "2")
        .with("breaker.failures_max", "1000")
        .open()
        .await;
    let operator = house.operator();
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let made = creates(&house, 5).await;
    sees(&operator, WorkState::Discarded, 5).await;
    let letter = operator.finds_work(&made[0].id, &[WorkState::Discarded]).await;
    let attempts = &letter[0].attempts;
    let (first, last) = (&attempts[0], &attempts[attempts.len() - 1]);
    assert_eq!((first.attempt, last.attempt), (1, 2), "{letter:?}");
    assert!(first.error.contains("status 500") && first.time.is_some(), "{first:?}");
    assert_eq!(first.runner_id, operator.info().await.runner_id);

    house.script().clear(Party::BankRegister);
    // One of them has live work again already: its letter stays what it is.
    house.script().always(Party::BankRegister, Behaviour::Hold);
    let asking = tokio::spawn({
        let (shop, id) = (house.shop(), made[0].id.clone());
        async move { shop.registers_again(&id).await }
    });
    house.bank().holds(1).await;
    let dead = in_states(&[WorkState::Discarded]);
    let first = retries(&operator, dead.clone(), 3).await.expect("a slice");
    assert_eq!((first.retried, first.superseded, first.more), (3, 1, true));
    let second = retries(&operator, dead.clone(), 3).await.expect("a slice");
    assert_eq!((second.retried, second.superseded, second.more), (1, 1, false));
    assert_eq!(retries(&operator, dead, 3).await.expect("a slice").retried, 0);
    house.script().clear(Party::BankRegister);
    house.script().release();
    for boleto in &made {
        house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        house.bank().keeps_one(boleto);
    }
    let revived = operator.finds_work(&made[4].id, &[WorkState::Completed]).await;
    asking.await.expect("no panic").expect("asked again");
    let numbers: Vec<i32> = revived[0].attempts.iter().map(|attempt| attempt.attempt).collect();
    assert!(
        numbers.contains(&2) && revived[0].attempt <= 2,
        "what was tried before is still told: {numbers:?}"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_hastened_or_ended_and_what_is_in_hand_is_left() {
    let house = House::new()
        .with("registration.inline_deadline", "10ms")
        .with("registration.retry_base", "1h")
        .with("registration.retry_cap", "1h")
        .with("breaker.failures_max", "1000")
        .open()
        .await;
    let operator = house.operator();
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let made = creates(&house, 4).await;
    sees(&operator, WorkState::Retryable, 4).await;
    house.script().clear(Party::BankRegister);
    house.script().bank_register(Behaviour::Hold);
    let in_hand = creates(&house, 1).await;
    house.bank().holds(1).await;

    let registrations = WorkFilter { kind: "boleto.register".to_owned(), ..WorkFilter::default() };
    let one = WorkFilter { subject_id: made[0].id.clone(), ..registrations.clone() };
    let ended = cancels(&operator, one, 0).await.expect("one ended");
    assert_eq!((ended.cancelled, ended.in_hand, ended.more), (1, 0, false));
    let queue = operator.finds_work(&made[1].id, &[]).await[0].queue.clone();
    let of_queue = WorkFilter { queue, ..registrations.clone() };
    let ended = cancels(&operator, of_queue, 1).await.expect("one ended");
    assert_eq!((ended.cancelled, ended.in_hand, ended.more), (1, 1, true));
    let cancelled = operator.work(&[WorkState::Cancelled]).await;
    let subjects: Vec<&str> = cancelled.iter().map(|work| work.subject_id.as_str()).collect();
    assert_eq!(subjects, [&made[1].id, &made[0].id], "the oldest first");
    assert!(cancelled.iter().all(|work| work.last_error == "sold twice" && work.attempts.len() == 1));

    let nothing =
        WorkFilter { kind: "notification.deliver".to_owned(), ..in_states(&[WorkState::Retryable]) };
    let hastened = retries(&operator, nothing, 0).await.expect("nothing to do");
    assert_eq!((hastened.retried, hastened.in_hand, hastened.more), (0, 0, false));
    let waiting = in_states(&[WorkState::Scheduled, WorkState::Retryable]);
    let hastened = retries(&operator, waiting, 0).await.expect("hastened");
    assert_eq!((hastened.retried, hastened.in_hand, hastened.more), (2, 1, false));
    house.script().release();
    for boleto in made[2..].iter().chain(&in_hand) {
        house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_must_say_what_is_meant() {
    let house = House::new().open().await;
    let operator = house.operator();
    let all = WorkFilter::default;
    for (filter, limit, fields) in [
        (all(), 0, vec!["filter.states"]),
        (in_states(&[WorkState::Running]), 0, vec!["filter.states"]),
        (in_states(&[WorkState::Discarded, WorkState::Completed]), 0, vec!["filter.states"]),
        (in_states(&[WorkState::Discarded]), 1_001, vec!["limit"]),
        (
            WorkFilter { subject_id: "7".to_owned(), ..in_states(&[WorkState::Discarded]) },
            -1,
            vec!["filter.subject_id", "limit"],
        ),
    ] {
        let refused = retries(&operator, filter.clone(), limit).await.expect_err("no wish");
        assert_eq!(
            (refused.code(), refused.fields()),
            (Code::InvalidArgument, fields.iter().map(|field| (*field).to_owned()).collect()),
            "{filter:?}"
        );
    }
    let refused = cancels(&operator, all(), 0).await.expect_err("everything is not a filter");
    assert_eq!(refused.fields(), ["filter"]);
    let refused = cancels(&operator, in_states(&[WorkState::Discarded]), 0).await.expect_err("it has ended");
    assert_eq!(refused.fields(), ["filter.states"]);
    let without_reason = BatchCancelWorkRequest {
        filter: Some(in_states(&[WorkState::Retryable])),
        ..BatchCancelWorkRequest::default()
    };
    let refused = operator.control.clone().batch_cancel_work(without_reason).await.expect_err("no reason");
    assert_eq!(refused.fields(), ["reason"]);
    house.close().await;
}
