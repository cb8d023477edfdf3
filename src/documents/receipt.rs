//! The upper part: what the payer keeps (recibo do pagador), with every text in full, and the Pix code where there is one.
//!
//! **Owns** the heights of its rows. **Fails** never. **Limits**: the space above the cutting line; rows grow for long names,
//! and the instructions shrink into what is left.

use super::blocks::{self, HEAD_HEIGHT, LEFT, PADDING, RIGHT_WIDTH, WIDTH};
use super::document::{BoletoDocument, Standing};
use super::fit::{Breaks, Fitted, Frame};
use super::font::Weight;
use super::form::{self, Row};
use super::page::{Align, Ink, Page, Place, Style};
use super::qr;
use super::slip;

const TOP: f32 = 12.0;
/// Nothing of the receipt stands lower.
const BOTTOM: f32 = slip::TOP - 5.0;
/// What the rows take when nothing has to grow.
const ROW_HEIGHTS: [f32; 4] = [9.6, 9.6, 7.0, 7.0];
/// One side of the Pix code, its quiet zone included.
const PIX_SIDE: f32 = 34.0;
const PIX_HEIGHT: f32 = PIX_SIDE + 2.0;
const MARK_HEIGHT: f32 = 18.0;
const AUTHENTICATION_HEIGHT: f32 = 4.0;

/// Draws the receipt.
pub fn draw(page: &mut Page, document: &BoletoDocument) {
    let style = Style { size: 3.4, weight: Weight::Bold, align: Align::Right };
    page.line(LEFT + WIDTH, TOP - 1.0, style, form::RECEIPT);
    blocks::head(page, TOP, document);
    let rows = form::receipt_rows(document);
    let plan = Plan::make(document, &rows);
    let mut y = TOP + HEAD_HEIGHT;
    for (row, height) in rows.iter().zip(plan.heights) {
        blocks::row(page, y, height, row);
        y += height;
    }
    blocks::label(page, LEFT, y, form::INSTRUCTIONS);
    let place = Place { height: plan.instructions.height(), ..instructions_place(y) };
    page.fitted(place, Weight::Regular, Align::Left, &plan.instructions);
    y = place.y + place.height.max(4.0) + 1.0;
    page.across(LEFT, y, WIDTH, blocks::THIN);
    y = authentication(page, y);
    foot(page, y, document);
}

/// How the space is shared out.
struct Plan {
    heights: [f32; 4],
    instructions: Fitted,
}

impl Plan {
    /// Gives rows the room that their text needs at a size that is read with ease, or at a smaller one where the
    /// instructions would be cut otherwise.
    fn make(document: &BoletoDocument, rows: &[Row; 4]) -> Self {
        let mut plan = Self::at(2.7, document, rows);
        for readable in [2.2, 1.8, blocks::VALUE_SIZE_MIN] {
            if !plan.instructions.cut {
                break;
            }
            plan = Self::at(readable, document, rows);
        }
        plan
    }

    fn at(readable: f32, document: &BoletoDocument, rows: &[Row; 4]) -> Self {
        let mut heights = ROW_HEIGHTS;
        for (height, row) in heights.iter_mut().zip(rows) {
            *height = blocks::row_height(*height, readable, row);
        }
        let place = instructions_place(TOP + HEAD_HEIGHT + heights.iter().sum::<f32>());
        let room = BOTTOM - AUTHENTICATION_HEIGHT - foot_height(document) - place.y - 1.0;
        Self { heights, instructions: blocks::instructions(Place { height: room, ..place }, document) }
    }
}

/// Below their label, over the whole width.
fn instructions_place(y: f32) -> Place {
    Place::new(LEFT, y + 2.9, WIDTH, 0.0).inset(PADDING, 0.0)
}

fn foot_height(document: &BoletoDocument) -> f32 {
    match &document.standing {
        Standing::Payable { pix_emv: Some(_), .. } => PIX_HEIGHT,
        Standing::Payable { pix_emv: None, .. } => 0.0,
        Standing::NotPayable { .. } => MARK_HEIGHT,
    }
}

fn authentication(page: &mut Page, y: f32) -> f32 {
    let style = Style { size: 1.85, weight: Weight::Regular, align: Align::Right };
    page.line(LEFT + WIDTH - PADDING, y + 2.3, style, form::AUTHENTICATION);
    y + AUTHENTICATION_HEIGHT
}

fn foot(page: &mut Page, y: f32, document: &BoletoDocument) {
    match &document.standing {
        Standing::Payable { pix_emv: Some(emv), .. } => pix(page, y, emv),
        Standing::Payable { pix_emv: None, .. } => {}
        Standing::NotPayable { reason } => {
            blocks::do_not_pay(page, Place::new(LEFT, y, WIDTH, MARK_HEIGHT - 2.0), reason);
        }
    }
}

/// The code at the left, beside it how to use it and the text for those who copy.
fn pix(page: &mut Page, y: f32, emv: &str) {
    // The limits keep away every text that has no code.
    let Some(code) = qr::encode(emv) else { return };
    let module = PIX_SIDE / f32::from(code.modules);
    for stretch in &code.stretches {
        let (x, down) = (LEFT + f32::from(stretch.x) * module, y + f32::from(stretch.y) * module);
        page.area(Place::new(x, down, f32::from(stretch.length) * module, module), Ink::Black);
    }
    let x = LEFT + PIX_SIDE + 2.0;
    let width = WIDTH - PIX_SIDE - 2.0 - RIGHT_WIDTH / 4.0;
    let title = Style { size: 4.2, weight: Weight::Bold, align: Align::Left };
    page.line(x, y + 6.0, title, form::PIX_TITLE);
    let frame = Frame {
        width,
        height: 8.0,
        size_max: 2.9,
        size_min: 2.0,
        weight: Weight::Regular,
        breaks: Breaks::Words,
    };
    page.paragraphs(Place::new(x, y + 8.0, width, 8.0), &frame, Align::Left, &[form::PIX_HOW.to_owned()]);
    // A text with signs that the form cannot print would be copied wrong; the code has it right.
    if emv.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let label = Style { size: 2.2, weight: Weight::Bold, align: Align::Left };
        page.line(x, y + 18.6, label, form::PIX_COPY);
        let frame = Frame { height: 13.0, size_max: 2.4, size_min: 1.5, breaks: Breaks::Anywhere, ..frame };
        page.paragraphs(Place::new(x, y + 19.6, width, 13.0), &frame, Align::Left, &[emv.to_owned()]);
    }
}
