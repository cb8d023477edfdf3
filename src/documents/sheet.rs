//! The whole A4 page: the receipt above, the cutting line, the slip at the foot.
//!
//! **Owns** nothing. **Fails** never: [`super::limits`] keeps away what would not fit.
//! **Limits**: one page. Its tests lay out the longest texts and look that none is lost and none leaves its part.

use super::blocks::{LEFT, WIDTH};
use super::document::BoletoDocument;
use super::font::Weight;
use super::form;
use super::page::{Align, Page, Style};
use super::{receipt, slip};

/// Lays a document out.
pub fn lay_out(document: &BoletoDocument) -> Page {
    let mut page = Page::new(super::latin::printable(&form::title(document)));
    receipt::draw(&mut page, document);
    for y in [slip::TOP, slip::BOTTOM] {
        page.cut_line(LEFT, y, WIDTH);
    }
    let style = Style { size: 1.85, weight: Weight::Regular, align: Align::Right };
    page.line(LEFT + WIDTH, slip::TOP - 0.8, style, form::CUT_HERE);
    slip::draw(&mut page, document);
    page
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::documents::page::{HEIGHT, Ink, Mark};
    use crate::documents::{Standing, limits, samples};

    /// All text of the upper part, without blanks, so that it does not matter where lines end.
    fn receipt_text(page: &Page) -> String {
        let runs = page.marks.iter().filter_map(|mark| match mark {
            Mark::Run(run) if run.baseline < slip::TOP => Some(run.text.as_str()),
            _ => None,
        });
        squeezed(&runs.collect::<String>())
    }

    fn squeezed(text: &str) -> String {
        super::super::latin::printable(text).replace([' ', super::super::latin::NO_BREAK], "")
    }

    /// Every text of the document stands in full on the receipt, and no mark leaves the form or crosses the cut.
    fn check(document: &BoletoDocument) {
        limits::check(document).unwrap();
        let page = lay_out(document);
        for mark in &page.marks {
            let (left, right, top, bottom) = match mark {
                Mark::Area(area) => (area.place.x, area.place.right(), area.place.y, area.place.bottom()),
                Mark::Run(run) => (
                    run.x,
                    run.x + run.width(),
                    run.baseline - 0.72 * run.size,
                    run.baseline + 0.21 * run.size,
                ),
            };
            assert!(left > LEFT - 0.5 && right < LEFT + WIDTH + 0.5, "{mark:?}");
            assert!(top > 5.0 && bottom <= slip::BOTTOM + 0.2 && bottom < HEIGHT, "{mark:?}");
            let on_the_cut = matches!(mark, Mark::Area(area) if (area.place.y - slip::TOP).abs() < 0.2);
            assert!(on_the_cut || bottom < slip::TOP || top > slip::TOP, "{mark:?}");
        }
        let text = receipt_text(&page);
        let mut expected = vec![&document.beneficiary.name, &document.payer.name];
        for party in [Some(&document.beneficiary), Some(&document.payer), document.guarantor.as_ref()] {
            expected.extend(party.iter().map(|party| &party.name));
            expected.extend(party.and_then(|party| party.address.as_ref()));
        }
        expected.extend(&document.instructions);
        expected.extend([&document.nosso_numero, &document.document_number, &document.agency_and_code]);
        expected.extend([&document.carteira, &document.bank.name, &document.bank.code]);
        if let Standing::NotPayable { reason } = &document.standing {
            expected.push(reason);
        }
        let cut = |text: &str| text.contains('…');
        assert!(
            !cut(&text) || expected.iter().any(|given| cut(given)),
            "something is cut on the receipt: {text}"
        );
        for expected in expected {
            assert!(text.contains(&squeezed(expected)), "{expected} is not in {text}");
        }
    }

    #[test]
    fn the_usual_and_the_longest_documents_fit_without_loss() {
        check(&samples::document());
        check(&samples::accented());
        for letter in ['W', 'i', 'm', 'Ã'] {
            check(&samples::longest(letter));
            check(&samples::cancelled(samples::longest(letter)));
        }
    }

    #[test]
    fn what_nobody_may_pay_has_no_code_at_all() {
        let document = samples::document();
        let Standing::Payable { barcode, .. } = &document.standing else { panic!("it may be paid") };
        let line = barcode.to_linha().formatted();
        let payable = lay_out(&document);
        let cancelled = lay_out(&samples::cancelled(document.clone()));
        let has_line =
            |page: &Page| page.marks.iter().any(|mark| matches!(mark, Mark::Run(run) if run.text == line));
        let areas = |page: &Page| {
            let black = |mark: &&Mark| matches!(mark, Mark::Area(area) if area.ink == Ink::Black);
            page.marks.iter().filter(black).count()
        };
        assert!(has_line(&payable) && !has_line(&cancelled));
        assert!(areas(&payable) > areas(&cancelled) + 114, "neither bars nor squares");
        assert!(receipt_text(&cancelled).contains("NÃOPAGAR"));
        assert!(cancelled.title.starts_with("NÃO PAGAR"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_texts_within_the_limits_fit_without_loss(
            name in "\\PC{0,150}", address in "[ -~À-ü]{0,240}", short in "[!-~]{1,40}",
            instructions in prop::collection::vec("\\PC{0,62}", 0..16),
        ) {
            let mut document = samples::document();
            document.payer.name.clone_from(&name);
            document.beneficiary.name = name;
            document.payer.address = Some(address);
            document.instructions = instructions;
            document.document_number = short;
            check(&document);
        }

        #[test]
        fn wide_letters_fit_however_their_words_are_cut(
            every in 1_usize..100, paragraphs in 1_usize..=limits::INSTRUCTIONS_MAX, pix in any::<bool>()
        ) {
            let words = |count: usize| -> String {
                (0..count).map(|at| if at % every == every - 1 { ' ' } else { 'W' }).collect()
            };
            let mut document = samples::longest('W');
            for party in [Some(&mut document.beneficiary), Some(&mut document.payer), document.guarantor.as_mut()] {
                let party = party.unwrap();
                party.name = words(limits::NAME_CHARS_MAX);
                party.address = Some(words(limits::ADDRESS_CHARS_MAX));
            }
            // All but one are of a single letter, so that lines are lost at each of them.
            document.instructions = vec!["W".to_owned(); paragraphs];
            document.instructions[0] = words(limits::INSTRUCTIONS_CHARS_MAX - paragraphs);
            if !pix {
                document.standing = Standing::NotPayable { reason: words(limits::SENTENCE_CHARS_MAX) };
            }
            check(&document);
        }
    }
}
