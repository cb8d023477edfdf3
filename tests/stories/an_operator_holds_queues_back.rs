//! A bank announces maintenance. An operator holds its queues back, sees what gathers there, and lets it go afterwards.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::{
    BreakerState, GetTreeRequest, ListQueuesRequest, PauseQueueRequest, Queue, QueuePause, ResumeQueueRequest,
};
use bursar::sandbox::{Behaviour, Party};
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Operator, Refusal as _, a_boleto, eventually};

async fn queues(operator: &Operator) -> Vec<Queue> {
    let answer = operator.control.clone().list_queues(ListQueuesRequest::default()).await;
    answer.expect("queues").into_inner().queues
}

async fn pauses(operator: &Operator, name: &str, reason: &str) -> Result<QueuePause, Status> {
    let request = PauseQueueRequest { name: name.to_owned(), reason: reason.to_owned() };
    let answer = operator.control.clone().pause_queue(request).await?.into_inner();
    Ok(answer.pause.expect("a pause in the answer"))
}

async fn resumes(operator: &Operator, name: &str) -> Result<bool, Status> {
    let request = ResumeQueueRequest { name: name.to_owned(), ..Default::default() };
    Ok(operator.control.clone().resume_queue(request).await?.into_inner().was_paused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_is_left_alone_during_its_maintenance_on_the_embedded_store() {
    a_bank_is_left_alone_during_its_maintenance(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_is_left_alone_during_its_maintenance_on_postgresql() {
    a_bank_is_left_alone_during_its_maintenance(Kind::PostgreSql).await;
}

async fn a_bank_is_left_alone_during_its_maintenance(kind: Kind) {
    const BANK: &str = "registration/banco_do_brasil/";
    let house = House::new().on(kind).open().await;
    let (shop, operator) = (house.shop(), house.operator());
    let paused = pauses(&operator, BANK, "maintenance").await.expect("a pause");
    assert_eq!((paused.name.as_str(), paused.reason.as_str()), (BANK, "maintenance"));
    let again = pauses(&operator, BANK, "maintenance until nine").await.expect("paused as it was");
    assert_eq!((again.reason.as_str(), again.time), ("maintenance until nine", paused.time));

    let mut boletos = Vec::new();
    for _ in 0..3 {
        boletos.push(shop.creates(a_boleto()).await);
    }
    assert!(boletos.iter().all(|boleto| boleto.status() == BoletoStatus::PendingRegistration));
    let shown = queues(&operator).await;
    let names: Vec<&str> = shown.iter().map(|queue| queue.name.as_str()).collect();
    let queue = format!("{BANK}{}", boletos[0].bank_account_id);
    assert_eq!(names, [BANK, &queue], "the name that is paused, and the queue that it holds back");
    assert_eq!((shown[0].available, shown[0].pause.as_ref()), (0, Some(&again)));
    assert_eq!(shown[1].pause.as_ref(), Some(&again));
    assert_eq!((shown[1].available, shown[1].running, shown[1].retryable), (3, 0, 0));
    assert!(shown[1].oldest_due_age.is_some());
    assert_eq!(house.bank().asked(), 0);

    assert!(resumes(&operator, BANK).await.expect("resumed"));
    for boleto in &boletos {
        shop.sees(&boleto.id, BoletoStatus::Registered).await;
    }
    assert!(!resumes(&operator, BANK).await.expect("no change"));
    operator.sees_all_work_done().await;
    assert!(queues(&operator).await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_is_finished_and_one_queue_holds_back_no_other() {
    let house = House::new().with("registration.inline_deadline", "10ms").open().await;
    let (shop, operator) = (house.shop(), house.operator());
    house.script().bank_register(Behaviour::Hold);
    let in_hand = shop.creates(a_boleto().told_to_nobody()).await;
    house.bank().holds(1).await;
    let queue = format!("registration/banco_do_brasil/{}", in_hand.bank_account_id);
    pauses(&operator, &queue, "one account only").await.expect("a pause");
    let held_back = shop.creates(a_boleto().told_to_nobody()).await;
    let shown = queues(&operator).await;
    assert_eq!((shown.len(), shown[0].running, shown[0].available), (1, 1, 1), "{shown:?}");

    house.script().release();
    shop.sees(&in_hand.id, BoletoStatus::Registered).await;
    assert_eq!(
        (house.bank().asked(), shop.gets(&held_back.id).await.status()),
        (1, BoletoStatus::PendingRegistration)
    );

    pauses(&operator, "delivery/", "the queues move").await.expect("a pause");
    resumes(&operator, &queue).await.expect("resumed");
    shop.sees(&held_back.id, BoletoStatus::Registered).await;
    let told_later = shop.creates(a_boleto()).await;
    shop.sees(&told_later.id, BoletoStatus::Registered).await;
    let held = eventually("a delivery waits", async || {
        queues(&operator).await.into_iter().find(|queue| queue.available == 1)
    })
    .await;
    assert!(held.name.starts_with("delivery/sqs/") && held.pause.is_some(), "{held:?}");
    resumes(&operator, "delivery/").await.expect("resumed");
    house.owner().hears(&told_later.id, 1).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_come_by_the_page_in_the_order_of_their_names() {
    let house = House::new().open().await;
    let operator = house.operator();
    let names = [
        "delivery/",
        "delivery/sqs/",
        "delivery/webhook/",
        "registration/",
        "registration/a-b",
        "registration/ab",
    ];
    for name in names {
        pauses(&operator, name, "for the story").await.expect("a pause");
    }
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListQueuesRequest { page_size: 2, page_token: token };
        let page = operator.control.clone().list_queues(request).await.expect("a page").into_inner();
        assert!(page.queues.len() <= 2);
        found.extend(page.queues);
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert_eq!(found.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>(), names);
    let covering = |at: usize| found[at].pause.as_ref().expect("a pause").name.as_str();
    assert_eq!((covering(1), covering(4)), ("delivery/sqs/", "registration/a-b"), "the nearest is named");
    let wrong = ListQueuesRequest { page_size: 2, page_token: "bm90IG91cnM".to_owned() };
    let refused = operator.control.clone().list_queues(wrong).await.expect_err("no token of ours");
    assert_eq!(refused.fields(), ["page_token"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_holds_nothing_back_is_refused() {
    let house = House::new().open().await;
    let operator = house.operator();
    for name in [
        "",
        "registration",
        "payments/",
        "delivery//",
        "delivery/a\u{1}b",
        &format!("delivery/{}", "x".repeat(1_020)),
    ] {
        let refused = pauses(&operator, name, "").await.expect_err("no name of a queue");
        assert_eq!(
            (refused.code(), refused.fields()),
            (Code::InvalidArgument, vec!["name".to_owned(), "reason".to_owned()]),
            "{name}"
        );
    }
    assert_eq!(resumes(&operator, "payments/").await.expect_err("no queue").fields(), ["name"]);
    assert!(queues(&operator).await.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_does_not_answer_is_seen_in_its_queue() {
    let house = House::new()
        .with("registration.inline_deadline", "10ms")
        .with("registration.retry_base", "1h")
        .with("registration.retry_cap", "1h")
        .with("breaker.failures_max", "2")
        .with("breaker.wait_base", "1h")
        .with("breaker.wait_cap", "1h")
        .open()
        .await;
    let operator = house.operator();
    house.script().always(Party::BankRegister, Behaviour::status(500));
    for _ in 0..2 {
        house.shop().creates(a_boleto()).await;
    }
    let queue = eventually("the breaker opens", async || {
        let open = |queue: &Queue| {
            queue.breaker.as_ref().is_some_and(|breaker| breaker.state() == BreakerState::Open)
        };
        queues(&operator).await.into_iter().find(open)
    })
    .await;
    let breaker = queue.breaker.expect("it was found by it");
    assert!(queue.name.starts_with("registration/"), "{}", queue.name);
    assert!(breaker.failures >= 2 && breaker.probe_time.is_some(), "{breaker:?}");
    assert!(queue.pause.is_none(), "nobody has paused it");
    let tree = operator.control.clone().get_tree(GetTreeRequest {}).await.expect("the tree").into_inner();
    let shown: Vec<&str> = tree.open_breakers.iter().map(|open| open.queue.as_str()).collect();
    assert_eq!(shown, [queue.name.as_str()], "and beside the tree");
    house.close().await;
}
