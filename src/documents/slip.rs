//! The lower part: what the bank reads (ficha de compensação), with the barcode.
//!
//! **Owns** its measures, in millimetres: the field asks for 95 to 108 by 170 to 216, bars of 103 by 13 with their middle
//! 12 above the lower edge, and 5 of white beside them. **Fails** never. **Limits**: boxes of a fixed height; what does not
//! fit one of them stands in full on the receipt.

use super::blocks::{self, HEAD_HEIGHT, LEFT, LEFT_WIDTH, PADDING, THICK, THIN, WIDTH};
use super::document::{BoletoDocument, Standing};
use super::fit::{Breaks, Frame};
use super::font::Weight;
use super::form::{self, Cell};
use super::itf;
use super::page::{Align, Ink, Page, Place, Style};
use super::words;
use crate::domain::boleto::barcode::Barcode;

/// Where it is cut from the receipt.
pub const TOP: f32 = 182.0;
/// Its lower edge, where it may be cut too.
pub const BOTTOM: f32 = TOP + 107.0;

const BARCODE: Place =
    Place { x: LEFT + QUIET, y: BOTTOM - 12.0 - BARS_HEIGHT / 2.0, width: BARS_WIDTH, height: BARS_HEIGHT };
const BARS_WIDTH: f32 = 103.0;
const BARS_HEIGHT: f32 = 13.0;
const QUIET: f32 = 5.0;
const ROW_HEIGHTS: [f32; 4] = [7.0, 9.6, 7.0, 7.0];
const ADJUSTMENT_HEIGHT: f32 = 6.2;
const PAYER_HEIGHT: f32 = 9.6;
const GUARANTOR_HEIGHT: f32 = 4.2;

/// Draws the slip.
pub fn draw(page: &mut Page, document: &BoletoDocument) {
    let mut y = TOP + 2.2;
    blocks::head(page, y, document);
    y += HEAD_HEIGHT;
    for (row, height) in form::slip_rows(document).iter().zip(ROW_HEIGHTS) {
        blocks::row(page, y, height, row);
        y += height;
    }
    y = middle(page, y, document);
    y = people(page, y, document);
    page.across(LEFT, y, WIDTH, THICK);
    foot_words(page, y);
    match &document.standing {
        Standing::Payable { barcode, .. } => bars(page, barcode),
        Standing::NotPayable { reason } => blocks::do_not_pay(page, BARCODE, reason),
    }
}

/// Instructions at the left, the cashier's boxes at the right.
fn middle(page: &mut Page, y: f32, document: &BoletoDocument) -> f32 {
    const LABEL: f32 = 2.9;
    let mut at = y;
    for label in form::ADJUSTMENTS {
        let cell = Cell { label, value: Vec::new(), share: 1.0, align: Align::Right, strong: false };
        blocks::right_box(page, at, ADJUSTMENT_HEIGHT, &cell);
        at += ADJUSTMENT_HEIGHT;
        if label != form::ADJUSTMENTS[4] {
            page.across(LEFT + LEFT_WIDTH, at, WIDTH - LEFT_WIDTH, THIN);
        }
    }
    let place = Place::new(LEFT + PADDING, y + LABEL, LEFT_WIDTH - 2.0 * PADDING, at - y - LABEL - 0.5);
    blocks::label(page, LEFT, y, form::INSTRUCTIONS);
    page.fitted(place, Weight::Regular, Align::Left, &blocks::instructions(place, document));
    page.across(LEFT, at, WIDTH, THIN);
    at
}

/// The payer, and below in one line the guarantor.
fn people(page: &mut Page, y: f32, document: &BoletoDocument) -> f32 {
    blocks::boxed(
        page,
        Place::new(LEFT, y, WIDTH, PAYER_HEIGHT),
        &form::party(form::PAYER, 1.0, &document.payer),
    );
    let y = y + PAYER_HEIGHT;
    const NAME_X: f32 = LEFT + 17.0;
    const NAME_WIDTH: f32 = WIDTH - 17.0 - 30.0;
    blocks::label(page, LEFT, y + 0.6, form::GUARANTOR);
    blocks::label(page, LEFT + WIDTH - 28.0, y + 0.6, form::WRITE_OFF_CODE);
    if let Some(guarantor) = &document.guarantor {
        let frame = Frame {
            width: NAME_WIDTH,
            height: GUARANTOR_HEIGHT - 0.4,
            size_max: 2.6,
            size_min: 1.5,
            weight: Weight::Regular,
            breaks: Breaks::Words,
        };
        let name = words::party(guarantor).join(" - ");
        let place = Place::new(NAME_X, y + 0.6, NAME_WIDTH, frame.height);
        page.paragraphs(place, &frame, Align::Left, &blocks::printable(&[name]));
    }
    y + GUARANTOR_HEIGHT
}

fn foot_words(page: &mut Page, y: f32) {
    let small = Style { size: 1.85, weight: Weight::Regular, align: Align::Left };
    page.line(BARCODE.right() + 2.0 * QUIET, y + 2.6, small, form::AUTHENTICATION);
    let name = Style { size: 2.6, weight: Weight::Bold, align: Align::Right };
    page.line(LEFT + WIDTH - PADDING, y + 2.9, name, form::SLIP);
}

fn bars(page: &mut Page, barcode: &Barcode) {
    let module = BARCODE.width / f32::from(itf::MODULES);
    for bar in itf::bars(barcode) {
        let x = BARCODE.x + f32::from(bar.start) * module;
        page.area(Place { x, width: f32::from(bar.width) * module, ..BARCODE }, Ink::Black);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::page::Mark;
    use crate::documents::{samples, sheet};

    #[test]
    fn the_slip_and_its_bars_have_the_measures_that_the_field_asks_for() {
        assert!((95.0..=108.0).contains(&(BOTTOM - TOP)) && (170.0..=216.0).contains(&WIDTH));
        let page = sheet::lay_out(&samples::document());
        let bars: Vec<Place> = page
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Area(area) if area.place.height == BARS_HEIGHT => Some(area.place),
                _ => None,
            })
            .collect();
        assert_eq!(bars.len(), 114);
        let (first, last) = (bars[0], bars[113]);
        assert!((last.right() - first.x - 103.0).abs() < 0.01, "103 mm wide");
        assert!(
            (BOTTOM - (first.y + first.height / 2.0) - 12.0).abs() < 0.01,
            "their middle 12 mm above the edge"
        );
        let narrow = bars.iter().map(|bar| bar.width).fold(f32::MAX, f32::min);
        let wide = bars.iter().map(|bar| bar.width).fold(0.0, f32::max);
        assert!((narrow - 0.254).abs() < 0.001 && (wide / narrow - 3.0).abs() < 0.001);
        let quiet = Place::new(first.x - 5.0, first.y, 103.0 + 10.0, 13.0).inset(0.05, 0.05);
        for mark in &page.marks {
            let place = match mark {
                Mark::Area(area) if area.place.height == BARS_HEIGHT => continue,
                Mark::Area(area) => area.place,
                Mark::Run(run) => Place::new(run.x, run.baseline - run.size, run.width(), run.size * 1.2),
            };
            let apart = place.right() < quiet.x
                || place.x > quiet.right()
                || place.bottom() < quiet.y
                || place.y > quiet.bottom();
            assert!(apart, "{mark:?} stands in the quiet zone");
        }
    }
}
