//! What both databases say about themselves when nobody opens a store on them, and which of them no store is opened on.

use bursar::store::backup::{BackupError, backup};
use bursar::store::connect::OpenError;
use bursar::store::examine::{BankCertificate, examine};
use bursar::store::pool;
use bursar::store::{SCHEMA_VERSION, Store, StoreConfig};
use chrono::Utc;
use sea_orm::{ConnectionTrait as _, Statement};

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};

on_both_databases!(a_database_is_examined_beside_its_house, a_store_is_copied_beside_its_house);

async fn a_database_is_examined_beside_its_house(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let before = examine(&database.config(), Utc::now()).await.expect("an answer");
    assert_eq!(
        before.map(|found| found.schema),
        (kind == Kind::PostgreSql).then_some(None),
        "nothing is made"
    );
    let store = database.open().await;
    let found = examine(&database.config(), Utc::now()).await.expect("an answer").expect("a store");
    assert_eq!(found.schema.map(|(version, _)| version), Some(i64::from(SCHEMA_VERSION)));
    assert_eq!(
        (found.is_read_only, found.forgets.clone(), found.dead_letters),
        (false, None, 0),
        "{found:?}"
    );
    assert_eq!(found.due, [], "nothing has been asked for");
    match kind {
        Kind::Sqlite => assert!(found.server.starts_with("SQLite 3."), "{found:?}"),
        Kind::PostgreSql => {
            assert!(found.server.starts_with("PostgreSQL "), "{found:?}");
            // One machine, one clock.
            assert!(found.clock_ahead_ms.is_some_and(|ahead| ahead.abs() < 1_000), "{found:?}");
            assert!(found.connections.is_some_and(|(used, most)| 0 < used && used <= most), "{found:?}");
        }
    }
    assert_eq!(found.bank_certificates, []);
    enter_bank_account(&database.config().url, r#"{"certificate": "file:/run/secrets/bursar/inter.pem"}"#)
        .await;
    let found = examine(&database.config(), Utc::now()).await.expect("an answer").expect("a store");
    let reference = "file:/run/secrets/bursar/inter.pem".to_owned();
    assert_eq!(found.bank_certificates, [BankCertificate { account: "default/shop".to_owned(), reference }]);
    store.close().await.expect("closed");
}

/// A bank account as any release has written it.
async fn enter_bank_account(url: &str, credentials: &str) {
    let connection = pool::connect(url).await.expect("the database");
    let enter = "insert into bank_account (id, tenant_id, external_id, display_name, beneficiary, issuer, range_key, provider,
            credentials, is_default, version, created_at_us, updated_at_us)
         values ($1, 'default', 'shop', 'Shop', '{}', '{}', 'r', 'inter', $2, 0, 1, 0, 0)";
    let values = [uuid::Uuid::now_v7().into(), credentials.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), enter, values);
    connection.execute_raw(statement).await.expect("the account is entered");
    connection.close().await.expect("the database lets go");
}

async fn a_store_is_copied_beside_its_house(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let store = database.open().await;
    let folder = std::env::temp_dir().join(format!("bursar-copies-{}", uuid::Uuid::now_v7()));
    let now = Utc::now();
    let copied = backup(&database.config(), &folder, now).await;
    if kind == Kind::PostgreSql {
        assert!(matches!(copied, Err(BackupError::NotEmbedded)), "{copied:?}");
        assert!(!folder.exists(), "nothing is made");
    } else {
        let copied = copied.expect("a copy");
        assert_eq!(copied.schema, i64::from(SCHEMA_VERSION));
        assert!(matches!(backup(&database.config(), &folder, now).await, Err(BackupError::Taken(_))));
        let names: Vec<_> = std::fs::read_dir(&folder).expect("a folder").collect();
        assert_eq!(names.len(), 1, "nothing half written: {names:?}");
        let url = format!("sqlite:{}", copied.file.display());
        let restored = Store::open(&StoreConfig { url, ..database.config() }).await.expect("a store");
        assert_eq!(restored.store_id(), store.store_id(), "the same store, and not another one like it");
        restored.close().await.expect("closed");
    }
    store.close().await.expect("closed");
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn no_store_is_opened_on_a_server_that_forgets() {
    let database = TestDatabase::create(Kind::PostgreSql).await;
    let connection = pool::connect(database.url.as_str()).await.expect("the database");
    let name = database.url.rsplit('/').next().expect("a name");
    let forget = format!("alter database {name} set synchronous_commit = off");
    connection.execute_unprepared(&forget).await.expect("a setting");
    connection.close().await.expect("it lets go");
    let found = examine(&database.config(), Utc::now()).await.expect("an answer").expect("a server");
    assert_eq!(found.forgets, Some(("synchronous_commit".to_owned(), "off".to_owned())));
    match Store::open(&database.config()).await {
        Err(error @ OpenError::Forgetful { .. }) => {
            assert!(error.to_string().contains("synchronous_commit = off"), "{error}");
        }
        other => panic!("{:?}", other.map(|store| store.kind())),
    }
}
