//! What both databases must do for banks that are asked about one open boleto after the other: give the open ones out in
//! turn, keep how far the asking has come with what was found, and list no doubt that a change of ours explains.

use bursar::domain::boleto::Boleto;
use bursar::domain::ids::WorkId;
use bursar::domain::reconciliation::{Fact, Happened};
use bursar::domain::work::kind;
use bursar::messages::reconciler::{Position, reconciliation_work};
use bursar::store::boleto_order::order_key;
use bursar::store::reconciliation::{Counts, RunChange, RunEnd};
use bursar::store::reconciliation_apply::{Asked, Slice, Told};
use chrono::Duration;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_reconciliation::{Scene, claims, counts, fact, number, paid, told};
use crate::support::database::Kind;
use crate::support::drafts::{bank_account, draft, now};

on_both_databases!(
    open_boletos_come_in_the_order_of_their_ids,
    a_long_history_is_walked_in_windows,
    what_was_found_is_written_down_with_how_far_it_has_come,
    a_doubt_is_listed_once_and_goes_with_an_answer_that_has_none,
    a_doubt_that_a_change_of_ours_explains_is_not_listed,
);

async fn open(scene: &Scene, after: Option<Uuid>, limit: u64) -> (Vec<Uuid>, Option<Uuid>) {
    let account = &scene.account;
    let open = scene.store.open_boletos(&account.tenant_id, account.id, after, limit).await.expect("a store");
    (open.boletos.iter().map(|boleto| boleto.id.0).collect(), open.go_on_after)
}

fn answer(boleto: &Boleto, happened: Happened) -> Told {
    let asked = Some(Asked { boleto_id: boleto.id, version: boleto.version });
    Told { asked, ..told(fact(&number(boleto), happened)) }
}

async fn hears(scene: &Scene, items: Vec<Told>, position: Option<&str>) -> Option<Counts> {
    let slice = Slice {
        claim: scene.claim.clone(),
        range_key: scene.account.issuer.range_key(),
        items,
        position: position.map(str::to_owned),
        delivery_attempts_max: 30,
        now: now(),
    };
    scene.store.apply_movements(&slice).await.expect("a store")
}

async fn kinds(scene: &Scene) -> Vec<String> {
    scene.differences(false).await.into_iter().map(|difference| difference.kind).collect()
}

/// A boleto as it is read before its bank is asked about it.
async fn registered(scene: &Scene) -> Boleto {
    let made = scene.registered(1).await.remove(0);
    scene.reads(made.id).await
}

async fn open_boletos_come_in_the_order_of_their_ids(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boletos = scene.registered(5).await;
    let mut ids: Vec<Uuid> = boletos.iter().map(|boleto| boleto.id.0).collect();
    ids.sort_unstable();
    // Neither what is decided, nor what is not registered yet, nor another account's.
    let last = boletos.iter().find(|boleto| boleto.id.0 == ids[4]).expect("it is one of them");
    hears(&scene, vec![Told { asked: None, ..told(paid(last, 12_590)) }], None).await.expect("held");
    let other = bank_account("2222222");
    scene.store.create_bank_account(&other, 1, None).await.expect("an account");
    for drafted in [draft(&scene.account), draft(&other)] {
        scene.store.create_boletos(&[drafted]).await.remove(0).expect("made");
    }
    assert_eq!(open(&scene, None, 3).await, (ids[..3].to_vec(), Some(ids[2])));
    assert_eq!(open(&scene, Some(ids[2]), 3).await, (vec![ids[3]], None));
    assert_eq!(open(&scene, Some(ids[3]), 3).await, (vec![], None));
    assert_eq!(open(&scene, None, 4).await, (ids[..4].to_vec(), Some(ids[3])), "a full slice says to go on");
}

async fn a_long_history_is_walked_in_windows(kind: Kind) {
    const WINDOW: usize = 5_000;
    let scene = Scene::set(kind).await;
    let first = registered(&scene).await.id.0;
    // Of an account that nobody asks about here: they stand between the open ones.
    let other = bank_account("2222222");
    scene.store.create_bank_account(&other, 1, None).await.expect("an account");
    let mut drafts: Vec<_> = (0..WINDOW).map(|_| draft(&other)).collect();
    drafts.sort_by_key(|draft| draft.id.0);
    let between = drafts[WINDOW - 2].id.0;
    for group in drafts.chunks_mut(64) {
        group.iter_mut().for_each(|draft| draft.hold_registration = true);
        for made in scene.store.create_boletos(group).await {
            made.expect("made");
        }
    }
    let last = registered(&scene).await.id.0;
    assert_eq!(open(&scene, None, 10).await, (vec![first], Some(between)), "as far as it has looked");
    assert_eq!(open(&scene, Some(between), 10).await, (vec![last], None));
}

async fn what_was_found_is_written_down_with_how_far_it_has_come(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boletos = scene.registered(2).await;
    let position = Position { after: Some(boletos[1].id.0), began: None };
    let mut items = Vec::new();
    for (boleto, happened) in boletos.iter().zip([paid(&boletos[0], 12_590).happened, Happened::Nothing]) {
        items.push(answer(&scene.reads(boleto.id).await, happened));
    }
    let came_to = hears(&scene, items.clone(), Some(&position.payload())).await.expect("the row is held");
    assert_eq!(came_to, counts(1, 1, 0, 0), "one that is open is no movement");
    let again = hears(&scene, items, Some(&position.payload())).await.expect("the row is held");
    assert_eq!(again, counts(1, 0, 0, 0));
    // The run is cut off; whoever takes its row next goes on behind.
    let later = RunChange::Later { run_at: now(), error: "cut off".to_owned() };
    let end = RunEnd { claim: scene.claim.clone(), change: later, now: now() };
    scene.store.end_reconciliation(&end).await.expect("a store");
    scene.store.promote_due(now() + Duration::seconds(1)).await.expect("promoted");
    let claim = claims(&scene.store, "reconciliation/", kind::BOLETO_RECONCILE, scene.runner).await.remove(0);
    assert_eq!(Position::read(&claim.payload), position);
    let stale = vec![answer(&boletos[1], paid(&boletos[1], 1).happened)];
    assert_eq!(hears(&scene, stale, Some("{}")).await, None, "who lost the row writes nothing");
    assert_eq!(Position::read("no JSON"), Position::default(), "what cannot be read begins a round");
}

async fn a_doubt_is_listed_once_and_goes_with_an_answer_that_has_none(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boleto = registered(&scene).await;
    let differs = || Happened::Differs { parts: "amount".to_owned() };
    for (doubt, name) in [
        (Happened::PaidUnsaid, "paid_unsaid"),
        (Happened::NotOnFile, "not_on_file"),
        (differs(), "title_differs"),
    ] {
        let said = || vec![answer(&boleto, doubt.clone())];
        assert_eq!(hears(&scene, said(), None).await, Some(counts(1, 0, 0, 1)), "{name}");
        assert_eq!(hears(&scene, said(), None).await, Some(counts(1, 0, 0, 0)), "{name}: listed once");
        assert_eq!(kinds(&scene).await, [name], "and what was said before is gone");
    }
    assert_eq!(hears(&scene, vec![answer(&boleto, Happened::Nothing)], None).await, Some(counts(0, 0, 0, 0)));
    assert_eq!(kinds(&scene).await, Vec::<String>::new());
    let off = vec![answer(&boleto, Happened::Cancelled { on: None })];
    assert_eq!(hears(&scene, off, None).await, Some(counts(1, 0, 1, 0)));
}

async fn a_doubt_that_a_change_of_ours_explains_is_not_listed(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boleto = registered(&scene).await;
    let doubt = |version: i64| {
        let asked = Some(Asked { boleto_id: boleto.id, version });
        vec![Told { asked, ..answer(&boleto, Happened::NotOnFile) }]
    };
    assert_eq!(
        hears(&scene, doubt(boleto.version - 1), None).await,
        Some(counts(1, 0, 0, 0)),
        "it has moved"
    );
    let mut order = reconciliation_work(&scene.account, now(), now());
    (order.id, order.unique_key) = (WorkId(Uuid::now_v7()), Some(order_key(boleto.id)));
    scene.store.add_reconciliations(vec![order]).await.expect("an order's row");
    assert_eq!(
        hears(&scene, doubt(boleto.version), None).await,
        Some(counts(1, 0, 0, 0)),
        "it is being changed"
    );
    assert_eq!(kinds(&scene).await, Vec::<String>::new());
    let Fact { happened, .. } = paid(&boleto, 12_590);
    let paid = vec![Told { asked: doubt(boleto.version - 1)[0].asked, ..answer(&boleto, happened) }];
    assert_eq!(hears(&scene, paid, None).await, Some(counts(1, 1, 0, 0)), "money is no doubt");
}
