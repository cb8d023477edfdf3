//! The page as a PDF.
//!
//! Text is in Helvetica, one of the fonts that every reader has, so that a file is a few kilobytes; its widths are written
//! down all the same, and a reader with another font squeezes that to them.
//!
//! **Owns** nothing. **Fails** never. **Limits**: one page; the same page makes the same bytes, there is no date and no id.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::FontFlags;
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::Weight;
use super::latin;
use super::page::{Area, HEIGHT, Ink, Mark, Page, Place, Run, WIDTH};

const POINTS_PER_MM: f32 = 72.0 / 25.4;
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const PAGE: Ref = Ref::new(3);
const CONTENT: Ref = Ref::new(4);
const INFO: Ref = Ref::new(5);
/// Each font takes two: itself and its descriptor.
const REGULAR: Ref = Ref::new(6);
const BOLD: Ref = Ref::new(8);

/// Writes a page down.
pub fn write(page: &Page) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let mut catalog = pdf.catalog(CATALOG);
    catalog.pages(PAGES).lang(TextStr("pt-BR"));
    catalog.viewer_preferences().display_doc_title(true);
    catalog.finish();
    pdf.document_info(INFO).title(TextStr(&page.title)).creator(TextStr("bursar"));
    pdf.pages(PAGES).kids([PAGE]).count(1);
    let mut leaf = pdf.page(PAGE);
    leaf.parent(PAGES).media_box(Rect::new(0.0, 0.0, points(WIDTH), points(HEIGHT))).contents(CONTENT);
    leaf.resources().fonts().pair(name(Weight::Regular), REGULAR).pair(name(Weight::Bold), BOLD);
    leaf.finish();
    pdf.stream(CONTENT, &deflate(&content(page))).filter(Filter::FlateDecode);
    font(&mut pdf, REGULAR, Weight::Regular);
    font(&mut pdf, BOLD, Weight::Bold);
    pdf.finish()
}

fn points(mm: f32) -> f32 {
    round(mm * POINTS_PER_MM)
}

/// Three decimals of a point are a third of a micrometre; more would only make the file longer.
fn round(points: f32) -> f32 {
    (points * 1_000.0).round() / 1_000.0
}

fn name(weight: Weight) -> Name<'static> {
    match weight {
        Weight::Regular => Name(b"R"),
        Weight::Bold => Name(b"B"),
    }
}

/// What is drawn: grey areas, black ones, then text. The areas of one ink are one path, so that those which touch show
/// no seam.
fn content(page: &Page) -> Vec<u8> {
    let mut content = Content::new();
    for ink in [Ink::Tint, Ink::Black] {
        content.set_fill_gray(ink.lightness());
        let mut any = false;
        for mark in &page.marks {
            if let Mark::Area(Area { place, ink: own }) = mark
                && *own == ink
            {
                rect(&mut content, place);
                any = true;
            }
        }
        if any {
            content.fill_nonzero();
        }
    }
    content.begin_text();
    let mut font = None;
    for mark in &page.marks {
        if let Mark::Run(run) = mark {
            text(&mut content, run, &mut font);
        }
    }
    content.end_text();
    content.finish().into_vec()
}

/// A PDF counts from the lower left corner.
fn rect(content: &mut Content, place: &Place) {
    let bottom = points(HEIGHT - place.bottom());
    content.rect(points(place.x), bottom, points(place.width), points(place.height));
}

fn text(content: &mut Content, run: &Run, font: &mut Option<(Weight, f32)>) {
    if *font != Some((run.weight, run.size)) {
        content.set_font(name(run.weight), points(run.size));
        *font = Some((run.weight, run.size));
    }
    content.set_text_matrix([1.0, 0.0, 0.0, 1.0, points(run.x), points(HEIGHT - run.baseline)]);
    let codes: Vec<u8> = run.text.chars().filter_map(latin::code).collect();
    content.show(Str(&codes));
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("a vector takes whatever is written to it")
}

/// One of the standard fonts, with the widths of its codes.
fn font(pdf: &mut Pdf, id: Ref, weight: Weight) {
    const FIRST: u8 = b' ';
    let descriptor = Ref::new(id.get() + 1);
    let (base, stem_v) = match weight {
        Weight::Regular => (Name(b"Helvetica"), 88.0),
        Weight::Bold => (Name(b"Helvetica-Bold"), 140.0),
    };
    let widths = (FIRST..=u8::MAX).map(|code| (weight.font().advance_of_code(code) * 1_000.0).round());
    let mut font = pdf.type1_font(id);
    font.base_font(base).first_char(FIRST).last_char(u8::MAX).widths(widths);
    font.font_descriptor(descriptor).encoding_predefined(Name(b"WinAnsiEncoding"));
    font.finish();
    // These are Helvetica's own figures.
    let mut descriptor = pdf.font_descriptor(descriptor);
    descriptor.name(base).flags(FontFlags::NON_SYMBOLIC).bbox(Rect::new(-170.0, -228.0, 1_003.0, 962.0));
    descriptor.italic_angle(0.0).ascent(718.0).descent(-207.0).cap_height(718.0).stem_v(stem_v);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{samples, sheet};

    #[test]
    fn the_same_document_makes_the_same_bytes_and_few_of_them() {
        for document in [samples::document(), samples::accented(), samples::longest('W')] {
            let pdf = write(&sheet::lay_out(&document));
            assert_eq!(pdf, write(&sheet::lay_out(&document)));
            assert!(pdf.starts_with(b"%PDF-") && pdf.len() < 60_000, "{} bytes", pdf.len());
        }
    }
}
