//! What rendering a boleto costs, in each format, and how large it is.
//!
//! **Owns** nothing: everything happens in this process, on one core. **Fails** where the sample does not fit its form.
//! The PDF's yardstick is deflating the same drawing's SVG, which is the least that packing a page takes.
//! **Limits**: one sample with the most that is usual: accents, a guarantor, six instructions, a Pix code of 180 signs. A
//! round renders it a hundred times.

use std::io::Write as _;

use anyhow::Context as _;
use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tokio::time::Instant;

use super::Bench;
use super::report::{Begun, Bound, Row, median};
use crate::documents::{Bank, BoletoDocument, Format, Party, Resolution, Standing, render};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;

const TIMES: usize = 100;
const IN_PROCESS: &str = "";
const PIX_EMV: &str = "00020101021226810014br.gov.bcb.pix2559pix.example.com/qr/v2/cobv/9d36b84fc70b478fb95c12729b90ca255\
                       2040000530398654040.015802BR5916PADARIA SAO JOSE6009SAO PAULO62070503***6304F740";

/// Each format in turn, round by round.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let document = sample().context("the sample is no boleto")?;
    let formats = [
        ("boleto as PDF", Format::Pdf),
        ("boleto as PNG, 200 dpi", Format::Png(Resolution::default())),
        ("boleto as SVG", Format::Svg),
        ("boleto as HTML", Format::Html),
    ];
    // The first of all reads the fonts, once in the life of a process.
    render(&document, Format::Pdf)?;
    let mut rows = Vec::new();
    for (measure, format) in formats {
        let begun = Begun::now();
        let mut taken = Taken::default();
        for _ in 0..bench.args.rounds {
            taken.round(|| render(&document, format))?;
        }
        rows.push(taken.row(measure, format, &begun));
    }
    let drawing = render(&document, Format::Svg)?;
    let mut deflated = Taken::default();
    for _ in 0..bench.args.rounds {
        deflated.round(|| deflate(&drawing))?;
    }
    if let Some(pdf) = rows.first_mut() {
        let against = Row::new("", IN_PROCESS, "ms", &[pdf.result], &Begun::now())
            .against("deflating its SVG", &deflated.medians);
        (pdf.peer, pdf.ratio) = (against.peer, against.ratio);
    }
    Ok(rows)
}

fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The rounds of one thing.
#[derive(Default)]
struct Taken {
    medians: Vec<f64>,
    times: Vec<f64>,
    bytes: usize,
}

impl Taken {
    fn round<E>(&mut self, act: impl Fn() -> Result<Vec<u8>, E>) -> Result<(), E> {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let started = Instant::now();
            self.bytes = act()?.len();
            times.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
        self.medians.push(median(&times));
        self.times.extend(times);
        Ok(())
    }

    fn row(mut self, measure: &'static str, format: Format, begun: &Begun) -> Row {
        self.times.sort_unstable_by(f64::total_cmp);
        let kilobytes = self.bytes as f64 / 1_000.0;
        let mut row =
            Row::new(measure, IN_PROCESS, "ms", &self.medians, begun).note(format!("{kilobytes:.1} kB"));
        row.p50_ms = Some(median(&self.times));
        row.p99_ms = self.times.get(self.times.len() * 99 / 100).copied();
        match format {
            Format::Pdf => {
                row.result_goal(Bound::AtMost(10.0)).goal("size, kB", Bound::AtMost(60.0), Some(kilobytes))
            }
            _ => row,
        }
    }
}

fn sample() -> Option<BoletoDocument> {
    let day = NaiveDate::from_ymd_opt(2026, 11, 20)?;
    let due = NaiveDate::from_ymd_opt(2026, 12, 20)?;
    let somebody = |name: &str, tax_id: &str| {
        let address = "Avenida São João, 1588, conjunto 42 - República - São Paulo/SP - CEP 01211-000";
        let tax_id = TaxId::parse(tax_id).ok()?;
        Some(Party { name: name.into(), tax_id: Some(tax_id), address: Some(address.into()) })
    };
    let barcode = Barcode::parse("23796690500000297211234040000000044401234560").ok()?;
    let instructions = [
        "Sr. Caixa: não receber após 30 dias do vencimento. Não aceitar pagamento em cheque.",
        "Multa de R$ 5,94 a partir de 21/12/2026.",
        "Juros de R$ 0,10 por dia de atraso.",
        "Desconto de R$ 15,00 até 05/12/2026.",
        "Desconto de R$ 10,00 até 10/12/2026.",
        "Desconto de R$ 5,00 até 15/12/2026.",
    ];
    Some(BoletoDocument {
        bank: Bank { name: "Bradesco".into(), code: "237-2".into() },
        standing: Standing::Payable { barcode, pix_emv: Some(PIX_EMV.into()) },
        beneficiary: somebody("Padaria e Confeitaria São José Ltda.", "11222333000181")?,
        agency_and_code: "1234-5 / 0123456-7".into(),
        payer: somebody("Conceição Ângela d’Ávila Guimarães Muñoz", "52998224725")?,
        guarantor: Some(somebody("João Estêvão Araújo Simões", "52998224725")?),
        nosso_numero: "04/00000000444-2".into(),
        document_number: "NF 1234/01".into(),
        document_kind: "DM".into(),
        acceptance: "N".into(),
        issue_date: day,
        processing_date: day,
        due_date: due,
        amount: Cents(29_721),
        carteira: "04".into(),
        payment_place: "Pagável em qualquer banco até o vencimento".into(),
        instructions: instructions.map(str::to_owned).to_vec(),
    })
}
