//! What both databases must do with links to documents: keep no token, open for one hash until the end, count, revoke and
//! forget.

use bursar::domain::document_link::{LinkFormat, Token};
use bursar::domain::ids::{BoletoId, TenantId};
use bursar::store::Store;
use bursar::store::boleto::{Created, Notify};
use bursar::store::document_link::{DocumentLink, LinkDraft, LinkMade, LinksRevoked, Revocation};
use bursar::store::request_key::RequestKey;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now};

on_both_databases!(
    a_link_opens_until_its_end_and_counts,
    links_of_one_boleto_are_revoked_together,
    a_request_that_came_to_nothing_may_be_made_again,
    twenty_at_once_make_one_link,
    what_is_long_over_is_forgotten_slice_by_slice,
);

async fn boleto(store: &Store) -> BoletoId {
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let draft = bursar::store::boleto::BoletoDraft { notify: Notify::Nobody, ..draft(&account) };
    let made = store.create_boletos(&[draft]).await.pop().expect("an outcome").expect("no trouble");
    let Created::New { boleto, .. } = made else { panic!("not made: {made:?}") };
    boleto.id
}

fn key(method: &'static str, request_id: &str, body: u8) -> RequestKey {
    RequestKey {
        tenant_id: TenantId::default(),
        method,
        request_id: request_id.to_owned(),
        body_hash: vec![body],
    }
}

fn link(boleto_id: BoletoId, token: u8, at: DateTime<Utc>) -> LinkDraft {
    LinkDraft {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        boleto_id,
        token_hash: Token::of_bits([token; 32]).hash(),
        format: None,
        created_at: at,
        expires_at: at + TimeDelta::days(7),
        request: None,
    }
}

async fn made(store: &Store, draft: &LinkDraft) -> DocumentLink {
    match store.create_document_link(draft).await.expect("no trouble") {
        LinkMade::New(link) => link,
        other => panic!("not made: {other:?}"),
    }
}

async fn opened(store: &Store, token: u8, at: DateTime<Utc>) -> Option<DocumentLink> {
    store.open_document_link(Token::of_bits([token; 32]).hash(), at).await.expect("no trouble")
}

fn revocation(boleto_id: BoletoId, at: DateTime<Utc>) -> Revocation {
    Revocation { id: Uuid::now_v7(), tenant_id: TenantId::default(), boleto_id, request: None, now: at }
}

async fn revoked(store: &Store, revocation: &Revocation) -> LinksRevoked {
    store.revoke_document_links(revocation).await.expect("no trouble")
}

async fn a_link_opens_until_its_end_and_counts(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (boleto_id, at) = (boleto(&store).await, now());
    let draft = LinkDraft { format: Some(LinkFormat::Pdf), ..link(boleto_id, 1, at) };
    let link = made(&store, &draft).await;
    assert_eq!((link.boleto_id, link.format, link.uses), (boleto_id, Some(LinkFormat::Pdf), 0));
    assert_eq!((link.created_at, link.expires_at), (draft.created_at, draft.expires_at));

    let last = draft.expires_at - TimeDelta::microseconds(1);
    assert_eq!(opened(&store, 1, last).await, Some(link.clone()));
    assert_eq!(opened(&store, 1, draft.expires_at).await, None);
    assert_eq!(opened(&store, 2, at).await, None);
    for _ in 0..2 {
        store.note_link_use(link.id, last).await.expect("no trouble");
    }
    let used = opened(&store, 1, last).await.expect("it opens still");
    assert_eq!((used.uses, used.last_used_at), (2, Some(last)));
}

async fn links_of_one_boleto_are_revoked_together(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (boleto_id, at) = (boleto(&store).await, now());
    for token in 1..=3 {
        made(&store, &link(boleto_id, token, at)).await;
    }
    made(&store, &LinkDraft { expires_at: at, ..link(boleto_id, 4, at) }).await;
    let other = BoletoId(Uuid::now_v7());
    assert_eq!(revoked(&store, &revocation(other, at)).await, LinksRevoked::NotFound);
    let elsewhere = TenantId::parse("elsewhere").expect("a tenant");
    let foreign = Revocation { tenant_id: elsewhere.clone(), ..revocation(boleto_id, at) };
    assert_eq!(revoked(&store, &foreign).await, LinksRevoked::NotFound);
    let foreign = LinkDraft { tenant_id: elsewhere, ..link(boleto_id, 5, at) };
    assert_eq!(store.create_document_link(&foreign).await.expect("no trouble"), LinkMade::NotFound);

    let request = Some(key("RevokeDocumentLinks", "end", 1));
    let first = Revocation { request: request.clone(), ..revocation(boleto_id, at) };
    assert_eq!(revoked(&store, &first).await, LinksRevoked::Done(3), "the fourth had ended by itself");
    made(&store, &link(boleto_id, 6, at)).await;
    let again = Revocation { request, ..revocation(boleto_id, at) };
    assert_eq!(revoked(&store, &again).await, LinksRevoked::Done(3), "the same request, the same answer");
    assert!(opened(&store, 6, at).await.is_some(), "and it ends nothing that came after it");
    let reused =
        Revocation { request: Some(key("RevokeDocumentLinks", "end", 2)), ..revocation(boleto_id, at) };
    assert_eq!(revoked(&store, &reused).await, LinksRevoked::OtherBody);
    for token in 1..=5 {
        assert_eq!(opened(&store, token, at).await, None, "{token}");
    }
    assert_eq!(revoked(&store, &revocation(boleto_id, at)).await, LinksRevoked::Done(1));
}

async fn a_request_that_came_to_nothing_may_be_made_again(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (boleto_id, at) = (boleto(&store).await, now());
    let request = Some(key("CreateDocumentLink", "one", 1));
    let nobody = LinkDraft { request: request.clone(), ..link(BoletoId(Uuid::now_v7()), 1, at) };
    assert_eq!(store.create_document_link(&nobody).await.expect("no trouble"), LinkMade::NotFound);
    made(&store, &LinkDraft { request, ..link(boleto_id, 1, at) }).await;
}

async fn twenty_at_once_make_one_link(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (boleto_id, at) = (boleto(&store).await, now());
    let asking = (0..20).map(|token| {
        let request = Some(key("CreateDocumentLink", "one", 1));
        let (store, draft) = (store.clone(), LinkDraft { request, ..link(boleto_id, token, at) });
        async move { store.create_document_link(&draft).await.expect("no trouble") }
    });
    let outcomes = futures_util::future::join_all(asking).await;
    let winners: Vec<&DocumentLink> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            LinkMade::New(link) => Some(link),
            _ => None,
        })
        .collect();
    assert_eq!(winners.len(), 1);
    let same = |outcome: &LinkMade| matches!(outcome, LinkMade::Before(link) if link == winners[0]);
    assert_eq!(outcomes.iter().filter(|outcome| same(outcome)).count(), 19);
}

async fn what_is_long_over_is_forgotten_slice_by_slice(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let (boleto_id, at) = (boleto(&store).await, now());
    for token in 1..=3 {
        let expires_at = at + TimeDelta::days(i64::from(token));
        made(&store, &LinkDraft { expires_at, ..link(boleto_id, token, at) }).await;
    }
    let until = at + TimeDelta::days(3);
    for forgotten in [1, 1, 0] {
        assert_eq!(store.forget_old_links(until, 1).await.expect("no trouble"), forgotten);
    }
    assert!(opened(&store, 3, at).await.is_some());
}
