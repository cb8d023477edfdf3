//! An operator looks at what waits, has it done now, or ends it with a reason.

use std::collections::HashSet;

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::{ListWorkRequest, Work, WorkState};
use bursar::sandbox::{Behaviour, Party};
use tonic::Code;

use crate::support::house::{House, Opened, Refusal as _, a_boleto, eventually};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// A house whose bank is away, and which comes back to it in an hour.
async fn open() -> Opened {
    let house =
        House::new().with("registration.retry_base", "1h").with("registration.retry_cap", "1h").open().await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    house
}

async fn work_of(house: &Opened, boleto_id: &str) -> Work {
    let work = house.operator().finds_work(boleto_id, &[]).await;
    assert_eq!(work.len(), 1, "{work:?}");
    work.into_iter().next().expect("one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_waits_is_done_when_the_operator_wants_it() {
    let house = open().await;
    let operator = house.operator();
    let boleto = house.shop().creates(a_boleto()).await;
    let work = work_of(&house, &boleto.id).await;
    assert_eq!(
        (work.kind.as_str(), work.state(), work.attempt),
        ("boleto.register", WorkState::Retryable, 1)
    );
    assert!(
        work.queue.starts_with("registration/banco_do_brasil/")
            && work.queue.ends_with(&boleto.bank_account_id)
    );
    assert!(work.last_error.contains("status 500"), "{}", work.last_error);
    assert!(work.end_time.is_none() && work.runner_id.is_empty() && work.run_time.is_some());
    assert_eq!(operator.gets_work(&work.id).await.expect("work"), work);

    house.script().clear(Party::BankRegister);
    let hastened = operator.retries(&work.id, "the bank is back").await.expect("hastened work");
    assert_eq!(hastened.id, work.id);
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    let ended = operator.gets_work(&work.id).await.expect("work");
    assert_eq!((ended.state(), ended.attempt), (WorkState::Completed, 2));
    assert!(ended.end_time.is_some());
    for again in [operator.retries(&work.id, "").await, operator.cancels(&work.id, "too late").await] {
        let status = again.expect_err("it has ended");
        assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "WORK_ENDED"));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_work_is_kept_with_its_reason_and_can_be_asked_for_anew() {
    let house = open().await;
    let operator = house.operator();
    let boleto = house.shop().creates(a_boleto()).await;
    let work = work_of(&house, &boleto.id).await;
    let status = operator.cancels(&work.id, "").await.expect_err("no reason given");
    assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, vec!["reason".to_owned()]));
    let cancelled = operator.cancels(&work.id, "sold twice").await.expect("cancelled work");
    assert_eq!((cancelled.state(), cancelled.last_error.as_str()), (WorkState::Cancelled, "sold twice"));
    assert!(operator.work(&[]).await.is_empty());
    assert_eq!(operator.work(&[WorkState::Cancelled]).await, [cancelled]);
    assert_eq!(house.shop().gets(&boleto.id).await.status(), BoletoStatus::PendingRegistration);

    // Nobody knows whether the bank has kept it: asked for anew, it is looked up first.
    house.script().clear(Party::BankRegister);
    house.shop().registers_again(&boleto.id).await.expect("asked again");
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_in_hand_is_not_touched() {
    let house = House::new().with("registration.inline_deadline", "10ms").open().await;
    house.script().bank_register(Behaviour::Hold);
    let boleto = house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    let work = work_of(&house, &boleto.id).await;
    assert_eq!((work.state(), work.runner_id), (WorkState::Running, house.operator().info().await.runner_id));
    for steered in
        [house.operator().retries(&work.id, "").await, house.operator().cancels(&work.id, "in the way").await]
    {
        let status = steered.expect_err("somebody has it in hand");
        assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "WORK_RUNNING"));
    }
    house.script().release();
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_lives_again() {
    let house = House::new().with("registration.attempts_max", "2").open().await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    let letter = eventually("a dead letter", async || {
        house.operator().finds_work(&boleto.id, &[WorkState::Discarded]).await.into_iter().next()
    })
    .await;
    assert_eq!((letter.attempt, house.bank().asked()), (2, 2));
    assert!(letter.last_error.contains("status 500"), "{}", letter.last_error);
    assert_eq!(house.shop().gets(&boleto.id).await.status(), BoletoStatus::PendingRegistration);

    house.script().clear(Party::BankRegister);
    let revived = house.operator().retries(&letter.id, "the bank is back").await.expect("a revived letter");
    assert_eq!(revived.id, letter.id);
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&boleto);
    assert!(house.operator().work(&[WorkState::Discarded]).await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_listed_by_what_is_known_of_it() {
    let house = open().await;
    let operator = house.operator();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(house.shop().creates(a_boleto()).await);
    }
    let all = operator.work(&[]).await;
    let subjects: Vec<&str> = all.iter().map(|work| work.subject_id.as_str()).collect();
    assert_eq!(
        subjects,
        made.iter().rev().map(|boleto| boleto.id.as_str()).collect::<Vec<_>>(),
        "newest first"
    );

    let lists = async |request: ListWorkRequest| {
        operator.control.clone().list_work(request).await.map(tonic::Response::into_inner)
    };
    let any = ListWorkRequest::default;
    let by_kind = |kind: &str| ListWorkRequest { kind: kind.to_owned(), ..any() };
    assert_eq!(lists(by_kind("boleto.register")).await.expect("work").work.len(), 5);
    assert!(lists(by_kind("notification.deliver")).await.expect("work").work.is_empty());
    let by_queue = ListWorkRequest { queue: all[0].queue.clone(), ..any() };
    assert_eq!(lists(by_queue).await.expect("work").work.len(), 5);
    let waiting = ListWorkRequest { states: vec![WorkState::Retryable.into()], ..any() };
    assert_eq!(lists(waiting).await.expect("work").work.len(), 5);

    operator.cancels(&all[2].id, "for the story").await.expect("cancelled work");
    let both = vec![WorkState::Retryable.into(), WorkState::Cancelled.into()];
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListWorkRequest { states: both.clone(), page_size: 2, page_token: token, ..any() };
        let page = lists(request).await.expect("a page");
        assert!(page.work.len() <= 2);
        found.extend(page.work.into_iter().map(|work| work.id));
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    let ids: Vec<&str> = all.iter().map(|work| work.id.as_str()).collect();
    assert_eq!(found, ids, "what lives and what has ended, as one list");

    let first = lists(ListWorkRequest { page_size: 1, ..any() }).await.expect("a page");
    let other = ListWorkRequest { page_token: first.next_page_token, ..by_kind("boleto.register") };
    assert_eq!(lists(other).await.expect_err("a token of another list").fields(), ["page_token"]);
    let wrong = ListWorkRequest { states: vec![77], subject_id: "7".to_owned(), ..any() };
    assert_eq!(lists(wrong).await.expect_err("no filters").fields(), ["states[0]", "subject_id"]);
    let distinct: HashSet<&str> = ids.into_iter().collect();
    assert_eq!(distinct.len(), 5);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_not_there_is_not_found() {
    let house = House::new().open().await;
    let operator = house.operator();
    for missing in [
        operator.gets_work(NOBODY).await,
        operator.retries(NOBODY, "").await,
        operator.cancels(NOBODY, "for the story").await,
    ] {
        let status = missing.expect_err("no such work");
        assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "WORK_NOT_FOUND"));
    }
    assert_eq!(operator.gets_work("7").await.expect_err("no id").fields(), ["id"]);
    let long = operator.retries(NOBODY, &"x".repeat(501)).await.expect_err("a long reason");
    assert_eq!(long.fields(), ["reason"]);
    house.close().await;
}
