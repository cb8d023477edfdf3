//! What both databases must do with boletos: make them in groups, once per request, and show them again.

use std::collections::HashSet;

use bursar::domain::bank_account::BankAccount;
use bursar::domain::boleto::status::Status;
use bursar::domain::ids::TenantId;
use bursar::domain::money::Cents;
use bursar::store::Store;
use bursar::store::audit_list::AuditFilter;
use bursar::store::bank_account::AccountSaved;
use bursar::store::boleto::{BoletoDraft, Created};
use bursar::store::boleto_list::BoletoFilter;
use bursar::store::boleto_watch::ChangeCursor;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, keyed, now};

on_both_databases!(
    a_group_is_made_and_read_back_as_it_was,
    the_same_request_is_made_once_by_fifty_at_once,
    another_body_under_the_same_request_is_refused,
    another_tenants_request_is_another,
    one_poison_item_in_sixty_four_fails_alone,
    a_refused_draft_leaves_no_request_behind,
    pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition,
    every_filter_finds_what_it_names,
    changes_are_seen_once_and_in_order,
    accounts_are_saved_once_and_changed_by_version,
    numbers_of_one_agreement_are_shared_by_its_accounts,
);

async fn account_in(store: &Store, convenio: &str) -> bursar::domain::bank_account::BankAccount {
    let account = bank_account(convenio);
    let saved = store.create_bank_account(&account, 1, None).await.expect("an account");
    assert_eq!(saved, AccountSaved::Saved(Box::new(account.clone())));
    account
}

fn boleto(created: &Created) -> &bursar::domain::boleto::Boleto {
    match created {
        Created::New { boleto, .. } => boleto,
        other => panic!("not made: {other:?}"),
    }
}

async fn a_group_is_made_and_read_back_as_it_was(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let mut drafts: Vec<BoletoDraft> = (0..7).map(|_| draft(&account)).collect();
    drafts[3].reference_id = Some("pedido 3".to_owned());
    drafts[3].instructions = Some("Não receber após o vencimento".to_owned());
    let made = store.create_boletos(&drafts).await;
    let mut numbers = HashSet::new();
    for (draft, created) in drafts.iter().zip(&made) {
        let created = boleto(created.as_ref().expect("made"));
        let read = store.boleto(&draft.tenant_id, draft.id).await.expect("a store").expect("a boleto");
        assert_eq!(&read.boleto, created);
        assert_eq!(read.notify, draft.notify);
        numbers.insert(created.codes.nosso_numero.clone().expect("a number"));
    }
    let expected: HashSet<String> = (1..=7).map(|sequence| format!("3128557{sequence:010}")).collect();
    assert_eq!(numbers, expected);
    let stranger = TenantId::parse("another").expect("a tenant");
    assert!(store.boleto(&stranger, drafts[0].id).await.expect("a store").is_none());
}

async fn the_same_request_is_made_once_by_fifty_at_once(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    // Ten groups at once, five of the same request in each.
    let mut groups = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        let drafts: Vec<BoletoDraft> = (0..5).map(|_| keyed(draft(&account), "once", b"body")).collect();
        groups.spawn(async move { store.create_boletos(&drafts).await });
    }
    let results: Vec<Created> =
        groups.join_all().await.into_iter().flatten().map(|result| result.expect("no trouble")).collect();
    let made: Vec<&Created> = results.iter().filter(|result| matches!(result, Created::New { .. })).collect();
    assert_eq!(made.len(), 1);
    let id = boleto(made[0]).id;
    let before =
        results.iter().filter(|result| matches!(result, Created::Before(other) if *other == id)).count();
    assert_eq!(before, 49);
    let listed =
        store.list_boletos(&account.tenant_id, &BoletoFilter::default(), None, 100).await.expect("a list");
    assert_eq!(listed.len(), 1);
}

async fn another_body_under_the_same_request_is_refused(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let both = [keyed(draft(&account), "one", b"first"), keyed(draft(&account), "one", b"second")];
    let results = store.create_boletos(&both).await;
    assert!(matches!(results[0], Ok(Created::New { .. })));
    assert!(matches!(results[1], Ok(Created::OtherBody)));
    let key = both[1].request.as_ref().expect("a key");
    let earlier = store.find_request(key).await.expect("a store").expect("it was asked before");
    assert_eq!((earlier.resource_id, earlier.same_body), (both[0].id.0, false));
}

async fn another_tenants_request_is_another(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let mut other = draft(&account);
    other.tenant_id = TenantId::parse("another").expect("a tenant");
    let results =
        store.create_boletos(&[keyed(draft(&account), "one", b"b"), keyed(other, "one", b"b")]).await;
    assert!(results.iter().all(|result| matches!(result, Ok(Created::New { .. }))), "{results:?}");
}

async fn one_poison_item_in_sixty_four_fails_alone(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let mut drafts: Vec<BoletoDraft> = (0..64).map(|_| draft(&account)).collect();
    // The same primary key twice is what no verb expects.
    drafts[41].id = drafts[7].id;
    let results = store.create_boletos(&drafts).await;
    let failed: Vec<usize> = (0..64).filter(|&index| results[index].is_err()).collect();
    assert_eq!(failed.len(), 1, "only the poison item");
    assert!(failed[0] == 7 || failed[0] == 41);
    let listed =
        store.list_boletos(&account.tenant_id, &BoletoFilter::default(), None, 100).await.expect("a list");
    assert_eq!(listed.len(), 63);
}

async fn a_refused_draft_leaves_no_request_behind(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let mut refused = keyed(draft(&account), "again", b"body");
    refused.amount = Cents(0);
    let results = store.create_boletos(&[refused.clone(), draft(&account)]).await;
    assert!(matches!(results[0], Ok(Created::NotIssued(_))));
    assert!(matches!(results[1], Ok(Created::New { .. })), "its neighbour is made");
    assert!(store.find_request(refused.request.as_ref().expect("a key")).await.expect("a store").is_none());
    refused.amount = Cents(5);
    assert!(matches!(store.create_boletos(&[refused]).await[0], Ok(Created::New { .. })));
}

async fn pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let drafts: Vec<BoletoDraft> = (0..25).map(|_| draft(&account)).collect();
    store.create_boletos(&drafts).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = BoletoFilter::default();
        let page = store.list_boletos(&account.tenant_id, &filter, before, 10).await.expect("a page");
        if page.is_empty() {
            break;
        }
        before = page.last().map(|boleto| boleto.id);
        seen.extend(page.into_iter().map(|boleto| boleto.id));
    }
    let mut expected: Vec<_> = drafts.iter().map(|draft| draft.id).collect();
    expected.reverse();
    assert_eq!(seen, expected);
}

async fn every_filter_finds_what_it_names(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let other = account_in(&store, "2222222").await;
    let unwanted = draft(&other);
    let mut wanted = draft(&account);
    wanted.now = unwanted.now + chrono::Duration::milliseconds(5);
    wanted.reference_id = Some("ref".to_owned());
    wanted.token = Some("tok".to_owned());
    wanted.due_date = wanted.due_date.succ_opt().expect("a day after");
    let made = store.create_boletos(&[unwanted, wanted.clone()]).await;
    let number = boleto(made[1].as_ref().expect("made")).codes.nosso_numero.clone();
    let none = BoletoFilter::default;
    let filters = [
        BoletoFilter { bank_account_id: Some(account.id), ..none() },
        BoletoFilter { nosso_numero: number, ..none() },
        BoletoFilter { reference_id: Some("ref".to_owned()), ..none() },
        BoletoFilter { token: Some("tok".to_owned()), ..none() },
        BoletoFilter { due_from: Some(wanted.due_date), ..none() },
        BoletoFilter { created_from: Some(wanted.now), ..none() },
        BoletoFilter {
            statuses: vec![Status::Issued],
            created_from: Some(wanted.now),
            created_until: Some(wanted.now + chrono::Duration::microseconds(1)),
            ..none()
        },
    ];
    for filter in filters {
        let found = store.list_boletos(&account.tenant_id, &filter, None, 10).await.expect("a list");
        assert_eq!(found.iter().map(|boleto| boleto.id).collect::<Vec<_>>(), [wanted.id], "{filter:?}");
    }
    let nothing = [
        BoletoFilter { statuses: vec![Status::Registered], ..none() },
        BoletoFilter { created_until: Some(wanted.now - chrono::Duration::hours(1)), ..none() },
        BoletoFilter { due_until: Some(wanted.due_date - chrono::Duration::days(3)), ..none() },
    ];
    for filter in nothing {
        let found = store.list_boletos(&account.tenant_id, &filter, None, 10).await.expect("a list");
        assert!(found.is_empty(), "{filter:?}");
    }
}

async fn changes_are_seen_once_and_in_order(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = account_in(&store, "3128557").await;
    let before: Vec<BoletoDraft> = (0..3).map(|_| draft(&account)).collect();
    store.create_boletos(&before).await;
    let head = store.change_head().await.expect("a head");
    let after: Vec<BoletoDraft> = (0..5).map(|_| draft(&account)).collect();
    store.create_boletos(&after).await;
    // Another test's transaction on the same server holds the stream back for a moment; it never makes it skip.
    let mut seen = Vec::new();
    let mut cursor = head;
    while seen.last() != after.last().map(|draft| &draft.id) {
        let page = store.changes_after(&account.tenant_id, None, cursor, 2).await.expect("changes");
        cursor = page.last().map_or(cursor, |change| change.cursor);
        seen.extend(page.into_iter().map(|change| change.boleto_id));
    }
    let of_after: Vec<_> = after.iter().map(|draft| draft.id).collect();
    assert!(seen.ends_with(&of_after), "{seen:?}");
    let all =
        store.changes_after(&account.tenant_id, None, ChangeCursor::default(), 100).await.expect("changes");
    assert_eq!(all.len(), 8);
    let one = store
        .changes_after(&account.tenant_id, Some(before[1].id), ChangeCursor::default(), 100)
        .await
        .expect("changes");
    assert_eq!(one.iter().map(|change| change.id).collect::<Vec<_>>(), [before[1].event_id]);
}

async fn accounts_are_saved_once_and_changed_by_version(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut account = bank_account("3128557");
    account.external_id = Some("shop-1".to_owned());
    account.is_default = true;
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let mut twin = bank_account("2222222");
    twin.external_id = Some("shop-1".to_owned());
    let saved = store.create_bank_account(&twin, 1, None).await.expect("an answer");
    assert_eq!(saved, AccountSaved::ExternalIdTaken);
    twin.external_id = Some("shop-2".to_owned());
    twin.is_default = true;
    store.create_bank_account(&twin, 1, None).await.expect("an account");
    let all = store.all_bank_accounts().await.expect("accounts");
    assert_eq!(all.iter().map(|account| account.is_default).collect::<Vec<_>>(), [false, true]);

    let mut changed = all[0].clone();
    changed.display_name = "renamed".to_owned();
    changed.credentials.insert("client_id".to_owned(), "env:BURSAR_SECRET_NEW".to_owned());
    changed.rules.when_fine_or_interest = Some("shop-2".to_owned());
    let update = async |account: &BankAccount, expected: i64| {
        let reason = "a new contract".to_owned();
        store.update_bank_account(account, expected, reason, now()).await.expect("an answer")
    };
    let AccountSaved::Saved(saved) = update(&changed, 1).await else { panic!("not saved") };
    assert_eq!((saved.version, saved.display_name.as_str()), (2, "renamed"));
    let method = Some("UpdateBankAccount".to_owned());
    let filter = AuditFilter { method, ..AuditFilter::default() };
    let records = store.audit_records(None, &filter, None, 10).await.expect("the audit");
    assert!(records.len() == 1 && records[0].reason == "a new contract", "{records:?}");
    let after = records[0].after.as_deref().expect("what it is now");
    let names = r#"["display_name","credentials.client_id","rules.when_fine_or_interest"]"#;
    assert!(after.contains(names) && !after.contains("BURSAR_SECRET_NEW"), "{after}");

    let stale = update(&changed, 1).await;
    assert_eq!(stale, AccountSaved::Changed { version: 2 });
    let unknown = update(&bank_account("1234567"), 0).await;
    assert_eq!(unknown, AccountSaved::NotFound);
}

async fn numbers_of_one_agreement_are_shared_by_its_accounts(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let first = account_in(&store, "3128557").await;
    let second = bank_account("3128557");
    store.create_bank_account(&second, 500, None).await.expect("an account");
    let third = account_in(&store, "3128557").await;
    let made = store.create_boletos(&[draft(&first), draft(&second), draft(&third)]).await;
    let numbers: Vec<&str> = made
        .iter()
        .map(|created| {
            boleto(created.as_ref().expect("made")).codes.nosso_numero.as_deref().expect("a number")
        })
        .collect();
    assert_eq!(numbers, ["31285570000000500", "31285570000000501", "31285570000000502"]);
}
