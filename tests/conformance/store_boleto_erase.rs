//! What both databases must do when the payer of a boleto is taken away: by hand only once nobody wants it kept, by itself then, and
//! nothing else with it.

use bursar::domain::boleto::terms::{Guarantor, Terms};
use bursar::domain::ids::{BoletoId, TenantId};
use bursar::store::Store;
use bursar::store::boleto::{BoletoDraft, Created, Notify};
use bursar::store::boleto_erase::{BoletoErased, BoletoErasure, Whose};
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, payer};

on_both_databases!(
    by_hand_it_is_erased_once_its_years_are_over,
    what_is_open_or_another_tenants_is_left_alone,
    by_itself_what_is_old_goes_slice_by_slice_and_of_each_tenant_as_set,
);

const YEARS: u32 = 5;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

/// A boleto of this tenant that came to this state then.
async fn boleto(database: &TestDatabase, store: &Store, tenant: &str, status: &str, then: &str) -> BoletoId {
    let mut account = bank_account(&format!("{:07}", Uuid::now_v7().as_u128() % 10_000_000));
    account.tenant_id = TenantId::parse(tenant).expect("a tenant");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let guarantor = Guarantor { name: "Joana Exemplo".to_owned(), tax_id: payer().tax_id, address: None };
    let draft = BoletoDraft {
        tenant_id: account.tenant_id.clone(),
        terms: Terms { guarantor: Some(guarantor), ..Terms::default() },
        instructions: Some("for Maria Exemplo".to_owned()),
        notify: Notify::Nobody,
        ..draft(&account)
    };
    let made = store.create_boletos(&[draft]).await.pop().expect("an outcome").expect("no trouble");
    let Created::New { boleto, .. } = made else { panic!("not made: {made:?}") };
    // Nobody waits five years for a test.
    let connection = Database::connect(&database.url).await.expect("a second connection");
    let id = match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("'{}'", boleto.id),
        _ => format!("x'{}'", boleto.id.0.simple()),
    };
    let then = at(then).timestamp_micros();
    let age = format!("update boleto set status = '{status}', updated_at_us = {then} where id = {id}");
    connection.execute_unprepared(&age).await.expect("it is older now");
    connection.close().await.expect("the database lets go");
    boleto.id
}

fn erasure(tenant: &str, boleto_id: BoletoId, now: &str) -> BoletoErasure {
    BoletoErasure {
        id: Uuid::now_v7(),
        tenant_id: TenantId::parse(tenant).expect("a tenant"),
        boleto_id,
        request: None,
        reason: "asked for by the person".to_owned(),
        kept_years: YEARS,
        traceparent: None,
        now: at(now),
    }
}

async fn is_erased(store: &Store, tenant: &str, id: BoletoId) -> bool {
    let tenant = TenantId::parse(tenant).expect("a tenant");
    store.boleto(&tenant, id).await.expect("no trouble").expect("it is still there").boleto.is_erased()
}

async fn by_hand_it_is_erased_once_its_years_are_over(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let store = database.open().await;
    let id = boleto(&database, &store, "default", "paid", "2019-06-01T12:00:00Z").await;
    let early =
        store.erase_boleto(&erasure("default", id, "2024-12-31T12:00:00Z")).await.expect("no trouble");
    assert_eq!(early, BoletoErased::KeptUntil(NaiveDate::from_ymd_opt(2024, 12, 31).expect("a day")));
    assert!(!is_erased(&store, "default", id).await);
    let wish = erasure("default", id, "2025-01-01T12:00:00Z");
    assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
    let again = erasure("default", id, "2025-01-02T12:00:00Z");
    assert_eq!(store.erase_boleto(&again).await.expect("no trouble"), BoletoErased::Already);

    let kept = store.boleto(&TenantId::default(), id).await.expect("no trouble").expect("it is there").boleto;
    assert!(kept.is_erased() && kept.terms.guarantor.is_none() && kept.instructions.is_none());
    assert_eq!(kept.amount.0, 12_590);
    assert!(kept.codes.nosso_numero.is_some() && kept.codes.barcode.is_some(), "what the books need stays");
    let everything = database.everything().await.join("\n");
    for person in ["Maria Exemplo", "Joana Exemplo", "52998224725", "Rua das Flores"] {
        assert!(!everything.contains(person), "{person} is still there");
    }
    let audit = database.texts("select method as text from audit order by sequence").await;
    assert_eq!(audit.iter().filter(|method| *method == "EraseBoleto").count(), 1, "{audit:?}");
}

async fn what_is_open_or_another_tenants_is_left_alone(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let store = database.open().await;
    let open = boleto(&database, &store, "default", "registered", "2010-06-01T12:00:00Z").await;
    let erased = store.erase_boleto(&erasure("default", open, "2026-01-01T12:00:00Z")).await;
    assert!(matches!(erased.expect("no trouble"), BoletoErased::StillOpen(_)));
    let erased = store.erase_boleto(&erasure("elsewhere", open, "2026-01-01T12:00:00Z")).await;
    assert_eq!(erased.expect("no trouble"), BoletoErased::NotFound);
    let now = at("2026-01-01T12:00:00Z");
    let aged = store.erase_aged_boletos(&Whose::AllBut(vec![]), now, 100, now).await;
    assert_eq!(aged.expect("no trouble"), 0);
    assert!(!is_erased(&store, "default", open).await);
}

async fn by_itself_what_is_old_goes_slice_by_slice_and_of_each_tenant_as_set(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let store = database.open().await;
    let mut old = Vec::new();
    for status in ["paid", "refused", "cancelled"] {
        old.push(boleto(&database, &store, "default", status, "2018-06-01T12:00:00Z").await);
    }
    let young = boleto(&database, &store, "default", "paid", "2025-06-01T12:00:00Z").await;
    let theirs = boleto(&database, &store, "patient", "paid", "2018-06-01T12:00:00Z").await;
    let (before, now) = (at("2021-01-01T03:00:00Z"), at("2026-02-01T12:00:00Z"));
    let others = Whose::AllBut(vec!["patient".to_owned()]);
    for (wanted, limit) in [(2, 2), (1, 2), (0, 2)] {
        let erased = store.erase_aged_boletos(&others, before, limit, now).await.expect("no trouble");
        assert_eq!(erased, wanted);
    }
    for id in old {
        assert!(is_erased(&store, "default", id).await);
    }
    assert!(!is_erased(&store, "default", young).await && !is_erased(&store, "patient", theirs).await);
    let audit = database
        .texts("select after as text from audit where method = 'EraseBoletos' order by sequence")
        .await;
    assert_eq!(audit, [r#"{"erased":2}"#, r#"{"erased":1}"#]);
    let patient = Whose::Tenant("patient".to_owned());
    assert_eq!(store.erase_aged_boletos(&patient, before, 2, now).await.expect("no trouble"), 1);
    assert!(is_erased(&store, "patient", theirs).await && !is_erased(&store, "default", young).await);
}
