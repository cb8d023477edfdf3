//! What both databases must do with messages about boletos: find what they name, ask once, keep poison once.

use bursar::domain::boleto::status::Status;
use bursar::domain::ids::{TenantId, WorkId};
use bursar::domain::work::{NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::boleto::{BoletoDraft, Created};
use bursar::store::ingress::ParkedMessage;
use bursar::store::pool;
use bursar::store::work_steer::{RegisterAgain, WorkFilter};
use sea_orm::{ConnectionTrait as _, Statement};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now};

on_both_databases!(
    a_boleto_is_found_by_its_own_id_and_by_its_old_one,
    a_registration_is_asked_for_once_and_never_hastened,
    poison_is_kept_once,
);

async fn made(store: &Store, change: impl FnOnce(&mut BoletoDraft)) -> BoletoDraft {
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let mut draft = draft(&account);
    change(&mut draft);
    let created = store.create_boletos(std::slice::from_ref(&draft)).await.remove(0).expect("made");
    assert!(matches!(created, Created::New { .. }));
    draft
}

async fn a_boleto_is_found_by_its_own_id_and_by_its_old_one(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let draft = made(&store, |_| ()).await;
    let tenant = TenantId::default();
    let found =
        store.boleto_named(&tenant, &draft.id.to_string()).await.expect("an answer").expect("a boleto");
    assert_eq!(
        (found.id, found.bank_account_id, found.status),
        (draft.id, draft.bank_account_id, Status::Issued)
    );
    assert_eq!(store.boleto_named(&tenant, "bol_cj1").await.expect("an answer"), None);
    assert_eq!(store.boleto_named(&tenant, &Uuid::now_v7().to_string()).await.expect("an answer"), None);
    store.close().await.expect("closed");
    drop(store);

    let connection = pool::connect(&database.url).await.expect("the database");
    let text = "insert into legacy_id (tenant_id, legacy_id, boleto_id) values ('default', 'bol_cj1', $1)";
    let insert = Statement::from_sql_and_values(connection.get_database_backend(), text, [draft.id.0.into()]);
    connection.execute_raw(insert).await.expect("an old id");
    connection.close().await.expect("the database lets go");
    let store = database.open().await;
    let by_old = store.boleto_named(&tenant, "bol_cj1").await.expect("an answer").expect("a boleto");
    assert_eq!(by_old.id, draft.id);
    let other = TenantId::parse("other").expect("a tenant");
    assert_eq!(store.boleto_named(&other, "bol_cj1").await.expect("an answer"), None);
    assert_eq!(store.boleto_named(&other, &draft.id.to_string()).await.expect("an answer"), None);
}

async fn a_registration_is_asked_for_once_and_never_hastened(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let held = made(&store, |draft| draft.hold_registration = true).await;
    let ask = || NewWork { id: WorkId(Uuid::now_v7()), sent_at: Some(now()), ..held.work.clone() };
    for _ in 0..3 {
        assert_eq!(store.register_unless_waiting(&ask()).await.expect("an answer"), RegisterAgain::Asked);
    }
    let filter = WorkFilter { subject_id: Some(held.id.0), ..WorkFilter::default() };
    let work = store.list_work(&filter, None, 10).await.expect("work");
    assert_eq!(work.len(), 1);

    let later = now() + std::time::Duration::from_secs(3_600);
    let waiting = made(&store, |draft| draft.work.run_at = later).await;
    let ask = NewWork { id: WorkId(Uuid::now_v7()), run_at: now(), ..waiting.work.clone() };
    assert_eq!(store.register_unless_waiting(&ask).await.expect("an answer"), RegisterAgain::Asked);
    let filter = WorkFilter { subject_id: Some(waiting.id.0), ..WorkFilter::default() };
    let work = store.list_work(&filter, None, 10).await.expect("work");
    assert_eq!((work.len(), work[0].state, work[0].run_at), (1, WorkState::Scheduled, Some(later)));
    assert_eq!(store.register_again(&ask).await.expect("an answer"), RegisterAgain::Asked);
    let work = store.list_work(&filter, None, 10).await.expect("work");
    assert_eq!((work.len(), work[0].state), (1, WorkState::Available), "a person may hasten it");
}

async fn poison_is_kept_once(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let message_id = Uuid::now_v7();
    let parked = |message_id| ParkedMessage {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        queue: "ingress/boletos_to_register/parked",
        message_id,
        payload: "São João".to_owned(),
        reason: "the body is no JSON".to_owned(),
        attempts_max: 3,
        traceparent: None,
        now: now(),
    };
    for id in [message_id, message_id, Uuid::now_v7()] {
        store.park_message(&parked(id)).await.expect("kept");
    }
    let filter = WorkFilter {
        states: vec![WorkState::Discarded],
        kind: Some(kind::INGRESS_BOLETO.to_owned()),
        ..WorkFilter::default()
    };
    let letters = store.list_work(&filter, None, 10).await.expect("dead letters");
    assert_eq!(letters.len(), 2);
    let letter = letters.iter().find(|letter| letter.subject_id == message_id).expect("the letter");
    assert_eq!((letter.last_error.as_deref(), letter.attempts_max), (Some("the body is no JSON"), 3));
}
