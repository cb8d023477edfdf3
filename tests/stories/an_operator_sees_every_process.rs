//! An operator sees who shares the store: who lives, who died lately, and what each has in hand.

use bursar::proto::control::v1::{ListProcessesRequest, Process, ProcessState};
use bursar::sandbox::Behaviour;

use crate::support::database::Kind;
use crate::support::house::{House, Operator, a_boleto, eventually};

async fn processes(operator: &Operator) -> Vec<Process> {
    let answer = operator.control.clone().list_processes(ListProcessesRequest {}).await;
    answer.expect("processes").into_inner().processes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_shows_itself_and_the_one_before_it_on_the_embedded_store() {
    the_one_before_is_shown_as_dead(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_shows_itself_and_the_one_before_it_on_postgresql() {
    the_one_before_is_shown_as_dead(Kind::PostgreSql).await;
}

async fn the_one_before_is_shown_as_dead(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let shown = processes(&house.operator()).await;
    assert_eq!(shown.len(), 1, "{shown:?}");
    let first = &shown[0];
    assert_eq!(first.runner_id, house.operator().info().await.runner_id);
    assert_eq!((first.state(), first.answering), (ProcessState::Alive, true));
    assert_eq!(first.version, env!("CARGO_PKG_VERSION"));
    assert!(first.name.ends_with(&format!(":{}", std::process::id())), "{}", first.name);
    assert!(first.start_time.is_some() && first.end_time.is_none());

    let house = house.leave().await.open().await;
    let shown = processes(&house.operator()).await;
    let states: Vec<(ProcessState, bool)> =
        shown.iter().map(|process| (process.state(), process.answering)).collect();
    assert_eq!(states, [(ProcessState::Alive, true), (ProcessState::Dead, false)]);
    assert_eq!(shown[1].runner_id, first.runner_id);
    assert_ne!(shown[0].runner_id, first.runner_id);
    assert!(shown[1].end_time.is_some() && shown[1].offices.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_tells_what_is_in_hand() {
    let house = House::new()
        .with("registration.inline_deadline", "10ms")
        .with("work.heartbeat_interval", "20ms")
        .open()
        .await;
    let operator = house.operator();
    house.script().bank_register(Behaviour::Hold);
    house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    let process = eventually("a heartbeat with work in hand", async || {
        processes(&operator).await.into_iter().find(|process| process.in_hand == 1)
    })
    .await;
    assert!(process.places > 1 && process.heartbeat_time.is_some(), "{process:?}");
    let holder = eventually("an office is held", async || {
        processes(&operator).await.into_iter().find(|process| !process.offices.is_empty())
    })
    .await;
    assert!(holder.offices.iter().all(|office| office.term > 0 && office.time.is_some()), "{holder:?}");
    house.script().release();
    eventually("nothing is in hand", async || {
        processes(&operator).await.into_iter().find(|process| process.in_hand == 0)
    })
    .await;
    house.close().await;
}
