//! Printed boletos, read back by programs that others wrote: what a scanner, a phone and a search would find on them.
//!
//! poppler draws and reads the PDF, zbar reads bars and squares, Python's own parser reads the HTML. All come with
//! `.ci/peers`; a test that cannot find them fails.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bursar::documents::{
    Bank, BoletoDocument, DocumentError, Format, PIX_EMV_BYTES_MAX, Party, Resolution, Standing, render,
};
use bursar::domain::boleto::barcode::Barcode;
use bursar::domain::money::Cents;
use bursar::domain::tax_id::TaxId;
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::peers::{PATIENCE, judge};
use crate::small_house::Folder;

#[derive(Deserialize)]
struct Vectors {
    valid: Vec<Vector>,
    pix: Vec<Pix>,
}

#[derive(Deserialize)]
struct Vector {
    bank_code: String,
    layout: String,
    due_date: NaiveDate,
    amount_cents: i64,
    barcode: String,
    digitable_line_formatted: String,
    nosso_numero: String,
    wallet: String,
}

#[derive(Deserialize)]
struct Pix {
    payload: String,
    crc_valid: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../fixtures/boleto_vectors.json")).expect("the fixture is well formed")
}

/// The first codes of every bank and layout, some two dozen.
fn of_every_bank() -> Vec<Vector> {
    let mut taken: Vec<Vector> = Vec::new();
    for vector in vectors().valid {
        let alike = taken.iter().filter(|other| other.layout == vector.layout).count();
        if alike < 3 {
            taken.push(vector);
        }
    }
    taken
}

fn printed(vector: &Vector, pix_emv: Option<&str>) -> BoletoDocument {
    let (name, code) = match vector.bank_code.as_str() {
        "001" => ("Banco do Brasil", "001-9"),
        "033" => ("Santander", "033-7"),
        "104" => ("Caixa Econômica Federal", "104-0"),
        "237" => ("Bradesco", "237-2"),
        _ => ("Itaú", "341-7"),
    };
    let barcode = Barcode::parse(&vector.barcode).expect("a valid vector");
    let pix_emv = pix_emv.map(str::to_owned);
    BoletoDocument {
        bank: Bank { name: name.into(), code: code.into() },
        standing: Standing::Payable { barcode, pix_emv },
        beneficiary: somebody("Padaria São José Ltda.", "11222333000181"),
        agency_and_code: "0057-1 / 12345-7".into(),
        payer: somebody("Conceição d’Ávila Muñoz", "52998224725"),
        guarantor: None,
        nosso_numero: vector.nosso_numero.clone(),
        document_number: "NF 1234/01".into(),
        document_kind: "DM".into(),
        acceptance: "N".into(),
        issue_date: vector.due_date,
        processing_date: vector.due_date,
        due_date: vector.due_date,
        amount: Cents(vector.amount_cents),
        carteira: vector.wallet.clone(),
        payment_place: "Pagável em qualquer banco até o vencimento".into(),
        instructions: vec!["Não receber após 30 dias do vencimento.".into()],
    }
}

fn somebody(name: &str, tax_id: &str) -> Party {
    let tax_id = TaxId::parse(tax_id).expect("a right number");
    let address = "Rua das Acácias, 308 - Centro - Niterói/RJ - CEP 24020-005";
    Party { name: name.into(), tax_id: Some(tax_id), address: Some(address.into()) }
}

/// A folder with documents in it, and the programs that read them.
struct Desk(Folder);

impl Desk {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn write(&self, name: &str, document: &BoletoDocument, format: Format) -> PathBuf {
        let path = self.0.path().join(format!("{name}.{}", format.extension()));
        std::fs::write(&path, render(document, format).expect("it fits the form")).expect("a file");
        path
    }

    /// The document as a PDF, drawn by poppler at 200 dots an inch.
    async fn drawn(&self, name: &str, document: &BoletoDocument) -> PathBuf {
        let pdf = self.write(name, document, Format::Pdf);
        let picture = pdf.with_extension("drawn");
        said("pdftoppm", &["-r", "200", "-png", "-singlefile"], &[&pdf, &picture]).await;
        picture.with_extension("drawn.png")
    }
}

/// What a program printed that found nothing to complain about.
async fn said(program: &str, options: &[&str], files: &[&Path]) -> String {
    let output = run(program, options, files).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program}: {} {complaint}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

async fn run(program: &str, options: &[&str], files: &[&Path]) -> std::process::Output {
    let mut command = Command::new(program);
    command.args(options).args(files).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends in time");
    output.unwrap_or_else(|error| panic!("{program} is brought by .ci/peers: {error}"))
}

/// Every code of one kind in these pictures, in their order; `symbology` as zbar names it.
async fn scanned(symbology: &str, pictures: &[&Path]) -> String {
    let enable = format!("-S{symbology}.enable");
    let output = run("zbarimg", &["--nodbus", "-q", "--raw", "-S*.disable", &enable], pictures).await;
    // It ends with 4 where a picture holds no code.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_banks_code_is_read_back_from_the_pdf_and_from_the_picture() {
    let desk = Desk::new();
    let vectors = of_every_bank();
    let banks: std::collections::BTreeSet<&str> =
        vectors.iter().map(|vector| vector.bank_code.as_str()).collect();
    assert!(vectors.len() >= 20 && banks.len() == 5);
    let (mut drawn, mut pictures) = (Vec::new(), Vec::new());
    for (at, vector) in vectors.iter().enumerate() {
        let document = printed(vector, None);
        drawn.push(desk.drawn(&at.to_string(), &document).await);
        pictures.push(desk.write(&at.to_string(), &document, Format::Png(Resolution::default())));
        let pdf = drawn[at].with_extension("").with_extension("pdf");
        let text = said("pdftotext", &["-layout"], &[&pdf, Path::new("-")]).await;
        // Once on the receipt and once on the slip.
        assert_eq!(text.matches(&vector.digitable_line_formatted).count(), 2, "{text}");
    }
    let expected: Vec<&str> = vectors.iter().map(|vector| vector.barcode.as_str()).collect();
    for files in [drawn, pictures] {
        let mut read = String::new();
        // A few at a time, so that no step takes long on a busy machine.
        for some in files.chunks(4) {
            let some: Vec<&Path> = some.iter().map(PathBuf::as_path).collect();
            read.push_str(&scanned("i25", &some).await);
        }
        assert_eq!(read.lines().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pix_text_is_read_back_sign_for_sign_and_the_bars_beside_it() {
    let desk = Desk::new();
    let Vectors { valid, pix } = vectors();
    let longest = format!("{}e   6304", "Aa0".repeat((PIX_EMV_BYTES_MAX - 8) / 3));
    let given = pix.iter().filter(|pix| pix.crc_valid).map(|pix| pix.payload.as_str());
    for (at, emv) in given.chain([longest.as_str()]).enumerate() {
        let document = printed(&valid[at], Some(emv));
        let drawn = desk.drawn(&at.to_string(), &document).await;
        let picture = desk.write(&at.to_string(), &document, Format::Png(Resolution::default()));
        for picture in [&drawn, &picture] {
            assert_eq!(
                scanned("qrcode", &[picture]).await.trim_end_matches('\n'),
                emv,
                "{}",
                picture.display()
            );
            assert_eq!(scanned("i25", &[picture]).await.trim(), valid[at].barcode);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_every_resolution_are_read() {
    let desk = Desk::new();
    let vector = &vectors().valid[0];
    let emv = &vectors().pix[0].payload;
    for dots_per_inch in [Resolution::MIN, 203, 300, Resolution::MAX] {
        let resolution = Resolution::new(dots_per_inch).expect("within the bounds");
        let document = printed(vector, Some(emv));
        let picture = desk.write(&dots_per_inch.to_string(), &document, Format::Png(resolution));
        assert_eq!(scanned("i25", &[&picture]).await.trim(), vector.barcode, "{dots_per_inch}");
        assert_eq!(scanned("qrcode", &[&picture]).await.trim(), emv, "{dots_per_inch}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_on_what_nobody_may_pay_can_be_scanned_or_typed() {
    let desk = Desk::new();
    let Vectors { valid, pix } = vectors();
    let payable = printed(&valid[0], Some(&pix[0].payload));
    let reason = "cancelado em 20/11/2026";
    let document = BoletoDocument { standing: Standing::NotPayable { reason: reason.into() }, ..payable };
    let drawn = desk.drawn("cancelled", &document).await;
    let picture = desk.write("cancelled", &document, Format::Png(Resolution::default()));
    for picture in [&drawn, &picture] {
        for symbology in ["i25", "qrcode"] {
            assert_eq!(scanned(symbology, &[picture]).await, "", "{}", picture.display());
        }
    }
    let pdf = desk.write("cancelled", &document, Format::Pdf);
    let text = said("pdftotext", &["-layout"], &[&pdf, Path::new("-")]).await;
    assert!(text.matches("NÃO PAGAR").count() >= 4 && text.matches(reason).count() == 2, "{text}");
    let html = String::from_utf8(render(&document, Format::Html).expect("it fits")).expect("text");
    for text in [text, html] {
        for part in valid[0].digitable_line_formatted.split(' ').filter(|part| part.len() > 1) {
            assert!(!text.contains(part), "{part}");
        }
        assert!(!text.contains("br.gov.bcb.pix") && !text.contains(&valid[0].barcode));
    }
}

/// Texts that mean to break a page, each with what a reader of the PDF finds of it.
const HOSTILE: [(&str, &str); 6] = [
    ("<script>alert('1')</script>", "<script>alert('1')</script>"),
    ("\"><img src=x onerror=alert(1)>&amp;", "\"><img src=x onerror=alert(1)>&amp;"),
    ("(Tj) ET Q\\) endstream endobj %%EOF", "(Tj) ET Q\\) endstream endobj %%EOF"),
    ("\u{202e}oãrbil محل", "oãrbil ???"),
    ("Loja 🛒 \u{0}\u{7}\u{1b}[31mvermelha\u{9c}", "Loja ? [31mvermelha"),
    ("Joa\u{303}o \u{fffe}\u{ffff}Łukasz", "João ??Lukasz"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_break_no_page_and_stay_text() {
    let desk = Desk::new();
    let vector = &vectors().valid[0];
    for (at, (hostile, found)) in HOSTILE.iter().enumerate() {
        let mut document = printed(vector, None);
        document.payer.name = (*hostile).to_owned();
        document.instructions = vec![(*hostile).to_owned(), "x".repeat(300)];
        document.bank.name = "W".repeat(40);
        let drawn = desk.drawn(&at.to_string(), &document).await;
        assert_eq!(scanned("i25", &[&drawn]).await.trim(), vector.barcode);
        let pdf = drawn.with_extension("").with_extension("pdf");
        let text = said("pdftotext", &["-layout"], &[&pdf, Path::new("-")]).await;
        // The payer and the instructions, above and below.
        assert_eq!(text.matches(found).count(), 4, "{found}: {text}");
        let html = String::from_utf8(render(&document, Format::Html).expect("it fits")).expect("text");
        let read = judge("html_reader.py", &[], &html).await.approved();
        assert_eq!(read["scripts"], json!([]), "{hostile}");
        let shown = read["text"].as_str().expect("text");
        let kept: String =
            hostile.chars().filter(|sign| !"\u{202e}\u{fffe}\u{ffff}".contains(*sign)).collect();
        let kept = kept.replace(|sign: char| sign.is_control(), " ");
        assert_eq!(shown.matches(kept.trim()).count(), 4, "{hostile}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_html_names_every_box_and_asks_nobody_for_anything() {
    let Vectors { valid, pix } = vectors();
    let document = printed(&valid[0], Some(&pix[0].payload));
    let html = String::from_utf8(render(&document, Format::Html).expect("it fits")).expect("text");
    let read = judge("html_reader.py", &[], &html).await.approved();
    assert_eq!(
        (&read["language"], &read["fetched"], &read["open"]),
        (&json!("pt-BR"), &json!([]), &json!([]))
    );
    let labels: Vec<&str> =
        read["labels"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for label in [
        "Beneficiário",
        "Pagador",
        "Vencimento",
        "Nosso número",
        "(=) Valor do documento",
        "Sacador/Avalista",
    ] {
        assert_eq!(labels.iter().filter(|own| **own == label).count(), 2, "{label} in {labels:?}");
    }
    let pictures = json!(["Código QR do Pix", format!("Código de barras {}", valid[0].barcode)]);
    assert_eq!(read["pictures"], pictures, "each drawing says what it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pdf_is_one_a4_page_with_a_title_in_few_bytes() {
    let desk = Desk::new();
    let vector = &vectors().valid[0];
    let pdf = desk.write("one", &printed(vector, Some(&vectors().pix[0].payload)), Format::Pdf);
    let told = said("pdfinfo", &[], &[&pdf]).await;
    let value = |key: &str| {
        let line = told
            .lines()
            .find(|line| line.starts_with(&format!("{key}:")))
            .unwrap_or_else(|| panic!("{told}"));
        line.split_once(':').expect("it was found by it").1.trim().to_owned()
    };
    assert_eq!(value("Pages"), "1");
    assert!(value("Page size").ends_with("(A4)"), "{told}");
    assert_eq!(value("Title"), format!("Boleto Bradesco {}", vector.nosso_numero));
    assert!(
        value("File size")
            .split(' ')
            .next()
            .and_then(|bytes| bytes.parse().ok())
            .is_some_and(|bytes: u32| bytes <= 60_000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_form_cannot_hold_is_refused_and_said() {
    let mut document = printed(&vectors().valid[0], Some(&"0".repeat(PIX_EMV_BYTES_MAX + 1)));
    document.payer.name = "Maria ".repeat(50);
    for format in [Format::Pdf, Format::Png(Resolution::default()), Format::Svg, Format::Html] {
        let Err(DocumentError::TooLong(violations)) = render(&document, format) else {
            panic!("it was rendered")
        };
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["payer.name", "pix_emv"]);
    }
}
