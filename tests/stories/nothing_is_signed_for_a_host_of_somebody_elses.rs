//! Somebody has got the address of a machine of their choice into the table of destinations, past every check that is made when
//! a queue is named. A request that is signed with the operator's AWS keys must not leave for it, nor anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest, WorkState};
use bursar::store::pool;
use sea_orm::{ConnectionTrait, Statement};
use tokio::net::TcpListener;

use crate::support::house::{House, a_boleto, eventually};

const DELIVERIES: &str = "delivery/sqs/";

/// Somebody who listens and counts who calls.
async fn canary(address: &str, calls: &Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let calls = calls.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_put_in_by_hand_is_never_signed_for() {
    let house = House::new()
        // As in earnest: no endpoint of the operator's, and the hosts of Amazon's queues alone.
        .with("channels.sqs.endpoint", "")
        .with("channels.sqs.egress.schemes", r#"["https"]"#)
        .with("channels.sqs.egress.hosts", r#"["sqs.*.amazonaws.com"]"#)
        .with("channels.sqs.egress.ports", "[443]")
        .with("channels.sqs.egress.allow_loopback", "false")
        .with("notification.attempts_max", "1")
        .open()
        .await;
    let calls = Arc::new(AtomicUsize::new(0));
    let port = canary("127.0.0.1:0", &calls).await;
    let hostile = [
        format!("http://127.0.0.1:{port}/123456789012/shop"),
        format!("https://127.0.0.1:{port}/123456789012/shop"),
        format!("https://localhost:{port}/123456789012/shop"),
        format!("https://[::ffff:127.0.0.1]:{port}/123456789012/shop"),
        format!("https://2130706433:{port}/123456789012/shop"),
        format!("https://sqs.sa-east-1.amazonaws.com@127.0.0.1:{port}/123456789012/shop"),
        format!("https://sqs.sa-east-1.amazonaws.com.localhost:{port}/123456789012/shop"),
        format!("https://sqs.sa-east-1.amazonaws.com:{port}/123456789012/shop"),
        "http://sqs.sa-east-1.amazonaws.com/123456789012/shop".to_owned(),
        "https://sqs.sa-east-1.amazonaws.com/123456789012/shop?Action=DeleteQueue".to_owned(),
        "https://169.254.169.254/123456789012/shop".to_owned(),
        "https://example.com/123456789012/shop".to_owned(),
    ];
    let mut control = house.operator().control.clone();
    let pause =
        PauseQueueRequest { name: DELIVERIES.to_owned(), reason: "an intruder is at work".to_owned() };
    control.pause_queue(pause).await.expect("a pause");
    let mut boletos = Vec::new();
    for (number, url) in hostile.iter().enumerate() {
        let honest = format!("https://sqs.sa-east-1.amazonaws.com/123456789012/shop-{number}");
        boletos.push(house.shop().creates(a_boleto().told_to_queue(&honest)).await);
        puts_in_its_place(house.database_url(), &honest, url).await;
    }
    let resume = ResumeQueueRequest { name: DELIVERIES.to_owned(), ..Default::default() };
    control.resume_queue(resume).await.expect("an end of the pause");
    for (boleto, url) in boletos.iter().zip(&hostile) {
        let letter = eventually("the delivery is a dead letter", async || {
            house.operator().finds_work(&boleto.id, &[WorkState::Discarded]).await.pop()
        })
        .await;
        assert!(letter.last_error.contains("misconfigured"), "{url}: {}", letter.last_error);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "somebody was called");
    house.close().await;
}

async fn puts_in_its_place(database_url: &str, honest: &str, hostile: &str) {
    let connection = pool::connect(database_url).await.expect("the database");
    let destination = serde_json::json!({"channel": "sqs", "queue_url": hostile, "region": "sa-east-1"});
    let change = "update endpoint set destination = $1 where target = $2";
    let values = [destination.to_string().into(), honest.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), change, values);
    let changed = connection.execute_raw(statement).await.expect("a change");
    assert_eq!(changed.rows_affected(), 1, "{honest}");
    connection.close().await.expect("the database lets go");
}
