//! The words of the form: which fields it has, what they are called and what stands in them.
//!
//! Both parts, the receipt and the slip (ficha de compensação), are rows of boxes with one column at the right; the drawn
//! page and the HTML take them from here, so that they never say different things.
//!
//! **Owns** the labels. **Fails** never. **Limits**: text is as it was given; each format makes it its own.

use super::document::{BoletoDocument, Party, Standing};
use super::page::Align;
use super::words;

pub const RECEIPT: &str = "Recibo do pagador";
pub const SLIP: &str = "Ficha de compensação";
pub const AUTHENTICATION: &str = "Autenticação mecânica";
pub const CUT_HERE: &str = "Corte na linha pontilhada";
pub const INSTRUCTIONS: &str = "Instruções (texto de responsabilidade do beneficiário)";
pub const PAYER: &str = "Pagador";
pub const GUARANTOR: &str = "Sacador/Avalista";
pub const WRITE_OFF_CODE: &str = "Cód. baixa";
/// Stands wherever a code would stand on what nobody may pay.
pub const DO_NOT_PAY: &str = "NÃO PAGAR";
pub const PIX_TITLE: &str = "Pague com Pix";
pub const PIX_HOW: &str = "Abra o aplicativo do seu banco, escolha pagar com Pix e aponte a câmera para o código. \
                           Pague uma vez só: por Pix ou pelo código de barras.";
pub const PIX_COPY: &str = "Pix copia e cola";
/// The boxes that the cashier fills in.
pub const ADJUSTMENTS: [&str; 5] = [
    "(-) Desconto / Abatimento",
    "(-) Outras deduções",
    "(+) Mora / Multa",
    "(+) Outros acréscimos",
    "(=) Valor cobrado",
];

/// A box: its label and the paragraphs in it.
pub struct Cell {
    pub label: &'static str,
    pub value: Vec<String>,
    /// Of the columns at the left; meaningless at the right.
    pub share: f32,
    pub align: Align,
    /// What a payer looks for first.
    pub strong: bool,
}

/// Boxes side by side.
pub struct Row {
    pub left: Vec<Cell>,
    pub right: Cell,
}

/// What the document is called in a window's or a file's title.
pub fn title(document: &BoletoDocument) -> String {
    let name = format!("Boleto {} {}", document.bank.name, document.nosso_numero);
    match document.standing {
        Standing::Payable { .. } => name,
        Standing::NotPayable { .. } => format!("{DO_NOT_PAY} - {name}"),
    }
}

/// The line to type, or the word that stands in its place.
pub fn headline(document: &BoletoDocument) -> String {
    match &document.standing {
        Standing::Payable { barcode, .. } => barcode.to_linha().formatted(),
        Standing::NotPayable { .. } => DO_NOT_PAY.to_owned(),
    }
}

/// The receipt's rows: beneficiary, payer, the small boxes, guarantor.
pub fn receipt_rows(document: &BoletoDocument) -> [Row; 4] {
    [
        Row { left: vec![party("Beneficiário", 1.0, &document.beneficiary)], right: due(document) },
        Row { left: vec![party(PAYER, 1.0, &document.payer)], right: amount(document) },
        Row {
            left: vec![
                cell("Nº do documento", 0.26, &document.document_number),
                cell("Espécie doc.", 0.12, &document.document_kind),
                cell("Aceite", 0.10, &document.acceptance),
                cell("Data do documento", 0.18, &words::date(document.issue_date)),
                cell("Data do processamento", 0.20, &words::date(document.processing_date)),
                cell("Carteira", 0.14, &document.carteira),
            ],
            right: right("Nosso número", &document.nosso_numero),
        },
        Row {
            left: vec![guarantor(document)],
            right: right("Agência / Código do beneficiário", &document.agency_and_code),
        },
    ]
}

/// The slip's rows above the instructions: place, beneficiary and two of small boxes.
pub fn slip_rows(document: &BoletoDocument) -> [Row; 4] {
    // A document that nobody may pay must not say where to pay it.
    let place = match &document.standing {
        Standing::Payable { .. } => document.payment_place.clone(),
        Standing::NotPayable { .. } => DO_NOT_PAY.to_owned(),
    };
    [
        Row { left: vec![cell("Local de pagamento", 1.0, &place)], right: due(document) },
        Row {
            left: vec![party("Beneficiário", 1.0, &document.beneficiary)],
            right: right("Agência / Código do beneficiário", &document.agency_and_code),
        },
        Row {
            left: vec![
                cell("Data do documento", 0.20, &words::date(document.issue_date)),
                cell("Nº do documento", 0.32, &document.document_number),
                cell("Espécie doc.", 0.13, &document.document_kind),
                cell("Aceite", 0.11, &document.acceptance),
                cell("Data do processamento", 0.24, &words::date(document.processing_date)),
            ],
            right: right("Nosso número", &document.nosso_numero),
        },
        Row {
            left: vec![
                cell("Uso do banco", 0.20, ""),
                cell("Carteira", 0.18, &document.carteira),
                cell("Espécie", 0.14, "R$"),
                cell("Quantidade", 0.24, ""),
                cell("(x) Valor", 0.24, ""),
            ],
            right: amount(document),
        },
    ]
}

/// Who stands behind the payer; an empty box where nobody does.
pub fn guarantor(document: &BoletoDocument) -> Cell {
    match &document.guarantor {
        Some(guarantor) => party(GUARANTOR, 1.0, guarantor),
        None => cell(GUARANTOR, 1.0, ""),
    }
}

/// Somebody's box.
pub fn party(label: &'static str, share: f32, party: &Party) -> Cell {
    Cell { value: words::party(party), ..cell(label, share, "") }
}

fn due(document: &BoletoDocument) -> Cell {
    Cell { strong: true, ..right("Vencimento", &words::date(document.due_date)) }
}

fn amount(document: &BoletoDocument) -> Cell {
    Cell { strong: true, ..right("(=) Valor do documento", &words::amount(document.amount)) }
}

fn right(label: &'static str, value: &str) -> Cell {
    Cell { align: Align::Right, ..cell(label, 1.0, value) }
}

fn cell(label: &'static str, share: f32, value: &str) -> Cell {
    let value = if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
    Cell { label, value, share, align: Align::Left, strong: false }
}
