//! The whole tour, taken by an outside client that learns everything from reflection, against the program as a process: the sandbox from
//! its opening to its end by a drain, and then the same store under a door that tells callers apart.

use std::time::Duration;

use bursar::proto::DESCRIPTOR_SET;
use prost::Message as _;
use serde_json::Value;

use crate::peers::judge_within;
use crate::process::Program;
use crate::small_house::Folder;

/// The tour waits for banks, vendors and owners, each for a moment.
const PATIENCE: Duration = Duration::from_secs(120);

/// How far above its own port a sandbox serves pages for operators, and for payers.
const PAGES_ABOVE: [u16; 2] = [5, 80];

/// How many services and methods our protos have, as the compiler wrote them down.
fn ours() -> (usize, usize) {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("what the build wrote").file;
    let services: Vec<_> = files.iter().flat_map(|file| &file.service).collect();
    (services.len(), services.iter().map(|service| service.method.len()).sum())
}

/// The line of a program that is a document with this key, read.
async fn document(program: &Program, key: &str) -> (String, Value) {
    let mark = format!("\"{key}\":");
    let line = program.line(|line| line.starts_with('{') && line.contains(&mark)).await;
    let line = line.unwrap_or_else(|| panic!("it did not open:\n{}", program.said()));
    let document = serde_json::from_str(&line).expect("a document");
    (line, document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_client_takes_the_whole_tour_and_ends_it() {
    let folder = Folder::new();
    let data_dir = folder.path().join("sandbox").display().to_string();
    // A port of its own, for its documents are served beside it.
    let port = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["--json", "sandbox", "--data-dir", &data_dir, "--listen", &listen];
    let mut sandbox = Program::start(&arguments, &[]);
    let (line, opened) = document(&sandbox, "outside").await;
    let address = opened["address"].as_str().expect("an address");
    let told = judge_within(PATIENCE, "grpc_tour.py", &["house", address], &line).await.approved();
    let status = sandbox.ended().await;
    assert_eq!(status.code(), Some(0), "{}", sandbox.said());

    let (services, methods) = ours();
    assert_eq!(told["services"].as_object().map(serde_json::Map::len), Some(services), "{told}");
    assert_eq!(told["of"], methods, "{told}");
    let called = told["called"].as_u64().expect("a count");
    // What cannot be called in a house where nothing goes wrong is tried by stories of its own.
    assert!(called * 10 >= told["of"].as_u64().expect("a count") * 9, "{told}");

    let administrator = told["administrator"].as_str().expect("a token");
    let keeper_key = format!("secrets.key=file:{data_dir}/secrets/keeper-key");
    let data_dir = format!("data_dir={data_dir}");
    let settings = [
        data_dir.as_str(),
        keeper_key.as_str(),
        "api.listen=127.0.0.1:0",
        "access.mode=tokens",
        "telemetry.log_format=json",
    ];
    let arguments: Vec<&str> =
        std::iter::once("serve").chain(settings.iter().flat_map(|setting| ["--set", setting])).collect();
    let mut house = Program::start(&arguments, &[]);
    let listening = house.line(|line| line.contains("\"listening\"")).await;
    let listening = listening.unwrap_or_else(|| panic!("no house opened:\n{}", house.said()));
    let listening: Value = serde_json::from_str(&listening).expect("a log line is JSON");
    let address = listening["fields"]["address"].as_str().expect("an address");
    let told = judge_within(PATIENCE, "grpc_tour.py", &["doors", address], administrator).await.approved();
    assert_eq!(told["stream"]["code"], "UNAUTHENTICATED", "{told}");
    house.signal("TERM");
    assert_eq!(house.ended().await.code(), Some(0), "{}", house.said());
}

/// A port that is free, and so are those beside it on which a sandbox there serves its pages.
fn free_ports() -> u16 {
    let bound = |port| std::net::TcpListener::bind(("127.0.0.1", port)).ok();
    let found = std::iter::repeat_with(|| bound(0).and_then(|taken| taken.local_addr().ok()))
        .flatten()
        .map(|address| address.port())
        .take(100)
        .find(|port| PAGES_ABOVE.iter().all(|above| port.checked_add(*above).and_then(bound).is_some()));
    found.expect("free ports")
}
