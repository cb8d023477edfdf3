//! What both databases must do with persons whom nobody wants kept any more: each tenant's go when it is set so and when they are old
//! enough, each with a record under its tenant, and nobody else's.

use std::collections::BTreeMap;
use std::time::Duration;

use bursar::domain::ids::{PsuUserId, TenantId, TransferId};
use bursar::domain::transfer::TransferState;
use bursar::store::openbanking::user::UserDraft;
use bursar::store::transfer_offer::{Offer, Offered};
use bursar::work::erasing::Erasing;
use bursar::work::retention::{RetentionConfig, TenantRetention};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::bank_scene::BankScene;
use crate::on_both_databases;
use crate::store_boleto_erase::{at, boleto, is_erased as boleto_is_erased};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::now;
use crate::transfer_scene::{Scene, offer};

on_both_databases!(
    payers_go_of_each_tenant_that_wants_it_round_after_round,
    transfers_go_when_their_tenant_wants_it,
    customers_go_who_have_not_been_active_for_so_long,
    whoever_may_not_goes_no_further,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Nothing is erased, but what `of` says of one tenant.
fn persons(tenant: &str, of: impl Fn(&mut TenantRetention)) -> RetentionConfig {
    let nothing = TenantRetention {
        boleto_years: 5,
        erases_boletos: false,
        transfers_kept: KEPT,
        erases_transfers: false,
        customers_kept: KEPT,
        erases_customers: false,
    };
    let mut entry = nothing;
    of(&mut entry);
    RetentionConfig { tenant: nothing, tenants: BTreeMap::from([(tenant.to_owned(), entry)]) }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant")
}

async fn payers_go_of_each_tenant_that_wants_it_round_after_round(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let old = |of: &'static str| boleto(&database, &store, of, "paid", "2018-06-01T12:00:00Z");
    let (first, others) = (old("acme").await, old("default").await);
    let persons = persons("acme", |kept| kept.erases_boletos = true);
    let mut erasing = Erasing::new(store.clone(), persons);
    let now = at("2026-02-01T12:00:00Z");
    erasing.round(now, &|| true).await;
    assert!(boleto_is_erased(&store, "acme", first).await);
    // After the last one comes the first again.
    let second = old("acme").await;
    erasing.round(now, &|| true).await;
    assert!(boleto_is_erased(&store, "acme", second).await);
    assert!(!boleto_is_erased(&store, "default", others).await);
}

/// A transfer of this tenant's that was taken in then.
async fn taken_in(scene: &Scene, name: &str, of: &str, then: DateTime<Utc>) -> TransferId {
    let offer = Offer { tenant_id: tenant(of), now: then, ..offer(name) };
    match scene.store.offer_transfers(&[offer]).await.remove(0).expect("a store") {
        Offered::New { id, .. } => id,
        other => panic!("not new: {other:?}"),
    }
}

async fn is_erased(scene: &Scene, of: &str, id: TransferId) -> bool {
    let seen = scene.store.transfer(&tenant(of), id).await.expect("a store").expect("a transfer");
    seen.transfer.state == TransferState::Erased
}

async fn transfers_go_when_their_tenant_wants_it(kind: Kind) {
    let scene = Scene::set(kind).await;
    let old = taken_in(&scene, "old", "acme", now() - KEPT - DAY).await;
    let young = taken_in(&scene, "young", "acme", now() - KEPT + DAY).await;
    let others = taken_in(&scene, "others", "default", now() - KEPT - DAY).await;
    let persons = persons("acme", |kept| kept.erases_transfers = true);
    let mut erasing = Erasing::new(scene.store.clone(), persons);
    erasing.round(now(), &|| true).await;
    assert!(is_erased(&scene, "acme", old).await);
    assert!(!is_erased(&scene, "acme", young).await && !is_erased(&scene, "default", others).await);
    let audit = "select tenant_id || ' ' || method || ': ' || reason as text from audit";
    assert_eq!(scene.texts(audit).await, ["acme EraseTransfer: kept long enough"]);
    // Nothing is erased twice, and what grows old later goes later.
    erasing.round(now() + 2 * DAY, &|| true).await;
    assert!(is_erased(&scene, "acme", young).await && !is_erased(&scene, "default", others).await);
    assert_eq!(scene.texts(audit).await.len(), 2);
}

async fn customers_go_who_have_not_been_active_for_so_long(kind: Kind) {
    let scene = BankScene::set(kind).await;
    let draft = |name: &str, of: &str, active: bool, then: DateTime<Utc>| UserDraft {
        id: PsuUserId(Uuid::now_v7()),
        tenant_id: tenant(of),
        external_id: name.to_owned(),
        update_offline: true,
        active,
        last_synced_at: None,
        endpoint_id: None,
        now: then,
    };
    let old = now() - KEPT - DAY;
    let drafts = [
        draft("gone", "acme", false, old),
        draft("back", "acme", false, old),
        draft("active", "acme", true, old),
        draft("young", "acme", false, now() - KEPT + DAY),
        draft("others", "default", false, old),
    ];
    for put in scene.store.put_psu_users(&drafts).await {
        put.expect("a store");
    }
    let again = draft("back", "acme", true, now());
    scene.store.put_psu_users(&[again]).await.remove(0).expect("a store");
    let persons = persons("acme", |kept| kept.erases_customers = true);
    let mut erasing = Erasing::new(scene.store.clone(), persons);
    erasing.round(now(), &|| true).await;
    let names = "select external_id as text from psu_user where erased_at_us is null order by external_id";
    assert_eq!(scene.texts(names).await, ["active", "back", "others", "young"]);
    let audit = "select tenant_id || ' ' || method || ': ' || reason as text from audit";
    assert_eq!(scene.texts(audit).await, ["acme EraseUser: kept long enough"]);
    erasing.round(now() + 2 * DAY, &|| true).await;
    assert_eq!(scene.texts(names).await, ["active", "back", "others"]);
}

async fn whoever_may_not_goes_no_further(kind: Kind) {
    let scene = Scene::set(kind).await;
    let old = taken_in(&scene, "old", "acme", now() - KEPT - DAY).await;
    let persons = persons("acme", |kept| kept.erases_transfers = true);
    Erasing::new(scene.store.clone(), persons).round(now(), &|| false).await;
    assert!(!is_erased(&scene, "acme", old).await);
}
