//! Every method that changes something is either a deed that the audit tells of, or somebody has decided that it is none; and what the
//! server does for a call, it does where the call's own caller is known.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bursar::access::policy::Policy;
use bursar::domain::access::Scope;
use bursar::proto::DESCRIPTOR_SET;
use bursar::proto::access::v1::Reading;

/// What people do by hand, and reads of personal data. Each has its record; the tour of an outside client looks for them.
pub const DEEDS: [&str; 54] = [
    // Boletos and their accounts.
    "CreateBankAccount",
    "UpdateBankAccount",
    "ResyncBankAccount",
    "ReconcileBankAccount",
    "SettleDifference",
    "ResolveBoleto",
    "EraseBoleto",
    "ExportBoletos",
    "CreateDocumentLink",
    "RevokeDocumentLinks",
    // Those who are told.
    "CreateEndpoint",
    "UpdateEndpoint",
    "DisableEndpoint",
    "EnableEndpoint",
    "RotateEndpointSecret",
    "TestEndpoint",
    "ResendDelivery",
    "RecoverDeliveries",
    "CancelDelivery",
    // What runs.
    "RestartActor",
    "StopActor",
    "StartActor",
    "PauseActor",
    "ResumeActor",
    "ResizePool",
    "PauseQueue",
    "ResumeQueue",
    "RetryWork",
    "CancelWork",
    "BatchRetryWork",
    "BatchCancelWork",
    "PauseSchedule",
    "ResumeSchedule",
    "TriggerJob",
    "BackfillJob",
    "CancelJobRun",
    "Drain",
    "ReloadConfig",
    // Transfers.
    "FindTransfer",
    "ProcessTransfer",
    "ReprocessTransfer",
    "GetAnalysis",
    "EraseTransfer",
    // Customers of banks.
    "GetAccount",
    "ListBalances",
    "ListTransactions",
    "StreamTransactions",
    "ListPendingTransactions",
    "EnableAccount",
    "RevokeConsent",
    "ResolvePayment",
    "UpdateUser",
    "EraseUser",
    "SyncUser",
];
/// Tokens have their records under these names.
const OF_TOKENS: [&str; 2] = ["CreateToken", "RevokeToken"];
/// What the owners' own programs do all day: the rows themselves tell of it, with their histories. And who may read the audit may
/// read it as often as they like.
const ALL_DAY: [&str; 12] = [
    "CreateBoleto",
    "BatchCreateBoletos",
    "RegisterBoleto",
    "AmendBoleto",
    "CancelBoleto",
    "RecordPayment",
    "PutUsers",
    "ImportConsents",
    "TrackPayments",
    "ListTokens",
    "ListAudit",
    "VerifyAudit",
];

#[test]
fn whoever_adds_a_method_that_changes_something_decides_whether_it_is_a_deed() {
    let policy = Policy::of(DESCRIPTOR_SET);
    let name = |path: &str| path.rsplit('/').next().expect("a path has a name").to_owned();
    let all: BTreeSet<String> = policy.rules().map(|(path, _)| name(path)).collect();
    let reads = [
        Scope::BoletoRead,
        Scope::TransferRead,
        Scope::OpenbankingRead,
        Scope::NotificationRead,
        Scope::ControlRead,
    ];
    let changing: BTreeSet<String> = policy
        .rules()
        .filter(|(_, rule)| rule.scope.is_none_or(|scope| !reads.contains(&scope)))
        .map(|(path, _)| name(path))
        .collect();
    let decided: BTreeSet<String> =
        DEEDS.iter().chain(&OF_TOKENS).chain(&ALL_DAY).map(|name| (*name).to_owned()).collect();
    assert_eq!(decided.len(), DEEDS.len() + OF_TOKENS.len() + ALL_DAY.len(), "each is decided about once");
    let undecided: Vec<&String> = changing.difference(&decided).collect();
    assert!(undecided.is_empty(), "is it a deed? {undecided:?}");
    let gone: Vec<&String> = decided.difference(&all).collect();
    assert!(gone.is_empty(), "there is no such method: {gone:?}");
}

/// Of what is read of persons the service itself writes the record, but where a method says that it does.
#[test]
fn whoever_says_that_a_reading_is_recorded_records_it() {
    let policy = Policy::of(DESCRIPTOR_SET);
    let recorded: Vec<&str> = policy
        .rules()
        .filter(|(_, rule)| rule.reading == Reading::Recorded)
        .filter_map(|(path, _)| path.rsplit('/').next())
        .collect();
    assert!(recorded.len() > 5, "{recorded:?}");
    let silent: Vec<&&str> = recorded.iter().filter(|method| !DEEDS.contains(method)).collect();
    assert!(silent.is_empty(), "no record is known of them: {silent:?}");
}

/// A task that a call starts by `tokio::spawn` has lost its caller: the audit would name the house. `caller::spawn` has not.
#[test]
fn nothing_that_a_call_starts_loses_its_caller() {
    // The server's own tasks, which no call has started.
    const OF_THE_SERVER: [&str; 3] = ["api.rs", "tls.rs", "incoming.rs"];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grpc")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            looked_at += 1;
            if OF_THE_SERVER.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            for word in ["tokio::spawn(", "task::spawn(", "JoinSet"] {
                assert!(!text.contains(word), "{} loses its caller by {word}", path.display());
            }
        }
    }
    assert!(looked_at > 30, "{looked_at} sources were looked at");
}
