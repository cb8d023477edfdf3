//! A shop looks for its boletos: by what it knows of them, newest first, page by page.

use std::collections::HashSet;

use bursar::proto::boleto::v1::{Boleto, BoletoStatus, ListBoletosRequest};
use bursar::sandbox::Behaviour;
use prost_types::Timestamp;
use tonic::Code;

use crate::support::house::{House, Opened, Refusal as _, Shop, a_boleto, an_account};

/// A house with five boletos, oldest first: two of token `a`, one refused, one under another account, one due late.
async fn open() -> (Opened, Vec<Boleto>) {
    let house =
        House::new().with("limits.page_size_max", "3").with("limits.page_size_default", "2").open().await;
    let mut other = an_account();
    other.external_id = "other".to_owned();
    other.is_default = false;
    house.operator().opens(other).await.expect("a second account");
    let shop = house.shop();
    let mut made = Vec::new();
    made.push(shop.creates(a_boleto().called("one").with(|request| request.token = "a".to_owned())).await);
    made.push(shop.creates(a_boleto().called("two").with(|request| request.token = "a".to_owned())).await);
    house.script().bank_register(Behaviour::refuse("48"));
    made.push(shop.creates(a_boleto().called("three")).await);
    let on_other = a_boleto().with(|request| request.bank_account_external_id = "other".to_owned());
    made.push(shop.creates(on_other).await);
    made.push(shop.creates(a_boleto().due_in(400)).await);
    (house, made)
}

/// All pages, and that no page was larger than asked for.
async fn all(shop: &Shop, request: ListBoletosRequest) -> Vec<Boleto> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) =
            shop.lists(ListBoletosRequest { page_token: token, ..request.clone() }).await.expect("a page");
        assert!(!page.is_empty() || next.is_empty(), "an empty page with another behind it");
        found.extend(page);
        if next.is_empty() {
            return found;
        }
        token = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_filter_finds_what_it_names() {
    let (house, made) = open().await;
    let any = ListBoletosRequest::default;
    let moment = |boleto: &Boleto| -> Option<Timestamp> { boleto.create_time };
    let cases: Vec<(&str, ListBoletosRequest, Vec<usize>)> = vec![
        ("no filter", any(), vec![4, 3, 2, 1, 0]),
        ("status", ListBoletosRequest { statuses: vec![BoletoStatus::Refused.into()], ..any() }, vec![2]),
        (
            "two statuses",
            ListBoletosRequest {
                statuses: vec![BoletoStatus::Refused.into(), BoletoStatus::Registered.into()],
                ..any()
            },
            vec![4, 3, 2, 1, 0],
        ),
        ("another status", ListBoletosRequest { statuses: vec![BoletoStatus::Paid.into()], ..any() }, vec![]),
        (
            "account",
            ListBoletosRequest { bank_account_id: made[3].bank_account_id.clone(), ..any() },
            vec![3],
        ),
        ("nosso número", ListBoletosRequest { nosso_numero: made[1].nosso_numero.clone(), ..any() }, vec![1]),
        ("reference", ListBoletosRequest { reference_id: "one".to_owned(), ..any() }, vec![0]),
        ("token", ListBoletosRequest { token: "a".to_owned(), ..any() }, vec![1, 0]),
        ("created from", ListBoletosRequest { create_time_from: moment(&made[3]), ..any() }, vec![4, 3]),
        ("created until", ListBoletosRequest { create_time_until: moment(&made[2]), ..any() }, vec![1, 0]),
        ("due from", ListBoletosRequest { due_date_from: made[4].due_date.clone(), ..any() }, vec![4]),
        (
            "due until",
            ListBoletosRequest { due_date_until: made[0].due_date.clone(), ..any() },
            vec![3, 2, 1, 0],
        ),
        (
            "filters together",
            ListBoletosRequest { token: "a".to_owned(), reference_id: "two".to_owned(), ..any() },
            vec![1],
        ),
    ];
    for (name, request, expected) in cases {
        let found = all(&house.shop(), request).await;
        let expected: Vec<&Boleto> = expected.into_iter().map(|index| &made[index]).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_their_size_and_what_is_new_does_not_shift_them() {
    let (house, made) = open().await;
    let shop = house.shop();
    for (asked, given) in [(0, 2), (1, 1), (3, 3), (4, 3), (i32::MAX, 3)] {
        let (page, next) = shop
            .lists(ListBoletosRequest { page_size: asked, ..ListBoletosRequest::default() })
            .await
            .expect("a page");
        assert_eq!(page.len(), given, "asked for {asked}");
        assert!(!next.is_empty());
    }
    let (first, next) = shop.lists(ListBoletosRequest::default()).await.expect("a page");
    shop.creates(a_boleto()).await;
    let rest = ListBoletosRequest { page_token: next, page_size: 3, ..ListBoletosRequest::default() };
    let (rest, end) = shop.lists(rest).await.expect("the rest");
    assert_eq!(end, "");
    let ids: HashSet<String> = first.iter().chain(&rest).map(|boleto| boleto.id.clone()).collect();
    assert_eq!(ids, made.iter().map(|boleto| boleto.id.clone()).collect());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_belongs_to_its_filters() {
    let (house, _) = open().await;
    let shop = house.shop();
    let with_token =
        ListBoletosRequest { token: "a".to_owned(), page_size: 1, ..ListBoletosRequest::default() };
    let (_, next) = shop.lists(with_token.clone()).await.expect("a page");
    let bad = [
        ListBoletosRequest { page_token: next.clone(), ..ListBoletosRequest::default() },
        ListBoletosRequest {
            page_token: next.clone(),
            token: "b".to_owned(),
            ..ListBoletosRequest::default()
        },
        ListBoletosRequest { page_token: "nonsense".to_owned(), ..ListBoletosRequest::default() },
        ListBoletosRequest { page_token: next[1..].to_owned(), ..with_token.clone() },
    ];
    for request in bad {
        let status = shop.lists(request).await.expect_err("a token of another list");
        assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, vec!["page_token".to_owned()]));
    }
    let other_size = ListBoletosRequest { page_token: next, page_size: 3, ..with_token };
    assert_eq!(shop.lists(other_size).await.expect("the size may change").0.len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_make_no_sense_are_named_together() {
    let house = House::new().open().await;
    let request = ListBoletosRequest {
        statuses: vec![BoletoStatus::Registered.into(), 99, 0],
        bank_account_id: "7".to_owned(),
        create_time_from: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        due_date_from: "soon".to_owned(),
        due_date_until: "2031-13-01".to_owned(),
        ..ListBoletosRequest::default()
    };
    let status = house.shop().lists(request).await.expect_err("filters that make no sense");
    let fields = [
        "bank_account_id",
        "create_time_from",
        "due_date_from",
        "due_date_until",
        "statuses[1]",
        "statuses[2]",
    ];
    assert_eq!(status.fields(), fields);
    let negative = ListBoletosRequest { page_size: -1, ..ListBoletosRequest::default() };
    assert_eq!(house.shop().lists(negative).await.expect_err("a negative size").fields(), ["page_size"]);
    house.close().await;
}
