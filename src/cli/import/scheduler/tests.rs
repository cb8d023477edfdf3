//! The files as somebody has them, into a store of their own.

use std::path::PathBuf;

use super::*;
use crate::domain::audit::Record;
use crate::domain::openbanking::payment::PaymentState;
use crate::store::audit_list::AuditFilter;
use crate::store::openbanking::list::PaymentFilter;

const USERS: &str = "_id,updateOffline,active,userId
1,true,,ana
2,TRUE,,ben
3,1,,cyd
4,false,,dan
5,true,false,eve
6,true,,ana
7,true,,
";

const CONSENTS: &str = "user_id,aspsp,consent_id,status,valid_until
ana,bank-a,c-1,,2099-01-01T00:00:00Z
ana,bank-b,c-2,Valid,
nobody,bank-a,c-3,,
ben,Bank A,c-4,asleep,soon
";

const PAYMENTS: &str = "aspsp,paymentId,Status,standard,product,createdAt,userId
bank-a,p-1,InProgress,berlin_group,payments/sepa-credit-transfers,2026-11-01 10:00:00,ana
bank-a,p-2,ACSC,berlin_group,,,
bank-b,p-3,rejected,polish_api,,,
bank-b,p-4,Odd,polish_api,,,
bank-b,p-5,InProgress,polish_api,,,nobody
";

const SESSIONS: &str = "session_id,aspsp,consent_id,session_source,started_at,ended_at,state
s-1,bank-a,c-1,3,2026-11-20T12:00:00Z,2026-11-20T12:00:09Z,
s-2,bank-b,c-2,3,2026-11-20T12:00:00Z,,failed
s-3,bank-b,c-9,3,2026-11-20T12:00:00Z,,
s-4,bank-b,c-2,x,,,open
";

/// A folder with the files and a store, gone with its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-import-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in
            [("users", USERS), ("consents", CONSENTS), ("payments", PAYMENTS), ("sessions", SESSIONS)]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self(folder)
    }

    fn args(&self, dry_run: bool) -> SchedulerArgs {
        let file = |name: &str| Some(self.0.join(name));
        let store = format!("sqlite:{}", self.0.join("store.db").display());
        SchedulerArgs {
            settings: SettingsArgs { config: None, set: vec![("store.url".to_owned(), store)] },
            users: file("users"),
            consents: file("consents"),
            payments: file("payments"),
            sessions: file("sessions"),
            tenant: "default".to_owned(),
            reason: "the service before is switched off".to_owned(),
            dry_run,
            report: file("report"),
        }
    }

    /// Runs the import, and returns what became of each file and the report's lines but for the checkpoints.
    async fn imports(&self, dry_run: bool) -> (Vec<[u64; 4]>, Vec<Value>) {
        let mut screen =
            Screen::new(Box::new(Shown(self.0.join("shown"))), Box::new(std::io::sink()), true, false);
        std::fs::write(self.0.join("shown"), "").unwrap();
        run(&self.args(dry_run), &mut screen).await.unwrap();
        let shown = std::fs::read_to_string(self.0.join("shown")).unwrap();
        let document: Value = serde_json::from_str(&shown).unwrap();
        let counts = ["users", "consents", "payments", "sessions"].map(|name| {
            ["read", "written", "known", "refused"].map(|count| document[name][count].as_u64().unwrap())
        });
        let report = std::fs::read_to_string(self.0.join("report")).unwrap();
        let lines = report.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (counts.into(), lines.filter(|line| line["kind"] != "checkpoint").collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a folder of this test's own harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Appends to a file.
struct Shown(PathBuf);

impl std::io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::fs::OpenOptions::new().append(true).open(&self.0)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn everything_comes_over_once_and_what_cannot_is_told_by_its_line() {
    let folder = Folder::new();
    let (counts, lines) = folder.imports(false).await;
    assert_eq!(counts, [[7, 5, 0, 2], [4, 2, 0, 2], [5, 3, 0, 2], [4, 2, 0, 2]]);
    let refused: Vec<(&str, u64)> = lines
        .iter()
        .filter(|line| line["kind"] != "note")
        .map(|line| (line["kind"].as_str().unwrap(), line["line"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("user", 8),
        ("user", 7),
        ("consent", 5),
        ("consent", 4),
        ("payment", 5),
        ("payment", 6),
        ("session", 5),
        ("session", 4),
    ];
    assert_eq!(refused, expected);
    let of_four = lines.iter().find(|line| line["kind"] == "session" && line["line"] == 5).unwrap();
    assert_eq!(of_four["reasons"].as_array().unwrap().len(), 3, "every reason at once: {of_four}");
    let noted: Vec<u64> = lines
        .iter()
        .filter(|line| line["kind"] == "note")
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    assert_eq!(noted, [3, 4], "TRUE and 1 are no permission");

    let (again, _) = folder.imports(false).await;
    assert_eq!(again, [[7, 0, 5, 2], [4, 0, 2, 2], [5, 0, 3, 2], [4, 0, 2, 2]]);

    let config = Config::load(&folder.args(false).settings.sources()).unwrap();
    let store = Store::open(&config.store).await.unwrap();
    let tenant = TenantId::default();
    let records = store.audit_records(Some(&tenant), &AuditFilter::default(), None, 10).await.unwrap();
    let known =
        |record: &Record| (record.actor.clone().unwrap(), record.method.clone(), record.reason.clone());
    let expected =
        ["console", "ImportScheduler", "the service before is switched off"].map(str::to_owned).into();
    assert!(records.len() == 2 && records.iter().all(|record| known(record) == expected), "{records:?}");
    assert!(records[0].after.as_ref().unwrap().contains("/users"), "which files: {records:?}");
    let names = ["ana", "ben", "cyd", "dan", "eve"].map(str::to_owned);
    let users = store.psu_users_named(&tenant, &names).await.unwrap();
    let flags = names.each_ref().map(|name| (users[name].update_offline, users[name].active));
    assert_eq!(flags, [(true, true), (false, true), (false, true), (false, true), (true, false)]);
    let payments = store.tracked_payments(&tenant, &PaymentFilter::default(), None, 10).await.unwrap();
    let mut states: Vec<(&str, PaymentState, Option<&str>)> =
        payments.iter().map(|one| (one.external_id.as_str(), one.state, one.raw_status.as_deref())).collect();
    states.sort_unstable_by_key(|(name, ..)| *name);
    let expected = [
        ("p-1", PaymentState::InProgress, None),
        ("p-2", PaymentState::Done, Some("ACSC")),
        ("p-3", PaymentState::Rejected, Some("rejected")),
    ];
    assert_eq!(states, expected);
    let sessions = store.api_sessions(&tenant, None, None, 10).await.unwrap();
    assert!(sessions.iter().all(|session| session.source == 3) && sessions.len() == 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_rehearsal_writes_nothing() {
    let folder = Folder::new();
    let (counts, _) = folder.imports(true).await;
    assert_eq!(counts[0], [7, 5, 0, 2]);
    let (counts, _) = folder.imports(true).await;
    assert_eq!(counts[0], [7, 5, 0, 2], "nobody was written before");
}
