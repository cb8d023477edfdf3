//! What cannot work is refused at the start: with a word that helps, and an exit code that a script can read.

use std::net::TcpListener;

use crate::database::Kind;
use crate::process::Program;
use crate::stage::Stage;

/// Waits for the end of a program that must not have opened, and returns its exit code and words.
async fn refused(mut program: Program) -> (Option<i32>, String) {
    let status = program.ended().await;
    (status.code(), program.said())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_sqlite_file_is_refused() {
    let stage = Stage::open(Kind::Sqlite).await;
    let mut first = stage.house().await;
    assert!(first.opened().await, "{}", first.program.said());
    let (code, words) = refused(stage.serve(&[], &[])).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("bursar.db") && words.contains("another process"), "{words}");
    assert!(first.program.runs(), "the first goes on");
    first.close().await;

    // The lock goes with its process, however that ends.
    let mut second = stage.house().await;
    assert!(second.opened().await, "{}", second.program.said());
    second.program.kill().await;
    let third = stage.house().await;
    assert!(third.opened().await, "{}", third.program.said());
    third.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kind_of_database_is_refused_without_its_password() {
    let stage = Stage::open(Kind::Sqlite).await;
    let program = stage.serve(&["store.url=mysql://somebody:hunter2@127.0.0.1/shop"], &[]);
    let (code, words) = refused(program).await;
    assert!(matches!(code, Some(1 | 3)), "{code:?}: {words}");
    assert!(words.contains("mysql") && words.contains("sqlite:") && words.contains("postgres://"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_refused_all_at_once_with_the_nearest_name() {
    let stage = Stage::open(Kind::Sqlite).await;
    let settings = ["work.pol_interval=1s", "work.lanes=0", "work.fence_after=1h"];
    let (code, words) = refused(stage.serve(&settings, &[])).await;
    assert_eq!(code, Some(3), "{words}");
    for part in ["work.pol_interval", "work.poll_interval", "work.lanes", "from 1 to 64", "work.reap_after"] {
        assert!(words.contains(part), "{part} is not in:\n{words}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_refused_with_its_address() {
    let stage = Stage::open(Kind::Sqlite).await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let (code, words) = refused(stage.serve(&[&format!("api.listen={address}")], &[])).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains(&address) && words.to_lowercase().contains("in use"), "{words}");
    stage.close().await;
}
