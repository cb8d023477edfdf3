//! The form as a page for browsers and screen readers: real text in the reading order, each box with its label.
//!
//! It stands alone: styles and drawings are in it, nothing is fetched, no script runs, and a content policy in its head
//! says so to the browser. It is well-formed XML too.
//!
//! **Owns** nothing. **Fails** never. **Limits**: where lines end is up to the browser; bars and code keep their true size.

use std::fmt::Write as _;

use super::document::{BoletoDocument, Standing};
use super::form::{self, Cell, Row};
use super::latin;
use super::markup::escape;
use super::page::{Align, Area, Ink, Place};
use super::{itf, qr, svg};
use crate::domain::boleto::barcode::Barcode;

const STYLE: &str = include_str!("form.css");

/// Writes a document down.
pub fn write(document: &BoletoDocument) -> String {
    let mut out = Writer(String::with_capacity(24 * 1_024));
    let title = text(&form::title(document));
    out.put(&format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"pt-BR\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"robots\" content=\"noindex\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    ));
    out.receipt(document);
    out.put(&format!("<p class=\"cut\">{}</p>\n", form::CUT_HERE));
    out.slip(document);
    out.put("</main>\n</body>\n</html>\n");
    out.0
}

/// Text as it was given, safe between tags.
fn text(given: &str) -> String {
    escape(&latin::plain(given)).into_owned()
}

struct Writer(String);

impl Writer {
    fn put(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    fn receipt(&mut self, document: &BoletoDocument) {
        self.put(&format!("<section aria-label=\"{0}\">\n<h1>{0}</h1>\n", form::RECEIPT));
        self.head(document);
        for row in form::receipt_rows(document) {
            self.row(&row);
        }
        self.instructions(document);
        self.put(&format!("<p class=\"small\">{}</p>\n", form::AUTHENTICATION));
        match &document.standing {
            Standing::Payable { pix_emv: Some(emv), .. } => self.pix(emv),
            Standing::Payable { pix_emv: None, .. } => {}
            Standing::NotPayable { reason } => self.do_not_pay(reason),
        }
        self.put("</section>\n");
    }

    fn slip(&mut self, document: &BoletoDocument) {
        self.put(&format!("<section class=\"slip\" aria-label=\"{}\">\n", form::SLIP));
        self.head(document);
        for row in form::slip_rows(document) {
            self.row(&row);
        }
        self.put("<div class=\"middle\">\n");
        self.instructions(document);
        self.put("<dl class=\"adjustments\">\n");
        for label in form::ADJUSTMENTS {
            self.put(&format!("<div><dt>{label}</dt><dd></dd></div>\n"));
        }
        self.put("</dl>\n</div>\n<dl class=\"people\">\n");
        self.cell(&form::party(form::PAYER, 1.0, &document.payer));
        self.cell(&form::guarantor(document));
        self.put(&format!("<div class=\"code\"><dt>{}</dt><dd></dd></div>\n</dl>\n", form::WRITE_OFF_CODE));
        self.put("<div class=\"foot\">\n");
        match &document.standing {
            Standing::Payable { barcode, .. } => self.bars(barcode),
            Standing::NotPayable { reason } => self.do_not_pay(reason),
        }
        self.put(&format!(
            "<p class=\"small\">{}<br/><strong>{}</strong></p>\n</div>\n</section>\n",
            form::AUTHENTICATION,
            form::SLIP
        ));
    }

    fn head(&mut self, document: &BoletoDocument) {
        let class = match document.standing {
            Standing::Payable { .. } => "line",
            Standing::NotPayable { .. } => "line stop",
        };
        self.put(&format!(
            "<header><span class=\"bank\"><bdi>{}</bdi></span> <span class=\"bank-code\">{}</span> \
             <span class=\"{class}\">{}</span></header>\n",
            text(&document.bank.name),
            text(&document.bank.code),
            text(&form::headline(document)),
        ));
    }

    fn row(&mut self, row: &Row) {
        self.put("<dl class=\"row\">\n");
        for cell in &row.left {
            self.cell(cell);
        }
        self.cell(&row.right);
        self.put("</dl>\n");
    }

    fn cell(&mut self, cell: &Cell) {
        let class = match (cell.align, cell.strong) {
            (Align::Right, true) => "right strong",
            (Align::Right, false) => "right",
            _ => "left",
        };
        let share = svg::short(cell.share);
        let style = if class == "left" { format!(" style=\"flex-grow:{share}\"") } else { String::new() };
        self.put(&format!("<div class=\"{class}\"{style}><dt>{}</dt>", cell.label));
        if cell.value.is_empty() {
            self.put("<dd></dd>");
        }
        for paragraph in &cell.value {
            self.put(&format!("<dd><bdi>{}</bdi></dd>", text(paragraph)));
        }
        self.put("</div>\n");
    }

    fn instructions(&mut self, document: &BoletoDocument) {
        self.put(&format!("<div class=\"instructions\"><h2>{}</h2>\n", form::INSTRUCTIONS));
        for paragraph in &document.instructions {
            self.put(&format!("<p dir=\"auto\">{}</p>\n", text(paragraph)));
        }
        self.put("</div>\n");
    }

    fn do_not_pay(&mut self, reason: &str) {
        let reason = text(reason);
        self.put(&format!(
            "<p class=\"mark\" role=\"alert\"><strong>{}</strong> {reason}</p>\n",
            form::DO_NOT_PAY
        ));
    }

    /// The text to copy is the bank's own, sign for sign.
    fn pix(&mut self, emv: &str) {
        let Some(code) = qr::encode(emv) else { return };
        let squares = code
            .stretches
            .iter()
            .map(|stretch| area(stretch.x.into(), stretch.y.into(), stretch.length.into(), 1.0));
        let squares: Vec<Area> = squares.collect();
        let (side, path) = (code.modules, svg::path(squares.iter()));
        self.put(&format!(
            "<div class=\"pix\"><svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qr\" role=\"img\" \
             aria-label=\"Código QR do Pix\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <path d=\"{path}\"/></svg>\n<div><h2>{}</h2><p>{}</p><h3>{}</h3><p><code>{}</code></p></div></div>\n",
            form::PIX_TITLE,
            form::PIX_HOW,
            form::PIX_COPY,
            text(emv),
        ));
    }

    fn bars(&mut self, barcode: &Barcode) {
        let bars = itf::bars(barcode);
        let areas: Vec<Area> =
            bars.iter().map(|bar| area(bar.start.into(), 0.0, bar.width.into(), 13.0)).collect();
        let path = svg::path(areas.iter());
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bars\" role=\"img\" aria-label=\"Código de barras {barcode}\" \
             viewBox=\"0 0 {} 13\" preserveAspectRatio=\"none\"><path d=\"{path}\"/></svg>",
            itf::MODULES,
        );
    }
}

fn area(x: f32, y: f32, width: f32, height: f32) -> Area {
    Area { place: Place::new(x, y, width, height), ink: Ink::Black }
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, ParsingOptions};

    use super::*;
    use crate::documents::samples;

    fn with_tree(document: &BoletoDocument, look: impl FnOnce(&Document<'_>)) {
        let html = write(document);
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        look(&Document::parse_with_options(&html, options).unwrap());
    }

    fn words(tree: &Document<'_>) -> String {
        tree.descendants().filter_map(|node| node.text()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn hostile_text_stays_text() {
        let document = samples::hostile();
        with_tree(&document, |tree| {
            let known = [
                "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3",
                "header", "span", "bdi", "dl", "div", "dt", "dd", "p", "svg", "path", "code", "br", "strong",
            ];
            for node in tree.descendants().filter(roxmltree::Node::is_element) {
                assert!(known.contains(&node.tag_name().name()), "{node:?}");
                for attribute in node.attributes() {
                    assert!(
                        !attribute.name().starts_with("on") && !["src", "href"].contains(&attribute.name())
                    );
                }
            }
            let text = words(tree);
            assert!(text.contains("<script>alert(1)</script>\"'&amp;]]> - CPF"), "as it was given");
            assert!(
                text.contains("oãrbil محل 🛒") && !text.contains('\u{202e}'),
                "nothing turns the text around it"
            );
            assert!(text.contains("</text></svg><img src=x onerror=alert(1)>"));
        });
    }

    #[test]
    fn every_box_has_its_label_and_nothing_is_fetched() {
        let document = samples::document();
        with_tree(&document, |tree| {
            for dd in
                tree.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/1999/xhtml", "dd")))
            {
                assert!(dd.prev_siblings().any(|node| node.tag_name().name() == "dt"));
            }
            let text = words(tree);
            for expected in
                ["23791.23405 40000.000048 44012.345607 6 69050000029721", "297,21", "30/11/2026", "237-2"]
            {
                assert!(text.matches(expected).count() >= 2, "{expected}");
            }
        });
        let html = write(&document);
        assert!(!html.contains("url(") && !html.contains("@import"));
        let outside: Vec<&str> = html
            .split("http")
            .skip(1)
            .filter(|rest| rest.starts_with("s://") || rest.starts_with("://"))
            .collect();
        assert!(
            outside.iter().all(|rest| rest.starts_with("://www.w3.org/")),
            "only names of markup languages"
        );
    }

    #[test]
    fn what_nobody_may_pay_is_announced_and_has_no_code() {
        let Standing::Payable { barcode, .. } = samples::document().standing else {
            panic!("it may be paid")
        };
        let html = write(&samples::cancelled(samples::document()));
        assert!(html.contains("role=\"alert\"") && html.contains("cancelado em 20/11/2026"));
        for absent in [barcode.as_str(), &barcode.to_linha().formatted(), "<svg", "br.gov.bcb.pix", "Pagável"]
        {
            assert!(!html.contains(absent), "{absent}");
        }
    }
}
