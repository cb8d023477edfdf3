//! A shop has a boleto printed. What may be paid has its line and what was agreed on it; what nobody may pay has no codes at
//! all and says why; Pix is there only when it is the bank's own and agrees.

use bursar::proto::boleto::v1::{
    Charges, DocumentFormat, Fine, RecordPaymentRequest, RenderBoletoRequest, RenderBoletoResponse, fine,
};
use tonic::{Code, Status};

use crate::support::house::{House, Opened, Refusal as _, a_boleto};

async fn prints(house: &Opened, id: &str, format: i32) -> Result<RenderBoletoResponse, Status> {
    let request = RenderBoletoRequest { id: id.to_owned(), format };
    Ok(house.shop().boletos.render_boleto(request).await?.into_inner())
}

/// The page as its readers find it: HTML, with the spaces that no line ends at as spaces.
async fn page(house: &Opened, id: &str) -> String {
    let answer = prints(house, id, DocumentFormat::Html.into()).await.expect("a page");
    String::from_utf8(answer.content).expect("text").replace('\u{a0}', " ")
}

/// `23790.12345 …`, as the form has it.
fn formatted(line: &str) -> String {
    let part = |from: usize, to: usize| &line[from..to];
    format!(
        "{}.{} {}.{} {}.{} {} {}",
        part(0, 5),
        part(5, 10),
        part(10, 15),
        part(15, 21),
        part(21, 26),
        part(26, 32),
        part(32, 33),
        part(33, 47)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_begins_as_it_should() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let formats = [
        (DocumentFormat::Unspecified, "application/pdf", &b"%PDF-"[..]),
        (DocumentFormat::Pdf, "application/pdf", &b"%PDF-"[..]),
        (DocumentFormat::Png, "image/png", &b"\x89PNG\r\n"[..]),
        (DocumentFormat::Svg, "image/svg+xml", &b"<"[..]),
        (DocumentFormat::Html, "text/html; charset=utf-8", &b"<!"[..]),
    ];
    for (format, content_type, beginning) in formats {
        let answer = prints(&house, &boleto.id, format.into()).await.expect("a document");
        assert_eq!((answer.content_type.as_str(), answer.version), (content_type, boleto.version));
        assert!(answer.content.starts_with(beginning), "{format:?}");
    }
    let status = prints(&house, "7", 9).await.expect_err("neither an id nor a format");
    assert_eq!(
        (status.code(), status.fields()),
        (Code::InvalidArgument, vec!["format".to_owned(), "id".to_owned()])
    );
    let status = prints(&house, "00000000-0000-7000-8000-000000000000", 0).await.expect_err("no boleto");
    assert_eq!(status.reason(), "BOLETO_NOT_FOUND");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_paid_says_how() {
    let house = House::new().open().await;
    let wanted = a_boleto().called("PED-7").with(|request| {
        request.instructions = "Obrigado pela preferência".to_owned();
        let value = Some(fine::Value::Percentage("2".to_owned()));
        request.charges = Some(Charges { fine: Some(Fine { value, after_days: 1 }), ..Charges::default() });
    });
    let boleto = house.shop().creates(wanted).await;
    assert!(boleto.payable, "{boleto:?}");
    let page = page(&house, &boleto.id).await;
    for text in [
        formatted(&boleto.linha_digitavel).as_str(),
        "001-9",
        "Maria Exemplo",
        "CPF 529.982.247-25",
        "Loja Exemplo Ltda",
        "PED-7",
        "125,90",
        "Obrigado pela preferência",
        "Após o vencimento, multa de 2%.",
        boleto.nosso_numero.as_str(),
    ] {
        assert!(page.contains(text), "{text} is not on the page");
    }
    assert!(!page.contains("NÃO PAGAR"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_may_pay_has_no_codes_and_says_why() {
    let house = House::new().open().await;
    let held = house.shop().creates(a_boleto().with(|request| request.hold_registration = true)).await;
    let paid = house.shop().creates(a_boleto()).await;
    let payment = RecordPaymentRequest {
        id: paid.id.clone(),
        payment_id: "p-1".to_owned(),
        paid_amount_cents: paid.amount_cents,
        paid_on: "2026-02-03".to_owned(),
        ..RecordPaymentRequest::default()
    };
    house.shop().boletos.record_payment(payment).await.expect("a payment");
    for (boleto, reason) in [(&held, "registro ainda não pedido ao banco"), (&paid, "pago em 03/02/2026")] {
        let page = page(&house, &boleto.id).await;
        assert!(page.contains("NÃO PAGAR") && page.contains(reason), "{reason}");
        assert!(!page.contains(&formatted(&boleto.linha_digitavel)));
        assert!(!page.contains(&boleto.linha_digitavel) && !page.contains(&boleto.barcode));
    }
    house.close().await;
}
