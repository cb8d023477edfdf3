//! A shop sends its payer an address. Whoever has it sees the boleto as it stands now, in any format, without an account;
//! whoever does not have it, or has it no more, sees one and the same page, and nobody learns which of these it was.

use bursar::proto::boleto::v1::{
    CreateDocumentLinkRequest, CreateDocumentLinkResponse, DocumentFormat, RecordPaymentRequest,
};
use bursar::proto::control::v1::NodeStatus;
use bursar::store::pool;
use prost_types::{Duration, Timestamp};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{
    BASE_URL, House, Opened, PATIENCE, Page, Refusal as _, a_boleto, eventually, path_of,
};

const HTML: &str = "text/html; charset=utf-8";

fn with_links() -> House {
    House::new()
        .with("documents.links.enabled", "true")
        .with("documents.links.address", "127.0.0.1:0")
        .with("documents.links.base_url", BASE_URL)
        // A story asks as often as it likes; the one about too many sets a bound.
        .with("documents.links.rate_per_second", "0")
}

/// The parts of a line as the form has it.
fn parts(line: &str) -> [&str; 8] {
    [
        &line[..5],
        &line[5..10],
        &line[10..15],
        &line[15..21],
        &line[21..26],
        &line[26..32],
        &line[32..33],
        &line[33..],
    ]
}

fn formatted(line: &str) -> String {
    let [a, b, c, d, e, f, g, h] = parts(line);
    format!("{a}.{b} {c}.{d} {e}.{f} {g} {h}")
}

/// What poppler reads on a PDF.
async fn read_by_poppler(pdf: &[u8]) -> String {
    let mut reader = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("pdftotext is brought by .ci/peers");
    let mut stdin = reader.stdin.take().expect("it was piped");
    stdin.write_all(pdf).await.expect("it reads");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, reader.wait_with_output()).await.expect("it ends in time");
    String::from_utf8(output.expect("its words").stdout).expect("text")
}

/// One number of one row.
async fn number(house: &Opened, sql: &str) -> i64 {
    let connection = pool::connect(house.database_url()).await.expect("the database");
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    connection.close().await.expect("the database lets go");
    row.try_get_by_index(0).expect("a number")
}

async fn changes(house: &Opened, sql: &str) {
    let connection = pool::connect(house.database_url()).await.expect("the database");
    connection.execute_unprepared(sql).await.expect("a change");
    connection.close().await.expect("the database lets go");
}

/// How long a link holds.
fn seconds(answer: &CreateDocumentLinkResponse) -> i64 {
    let link = answer.link.as_ref().expect("a link in the answer");
    let at = |time: &Option<Timestamp>| time.as_ref().expect("a time").seconds;
    at(&link.expire_time) - at(&link.create_time)
}

fn is_private(page: &Page) {
    assert_eq!(page.header("cache-control"), "no-store, private");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("x-robots-tag").contains("noindex"));
    if page.header("content-type") != "application/pdf" {
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_the_address_sees_the_boleto_on_the_embedded_store() {
    whoever_has_the_address_sees_the_boleto(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_the_address_sees_the_boleto_on_postgresql() {
    whoever_has_the_address_sees_the_boleto(Kind::PostgreSql).await;
}

async fn whoever_has_the_address_sees_the_boleto(kind: Kind) {
    let house = with_links().on(kind).open().await;
    let (shop, payer) = (house.shop(), house.payer());
    let boleto = shop.creates(a_boleto()).await;
    let answer = shop.links(&boleto.id, |_| ()).await.expect("a link");
    assert_eq!(seconds(&answer), 30 * 24 * 3_600);
    let link = answer.link.as_ref().expect("a link in the answer");
    assert_eq!((link.boleto_id.as_str(), link.format()), (boleto.id.as_str(), DocumentFormat::Unspecified));

    let page = payer.opens(&answer.url, "").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, HTML));
    assert!(
        page.text().contains(&formatted(&boleto.linha_digitavel)) && page.text().contains("Maria Exemplo")
    );
    is_private(&page);

    let pdf = payer.opens(&answer.url, ".pdf").await;
    assert_eq!((pdf.status, pdf.header("content-type")), (StatusCode::OK, "application/pdf"));
    assert_eq!(pdf.header("content-disposition"), "inline; filename=\"boleto.pdf\"");
    assert!(pdf.body.starts_with(b"%PDF-"));
    is_private(&pdf);
    let read = read_by_poppler(&pdf.body).await;
    assert!(read.contains(&formatted(&boleto.linha_digitavel)), "{read}");

    for (ending, content_type, beginning) in [
        (".png", "image/png", &b"\x89PNG"[..]),
        (".svg", "image/svg+xml", &b"<"[..]),
        (".html", HTML, &b"<!"[..]),
    ] {
        let page = payer.opens(&answer.url, ending).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, content_type));
        assert!(page.body.starts_with(beginning), "{ending}");
        is_private(&page);
    }
    let liked = payer.asks(Method::GET, path_of(&answer.url), "application/pdf").await;
    assert_eq!(liked.body, pdf.body);
    let head = payer.asks(Method::HEAD, path_of(&answer.url), "application/pdf").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), pdf.body.len().to_string());

    let used = "select uses from document_link where last_used_at_us is not null";
    assert_eq!(number(&house, used).await, 6, "each opening is counted, a look at its head is none");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_shows_nothing_says_the_same_whatever_the_reason() {
    let house = with_links().open().await;
    let (shop, payer) = (house.shop(), house.payer());
    let (one, other) = (shop.creates(a_boleto()).await, shop.creates(a_boleto()).await);
    let kept = shop.links(&other.id, |_| ()).await.expect("a link").url;
    let revoked = shop.links(&one.id, |_| ()).await.expect("a link").url;
    let pdf_alone = |request: &mut CreateDocumentLinkRequest| {
        request.format = DocumentFormat::Pdf.into();
    };
    let second = shop.links(&one.id, pdf_alone).await.expect("a link").url;
    assert!(second.ends_with(".pdf"), "an address of one format says so");
    assert_eq!(payer.opens(&second, "").await.status, StatusCode::OK);
    let bare = second.strip_suffix(".pdf").expect("it was there");
    assert!(payer.opens(bare, "").await.body.starts_with(b"%PDF-"), "the one that it shows");
    let of_another_format = payer.opens(bare, ".html").await;

    assert_eq!(shop.unlinks(&one.id, "end-1").await.expect("an answer"), 2);
    assert_eq!(shop.unlinks(&one.id, "end-1").await.expect("the same answer"), 2);
    assert_eq!(shop.unlinks(&one.id, "end-2").await.expect("an answer"), 0);
    let brief = |request: &mut CreateDocumentLinkRequest| {
        request.lifetime = Some(Duration { seconds: 1, nanos: 0 });
    };
    let brief = shop.links(&one.id, brief).await.expect("a link");
    assert_eq!(seconds(&brief), 1);
    let brief = brief.url;
    let expired = eventually("the end of a link", async || {
        let page = payer.opens(&brief, "").await;
        (page.status != StatusCode::OK).then_some(page)
    })
    .await;
    let elsewhere = shop.creates(a_boleto()).await;
    let of_another_tenant = shop.links(&elsewhere.id, |_| ()).await.expect("a link").url;
    let id = elsewhere.id.replace('-', "");
    changes(&house, &format!("update boleto set tenant_id = 'other' where id = x'{id}'")).await;
    let status = shop.links(&elsewhere.id, |_| ()).await.expect_err("another tenant's boleto");
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));
    let status = shop.unlinks(&elsewhere.id, "end-3").await.expect_err("another tenant's boleto");
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));

    let never = expired.timeless();
    assert_eq!((never.status, never.header("content-type")), (StatusCode::NOT_FOUND, HTML));
    assert!(never.text().contains("Documento não encontrado"));
    is_private(&never);
    assert_eq!(of_another_format.timeless(), never);
    assert_eq!(payer.opens(&revoked, "").await.timeless(), never);
    assert_eq!(payer.opens(&second, "").await.timeless(), never);
    assert_eq!(payer.opens(&of_another_tenant, "").await.timeless(), never);
    let nearly = format!("{}A", &kept[..kept.len() - 1]);
    let wrong = if nearly == kept { format!("{}E", &kept[..kept.len() - 1]) } else { nearly };
    assert_eq!(payer.opens(&wrong, "").await.timeless(), never);
    for path in ["/", "/d/", "/d/a", "/d/a.exe", "/d/../d/a", "/metrics"] {
        assert_eq!(payer.asks(Method::GET, path, "*/*").await.timeless(), never, "{path}");
    }
    assert_eq!(payer.opens(&kept, "").await.status, StatusCode::OK, "another boleto's links are let be");
    let sent = payer.asks(Method::POST, path_of(&kept), "*/*").await;
    assert_eq!((sent.status, sent.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_how_the_boleto_stands_now() {
    let house = with_links().open().await;
    let (shop, payer) = (house.shop(), house.payer());
    let boleto = shop.creates(a_boleto()).await;
    let url = shop.links(&boleto.id, |_| ()).await.expect("a link").url;
    assert!(payer.opens(&url, "").await.text().contains(&formatted(&boleto.linha_digitavel)));
    let payment = RecordPaymentRequest {
        id: boleto.id.clone(),
        payment_id: "p-1".to_owned(),
        paid_amount_cents: boleto.amount_cents,
        paid_on: "2026-02-03".to_owned(),
        ..RecordPaymentRequest::default()
    };
    shop.boletos.clone().record_payment(payment).await.expect("a payment");
    let page = payer.opens(&url, "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("NÃO PAGAR") && page.text().contains("pago em 03/02/2026"));
    assert!(!page.text().contains(&formatted(&boleto.linha_digitavel)));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_makes_one_link_and_tells_its_address_once() {
    let house = with_links().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let asks = async |seconds: i64| {
        shop.links(&boleto.id, |request| {
            request.request_id = "link-1".to_owned();
            request.lifetime = Some(Duration { seconds, nanos: 0 });
        })
        .await
    };
    let first = asks(3_600).await.expect("a link");
    let again = asks(3_600).await.expect("the same link");
    assert_eq!(first.link, again.link);
    assert_eq!((first.url.is_empty(), again.url.as_str()), (false, ""));
    assert_eq!(asks(7_200).await.expect_err("another body").reason(), "REQUEST_ID_REUSED");
    assert_eq!(number(&house, "select count(*) from document_link").await, 1);
    let token = path_of(&first.url).strip_prefix("/d/").expect("a link's path").to_owned();
    assert_eq!(token.len(), 43, "256 bits");
    let kept = format!(
        "select count(*) from document_link where instr(lower(hex(token_hash)), lower(hex('{token}'))) > 0"
    );
    assert_eq!(number(&house, &kept).await, 0, "the token is kept nowhere");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_said_at_once() {
    let house = with_links().with("documents.links.lifetime_max", "60days").open().await;
    let shop = house.shop();
    let refused = async |id: &str, seconds: i64, format: i32| -> Status {
        shop.links(id, |request| {
            request.lifetime = Some(Duration { seconds, nanos: 0 });
            request.format = format;
        })
        .await
        .expect_err("it is refused")
    };
    let status = refused("7", 0, 9).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.fields(), ["format", "id", "lifetime"]);
    let nobody = "00000000-0000-7000-8000-000000000000";
    for seconds in [-1, 60 * 24 * 3_600 + 1, i64::MAX] {
        assert_eq!(refused(nobody, seconds, 0).await.fields(), ["lifetime"], "{seconds}");
    }
    let status = refused(nobody, 60 * 24 * 3_600, 0).await;
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_are_made_unless_they_are_turned_on() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let status = shop.links(&boleto.id, |_| ()).await.expect_err("links are off");
    assert_eq!(
        (status.code(), status.reason().as_str()),
        (Code::FailedPrecondition, "DOCUMENT_LINKS_DISABLED")
    );
    assert!(status.message().contains("documents.links.enabled"), "{status:?}");
    assert_eq!(shop.unlinks(&boleto.id, "").await.expect("what there is may be ended"), 0);
    let pages = house.operator().actor("web/document_links").await;
    assert_eq!(pages.status(), NodeStatus::Disabled);
    assert!(pages.note.contains("documents.links.enabled"), "{pages:?}");
    house.close().await;
}
