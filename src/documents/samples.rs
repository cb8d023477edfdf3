//! Documents for the tests of this room.
//!
//! **Owns** nothing. **Fails** by panicking, which in a test is an answer. People and companies are made up.

use chrono::NaiveDate;

use super::limits::{
    ADDRESS_CHARS_MAX, BOX_CHARS_MAX, INSTRUCTIONS_CHARS_MAX, INSTRUCTIONS_MAX, NAME_CHARS_MAX,
    SENTENCE_CHARS_MAX,
};
use super::{Bank, BoletoDocument, Party, Standing};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;
use crate::domain::vectors::VECTORS;

const EMV: &str = "00020101021226790014br.gov.bcb.pix2557pix.example.com/qr/v2/cobv/9d36b84fc70b478fb95c12729b90ca255204000053039865406125.905802BR5913Loja de Teste6009SAO PAULO62070503***6304A1B2";

/// An everyday boleto with Pix.
pub fn document() -> BoletoDocument {
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    BoletoDocument {
        bank: Bank { name: "Bradesco".into(), code: "237-2".into() },
        standing: Standing::Payable {
            barcode: Barcode::parse(&VECTORS.valid[0].barcode).unwrap(),
            pix_emv: Some(EMV.into()),
        },
        beneficiary: party(
            "Loja de Teste Ltda.",
            "11222333000181",
            "Avenida Paulista, 1000 - Bela Vista - São Paulo/SP - CEP 01310-100",
        ),
        agency_and_code: "1234-5 / 0123456-7".into(),
        payer: party(
            "Maria da Silva",
            "52998224725",
            "Rua das Acácias, 308, apto 12 - Centro - Niterói/RJ - CEP 24020-005",
        ),
        guarantor: None,
        nosso_numero: "04/00000000444-2".into(),
        document_number: "PED-2026/000147".into(),
        document_kind: "DM".into(),
        acceptance: "N".into(),
        issue_date: day(20),
        processing_date: day(21),
        due_date: day(30),
        amount: Cents(29_721),
        carteira: "04".into(),
        payment_place: "Pagável em qualquer banco, inclusive pela internet, até o vencimento".into(),
        instructions: vec![
            "Não receber após 30 dias do vencimento.".into(),
            "Após o vencimento, multa de 2,00% e juros de 1,00% ao mês.".into(),
        ],
    }
}

/// Accents everywhere, a guarantor and no Pix.
pub fn accented() -> BoletoDocument {
    let mut document = document();
    document.payer.name =
        "Conceição Ângela Müller d’Ávila e Irmãos – Comércio de Açaí, Pães & Pêssegos Ltda.".into();
    document.guarantor = Some(party(
        "João Estêvão Araújo Simões",
        "52998224725",
        "Praça da Sé, 1 - Sé - São Paulo/SP - CEP 01001-000",
    ));
    if let Standing::Payable { pix_emv, .. } = &mut document.standing {
        *pix_emv = None;
    }
    document
}

/// Every text as long as it may be, of one letter, without any blank.
pub fn longest(letter: char) -> BoletoDocument {
    let text = |count: usize| letter.to_string().repeat(count);
    let paragraph =
        |number: usize| format!("{number:02}{}", text(INSTRUCTIONS_CHARS_MAX / INSTRUCTIONS_MAX - 2));
    let mut document = document();
    for party in [&mut document.beneficiary, &mut document.payer] {
        party.name = text(NAME_CHARS_MAX);
        party.address = Some(text(ADDRESS_CHARS_MAX));
    }
    document.guarantor = Some(document.payer.clone());
    document.instructions = (0..INSTRUCTIONS_MAX).map(paragraph).collect();
    document.payment_place = text(SENTENCE_CHARS_MAX);
    for field in [&mut document.nosso_numero, &mut document.document_number, &mut document.agency_and_code] {
        *field = text(BOX_CHARS_MAX);
    }
    for field in [&mut document.carteira, &mut document.bank.name, &mut document.bank.code] {
        *field = text(BOX_CHARS_MAX);
    }
    if let Standing::Payable { pix_emv, .. } = &mut document.standing {
        *pix_emv = Some("0".repeat(super::PIX_EMV_BYTES_MAX));
    }
    document
}

/// Texts that mean to break a page.
pub fn hostile() -> BoletoDocument {
    let mut document = document();
    document.payer.name = "<script>alert(1)</script>\"'&amp;]]>".into();
    document.beneficiary.name = "\u{202e}oãrbil\u{202c} محل 🛒 \u{0}\u{7}\u{1b}[31m".into();
    document.instructions = vec!["</text></svg><img src=x onerror=alert(1)>".into(), "-->\r\n<!--".into()];
    document.document_number = "{{7*7}}${x}%(y)\\".into();
    document
}

/// The same, ended.
pub fn cancelled(document: BoletoDocument) -> BoletoDocument {
    BoletoDocument { standing: Standing::NotPayable { reason: "cancelado em 20/11/2026".into() }, ..document }
}

fn party(name: &str, tax_id: &str, address: &str) -> Party {
    Party { name: name.into(), tax_id: Some(TaxId::parse(tax_id).unwrap()), address: Some(address.into()) }
}
