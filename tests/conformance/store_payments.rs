//! What both databases must do with payments: write each down once, count them up, and move nothing but what is registered.

use std::time::Duration;

use bursar::domain::boleto::payment::{Payment, PaymentSource};
use bursar::domain::boleto::status::Status;
use bursar::domain::ids::{BoletoId, EventId, TenantId};
use bursar::domain::money::Cents;
use bursar::store::Store;
use bursar::store::boleto::{Created, Notify};
use bursar::store::boleto_payment::{NewPayment, Recorded};
use bursar::store::boleto_watch::ChangeCursor;
use bursar::store::request_key::RequestKey;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now};

/// Longer than any other test keeps a transaction open.
const PATIENCE: Duration = Duration::from_secs(60);

on_both_databases!(
    a_group_counts_up_and_writes_each_down_once,
    fifty_at_once_write_it_down_once,
    a_request_that_came_to_nothing_may_be_made_again,
    a_held_boleto_is_registered_as_if_it_were_new,
);

async fn boleto(store: &Store) -> BoletoId {
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let mut draft = draft(&account);
    draft.notify = Notify::Nobody;
    draft.hold_registration = true;
    let made = store.create_boletos(&[draft]).await.pop().expect("an outcome").expect("no trouble");
    let Created::New { boleto, .. } = made else { panic!("not made: {made:?}") };
    boleto.id
}

fn payment(boleto_id: BoletoId, name: &str, cents: i64) -> NewPayment {
    NewPayment {
        tenant_id: TenantId::default(),
        payment: Payment {
            id: Uuid::now_v7(),
            boleto_id,
            amount: Cents(cents),
            paid_on: now().date_naive(),
            is_partial: true,
            source: PaymentSource::Bank,
            external_id: name.to_owned(),
            response_code: Some("06".to_owned()),
            created_at: now(),
        },
        event_id: EventId(Uuid::now_v7()),
        expected_version: 0,
        request: None,
        delivery_attempts_max: 5,
        traceparent: None,
    }
}

fn keyed(mut payment: NewPayment, request_id: &str) -> NewPayment {
    payment.request = Some(RequestKey {
        tenant_id: TenantId::default(),
        method: "RecordPayment",
        request_id: request_id.to_owned(),
        body_hash: vec![1, 2, 3],
    });
    payment
}

async fn a_group_counts_up_and_writes_each_down_once(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&store).await;
    let stranger = payment(BoletoId(Uuid::now_v7()), "p-1", 100);
    let mut of_the_owner = payment(id, "p-1", 50);
    of_the_owner.payment.source = PaymentSource::Owner;
    let mut stale = payment(id, "p-9", 1);
    stale.expected_version = 1;
    let group = [
        payment(id, "p-1", 100),
        payment(id, "p-1", 100),
        payment(id, "p-2", 30),
        stranger,
        of_the_owner,
        stale,
    ];
    let outcomes: Vec<Recorded> =
        store.record_payments(&group).await.into_iter().map(|outcome| outcome.expect("no trouble")).collect();
    let first = group[0].payment.clone();
    let issued = |version| Recorded::New { status: Status::Issued, version };
    let wanted = [
        issued(2),
        Recorded::Before(Box::new(first.clone())),
        issued(3),
        Recorded::NotFound,
        issued(4),
        Recorded::Changed { version: 4 },
    ];
    assert_eq!(outcomes, wanted);
    let stored = store.boleto(&TenantId::default(), id).await.expect("a store").expect("a boleto").boleto;
    assert_eq!((stored.paid, stored.version, stored.status), (Cents(180), 4, Status::Issued));
    let payments = store.payments_of(&TenantId::default(), id).await.expect("a store");
    assert_eq!(payments.len(), 3);
    assert!(payments.contains(&first));
    assert_eq!(store.payment(&TenantId::default(), first.id).await.expect("a store"), Some(first));
    let types = tokio::time::timeout(PATIENCE, four_changes(&store, id)).await.expect("four changes in time");
    assert_eq!(types[1..], vec!["boleto.payment_recorded".to_owned(); 3]);
    assert!(
        store
            .payments_of(&TenantId::parse("another").expect("a tenant"), id)
            .await
            .expect("a store")
            .is_empty()
    );
}

/// The types of the first four changes. On PostgreSQL changes are seen when no older transaction is open on the server,
/// other tests' among them.
async fn four_changes(store: &Store, id: BoletoId) -> Vec<String> {
    loop {
        let found = store.changes_after(&TenantId::default(), Some(id), ChangeCursor::default(), 100).await;
        let found = found.expect("a store");
        if found.len() == 4 {
            return found.into_iter().map(|change| change.event_type.to_string()).collect();
        }
    }
}

async fn fifty_at_once_write_it_down_once(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&store).await;
    let mut telling = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        telling.spawn(async move { store.record_payments(&[keyed(payment(id, "p-1", 100), "r-1")]).await });
    }
    let outcomes: Vec<Recorded> =
        telling.join_all().await.into_iter().flatten().map(|outcome| outcome.expect("no trouble")).collect();
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Recorded::New { .. })).count();
    let same = outcomes.iter().filter(|outcome| matches!(outcome, Recorded::SameRequest(_))).count();
    assert_eq!((new, same), (1, 49));
    let stored = store.boleto(&TenantId::default(), id).await.expect("a store").expect("a boleto").boleto;
    assert_eq!((stored.paid, stored.version), (Cents(100), 2));
}

async fn a_request_that_came_to_nothing_may_be_made_again(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&store).await;
    let unknown = keyed(payment(BoletoId(Uuid::now_v7()), "p-1", 100), "r-1");
    let outcome = store.record_payments(&[unknown]).await.pop().expect("an outcome").expect("no trouble");
    assert_eq!(outcome, Recorded::NotFound);
    let again = store.record_payments(&[keyed(payment(id, "p-1", 100), "r-1")]).await;
    let again = again.into_iter().next().expect("an outcome").expect("no trouble");
    assert_eq!(again, Recorded::New { status: Status::Issued, version: 2 });
}

async fn a_held_boleto_is_registered_as_if_it_were_new(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&store).await;
    let account = store.boleto(&TenantId::default(), id).await.expect("a store").expect("a boleto").boleto;
    let mut work = draft(&bank_account("3128557")).work;
    work.subject_id = id.0;
    work.unique_key = Some(format!("register:{id}"));
    work.sent_at = Some(now());
    assert_eq!(account.status, Status::Issued);
    store.register_again(&work).await.expect("an answer");
    assert!(store.work(work.id).await.expect("a store").is_some());
    let stored = store.boleto(&TenantId::default(), id).await.expect("a store").expect("a boleto").boleto;
    assert_eq!((stored.status, stored.version), (Status::PendingRegistration, 2));
}
