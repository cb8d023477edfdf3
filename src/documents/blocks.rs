//! The parts that both halves of the form are drawn with: the head, rows of boxes, the mark of what nobody may pay.
//!
//! **Owns** the measures that both share, in millimetres. **Fails** never; says where a text had to be cut.
//! **Limits**: the head's line is drawn at 3.5 to 4 mm high digits, the bank's code at 5 mm, as the form demands.

use super::document::BoletoDocument;
use super::fit::{ASCENT, Breaks, Fitted, Frame, LEADING, fit};
use super::font::Weight;
use super::form::{self, Cell, Row};
use super::latin;
use super::page::{Align, Ink, Page, Place, Style};

/// The form's left edge on the page.
pub const LEFT: f32 = 11.0;
/// The form may be 170 to 216 mm wide.
pub const WIDTH: f32 = 188.0;
/// The column at the right.
pub const RIGHT_WIDTH: f32 = 48.0;
/// All columns at the left.
pub const LEFT_WIDTH: f32 = WIDTH - RIGHT_WIDTH;
pub const HEAD_HEIGHT: f32 = 8.5;
pub const THIN: f32 = 0.2;
pub const THICK: f32 = 0.5;

/// A digit is 0.69 to 0.71 of its font's size high, so that these are 3.5 to 3.6 mm.
const LINE_SIZE: f32 = 5.1;
/// And these 4.9 to 5.0 mm.
const CODE_SIZE: f32 = 7.1;
/// How high a capital is, where the size is 1.
const CAPITALS: f32 = 0.7;
const NAME_WIDTH: f32 = 22.0;
const CODE_WIDTH: f32 = 20.5;
const LABEL_SIZE: f32 = 1.85;
/// From a box's top to where its value may begin.
const LABEL_HEIGHT: f32 = 2.7;
/// What a box is higher than its value.
const BESIDE_VALUE: f32 = LABEL_HEIGHT + 0.3;
const VALUE_SIZE: f32 = 3.1;
const STRONG_SIZE: f32 = 3.4;
/// A size of 4.25 points: nothing is smaller, and only the longest texts are as small.
pub const VALUE_SIZE_MIN: f32 = 1.5;
/// Between a box's side and its text.
pub const PADDING: f32 = 1.0;

/// Bank, code and line, with the rule below them; takes [`HEAD_HEIGHT`].
pub fn head(page: &mut Page, y: f32, document: &BoletoDocument) {
    let name = Place::new(LEFT, y + 0.7, NAME_WIDTH, HEAD_HEIGHT - 1.2);
    let code = Place::new(LEFT + NAME_WIDTH + 0.5, y + 0.4, CODE_WIDTH, HEAD_HEIGHT - 0.4);
    middle(page, name, 4.4, Align::Left, &document.bank.name);
    middle(page, code, CODE_SIZE, Align::Centre, &document.bank.code);
    for x in [code.x, code.right()] {
        page.down(x, y + 1.0, HEAD_HEIGHT - 1.0, THICK);
    }
    let style = match document.standing {
        super::Standing::Payable { .. } => {
            Style { size: LINE_SIZE, weight: Weight::Regular, align: Align::Right }
        }
        super::Standing::NotPayable { .. } => Style { size: 6.0, weight: Weight::Bold, align: Align::Right },
    };
    page.line(LEFT + WIDTH, y + 6.7, style, &form::headline(document));
    page.across(LEFT, y + HEAD_HEIGHT, WIDTH, THICK);
}

/// Bold text in the middle of a place, as large as fits.
fn middle(page: &mut Page, place: Place, size_max: f32, align: Align, text: &str) {
    let frame = Frame {
        width: place.width,
        height: place.height,
        size_max,
        size_min: VALUE_SIZE_MIN,
        weight: Weight::Bold,
        breaks: Breaks::Words,
    };
    let fitted = fit(&[latin::printable(text)], &frame);
    // In the middle is what is seen: from the top of the first line's capitals to the last baseline.
    let above = (ASCENT - CAPITALS) * fitted.size;
    let seen = fitted.height() - (LEADING - CAPITALS) * fitted.size;
    let y = place.y + (place.height - seen) / 2.0 - above;
    page.fitted(Place { y, ..place }, Weight::Bold, align, &fitted);
}

/// Draws a row of boxes with the rule below them.
pub fn row(page: &mut Page, y: f32, height: f32, row: &Row) {
    let mut x = LEFT;
    for (at, cell) in row.left.iter().enumerate() {
        let width = cell.share * LEFT_WIDTH;
        if at > 0 {
            page.down(x, y, height, THIN);
        }
        boxed(page, Place::new(x, y, width, height), cell);
        x += width;
    }
    right_box(page, y, height, &row.right);
    page.across(LEFT, y + height, WIDTH, THIN);
}

/// A box of the right column.
pub fn right_box(page: &mut Page, y: f32, height: f32, cell: &Cell) {
    let x = LEFT + LEFT_WIDTH;
    boxed(page, Place::new(x, y, RIGHT_WIDTH, height), cell);
    page.down(x, y, height, THIN);
}

/// A box: its label, and its value as large as fits.
pub fn boxed(page: &mut Page, place: Place, cell: &Cell) {
    if cell.strong {
        page.area(place, Ink::Tint);
    }
    label(page, place.x, place.y, cell.label);
    let frame = value_frame(place.width, place.height, cell);
    // What is cut here stands in full on the receipt, whose rows grow; see `row_height`.
    let fitted = fit(&printable(&cell.value), &frame);
    // Single values stand on the box's floor, as a typewriter put them; people and sentences begin at its top.
    let floor = if cell.value.len() == 1 { frame.height - fitted.height() } else { 0.0 };
    let y = place.y + LABEL_HEIGHT + floor.max(0.0);
    page.fitted(
        Place::new(place.x + PADDING, y, frame.width, frame.height),
        frame.weight,
        cell.align,
        &fitted,
    );
}

/// The small text in a box's upper left corner.
pub fn label(page: &mut Page, x: f32, y: f32, text: &str) {
    let style = Style { size: LABEL_SIZE, weight: Weight::Regular, align: Align::Left };
    page.line(x + PADDING, y + 2.1, style, text);
}

/// How high a row must be to show each box in full: what is usual, or more, rather than that text is smaller than this.
pub fn row_height(usual: f32, readable: f32, row: &Row) -> f32 {
    let widths = row.left.iter().map(|cell| cell.share * LEFT_WIDTH).chain([RIGHT_WIDTH]);
    let needed = widths.zip(row.left.iter().chain([&row.right])).map(|(width, cell)| {
        let frame = Frame { size_min: readable, ..value_frame(width, usual, cell) };
        let paragraphs = printable(&cell.value);
        if !fit(&paragraphs, &frame).cut {
            return usual;
        }
        let grown = fit(&paragraphs, &Frame { size_max: readable, height: f32::MAX, ..frame });
        grown.height() + BESIDE_VALUE
    });
    needed.fold(usual, f32::max)
}

fn value_frame(width: f32, height: f32, cell: &Cell) -> Frame {
    Frame {
        width: width - 2.0 * PADDING,
        height: height - BESIDE_VALUE,
        size_max: if cell.strong { STRONG_SIZE } else { VALUE_SIZE },
        size_min: VALUE_SIZE_MIN,
        weight: if cell.strong { Weight::Bold } else { Weight::Regular },
        breaks: Breaks::Words,
    }
}

/// The instructions as they fit a place.
pub fn instructions(place: Place, document: &BoletoDocument) -> Fitted {
    let frame = Frame {
        width: place.width,
        height: place.height,
        size_max: 3.0,
        size_min: VALUE_SIZE_MIN,
        weight: Weight::Regular,
        breaks: Breaks::Words,
    };
    fit(&printable(&document.instructions), &frame)
}

/// The mark of what nobody may pay: a framed box with the word and the reason.
pub fn do_not_pay(page: &mut Page, place: Place, reason: &str) {
    page.area(place, Ink::Tint);
    page.outline(place, 0.8);
    let inner = place.inset(3.0, 1.4);
    let half = inner.height / 2.0;
    middle(page, Place { height: half, ..inner }, 6.0, Align::Centre, form::DO_NOT_PAY);
    middle(page, Place { y: inner.y + half, height: half, ..inner }, 3.6, Align::Centre, reason);
}

/// Paragraphs in signs that can be printed.
pub fn printable(paragraphs: &[String]) -> Vec<String> {
    paragraphs.iter().map(|paragraph| latin::printable(paragraph)).collect()
}
