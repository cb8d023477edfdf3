//! An operator looks at the tree, stops an actor, starts it again, and finally has the whole house drained.

use std::time::Duration;

use bursar::domain::bank_account::Provider;
use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::{DrainRequest, NodeKind, NodeStatus, WorkState};
use bursar::sandbox::Behaviour;
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::{House, Refusal as _, a_boleto, eventually};

const REGISTRAR: &str = "house/workers/registrars/banco_do_brasil";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_every_actor_and_those_that_are_not_there() {
    let house = House::new().open().await;
    let tree = house.operator().tree().await;
    let paths: Vec<(String, NodeStatus)> =
        tree.iter().map(|node| (node.path.clone(), node.status())).collect();
    use NodeStatus::{Disabled, Running};
    let one = |path: &str, status| vec![(path.to_owned(), status)];
    // A shelf has a child for every bank.
    let shelf = |name: &str, status| {
        let path = format!("house/workers/{name}");
        let children = Provider::ALL.map(|provider| (format!("{path}/{}", provider.as_str()), status));
        [vec![(path, Running)], children.to_vec()].concat()
    };
    let whole = [
        one("root", Running),
        one("api", Running),
        one("web", Running),
        one("web/document_links", Disabled),
        one("web/metrics", Disabled),
        one("web/metrics_teller", Disabled),
        one("web/dashboard", Disabled),
        one("house", Running),
        one("house/foundation", Running),
        one("house/foundation/store", Running),
        one("house/foundation/bell", Disabled),
        one("house/foundation/runner", Running),
        one("house/foundation/reaper", Running),
        one("house/foundation/leader", Running),
        one("house/foundation/timetable", Running),
        one("house/foundation/consent_watcher", Running),
        one("house/foundation/archiver", Running),
        one("house/workers", Running),
        one("house/workers/notifiers", Running),
        one("house/workers/notifiers/sqs", Running),
        one("house/workers/notifiers/webhook", Running),
        one("house/workers/notifiers/mail", Running),
        one("house/workers/notifiers/nats", Running),
        shelf("registrars", Running),
        shelf("clerks", Running),
        shelf("reconcilers", Disabled),
        one("house/workers/analysis", Disabled),
        one("house/workers/feed_writers", Disabled),
        one("house/workers/payment_poller", Running),
        one("house/workers/sync_batcher", Running),
        one("house/ingress", Running),
        one("house/ingress/boletos_to_register", Disabled),
        one("house/ingress/transfer_listeners", Disabled),
    ]
    .concat();
    assert_eq!(paths, whole);
    for node in &tree {
        match node.status() {
            Disabled => assert!(!node.note.is_empty(), "{} is disabled and does not say why", node.path),
            _ => assert!(node.uptime.is_some() && node.restarts == 0, "{node:?}"),
        }
    }
    let kind = |path: &str| tree.iter().find(|node| node.path == path).expect("a node").kind();
    assert_eq!((kind("house/workers"), kind(REGISTRAR)), (NodeKind::Supervisor, NodeKind::Worker));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_registrar_leaves_boletos_waiting_until_it_is_started() {
    let house = House::new().open().await;
    let (shop, operator) = (house.shop(), house.operator());
    assert_eq!(operator.stops(REGISTRAR).await.expect("a stopped actor").status(), NodeStatus::Stopped);
    let boleto = shop.creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    assert_eq!(house.bank().asked(), 0);
    let work = eventually("the row is given back", async || {
        let work = operator.finds_work(&boleto.id, &[]).await;
        (work[0].state() == WorkState::Available).then_some(work)
    })
    .await;
    assert_eq!((work.len(), work[0].attempt), (1, 0), "nobody has tried, and nothing counts");

    assert_eq!(operator.starts(REGISTRAR).await.expect("a started actor").status(), NodeStatus::Running);
    shop.sees(&boleto.id, BoletoStatus::Registered).await;
    let restarts = operator.actor(REGISTRAR).await.restarts;
    let restarted = operator.restarts(REGISTRAR).await.expect("a restarted actor");
    assert_eq!((restarted.status(), restarted.restarts), (NodeStatus::Running, restarts + 1));
    assert_eq!(restarted.last_exit.expect("an exit").kind, "normal");
    let branch = operator.restarts("house/workers").await.expect("a restarted branch");
    assert_eq!(branch.status(), NodeStatus::Running);
    let boleto = shop.creates(a_boleto()).await;
    shop.sees(&boleto.id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_is_restarted_finishes_what_it_has_in_hand() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::Hold);
    let asking = tokio::spawn({
        let shop = house.shop();
        async move { shop.creates(a_boleto()).await }
    });
    house.bank().holds(1).await;
    let restarting = tokio::spawn({
        let operator = house.operator();
        async move { operator.restarts(REGISTRAR).await }
    });
    house.operator().sees(REGISTRAR, NodeStatus::Stopping).await;
    house.script().release();
    restarting.await.expect("no panic").expect("a restarted actor");
    assert_eq!(asking.await.expect("no panic").status(), BoletoStatus::Registered);
    assert_eq!((house.bank().asked(), house.bank().looked_up()), (1, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_steered_says_so() {
    let house = House::new().open().await;
    let operator = house.operator();
    for path in ["", "house/nobody", "house/", "nobody"] {
        let status = operator.stops(path).await.expect_err("nobody there");
        assert_eq!(
            (status.code(), status.reason().as_str()),
            (Code::NotFound, "ACTOR_NOT_FOUND"),
            "{path:?}"
        );
    }
    for path in ["root", "house/workers/analysis"] {
        let status = operator.restarts(path).await.expect_err("not to be restarted");
        let expected = (Code::FailedPrecondition, "ACTOR_NOT_CONTROLLABLE".to_owned());
        assert_eq!((status.code(), status.reason()), expected, "{path:?}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_house_finishes_what_it_has_in_hand_and_takes_nothing_new() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::Hold);
    let shop = house.shop();
    let asking = tokio::spawn({
        let shop = shop.clone();
        async move { shop.creates(a_boleto()).await }
    });
    house.bank().holds(1).await;
    let mut watching = shop.watches("", "").await.expect("a stream");
    house.operator().control.drain(DrainRequest::default()).await.expect("drained");
    house.drain_wished().await;

    let closing = house.closing();
    let refused =
        eventually("changes are refused", async || shop.tries(a_boleto().called("late")).await.err()).await;
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::Unavailable, "DRAINING"));
    assert!(refused.retry_after().is_some_and(|wait| wait > Duration::ZERO));
    let ended = loop {
        match watching.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.reason(), "DRAINING");
    closing.world().script().release();
    assert_eq!(asking.await.expect("no panic").status(), BoletoStatus::Registered);
    closing.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_house_says_what_it_is() {
    for (kind, name) in [(Kind::Sqlite, "sqlite"), (Kind::PostgreSql, "postgresql")] {
        let house = House::new().on(kind).open().await;
        let info = house.operator().info().await;
        assert_eq!((info.store.as_str(), info.version.as_str()), (name, env!("CARGO_PKG_VERSION")));
        assert!(info.ready && !info.draining && info.not_ready_reason.is_empty());
        assert!(!info.runner_id.is_empty() && info.schema_version > 0 && info.uptime.is_some());
        house.close().await;
    }
}
