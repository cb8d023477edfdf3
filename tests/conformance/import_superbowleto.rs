//! A company takes its boletos over from the service before, into either of our databases: all that our rules take, with
//! their numbers, codes, status and payments, once each, however often the import is cut off; and a reason for the rest.

mod before;

use std::collections::BTreeMap;
use std::process::Stdio;

use bursar::domain::audit::Record;
use bursar::domain::boleto::status::Status;
use bursar::domain::ids::TenantId;
use bursar::store::Store;
use bursar::store::audit_list::AuditFilter;
use bursar::store::boleto_list::BoletoFilter;
use bursar::store::work_steer::WorkFilter;
use serde_json::{Value, json};
use tokio::process::Command;

use self::before::{Before, GOOD};
use crate::on_both_databases;
use crate::peers::PATIENCE;
use crate::support::database::{Kind, TestDatabase};

on_both_databases!(
    everything_comes_over_and_what_cannot_is_told,
    an_import_that_was_cut_off_is_begun_again,
    a_rehearsal_writes_nothing,
);

/// What the program said, line by line, and whether it ended well.
struct Said {
    ended_well: bool,
    lines: Vec<Value>,
    /// The document at the end.
    summary: Value,
}

impl Said {
    fn refused(&self) -> BTreeMap<String, Vec<String>> {
        let of_a_boleto = |line: &&Value| line["kind"] == "boleto";
        let reasons = |line: &Value| {
            let reasons = line["reasons"].as_array().expect("reasons").iter();
            reasons.map(|reason| reason.as_str().expect("a text").to_owned()).collect()
        };
        let id = |line: &Value| line["legacy_id"].as_str().expect("an id").to_owned();
        self.lines.iter().filter(of_a_boleto).map(|line| (id(line), reasons(line))).collect()
    }
}

async fn import(before: &Before, to: &TestDatabase, more: &[&str], failpoint: Option<&str>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    command
        .args(["import", "superbowleto", "--json", "--from", &before.url])
        .args(["--beneficiary-name", "Loja Exemplo Ltda", "--beneficiary-tax-id", "11.222.333/0001-81"])
        .args(["--credential", "bradesco_apiregistro.merchant_id=env:BURSAR_SECRET_MERCHANT"])
        .args(["--set", &format!("store.url={}", to.url)])
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = failpoint {
        command.env("BURSAR_FAILPOINT", point);
    }
    let output = tokio::time::timeout(PATIENCE * 2, command.output()).await.expect("it ends in time");
    let output = output.expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let mut documents: Vec<Value> =
        serde_json::Deserializer::from_str(&text).into_iter().filter_map(Result::ok).collect();
    let ended_well = output.status.success();
    assert!(ended_well || failpoint.is_some(), "{}: {text}\n{complaint}", output.status);
    let summary = if ended_well { documents.pop().expect("a summary") } else { Value::Null };
    Said { ended_well, lines: documents, summary }
}

/// Who began an import.
async fn audit(store: &Store) -> Vec<Record> {
    let filter = AuditFilter { method: Some("ImportSuperbowleto".to_owned()), ..AuditFilter::default() };
    store.audit_records(Some(&TenantId::default()), &filter, None, 10).await.expect("the audit")
}

/// How many boletos there are of each status.
async fn statuses(store: &Store) -> BTreeMap<&'static str, usize> {
    let found = store.list_boletos(&TenantId::default(), &BoletoFilter::default(), None, 1_000).await;
    let mut counted = BTreeMap::new();
    for boleto in found.expect("boletos") {
        *counted.entry(boleto.status.as_str()).or_default() += 1;
    }
    counted
}

async fn everything_comes_over_and_what_cannot_is_told(kind: Kind) {
    let (before, to) = (Before::create().await, TestDatabase::create(kind).await);
    before.fill().await;
    let as_it_was = before.fingerprint().await;
    let said = import(&before, &to, &["--batch", "7", "--reason", "moved house"], None).await;
    assert_eq!(before.fingerprint().await, as_it_was, "the other database was changed");

    let expected = before::refused();
    let told = said.refused();
    assert_eq!(told.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (id, field) in &expected {
        assert!(
            told[id].iter().any(|reason| reason.starts_with(field)),
            "{id}: {:?} without {field}",
            told[id]
        );
    }
    assert_eq!(said.summary["boletos"]["read"], json!(GOOD + 6 + expected.len()));
    assert_eq!(said.summary["boletos"]["imported"], json!(GOOD + 6));
    assert_eq!((&said.summary["registrations"], &said.summary["payments"]), (&json!(2), &json!(1)));
    assert_eq!(said.summary["accounts"], json!({"made": 3, "known": 0, "refused": 1}));
    assert!(said.lines.iter().any(|line| line["kind"] == "note"), "what was put right is told");

    let store = to.open().await;
    let counted = statuses(&store).await;
    let all = [("issued", 1), ("needs_review", 1), ("paid", 1), ("pending_registration", 2), ("refused", 1)];
    let mut wanted: BTreeMap<&str, usize> = all.into_iter().collect();
    wanted.insert("registered", GOOD);
    assert_eq!(counted, wanted);
    as_they_were(&store).await;
    let records = audit(&store).await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((records[0].actor.as_deref(), records[0].reason.as_str()), (Some("console"), "moved house"));
    let after = records[0].after.as_deref().expect("what it was");
    assert!(after.contains("127.0.0.1") && !after.contains('@'), "where from, and nobody's name: {after}");
    store.close().await.expect("closed");
    drop(store);

    let again = import(&before, &to, &[], None).await;
    assert_eq!(again.summary["boletos"]["imported"], json!(0));
    assert_eq!(again.summary["boletos"]["before"], json!(GOOD + 6));
    assert_eq!(again.summary["accounts"]["known"], json!(3));
    let store = to.open().await;
    assert_eq!(statuses(&store).await, wanted);
    before.remove().await;
}

/// One of each kind, looked at closely.
async fn as_they_were(store: &Store) {
    let tenant = TenantId::default();
    let found = async |legacy_id: &str| {
        let named = store.boleto_named(&tenant, legacy_id).await.expect("an answer");
        let named = named.unwrap_or_else(|| panic!("{legacy_id} is not there"));
        store.boleto(&tenant, named.id).await.expect("an answer").expect("a boleto").boleto
    };
    let accounts = store.all_bank_accounts().await.expect("accounts");
    let first = found("bol_good_000").await;
    let account = accounts.iter().find(|account| account.id == first.bank_account_id).expect("its account");
    assert_eq!(account.external_id.as_deref(), Some("pagarme"));
    assert!(account.is_default);
    assert_eq!(account.credentials["merchant_id"], "env:BURSAR_SECRET_MERCHANT");
    let (codes, title) = (first.codes.clone(), before::title_of_good(0));
    assert_eq!(codes, account.issuer.compose(title, first.amount, first.due_date).expect("codes"));
    assert_eq!((first.reference_id.as_deref(), first.token.as_deref()), (Some("order-0"), Some("prd_0")));
    assert!(first.payable());

    let paid = found("bol_paid").await;
    assert_eq!((paid.status, paid.paid.0), (Status::Paid, 12_590));
    let payments = store.payments_of(&tenant, paid.id).await.expect("payments");
    assert_eq!((payments.len(), payments[0].response_code.as_deref()), (1, Some("06")));

    for id in ["bol_pending", "bol_pending_caixa"] {
        let pending = found(id).await;
        let filter = WorkFilter { subject_id: Some(pending.id.0), ..WorkFilter::default() };
        let work = store.list_work(&filter, None, 10).await.expect("work");
        assert_eq!((work.len(), work[0].kind.as_str()), (1, "boleto.register"), "{id}");
        assert_eq!(pending.codes.barcode.is_some(), id == "bol_pending", "no code of another bank's");
    }
    let issued = found("bol_issued").await;
    let filter = WorkFilter { subject_id: Some(issued.id.0), ..WorkFilter::default() };
    assert!(store.list_work(&filter, None, 10).await.expect("work").is_empty(), "nobody asked for it");
    assert_eq!(found("bol_timed_out").await.status, Status::NeedsReview);
    let refused = found("bol_refused").await;
    assert_eq!(refused.bank_response.expect("the bank's word").code, "9300522");
}

async fn an_import_that_was_cut_off_is_begun_again(kind: Kind) {
    let (before, to) = (Before::create().await, TestDatabase::create(kind).await);
    before.fill().await;
    // Past the accounts' own commits, in the middle of the boletos.
    for point in ["commit.after:6", "commit.before:9", "commit.after:8"] {
        let cut = import(&before, &to, &["--batch", "5"], Some(point)).await;
        assert!(!cut.ended_well, "{point} was not reached");
    }
    let rest = import(&before, &to, &["--batch", "5"], None).await;
    let (imported, known) = (&rest.summary["boletos"]["imported"], &rest.summary["boletos"]["before"]);
    let sum = imported.as_u64().expect("a number") + known.as_u64().expect("a number");
    assert_eq!(sum, (GOOD + 6) as u64);
    assert!(known.as_u64() > Some(0), "what was committed before stays");
    let store = to.open().await;
    assert_eq!(statuses(&store).await.values().sum::<usize>(), GOOD + 6);
    as_they_were(&store).await;
    let by_status = store.imported_by_status(&TenantId::default()).await.expect("counts");
    assert_eq!(by_status.values().sum::<i64>(), (GOOD + 6) as i64);
    before.remove().await;
}

async fn a_rehearsal_writes_nothing(kind: Kind) {
    let (before, to) = (Before::create().await, TestDatabase::create(kind).await);
    before.fill().await;
    let rehearsed = import(&before, &to, &["--dry-run"], None).await;
    assert_eq!(rehearsed.summary["dry_run"], json!(true));
    let store = to.open().await;
    assert!(statuses(&store).await.is_empty() && audit(&store).await.is_empty());
    assert!(store.all_bank_accounts().await.expect("accounts").is_empty());
    store.close().await.expect("closed");
    drop(store);
    let done = import(&before, &to, &[], None).await;
    assert_eq!(done.summary["boletos"], rehearsed.summary["boletos"]);
    assert_eq!(done.refused(), rehearsed.refused());
    before.remove().await;
}
