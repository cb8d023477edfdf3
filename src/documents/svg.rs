//! The page as one SVG drawing, in millimetres.
//!
//! **Owns** nothing. **Fails** never. **Limits**: no font travels with it; each text says how long it is, so that a viewer
//! with another font squeezes it rather than lets it run over its box.

use std::fmt::Write as _;

use super::font::Weight;
use super::markup::escape;
use super::page::{Area, HEIGHT, Ink, Mark, Page, Place, Run, WIDTH};

/// Writes a page down.
pub fn write(page: &Page) -> String {
    let mut out = String::with_capacity(48 * 1_024);
    let title = escape(&page.title);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" xml:lang=\"pt-BR\" role=\"img\" aria-labelledby=\"t\" \
         width=\"{WIDTH}mm\" height=\"{HEIGHT}mm\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n\
         <title id=\"t\">{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    for ink in [Ink::Tint, Ink::Black] {
        let areas = page.marks.iter().filter_map(|mark| match mark {
            Mark::Area(area) if area.ink == ink => Some(area),
            _ => None,
        });
        let _ = writeln!(out, "<path fill=\"{}\" d=\"{}\"/>", colour(ink), path(areas));
    }
    out.push_str(
        "<g fill=\"#000\" style=\"white-space:pre;font-kerning:none\" \
         font-family=\"Helvetica,Arial,'Liberation Sans',sans-serif\">\n",
    );
    for mark in &page.marks {
        if let Mark::Run(run) = mark {
            text(&mut out, run);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Rectangles as one path; also what a browser gets inside a page.
pub fn path<'a>(areas: impl Iterator<Item = &'a Area>) -> String {
    let mut out = String::new();
    for Area { place: Place { x, y, width, height }, .. } in areas {
        let (x, y, width, height) = (short(*x), short(*y), short(*width), short(*height));
        let _ = write!(out, "M{x} {y}h{width}v{height}h-{width}z");
    }
    out
}

fn colour(ink: Ink) -> &'static str {
    match ink {
        Ink::Black => "#000",
        Ink::Tint => "#e6e6e6",
    }
}

fn text(out: &mut String, run: &Run) {
    let (x, y, size, length) = (short(run.x), short(run.baseline), short(run.size), short(run.width()));
    let weight = match run.weight {
        Weight::Regular => "",
        Weight::Bold => " font-weight=\"bold\"",
    };
    let text = escape(&run.text);
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight} textLength=\"{length}\" \
         lengthAdjust=\"spacingAndGlyphs\">{text}</text>"
    );
}

/// A length in ten-thousandths of a millimetre, without zeros that say nothing.
pub fn short(length: f32) -> String {
    let text = format!("{length:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{samples, sheet};

    #[test]
    fn the_drawing_is_well_formed_and_holds_every_run_of_text() {
        for document in [samples::document(), samples::hostile(), samples::cancelled(samples::hostile())] {
            let page = sheet::lay_out(&document);
            let svg = write(&page);
            let tree = roxmltree::Document::parse(&svg).unwrap();
            let runs: Vec<&str> = page
                .marks
                .iter()
                .filter_map(|mark| match mark {
                    Mark::Run(run) => Some(run.text.as_str()),
                    Mark::Area(_) => None,
                })
                .collect();
            let texts: Vec<&str> = tree
                .descendants()
                .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
                .map(|node| node.text().unwrap_or_default())
                .collect();
            assert_eq!(texts, runs);
            let known = ["svg", "title", "rect", "path", "g", "text"];
            assert!(
                tree.descendants()
                    .filter(roxmltree::Node::is_element)
                    .all(|node| known.contains(&node.tag_name().name()))
            );
        }
    }

    #[test]
    fn lengths_are_written_short() {
        for (length, text) in
            [(1.0, "1"), (0.25, "0.25"), (-0.00001, "0"), (12.345_67, "12.3457"), (100.0, "100")]
        {
            assert_eq!(short(length), text);
        }
    }
}
