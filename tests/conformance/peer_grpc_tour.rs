//! The whole tour, taken by an outside client that learns everything from reflection, against the program as a process: the sandbox from
//! its opening to its end by a drain, and then the same store under a door that tells callers apart: what was done stands in the audit,
//! and another tenant finds nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use bursar::proto::DESCRIPTOR_SET;
use prost::Message as _;
use serde_json::Value;

use crate::audit_methods::DEEDS;
use crate::peers::judge_within;
use crate::process::Program;
use crate::small_house::Folder;

/// The tour waits for banks, vendors and owners, each for a moment.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the tour has no occasion for: it is asked for and refused there, and done by stories of its own.
const NO_OCCASION: [&str; 8] = [
    "CancelDelivery",
    "CancelJobRun",
    "CancelWork",
    "EraseBoleto",
    "ResolveBoleto",
    "ResolvePayment",
    "RetryWork",
    "SettleDifference",
];

/// What the tour asks for without changing anything: it has it counted, or there is nothing of that kind. So nothing was done that the
/// audit could tell of; stories of their own find the records.
const CHANGED_NOTHING: [&str; 6] = [
    "BackfillJob",
    "BatchCancelWork",
    "BatchRetryWork",
    "RecoverDeliveries",
    "ReloadConfig",
    "ReprocessTransfer",
];

/// How far above its own port a sandbox serves pages for operators, and for payers.
const PAGES_ABOVE: [u16; 2] = [5, 80];

/// Below the range from which Linux takes a port for whoever asks for any.
const GIVEN_BY_NOBODY: std::ops::Range<u16> = 20_000..32_000;

/// How many services and methods our protos have, as the compiler wrote them down.
fn ours() -> (usize, usize) {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("what the build wrote").file;
    let services: Vec<_> = files.iter().flat_map(|file| &file.service).collect();
    (services.len(), services.iter().map(|service| service.method.len()).sum())
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
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

    let keeper_key = format!("secrets.key=file:{data_dir}/secrets/keeper-key");
    let data_dir = format!("data_dir={data_dir}");
    let settings = [
        data_dir.as_str(),
        keeper_key.as_str(),
        "api.listen=127.0.0.1:0",
        "access.mode=tokens",
        "documents.links.enabled=true",
        "documents.links.address=127.0.0.1:0",
        "documents.links.base_url=http://127.0.0.1",
        "telemetry.log_format=json",
    ];
    let arguments: Vec<&str> =
        std::iter::once("serve").chain(settings.iter().flat_map(|setting| ["--set", setting])).collect();
    let mut house = Program::start(&arguments, &[]);
    let listening = house.line(|line| line.contains("\"listening\"")).await;
    let listening = listening.unwrap_or_else(|| panic!("no house opened:\n{}", house.said()));
    let listening: Value = serde_json::from_str(&listening).expect("a log line is JSON");
    let address = listening["fields"]["address"].as_str().expect("an address");
    let behind =
        judge_within(PATIENCE, "grpc_tour.py", &["doors", address], &told.to_string()).await.approved();
    assert_eq!(behind["stream"]["code"], "UNAUTHENTICATED", "{behind}");
    let named: BTreeSet<&str> =
        told["named"].as_array().expect("what has a name").iter().filter_map(|one| one[0].as_str()).collect();
    for method in ["BankAccountService/UpdateBankAccount", "NotificationService/UpdateEndpoint"] {
        assert!(named.iter().any(|asked| asked.ends_with(method)), "no stranger asks {method}: {named:?}");
    }
    assert!(behind["strangers_asked"].as_u64().is_some_and(|asked| asked > 30), "{behind}");
    let (recorded, granted) =
        (names(&behind["recorded"]), &names(&told["granted"]) | &names(&behind["granted"]));
    let deeds: BTreeSet<&str> = DEEDS.into_iter().collect();
    assert_eq!(
        &(&granted & &deeds) - &recorded,
        CHANGED_NOTHING.into_iter().collect(),
        "unknown to the audit"
    );
    assert_eq!(&deeds - &granted, NO_OCCASION.into_iter().collect(), "what the tour does has changed");
    house.signal("TERM");
    assert_eq!(house.ended().await.code(), Some(0), "{}", house.said());
}

/// A port that is free, and so are those beside it on which a sandbox there serves its pages. None that the system gives away: tests
/// beside this one are given hundreds, and one might be among them before the sandbox has opened.
fn free_ports() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Two runs on one machine begin at different places.
    let begin = std::process::id() as usize % GIVEN_BY_NOBODY.len();
    let mut ports = GIVEN_BY_NOBODY.skip(begin).chain(GIVEN_BY_NOBODY.take(begin));
    let found = ports.find(|port| is_free(*port) && PAGES_ABOVE.iter().all(|above| is_free(port + above)));
    found.expect("free ports")
}
